/*
 * vectorizer_batch.c
 *	  Batches of rows that wait for their vectors: read from the queue and the
 *	  source table, and parted into the texts that are sent.
 *
 * Whatever touches the user's table runs with the rights of its owner, under
 * SECURITY_RESTRICTED_OPERATION, which is how jobs run; the queue is memai's.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "ingest/ingest_int.h"
#include "ingest/vectorizer_batch.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define BATCH_BYTES (8 * 1024 * 1024)

static MemaiStatement read_keys = {
	"SELECT q.key, q.version FROM memai._vectorizer_queue q WHERE q.vectorizer = $1 AND q.key > $2 AND q.error IS NULL "
	"ORDER BY q.key LIMIT $3", 3, {INT4OID, TEXTOID, INT8OID}, NULL
};

/* plans are kept for long: those that scan or hash the tables would be made while these are small */
static int
begin_by_index(void)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_hashjoin", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_mergejoin", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

uint64
memai_vectorizer_own_by_index(MemaiStatement *statement, Datum *values, const char *nulls)
{
	int			nest_level = begin_by_index();
	uint64		n = memai_vectorizer_own(statement, values, nulls);

	AtEOXact_GUC(true, nest_level);
	return n;
}

uint64
memai_vectorizer_run_by_key(const char *sql, int nargs, Oid *types, Datum *values)
{
	int			nest_level = begin_by_index();
	int			result = SPI_execute_plan(memai_vectorizer_plan(sql, nargs, types), values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	AtEOXact_GUC(true, nest_level);
	return SPI_processed;
}

/* ---- reading ---- */

/* the next keys that wait; false when there is none */
static bool
read_waiting_keys(MemaiVectorizerBatch *batch, const text *after, int limit)
{
	Datum		values[3];
	bool		isnull;

	values[0] = Int32GetDatum(batch->vectorizer->id);
	values[1] = PointerGetDatum(after);
	values[2] = Int64GetDatum(limit);
	SPI_connect();
	batch->nrows = (int) memai_vectorizer_own_by_index(&read_keys, values, NULL);
	MemoryContextSwitchTo(batch->context);
	batch->rows = palloc0(sizeof(MemaiVectorizerRow) * Max(batch->nrows, 1));
	batch->selected = palloc(sizeof(int) * Max(batch->nrows, 1));
	for (int i = 0; i < batch->nrows; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];

		batch->rows[i].key = PointerGetDatum(DatumGetTextPCopy(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)));
		batch->rows[i].version = datumCopy(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull), false, UUID_LEN);
	}
	SPI_finish();
	return batch->nrows > 0;
}

static Datum
keys_of_all(const MemaiVectorizerBatch *batch)
{
	Datum	   *keys = palloc(sizeof(Datum) * batch->nrows);

	for (int i = 0; i < batch->nrows; i++)
		keys[i] = batch->rows[i].key;
	return PointerGetDatum(construct_array(keys, batch->nrows, TEXTOID, -1, false, TYPALIGN_INT));
}

/* hash of what was sent: another model's vector is another one, and so is that of another chunk */
char *
memai_vectorizer_hash_sql(const MemaiVectorizer *v, const char *row)
{
	char	   *chunking = v->chunking ? JsonbToCString(NULL, &v->chunking->root, VARSIZE(v->chunking)) : "";

	return psprintf("md5(%s || %s)::uuid", quote_literal_cstr(psprintf("%s\n%s", v->model, chunking)),
					memai_vectorizer_content_sql(v, row));
}

static char *
read_sql(const MemaiVectorizer *v)
{
	char	   *found = v->table_name ? psprintf(" LEFT JOIN %s d ON %s%s", v->table_name, memai_vectorizer_match_sql(v, "d"),
											  v->chunking ? " AND d.chunk = 1" : "") : "";
	const char *row = v->table_name ? "d" : "s";

	return psprintf("SELECT i.position::integer, %s, %s, coalesce(%s.%s = %s AND %s.%s IS NOT NULL, false) "
					"FROM unnest($1) WITH ORDINALITY AS i (key, position) JOIN %s s ON %s%s",
					memai_vectorizer_content_sql(v, "s"), memai_vectorizer_hash_sql(v, "s"), row, v->hash,
					memai_vectorizer_hash_sql(v, "s"), row, v->vector,
					v->source_name, memai_vectorizer_match_sql(v, "s"), found);
}

static bool
is_blank(const MemaiSpan *text)
{
	for (size_t i = 0; i < text->len; i++)
		if (!isspace((unsigned char) text->data[i]))
			return false;
	return true;
}

/* contents and hashes of the rows that are still there; long ones cut the batch short */
static void
read_contents(MemaiVectorizerBatch *batch)
{
	Oid			type = TEXTARRAYOID;
	Datum		keys = keys_of_all(batch);
	size_t		bytes = 0;
	bool		isnull;
	int			n;

	SPI_connect();
	n = (int) memai_vectorizer_run_by_key(read_sql(batch->vectorizer), 1, &type, &keys);
	MemoryContextSwitchTo(batch->context);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		MemaiVectorizerRow *row = &batch->rows[DatumGetInt32(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)) - 1];
		text	   *content = DatumGetTextPCopy(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));

		row->hash = datumCopy(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &isnull), false, UUID_LEN);
		row->content.data = VARDATA(content);
		row->content.len = VARSIZE(content) - VARHDRSZ;
		row->wanted = !DatumGetBool(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 4, &isnull));
	}
	SPI_finish();
	for (int i = 0; i < batch->nrows; i++)
	{
		bytes += batch->rows[i].content.len;
		if (bytes >= BATCH_BYTES)
			batch->nrows = i + 1;
	}
}

Jsonb *
memai_vectorizer_check_chunking(Jsonb *chunking)
{
	MemaiDocument document = {.chunking = chunking};

	memai_document_set_chunking(&document);
	return chunking;
}

static void
add_text(MemaiVectorizerBatch *batch, MemaiSpan text)
{
	if (batch->ntexts == batch->max_texts)
	{
		batch->max_texts = batch->max_texts * 2 + 64;
		batch->texts = batch->texts ? repalloc_huge(batch->texts, sizeof(MemaiSpan) * batch->max_texts) :
			palloc(sizeof(MemaiSpan) * batch->max_texts);
	}
	batch->texts[batch->ntexts++] = text;
}

/* the chunks of a content */
static void
add_chunks(MemaiVectorizerBatch *batch, const MemaiSpan *content)
{
	MemaiDocument document = {.chunking = batch->vectorizer->chunking};
	MemaiChunker chunker;
	MemaiChunk	chunk;
	const char *utf8;
	size_t		len;

	memai_document_set_chunking(&document);
	utf8 = memai_text_to_utf8(content->data, content->len, &len);
	memai_chunker_start(&chunker, utf8, len, &document.how);
	while (memai_chunker_next(&chunker, &chunk))
	{
		text	   *part = memai_text_from_utf8(utf8 + chunk.span.start, chunk.span.len);

		CHECK_FOR_INTERRUPTS();
		add_text(batch, (MemaiSpan) {VARDATA(part), VARSIZE(part) - VARHDRSZ});
	}
}

/* what is sent: the contents of those that are wanted, or their chunks; there is no vector of nothing */
static void
collect_texts(MemaiVectorizerBatch *batch)
{
	for (int i = 0; i < batch->nrows; i++)
	{
		MemaiVectorizerRow *row = &batch->rows[i];

		row->first = batch->ntexts;
		if (!row->wanted || is_blank(&row->content))
			continue;
		if (batch->vectorizer->chunking)
			add_chunks(batch, &row->content);
		else
			add_text(batch, row->content);
		row->ntexts = batch->ntexts - row->first;
	}
	batch->vectors = palloc0(sizeof(MemaiVector *) * Max(batch->ntexts, 1));
}

MemaiVectorizerBatch *
memai_vectorizer_batch_read(MemaiVectorizer *vectorizer, const text *after, int limit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai vectorizer batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemaiVectorizerBatch *batch = palloc0(sizeof(MemaiVectorizerBatch));

	batch->context = context;
	batch->vectorizer = vectorizer;
	if (read_waiting_keys(batch, after, limit))
	{
		read_contents(batch);
		collect_texts(batch);
		batch->model = memai_model_lookup(vectorizer->model, "embed");
	}
	else
		batch = NULL;
	MemoryContextSwitchTo(old);
	if (batch == NULL)
		MemoryContextDelete(context);
	return batch;
}

bool
memai_vectorizer_same(const MemaiVectorizer *a, const MemaiVectorizer *b)
{
	return a->id == b->id && strcmp(read_sql(a), read_sql(b)) == 0;
}
