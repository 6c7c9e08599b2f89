/*
 * cron.h
 *	  Cron expressions, on the wall clock of some place.  Pure.  Private to
 *	  ingest/.
 */
#ifndef MEMAI_INGEST_CRON_H
#define MEMAI_INGEST_CRON_H

#include "c.h"

/* sets of permitted values, one bit each */
typedef struct MemaiCron
{
	uint64		minutes;		/* bits 0..59 */
	uint64		hours;			/* bits 0..23 */
	uint64		days;			/* bits 1..31 */
	uint64		months;			/* bits 1..12 */
	uint64		weekdays;		/* bits 0..6, 0 is Sunday */
	bool		either_day;		/* days and weekdays are both limited: one of
								 * them is enough */
	bool		any_hour;		/* hours is * */
} MemaiCron;

/* a minute of the Gregorian calendar on the wall clock */
typedef struct MemaiCronTime
{
	int			year;
	int			month;			/* 1..12 */
	int			day;			/* 1..31 */
	int			hour;
	int			minute;
} MemaiCronTime;

/*
 * Reads five fields, minute hour day month weekday, of *, numbers, names (jan,
 * sun), ranges, lists and steps; weekday 7 is Sunday too; or one of @hourly,
 * @daily, @midnight, @weekly, @monthly, @yearly, @annually.  text need not end
 * with NUL.  False, and what is wrong in *problem (static), when it is none.
 */
extern bool memai_cron_parse(const char *text, size_t len, MemaiCron *cron, const char **problem);

/* True when the minute is one of the expression's. */
extern bool memai_cron_matches(const MemaiCron *cron, const MemaiCronTime *time);

/*
 * The first minute after a given one that matches; false when there is none
 * within 40 years (30 February).
 */
extern bool memai_cron_next(const MemaiCron *cron, const MemaiCronTime *after, MemaiCronTime *next);

#endif							/* MEMAI_INGEST_CRON_H */
