/*
 * watch.c
 *	  memai.watch: rows of a business table become episodes, in the transaction
 *	  that writes them.
 *
 * Statement triggers with transition tables compute key, user and text of the
 * rows that matter with the rights of the table's owner; memai's tables are
 * written with the extension's, for the tenant of that owner.  memai._watched_row
 * says which episode a row is.
 *
 * A changed row gets a new episode.  Memories that were taken from the old one
 * stand on the new one from then on and need review.  A row that is deleted, or
 * has no text or no user any more, takes its episode along, and that the memories
 * that rest on nothing else.  No model is called: a job makes the vectors.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "ingest/vectorizer.h"
#include "ingest/watch.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#define FETCH_ROWS 1000

/* of a batch: $1 tenant, $2 namespace, $3 watch, $4 keys, $5 users, $6 texts, $7 ids, $8 what the episodes are named after */
#define BATCH "unnest($4, $5, $6, $7) AS i (key, user_id, content, id)"

static MemaiStatement put_episodes = {
	"INSERT INTO memai.episode (tenant, user_id, namespace, scope, id, source, role, name, content, metadata, terms) "
	"SELECT $1, i.user_id, $2, memai.scope_hash($1, i.user_id, $2), i.id, 'message', 'system', $8, i.content, "
	"jsonb_build_object('watch', $3, 'table', $8, 'key', i.key), memai._terms($8 || ': ' || i.content) FROM " BATCH,
	8, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, UUIDARRAYOID, TEXTOID}, NULL
};
static MemaiStatement move_sources = {
	"UPDATE memai.memory_source s SET episode_id = i.id FROM " BATCH " JOIN memai._watched_row w "
	"ON w.watch = $3 AND w.key = i.key AND w.scope = memai.scope_hash($1, i.user_id, $2) "
	"WHERE s.scope = w.scope AND s.episode_id = w.episode_id",
	7, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, UUIDARRAYOID}, NULL
};
static MemaiStatement doubt_memories = {
	"UPDATE memai.memory m SET needs_review = true, reason = 'the row that it was taken from has changed' "
	"FROM " BATCH " JOIN memai.memory_source s ON s.scope = memai.scope_hash($1, i.user_id, $2) AND s.episode_id = i.id "
	"WHERE m.scope = s.scope AND m.id = s.memory_id AND NOT m.needs_review AND m.invalid_at IS NULL AND m.expired_at IS NULL",
	7, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, UUIDARRAYOID}, NULL
};
static MemaiStatement remove_episodes = {
	"DELETE FROM memai.episode e USING memai._watched_row w WHERE w.watch = $1 AND w.key = ANY ($2) "
	"AND e.scope = w.scope AND e.id = w.episode_id", 2, {TEXTOID, TEXTARRAYOID}, NULL
};
static MemaiStatement remove_all_episodes = {
	"DELETE FROM memai.episode e USING memai._watched_row w WHERE w.watch = $1 "
	"AND e.scope = w.scope AND e.id = w.episode_id", 1, {TEXTOID}, NULL
};
static MemaiStatement note_rows = {
	"INSERT INTO memai._watched_row (tenant, user_id, namespace, scope, watch, key, episode_id) "
	"SELECT $1, i.user_id, $2, memai.scope_hash($1, i.user_id, $2), $3, i.key, i.id FROM " BATCH,
	7, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, UUIDARRAYOID}, NULL
};
static MemaiStatement submit_jobs = {
	"INSERT INTO memai.job (tenant, user_id, namespace, scope, kind, submitted_by) "
	"SELECT DISTINCT $1, i.user_id, $2, memai.scope_hash($1, i.user_id, $2), 'embed', $4::name FROM unnest($3) AS i (user_id)",
	4, {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID}, NULL
};
static MemaiStatement read_keys = {
	"SELECT DISTINCT w.key FROM memai._watched_row w WHERE w.watch = $1 AND w.key > $2 ORDER BY w.key LIMIT $3",
	3, {TEXTOID, TEXTOID, INT8OID}, NULL
};
static MemaiStatement read_watch = {
	"SELECT w.tenant, w.namespace_of_all, w.source, w.template, w.user_of_all FROM memai.watched w WHERE w.name = $1", 1, {TEXTOID}, NULL
};

PG_FUNCTION_INFO_V1(memai_watch_changed);

MemaiWatch *
memai_watch_read(const char *name)
{
	Datum		value = CStringGetTextDatum(name);
	MemaiWatch *watch;
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	if (memai_vectorizer_own(&read_watch, &value, NULL) == 0)
		return NULL;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	watch = palloc0(sizeof(MemaiWatch));
	watch->table.what = MEMAI_WATCH;
	watch->table.name = pstrdup(name);
	watch->table.tenant = cstring_to_text(SPI_getvalue(row, desc, 1));
	watch->namespace = SPI_getvalue(row, desc, 2);
	watch->table.source = DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull));
	watch->table.template = SPI_getvalue(row, desc, 4);
	watch->user_id = SPI_getvalue(row, desc, 5);
	watch->table.nextra = watch->user_id ? 0 : 1;
	SPI_freetuptable(SPI_tuptable);
	return watch;
}

/* key, user and text of a row, in the order that put_rows reads them */
char *
memai_watch_columns_sql(const MemaiWatch *watch, const char *row)
{
	char	   *user = watch->user_id ? quote_literal_cstr(watch->user_id) :
	psprintf("%s.%s::text", row, watch->table.extra[0]);

	return psprintf("%s, %s, left(%s, 250000)", memai_vectorizer_key_sql(&watch->table, row), user,
					memai_vectorizer_content_sql(&watch->table, row));
}

static Datum
text_array(Datum *values, int n)
{
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* the fetched rows: those with a user and a text replace what there was, the others remove it */
static void
put_rows(const MemaiWatch *watch)
{
	int			nfetched = (int) SPI_processed;
	Datum	   *keys = palloc(sizeof(Datum) * nfetched);
	Datum	   *columns[3];
	Datum	   *ids = palloc(sizeof(Datum) * nfetched);
	Datum		values[8];
	int			n = 0;

	for (int c = 0; c < 3; c++)
		columns[c] = palloc(sizeof(Datum) * nfetched);
	for (int i = 0; i < nfetched; i++)
	{
		bool		isnull[3];
		pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

		for (int c = 0; c < 3; c++)
			columns[c][n] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, c + 1, &isnull[c]);
		keys[i] = columns[0][n];
		if (isnull[1] || isnull[2] || VARSIZE_ANY_EXHDR(DatumGetPointer(columns[1][n])) == 0 ||
			strspn(TextDatumGetCString(columns[2][n]), " \t\r\n") == VARSIZE_ANY_EXHDR(DatumGetPointer(columns[2][n])))
			continue;
		memai_new_id(id);
		ids[n++] = UUIDPGetDatum(id);
	}
	values[0] = PointerGetDatum(watch->table.tenant);
	values[1] = CStringGetTextDatum(watch->namespace);
	values[2] = CStringGetTextDatum(watch->table.name);
	values[3] = text_array(columns[0], n);
	values[4] = text_array(columns[1], n);
	values[5] = text_array(columns[2], n);
	values[6] = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[7] = CStringGetTextDatum(get_rel_name(watch->table.source));
	(void) memai_vectorizer_own(&put_episodes, values, NULL);
	(void) memai_vectorizer_own(&move_sources, values, NULL);
	(void) memai_vectorizer_own(&doubt_memories, values, NULL);
	memai_watch_forget(watch, keys, nfetched);
	(void) memai_vectorizer_own(&note_rows, values, NULL);
	values[2] = values[4];
	values[3] = CStringGetTextDatum(GetUserNameFromId(watch->table.owner, false));
	(void) memai_vectorizer_own(&submit_jobs, values, NULL);
}

void
memai_watch_forget(const MemaiWatch *watch, Datum *keys, int n)
{
	Datum		values[2];

	values[0] = CStringGetTextDatum(watch->table.name);
	if (keys == NULL)
	{
		(void) memai_vectorizer_own(&remove_all_episodes, values, NULL);
		return;
	}
	values[1] = text_array(keys, n);
	(void) memai_vectorizer_own(&remove_episodes, values, NULL);
}

/* the fetched rows, keys only, are gone */
static void
forget_rows(const MemaiWatch *watch)
{
	Datum	   *keys = palloc(sizeof(Datum) * SPI_processed);
	bool		isnull;

	for (uint64 i = 0; i < SPI_processed; i++)
		keys[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
	memai_watch_forget(watch, keys, (int) SPI_processed);
}

void
memai_watch_run(const MemaiWatch *watch, const char *query, bool gone)
{
	Oid			user;
	int			sec_context;
	Portal		portal;

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(watch->table.owner, sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	portal = SPI_cursor_open(NULL, memai_vectorizer_plan(query, 0, NULL), NULL, NULL, false);
	for (;;)
	{
		SPITupleTable *fetched;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		fetched = SPI_tuptable;
		if (gone)
			forget_rows(watch);
		else
			put_rows(watch);
		SPI_freetuptable(fetched);
	}
	SPI_cursor_close(portal);
	SetUserIdAndSecContext(user, sec_context);
}

/* as the table's owner: the keys of which no row is there any more, in SPI_tuptable */
static void
find_gone(const MemaiWatch *watch, Datum keys)
{
	Oid			type = TEXTARRAYOID;
	Oid			user;
	int			sec_context;
	char	   *sql = psprintf("SELECT i.key FROM unnest($1) AS i (key) WHERE NOT EXISTS (SELECT FROM %s s WHERE %s)",
							   watch->table.source_name, memai_vectorizer_match_sql(&watch->table, "s"));

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(watch->table.owner, sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	if (SPI_execute_plan(memai_vectorizer_plan(sql, 1, &type), &keys, NULL, false, 0) < 0)
		elog(ERROR, "cannot look for rows: %s", SPI_result_code_string(SPI_result));
	SetUserIdAndSecContext(user, sec_context);
}

/* a partition or child was truncated: its rows' episodes go */
static void
forget_truncated(const MemaiWatch *watch)
{
	Datum		values[3];
	Datum	   *keys = palloc(sizeof(Datum) * FETCH_ROWS);
	bool		isnull;

	values[0] = CStringGetTextDatum(watch->table.name);
	values[1] = CStringGetTextDatum("");
	values[2] = Int64GetDatum(FETCH_ROWS);
	for (;;)
	{
		int			n = (int) memai_vectorizer_own(&read_keys, values, NULL);
		SPITupleTable *gone;

		CHECK_FOR_INTERRUPTS();
		if (n == 0)
			break;
		for (int i = 0; i < n; i++)
			keys[i] = PointerGetDatum(DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
		values[1] = keys[n - 1];
		SPI_freetuptable(SPI_tuptable);
		find_gone(watch, text_array(keys, n));
		gone = SPI_tuptable;
		forget_rows(watch);
		SPI_freetuptable(gone);
	}
}

/* a condition: no row of the other transition table is the same in key, or in all that is watched */
static char *
no_other(const MemaiWatch *watch, const char *table, const char *row, const char *other, bool whole)
{
	const MemaiVectorizer *v = &watch->table;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "NOT EXISTS (SELECT FROM %s %s WHERE ", table, other);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, "%s%s.%s = %s.%s", i ? " AND " : "", other, v->keys[i], row, v->keys[i]);
	for (int i = 0; whole && i < v->ncolumns; i++)
		appendStringInfo(&sql, " AND %s.%s::text IS NOT DISTINCT FROM %s.%s::text", other, v->columns[i], row, v->columns[i]);
	for (int i = 0; whole && i < v->nextra; i++)
		appendStringInfo(&sql, " AND %s.%s::text IS NOT DISTINCT FROM %s.%s::text", other, v->extra[i], row, v->extra[i]);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

static void
follow_change(const MemaiWatch *watch, const TriggerData *trigger)
{
	TriggerEvent event = trigger->tg_event;

	if (TRIGGER_FIRED_BY_TRUNCATE(event) && memai_vectorizer_is_whole(&watch->table, trigger->tg_relation))
		memai_watch_forget(watch, NULL, 0);
	else if (TRIGGER_FIRED_BY_TRUNCATE(event))
		forget_truncated(watch);
	else if (TRIGGER_FIRED_BY_DELETE(event))
		memai_watch_run(watch, psprintf("SELECT %s FROM memai_old o", memai_vectorizer_key_sql(&watch->table, "o")), true);
	else if (TRIGGER_FIRED_BY_INSERT(event))
		memai_watch_run(watch, psprintf("SELECT %s FROM memai_new n", memai_watch_columns_sql(watch, "n")), false);
	else
	{
		memai_watch_run(watch, psprintf("SELECT %s FROM memai_old o WHERE %s", memai_vectorizer_key_sql(&watch->table, "o"),
										no_other(watch, "memai_new", "o", "n", false)), true);
		memai_watch_run(watch, psprintf("SELECT %s FROM memai_new n WHERE %s", memai_watch_columns_sql(watch, "n"),
										no_other(watch, "memai_old", "n", "o", true)), false);
	}
}

/* trigger: as memai_vectorizer_changed, its argument is the watch's name */
Datum
memai_watch_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MemaiWatch *watch;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("_watch_changed is a trigger function for statements")));
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event) || memai_vectorizer_storing)
		return PointerGetDatum(NULL);

	SPI_connect();
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "cannot register transition tables");
	watch = memai_watch_read(trigger->tg_trigger->tgargs[0]);
	/* a trigger that was left behind, copied to a table that nobody watches, or of a partition that was detached */
	if (watch != NULL && memai_vectorizer_follows(&watch->table, trigger->tg_relation) && memai_vectorizer_describe(&watch->table))
		follow_change(watch, trigger);
	SPI_finish();
	return PointerGetDatum(NULL);
}
