/*
 * messages.h
 *	  A chat request from SQL's arguments.  Private to model/.
 */
#ifndef MEMAI_MODEL_MESSAGES_H
#define MEMAI_MODEL_MESSAGES_H

#include "model/provider.h"

/*
 * Fills request from a list of messages [{"role", "content", ...}] and an
 * options object.  Everything is palloc'd in the current context.  Raises 22023
 * naming the message at fault.
 */
extern void memai_chat_request_from_jsonb(MemaiChatRequest *request, Jsonb *messages,
										  Jsonb *options);

/* Fills the members that options decides; messages stay as they are. */
extern void memai_chat_request_set_options(MemaiChatRequest *request, Jsonb *options);

#endif							/* MEMAI_MODEL_MESSAGES_H */
