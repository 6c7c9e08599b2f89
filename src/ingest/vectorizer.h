/*
 * vectorizer.h
 *	  What the files of the vectorizers share.  Private to ingest/.
 */
#ifndef MEMAI_INGEST_VECTORIZER_H
#define MEMAI_INGEST_VECTORIZER_H

#include "core/core.h"

#define MEMAI_VECTORIZER_MAX_COLUMNS 32

/* which of a vectorizer's triggers */
#define MEMAI_VECTORIZER_COLUMNS "columns"

/* a row of memai.vectorizer, with what the catalogs say of its table now */
typedef struct MemaiVectorizer
{
	int32		id;
	char	   *name;
	text	   *tenant;
	Oid			source;
	char	   *model;
	char	   *template;		/* with {n} for the n-th column; NULL: all, by lines */
	Oid			table;			/* where vectors go; InvalidOid: into the source */
	bool		paused;
	bool		scheduled;		/* jobs come from a schedule, not from changes */

	/* of the source; names are quoted */
	Oid			owner;
	char	   *source_name;
	char	   *table_name;		/* NULL: the source */
	int			nkeys;
	char	  **keys;
	char	  **key_types;
	int			ncolumns;
	char	  **columns;
	char	   *vector;			/* destination column */
	char	   *hash;			/* and the one beside it */
} MemaiVectorizer;

/* ---- vectorizer_source.c ---- */

/*
 * Reads a vectorizer by name, or with name NULL by id, in the current context;
 * NULL when there is none.  The caller is connected to SPI.
 */
extern MemaiVectorizer *memai_vectorizer_read(const char *name, int32 id);

/*
 * Looks up what the catalogs say of the source; false when the table, its key
 * or its list of columns is gone.
 */
extern bool memai_vectorizer_describe(MemaiVectorizer *vectorizer);

/* Fills keys and key_types from the primary key; false when there is none. */
extern bool memai_vectorizer_describe_key(MemaiVectorizer *vectorizer);

/* The key of a row as text, the condition that finds the row of the key i.key, and the text that is embedded. */
extern char *memai_vectorizer_key_sql(const MemaiVectorizer *vectorizer, const char *row);
extern char *memai_vectorizer_match_sql(const MemaiVectorizer *vectorizer, const char *row);
extern char *memai_vectorizer_content_sql(const MemaiVectorizer *vectorizer, const char *row);

/*
 * Runs a statement with the rights of the extension's owner: for memai's own
 * tables only, with nothing of a user's in it but parameters.  The current
 * context stays what it is.
 */
extern uint64 memai_vectorizer_own(MemaiStatement *statement, Datum *values, const char *nulls);

/* ---- vectorizer_queue.c ---- */

/*
 * Puts the keys that a query returns in its only column, computed with the
 * rights of the table's owner, into the vectorizer's queue, and submits a job unless the
 * transaction has one already.  The caller is connected to SPI, with the
 * transition tables registered that the query names.  Returns how many.
 */
extern int64 memai_vectorizer_enqueue(const MemaiVectorizer *vectorizer, const char *query);

/* Submits a job for what waits. */
extern void memai_vectorizer_submit(const MemaiVectorizer *vectorizer);

/* A plan for the text, kept for the session. */
extern SPIPlanPtr memai_vectorizer_plan(const char *sql, int nargs, Oid *types);

/* True while memai stores vectors itself. */
extern bool memai_vectorizer_storing;

extern void memai_vectorizer_queue_init(void);

/* ---- vectorizer_run.c ---- */

/* Registers the kind of jobs that make the vectors of rows. */
extern void memai_vectorizer_init(void);

#endif							/* MEMAI_INGEST_VECTORIZER_H */
