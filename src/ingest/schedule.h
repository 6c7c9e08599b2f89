/*
 * schedule.h
 *	  What the files of schedules share.  Private to ingest/.
 */
#ifndef MEMAI_INGEST_SCHEDULE_H
#define MEMAI_INGEST_SCHEDULE_H

#include "core/core.h"
#include "job/job.h"
#include "utils/timestamp.h"

/* a row of memai.schedule; texts are NULL when the column is */
typedef struct MemaiSchedule
{
	char	   *name;
	char	   *task;			/* insight, alert, expire, consolidate,
								 * vectorizer */
	char	   *target;			/* a vectorizer's name */
	char	   *query;
	char	   *prompt;
	char	   *notify;
	char	   *model;
	char	   *search_path;
	char	   *created_by;
	bool		paused;
	bool		is_met;
} MemaiSchedule;

/* ---- schedule_time.c ---- */

/*
 * When a schedule is due next, after a time.  spec is a cron expression, on the
 * wall clock of the time zone, or an interval, counted from base.  Raises 22023
 * when spec is neither, or never comes.
 */
extern TimestampTz memai_schedule_next(const char *spec, const char *zone, TimestampTz base, TimestampTz after);

/* ---- schedule_query.c ---- */

#define MEMAI_SCHEDULE_MAX_ROWS 50

/* what a query found */
typedef struct MemaiFinding
{
	int			nrows;
	char	   *rows[MEMAI_SCHEDULE_MAX_ROWS];	/* "column: value, ..." */
	bool		is_true;		/* of a condition */
} MemaiFinding;

/*
 * Runs a query of the schedule's author, as him, under his search_path,
 * read-only.  Of a condition the first column is its truth and not shown.
 * finding's strings are in the current context.  The caller is not
 * connected to SPI.  Raises what the query raises.
 */
extern void memai_schedule_query(const char *query, const char *search_path, bool is_condition,
								 MemaiFinding *finding);

/* ---- schedule_run.c ---- */

/* Registers the kinds schedule, consolidate and insight. */
extern void memai_schedule_init(void);

#endif							/* MEMAI_INGEST_SCHEDULE_H */
