/*
 * summary.c
 *	  Summaries of what has left the window of a thread, or is about to.
 *
 * A chat shows the model the last messages of its thread.  Before one leaves
 * that window unsummed, the chat submits a job of kind summarise, one a thread at
 * a time; it asks the thread's model to go on with the summary, in parts
 * that fit into the model's context, outside of any transaction.  It takes in
 * some messages that are still shown, so that there is no gap while the next
 * job waits.  memai.summarize_thread does the same at once and in one
 * transaction.
 *
 * A summary is stored only if nobody stored another meanwhile and all messages
 * in it are still there.  A message that is removed takes the summaries with it that it
 * is a part of (memai_messages_removed).  Both lock the thread's row before
 * they look, so that neither misses the other.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "commands/trigger.h"
#include "job/job.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define SUMMARY_WORDS 200
/* messages that are read at once */
#define PART_MESSAGES 200
/* of a model whose context window nobody stated */
#define DEFAULT_CONTEXT_WINDOW 8192
#define MIN_PART_TOKENS 200
/* stands where a message was too long for the model */
#define OMISSION " [...]"

static MemaiStatement is_beyond = {
	.sql = "SELECT 1 FROM memai.message WHERE scope = $1 AND thread_id = $2 AND id > $3 ORDER BY id DESC OFFSET $4 LIMIT 1",
	.nargs = 4,
	.argtypes = {INT8OID, UUIDOID, UUIDOID, INT8OID},
};

static MemaiStatement select_last = {
	.sql = "SELECT id FROM memai.message WHERE scope = $1 AND thread_id = $2 AND id > $3 ORDER BY id DESC OFFSET $4 LIMIT 1",
	.nargs = 4,
	.argtypes = {INT8OID, UUIDOID, UUIDOID, INT8OID},
};

static MemaiStatement select_part = {
	.sql = "SELECT m.id, e.role, e.content FROM memai.message m JOIN memai.episode e ON e.scope = m.scope AND e.id = m.id "
	"WHERE m.scope = $1 AND m.thread_id = $2 AND m.id > $3 AND m.id <= $4 ORDER BY m.id LIMIT $5",
	.nargs = 5,
	.argtypes = {INT8OID, UUIDOID, UUIDOID, UUIDOID, INT4OID},
};

static MemaiStatement lock_thread = {
	.sql = "SELECT 1 FROM memai.thread WHERE scope = $1 AND id = $2 FOR NO KEY UPDATE",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement store_summary = {
	.sql = "UPDATE memai.thread t SET summary = $5, summary_until = $4, summary_replaces = t.summary_replaces OR $7 "
	"WHERE t.scope = $1 AND t.id = $2 AND coalesce(t.summary_until, '00000000-0000-0000-0000-000000000000') = $3 "
	"AND (SELECT count(*) FROM memai.message m WHERE m.scope = $1 AND m.thread_id = $2 AND m.id > $3 AND m.id <= $4) = $6 RETURNING 1",
	.nargs = 7,
	.argtypes = {INT8OID, UUIDOID, UUIDOID, UUIDOID, TEXTOID, INT8OID, BOOLOID},
};

static MemaiStatement lock_threads = {
	.sql = "SELECT 1 FROM (SELECT DISTINCT scope, thread_id FROM old_rows) o "
	"JOIN LATERAL (SELECT 1 FROM memai.thread t WHERE t.scope = o.scope AND t.id = o.thread_id FOR NO KEY UPDATE) t ON true",
};

static MemaiStatement remove_summaries = {
	.sql = "UPDATE memai.thread t SET summary = NULL, summary_until = NULL, summary_replaces = false "
	"FROM (SELECT DISTINCT scope, thread_id FROM old_rows) o WHERE t.scope = o.scope AND t.id = o.thread_id "
	"AND EXISTS (SELECT FROM old_rows r WHERE r.scope = t.scope AND r.thread_id = t.id AND r.id <= t.summary_until)",
};

/* a summary in the making */
typedef struct Summary
{
	ChatThread	thread;			/* summary and summary_until are the stored ones */
	MemaiModelInfo *model;
	int			max_words;
	pg_uuid_t	last;			/* the message to go up to */
	char	   *text;			/* so far */
	pg_uuid_t	until;			/* covered by text */
	int64		nmessages;		/* that text has more than the stored one */
	int			ncalls;
} Summary;

PG_FUNCTION_INFO_V1(memai_summarize_thread);
PG_FUNCTION_INFO_V1(memai_messages_removed);

/* ---- when ---- */

void
memai_summary_submit(const Chat *chat)
{
	const ChatThread *thread = &chat->thread;
	int			window = chat->prompt->turns_cut ? chat->prompt->nturns : chat->max_messages;
	int			ahead = Min(memai_chat_summary_messages(), Max(window / 2, 1));
	char	   *thread_id;
	Datum		values[4];

	if (thread->is_single || ahead == 0 || chat->max_messages == 0)
		return;
	values[0] = Int64GetDatum(thread->scope.scope);
	values[1] = UUIDPGetDatum(&thread->id);
	values[2] = UUIDPGetDatum(&thread->summary_until);
	values[3] = Int64GetDatum(window);
	if (memai_statement_run(&is_beyond, values, NULL, false, 0) == 0)
		return;
	thread_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&thread->id)));
	memai_job_submit_once(&thread->scope, "summarise",
						  psprintf("{\"thread_id\": \"%s\", \"keep\": %d}", thread_id, Max(window - ahead, 0)),
						  chat->model->name, 2, psprintf("summarise %s", thread_id));
}

/* ---- one part ---- */

/* Prepares a summary of all but the last keep messages; false when it is there already.  Connected to SPI. */
static bool
start_summary(Summary *summary, int keep)
{
	const ChatThread *thread = &summary->thread;
	Datum		values[4];
	bool		null;

	values[0] = Int64GetDatum(thread->scope.scope);
	values[1] = UUIDPGetDatum(&thread->id);
	values[2] = UUIDPGetDatum(&thread->summary_until);
	values[3] = Int64GetDatum(keep);
	summary->until = thread->summary_until;
	summary->text = thread->summary ? text_to_cstring(thread->summary) : NULL;
	if (memai_statement_run(&select_last, values, NULL, true, 0) == 0)
		return false;
	summary->last = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	return true;
}

/* Appends a message, cut when it takes more than tokens by itself. */
static void
append_message(StringInfo out, const char *role, const char *content, int tokens)
{
	int			len = (int) strlen(content);
	int			shown = len;

	appendStringInfo(out, "%s%s: ", out->len > 0 ? "\n" : "", role);
	while (memai_text_estimate_tokens(content, shown) > tokens && shown > 1)
		shown = pg_mbcliplen(content, len, shown / 2);
	appendBinaryStringInfo(out, content, shown);
	if (shown < len)
		appendStringInfoString(out, OMISSION);
}

/* Reads the next messages that the model can take in at once; NULL when there are none.  Connected to SPI. */
static char *
read_part(Summary *summary)
{
	int			window = summary->model->context_window > 0 ? summary->model->context_window : DEFAULT_CONTEXT_WINDOW;
	int			tokens = window / 2;
	Datum		values[5];
	uint64		nrows;
	StringInfoData part;

	initStringInfo(&part);
	if (summary->text != NULL)
		appendStringInfoString(&part, summary->text);
	tokens = Max(tokens - memai_text_estimate_tokens(part.data, part.len), MIN_PART_TOKENS);
	values[0] = Int64GetDatum(summary->thread.scope.scope);
	values[1] = UUIDPGetDatum(&summary->thread.id);
	values[2] = UUIDPGetDatum(&summary->until);
	values[3] = UUIDPGetDatum(&summary->last);
	values[4] = Int32GetDatum(PART_MESSAGES);
	nrows = memai_statement_run(&select_part, values, NULL, true, 0);
	for (uint64 row = 0; row < nrows; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		int			start = part.len;
		bool		null;

		CHECK_FOR_INTERRUPTS();
		append_message(&part, SPI_getvalue(tuple, desc, 2), SPI_getvalue(tuple, desc, 3), tokens);
		if (row > 0 && memai_text_estimate_tokens(part.data + start, part.len - start) > tokens)
		{
			part.data[start] = '\0';
			break;
		}
		tokens = Max(tokens - memai_text_estimate_tokens(part.data + start, part.len - start), 0);
		summary->until = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &null));
		summary->nmessages++;
	}
	SPI_freetuptable(SPI_tuptable);
	return nrows > 0 ? part.data : NULL;
}

static void
ask(Summary *summary, const char *part)
{
	summary->text = memai_model_summarize(summary->model, part, summary->max_words);
	if (summary->text[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_BAD_RESPONSE),
				 errmsg("model \"%s\" answered with an empty summary", summary->model->name)));
	summary->ncalls++;
}

/* Stores the summary; false when the thread is another by now.  Connected to SPI. */
static bool
store(const Summary *summary, bool replaces)
{
	Datum		values[7];

	values[0] = Int64GetDatum(summary->thread.scope.scope);
	values[1] = UUIDPGetDatum(&summary->thread.id);
	memai_statement_run(&lock_thread, values, NULL, false, 0);
	values[2] = UUIDPGetDatum(&summary->thread.summary_until);
	values[3] = UUIDPGetDatum(&summary->until);
	values[4] = CStringGetTextDatum(summary->text);
	values[5] = Int64GetDatum(summary->nmessages);
	values[6] = BoolGetDatum(replaces);
	return memai_statement_run(&store_summary, values, NULL, false, 0) > 0;
}

/* ---- at once ---- */

/* summarize_thread(thread_id uuid, keep integer, max_words integer, model text, user_id text) returns text */
Datum
memai_summarize_thread(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Summary		summary = {.max_words = PG_ARGISNULL(2) ? SUMMARY_WORDS : PG_GETARG_INT32(2)};
	int			keep = PG_ARGISNULL(1) ? 0 : Max(PG_GETARG_INT32(1), 0);
	char	   *model = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	char	   *part;

	memai_check_max_words(summary.max_words);
	SPI_connect();
	MemoryContextSwitchTo(context);
	if (PG_ARGISNULL(0) ||
		!memai_thread_find(PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4), PG_GETARG_UUID_P(0), &summary.thread))
	{
		SPI_finish();
		PG_RETURN_NULL();
	}
	summary.model = memai_model_lookup_for(&summary.thread.scope, model ? model : summary.thread.model, "chat");
	if (start_summary(&summary, keep))
	{
		while ((part = read_part(&summary)) != NULL)
			ask(&summary, part);
		if (!store(&summary, true))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("the thread changed while it was summed up"),
					 errhint("Try again.")));
	}
	SPI_finish();
	if (summary.text == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(summary.text));
}

/* ---- in the background ---- */

/* One part, from reading to storing it, in transactions of their own; false at the end. */
static bool
run_part(MemaiJob *job, Summary *summary, bool *stored)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *part;

	SPI_connect();
	MemoryContextSwitchTo(context);
	part = read_part(summary);
	SPI_finish();
	if (part == NULL)
		return false;
	memai_job_call_begin();
	ask(summary, part);
	memai_job_call_end();
	SPI_connect();
	MemoryContextSwitchTo(context);
	*stored = store(summary, false);
	SPI_finish();
	return *stored;
}

/* handler of the kind summarise */
static Jsonb *
summarise(MemaiJob *job)
{
	MemoryContext context = CurrentMemoryContext;
	Summary		summary = {.max_words = SUMMARY_WORDS};
	char	   *thread_id = memai_job_payload_text(job, "thread_id");
	char	   *keep = memai_job_payload_text(job, "keep");
	Datum		id;
	bool		more;
	bool		stored = true;
	int64		nmessages = 0;

	if (thread_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the job names no thread"),
				 errhint("The payload is {\"thread_id\": \"...\", \"keep\": 40}.")));
	id = DirectFunctionCall1(uuid_in, CStringGetDatum(thread_id));
	summary.model = memai_model_lookup_for(&job->scope, job->model[0] ? job->model : NULL, "chat");
	SPI_connect();
	MemoryContextSwitchTo(context);
	more = memai_thread_find(job->scope.user_id, DatumGetUUIDP(id), &summary.thread) &&
		start_summary(&summary, keep ? Max(pg_strtoint32(keep), 0) : MEMAI_CHAT_WINDOW);
	SPI_finish();
	while (more && run_part(job, &summary, &stored))
	{
		nmessages += summary.nmessages;
		summary.nmessages = 0;
		summary.thread.summary_until = summary.until;
		memai_job_checkpoint(job, nmessages, nmessages);
	}
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf(
		"{\"messages\": %lld, \"calls\": %d, \"changed_meanwhile\": %s}",
		(long long) nmessages, summary.ncalls, stored ? "false" : "true"))));
}

void
memai_summary_init(void)
{
	memai_job_register("summarise", summarise);
}

/* ---- what is removed ---- */

/* _messages_removed() returns trigger */
Datum
memai_messages_removed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("memai._messages_removed must be called as a trigger")));
	if (tuplestore_tuple_count(trigger->tg_oldtable) == 0)
		return PointerGetDatum(NULL);
	SPI_connect();
	SPI_register_trigger_data(trigger);
	/* the second statement sees what whoever held the lock has stored */
	memai_statement_run(&lock_threads, NULL, NULL, false, 0);
	memai_statement_run_latest(&remove_summaries, NULL, NULL);
	SPI_finish();
	return PointerGetDatum(NULL);
}
