/*
 * memory_int.h
 *	  What the files of memory/ share with each other only.
 */
#ifndef MEMAI_MEMORY_INT_H
#define MEMAI_MEMORY_INT_H

#include "memory/memory.h"
#include "model/model.h"
#include "text/text.h"
#include "utils/array.h"

/* ---- item.c: what episodes and memories have in common ---- */

/*
 * The text under which an item is found: its content, after "name: " when a
 * speaker is known.  The span points into content or into palloc'd memory.
 */
extern MemaiSpan memai_search_text(const text *name, const text *content);

/*
 * Embeds items with the default embedding model and stores the vectors, one
 * statement for all.  ids[i] belongs to texts[i]; is_memory says which table
 * the ids are of.  The caller is connected to SPI.
 */
extern void memai_embeddings_store(const MemaiScope *scope, bool is_memory, int nitems,
								   const pg_uuid_t *const *ids, const MemaiSpan *texts);

/* ---- rank.c and keyword.c: pure ---- */

/* terms of a question that may name a speaker: the first so many */
#define RANK_SPEAKER_TERMS 64

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
	int64		occurred_at;	/* of equals the later one comes first */
	double		base;			/* out: keyword score of the question's own terms */
	double		keyword;		/* out */
	double		score;			/* out: 0..1 */
} RankItem;

/*
 * Scores nitems items against a question of nterms distinct term hashes.
 * similarity_weight is the trust in similarity relative to keywords.  order
 * receives the positions of the eligible items, best first; their number is
 * returned.  scratch is the caller's memory of memai_rank_scratch_size bytes,
 * aligned as malloc does.
 */
extern int	memai_rank(int nitems, RankItem *items, int nterms, const uint32 *terms,
					   double similarity_weight, int *order, void *scratch);
extern size_t memai_rank_scratch_size(int nitems, int nterms);

/* Sets the keyword score of every item; scratch as above. */
extern void memai_keyword_score(int nitems, RankItem *items, int nterms, const uint32 *terms, void *scratch);
extern size_t memai_keyword_scratch_size(int nitems, int nterms);

#endif							/* MEMAI_MEMORY_INT_H */
