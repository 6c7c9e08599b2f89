/*
 * source.c
 *	  Sources: registered queries whose rows are business context.
 *
 * A source's text is its description and a line for each row.  Its query runs
 * as query.c says; its parameters are the registered defaults, and over them
 * what the caller gives.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "chat/query.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static MemaiStatement select_source = {
	.sql = "SELECT description, query, parameters || coalesce($3, '{}'), search_path, max_rows, timeout_ms, template "
	"FROM memai.source WHERE tenant = $1 AND name = $2",
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, JSONBOID},
};

/* the sources of an intent: those it lists, and those that list it */
static MemaiStatement select_sources_of_intent = {
	.sql = "SELECT s.name FROM memai.source s WHERE s.tenant = $1 AND ($2 = ANY (s.intents) OR s.name = ANY "
	"((SELECT i.sources FROM memai.intent i WHERE i.tenant = $1 AND i.name = $2)::text[])) ORDER BY s.name",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_check_source);
PG_FUNCTION_INFO_V1(memai_source_text);

typedef struct Source
{
	char	   *description;	/* NULL: none */
	char	   *template;		/* NULL: all columns */
	ChatQuery	query;
} Source;

static char *
text_of_column(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

static int
int_of_column(int column)
{
	bool		null;

	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null));
}

static void
load_source(text *name, Jsonb *parameters, Source *source)
{
	Datum		values[3] = {PointerGetDatum(memai_current_tenant_text()), PointerGetDatum(name), JsonbPGetDatum(parameters)};
	bool		null;

	if (memai_statement_run(&select_source, values, parameters ? "   " : "  n", true, 0) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no source \"%s\"", text_to_cstring(name)),
				 errhint("The table memai.source lists them.")));
	source->description = text_of_column(1);
	source->query.sql = text_of_column(2);
	source->query.parameters = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &null));
	source->query.search_path = text_of_column(4);
	source->query.max_rows = int_of_column(5);
	source->query.timeout = int_of_column(6);
	source->template = text_of_column(7);
	SPI_freetuptable(SPI_tuptable);
}

static const char *
value_of(const ChatRows *rows, int row, const char *name, size_t len)
{
	for (int column = 0; column < rows->ncolumns; column++)
	{
		if (strlen(rows->names[column]) == len && memcmp(rows->names[column], name, len) == 0)
			return rows->values[row][column] ? rows->values[row][column] : "";
	}
	return NULL;
}

/* Appends a value on one line: a row of a source is a line. */
static void
append_value(StringInfo out, const char *value)
{
	for (; *value != '\0'; value++)
		appendStringInfoChar(out, (unsigned char) *value < 0x20 || *value == 0x7f ? ' ' : *value);
}

/* {column} becomes the column's value; any other braces stay */
static void
append_template(StringInfo out, const ChatRows *rows, int row, const char *template)
{
	while (*template != '\0')
	{
		const char *end = *template == '{' ? strchr(template, '}') : NULL;
		const char *value = end ? value_of(rows, row, template + 1, end - template - 1) : NULL;

		if (value != NULL)
		{
			append_value(out, value);
			template = end + 1;
		}
		else
			appendStringInfoChar(out, *template++);
	}
}

static void
append_row(StringInfo out, const ChatRows *rows, int row, const char *template)
{
	bool		first = true;

	if (template != NULL)
	{
		append_template(out, rows, row, template);
		return;
	}
	for (int column = 0; column < rows->ncolumns; column++)
	{
		if (rows->values[row][column] == NULL)
			continue;
		appendStringInfo(out, "%s%s: ", first ? "- " : ", ", rows->names[column]);
		append_value(out, rows->values[row][column]);
		first = false;
	}
}

static void
append_source(StringInfo out, text *name, const Source *source)
{
	ChatRows   *rows = memai_query_run(&source->query);

	appendStringInfo(out, "%s%s%s\n", text_to_cstring(name), source->description ? ": " : "",
					 source->description ? source->description : "");
	for (int row = 0; row < rows->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		append_row(out, rows, row, source->template);
		appendStringInfoChar(out, '\n');
	}
	if (rows->nrows == 0)
		appendStringInfoString(out, "(no rows)\n");
	if (rows->more)
		appendStringInfo(out, "(the first %d rows of more)\n", rows->nrows);
}

/* ---- for chat ---- */

typedef struct SourceCall
{
	text	   *name;
	Jsonb	   *parameters;
	StringInfoData text;
} SourceCall;

static void
run_source(void *arg)
{
	SourceCall *call = arg;
	Source		source = {0};

	load_source(call->name, call->parameters, &source);
	append_source(&call->text, call->name, &source);
}

/* A source that fails costs its rows, not the conversation. */
static void
append_source_or_warn(StringInfo out, text *name, Jsonb *parameters)
{
	SourceCall	call = {.name = name,.parameters = parameters};
	ErrorData  *error;

	initStringInfo(&call.text);
	error = memai_catch(run_source, &call, NULL);
	if (error == NULL)
		appendBinaryStringInfo(out, call.text.data, call.text.len);
	else
	{
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("source \"%s\" could not be read: %s", text_to_cstring(name), error->message)));
		appendStringInfo(out, "%s\n(not available at the moment)\n", text_to_cstring(name));
	}
}

void
memai_sources_append(StringInfo out, const char *intent, Jsonb *parameters)
{
	Datum		values[2] = {PointerGetDatum(memai_current_tenant_text()), CStringGetTextDatum(intent)};
	uint64		nrows = memai_statement_run(&select_sources_of_intent, values, NULL, true, 0);
	text	  **names = palloc(sizeof(text *) * Max(nrows, 1));

	for (uint64 row = 0; row < nrows; row++)
	{
		bool		null;

		names[row] = DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	for (uint64 row = 0; row < nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		append_source_or_warn(out, names[row], parameters);
	}
}

/* ---- SQL ---- */

/* _check_source(query text, parameters jsonb, search_path text) returns text: volatile; the query */
Datum
memai_check_source(PG_FUNCTION_ARGS)
{
	ChatQuery	query = {
		.sql = text_to_cstring(PG_GETARG_TEXT_PP(0)),
		.parameters = PG_GETARG_JSONB_P(1),
		.search_path = text_to_cstring(PG_GETARG_TEXT_PP(2)),
	};

	SPI_connect();
	memai_query_check(&query);
	SPI_finish();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* source_text(name text, parameters jsonb) returns text: volatile */
Datum
memai_source_text(PG_FUNCTION_ARGS)
{
	Jsonb	   *parameters = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	StringInfoData out;
	Source		source = {0};
	text	   *name;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	name = PG_GETARG_TEXT_PP(0);
	if (parameters != NULL && !JB_ROOT_IS_OBJECT(parameters))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameters must be a JSON object")));
	initStringInfo(&out);
	SPI_connect();
	load_source(name, parameters, &source);
	append_source(&out, name, &source);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
