/*
 * tool_function.c
 *	  Functions of the database as tools.
 *
 * A call is one SELECT whose text comes from the catalogs alone; the arguments
 * travel as one jsonb parameter and are converted by jsonb_to_record, which
 * knows every type.  It runs with the rights of whoever chats.  Arguments named
 * user_id and namespace are those of the chat unless the tool's schema offers
 * them to the model.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "chat/query.h"
#include "chat/tool.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* what the catalogs say of a function's input arguments */
typedef struct Signature
{
	Oid			oid;
	bool		returns_set;
	Oid			return_type;
	int			nargs;
	int			nrequired;		/* the first so many have no default */
	char	  **names;
	Oid		   *types;
} Signature;

static void
refuse_function(const Signature *signature, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("function %s cannot be a tool", format_procedure(signature->oid)),
			 errdetail("%s", problem),
			 errhint("Wrap it in a function with named arguments that returns a value, a row, or a set.")));
}

static void
read_signature(Oid function, Signature *signature)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", function)));
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	memset(signature, 0, sizeof(Signature));
	signature->oid = function;
	signature->returns_set = proc->proretset;
	signature->return_type = proc->prorettype;
	signature->nrequired = proc->pronargs - proc->pronargdefaults;
	n = get_func_arg_info(tuple, &types, &names, &modes);
	signature->names = palloc0(sizeof(char *) * Max(n, 1));
	signature->types = palloc0(sizeof(Oid) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (modes != NULL && modes[i] != FUNC_PARAM_IN && modes[i] != FUNC_PARAM_INOUT)
		{
			if (modes[i] == FUNC_PARAM_VARIADIC)
				refuse_function(signature, "It has a variadic argument.");
			continue;
		}
		if (names == NULL || names[i][0] == '\0')
			refuse_function(signature, "It has an argument without a name.");
		signature->names[signature->nargs] = names[i];
		signature->types[signature->nargs++] = types[i];
	}
	if (proc->prokind != PROKIND_FUNCTION)
		refuse_function(signature, "It is no plain function.");
	ReleaseSysCache(tuple);
}

Oid
memai_tool_function_find(const char *function, const char *search_path)
{
	PGFunction	input = strchr(function, '(') ? regprocedurein : regprocin;
	int			nest_level = NewGUCNestLevel();
	Oid			found;

	(void) set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	found = DatumGetObjectId(DirectFunctionCall1(input, CStringGetDatum(function)));
	AtEOXact_GUC(true, nest_level);
	return found;
}

char *
memai_tool_function_identity(Oid function)
{
	Signature	signature;

	read_signature(function, &signature);
	for (int i = 0; i < signature.nargs; i++)
		if (get_typtype(signature.types[i]) == TYPTYPE_PSEUDO)
			refuse_function(&signature, "It has an argument of a pseudo-type.");
	return format_procedure_qualified(function);
}

/* ---- its schema ---- */

static const char *
json_type(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return "{\"type\":\"boolean\"}";
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return "{\"type\":\"integer\"}";
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return "{\"type\":\"number\"}";
		case DATEOID:
			return "{\"type\":\"string\",\"format\":\"date\"}";
		case TIMESTAMPTZOID:
			return "{\"type\":\"string\",\"format\":\"date-time\"}";
		case JSONOID:
		case JSONBOID:
			return "{}";
		default:
			return OidIsValid(get_element_type(type)) ? "{\"type\":\"array\"}" : "{\"type\":\"string\"}";
	}
}

static bool
is_of_chat(const char *name)
{
	return strcmp(name, "user_id") == 0 || strcmp(name, "namespace") == 0;
}

char *
memai_tool_function_schema(Oid function)
{
	Signature	signature;
	StringInfoData schema;
	StringInfoData required;

	read_signature(function, &signature);
	initStringInfo(&schema);
	initStringInfo(&required);
	appendStringInfoString(&schema, "{\"type\":\"object\",\"properties\":{");
	for (int i = 0; i < signature.nargs; i++)
	{
		const char *name = signature.names[i];

		if (is_of_chat(name))
			continue;
		if (schema.data[schema.len - 1] != '{')
			appendStringInfoChar(&schema, ',');
		memai_json_write_string(&schema, name, strlen(name));
		appendStringInfo(&schema, ":%s", json_type(signature.types[i]));
		if (i < signature.nrequired)
		{
			appendStringInfoChar(&required, required.len == 0 ? '[' : ',');
			memai_json_write_string(&required, name, strlen(name));
		}
	}
	appendStringInfoString(&schema, "},\"additionalProperties\":false");
	if (required.len > 0)
		appendStringInfo(&schema, ",\"required\":%s]", required.data);
	appendStringInfoChar(&schema, '}');
	return memai_json_server_text(schema.data, schema.len);
}

/* ---- calling it ---- */

typedef struct FunctionCall
{
	const char *sql;
	Datum		arguments;		/* jsonb */
	char	   *result;			/* in the context of the caller */
} FunctionCall;

static void
run_call(void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	FunctionCall *call = arg;
	Oid			type = JSONBOID;
	char	   *value;

	if (SPI_execute_with_args(call->sql, 1, &type, &call->arguments, NULL, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "unexpected result of a tool's query");
	MemoryContextSwitchTo(context);
	value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	call->result = value ? value : pstrdup("null");
	SPI_freetuptable(SPI_tuptable);
}

/* Appends one argument as a member of the object that the call is given. */
static void
add_argument(StringInfo object, int i, const char *json)
{
	appendStringInfo(object, "%c\"a%d\":%s", object->len == 0 ? '{' : ',', i, json);
}

static const char *
text_json(const text *value)
{
	StringInfoData json;

	initStringInfo(&json);
	memai_json_write_string(&json, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	return json.data;
}

/*
 * The arguments that are given, by the model or by the chat, as an object whose
 * members are named by their position; given says which they are.
 */
static Datum
collect_arguments(const Signature *signature, const ChatTool *tool, const MemaiScope *scope, MemaiJson *arguments, bool *given)
{
	const char *problem;
	MemaiJson  *offered = memai_json_get(memai_json_parse_server(tool->parameters, &problem), "properties");
	StringInfoData object;

	initStringInfo(&object);
	for (int i = 0; i < signature->nargs; i++)
	{
		const char *name = signature->names[i];
		MemaiJson  *value = memai_json_get(arguments, name);

		given[i] = true;
		if (is_of_chat(name) && memai_json_get(offered, name) == NULL)
			add_argument(&object, i, text_json(strcmp(name, "user_id") == 0 ? scope->user_id : scope->namespace));
		else if (value != NULL)
			add_argument(&object, i, memai_json_serialize(value));
		else
			given[i] = false;
	}
	appendStringInfoString(&object, object.len == 0 ? "{}" : "}");
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(memai_json_server_text(object.data, object.len)));
}

static char *
call_text(const Signature *signature, const bool *given)
{
	StringInfoData columns;
	StringInfoData arguments;
	const char *name = quote_identifier(get_func_name(signature->oid));
	const char *schema = quote_identifier(get_namespace_name(get_func_namespace(signature->oid)));
	bool		is_value = !signature->returns_set && type_is_rowtype(signature->return_type) == false;

	initStringInfo(&columns);
	initStringInfo(&arguments);
	for (int i = 0; i < signature->nargs; i++)
	{
		if (!given[i])
			continue;
		appendStringInfo(&columns, "%sa%d %s", columns.len ? ", " : "", i, format_type_be_qualified(signature->types[i]));
		appendStringInfo(&arguments, "%s%s => r.a%d", arguments.len ? ", " : "", quote_identifier(signature->names[i]), i);
	}
	return psprintf("SELECT %s FROM %s%s%s%s.%s(%s) AS f",
					is_value ? "f::pg_catalog.text" : "coalesce(pg_catalog.json_agg(f), '[]')::pg_catalog.text",
					columns.len ? "pg_catalog.jsonb_to_record($1) AS r(" : "", columns.data, columns.len ? "), LATERAL " : "",
					schema, name, arguments.data);
}

char *
memai_tool_function_call(const ChatTool *tool, const MemaiScope *scope, MemaiJson *arguments)
{
	Oid			function = DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(tool->function)));
	Signature	signature;
	FunctionCall call = {0};
	bool	   *given;

	read_signature(function, &signature);
	given = palloc0(sizeof(bool) * Max(signature.nargs, 1));
	call.arguments = collect_arguments(&signature, tool, scope, arguments, given);
	call.sql = call_text(&signature, given);
	memai_run_limited(psprintf("tool \"%s\"", tool->name), tool->search_path, tool->timeout, run_call, &call);
	return call.result;
}
