/*
 * vectorizer_batch.c
 *	  Batches of rows that wait for their vectors: read from the queue and the
 *	  source table, and stored.
 *
 * A vector is stored if its row still has the text that was sent, with the hash
 * of that text beside it, and then the row leaves the queue; one that changed
 * in the meantime has a new version in the queue, stays there and is taken
 * again.
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
/* the locking subquery is what makes the planner look keys up one by one */
static MemaiStatement remove_done = {
	"DELETE FROM memai._vectorizer_queue q WHERE q.ctid = ANY (ARRAY(SELECT w.ctid FROM unnest($2, $3) AS d (key, version) "
	"CROSS JOIN LATERAL (SELECT o.ctid FROM memai._vectorizer_queue o WHERE o.vectorizer = $1 AND o.key = d.key "
	"AND o.version = d.version FOR UPDATE) AS w))", 3, {INT4OID, TEXTARRAYOID, UUIDARRAYOID}, NULL
};
static MemaiStatement note_error = {
	"UPDATE memai._vectorizer_queue q SET error = $4, sqlstate = $5 WHERE q.vectorizer = $1 AND q.key = $2 AND q.version = $3",
	5, {INT4OID, TEXTOID, UUIDOID, TEXTOID, TEXTOID}, NULL
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

static uint64
run_by_key(const char *sql, int nargs, Oid *types, Datum *values)
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
static char *
hash_sql(const MemaiVectorizer *v, const char *row)
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
					memai_vectorizer_content_sql(v, "s"), hash_sql(v, "s"), row, v->hash, hash_sql(v, "s"), row, v->vector,
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
	n = (int) run_by_key(read_sql(batch->vectorizer), 1, &type, &keys);
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

/* ---- storing ---- */

/* have all vectors of a row come? */
static bool
is_complete(const MemaiVectorizerBatch *batch, const MemaiVectorizerRow *row)
{
	for (int i = 0; i < row->ntexts; i++)
		if (batch->vectors[row->first + i] == NULL)
			return false;
	return true;
}

int
memai_vectorizer_batch_select(MemaiVectorizerBatch *batch, bool all)
{
	batch->nselected = 0;
	for (int i = 0; i < batch->nrows; i++)
	{
		MemaiVectorizerRow *row = &batch->rows[i];
		bool		complete;

		if (row->settled)
			continue;
		complete = is_complete(batch, row);
		if (!complete && !all)
			continue;
		row->refused = !complete;
		batch->selected[batch->nselected++] = i;
	}
	return batch->nselected;
}

static char *
store_sql(const MemaiVectorizer *v)
{
	StringInfoData names;

	if (v->table_name == NULL)
		return psprintf("UPDATE %s s SET %s = i.vector, %s = i.hash FROM unnest($1, $2, $3) AS i (key, hash, vector) "
						"WHERE %s AND %s = i.hash",
						v->source_name, v->vector, v->hash, memai_vectorizer_match_sql(v, "s"), hash_sql(v, "s"));
	initStringInfo(&names);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "", v->keys[i]);
	return psprintf("INSERT INTO %s AS d (%s, content, embedding, content_hash) "
					"SELECT s.*, i.vector, i.hash FROM unnest($1, $2, $3) AS i (key, hash, vector) "
					"CROSS JOIN LATERAL (SELECT %s, %s AS content FROM %s s WHERE %s AND %s = i.hash FOR SHARE) AS s "
					"ON CONFLICT (%s) DO UPDATE SET content = excluded.content, embedding = excluded.embedding, "
					"content_hash = excluded.content_hash",
					v->table_name, names.data, names.data, memai_vectorizer_content_sql(v, "s"), v->source_name,
					memai_vectorizer_match_sql(v, "s"), hash_sql(v, "s"), names.data);
}

/* stores what was made; a row without text gets no vector */
static void
store_vectors(const MemaiVectorizerBatch *batch)
{
	Datum	   *keys = palloc(sizeof(Datum) * batch->nselected);
	Datum	   *hashes = palloc(sizeof(Datum) * batch->nselected);
	Datum	   *vectors = palloc(sizeof(Datum) * batch->nselected);
	bool	   *nulls = palloc(sizeof(bool) * batch->nselected);
	Oid			types[3] = {TEXTARRAYOID, UUIDARRAYOID, memai_vector_array_type_oid()};
	Datum		values[3];
	int			n = 0;

	for (int i = 0; i < batch->nselected; i++)
	{
		const MemaiVectorizerRow *row = &batch->rows[batch->selected[i]];

		if (!row->wanted || row->refused)
			continue;
		keys[n] = row->key;
		hashes[n] = row->hash;
		nulls[n] = row->ntexts == 0;
		vectors[n] = nulls[n] ? (Datum) 0 : PointerGetDatum(batch->vectors[row->first]);
		n++;
	}
	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(hashes, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[2] = PointerGetDatum(construct_md_array(vectors, nulls, 1, &n, (int[]) {1}, memai_vector_type_oid(), -1, false, TYPALIGN_INT));
	(void) run_by_key(store_sql(batch->vectorizer), 3, types, values);
}

/* ---- chunks ---- */

/* true for the selected rows that still have the content that was sent, which stays locked */
static bool *
lock_unchanged(const MemaiVectorizerBatch *batch)
{
	const MemaiVectorizer *v = batch->vectorizer;
	bool	   *unchanged = palloc0(sizeof(bool) * batch->nselected);
	Datum	   *keys = palloc(sizeof(Datum) * batch->nselected);
	Datum	   *hashes = palloc(sizeof(Datum) * batch->nselected);
	int		   *places = palloc(sizeof(int) * batch->nselected);
	Oid			types[2] = {TEXTARRAYOID, UUIDARRAYOID};
	Datum		values[2];
	int			n = 0;
	bool		isnull;

	for (int i = 0; i < batch->nselected; i++)
	{
		const MemaiVectorizerRow *row = &batch->rows[batch->selected[i]];

		if (!row->wanted || row->refused)
			continue;
		keys[n] = row->key;
		hashes[n] = row->hash;
		places[n++] = i;
	}
	values[0] = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(hashes, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	n = (int) run_by_key(psprintf("SELECT i.position::integer FROM unnest($1, $2) WITH ORDINALITY AS i (key, hash, position) "
								  "CROSS JOIN LATERAL (SELECT FROM %s s WHERE %s AND %s = i.hash FOR SHARE) AS s",
								  v->source_name, memai_vectorizer_match_sql(v, "s"), hash_sql(v, "s")), 2, types, values);
	for (int i = 0; i < n; i++)
		unchanged[places[DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)) - 1]] = true;
	return unchanged;
}

static char *
insert_chunks_sql(const MemaiVectorizer *v)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s (", v->table_name);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, "%s, ", v->keys[i]);
	appendStringInfoString(&sql, "chunk, content, embedding, content_hash) SELECT ");
	for (int i = 0; i < v->nkeys; i++)
		if (v->nkeys == 1)
			appendStringInfo(&sql, "i.key::%s, ", v->key_types[i]);
		else
			appendStringInfo(&sql, "(i.key::text[])[%d]::%s, ", i + 1, v->key_types[i]);
	appendStringInfoString(&sql, "i.chunk, i.content, i.vector, i.hash FROM unnest($1, $2, $3, $4, $5) AS i (key, hash, chunk, content, vector)");
	return sql.data;
}

/* the vectors of the rows that are unchanged, one by one */
static void
insert_chunks(const MemaiVectorizerBatch *batch, const bool *unchanged, int ntexts)
{
	Datum	   *columns[5];
	Oid			types[5] = {TEXTARRAYOID, UUIDARRAYOID, INT4ARRAYOID, TEXTARRAYOID, memai_vector_array_type_oid()};
	Datum		values[5];
	int			n = 0;

	for (int i = 0; i < (int) lengthof(columns); i++)
		columns[i] = palloc(sizeof(Datum) * ntexts);
	for (int i = 0; i < batch->nselected; i++)
	{
		const MemaiVectorizerRow *row = &batch->rows[batch->selected[i]];

		for (int k = 0; unchanged[i] && k < row->ntexts; k++)
		{
			const MemaiSpan *content = &batch->texts[row->first + k];

			columns[0][n] = row->key;
			columns[1][n] = row->hash;
			columns[2][n] = Int32GetDatum(k + 1);
			columns[3][n] = PointerGetDatum(cstring_to_text_with_len(content->data, content->len));
			columns[4][n++] = PointerGetDatum(batch->vectors[row->first + k]);
		}
	}
	values[0] = PointerGetDatum(construct_array(columns[0], n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(columns[1], n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[2] = PointerGetDatum(construct_array(columns[2], n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[3] = PointerGetDatum(construct_array(columns[3], n, TEXTOID, -1, false, TYPALIGN_INT));
	values[4] = PointerGetDatum(construct_array(columns[4], n, memai_vector_type_oid(), -1, false, TYPALIGN_INT));
	(void) run_by_key(insert_chunks_sql(batch->vectorizer), 5, types, values);
}

/* replaces the chunks of the rows that are unchanged; whoever reads sees the old ones or the new ones */
static void
store_chunks(const MemaiVectorizerBatch *batch)
{
	const MemaiVectorizer *v = batch->vectorizer;
	bool	   *unchanged = lock_unchanged(batch);
	Datum	   *keys = palloc(sizeof(Datum) * batch->nselected);
	Oid			type = TEXTARRAYOID;
	Datum		array;
	int			n = 0;
	int			ntexts = 0;

	for (int i = 0; i < batch->nselected; i++)
	{
		if (!unchanged[i])
			continue;
		keys[n++] = batch->rows[batch->selected[i]].key;
		ntexts += batch->rows[batch->selected[i]].ntexts;
	}
	if (n == 0)
		return;
	array = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	(void) run_by_key(psprintf("DELETE FROM %s d USING unnest($1) AS i (key) WHERE %s", v->table_name,
							   memai_vectorizer_match_sql(v, "d")), 1, &type, &array);
	if (ntexts > 0)
		insert_chunks(batch, unchanged, ntexts);
}

/* ---- the queue ---- */

static void
remove_from_queue(const MemaiVectorizerBatch *batch)
{
	Datum	   *keys = palloc(sizeof(Datum) * batch->nselected);
	Datum	   *versions = palloc(sizeof(Datum) * batch->nselected);
	Datum		values[3];
	int			n = 0;

	for (int i = 0; i < batch->nselected; i++)
	{
		const MemaiVectorizerRow *row = &batch->rows[batch->selected[i]];

		if (row->refused)
			continue;
		keys[n] = row->key;
		versions[n++] = row->version;
	}
	values[0] = Int32GetDatum(batch->vectorizer->id);
	values[1] = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(versions, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	(void) memai_vectorizer_own_by_index(&remove_done, values, NULL);
}

static void
note_errors(const MemaiVectorizerBatch *batch)
{
	Datum		values[5];

	for (int i = 0; i < batch->nselected; i++)
	{
		const MemaiVectorizerRow *row = &batch->rows[batch->selected[i]];

		if (!row->refused)
			continue;
		values[0] = Int32GetDatum(batch->vectorizer->id);
		values[1] = row->key;
		values[2] = row->version;
		values[3] = CStringGetTextDatum("the model refuses the text");
		values[4] = CStringGetTextDatum(unpack_sql_state(ERRCODE_MEMAI_REFUSED));
		(void) memai_vectorizer_own(&note_error, values, NULL);
	}
}

void
memai_vectorizer_batch_store(MemaiVectorizerBatch *batch)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "memai vectorizer store", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	SPI_connect();
	MemoryContextSwitchTo(scratch);
	memai_vectorizer_storing = true;
	if (batch->vectorizer->chunking)
		store_chunks(batch);
	else
		store_vectors(batch);
	memai_vectorizer_storing = false;
	remove_from_queue(batch);
	note_errors(batch);
	SPI_finish();
	for (int i = 0; i < batch->nselected; i++)
		batch->rows[batch->selected[i]].settled = true;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}
