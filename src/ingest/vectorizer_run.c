/*
 * vectorizer_run.c
 *	  Jobs of kind vectorize: make the vectors of the rows that wait.
 *
 * A job takes the rows that wait, in the order of their keys, batch by batch
 * (vectorizer_batch.c), and calls the model outside of any transaction.  While
 * requests are under way, and only as long as there is nothing to send, it
 * stores what came, piece by piece, and reads the next batch, each in a
 * transaction of its own: the model server is never waited for in one, and does
 * not wait for the database.
 *
 * A text that the model refuses stays in the queue with its error and holds up
 * nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "ingest/vectorizer_batch.h"
#include "job/job.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* rows that are read and sent at a time */
#define BATCH_ROWS 8000
/* of a model that runs in this process */
#define LOCAL_BATCH_ROWS 4000
/* at least so many are stored in one transaction, except at the end */
#define STORE_ROWS 400

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
static MemaiStatement note_progress = {
	"UPDATE memai.vectorizer v SET in_flight = $2, done = v.done + $3, rate = coalesce($4, v.rate), "
	"last_done_at = CASE WHEN $3 > 0 THEN now() ELSE v.last_done_at END WHERE v.id = $1",
	4, {INT4OID, INT4OID, INT8OID, FLOAT8OID}, NULL
};
static MemaiStatement forget = {
	"WITH queue AS (DELETE FROM memai._vectorizer_queue q WHERE q.vectorizer = $1) "
	"DELETE FROM memai.vectorizer v WHERE v.id = $1", 1, {INT4OID}, NULL
};

/* a job while it runs */
typedef struct Run
{
	MemaiJob   *job;
	MemoryContext context;		/* of the job */
	char	   *name;
	bool		gone;			/* the vectorizer's table */
	TimestampTz started_at;
	text	   *after;			/* key of the last row that was read */
	int64		total;
	int64		done;
	MemaiVectorizerBatch *batch;	/* with the model */
	MemaiVectorizerBatch *next;	/* to be sent after it */
	bool		read_ahead;		/* next was looked for */
} Run;

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
	char	   *name = memai_job_payload_text(job, "vectorizer");

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the job names no vectorizer")));
	return name;
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
current_vectorizer(Run *run)
{
	MemoryContext context = CurrentMemoryContext;
	MemaiVectorizer *v;

	SPI_connect();
	MemoryContextSwitchTo(context);
	v = memai_vectorizer_read(run->name, 0);
	if (v != NULL && !memai_vectorizer_describe(v))
	{
		Datum		id = Int32GetDatum(v->id);

		/* its primary key may be about to come back */
		if (get_rel_name(v->source) != NULL)
			memai_vectorizer_raise_incomplete(v);
		run->gone = true;
		(void) memai_vectorizer_own(&forget, &id, NULL);
	}
	SPI_finish();
	if (v == NULL || run->gone || v->paused)
		return NULL;
	/* what the table runs, runs as its owner, or not at all */
	if (v->owner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the job of vectorizer \"%s\" is not one of its table's owner", v->name),
				 errhint("Call memai.resume_vectorizer, which submits one.")));
	return v;
}

static void
report(const Run *run, int64 done)
{
	const MemaiVectorizerBatch *batch = run->batch;
	double		elapsed = (double) (GetCurrentTimestamp() - run->started_at) / USECS_PER_SEC;
	Datum		values[4];
	int			in_flight = 0;

	for (int i = 0; i < batch->nrows; i++)
		in_flight += batch->rows[i].ntexts > 0 && !batch->rows[i].settled;
	values[0] = Int32GetDatum(batch->vectorizer->id);
	values[1] = Int32GetDatum(in_flight);
	values[2] = Int64GetDatum(done);
	values[3] = Float8GetDatum(run->done / Max(elapsed, 0.001));
	SPI_connect();
	(void) memai_vectorizer_own(&note_progress, values, done > 0 ? NULL : "   n");
	SPI_finish();
}

/* how many rows to read: after few, which are soon with the model, as many as are sent in whole rounds */
static int
batch_limit(const Run *run, const MemaiVectorizer *v)
{
	int			round = memai_model_embed_batch(memai_model_lookup(v->model, "embed"));

	if (round == 0)
		return LOCAL_BATCH_ROWS;
	return run->batch == NULL && run->done == 0 ? round : Max(BATCH_ROWS / round, 1) * round;
}

/* the rows after the last one that was read; NULL when none waits there */
static MemaiVectorizerBatch *
read_batch(Run *run, MemaiVectorizer *v)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	MemaiVectorizerBatch *batch = memai_vectorizer_batch_read(v, run->after, batch_limit(run, v));

	if (batch != NULL)
	{
		Datum		last = batch->rows[batch->nrows - 1].key;

		run->after = DatumGetTextPCopy(last);
	}
	MemoryContextSwitchTo(old);
	return batch;
}

/* drops what was read ahead for a vectorizer that has been changed since; it is read again */
static void
drop_stale(Run *run, const MemaiVectorizer *v)
{
	if (run->next == NULL || memai_vectorizer_same(run->next->vectorizer, v))
		return;
	MemoryContextDelete(run->next->context);
	run->next = NULL;
	run->after = cstring_to_text("");
}

/* the batch to send next; NULL at the end */
static MemaiVectorizerBatch *
take_batch(Run *run)
{
	MemaiVectorizer *v = current_vectorizer(run);
	MemaiVectorizerBatch *batch;

	if (v == NULL)
		return NULL;
	if (run->total < 0 && (run->total = begin_job(run->job, v)) < 0)
		return NULL;
	drop_stale(run, v);
	batch = run->next;
	run->next = NULL;
	run->read_ahead = false;
	if (batch == NULL)
		batch = read_batch(run, v);
	/* at the end: from the front again, as long as there is something */
	if (batch == NULL && VARSIZE_ANY_EXHDR(run->after) > 0)
	{
		run->after = cstring_to_text("");
		batch = read_batch(run, v);
	}
	return batch;
}

/* stores what came, or all that is left, and commits it */
static void
settle(Run *run, bool all)
{
	int			n = memai_vectorizer_batch_select(run->batch, all);
	int			sent = 0;

	for (int i = 0; i < n; i++)
		sent += run->batch->rows[run->batch->selected[i]].ntexts > 0;
	memai_vectorizer_batch_store(run->batch);
	run->done += n;
	report(run, sent);
	memai_job_checkpoint(run->job, run->done, Max(run->total, run->done));
}

/* ---- while the model thinks ---- */

static bool
work_wanted(void *state)
{
	Run		   *run = state;

	return !run->read_ahead || memai_vectorizer_batch_select(run->batch, false) >= STORE_ROWS;
}

static void
do_work(void *state)
{
	Run		   *run = state;
	MemaiVectorizer *v;

	MemoryContextSwitchTo(run->context);
	if (run->read_ahead)
	{
		settle(run, false);
		return;
	}
	run->read_ahead = true;
	v = current_vectorizer(run);
	if (v != NULL)
		run->next = read_batch(run, v);
}

static void
call_model(Run *run)
{
	MemaiVectorizerBatch *batch = run->batch;
	MemaiJobWork work = {work_wanted, do_work, run};

	if (batch->ntexts == 0)
		return;
	MemoryContextSwitchTo(batch->context);
	memai_job_call_begin_with(&work);
	memai_model_embed_some(batch->model, MEMAI_INPUT_DOCUMENT, batch->ntexts, batch->texts, batch->vectors);
	memai_job_call_end();
	MemoryContextSwitchTo(run->context);
}

/* handler of the kind vectorize */
static Jsonb *
vectorize(MemaiJob *job)
{
	Run			run = {.job = job, .context = CurrentMemoryContext, .total = -1};

	run.name = payload_name(job);
	run.started_at = GetCurrentTimestamp();
	run.after = cstring_to_text("");
	while ((run.batch = take_batch(&run)) != NULL)
	{
		/* what waits is seen to be with the model before it is */
		report(&run, 0);
		call_model(&run);
		settle(&run, true);
		MemoryContextDelete(run.batch->context);
		run.batch = NULL;
	}
	return result_json(run.gone ? "dropped" : "rows", run.gone ? 1 : run.done);
}

void
memai_vectorizer_init(void)
{
	memai_vectorizer_queue_init();
	memai_job_register("vectorize", vectorize);
}
