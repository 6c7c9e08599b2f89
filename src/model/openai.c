/*
 * openai.c
 *	  Chat completions and embeddings as OpenAI defined them and most servers
 *	  copy them (vLLM, llama.cpp, LM Studio, Ollama's /v1, Groq, Mistral,
 *	  DeepSeek, OpenRouter, Together, ...).  The URL is the base, such as
 *	  http://127.0.0.1:11434/v1; without one it is OpenAI's own.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/openai.h"
#include "model/vectors.h"

static const MemaiOption openai_options[] = {
	{"api_version", MEMAI_OPTION_TEXT, 0, 0},
	{"batch_size", MEMAI_OPTION_INTEGER, 1, 10000},
	{"document_prefix", MEMAI_OPTION_TEXT, 0, 0},
	{"encoding_format", MEMAI_OPTION_TEXT, 0, 0},
	{"extra", MEMAI_OPTION_OBJECT, 0, 0},
	{"max_tokens", MEMAI_OPTION_INTEGER, 1, 1e9},
	{"max_tokens_field", MEMAI_OPTION_TEXT, 0, 0},
	{"query_prefix", MEMAI_OPTION_TEXT, 0, 0},
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{"send_dimensions", MEMAI_OPTION_BOOLEAN, 0, 0},
	{"temperature", MEMAI_OPTION_NUMBER, 0, 2},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

/* OpenAI's own embedding models: dimensions need not be given */
static const struct
{
	const char *name;
	int			dimensions;
}			known_models[] =

{
	{"text-embedding-3-small", 1536},
	{"text-embedding-3-large", 3072},
	{"text-embedding-ada-002", 1536},
};

static int
known_dimensions(const char *model)
{
	for (int i = 0; i < (int) lengthof(known_models); i++)
		if (strcmp(known_models[i].name, model) == 0)
			return known_models[i].dimensions;
	return 0;
}

static void
check_choice(const MemaiModel *model, const char *key, const char *const *choices)
{
	char	   *value = memai_option_text(model->options, key);

	if (value == NULL)
		return;
	for (const char *const *choice = choices; *choice; choice++)
		if (strcmp(*choice, value) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" must be %s or %s", key, choices[0], choices[1])));
}

static void
openai_validate(MemaiModel *model)
{
	static const char *const encodings[] = {"float", "base64", NULL};
	static const char *const fields[] = {"max_tokens", "max_completion_tokens", NULL};

	memai_wire_check_url(model, "https://api.openai.com/v1");
	memai_model_options_check(model->options, openai_options);
	check_choice(model, "encoding_format", encodings);
	check_choice(model, "max_tokens_field", fields);
	if (strcmp(model->info.kind, "embed") == 0 && model->info.dimensions == 0)
		model->info.dimensions = known_dimensions(model->model);
}

/* ---- chat, out ---- */

/* the name and arguments of a call go one level deeper */
static void
write_tool_call(StringInfo out, MemaiJson *call, bool arguments_as_text)
{
	char	   *arguments = memai_json_serialize(memai_json_get(call, "arguments"));

	appendStringInfoString(out, "{\"id\":");
	appendStringInfoString(out, memai_json_serialize(memai_json_get(call, "id")));
	appendStringInfoString(out, ",\"type\":\"function\",\"function\":{\"name\":");
	appendStringInfoString(out, memai_json_serialize(memai_json_get(call, "name")));
	appendStringInfoString(out, ",\"arguments\":");
	if (arguments_as_text)
		memai_json_write_utf8_string(out, arguments, strlen(arguments));
	else
		appendStringInfoString(out, arguments);
	appendStringInfoString(out, "}}");
}

static void
write_message(StringInfo out, const MemaiChatMessage *message, bool arguments_as_text)
{
	appendStringInfoString(out, "{\"role\":");
	memai_json_write_string(out, message->role, strlen(message->role));
	appendStringInfoString(out, ",\"content\":");
	if (message->content.len == 0 && message->tool_calls != NULL)
		appendStringInfoString(out, "null");
	else
		memai_json_write_string(out, message->content.data, message->content.len);
	if (message->tool_calls != NULL)
	{
		MemaiJson  *calls = memai_wire_parse(message->tool_calls);

		for (int i = 0; i < memai_json_length(calls); i++)
		{
			appendStringInfoString(out, i == 0 ? ",\"tool_calls\":[" : ",");
			write_tool_call(out, memai_json_item(calls, i), arguments_as_text);
		}
		appendStringInfoString(out, memai_json_length(calls) > 0 ? "]" : "");
	}
	if (message->tool_call_id != NULL)
		memai_wire_member_text(out, "tool_call_id", message->tool_call_id);
	appendStringInfoChar(out, '}');
}

void
memai_openai_write_messages(StringInfo out, const MemaiChatRequest *request, bool arguments_as_text)
{
	appendStringInfoString(out, ",\"messages\":[");
	for (int i = 0; i < request->nmessages; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		write_message(out, &request->messages[i], arguments_as_text);
	}
	appendStringInfoChar(out, ']');
}

bool
memai_openai_write_tools(StringInfo out, const MemaiChatRequest *request)
{
	MemaiJson  *tools = request->tools ? memai_wire_parse(request->tools) : NULL;

	for (int i = 0; i < memai_json_length(tools); i++)
		appendStringInfo(out, "%s{\"type\":\"function\",\"function\":%s}",
						 i == 0 ? ",\"tools\":[" : ",",
						 memai_json_serialize(memai_json_item(tools, i)));
	if (memai_json_length(tools) == 0)
		return false;
	appendStringInfoChar(out, ']');
	return true;
}

static void
write_tool_choice(StringInfo out, const char *choice)
{
	if (strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0 || strcmp(choice, "required") == 0)
		memai_wire_member_text(out, "tool_choice", choice);
	else
	{
		appendStringInfoString(out, ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":");
		memai_json_write_string(out, choice, strlen(choice));
		appendStringInfoString(out, "}}");
	}
}

/* Azure's deployments carry a version in the query of every URL */
static const char *
version_query(const MemaiModel *model)
{
	char	   *version = memai_option_text(model->options, "api_version");

	return version ? psprintf("api-version=%s", memai_http_escape(version)) : NULL;
}

void
memai_openai_write_chat(const MemaiModel *model, const MemaiChatRequest *request,
						bool stream, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;
	char	   *field = memai_option_text(model->options, "max_tokens_field");

	out->path = "/chat/completions";
	out->query = version_query(model);
	memai_wire_start_body(model, body);
	memai_openai_write_messages(body, request, true);
	memai_wire_member_number(body, "temperature", memai_wire_temperature(model, request));
	memai_wire_member_count(body, field ? field : "max_tokens", memai_wire_max_tokens(model, request));
	if (memai_openai_write_tools(body, request) && request->tool_choice != NULL)
		write_tool_choice(body, request->tool_choice);
	if (request->json_schema != NULL)
	{
		appendStringInfoString(body, ",\"response_format\":{\"type\":\"json_schema\","
							   "\"json_schema\":{\"name\":\"answer\"");
		memai_wire_member_json(body, "schema", request->json_schema);
		appendStringInfoString(body, ",\"strict\":true}}");
	}
	if (request->stop != NULL)
		memai_wire_member_json(body, "stop", request->stop);
	if (stream)
		appendStringInfoString(body, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

/* ---- chat, in ---- */

char *
memai_openai_read_content(MemaiJson *content)
{
	StringInfoData text;

	if (!memai_json_is_array(content))
		return memai_json_text(content);
	initStringInfo(&text);
	for (int i = 0; i < memai_json_length(content); i++)
	{
		char	   *part = memai_json_text(memai_json_get(memai_json_item(content, i), "text"));

		if (part != NULL)
			appendStringInfoString(&text, part);
	}
	return text.data;
}

char *
memai_openai_read_tool_calls(MemaiJson *message)
{
	MemaiJson  *calls = memai_json_get(message, "tool_calls");
	MemaiJson  *function_call = memai_json_get(message, "function_call");
	MemaiToolCallList list;

	memai_tool_calls_start(&list);
	for (int i = 0; i < memai_json_length(calls); i++)
	{
		MemaiJson  *call = memai_json_item(calls, i);
		MemaiJson  *function = memai_json_get(call, "function");

		memai_tool_calls_add(&list, memai_json_get(call, "id"), memai_json_get(function, "name"),
							 memai_json_get(function, "arguments"));
	}
	/* the interface's first way to call, one call and without an id */
	if (list.n == 0 && function_call != NULL)
		memai_tool_calls_add(&list, memai_json_get(function_call, "name"),
							 memai_json_get(function_call, "name"),
							 memai_json_get(function_call, "arguments"));
	return memai_tool_calls_finish(&list);
}

/* an unknown reason counts as a normal end */
static const char *
finish_reason(MemaiJson *reason, bool has_tool_calls)
{
	const char *text = memai_json_text(reason);

	if (text != NULL && strcmp(text, "length") == 0)
		return "length";
	if (text != NULL && strcmp(text, "content_filter") == 0)
		return "content_filter";
	return has_tool_calls ? "tool_calls" : "stop";
}

void
memai_openai_read_chat(const MemaiModel *model, MemaiJson *root, MemaiChatResult *result)
{
	MemaiJson  *choice = memai_json_item(memai_json_get(root, "choices"), 0);
	MemaiJson  *message = memai_json_get(choice, "message");
	MemaiJson  *usage = memai_json_get(root, "usage");
	char	   *refusal = memai_json_text(memai_json_get(message, "refusal"));

	if (choice == NULL)
		memai_wire_bad_response(model, "there is no choice");
	if (message == NULL)
		memai_wire_bad_response(model, "there is no message");
	result->prompt_tokens = memai_wire_token_count(memai_json_get(usage, "prompt_tokens"));
	result->completion_tokens = memai_wire_token_count(memai_json_get(usage, "completion_tokens"));
	result->tool_calls = memai_openai_read_tool_calls(message);
	result->finish_reason = finish_reason(memai_json_get(choice, "finish_reason"),
										  result->tool_calls != NULL);
	result->content = memai_openai_read_content(memai_json_get(message, "content"));
	if (refusal != NULL && refusal[0] != '\0' && (result->content == NULL || result->content[0] == '\0'))
	{
		result->content = refusal;
		result->finish_reason = "content_filter";
	}
	memai_wire_check_chat(model, result);
}

/* the parts of tool calls carry the index of their call */
static void
read_tool_parts(MemaiJson *calls, MemaiWireStream *stream)
{
	for (int i = 0; i < memai_json_length(calls); i++)
	{
		MemaiJson  *call = memai_json_item(calls, i);
		MemaiJson  *function = memai_json_get(call, "function");
		int64		index = i;
		MemaiStreamedTool *tool;

		(void) memai_json_int(memai_json_get(call, "index"), &index);
		tool = memai_wire_stream_tool(stream, index);
		if (tool == NULL)
			continue;
		memai_wire_stream_part(&tool->id, memai_json_get(call, "id"));
		memai_wire_stream_part(&tool->name, memai_json_get(function, "name"));
		memai_wire_stream_part(&tool->arguments, memai_json_get(function, "arguments"));
	}
}

static void
read_usage(MemaiJson *usage, MemaiWireStream *stream)
{
	if (usage == NULL)
		return;
	stream->prompt_tokens = memai_wire_token_count(memai_json_get(usage, "prompt_tokens"));
	stream->completion_tokens = memai_wire_token_count(memai_json_get(usage, "completion_tokens"));
}

static void
openai_read_event(const MemaiModel *model, MemaiJson *root, const char *data, MemaiWireStream *stream)
{
	MemaiJson  *choice = memai_json_item(memai_json_get(root, "choices"), 0);
	MemaiJson  *delta = memai_json_get(choice, "delta");
	MemaiJson  *reason = memai_json_get(choice, "finish_reason");

	if (strcmp(data, "[DONE]") == 0)
	{
		stream->complete = stream->finish_reason != NULL;
		return;
	}
	memai_wire_stream_text(stream, memai_json_get(delta, "content"));
	read_tool_parts(memai_json_get(delta, "tool_calls"), stream);
	read_usage(memai_json_get(root, "usage"), stream);
	if (reason != NULL)
		stream->finish_reason = finish_reason(reason, stream->ntools > 0);
}

/* ---- embeddings, out ---- */

void
memai_openai_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
						 const MemaiSpan *inputs, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;
	char	   *encoding = memai_option_text(model->options, "encoding_format");
	int			known = known_dimensions(model->model);

	out->path = "/embeddings";
	out->query = version_query(model);
	memai_wire_start_body(model, body);
	memai_wire_member_texts(body, "input", ninputs, inputs);
	/* a quarter of the bytes; not every copy of the interface knows it */
	if (encoding == NULL && known != 0)
		encoding = "base64";
	if (encoding != NULL)
		memai_wire_member_text(body, "encoding_format", encoding);
	if (memai_option_bool(model->options, "send_dimensions",
						  known != 0 && known != model->info.dimensions))
		appendStringInfo(body, ",\"dimensions\":%d", model->info.dimensions);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

/* ---- embeddings, in: too large for a document tree ---- */

/* one element of the answer's data */
typedef struct EmbeddedItem
{
	MemaiVector *vector;		/* NULL until it was read */
	int64		index;
	bool		has_index;
} EmbeddedItem;

static EmbeddedItem
read_item(const MemaiModel *model, MemaiJsonScan *scan, float *buffer)
{
	EmbeddedItem item = {0};
	bool		first = true;
	const char *key;
	size_t		len;

	if (!memai_json_scan_enter(scan, '{'))
		memai_vectors_check_scan(model, scan);
	while (memai_json_scan_member(scan, &first, &key, &len))
	{
		if (memai_vectors_key_is(key, len, "embedding"))
		{
			if (item.vector != NULL)
				memai_wire_bad_response(model, "an element has two vectors");
			item.vector = memai_vectors_read_one(model, scan, buffer);
		}
		else if (memai_vectors_key_is(key, len, "index"))
			item.has_index = memai_json_scan_int(scan, &item.index);
		else
			(void) memai_json_scan_skip(scan);
	}
	memai_vectors_check_scan(model, scan);
	if (item.vector == NULL)
		memai_wire_bad_response(model, "an element has no vector");
	return item;
}

/* puts an item where its index says, or in order when no item has one */
static void
place_item(const MemaiModel *model, const EmbeddedItem *item, int position, bool indexed,
		   int ninputs, MemaiVector **vectors)
{
	int64		index = item->has_index ? item->index : position;

	if (item->has_index != indexed)
		memai_wire_bad_response(model, "some vectors have an index and some have none");
	if (index < 0 || index >= ninputs)
		memai_wire_bad_response(model, psprintf("index " INT64_FORMAT " is none of the %d inputs",
												index, ninputs));
	if (vectors[index] != NULL)
		memai_wire_bad_response(model, psprintf("index " INT64_FORMAT " occurs twice", index));
	vectors[index] = item->vector;
}

/* the array of vectors; returns how many there were */
static int
read_data(const MemaiModel *model, MemaiJsonScan *scan, int ninputs, MemaiVector **vectors)
{
	float	   *buffer = palloc(sizeof(float) * model->info.dimensions);
	bool		first = true;
	bool		indexed = false;
	int			count = 0;

	if (!memai_json_scan_enter(scan, '['))
		memai_vectors_check_scan(model, scan);
	while (memai_json_scan_item(scan, &first))
	{
		EmbeddedItem item;

		CHECK_FOR_INTERRUPTS();
		item = read_item(model, scan, buffer);
		if (count == 0)
			indexed = item.has_index;
		place_item(model, &item, count++, indexed, ninputs, vectors);
	}
	memai_vectors_check_scan(model, scan);
	pfree(buffer);
	return count;
}

void
memai_openai_read_embed(const MemaiModel *model, const char *body, size_t len,
						int ninputs, MemaiVector **vectors)
{
	MemaiJsonScan scan;
	bool		first = true;
	const char *key;
	size_t		key_len;
	int			count = -1;

	memset(vectors, 0, sizeof(MemaiVector *) * ninputs);
	memai_json_scan_start(&scan, body, len);
	if (!memai_json_scan_enter(&scan, '{'))
		memai_vectors_check_scan(model, &scan);
	while (memai_json_scan_member(&scan, &first, &key, &key_len))
	{
		if (!memai_vectors_key_is(key, key_len, "data") || memai_json_scan_peek(&scan) != '[')
			(void) memai_json_scan_skip(&scan);
		else if (count >= 0)
			memai_wire_bad_response(model, "there are two lists of vectors");
		else
			count = read_data(model, &scan, ninputs, vectors);
	}
	(void) memai_json_scan_done(&scan);
	memai_vectors_check_scan(model, &scan);
	if (count != ninputs)
		memai_wire_bad_response(model, psprintf("there are %d vectors for %d inputs",
												Max(count, 0), ninputs));
}

/* ---- the provider ---- */

static const MemaiWire openai_wire = {
	.key_header = "Authorization",
	.key_scheme = "Bearer",
	.write_chat = memai_openai_write_chat,
	.read_chat = memai_openai_read_chat,
	.read_event = openai_read_event,
	.write_embed = memai_openai_write_embed,
	.read_embed = memai_openai_read_embed,
	.max_batch = 2048
};

const MemaiProvider memai_provider_openai = {
	.name = "openai",
	.validate = openai_validate,
	.wire = &openai_wire
};
