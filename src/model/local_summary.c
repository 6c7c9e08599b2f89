/*
 * local_summary.c
 *	  Summaries by quoting, for models that follow no instructions.
 *
 * SumBasic (Nenkova and Vanderwende 2005): a sentence is worth the mean
 * probability of its terms in the text; the best is taken and its terms'
 * probabilities are squared, so that the next one says something else.  Nothing is
 * written that the text does not say.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/local.h"
#include "text/text.h"

/* further sentences are not looked at: the beginning tells what a text is about */
#define MAX_SENTENCES 2000

typedef struct Sentence
{
	MemaiSpan	text;
	int			words;
	MemaiTermsView terms;
	bool		taken;
} Sentence;

static bool
ends_sentence(const char *at, const char *end)
{
	if (*at == '\n')
		return true;
	return strchr(".!?", *at) != NULL && (at + 1 == end || isspace((unsigned char) at[1]));
}

static int
count_words(MemaiSpan text)
{
	int			words = 0;
	bool		in_word = false;

	for (size_t i = 0; i < text.len; i++)
	{
		bool		space = isspace((unsigned char) text.data[i]);

		words += !space && !in_word;
		in_word = !space;
	}
	return words;
}

static MemaiSpan
trimmed(const char *start, const char *end)
{
	MemaiSpan	span;

	while (start < end && isspace((unsigned char) *start))
		start++;
	while (end > start && isspace((unsigned char) end[-1]))
		end--;
	span.data = start;
	span.len = end - start;
	return span;
}

static int
split_sentences(MemaiSpan input, Sentence *sentences)
{
	const char *end = input.data + input.len;
	const char *start = input.data;
	int			n = 0;

	for (const char *at = start; at < end && n < MAX_SENTENCES; at++)
	{
		MemaiSpan	text;

		if (*at == '\0' || (!ends_sentence(at, end) && at + 1 < end))
			continue;
		text = trimmed(start, at + 1);
		start = at + 1;
		if (text.len == 0)
			continue;
		memset(&sentences[n], 0, sizeof(Sentence));
		sentences[n].text = text;
		sentences[n].words = count_words(text);
		n++;
	}
	return n;
}

static void
read_terms(Sentence *sentence)
{
	bytea	   *terms = memai_text_terms(sentence->text.data, sentence->text.len);

	memai_terms_open((const unsigned char *) VARDATA(terms), VARSIZE(terms) - VARHDRSZ, &sentence->terms);
}

/* the place of a hash in the sorted terms of the whole text; -1 for none */
static int64
find_term(const MemaiTermsView *whole, uint32 hash)
{
	int64		low = 0;
	int64		high = whole->nterms;

	while (low < high)
	{
		int64		middle = (low + high) / 2;
		uint32		found = memai_terms_hash(whole, (uint32) middle);

		if (found == hash)
			return middle;
		if (found < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* the mean probability of a sentence's terms; with square, makes them rarer */
static double
worth(const Sentence *sentence, const MemaiTermsView *whole, double *probabilities, bool square)
{
	double		sum = 0;

	for (uint32 i = 0; i < sentence->terms.nterms; i++)
	{
		int64		place = find_term(whole, memai_terms_hash(&sentence->terms, i));

		if (place < 0)
			continue;
		sum += probabilities[place];
		if (square)
			probabilities[place] *= probabilities[place];
	}
	return sentence->terms.nterms > 0 ? sum / sentence->terms.nterms : 0;
}

/* takes the best sentences that fit; returns how many */
static int
take_sentences(Sentence *sentences, int n, const MemaiTermsView *whole, double *probabilities, int max_words)
{
	int			taken = 0;

	for (;;)
	{
		int			best = -1;
		double		best_worth = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
		{
			double		value;

			if (sentences[i].taken || sentences[i].words > max_words)
				continue;
			value = worth(&sentences[i], whole, probabilities, false);
			if (value > best_worth)
			{
				best_worth = value;
				best = i;
			}
		}
		if (best < 0)
			return taken;
		sentences[best].taken = true;
		max_words -= sentences[best].words;
		(void) worth(&sentences[best], whole, probabilities, true);
		taken++;
	}
}

/* the first words of a text */
static char *
first_words(MemaiSpan text, int max_words)
{
	size_t		end = 0;
	int			words = 0;

	while (end < text.len && words < max_words)
	{
		while (end < text.len && !isspace((unsigned char) text.data[end]))
			end++;
		words++;
		if (words < max_words)
			while (end < text.len && isspace((unsigned char) text.data[end]))
				end++;
	}
	return pnstrdup(text.data, trimmed(text.data, text.data + end).len);
}

char *
memai_local_summarize(MemaiSpan input, int max_words)
{
	MemaiSpan	text = trimmed(input.data, input.data + input.len);
	Sentence   *sentences = palloc(sizeof(Sentence) * MAX_SENTENCES);
	Sentence	whole = {.text = text};
	double	   *probabilities;
	StringInfoData summary;
	int			n;

	if (count_words(text) <= max_words)
		return pnstrdup(text.data, text.len);
	n = split_sentences(text, sentences);
	read_terms(&whole);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_terms(&sentences[i]);
	}
	probabilities = palloc(sizeof(double) * (whole.terms.nterms + 1));
	for (uint32 i = 0; i < whole.terms.nterms; i++)
		probabilities[i] = (double) memai_terms_count(&whole.terms, i) / whole.terms.length;
	if (take_sentences(sentences, n, &whole.terms, probabilities, max_words) == 0)
		return first_words(text, max_words);
	initStringInfo(&summary);
	for (int i = 0; i < n; i++)
	{
		if (!sentences[i].taken)
			continue;
		if (summary.len > 0)
			appendStringInfoChar(&summary, ' ');
		appendBinaryStringInfo(&summary, sentences[i].text.data, (int) sentences[i].text.len);
	}
	return summary.data;
}
