/*
 * query.c
 *	  Running somebody's SELECT safely: one statement, read-only, with the
 *	  caller's rights, bounded in time and rows, values as parameters only.
 *
 * A query refers to its parameters as columns of a relation "parameter"
 * (parameter.city); they are of type text.  What makes it read-only is the
 * transaction's own read-only mode for as long as it runs, so functions that it
 * calls cannot write either; that mode, the search path and the time limit are
 * taken back at the end, or by the abort of the (sub)transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "chat/query.h"
#include "core/core.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define PARAMETER_RELATION "parameter"
#define MAX_PARAMETERS 64
#define MAX_JSON (16 * 1024 * 1024)	/* bytes of all rows as JSON */

static TimeoutId time_limit = MAX_TIMEOUTS; /* registered at first use */
static volatile sig_atomic_t time_is_up;
static TimestampTz deadline;	/* of the innermost limit that is in force; 0: none */

/* the parameters of a query, in the order of its Param nodes */
typedef struct Parameters
{
	int			n;
	char	   *names[MAX_PARAMETERS];
	char	   *values[MAX_PARAMETERS]; /* NULL: null */
	bool		used[MAX_PARAMETERS];
} Parameters;

/* ---- parameters ---- */

static char *
parameter_text(const JsonbValue *value)
{
	if (value->type == jbvNull)
		return NULL;
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (value->type == jbvBool)
		return pstrdup(value->val.boolean ? "true" : "false");
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
}

/* object must be one, or NULL */
static void
read_parameters(Parameters *parameters, Jsonb *object)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (object == NULL)
		return;
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			if (parameters->n == MAX_PARAMETERS)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("too many parameters of a query"),
						 errdetail("The limit is %d.", MAX_PARAMETERS)));
			parameters->names[parameters->n] = pnstrdup(value.val.string.val, value.val.string.len);
		}
		else if (token == WJB_VALUE)
			parameters->values[parameters->n++] = parameter_text(&value);
	}
}

static ParamListInfo
make_param_list(const Parameters *parameters)
{
	ParamListInfo list = makeParamList(parameters->n);

	for (int i = 0; i < parameters->n; i++)
	{
		ParamExternData *param = &list->params[i];

		param->isnull = parameters->values[i] == NULL;
		param->value = param->isnull ? (Datum) 0 : CStringGetTextDatum(parameters->values[i]);
		param->pflags = PARAM_FLAG_CONST;
		param->ptype = TEXTOID;
	}
	return list;
}

/* parser hook: parameter.name that is no column */
static Node *
resolve_parameter(ParseState *pstate, ColumnRef *reference, Node *column)
{
	Parameters *parameters = pstate->p_ref_hook_state;
	const char *name;

	if (column != NULL || list_length(reference->fields) != 2 ||
		!IsA(linitial(reference->fields), String) || !IsA(lsecond(reference->fields), String) ||
		strcmp(strVal(linitial(reference->fields)), PARAMETER_RELATION) != 0)
		return NULL;
	name = strVal(lsecond(reference->fields));
	for (int i = 0; i < parameters->n; i++)
	{
		if (strcmp(parameters->names[i], name) == 0)
		{
			Param	   *param = makeNode(Param);

			parameters->used[i] = true;
			param->paramkind = PARAM_EXTERN;
			param->paramid = i + 1;
			param->paramtype = TEXTOID;
			param->paramtypmod = -1;
			param->paramcollid = DEFAULT_COLLATION_OID;
			param->location = reference->location;
			return (Node *) param;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_PARAMETER),
			 errmsg("the query has no parameter \"%s\"", name),
			 errhint("Name it in parameters, with its default or null."),
			 parser_errposition(pstate, reference->location)));
	return NULL;
}

static void
set_up_parser(ParseState *pstate, void *arg)
{
	pstate->p_post_columnref_hook = resolve_parameter;
	pstate->p_ref_hook_state = arg;
}

/* ---- preparing ---- */

void
memai_query_refuse(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the query %s", problem),
			 errhint("It must be one SELECT that changes and locks nothing.")));
}

/* Raises unless the plan is of one statement that reads. */
static void
check_plan(SPIPlanPtr plan)
{
	List	   *sources = SPI_plan_get_plan_sources(plan);
	CachedPlanSource *source;
	Query	   *query;

	if (list_length(sources) != 1)
		memai_query_refuse("is not one statement");
	source = linitial(sources);
	if (list_length(source->query_list) != 1)
		memai_query_refuse("is not one statement");
	query = linitial(source->query_list);
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
		memai_query_refuse("is no SELECT");
	if (query->hasModifyingCTE)
		memai_query_refuse("changes data");
	if (query->rowMarks != NIL)
		memai_query_refuse("locks rows");
}

static SPIPlanPtr
prepare(const char *sql, Parameters *parameters)
{
	SPIPlanPtr	plan = SPI_prepare_params(sql, set_up_parser, parameters, 0);

	if (plan == NULL)
		memai_query_refuse("cannot be prepared");
	check_plan(plan);
	return plan;
}

/* ---- bounds ---- */

static void
time_limit_reached(void)
{
	time_is_up = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* Sets the earlier of a new deadline and the outer one; true when it is the new one. */
static bool
start_time_limit(int milliseconds, TimestampTz outer)
{
	TimestampTz mine = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);

	if (time_limit == MAX_TIMEOUTS)
		time_limit = RegisterTimeout(USER_TIMEOUT, time_limit_reached);
	deadline = outer != 0 && outer < mine ? outer : mine;
	time_is_up = false;
	enable_timeout_at(time_limit, deadline);
	return deadline == mine;
}

/* An outer deadline that is over already rings at once. */
static void
end_time_limit(TimestampTz outer)
{
	disable_timeout(time_limit, false);
	time_is_up = false;
	deadline = outer;
	if (outer != 0)
		enable_timeout_at(time_limit, outer);
}

static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* ---- running ---- */

/* Gives columns of one name different ones: an object has a member only once. */
static void
separate_names(TupleDesc desc)
{
	for (int column = 1; column < desc->natts; column++)
	{
		NameData   *name = &TupleDescAttr(desc, column)->attname;
		char		original[NAMEDATALEN];
		int			n = 2;

		strlcpy(original, NameStr(*name), NAMEDATALEN);
		for (int other = 0; other < column; other++)
		{
			char		suffix[16];
			int			len;

			CHECK_FOR_INTERRUPTS();
			if (strcmp(NameStr(TupleDescAttr(desc, other)->attname), NameStr(*name)) != 0)
				continue;
			snprintf(suffix, sizeof(suffix), "_%d", n++);
			len = pg_mbcliplen(original, (int) strlen(original), NAMEDATALEN - 1 - (int) strlen(suffix));
			snprintf(NameStr(*name), NAMEDATALEN, "%.*s%s", len, original, suffix);
			/* the new name may be taken as well */
			other = -1;
		}
	}
}

static char *
rows_json(TupleDesc desc, int nrows)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int row = 0; row < nrows; row++)
	{
		Datum		record = heap_copy_tuple_as_datum(SPI_tuptable->vals[row], desc);
		text	   *object = DatumGetTextPP(DirectFunctionCall1(row_to_json, record));

		CHECK_FOR_INTERRUPTS();
		if (json.len + VARSIZE_ANY_EXHDR(object) > MAX_JSON)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the query returned too much"),
					 errdetail("The limit of all rows together is %d bytes.", MAX_JSON),
					 errhint("Ask for fewer rows, or for fewer or shorter columns.")));
		if (row > 0)
			appendStringInfoChar(&json, ',');
		appendBinaryStringInfo(&json, VARDATA_ANY(object), VARSIZE_ANY_EXHDR(object));
		pfree(DatumGetPointer(record));
		pfree(object);
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

static char ***
rows_values(TupleDesc desc, int nrows)
{
	char	 ***values = palloc(sizeof(char **) * Max(nrows, 1));

	for (int row = 0; row < nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		values[row] = palloc(sizeof(char *) * Max(desc->natts, 1));
		for (int column = 0; column < desc->natts; column++)
			values[row][column] = SPI_getvalue(SPI_tuptable->vals[row], desc, column + 1);
	}
	return values;
}

static ChatRows *
take_rows(const ChatQuery *query)
{
	ChatRows   *rows = palloc0(sizeof(ChatRows));
	TupleDesc	desc = SPI_tuptable->tupdesc;

	if (query->as_json)
	{
		desc = CreateTupleDescCopy(desc);
		separate_names(desc);
		desc = BlessTupleDesc(desc);
	}
	rows->more = SPI_processed > (uint64) query->max_rows;
	rows->nrows = (int) Min(SPI_processed, (uint64) query->max_rows);
	rows->ncolumns = desc->natts;
	rows->names = palloc(sizeof(char *) * Max(desc->natts, 1));
	for (int column = 0; column < desc->natts; column++)
		rows->names[column] = pstrdup(NameStr(TupleDescAttr(desc, column)->attname));
	if (query->as_json)
		rows->json = rows_json(desc, rows->nrows);
	else
		rows->values = rows_values(desc, rows->nrows);
	SPI_freetuptable(SPI_tuptable);
	return rows;
}

/* Says in place of a cancel that it was the time limit's. */
static void
explain_time_limit(const char *what, int timeout, bool is_over, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	if (!is_over || error->sqlerrcode != ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("%s took too long", what),
			 errdetail("The limit is %d milliseconds.", timeout),
			 errhint("Make it faster, or give it more time.")));
}

void
memai_run_limited(const char *what, const char *search_path, int timeout, void (*body) (void *), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	int			nest_level = NewGUCNestLevel();
	TimestampTz outer = deadline;
	bool		is_mine;

	set_local("search_path", search_path);
	is_mine = start_time_limit(timeout, outer);
	PG_TRY();
	{
		body(arg);
		/* it may have rung after the last check */
		if (time_is_up && is_mine)
			QueryCancelPending = false;
		end_time_limit(outer);
	}
	PG_CATCH();
	{
		bool		is_over = time_is_up;

		if (is_over && is_mine)
			QueryCancelPending = false;
		end_time_limit(outer);
		explain_time_limit(what, timeout, is_over && is_mine, context);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, nest_level);
	MemoryContextSwitchTo(context);
}

typedef struct QueryRun
{
	const ChatQuery *query;
	ChatRows   *rows;
} QueryRun;

static void
run_query(void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	QueryRun   *run = arg;
	Parameters	parameters = {0};
	bool		was_read_only = XactReadOnly;
	SPIPlanPtr	plan;

	/* the setting itself cannot be set for a function from 16 on; the end of a (sub)transaction restores this too */
	XactReadOnly = true;
	read_parameters(&parameters, run->query->parameters);
	if (run->query->check != NULL)
		run->query->check(run->query->sql, run->query->check_arg);
	plan = prepare(run->query->sql, &parameters);
	if (SPI_execute_plan_with_paramlist(plan, make_param_list(&parameters), true, run->query->max_rows + 1L) != SPI_OK_SELECT)
		memai_query_refuse("is no SELECT");
	MemoryContextSwitchTo(context);
	run->rows = take_rows(run->query);
	SPI_freeplan(plan);
	XactReadOnly = was_read_only;
}

ChatRows *
memai_query_run(const ChatQuery *query)
{
	QueryRun	run = {.query = query};

	memai_run_limited("the query", query->search_path, query->timeout, run_query, &run);
	return run.rows;
}

List *
memai_query_check(const ChatQuery *query)
{
	Parameters	parameters = {0};
	int			nest_level = NewGUCNestLevel();
	List	   *used = NIL;

	set_local("search_path", query->search_path);
	read_parameters(&parameters, query->parameters);
	SPI_freeplan(prepare(query->sql, &parameters));
	AtEOXact_GUC(true, nest_level);
	for (int i = 0; i < parameters.n; i++)
		if (parameters.used[i])
			used = lappend(used, parameters.names[i]);
	return used;
}
