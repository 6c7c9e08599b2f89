/*
 * gather_words.c
 *	  What a recall reads of a large scope: the items that have the most of the
 *	  question's words, as the inverted indexes know (postings.c), a random sample
 *	  of all items, and the items that are nearest by vector.
 *
 * The sample tells what the words cannot: how many items there are, how long
 * they are, in which languages, and how similar the question is to anything.
 * Its items take part like the others, so a result has rows when few match.
 * How many items have a word is counted in the index.
 *
 * A scope is read whole instead when it is small, or when the question has no words
 * or names days: no index finds what happened in them.
 */
#include "postgres.h"

#include "memory/memory_int.h"

/* estimated items from which on a scope is large; to read half as many costs what a search does, but a conversation stays whole */
#define LARGE_SCOPE 1000
/* items by words: beyond, a rank adds next to nothing to a score */
#define LEAST_ITEMS 200
#define ITEMS_PER_RESULT 20
/* the best of them are compared by vector, too */
#define LEAST_COMPARED 64
#define COMPARED_PER_RESULT 5
#define SAMPLE_ITEMS 80
/* a word that more of the sample have is common */
#define COMMON_SHARE 0.25

typedef struct Words
{
	Recall	   *recall;
	RecallPostings *postings[2];	/* of episodes and of memories; NULL: not asked for */
	int64		nsample[2];		/* items of each that the sample is taken from */
	int			nread;			/* languages whose terms were read, but for common ones */
	int			ncommon;		/* languages whose common terms were dealt with */
} Words;

static bool
open_indexes(Words *words)
{
	for (int memories = 0; memories < 2; memories++)
	{
		if (!memai_gather_wants(words->recall->query, memories))
			continue;
		words->postings[memories] = memai_postings_open(memories);
		if (words->postings[memories] == NULL)
			return false;
	}
	return true;
}

static void
close_indexes(Words *words)
{
	for (int memories = 0; memories < 2; memories++)
	{
		if (words->postings[memories] != NULL)
			memai_postings_close(words->postings[memories]);
	}
}

/* Gathers what is at some places of a table; few rows have another version elsewhere. */
static void
gather_places(const Words *words, bool memories, Datum places)
{
	Recall	   *recall = words->recall;
	Datum		moved;

	if (memai_gather_items(recall, memories, RECALL_PLACES, places, 0) <
		ArrayGetNItems(ARR_NDIM(DatumGetArrayTypeP(places)), ARR_DIMS(DatumGetArrayTypeP(places))) &&
		memai_postings_moved(words->postings[memories], places, &moved) > 0)
		memai_gather_items(recall, memories, RECALL_PLACES, moved, 0);
}

/* Estimates the size of the scope. */
static double
measure_scope(Words *words)
{
	int64		key = memai_item_key(words->recall->query->scope->scope, 0);
	int64		n = 0;

	for (int memories = 0; memories < 2; memories++)
	{
		if (words->postings[memories] != NULL)
			n += words->nsample[memories] = memai_postings_measure(words->postings[memories], key);
	}
	return (double) n * MEMAI_ITEM_SAMPLES;
}

static void
gather_sample(const Words *words)
{
	Recall	   *recall = words->recall;
	int64		all = words->nsample[false] + words->nsample[true];
	double		length = 0;

	for (int memories = 0; memories < 2; memories++)
	{
		Datum		places;

		if (words->postings[memories] == NULL)
			continue;
		/* of each table as many as it has its share in the scope */
		memai_postings_sample(words->postings[memories], (int) ((SAMPLE_ITEMS * words->nsample[memories] + all - 1) / all), &places);
		gather_places(words, memories, places);
	}
	recall->nsampled = recall->ncandidates;
	recall->ncompared = 0;
	for (int i = 0; i < recall->nsampled; i++)
		length += recall->candidates[i].terms.length;
	recall->average_length = recall->nsampled > 0 ? length / recall->nsampled : 0;
}

static int
wanted_items(const Recall *recall)
{
	return Max(LEAST_ITEMS, ITEMS_PER_RESULT * recall->query->k);
}

/* the items that the words which were read lead to */
static int64
count_found(const Words *words)
{
	int64		n = 0;

	for (int memories = 0; memories < 2; memories++)
	{
		if (words->postings[memories] != NULL)
			n += memai_postings_count(words->postings[memories]);
	}
	return n;
}

/* whether an earlier language has the same term for the same word */
static bool
is_read(const Recall *recall, int language, int word)
{
	for (int i = 0; i < language; i++)
	{
		if (recall->terms[i * recall->nterms + word] == recall->terms[language * recall->nterms + word])
			return true;
	}
	return false;
}

/* the share of the sampled items that have a word, in one language */
static double
sampled_share(const Recall *recall, uint32 term)
{
	int			n = 0;

	for (int i = 0; i < recall->nsampled; i++)
		n += memai_terms_frequency(&recall->candidates[i].terms, term) > 0;
	return (double) n / Max(recall->nsampled, 1);
}

static void
read_word(Words *words, uint32 term, int word)
{
	Recall	   *recall = words->recall;
	int64		key = memai_item_key(recall->query->scope->scope, term);

	for (int memories = 0; memories < 2; memories++)
	{
		if (words->postings[memories] != NULL)
			recall->holders[word] += memai_postings_read(words->postings[memories], key, word);
	}
}

/*
 * Reads who has the question's words, in the languages that are new.  What the
 * words that many items have add to the choice is little, and their lists are
 * long: they are read only when the others lead to too few items, and else
 * their frequency is that of the sample.
 */
static void
read_words(Words *words)
{
	Recall	   *recall = words->recall;

	for (; words->nread < recall->nlanguages; words->nread++)
	{
		const uint32 *terms = recall->terms + words->nread * recall->nterms;

		for (int word = 0; word < recall->nterms; word++)
		{
			if (!is_read(recall, words->nread, word) && sampled_share(recall, terms[word]) <= COMMON_SHARE)
				read_word(words, terms[word], word);
		}
	}
	for (; words->ncommon < words->nread; words->ncommon++)
	{
		const uint32 *terms = recall->terms + words->ncommon * recall->nterms;
		bool		enough = count_found(words) >= wanted_items(recall);

		for (int word = 0; word < recall->nterms; word++)
		{
			double		share = sampled_share(recall, terms[word]);

			if (is_read(recall, words->ncommon, word) || share <= COMMON_SHARE)
				continue;
			if (enough)
				recall->holders[word] += share * recall->population;
			else
				read_word(words, terms[word], word);
		}
	}
}

static void
weigh_words(const Words *words)
{
	const Recall *recall = words->recall;
	double	   *weights = palloc(sizeof(double) * recall->nterms);

	for (int word = 0; word < recall->nterms; word++)
		weights[word] = memai_bm25_idf(Max(recall->population, recall->holders[word]), recall->holders[word]);
	for (int memories = 0; memories < 2; memories++)
	{
		if (words->postings[memories] != NULL)
			memai_postings_weigh(words->postings[memories], weights);
	}
	pfree(weights);
}

static int
count_eligible(const Recall *recall)
{
	int			n = 0;

	for (int i = recall->nsampled; i < recall->ncandidates; i++)
		n += recall->candidates[i].eligible;
	return n;
}

static int
count_left(const Words *words, bool memories)
{
	return words->postings[memories] ? memai_postings_left(words->postings[memories]) : 0;
}

/*
 * Gathers the n next best, half of each table as far as it goes: what was said of a
 * thing again and again must not hide what is known of it.  False when there are no more.
 */
static bool
gather_next(const Words *words, int n)
{
	bool		fewer = count_left(words, true) < count_left(words, false);
	bool		any = false;

	/* the table that has fewer first: the other makes up for it */
	for (int step = 0; step < 2; step++)
	{
		bool		memories = step == 0 ? fewer : !fewer;
		int			share = n / (2 - step);
		Datum		places;
		int			taken;

		if (count_left(words, memories) == 0)
			continue;
		taken = memai_postings_take(words->postings[memories], share, &places);
		gather_places(words, memories, places);
		n -= taken;
		any = any || taken > 0;
	}
	return any;
}

/* Gathers the best, more of them while too few pass the filters. */
static void
gather_best(const Words *words)
{
	Recall	   *recall = words->recall;
	int			wanted = wanted_items(recall);

	if (recall->ncompared == 0)
	{
		gather_next(words, Max(LEAST_COMPARED, COMPARED_PER_RESULT * recall->query->k));
		recall->ncompared = recall->ncandidates;
	}
	while (count_eligible(recall) < wanted && gather_next(words, wanted))
		;
}

bool
memai_gather_by_words(Recall *recall)
{
	Words		words = {.recall = recall};
	double		population;

	if (recall->nterms == 0 || recall->has_days)
		return false;
	if (!open_indexes(&words) || (population = measure_scope(&words)) < LARGE_SCOPE)
	{
		close_indexes(&words);
		return false;
	}
	recall->population = population;
	recall->holders = palloc0(sizeof(double) * recall->nterms);
	gather_sample(&words);
	/* the items of each round may be of languages that no item before was of */
	while (words.nread < recall->nlanguages)
	{
		read_words(&words);
		weigh_words(&words);
		gather_best(&words);
	}
	close_indexes(&words);
	return true;
}
