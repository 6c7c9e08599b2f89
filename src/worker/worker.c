/*
 * worker.c
 *	  The process that does the jobs of one database.
 *
 * It sleeps without a transaction until a commit sets its latch or the naptime
 * is over, then does jobs one after the other until none is due.  Its row in
 * memai._worker says which job it has; a worker that starts frees the jobs of
 * those that died.  An error outside of a job (the extension dropped under it,
 * a full disk) is logged and answered with a longer sleep.  A new installation
 * of the extension has new types, which kept plans do not know: the worker
 * ends and the launcher starts another.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "job/job.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "stats/stats.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "worker/worker_int.h"

#define ERROR_SLEEP_MAX_MS (60 * 1000)

/* the extension that this process has registered with; InvalidOid: none yet */
static Oid	known_extension = InvalidOid;
static int64 reported_done = 0;
static int64 reported_failed = 0;

/* how often an idle worker looks whether somebody needs the database for himself */
#define YIELD_LOOK_MS 1000
/* how often a worker removes old jobs */
#define CLEAN_EVERY_MS (10 * 60 * 1000)

/* an expired lease lets the next claim have the job, or fail it after its last attempt */
static MemaiStatement bury_dead = {
	"WITH dead AS (DELETE FROM memai._worker w WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a "
	"WHERE a.pid = w.pid AND a.backend_start = w.started_at) RETURNING w.*), "
	"held AS (SELECT d.scope, d.job_id, d.lease FROM dead d UNION ALL "
	"SELECT m.scope, m.job_id, m.lease FROM dead d, unnest(d.more_scopes, d.more_ids, d.more_leases) AS m (scope, job_id, lease)) "
	"UPDATE memai.job j SET run_after = now() + CASE WHEN j.attempts < j.max_attempts "
	"THEN least(300, power(2, least(j.attempts, 10) - 1)) ELSE 0 END * interval '1 second' "
	"FROM held h WHERE j.scope = h.scope AND j.id = h.job_id AND j.lease = h.lease", 0, {0}, NULL
};
static MemaiStatement enter_worker = {
	"INSERT INTO memai._worker (pid, started_at) VALUES ($1, $2)", 2, {INT4OID, TIMESTAMPTZOID}, NULL
};
static MemaiStatement job_claimed = {
	"UPDATE memai._worker SET scope = $2, job_id = $3, lease = $4, model = $5, "
	"more_scopes = NULL, more_ids = NULL, more_leases = NULL WHERE pid = $1",
	5, {INT4OID, INT8OID, UUIDOID, UUIDOID, TEXTOID}, NULL
};
static MemaiStatement jobs_joined = {
	"UPDATE memai._worker SET more_scopes = $2, more_ids = $3, more_leases = $4 WHERE pid = $1",
	4, {INT4OID, INT8ARRAYOID, UUIDARRAYOID, UUIDARRAYOID}, NULL
};
static MemaiStatement job_finished = {
	"UPDATE memai._worker SET scope = NULL, job_id = NULL, lease = NULL, model = NULL, done = done + $2, failed = failed + $3, "
	"last_finished_at = now() WHERE pid = $1", 3, {INT4OID, INT8OID, INT8OID}, NULL
};

static void
note_claim(const MemaiJob *job)
{
	Datum		values[5];

	values[0] = Int32GetDatum(MyProcPid);
	values[1] = Int64GetDatum(job->scope.scope);
	values[2] = UUIDPGetDatum(&job->id);
	values[3] = UUIDPGetDatum(&job->lease);
	values[4] = CStringGetTextDatum(job->model);
	memai_statement_run(&job_claimed, values, NULL, false, 0);
}

static void
note_companions(int n, MemaiJob **jobs)
{
	Datum	   *scopes = palloc(sizeof(Datum) * n);
	Datum	   *ids = palloc(sizeof(Datum) * n);
	Datum	   *leases = palloc(sizeof(Datum) * n);
	Datum		values[4];

	for (int i = 0; i < n; i++)
	{
		scopes[i] = Int64GetDatum(jobs[i]->scope.scope);
		ids[i] = UUIDPGetDatum(&jobs[i]->id);
		leases[i] = UUIDPGetDatum(&jobs[i]->lease);
	}
	values[0] = Int32GetDatum(MyProcPid);
	values[1] = PointerGetDatum(construct_array(scopes, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[3] = PointerGetDatum(construct_array(leases, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	memai_statement_run(&jobs_joined, values, NULL, false, 0);
}

static void
note_finish(const MemaiJobRunner *runner)
{
	Datum		values[3];

	values[0] = Int32GetDatum(MyProcPid);
	values[1] = Int64GetDatum(runner->done - reported_done);
	values[2] = Int64GetDatum(runner->failed - reported_failed);
	memai_statement_run(&job_finished, values, NULL, false, 0);
	reported_done = runner->done;
	reported_failed = runner->failed;
}

/* registers this process when it meets the extension, and stores usage; false while there is none */
static bool
meet_extension(void)
{
	Oid			extension;
	Datum		values[2];

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	extension = get_extension_oid("memai", true);
	if (OidIsValid(known_extension) && extension != known_extension)
		proc_exit(1);
	if (OidIsValid(extension) && !OidIsValid(known_extension))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		SPI_connect();
		values[0] = Int32GetDatum(MyProcPid);
		values[1] = TimestampTzGetDatum(MyStartTimestamp);
		memai_statement_run(&bury_dead, NULL, NULL, false, 0);
		memai_statement_run(&enter_worker, values, NULL, false, 0);
		SPI_finish();
		PopActiveSnapshot();
		known_extension = extension;
	}
	if (OidIsValid(extension) && memai_usage_fuller_than(0))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		(void) memai_usage_flush();
		PopActiveSnapshot();
	}
	CommitTransactionCommand();
	pgstat_report_stat(false);
	return OidIsValid(extension);
}

/*
 * Ends this process when somebody holds a lock that DROP DATABASE, CREATE
 * DATABASE with this one as its template, or moving it take first, before they
 * wait up to 5 s for its sessions to go.  The launcher's next worker waits for
 * that lock.
 */
static void
yield_database(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		proc_exit(1);
	(void) LockRelease(&tag, RowExclusiveLock, true);
}

static void
clean_sometimes(void)
{
	static TimestampTz cleaned_at = 0;

	if (!TimestampDifferenceExceeds(cleaned_at, GetCurrentTimestamp(), CLEAN_EVERY_MS))
		return;
	cleaned_at = GetCurrentTimestamp();
	memai_job_clean();
}

/* does all jobs that are due; milliseconds to sleep then, -1 after an error outside of them */
static long
work(MemaiJobRunner *runner)
{
	volatile long naptime = memai_worker_naptime();

	PG_TRY();
	{
		pgstat_report_activity(STATE_RUNNING, "memai: doing jobs");
		if (meet_extension())
		{
			while (memai_job_run_next(runner))
			{
				CHECK_FOR_INTERRUPTS();
				yield_database();
				if (ConfigReloadPending)
					break;
			}
			clean_sometimes();
			naptime = memai_job_next_due(naptime);
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(runner->context);
		HOLD_INTERRUPTS();
		EmitErrorReport();
		FlushErrorState();
		while (GetCurrentTransactionNestLevel() > 1)
			RollbackAndReleaseCurrentSubTransaction();
		AbortCurrentTransaction();
		RESUME_INTERRUPTS();
		naptime = -1;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(runner->context);
	MemoryContextReset(runner->context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return naptime;
}

/* sleeps up to milliseconds without a transaction; a commit ends it */
static void
sleep_until_woken(long milliseconds)
{
	int			events = 0;

	while (milliseconds > 0 && !(events & WL_LATCH_SET))
	{
		long		slice = Min(milliseconds, YIELD_LOOK_MS);

		events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, slice, PG_WAIT_EXTENSION);
		milliseconds -= slice;
		yield_database();
	}
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
memai_worker_main(Datum argument)
{
	MemaiJobRunner runner = {0};
	long		error_sleep = 0;
	long		naptime;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(argument), InvalidOid, 0);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SET, true, 0, false);
	pgstat_report_appname(MEMAI_WORKER_TYPE);

	runner.background = true;
	runner.all_tenants = true;
	runner.context = AllocSetContextCreate(TopMemoryContext, "memai worker", ALLOCSET_DEFAULT_SIZES);
	runner.claimed = note_claim;
	runner.joined = note_companions;
	runner.finished = note_finish;
	MemoryContextSwitchTo(runner.context);
	for (;;)
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		naptime = work(&runner);
		if (naptime >= 0)
			error_sleep = 0;
		else
			error_sleep = Min(Max(error_sleep * 2, memai_worker_naptime()), ERROR_SLEEP_MAX_MS);
		if (ConfigReloadPending)
			continue;
		sleep_until_woken(Max(error_sleep, naptime));
	}
}
