/*
 * wire_json.c
 *	  Pieces of JSON that the providers' formats share.
 */
#include "postgres.h"

#include <math.h>

#include "model/wire.h"
#include "mb/pg_wchar.h"

void
memai_wire_append_json(StringInfo out, const char *json)
{
	char	   *utf8 = pg_server_to_any(json, (int) strlen(json), PG_UTF8);

	appendStringInfoString(out, utf8);
}

MemaiJson *
memai_wire_parse(const char *json)
{
	const char *problem;
	MemaiJson  *root = memai_json_parse_server(json, &problem);

	if (root == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("JSON of the call cannot be used: %s", problem)));
	return root;
}

void
memai_wire_member_text(StringInfo out, const char *key, const char *text)
{
	appendStringInfo(out, ",\"%s\":", key);
	memai_json_write_string(out, text, strlen(text));
}

void
memai_wire_member_json(StringInfo out, const char *key, const char *json)
{
	appendStringInfo(out, ",\"%s\":", key);
	memai_wire_append_json(out, json);
}

void
memai_wire_start_body(const MemaiModel *model, StringInfo body)
{
	appendStringInfoString(body, "{\"model\":");
	memai_json_write_string(body, model->model, strlen(model->model));
}

void
memai_wire_member_texts(StringInfo out, const char *key, int n, const MemaiSpan *texts)
{
	appendStringInfo(out, ",\"%s\":[", key);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		memai_json_write_string(out, texts[i].data, texts[i].len);
	}
	appendStringInfoChar(out, ']');
}

void
memai_wire_member_number(StringInfo out, const char *key, double value)
{
	if (isnan(value))
		return;
	appendStringInfo(out, ",\"%s\":", key);
	memai_json_write_number(out, value);
}

void
memai_wire_member_sampling(StringInfo out, const MemaiChatRequest *request, const char *top_p,
						   const char *presence_penalty, const char *frequency_penalty)
{
	if (request->top_p != 0)
		memai_wire_member_number(out, top_p, request->top_p);
	if (request->presence_penalty != 0 && presence_penalty != NULL)
		memai_wire_member_number(out, presence_penalty, request->presence_penalty);
	if (request->frequency_penalty != 0 && frequency_penalty != NULL)
		memai_wire_member_number(out, frequency_penalty, request->frequency_penalty);
}

void
memai_wire_member_count(StringInfo out, const char *key, int value)
{
	if (value > 0)
		appendStringInfo(out, ",\"%s\":%d", key, value);
}

static bool
append_member(const char *key, MemaiJson *value, void *state)
{
	StringInfo	out = state;

	appendStringInfoChar(out, ',');
	memai_json_write_string(out, key, strlen(key));
	appendStringInfoChar(out, ':');
	appendStringInfoString(out, memai_json_serialize(value));
	return true;
}

void
memai_wire_append_extra(StringInfo out, const MemaiModel *model)
{
	char	   *extra = memai_option_json(model->options, "extra");

	if (extra != NULL)
		memai_json_each(memai_wire_parse(extra), append_member, out);
}

double
memai_wire_temperature(const MemaiModel *model, const MemaiChatRequest *request)
{
	if (!isnan(request->temperature))
		return request->temperature;
	return memai_option_number(model->options, "temperature", NAN);
}

int
memai_wire_max_tokens(const MemaiModel *model, const MemaiChatRequest *request)
{
	if (request->max_tokens > 0)
		return request->max_tokens;
	return memai_option_int(model->options, "max_tokens", 0);
}

int
memai_wire_token_count(MemaiJson *json)
{
	int64		count;

	if (!memai_json_int(json, &count) || count < 0 || count > PG_INT32_MAX)
		return -1;
	return (int) count;
}

void
memai_tool_calls_start(MemaiToolCallList *list)
{
	initStringInfo(&list->out);
	list->n = 0;
}

/* the arguments as an object where they are one, otherwise as they came */
static void
append_arguments(StringInfo out, MemaiJson *arguments)
{
	const char *data;
	size_t		len;
	const char *problem;
	MemaiJson  *parsed = NULL;

	if (memai_json_string(arguments, &data, &len))
		parsed = memai_json_parse(data, len, &problem);
	if (memai_json_is_object(parsed))
		arguments = parsed;
	appendStringInfoString(out, arguments ? memai_json_serialize(arguments) : "{}");
}

void
memai_tool_calls_add(MemaiToolCallList *list, MemaiJson *id, MemaiJson *name, MemaiJson *arguments)
{
	appendStringInfoString(&list->out, list->n++ == 0 ? "[{\"id\":" : ",{\"id\":");
	appendStringInfoString(&list->out, memai_json_serialize(id));
	appendStringInfoString(&list->out, ",\"name\":");
	appendStringInfoString(&list->out, memai_json_serialize(name));
	appendStringInfoString(&list->out, ",\"arguments\":");
	append_arguments(&list->out, arguments);
	appendStringInfoChar(&list->out, '}');
}

void
memai_tool_calls_add_text(MemaiToolCallList *list, StringInfo id, StringInfo name,
						  StringInfo arguments)
{
	const char *problem;
	MemaiJson  *parsed = memai_json_parse(arguments->data, arguments->len, &problem);

	appendStringInfoString(&list->out, list->n++ == 0 ? "[{\"id\":" : ",{\"id\":");
	memai_json_write_utf8_string(&list->out, id->data, id->len);
	appendStringInfoString(&list->out, ",\"name\":");
	memai_json_write_utf8_string(&list->out, name->data, name->len);
	appendStringInfoString(&list->out, ",\"arguments\":");
	if (memai_json_is_object(parsed))
		appendStringInfoString(&list->out, memai_json_serialize(parsed));
	else if (arguments->len == 0)
		appendStringInfoString(&list->out, "{}");
	else
		memai_json_write_utf8_string(&list->out, arguments->data, arguments->len);
	appendStringInfoChar(&list->out, '}');
}

void
memai_tool_calls_sign_text(MemaiToolCallList *list, StringInfo text)
{
	if (text->len == 0)
		return;
	/* inside the object that was closed last */
	list->out.data[--list->out.len] = '\0';
	appendStringInfoString(&list->out, ",\"signature\":");
	memai_json_write_utf8_string(&list->out, text->data, text->len);
	appendStringInfoChar(&list->out, '}');
}

void
memai_tool_calls_sign(MemaiToolCallList *list, MemaiJson *json)
{
	StringInfoData text;

	initStringInfo(&text);
	memai_wire_stream_part(&text, json);
	memai_tool_calls_sign_text(list, &text);
}

char *
memai_tool_calls_finish(MemaiToolCallList *list)
{
	if (list->n == 0)
		return NULL;
	appendStringInfoChar(&list->out, ']');
	return memai_json_server_text(list->out.data, list->out.len);
}
