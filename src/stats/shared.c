/*
 * shared.c
 *	  The module's shared memory: asked for when memai is preloaded, kept in a
 *	  file between a clean shutdown and the next start.
 *
 * What is not yet in the table when the server stops is written to
 * pg_stat/memai.usage and read again at start.  After a crash there is no such
 * file: what was not flushed is lost with the shared memory, and the limits
 * start from what the table says.
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "stats/stats_int.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/guc.h"

#define SAVE_FILE PGSTAT_STAT_PERMANENT_DIRECTORY "/memai.usage"
#define SAVE_MAGIC 0x4D555347

static int	buffer_size = 1024; /* kB */
static MemaiStatsShared *shared = NULL;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* what stands before the records in the file */
typedef struct SaveHead
{
	uint32		magic;
	uint32		record_size;
	int64		dropped;
	uint64		used;
} SaveHead;

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

static Size
shared_size(void)
{
	return add_size(offsetof(MemaiStatsShared, data), mul_size(buffer_size, 1024));
}

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(shared_size());
	RequestAddinShmemSpace(memai_counter_size());
	RequestAddinShmemSpace(memai_limit_size());
	RequestNamedLWLockTranche("memai stats", 1);
}

/* at the end of the postmaster; a crash leaves no file */
static void
save(int code, Datum argument)
{
	SaveHead	head = {SAVE_MAGIC, sizeof(MemaiRecord), 0, 0};
	FILE	   *file;

	if (code != 0 || shared == NULL || (shared->used == 0 && shared->dropped == 0))
		return;
	head.dropped = shared->dropped;
	head.used = shared->used;
	file = AllocateFile(SAVE_FILE, PG_BINARY_W);
	if (file == NULL ||
		fwrite(&head, sizeof(head), 1, file) != 1 ||
		(shared->used > 0 && fwrite(shared->data, shared->used, 1, file) != 1) ||
		FreeFile(file) != 0)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", SAVE_FILE)));
		(void) unlink(SAVE_FILE);
	}
}

static void
load(void)
{
	SaveHead	head;
	FILE	   *file = AllocateFile(SAVE_FILE, PG_BINARY_R);

	if (file == NULL)
		return;
	if (fread(&head, sizeof(head), 1, file) == 1 && head.magic == SAVE_MAGIC &&
		head.record_size == sizeof(MemaiRecord) && head.used <= shared->size &&
		(head.used == 0 || fread(shared->data, head.used, 1, file) == 1))
	{
		shared->used = head.used;
		shared->dropped = head.dropped;
	}
	else
		ereport(LOG,
				(errmsg("ignoring file \"%s\": it does not fit this server", SAVE_FILE)));
	FreeFile(file);
	(void) unlink(SAVE_FILE);
}

static void
startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("memai stats", shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, offsetof(MemaiStatsShared, data));
		shared->lock = &GetNamedLWLockTranche("memai stats")->lock;
		shared->size = shared_size() - offsetof(MemaiStatsShared, data);
	}
	memai_counter_attach();
	memai_limit_attach();
	LWLockRelease(AddinShmemInitLock);
	if (!IsUnderPostmaster)
		on_shmem_exit(save, (Datum) 0);
	if (!found)
		load();
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
