/*
 * chat.c
 *	  memai.chat: recall, store what the user said, ask the model, store the
 *	  answer, return one row; memai.chat_preview: the prompt and nothing else.
 *
 * All of it happens in the caller's transaction.  When the model fails the
 * error is raised, and with on_error => 'null' it is returned in the row and
 * what was done before stays; a cancelled statement is always raised.  No row
 * is locked while the model thinks.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "chat/tool.h"
#include "funcapi.h"
#include "json/json.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(memai_chat);
PG_FUNCTION_INFO_V1(memai_chat_preview);

/* ---- the steps ---- */

static void
find_thread(Chat *chat)
{
	char	   *model;

	/* what may not be stored is not sent to a model either */
	chat->message = memai_pii_clean_one("message", chat->message);
	if (chat->thread_id != NULL)
	{
		memai_see_own_changes();
		memai_thread_load(chat->user_id, chat->thread_id, &chat->thread);
		PopActiveSnapshot();
		if (!chat->has_namespace)
			chat->scope = chat->thread.scope;
	}
	else
	{
		chat->thread.scope = chat->scope;
		chat->thread.is_single = true;
	}
	model = chat->model_name ? chat->model_name : chat->thread.model;
	chat->model = memai_model_lookup_for(&chat->scope, model, "chat");
}

void
memai_chat_prepare(Chat *chat)
{
	find_thread(chat);
	memai_chat_build_prompt(chat);
}

void
memai_chat_open_thread(Chat *chat)
{
	if (chat->thread.is_single)
		memai_thread_open(&chat->thread, NULL, NULL);
}

void
memai_chat_open(Chat *chat)
{
	find_thread(chat);
	memai_chat_open_thread(chat);
}

/* Answers repeat what was recalled, so only the user's own words are a source. */
static const char *
extraction_model(const Chat *chat)
{
	return memai_chat_extract() && chat->use_memory && !chat->model->is_local ? chat->model->name : NULL;
}

pg_uuid_t
memai_chat_note(const Chat *chat)
{
	ChatOutcome said = {
		.prompt_tokens = -1,
		.completion_tokens = -1,
		.cost = NAN,
		.intent = chat->intent,
		.extract_with = extraction_model(chat),
	};

	return memai_thread_append(&chat->thread, "user", chat->message, &said);
}

/* The prompt is built before the message is stored, or the message would find itself. */
void
memai_chat_hear(Chat *chat)
{
	memai_chat_build_prompt(chat);
	if (chat->heard == NULL)
		(void) memai_chat_note(chat);
}

static void
hear(void *arg)
{
	memai_chat_hear(arg);
}

static void
ask(void *arg)
{
	Chat	   *chat = arg;

	memai_tool_loop(chat);
	chat->answered = true;
}

void
memai_chat_store_answer(Chat *chat)
{
	ChatOutcome outcome = {
		.model = chat->answer.model ? chat->answer.model : chat->model->name,
		.finish_reason = chat->answer.finish_reason,
		.intent = chat->intent,
		.prompt_tokens = chat->answer.prompt_tokens,
		.completion_tokens = chat->answer.completion_tokens,
		.cost = chat->answer.cost,
		.nmemory_ids = chat->prompt->nmemory_ids,
		.memory_ids = chat->prompt->memory_ids,
		.tools_invoked = chat->tools_invoked,
	};

	if (chat->answer.content[0] != '\0')
		memai_thread_append(&chat->thread, "assistant", cstring_to_text(chat->answer.content), &outcome);
	memai_summary_submit(chat);
}

static void
store_answer(void *arg)
{
	memai_chat_store_answer(arg);
}

bool
memai_chat_is_model_error(const ErrorData *error)
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
	error = memai_catch(step, chat, memai_chat_is_model_error);
	if (error != NULL)
		chat->error = psprintf("%s: %s", unpack_sql_state(error->sqlerrcode), error->message);
}

/* chat(...) returns record: see chat_talk.sql for the arguments */
Datum
memai_chat(PG_FUNCTION_ARGS)
{
	Chat		chat = {0};
	MemoryContext caller_context = CurrentMemoryContext;
	Datum		row;

	memai_chat_arguments(fcinfo, &chat);
	SPI_connect();
	memai_chat_open(&chat);
	run_step(&chat, hear);
	run_step(&chat, ask);
	run_step(&chat, store_answer);
	MemoryContextSwitchTo(caller_context);
	row = memai_chat_result(&chat);
	SPI_finish();
	return row;
}

/* ---- preview ---- */

static Datum
prompt_messages(const MemaiChatRequest *request)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < request->nmessages; i++)
	{
		const MemaiChatMessage *message = &request->messages[i];

		CHECK_FOR_INTERRUPTS();
		appendStringInfo(&json, "%c{\"role\":\"%s\",\"content\":", i == 0 ? '[' : ',', message->role);
		memai_json_write_string(&json, message->content.data, message->content.len);
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(memai_json_server_text(json.data, json.len)));
}

static Datum
prompt_tokens(const ChatPrompt *prompt)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int part = 0; part < CHAT_NPARTS; part++)
		appendStringInfo(&json, "%c\"%s\":%d", part == 0 ? '{' : ',', memai_chat_part_names[part], prompt->tokens[part]);
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* chat_preview(...) returns record: the arguments of chat; stores nothing, asks no chat model */
Datum
memai_chat_preview(PG_FUNCTION_ARGS)
{
	Chat		chat = {0};
	MemoryContext caller_context = CurrentMemoryContext;
	TupleDesc	desc;
	Datum		values[9] = {0};
	bool		nulls[9] = {false};
	int			total = 0;
	Datum		row;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memai_chat_arguments(fcinfo, &chat);
	SPI_connect();
	memai_chat_prepare(&chat);
	MemoryContextSwitchTo(caller_context);
	for (int part = 0; part < CHAT_NPARTS; part++)
		total += chat.prompt->tokens[part];
	values[0] = prompt_messages(&chat.prompt->request);
	values[1] = CStringGetTextDatum(chat.model->name);
	nulls[2] = chat.intent == NULL;
	if (!nulls[2])
		values[2] = CStringGetTextDatum(chat.intent);
	values[3] = prompt_tokens(chat.prompt);
	values[4] = Int32GetDatum(total);
	values[5] = Int32GetDatum(chat.prompt->budget);
	values[6] = PointerGetDatum(construct_array(chat.prompt->memory_ids, chat.prompt->nmemory_ids,
												UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[7] = BoolGetDatum(chat.prompt->context_cut);
	nulls[8] = chat.routing == NULL;
	values[8] = PointerGetDatum(chat.routing);
	row = HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
	SPI_finish();
	return row;
}
