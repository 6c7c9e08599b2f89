/*
 * memory.h
 *	  The memory engine: storing episodes and memories, finding them again.
 */
#ifndef MEMAI_MEMORY_H
#define MEMAI_MEMORY_H

#include "core/core.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#define MEMAI_CONTENT_MAX_LENGTH (1024 * 1024)	/* bytes of one content */
#define MEMAI_RECALL_MAX_K 1000

/* ---- item.c ---- */

/* Raises 22004, 22023 or 54000 unless content can be stored; name is the argument's. */
extern void memai_check_content(const char *name, const text *content);

/* Raises 22023 unless role is user, assistant, system or tool. */
extern void memai_check_role(const text *role);

/* Raises 22023 unless metadata is an object (or NULL). */
extern void memai_check_metadata(const Jsonb *metadata);

/* Puts the four scope values into the first four parameters of a statement. */
extern void memai_scope_values(const MemaiScope *scope, Datum *values);

/* ---- episode.c ---- */

/* one episode that is to be stored; NULL texts are absent */
typedef struct MemaiEpisode
{
	pg_uuid_t	id;				/* out: set by memai_episodes_store */
	text	   *role;
	text	   *name;
	text	   *content;
	Jsonb	   *metadata;		/* an object, or NULL */
	TimestampTz occurred_at;
} MemaiEpisode;

/*
 * Stores episodes of one scope, in order, with their terms and vectors, in one
 * statement a table, as parts of one conversation unless thread_id is NULL;
 * source is message or chat.
 * The caller is connected to SPI.  May call an embedding model.  Raises 42501
 * when row-level security refuses the scope.
 */
extern void memai_episodes_store(const MemaiScope *scope, const pg_uuid_t *thread_id,
								 const char *source, int nepisodes, MemaiEpisode *episodes);

/* ---- recall.c ---- */

typedef struct MemaiRecallQuery
{
	const MemaiScope *scope;
	text	   *query;
	int			k;				/* 1..MEMAI_RECALL_MAX_K */
	Jsonb	   *filter;			/* metadata must contain it; NULL: no filter */
	double		min_score;
	const char *model;			/* embedding model; NULL: the default */
	bool		include_answers;	/* also what memai.chat answered */
	const pg_uuid_t *exclude_thread;	/* leave out this conversation; NULL:
										 * none */
} MemaiRecallQuery;

/* something found; everything is palloc'd in the context of the call */
typedef struct MemaiRecalled
{
	pg_uuid_t	id;
	bool		is_memory;		/* else an episode */
	double		score;			/* 0..1; 1: first by keywords and by meaning */
	double		similarity;		/* cosine; NaN without a vector */
	double		keyword;		/* BM25 of item, neighbourhood and
								 * conversation; 0: no word in common */
	text	   *content;
	text	   *role;			/* NULL of a memory */
	text	   *name;			/* NULL when unknown */
	Jsonb	   *metadata;
	TimestampTz occurred_at;	/* of a memory: since when it is true */
	bool		has_thread;
	pg_uuid_t	thread_id;
} MemaiRecalled;

/*
 * The best matches, best first, as a list of MemaiRecalled: min(k, rows of the
 * scope that pass the filters) of them unless min_score cuts it short.  Reads
 * only.  The caller is connected to SPI; the list survives its SPI_finish when
 * the caller's context does.  May call an embedding model.
 */
extern List *memai_recall_run(const MemaiRecallQuery *query, MemoryContext result_context);

/* Raises 22023 unless k is in 1..MEMAI_RECALL_MAX_K. */
extern void memai_check_k(int k);

/* Raises 22023 unless filter is an object (or NULL). */
extern void memai_check_filter(const Jsonb *filter);

/* ---- context.c ---- */

/* what of memory found room in a context */
typedef struct MemaiContext
{
	List	   *items;			/* the MemaiRecalled that are shown */
	int			tokens;			/* estimated, markers included */
	bool		persona_included;	/* a block named persona is shown */
} MemaiContext;

/*
 * Appends the scope's blocks and then the recalled items, best first, each in
 * a section that is marked as data by a delimiter nobody can forge, while they
 * fit into max_tokens estimated tokens.  The caller is connected to SPI.
 */
extern void memai_context_append(StringInfo out, const MemaiScope *scope, List *recalled,
								 int max_tokens, MemaiContext *context);

/* ---- embed_job.c ---- */

/* Registers the kinds of jobs that are about memories. */
extern void memai_memory_init(void);

#endif							/* MEMAI_MEMORY_H */
