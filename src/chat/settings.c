/*
 * settings.c
 *	  Settings of chat/.
 */
#include "postgres.h"

#include "chat/chat_int.h"
#include "utils/guc.h"

static int	recent_exchanges = 5;
static int	max_tool_rounds = 5;

int
memai_chat_recent_messages(void)
{
	return 2 * recent_exchanges;
}

int
memai_chat_max_tool_rounds(void)
{
	return max_tool_rounds;
}

void
memai_chat_init(void)
{
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
}
