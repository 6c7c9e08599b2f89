/*
 * rank.c
 *	  Hybrid ranking: keywords (keyword.c) fused with similarity.  Pure:
 *	  numbers in, numbers out, no allocation, no server.
 *
 * Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) of the order by
 * keywords and the order by similarity: either can lift an item that the other
 * does not see.  A weak signal fused at full strength makes results worse, so
 * the order by similarity counts with the trust that its model deserves.  The
 * sum is scaled so that 1 means first in both orders.
 */
#include "postgres.h"

#include "memory/memory_int.h"

#define RRF_CONSTANT 60.0

typedef struct Ranked
{
	double		value;
	int64		occurred_at;
	int			item;
} Ranked;

size_t
memai_rank_scratch_size(int nitems, int nterms)
{
	return sizeof(Ranked) * (size_t) nitems + memai_keyword_scratch_size(nitems, nterms);
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

static void
add_ranked(Ranked *ranked, int *n, const RankItem *items, int item, double value)
{
	ranked[(*n)++] = (Ranked) {.value = value, .occurred_at = items[item].occurred_at, .item = item};
}

/* Orders the collected items and adds weight / (constant + rank) to their scores. */
static void
fuse_order(Ranked *ranked, int n, double weight, RankItem *items)
{
	qsort(ranked, n, sizeof(Ranked), compare_ranked);
	for (int r = 0; r < n; r++)
		items[ranked[r].item].score += weight / (RRF_CONSTANT + r + 1);
}

int
memai_rank(int nitems, RankItem *items, int nterms, const uint32 *terms,
		   double similarity_weight, int *order, void *memory)
{
	Ranked	   *ranked = memory;
	double		scale = (RRF_CONSTANT + 1) / (1.0 + similarity_weight);
	int			n;

	memai_keyword_score(nitems, items, nterms, terms, ranked + nitems);

	n = 0;
	for (int i = 0; i < nitems; i++)
	{
		items[i].score = 0;
		if (items[i].eligible && items[i].keyword > 0)
			add_ranked(ranked, &n, items, i, items[i].keyword);
	}
	fuse_order(ranked, n, scale, items);

	n = 0;
	for (int i = 0; i < nitems; i++)
	{
		if (items[i].eligible && items[i].has_similarity)
			add_ranked(ranked, &n, items, i, items[i].similarity);
	}
	fuse_order(ranked, n, scale * similarity_weight, items);

	n = 0;
	for (int i = 0; i < nitems; i++)
	{
		if (items[i].eligible)
			add_ranked(ranked, &n, items, i, items[i].score);
	}
	qsort(ranked, n, sizeof(Ranked), compare_ranked);
	for (int r = 0; r < n; r++)
		order[r] = ranked[r].item;
	return n;
}
