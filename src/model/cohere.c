/*
 * cohere.c
 *	  Cohere's interface of version 2: chat, embeddings that know what their
 *	  input is for, reranking.
 */
#include "postgres.h"

#include "model/openai.h"
#include "model/vectors.h"

static const MemaiOption cohere_options[] = {
	{"batch_size", MEMAI_OPTION_INTEGER, 1, 96},
	{"document_prefix", MEMAI_OPTION_TEXT, 0, 0},
	{"extra", MEMAI_OPTION_OBJECT, 0, 0},
	{"max_tokens", MEMAI_OPTION_INTEGER, 1, 1e9},
	{"query_prefix", MEMAI_OPTION_TEXT, 0, 0},
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{"send_dimensions", MEMAI_OPTION_BOOLEAN, 0, 0},
	{"temperature", MEMAI_OPTION_NUMBER, 0, 2},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static void
cohere_validate(MemaiModel *model)
{
	memai_wire_check_url(model, "https://api.cohere.com/v2");
	memai_model_options_check(model->options, cohere_options);
}

static void
cohere_write_chat(const MemaiModel *model, const MemaiChatRequest *request,
				  bool stream, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;
	const char *choice = request->tool_choice;

	out->path = "/chat";
	memai_wire_start_body(model, body);
	memai_openai_write_messages(body, request, true);
	appendStringInfo(body, ",\"stream\":%s", stream ? "true" : "false");
	memai_wire_member_number(body, "temperature", memai_wire_temperature(model, request));
	memai_wire_member_count(body, "max_tokens", memai_wire_max_tokens(model, request));
	/* there is no choice of one tool; requiring any is the nearest */
	if (memai_openai_write_tools(body, request) && choice != NULL && strcmp(choice, "auto") != 0)
		memai_wire_member_text(body, "tool_choice",
							   strcmp(choice, "none") == 0 ? "NONE" : "REQUIRED");
	if (request->json_schema != NULL)
	{
		appendStringInfoString(body, ",\"response_format\":{\"type\":\"json_object\"");
		memai_wire_member_json(body, "json_schema", request->json_schema);
		appendStringInfoChar(body, '}');
	}
	if (request->stop != NULL)
		memai_wire_member_json(body, "stop_sequences", request->stop);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

static const char *
finish_reason(MemaiJson *reason)
{
	const char *text = memai_json_text(reason);

	if (text != NULL && strcmp(text, "MAX_TOKENS") == 0)
		return "length";
	if (text != NULL && strcmp(text, "TOOL_CALL") == 0)
		return "tool_calls";
	return text != NULL && strcmp(text, "ERROR_TOXIC") == 0 ? "content_filter" : "stop";
}

static MemaiJson *
tokens_of(MemaiJson *usage)
{
	return memai_json_get(usage, "tokens");
}

static void
cohere_read_chat(const MemaiModel *model, MemaiJson *root, MemaiChatResult *result)
{
	MemaiJson  *message = memai_json_get(root, "message");
	MemaiJson  *tokens = tokens_of(memai_json_get(root, "usage"));

	if (!memai_json_is_object(message))
		memai_wire_bad_response(model, "there is no message");
	result->content = memai_openai_read_content(memai_json_get(message, "content"));
	result->tool_calls = memai_openai_read_tool_calls(message);
	result->finish_reason = finish_reason(memai_json_get(root, "finish_reason"));
	result->prompt_tokens = memai_wire_token_count(memai_json_get(tokens, "input_tokens"));
	result->completion_tokens = memai_wire_token_count(memai_json_get(tokens, "output_tokens"));
	memai_wire_check_chat(model, result);
}

static void
cohere_read_event(const MemaiModel *model, MemaiJson *root, const char *data, MemaiWireStream *stream)
{
	const char *type = memai_json_text(memai_json_get(root, "type"));
	MemaiJson  *delta = memai_json_get(root, "delta");
	MemaiJson  *message = memai_json_get(delta, "message");
	MemaiJson  *call = memai_json_get(message, "tool_calls");
	MemaiJson  *function = memai_json_get(call, "function");
	MemaiJson  *tokens = tokens_of(memai_json_get(delta, "usage"));

	if (type == NULL)
		return;
	if (strcmp(type, "content-delta") == 0)
		memai_wire_stream_text(stream, memai_json_get(memai_json_get(message, "content"), "text"));
	else if (strcmp(type, "tool-call-start") == 0 || strcmp(type, "tool-call-delta") == 0)
	{
		bool		starts = strcmp(type, "tool-call-start") == 0;
		MemaiStreamedTool *tool = memai_wire_stream_tool(stream, stream->ntools - !starts);

		if (tool == NULL)
			return;
		memai_wire_stream_part(&tool->id, memai_json_get(call, "id"));
		memai_wire_stream_part(&tool->name, memai_json_get(function, "name"));
		memai_wire_stream_part(&tool->arguments, memai_json_get(function, "arguments"));
	}
	else if (strcmp(type, "message-end") == 0)
	{
		stream->complete = true;
		stream->finish_reason = finish_reason(memai_json_get(delta, "finish_reason"));
		stream->prompt_tokens = memai_wire_token_count(memai_json_get(tokens, "input_tokens"));
		stream->completion_tokens = memai_wire_token_count(memai_json_get(tokens, "output_tokens"));
	}
}

static void
cohere_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
				   const MemaiSpan *inputs, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;

	out->path = "/embed";
	memai_wire_start_body(model, body);
	memai_wire_member_texts(body, "texts", ninputs, inputs);
	memai_wire_member_text(body, "input_type",
						   type == MEMAI_INPUT_QUERY ? "search_query" : "search_document");
	appendStringInfoString(body, ",\"embedding_types\":[\"float\"]");
	if (memai_option_bool(model->options, "send_dimensions", false))
		memai_wire_member_count(body, "output_dimension", model->info.dimensions);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

static void
cohere_read_embed(const MemaiModel *model, const char *body, size_t len,
				  int ninputs, MemaiVector **vectors)
{
	static const char *const path[] = {"embeddings", "float", NULL};

	memai_vectors_read_plain(model, body, len, path, NULL, ninputs, vectors);
}

static void
cohere_write_rerank(const MemaiModel *model, MemaiSpan query, int ndocuments,
					const MemaiSpan *documents, MemaiWireRequest *out)
{
	out->path = "/rerank";
	memai_wire_start_body(model, &out->body);
	appendStringInfoString(&out->body, ",\"query\":");
	memai_json_write_string(&out->body, query.data, query.len);
	memai_wire_member_texts(&out->body, "documents", ndocuments, documents);
	memai_wire_append_extra(&out->body, model);
	appendStringInfoChar(&out->body, '}');
}

static MemaiJson *
cohere_find_ranking(MemaiJson *root)
{
	return memai_json_get(root, "results");
}

static const MemaiWire cohere_wire = {
	.key_header = "Authorization",
	.key_scheme = "Bearer",
	.write_chat = cohere_write_chat,
	.read_chat = cohere_read_chat,
	.read_event = cohere_read_event,
	.write_embed = cohere_write_embed,
	.read_embed = cohere_read_embed,
	.max_batch = 96,
	.write_rerank = cohere_write_rerank,
	.find_ranking = cohere_find_ranking
};

const MemaiProvider memai_provider_cohere = {
	.name = "cohere",
	.validate = cohere_validate,
	.wire = &cohere_wire
};
