/*
 * tool.c
 *	  Tools: the registry, definitions that come with a call, running one.
 *
 * What a model calls is chosen among the tools that it was offered, and its
 * arguments are checked against the tool's schema before anything runs; they
 * never become part of a statement, a URL or a header.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "chat/tool.h"
#include "funcapi.h"
#include "http/http.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#define DEFAULT_TIMEOUT 30000	/* milliseconds */
#define MAX_TOOLS 128
#define MAX_RESULT_LENGTH 100000	/* bytes that a model is shown */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define NO_ARGUMENTS "{\"type\":\"object\",\"properties\":{}}"

/* the registered tools that the current role may use; $2 NULL: all of them */
static MemaiStatement select_tools = {
	.sql = "SELECT t.name, t.description, t.parameters::text, t.function, t.search_path, t.url, t.credential, t.owner::oid, "
	"t.timeout_ms, t.needs_confirmation FROM memai.tool t "
	"WHERE t.tenant = $1 AND ($2 IS NULL OR t.name = $2) "
	"AND (t.roles IS NULL OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ANY (t.roles) AND pg_has_role(current_user, r.oid, 'USAGE'))) "
	"ORDER BY t.name",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static MemaiStatement select_intent_tools = {
	.sql = "SELECT to_jsonb(i.tools) FROM memai.intent i WHERE i.tenant = $1 AND i.name = $2",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_tool_definition);
PG_FUNCTION_INFO_V1(memai_run_tool);

/* ---- the registry ---- */

static ChatTool *
tool_of_row(HeapTuple tuple, TupleDesc desc)
{
	ChatTool   *tool = palloc0(sizeof(ChatTool));
	bool		null;

	tool->name = SPI_getvalue(tuple, desc, 1);
	tool->description = SPI_getvalue(tuple, desc, 2);
	tool->parameters = SPI_getvalue(tuple, desc, 3);
	tool->function = SPI_getvalue(tuple, desc, 4);
	tool->search_path = SPI_getvalue(tuple, desc, 5);
	tool->url = SPI_getvalue(tuple, desc, 6);
	tool->credential = SPI_getvalue(tuple, desc, 7);
	tool->owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 8, &null));
	tool->timeout = DatumGetInt32(SPI_getbinval(tuple, desc, 9, &null));
	tool->needs_confirmation = DatumGetBool(SPI_getbinval(tuple, desc, 10, &null));
	tool->kind = tool->function ? CHAT_TOOL_FUNCTION : CHAT_TOOL_HTTP;
	return tool;
}

static bool
is_known(List *tools, const char *name)
{
	ListCell   *cell;

	foreach(cell, tools)
		if (strcmp(((ChatTool *) lfirst(cell))->name, name) == 0)
			return true;
	return false;
}

/* Adds the registered tool of that name, or with "*" all of them. */
static List *
add_registered(List *tools, const char *name)
{
	bool		all = strcmp(name, "*") == 0;
	Datum		values[2] = {PointerGetDatum(memai_current_tenant_text()), CStringGetTextDatum(name)};
	uint64		nrows = memai_statement_run(&select_tools, values, all ? " n" : "  ", true, 0);

	if (nrows == 0 && !all)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no tool \"%s\"", name),
				 errhint("The view memai.tools lists those that you may use.")));
	for (uint64 row = 0; row < nrows; row++)
	{
		ChatTool   *tool = tool_of_row(SPI_tuptable->vals[row], SPI_tuptable->tupdesc);

		if (!is_known(tools, tool->name))
			tools = lappend(tools, tool);
	}
	SPI_freetuptable(SPI_tuptable);
	return tools;
}

/* ---- definitions in the call ---- */

static void
check_name(const char *name)
{
	size_t		len = name ? strlen(name) : 0;

	if (len < 1 || len > 64 || strspn(name, NAME_CHARACTERS) != len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tool has no valid name"),
				 errdetail("A name has 1 to 64 letters, digits, underscores and hyphens."),
				 errhint("Tools are names of registered ones, or {\"name\": ..., \"description\": ..., \"parameters\": {}, \"function\": ...}.")));
}

/* a tool that is defined in the call: a function of the database, or the caller's to run */
static ChatTool *
defined_tool(MemaiJson *definition)
{
	ChatTool   *tool = palloc0(sizeof(ChatTool));
	MemaiJson  *parameters = memai_json_get(definition, "parameters");
	char	   *function = memai_json_text(memai_json_get(definition, "function"));

	tool->name = memai_json_text(memai_json_get(definition, "name"));
	check_name(tool->name);
	tool->description = memai_json_text(memai_json_get(definition, "description"));
	tool->kind = function ? CHAT_TOOL_FUNCTION : CHAT_TOOL_CALLER;
	tool->search_path = "pg_catalog, pg_temp";
	tool->timeout = DEFAULT_TIMEOUT;
	if (function != NULL)
	{
		Oid			oid = memai_tool_function_find(function, tool->search_path);

		tool->function = memai_tool_function_identity(oid);
		tool->parameters = memai_tool_function_schema(oid);
	}
	if (parameters != NULL)
	{
		char	   *json = memai_json_serialize(parameters);

		tool->parameters = memai_json_server_text(json, strlen(json));
	}
	if (tool->parameters == NULL)
		tool->parameters = NO_ARGUMENTS;
	return tool;
}

static List *
add_tools(List *tools, Jsonb *wanted, bool *all)
{
	const char *problem;
	MemaiJson  *json = memai_json_parse_server(JsonbToCString(NULL, &wanted->root, VARSIZE(wanted)), &problem);

	for (int i = 0; i < memai_json_length(json); i++)
	{
		MemaiJson  *item = memai_json_item(json, i);
		char	   *name = memai_json_text(item);
		ChatTool   *tool;

		CHECK_FOR_INTERRUPTS();
		if (name != NULL && all != NULL && strcmp(name, "*") == 0)
			*all = true;
		else if (name != NULL)
			tools = add_registered(tools, name);
		else
		{
			tool = defined_tool(item);
			if (is_known(tools, tool->name))
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_OBJECT),
						 errmsg("there are two tools \"%s\"", tool->name)));
			tools = lappend(tools, tool);
		}
	}
	if (list_length(tools) > MAX_TOOLS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many tools"),
				 errdetail("There are %d, the limit is %d.", list_length(tools), MAX_TOOLS)));
	return tools;
}

/* the registered tools that are not among tools */
static List *
other_tools(List *tools)
{
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, add_registered(NIL, "*"))
		if (!is_known(tools, ((ChatTool *) lfirst(cell))->name))
			others = lappend(others, lfirst(cell));
	return others;
}

List *
memai_tools_load(Jsonb *wanted, const char *intent, List **candidates)
{
	bool		all = wanted == NULL;
	List	   *tools = NIL;

	if (wanted != NULL)
		tools = add_tools(tools, wanted, candidates ? &all : NULL);
	if (intent != NULL)
	{
		Datum		values[2] = {PointerGetDatum(memai_current_tenant_text()), CStringGetTextDatum(intent)};

		if (memai_statement_run(&select_intent_tools, values, NULL, true, 0) > 0)
		{
			bool		null;

			wanted = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
			tools = add_tools(tools, wanted, candidates ? &all : NULL);
		}
	}
	if (candidates != NULL)
		*candidates = all ? other_tools(tools) : NIL;
	return tools;
}

char *
memai_tools_json(List *tools)
{
	StringInfoData json;
	ListCell   *cell;

	if (tools == NIL)
		return NULL;
	initStringInfo(&json);
	foreach(cell, tools)
	{
		ChatTool   *tool = lfirst(cell);

		appendStringInfo(&json, "%s{\"name\":", json.len == 0 ? "[" : ",");
		escape_json(&json, tool->name);
		if (tool->description != NULL)
		{
			appendStringInfoString(&json, ",\"description\":");
			escape_json(&json, tool->description);
		}
		appendStringInfo(&json, ",\"parameters\":%s}", tool->parameters);
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

/* ---- running one ---- */

static void
check_arguments(const ChatTool *tool, MemaiJson *arguments)
{
	const char *unreadable;
	MemaiJson  *schema = memai_json_parse_server(tool->parameters, &unreadable);
	char	   *problem;

	if (!memai_json_is_object(arguments))
		problem = "they are no JSON object";
	else
		problem = memai_json_schema_problem(schema, arguments);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the arguments of tool \"%s\" do not follow its schema: %s", tool->name, problem)));
}

static char *
call_endpoint(const ChatTool *tool, const MemaiScope *scope, MemaiJson *arguments)
{
	MemaiEndpoint endpoint = {
		.name = tool->name,
		.url = tool->url,
		.credential = tool->credential,
		.owner = tool->owner,
		.timeout = tool->timeout,
	};
	StringInfoData body;
	char	   *answer;
	int			status;

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"name\":");
	memai_json_write_string(&body, tool->name, strlen(tool->name));
	appendStringInfo(&body, ",\"arguments\":%s,\"user_id\":", memai_json_serialize(arguments));
	memai_json_write_string(&body, VARDATA_ANY(scope->user_id), VARSIZE_ANY_EXHDR(scope->user_id));
	appendStringInfoString(&body, ",\"namespace\":");
	memai_json_write_string(&body, VARDATA_ANY(scope->namespace), VARSIZE_ANY_EXHDR(scope->namespace));
	appendStringInfoChar(&body, '}');
	answer = memai_endpoint_post(&endpoint, body.data, body.len, &status);
	if (status < 200 || status > 299)
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_PROVIDER_ERROR),
				 errmsg("tool \"%s\" answered with HTTP status %d", tool->name, status)));
	return answer;
}

char *
memai_tool_run(const ChatTool *tool, const MemaiScope *scope, MemaiJson *arguments)
{
	char	   *result;
	size_t		len;

	check_arguments(tool, arguments);
	result = tool->kind == CHAT_TOOL_FUNCTION ? memai_tool_function_call(tool, scope, arguments) :
		call_endpoint(tool, scope, arguments);
	len = strlen(result);
	if (len <= MAX_RESULT_LENGTH)
		return result;
	len = pg_mbcliplen(result, (int) len, MAX_RESULT_LENGTH);
	return psprintf("%s (cut here)", pnstrdup(result, len));
}

/* ---- SQL ---- */

/* URLs leave the machine: an administrator says where to. */
static void
check_url(const char *url)
{
	if (!has_privs_of_role(GetUserId(), get_role_oid("memai_admin", false)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only memai_admin can register a tool with a URL"),
				 errhint("Ask an administrator, who gives your tenant in tenant.")));
	(void) memai_http_url_parse(url, NULL, NULL);
}

/*
 * _tool_definition(name text, function text, url text, parameters jsonb,
 * search_path text) returns record (function text, parameters jsonb): stable;
 * raises unless they make a tool
 */
Datum
memai_tool_definition(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		nulls[2] = {false};
	Oid			function = InvalidOid;
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Jsonb	   *parameters = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_name(name);
	if (PG_ARGISNULL(1) == PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tool is either a function or a URL")));
	if (!PG_ARGISNULL(2))
		check_url(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (parameters != NULL && !JB_ROOT_IS_OBJECT(parameters))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameters must be a JSON schema of an object")));
	nulls[0] = PG_ARGISNULL(1);
	if (!nulls[0])
	{
		function = memai_tool_function_find(text_to_cstring(PG_GETARG_TEXT_PP(1)), text_to_cstring(PG_GETARG_TEXT_PP(4)));
		values[0] = CStringGetTextDatum(memai_tool_function_identity(function));
	}
	if (parameters != NULL)
		values[1] = JsonbPGetDatum(parameters);
	else
		values[1] = DirectFunctionCall1(jsonb_in, CStringGetDatum(nulls[0] ? NO_ARGUMENTS :
																  memai_tool_function_schema(function)));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* run_tool(name text, arguments jsonb, user_id text, namespace text) returns text: volatile */
Datum
memai_run_tool(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	MemaiScope	scope;
	Jsonb	   *arguments;
	const char *problem;
	MemaiJson  *json;
	List	   *tools;
	char	   *result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	memai_scope_resolve(&scope, PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2), PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3));
	if (PG_ARGISNULL(1))
		json = memai_json_parse_server("{}", &problem);
	else
	{
		arguments = PG_GETARG_JSONB_P(1);
		json = memai_json_parse_server(JsonbToCString(NULL, &arguments->root, VARSIZE(arguments)), &problem);
	}
	SPI_connect();
	tools = add_registered(NIL, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	result = MemoryContextStrdup(result_context, memai_tool_run(linitial(tools), &scope, json));
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(result));
}
