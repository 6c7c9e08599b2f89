/*
 * schedule_time.c
 *	  When a schedule is due: cron expressions in a time zone, and intervals.
 *
 * A cron expression names minutes on the wall clock.  A minute that the clock
 * skips in spring comes when the clock has skipped it; one that comes twice in
 * autumn counts once, the first time; an expression whose hour is * goes by
 * every minute that passes, so it skips and repeats nothing.
 *
 * An interval is counted from when the schedule was made; what was missed is
 * not made up for, the next due time is the first after now.
 */
#include "postgres.h"

#include <ctype.h>

#include "ingest/cron.h"
#include "ingest/schedule.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"

#define USECS_PER_STEP USECS_PER_MINUTE
/* how far an expression with hour * is looked for minute by minute */
#define STEPS_MAX 180
#define INTERVALS_MAX 100000

PG_FUNCTION_INFO_V1(memai_next_run);

static void
raise_spec(const char *spec, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("schedule \"%s\" is not understood: %s", spec, problem),
			 errhint("Write a cron expression such as '0 3 * * mon-fri' or '@daily', or an interval such as '10 min'.")));
}

static pg_tz *
find_zone(const char *name)
{
	pg_tz	   *zone = pg_tzset(name);

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", name)));
	return zone;
}

/* the wall clock at a time */
static MemaiCronTime
wall_clock(TimestampTz at, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;

	if (timestamp2tm(at, &offset, &tm, &fsec, NULL, zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return (MemaiCronTime) {tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min};
}

static bool
same_minute(const MemaiCronTime *a, const MemaiCronTime *b)
{
	return a->year == b->year && a->month == b->month && a->day == b->day && a->hour == b->hour && a->minute == b->minute;
}

/* when the wall clock shows it, the first time if it does so twice */
static TimestampTz
time_of(const MemaiCronTime *clock, pg_tz *zone)
{
	struct pg_tm tm = {.tm_year = clock->year, .tm_mon = clock->month, .tm_mday = clock->day,
	.tm_hour = clock->hour, .tm_min = clock->minute};
	int			offset = DetermineTimeZoneOffset(&tm, zone);
	Timestamp	local;

	if (tm2timestamp(&tm, 0, &offset, &local) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	for (int minutes = 60; minutes >= 30; minutes -= 30)
	{
		MemaiCronTime shown = wall_clock(local - minutes * USECS_PER_MINUTE, zone);

		if (same_minute(&shown, clock))
			return local - minutes * USECS_PER_MINUTE;
	}
	return local;
}

static TimestampTz
next_by_cron(const MemaiCron *cron, const char *spec, pg_tz *zone, TimestampTz after)
{
	TimestampTz minute = after - ((after % USECS_PER_MINUTE) + USECS_PER_MINUTE) % USECS_PER_MINUTE;
	MemaiCronTime clock = wall_clock(minute, zone);
	MemaiCronTime next;

	for (int i = 1; cron->any_hour && i <= STEPS_MAX; i++)
	{
		MemaiCronTime shown = wall_clock(minute + i * USECS_PER_STEP, zone);

		if (memai_cron_matches(cron, &shown))
			return minute + i * USECS_PER_STEP;
	}
	for (;;)
	{
		TimestampTz at;

		if (!memai_cron_next(cron, &clock, &next))
			raise_spec(spec, "that day does not exist");
		at = time_of(&next, zone);
		/* the second showing of a minute that has had its run */
		if (at > after)
			return at;
		clock = next;
	}
}

static TimestampTz
add_interval(TimestampTz at, const Interval *interval)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(at),
												   IntervalPGetDatum(interval)));
}

static TimestampTz
next_by_interval(const char *spec, TimestampTz base, TimestampTz after)
{
	Interval   *interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(spec),
																 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	TimestampTz next = base;

	if (interval->month < 0 || interval->day < 0 || interval->time < 0 ||
		(interval->month == 0 && interval->day == 0 && interval->time < USECS_PER_SEC))
		raise_spec(spec, "an interval is at least a second");
	if (interval->month == 0 && interval->day == 0)
		return after < base ? base + interval->time : base + ((after - base) / interval->time + 1) * interval->time;
	for (int i = 0; i < INTERVALS_MAX; i++)
	{
		next = add_interval(next, interval);
		if (next > after)
			return next;
	}
	return add_interval(after, interval);
}

/* numbers of fields that are separated by blanks */
static int
count_fields(const char *spec)
{
	int			n = 0;

	for (const char *p = spec; *p; p++)
		n += !isspace((unsigned char) *p) && (p == spec || isspace((unsigned char) p[-1]));
	return n;
}

TimestampTz
memai_schedule_next(const char *spec, const char *zone, TimestampTz base, TimestampTz after)
{
	MemaiCron	cron;
	const char *problem;

	if (!TIMESTAMP_NOT_FINITE(after) && (memai_cron_parse(spec, strlen(spec), &cron, &problem)))
		return next_by_cron(&cron, spec, find_zone(zone), after);
	if (TIMESTAMP_NOT_FINITE(after) || TIMESTAMP_NOT_FINITE(base))
		raise_spec(spec, "it is counted from a time that is infinite");
	if (spec[0] == '@' || count_fields(spec) == 5)
		raise_spec(spec, problem);
	return next_by_interval(spec, base, after);
}

/* next_run(every text, after timestamptz, time_zone text, base timestamptz) returns timestamptz: stable */
Datum
memai_next_run(PG_FUNCTION_ARGS)
{
	TimestampTz after = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz base = PG_ARGISNULL(3) ? after : PG_GETARG_TIMESTAMPTZ(3);

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(memai_schedule_next(text_to_cstring(PG_GETARG_TEXT_PP(0)),
											  PG_ARGISNULL(2) ? pg_get_timezone_name(session_timezone) : text_to_cstring(PG_GETARG_TEXT_PP(2)),
											  base, after));
}
