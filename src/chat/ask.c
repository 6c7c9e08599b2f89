/*
 * ask.c
 *	  memai.ask: a chat model writes a query that answers a question, memai
 *	  checks it and runs it, and tells the model what was wrong until it works.
 *
 *	  describe the tables -> the model writes -> check, run (-> the model answers) -> the row
 *								   ^------- its error ------'
 *
 * Each query runs in a subtransaction, so nothing of one that failed stays, no
 * lock either, when the model is called again.  The description of the tables
 * and errors are shown as data; the model's answer is JSON, and only its member
 * sql is ever run (ask_check.c, query.c).
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "chat/ask.h"
#include "chat/chat_int.h"
#include "chat/query.h"
#include "funcapi.h"
#include "json/json.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#define QUESTION_MAX_LENGTH 10000	/* characters */
#define MAX_REPAIRS 10
#define ERROR_MAX_LENGTH 1000	/* bytes of an error that a model is told */

/* tokens of a model whose context window nobody stated */
#define DEFAULT_CONTEXT_WINDOW 8192

#define ANSWER_SCHEMA \
	"{\"type\":\"object\",\"properties\":{\"sql\":{\"type\":\"string\"},\"explanation\":{\"type\":\"string\"}}," \
	"\"required\":[\"sql\",\"explanation\"],\"additionalProperties\":false}"

#define INSTRUCTIONS \
	"You write PostgreSQL queries that answer questions. Answer with one JSON object {\"sql\": ..., \"explanation\": ...} and nothing else. " \
	"sql is exactly one SELECT (WITH and set operations are fine) on the tables that are described, named with their schema. " \
	"It changes and locks nothing: no INTO, no FOR UPDATE, no data-modifying WITH. It calls functions that only compute: none that sleep, " \
	"read files or settings, or are volatile; the time is now(). At most %d rows are read, so order them where that matters. " \
	"explanation says in one or two sentences, in the language of the question, what the query finds and how. " \
	"Where the tables do not hold the answer, sql is an empty string and explanation says why."

enum Argument
{
	ARG_QUESTION,
	ARG_TABLES,
	ARG_SCHEMAS,
	ARG_MODEL,
	ARG_INSTRUCTIONS,
	ARG_MAX_ROWS,
	ARG_TIMEOUT_MS,
	ARG_MAX_REPAIRS,
	ARG_MAX_SCHEMA_TOKENS,
	ARG_FUNCTIONS,
	ARG_ON_ERROR,
	ARG_SEARCH_PATH,
	ARG_ANSWER,
	ARG_MAX_ANSWER_TOKENS
};

enum Column
{
	COL_SQL,
	COL_COLUMNS,
	COL_ROWS,
	COL_ROW_COUNT,
	COL_TRUNCATED,
	COL_EXPLANATION,
	COL_ATTEMPTS,
	COL_MODEL,
	COL_PROMPT_TOKENS,
	COL_COMPLETION_TOKENS,
	COL_TOTAL_TOKENS,
	COL_COST,
	COL_PROCESSING_MS,
	COL_ERROR,
	COL_ANSWER,
	NCOLUMNS
};

PG_FUNCTION_INFO_V1(memai_ask);
PG_FUNCTION_INFO_V1(memai_check_asked);

typedef struct Ask
{
	/* arguments */
	text	   *question;
	const char *instructions;	/* of the caller; NULL: none */
	int			max_repairs;
	bool		raise_errors;
	bool		wants_answer;	/* in words */
	int			max_answer_tokens;	/* of the rows that it is made from */
	MemaiModelInfo *model;
	AskRules	rules;
	ChatQuery	query;

	/* state */
	instr_time	start;
	MemaiChatMessage messages[2 + 2 * MAX_REPAIRS];
	MemaiChatRequest request;
	StringInfoData attempts;	/* JSON array in the making */
	char	   *sql;			/* of the last answer; NULL: none */
	char	   *explanation;
	ChatRows   *rows;			/* NULL: no query ran to its end */
	char	   *problem;		/* of the last answer; NULL: none */
	Jsonb	   *json_rows;		/* rows->json; NULL: none yet */
	const char *answer;			/* in words; NULL: none */
	const char *answered_by;
	int64		prompt_tokens;	/* -1: some answer did not tell */
	int64		completion_tokens;
	double		cost;			/* NaN: some answer has none */
} Ask;

/* ---- arguments ---- */

static char *
name_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

static ArrayType *
array_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : PG_GETARG_ARRAYTYPE_P(argument);
}

static text *
question_argument(FunctionCallInfo fcinfo)
{
	text	   *question = PG_ARGISNULL(ARG_QUESTION) ? NULL : PG_GETARG_TEXT_PP(ARG_QUESTION);
	int			length;

	memai_check_content("question", question);
	length = pg_mbstrlen_with_len(VARDATA_ANY(question), VARSIZE_ANY_EXHDR(question));
	if (length > QUESTION_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("question is too long"),
				 errdetail("It has %d characters, the limit is %d.", length, QUESTION_MAX_LENGTH)));
	return question;
}

static List *
functions_argument(FunctionCallInfo fcinfo, int argument)
{
	ArrayType  *array = array_argument(fcinfo, argument);
	Datum	   *elements;
	bool	   *nulls;
	int			n = 0;
	List	   *functions = NIL;

	if (array != NULL)
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			functions = lappend(functions, TextDatumGetCString(elements[i]));
	return functions;
}

/* The chat model; raises for one that only quotes. */
static MemaiModelInfo *
model_argument(FunctionCallInfo fcinfo)
{
	MemaiModelInfo *model = memai_model_lookup(name_argument(fcinfo, ARG_MODEL), "chat");

	if (model->is_local)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot write queries", model->name),
				 errdetail("It quotes statements and follows no instructions."),
				 errhint("Register a language model with memai.create_model, and name it in the call or make it the default with memai.set_default_model.")));
	return model;
}

static void
read_arguments(FunctionCallInfo fcinfo, Ask *ask)
{
	INSTR_TIME_SET_CURRENT(ask->start);
	ask->question = question_argument(fcinfo);
	ask->instructions = name_argument(fcinfo, ARG_INSTRUCTIONS);
	ask->max_repairs = memai_chat_int_argument(fcinfo, ARG_MAX_REPAIRS, "max_repairs", 2, 0, MAX_REPAIRS);
	ask->raise_errors = memai_chat_raises_errors(fcinfo, ARG_ON_ERROR);
	ask->rules.functions = functions_argument(fcinfo, ARG_FUNCTIONS);
	ask->query.max_rows = memai_chat_int_argument(fcinfo, ARG_MAX_ROWS, "max_rows", 100, 1, 10000);
	ask->query.timeout = memai_chat_int_argument(fcinfo, ARG_TIMEOUT_MS, "timeout_ms", 5000, 1, 600000);
	ask->query.search_path = PG_ARGISNULL(ARG_SEARCH_PATH) ? "" : name_argument(fcinfo, ARG_SEARCH_PATH);
	ask->query.as_json = true;
	ask->query.check = memai_ask_check;
	ask->query.check_arg = &ask->rules;
	ask->wants_answer = !PG_ARGISNULL(ARG_ANSWER) && PG_GETARG_BOOL(ARG_ANSWER);
	ask->max_answer_tokens = memai_chat_int_argument(fcinfo, ARG_MAX_ANSWER_TOKENS, "max_answer_tokens", 4000, 1, 1000000);
	ask->model = model_argument(fcinfo);
	initStringInfo(&ask->attempts);
}

/* ---- talking with the model ---- */

static MemaiSpan
string_span(const char *string)
{
	MemaiSpan	span = {string, strlen(string)};

	return span;
}

static void
add_message(Ask *ask, const char *role, const char *content)
{
	Assert(ask->request.nmessages < (int) lengthof(ask->messages));
	ask->messages[ask->request.nmessages].role = role;
	ask->messages[ask->request.nmessages++].content = string_span(content);
}

char *
memai_ask_section(const char *section, const char *data)
{
	StringInfoData out;

	initStringInfo(&out);
	(void) memai_context_text(memai_context_open(PG_INT32_MAX), &out, section, data, strlen(data));
	return out.data;
}

static void
start_request(Ask *ask, const AskSchema *schema)
{
	add_message(ask, "system", psprintf(INSTRUCTIONS "%s%s" MEMAI_DATA_NOTICE, ask->query.max_rows, ask->instructions ? "\n\n" : "",
										ask->instructions ? ask->instructions : ""));
	add_message(ask, "user", psprintf("%s\n%s", memai_ask_section("tables", schema->description), text_to_cstring(ask->question)));
	ask->request.messages = ask->messages;
	ask->request.temperature = 0;
	ask->request.json_schema = ANSWER_SCHEMA;
}

/* an answer without the fence that some models put around JSON */
static char *
without_fence(const char *content)
{
	const char *start = strchr(content, '{');
	const char *end = strrchr(content, '}');

	return start == NULL || end == NULL || end < start ? pstrdup(content) : pnstrdup(start, end - start + 1);
}

/* Takes sql and explanation from an answer; sets the problem when it has none. */
static void
read_answer(Ask *ask, const MemaiChatResult *answer)
{
	const char *broken;
	MemaiJson  *json = memai_json_parse_server(without_fence(answer->content), &broken);

	ask->sql = memai_json_text(memai_json_get(json, "sql"));
	ask->explanation = memai_json_text(memai_json_get(json, "explanation"));
	ask->problem = NULL;
	if (strcmp(answer->finish_reason, "length") == 0)
		ask->problem = "the answer was cut off";
	else if (json == NULL)
		ask->problem = psprintf("the answer is no JSON: %s", broken);
	else if (ask->sql == NULL)
		ask->problem = "the answer has no member sql that is a string";
}

static void
add_tokens(int64 *sum, int tokens)
{
	*sum = tokens < 0 || *sum < 0 ? -1 : Min(*sum + tokens, PG_INT32_MAX);
}

static void
add_usage(Ask *ask, const MemaiChatResult *answer)
{
	add_tokens(&ask->prompt_tokens, answer->prompt_tokens);
	add_tokens(&ask->completion_tokens, answer->completion_tokens);
	ask->cost += answer->cost;
	ask->answered_by = answer->model;
}

static void
call_model(Ask *ask)
{
	MemaiChatResult answer;

	memai_model_complete(ask->model, &ask->request, &answer);
	add_usage(ask, &answer);
	read_answer(ask, &answer);
	/* no message may be empty */
	add_message(ask, "assistant", answer.content[0] ? answer.content : "-");
}

/* ---- running what it wrote ---- */

static void
run_query(void *arg)
{
	Ask		   *ask = arg;

	ask->query.sql = ask->sql;
	ask->rows = memai_query_run(&ask->query);
}

/* what a model can use of an error: no detail, which may quote rows */
static char *
error_text(const ErrorData *error)
{
	char	   *text = error->hint ? psprintf("%s (%s)", error->message, error->hint) : pstrdup(error->message);

	text[pg_mbcliplen(text, (int) strlen(text), ERROR_MAX_LENGTH)] = '\0';
	return text;
}

static void
note_attempt(Ask *ask, const char *sqlstate)
{
	StringInfo	out = &ask->attempts;

	appendStringInfo(out, "%c{\"ok\":%s,\"sql\":", out->len == 0 ? '[' : ',', ask->problem ? "false" : "true");
	if (ask->sql != NULL)
		escape_json(out, ask->sql);
	else
		appendStringInfoString(out, "null");
	if (ask->problem != NULL)
	{
		appendStringInfoString(out, ",\"error\":");
		escape_json(out, ask->problem);
		appendStringInfo(out, ",\"sqlstate\":\"%s\"", sqlstate);
	}
	appendStringInfoChar(out, '}');
}

/* Checks and runs the query of an answer; true when it ran, or none was meant to run. */
static bool
try_query(Ask *ask)
{
	const char *sqlstate = unpack_sql_state(ERRCODE_MEMAI_BAD_RESPONSE);
	ErrorData  *error;

	if (ask->problem == NULL && ask->sql[0] != '\0')
	{
		error = memai_catch(run_query, ask, NULL);
		if (error != NULL)
		{
			sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
			ask->problem = error_text(error);
		}
	}
	note_attempt(ask, sqlstate);
	return ask->problem == NULL;
}

static void
ask_for_repair(Ask *ask)
{
	add_message(ask, "user", psprintf("This answer cannot be used; what is wrong with it:\n%sAnswer the question again, with the JSON object only.",
									  memai_ask_section("error", ask->problem)));
}

static void
raise_unanswered(const Ask *ask)
{
	ereport(ERROR,
			(errcode(ERRCODE_MEMAI_BAD_RESPONSE),
			 errmsg("model \"%s\" wrote no query that could be run", ask->model->name),
			 errdetail("After %d attempts: %s.", ask->max_repairs + 1, ask->problem),
			 errhint("Ask more precisely, name the tables in tables, raise max_repairs, or use a larger model; on_error => 'null' returns all attempts.")));
}

static void
answer_question(Ask *ask)
{
	for (int attempt = 0;; attempt++)
	{
		CHECK_FOR_INTERRUPTS();
		call_model(ask);
		if (try_query(ask))
			return;
		if (attempt >= ask->max_repairs)
			break;
		ask_for_repair(ask);
	}
	if (ask->raise_errors)
		raise_unanswered(ask);
}

/* ---- in words ---- */

/* tokens of the model's context */
static int
context_window(const Ask *ask)
{
	return ask->model->context_window > 0 ? ask->model->context_window : DEFAULT_CONTEXT_WINDOW;
}

static void
put_in_words(void *arg)
{
	Ask		   *ask = arg;
	MemaiChatResult answer;
	AskAnswer	from = {
		.model = ask->model,
		.question = ask->question,
		.instructions = ask->instructions,
		.sql = ask->sql,
		.rows = ask->json_rows,
		.nrows = ask->rows->nrows,
		.more = ask->rows->more,
		.max_tokens = Min(ask->max_answer_tokens, context_window(ask) / 2),
	};

	memai_ask_answer(&from, &answer);
	add_usage(ask, &answer);
	ask->answer = answer.content;
}

/* Where it is wanted and a query ran; what was found is returned even when this fails. */
static void
answer_in_words(Ask *ask)
{
	ErrorData  *error;

	if (ask->rows == NULL)
		return;
	ask->json_rows = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(ask->rows->json)));
	if (!ask->wants_answer)
		return;
	if (ask->raise_errors)
	{
		put_in_words(ask);
		return;
	}
	error = memai_catch(put_in_words, ask, memai_chat_is_model_error);
	if (error != NULL)
		ask->problem = psprintf("%s: %s", unpack_sql_state(error->sqlerrcode), error->message);
}

/* ---- the row ---- */

static void
put_text(Datum *values, bool *nulls, int column, const char *value)
{
	nulls[column] = value == NULL;
	if (value != NULL)
		values[column] = CStringGetTextDatum(value);
}

static Datum
names_array(const ChatRows *rows)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(rows->ncolumns, 1));

	for (int i = 0; i < rows->ncolumns; i++)
		names[i] = CStringGetTextDatum(rows->names[i]);
	return PointerGetDatum(construct_array(names, rows->ncolumns, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
put_rows(const Ask *ask, Datum *values, bool *nulls)
{
	const ChatRows *rows = ask->rows;

	nulls[COL_COLUMNS] = nulls[COL_ROWS] = nulls[COL_ROW_COUNT] = nulls[COL_TRUNCATED] = rows == NULL;
	if (rows == NULL)
		return;
	values[COL_COLUMNS] = names_array(rows);
	values[COL_ROWS] = JsonbPGetDatum(ask->json_rows);
	values[COL_ROW_COUNT] = Int32GetDatum(rows->nrows);
	values[COL_TRUNCATED] = BoolGetDatum(rows->more);
}

static void
put_usage(const Ask *ask, Datum *values, bool *nulls)
{
	int64		total = ask->prompt_tokens + ask->completion_tokens;

	values[COL_PROMPT_TOKENS] = Int32GetDatum((int32) ask->prompt_tokens);
	nulls[COL_PROMPT_TOKENS] = ask->prompt_tokens < 0;
	values[COL_COMPLETION_TOKENS] = Int32GetDatum((int32) ask->completion_tokens);
	nulls[COL_COMPLETION_TOKENS] = ask->completion_tokens < 0;
	values[COL_TOTAL_TOKENS] = Int32GetDatum((int32) Min(total, PG_INT32_MAX));
	nulls[COL_TOTAL_TOKENS] = ask->prompt_tokens < 0 || ask->completion_tokens < 0;
	nulls[COL_COST] = isnan(ask->cost);
	if (!nulls[COL_COST])
		values[COL_COST] = DirectFunctionCall1(float8_numeric, Float8GetDatum(ask->cost));
}

static Datum
result_row(const Ask *ask, TupleDesc desc)
{
	Datum		values[NCOLUMNS] = {0};
	bool		nulls[NCOLUMNS] = {false};
	instr_time	elapsed;

	put_text(values, nulls, COL_SQL, ask->sql != NULL && ask->sql[0] != '\0' ? ask->sql : NULL);
	put_rows(ask, values, nulls);
	put_text(values, nulls, COL_EXPLANATION, ask->explanation);
	values[COL_ATTEMPTS] = DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf("%s]", ask->attempts.data)));
	values[COL_MODEL] = CStringGetTextDatum(ask->answered_by ? ask->answered_by : ask->model->name);
	put_usage(ask, values, nulls);
	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, ask->start);
	values[COL_PROCESSING_MS] = Float8GetDatum(INSTR_TIME_GET_MILLISEC(elapsed));
	put_text(values, nulls, COL_ERROR, ask->problem);
	put_text(values, nulls, COL_ANSWER, ask->answer);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

static const AskSchema *
load_schema(FunctionCallInfo fcinfo, const Ask *ask)
{
	int			max_tokens = memai_chat_int_argument(fcinfo, ARG_MAX_SCHEMA_TOKENS, "max_schema_tokens", 6000, 1, 1000000);
	const AskSchema *schema = memai_ask_schema(array_argument(fcinfo, ARG_TABLES), array_argument(fcinfo, ARG_SCHEMAS),
											   ask->query.search_path, Min(max_tokens, context_window(ask) / 2));

	if (schema->nleft_out > 0)
		ereport(WARNING,
				(errmsg("the model is told nothing of %d tables", schema->nleft_out),
				 errhint("Name those that matter in tables or schemas, or raise max_schema_tokens.")));
	return schema;
}

/* ask(...) returns record: see chat_ask.sql for the arguments */
Datum
memai_ask(PG_FUNCTION_ARGS)
{
	Ask		   *ask = palloc0(sizeof(Ask));
	MemoryContext context = CurrentMemoryContext;
	TupleDesc	desc;
	Datum		row;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	read_arguments(fcinfo, ask);
	SPI_connect();
	MemoryContextSwitchTo(context);
	ask->rules.schema = load_schema(fcinfo, ask);
	start_request(ask, ask->rules.schema);
	answer_question(ask);
	MemoryContextSwitchTo(context);
	answer_in_words(ask);
	MemoryContextSwitchTo(context);
	row = result_row(ask, desc);
	SPI_finish();
	return row;
}

/*
 * _check_asked(query text, tables text[], schemas text[], functions text[],
 * timeout_ms integer, search_path text) returns text: volatile; the rows of the
 * query as JSON
 */
Datum
memai_check_asked(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	AskRules	rules = {.functions = functions_argument(fcinfo, 3)};
	ChatQuery	query = {.max_rows = 3, .as_json = true, .check = memai_ask_check, .check_arg = &rules};
	ChatRows   *rows;

	query.sql = name_argument(fcinfo, 0);
	query.search_path = name_argument(fcinfo, 5);
	query.timeout = PG_ARGISNULL(4) ? 1000 : PG_GETARG_INT32(4);
	if (query.sql == NULL || query.search_path == NULL)
		PG_RETURN_NULL();
	SPI_connect();
	MemoryContextSwitchTo(context);
	rules.schema = memai_ask_schema(array_argument(fcinfo, 1), array_argument(fcinfo, 2), query.search_path, 100000);
	rows = memai_query_run(&query);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(rows->json));
}
