/*
 * rank.c
 *	  Hybrid ranking: keywords (keyword.c) fused with similarity.  Pure:
 *	  numbers in, numbers out, no allocation, no server.
 *
 * Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) of the order by
 * keywords and the order by similarity: either can lift an item that the other
 * does not see.  A weak signal fused at full strength makes results worse, so
 * the order by similarity counts with the trust that its model deserves, and in
 * full where an item is far more similar than all others.  The sum is scaled so
 * that 1 means first in both orders, and multiplied by what the caller knows of
 * the item itself (recency, importance, ...).
 */
#include "postgres.h"

#include <math.h>

#include "memory/memory_int.h"
#include "text/text.h"

#define RRF_CONSTANT 60.0

/* standard deviations above the mean from which, and at which, a similarity is an outlier */
#define OUTLYING_FROM 4.0
#define OUTLYING_FULL 7.0

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

/*
 * Trust in a similarity that stands this many standard deviations above the
 * mean of all: that of the model, and full trust in what is far from the rest.
 */
static double
trust(double model_weight, double deviations)
{
	double		outlying = (deviations - OUTLYING_FROM) / (OUTLYING_FULL - OUTLYING_FROM);

	return model_weight + (1.0 - Min(model_weight, 1.0)) * Max(0.0, Min(1.0, outlying));
}

static void
moments(const Ranked *ranked, int n, double *mean, double *deviation)
{
	double		sum = 0;
	double		squares = 0;

	for (int i = 0; i < n; i++)
		sum += ranked[i].value;
	*mean = n > 0 ? sum / n : 0;
	for (int i = 0; i < n; i++)
		squares += (ranked[i].value - *mean) * (ranked[i].value - *mean);
	*deviation = n > 0 ? sqrt(squares / n) : 0;
}

static void
fuse_keywords(Ranked *ranked, int nitems, RankItem *items, double scale)
{
	int			n = 0;

	for (int i = 0; i < nitems; i++)
	{
		if (items[i].eligible && items[i].keyword > 0)
			add_ranked(ranked, &n, items, i, items[i].keyword);
	}
	qsort(ranked, n, sizeof(Ranked), compare_ranked);
	for (int r = 0; r < n; r++)
		items[ranked[r].item].score += scale / (RRF_CONSTANT + r + 1);
}

static void
fuse_similarity(Ranked *ranked, int nitems, RankItem *items, double scale, const RankQuestion *question)
{
	int			n = 0;
	double		mean = question->similarity_mean;
	double		deviation = question->similarity_deviation;

	for (int i = 0; i < nitems; i++)
	{
		if (items[i].eligible && items[i].has_similarity)
			add_ranked(ranked, &n, items, i, items[i].similarity);
	}
	if (!question->has_moments)
		moments(ranked, n, &mean, &deviation);
	qsort(ranked, n, sizeof(Ranked), compare_ranked);
	for (int r = 0; r < n; r++)
	{
		double		deviations = deviation > 0 ? (ranked[r].value - mean) / deviation : 0;

		items[ranked[r].item].score += scale * trust(question->similarity_weight, deviations) / (RRF_CONSTANT + r + 1);
	}
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
	fuse_keywords(ranked, nitems, items, scale);
	fuse_similarity(ranked, nitems, items, scale, question);
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
