/*
 * source.c
 *	  Sources: registered queries whose rows are business context.
 *
 * A source's text is its description and a line for each row.  Its query runs
 * as query.c says; its parameters are the registered defaults, and over them
 * what the caller gives.
 *
 * A source with a cache_ttl is read again when that is over, or when a watched
 * table changed (source_watch.c).  Its text is kept for the role, tenant, user
 * and parameters that it was read with.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "chat/query.h"
#include "chat/source_cache.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

static MemaiStatement select_source = {
	.sql = "SELECT description, query, parameters || coalesce($3, '{}'), search_path, max_rows, timeout_ms, template, format = 'table', "
	"(extract(epoch FROM cache_ttl) * 1000)::bigint, watch <> '{}', "
	"jsonb_build_array(current_user, tenant, name, md5(source::text), memai.current_user_id(), "
	"(SELECT jsonb_object_agg(u, (parameters || coalesce($3, '{}')) -> u) FROM unnest(uses) u)), "
	"pg_snapshot_xmin(pg_current_snapshot()) FROM memai.source WHERE tenant = $1 AND name = $2",
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, JSONBOID},
};

static MemaiStatement select_change = {
	.sql = "SELECT 1 FROM memai._source_change WHERE tenant = $1 AND source = $2 AND xid >= $3::xid8 LIMIT 1",
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
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
	bool		is_table;		/* rows are those of a table in Markdown */
	ChatQuery	query;
	int64		cache_ttl;		/* milliseconds; 0: none */
	bool		is_watched;
	char	   *cache_key;		/* whose text it is, and of what */
	char	   *xmin;			/* of the snapshot that it is read with */
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
	source->is_table = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 8, &null));
	source->cache_ttl = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 9, &null));
	source->is_watched = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 10, &null));
	source->cache_key = text_of_column(11);
	source->xmin = text_of_column(12);
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

/* a cell of a table; values and names may hold its separator */
static void
append_cell(StringInfo out, const char *value)
{
	appendStringInfoString(out, " ");
	for (; *value != '\0'; value++)
	{
		if (*value == '|')
			appendStringInfoChar(out, '\\');
		appendStringInfoChar(out, (unsigned char) *value < 0x20 || *value == 0x7f ? ' ' : *value);
	}
	appendStringInfoString(out, " |");
}

static void
append_table_head(StringInfo out, const ChatRows *rows)
{
	appendStringInfoChar(out, '|');
	for (int column = 0; column < rows->ncolumns; column++)
		append_cell(out, rows->names[column]);
	appendStringInfoString(out, "\n|");
	for (int column = 0; column < rows->ncolumns; column++)
		appendStringInfoString(out, " --- |");
	appendStringInfoChar(out, '\n');
}

static void
append_table_row(StringInfo out, const ChatRows *rows, int row)
{
	appendStringInfoChar(out, '|');
	for (int column = 0; column < rows->ncolumns; column++)
		append_cell(out, rows->values[row][column] ? rows->values[row][column] : "");
}

static void
append_rows(StringInfo out, text *name, const Source *source)
{
	ChatRows   *rows = memai_query_run(&source->query);

	appendStringInfo(out, "%s%s%s\n", text_to_cstring(name), source->description ? ": " : "",
					 source->description ? source->description : "");
	if (source->is_table && rows->nrows > 0)
		append_table_head(out, rows);
	for (int row = 0; row < rows->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		if (source->is_table)
			append_table_row(out, rows, row);
		else
			append_row(out, rows, row, source->template);
		appendStringInfoChar(out, '\n');
	}
	if (rows->nrows == 0)
		appendStringInfoString(out, "(no rows)\n");
	if (rows->more)
		appendStringInfo(out, "(the first %d rows of more)\n", rows->nrows);
}

/* ---- the cache ---- */

static bool
has_changed_since(text *name, const char *xmin)
{
	Datum		values[3] = {PointerGetDatum(memai_current_tenant_text()), PointerGetDatum(name), CStringGetTextDatum(xmin)};

	return memai_statement_run(&select_change, values, NULL, true, 1) > 0;
}

static void
append_source(StringInfo out, text *name, const Source *source)
{
	TimestampTz now = GetCurrentTimestamp();
	const char *xmin;
	const char *kept = source->cache_ttl > 0 ? memai_source_cache_get(source->cache_key, &xmin) : NULL;
	int			start = out->len;

	if (kept != NULL && !(source->is_watched && has_changed_since(name, xmin)))
	{
		appendStringInfoString(out, kept);
		return;
	}
	append_rows(out, name, source);
	if (source->cache_ttl > 0)
		memai_source_cache_put(source->cache_key, source->xmin, TimestampTzPlusMilliseconds(now, source->cache_ttl), out->data + start);
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

/* _check_source(query text, parameters jsonb, search_path text) returns text[]: volatile; the parameters that it uses */
Datum
memai_check_source(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	ChatQuery	query = {
		.sql = text_to_cstring(PG_GETARG_TEXT_PP(0)),
		.parameters = PG_GETARG_JSONB_P(1),
		.search_path = text_to_cstring(PG_GETARG_TEXT_PP(2)),
	};
	List	   *used;
	Datum	   *names;
	ArrayType  *result;
	int			n = 0;
	ListCell   *cell;

	SPI_connect();
	used = memai_query_check(&query);
	MemoryContextSwitchTo(context);
	names = palloc(sizeof(Datum) * Max(list_length(used), 1));
	foreach(cell, used)
		names[n++] = CStringGetTextDatum(lfirst(cell));
	result = construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT);
	SPI_finish();
	PG_RETURN_ARRAYTYPE_P(result);
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
