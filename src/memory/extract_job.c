/*
 * extract_job.c
 *	  Taking memories from messages in the background: jobs of kind extract.
 *
 * A message that waits carries the name of its chat model (episode.extract_with);
 * one job a scope and model takes all that wait when it runs, so many
 * submissions cost few calls.  It works in batches: read messages, ask outside of
 * any transaction, then in one transaction apply what holds and mark the
 * messages done.  A message that is gone or done by then, because two jobs met,
 * counts for nothing, so nothing is applied twice.
 *
 * When an answer cannot be read the batch is halved, down to the one message
 * that the model cannot deal with.  That one is passed over, provided that the
 * model could deal with another: else the job fails and all wait for a retry.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/job.h"
#include "memory/infer.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* one question; what does not fit into it comes with the next */
#define BATCH_MESSAGES 50
#define BATCH_BYTES (32 * 1024)

/* the first is taken however long it is */
static MemaiStatement select_waiting = {
	.sql = "SELECT id, speaker, content, occurred_at FROM (SELECT e.id, coalesce(e.name, e.role) AS speaker, e.content, e.occurred_at, "
	"sum(least(octet_length(e.content), $7)) OVER (ORDER BY e.occurred_at, e.id) - least(octet_length(e.content), $7) AS before "
	"FROM (SELECT * FROM memai.episode WHERE scope = $1 AND extract_with = $2 AND (occurred_at, id) > ($3, $4) "
	"ORDER BY occurred_at, id LIMIT $5) e) x WHERE before < $6 ORDER BY occurred_at, id",
	.nargs = 7,
	.argtypes = {INT8OID, TEXTOID, TIMESTAMPTZOID, UUIDOID, INT4OID, INT4OID, INT4OID},
};

static MemaiStatement mark_done = {
	.sql = "UPDATE memai.episode SET extract_with = NULL WHERE scope = $1 AND extract_with = $2 AND id = ANY ($3) RETURNING id",
	.nargs = 3,
	.argtypes = {INT8OID, TEXTOID, UUIDARRAYOID},
};

/* one run of the job; palloc'd in the job's context */
typedef struct Extraction
{
	MemaiJob   *job;
	MemaiModelInfo *chat;
	MemaiModelInfo *embed;
	TimestampTz after;			/* messages up to here were dealt with */
	pg_uuid_t	after_id;
	int			limit;			/* messages of the next question */
	int			ncalls;
	int64		nmessages;
	int64		napplied;
	int64		nrefused;
	Datum	   *unreadable;		/* ids of messages that alone got no answer */
	int			nunreadable;
	const char *problem;		/* of the last answer */
} Extraction;

void
memai_extract_submit(const MemaiScope *scope, const char *model)
{
	memai_job_submit_once(scope, "extract", "{}", model, 1, model);
}

/* The next messages that wait; false when there are none. */
static bool
read_batch(Extraction *run, MemaiInference *inference)
{
	Datum		values[7];

	values[0] = Int64GetDatum(run->job->scope.scope);
	values[1] = CStringGetTextDatum(run->chat->name);
	values[2] = TimestampTzGetDatum(run->after);
	values[3] = UUIDPGetDatum(&run->after_id);
	values[4] = Int32GetDatum(run->limit);
	values[5] = Int32GetDatum(BATCH_BYTES);
	values[6] = Int32GetDatum(BATCH_BYTES / 2);
	SPI_connect();
	memai_infer_take_sources(inference, memai_statement_run(&select_waiting, values, NULL, true, 0));
	SPI_finish();
	return inference->nsources > 0;
}

/* Asks outside of the transaction; the operations, or NULL when the answer is none. */
static MemaiOperation *
ask(Extraction *run, MemaiInference *inference, int *noperations)
{
	MemaiSpan	said = memai_infer_said(inference);
	MemaiVector *vector;
	char	   *question;
	MemaiJson  *answer;
	MemaiOperation *operations = NULL;

	memai_job_call_begin();
	memai_model_embed(run->embed, MEMAI_INPUT_QUERY, 1, &said, &vector);
	memai_job_call_end();
	SPI_connect();
	question = memai_infer_question(inference, vector);
	SPI_finish();
	MemoryContextSwitchTo(inference->context);

	memai_job_call_begin();
	answer = memai_infer_ask(run->chat, question, &run->problem);
	run->ncalls++;
	if (answer != NULL)
	{
		operations = memai_operations_read(inference, answer, noperations);
		memai_operations_embed(run->embed, *noperations, operations);
	}
	memai_job_call_end();
	return operations;
}

static ArrayType *
id_array(Datum *ids, int n)
{
	return construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
}

/* Marks messages as done; how many waited still, which are left in SPI_tuptable. */
static uint64
finish_messages(Extraction *run, Datum *ids, int n)
{
	Datum		values[3] = {Int64GetDatum(run->job->scope.scope), CStringGetTextDatum(run->chat->name), PointerGetDatum(id_array(ids, n))};

	return memai_statement_run(&mark_done, values, NULL, false, 0);
}

static bool
was_marked(const MemaiInferSource *source, uint64 nmarked)
{
	for (uint64 i = 0; i < nmarked; i++)
	{
		bool		null;
		pg_uuid_t  *id = DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));

		if (memcmp(id, &source->id, UUID_LEN) == 0)
			return true;
	}
	return false;
}

/* Applies what holds, of messages that waited until now. */
static void
apply(Extraction *run, MemaiInference *inference, int noperations, MemaiOperation *operations)
{
	Datum	   *ids = palloc(sizeof(Datum) * inference->nsources);
	uint64		nmarked;

	for (int i = 0; i < inference->nsources; i++)
		ids[i] = UUIDPGetDatum(&inference->sources[i].id);
	SPI_connect();
	nmarked = finish_messages(run, ids, inference->nsources);
	for (int i = 0; i < noperations; i++)
	{
		if (operations[i].fault == NULL && operations[i].source != NULL && !was_marked(operations[i].source, nmarked))
			operations[i].fault = "the message is not there any more";
	}
	memai_history_set_job(&run->job->id);
	PG_TRY();
	{
		memai_operations_apply(inference, noperations, operations);
	}
	PG_FINALLY();
	{
		memai_history_set_job(NULL);
	}
	PG_END_TRY();
	SPI_finish();
	run->nmessages += nmarked;
	run->napplied += inference->napplied;
	run->nrefused += inference->nrefused;
}

static void
note_unreadable(Extraction *run, const pg_uuid_t *id, MemoryContext job_context)
{
	MemoryContext old = MemoryContextSwitchTo(job_context);
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *id;
	run->unreadable = run->unreadable ? repalloc(run->unreadable, sizeof(Datum) * (run->nunreadable + 1)) : palloc(sizeof(Datum));
	run->unreadable[run->nunreadable++] = UUIDPGetDatum(copy);
	run->problem = pstrdup(run->problem);
	MemoryContextSwitchTo(old);
}

/* Deals with the next batch; false when no message waits. */
static bool
extract_batch(Extraction *run, MemoryContext job_context)
{
	MemaiInference inference = {.scope = &run->job->scope,.context = CurrentMemoryContext};
	const MemaiInferSource *last;
	MemaiOperation *operations;
	int			noperations = 0;

	if (!read_batch(run, &inference))
		return false;
	operations = ask(run, &inference, &noperations);
	if (operations == NULL && inference.nsources > 1)
	{
		run->limit = inference.nsources / 2;
		return true;
	}
	if (operations == NULL)
		note_unreadable(run, &inference.sources[0].id, job_context);
	else
		apply(run, &inference, noperations, operations);
	last = &inference.sources[inference.nsources - 1];
	run->after = last->occurred_at;
	run->after_id = last->id;
	run->limit = BATCH_MESSAGES;
	memai_job_checkpoint(run->job, run->nmessages, run->nmessages + run->nunreadable);
	return true;
}

/* handler of the kind extract */
static Jsonb *
extract(MemaiJob *job)
{
	MemoryContext job_context = CurrentMemoryContext;
	MemoryContext batch_context = AllocSetContextCreate(job_context, "memai memory extract job", ALLOCSET_DEFAULT_SIZES);
	Extraction	run = {.job = job,.after = DT_NOBEGIN,.limit = BATCH_MESSAGES};
	bool		more;

	run.chat = memai_model_lookup_for(&job->scope, job->model[0] ? job->model : NULL, "chat");
	run.embed = memai_model_lookup_for(&job->scope, NULL, "embed");
	do
	{
		MemoryContextSwitchTo(batch_context);
		more = extract_batch(&run, job_context);
		MemoryContextSwitchTo(job_context);
		MemoryContextReset(batch_context);
	} while (more);
	if (run.nunreadable > 0)
	{
		if (run.nmessages == 0)
			memai_infer_raise_unusable(run.chat, run.problem);
		SPI_connect();
		finish_messages(&run, run.unreadable, run.nunreadable);
		SPI_finish();
	}
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf(
		"{\"messages\": %lld, \"passed_over\": %d, \"applied\": %lld, \"refused\": %lld, \"calls\": %d}",
		(long long) run.nmessages, run.nunreadable, (long long) run.napplied, (long long) run.nrefused, run.ncalls))));
}

void
memai_extract_init(void)
{
	memai_job_register("extract", extract);
}
