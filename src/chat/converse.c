/*
 * converse.c
 *	  CALL memai.converse(): what memai.chat does, in short transactions.
 *
 *	  recall, store the message -> commit -> the model thinks -> begin
 *		-> (run tools -> commit -> the model thinks -> begin) -> store the answer
 *
 * While the model thinks, or one that embeds the message or decides what it
 * needs (prepare.c), there is no snapshot and nothing is locked, so a slow
 * model holds back neither VACUUM nor anybody else.  What was said stays when the
 * model fails: it is committed before.  Everything lives in the memory of the
 * SPI connection, which a commit leaves alone.
 */
#include "postgres.h"

#include "access/xact.h"
#include "chat/tool.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(memai_converse);

/* A procedure that commits has no settings of its own. */
static void
enter(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
leave(void)
{
	MemoryContext context = CurrentMemoryContext;

	PopActiveSnapshot();
	SPI_commit();
	MemoryContextSwitchTo(context);
}

static const MemaiWaitHooks wait_hooks = {leave, enter};

static void
begin_calls(void)
{
	memai_wait_set_hooks(&wait_hooks);
}

static void
end_calls(void)
{
	memai_wait_set_hooks(NULL);
}

static const ChatCalls calls = {begin_calls, end_calls};

typedef struct Asking
{
	Chat	   *chat;
	ChatLoop   *loop;
} Asking;

static void
ask(void *arg)
{
	Asking	   *asking = arg;

	memai_model_complete(asking->chat->model, memai_tool_loop_request(asking->loop), &asking->chat->answer);
}

static void
converse(Chat *chat)
{
	Asking		asking = {.chat = chat};

	chat->calls = &calls;
	enter();
	/* may commit, so there is nothing to commit yet: neither a thread nor a message without the other */
	memai_chat_prepare(chat);
	memai_chat_open_thread(chat);
	(void) memai_chat_note(chat);
	leave();
	enter();
	asking.loop = memai_tool_loop_start(chat);
	do
	{
		CHECK_FOR_INTERRUPTS();
		(void) memai_chat_call(chat, ask, &asking, NULL);
	} while (memai_tool_loop_answer(asking.loop));
	chat->answered = true;
	memai_chat_store_answer(chat);
}

/* converse(...): the arguments of chat, then INOUT result jsonb */
Datum
memai_converse(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	MemoryContext result_context = CurrentMemoryContext;
	Chat		chat = {0};
	TupleDesc	desc;
	Datum		result;
	bool		null = false;

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("converse commits and cannot run inside a transaction block or function"),
				 errhint("Use CALL memai.converse(...) by itself, or memai.chat.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memai_chat_arguments(fcinfo, &chat);
	if (!chat.raise_errors)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("converse raises its errors"),
				 errhint("Leave on_error out, or use memai.chat.")));
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	converse(&chat);
	MemoryContextSwitchTo(result_context);
	result = memai_chat_result_json(&chat);
	PopActiveSnapshot();
	SPI_finish();
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), &result, &null));
}
