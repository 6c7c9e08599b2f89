/*
 * result.c
 *	  What became of a chat, as a row.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

enum Column
{
	COL_CONTENT,
	COL_THREAD_ID,
	COL_MODEL,
	COL_INTENT,
	COL_PROMPT_TOKENS,
	COL_COMPLETION_TOKENS,
	COL_TOTAL_TOKENS,
	COL_COST,
	COL_CONTEXT_USED,
	COL_CONTEXT_LENGTH,
	COL_MEMORY_IDS,
	COL_PERSONA_INCLUDED,
	COL_TOOLS_INVOKED,
	COL_FINISH_REASON,
	COL_CACHED,
	COL_PROCESSING_MS,
	COL_ERROR,
	COL_ROUTER,
	NCOLUMNS
};

static void
put_text(Datum *values, bool *nulls, int column, const char *value)
{
	nulls[column] = value == NULL;
	if (value != NULL)
		values[column] = CStringGetTextDatum(value);
}

static void
put_answer(const Chat *chat, Datum *values, bool *nulls)
{
	const MemaiChatResult *answer = &chat->answer;
	int			prompt = chat->answered ? answer->prompt_tokens : -1;
	int			completion = chat->answered ? answer->completion_tokens : -1;

	put_text(values, nulls, COL_CONTENT, chat->answered ? answer->content : NULL);
	put_text(values, nulls, COL_FINISH_REASON, chat->answered ? answer->finish_reason : NULL);
	nulls[COL_PROMPT_TOKENS] = prompt < 0;
	values[COL_PROMPT_TOKENS] = Int32GetDatum(prompt);
	nulls[COL_COMPLETION_TOKENS] = completion < 0;
	values[COL_COMPLETION_TOKENS] = Int32GetDatum(completion);
	nulls[COL_TOTAL_TOKENS] = prompt < 0 || completion < 0;
	values[COL_TOTAL_TOKENS] = Int32GetDatum(prompt + completion);
	nulls[COL_COST] = !chat->answered || isnan(answer->cost);
	if (!nulls[COL_COST])
		values[COL_COST] = DirectFunctionCall1(float8_numeric, Float8GetDatum(answer->cost));
}

static void
put_context(const ChatPrompt *prompt, Datum *values, bool *nulls)
{
	int			tokens = prompt ? memai_prompt_context_tokens(prompt) : 0;

	values[COL_CONTEXT_USED] = BoolGetDatum(tokens > 0);
	values[COL_CONTEXT_LENGTH] = Int32GetDatum(tokens);
	values[COL_MEMORY_IDS] = PointerGetDatum(construct_array(prompt ? prompt->memory_ids : NULL, prompt ? prompt->nmemory_ids : 0,
															 UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[COL_PERSONA_INCLUDED] = BoolGetDatum(prompt != NULL && prompt->persona_included);
}

/* the columns as chat_talk.sql has them */
static const struct
{
	const char *name;
	Oid			type;
}			columns[NCOLUMNS] = {
	[COL_CONTENT] = {"content", TEXTOID},
	[COL_THREAD_ID] = {"thread_id", UUIDOID},
	[COL_MODEL] = {"model", TEXTOID},
	[COL_INTENT] = {"intent", TEXTOID},
	[COL_PROMPT_TOKENS] = {"prompt_tokens", INT4OID},
	[COL_COMPLETION_TOKENS] = {"completion_tokens", INT4OID},
	[COL_TOTAL_TOKENS] = {"total_tokens", INT4OID},
	[COL_COST] = {"cost", NUMERICOID},
	[COL_CONTEXT_USED] = {"context_used", BOOLOID},
	[COL_CONTEXT_LENGTH] = {"context_length", INT4OID},
	[COL_MEMORY_IDS] = {"memory_ids", UUIDARRAYOID},
	[COL_PERSONA_INCLUDED] = {"persona_included", BOOLOID},
	[COL_TOOLS_INVOKED] = {"tools_invoked", JSONBOID},
	[COL_FINISH_REASON] = {"finish_reason", TEXTOID},
	[COL_CACHED] = {"cached", BOOLOID},
	[COL_PROCESSING_MS] = {"processing_ms", FLOAT8OID},
	[COL_ERROR] = {"error", TEXTOID},
	[COL_ROUTER] = {"router", JSONBOID},
};

Datum
memai_chat_result(Chat *chat)
{
	TupleDesc	desc = CreateTemplateTupleDesc(NCOLUMNS);
	Datum		values[NCOLUMNS] = {0};
	bool		nulls[NCOLUMNS] = {false};
	instr_time	elapsed;

	for (int i = 0; i < NCOLUMNS; i++)
		TupleDescInitEntry(desc, i + 1, columns[i].name, columns[i].type, -1, 0);
	put_answer(chat, values, nulls);
	put_context(chat->prompt, values, nulls);
	values[COL_THREAD_ID] = UUIDPGetDatum(&chat->thread.id);
	values[COL_MODEL] = CStringGetTextDatum(chat->answer.model ? chat->answer.model : chat->model->name);
	put_text(values, nulls, COL_INTENT, chat->intent);
	values[COL_TOOLS_INVOKED] = chat->tools_invoked ? JsonbPGetDatum(chat->tools_invoked) :
		DirectFunctionCall1(jsonb_in, CStringGetDatum("[]"));
	values[COL_CACHED] = BoolGetDatum(chat->answered && chat->answer.cached);
	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, chat->start);
	values[COL_PROCESSING_MS] = Float8GetDatum(INSTR_TIME_GET_MILLISEC(elapsed));
	put_text(values, nulls, COL_ERROR, chat->error);
	nulls[COL_ROUTER] = chat->routing == NULL;
	values[COL_ROUTER] = PointerGetDatum(chat->routing);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
memai_chat_result_json(Chat *chat)
{
	Datum		json = DirectFunctionCall1(row_to_json, memai_chat_result(chat));

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(DatumGetTextPP(json))));
}
