/*
 * vectorizer_store.c
 *	  What became of a batch of rows: vectors are stored, rows leave the queue,
 *	  errors are noted.
 *
 * A vector is stored if its row still has the text that was sent, with the hash
 * of that text beside it, and then the row leaves the queue; one that changed
 * in the meantime has a new version in the queue, stays there and is taken
 * again.
 *
 * A row that the table itself refuses (a trigger or constraint of the user's
 * raises an error) fails alone: the rows are stored one by one then, each in a
 * subtransaction.  When none of the first can be stored, it is not the rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/errors.h"
#include "ingest/vectorizer_batch.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* so many rows are tried before all are given up */
#define TRIED_ROWS 10

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
						v->source_name, v->vector, v->hash, memai_vectorizer_match_sql(v, "s"), memai_vectorizer_hash_sql(v, "s"));
	initStringInfo(&names);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "", v->keys[i]);
	return psprintf("INSERT INTO %s AS d (%s, content, embedding, content_hash) "
					"SELECT s.*, i.vector, i.hash FROM unnest($1, $2, $3) AS i (key, hash, vector) "
					"CROSS JOIN LATERAL (SELECT %s, %s AS content FROM %s s WHERE %s AND %s = i.hash FOR SHARE) AS s "
					"ON CONFLICT (%s) DO UPDATE SET content = excluded.content, embedding = excluded.embedding, "
					"content_hash = excluded.content_hash",
					v->table_name, names.data, names.data, memai_vectorizer_content_sql(v, "s"), v->source_name,
					memai_vectorizer_match_sql(v, "s"), memai_vectorizer_hash_sql(v, "s"), names.data);
}

/* Which of the selected rows are to be stored, as $1 and $2 of a statement; returns how many. */
static int
rows_to_store(const MemaiVectorizerBatch *batch, int *places, Datum *values)
{
	Datum	   *keys = palloc(sizeof(Datum) * batch->nselected);
	Datum	   *hashes = palloc(sizeof(Datum) * batch->nselected);
	int			n = 0;

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
	return n;
}

/* stores what was made; a row without text gets no vector */
static void
store_vectors(const MemaiVectorizerBatch *batch)
{
	int		   *places = palloc(sizeof(int) * batch->nselected);
	Datum	   *vectors = palloc(sizeof(Datum) * batch->nselected);
	bool	   *nulls = palloc(sizeof(bool) * batch->nselected);
	Oid			types[3] = {TEXTARRAYOID, UUIDARRAYOID, memai_vector_array_type_oid()};
	Datum		values[3];
	int			n = rows_to_store(batch, places, values);

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		const MemaiVectorizerRow *row = &batch->rows[batch->selected[places[i]]];

		nulls[i] = row->ntexts == 0;
		vectors[i] = nulls[i] ? (Datum) 0 : PointerGetDatum(batch->vectors[row->first]);
	}
	values[2] = PointerGetDatum(construct_md_array(vectors, nulls, 1, &n, (int[]) {1}, memai_vector_type_oid(), -1, false, TYPALIGN_INT));
	(void) memai_vectorizer_run_by_key(store_sql(batch->vectorizer), 3, types, values);
}

/* ---- chunks ---- */

/* true for the selected rows that still have the content that was sent, which stays locked */
static bool *
lock_unchanged(const MemaiVectorizerBatch *batch)
{
	const MemaiVectorizer *v = batch->vectorizer;
	bool	   *unchanged = palloc0(sizeof(bool) * batch->nselected);
	int		   *places = palloc(sizeof(int) * batch->nselected);
	Oid			types[2] = {TEXTARRAYOID, UUIDARRAYOID};
	Datum		values[2];
	int			n;
	bool		isnull;

	(void) rows_to_store(batch, places, values);
	n = (int) memai_vectorizer_run_by_key(psprintf("SELECT i.position::integer FROM unnest($1, $2) WITH ORDINALITY AS i (key, hash, position) "
								  "CROSS JOIN LATERAL (SELECT FROM %s s WHERE %s AND %s = i.hash FOR SHARE) AS s",
								  v->source_name, memai_vectorizer_match_sql(v, "s"), memai_vectorizer_hash_sql(v, "s")), 2, types, values);
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
	(void) memai_vectorizer_run_by_key(insert_chunks_sql(batch->vectorizer), 5, types, values);
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
	(void) memai_vectorizer_run_by_key(psprintf("DELETE FROM %s d USING unnest($1) AS i (key) WHERE %s", v->table_name,
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
		values[3] = CStringGetTextDatum(row->error ? row->error->message : "the model refuses the text");
		values[4] = CStringGetTextDatum(unpack_sql_state(row->error ? row->error->sqlerrcode : ERRCODE_MEMAI_REFUSED));
		(void) memai_vectorizer_own(&note_error, values, NULL);
	}
}

/* ---- the selected rows ---- */

/* the vectors of the selected rows, which then leave the queue */
static void
store_selected(void *arg)
{
	const MemaiVectorizerBatch *batch = arg;
	MemoryContext context = CurrentMemoryContext;

	SPI_connect();
	MemoryContextSwitchTo(context);
	memai_vectorizer_storing = true;
	if (batch->vectorizer->chunking)
		store_chunks(batch);
	else
		store_vectors(batch);
	memai_vectorizer_storing = false;
	remove_from_queue(batch);
	note_errors(batch);
	SPI_finish();
}

/* can it be that the table refuses one row and takes others? */
static bool
is_of_one_row(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_WITH_CHECK_OPTION_VIOLATION) || category == ERRCODE_TO_CATEGORY(ERRCODE_RAISE_EXCEPTION);
}

/* each row by itself, after all of them together met an error */
static void
store_singly(const MemaiVectorizerBatch *batch, ErrorData *error)
{
	MemaiVectorizerBatch single = *batch;
	int			nstored = 0;

	single.nselected = 1;
	for (int i = 0; i < batch->nselected; i++)
	{
		MemaiVectorizerRow *row = &batch->rows[batch->selected[i]];

		CHECK_FOR_INTERRUPTS();
		single.selected = &batch->selected[i];
		row->error = memai_catch(store_selected, &single, is_of_one_row);
		if (row->error == NULL)
			nstored++;
		else if (nstored == 0 && i + 1 == TRIED_ROWS)
			ReThrowError(error);
		else
		{
			row->refused = true;
			if (memai_catch(store_selected, &single, is_of_one_row) != NULL)
				ReThrowError(error);
		}
	}
}

void
memai_vectorizer_batch_store(MemaiVectorizerBatch *batch)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "memai vectorizer store", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	ErrorData  *error = memai_catch(store_selected, batch, is_of_one_row);

	if (error != NULL)
		store_singly(batch, error);
	for (int i = 0; i < batch->nselected; i++)
	{
		batch->rows[batch->selected[i]].settled = true;
		batch->rows[batch->selected[i]].error = NULL;	/* was noted, and goes with scratch */
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}
