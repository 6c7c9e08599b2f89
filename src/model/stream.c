/*
 * stream.c
 *	  Chat answers in pieces, whatever the provider's format.
 *
 * A stream reads events until one brought text, and hands that out.  It ends
 * when the format's own last event has been read; a connection that closes
 * before it is an error, because half an answer looks like a whole one.
 */
#include "postgres.h"

#include "model/usage.h"
#include "model/wire.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MAX_STREAMED_TOOLS 128

struct MemaiModelStream
{
	MemoryContext context;		/* holds this struct and all it needs */
	MemoryContext scratch;		/* reset for each event */
	const MemaiWire *wire;		/* NULL when the answer was whole from the start */
	const MemaiModel *model;
	MemaiWireSource *source;
	StringInfoData pending;		/* bytes of the body that are no event yet */
	bool		sse_started;
	StringInfoData piece;		/* what next handed out last */
	StringInfoData whole;		/* all text so far, for the result */
	MemaiWireStream state;
	char	   *tool_calls;		/* of a whole answer */
	double		cost;			/* the same */
	bool		cached;			/* the same */
	MemaiWireCache cache;		/* where to keep one that was streamed */
	const char *model_name;		/* of the model that answers */
};

static MemaiModelStream *
new_stream(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai model stream",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemaiModelStream *stream = palloc0(sizeof(MemaiModelStream));

	stream->context = stream->state.context = context;
	stream->scratch = AllocSetContextCreate(context, "memai model stream event",
											ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&stream->pending);
	initStringInfo(&stream->piece);
	initStringInfo(&stream->whole);
	initStringInfo(&stream->state.text);
	stream->state.prompt_tokens = stream->state.completion_tokens = -1;
	MemoryContextSwitchTo(old);
	return stream;
}

MemaiModelStream *
memai_wire_stream_open(const MemaiWire *wire, const MemaiModel *model, const MemaiChatRequest *request)
{
	MemaiWireCache cache;
	MemaiChatResult kept = {.prompt_tokens = -1,.completion_tokens = -1};
	MemaiModelStream *stream;
	MemoryContext old;
	MemaiWireRequest *out;

	if (memai_wire_cached(wire, model, request, MEMAI_OPERATION_STREAM, &cache, &kept))
		return memai_wire_stream_whole(&kept);
	stream = new_stream();
	old = MemoryContextSwitchTo(stream->context);
	out = palloc0(sizeof(MemaiWireRequest));
	stream->wire = wire;
	stream->model = model;
	stream->cache = cache;
	initStringInfo(&out->body);
	wire->write_chat(model, request, true, out);
	out->max_output = memai_wire_max_tokens(model, request);
	stream->source = memai_wire_source_open(wire, model, out);
	MemoryContextSwitchTo(old);
	return stream;
}

MemaiModelStream *
memai_wire_stream_whole(const MemaiChatResult *result)
{
	MemaiModelStream *stream = new_stream();

	appendStringInfoString(&stream->state.text, result->content);
	stream->state.complete = true;
	stream->state.finish_reason = result->finish_reason;
	stream->state.prompt_tokens = result->prompt_tokens;
	stream->state.completion_tokens = result->completion_tokens;
	stream->cost = result->cost;
	stream->cached = result->cached;
	if (result->tool_calls != NULL)
		stream->tool_calls = MemoryContextStrdup(stream->context, result->tool_calls);
	return stream;
}

void
memai_wire_stream_text(MemaiWireStream *stream, MemaiJson *json)
{
	char	   *text = memai_json_text(json);

	if (text != NULL)
		appendStringInfoString(&stream->text, text);
}

MemaiStreamedTool *
memai_wire_stream_tool(MemaiWireStream *stream, int64 index)
{
	if (index < 0 || index > stream->ntools || index >= MAX_STREAMED_TOOLS)
		return NULL;
	if (index == stream->ntools)
	{
		MemoryContext old = MemoryContextSwitchTo(stream->context);

		if (stream->tools == NULL)
			stream->tools = palloc(sizeof(MemaiStreamedTool) * MAX_STREAMED_TOOLS);
		initStringInfo(&stream->tools[index].id);
		initStringInfo(&stream->tools[index].name);
		initStringInfo(&stream->tools[index].arguments);
		initStringInfo(&stream->tools[index].signature);
		stream->ntools++;
		MemoryContextSwitchTo(old);
	}
	return &stream->tools[index];
}

void
memai_wire_stream_part(StringInfo part, MemaiJson *json)
{
	const char *data;
	size_t		len;

	if (memai_json_string(json, &data, &len))
		appendBinaryStringInfo(part, data, (int) len);
}

/* one event: its data is JSON, or a word such as [DONE] */
static void
read_event(MemaiModelStream *stream, const MemaiSseEvent *event)
{
	MemoryContext old = MemoryContextSwitchTo(stream->scratch);
	char	   *data = pnstrdup(event->data, event->data_len);
	const char *problem;
	MemaiJson  *root = memai_json_parse(event->data, event->data_len, &problem);

	if (root == NULL && data[0] == '{')
		memai_wire_bad_response(stream->model, psprintf("the JSON of an event is broken: %s", problem));
	if (memai_json_get(root, "error") != NULL)
		memai_wire_source_error(stream->source, event->data, event->data_len);
	stream->wire->read_event(stream->model, root, data, &stream->state);
	MemoryContextSwitchTo(old);
	MemoryContextReset(stream->scratch);
}

/* reads the events that are complete in pending */
static void
read_pending(MemaiModelStream *stream)
{
	StringInfo	pending = &stream->pending;
	size_t		done = 0;
	size_t		consumed;
	bool		found;

	do
	{
		MemaiSseEvent event;

		CHECK_FOR_INTERRUPTS();
		found = stream->wire->line_stream
			? memai_line_next(pending->data + done, pending->len - done, &consumed, &event)
			: memai_sse_next(pending->data + done, pending->len - done, &stream->sse_started,
							 &consumed, &event);
		if (found && !stream->state.complete)
			read_event(stream, &event);
		done += consumed;
	} while (found);
	pending->len -= (int) done;
	memmove(pending->data, pending->data + done, pending->len + 1);
}

static void
raise_broken_off(const MemaiModelStream *stream)
{
	ereport(ERROR,
			(errcode(ERRCODE_MEMAI_TRUNCATED),
			 errmsg("call to model \"%s\" failed: the answer broke off",
					stream->model->info.name),
			 errdetail("The stream ended before its last event.")));
}

/* the tool calls that were assembled, as in MemaiChatResult */
static char *
assembled_tool_calls(const MemaiWireStream *state)
{
	MemaiToolCallList list;

	memai_tool_calls_start(&list);
	for (int i = 0; i < state->ntools; i++)
	{
		memai_tool_calls_add_text(&list, &state->tools[i].id, &state->tools[i].name,
								  &state->tools[i].arguments);
		memai_tool_calls_sign_text(&list, &state->tools[i].signature);
	}
	return memai_tool_calls_finish(&list);
}

/* what has been read, as a result; text of it may not be handed out yet */
static void
describe_answer(const MemaiModelStream *stream, char *content, MemaiChatResult *result)
{
	memset(result, 0, sizeof(MemaiChatResult));
	result->content = content;
	result->tool_calls = stream->tool_calls ? pstrdup(stream->tool_calls)
		: assembled_tool_calls(&stream->state);
	result->finish_reason = stream->state.finish_reason ? stream->state.finish_reason : "stop";
	if (result->tool_calls != NULL && strcmp(result->finish_reason, "stop") == 0)
		result->finish_reason = "tool_calls";
	result->prompt_tokens = stream->state.prompt_tokens;
	result->completion_tokens = stream->state.completion_tokens;
}

/* the answer is complete: counts it, and keeps it where that is wanted */
static void
account(MemaiModelStream *stream)
{
	char	   *text = psprintf("%s%s", stream->whole.data, stream->state.text.data);
	MemaiChatResult result;

	memai_wire_source_complete(stream->source, stream->state.prompt_tokens,
							   stream->state.completion_tokens, text);
	if (stream->cache.ttl > 0)
	{
		describe_answer(stream, text, &result);
		memai_cache_store_chat(stream->cache.ttl, &stream->cache.key, &result);
	}
	pfree(text);
}

/* one more piece of the body; false when the answer is complete */
static bool
read_more(MemaiModelStream *stream)
{
	const char *data;
	size_t		len;

	if (stream->state.complete)
		return false;
	if (!memai_wire_source_read(stream->source, &data, &len))
		raise_broken_off(stream);
	appendBinaryStringInfo(&stream->pending, data, (int) len);
	read_pending(stream);
	if (stream->state.complete)
		account(stream);
	return true;
}

bool
memai_model_stream_next(MemaiModelStream *stream, const char **piece)
{
	while (stream->state.text.len == 0)
		if (!read_more(stream))
			return false;
	resetStringInfo(&stream->piece);
	appendBinaryStringInfo(&stream->piece, stream->state.text.data, stream->state.text.len);
	appendBinaryStringInfo(&stream->whole, stream->state.text.data, stream->state.text.len);
	resetStringInfo(&stream->state.text);
	*piece = stream->piece.data;
	return true;
}

void
memai_model_stream_result(MemaiModelStream *stream, MemaiChatResult *result)
{
	const char *piece;

	while (memai_model_stream_next(stream, &piece))
		;
	describe_answer(stream, pstrdup(stream->whole.data), result);
	result->model = stream->model_name;
	result->cached = stream->cached;
	result->cost = stream->wire == NULL ? stream->cost :
		memai_usage_cost(stream->model, result->prompt_tokens, result->completion_tokens);
}

void
memai_wire_stream_set_model(MemaiModelStream *stream, const char *name)
{
	stream->model_name = name;
}

void
memai_model_stream_close(MemaiModelStream *stream)
{
	MemoryContextDelete(stream->context);
}
