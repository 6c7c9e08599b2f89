/*
 * stream.c
 *	  memai.chat_stream: chat, with the answer in pieces as the model speaks.
 *
 * One row a call, so that whoever fetches row by row sees each piece when it
 * arrives: before it waits for the next one, what the executor has sent so far
 * is flushed to the client.  Between calls there is no SPI connection; the
 * state lives as long as the set.
 *
 * Whoever stops fetching early (LIMIT, CLOSE, the end of the transaction) gets
 * what was said until then stored, marked as cancelled.  A cancelled or failed
 * statement stores nothing, as nothing of an aborted transaction stays.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "chat/tool.h"
#include "funcapi.h"
/* only pq_flush is wanted of it, not the headers of Kerberos */
#undef ENABLE_GSS
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(memai_chat_stream);

typedef struct ChatStream
{
	Chat		chat;
	MemoryContext context;		/* that all of it lives in */
	ChatLoop   *loop;
	MemaiModelStream *stream;
	StringInfoData said;		/* of the answer that is under way */
	bool		is_stored;
} ChatStream;

/* Connects to SPI, but allocates where the stream lives. */
static void
connect_spi(ChatStream *stream)
{
	SPI_connect();
	MemoryContextSwitchTo(stream->context);
}

static void
open_answer(ChatStream *stream)
{
	stream->stream = memai_model_stream_open(stream->chat.model, memai_tool_loop_request(stream->loop));
	resetStringInfo(&stream->said);
}

/* The reader has left: what it read is what was said. */
static void
store_cut_answer(Datum arg)
{
	ChatStream *stream = (ChatStream *) DatumGetPointer(arg);
	MemoryContext old = MemoryContextSwitchTo(stream->context);
	MemaiChatResult *answer = &stream->chat.answer;

	if (!stream->is_stored)
	{
		stream->is_stored = true;
		memset(answer, 0, sizeof(MemaiChatResult));
		answer->content = stream->said.data;
		answer->finish_reason = "cancelled";
		answer->prompt_tokens = answer->completion_tokens = -1;
		answer->cost = NAN;
		memai_model_stream_close(stream->stream);
		PushActiveSnapshot(GetTransactionSnapshot());
		connect_spi(stream);
		memai_chat_store_answer(&stream->chat);
		SPI_finish();
		PopActiveSnapshot();
	}
	MemoryContextSwitchTo(old);
}

static ChatStream *
start(FunctionCallInfo fcinfo, FuncCallContext *context)
{
	MemoryContext old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
	ChatStream *stream = palloc0(sizeof(ChatStream));
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;

	stream->context = context->multi_call_memory_ctx;
	initStringInfo(&stream->said);
	memai_chat_arguments(fcinfo, &stream->chat);
	if (!stream->chat.raise_errors)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a stream raises its errors"),
				 errhint("Leave on_error out, or use memai.chat.")));
	connect_spi(stream);
	memai_chat_open(&stream->chat);
	memai_chat_hear(&stream->chat);
	stream->loop = memai_tool_loop_start(&stream->chat);
	SPI_finish();
	MemoryContextSwitchTo(stream->context);
	open_answer(stream);
	RegisterExprContextCallback(set->econtext, store_cut_answer, PointerGetDatum(stream));
	MemoryContextSwitchTo(old);
	return stream;
}

/* Reads to the end of an answer; true when tools were run and the model goes on. */
static bool
end_answer(ChatStream *stream)
{
	bool		goes_on;

	memai_model_stream_result(stream->stream, &stream->chat.answer);
	memai_model_stream_close(stream->stream);
	connect_spi(stream);
	goes_on = memai_tool_loop_answer(stream->loop);
	if (!goes_on)
	{
		stream->is_stored = true;
		stream->chat.answered = true;
		memai_chat_store_answer(&stream->chat);
	}
	SPI_finish();
	MemoryContextSwitchTo(stream->context);
	if (goes_on)
		open_answer(stream);
	return goes_on;
}

/* The next piece of text; false at the end of the last answer. */
static bool
next_piece(ChatStream *stream, const char **piece)
{
	MemoryContext old = MemoryContextSwitchTo(stream->context);
	bool		found;

	do
	{
		CHECK_FOR_INTERRUPTS();
		found = memai_model_stream_next(stream->stream, piece);
	} while (!found && end_answer(stream));
	if (found)
		appendStringInfoString(&stream->said, *piece);
	MemoryContextSwitchTo(old);
	return found;
}

/* chat_stream(...) returns setof record: the arguments of chat; volatile */
Datum
memai_chat_stream(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	ChatStream *stream;
	const char *piece;
	Datum		values[3] = {0};
	bool		nulls[3] = {false};
	bool		is_piece;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &context->tuple_desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		context->tuple_desc = BlessTupleDesc(context->tuple_desc);
		MemoryContextSwitchTo(old);
		context->user_fctx = start(fcinfo, context);
	}
	else if (whereToSendOutput == DestRemote)
		(void) pq_flush();

	context = SRF_PERCALL_SETUP();
	stream = context->user_fctx;
	if (stream->is_stored)
	{
		UnregisterExprContextCallback(((ReturnSetInfo *) fcinfo->resultinfo)->econtext, store_cut_answer, PointerGetDatum(stream));
		SRF_RETURN_DONE(context);
	}
	is_piece = next_piece(stream, &piece);
	nulls[0] = !is_piece;
	nulls[2] = is_piece;
	if (is_piece)
		values[0] = CStringGetTextDatum(piece);
	else
		values[2] = memai_chat_result_json(&stream->chat);
	values[1] = BoolGetDatum(!is_piece);
	SRF_RETURN_NEXT(context, HeapTupleGetDatum(heap_form_tuple(context->tuple_desc, values, nulls)));
}
