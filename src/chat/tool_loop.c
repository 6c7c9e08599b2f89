/*
 * tool_loop.c
 *	  The conversation between a model and its tools within one chat.
 *
 * Each round asks the model once; while its answer calls tools they run one
 * after the other and their results go back as tool messages.  A tool that
 * fails tells the model why and the chat goes on.  After so many rounds, or so
 * many calls, the model is asked once more with tools forbidden.  When what was
 * spent reaches max_cost, no tool runs and the chat ends with finish_reason cost_limit.
 */
#include "postgres.h"

#include <math.h>

#include "chat/tool.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#define MAX_CALLS 50			/* of tools in one chat */

struct ChatLoop
{
	Chat	   *chat;
	List	   *tools;
	MemaiChatRequest request;
	int			nmessages;
	int			capacity;
	MemaiChatMessage *messages;
	int			round;
	int			ncalls;
	bool		is_last;		/* tools are forbidden now */
	bool		is_caller_asked;	/* a tool is the caller's, or needs its word */
	bool		is_spent;		/* max_cost is reached, or the cost is unknown */
	int64		prompt_tokens;	/* -1: some answer did not tell */
	int64		completion_tokens;
	double		cost;			/* NaN: some answer has none */
	StringInfoData invoked;		/* JSON array in the making */
};

/* one call of a tool */
typedef struct ToolCall
{
	ChatLoop   *loop;
	const ChatTool *tool;
	MemaiJson  *arguments;
	char	   *result;
} ToolCall;

static void
add_message(ChatLoop *loop, const MemaiChatMessage *message)
{
	if (loop->nmessages == loop->capacity)
	{
		loop->capacity *= 2;
		loop->messages = repalloc(loop->messages, sizeof(MemaiChatMessage) * loop->capacity);
	}
	loop->messages[loop->nmessages++] = *message;
	loop->request.messages = loop->messages;
	loop->request.nmessages = loop->nmessages;
}

static MemaiSpan
string_span(const char *string)
{
	MemaiSpan	span = {string, strlen(string)};

	return span;
}

static const ChatTool *
find_tool(List *tools, const char *name)
{
	ListCell   *cell;

	foreach(cell, tools)
	{
		ChatTool   *tool = lfirst(cell);

		if (name != NULL && strcmp(tool->name, name) == 0)
			return tool;
	}
	return NULL;
}

/* ---- one call ---- */

static void
run_tool(void *arg)
{
	ToolCall   *call = arg;

	call->result = memai_tool_run(call->tool, &call->loop->chat->scope, call->arguments);
}

static void
append_member(StringInfo out, const char *key, const char *value)
{
	appendStringInfo(out, ",\"%s\":", key);
	escape_json(out, value);
}

/* Notes what became of a call; content NULL: it waits for the caller. */
static void
note_call(ChatLoop *loop, MemaiJson *call, const char *name, bool ok, const char *content, double milliseconds)
{
	StringInfo	out = &loop->invoked;
	char	   *id = memai_json_text(memai_json_get(call, "id"));
	char	   *arguments = memai_json_serialize(memai_json_get(call, "arguments"));

	appendStringInfo(out, "%s{\"ok\":%s", out->len == 0 ? "[" : ",", content == NULL ? "null" : ok ? "true" : "false");
	append_member(out, "name", name ? name : "");
	append_member(out, "id", id ? id : "");
	appendStringInfo(out, ",\"arguments\":%s", memai_json_server_text(arguments, strlen(arguments)));
	if (content != NULL)
	{
		append_member(out, "content", content);
		appendStringInfo(out, ",\"ms\":%.1f", milliseconds);
	}
	appendStringInfoChar(out, '}');
}

/* Runs what a call asks for and adds its result as a message. */
static void
answer_call(ChatLoop *loop, MemaiJson *json)
{
	char	   *name = memai_json_text(memai_json_get(json, "name"));
	char	   *id = memai_json_text(memai_json_get(json, "id"));
	ToolCall	call = {.loop = loop,.tool = find_tool(loop->tools, name),.arguments = memai_json_get(json, "arguments")};
	MemaiChatMessage message = {.role = "tool",.tool_call_id = id,.tool_name = name};
	ErrorData  *error;
	bool		is_done = false;
	instr_time	start;
	instr_time	end;

	if (call.tool != NULL && (call.tool->kind == CHAT_TOOL_CALLER || call.tool->needs_confirmation))
	{
		loop->is_caller_asked = true;
		note_call(loop, json, name, false, NULL, 0);
		return;
	}
	INSTR_TIME_SET_CURRENT(start);
	if (loop->is_spent)
		call.result = "error: the limit of cost is reached";
	else if (loop->ncalls++ >= MAX_CALLS)
		call.result = "error: too many calls of tools";
	else if (call.tool == NULL)
		call.result = psprintf("error: there is no tool \"%s\"", name ? name : "");
	else if ((error = memai_catch(run_tool, &call, NULL)) != NULL)
		call.result = psprintf("error: %s", error->message);
	else
		is_done = true;
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	note_call(loop, json, name, is_done, call.result, INSTR_TIME_GET_MILLISEC(end));
	message.content = string_span(call.result);
	add_message(loop, &message);
}

/* ---- rounds ---- */

static void
add_tokens(int64 *sum, int tokens)
{
	*sum = tokens < 0 || *sum < 0 ? -1 : Min(*sum + tokens, PG_INT32_MAX);
}

static void
start_loop(ChatLoop *loop, Chat *chat)
{
	const MemaiChatRequest *first = &chat->prompt->request;

	loop->chat = chat;
	loop->tools = chat->toolset;
	loop->request = *first;
	loop->request.tools = memai_tools_json(loop->tools);
	loop->capacity = first->nmessages + 8;
	loop->messages = palloc(sizeof(MemaiChatMessage) * loop->capacity);
	for (int i = 0; i < first->nmessages; i++)
		add_message(loop, &first->messages[i]);
	initStringInfo(&loop->invoked);
	loop->prompt_tokens = chat->routing_prompt_tokens;
	loop->completion_tokens = chat->routing_completion_tokens;
	loop->cost = chat->routing_cost;
}

ChatLoop *
memai_tool_loop_start(Chat *chat)
{
	ChatLoop   *loop = palloc0(sizeof(ChatLoop));

	start_loop(loop, chat);
	return loop;
}

const MemaiChatRequest *
memai_tool_loop_request(ChatLoop *loop)
{
	loop->is_last = loop->tools != NIL && (loop->round++ >= memai_chat_max_tool_rounds() || loop->ncalls >= MAX_CALLS);
	if (loop->is_last)
		loop->request.tool_choice = "none";
	return &loop->request;
}

/* Answers all calls of the last answer. */
static void
answer_calls(ChatLoop *loop)
{
	const MemaiChatResult *answer = &loop->chat->answer;
	MemaiChatMessage message = {.role = "assistant",.content = string_span(answer->content),.tool_calls = answer->tool_calls};
	const char *problem;
	MemaiJson  *calls = memai_json_parse_server(answer->tool_calls, &problem);

	add_message(loop, &message);
	for (int i = 0; i < memai_json_length(calls); i++)
	{
		CHECK_FOR_INTERRUPTS();
		answer_call(loop, memai_json_item(calls, i));
	}
}

/* Leaves in the chat what all rounds took and invoked. */
static void
finish_loop(ChatLoop *loop)
{
	Chat	   *chat = loop->chat;

	chat->answer.prompt_tokens = (int) loop->prompt_tokens;
	chat->answer.completion_tokens = (int) loop->completion_tokens;
	chat->answer.cost = loop->cost;
	if (loop->invoked.len > 0)
	{
		appendStringInfoChar(&loop->invoked, ']');
		chat->tools_invoked = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(loop->invoked.data)));
	}
}

bool
memai_tool_loop_answer(ChatLoop *loop)
{
	const MemaiChatResult *answer = &loop->chat->answer;

	add_tokens(&loop->prompt_tokens, answer->prompt_tokens);
	add_tokens(&loop->completion_tokens, answer->completion_tokens);
	loop->cost += answer->cost;
	/* what is not known may be too much */
	loop->is_spent = !isnan(loop->chat->max_cost) && !(loop->cost < loop->chat->max_cost);
	if (answer->tool_calls != NULL && loop->tools != NIL && !loop->is_last)
	{
		answer_calls(loop);
		if (!loop->is_caller_asked && !loop->is_spent)
			return true;
		if (loop->is_spent)
			loop->chat->answer.finish_reason = "cost_limit";
	}
	finish_loop(loop);
	return false;
}

void
memai_tool_loop(Chat *chat)
{
	ChatLoop   *loop = memai_tool_loop_start(chat);

	do
	{
		CHECK_FOR_INTERRUPTS();
		memai_model_complete(chat->model, memai_tool_loop_request(loop), &chat->answer);
	} while (memai_tool_loop_answer(loop));
}
