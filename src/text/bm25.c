/*
 * bm25.c
 *	  The BM25 ranking function.  Pure: no allocation, no errors, no server
 *	  state.
 *
 * Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and
 * Beyond", Foundations and Trends in Information Retrieval 3(4), 2009, with the
 * inverse document frequency that Lucene uses: it stays above zero for terms
 * that most documents have, so that a match never counts against a document.
 */
#include "postgres.h"

#include <math.h>

#include "text/text.h"

double
memai_bm25_idf(double ndocuments, double document_frequency)
{
	return log(1.0 + (ndocuments - document_frequency + 0.5) / (document_frequency + 0.5));
}

/*
 * One term's part of a document's score; 0 when the document lacks it.
 * A collection whose documents are all empty has no average length: every
 * document then counts as one of average length.
 */
double
memai_bm25_term(const MemaiBm25 *bm25, double idf, double frequency, double length)
{
	double		relative_length;
	double		saturation;

	if (frequency <= 0.0)
		return 0.0;
	relative_length = bm25->average_length > 0.0 ? length / bm25->average_length : 1.0;
	saturation = bm25->k1 * (1.0 - bm25->b + bm25->b * relative_length);
	return idf * frequency * (bm25->k1 + 1.0) / (frequency + saturation);
}
