/*
 * test_http_outcome.c
 *	  What libcurl's results mean, by number: those of libraries that are newer
 *	  than the headers at hand too.  Rows HT4, HT6, HT7 and HT15.
 */
/* sources: src/http/outcome.c */
#include "postgres.h"

#include "http/transfer.h"
#include "tap.h"

/* numbers of libcurl 7.68 to 8.22 that a request can end with */
static const struct
{
	MemaiHttpOutcome outcome;
	const char *name;
	int			results[16];
}			meanings[] =
{
	{MEMAI_HTTP_ANSWERED, "an answer", {0, -1}},
	{MEMAI_HTTP_UNREACHABLE, "unreachable", {5, 6, 7, 97, -1}},
	{MEMAI_HTTP_TLS_FAILED, "no trusted connection", {35, 58, 59, 60, 77, 83, 91, 98, 101, -1}},
	{MEMAI_HTTP_TIMED_OUT, "out of time", {28, -1}},
	{MEMAI_HTTP_BROKEN_OFF, "broken off", {18, 52, 55, 56, 99, -1}},
	{MEMAI_HTTP_TOO_LARGE, "too large", {63, 100, -1}},
};

#define NEWEST 101

int
main(void)
{
	bool		told[NEWEST + 1] = {false};
	bool		others = true;

	for (int i = 0; i < (int) lengthof(meanings); i++)
		for (const int *result = meanings[i].results; *result >= 0; result++)
		{
			told[*result] = true;
			ok(memai_http_outcome_of(*result) == meanings[i].outcome, "%d is %s", *result, meanings[i].name);
		}
	for (int result = 0; result <= NEWEST; result++)
		others = others && (told[result] || memai_http_outcome_of(result) == MEMAI_HTTP_INVALID);
	ok(others, "every other known number is no HTTP");
	ok(memai_http_outcome_of(NEWEST + 1) == MEMAI_HTTP_INVALID &&
	   memai_http_outcome_of(-1) == MEMAI_HTTP_INVALID, "numbers that are not known are no HTTP");
	return done_testing();
}
