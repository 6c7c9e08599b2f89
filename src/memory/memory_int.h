/*
 * memory_int.h
 *	  What the files of memory/ share with each other only.
 */
#ifndef MEMAI_MEMORY_INT_H
#define MEMAI_MEMORY_INT_H

#include "job/job.h"
#include "memory/memory.h"
#include "model/model.h"
#include "text/text.h"
#include "utils/array.h"

/* ---- call_job.c ---- */

/* handler of the kind call */
extern Jsonb *memai_call_job(MemaiJob *job);

/* ---- item.c: what episodes and memories have in common ---- */

/* vectors in memory at a time; a batch is one call of the provider or more */
#define MEMAI_EMBED_SLICE 512

/*
 * The text under which an item is found: its content, after "name: " when a
 * speaker is known.  The span points into content or into palloc'd memory.
 */
extern MemaiSpan memai_search_text(const text *name, const text *content);

/*
 * Embeds items with a model (NULL: the default) and stores the vectors, one
 * statement for all; items that are gone or have one are left out.  ids[i]
 * belongs to texts[i]; is_memory says which table the ids are of.  The caller is
 * connected to SPI.
 */
extern void memai_embeddings_store(const MemaiScope *scope, const char *model_name, bool is_memory, int nitems,
								   const pg_uuid_t *const *ids, const MemaiSpan *texts);

/*
 * Stores vectors that a model has made, one statement for all, of items that
 * this transaction has stored: no foreign key looks whether they exist.
 */
extern void memai_vectors_store(const MemaiScope *scope, const char *model_name, bool is_memory, int nitems,
								const pg_uuid_t *const *ids, MemaiVector *const *vectors);

/* The terms of a text in a language that its caller gave, -1 or not has_language: in its own. */
extern Datum memai_item_terms(bool has_language, int language, const char *data, size_t len);

/* The days of a text in the server's encoding seen from a time (UTC), or false. */
extern bool memai_days_of(const text *content, TimestampTz reference, MemaiDaySpan *days);

/* days.first or days.end as SQL's date */
extern Datum memai_day_datum(int32 julian_day);

/* ---- item_keys.c: what the inverted indexes hold ---- */

/* samples of a scope, each of about so small a part of its items; their keys are those of the terms 0.. */
#define MEMAI_ITEM_SAMPLES 16

/* The key of a term in a scope. */
extern int64 memai_item_key(int64 scope, uint32 term);

/* ---- history.c: records that roles cannot write themselves ---- */

/* whose rights were in force */
typedef struct MemaiOwner
{
	Oid			user;
	int			context;
} MemaiOwner;

/*
 * Between the two, statements run as the owner of memai's tables without
 * row-level security: only for statements of constant text that name a scope
 * which was resolved for the caller.
 */
extern void memai_owner_begin(MemaiOwner *saved);
extern void memai_owner_end(const MemaiOwner *saved);

/* The job that changes from now on are noted under; NULL: none. */
extern void memai_history_set_job(const pg_uuid_t *job);

/* Its id as a uuid parameter. */
extern Datum memai_history_job(bool *isnull);

/* Notes that a memory was stored by the current role; reason may be NULL. */
extern void memai_history_added(const MemaiScope *scope, const pg_uuid_t *memory_id, const text *content, const text *reason);

/* ---- import.c ---- */

/* Notes every memory of a scope whose storing is not noted yet as imported. */
extern void memai_history_imported(const MemaiScope *scope);

/* ---- fact.c ---- */

/* a memory that is to be stored; NULL: absent */
typedef struct MemaiFact
{
	pg_uuid_t	id;				/* out */
	const MemaiScope *scope;
	text	   *content;
	text	   *category;
	text	   *memory_type;
	text	   *provenance;
	text	   *slot;
	Jsonb	   *metadata;
	float4		importance;
	float4		confidence;
	TimestampTz valid_at;
	TimestampTz invalid_at;		/* DT_NOEND while it is true */
	TimestampTz expires_at;		/* DT_NOEND: never */
	bool		has_triplet;
	pg_uuid_t	subject_id;
	text	   *predicate;
	pg_uuid_t	object_id;
	bool		has_successor;
	pg_uuid_t	successor;		/* took its place at invalid_at */
	bool		or_similar;		/* one that says nearly the same will do */
	bool		has_language;	/* of its words; else the setting's, or detected */
	int			language;		/* see memai_text_language_argument */
	ArrayType  *sources;		/* episodes it was taken from */
	ArrayType  *depends_on;		/* memories it rests on */
	const char *embed_model;	/* that made vector */
	MemaiVector *vector;		/* NULL until memai_fact_embed */
} MemaiFact;

/* what the database holds live under a slot, an id or a content */
typedef struct MemaiLiveFact
{
	pg_uuid_t	id;
	text	   *content;
	text	   *category;
	text	   *memory_type;
	text	   *slot;			/* NULL: none */
	Jsonb	   *metadata;
	float4		importance;
	TimestampTz valid_at;
	TimestampTz expires_at;		/* DT_NOEND: never */
} MemaiLiveFact;

/*
 * Makes the vector of a fact.  It may call a model over the network, so it is
 * called before the functions below, which lock rows.
 */
extern void memai_fact_embed(MemaiFact *fact);

/* Stores fact, or finds that it is known; its id is left in fact. */
extern void memai_fact_remember(MemaiFact *fact);

/* The live memory of an id, locked, or NULL. */
extern MemaiLiveFact *memai_fact_find(const MemaiScope *scope, const pg_uuid_t *id);

/*
 * Stores fact in the place of old, unless it says the same.  correct: old was
 * never true; else it was until fact->valid_at.
 */
extern void memai_fact_replace(MemaiFact *fact, const MemaiLiveFact *old, bool correct, const text *reason);

/* ---- extract_job.c and expire_job.c: register their kinds of jobs ---- */

extern void memai_extract_init(void);
extern void memai_expire_init(void);
extern void memai_review_init(void);

/* Submits the job that removes what is due in a scope, or moves it up.  Connected to SPI. */
extern void memai_expire_submit(const MemaiScope *scope, TimestampTz expires_at);

/* The same for the first of all memories of the scope that is due, if one will be. */
extern void memai_expire_schedule(const MemaiScope *scope);

/* ---- infer.c ---- */

/*
 * Asks a chat model (NULL: the default) once what of stored episodes to
 * remember, and applies what holds.  The caller is connected to SPI.  Calls out;
 * raises class MA errors.
 */
extern void memai_infer(const MemaiScope *scope, const char *model_name, int nepisodes, const MemaiEpisode *episodes);

/*
 * The rows of a scope ($1) whose key is in an array, each by a look of its own.  A
 * plan that is kept for all scopes takes them for small, and would read a large
 * one whole to compare each row with the array; OFFSET 0 keeps the looks apart.
 */
#define EACH_OF(table, key, array) "unnest(" array ") AS wanted (wanted_key), " \
	"LATERAL (SELECT * FROM memai." table " WHERE scope = $1 AND " key " = wanted_key OFFSET 0) AS " table

/* ---- gather.c: what a recall reads ---- */

/* what a row counts as where sources are limited */
typedef enum RecallSourceKind
{
	RECALL_SOURCE_NONE,
	RECALL_SOURCE_UNREAD,		/* a conversation that was not looked up yet, or a word, or none */
	RECALL_SOURCE_WORD,			/* of whoever said it */
	RECALL_SOURCE_THREAD
} RecallSourceKind;

/* what is known of a row while it is ranked */
typedef struct RecallCandidate
{
	pg_uuid_t	id;
	pg_uuid_t	thread_id;
	bool		is_memory;
	bool		has_thread;
	bool		is_word_of_other;	/* a tool's or an assistant's */
	bool		eligible;
	bool		is_live;		/* false: a memory that stands for its
								 * successor */
	bool		needs_review;
	bool		has_similarity;
	bool		has_successor;
	bool		has_subject;
	bool		has_object;
	bool		in_days;
	bool		names_time;
	uint8		hops;			/* from an entity of the question: 1 or 2; 0: not linked */
	int			language;		/* row of Recall.terms that is in the item's language */
	pg_uuid_t	successor;
	pg_uuid_t	subject;
	pg_uuid_t	object;
	RecallSourceKind source_kind;	/* of a memory only where max_per_thread asks */
	pg_uuid_t	source;			/* the conversation, or a word for whose word it is */
	int64		occurred_at;
	double		asking;
	double		similarity;
	float		importance;
	float		confidence;
	float		feedback;		/* -1 (harmful) .. 1 (useful) */
	uint64		speaker_terms;
	MemaiTermsView terms;
} RecallCandidate;

/* from rests on to: positions of candidates */
typedef struct RecallLink
{
	int			from;
	int			to;
} RecallLink;

typedef struct RecallSpeakers RecallSpeakers;
typedef struct RecallIds RecallIds;

#define RECALL_MAX_LANGUAGES 40

/* which vectors a recall reads */
typedef enum RecallVectors
{
	RECALL_VECTORS_CANDIDATES,	/* of the items that were found by words, and more */
	RECALL_VECTORS_ALL,			/* of the scope */
	RECALL_VECTORS_ELIGIBLE,	/* of the items that pass the filters */
	RECALL_VECTORS_NEAREST		/* the planner chooses how to find them */
} RecallVectors;

/* which rows of a table are gathered */
typedef enum RecallSelection
{
	RECALL_ALL,					/* of the scope */
	RECALL_PLACES,				/* at some places in the table */
	RECALL_IDS					/* of some ids */
} RecallSelection;

/* one recall on its way */
typedef struct Recall
{
	const MemaiRecallQuery *query;
	TimestampTz as_of;
	TimestampTz now;			/* when the recall began */
	int			nterms;
	MemaiQueryWord *words;		/* of the question, nterms */
	uint32	   *terms;			/* their terms, nterms a language; first the question's own */
	int			nlanguages;
	int			languages[RECALL_MAX_LANGUAGES];	/* of the rows of terms */
	bool		has_days;		/* the question names days */
	MemaiDaySpan days;
	bool		asks_when;
	const MemaiVector *vector;	/* of the question */
	RecallSpeakers *speakers;
	int64		nmisfits;		/* stored vectors of other dimensions than the question's */
	RecallVectors vectors;
	Oid			vector_index;	/* that found the nearest; invalid: none did */
	bool		has_moments;	/* of a sample of the scope */
	double		similarity_mean;
	double		similarity_deviation;
	double		population;		/* estimated items of a large scope; 0: all are candidates */
	double		average_length; /* of these: estimated terms of one */
	double	   *holders;		/* of these: how many have each word */
	int			nsampled;		/* the first candidates: a random sample of them */
	int			ncompared;		/* these and the best by words, the next: their vectors are read */
	int			ncandidates;
	int			capacity;
	RecallCandidate *candidates;
	RecallIds  *by_id;
	int			nwanted;
	pg_uuid_t  *wanted;			/* ids of items that are to be gathered */
	int			nlinks;
	int			links_capacity;
	RecallLink *links;
} Recall;

/*
 * Reads the scope's episodes, memories, statistics of memories, links and
 * vectors of a model; of a large scope those that a question may find, unless
 * all are asked for.  The question's part of the struct must be filled.
 */
extern void memai_gather_scope(Recall *recall, const MemaiModelInfo *model, bool all);

/* whether a question looks among memories, or episodes */
extern bool memai_gather_wants(const MemaiRecallQuery *query, bool memories);

/*
 * Adds items of a table that are no candidates yet, at most max_rows of them (0: all).  selected: an array of tid or of
 * uuid, as the selection says.  Returns the number of rows, known ones included.
 */
extern int64 memai_gather_items(Recall *recall, bool memories, RecallSelection selection, Datum selected, int64 max_rows);

/* Notes an id that is to be gathered; gathers those noted and says if any was found. */
extern void memai_gather_want(Recall *recall, pg_uuid_t id);
extern bool memai_gather_wanted(Recall *recall);

/* The candidate of an id, or NULL. */
extern RecallCandidate *memai_gather_find(const Recall *recall, pg_uuid_t id);

/* An array of uuid, palloc'd.  Sorts the ids: in order, what is looked up in an index next is near what was before. */
extern Datum memai_gather_id_array(int n, pg_uuid_t *ids);

/* Sorts the candidates as rank.c wants them; links follow. */
extern void memai_gather_sort(Recall *recall);

/* The live end of a chain of successors, or -1. */
extern int	memai_gather_successor(const Recall *recall, int candidate);

/* ---- gather_words.c ---- */

/*
 * Adds the items of a large scope that have the most of the question's words, and a
 * sample; false, and nothing is added, when the scope is to be read whole.
 */
extern bool memai_gather_by_words(Recall *recall);

/* ---- recall_source.c: whose word candidates are ---- */

/* Sets the source of a memory by its provenance; its conversation is unread. */
extern void memai_source_from_word(RecallCandidate *candidate, const text *provenance);

/*
 * Reads the unread conversations of the next candidates that the ranked ones
 * from the first on stand for.  The caller is connected to SPI.
 */
extern void memai_source_read(Recall *recall, int first, int nranked, const int *ranked);

/* Whether both were read and are of one source. */
extern bool memai_source_is_same(const RecallCandidate *a, const RecallCandidate *b);

/* ---- postings.c: the inverted index of a table ---- */

typedef struct RecallPostings RecallPostings;

/* NULL when there is no index that this snapshot can use.  Palloc'd; to be closed. */
extern RecallPostings *memai_postings_open(bool memories);
extern void memai_postings_close(RecallPostings *postings);

/* Notes under a word, 0..63, the items that have a key; returns their number. */
extern int64 memai_postings_read(RecallPostings *postings, int64 key, int word);

/* How many items were noted so far. */
extern int64 memai_postings_count(const RecallPostings *postings);

/* Orders the items that were noted and not taken by the sum of their words' weights. */
extern void memai_postings_weigh(RecallPostings *postings, const double *weights);

/* Takes the next best, max or fewer, in no order; places: a tid[] of them.  Returns their number. */
extern int	memai_postings_take(RecallPostings *postings, int max, Datum *places);

/* How many items are left to take. */
extern int	memai_postings_left(const RecallPostings *postings);

/* Finds the items that have a key, to be sampled; returns their number. */
extern int64 memai_postings_measure(RecallPostings *postings, int64 key);

/* Once after that: takes up to max of them, spread evenly. */
extern void memai_postings_sample(RecallPostings *postings, int max, Datum *places);

/*
 * A place is that of the first version of a row that the index does not tell from later ones.  moved: a tid[] of the
 * versions elsewhere that the active snapshot sees; returns their number.
 */
extern int	memai_postings_moved(RecallPostings *postings, Datum places, Datum *moved);

/* ---- vector_index.c ---- */

/* the role to go back to */
typedef struct MemaiCaller
{
	Oid			user;
	int			context;
} MemaiCaller;

/*
 * Goes on as the owner of memai's tables, without row-level security, until
 * memai_become_caller or the end of the (sub)transaction.  For statements that
 * show the caller nothing of other tenants.
 */
extern void memai_become_owner(MemaiCaller *caller);
extern void memai_become_caller(const MemaiCaller *caller);

/* ---- switch.c ---- */

typedef enum MemaiSwitch
{
	SWITCH_DONE,				/* the model is the default now */
	SWITCH_LATER,				/* another job will see to it */
	SWITCH_OTHERS_LACK,			/* items of other tenants have no vectors yet */
	SWITCH_REFUSED				/* the model refused texts, which lack theirs */
} MemaiSwitch;

/*
 * For the end of a reembed job, not connected to SPI: makes its model the
 * default of embeddings if it is the last one and nothing is lacking.  refused:
 * the model took some of the job's texts and not others.  The job's role must
 * be an administrator.
 */
extern MemaiSwitch memai_switch_when_filled(const MemaiJob *job, const char *model, bool refused);

/* ---- vectors.c ---- */

/*
 * Fills in similarities: of all candidates in a small scope, of those that
 * pass the filters when they are few, else of the nearest and of a sample.
 */
extern void memai_gather_vectors(Recall *recall, const char *model);

/* Adds the nearest items of a large scope by vector. */
extern void memai_gather_nearest(Recall *recall, const char *model);

/* The similarities of some candidates, by position, that were not read. */
extern void memai_gather_similarities(Recall *recall, const char *model, int n, const int *positions);

/* ---- graph.c ---- */

/*
 * Marks the memories that are one or two steps from an entity that the
 * question names: of their subject or object, or linked to such a one.
 */
extern void memai_gather_graph(Recall *recall);

/* Marks what is linked to the memories one step away, when links are read. */
extern void memai_gather_linked(Recall *recall);

/* ---- rank.c and keyword.c: pure ---- */

/* terms of a question that may name a speaker: the first so many */
#define RANK_SPEAKER_TERMS 64

/* what a keyword score is made of */
typedef enum RankPart
{
	RANK_OWN,
	RANK_NEIGHBOURHOOD,
	RANK_CONVERSATION,
	RANK_SPEAKER,
	RANK_TIME,
	RANK_FEEDBACK,
	RANK_ENTITY,
	RANK_NPARTS
} RankPart;

/*
 * One item that takes part in ranking; numbers only.  conversation numbers
 * count up from 0 without gaps in the order of the items, so the items of one
 * conversation stand together, in their order; an item without a conversation
 * is one of its own.
 */
typedef struct RankItem
{
	int32		conversation;
	bool		eligible;		/* may be returned; the others only give
								 * context */
	bool		has_similarity;
	MemaiTermsView terms;
	uint64		speaker_terms;	/* bit t: the speaker's name has term t of the
								 * question */
	double		asking;			/* share of the text that is questions, 0..1 */
	double		weight;			/* of its keyword score, usually 1 */
	double		similarity;		/* cosine similarity with the question */
	bool		in_days;		/* happened in, or speaks of, the days of the
								 * question */
	bool		names_time;		/* its text has a time expression */
	int			hops;			/* from an entity of the question: 1 or 2; 0: not linked */
	int			language;		/* row of the question's terms */
	double		factor;			/* times which the fused score counts; 1: as
								 * it is */
	int64		occurred_at;	/* of equals the later one comes first */
	double		parts[RANK_NPARTS]; /* out: what keyword is the sum of, before
									 * questions are marked down */
	double		keyword;		/* out */
	double		score;			/* out: 0..factor */
} RankItem;

/* what is looked for; numbers only */
typedef struct RankQuestion
{
	int			nterms;
	const uint32 *terms;		/* hashes, distinct in a row */
	int			nmore_languages;	/* further rows of as many terms, for items that say so */
	bool		asks_when;
	double		similarity_weight;	/* trust in similarity relative to keywords */
	bool		has_moments;	/* of the similarity of all items; else those
								 * of the items that have one */
	double		similarity_mean;
	double		similarity_deviation;
	double		population;		/* items that these were found among; 0: these are all */
	double		average_length; /* of those, in terms */
	const double *holders;		/* how many of those have each term */
	void		(*check) (void);	/* called now and then, may not return; or NULL */
} RankQuestion;

/*
 * Scores nitems items against a question.  order receives the positions of the
 * eligible items, best first; their number is returned.  scratch is the
 * caller's memory of memai_rank_scratch_size bytes, aligned as malloc does.
 */
extern int	memai_rank(int nitems, RankItem *items, const RankQuestion *question, int *order, void *scratch);
extern size_t memai_rank_scratch_size(int nitems, int nterms);

/*
 * Reorders the first pool entries of order so that the first k are unlike each
 * other: maximal marginal relevance (Carbonell and Goldstein 1998) with the
 * cosine of term frequencies; diversity 0 changes nothing, 1 asks for nothing
 * else.  nearest is scratch memory of pool doubles.
 */
extern void memai_rank_diversify(const RankItem *items, int pool, int *order, int k,
								 double diversity, double *nearest);

/* Sets the keyword score of every item; scratch as above. */
extern void memai_keyword_score(int nitems, RankItem *items, const RankQuestion *question, void *scratch);
extern size_t memai_keyword_scratch_size(int nitems, int nterms);

#endif							/* MEMAI_MEMORY_INT_H */
