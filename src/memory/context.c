/*
 * context.c
 *	  What a model is told from memory: blocks first, then recalled items.
 *
 * Stored text may have been written by anyone, so it is shown as data: each
 * section stands between markers that carry a random number made for this
 * call, which no stored text can know, and each item keeps to one line.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define MAX_TOKENS_LIMIT 1000000
#define PERSONA_LABEL "persona"

typedef struct ContextWriter
{
	StringInfo	out;
	int64		tokens_left;
	char		marker[17];		/* 64 random bits in hexadecimal */
} ContextWriter;

static MemaiStatement select_blocks = {
	.sql = "SELECT label, value FROM memai.block WHERE scope = $1 ORDER BY label",
	.nargs = 1,
	.argtypes = {INT8OID},
};

PG_FUNCTION_INFO_V1(memai_context);

static void
make_marker(ContextWriter *writer)
{
	uint64		random;

	if (!pg_strong_random(&random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	snprintf(writer->marker, sizeof(writer->marker), "%016llx", (unsigned long long) random);
}

/* Appends stored text on one line. */
static void
append_line(StringInfo line, const char *data, int len)
{
	for (int i = 0; i < len; i++)
	{
		bool		control = (unsigned char) data[i] < 0x20 || data[i] == 0x7f;

		appendStringInfoCharMacro(line, control ? ' ' : data[i]);
	}
}

static void
append_text(StringInfo line, const text *value)
{
	append_line(line, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

/*
 * Opens a section lazily, with its first line, so that an empty section costs
 * nothing.  Returns false when the line does not fit the budget.
 */
static bool
write_line(ContextWriter *writer, const char *section, bool *opened, const StringInfoData *line)
{
	StringInfoData piece;
	int64		tokens;

	initStringInfo(&piece);
	if (!*opened)
		appendStringInfo(&piece, "<%s %s>\n", section, writer->marker);
	appendBinaryStringInfo(&piece, line->data, line->len);
	appendStringInfoChar(&piece, '\n');
	tokens = memai_text_estimate_tokens(piece.data, piece.len);
	if (!*opened)
	{
		char	   *closing = psprintf("</%s %s>\n", section, writer->marker);

		tokens += memai_text_estimate_tokens(closing, strlen(closing));
	}
	if (tokens > writer->tokens_left)
		return false;
	writer->tokens_left -= tokens;
	appendBinaryStringInfo(writer->out, piece.data, piece.len);
	*opened = true;
	return true;
}

static void
close_section(ContextWriter *writer, const char *section, bool opened)
{
	if (opened)
		appendStringInfo(writer->out, "</%s %s>\n", section, writer->marker);
}

static bool
is_persona(const text *label)
{
	return VARSIZE_ANY_EXHDR(label) == strlen(PERSONA_LABEL) &&
		memcmp(VARDATA_ANY(label), PERSONA_LABEL, strlen(PERSONA_LABEL)) == 0;
}

static void
write_blocks(ContextWriter *writer, const MemaiScope *scope, MemaiContext *context)
{
	Datum		value = Int64GetDatum(scope->scope);
	uint64		nrows = memai_statement_run(&select_blocks, &value, NULL, true, 0);
	bool		opened = false;

	for (uint64 row = 0; row < nrows; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		StringInfoData line;
		bool		null;
		text	   *label = DatumGetTextPP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null));

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&line);
		append_text(&line, label);
		appendStringInfoString(&line, ": ");
		append_text(&line, DatumGetTextPP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &null)));
		if (write_line(writer, "blocks", &opened, &line) && is_persona(label))
			context->persona_included = true;
	}
	SPI_freetuptable(SPI_tuptable);
	close_section(writer, "blocks", opened);
}

static void
append_date(StringInfo line, TimestampTz timestamp)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;

	if (TIMESTAMP_NOT_FINITE(timestamp) ||
		timestamp2tm(timestamp, &tz, &tm, &fsec, NULL, NULL) != 0)
		return;
	appendStringInfo(line, "%04d-%02d-%02d ", tm.tm_year, tm.tm_mon, tm.tm_mday);
}

static void
write_recalled(ContextWriter *writer, List *recalled, MemaiContext *context)
{
	bool		opened = false;
	ListCell   *cell;

	foreach(cell, recalled)
	{
		MemaiRecalled *item = lfirst(cell);
		StringInfoData line;

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&line);
		appendStringInfoString(&line, "- ");
		append_date(&line, item->occurred_at);
		if (item->name != NULL || item->role != NULL)
		{
			append_text(&line, item->name ? item->name : item->role);
			appendStringInfoString(&line, ": ");
		}
		append_text(&line, item->content);
		if (write_line(writer, "memories", &opened, &line))
			context->items = lappend(context->items, item);
	}
	close_section(writer, "memories", opened);
}

void
memai_context_append(StringInfo out, const MemaiScope *scope, List *recalled,
					 int max_tokens, MemaiContext *context)
{
	ContextWriter writer = {.out = out, .tokens_left = max_tokens};

	memset(context, 0, sizeof(MemaiContext));
	make_marker(&writer);
	write_blocks(&writer, scope, context);
	write_recalled(&writer, recalled, context);
	context->tokens = max_tokens - (int) writer.tokens_left;
}

/*
 * context(query text, user_id text, namespace text, max_tokens integer,
 * k integer) returns text: volatile, since it may call a model
 */
Datum
memai_context(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	MemaiScope	scope;
	MemaiRecallQuery query = {.scope = &scope};
	int			max_tokens = PG_ARGISNULL(3) ? 1000 : PG_GETARG_INT32(3);
	MemaiContext context;
	StringInfoData out;

	query.query = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	memai_check_content("query", query.query);
	memai_scope_resolve(&scope, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
						PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	query.k = PG_ARGISNULL(4) ? 20 : PG_GETARG_INT32(4);
	memai_check_k(query.k);
	if (max_tokens < 1 || max_tokens > MAX_TOKENS_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_tokens is out of range: %d", max_tokens),
				 errdetail("The range is 1 to %d.", MAX_TOKENS_LIMIT)));

	initStringInfo(&out);
	SPI_connect();
	memai_context_append(&out, &scope, memai_recall_run(&query, result_context, NULL), max_tokens, &context);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
