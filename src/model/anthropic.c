/*
 * anthropic.c
 *	  Anthropic's Messages.  Differences that matter: system text stands apart,
 *	  tool results are the user's, a limit of tokens must be given, and the
 *	  version of the interface is a header.
 */
#include "postgres.h"

#include "model/wire.h"

#define DEFAULT_MAX_TOKENS 4096

static const MemaiOption anthropic_options[] = {
	{"extra", MEMAI_OPTION_OBJECT, 0, 0},
	{"max_tokens", MEMAI_OPTION_INTEGER, 1, 1e9},
	{"temperature", MEMAI_OPTION_NUMBER, 0, 2},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static void
anthropic_validate(MemaiModel *model)
{
	memai_wire_check_url(model, "https://api.anthropic.com/v1");
	memai_model_options_check(model->options, anthropic_options);
}

/* ---- out ---- */

static bool
has_role(const MemaiChatMessage *message, const char *role)
{
	return strcmp(message->role, role) == 0;
}

/* all system messages, one paragraph each */
static void
write_system(StringInfo out, const MemaiChatRequest *request)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < request->nmessages; i++)
	{
		const MemaiChatMessage *message = &request->messages[i];

		if (!has_role(message, "system"))
			continue;
		if (text.len > 0)
			appendStringInfoString(&text, "\n\n");
		appendBinaryStringInfo(&text, message->content.data, (int) message->content.len);
	}
	if (text.len > 0)
		memai_wire_member_text(out, "system", text.data);
}

static void
write_text_block(StringInfo out, const MemaiSpan *text)
{
	appendStringInfoString(out, "{\"type\":\"text\",\"text\":");
	memai_json_write_string(out, text->data, text->len);
	appendStringInfoChar(out, '}');
}

static void
write_tool_calls(StringInfo out, const MemaiChatMessage *message)
{
	MemaiJson  *calls = memai_wire_parse(message->tool_calls);

	appendStringInfoChar(out, '[');
	if (message->content.len > 0)
	{
		write_text_block(out, &message->content);
		appendStringInfoChar(out, ',');
	}
	for (int i = 0; i < memai_json_length(calls); i++)
	{
		MemaiJson  *call = memai_json_item(calls, i);

		appendStringInfo(out, "%s{\"type\":\"tool_use\",\"id\":%s,\"name\":%s,\"input\":%s}",
						 i > 0 ? "," : "", memai_json_serialize(memai_json_get(call, "id")),
						 memai_json_serialize(memai_json_get(call, "name")),
						 memai_json_serialize(memai_json_get(call, "arguments")));
	}
	appendStringInfoChar(out, ']');
}

static void
write_tool_result(StringInfo out, const MemaiChatMessage *message)
{
	appendStringInfoString(out, "{\"type\":\"tool_result\",\"tool_use_id\":");
	memai_json_write_string(out, message->tool_call_id, strlen(message->tool_call_id));
	appendStringInfoString(out, ",\"content\":");
	memai_json_write_string(out, message->content.data, message->content.len);
	appendStringInfoChar(out, '}');
}

/* results of tools that follow each other are one turn of the user */
static void
write_messages(StringInfo out, const MemaiChatRequest *request)
{
	bool		in_results = false;
	int			written = 0;

	appendStringInfoString(out, ",\"messages\":[");
	for (int i = 0; i < request->nmessages; i++)
	{
		const MemaiChatMessage *message = &request->messages[i];
		bool		is_result = has_role(message, "tool");

		if (has_role(message, "system"))
			continue;
		if (in_results && !is_result)
			appendStringInfoString(out, "]}");
		if (written++ > 0)
			appendStringInfoChar(out, ',');
		if (is_result)
		{
			if (!in_results)
				appendStringInfoString(out, "{\"role\":\"user\",\"content\":[");
			write_tool_result(out, message);
		}
		else
		{
			appendStringInfo(out, "{\"role\":\"%s\",\"content\":", message->role);
			if (message->tool_calls != NULL)
				write_tool_calls(out, message);
			else
				memai_json_write_string(out, message->content.data, message->content.len);
			appendStringInfoChar(out, '}');
		}
		in_results = is_result;
	}
	appendStringInfoString(out, in_results ? "]}]" : "]");
}

static void
write_tools(StringInfo out, const MemaiChatRequest *request)
{
	MemaiJson  *tools = request->tools ? memai_wire_parse(request->tools) : NULL;
	const char *choice = request->tool_choice;

	for (int i = 0; i < memai_json_length(tools); i++)
	{
		MemaiJson  *tool = memai_json_item(tools, i);
		MemaiJson  *description = memai_json_get(tool, "description");
		MemaiJson  *parameters = memai_json_get(tool, "parameters");

		appendStringInfo(out, "%s{\"name\":%s", i == 0 ? ",\"tools\":[" : ",",
						 memai_json_serialize(memai_json_get(tool, "name")));
		if (description != NULL)
			appendStringInfo(out, ",\"description\":%s", memai_json_serialize(description));
		appendStringInfo(out, ",\"input_schema\":%s}",
						 parameters ? memai_json_serialize(parameters) : "{\"type\":\"object\"}");
	}
	if (memai_json_length(tools) == 0)
		return;
	appendStringInfoChar(out, ']');
	if (choice == NULL)
		return;
	if (strcmp(choice, "required") == 0)
		choice = "any";
	if (strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0 || strcmp(choice, "any") == 0)
		appendStringInfo(out, ",\"tool_choice\":{\"type\":\"%s\"}", choice);
	else
	{
		appendStringInfoString(out, ",\"tool_choice\":{\"type\":\"tool\"");
		memai_wire_member_text(out, "name", choice);
		appendStringInfoChar(out, '}');
	}
}

static void
anthropic_write_chat(const MemaiModel *model, const MemaiChatRequest *request,
					 bool stream, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;
	int			max_tokens = memai_wire_max_tokens(model, request);

	out->path = "/messages";
	out->headers[0].name = "anthropic-version";
	out->headers[0].value = "2023-06-01";
	out->nheaders = 1;
	memai_wire_start_body(model, body);
	memai_wire_member_count(body, "max_tokens", max_tokens > 0 ? max_tokens : DEFAULT_MAX_TOKENS);
	write_system(body, request);
	write_messages(body, request);
	memai_wire_member_number(body, "temperature", memai_wire_temperature(model, request));
	write_tools(body, request);
	if (request->json_schema != NULL)
	{
		appendStringInfoString(body, ",\"output_config\":{\"format\":{\"type\":\"json_schema\"");
		memai_wire_member_json(body, "schema", request->json_schema);
		appendStringInfoString(body, "}}");
	}
	if (request->stop != NULL)
		memai_wire_member_json(body, "stop_sequences", request->stop);
	if (stream)
		appendStringInfoString(body, ",\"stream\":true");
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

/* ---- in ---- */

static const char *
finish_reason(MemaiJson *reason)
{
	const char *text = memai_json_text(reason);

	if (text == NULL)
		return "stop";
	if (strcmp(text, "max_tokens") == 0 || strcmp(text, "model_context_window_exceeded") == 0)
		return "length";
	if (strcmp(text, "refusal") == 0)
		return "content_filter";
	return strcmp(text, "tool_use") == 0 ? "tool_calls" : "stop";
}

static bool
has_type(MemaiJson *block, const char *type)
{
	const char *text = memai_json_text(memai_json_get(block, "type"));

	return text != NULL && strcmp(text, type) == 0;
}

/* what came from or went to the cache is prompt, too */
static int
prompt_tokens(MemaiJson *usage)
{
	int			tokens = memai_wire_token_count(memai_json_get(usage, "input_tokens"));
	int			written = memai_wire_token_count(memai_json_get(usage, "cache_creation_input_tokens"));
	int			read = memai_wire_token_count(memai_json_get(usage, "cache_read_input_tokens"));
	int64		sum = (int64) tokens + Max(written, 0) + Max(read, 0);

	return tokens < 0 || sum > PG_INT32_MAX ? -1 : (int) sum;
}

static void
anthropic_read_chat(const MemaiModel *model, MemaiJson *root, MemaiChatResult *result)
{
	MemaiJson  *content = memai_json_get(root, "content");
	MemaiJson  *usage = memai_json_get(root, "usage");
	StringInfoData text;
	MemaiToolCallList calls;

	if (!memai_json_is_array(content))
		memai_wire_bad_response(model, "there is no content");
	initStringInfo(&text);
	memai_tool_calls_start(&calls);
	for (int i = 0; i < memai_json_length(content); i++)
	{
		MemaiJson  *block = memai_json_item(content, i);
		char	   *part = memai_json_text(memai_json_get(block, "text"));

		if (has_type(block, "text") && part != NULL)
			appendStringInfoString(&text, part);
		else if (has_type(block, "tool_use"))
			memai_tool_calls_add(&calls, memai_json_get(block, "id"), memai_json_get(block, "name"),
								 memai_json_get(block, "input"));
	}
	result->content = text.data;
	result->tool_calls = memai_tool_calls_finish(&calls);
	result->finish_reason = finish_reason(memai_json_get(root, "stop_reason"));
	result->prompt_tokens = prompt_tokens(usage);
	result->completion_tokens = memai_wire_token_count(memai_json_get(usage, "output_tokens"));
	memai_wire_check_chat(model, result);
}

/* a block begins; of the kinds of tools only the caller's own are calls */
static void
start_block(MemaiJson *block, MemaiWireStream *stream)
{
	MemaiStreamedTool *tool;

	stream->in_tool = false;
	if (!has_type(block, "tool_use"))
		return;
	tool = memai_wire_stream_tool(stream, stream->ntools);
	if (tool == NULL)
		return;
	stream->in_tool = true;
	memai_wire_stream_part(&tool->id, memai_json_get(block, "id"));
	memai_wire_stream_part(&tool->name, memai_json_get(block, "name"));
}

static void
anthropic_read_event(const MemaiModel *model, MemaiJson *root, const char *data,
					 MemaiWireStream *stream)
{
	MemaiJson  *delta = memai_json_get(root, "delta");

	if (has_type(root, "message_start"))
		stream->prompt_tokens = prompt_tokens(memai_json_get(memai_json_get(root, "message"), "usage"));
	else if (has_type(root, "content_block_start"))
		start_block(memai_json_get(root, "content_block"), stream);
	else if (has_type(delta, "text_delta"))
		memai_wire_stream_text(stream, memai_json_get(delta, "text"));
	else if (has_type(delta, "input_json_delta") && stream->in_tool)
		memai_wire_stream_part(&stream->tools[stream->ntools - 1].arguments,
							   memai_json_get(delta, "partial_json"));
	else if (has_type(root, "message_delta"))
	{
		MemaiJson  *usage = memai_json_get(root, "usage");

		stream->finish_reason = finish_reason(memai_json_get(delta, "stop_reason"));
		stream->completion_tokens = memai_wire_token_count(memai_json_get(usage, "output_tokens"));
		if (prompt_tokens(usage) > 0)
			stream->prompt_tokens = prompt_tokens(usage);
	}
	else if (has_type(root, "message_stop"))
		stream->complete = true;
}

static const MemaiWire anthropic_wire = {
	.key_header = "x-api-key",
	.write_chat = anthropic_write_chat,
	.read_chat = anthropic_read_chat,
	.read_event = anthropic_read_event
};

const MemaiProvider memai_provider_anthropic = {
	.name = "anthropic",
	.validate = anthropic_validate,
	.wire = &anthropic_wire
};
