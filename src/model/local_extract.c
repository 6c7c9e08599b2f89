/*
 * local_extract.c
 *	  The answerer of model local/extract: quotes the statements that share
 *	  terms with the question, word for word, and says so when none does.
 *
 * It composes nothing: what it says beyond its two fixed sentences stands
 * between quotation marks and comes from the request's grounding.  Statements
 * are ranked among themselves by BM25, so that a word which all of them share
 * counts little; recall's score decides between equals.  A question is never
 * quoted, nor a statement that shares next to nothing with the user's.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/timestamp.h"

#include "model/local.h"
#include "text/text.h"

#define NOTHING_FOUND "I found nothing about this in memory."
#define MAX_QUOTES 3

/* a further statement is quoted when it scores at least this part of the best */
#define QUOTE_THRESHOLD 0.6

/* a statement must share this part of the question's words, by their rarity */
#define MIN_COVERAGE 0.2

/* statements assumed at least when rarity is judged: few tell little */
#define MIN_COLLECTION 8

/* a longer statement is quoted up to here, in bytes */
#define MAX_QUOTE_BYTES 2000

/* short texts of similar length: length says little about relevance */
static const double bm25_k1 = 0.9;
static const double bm25_b = 0.3;

typedef struct Candidate
{
	const MemaiGrounding *statement;
	MemaiTermsView terms;
	double		score;
	double		coverage;		/* shared part of the question, in rarity */
} Candidate;

static const MemaiChatMessage *
last_user_message(const MemaiChatRequest *request)
{
	for (int i = request->nmessages - 1; i >= 0; i--)
	{
		if (strcmp(request->messages[i].role, "user") == 0)
			return &request->messages[i];
	}
	return NULL;
}

/* Adds one term's part to every candidate's score; returns its rarity. */
static double
score_term(Candidate *candidates, int n, const MemaiBm25 *bm25, uint32 term)
{
	int			having = 0;
	double		idf;
	double		rarity;

	for (int i = 0; i < n; i++)
		having += memai_terms_frequency(&candidates[i].terms, term) > 0;
	idf = memai_bm25_idf(n, having);
	rarity = memai_bm25_idf(Max(n, MIN_COLLECTION), having);
	for (int i = 0; i < n; i++)
	{
		uint32		frequency = memai_terms_frequency(&candidates[i].terms, term);

		candidates[i].score += memai_bm25_term(bm25, idf, frequency, candidates[i].terms.length);
		if (frequency > 0)
			candidates[i].coverage += rarity;
	}
	return rarity;
}

/* A question answers nothing. */
static bool
is_question(const MemaiSpan *content)
{
	size_t		len = content->len;

	while (len > 0 && isspace((unsigned char) content->data[len - 1]))
		len--;
	return len > 0 && content->data[len - 1] == '?';
}

/* best first; recall's order between equals */
static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *left = a;
	const Candidate *right = b;

	if (left->score != right->score)
		return left->score > right->score ? -1 : 1;
	if (left->statement->score != right->statement->score)
		return left->statement->score > right->statement->score ? -1 : 1;
	return left->statement < right->statement ? -1 : left->statement > right->statement;
}

/* The request's statements, ranked by the terms they share with the question. */
static Candidate *
rank_statements(const MemaiChatRequest *request, const MemaiSpan *question)
{
	int			n = request->ngrounding;
	Candidate  *candidates = palloc0(Max(n, 1) * sizeof(Candidate));
	MemaiBm25	bm25 = {bm25_k1, bm25_b, 0.0};
	double		rarity = 0;
	uint32	   *terms;
	int			language = memai_text_language(question->data, question->len);
	int			nterms = memai_text_query_terms(question->data, question->len, &terms);

	for (int i = 0; i < n; i++)
	{
		const MemaiSpan *content = &request->grounding[i].content;
		bytea	   *terms_bytea;

		CHECK_FOR_INTERRUPTS();
		candidates[i].statement = &request->grounding[i];
		terms_bytea = memai_text_terms_in(language, content->data, content->len);
		memai_terms_open((const unsigned char *) VARDATA(terms_bytea), VARSIZE(terms_bytea) - VARHDRSZ,
						 &candidates[i].terms);
		bm25.average_length += (double) candidates[i].terms.length / n;
	}
	for (int i = 0; i < nterms; i++)
	{
		CHECK_FOR_INTERRUPTS();
		rarity += score_term(candidates, n, &bm25, terms[i]);
	}
	for (int i = 0; i < n; i++)
	{
		if (candidates[i].coverage < MIN_COVERAGE * rarity ||
			is_question(&candidates[i].statement->content))
			candidates[i].score = 0;
	}
	qsort(candidates, n, sizeof(Candidate), compare_candidates);
	return candidates;
}

/* Appends " (YYYY-MM-DD)" in the session's time zone when the date is known. */
static void
append_date(StringInfo answer, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			zone;

	if (TIMESTAMP_NOT_FINITE(at) ||
		timestamp2tm(at, &zone, &tm, &fsec, NULL, NULL) != 0 || tm.tm_year <= 0)
		return;
	appendStringInfo(answer, " (%04d-%02d-%02d)", tm.tm_year, tm.tm_mon, tm.tm_mday);
}

static void
append_quote(StringInfo answer, const MemaiGrounding *statement)
{
	const MemaiSpan *content = &statement->content;
	int			len = (int) Min(content->len, MAX_QUOTE_BYTES + 1);

	if (content->len > MAX_QUOTE_BYTES)
		len = pg_mbcliplen(content->data, len, MAX_QUOTE_BYTES);
	appendStringInfoChar(answer, '"');
	appendBinaryStringInfo(answer, content->data, len);
	appendStringInfoString(answer, content->len > MAX_QUOTE_BYTES ? "\" [...]" : "\"");
	append_date(answer, statement->occurred_at);
}

/* Cuts the answer to the longest beginning of at most max_tokens tokens. */
static bool
cut_to_tokens(StringInfo answer, int max_tokens)
{
	int			low = 0;
	int			high = answer->len;

	if (max_tokens <= 0 || memai_text_estimate_tokens(answer->data, answer->len) <= max_tokens)
		return false;
	while (low < high)
	{
		int			middle = low + (high - low + 1) / 2;
		int			clipped = pg_mbcliplen(answer->data, answer->len, middle);

		if (memai_text_estimate_tokens(answer->data, clipped) <= max_tokens)
			low = middle;
		else
			high = middle - 1;
	}
	answer->len = pg_mbcliplen(answer->data, answer->len, low);
	while (answer->len > 0 && answer->data[answer->len - 1] == ' ')
		answer->len--;
	answer->data[answer->len] = '\0';
	return true;
}

static void
compose_answer(StringInfo answer, const MemaiChatRequest *request)
{
	const MemaiChatMessage *message = last_user_message(request);
	const MemaiSpan *question = request->question.len > 0 || message == NULL ? &request->question : &message->content;
	Candidate  *candidates;

	if (question->len == 0 || request->ngrounding == 0)
	{
		appendStringInfoString(answer, NOTHING_FOUND);
		return;
	}
	candidates = rank_statements(request, question);
	if (candidates[0].score <= 0.0)
	{
		appendStringInfoString(answer, NOTHING_FOUND);
		return;
	}
	appendStringInfoString(answer, "From memory: ");
	for (int i = 0; i < Min(request->ngrounding, MAX_QUOTES); i++)
	{
		if (candidates[i].score < QUOTE_THRESHOLD * candidates[0].score)
			break;
		if (i > 0)
			appendStringInfoString(answer, "; ");
		append_quote(answer, candidates[i].statement);
	}
	appendStringInfoChar(answer, '.');
}

void
memai_local_extract(const MemaiChatRequest *request, MemaiChatResult *result)
{
	StringInfoData answer;
	int64		prompt_tokens = 0;

	for (int i = 0; i < request->nmessages; i++)
		prompt_tokens += memai_text_estimate_tokens(request->messages[i].content.data,
										 request->messages[i].content.len);
	initStringInfo(&answer);
	compose_answer(&answer, request);
	result->finish_reason = cut_to_tokens(&answer, request->max_tokens) ? "length" : "stop";
	result->content = answer.data;
	result->prompt_tokens = (int) Min(prompt_tokens, PG_INT32_MAX);
	result->completion_tokens = memai_text_estimate_tokens(answer.data, answer.len);
}
