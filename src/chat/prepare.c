/*
 * prepare.c
 *	  What happens before a chat model is asked: the intent, the router, recall,
 *	  the prompt.
 *
 *	  intent by words -> (embed the message) -> intent by meaning, tools
 *		-> (ask the router's model) -> (embed the message) -> recall, prompt
 *
 * What stands in brackets may call a remote model.  chat, its stream and its preview do so
 * in the caller's transaction.  Forms that commit set chat->calls: then nothing
 * is held meanwhile, each of the other steps has a snapshot of its own, and
 * everything lives in a context that no commit resets.
 */
#include "postgres.h"

#include "chat/chat_int.h"
#include "chat/router.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

/* ---- calls ---- */

/* Errors of class MA are raised with nothing open but what begin and end know of: see model/fallback.c. */
static ErrorData *
call_outside(const ChatCalls *calls, void (*body) (void *), void *arg, bool (*wanted) (const ErrorData *))
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	calls->begin();
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (wanted == NULL || !wanted(error))
		{
			memai_wait_set_hooks(NULL);
			PG_RE_THROW();
		}
		FlushErrorState();
		memai_wait_end();
	}
	PG_END_TRY();
	calls->end();
	MemoryContextSwitchTo(context);
	return error;
}

ErrorData *
memai_chat_call(const Chat *chat, void (*body) (void *), void *arg, bool (*wanted) (const ErrorData *))
{
	if (chat->calls != NULL)
		return call_outside(chat->calls, body, arg, wanted);
	if (wanted != NULL)
		return memai_catch(body, arg, wanted);
	body(arg);
	return NULL;
}

/* ---- the question's vector ---- */

typedef struct Embedding
{
	Chat	   *chat;
	MemaiModelInfo *model;
} Embedding;

static void
embed(void *arg)
{
	Embedding  *embedding = arg;
	Chat	   *chat = embedding->chat;
	MemaiSpan	span = {VARDATA_ANY(chat->message), VARSIZE_ANY_EXHDR(chat->message)};

	memai_model_embed(embedding->model, MEMAI_INPUT_QUERY, 1, &span, &chat->question);
}

/* Embeds the message with a model (NULL: the default) unless that was done. */
static void
embed_message(Chat *chat, const char *name)
{
	Embedding	embedding = {chat, memai_model_lookup_for(&chat->scope, name, "embed")};

	if (chat->question_model != NULL && strcmp(chat->question_model, embedding.model->name) == 0)
		return;
	(void) memai_chat_call(chat, embed, &embedding, NULL);
	chat->question_model = embedding.model->name;
}

/* ---- steps with a snapshot ---- */

static void
choose_intent(Chat *chat)
{
	char	   *model;

	memai_see_own_changes();
	model = memai_intent_by_words(chat);
	PopActiveSnapshot();
	if (model != NULL)
		embed_message(chat, model);
	memai_see_own_changes();
	if (model != NULL)
		memai_intent_by_meaning(chat, model);
	memai_intent_load(chat);
	PopActiveSnapshot();
}

static bool
is_heard(const Chat *chat, const pg_uuid_t *id)
{
	return chat->heard != NULL && memcmp(chat->heard, id, UUID_LEN) == 0;
}

/* the newest turns but the message itself */
static List *
earlier_turns(const Chat *chat)
{
	int			max = chat->thread.is_single ? Min(memai_chat_recent_messages(), chat->max_messages) : chat->max_messages;
	List	   *turns = memai_thread_turns(&chat->thread, chat->heard ? max + 1 : max);
	ListCell   *cell;

	foreach(cell, turns)
	{
		if (is_heard(chat, &((ChatTurn *) lfirst(cell))->id))
			turns = foreach_delete_current(turns, cell);
	}
	return list_copy_tail(turns, Max(list_length(turns) - max, 0));
}

/* what memory has on the message, but not the message itself */
static List *
recall(const Chat *chat, MemoryContext context)
{
	MemaiRecallQuery query = {
		.scope = &chat->scope,
		.query = chat->message,
		.k = Min(chat->heard ? chat->k + 1 : chat->k, MEMAI_RECALL_MAX_K),
		.filter = chat->filter,
		.model = chat->question_model,
		.vector = chat->question,
		.max_per_thread = memai_chat_max_of_source(chat->k),
		.limit_others = true,
	};
	List	   *recalled = memai_recall_run(&query, context, NULL);
	ListCell   *cell;

	foreach(cell, recalled)
	{
		if (is_heard(chat, &((MemaiRecalled *) lfirst(cell))->id))
			recalled = foreach_delete_current(recalled, cell);
	}
	return list_truncate(recalled, chat->k);
}

void
memai_chat_build_prompt(Chat *chat)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *recalled = NIL;
	List	   *turns;
	bool		wants_memory;

	choose_intent(chat);
	MemoryContextSwitchTo(context);
	memai_router_apply(chat);
	MemoryContextSwitchTo(context);
	wants_memory = chat->use_memory && chat->recall_wanted;
	/* else recall does it */
	if (wants_memory && (chat->calls != NULL || chat->question != NULL))
		embed_message(chat, NULL);

	memai_see_own_changes();
	if (wants_memory)
		recalled = recall(chat, context);
	/* recall and sources leave SPI's */
	MemoryContextSwitchTo(context);
	turns = earlier_turns(chat);
	memai_intent_apply(chat);
	MemoryContextSwitchTo(context);
	chat->prompt = memai_prompt_build(chat, memai_preferences_text(&chat->scope), turns, recalled);
	PopActiveSnapshot();
}
