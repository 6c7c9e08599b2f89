/* sources: src/memory/rank.c src/memory/keyword.c src/text/bm25.c src/text/terms.c */
/*
 * test_rank.c
 *	  Hybrid ranking: the three widths of keywords, speakers, feedback,
 *	  questions, fusion, ties, eligibility.
 */
#include "postgres.h"

#include <math.h>

#include "memory/memory_int.h"
#include "tap.h"
#include "text/terms.h"

#define MAX_ITEMS 8

enum
{
	WORD = 11,					/* the term of the question */
	FRIEND,						/* stands beside WORD in an item */
	FILLER						/* of every item */
};

static int	order[MAX_ITEMS];

/* the terms of all items made, as they are stored */
static unsigned char payloads[64][64];
static int	npayloads = 0;

/* An item of the given terms, which end with 0; always five terms long. */
static RankItem
item(int conversation, int64 occurred_at, uint32 first, uint32 second)
{
	uint32		hashes[5] = {first ? first : FILLER, second ? second : FILLER, FILLER, FILLER, FILLER};
	unsigned char *payload = payloads[npayloads++];
	RankItem	result = {.conversation = conversation,.eligible = true,.factor = 1,.weight = 1,.occurred_at = occurred_at};

	memai_terms_open(payload, memai_terms_build(hashes, 5, 2, payload), &result.terms);
	return result;
}

/* ranks by a question of one term */
static int
rank(int nitems, RankItem *items, double weight)
{
	uint32		terms[] = {WORD};
	void	   *scratch = malloc(memai_rank_scratch_size(nitems, 1));
	RankQuestion question = {.nterms = 1,.terms = terms,.similarity_weight = weight};
	int			n = memai_rank(nitems, items, &question, order, scratch);

	free(scratch);
	return n;
}

/* the items found of a large collection are weighed by its numbers, not by theirs */
static void
test_population(void)
{
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, FRIEND, 0), item(2, 3, FRIEND, 0)};
	uint32		terms[] = {WORD, FRIEND};
	double		holders[] = {900, 10};
	void	   *scratch = malloc(memai_rank_scratch_size(3, 2));
	RankQuestion question = {.nterms = 2,.terms = terms,.population = 1000,.average_length = 5,.holders = holders};

	memai_rank(3, items, &question, order, scratch);
	ok(order[0] == 2 && order[1] == 1 && order[2] == 0, "a word that is rare in the collection counts more");
	/* one occurrence in a text of average length: BM25 is the word's rarity */
	ok(fabs(items[0].parts[RANK_OWN] - log(1 + 100.5 / 900.5)) < 1e-12, "frequencies are those of the collection");
	holders[0] = 2000;
	memai_rank(3, items, &question, order, scratch);
	ok(items[0].parts[RANK_OWN] > 0, "an estimate below what was counted does no harm");
	free(scratch);
}

static void
test_neighbours(void)
{
	/* conversation 0: hit, neighbour, neighbour, far; conversation 1: nothing */
	RankItem	items[] = {item(0, 1, WORD, 0), item(0, 2, 0, 0), item(0, 3, 0, 0), item(0, 4, 0, 0), item(1, 9, 0, 0)};

	ok(rank(5, items, 0.1) == 5, "every eligible item is ranked");
	ok(order[0] == 0, "the item with the word comes first");
	ok(items[1].keyword > items[3].keyword && items[2].keyword > items[3].keyword,
	   "two neighbours on a side share in it, the third only through the conversation");
	ok(items[3].keyword > 0 && items[4].keyword == 0, "another conversation does not");
	ok(order[4] == 4, "what matches nothing comes last");
}

static void
test_known_value(void)
{
	/* one item a conversation: all three widths are the item itself */
	RankItem	items[] = {item(0, 1, WORD, WORD), item(1, 2, 0, 0)};
	double		idf = log(1.0 + (2 - 1 + 0.5) / (1 + 0.5));
	double		filler = log(1.0 + (2 - 2 + 0.5) / (2 + 0.5));
	double		widths = 1.0 + 0.8 + 0.5;
	/* lengths equal the average: frequency f scores idf * f * 1.9 / (f + 0.9); FILLER is the feedback */
	double		expected = widths * (idf * 2 * 1.9 / 2.9 + 0.2 * filler * 3 * 1.9 / 3.9);

	rank(2, items, 0.0);
	ok(fabs(items[0].keyword - expected) < 1e-12, "a known case: %.6f", items[0].keyword);
	ok(items[0].score == 1.0, "first in the only order that counts: score 1");
	ok(items[1].score == 0.0, "in no order: score 0");
}

static void
test_feedback(void)
{
	RankItem	items[] = {item(0, 3, WORD, FRIEND), item(1, 2, WORD, FRIEND), item(2, 4, WORD, 0), item(3, 5, FRIEND, 0), item(4, 6, 0, 0)};

	rank(5, items, 0.0);
	ok(items[2].keyword - items[2].parts[RANK_FEEDBACK] == items[0].keyword - items[0].parts[RANK_FEEDBACK] &&
	   items[2].keyword < items[0].keyword,
	   "of two that match alike, the one with the best items' other word scores higher");
	ok(items[0].parts[RANK_FEEDBACK] * 3 <= items[0].keyword + 1e-12, "by half of its own score at most");
	ok(order[0] == 0 && order[2] == 2, "and comes first");
	ok(items[3].keyword == 0, "the other word alone matches nothing");
}

static void
test_speaker(void)
{
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, WORD, 0), item(2, 3, 0, 0)};

	items[0].speaker_terms = 1;
	rank(3, items, 0.0);
	ok(order[0] == 0, "of equals the one whose speaker is named comes first");
	ok(fabs(items[0].keyword - items[1].keyword - 3 * log(1.0 + (3 - 2 + 0.5) / (2 + 0.5))) < 1e-12,
	   "by three times the rarity of the name");
}

static void
test_asking(void)
{
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, WORD, 0), item(2, 3, 0, 0)};

	items[1].asking = 1.0;
	rank(3, items, 0.0);
	ok(order[0] == 0, "a statement comes before a question");
	ok(fabs(items[1].keyword - 0.6 * items[0].keyword) < 1e-12, "which counts 40 %% less");
}

static void
test_weight(void)
{
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, WORD, 0), item(2, 3, 0, 0)};

	items[0].weight = 1.25;
	rank(3, items, 0.0);
	ok(order[0] == 0 && fabs(items[0].keyword - 1.25 * items[1].keyword) < 1e-12, "of equals the weightier comes first");
}

static void
test_fusion(void)
{
	/* 0 has the word, 1 is the most similar, 2 has neither */
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, 0, 0), item(2, 3, 0, 0)};
	uint32		none[] = {4711};
	void	   *scratch = malloc(memai_rank_scratch_size(3, 1));

	for (int i = 0; i < 3; i++)
		items[i].has_similarity = true;
	items[0].similarity = 0.1;
	items[1].similarity = 0.9;
	items[2].similarity = 0.0;
	rank(3, items, 100.0);
	ok(order[0] == 1, "a trusted similarity wins over keywords");
	memai_rank(3, items, &(RankQuestion) {.nterms = 1,.terms = none,.similarity_weight = 0.1}, order, scratch);
	ok(order[0] == 1 && order[1] == 0 && order[2] == 2, "without a common word similarity decides");
	ok(fabs(items[1].score - 0.1 / 1.1) < 1e-12, "reciprocal rank fusion of a known case");
	ok(items[1].keyword == 0, "no keyword score without a common word");

	items[1].has_similarity = false;
	memai_rank(3, items, &(RankQuestion) {.nterms = 1,.terms = none,.similarity_weight = 0.1}, order, scratch);
	ok(items[1].score == 0 && order[2] == 1, "an item without a vector has no part in that order");
	memai_rank(3, items, &(RankQuestion) {.nterms = 0,.terms = NULL,.similarity_weight = 0.1}, order, scratch);
	ok(items[0].score > 0 && items[0].keyword == 0, "a question without terms");
	free(scratch);
}

/* an item that is far more similar than all others needs no common word */
static void
test_outlier(void)
{
	enum
	{
		n = 100
	};
	static RankItem items[n];
	static int	places[n];
	uint32		terms[] = {WORD};
	void	   *scratch = malloc(memai_rank_scratch_size(n, 1));

	for (int i = 0; i < n; i++)
		items[i] = (RankItem) {.conversation = i, .eligible = true, .has_similarity = true,
		.factor = 1, .weight = 1, .similarity = 0.1 + 0.001 * (i % 10), .occurred_at = i};
	items[57].similarity = 0.9;
	memai_rank(n, items, &(RankQuestion) {.nterms = 1, .terms = terms, .similarity_weight = 0.1}, places, scratch);
	ok(places[0] == 57 && fabs(items[57].score - 1.0 / 1.1) < 1e-12, "an outlier counts in full");
	ok(items[places[1]].score < 0.1 / 1.1, "the rest as the model deserves");
	free(scratch);
}

static void
test_eligibility(void)
{
	RankItem	items[] = {item(0, 1, WORD, 0), item(0, 2, 0, 0), item(0, 3, 0, 0)};

	items[0].eligible = false;
	ok(rank(3, items, 0.1) == 2, "an item that is not eligible is not ranked");
	ok(items[1].keyword > 0, "but its words count for its neighbours");
	ok(order[0] == 2, "of equals the later one comes first");
	ok(fabs(items[order[0]].score - 1.0 / 1.1) < 1e-12, "the first of the rest takes the first place");
}

static void
test_edges(void)
{
	RankItem	empty = {.eligible = true,.factor = 1,.weight = 1};

	ok(memai_rank(0, NULL, &(RankQuestion) {.nterms = 3,.terms = NULL,.similarity_weight = 0.1}, order, NULL) == 0, "nothing to rank");
	ok(rank(1, &empty, 0.1) == 1 && empty.keyword == 0 && empty.score == 0,
	   "an item without a term scores nothing and is returned");
}

static void
test_times(void)
{
	/* 0 and 1 have the word, 2 happened in the days of the question, 3 names a time */
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, WORD, 0), item(2, 3, 0, 0), item(3, 4, 0, 0)};
	uint32		terms[] = {WORD};
	void	   *scratch = malloc(memai_rank_scratch_size(4, 1));
	RankQuestion question = {.nterms = 1,.terms = terms};

	items[0].in_days = true;
	items[2].in_days = true;
	items[1].names_time = true;
	memai_rank(4, items, &question, order, scratch);
	ok(order[0] == 0, "word and time before word alone");
	ok(items[2].keyword > 0 && items[2].parts[RANK_TIME] > 0, "the time alone is a match");
	ok(items[1].parts[RANK_TIME] == 0, "a time in a text does not matter unless the question asks when");
	question.asks_when = true;
	memai_rank(4, items, &question, order, scratch);
	ok(items[1].parts[RANK_TIME] > 0, "it does then");
	free(scratch);
}

static void
test_factor(void)
{
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, WORD, 0)};

	items[1].factor = 0.5;
	rank(2, items, 0.0);
	ok(order[0] == 0 && fabs(items[1].score - 0.5) < 1e-12 && fabs(items[0].score - 61.0 / 62.0) < 1e-12,
	   "the factor multiplies the fused score");
}

static void
test_diversity(void)
{
	/* 1 says what 0 says, 2 something else */
	RankItem	items[] = {item(0, 1, WORD, 0), item(1, 2, WORD, 0), item(2, 3, FRIEND, WORD)};
	double		nearest[3];

	items[0].score = 1.0;
	items[1].score = 0.99;
	items[2].score = 0.9;
	order[0] = 0, order[1] = 1, order[2] = 2;
	memai_rank_diversify(items, 3, order, 2, 0.0, nearest);
	ok(order[0] == 0 && order[1] == 1 && order[2] == 2, "without diversity nothing moves");
	memai_rank_diversify(items, 3, order, 2, 0.9, nearest);
	ok(order[0] == 0 && order[1] == 2 && order[2] == 1, "the unlike one comes second");
	memai_rank_diversify(items, 0, order, 2, 0.5, nearest);
	ok(order[0] == 0, "nothing to reorder");
}

int
main(void)
{
	test_population();
	test_neighbours();
	test_known_value();
	test_feedback();
	test_speaker();
	test_asking();
	test_weight();
	test_fusion();
	test_outlier();
	test_times();
	test_factor();
	test_diversity();
	test_eligibility();
	test_edges();
	return done_testing();
}
