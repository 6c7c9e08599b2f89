/*
 * clean.c
 *	  Removing finished jobs that nobody asks for any more.
 *
 * Jobs that are done or cancelled are kept for memai.job_retention, so that a
 * client can fetch their results.  Failed ones are the dead letters: they stay
 * until retry_jobs or a DELETE.  A run removes a limited number and leaves the
 * rest to the next, so that it is always short.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "job/job_int.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define CLEAN_MAX_ROWS 100000

static int	retention = 7 * 24 * 3600;

static MemaiStatement remove_old = {
	"DELETE FROM memai.job j USING (SELECT o.scope, o.id FROM memai.job o "
	"WHERE o.finished_at < $1 AND o.status IN ('done', 'cancelled') ORDER BY o.finished_at LIMIT $2) AS old "
	"WHERE j.scope = old.scope AND j.id = old.id", 2, {TIMESTAMPTZOID, INT8OID}, NULL
};

void
memai_job_clean(void)
{
	Datum		values[2];

	if (retention < 0)
		return;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	values[0] = TimestampTzGetDatum(GetCurrentTimestamp() - (int64) retention * USECS_PER_SEC);
	values[1] = Int64GetDatum(CLEAN_MAX_ROWS);
	memai_statement_run(&remove_old, values, NULL, false, 0);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
}

void
memai_job_clean_init(void)
{
	DefineCustomIntVariable("memai.job_retention",
							"Sets how long workers keep jobs that are done or cancelled.",
							"Failed jobs are kept; -1 keeps all of them.",
							&retention, 7 * 24 * 3600, -1, INT_MAX, PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
}
