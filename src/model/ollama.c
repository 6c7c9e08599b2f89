/*
 * ollama.c
 *	  Ollama's own interface.  Streams are one JSON document a line; options
 *	  stand in an object of their own.
 */
#include "postgres.h"

#include <math.h>

#include "model/openai.h"
#include "model/vectors.h"

static const MemaiOption ollama_options[] = {
	{"batch_size", MEMAI_OPTION_INTEGER, 1, 10000},
	{"document_prefix", MEMAI_OPTION_TEXT, 0, 0},
	{"extra", MEMAI_OPTION_OBJECT, 0, 0},
	{"max_tokens", MEMAI_OPTION_INTEGER, 1, 1e9},
	{"query_prefix", MEMAI_OPTION_TEXT, 0, 0},
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{"temperature", MEMAI_OPTION_NUMBER, 0, 2},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static void
ollama_validate(MemaiModel *model)
{
	memai_wire_check_url(model, "http://127.0.0.1:11434");
	memai_model_options_check(model->options, ollama_options);
}

/* "options":{...}; the first member decides about the comma, so one is always there */
static void
write_options(StringInfo out, const MemaiModel *model, const MemaiChatRequest *request)
{
	double		temperature = memai_wire_temperature(model, request);
	int			max_tokens = memai_wire_max_tokens(model, request);
	int			start = out->len;

	if (max_tokens > 0)
		appendStringInfo(out, ",\"num_predict\":%d", max_tokens);
	memai_wire_member_number(out, "temperature", temperature);
	if (request->stop != NULL)
		memai_wire_member_json(out, "stop", request->stop);
	if (out->len > start)
	{
		char	   *members = pstrdup(out->data + start + 1);

		out->len = start;
		appendStringInfo(out, ",\"options\":{%s}", members);
	}
}

static void
ollama_write_chat(const MemaiModel *model, const MemaiChatRequest *request,
				  bool stream, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;

	out->path = "/api/chat";
	memai_wire_start_body(model, body);
	memai_openai_write_messages(body, request, false);
	appendStringInfo(body, ",\"stream\":%s", stream ? "true" : "false");
	write_options(body, model, request);
	(void) memai_openai_write_tools(body, request);
	if (request->json_schema != NULL)
		memai_wire_member_json(body, "format", request->json_schema);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

static const char *
finish_reason(MemaiJson *root, bool has_tool_calls)
{
	const char *reason = memai_json_text(memai_json_get(root, "done_reason"));

	if (reason != NULL && strcmp(reason, "length") == 0)
		return "length";
	return has_tool_calls ? "tool_calls" : "stop";
}

static bool
is_done(MemaiJson *root)
{
	bool		done = false;

	return memai_json_bool(memai_json_get(root, "done"), &done) && done;
}

static void
ollama_read_chat(const MemaiModel *model, MemaiJson *root, MemaiChatResult *result)
{
	MemaiJson  *message = memai_json_get(root, "message");

	if (message == NULL)
		memai_wire_bad_response(model, "there is no message");
	if (!is_done(root))
		memai_wire_bad_response(model, "it is not done");
	result->content = memai_json_text(memai_json_get(message, "content"));
	result->tool_calls = memai_openai_read_tool_calls(message);
	result->finish_reason = finish_reason(root, result->tool_calls != NULL);
	result->prompt_tokens = memai_wire_token_count(memai_json_get(root, "prompt_eval_count"));
	result->completion_tokens = memai_wire_token_count(memai_json_get(root, "eval_count"));
	memai_wire_check_chat(model, result);
}

static void
ollama_read_event(const MemaiModel *model, MemaiJson *root, const char *data, MemaiWireStream *stream)
{
	MemaiJson  *message = memai_json_get(root, "message");
	MemaiJson  *calls = memai_json_get(message, "tool_calls");

	memai_wire_stream_text(stream, memai_json_get(message, "content"));
	for (int i = 0; i < memai_json_length(calls); i++)
	{
		MemaiJson  *function = memai_json_get(memai_json_item(calls, i), "function");
		MemaiStreamedTool *tool = memai_wire_stream_tool(stream, stream->ntools);

		if (tool == NULL)
			continue;
		memai_wire_stream_part(&tool->id, memai_json_get(memai_json_item(calls, i), "id"));
		memai_wire_stream_part(&tool->name, memai_json_get(function, "name"));
		appendStringInfoString(&tool->arguments,
							   memai_json_serialize(memai_json_get(function, "arguments")));
	}
	if (is_done(root))
	{
		stream->complete = true;
		stream->finish_reason = finish_reason(root, stream->ntools > 0);
		stream->prompt_tokens = memai_wire_token_count(memai_json_get(root, "prompt_eval_count"));
		stream->completion_tokens = memai_wire_token_count(memai_json_get(root, "eval_count"));
	}
}

static void
ollama_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
				   const MemaiSpan *inputs, MemaiWireRequest *out)
{
	out->path = "/api/embed";
	memai_wire_start_body(model, &out->body);
	memai_wire_member_texts(&out->body, "input", ninputs, inputs);
	memai_wire_append_extra(&out->body, model);
	appendStringInfoChar(&out->body, '}');
}

static void
ollama_read_embed(const MemaiModel *model, const char *body, size_t len,
				  int ninputs, MemaiVector **vectors)
{
	static const char *const path[] = {"embeddings", NULL};

	memai_vectors_read_plain(model, body, len, path, NULL, ninputs, vectors);
}

static const MemaiWire ollama_wire = {
	.key_header = "Authorization",
	.key_scheme = "Bearer",
	.write_chat = ollama_write_chat,
	.read_chat = ollama_read_chat,
	.read_event = ollama_read_event,
	.line_stream = true,
	.write_embed = ollama_write_embed,
	.read_embed = ollama_read_embed,
	.max_batch = 512
};

const MemaiProvider memai_provider_ollama = {
	.name = "ollama",
	.validate = ollama_validate,
	.wire = &ollama_wire
};
