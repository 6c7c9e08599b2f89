/*
 * chat_int.h
 *	  What the files of chat/ share with each other only.
 */
#ifndef MEMAI_CHAT_INT_H
#define MEMAI_CHAT_INT_H

#include "core/core.h"
#include "memory/memory.h"
#include "model/model.h"

/* ---- thread.c ---- */

typedef struct ChatThread
{
	pg_uuid_t	id;
	text	   *system_prompt;	/* NULL: none of its own */
	char	   *model;			/* NULL: the default */
} ChatThread;

/* one earlier message of a thread */
typedef struct ChatTurn
{
	pg_uuid_t	id;				/* of its episode */
	char	   *role;
	text	   *content;
} ChatTurn;

/* what an answer took */
typedef struct ChatOutcome
{
	const char *model;			/* NULL of a user's message */
	const char *finish_reason;
	int			prompt_tokens;	/* -1: unknown */
	int			completion_tokens;	/* -1: unknown */
	int			nmemory_ids;
	Datum	   *memory_ids;
} ChatOutcome;

/*
 * All of these run inside an SPI connection and return memory of the given or
 * the current context.
 */

/* The thread with that id; raises P0002 when the scope has none. */
extern void memai_thread_load(const MemaiScope *scope, const pg_uuid_t *id, ChatThread *thread);

/* Stores a new thread; sets thread->id. title and metadata may be NULL. */
extern void memai_thread_open(const MemaiScope *scope, ChatThread *thread, text *title, Jsonb *metadata);

/* The newest turns of a thread, oldest first, at most max_turns. */
extern List *memai_thread_turns(const MemaiScope *scope, const ChatThread *thread, int max_turns);

/* Stores a message and the episode that holds its text; outcome may be NULL. */
extern void memai_thread_append(const MemaiScope *scope, const ChatThread *thread, const char *role,
								text *content, const ChatOutcome *outcome);

/* ---- prompt.c ---- */

typedef struct ChatPrompt
{
	MemaiChatRequest request;
	Datum	   *memory_ids;		/* of what was recalled and found room */
	int			nmemory_ids;
	int			context_tokens; /* estimated length of blocks and memories */
	bool		persona_included;
} ChatPrompt;

/*
 * Builds the request for a model: instructions and memory as the system
 * message, the turns that fit, the user's message.  recalled is the list of
 * memai_recall_run.  Runs inside an SPI connection; the result is palloc'd in
 * the current context.
 */
extern void memai_prompt_build(ChatPrompt *prompt, const MemaiScope *scope, const MemaiModelInfo *model,
							   const text *instructions, List *turns, List *recalled,
							   int max_context_tokens, const text *message);

#endif							/* MEMAI_CHAT_INT_H */
