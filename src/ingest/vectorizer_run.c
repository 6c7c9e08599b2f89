/*
 * vectorizer_run.c
 *	  Jobs of kind vectorize: make the vectors of the rows that wait.
 *
 * A job takes the keys that wait, in their order, batch by batch: reads the
 * rows, skips those whose text has its vector already, calls the model outside
 * of any transaction, and stores each vector whose row still has the text that
 * was sent, with the hash of that text beside it.  A row that changed in the
 * meantime has a new version in the queue and is taken again.
 *
 * Whatever touches the user's table runs with the rights of its owner, under
 * SECURITY_RESTRICTED_OPERATION.  A text that the model refuses stays in the
 * queue with its error and holds up nothing.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "ingest/vectorizer.h"
#include "job/job.h"
#include "miscadmin.h"
#include "model/model.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define BATCH_ROWS 4000
#define BATCH_BYTES (8 * 1024 * 1024)

static MemaiStatement take_over = {
	"DELETE FROM memai.job j USING (SELECT o.scope, o.id FROM memai.job o WHERE o.scope = $1 AND o.kind = 'vectorize' "
	"AND o.status = 'waiting' AND o.attempts = 0 AND o.id <> $2 FOR UPDATE SKIP LOCKED) AS w "
	"WHERE j.scope = w.scope AND j.id = w.id", 2, {INT8OID, UUIDOID}, NULL
};
/* true when a job that started before works for the same vectorizer; then another comes in a second */
static MemaiStatement yield_to_other = {
	"WITH other AS (SELECT FROM memai.job r, memai.job own WHERE own.scope = $1 AND own.id = $2 AND r.scope = $1 "
	"AND r.kind = 'vectorize' AND r.status = 'running' AND r.run_after > now() AND (r.started_at, r.id) < (own.started_at, own.id) LIMIT 1), "
	"again AS (INSERT INTO memai.job (tenant, user_id, namespace, scope, kind, model, payload, priority, submitted_by, run_after, dedupe_key) "
	"SELECT j.tenant, j.user_id, j.namespace, j.scope, j.kind, j.model, j.payload, j.priority, j.submitted_by, now() + interval '1 s', 'again' "
	"FROM memai.job j, other WHERE j.scope = $1 AND j.id = $2 ON CONFLICT DO NOTHING) "
	"SELECT EXISTS (SELECT FROM other)", 2, {INT8OID, UUIDOID}, NULL
};
static MemaiStatement count_waiting = {
	"SELECT count(*) FROM memai._vectorizer_queue q WHERE q.vectorizer = $1 AND q.error IS NULL", 1, {INT4OID}, NULL
};
static MemaiStatement read_keys = {
	"SELECT q.key, q.version FROM memai._vectorizer_queue q WHERE q.vectorizer = $1 AND q.key > $2 AND q.error IS NULL "
	"ORDER BY q.key LIMIT $3", 3, {INT4OID, TEXTOID, INT8OID}, NULL
};
static MemaiStatement remove_done = {
	"DELETE FROM memai._vectorizer_queue q USING unnest($2, $3) AS d (key, version) "
	"WHERE q.vectorizer = $1 AND q.key = d.key AND q.version = d.version", 3, {INT4OID, TEXTARRAYOID, UUIDARRAYOID}, NULL
};
static MemaiStatement note_error = {
	"UPDATE memai._vectorizer_queue q SET error = $4, sqlstate = $5 WHERE q.vectorizer = $1 AND q.key = $2 AND q.version = $3",
	5, {INT4OID, TEXTOID, UUIDOID, TEXTOID, TEXTOID}, NULL
};
static MemaiStatement note_progress = {
	"UPDATE memai.vectorizer v SET in_flight = $2, done = v.done + $3, rate = coalesce($4, v.rate), "
	"last_done_at = CASE WHEN $3 > 0 THEN now() ELSE v.last_done_at END WHERE v.id = $1",
	4, {INT4OID, INT4OID, INT8OID, FLOAT8OID}, NULL
};
static MemaiStatement forget = {
	"WITH queue AS (DELETE FROM memai._vectorizer_queue q WHERE q.vectorizer = $1) "
	"DELETE FROM memai.vectorizer v WHERE v.id = $1", 1, {INT4OID}, NULL
};

/* a row that waits; content is NULL when the row is gone or has its vector */
typedef struct Row
{
	Datum		key;
	Datum		version;
	MemaiSpan	content;
	bool		wanted;
	Datum		hash;
	MemaiVector *vector;
	bool		refused;		/* by the model */
} Row;

typedef struct Batch
{
	MemaiVectorizer *vectorizer;
	MemaiModelInfo *model;
	int			nrows;
	Row		   *rows;
	int			nwanted;		/* of them need the model */
	int		   *wanted;
} Batch;

/* ---- with the queue ---- */

static uint64
own_by_index(MemaiStatement *statement, Datum *values)
{
	int			nest_level = NewGUCNestLevel();
	uint64		n;

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_hashjoin", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_mergejoin", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	n = memai_vectorizer_own(statement, values, NULL);
	AtEOXact_GUC(true, nest_level);
	return n;
}

/* the next keys that wait, in the current context; false when there is none */
static bool
read_batch_keys(Batch *batch, const text *after)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[3];
	bool		isnull;

	values[0] = Int32GetDatum(batch->vectorizer->id);
	values[1] = PointerGetDatum(after);
	values[2] = Int64GetDatum(BATCH_ROWS);
	SPI_connect();
	batch->nrows = (int) own_by_index(&read_keys, values);
	MemoryContextSwitchTo(context);
	batch->rows = palloc0(sizeof(Row) * Max(batch->nrows, 1));
	batch->wanted = palloc(sizeof(int) * Max(batch->nrows, 1));
	for (int i = 0; i < batch->nrows; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];

		batch->rows[i].key = PointerGetDatum(DatumGetTextPCopy(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)));
		batch->rows[i].version = datumCopy(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull), false, UUID_LEN);
	}
	SPI_finish();
	return batch->nrows > 0;
}

static void
remove_done_keys(const Batch *batch)
{
	Datum	   *keys = palloc(sizeof(Datum) * batch->nrows);
	Datum	   *versions = palloc(sizeof(Datum) * batch->nrows);
	Datum		values[3];
	int			n = 0;

	for (int i = 0; i < batch->nrows; i++)
	{
		if (batch->rows[i].refused)
			continue;
		keys[n] = batch->rows[i].key;
		versions[n++] = batch->rows[i].version;
	}
	values[0] = Int32GetDatum(batch->vectorizer->id);
	values[1] = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(versions, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	(void) own_by_index(&remove_done, values);
}

static void
note_errors(const Batch *batch)
{
	Datum		values[5];

	for (int i = 0; i < batch->nrows; i++)
	{
		const Row  *row = &batch->rows[i];

		if (!row->refused)
			continue;
		values[0] = Int32GetDatum(batch->vectorizer->id);
		values[1] = row->key;
		values[2] = row->version;
		values[3] = CStringGetTextDatum("the model refuses the text");
		values[4] = CStringGetTextDatum(unpack_sql_state(ERRCODE_MEMAI_REFUSED));
		(void) memai_vectorizer_own(&note_error, values, NULL);
	}
}

static void
report(const MemaiVectorizer *v, int in_flight, int64 done, double rate)
{
	Datum		values[4];

	values[0] = Int32GetDatum(v->id);
	values[1] = Int32GetDatum(in_flight);
	values[2] = Int64GetDatum(done);
	values[3] = Float8GetDatum(rate);
	(void) memai_vectorizer_own(&note_progress, values, rate > 0 ? NULL : "   n");
}

/* ---- with the source table: the owner's rights ---- */

/* hash of what was sent: another model's vector is another one */
static char *
hash_sql(const MemaiVectorizer *v, const char *row)
{
	return psprintf("md5(%s || %s)::uuid", quote_literal_cstr(psprintf("%s\n", v->model)),
					memai_vectorizer_content_sql(v, row));
}

static uint64
run_by_key(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			nest_level = NewGUCNestLevel();
	int			result;

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_hashjoin", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_mergejoin", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	result = SPI_execute_plan(memai_vectorizer_plan(sql, nargs, types), values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	AtEOXact_GUC(true, nest_level);
	return SPI_processed;
}

static Datum
batch_keys(const Batch *batch)
{
	Datum	   *keys = palloc(sizeof(Datum) * batch->nrows);

	for (int i = 0; i < batch->nrows; i++)
		keys[i] = batch->rows[i].key;
	return PointerGetDatum(construct_array(keys, batch->nrows, TEXTOID, -1, false, TYPALIGN_INT));
}

static char *
read_sql(const MemaiVectorizer *v)
{
	char	   *found = v->table_name ? psprintf(" LEFT JOIN %s d ON %s", v->table_name, memai_vectorizer_match_sql(v, "d")) : "";
	const char *row = v->table_name ? "d" : "s";

	return psprintf("SELECT i.position::integer, %s, %s, coalesce(%s.%s = %s AND %s.%s IS NOT NULL, false) "
					"FROM unnest($1) WITH ORDINALITY AS i (key, position) JOIN %s s ON %s%s",
					memai_vectorizer_content_sql(v, "s"), hash_sql(v, "s"), row, v->hash, hash_sql(v, "s"), row, v->vector,
					v->source_name, memai_vectorizer_match_sql(v, "s"), found);
}

static bool
is_blank(const MemaiSpan *text)
{
	for (size_t i = 0; i < text->len; i++)
		if (!isspace((unsigned char) text->data[i]))
			return false;
	return true;
}

/* contents and hashes of the rows that are still there, in the current context; long ones cut the batch short */
static void
read_rows(Batch *batch)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			type = TEXTARRAYOID;
	Datum		keys = batch_keys(batch);
	size_t		bytes = 0;
	bool		isnull;
	int			n;

	SPI_connect();
	n = (int) run_by_key(read_sql(batch->vectorizer), 1, &type, &keys, NULL);
	MemoryContextSwitchTo(context);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		Row		   *row = &batch->rows[DatumGetInt32(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)) - 1];
		text	   *content = DatumGetTextPCopy(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));

		row->hash = datumCopy(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &isnull), false, UUID_LEN);
		row->content.data = VARDATA(content);
		row->content.len = VARSIZE(content) - VARHDRSZ;
		row->wanted = !DatumGetBool(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 4, &isnull));
	}
	SPI_finish();
	batch->nwanted = 0;
	for (int i = 0; i < batch->nrows; i++)
	{
		if (batch->rows[i].wanted && !is_blank(&batch->rows[i].content))
			batch->wanted[batch->nwanted++] = i;
		bytes += batch->rows[i].content.len;
		if (bytes >= BATCH_BYTES)
			batch->nrows = i + 1;
	}
}

static char *
store_sql(const MemaiVectorizer *v)
{
	StringInfoData names;

	if (v->table_name == NULL)
		return psprintf("UPDATE %s s SET %s = i.vector, %s = i.hash FROM unnest($1, $2, $3) AS i (key, hash, vector) "
						"WHERE %s AND %s = i.hash",
						v->source_name, v->vector, v->hash, memai_vectorizer_match_sql(v, "s"), hash_sql(v, "s"));
	initStringInfo(&names);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "", v->keys[i]);
	return psprintf("INSERT INTO %s AS d (%s, content, embedding, content_hash) "
					"SELECT s.*, i.vector, i.hash FROM unnest($1, $2, $3) AS i (key, hash, vector) "
					"CROSS JOIN LATERAL (SELECT %s, %s AS content FROM %s s WHERE %s AND %s = i.hash FOR SHARE) AS s "
					"ON CONFLICT (%s) DO UPDATE SET content = excluded.content, embedding = excluded.embedding, "
					"content_hash = excluded.content_hash",
					v->table_name, names.data, names.data, memai_vectorizer_content_sql(v, "s"), v->source_name,
					memai_vectorizer_match_sql(v, "s"), hash_sql(v, "s"), names.data);
}

/* stores what was made; a row without text gets no vector */
static void
store_rows(const Batch *batch)
{
	Datum	   *keys = palloc(sizeof(Datum) * batch->nrows);
	Datum	   *hashes = palloc(sizeof(Datum) * batch->nrows);
	Datum	   *vectors = palloc(sizeof(Datum) * batch->nrows);
	bool	   *nulls = palloc(sizeof(bool) * batch->nrows);
	Oid			types[3] = {TEXTARRAYOID, UUIDARRAYOID, memai_vector_array_type_oid()};
	Datum		values[3];
	int			n = 0;

	for (int i = 0; i < batch->nrows; i++)
	{
		const Row  *row = &batch->rows[i];

		if (!row->wanted || row->refused)
			continue;
		keys[n] = row->key;
		hashes[n] = row->hash;
		nulls[n] = row->vector == NULL;
		vectors[n++] = PointerGetDatum(row->vector);
	}
	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(hashes, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[2] = PointerGetDatum(construct_md_array(vectors, nulls, 1, &n, (int[]) {1}, memai_vector_type_oid(), -1, false, TYPALIGN_INT));
	memai_vectorizer_storing = true;
	(void) run_by_key(store_sql(batch->vectorizer), 3, types, values, NULL);
	memai_vectorizer_storing = false;
}

/* ---- with the model ---- */

/* one call for the rows that want a vector; what the provider refuses gets none */
static void
call_model(Batch *batch)
{
	int			n = batch->nwanted;
	MemaiSpan  *texts = palloc(sizeof(MemaiSpan) * Max(n, 1));
	MemaiVector **vectors = palloc0(sizeof(MemaiVector *) * Max(n, 1));

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		texts[i] = batch->rows[batch->wanted[i]].content;
	memai_model_embed_some(batch->model, MEMAI_INPUT_DOCUMENT, n, texts, vectors);
	for (int i = 0; i < n; i++)
	{
		batch->rows[batch->wanted[i]].vector = vectors[i];
		batch->rows[batch->wanted[i]].refused = vectors[i] == NULL;
	}
}

/* ---- the job ---- */

static Jsonb *
result_json(const char *key, int64 value)
{
	char	   *json = psprintf("{\"%s\": %lld}", key, (long long) value);

	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

static char *
payload_name(const MemaiJob *job)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&job->payload->root, "vectorizer", strlen("vectorizer"), &value) == NULL ||
		value.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the job names no vectorizer")));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/*
 * How many rows wait, or -1 when an earlier job works on them.  Jobs that wait
 * for the same rows are dropped: what made them is committed, so this one sees it.
 */
static int64
begin_job(MemaiJob *job, const MemaiVectorizer *v)
{
	Datum		values[2];
	Datum		id = Int32GetDatum(v->id);
	int64		total;
	bool		isnull;

	values[0] = Int64GetDatum(job->scope.scope);
	values[1] = UUIDPGetDatum(&job->id);
	SPI_connect();
	(void) memai_vectorizer_own(&yield_to_other, values, NULL);
	if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)))
	{
		SPI_finish();
		return -1;
	}
	(void) memai_vectorizer_own(&take_over, values, NULL);
	(void) memai_vectorizer_own(&count_waiting, &id, NULL);
	total = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return total;
}

/* reads the vectorizer again, as it is now; NULL when it has nothing to do */
static MemaiVectorizer *
current_vectorizer(const char *name, bool *gone)
{
	MemoryContext context = CurrentMemoryContext;
	MemaiVectorizer *v;

	SPI_connect();
	MemoryContextSwitchTo(context);
	v = memai_vectorizer_read(name, 0);
	*gone = v != NULL && !memai_vectorizer_describe(v);
	if (*gone)
	{
		Datum		id = Int32GetDatum(v->id);

		/* the table was dropped, or what makes it a source */
		(void) memai_vectorizer_own(&forget, &id, NULL);
	}
	SPI_finish();
	if (v == NULL || *gone || v->paused)
		return NULL;
	/* what the table runs, runs as its owner, or not at all */
	if (v->owner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the job of vectorizer \"%s\" is not one of its table's owner", v->name),
				 errhint("Call memai.resume_vectorizer, which submits one.")));
	return v;
}

/* one batch after the key; NULL when nothing waits there */
static text *
run_batch(MemaiJob *job, Batch *batch, const text *after, int64 *done, int64 total, TimestampTz started_at)
{
	double		elapsed;

	if (!read_batch_keys(batch, after))
		return NULL;
	read_rows(batch);
	SPI_connect();
	report(batch->vectorizer, batch->nwanted, 0, 0);
	SPI_finish();
	memai_job_call_begin();
	call_model(batch);
	memai_job_call_end();
	SPI_connect();
	store_rows(batch);
	remove_done_keys(batch);
	note_errors(batch);
	*done += batch->nrows;
	elapsed = (double) (GetCurrentTimestamp() - started_at) / USECS_PER_SEC;
	report(batch->vectorizer, 0, batch->nwanted, *done / Max(elapsed, 0.001));
	SPI_finish();
	return DatumGetTextPCopy(batch->rows[batch->nrows - 1].key);
}

/* handler of the kind vectorize */
static Jsonb *
vectorize(MemaiJob *job)
{
	MemoryContext job_context = CurrentMemoryContext;
	MemoryContext batch_context = AllocSetContextCreate(job_context, "memai vectorizer batch", ALLOCSET_DEFAULT_SIZES);
	char	   *name = payload_name(job);
	TimestampTz started_at = GetCurrentTimestamp();
	text	   *after = cstring_to_text("");
	int64		total = -1;
	int64		done = 0;
	bool		gone = false;

	for (;;)
	{
		Batch		batch = {0};
		text	   *last;

		MemoryContextReset(batch_context);
		MemoryContextSwitchTo(batch_context);
		batch.vectorizer = current_vectorizer(name, &gone);
		if (batch.vectorizer == NULL)
			break;
		if (total < 0 && (total = begin_job(job, batch.vectorizer)) < 0)
			break;
		batch.model = memai_model_lookup(batch.vectorizer->model, "embed");
		last = run_batch(job, &batch, after, &done, total, started_at);
		/* at the end: from the front again, as long as there is something */
		if (last == NULL && VARSIZE_ANY_EXHDR(after) == 0)
			break;
		memai_job_checkpoint(job, done, Max(total, done));
		MemoryContextSwitchTo(job_context);
		after = last ? (text *) DatumGetPointer(datumCopy(PointerGetDatum(last), false, -1)) : cstring_to_text("");
	}
	MemoryContextSwitchTo(job_context);
	return result_json(gone ? "dropped" : "rows", gone ? 1 : done);
}

void
memai_vectorizer_init(void)
{
	memai_vectorizer_queue_init();
	memai_job_register("vectorize", vectorize);
}
