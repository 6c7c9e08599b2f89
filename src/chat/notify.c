/*
 * notify.c
 *	  memai.chat_notify: a chat that a job carries on, with the answer in
 *	  pieces as notifications, for servers of web sockets.
 *
 *	  chat_notify: store the message, submit the job, commit
 *	  the job (kind chat): build the prompt -> commit -> the model speaks
 *		-> (begin, notify, commit) for each piece -> store the answer, notify
 *
 * No transaction is open while the model is silent, nor while another embeds the
 * message or decides what it needs (prepare.c).  The message stands in its
 * episode alone and not in the job, so whoever forgets it forgets all of it.  Each
 * notification is JSON with a number that counts from 1; the last one has
 * "done": true and the result, or the error.  A cancelled job stores what was
 * said until then, marked as cancelled.  There is one attempt: half an answer
 * cannot be taken back.  When its worker is lost in the middle, whoever claims
 * jobs next sends the last notification.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "chat/tool.h"
#include "commands/async.h"
#include "funcapi.h"
#include "job/job.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#define ARG_CHANNEL CHAT_ARGUMENTS	/* follows those of memai.chat */
#define MAX_CHANNEL_BYTES (NAMEDATALEN - 1)
/* a notification has less than 8,000 bytes, and an escaped byte can take six */
#define PIECE_BYTES 1200
#define NOTIFICATION_BYTES 7900

/* memai.chat's arguments behind thread_id, without on_error, and what else the job must know */
static MemaiStatement make_payload = {
	.sql = "SELECT jsonb_build_object('namespace', $1, 'model', $2, 'system_prompt', $3, 'temperature', $4, 'max_tokens', $5, "
	"'top_p', $6, 'presence_penalty', $7, 'frequency_penalty', $8, 'stop', $9, 'response_schema', $10, 'tools', $11, 'use_memory', $12, "
	"'k', $13, 'max_context_tokens', $14, 'context', $15, 'intent', $16, 'filter', $17, 'max_messages', $18, 'router', $19, 'max_cost', $20, "
	"'size', $21, 'channel', $22, 'message_id', $23, 'thread_id', $24, 'is_single', $25)",
	.nargs = 25,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TEXTARRAYOID, JSONBOID, JSONBOID,
	BOOLOID, INT4OID, INT4OID, TEXTOID, TEXTOID, JSONBOID, INT4OID, TEXTOID, FLOAT8OID, TEXTOID, TEXTOID, UUIDOID, UUIDOID, BOOLOID},
};

static MemaiStatement submit = {
	.sql = "SELECT memai.submit_job('chat', $1, $2, $3, $4, 0, NULL, 1)",
	.nargs = 4,
	.argtypes = {JSONBOID, TEXTOID, TEXTOID, TEXTOID},
};

/* memai.chat's arguments again, and behind them what else the job says */
static MemaiStatement read_payload = {
	.sql = "SELECT e.content, $2::text, x.thread_id, x.namespace, x.model, x.system_prompt, x.temperature, x.max_tokens, x.top_p, "
	"x.presence_penalty, x.frequency_penalty, x.stop, x.response_schema, x.tools, x.use_memory, x.k, x.max_context_tokens, x.context, "
	"x.intent, x.filter, x.max_messages, NULL::text, x.router, x.max_cost, x.size, x.message_id, x.is_single "
	"FROM jsonb_to_record($1) AS x(thread_id uuid, namespace text, model text, system_prompt text, temperature double precision, "
	"max_tokens integer, top_p double precision, presence_penalty double precision, frequency_penalty double precision, stop text[], "
	"response_schema jsonb, tools jsonb, use_memory boolean, k integer, max_context_tokens integer, context text, intent text, "
	"filter jsonb, max_messages integer, router text, max_cost double precision, size text, message_id uuid, is_single boolean) "
	"JOIN memai.episode e ON e.scope = $3 AND e.id = x.message_id",
	.nargs = 3,
	.argtypes = {JSONBOID, TEXTOID, INT8OID},
};

static MemaiStatement is_cancelled = {
	.sql = "SELECT 1 FROM memai.job WHERE scope = $1 AND id = $2 AND cancel_requested",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

/* an answer on its way; palloc'd in the job's context */
typedef struct Speech
{
	MemaiJob   *job;
	Chat		chat;
	ChatLoop   *loop;
	char	   *channel;
	int			seq;
	StringInfoData said;		/* of the answer that is under way */
} Speech;

/* notifications that the running job has sent: what fails it goes on counting */
static int	last_seq;

PG_FUNCTION_INFO_V1(memai_chat_notify);

/* ---- submitting ---- */

static text *
make_channel(void)
{
	uint8		random[16];
	StringInfoData channel;

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	initStringInfo(&channel);
	appendStringInfoString(&channel, "memai_");
	for (size_t i = 0; i < sizeof(random); i++)
		appendStringInfo(&channel, "%02x", random[i]);
	return cstring_to_text_with_len(channel.data, channel.len);
}

static text *
channel_argument(FunctionCallInfo fcinfo)
{
	text	   *channel = PG_GETARG_TEXT_PP(ARG_CHANNEL);

	if (VARSIZE_ANY_EXHDR(channel) < 1 || VARSIZE_ANY_EXHDR(channel) > MAX_CHANNEL_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid channel"),
				 errdetail("Its name has 1 to %d bytes.", MAX_CHANNEL_BYTES)));
	return channel;
}

/* Submits the job for a message that is stored; its id.  Connected to SPI. */
static Datum
submit_chat(FunctionCallInfo fcinfo, const Chat *chat, text *channel, pg_uuid_t *message_id, bool is_single)
{
	Datum		values[CHAT_ARGUMENTS];
	char		nulls[CHAT_ARGUMENTS];
	int			n = 0;
	Datum		payload;
	bool		null;

	for (int i = CHAT_ARG_THREAD_ID + 1; i < CHAT_ARGUMENTS; i++)
	{
		if (i == CHAT_ARG_ON_ERROR)
			continue;
		values[n] = fcinfo->args[i].value;
		nulls[n++] = fcinfo->args[i].isnull ? 'n' : ' ';
	}
	memset(nulls + n, ' ', CHAT_ARGUMENTS - n);
	values[n++] = PointerGetDatum(channel);
	values[n++] = UUIDPGetDatum(message_id);
	values[n++] = UUIDPGetDatum(&chat->thread.id);
	values[n++] = BoolGetDatum(is_single);
	Assert(n == make_payload.nargs);
	memai_statement_run(&make_payload, values, nulls, true, 0);
	payload = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	values[0] = payload;
	values[1] = PointerGetDatum(chat->thread.scope.user_id);
	values[2] = PointerGetDatum(chat->thread.scope.namespace);
	values[3] = CStringGetTextDatum(chat->model->name);
	memai_statement_run(&submit, values, NULL, false, 0);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
}

/* The job embeds the message, unless that takes no call. */
static void
leave_vector(Chat *chat)
{
	MemaiModelInfo *model = memai_model_lookup_for(&chat->thread.scope, NULL, "embed");

	if (!model->is_local)
		chat->said.model = model->name;
}

/* chat_notify(...): the arguments of chat, then channel text; returns record */
Datum
memai_chat_notify(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Chat		chat = {0};
	TupleDesc	desc;
	text	   *channel = PG_ARGISNULL(ARG_CHANNEL) ? make_channel() : channel_argument(fcinfo);
	pg_uuid_t	message_id;
	Datum		values[3];
	bool		nulls[3] = {false};
	Datum		row;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memai_chat_arguments(fcinfo, &chat);
	if (!chat.raise_errors)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a notified chat sends its errors"),
				 errhint("Leave on_error out, or use memai.chat.")));
	SPI_connect();
	MemoryContextSwitchTo(context);
	memai_chat_open(&chat);
	leave_vector(&chat);
	message_id = memai_chat_note(&chat);
	values[0] = submit_chat(fcinfo, &chat, channel, &message_id, chat.thread.is_single);
	values[1] = UUIDPGetDatum(&chat.thread.id);
	values[2] = PointerGetDatum(channel);
	row = HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
	SPI_finish();
	/* takes effect with the job: at commit */
	if (PG_ARGISNULL(ARG_CHANNEL) && MyBackendType == B_BACKEND && !InSecurityRestrictedOperation())
		Async_Listen(text_to_cstring(channel));
	return row;
}

/* ---- notifications ---- */

/* seq: -1 when nobody knows what was sent before */
static void
begin_notification(StringInfo json, const MemaiJob *job, int seq)
{
	initStringInfo(json);
	appendStringInfo(json, "{\"job_id\": \"%s\", ", DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&job->id))));
	if (seq >= 0)
		appendStringInfo(json, "\"seq\": %d, ", seq);
}

static void
send_piece(Speech *speech, const char *piece, int len)
{
	StringInfoData json;

	begin_notification(&json, speech->job, ++speech->seq);
	appendStringInfoString(&json, "\"done\": false, \"delta\": ");
	escape_json(&json, pnstrdup(piece, len));
	appendStringInfoChar(&json, '}');
	Async_Notify(speech->channel, json.data);
	last_seq = speech->seq;
}

static void
send_pieces(Speech *speech, const char *piece)
{
	int			left = (int) strlen(piece);

	while (left > 0)
	{
		int			len = pg_mbcliplen(piece, left, PIECE_BYTES);

		CHECK_FOR_INTERRUPTS();
		send_piece(speech, piece, len);
		piece += len;
		left -= len;
	}
}

/* The row of memai.chat without what may be long; content came in pieces. */
static Jsonb *
short_result(Speech *speech)
{
	Datum		result = memai_chat_result_json(&speech->chat);

	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, result, CStringGetTextDatum("content")));
}

static void
send_result(Speech *speech, Jsonb *result)
{
	static const char *const long_members[] = {"tools_invoked", "memory_ids"};
	char	   *text = JsonbToCString(NULL, &result->root, VARSIZE(result));
	StringInfoData json;

	for (int i = 0; i < (int) lengthof(long_members) && strlen(text) > NOTIFICATION_BYTES - 100; i++)
	{
		result = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(result), CStringGetTextDatum(long_members[i])));
		text = JsonbToCString(NULL, &result->root, VARSIZE(result));
	}
	begin_notification(&json, speech->job, ++speech->seq);
	appendStringInfo(&json, "\"done\": true, \"state\": \"%s\", \"result\": %s}",
					 strcmp(speech->chat.answer.finish_reason, "cancelled") == 0 ? "cancelled" : "done", text);
	Async_Notify(speech->channel, json.data);
}

/* What is left to say when an attempt failed. */
static void
send_error(const MemaiJob *job, const ErrorData *error)
{
	char	   *channel = memai_job_payload_text(job, "channel");
	int			len = (int) strlen(error->message);
	StringInfoData json;

	if (channel == NULL || channel[0] == '\0' || strlen(channel) > MAX_CHANNEL_BYTES)
		return;
	begin_notification(&json, job, error->sqlerrcode == ERRCODE_CRASH_SHUTDOWN ? -1 : last_seq + 1);
	appendStringInfo(&json, "\"done\": true, \"state\": \"failed\", \"error\": {\"sqlstate\": \"%s\", \"message\": ", unpack_sql_state(error->sqlerrcode));
	escape_json(&json, pnstrdup(error->message, pg_mbcliplen(error->message, len, PIECE_BYTES)));
	appendStringInfoString(&json, "}}");
	Async_Notify(channel, json.data);
}

/* ---- the job ---- */

/* Fills in the chat that a job describes; everything is palloc'd in the current context.  Connected to SPI. */
static void
read_chat(Speech *speech)
{
	LOCAL_FCINFO(call, CHAT_ARGUMENTS);
	MemaiJob   *job = speech->job;
	Datum		values[3] = {JsonbPGetDatum(job->payload), PointerGetDatum(job->scope.user_id), Int64GetDatum(job->scope.scope)};
	HeapTuple	row;
	TupleDesc	desc;
	bool		null;

	speech->channel = memai_job_payload_text(job, "channel");
	if (speech->channel == NULL || memai_statement_run(&read_payload, values, NULL, true, 1) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the job has no message to answer"),
				 errhint("memai.chat_notify submits such jobs; a message that was forgotten is not answered.")));
	row = heap_copytuple(SPI_tuptable->vals[0]);
	desc = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	InitFunctionCallInfoData(*call, NULL, CHAT_ARGUMENTS, InvalidOid, NULL, NULL);
	for (int i = 0; i < CHAT_ARGUMENTS; i++)
		call->args[i].value = heap_getattr(row, i + 1, desc, &call->args[i].isnull);
	memai_chat_arguments(call, &speech->chat);
	speech->chat.heard = DatumGetUUIDP(heap_getattr(row, CHAT_ARGUMENTS + 1, desc, &null));
	memai_chat_open(&speech->chat);
	/* opened by this chat: it is shown others of its kind */
	speech->chat.thread.is_single = DatumGetBool(heap_getattr(row, CHAT_ARGUMENTS + 2, desc, &null)) && !null;
}

static bool
was_cancelled(const MemaiJob *job)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[2] = {Int64GetDatum(job->scope.scope), UUIDPGetDatum(&job->id)};
	bool		found;

	SPI_connect();
	MemoryContextSwitchTo(context);
	found = memai_statement_run(&is_cancelled, values, NULL, false, 1) > 0;
	SPI_finish();
	return found;
}

/* One answer of the model, sent as it comes; false when the job was cancelled. */
static bool
speak(Speech *speech)
{
	MemaiModelStream *stream;
	const char *piece;
	bool		more;

	resetStringInfo(&speech->said);
	memai_job_call_begin();
	stream = memai_model_stream_open(speech->chat.model, memai_tool_loop_request(speech->loop));
	while ((more = memai_model_stream_next(stream, &piece)) && !was_cancelled(speech->job))
	{
		appendStringInfoString(&speech->said, piece);
		send_pieces(speech, piece);
		memai_job_commit();
	}
	if (!more)
		memai_model_stream_result(stream, &speech->chat.answer);
	memai_job_call_end();
	memai_model_stream_close(stream);
	return !more;
}

/* What was said until somebody had enough. */
static void
cut_answer(Speech *speech)
{
	MemaiChatResult *answer = &speech->chat.answer;

	memset(answer, 0, sizeof(MemaiChatResult));
	answer->content = speech->said.data;
	answer->finish_reason = "cancelled";
	answer->prompt_tokens = answer->completion_tokens = -1;
	answer->cost = NAN;
}

/* Runs the tools that an answer calls; true when the model goes on. */
static bool
goes_on(Speech *speech)
{
	MemoryContext context = CurrentMemoryContext;
	bool		more;

	SPI_connect();
	MemoryContextSwitchTo(context);
	more = memai_tool_loop_answer(speech->loop);
	SPI_finish();
	MemoryContextSwitchTo(context);
	if (more)
		memai_job_checkpoint(speech->job, speech->seq, 0);
	return more;
}

static void
begin_calls(void)
{
	SPI_finish();
	memai_job_call_begin();
}

static void
end_calls(void)
{
	memai_job_call_end();
	SPI_connect();
}

static const ChatCalls calls = {begin_calls, end_calls};

/* Makes the vector of a message that was stored without.  Connected to SPI. */
static void
embed_message(Chat *chat)
{
	const MemaiModelInfo *model = memai_model_lookup_for(&chat->thread.scope, NULL, "embed");

	if (model->is_local)
		return;
	memai_chat_embed_text(chat, chat->message, &chat->said);
	memai_episode_set_vector(&chat->thread.scope, chat->heard, chat->said.model, chat->said.vector);
}

/* handler of the kind chat */
static Jsonb *
answer(MemaiJob *job)
{
	MemoryContext context = CurrentMemoryContext;
	Speech	   *speech = palloc0(sizeof(Speech));
	bool		finished;
	Jsonb	   *result;

	last_seq = 0;
	speech->job = job;
	initStringInfo(&speech->said);
	SPI_connect();
	MemoryContextSwitchTo(context);
	read_chat(speech);
	speech->chat.calls = &calls;
	memai_chat_hear(&speech->chat);
	embed_message(&speech->chat);
	MemoryContextSwitchTo(context);
	speech->loop = memai_tool_loop_start(&speech->chat);
	SPI_finish();
	MemoryContextSwitchTo(context);
	do
	{
		finished = speak(speech);
		if (!finished)
			cut_answer(speech);
	} while (finished && goes_on(speech));
	speech->chat.answered = true;
	SPI_connect();
	MemoryContextSwitchTo(context);
	memai_chat_embed_answer(&speech->chat);
	memai_chat_store_answer(&speech->chat);
	SPI_finish();
	MemoryContextSwitchTo(context);
	result = short_result(speech);
	send_result(speech, result);
	return result;
}

void
memai_notify_init(void)
{
	memai_job_register("chat", answer);
	memai_job_register_failed("chat", send_error);
}
