/*
 * control.c
 *	  memai.start_worker and memai.stop_worker.
 *
 * Both find processes by their type, which the server shows for background
 * workers; nothing is kept in tables or shared memory that a crash could leave
 * wrong.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "core/core.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/backend_status.h"
#include "worker/worker_int.h"

#define WORKERS_MAX 16
#define STOP_TIMEOUT_MS 10000

PG_FUNCTION_INFO_V1(memai_start_worker);
PG_FUNCTION_INFO_V1(memai_stop_worker);

/* is it a worker of this database, or a process of that type? */
static bool
is_match(const PgBackendStatus *status, const char *launcher_type)
{
	const char *type;

	if (status->st_procpid <= 0 || status->st_backendType != B_BG_WORKER)
		return false;
	type = GetBackgroundWorkerTypeByPid(status->st_procpid);
	if (type == NULL)
		return false;
	if (launcher_type != NULL)
		return strcmp(type, launcher_type) == 0;
	return status->st_databaseid == MyDatabaseId && strcmp(type, MEMAI_WORKER_TYPE) == 0;
}

/* process id of the launcher of that type, or with NULL of a worker here; 0: none */
static int
find_process(const char *launcher_type)
{
	int			n;

	pgstat_clear_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		const PgBackendStatus *status = &memai_local_backend(i)->backendStatus;

		if (is_match(status, launcher_type))
			return status->st_procpid;
	}
	return 0;
}

static char *
launcher_type_here(void)
{
	return psprintf("%s %u", MEMAI_LAUNCHER_TYPE, MyDatabaseId);
}

static void
check_server(void)
{
	if (!IsUnderPostmaster || IsBinaryUpgrade)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server runs no background workers")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot start a worker during recovery"),
				 errhint("Start it after the promotion; a preloaded worker starts by itself then.")));
}

/* start_worker(workers integer) returns integer: process id of the launcher */
Datum
memai_start_worker(PG_FUNCTION_ARGS)
{
	int			nworkers = PG_GETARG_INT32(0);
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	pid_t		pid = find_process(launcher_type_here());

	check_server();
	if (nworkers < 1 || nworkers > WORKERS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of workers is out of range"),
				 errdetail("It is %d, the range is 1 to %d.", nworkers, WORKERS_MAX)));
	if (pid != 0)
	{
		ereport(NOTICE,
				(errmsg("a worker is running already"),
				 errhint("To change their number, call memai.stop_worker first.")));
		PG_RETURN_INT32(pid);
	}
	memai_launcher_describe(&worker, MyDatabaseId, nworkers);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("no slot for a background worker is free"),
				 errhint("Raise max_worker_processes, or use CALL memai.run_jobs().")));
	if (WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_STARTED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("the worker did not start"),
				 errhint("The server's log says why.")));
	PG_RETURN_INT32(pid);
}

/* stop_worker() returns boolean: false when none was running */
Datum
memai_stop_worker(PG_FUNCTION_ARGS)
{
	char	   *type = launcher_type_here();
	int			launcher = find_process(type);

	if (launcher == 0)
	{
		if (find_process(NULL) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the workers of this database were started by shared_preload_libraries"),
					 errhint("Take the database out of memai.worker_databases, or set memai.workers to 0, and reload.")));
		PG_RETURN_BOOL(false);
	}
	if (kill(launcher, SIGTERM) != 0)
		ereport(WARNING,
				(errmsg("could not signal process %d: %m", launcher)));
	for (int waited = 0; find_process(type) != 0 || find_process(NULL) != 0; waited += 10)
	{
		if (waited >= STOP_TIMEOUT_MS)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("the worker was told to stop and has not ended yet")));
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	PG_RETURN_BOOL(true);
}
