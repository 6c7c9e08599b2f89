/*
 * arguments.c
 *	  The arguments that all forms of chat share,
 *	  checked before anything is read or stored.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "json/json.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"

#define MESSAGE_MAX_LENGTH 100000	/* characters */
#define MAX_STOPS 16

static text *
text_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	text	   *value = PG_ARGISNULL(argument) ? NULL : PG_GETARG_TEXT_PP(argument);

	if (value != NULL)
		memai_check_content(name, value);
	return value;
}

static char *
name_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

int
memai_chat_int_argument(FunctionCallInfo fcinfo, int argument, const char *name, int missing, int min, int max)
{
	int			value = PG_ARGISNULL(argument) ? missing : PG_GETARG_INT32(argument);

	if (!PG_ARGISNULL(argument) && (value < min || value > max))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range: %d", name, value),
				 errdetail("The range is %d to %d.", min, max)));
	return value;
}

static double
number_argument(FunctionCallInfo fcinfo, int argument, const char *name, double missing, double min, double max)
{
	double		value = PG_ARGISNULL(argument) ? missing : PG_GETARG_FLOAT8(argument);

	if (!PG_ARGISNULL(argument) && !(value >= min && value <= max))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range: %g", name, value),
				 errdetail("The range is %g to %g.", min, max)));
	return value;
}

bool
memai_chat_raises_errors(FunctionCallInfo fcinfo, int argument)
{
	char	   *on_error = PG_ARGISNULL(argument) ? "raise" : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	if (strcmp(on_error, "raise") != 0 && strcmp(on_error, "null") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value of on_error"),
				 errhint("It is 'raise' or 'null'.")));
	return strcmp(on_error, "raise") == 0;
}

static void
check_message(const text *message)
{
	int			length;

	memai_check_content("message", message);
	length = pg_mbstrlen_with_len(VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message));
	if (length > MESSAGE_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("message is too long"),
				 errdetail("It has %d characters, the limit is %d.", length, MESSAGE_MAX_LENGTH),
				 errhint("Store long texts with memai.remember_messages and ask about them.")));
}

/* stop as a JSON array of strings; NULL when there is none */
static char *
stop_argument(FunctionCallInfo fcinfo)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	StringInfoData json;

	if (PG_ARGISNULL(CHAT_ARG_STOP))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(CHAT_ARG_STOP), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (n > MAX_STOPS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many texts in stop"),
				 errdetail("There are %d, the limit is %d.", n, MAX_STOPS)));
	initStringInfo(&json);
	for (int i = 0; i < n; i++)
	{
		text	   *stop = nulls[i] ? NULL : DatumGetTextPP(elements[i]);

		memai_check_content("stop", stop);
		appendStringInfoChar(&json, i == 0 ? '[' : ',');
		memai_json_write_string(&json, VARDATA_ANY(stop), VARSIZE_ANY_EXHDR(stop));
	}
	appendStringInfoChar(&json, ']');
	return n == 0 ? NULL : json.data;
}

/* The model or, as the registry takes it for one, the size. */
static char *
model_argument(FunctionCallInfo fcinfo)
{
	char	   *model = name_argument(fcinfo, CHAT_ARG_MODEL);
	char	   *size = name_argument(fcinfo, CHAT_ARG_SIZE);

	if (size == NULL)
		return model;
	if (model != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model and size must not both be given"),
				 errhint("size stands for the chat model that memai.set_default_model named for it.")));
	if (strcmp(size, "small") != 0 && strcmp(size, "medium") != 0 && strcmp(size, "large") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no size \"%s\"", size),
				 errhint("It is 'small', 'medium' or 'large'.")));
	return size;
}

static Jsonb *
jsonb_argument(FunctionCallInfo fcinfo, int argument, const char *name, bool array)
{
	Jsonb	   *value = PG_ARGISNULL(argument) ? NULL : PG_GETARG_JSONB_P(argument);

	if (value != NULL && (array ? !JB_ROOT_IS_ARRAY(value) || JB_ROOT_IS_SCALAR(value) : !JB_ROOT_IS_OBJECT(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON %s", name, array ? "array" : "object")));
	return value;
}

void
memai_chat_arguments(FunctionCallInfo fcinfo, Chat *chat)
{
	Jsonb	   *schema;

	INSTR_TIME_SET_CURRENT(chat->start);
	chat->message = PG_ARGISNULL(CHAT_ARG_MESSAGE) ? NULL : PG_GETARG_TEXT_PP(CHAT_ARG_MESSAGE);
	check_message(chat->message);
	chat->user_id = PG_ARGISNULL(CHAT_ARG_USER_ID) ? NULL : PG_GETARG_TEXT_PP(CHAT_ARG_USER_ID);
	memai_scope_resolve(&chat->scope, chat->user_id, PG_ARGISNULL(CHAT_ARG_NAMESPACE) ? NULL : PG_GETARG_TEXT_PP(CHAT_ARG_NAMESPACE));
	chat->has_namespace = !PG_ARGISNULL(CHAT_ARG_NAMESPACE);
	chat->model_name = model_argument(fcinfo);
	chat->system_prompt = text_argument(fcinfo, CHAT_ARG_SYSTEM_PROMPT, "system_prompt");
	chat->temperature = number_argument(fcinfo, CHAT_ARG_TEMPERATURE, "temperature", get_float8_nan(), 0, 2);
	chat->max_tokens = memai_chat_int_argument(fcinfo, CHAT_ARG_MAX_TOKENS, "max_tokens", 0, 1, 1000000);
	chat->top_p = number_argument(fcinfo, CHAT_ARG_TOP_P, "top_p", 0, 0.000001, 1);
	chat->presence_penalty = number_argument(fcinfo, CHAT_ARG_PRESENCE_PENALTY, "presence_penalty", 0, -2, 2);
	chat->frequency_penalty = number_argument(fcinfo, CHAT_ARG_FREQUENCY_PENALTY, "frequency_penalty", 0, -2, 2);
	chat->stop = stop_argument(fcinfo);
	schema = jsonb_argument(fcinfo, CHAT_ARG_RESPONSE_SCHEMA, "response_schema", false);
	if (schema != NULL)
		chat->response_schema = JsonbToCString(NULL, &schema->root, VARSIZE(schema));
	chat->tools = jsonb_argument(fcinfo, CHAT_ARG_TOOLS, "tools", true);
	chat->use_memory = PG_ARGISNULL(CHAT_ARG_USE_MEMORY) || PG_GETARG_BOOL(CHAT_ARG_USE_MEMORY);
	chat->k = memai_chat_int_argument(fcinfo, CHAT_ARG_K, "k", 8, 1, MEMAI_RECALL_MAX_K);
	chat->max_context_tokens = memai_chat_int_argument(fcinfo, CHAT_ARG_MAX_CONTEXT_TOKENS, "max_context_tokens", 2000, 0, 1000000);
	chat->context = text_argument(fcinfo, CHAT_ARG_CONTEXT, "context");
	chat->intent = name_argument(fcinfo, CHAT_ARG_INTENT);
	chat->filter = PG_ARGISNULL(CHAT_ARG_FILTER) ? NULL : PG_GETARG_JSONB_P(CHAT_ARG_FILTER);
	memai_check_filter(chat->filter);
	chat->max_messages = memai_chat_int_argument(fcinfo, CHAT_ARG_MAX_MESSAGES, "max_messages", MEMAI_CHAT_WINDOW, 0, 1000);
	chat->raise_errors = memai_chat_raises_errors(fcinfo, CHAT_ARG_ON_ERROR);
	chat->router = PG_ARGISNULL(CHAT_ARG_ROUTER) ? memai_chat_default_router() : memai_chat_router(name_argument(fcinfo, CHAT_ARG_ROUTER));
	chat->max_cost = number_argument(fcinfo, CHAT_ARG_MAX_COST, "max_cost", get_float8_nan(), 0, 1e9);
	chat->thread_id = PG_ARGISNULL(CHAT_ARG_THREAD_ID) ? NULL : PG_GETARG_UUID_P(CHAT_ARG_THREAD_ID);
}
