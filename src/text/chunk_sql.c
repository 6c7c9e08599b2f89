/*
 * chunk_sql.c
 *	  memai.chunk and memai.clean_text: the chunker and the cleaners in SQL.
 *
 * The pure code works on UTF-8; texts of other encodings are converted to it
 * and back.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define DEFAULT_SIZE 400
/* an overlap that is not given is size / this */
#define OVERLAP_PART 10
#define HEADING_MAX_BYTES 200
#define HEADING_SEPARATOR " > "

PG_FUNCTION_INFO_V1(memai_chunk_sql);
PG_FUNCTION_INFO_V1(memai_clean_text);

/* the position of a word in a list; raises 22023 */
static int
choice_of(const char *what, const text *value, const char *const *choices, int n)
{
	StringInfoData hint;

	for (int i = 0; i < n; i++)
	{
		if (strlen(choices[i]) == VARSIZE_ANY_EXHDR(value) &&
			memcmp(choices[i], VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)) == 0)
			return i;
	}
	initStringInfo(&hint);
	for (int i = 0; i < n; i++)
		appendStringInfo(&hint, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", choices[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s \"%.*s\"", what,
					pg_mbcliplen(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), 40), VARDATA_ANY(value)),
			 errhint("It is %s.", hint.data)));
}

MemaiTextFormat
memai_text_format(const text *value)
{
	static const char *const formats[] = {"text", "markdown", "html", "code"};

	return (MemaiTextFormat) choice_of("format", value, formats, lengthof(formats));
}

void
memai_chunking_set(MemaiChunking *how, const text *unit, const text *strategy)
{
	static const char *const units[] = {"characters", "tokens"};
	static const char *const strategies[] = {"recursive", "sentence", "fixed"};

	how->in_tokens = unit == NULL || choice_of("unit", unit, units, lengthof(units)) == 1;
	how->strategy = strategy == NULL ? MEMAI_CHUNK_RECURSIVE :
		(MemaiChunkStrategy) choice_of("strategy", strategy, strategies, lengthof(strategies));
}

void
memai_chunking_set_size(MemaiChunking *how, const int *size, const int *overlap, int min_size, int max_size)
{
	how->size = size ? *size : DEFAULT_SIZE;
	if (how->size < min_size || how->size > max_size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("size of a chunk is out of range: %d", how->size),
				 errdetail("The range is %d to %d.", min_size, max_size)));
	how->overlap = overlap ? *overlap : how->size / OVERLAP_PART;
	if (how->overlap < 0 || how->overlap > how->size / 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap of chunks is out of range: %d", how->overlap),
				 errdetail("The range is 0 to half of the size, %d.", how->size / 2)));
}

text *
memai_text_from_utf8(const char *utf8, size_t len)
{
	char	   *converted;
	text	   *result;

	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII || len == 0)
		return cstring_to_text_with_len(utf8, (int) len);
	converted = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, utf8), (int) len,
												   PG_UTF8, GetDatabaseEncoding());
	result = cstring_to_text_with_len(converted, converted == utf8 ? len : strlen(converted));
	if (converted != utf8)
		pfree(converted);
	return result;
}

text *
memai_chunk_heading(const char *utf8, const MemaiChunk *chunk)
{
	StringInfoData path;
	text	   *result;

	initStringInfo(&path);
	for (int i = 0; i < MEMAI_HEADING_LEVELS; i++)
	{
		const MemaiTextSpan *heading = &chunk->headings[i];

		if (heading->len == 0)
			continue;
		if (path.len > 0)
			appendStringInfoString(&path, HEADING_SEPARATOR);
		appendBinaryStringInfo(&path, utf8 + heading->start,
							   pg_encoding_mbcliplen(PG_UTF8, utf8 + heading->start, (int) heading->len, HEADING_MAX_BYTES));
	}
	result = path.len > 0 ? memai_text_from_utf8(path.data, path.len) : NULL;
	pfree(path.data);
	return result;
}

/* a text of the server's encoding cleaned, in UTF-8 */
static char *
clean_utf8(const char *utf8, size_t len, MemaiTextFormat format, size_t *clean_len)
{
	char	   *out = MemoryContextAllocHuge(CurrentMemoryContext, memai_clean_max_size(len));

	*clean_len = memai_clean(utf8, len, format, out, NULL, 0);
	return out;
}

static void
put_chunk(ReturnSetInfo *rsinfo, const char *utf8, const MemaiChunk *chunk, int seq)
{
	text	   *heading = memai_chunk_heading(utf8, chunk);
	Datum		values[5];
	bool		nulls[5] = {false, false, false, false, heading == NULL};

	values[0] = Int32GetDatum(seq);
	values[1] = PointerGetDatum(memai_text_from_utf8(utf8 + chunk->span.start, chunk->span.len));
	values[2] = Int32GetDatum((int32) (chunk->first_char + 1));
	values[3] = Int32GetDatum((int32) (chunk->first_char + chunk->nchars));
	values[4] = PointerGetDatum(heading);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * chunk(content text, size integer, overlap integer, unit text, strategy text,
 * format text) returns setof record; no rows for a NULL content
 */
Datum
memai_chunk_sql(PG_FUNCTION_ARGS)
{
	MemaiChunking how = {0};
	int			size = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	int			overlap = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	MemoryContext chunk_context;
	MemaiChunker chunker;
	MemaiChunk	chunk;
	const char *utf8;
	size_t		len;

	memai_chunking_set_size(&how, PG_ARGISNULL(1) ? NULL : &size, PG_ARGISNULL(2) ? NULL : &overlap, 1, MEMAI_CHUNK_MAX_SIZE);
	memai_chunking_set(&how, PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3), PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	how.format = PG_ARGISNULL(5) ? MEMAI_FORMAT_TEXT : memai_text_format(PG_GETARG_TEXT_PP(5));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;

	utf8 = memai_text_to_utf8(VARDATA_ANY(PG_GETARG_TEXT_PP(0)), VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)), &len);
	if (how.format == MEMAI_FORMAT_HTML)
		utf8 = clean_utf8(utf8, len, how.format, &len);
	chunk_context = AllocSetContextCreate(CurrentMemoryContext, "memai text chunk", ALLOCSET_DEFAULT_SIZES);
	memai_chunker_start(&chunker, utf8, len, &how);
	for (int seq = 1; memai_chunker_next(&chunker, &chunk); seq++)
	{
		MemoryContext previous = MemoryContextSwitchTo(chunk_context);

		CHECK_FOR_INTERRUPTS();
		put_chunk((ReturnSetInfo *) fcinfo->resultinfo, utf8, &chunk, seq);
		MemoryContextSwitchTo(previous);
		MemoryContextReset(chunk_context);
	}
	MemoryContextDelete(chunk_context);
	return (Datum) 0;
}

/* clean_text(content text, format text) returns text: strict */
Datum
memai_clean_text(PG_FUNCTION_ARGS)
{
	text	   *content = PG_GETARG_TEXT_PP(0);
	MemaiTextFormat format = memai_text_format(PG_GETARG_TEXT_PP(1));
	size_t		len;
	const char *utf8 = memai_text_to_utf8(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), &len);
	char	   *out = clean_utf8(utf8, len, format, &len);

	PG_RETURN_TEXT_P(memai_text_from_utf8(out, len));
}
