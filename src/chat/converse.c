/*
 * converse.c
 *	  CALL memai.converse(): what memai.chat does, in short transactions.
 *
 *	  recall, store the message -> commit -> the model thinks -> begin
 *		-> (run tools -> commit -> the model thinks -> begin) -> store the answer
 *
 * While the model thinks there is no snapshot and nothing is locked, so a slow
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

/* Asks once; what was done before is committed. */
static void
ask(Chat *chat, ChatLoop *loop)
{
	memai_wait_set_hooks(&wait_hooks);
	PG_TRY();
	{
		memai_model_complete(chat->model, memai_tool_loop_request(loop), &chat->answer);
	}
	PG_FINALLY();
	{
		memai_wait_set_hooks(NULL);
	}
	PG_END_TRY();
}

static void
converse(Chat *chat)
{
	ChatLoop   *loop;

	enter();
	memai_chat_open(chat);
	memai_chat_hear(chat);
	leave();
	enter();
	loop = memai_tool_loop_start(chat);
	do
	{
		CHECK_FOR_INTERRUPTS();
		ask(chat, loop);
	} while (memai_tool_loop_answer(loop));
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
