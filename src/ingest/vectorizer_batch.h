/*
 * vectorizer_batch.h
 *	  Rows of a source table that wait for their vectors, as a job takes them.
 *	  Private to ingest/.
 */
#ifndef MEMAI_INGEST_VECTORIZER_BATCH_H
#define MEMAI_INGEST_VECTORIZER_BATCH_H

#include "ingest/vectorizer.h"
#include "model/model.h"

/* a row that waits */
typedef struct MemaiVectorizerRow
{
	Datum		key;
	Datum		version;
	MemaiSpan	content;		/* NULL data: the row is gone */
	Datum		hash;			/* of the content, for this model */
	bool		wanted;			/* it lacks the vector of its content */
	bool		settled;		/* stored, and out of the queue */
	bool		refused;		/* by the model, or with error by the table */
	ErrorData  *error;
	int			first;			/* its texts, if it is wanted */
	int			ntexts;
} MemaiVectorizerRow;

typedef struct MemaiVectorizerBatch
{
	MemoryContext context;		/* which the batch and all it holds lives in */
	MemaiVectorizer *vectorizer;
	MemaiModelInfo *model;
	int			nrows;
	MemaiVectorizerRow *rows;

	/* what is sent for those that are wanted, and what came */
	int			ntexts;
	int			max_texts;
	MemaiSpan  *texts;
	MemaiVector **vectors;

	/* those that are to be stored, by their places in rows */
	int			nselected;
	int		   *selected;
} MemaiVectorizerBatch;

/* ---- vectorizer_batch.c ---- */

/*
 * Reads up to limit of the rows that wait, in the order of their keys, from the
 * one after; long ones cut it short.  In a context of its own below the current
 * one; NULL when nothing waits there.  Not connected to SPI, like all of these.
 */
extern MemaiVectorizerBatch *memai_vectorizer_batch_read(MemaiVectorizer *vectorizer, const text *after, int limit);

/* Whether two say the same about the rows and what is made of them. */
extern bool memai_vectorizer_same(const MemaiVectorizer *a, const MemaiVectorizer *b);

/* Hash of what is sent for a row: another model's vector is another one, and so is that of another chunk. */
extern char *memai_vectorizer_hash_sql(const MemaiVectorizer *vectorizer, const char *row);

/* Runs a statement of memai's own tables by its indexes; as memai_vectorizer_own. */
extern uint64 memai_vectorizer_own_by_index(MemaiStatement *statement, Datum *values, const char *nulls);

/* Runs a statement on the user's tables, as the current role, by their keys; connected to SPI.  Returns SPI_processed. */
extern uint64 memai_vectorizer_run_by_key(const char *sql, int nargs, Oid *types, Datum *values);

/* ---- vectorizer_store.c ---- */

/*
 * Selects the rows whose vectors have come, or with all those that are left,
 * where a row without a vector is refused by the model.  Returns how many.
 */
extern int	memai_vectorizer_batch_select(MemaiVectorizerBatch *batch, bool all);

/*
 * Stores what was made for the selected rows that are still as they were sent,
 * and takes them out of the queue.  A row that the table refuses keeps its error there.
 */
extern void memai_vectorizer_batch_store(MemaiVectorizerBatch *batch);

#endif							/* MEMAI_INGEST_VECTORIZER_BATCH_H */
