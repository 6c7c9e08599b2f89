/*
 * messages.c
 *	  A chat request from SQL's arguments, checked before anything is sent.
 */
#include "postgres.h"

#include <math.h>

#include "json/json.h"
#include "model/messages.h"
#include "model/registry.h"

#define MAX_MESSAGES 10000

static const MemaiOption call_options[] = {
	{"cache_ttl", MEMAI_OPTION_INTEGER, 0, 366 * 86400.0},
	{"frequency_penalty", MEMAI_OPTION_NUMBER, -2, 2},
	{"json_schema", MEMAI_OPTION_OBJECT, 0, 0},
	{"max_tokens", MEMAI_OPTION_INTEGER, 1, 1e9},
	{"presence_penalty", MEMAI_OPTION_NUMBER, -2, 2},
	{"stop", MEMAI_OPTION_ARRAY, 0, 0},
	{"stream", MEMAI_OPTION_BOOLEAN, 0, 0},
	{"temperature", MEMAI_OPTION_NUMBER, 0, 2},
	{"tool_choice", MEMAI_OPTION_TEXT, 0, 0},
	{"tools", MEMAI_OPTION_ARRAY, 0, 0},
	{"top_p", MEMAI_OPTION_NUMBER, 0, 1},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static void
refuse_message(int index, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("message %d of the call %s", index + 1, problem),
			 errhint("Messages are [{\"role\": \"system|user|assistant|tool\", \"content\": \"...\"}].")));
}

/* the tools of a call: each an object with a name */
static void
check_tools(const Jsonb *options)
{
	char	   *json = memai_option_json(options, "tools");
	const char *problem;
	MemaiJson  *tools = json ? memai_json_parse_server(json, &problem) : NULL;
	const char *name;
	size_t		len;

	for (int i = 0; i < memai_json_length(tools); i++)
		if (!memai_json_string(memai_json_get(memai_json_item(tools, i), "name"), &name, &len) ||
			len == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("tool %d of the call has no name", i + 1),
					 errhint("Tools are [{\"name\": \"...\", \"description\": \"...\", \"parameters\": {}}].")));
}

void
memai_chat_request_set_options(MemaiChatRequest *request, Jsonb *options)
{
	memai_options_check(options, "a call", call_options);
	check_tools(options);
	request->temperature = memai_option_number(options, "temperature", NAN);
	request->max_tokens = memai_option_int(options, "max_tokens", 0);
	request->top_p = memai_option_number(options, "top_p", 0);
	request->presence_penalty = memai_option_number(options, "presence_penalty", 0);
	request->frequency_penalty = memai_option_number(options, "frequency_penalty", 0);
	request->tools = memai_option_json(options, "tools");
	request->tool_choice = memai_option_text(options, "tool_choice");
	request->json_schema = memai_option_json(options, "json_schema");
	request->stop = memai_option_json(options, "stop");
	request->cache_ttl = memai_option_int(options, "cache_ttl", -1);
	request->has_cache_ttl = request->cache_ttl >= 0;
}

/* one of the four roles as a constant; NULL for anything else */
static const char *
known_role(MemaiJson *json)
{
	static const char *const roles[] = {"system", "user", "assistant", "tool"};
	char	   *text = memai_json_text(json);

	for (int i = 0; text != NULL && i < (int) lengthof(roles); i++)
		if (strcmp(roles[i], text) == 0)
			return roles[i];
	return NULL;
}

static void
read_message(MemaiChatMessage *message, int index, MemaiJson *json)
{
	char	   *content = memai_json_text(memai_json_get(json, "content"));
	MemaiJson  *tool_calls = memai_json_get(json, "tool_calls");

	message->role = known_role(memai_json_get(json, "role"));
	if (message->role == NULL)
		refuse_message(index, "has no role, or an unknown one");
	if (memai_json_length(tool_calls) > 0)
	{
		char	   *text = memai_json_serialize(tool_calls);

		message->tool_calls = memai_json_server_text(text, strlen(text));
	}
	if (content == NULL && message->tool_calls == NULL)
		refuse_message(index, "has no content");
	message->content.data = content ? content : "";
	message->content.len = strlen(message->content.data);
	message->tool_call_id = memai_json_text(memai_json_get(json, "tool_call_id"));
	message->tool_name = memai_json_text(memai_json_get(json, "name"));
	if (strcmp(message->role, "tool") == 0 && message->tool_call_id == NULL)
		refuse_message(index, "is the result of a tool and has no tool_call_id");
}

void
memai_chat_request_from_jsonb(MemaiChatRequest *request, Jsonb *messages, Jsonb *options)
{
	char	   *text = JsonbToCString(NULL, &messages->root, VARSIZE(messages));
	const char *problem;
	MemaiJson  *list = memai_json_parse_server(text, &problem);
	MemaiChatMessage *read;
	int			n = memai_json_length(list);

	if (n == 0 || n > MAX_MESSAGES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("messages must be a JSON array of 1 to %d messages", MAX_MESSAGES)));
	read = palloc0(sizeof(MemaiChatMessage) * n);
	for (int i = 0; i < n; i++)
		read_message(&read[i], i, memai_json_item(list, i));
	memset(request, 0, sizeof(MemaiChatRequest));
	request->nmessages = n;
	request->messages = read;
	memai_chat_request_set_options(request, options);
}
