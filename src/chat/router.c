/*
 * router.c
 *	  What of a chat's memory and tools a message needs.
 *
 * Tools that the caller defines or names, and those of the intent, are always
 * offered; the router chooses among the other registered ones (all of them when
 * the chat names none, or "*").  By rules: those of whose name and description
 * the message has a word; memory for everything but small talk.  By a model: the
 * one of size small says it in JSON; where it fails, the rules do, and the result
 * tells so.  The user's blocks and preferences are shown whatever it decides.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "chat/router.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/snapmgr.h"

#define INSTRUCTIONS \
	"You decide what an assistant needs to answer a user's message. memory: whether it needs what it knows about the user or what was said " \
	"before (false for small talk and general knowledge). tools: the names of the tools that it may have to call, none when none is needed. " \
	"Answer with one JSON object {\"memory\": true or false, \"tools\": [names]} and nothing else." MEMAI_DATA_NOTICE

#define ANSWER_SCHEMA \
	"{\"type\":\"object\",\"properties\":{\"memory\":{\"type\":\"boolean\"},\"tools\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}," \
	"\"required\":[\"memory\",\"tools\"],\"additionalProperties\":false}"

/* messages that need no memory, without case and punctuation */
static const char *const small_talk[] = {
	"hi", "hello", "hey", "good morning", "good evening", "how are you", "thanks", "thank you", "thanks a lot", "thank you very much",
	"ok", "okay", "great", "bye", "goodbye", "hallo", "guten tag", "guten morgen", "danke", "vielen dank", "bonjour", "salut", "merci",
	"hola", "gracias", "hej", "tack", "ciao", "grazie",
};

typedef struct Routing
{
	Chat	   *chat;
	List	   *candidates;		/* of ChatTool: to choose from */
	List	   *chosen;
	bool		memory;
	const char *model;			/* that decided; NULL: the rules did */
	MemaiChatResult answer;
} Routing;

/* ---- by rules ---- */

/* A message as small_talk has it; NULL when it is too long to be any. */
static char *
plain_message(const text *message)
{
	StringInfoData plain;

	if (VARSIZE_ANY_EXHDR(message) > 40)
		return NULL;
	initStringInfo(&plain);
	for (size_t i = 0; i < VARSIZE_ANY_EXHDR(message); i++)
	{
		unsigned char c = (unsigned char) VARDATA_ANY(message)[i];

		if (c < 0x80 && !isalnum(c))
			c = ' ';
		if (c != ' ' || (plain.len > 0 && plain.data[plain.len - 1] != ' '))
			appendStringInfoChar(&plain, c < 0x80 ? tolower(c) : c);
	}
	while (plain.len > 0 && plain.data[plain.len - 1] == ' ')
		plain.data[--plain.len] = '\0';
	return plain.data;
}

static bool
is_small_talk(const text *message)
{
	char	   *plain = plain_message(message);

	if (plain == NULL)
		return false;
	for (size_t i = 0; i < lengthof(small_talk); i++)
		if (strcmp(plain, small_talk[i]) == 0)
			return true;
	return plain[0] == '\0';
}

static bool
share_a_term(int na, const uint32 *a, int nb, const uint32 *b)
{
	for (int i = 0; i < na; i++)
		for (int j = 0; j < nb; j++)
			if (a[i] == b[j])
				return true;
	return false;
}

static void
route_by_rules(Routing *routing)
{
	const text *message = routing->chat->message;
	uint32	   *asked;
	int			nasked = memai_text_query_terms(VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message), &asked);
	ListCell   *cell;

	routing->memory = !is_small_talk(message);
	foreach(cell, routing->candidates)
	{
		ChatTool   *tool = lfirst(cell);
		char	   *words = psprintf("%s %s", tool->name, tool->description ? tool->description : "");
		uint32	   *terms;
		int			n;

		CHECK_FOR_INTERRUPTS();
		for (char *c = words; *c != '\0'; c++)
			if (*c == '_' || *c == '-')
				*c = ' ';
		n = memai_text_query_terms(words, strlen(words), &terms);
		if (share_a_term(nasked, asked, n, terms))
			routing->chosen = lappend(routing->chosen, tool);
	}
}

/* ---- by a model ---- */

static MemaiSpan
string_span(const char *string)
{
	MemaiSpan	span = {string, strlen(string)};

	return span;
}

static char *
describe(const Routing *routing)
{
	StringInfoData tools;
	StringInfoData out;
	ListCell   *cell;

	initStringInfo(&tools);
	foreach(cell, routing->candidates)
	{
		ChatTool   *tool = lfirst(cell);

		appendStringInfo(&tools, "%s: %s\n", tool->name, tool->description ? tool->description : "");
	}
	initStringInfo(&out);
	(void) memai_context_text(memai_context_open(PG_INT32_MAX), &out, "tools", tools.data, tools.len);
	(void) memai_context_text(memai_context_open(PG_INT32_MAX), &out, "message", VARDATA_ANY(routing->chat->message),
							  VARSIZE_ANY_EXHDR(routing->chat->message));
	return out.data;
}

static bool
is_named(const char *name, MemaiJson *names)
{
	for (int i = 0; i < memai_json_length(names); i++)
	{
		char	   *other = memai_json_text(memai_json_item(names, i));

		if (other != NULL && strcmp(name, other) == 0)
			return true;
	}
	return false;
}

static void
read_answer(Routing *routing, const MemaiModelInfo *model)
{
	const char *broken;
	MemaiJson  *json = memai_json_parse_server(routing->answer.content, &broken);
	MemaiJson  *names = memai_json_get(json, "tools");
	ListCell   *cell;

	if (!memai_json_bool(memai_json_get(json, "memory"), &routing->memory) || !memai_json_is_array(names))
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_BAD_RESPONSE),
				 errmsg("model \"%s\" did not answer as a router", model->name)));
	foreach(cell, routing->candidates)
		if (is_named(((ChatTool *) lfirst(cell))->name, names))
			routing->chosen = lappend(routing->chosen, lfirst(cell));
	routing->model = routing->answer.model ? routing->answer.model : model->name;
}

static void
route_by_model(void *arg)
{
	Routing    *routing = arg;
	MemaiModelInfo *model = memai_model_lookup_for(&routing->chat->scope, "small", "chat");
	MemaiChatMessage messages[2] = {{.role = "system"}, {.role = "user"}};
	MemaiChatRequest request = {.nmessages = 2, .messages = messages, .temperature = 0, .json_schema = ANSWER_SCHEMA};

	if (model->is_local)
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_REFUSED),
				 errmsg("model \"%s\" follows no instructions", model->name)));
	messages[0].content = string_span(INSTRUCTIONS);
	messages[1].content = string_span(describe(routing));
	memai_model_complete(model, &request, &routing->answer);
	read_answer(routing, model);
}

/* ---- the decision ---- */

static void
note_decision(const Routing *routing, const char *problem)
{
	Chat	   *chat = routing->chat;
	StringInfoData json;
	ListCell   *cell;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"by\":\"%s\",\"memory\":%s,\"considered\":%d,\"tools\":[", routing->model ? "model" : "rules",
					 routing->memory ? "true" : "false", list_length(routing->candidates));
	foreach(cell, routing->chosen)
	{
		if (json.data[json.len - 1] != '[')
			appendStringInfoChar(&json, ',');
		escape_json(&json, ((ChatTool *) lfirst(cell))->name);
	}
	appendStringInfoChar(&json, ']');
	if (routing->model != NULL)
	{
		appendStringInfoString(&json, ",\"model\":");
		escape_json(&json, routing->model);
	}
	if (problem != NULL)
	{
		appendStringInfoString(&json, ",\"error\":");
		escape_json(&json, problem);
	}
	appendStringInfoChar(&json, '}');
	chat->routing = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
	chat->recall_wanted = routing->memory;
}

/* What was spent on the decision counts as the turn's, even when the rules had to decide. */
static void
note_usage(const Routing *routing)
{
	Chat	   *chat = routing->chat;

	if (routing->answer.content == NULL)
		return;
	chat->routing_prompt_tokens = routing->answer.prompt_tokens;
	chat->routing_completion_tokens = routing->answer.completion_tokens;
	chat->routing_cost = routing->answer.cost;
}

void
memai_router_apply(Chat *chat)
{
	Routing		routing = {.chat = chat};
	ErrorData  *error = NULL;
	char	   *problem = NULL;

	chat->recall_wanted = true;
	memai_see_own_changes();
	chat->toolset = memai_tools_load(chat->tools, chat->intent, chat->router == CHAT_ROUTER_OFF ? NULL : &routing.candidates);
	PopActiveSnapshot();
	if (chat->router == CHAT_ROUTER_OFF)
		return;
	if (chat->router == CHAT_ROUTER_MODEL)
	{
		error = memai_chat_call(chat, route_by_model, &routing, memai_chat_is_model_error);
		if (error != NULL)
			problem = psprintf("%s: %s", unpack_sql_state(error->sqlerrcode), error->message);
	}
	if (routing.model == NULL)
	{
		routing.chosen = NIL;
		route_by_rules(&routing);
	}
	note_usage(&routing);
	note_decision(&routing, problem);
	chat->toolset = list_concat(chat->toolset, routing.chosen);
}
