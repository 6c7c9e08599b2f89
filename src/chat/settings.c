/*
 * settings.c
 *	  Settings of chat/.
 */
#include "postgres.h"

#include <math.h>

#include "chat/chat_int.h"
#include "utils/guc.h"

static bool extract = true;
static bool follow_language = true;
static int	recent_exchanges = 5;
static int	max_tool_rounds = 5;
static int	summary_messages = 10;
static int	router = CHAT_ROUTER_OFF;
static double source_share = 0.5;

static const struct config_enum_entry routers[] = {
	{"off", CHAT_ROUTER_OFF, false},
	{"rules", CHAT_ROUTER_RULES, false},
	{"model", CHAT_ROUTER_MODEL, false},
	{NULL, 0, false}
};

bool
memai_chat_extract(void)
{
	return extract;
}

bool
memai_chat_follow_language(void)
{
	return follow_language;
}

int
memai_chat_recent_messages(void)
{
	return 2 * recent_exchanges;
}

int
memai_chat_max_of_source(int k)
{
	return source_share >= 1 ? 0 : Max((int) ceil(source_share * k), 1);
}

int
memai_chat_max_tool_rounds(void)
{
	return max_tool_rounds;
}

int
memai_chat_summary_messages(void)
{
	return summary_messages;
}

ChatRouter
memai_chat_default_router(void)
{
	return router;
}

ChatRouter
memai_chat_router(const char *name)
{
	for (const struct config_enum_entry *entry = routers; entry->name != NULL; entry++)
		if (strcmp(entry->name, name) == 0)
			return entry->val;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no router \"%s\"", name),
			 errhint("It is 'off', 'rules' or 'model'.")));
	return CHAT_ROUTER_OFF;
}

void
memai_chat_init(void)
{
	memai_summary_init();
	memai_persona_init();
	memai_notify_init();
	DefineCustomBoolVariable("memai.chat_extract",
							 "Lets a job take memories from what users say in chats.",
							 "The chat's model does it. A chat with use_memory => false, or with a model that only quotes, does not.",
							 &extract, true, PGC_USERSET, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("memai.chat_follow_language",
							 "Lets chat ask for answers in the language of the message.",
							 "A preference \"language\" of the user names another. Instructions of your own that name a language are left alone.",
							 &follow_language, true, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("memai.chat_max_tool_rounds",
							"Sets how often a chat may go back to the model with results of tools.",
							"After so many rounds the model is asked for its answer without tools.",
							&max_tool_rounds, 5, 0, 50, PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("memai.chat_recent_exchanges",
							"Sets how many earlier exchanges a chat without a thread is shown.",
							"An exchange is a message and its answer. Threads show as many messages as max_messages says.",
							&recent_exchanges, 5, 0, 100, PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomRealVariable("memai.chat_source_share",
							 "Sets which share of what a chat recalls may be of one source.",
							 "A source is a conversation, or all that tools (assistants, documents, ...) said. "
							 "All but tools and assistants may have the room that others leave. One is no limit.",
							 &source_share, 0.5, 0, 1, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("memai.chat_summary_messages",
							"Sets how many messages are summed up at once before they leave the window of a thread.",
							"A job does it. Zero makes no summaries but those of memai.summarize_thread.",
							&summary_messages, 10, 0, 1000, PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("memai.chat_router",
							 "Sets who decides what of memory and tools a message needs.",
							 "off: all of it is used; rules: words decide; model: the chat model of size small does.",
							 &router, CHAT_ROUTER_OFF, routers, PGC_USERSET, 0,
							 NULL, NULL, NULL);
}
