/*
 * launcher.c
 *	  A process that keeps workers running, in the databases that the settings
 *	  name (preloaded) or in one (memai.start_worker).
 *
 * It looks into shared catalogs only, so it holds no database back.  Workers
 * that are lost are started again, at first after memai.worker_restart_delay,
 * then after twice that, up to five minutes, until one has lived for a minute.
 * A database that is gone is forgotten; the launcher of a single database ends
 * with it.  When the launcher is told to stop, it stops its workers.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "worker/worker_int.h"

#define SLOTS_MAX 64
#define DELAY_MAX_MS (300 * 1000)
#define HEALTHY_MS (60 * 1000)
#define LOOK_EVERY_MS (10 * 1000)

/* one worker that should be running */
typedef struct Slot
{
	Oid			database;		/* InvalidOid: the slot is free */
	int			number;			/* of the workers of a database */
	bool		wanted;
	BackgroundWorkerHandle *handle; /* NULL: not running */
	TimestampTz started_at;
	TimestampTz start_after;
	int			delay;			/* before the next start, milliseconds */
} Slot;

static Slot slots[SLOTS_MAX];

void
memai_launcher_describe(BackgroundWorker *worker, Oid database, int nworkers)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = 5;
	strlcpy(worker->bgw_library_name, "memai", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, "memai_launcher_main", sizeof(worker->bgw_function_name));
	if (OidIsValid(database))
		snprintf(worker->bgw_type, sizeof(worker->bgw_type), "%s %u", MEMAI_LAUNCHER_TYPE, database);
	else
		strlcpy(worker->bgw_type, MEMAI_LAUNCHER_TYPE, sizeof(worker->bgw_type));
	strlcpy(worker->bgw_name, worker->bgw_type, sizeof(worker->bgw_name));
	worker->bgw_main_arg = ObjectIdGetDatum(database);
	memcpy(worker->bgw_extra, &nworkers, sizeof(nworkers));
}

static Slot *
find_slot(Oid database, int number)
{
	Slot	   *free_slot = NULL;

	for (int i = 0; i < SLOTS_MAX; i++)
	{
		if (slots[i].database == database && slots[i].number == number)
			return &slots[i];
		if (free_slot == NULL && !OidIsValid(slots[i].database))
			free_slot = &slots[i];
	}
	return free_slot;
}

static void
want_workers(Oid database, int n)
{
	for (int number = 0; number < n; number++)
	{
		Slot	   *slot = find_slot(database, number);

		if (slot == NULL)
		{
			ereport(WARNING,
					(errmsg("memai starts no more than %d workers", SLOTS_MAX)));
			return;
		}
		slot->database = database;
		slot->number = number;
		slot->wanted = true;
	}
}

/*
 * Wants workers in a database of pg_database if it is the only one that
 * matters, or one of names; true when it is.
 */
static bool
consider_database(Form_pg_database row, Oid only, int nworkers, List *names)
{
	ListCell   *cell;

	if (OidIsValid(only))
	{
		if (row->oid == only)
			want_workers(only, nworkers);
		return row->oid == only;
	}
	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), NameStr(row->datname)) != 0)
			continue;
		want_workers(row->oid, memai_worker_count());
		return true;
	}
	return false;
}

/* the names of memai.worker_databases */
static List *
database_names(void)
{
	List	   *names;

	if (!SplitIdentifierString(pstrdup(memai_worker_databases()), ',', &names))
	{
		ereport(WARNING,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("memai.worker_databases is not a list of names")));
		return NIL;
	}
	return names;
}

/*
 * Which workers should be running; false when none of their databases exists.
 * A process without a database has no indexes and no catalog caches: it reads
 * pg_database from front to end.
 */
static bool
choose_workers(Oid only, int nworkers)
{
	bool		exists = false;
	List	   *names;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	for (int i = 0; i < SLOTS_MAX; i++)
		slots[i].wanted = false;
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	names = database_names();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
		exists |= consider_database((Form_pg_database) GETSTRUCT(tuple), only, nworkers, names);
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	return exists;
}

static void
start_worker(Slot *slot)
{
	BackgroundWorker worker = {0};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "memai", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "memai_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, MEMAI_WORKER_TYPE, sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "%s of database %u", MEMAI_WORKER_TYPE, slot->database);
	worker.bgw_main_arg = ObjectIdGetDatum(slot->database);
	worker.bgw_notify_pid = MyProcPid;
	slot->started_at = GetCurrentTimestamp();
	if (!RegisterDynamicBackgroundWorker(&worker, &slot->handle))
	{
		slot->handle = NULL;
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("no slot for a memai worker is free"),
				 errhint("Raise max_worker_processes, or use CALL memai.run_jobs().")));
	}
	slot->delay = slot->delay == 0 ? memai_worker_restart_delay() : Min(slot->delay * 2, DELAY_MAX_MS);
	slot->start_after = TimestampTzPlusMilliseconds(slot->started_at, slot->delay);
	MemoryContextSwitchTo(old);
}

/* brings one slot to what it should be */
static void
tend_slot(Slot *slot)
{
	TimestampTz now = GetCurrentTimestamp();
	pid_t		pid;

	if (slot->handle != NULL && GetBackgroundWorkerPid(slot->handle, &pid) == BGWH_STOPPED)
	{
		pfree(slot->handle);
		slot->handle = NULL;
		if (TimestampDifferenceExceeds(slot->started_at, now, HEALTHY_MS))
			slot->delay = memai_worker_restart_delay();
		slot->start_after = TimestampTzPlusMilliseconds(now, slot->delay);
	}
	if (slot->wanted && slot->handle == NULL && now >= slot->start_after)
		start_worker(slot);
	else if (!slot->wanted && slot->handle != NULL)
		TerminateBackgroundWorker(slot->handle);
	else if (!slot->wanted)
		memset(slot, 0, sizeof(Slot));
}

/* milliseconds until a lost worker is due */
static long
next_start(void)
{
	long		wait = LOOK_EVERY_MS;
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < SLOTS_MAX; i++)
		if (OidIsValid(slots[i].database) && slots[i].handle == NULL)
			wait = Min(wait, TimestampDifferenceMilliseconds(now, slots[i].start_after) + 1);
	return wait;
}

static void
stop_workers(int code, Datum argument)
{
	for (int i = 0; i < SLOTS_MAX; i++)
		if (slots[i].handle != NULL)
			TerminateBackgroundWorker(slots[i].handle);
}

void
memai_launcher_main(Datum argument)
{
	Oid			database = DatumGetObjectId(argument);
	int			nworkers;

	memcpy(&nworkers, MyBgworkerEntry->bgw_extra, sizeof(nworkers));
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(stop_workers, (Datum) 0);

	while (!ShutdownRequestPending)
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (!choose_workers(database, nworkers) && OidIsValid(database))
			break;
		for (int i = 0; i < SLOTS_MAX; i++)
			if (OidIsValid(slots[i].database))
				tend_slot(&slots[i]);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, next_start(),
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	proc_exit(0);
}
