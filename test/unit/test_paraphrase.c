/* sources: src/text/paraphrase.c src/text/tokenise.c src/text/unicode.c src/core/hash.c */
/*
 * test_paraphrase.c
 *	  Overlap of statements, with words for stems.
 */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "tap.h"
#include "text/text.h"

#define MAX_WORDS 100

static int
compare_terms(const void *left, const void *right)
{
	uint32		a = ((const MemaiQueryWord *) left)->term;
	uint32		b = ((const MemaiQueryWord *) right)->term;

	return a < b ? -1 : a > b;
}

static int
words_of(const char *statement, MemaiQueryWord *words)
{
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	int			n = 0;

	memai_tokeniser_start(&tokeniser, statement, strlen(statement));
	while (n < MAX_WORDS && memai_tokeniser_next(&tokeniser, &token))
	{
		words[n].word = token;
		words[n++].term = (uint32) memai_hash64(token.data, token.len, 1);
	}
	qsort(words, n, sizeof(MemaiQueryWord), compare_terms);
	return n;
}

static void
overlaps(double expected, const char *a, const char *b)
{
	MemaiQueryWord left[MAX_WORDS];
	MemaiQueryWord right[MAX_WORDS];
	int			nleft = words_of(a, left);
	int			nright = words_of(b, right);
	double		there = memai_text_overlap(nleft, left, nright, right);
	double		back = memai_text_overlap(nright, right, nleft, left);

	ok(fabs(there - expected) < 0.001 && fabs(back - expected) < 0.001, "\"%s\" and \"%s\": %.3f", a, b, there);
}

int
main(void)
{
	char		many[MAX_WORDS * 4 + 1] = "";

	overlaps(1, "red bicycle", "bicycle red");
	overlaps(0, "red bicycle", "green boat");
	overlaps(0, "", "boat");
	overlaps(0, "", "");
	overlaps(1.0 / 3, "red bicycle", "blue bicycle");
	/* words that say little count little */
	overlaps(2 / 2.1, "owns red bicycle", "red bicycle");
	overlaps(1 / 1.25, "takes bus", "bus");
	/* one meaning; one root */
	overlaps(1, "daughter called ida", "name daughter ida");
	overlaps(1, "leads team", "manages team");
	overlaps(1, "peanut allergic", "peanut allergy");
	overlaps(1, "speaks spanish fluently", "talks fluent spanish");
	overlaps(1, "sings choir", "choir singer");
	overlaps(1, "v\303\244xelkurs arbetar", "v\303\244xelkurs jobbar");
	/* another name is no ending */
	overlaps(1.0 / 3, "husband johan", "husband johanna");
	overlaps(1.0 / 3, "likes cats", "hates cats");
	/* a word is paired once */
	overlaps(2.0 / 3, "tall singer", "tall sings singing");
	for (int i = 0; i < MAX_WORDS; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "w%02d ", i);
	overlaps(1, many, many);
	overlaps(0, many, "boat");
	return done_testing();
}
