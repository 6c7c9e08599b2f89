/*
 * gemini.c
 *	  Google's Gemini.  The model stands in the path, turns are made of parts,
 *	  tool calls may come without an id, and thoughts come as parts of their
 *	  own that are no answer.
 */
#include "postgres.h"

#include "model/vectors.h"

static const MemaiOption gemini_options[] = {
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
gemini_validate(MemaiModel *model)
{
	memai_wire_check_url(model, "https://generativelanguage.googleapis.com/v1beta");
	memai_model_options_check(model->options, gemini_options);
}

/* ---- out ---- */

static void
write_text_part(StringInfo out, const MemaiSpan *text)
{
	appendStringInfoString(out, "{\"text\":");
	memai_json_write_string(out, text->data, text->len);
	appendStringInfoChar(out, '}');
}

static void
write_tool_calls(StringInfo out, const char *tool_calls)
{
	MemaiJson  *calls = memai_wire_parse(tool_calls);

	for (int i = 0; i < memai_json_length(calls); i++)
	{
		MemaiJson  *call = memai_json_item(calls, i);

		MemaiJson  *signature = memai_json_get(call, "signature");

		appendStringInfo(out, "%s{\"functionCall\":{\"name\":%s,\"args\":%s}", i > 0 ? "," : "",
						 memai_json_serialize(memai_json_get(call, "name")),
						 memai_json_serialize(memai_json_get(call, "arguments")));
		/* a model that thinks refuses a call that comes back without it */
		if (signature != NULL)
			appendStringInfo(out, ",\"thoughtSignature\":%s", memai_json_serialize(signature));
		appendStringInfoChar(out, '}');
	}
}

/* a result must be an object; anything else becomes the member of one */
static void
write_tool_result(StringInfo out, const MemaiChatMessage *message)
{
	const char *name = message->tool_name ? message->tool_name : message->tool_call_id;
	const char *problem;
	char	   *content = pnstrdup(message->content.data, message->content.len);
	MemaiJson  *parsed = memai_json_parse_server(content, &problem);

	appendStringInfoString(out, "{\"functionResponse\":{\"name\":");
	memai_json_write_string(out, name, strlen(name));
	if (memai_json_is_object(parsed))
		memai_wire_member_json(out, "response", content);
	else
	{
		appendStringInfoString(out, ",\"response\":{\"result\":");
		memai_json_write_string(out, content, strlen(content));
		appendStringInfoChar(out, '}');
	}
	appendStringInfoString(out, "}}");
}

static bool
has_role(const MemaiChatMessage *message, const char *role)
{
	return strcmp(message->role, role) == 0;
}

static void
write_parts(StringInfo out, const MemaiChatMessage *message)
{
	if (has_role(message, "tool"))
	{
		write_tool_result(out, message);
		return;
	}
	if (message->content.len > 0 || message->tool_calls == NULL)
		write_text_part(out, &message->content);
	if (message->tool_calls != NULL)
	{
		if (message->content.len > 0)
			appendStringInfoChar(out, ',');
		write_tool_calls(out, message->tool_calls);
	}
}

/* results of tools that follow each other are parts of one turn, as their calls were */
static void
write_turns(StringInfo out, const MemaiChatRequest *request)
{
	bool		in_results = false;
	int			written = 0;

	for (int i = 0; i < request->nmessages; i++)
	{
		const MemaiChatMessage *message = &request->messages[i];
		bool		is_result = has_role(message, "tool");

		if (has_role(message, "system"))
			continue;
		if (in_results && is_result)
			appendStringInfoChar(out, ',');
		else
			appendStringInfo(out, "%s{\"role\":\"%s\",\"parts\":[", written > 0 ? "]}," : "",
							 has_role(message, "assistant") ? "model" : "user");
		write_parts(out, message);
		in_results = is_result;
		written++;
	}
	if (written > 0)
		appendStringInfoString(out, "]}");
}

/* the parts of the system instruction */
static void
write_system(StringInfo out, const MemaiChatRequest *request)
{
	int			written = 0;

	for (int i = 0; i < request->nmessages; i++)
	{
		const MemaiChatMessage *message = &request->messages[i];

		if (!has_role(message, "system"))
			continue;
		appendStringInfoString(out, written++ > 0 ? "," : ",\"systemInstruction\":{\"parts\":[");
		write_text_part(out, &message->content);
	}
	if (written > 0)
		appendStringInfoString(out, "]}");
}

static void
write_tools(StringInfo out, const MemaiChatRequest *request)
{
	const char *choice = request->tool_choice;

	if (request->tools == NULL || memai_json_length(memai_wire_parse(request->tools)) == 0)
		return;
	appendStringInfoString(out, ",\"tools\":[{\"functionDeclarations\":");
	memai_wire_append_json(out, request->tools);
	appendStringInfoString(out, "}]");
	if (choice == NULL)
		return;
	appendStringInfoString(out, ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":");
	if (strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0)
		appendStringInfoString(out, choice[0] == 'a' ? "\"AUTO\"" : "\"NONE\"");
	else
	{
		appendStringInfoString(out, "\"ANY\"");
		if (strcmp(choice, "required") != 0)
		{
			appendStringInfoString(out, ",\"allowedFunctionNames\":[");
			memai_json_write_string(out, choice, strlen(choice));
			appendStringInfoChar(out, ']');
		}
	}
	appendStringInfoString(out, "}}");
}

static void
write_generation_config(StringInfo out, const MemaiModel *model, const MemaiChatRequest *request)
{
	appendStringInfoString(out, ",\"generationConfig\":{\"candidateCount\":1");
	memai_wire_member_number(out, "temperature", memai_wire_temperature(model, request));
	memai_wire_member_sampling(out, request, "topP", "presencePenalty", "frequencyPenalty");
	memai_wire_member_count(out, "maxOutputTokens", memai_wire_max_tokens(model, request));
	if (request->stop != NULL)
		memai_wire_member_json(out, "stopSequences", request->stop);
	if (request->json_schema != NULL)
	{
		memai_wire_member_text(out, "responseMimeType", "application/json");
		memai_wire_member_json(out, "responseJsonSchema", request->json_schema);
	}
	appendStringInfoChar(out, '}');
}

static void
gemini_write_chat(const MemaiModel *model, const MemaiChatRequest *request,
				  bool stream, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;

	out->path = psprintf("/models/%s:%s", memai_http_escape(model->model),
						 stream ? "streamGenerateContent" : "generateContent");
	out->query = stream ? "alt=sse" : NULL;
	appendStringInfoString(body, "{\"contents\":[");
	write_turns(body, request);
	appendStringInfoChar(body, ']');
	write_system(body, request);
	write_tools(body, request);
	write_generation_config(body, model, request);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

/* ---- in ---- */

/* NULL as long as the model has not finished */
static const char *
finish_reason(MemaiJson *candidate, bool has_tool_calls)
{
	static const char *const filters[] = {
		"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"
	};
	const char *reason = memai_json_text(memai_json_get(candidate, "finishReason"));

	if (reason == NULL)
		return NULL;
	if (strcmp(reason, "MAX_TOKENS") == 0)
		return "length";
	for (int i = 0; i < (int) lengthof(filters); i++)
		if (strcmp(reason, filters[i]) == 0)
			return "content_filter";
	return has_tool_calls ? "tool_calls" : "stop";
}

static bool
is_thought(MemaiJson *part)
{
	bool		thought = false;

	return memai_json_bool(memai_json_get(part, "thought"), &thought) && thought;
}

/* the text of an answer counts its thoughts, which are billed as output */
static int
completion_tokens(MemaiJson *usage)
{
	int			answer = memai_wire_token_count(memai_json_get(usage, "candidatesTokenCount"));
	int			thoughts = memai_wire_token_count(memai_json_get(usage, "thoughtsTokenCount"));
	int64		sum = (int64) Max(answer, 0) + Max(thoughts, 0);

	return (answer < 0 && thoughts < 0) || sum > PG_INT32_MAX ? -1 : (int) sum;
}

static void
raise_blocked(const MemaiModel *model, MemaiJson *root)
{
	char	   *reason = memai_json_text(memai_json_get(memai_json_get(root, "promptFeedback"),
														"blockReason"));

	if (reason != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_FILTERED),
				 errmsg("call to model \"%s\" failed: a content filter stopped the call",
						model->info.name),
				 errdetail("The provider's reason is %s.", memai_failure_clean(reason, NULL))));
	memai_wire_bad_response(model, "there is no candidate");
}

static MemaiJson *
parts_of(MemaiJson *candidate)
{
	return memai_json_get(memai_json_get(candidate, "content"), "parts");
}

static void
gemini_read_chat(const MemaiModel *model, MemaiJson *root, MemaiChatResult *result)
{
	MemaiJson  *candidate = memai_json_item(memai_json_get(root, "candidates"), 0);
	MemaiJson  *parts = parts_of(candidate);
	MemaiJson  *usage = memai_json_get(root, "usageMetadata");
	MemaiToolCallList calls;
	StringInfoData text;

	if (candidate == NULL)
		raise_blocked(model, root);
	initStringInfo(&text);
	memai_tool_calls_start(&calls);
	for (int i = 0; i < memai_json_length(parts); i++)
	{
		MemaiJson  *part = memai_json_item(parts, i);
		MemaiJson  *call = memai_json_get(part, "functionCall");
		MemaiJson  *id = memai_json_get(call, "id");
		char	   *piece = memai_json_text(memai_json_get(part, "text"));

		if (call != NULL)
		{
			memai_tool_calls_add(&calls, id ? id : memai_json_get(call, "name"),
								 memai_json_get(call, "name"), memai_json_get(call, "args"));
			memai_tool_calls_sign(&calls, memai_json_get(part, "thoughtSignature"));
		}
		else if (piece != NULL && !is_thought(part))
			appendStringInfoString(&text, piece);
	}
	result->content = text.len > 0 ? text.data : NULL;
	result->tool_calls = memai_tool_calls_finish(&calls);
	result->finish_reason = finish_reason(candidate, result->tool_calls != NULL);
	if (result->finish_reason == NULL)
		result->finish_reason = "stop";
	result->prompt_tokens = memai_wire_token_count(memai_json_get(usage, "promptTokenCount"));
	result->completion_tokens = completion_tokens(usage);
	memai_wire_check_chat(model, result);
}

/* a call comes whole, in one part */
static void
read_tool_part(MemaiJson *part, MemaiWireStream *stream)
{
	MemaiJson  *call = memai_json_get(part, "functionCall");
	MemaiStreamedTool *tool = memai_wire_stream_tool(stream, stream->ntools);
	MemaiJson  *id = memai_json_get(call, "id");
	MemaiJson  *arguments = memai_json_get(call, "args");

	if (tool == NULL)
		return;
	memai_wire_stream_part(&tool->id, id ? id : memai_json_get(call, "name"));
	memai_wire_stream_part(&tool->name, memai_json_get(call, "name"));
	if (arguments != NULL)
		appendStringInfoString(&tool->arguments, memai_json_serialize(arguments));
	memai_wire_stream_part(&tool->signature, memai_json_get(part, "thoughtSignature"));
}

/* there is no last event; the one that brings a reason to finish is it */
static void
gemini_read_event(const MemaiModel *model, MemaiJson *root, const char *data, MemaiWireStream *stream)
{
	MemaiJson  *candidate = memai_json_item(memai_json_get(root, "candidates"), 0);
	MemaiJson  *parts = parts_of(candidate);
	MemaiJson  *usage = memai_json_get(root, "usageMetadata");

	if (candidate == NULL && memai_json_get(root, "promptFeedback") != NULL)
		raise_blocked(model, root);
	for (int i = 0; i < memai_json_length(parts); i++)
	{
		MemaiJson  *part = memai_json_item(parts, i);

		if (memai_json_get(part, "functionCall") != NULL)
			read_tool_part(part, stream);
		else if (!is_thought(part))
			memai_wire_stream_text(stream, memai_json_get(part, "text"));
	}
	if (usage != NULL)
	{
		stream->prompt_tokens = memai_wire_token_count(memai_json_get(usage, "promptTokenCount"));
		stream->completion_tokens = completion_tokens(usage);
	}
	stream->finish_reason = finish_reason(candidate, stream->ntools > 0);
	stream->complete = stream->finish_reason != NULL;
}

/* ---- embeddings ---- */

static void
gemini_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
				   const MemaiSpan *inputs, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;
	char	   *name = psprintf("models/%s", model->model);

	out->path = psprintf("/models/%s:batchEmbedContents", memai_http_escape(model->model));
	appendStringInfoString(body, "{\"requests\":[");
	for (int i = 0; i < ninputs; i++)
	{
		appendStringInfoString(body, i > 0 ? ",{\"model\":" : "{\"model\":");
		memai_json_write_string(body, name, strlen(name));
		appendStringInfoString(body, ",\"content\":{\"parts\":[");
		write_text_part(body, &inputs[i]);
		appendStringInfo(body, "]},\"taskType\":\"%s\",\"outputDimensionality\":%d}",
						 type == MEMAI_INPUT_QUERY ? "RETRIEVAL_QUERY" : "RETRIEVAL_DOCUMENT",
						 model->info.dimensions);
	}
	appendStringInfoChar(body, ']');
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

static void
gemini_read_embed(const MemaiModel *model, const char *body, size_t len,
				  int ninputs, MemaiVector **vectors)
{
	static const char *const path[] = {"embeddings", NULL};

	memai_vectors_read_plain(model, body, len, path, "values", ninputs, vectors);
}

static const MemaiWire gemini_wire = {
	.key_header = "x-goog-api-key",
	.write_chat = gemini_write_chat,
	.read_chat = gemini_read_chat,
	.read_event = gemini_read_event,
	.write_embed = gemini_write_embed,
	.read_embed = gemini_read_embed,
	.max_batch = 100
};

const MemaiProvider memai_provider_gemini = {
	.name = "gemini",
	.validate = gemini_validate,
	.wire = &gemini_wire
};
