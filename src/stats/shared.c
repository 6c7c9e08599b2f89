/*
 * shared.c
 *	  The module's shared memory: asked for when memai is preloaded.
 *
 * Records lie in memory of their own that outlives a crash (buffer.c).  The
 * counters and the state of limits do not: limits start again from the ledger.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "stats/stats_int.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/guc.h"

static int	buffer_size = 1024; /* kB */
static MemaiStatsShared *shared = NULL;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

bool
memai_stats_preloaded(void)
{
	return shared != NULL;
}

MemaiStatsShared *
memai_stats_shared(void)
{
	return shared;
}

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(sizeof(MemaiStatsShared));
	RequestAddinShmemSpace(memai_counter_size());
	RequestAddinShmemSpace(memai_limit_size());
	RequestNamedLWLockTranche("memai stats", 1);
}

/* at the end of the postmaster */
static void
save(int code, Datum argument)
{
	if (code == 0)
		memai_buffer_save();
}

static void
startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("memai stats", sizeof(MemaiStatsShared), &found);
	if (!found)
	{
		shared->lock = &GetNamedLWLockTranche("memai stats")->lock;
		shared->uncounted = 0;
		shared->buffer = memai_buffer_attach((Size) buffer_size * 1024);
	}
	memai_counter_attach();
	memai_limit_attach();
	LWLockRelease(AddinShmemInitLock);
	if (!IsUnderPostmaster)
		on_shmem_exit(save, (Datum) 0);
}

GucContext
memai_stats_context(void)
{
	return process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP;
}

void
memai_stats_init(void)
{
	DefineCustomIntVariable("memai.stats_buffer_size",
							"Sets the shared memory for usage records that are not in the table yet.",
							"Used when memai is preloaded.",
							&buffer_size, 1024, 64, 1024 * 1024, memai_stats_context(), GUC_UNIT_KB,
							NULL, NULL, NULL);
	memai_limit_init();
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}
