/* sources: src/memory/rank.c src/text/bm25.c */
/*
 * test_rank.c
 *	  Hybrid ranking: the three widths of keywords, fusion, ties, eligibility.
 */
#include "postgres.h"

#include <math.h>

#include "memory/memory_int.h"
#include "tap.h"

#define MAX_ITEMS 8

static int	order[MAX_ITEMS];

/* ranks with one term; frequency 0 or 1 an item */
static int
rank_one_term(int nitems, RankItem *items, const uint16 *frequencies, double weight)
{
	void	   *scratch = malloc(memai_rank_scratch_size(nitems, 1));
	int			n = memai_rank(nitems, items, 1, frequencies, weight, order, scratch);

	free(scratch);
	return n;
}

static RankItem
item(int conversation, int64 occurred_at)
{
	return (RankItem) {.conversation = conversation, .length = 5, .eligible = true, .occurred_at = occurred_at};
}

static void
test_neighbours(void)
{
	/* conversation 0: hit, neighbour, neighbour, far; conversation 1: nothing */
	RankItem	items[] = {item(0, 1), item(0, 2), item(0, 3), item(0, 4), item(1, 9)};
	const uint16 frequencies[] = {1, 0, 0, 0, 0};

	ok(rank_one_term(5, items, frequencies, 0.1) == 5, "every eligible item is ranked");
	ok(order[0] == 0, "the item with the word comes first");
	ok(items[1].keyword == items[2].keyword && items[1].keyword > items[3].keyword,
	   "two neighbours on a side share in it, the third only through the conversation");
	ok(items[3].keyword > 0 && items[4].keyword == 0, "another conversation does not");
	ok(order[1] == 2 && order[2] == 1, "of equals the later one comes first");
	ok(order[4] == 4, "what matches nothing comes last");
}

static void
test_known_value(void)
{
	/* one item a conversation: all three widths are the item itself */
	RankItem	items[] = {item(0, 1), item(1, 2)};
	const uint16 frequencies[] = {1, 0};
	double		idf = log(1.0 + (2 - 1 + 0.5) / (1 + 0.5));

	rank_one_term(2, items, frequencies, 0.0);
	/* length equals the average, so each width scores idf * 1.9 / 1.9 */
	ok(fabs(items[0].keyword - 1.9 * idf) < 1e-12, "BM25 of a known case: %.6f", items[0].keyword);
	ok(items[0].score == 1.0, "first in the only order that counts: score 1");
	ok(items[1].score == 0.0, "in no order: score 0");
}

static void
test_fusion(void)
{
	/* 0 has the word, 1 is the most similar, 2 has neither */
	RankItem	items[] = {item(0, 1), item(1, 2), item(2, 3)};
	const uint16 frequencies[] = {1, 0, 0};

	for (int i = 0; i < 3; i++)
		items[i].has_similarity = true;
	items[0].similarity = 0.1;
	items[1].similarity = 0.9;
	items[2].similarity = 0.0;
	rank_one_term(3, items, frequencies, 0.1);
	ok(order[0] == 0 && order[1] == 1 && order[2] == 2, "similarity lifts what has no word in common");
	ok(fabs(items[0].score - 61.0 / 1.1 * (1 / 61.0 + 0.1 / 62.0)) < 1e-12, "reciprocal rank fusion of a known case");
	rank_one_term(3, items, frequencies, 100.0);
	ok(order[0] == 1, "a trusted similarity wins over keywords");

	items[1].has_similarity = false;
	rank_one_term(3, items, frequencies, 100.0);
	ok(items[1].score == 0, "an item without a vector has no part in that order");
}

static void
test_eligibility(void)
{
	RankItem	items[] = {item(0, 1), item(0, 2), item(0, 3)};
	const uint16 frequencies[] = {1, 0, 0};

	items[0].eligible = false;
	ok(rank_one_term(3, items, frequencies, 0.1) == 2, "an item that is not eligible is not ranked");
	ok(items[1].keyword > 0, "but its words count for its neighbours");
	ok(fabs(items[order[0]].score - 1.0 / 1.1) < 1e-12, "the first of the rest takes the first place");
}

static void
test_edges(void)
{
	RankItem	items[] = {item(0, 1)};
	const uint16 none[] = {0};

	ok(memai_rank(0, NULL, 3, NULL, 0.1, order, NULL) == 0, "nothing to rank");
	items[0].length = 0;
	ok(rank_one_term(1, items, none, 0.1) == 1 && items[0].keyword == 0 && items[0].score == 0,
	   "an item without a term scores nothing and is returned");
}

int
main(void)
{
	test_neighbours();
	test_known_value();
	test_fusion();
	test_eligibility();
	test_edges();
	return done_testing();
}
