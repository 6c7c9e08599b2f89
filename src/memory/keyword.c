/*
 * keyword.c
 *	  Keyword scores of the items of a scope.  Pure: numbers in, numbers out.
 *
 * Three widths.  A turn of a conversation is understood from its neighbours:
 * "Yes, next Tuesday" answers a question that the turn itself does not name.
 * So BM25 (text/bm25.c) is computed over three kinds of documents and added
 * up: the item alone, the item with its two neighbours on each side, and the
 * whole conversation.  The statistics (document frequency, average length) of a
 * scope that was read whole are counted in the same pass over its rows: exact at
 * any moment, nothing to maintain when rows are written.  Items that were found
 * in a large scope bring them along (RankQuestion), counted in its indexes.
 *
 * Who spoke.  "What did Ann say of boats?" is mostly answered by Ann: an item
 * whose speaker the question names gets the rarity of the name on top.
 *
 * When.  A question that names days ("in May 2023") means what happened then or
 * speaks of then; one that asks when is answered by what names a time.  Both
 * classes of items get their rarity on top, as speakers do.
 *
 * Linked to what.  A memory whose subject or object the question names, or that
 * is one step further in the graph ("Where is Ann's employer?" - Ann works at
 * Acme - Acme is in Lund), gets the rarity of being so on top.
 *
 * Languages.  An item is searched for the question's words as its own language
 * stems them.
 *
 * Feedback.  The rarest words of the best items stand for what the question is
 * about and lift items that word it differently (pseudo relevance feedback,
 * after Lavrenko and Croft 2001); they count a fifth of the question's own and
 * add at most half to what an item has from those.
 *
 * A text that asks seldom answers: the score falls by up to 40 % with the
 * share of it that is questions.
 *
 * The constants were chosen on dialogues (test/bench/locomo) and are of the
 * usual size for short documents: small k1 and b, since a turn that repeats a
 * word or is long is not better for it.
 */
#include "postgres.h"

#include "memory/memory_int.h"
#include "text/text.h"

#define NEIGHBOURS 2			/* on each side */
#define NEIGHBOURHOOD_WEIGHT 0.8
#define CONVERSATION_WEIGHT 0.5
#define SPEAKER_WEIGHT 3.0
#define DAYS_WEIGHT 3.0
#define WHEN_WEIGHT 1.0
#define ENTITY_WEIGHT 2.0		/* half of it at two steps */
#define ASKING_PENALTY 0.4

#define FEEDBACK_ITEMS 5		/* the best items, whose words are taken */
#define FEEDBACK_TERMS 10		/* how many words */
#define FEEDBACK_WEIGHT 0.2
#define FEEDBACK_LIMIT 0.5		/* of an item's own score */
#define FEEDBACK_SLOTS 1024		/* words that are considered; a power of two */

/* one width of documents: their term frequencies, lengths and scores */
typedef struct Level
{
	int			ndocuments;
	int			nterms;
	uint32	   *frequencies;	/* ndocuments rows of nterms */
	double	   *lengths;
	double	   *scores;
} Level;

/* a word of the best items */
typedef struct FeedbackTerm
{
	bool		used;
	uint32		hash;
	uint32		nitems;			/* of the scope that have it */
	double		weight;
} FeedbackTerm;

typedef struct Scratch
{
	void		(*check) (void);
	int			nitems;
	RankItem   *items;
	Level		level;
	uint32	   *own;			/* nitems rows of the items' own frequencies */
	FeedbackTerm *feedback;
	const RankQuestion *found_among;	/* the statistics of a larger collection; NULL: the items are all */
} Scratch;

size_t
memai_keyword_scratch_size(int nitems, int nterms)
{
	size_t		n = (size_t) nitems;
	size_t		terms = (size_t) Max(nterms, FEEDBACK_TERMS);

	return 2 * n * sizeof(double) + sizeof(FeedbackTerm) * FEEDBACK_SLOTS + 2 * n * terms * sizeof(uint32);
}

static void
divide_scratch(Scratch *scratch, void *memory, int nitems, RankItem *items, int nterms)
{
	scratch->nitems = nitems;
	scratch->items = items;
	scratch->level.lengths = memory;
	scratch->level.scores = scratch->level.lengths + nitems;
	scratch->feedback = (FeedbackTerm *) (scratch->level.scores + nitems);
	scratch->own = (uint32 *) (scratch->feedback + FEEDBACK_SLOTS);
	scratch->level.frequencies = scratch->own + (size_t) nitems * Max(nterms, FEEDBACK_TERMS);
}

/* ---- BM25 over one width ---- */

static uint32
documents_having(const Level *level, int term)
{
	uint32		n = 0;

	for (int i = 0; i < level->ndocuments; i++)
		n += level->frequencies[(size_t) i * level->nterms + term] > 0;
	return n;
}

/* of a larger collection only the items are counted, so all widths take their numbers */
static double
level_rarity(const Scratch *scratch, int term)
{
	const RankQuestion *all = scratch->found_among;

	if (all != NULL)
		return memai_bm25_idf(Max(all->population, all->holders[term]), all->holders[term]);
	return memai_bm25_idf(scratch->level.ndocuments, documents_having(&scratch->level, term));
}

/* average_length: of the documents; 0: as it is */
static void
score_level(const Scratch *scratch, double k1, double b, double average_length)
{
	const Level *level = &scratch->level;
	MemaiBm25	bm25 = {.k1 = k1, .b = b};
	double		total = 0;

	for (int i = 0; i < level->ndocuments; i++)
	{
		total += level->lengths[i];
		level->scores[i] = 0;
	}
	bm25.average_length = average_length > 0 ? average_length : total / level->ndocuments;
	for (int t = 0; t < level->nterms; t++)
	{
		double		idf = level_rarity(scratch, t);

		if (scratch->check != NULL)
			scratch->check();
		for (int i = 0; i < level->ndocuments; i++)
		{
			uint32		frequency = level->frequencies[(size_t) i * level->nterms + t];

			if (frequency > 0)
				level->scores[i] += memai_bm25_term(&bm25, idf, frequency, level->lengths[i]);
		}
	}
}

static void
clear_level(Level *level, int ndocuments)
{
	level->ndocuments = ndocuments;
	memset(level->lengths, 0, sizeof(double) * ndocuments);
	memset(level->frequencies, 0, sizeof(uint32) * (size_t) ndocuments * level->nterms);
}

/* Adds one item's counts to a document of the level. */
static void
add_item(const Scratch *scratch, int document, int item)
{
	const Level *level = &scratch->level;
	uint32	   *sum = level->frequencies + (size_t) document * level->nterms;
	const uint32 *own = scratch->own + (size_t) item * level->nterms;

	level->lengths[document] += scratch->items[item].terms.length;
	for (int t = 0; t < level->nterms; t++)
		sum[t] += own[t];
}

/* ---- the three widths ---- */

static void
add_part(RankItem *item, RankPart part, double value)
{
	item->parts[part] += value;
	item->keyword += value;
}

static void
score_items(Scratch *scratch, double weight, RankPart part)
{
	clear_level(&scratch->level, scratch->nitems);
	for (int i = 0; i < scratch->nitems; i++)
		add_item(scratch, i, i);
	score_level(scratch, 0.9, 0.3, scratch->found_among ? scratch->found_among->average_length : 0);
	for (int i = 0; i < scratch->nitems; i++)
		add_part(&scratch->items[i], part, weight * scratch->level.scores[i]);
}

static void
score_neighbourhoods(Scratch *scratch, double weight, RankPart part)
{
	const RankItem *items = scratch->items;

	clear_level(&scratch->level, scratch->nitems);
	for (int i = 0; i < scratch->nitems; i++)
	{
		for (int j = Max(0, i - NEIGHBOURS); j <= Min(scratch->nitems - 1, i + NEIGHBOURS); j++)
		{
			if (items[j].conversation == items[i].conversation)
				add_item(scratch, i, j);
		}
	}
	score_level(scratch, 0.9, 0.5, 0);
	for (int i = 0; i < scratch->nitems; i++)
		add_part(&scratch->items[i], part, weight * NEIGHBOURHOOD_WEIGHT * scratch->level.scores[i]);
}

static void
score_conversations(Scratch *scratch, double weight, RankPart part)
{
	clear_level(&scratch->level, scratch->items[scratch->nitems - 1].conversation + 1);
	for (int i = 0; i < scratch->nitems; i++)
		add_item(scratch, scratch->items[i].conversation, i);
	score_level(scratch, 0.9, 0.5, 0);
	for (int i = 0; i < scratch->nitems; i++)
		add_part(&scratch->items[i], part, weight * CONVERSATION_WEIGHT *
				 scratch->level.scores[scratch->items[i].conversation]);
}

/* Adds the score of some terms, times weight, to every item in the three widths. */
static void
score_terms(Scratch *scratch, int nterms, const uint32 *terms, double weight, bool feedback)
{
	scratch->level.nterms = nterms;
	for (int i = 0; i < scratch->nitems; i++)
	{
		/* words of stored texts are in their language already */
		const uint32 *row = feedback ? terms : terms + (size_t) scratch->items[i].language * nterms;

		for (int t = 0; t < nterms; t++)
			scratch->own[(size_t) i * nterms + t] = memai_terms_frequency(&scratch->items[i].terms, row[t]);
	}
	score_items(scratch, weight, feedback ? RANK_FEEDBACK : RANK_OWN);
	score_neighbourhoods(scratch, weight, feedback ? RANK_FEEDBACK : RANK_NEIGHBOURHOOD);
	score_conversations(scratch, weight, feedback ? RANK_FEEDBACK : RANK_CONVERSATION);
}

/* ---- who spoke ---- */

/* The rarity of a term among the items; the level must hold its own counts. */
static double
term_rarity(const Scratch *scratch, int nterms, int term)
{
	uint32		n = 0;

	if (scratch->found_among != NULL)
		return level_rarity(scratch, term);
	for (int i = 0; i < scratch->nitems; i++)
		n += scratch->own[(size_t) i * nterms + term] > 0;
	return memai_bm25_idf(scratch->nitems, n);
}

static void
add_speakers(Scratch *scratch, int nterms)
{
	for (int t = 0; t < Min(nterms, RANK_SPEAKER_TERMS); t++)
	{
		double		bonus = SPEAKER_WEIGHT * term_rarity(scratch, nterms, t);

		for (int i = 0; i < scratch->nitems; i++)
		{
			if ((scratch->items[i].speaker_terms >> t) & 1)
				add_part(&scratch->items[i], RANK_SPEAKER, bonus);
		}
	}
}

/* ---- when ---- */

static void
add_times(Scratch *scratch, const RankQuestion *question)
{
	RankItem   *items = scratch->items;
	/* all that is in the days was gathered */
	double		nsearched = scratch->found_among ? Max(scratch->found_among->population, scratch->nitems) : scratch->nitems;
	int			nin_days = 0;
	int			nnames_time = 0;

	for (int i = 0; i < scratch->nitems; i++)
	{
		nin_days += items[i].in_days;
		nnames_time += items[i].names_time;
	}
	for (int i = 0; i < scratch->nitems; i++)
	{
		if (items[i].in_days)
			add_part(&items[i], RANK_TIME, DAYS_WEIGHT * memai_bm25_idf(nsearched, nin_days));
		if (question->asks_when && items[i].names_time)
			add_part(&items[i], RANK_TIME, WHEN_WEIGHT * memai_bm25_idf(scratch->nitems, nnames_time));
	}
}

/* ---- what it is linked to ---- */

static void
add_entities(Scratch *scratch)
{
	RankItem   *items = scratch->items;
	int			nlinked[3] = {0};

	for (int i = 0; i < scratch->nitems; i++)
		nlinked[items[i].hops]++;
	for (int i = 0; i < scratch->nitems; i++)
	{
		if (items[i].hops > 0)
			add_part(&items[i], RANK_ENTITY, ENTITY_WEIGHT / items[i].hops *
					 memai_bm25_idf(scratch->nitems, nlinked[items[i].hops]));
	}
}

/* ---- feedback ---- */

static FeedbackTerm *
find_slot(FeedbackTerm *slots, uint32 hash)
{
	uint32		i = hash & (FEEDBACK_SLOTS - 1);

	while (slots[i].used && slots[i].hash != hash)
		i = (i + 1) & (FEEDBACK_SLOTS - 1);
	return &slots[i];
}

/* The best items by keyword, best first; fewer when fewer match. */
static int
best_items(const Scratch *scratch, int *best)
{
	int			n = 0;

	for (int i = 0; i < scratch->nitems; i++)
	{
		int			place = n;

		if (scratch->items[i].keyword <= 0)
			continue;
		while (place > 0 && scratch->items[i].keyword > scratch->items[best[place - 1]].keyword)
			place--;
		if (place == FEEDBACK_ITEMS)
			continue;
		n = Min(n + 1, FEEDBACK_ITEMS);
		memmove(&best[place + 1], &best[place], sizeof(int) * (n - 1 - place));
		best[place] = i;
	}
	return n;
}

/* Takes an item's words; at most half of the slots are ever filled. */
static void
take_words(Scratch *scratch, int item, int *nused)
{
	const MemaiTermsView *terms = &scratch->items[item].terms;

	for (uint32 i = 0; i < terms->nterms && *nused < FEEDBACK_SLOTS / 2; i++)
	{
		uint32		hash = memai_terms_hash(terms, i);
		FeedbackTerm *slot = find_slot(scratch->feedback, hash);

		if (!slot->used)
		{
			*slot = (FeedbackTerm) {.used = true, .hash = hash};
			(*nused)++;
		}
		slot->weight += scratch->items[item].keyword * memai_terms_count(terms, i) / terms->length;
	}
}

static void
count_items_having(Scratch *scratch)
{
	for (int i = 0; i < scratch->nitems; i++)
	{
		const MemaiTermsView *terms = &scratch->items[i].terms;

		for (uint32 t = 0; t < terms->nterms; t++)
		{
			FeedbackTerm *slot = find_slot(scratch->feedback, memai_terms_hash(terms, t));

			if (slot->used)
				slot->nitems++;
		}
	}
}

/* Takes the slot of the heaviest word out; false when none is left. */
static bool
take_heaviest(FeedbackTerm *slots, uint32 *hash)
{
	FeedbackTerm *heaviest = NULL;

	for (int i = 0; i < FEEDBACK_SLOTS; i++)
	{
		if (slots[i].used && slots[i].weight > 0 &&
			(heaviest == NULL || slots[i].weight > heaviest->weight ||
			 (slots[i].weight == heaviest->weight && slots[i].hash < heaviest->hash)))
			heaviest = &slots[i];
	}
	if (heaviest == NULL)
		return false;
	*hash = heaviest->hash;
	heaviest->weight = 0;
	return true;
}

/* The words that the best items have and the question has not. */
static int
feedback_terms(Scratch *scratch, int nterms, const uint32 *terms, uint32 *chosen)
{
	int			best[FEEDBACK_ITEMS + 1];
	int			nbest = best_items(scratch, best);
	int			nused = 0;
	int			n = 0;

	memset(scratch->feedback, 0, sizeof(FeedbackTerm) * FEEDBACK_SLOTS);
	for (int i = 0; i < nbest; i++)
		take_words(scratch, best[i], &nused);
	count_items_having(scratch);
	for (int i = 0; i < FEEDBACK_SLOTS; i++)
		scratch->feedback[i].weight *= memai_bm25_idf(scratch->nitems, scratch->feedback[i].nitems);
	for (int t = 0; t < nterms; t++)
		find_slot(scratch->feedback, terms[t])->weight = 0;
	while (n < FEEDBACK_TERMS && take_heaviest(scratch->feedback, &chosen[n]))
		n++;
	return n;
}

/*
 * Adds the feedback's part to the items that match, each at most in proportion
 * to its own score: a long text of rare words must not feed itself.
 */
static void
add_feedback(Scratch *scratch, const RankQuestion *question)
{
	uint32		chosen[FEEDBACK_TERMS];
	int			nchosen = feedback_terms(scratch, question->nterms * (1 + question->nmore_languages), question->terms, chosen);

	if (nchosen > 0)
		score_terms(scratch, nchosen, chosen, FEEDBACK_WEIGHT, true);
	for (int i = 0; i < scratch->nitems; i++)
	{
		RankItem   *item = &scratch->items[i];
		double		own = item->keyword - item->parts[RANK_FEEDBACK];

		item->parts[RANK_FEEDBACK] = Min(item->parts[RANK_FEEDBACK], FEEDBACK_LIMIT * own);
		item->keyword = own + item->parts[RANK_FEEDBACK];
	}
}

void
memai_keyword_score(int nitems, RankItem *items, const RankQuestion *question, void *memory)
{
	Scratch		scratch;

	for (int i = 0; i < nitems; i++)
	{
		items[i].keyword = 0;
		memset(items[i].parts, 0, sizeof(items[i].parts));
	}
	if (nitems == 0)
		return;
	divide_scratch(&scratch, memory, nitems, items, question->nterms);
	scratch.check = question->check;
	scratch.found_among = question->population > 0 ? question : NULL;
	if (question->nterms > 0)
	{
		score_terms(&scratch, question->nterms, question->terms, 1.0, false);
		add_speakers(&scratch, question->nterms);
	}
	scratch.found_among = NULL;
	add_times(&scratch, question);
	add_entities(&scratch);
	if (question->nterms > 0)
		add_feedback(&scratch, question);
	for (int i = 0; i < nitems; i++)
		items[i].keyword *= items[i].weight * (1.0 - ASKING_PENALTY * items[i].asking);
}
