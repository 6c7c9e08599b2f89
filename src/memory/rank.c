/*
 * rank.c
 *	  Hybrid ranking: keywords in three widths, fused with similarity.  Pure:
 *	  numbers in, numbers out, no allocation, no server.
 *
 * Keywords.  A turn of a conversation is understood from its neighbours: "Yes,
 * next Tuesday" answers a question that the turn itself does not name.  So
 * BM25 (text/bm25.c) is computed over three kinds of documents and added up:
 * the item alone, the item with its two neighbours on each side, and the whole
 * conversation.  The statistics (document frequency, average length) are those
 * of the scope, counted in the same pass over its rows: exact at any moment,
 * nothing to maintain when rows are written.
 *
 * Fusion.  Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) of the
 * keyword order and the similarity order: either can lift an item that the
 * other does not see.  A weak signal fused at full strength makes results
 * worse, so the order by similarity counts with the trust that its model
 * deserves.  The sum is scaled so that 1 means first in both orders.
 *
 * The constants were chosen on dialogues (test/bench/locomo) and are of the
 * usual size for short documents: small k1 and b, since a turn that repeats a
 * word or is long is not better for it.
 */
#include "postgres.h"

#include <math.h>

#include "memory/memory_int.h"
#include "text/text.h"

#define NEIGHBOURS 2			/* on each side */
#define NEIGHBOURHOOD_WEIGHT 0.6
#define CONVERSATION_WEIGHT 0.3
#define RRF_CONSTANT 60.0

/* one width of documents: their term frequencies, lengths and scores */
typedef struct Level
{
	int			ndocuments;
	int			nterms;
	uint32	   *frequencies;	/* ndocuments rows of nterms */
	double	   *lengths;
	double	   *scores;
} Level;

typedef struct Ranked
{
	double		value;
	int64		occurred_at;
	int			item;
} Ranked;

typedef struct Scratch
{
	Level		level;
	Ranked	   *ranked;
} Scratch;

size_t
memai_rank_scratch_size(int nitems, int nterms)
{
	size_t		n = (size_t) nitems;

	return n * (2 * sizeof(double) + sizeof(Ranked)) + n * (size_t) nterms * sizeof(uint32);
}

static void
divide_scratch(Scratch *scratch, void *memory, int nitems, int nterms)
{
	scratch->ranked = memory;
	scratch->level.lengths = (double *) (scratch->ranked + nitems);
	scratch->level.scores = scratch->level.lengths + nitems;
	scratch->level.frequencies = (uint32 *) (scratch->level.scores + nitems);
	scratch->level.nterms = nterms;
}

static void
score_level(Level *level, double k1, double b)
{
	MemaiBm25	bm25 = {.k1 = k1,.b = b};
	double		total = 0;

	for (int i = 0; i < level->ndocuments; i++)
	{
		total += level->lengths[i];
		level->scores[i] = 0;
	}
	if (total == 0)
		return;
	bm25.average_length = total / level->ndocuments;

	for (int t = 0; t < level->nterms; t++)
	{
		int			nmatching = 0;
		double		idf;

		for (int i = 0; i < level->ndocuments; i++)
			nmatching += level->frequencies[(size_t) i * level->nterms + t] > 0;
		idf = memai_bm25_idf(level->ndocuments, nmatching);
		for (int i = 0; i < level->ndocuments; i++)
		{
			uint32		frequency = level->frequencies[(size_t) i * level->nterms + t];

			if (frequency > 0)
				level->scores[i] += memai_bm25_term(&bm25, idf, frequency, level->lengths[i]);
		}
	}
}

/* Adds one item's counts to a document of the level. */
static void
add_item(Level *level, int document, const RankItem *item, const uint16 *frequencies)
{
	uint32	   *sum = level->frequencies + (size_t) document * level->nterms;

	level->lengths[document] += item->length;
	for (int t = 0; t < level->nterms; t++)
		sum[t] += frequencies[t];
}

static void
clear_level(Level *level, int ndocuments)
{
	level->ndocuments = ndocuments;
	memset(level->lengths, 0, sizeof(double) * ndocuments);
	memset(level->frequencies, 0, sizeof(uint32) * (size_t) ndocuments * level->nterms);
}

static void
score_items_alone(Level *level, int nitems, RankItem *items, const uint16 *frequencies)
{
	clear_level(level, nitems);
	for (int i = 0; i < nitems; i++)
		add_item(level, i, &items[i], frequencies + (size_t) i * level->nterms);
	score_level(level, 0.9, 0.3);
	for (int i = 0; i < nitems; i++)
		items[i].keyword = level->scores[i];
}

static void
score_neighbourhoods(Level *level, int nitems, RankItem *items, const uint16 *frequencies)
{
	clear_level(level, nitems);
	for (int i = 0; i < nitems; i++)
	{
		for (int j = Max(0, i - NEIGHBOURS); j <= Min(nitems - 1, i + NEIGHBOURS); j++)
		{
			if (items[j].conversation == items[i].conversation)
				add_item(level, i, &items[j], frequencies + (size_t) j * level->nterms);
		}
	}
	score_level(level, 0.9, 0.5);
	for (int i = 0; i < nitems; i++)
		items[i].keyword += NEIGHBOURHOOD_WEIGHT * level->scores[i];
}

static void
score_conversations(Level *level, int nitems, RankItem *items, const uint16 *frequencies)
{
	clear_level(level, items[nitems - 1].conversation + 1);
	for (int i = 0; i < nitems; i++)
		add_item(level, items[i].conversation, &items[i], frequencies + (size_t) i * level->nterms);
	score_level(level, 0.9, 0.5);
	for (int i = 0; i < nitems; i++)
		items[i].keyword += CONVERSATION_WEIGHT * level->scores[items[i].conversation];
}

/* higher value first, then the later one, then the one stored later */
static int
compare_ranked(const void *left, const void *right)
{
	const Ranked *a = left;
	const Ranked *b = right;

	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	if (a->occurred_at != b->occurred_at)
		return a->occurred_at > b->occurred_at ? -1 : 1;
	return b->item - a->item;
}

/* Adds weight / (constant + rank) to the score of every ranked item. */
static void
fuse_ranking(Ranked *ranked, int nranked, double weight, RankItem *items)
{
	qsort(ranked, nranked, sizeof(Ranked), compare_ranked);
	for (int r = 0; r < nranked; r++)
		items[ranked[r].item].score += weight / (RRF_CONSTANT + r + 1);
}

static int
collect_keyword(int nitems, const RankItem *items, Ranked *ranked)
{
	int			n = 0;

	for (int i = 0; i < nitems; i++)
	{
		if (items[i].eligible && items[i].keyword > 0)
			ranked[n++] = (Ranked) {items[i].keyword, items[i].occurred_at, i};
	}
	return n;
}

static int
collect_similarity(int nitems, const RankItem *items, Ranked *ranked)
{
	int			n = 0;

	for (int i = 0; i < nitems; i++)
	{
		if (items[i].eligible && items[i].has_similarity)
			ranked[n++] = (Ranked) {items[i].similarity, items[i].occurred_at, i};
	}
	return n;
}

static int
collect_result(int nitems, RankItem *items, double scale, Ranked *ranked)
{
	int			n = 0;

	for (int i = 0; i < nitems; i++)
	{
		items[i].score *= scale;
		if (items[i].eligible)
			ranked[n++] = (Ranked) {items[i].score, items[i].occurred_at, i};
	}
	return n;
}

int
memai_rank(int nitems, RankItem *items, int nterms, const uint16 *frequencies,
		   double similarity_weight, int *order, void *memory)
{
	Scratch		scratch;
	int			n;

	if (nitems == 0)
		return 0;
	divide_scratch(&scratch, memory, nitems, nterms);
	score_items_alone(&scratch.level, nitems, items, frequencies);
	score_neighbourhoods(&scratch.level, nitems, items, frequencies);
	score_conversations(&scratch.level, nitems, items, frequencies);

	for (int i = 0; i < nitems; i++)
		items[i].score = 0;
	n = collect_keyword(nitems, items, scratch.ranked);
	fuse_ranking(scratch.ranked, n, 1.0, items);
	n = collect_similarity(nitems, items, scratch.ranked);
	fuse_ranking(scratch.ranked, n, similarity_weight, items);

	n = collect_result(nitems, items, (RRF_CONSTANT + 1) / (1.0 + similarity_weight), scratch.ranked);
	qsort(scratch.ranked, n, sizeof(Ranked), compare_ranked);
	for (int r = 0; r < n; r++)
		order[r] = scratch.ranked[r].item;
	return n;
}
