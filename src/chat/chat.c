/*
 * chat.c
 *	  memai.chat: recall, store what the user said, ask the model, store the
 *	  answer, return one row.
 *
 * All of it happens in the caller's transaction.  When the model fails the
 * error is raised, and with on_error => 'null' it is returned in the row and
 * what was done before stays; a cancelled statement is always raised.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MESSAGE_MAX_LENGTH 100000	/* characters */
#define MAX_TURNS 50			/* of a thread that a model is shown */

PG_FUNCTION_INFO_V1(memai_chat);

/* the arguments of memai.chat */
enum ChatArgument
{
	ARG_MESSAGE,
	ARG_USER_ID,
	ARG_THREAD_ID,
	ARG_NAMESPACE,
	ARG_MODEL,
	ARG_SYSTEM_PROMPT,
	ARG_TEMPERATURE,
	ARG_MAX_TOKENS,
	ARG_K,
	ARG_MAX_CONTEXT_TOKENS,
	ARG_FILTER,
	ARG_ON_ERROR
};

typedef struct Chat
{
	MemaiScope	scope;
	text	   *message;
	char	   *model_name;		/* NULL: of the thread, or the default */
	text	   *system_prompt;	/* NULL: of the thread, or memai's own */
	double		temperature;	/* NaN: the model's default */
	int			max_tokens;		/* 0: the model's default */
	int			k;
	int			max_context_tokens;
	Jsonb	   *filter;
	bool		raise_errors;

	ChatThread	thread;
	MemaiModelInfo *model;
	ChatPrompt	prompt;
	MemaiChatResult answer;
	bool		answered;
	char	   *error;			/* NULL: nothing failed */
} Chat;

/* ---- arguments ---- */

static int
int_argument(FunctionCallInfo fcinfo, int argument, const char *name, int null_value, int min, int max)
{
	int			value = PG_ARGISNULL(argument) ? null_value : PG_GETARG_INT32(argument);

	if (!PG_ARGISNULL(argument) && (value < min || value > max))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range: %d", name, value),
				 errdetail("The range is %d to %d.", min, max)));
	return value;
}

static double
temperature_argument(FunctionCallInfo fcinfo)
{
	double		temperature;

	if (PG_ARGISNULL(ARG_TEMPERATURE))
		return get_float8_nan();
	temperature = PG_GETARG_FLOAT8(ARG_TEMPERATURE);
	if (!(temperature >= 0 && temperature <= 2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("temperature is out of range: %g", temperature),
				 errdetail("The range is 0 to 2.")));
	return temperature;
}

static bool
on_error_argument(FunctionCallInfo fcinfo)
{
	char	   *on_error = PG_ARGISNULL(ARG_ON_ERROR) ? "raise" : text_to_cstring(PG_GETARG_TEXT_PP(ARG_ON_ERROR));

	if (strcmp(on_error, "raise") != 0 && strcmp(on_error, "null") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value of on_error"),
				 errhint("It is 'raise' or 'null'.")));
	return strcmp(on_error, "raise") == 0;
}

static void
check_message(const text *message)
{
	int			length;

	memai_check_content("message", message);
	length = pg_mbstrlen_with_len(VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message));
	if (length > MESSAGE_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("message is too long"),
				 errdetail("It has %d characters, the limit is %d.", length, MESSAGE_MAX_LENGTH),
				 errhint("Store long texts with memai.remember_messages and ask about them.")));
}

static void
read_arguments(FunctionCallInfo fcinfo, Chat *chat)
{
#define TEXT_ARGUMENT(n) (PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n))
	chat->message = TEXT_ARGUMENT(ARG_MESSAGE);
	check_message(chat->message);
	memai_scope_resolve(&chat->scope, TEXT_ARGUMENT(ARG_USER_ID), TEXT_ARGUMENT(ARG_NAMESPACE));
	if (!PG_ARGISNULL(ARG_MODEL))
		chat->model_name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_MODEL));
	chat->system_prompt = TEXT_ARGUMENT(ARG_SYSTEM_PROMPT);
	if (chat->system_prompt != NULL)
		memai_check_content("system_prompt", chat->system_prompt);
	chat->temperature = temperature_argument(fcinfo);
	chat->max_tokens = int_argument(fcinfo, ARG_MAX_TOKENS, "max_tokens", 0, 1, 1000000);
	chat->k = int_argument(fcinfo, ARG_K, "k", 8, 1, MEMAI_RECALL_MAX_K);
	chat->max_context_tokens = int_argument(fcinfo, ARG_MAX_CONTEXT_TOKENS, "max_context_tokens", 2000, 0, 1000000);
	chat->filter = PG_ARGISNULL(ARG_FILTER) ? NULL : PG_GETARG_JSONB_P(ARG_FILTER);
	memai_check_filter(chat->filter);
	chat->raise_errors = on_error_argument(fcinfo);
#undef TEXT_ARGUMENT
}

/* ---- the call ---- */

static void
open_thread(Chat *chat, const pg_uuid_t *thread_id)
{
	if (thread_id != NULL)
		memai_thread_load(&chat->scope, thread_id, &chat->thread);
	else
		memai_thread_open(&chat->scope, &chat->thread, NULL, NULL);
	chat->model = memai_model_lookup(chat->model_name ? chat->model_name : chat->thread.model, "chat");
}

/*
 * Recalls, builds the prompt, stores the message: in this order, or the message
 * would find itself.  What this statement did before is seen.
 */
static void
prepare(void *arg)
{
	Chat	   *chat = arg;
	MemaiRecallQuery query = {
		.scope = &chat->scope,
		.query = chat->message,
		.k = chat->k,
		.filter = chat->filter,
	};
	List	   *recalled;
	List	   *turns;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	recalled = memai_recall_run(&query, CurrentMemoryContext, NULL);
	turns = memai_thread_turns(&chat->scope, &chat->thread, MAX_TURNS);
	memai_prompt_build(&chat->prompt, &chat->scope, chat->model,
					   chat->system_prompt ? chat->system_prompt : chat->thread.system_prompt,
					   turns, recalled, chat->max_context_tokens, chat->message);
	PopActiveSnapshot();
	chat->prompt.request.temperature = chat->temperature;
	chat->prompt.request.max_tokens = chat->max_tokens;

	memai_thread_append(&chat->scope, &chat->thread, "user", chat->message, NULL);
}

static void
ask(void *arg)
{
	Chat	   *chat = arg;

	memai_model_complete(chat->model, &chat->prompt.request, &chat->answer);
	chat->answered = true;
}

static void
store_answer(void *arg)
{
	Chat	   *chat = arg;
	ChatOutcome outcome = {
		.model = chat->answer.model,
		.finish_reason = chat->answer.finish_reason,
		.prompt_tokens = chat->answer.prompt_tokens,
		.completion_tokens = chat->answer.completion_tokens,
		.nmemory_ids = chat->prompt.nmemory_ids,
		.memory_ids = chat->prompt.memory_ids,
	};

	if (chat->answer.content[0] != '\0')
		memai_thread_append(&chat->scope, &chat->thread, "assistant",
							cstring_to_text(chat->answer.content), &outcome);
}

static bool
is_model_error(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_MEMAI_PROVIDER_ERROR);
}

/*
 * Runs a step unless an earlier one failed.  A failing call of a model, chat or
 * embedding, becomes chat->error when the caller wants that; what the step did
 * in the database is then undone, and an answer that came is kept in the row.
 */
static void
run_step(Chat *chat, void (*step) (void *))
{
	ErrorData  *error;

	if (chat->error != NULL)
		return;
	if (chat->raise_errors)
	{
		step(chat);
		return;
	}
	error = memai_catch(step, chat, is_model_error);
	if (error != NULL)
		chat->error = psprintf("%s: %s", unpack_sql_state(error->sqlerrcode), error->message);
}

/* ---- the row ---- */

static void
put_tokens(const MemaiChatResult *answer, Datum *values, bool *nulls)
{
	nulls[4] = answer->prompt_tokens < 0;
	values[4] = Int32GetDatum(answer->prompt_tokens);
	nulls[5] = answer->completion_tokens < 0;
	values[5] = Int32GetDatum(answer->completion_tokens);
	nulls[6] = nulls[4] || nulls[5];
	values[6] = Int32GetDatum(answer->prompt_tokens + answer->completion_tokens);
}

static Datum
make_row(FunctionCallInfo fcinfo, Chat *chat, double milliseconds)
{
	TupleDesc	desc;
	Datum		values[17] = {0};
	bool		nulls[17] = {false};
	bool		failed = !chat->answered;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	nulls[0] = failed;
	if (!failed)
		values[0] = CStringGetTextDatum(chat->answer.content);
	values[1] = UUIDPGetDatum(&chat->thread.id);
	values[2] = CStringGetTextDatum(failed ? chat->model->name : chat->answer.model);
	nulls[3] = true;			/* no intents are defined */
	if (failed)
		nulls[4] = nulls[5] = nulls[6] = true;
	else
		put_tokens(&chat->answer, values, nulls);
	nulls[7] = true;			/* the registry knows no prices */
	values[8] = BoolGetDatum(chat->prompt.context_tokens > 0);
	values[9] = Int32GetDatum(chat->prompt.context_tokens);
	values[10] = PointerGetDatum(construct_array(chat->prompt.memory_ids, chat->prompt.nmemory_ids,
												 UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[11] = BoolGetDatum(chat->prompt.persona_included);
	values[12] = DirectFunctionCall1(jsonb_in, CStringGetDatum("[]"));
	nulls[13] = failed;
	if (!failed)
		values[13] = CStringGetTextDatum(chat->answer.finish_reason);
	values[14] = BoolGetDatum(!failed && chat->answer.cached);
	values[15] = Float8GetDatum(milliseconds);
	nulls[16] = (chat->error == NULL);
	if (chat->error != NULL)
		values[16] = CStringGetTextDatum(chat->error);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* chat(...) returns record: see chat.sql for the arguments */
Datum
memai_chat(PG_FUNCTION_ARGS)
{
	Chat		chat = {0};
	MemoryContext caller_context = CurrentMemoryContext;
	pg_uuid_t  *thread_id = PG_ARGISNULL(ARG_THREAD_ID) ? NULL : PG_GETARG_UUID_P(ARG_THREAD_ID);
	instr_time	start;
	instr_time	end;
	Datum		row;

	INSTR_TIME_SET_CURRENT(start);
	read_arguments(fcinfo, &chat);

	SPI_connect();
	open_thread(&chat, thread_id);
	run_step(&chat, prepare);
	run_step(&chat, ask);
	run_step(&chat, store_answer);

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	MemoryContextSwitchTo(caller_context);
	row = make_row(fcinfo, &chat, INSTR_TIME_GET_MILLISEC(end));
	SPI_finish();
	return row;
}
