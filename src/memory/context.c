/*
 * context.c
 *	  What a model is told from memory: blocks first, then recalled items.
 *
 * Stored text may have been written by anyone, so it is shown as data: each
 * section stands between markers that carry a random number made for this
 * call, which no stored text can know, and each item keeps to one line.  Its
 * date and its source stand before it: who said it in a conversation, or whose
 * word a memory is when it is not the user's.
 *
 * Tokens are estimated line by line; the estimate is additive at line ends, so
 * what sections are said to take is what the whole takes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define MAX_TOKENS_LIMIT 1000000
#define PERSONA_LABEL "persona"

struct MemaiContextWriter
{
	StringInfo	out;
	int64		tokens_left;
	int			lines;			/* of the section that is written */
	char		marker[17];		/* 64 random bits in hexadecimal */
};

/* what a context can be made of, in the order that the caller gives */
typedef enum Section
{
	SECTION_BLOCKS,
	SECTION_PROFILE,
	SECTION_FACTS,
	SECTION_EPISODES,
	SECTION_MEMORIES,			/* facts and episodes together, best first */
	SECTION_RECENT
} Section;

static const char *const section_names[] = {"blocks", "profile", "facts", "episodes", "memories", "recent"};

#define MAX_SECTIONS lengthof(section_names)

/* a section as it was written */
typedef struct WrittenSection
{
	int			start;			/* in the context's bytes */
	int			end;
	int			tokens;
	int			items;
} WrittenSection;

static MemaiStatement select_profile = {
	.sql = "SELECT coalesce(slot, category), content, since, needs_review FROM memai.profile($1, $2)",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* the newest, in the order of time */
static MemaiStatement select_recent = {
	.sql = "SELECT coalesce(name, role), content, occurred_at, false FROM (SELECT id, name, role, content, occurred_at "
	"FROM memai.episode WHERE scope = $1 AND document_id IS NULL ORDER BY occurred_at DESC, id DESC LIMIT 20) e ORDER BY occurred_at, id",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static MemaiStatement select_blocks = {
	.sql = "SELECT label, value FROM memai.block WHERE scope = $1 ORDER BY label",
	.nargs = 1,
	.argtypes = {INT8OID},
};

PG_FUNCTION_INFO_V1(memai_context);
PG_FUNCTION_INFO_V1(memai_context_sections);

static void
make_marker(MemaiContextWriter *writer)
{
	uint64		random;

	if (!pg_strong_random(&random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	snprintf(writer->marker, sizeof(writer->marker), "%016llx", (unsigned long long) random);
}

/* Appends stored text on one line, without characters that nobody sees. */
static void
append_line(StringInfo line, const char *data, int len)
{
	if (GetDatabaseEncoding() == PG_UTF8)
	{
		enlargeStringInfo(line, len);
		line->len += (int) memai_text_one_line(data, len, line->data + line->len);
		line->data[line->len] = '\0';
		return;
	}
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
write_line(MemaiContextWriter *writer, const char *section, bool *opened, const StringInfoData *line)
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
	writer->lines++;
	appendBinaryStringInfo(writer->out, piece.data, piece.len);
	*opened = true;
	return true;
}

static void
close_section(MemaiContextWriter *writer, const char *section, bool opened)
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
write_blocks(MemaiContextWriter *writer, const MemaiScope *scope, MemaiContext *context)
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

/* Appends whose word a memory is, unless it is the user's own. */
static void
append_provenance(StringInfo line, const text *provenance)
{
	static const char *const own = "user";

	if (provenance == NULL ||
		(VARSIZE_ANY_EXHDR(provenance) == strlen(own) && memcmp(VARDATA_ANY(provenance), own, strlen(own)) == 0))
		return;
	appendStringInfoChar(line, '[');
	append_text(line, provenance);
	appendStringInfoString(line, "] ");
}

/* Appends a remark that what stands before it may no longer hold. */
static void
append_doubt(StringInfo line, bool needs_review)
{
	if (needs_review)
		appendStringInfoString(line, " (may be outdated)");
}

/* The rows of select_profile or select_recent: who or what, content, time, doubt. */
static void
write_rows(MemaiContextWriter *writer, const char *section, MemaiStatement *statement, Datum *values)
{
	uint64		nrows = memai_statement_run(statement, values, NULL, true, 0);
	bool		opened = false;

	for (uint64 row = 0; row < nrows; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		StringInfoData line;
		bool		null;

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&line);
		appendStringInfoString(&line, "- ");
		append_date(&line, DatumGetTimestampTz(SPI_getbinval(tuple, desc, 3, &null)));
		append_text(&line, DatumGetTextPP(SPI_getbinval(tuple, desc, 1, &null)));
		appendStringInfoString(&line, ": ");
		append_text(&line, DatumGetTextPP(SPI_getbinval(tuple, desc, 2, &null)));
		append_doubt(&line, DatumGetBool(SPI_getbinval(tuple, desc, 4, &null)));
		write_line(writer, section, &opened, &line);
	}
	SPI_freetuptable(SPI_tuptable);
	close_section(writer, section, opened);
}

static bool
belongs_to(Section section, const MemaiRecalled *item)
{
	return section == SECTION_MEMORIES || item->is_memory == (section == SECTION_FACTS);
}

static void
write_recalled(MemaiContextWriter *writer, Section section, List *recalled, MemaiContext *context)
{
	const char *name = section_names[section];
	bool		opened = false;
	ListCell   *cell;

	foreach(cell, recalled)
	{
		MemaiRecalled *item = lfirst(cell);
		StringInfoData line;

		CHECK_FOR_INTERRUPTS();
		if (!belongs_to(section, item))
			continue;
		initStringInfo(&line);
		appendStringInfoString(&line, "- ");
		append_date(&line, item->occurred_at);
		if (item->name != NULL || item->role != NULL)
		{
			append_text(&line, item->name ? item->name : item->role);
			appendStringInfoString(&line, ": ");
		}
		append_provenance(&line, item->provenance);
		append_text(&line, item->content);
		append_doubt(&line, item->status != NULL && strcmp(item->status, "needs_review") == 0);
		if (write_line(writer, name, &opened, &line))
			context->items = lappend(context->items, item);
	}
	close_section(writer, name, opened);
}

static void
write_section(MemaiContextWriter *writer, Section section, const MemaiScope *scope, List *recalled, MemaiContext *context)
{
	Datum		values[2] = {Int64GetDatum(scope->scope), (Datum) 0};

	switch (section)
	{
		case SECTION_BLOCKS:
			write_blocks(writer, scope, context);
			break;
		case SECTION_PROFILE:
			values[0] = PointerGetDatum(scope->user_id);
			values[1] = PointerGetDatum(scope->namespace);
			write_rows(writer, section_names[section], &select_profile, values);
			break;
		case SECTION_RECENT:
			write_rows(writer, section_names[section], &select_recent, values);
			break;
		default:
			write_recalled(writer, section, recalled, context);
			break;
	}
}

/* Writes the sections; written has room for as many, or is NULL. */
static void
write_context(StringInfo out, const MemaiScope *scope, List *recalled, int max_tokens,
			  int nsections, const Section *sections, MemaiContext *context, WrittenSection *written)
{
	MemaiContextWriter writer = {.out = out,.tokens_left = max_tokens};

	memset(context, 0, sizeof(MemaiContext));
	make_marker(&writer);
	for (int i = 0; i < nsections; i++)
	{
		int			start = out->len;
		int64		tokens_left = writer.tokens_left;

		writer.lines = 0;
		write_section(&writer, sections[i], scope, recalled, context);
		if (written != NULL)
			written[i] = (WrittenSection) {start, out->len, (int) (tokens_left - writer.tokens_left), writer.lines};
	}
	context->tokens = max_tokens - (int) writer.tokens_left;
}

/* ---- for a prompt that is made of several parts ---- */

MemaiContextWriter *
memai_context_open(int max_tokens)
{
	MemaiContextWriter *writer = palloc0(sizeof(MemaiContextWriter));

	writer->tokens_left = max_tokens;
	make_marker(writer);
	return writer;
}

void
memai_context_blocks(MemaiContextWriter *writer, StringInfo out, const MemaiScope *scope, MemaiContext *context)
{
	writer->out = out;
	write_blocks(writer, scope, context);
}

void
memai_context_memories(MemaiContextWriter *writer, StringInfo out, List *recalled, MemaiContext *context)
{
	writer->out = out;
	write_recalled(writer, SECTION_MEMORIES, recalled, context);
}

bool
memai_context_text(MemaiContextWriter *writer, StringInfo out, const char *section, const char *data, size_t len)
{
	const char *end = data + len;
	bool		opened = false;
	bool		fits = true;

	writer->out = out;
	while (fits && data < end)
	{
		const char *newline = memchr(data, '\n', end - data);
		const char *line_end = newline ? newline : end;
		StringInfoData line;

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&line);
		append_line(&line, data, (int) (line_end - data));
		fits = write_line(writer, section, &opened, &line);
		data = newline ? newline + 1 : end;
	}
	close_section(writer, section, opened);
	return fits;
}

int
memai_context_tokens_left(const MemaiContextWriter *writer)
{
	return (int) writer->tokens_left;
}

/* Reads an array of section names; returns their number. */
static int
read_sections(ArrayType *names, Section *sections)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (n > (int) MAX_SECTIONS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many sections"),
				 errdetail("There are %d, the limit is %d.", n, (int) MAX_SECTIONS)));
	for (int i = 0; i < n; i++)
	{
		char	   *name = nulls[i] ? "" : TextDatumGetCString(elements[i]);
		int			section = 0;

		while (section < (int) MAX_SECTIONS && strcmp(section_names[section], name) != 0)
			section++;
		if (section == (int) MAX_SECTIONS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid section of a context"),
					 errhint("Sections are blocks, profile, facts, episodes, memories (facts and episodes, best first) and recent.")));
		sections[i] = (Section) section;
	}
	return n;
}

/* Renders the context that a call's arguments ask for; returns the number of sections. */
static int
render(FunctionCallInfo fcinfo, StringInfo out, Section *sections, WrittenSection *written)
{
	MemoryContext result_context = CurrentMemoryContext;
	MemaiScope	scope;
	MemaiRecallQuery query = {.scope = &scope};
	int			max_tokens = PG_ARGISNULL(3) ? 1000 : PG_GETARG_INT32(3);
	int			nsections = 2;
	MemaiContext context;

	sections[0] = SECTION_BLOCKS;
	sections[1] = SECTION_MEMORIES;
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
	if (!PG_ARGISNULL(5))
		nsections = read_sections(PG_GETARG_ARRAYTYPE_P(5), sections);

	initStringInfo(out);
	SPI_connect();
	write_context(out, &scope, memai_recall_run(&query, result_context, NULL), max_tokens, nsections, sections,
				  &context, written);
	SPI_finish();
	return nsections;
}

/*
 * context(query text, user_id text, namespace text, max_tokens integer,
 * k integer, sections text[]) returns text: volatile, since it may call a model
 */
Datum
memai_context(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	Section		sections[MAX_SECTIONS];
	StringInfoData out;

	render(fcinfo, &out, sections, NULL);
	MemoryContextSwitchTo(result_context);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* context_sections(as above) returns setof record: section, tokens, items, content */
Datum
memai_context_sections(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Section		sections[MAX_SECTIONS];
	WrittenSection written[MAX_SECTIONS];
	StringInfoData out;
	int			n;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	n = render(fcinfo, &out, sections, written);
	for (int i = 0; i < n; i++)
	{
		Datum		values[4] = {
			CStringGetTextDatum(section_names[sections[i]]),
			Int32GetDatum(written[i].tokens),
			Int32GetDatum(written[i].items),
			PointerGetDatum(cstring_to_text_with_len(out.data + written[i].start, written[i].end - written[i].start)),
		};
		bool		nulls[4] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
