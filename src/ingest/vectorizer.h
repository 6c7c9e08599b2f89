/*
 * vectorizer.h
 *	  What the files of the vectorizers share.  Private to ingest/.
 */
#ifndef MEMAI_INGEST_VECTORIZER_H
#define MEMAI_INGEST_VECTORIZER_H

#include "core/core.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

#define MEMAI_VECTORIZER_MAX_COLUMNS 32

/* what a table is used for: part of the names of triggers and of their function */
#define MEMAI_VECTORIZER "vectorizer"
#define MEMAI_WATCH "watch"

/* which of the triggers */
#define MEMAI_VECTORIZER_COLUMNS "columns"

/* a row of memai.vectorizer, with what the catalogs say of its table now */
typedef struct MemaiVectorizer
{
	const char *what;			/* MEMAI_VECTORIZER or MEMAI_WATCH */
	int32		id;
	char	   *name;
	text	   *tenant;
	Oid			source;
	char	   *model;
	char	   *template;		/* with {n} for the n-th column; NULL: all, by lines */
	Jsonb	   *chunking;		/* how texts are parted; NULL: not */
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
	Oid		   *key_type_oids;
	bool		misfit;			/* the table of the vectors has another key */
	int			ncolumns;
	char	  **columns;
	int			nextra;			/* columns that are listed after those */
	char	   *extra[2];
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
 * Looks up what the catalogs say of the source; false when the table, its key,
 * its list of columns or the table of the vectors is gone, or, with misfit set, has
 * another key.
 */
extern bool memai_vectorizer_describe(MemaiVectorizer *vectorizer);

/* Raises 55000, of one that is not complete. */
extern void memai_vectorizer_raise_incomplete(const MemaiVectorizer *vectorizer) pg_attribute_noreturn();

/* Fills keys and their types from the primary key; false when there is none. */
extern bool memai_vectorizer_describe_key(MemaiVectorizer *vectorizer);

/* Is the relation, whose trigger has fired, the source, or a partition or child of it?  Does it have all of its rows? */
extern bool memai_vectorizer_follows(const MemaiVectorizer *vectorizer, Relation relation);
extern bool memai_vectorizer_is_whole(const MemaiVectorizer *vectorizer, Relation relation);

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

/* ---- vectorizer_ddl.c: the caller is connected to SPI ---- */

/* Runs a statement that was made from quoted names. */
extern void memai_vectorizer_execute(const char *sql);

/* Raises 42501 unless the current role owns the table. */
extern void memai_vectorizer_check_owner(Oid relid);

/* Raises 42809 or 42501 unless the table can have triggers for memai and the current role owns it. */
extern void memai_vectorizer_check_source(Oid relid);

/* Becomes the table's owner, until the caller sets back what it gets. */
extern void memai_vectorizer_become_owner(const MemaiVectorizer *v, Oid *user, int *sec_context);

/* The name that is given, or that of the table; raises 42602. */
extern char *memai_vectorizer_choose_name(const text *given, Oid source);

/* Raises 22023 unless it says how to part texts; returns it. */
extern Jsonb *memai_vectorizer_check_chunking(Jsonb *chunking);

/* A column's number; raises 42703. */
extern AttrNumber memai_vectorizer_find_column(Oid relid, const char *name);

/* Adds a column's plain name to a list without doubles. */
extern void memai_vectorizer_add_column(List **columns, Oid relid, char *name);

/*
 * Turns {column} into {n} and adds the columns that it names to the list: what
 * is left does not depend on the columns' names.  Raises 22023 and 42703.
 */
extern char *memai_vectorizer_compile_template(const char *template, Oid source, List **columns);

/* The names of an array as a list. */
extern List *memai_vectorizer_list_columns(ArrayType *array, Oid source);

/* All triggers; columns has plain names, the extra ones of the struct are quoted. */
extern void memai_vectorizer_create_triggers(const MemaiVectorizer *v, const List *columns);
extern void memai_vectorizer_drop_triggers(const MemaiVectorizer *v);

/* Those of partitions that came later; nothing else is locked against writers. */
extern void memai_vectorizer_complete_triggers(const MemaiVectorizer *v);

/* The trigger that keeps the list of columns, and any of them by its kind. */
extern void memai_vectorizer_create_list(const MemaiVectorizer *v, const List *columns);
extern void memai_vectorizer_drop_trigger(const MemaiVectorizer *v, Oid relid, const char *which);

/* ---- vectorizer_queue.c ---- */

/*
 * Puts the keys that a query returns in its only column, computed with the
 * rights of the table's owner, into the vectorizer's queue, and submits a job unless the
 * transaction has one already.  The caller is connected to SPI, with the
 * transition tables registered that the query names.  Returns how many.
 */
extern int64 memai_vectorizer_enqueue(const MemaiVectorizer *vectorizer, const char *query);

/* Nothing waits any more, and nothing has failed. */
extern void memai_vectorizer_empty_queue(const MemaiVectorizer *vectorizer);

/* Lets rows that failed wait again; returns how many. */
extern int64 memai_vectorizer_retry_errors(const MemaiVectorizer *vectorizer);

/* Deletes from a table of vectors, as the current role, those whose row is gone. */
extern void memai_vectorizer_delete_orphans(const MemaiVectorizer *vectorizer);

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
