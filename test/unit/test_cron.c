/*
 * test_cron.c
 *	  Cron expressions: what is read, what is refused, and what comes next.
 */
/* sources: src/ingest/cron.c */
#include "postgres.h"

#include "ingest/cron.h"
#include "tap.h"

/* the minute after the given one, or what is wrong with the expression */
static const char *
next_of(const char *text, const char *after_text)
{
	static char out[64];
	MemaiCron	cron;
	MemaiCronTime after;
	MemaiCronTime next;
	const char *problem;

	sscanf(after_text, "%d-%d-%d %d:%d", &after.year, &after.month, &after.day, &after.hour, &after.minute);
	if (!memai_cron_parse(text, strlen(text), &cron, &problem))
		return problem;
	if (!memai_cron_next(&cron, &after, &next))
		return "never";
	snprintf(out, sizeof(out), "%04d-%02d-%02d %02d:%02d", next.year, next.month, next.day, next.hour, next.minute);
	return out;
}

static void
next_is(const char *text, const char *after, const char *expected)
{
	const char *got = next_of(text, after);

	ok(strcmp(got, expected) == 0, "%s", text);
	if (strcmp(got, expected) != 0)
		printf("# after %s: %s, expected %s\n", after, got, expected);
}

int
main(void)
{
	/* 2026-11-21 is a Saturday */
	next_is("* * * * *", "2026-11-21 23:59", "2026-11-22 00:00");
	next_is("*/15 * * * *", "2026-11-21 10:15", "2026-11-21 10:30");
	next_is("5/20 * * * *", "2026-11-21 10:26", "2026-11-21 10:45");
	next_is("0 3 * * *", "2026-11-21 03:00", "2026-11-22 03:00");
	next_is("0 3 * * *", "2026-11-21 02:59", "2026-11-21 03:00");
	next_is("30 8-18/5 * * *", "2026-11-21 08:30", "2026-11-21 13:30");
	next_is("0,30 8 * * mon-fri", "2026-11-21 00:00", "2026-11-23 08:00");
	next_is("0 0 * * 7", "2026-11-21 00:00", "2026-11-22 00:00");
	next_is("0 0 * * SUN", "2026-11-22 00:00", "2026-11-29 00:00");
	next_is("0 0 * * 5-7", "2026-11-21 00:00", "2026-11-22 00:00");
	next_is("0 0 1 * *", "2026-12-31 12:00", "2027-01-01 00:00");
	next_is("0 0 31 * *", "2026-01-31 00:00", "2026-03-31 00:00");
	next_is("0 0 29 2 *", "2026-11-21 00:00", "2028-02-29 00:00");
	next_is("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00");
	next_is("0 0 30 2 *", "2026-11-21 00:00", "never");
	next_is("0 0 1 Jan,jul *", "2026-11-21 00:00", "2027-01-01 00:00");
	/* both days limited: one is enough; a step counts as a limit, * does not */
	next_is("0 0 13 * fri", "2026-11-21 00:00", "2026-11-27 00:00");
	next_is("0 0 13 * fri", "2026-12-12 00:00", "2026-12-13 00:00");
	next_is("0 0 * * fri", "2026-12-12 00:00", "2026-12-18 00:00");
	next_is("  0\t0 *  * * ", "2026-12-12 00:00", "2026-12-13 00:00");
	next_is("@hourly", "2026-11-21 10:15", "2026-11-21 11:00");
	next_is("@daily", "2026-11-21 10:15", "2026-11-22 00:00");
	next_is("@weekly", "2026-11-21 10:15", "2026-11-22 00:00");
	next_is("@monthly", "2026-11-21 10:15", "2026-12-01 00:00");
	next_is("@yearly", "2026-11-21 10:15", "2027-01-01 00:00");

	next_is("60 * * * *", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("-1 * * * *", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("5-1 * * * *", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("*/0 * * * *", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("1, * * * *", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("1x * * * *", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("99999999999999999999 * * * *", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("", "2026-11-21 10:15", "the minute is not in 0-59");
	next_is("0 24 * * *", "2026-11-21 10:15", "the hour is not in 0-23");
	next_is("0 0 0 * *", "2026-11-21 10:15", "the day is not in 1-31");
	next_is("0 0 1 13 *", "2026-11-21 10:15", "the month is not in 1-12 or jan-dec");
	next_is("0 0 1 ju *", "2026-11-21 10:15", "the month is not in 1-12 or jan-dec");
	next_is("0 0 1 1 8", "2026-11-21 10:15", "the weekday is not in 0-7 or sun-sat");
	next_is("0 0 1 1", "2026-11-21 10:15", "the weekday is not in 0-7 or sun-sat");
	next_is("0 0 1 1 * *", "2026-11-21 10:15", "there are more than five fields");
	next_is("@often", "2026-11-21 10:15", "the word is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually");
	return done_testing();
}
