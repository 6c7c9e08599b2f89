/*
 * call.c
 *	  Calls that are described by a JSON object and answered by one: what
 *	  memai.submit puts into the queue.
 */
#include "postgres.h"

#include <math.h>

#include "json/json.h"
#include "model/messages.h"
#include "model/registry.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

static void
raise_missing(const char *call, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("payload of the call \"%s\" has no \"%s\"", call, key),
			 errhint("Payloads are {\"messages\": [], \"options\": {}} for complete, {\"prompt\": \"\", \"system\": \"\", \"options\": {}} for generate, "
					 "{\"inputs\": [], \"input_type\": \"\"} for embed and {\"query\": \"\", \"documents\": []} for rerank.")));
}

/* a member of the payload by itself; NULL when it is absent */
static Jsonb *
member(const Jsonb *payload, const char *key)
{
	char	   *json = memai_option_json(payload, key);

	return json ? DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json))) : NULL;
}

static Jsonb *
options_member(const Jsonb *payload)
{
	Jsonb	   *options = member(payload, "options");

	return options ? options : memai_options_empty();
}

static char *
required_text(const Jsonb *payload, const char *call, const char *key)
{
	char	   *text = memai_option_text(payload, key);

	if (text == NULL)
		raise_missing(call, key);
	return text;
}

/* a member that is an array of strings, as spans */
static MemaiSpan *
required_texts(const Jsonb *payload, const char *call, const char *key, int *n)
{
	char	   *json = memai_option_json(payload, key);
	const char *problem;
	MemaiJson  *list = json ? memai_json_parse_server(json, &problem) : NULL;
	MemaiSpan  *spans;

	if (!memai_json_is_array(list))
		raise_missing(call, key);
	*n = memai_json_length(list);
	spans = palloc(sizeof(MemaiSpan) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		char	   *text = memai_json_text(memai_json_item(list, i));

		if (text == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("element %d of \"%s\" is not a string", i + 1, key)));
		spans[i].data = text;
		spans[i].len = strlen(text);
	}
	return spans;
}

static MemaiSpan
span_of(const char *text)
{
	MemaiSpan	span = {text, strlen(text)};

	return span;
}

static void
append_text(StringInfo out, const char *key, const char *text)
{
	appendStringInfo(out, "%s\"%s\":", out->len > 1 ? "," : "", key);
	escape_json(out, text);
}

static void
append_count(StringInfo out, const char *key, int count)
{
	if (count >= 0)
		appendStringInfo(out, ",\"%s\":%d", key, count);
}

static void
complete(const MemaiModelInfo *info, const MemaiChatRequest *request, StringInfo out)
{
	MemaiChatResult result;

	memai_model_complete(info, request, &result);
	append_text(out, "content", result.content);
	append_text(out, "finish_reason", result.finish_reason);
	append_text(out, "model", result.model);
	if (result.tool_calls != NULL)
		appendStringInfo(out, ",\"tool_calls\":%s", result.tool_calls);
	append_count(out, "prompt_tokens", result.prompt_tokens);
	append_count(out, "completion_tokens", result.completion_tokens);
}

static void
call_complete(const MemaiModelInfo *info, const Jsonb *payload, StringInfo out)
{
	MemaiChatRequest request;
	Jsonb	   *messages = member(payload, "messages");

	if (messages == NULL)
		raise_missing("complete", "messages");
	memai_chat_request_from_jsonb(&request, messages, options_member(payload));
	complete(info, &request, out);
}

static void
call_generate(const MemaiModelInfo *info, const Jsonb *payload, StringInfo out)
{
	MemaiChatMessage messages[2] = {0};
	MemaiChatRequest request = {.messages = messages};
	char	   *system = memai_option_text(payload, "system");
	char	   *prompt = required_text(payload, "generate", "prompt");

	if (system != NULL)
	{
		messages[0].role = "system";
		messages[0].content = span_of(system);
		request.nmessages = 1;
	}
	messages[request.nmessages].role = "user";
	messages[request.nmessages++].content = span_of(prompt);
	memai_chat_request_set_options(&request, options_member(payload));
	complete(info, &request, out);
}

static void
call_embed(const MemaiModelInfo *info, const Jsonb *payload, StringInfo out)
{
	int			n;
	MemaiSpan  *inputs = required_texts(payload, "embed", "inputs", &n);
	char	   *type = memai_option_text(payload, "input_type");
	MemaiVector **vectors = palloc0(sizeof(MemaiVector *) * Max(n, 1));

	memai_model_embed(info, type && strcmp(type, "query") == 0 ? MEMAI_INPUT_QUERY : MEMAI_INPUT_DOCUMENT,
					  n, inputs, vectors);
	appendStringInfoString(out, "\"embeddings\":[");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(out, i > 0 ? ",[" : "[");
		for (int j = 0; j < vectors[i]->dim; j++)
		{
			if (j > 0)
				appendStringInfoChar(out, ',');
			memai_json_write_number(out, vectors[i]->x[j]);
		}
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, ']');
}

static void
call_rerank(const MemaiModelInfo *info, const Jsonb *payload, StringInfo out)
{
	int			n;
	MemaiSpan  *documents = required_texts(payload, "rerank", "documents", &n);
	char	   *query = required_text(payload, "rerank", "query");
	double	   *scores = palloc(sizeof(double) * Max(n, 1));

	if (n > 0)
		memai_model_rerank(info, span_of(query), n, documents, scores);
	appendStringInfoString(out, "\"scores\":[");
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (isinf(scores[i]))
			appendStringInfoString(out, "null");
		else
			memai_json_write_number(out, scores[i]);
	}
	appendStringInfoChar(out, ']');
}

static const struct
{
	const char *call;
	const char *kind;
	void		(*run) (const MemaiModelInfo *info, const Jsonb *payload, StringInfo out);
}			calls[] =

{
	{"complete", "chat", call_complete},
	{"generate", "chat", call_generate},
	{"embed", "embed", call_embed},
	{"rerank", "rerank", call_rerank},
};

Jsonb *
memai_model_call(const MemaiScope *scope, const char *call, const char *model, const Jsonb *payload)
{
	StringInfoData out;

	for (int i = 0; i < (int) lengthof(calls); i++)
	{
		MemaiModelInfo *info;

		if (strcmp(calls[i].call, call) != 0)
			continue;
		info = memai_model_lookup_for(scope, model, calls[i].kind);
		initStringInfo(&out);
		appendStringInfoChar(&out, '{');
		calls[i].run(info, payload, &out);
		appendStringInfoChar(&out, '}');
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no call \"%s\"", call)));
}
