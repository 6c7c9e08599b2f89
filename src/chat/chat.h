/*
 * chat.h
 *	  Conversations: threads, prompts, chat.
 */
#ifndef MEMAI_CHAT_H
#define MEMAI_CHAT_H

/* Settings. */
extern void memai_chat_init(void);

#endif							/* MEMAI_CHAT_H */
