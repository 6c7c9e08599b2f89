/*
 * vectorizer_queue.c
 *	  Which rows wait for their vectors: the triggers on the source table, and
 *	  memai._vectorizer_queue.
 *
 * A row of the queue is a key and a version.  Every change that matters gives
 * it a version of its own (and waits for a worker that is just taking the row out),
 * so that the worker, which takes out what has the version it read, never takes
 * out a change that it has not seen.  The statement triggers compare old and
 * new rows by their transition tables; keys are computed with the rights of
 * the table's owner, as PostgreSQL does for foreign keys, and only then written
 * with those of the extension.
 *
 * Each transaction submits a job of its own, once: a job that another
 * transaction submitted may end before this one commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "ingest/vectorizer.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define FETCH_ROWS 10000
#define PLANS_MAX 128
#define SUBMITTED_MAX 64

bool		memai_vectorizer_storing = false;

/* what this transaction has submitted a job for */
static int32 submitted[SUBMITTED_MAX];
static int	nsubmitted = 0;

static struct
{
	uint64		hash;
	SPIPlanPtr	plan;
}			plans[PLANS_MAX];
static int	nplans = 0;

static MemaiStatement put_keys = {
	"INSERT INTO memai._vectorizer_queue AS q (vectorizer, key) SELECT DISTINCT $1, k FROM unnest($2) AS k "
	"ON CONFLICT (vectorizer, key) DO UPDATE SET version = memai.new_id(), error = NULL, sqlstate = NULL, queued_at = now()",
	2, {INT4OID, TEXTARRAYOID}, NULL
};
static MemaiStatement remove_keys = {
	"DELETE FROM memai._vectorizer_queue q WHERE q.vectorizer = $1", 1, {INT4OID}, NULL
};
static MemaiStatement find_errors = {
	"SELECT FROM memai._vectorizer_queue q WHERE q.vectorizer = $1 AND q.error IS NOT NULL LIMIT 1", 1, {INT4OID}, NULL
};
static MemaiStatement remove_errors = {
	"DELETE FROM memai._vectorizer_queue q WHERE q.vectorizer = $1 AND q.key = ANY ($2) AND q.error IS NOT NULL",
	2, {INT4OID, TEXTARRAYOID}, NULL
};
static MemaiStatement retry_errors = {
	"WITH again AS (UPDATE memai._vectorizer_queue q SET error = NULL, sqlstate = NULL "
	"WHERE q.vectorizer = $1 AND q.error IS NOT NULL RETURNING 1) SELECT count(*) FROM again", 1, {INT4OID}, NULL
};
static MemaiStatement submit = {
	"INSERT INTO memai.job (tenant, user_id, namespace, scope, kind, model, payload, priority, submitted_by) "
	"VALUES ($1, 'vectorizer', $2, memai.scope_hash($1, 'vectorizer', $2), 'vectorize', $3, "
	"jsonb_build_object('vectorizer', $2), 2, $4)", 4, {TEXTOID, TEXTOID, TEXTOID, NAMEOID}, NULL
};

PG_FUNCTION_INFO_V1(memai_vectorizer_changed);

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE && event != XACT_EVENT_PARALLEL_PRE_COMMIT)
		nsubmitted = 0;
	if (event == XACT_EVENT_ABORT)
		memai_vectorizer_storing = false;
}

/* a job that is rolled back is no job; one too many does no harm */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		nsubmitted = 0;
		memai_vectorizer_storing = false;
	}
}

void
memai_vectorizer_queue_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

void
memai_vectorizer_submit(const MemaiVectorizer *v)
{
	Datum		values[4];

	for (int i = 0; i < nsubmitted; i++)
		if (submitted[i] == v->id)
			return;
	values[0] = PointerGetDatum(v->tenant);
	values[1] = CStringGetTextDatum(v->name);
	values[2] = CStringGetTextDatum(v->model);
	values[3] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(v->owner, false)));
	(void) memai_vectorizer_own(&submit, values, NULL);
	if (nsubmitted < SUBMITTED_MAX)
		submitted[nsubmitted++] = v->id;
}

/*
 * The text is the key, so a table that was renamed or altered gets a plan of
 * its own.  When there are too many, the oldest half is forgotten.
 */
SPIPlanPtr
memai_vectorizer_plan(const char *sql, int nargs, Oid *types)
{
	uint64		hash = memai_hash64(sql, strlen(sql), 0);

	for (int i = 0; i < nplans; i++)
		if (plans[i].hash == hash)
			return plans[i].plan;
	if (nplans == PLANS_MAX)
	{
		for (int i = 0; i < PLANS_MAX / 2; i++)
			SPI_freeplan(plans[i].plan);
		nplans -= PLANS_MAX / 2;
		memmove(plans, plans + PLANS_MAX / 2, sizeof(plans[0]) * nplans);
	}
	plans[nplans].plan = SPI_prepare(sql, nargs, types);
	if (plans[nplans].plan == NULL || SPI_keepplan(plans[nplans].plan) != 0)
		elog(ERROR, "cannot prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	plans[nplans].hash = hash;
	return plans[nplans++].plan;
}

/* runs a statement for the keys in the first column of the rows of SPI_tuptable */
static void
pass_fetched(const MemaiVectorizer *v, MemaiStatement *statement)
{
	Datum	   *keys = palloc(sizeof(Datum) * SPI_processed);
	int			n = 0;
	Datum		values[2];
	bool		isnull;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		keys[n] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		n += !isnull;
	}
	values[0] = Int32GetDatum(v->id);
	values[1] = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	(void) memai_vectorizer_own(statement, values, NULL);
	pfree(keys);
	pfree(DatumGetPointer(values[1]));
}

/* runs a statement for the keys that a query finds with the rights of the table's owner; returns how many */
static int64
pass_keys(const MemaiVectorizer *v, const char *query, MemaiStatement *statement)
{
	Oid			user;
	int			sec_context;
	Portal		portal;
	int64		n = 0;

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(v->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	portal = SPI_cursor_open(NULL, memai_vectorizer_plan(query, 0, NULL), NULL, NULL, false);
	for (;;)
	{
		SPITupleTable *fetched;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		fetched = SPI_tuptable;
		if (SPI_processed == 0)
			break;
		n += (int64) SPI_processed;
		pass_fetched(v, statement);
		SPI_freetuptable(fetched);
	}
	SPI_cursor_close(portal);
	SetUserIdAndSecContext(user, sec_context);
	return n;
}

int64
memai_vectorizer_enqueue(const MemaiVectorizer *v, const char *query)
{
	int64		n = pass_keys(v, query, &put_keys);

	if (n > 0 && !v->paused && !v->scheduled)
		memai_vectorizer_submit(v);
	return n;
}

void
memai_vectorizer_empty_queue(const MemaiVectorizer *v)
{
	Datum		id = Int32GetDatum(v->id);

	(void) memai_vectorizer_own(&remove_keys, &id, NULL);
}

int64
memai_vectorizer_retry_errors(const MemaiVectorizer *v)
{
	Datum		id = Int32GetDatum(v->id);
	bool		isnull;

	(void) memai_vectorizer_own(&retry_errors, &id, NULL);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* ---- triggers ---- */

/* rows whose chosen columns or key are others than before */
static char *
changed_sql(const MemaiVectorizer *v)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM memai_new n WHERE NOT EXISTS (SELECT FROM memai_old o WHERE ",
					 memai_vectorizer_key_sql(v, "n"));
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, "%so.%s = n.%s", i ? " AND " : "", v->keys[i], v->keys[i]);
	for (int i = 0; i < v->ncolumns; i++)
		appendStringInfo(&sql, " AND o.%s::text IS NOT DISTINCT FROM n.%s::text", v->columns[i], v->columns[i]);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* a condition: no row of table has the key of the row */
static char *
no_row(const MemaiVectorizer *v, const char *table, const char *row)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "NOT EXISTS (SELECT FROM %s x WHERE ", table);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, "%sx.%s = %s.%s", i ? " AND " : "", v->keys[i], row, v->keys[i]);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

static void
execute_plan(const char *sql)
{
	if (SPI_execute_plan(memai_vectorizer_plan(sql, 0, NULL), NULL, NULL, false, 0) < 0)
		elog(ERROR, "cannot delete vectors: %s", SPI_result_code_string(SPI_result));
}

void
memai_vectorizer_delete_orphans(const MemaiVectorizer *v)
{
	if (v->table_name != NULL)
		execute_plan(psprintf("DELETE FROM %s d WHERE %s", v->table_name, no_row(v, v->source_name, "d")));
}

/* rows of memai_old are gone: with them go vectors in a table of their own, and errors */
static void
forget_old(const MemaiVectorizer *v, bool updated)
{
	char	   *gone = updated ? no_row(v, "memai_new", "o") : "true";
	Datum		id = Int32GetDatum(v->id);
	StringInfoData sql;

	if (memai_vectorizer_own(&find_errors, &id, NULL) > 0)
		(void) pass_keys(v, psprintf("SELECT %s FROM memai_old o WHERE %s", memai_vectorizer_key_sql(v, "o"), gone), &remove_errors);
	if (v->table_name == NULL)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s d USING memai_old o WHERE %s", v->table_name, gone);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, " AND d.%s = o.%s", v->keys[i], v->keys[i]);
	execute_plan(sql.data);
}

/* all rows of the source are gone, or those of the one of its partitions or children that was truncated */
static void
forget_truncated(const MemaiVectorizer *v, bool all)
{
	if (!all)
	{
		/* what waits is not found by the job; so are those that failed, if they wait */
		memai_vectorizer_delete_orphans(v);
		if (memai_vectorizer_retry_errors(v) > 0 && !v->paused && !v->scheduled)
			memai_vectorizer_submit(v);
		return;
	}
	memai_vectorizer_empty_queue(v);
	if (v->table_name != NULL)
		execute_plan(psprintf("DELETE FROM %s d", v->table_name));
}

static void
note_change(const MemaiVectorizer *v, TriggerData *trigger)
{
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		(void) memai_vectorizer_enqueue(v, psprintf("SELECT %s FROM memai_new n", memai_vectorizer_key_sql(v, "n")));
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		(void) memai_vectorizer_enqueue(v, changed_sql(v));
		forget_old(v, true);
	}
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		forget_old(v, false);
	else
		forget_truncated(v, memai_vectorizer_is_whole(v, trigger->tg_relation));
}

/*
 * trigger: after insert, update, delete or truncate on a source table, for
 * each statement; and before update of the chosen columns, where it has
 * nothing to do.  Its argument is the vectorizer's name.
 */
Datum
memai_vectorizer_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MemaiVectorizer *v;
	Oid			user;
	int			sec_context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("_vectorizer_changed is a trigger function for statements")));
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event) || memai_vectorizer_storing)
		return PointerGetDatum(NULL);

	SPI_connect();
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "cannot register transition tables");
	v = memai_vectorizer_read(trigger->tg_trigger->tgargs[0], 0);
	/* a trigger that was left behind, copied to a table that nobody registered, or of a partition that was detached */
	if (v != NULL && memai_vectorizer_follows(v, trigger->tg_relation) && memai_vectorizer_describe(v))
	{
		GetUserIdAndSecContext(&user, &sec_context);
		SetUserIdAndSecContext(v->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
		note_change(v, trigger);
		SetUserIdAndSecContext(user, sec_context);
	}
	else if (v != NULL && v->misfit)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("vectorizer \"%s\" does not follow this change", v->name),
				 errdetail("The table of its vectors has another key than the source."),
				 errhint("Drop the vectorizer and create it again.")));
	SPI_finish();
	return PointerGetDatum(NULL);
}
