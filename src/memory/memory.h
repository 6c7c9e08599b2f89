/*
 * memory.h
 *	  The memory engine: storing episodes and memories, finding them again.
 */
#ifndef MEMAI_MEMORY_H
#define MEMAI_MEMORY_H

#include "core/core.h"
#include "job/job.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "vector/vector.h"

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
	bool		has_language;	/* of its words; else the setting's, or detected */
	int			language;		/* see memai_text_language_argument */
} MemaiEpisode;

/*
 * Stores episodes of one scope, in order, with their terms and vectors, in one
 * statement a table, as parts of one conversation unless thread_id is NULL;
 * source is message or chat; extract_with is the chat model that a job, which is
 * submitted, will ask what of them to remember, or NULL.
 * The caller is connected to SPI.  May call an embedding model.  Raises 42501
 * when row-level security refuses the scope.
 */
extern void memai_episodes_store(const MemaiScope *scope, const pg_uuid_t *thread_id, const char *source,
								 const char *extract_with, int nepisodes, MemaiEpisode *episodes);

/*
 * The same for chunks of a document, which are each other's conversation; their
 * vectors are made now or left for memai_embed_missing.
 */
extern void memai_chunks_store(const MemaiScope *scope, const pg_uuid_t *document_id, bool embed,
							   int nepisodes, MemaiEpisode *episodes);

/* ---- recall.c ---- */

/* how the score falls with age: not; to 0 at twice the half-life; by half each half-life */
typedef enum MemaiRecency
{
	MEMAI_RECENCY_NONE,
	MEMAI_RECENCY_LINEAR,
	MEMAI_RECENCY_EXPONENTIAL
} MemaiRecency;

/* Zero the struct first: members are added at its end. */
typedef struct MemaiRecallQuery
{
	const MemaiScope *scope;
	text	   *query;			/* NULL only with a vector */
	int			k;				/* 1..MEMAI_RECALL_MAX_K */
	Jsonb	   *filter;			/* on metadata, see filter.c; NULL: no filter */
	double		min_score;
	const char *model;			/* embedding model; NULL: the default */
	bool		include_answers;	/* also what memai.chat answered */
	const pg_uuid_t *exclude_thread;	/* leave out this conversation; NULL:
										 * none */

	const MemaiVector *vector;	/* of the question; NULL: query is embedded */
	const TimestampTz *as_of;	/* what was true then; NULL: now */
	const TimestampTz *known_at;	/* what the database believed then; NULL:
									 * now */
	const char *layer;			/* memory or episode only; NULL: both */
	ArrayType  *categories;		/* memories of these only, no episodes; NULL:
								 * all */
	MemaiRecency recency;
	double		half_life;		/* seconds; used unless recency is none */
	double		diversity;		/* 0..1, see memai_rank_diversify */
	int			max_per_thread; /* of one conversation among the first; 0: no
								 * limit */
	int			max_tokens;		/* estimated, of all contents; 0: no limit */
	const char *rerank;			/* model that orders the best once more; NULL:
								 * none */
	bool		has_language;	/* else the question's is the setting's, or detected */
	int			language;		/* see memai_text_language_argument */
	bool		limit_others;	/* max_per_thread holds for what tools and
								 * assistants said even where room stays */
} MemaiRecallQuery;

/* something found; everything is palloc'd in the context of the call */
typedef struct MemaiRecalled
{
	pg_uuid_t	id;
	bool		is_memory;		/* else an episode */
	double		score;			/* 1: first by keywords and by meaning,
								 * nothing else weighing in */
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

	const char *status;			/* of a memory: live, needs_review or
								 * superseded; NULL of an episode */
	text	   *category;		/* NULL of an episode */
	bool		has_via;
	pg_uuid_t	via;			/* found in the place of this superseded
								 * memory, or as what this one rests on */
	bool		has_successor;
	pg_uuid_t	successor;		/* what took its place since */
	double		recency;		/* factors of score */
	double		importance;
	double		confidence;
	double		feedback;
	double		parts[7];		/* of keyword, in the order of RankPart */
	double		rerank;			/* the rerank model's score, NaN without */
	int			place;			/* among those that were reranked */
	const char *language;		/* in which its words were stemmed; NULL: by a
								 * configuration */
	text	   *provenance;		/* NULL of an episode */
} MemaiRecalled;

/* numbers about one recall; all of the scope */
typedef struct MemaiRecallCounts
{
	int			episodes;
	int			memories;		/* true at the time in question */
	int			superseded;		/* that lead to their successors */
	int			vectors;
	int			eligible;		/* that pass the filters */
	int			terms;			/* of the question */
	double		similarity_weight;
	const char *language;		/* of the question; NULL: a configuration */
	const char *vectors_read;	/* all, eligible or nearest */
	char	   *vector_index;	/* that found the nearest, or NULL; palloc'd */
} MemaiRecallCounts;

/*
 * The best matches, best first, as a list of MemaiRecalled: min(k, rows of the
 * scope that pass the filters) of them unless min_score, max_tokens or limit_others cuts it
 * short.  Reads only.  counts may be NULL.  The caller is connected to SPI; the
 * list survives its SPI_finish when the caller's context does.  May call an
 * embedding model, unless the query brings a vector.
 */
extern List *memai_recall_run(const MemaiRecallQuery *query, MemoryContext result_context, MemaiRecallCounts *counts);

/* Raises 22023 unless k is in 1..MEMAI_RECALL_MAX_K. */
extern void memai_check_k(int k);

/* ---- pii_policy.c ---- */

/* kinds of text.h's MemaiPiiKind as bits; of those in kinds, refused end the statement */
typedef struct MemaiPiiPolicy
{
	unsigned	kinds;
	unsigned	refused;
} MemaiPiiPolicy;

/* The policy of the current tenant; without kinds when it has none. */
extern void memai_pii_policy(MemaiPiiPolicy *policy);

/*
 * The text as it may be stored: itself, or palloc'd with what the policy redacts
 * replaced.  Raises 23514 for what it refuses; what is named in the message.
 * NULL gives NULL.
 */
extern text *memai_pii_clean(const MemaiPiiPolicy *policy, const char *what, text *content);

/* The same by the policy of the current tenant, for one text. */
extern text *memai_pii_clean_one(const char *what, text *content);

/* Whether it would raise, for a text with a NUL at its end. */
extern bool memai_pii_refuses(const MemaiPiiPolicy *policy, const char *data);

/* memai_pii_clean for every string value of a document; keys stay. */
extern Jsonb *memai_pii_clean_jsonb(const MemaiPiiPolicy *policy, const char *what, Jsonb *json);

/* ---- filter.c ---- */

/* Raises 22023 or 54000 unless filter can be applied to metadata (or is NULL). */
extern void memai_check_filter(Jsonb *filter);

/* ---- context.c ---- */

/* what of memory found room in a context */
typedef struct MemaiContext
{
	List	   *items;			/* the MemaiRecalled that are shown */
	int			tokens;			/* estimated, markers included */
	bool		persona_included;	/* a block named persona is shown */
} MemaiContext;

/*
 * A prompt that shows memory in several places: open once, with how many
 * estimated tokens all sections together may take, then append sections, each
 * marked as data by a delimiter nobody can forge, the same in all of them.
 * What finds no room is left out.  Palloc'd in the current context; callers
 * are connected to SPI.
 */
typedef struct MemaiContextWriter MemaiContextWriter;
extern MemaiContextWriter *memai_context_open(int max_tokens);
extern int	memai_context_tokens_left(const MemaiContextWriter *writer);

/* The scope's blocks; sets context->persona_included. */
extern void memai_context_blocks(MemaiContextWriter *writer, StringInfo out, const MemaiScope *scope, MemaiContext *context);

/* Recalled items, best first; appends those shown to context->items. */
extern void memai_context_memories(MemaiContextWriter *writer, StringInfo out, List *recalled, MemaiContext *context);

/* Any text of the server, line by line; false when it was cut. */
extern bool memai_context_text(MemaiContextWriter *writer, StringInfo out, const char *section, const char *data, size_t len);

/* ---- embed_job.c ---- */

/*
 * For handlers of jobs: makes the vectors of the job's model (empty: the default)
 * that the scope's items lack, or the episodes of one conversation or document;
 * commits batch by batch and sets the job's progress.  Returns the result
 * {"model", "embedded"}.  Raises as memai_job_checkpoint and memai_model_embed.
 */
extern Jsonb *memai_embed_missing(MemaiJob *job, const pg_uuid_t *thread_id);

/*
 * The same for jobs that share their requests (MemaiJobSharing), for those
 * whose model is remote and that lack few vectors.
 */
extern void *memai_embed_share_prepare(MemaiJob *job, const pg_uuid_t *thread_id, int *ntexts);
extern void memai_embed_share_call(int njobs, void **shares);
extern Jsonb *memai_embed_share_finish(MemaiJob *job, void *state);
/* ---- result_job.c ---- */

/*
 * For handlers of jobs, not connected to SPI: stores what a job found as the
 * memory of a slot, in the place of what the slot had, and sets its id.  Its
 * vector is made outside of any transaction.  metadata may be NULL.
 */
extern void memai_result_remember(const MemaiJob *job, const char *content, const char *slot, Jsonb *metadata, pg_uuid_t *id);

/* Registers the kinds of jobs that are about memories. */
extern void memai_memory_init(void);

#endif							/* MEMAI_MEMORY_H */
