/* sources: src/text/when.c src/text/tokenise.c src/text/unicode.c */
/*
 * test_when.c
 *	  Time expressions in three languages, seen from Wednesday 2023-05-10.
 */
#include "postgres.h"

#include "tap.h"
#include "text/text.h"

#define REFERENCE 2460075		/* 2023-05-10 */

/* days are counted from the reference; none: no time expression */
static void
speaks_of(const char *text, int first, int days)
{
	MemaiDaySpan span;
	bool		found = memai_text_days(text, strlen(text), REFERENCE, &span);

	ok(found && span.first == REFERENCE + first && span.end - span.first == days,
	   "\"%s\": expected %d for %d days, got %d for %d", text, first, days,
	   found ? span.first - REFERENCE : 0, found ? span.end - span.first : -1);
}

static void
speaks_of_none(const char *text)
{
	MemaiDaySpan span;

	ok(!memai_text_days(text, strlen(text), REFERENCE, &span), "\"%s\" names no time", text);
}

static void
test_dates(void)
{
	speaks_of("What happened on 8 May 2023?", -2, 1);
	speaks_of("on the 8th of May", -2, 1);
	speaks_of("May 8, 2023", -2, 1);
	speaks_of("2023-05-08", -2, 1);
	speaks_of("in May 2023", -9, 31);
	speaks_of("in February 2024", 267, 29);
	speaks_of("last May", -374, 31);
	speaks_of("in March", -70, 31);
	speaks_of("in December", -160, 31);
	speaks_of("next June", 22, 30);
	speaks_of("back in 2022", -494, 365);
	speaks_of("am 8. Mai 2023", -2, 1);
	speaks_of("i mars 2023", -70, 31);
	speaks_of("den 8 maj", -2, 1);
	speaks_of("29 February 2024", 295, 1);
}

static void
test_relative(void)
{
	speaks_of("I went there yesterday.", -1, 1);
	speaks_of("Gestern war ich da", -1, 1);
	speaks_of("jag var där igår", -1, 1);
	speaks_of("tomorrow", 1, 1);
	speaks_of("last week", -9, 7);
	speaks_of("letzte Woche", -9, 7);
	speaks_of("förra veckan", -9, 7);
	speaks_of("this weekend", 3, 2);
	speaks_of("last weekend", -4, 2);
	speaks_of("next month", 22, 30);
	speaks_of("nästa månad", 22, 30);
	speaks_of("last year", -494, 365);
	speaks_of("last Friday", -5, 1);
	speaks_of("last Wednesday", -7, 1);
	speaks_of("next Wednesday", 7, 1);
	speaks_of("two weeks ago", -16, 7);
	speaks_of("a couple of days ago", -2, 1);
	speaks_of("a few days ago", -3, 1);
	speaks_of("10 days ago", -10, 1);
	speaks_of("vor drei Tagen", -3, 1);
	speaks_of("för två veckor sedan", -16, 7);
	speaks_of("three months ago", -98, 28);
}

static void
test_none(void)
{
	speaks_of_none("");
	speaks_of_none("You may go there, we march on.");
	speaks_of_none("I have two dogs and 31 cats");
	speaks_of_none("at last this is over");
	speaks_of_none("99999 days ago");
	speaks_of_none("\xff\xfe 12");
}

static void
test_asks_when(void)
{
	ok(memai_text_asks_when("When did she go?", 16), "when");
	ok(memai_text_asks_when("Since when?", 11), "since when");
	ok(memai_text_asks_when("Wann war das?", 13), "wann");
	ok(memai_text_asks_when("N\xc3\xa4r var det?", 13), "när");
	ok(!memai_text_asks_when("What did she do when it rained?", 31), "a clause with when does not ask for a time");
	ok(!memai_text_asks_when("", 0), "nothing");
}

int
main(void)
{
	test_dates();
	test_relative();
	test_none();
	test_asks_when();
	return done_testing();
}
