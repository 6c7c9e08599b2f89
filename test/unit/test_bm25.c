/*
 * test_bm25.c
 *	  BM25 against values computed by hand (Python) and its limits.
 */
/* sources: src/text/bm25.c */
#include "postgres.h"

#include <math.h>

#include "text/text.h"
#include "tap.h"

static bool
near(double a, double b)
{
	return fabs(a - b) <= 1e-12 * fabs(b);
}

int
main(void)
{
	MemaiBm25	bm25 = {1.2, 0.75, 10.0};
	MemaiBm25	empty = {1.2, 0.75, 0.0};
	double		idf = memai_bm25_idf(1000, 10);

	/* ln(1 + 990.5 / 10.5), ln(1 + 0.5 / 1000.5) */
	ok(near(idf, 4.557379522151743), "idf of a rare term is %.15f", idf);
	ok(near(memai_bm25_idf(1000, 1000), 0.0004996252914324798), "a term of all documents stays above 0: %.16f",
	   memai_bm25_idf(1000, 1000));
	ok(memai_bm25_idf(1000, 1) > memai_bm25_idf(1000, 2), "rarer terms weigh more");

	/* at the average length: 2 * 2.2 / (2 + 1.2) */
	ok(near(memai_bm25_term(&bm25, 1.0, 2, 10), 1.375), "a document of average length");
	/* twice the average: 2 * 2.2 / (2 + 1.2 * 1.75) */
	ok(near(memai_bm25_term(&bm25, 1.0, 2, 20), 4.4 / 4.1), "a document twice as long");
	ok(memai_bm25_term(&bm25, idf, 255, 10) < idf * 2.2, "frequency saturates below k1 + 1");
	ok(memai_bm25_term(&bm25, idf, 0, 10) == 0.0, "an absent term scores 0");
	ok(memai_bm25_term(&bm25, idf, 0, 0) == 0.0, "an empty document scores 0");
	ok(near(memai_bm25_term(&empty, 1.0, 2, 0), 1.375), "no average length: as at the average");
	return done_testing();
}
