/*
 * router.h
 *	  What of a chat's memory and tools a message needs.  Private to chat/.
 */
#ifndef MEMAI_CHAT_ROUTER_H
#define MEMAI_CHAT_ROUTER_H

#include "chat/tool.h"

/*
 * Decides for a chat with a router, before anything is recalled: sets
 * chat->recall_wanted, chat->toolset and chat->routing.  Without a router all of
 * memory is wanted, and the tools that the chat names.  May call a model, as
 * chat->calls says.  The caller is connected to SPI.
 */
extern void memai_router_apply(Chat *chat);

#endif							/* MEMAI_CHAT_ROUTER_H */
