/*
 * rank.c
 *	  Hybrid ranking: keywords (keyword.c) fused with similarity.  Pure:
 *	  numbers in, numbers out, no allocation, no server.
 *
 * Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) of the order by
 * keywords and the order by similarity: either can lift an item that the other
 * does not see.  A weak signal fused at full strength makes results worse, so
 * the order by similarity counts with the trust that its model deserves.  The
 * sum is scaled so that 1 means first in both orders, and multiplied by what
 * the caller knows of the item itself (recency, importance, ...).
 */
#include "postgres.h"

#include <math.h>

#include "memory/memory_int.h"
#include "text/text.h"

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

/* Adds the ranks by one of the two signals. */
static void
fuse_signal(Ranked *ranked, int nitems, RankItem *items, bool by_keyword, double weight)
{
	int			n = 0;

	for (int i = 0; i < nitems; i++)
	{
		if (items[i].eligible && (by_keyword ? items[i].keyword > 0 : items[i].has_similarity))
			add_ranked(ranked, &n, items, i, by_keyword ? items[i].keyword : items[i].similarity);
	}
	fuse_order(ranked, n, weight, items);
}

int
memai_rank(int nitems, RankItem *items, const RankQuestion *question, int *order, void *memory)
{
	Ranked	   *ranked = memory;
	double		scale = (RRF_CONSTANT + 1) / (1.0 + question->similarity_weight);
	int			n = 0;

	memai_keyword_score(nitems, items, question, ranked + nitems);
	for (int i = 0; i < nitems; i++)
		items[i].score = 0;
	fuse_signal(ranked, nitems, items, true, scale);
	fuse_signal(ranked, nitems, items, false, scale * question->similarity_weight);
	for (int i = 0; i < nitems; i++)
	{
		items[i].score *= items[i].factor;
		if (items[i].eligible)
			add_ranked(ranked, &n, items, i, items[i].score);
	}
	qsort(ranked, n, sizeof(Ranked), compare_ranked);
	for (int r = 0; r < n; r++)
		order[r] = ranked[r].item;
	return n;
}

/* ---- diversity ---- */

/* cosine of the term frequencies of two items */
static double
term_cosine(const MemaiTermsView *a, const MemaiTermsView *b)
{
	double		dot = 0,
				aa = 0,
				bb = 0;

	for (uint32 i = 0; i < a->nterms; i++)
	{
		double		f = memai_terms_count(a, i);

		aa += f * f;
		dot += f * memai_terms_frequency(b, memai_terms_hash(a, i));
	}
	for (uint32 i = 0; i < b->nterms; i++)
		bb += (double) memai_terms_count(b, i) * memai_terms_count(b, i);
	return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

void
memai_rank_diversify(const RankItem *items, int pool, int *order, int k, double diversity, double *nearest)
{
	for (int i = 0; i < pool; i++)
		nearest[i] = 0;
	for (int place = 0; place < Min(k, pool); place++)
	{
		int			best = place;
		double		best_value = -1e300;
		int			item;
		double		kept;

		for (int i = place; i < pool; i++)
		{
			double		value = (1 - diversity) * items[order[i]].score - diversity * nearest[i];

			if (value > best_value)
			{
				best_value = value;
				best = i;
			}
		}
		/* the chosen one moves up, those it passes keep their order */
		item = order[best];
		kept = nearest[best];
		memmove(&order[place + 1], &order[place], sizeof(int) * (best - place));
		memmove(&nearest[place + 1], &nearest[place], sizeof(double) * (best - place));
		order[place] = item;
		nearest[place] = kept;
		for (int i = place + 1; i < pool; i++)
			nearest[i] = Max(nearest[i], term_cosine(&items[item].terms, &items[order[i]].terms));
	}
}
