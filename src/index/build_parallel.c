/*
 * build_parallel.c
 *	  Parallel workers of ambuild, and what the participants share.
 *
 * The leader goes through the build step by step.  What can be divided is a
 * task: the leader posts it, everybody does a share, the leader waits until
 * all have.  Between two tasks only the leader works, so what it writes to the
 * shared state then needs no lock.  A build without workers goes the same way,
 * with a shared state of its own.  Workers read the table and the index; they
 * never write to the index.
 *
 * All workers that were launched must take part, for each hands over a part of
 * the sort; the leader waits for them to attach and finds out if one dies, as
 * errors of workers come up in whatever it waits for.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/parallel.h"
#include "access/table.h"
#include "catalog/index.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "index/build_int.h"

/* of the parallel context's table of contents */
#define KEY_SHARED UINT64CONST(1)
#define KEY_SORT UINT64CONST(2)
#define KEY_SCAN UINT64CONST(3)
#define KEY_AREA UINT64CONST(4)
#define KEY_QUERY UINT64CONST(5)
#define KEY_WAL_USAGE UINT64CONST(6)
#define KEY_BUFFER_USAGE UINT64CONST(7)

extern PGDLLEXPORT void memai_index_build_worker(dsm_segment *seg, shm_toc *toc);

/* ---- tasks ---- */

static void
do_task(MemaiBuild *build, MemaiBuildTask task)
{
	/* the leader may have moved the sample */
	memset(build->chunks, 0, sizeof(build->chunks));
	switch (task)
	{
		case MEMAI_BUILD_SCAN:
			memai_build_scan(build);
			break;
		case MEMAI_BUILD_PARTS:
			memai_build_parts(build);
			break;
		case MEMAI_BUILD_CENTROIDS:
			memai_build_find(build);
			break;
		case MEMAI_BUILD_NEAREST:
			memai_build_nearest(build);
			break;
		case MEMAI_BUILD_ASSIGN:
			memai_build_assign(build);
			break;
		case MEMAI_BUILD_MEASURE:
			memai_build_measure_some(build);
			break;
		case MEMAI_BUILD_END:
			break;
	}
}

/* worker: waits for task number so-and-so */
static MemaiBuildTask
await_task(MemaiBuildShared *shared, int number)
{
	MemaiBuildTask task;

	for (;;)
	{
		bool		posted;

		SpinLockAcquire(&shared->mutex);
		posted = shared->number == number;
		task = shared->task;
		SpinLockRelease(&shared->mutex);
		if (posted)
			break;
		ConditionVariableSleep(&shared->posted, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	return task;
}

static void
report_done(MemaiBuildShared *shared)
{
	SpinLockAcquire(&shared->mutex);
	shared->working--;
	SpinLockRelease(&shared->mutex);
	ConditionVariableSignal(&shared->done);
}

static void
await_workers(MemaiBuildShared *shared)
{
	for (;;)
	{
		int			working;

		SpinLockAcquire(&shared->mutex);
		working = shared->working;
		SpinLockRelease(&shared->mutex);
		if (working == 0)
			break;
		ConditionVariableSleep(&shared->done, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
}

void
memai_build_run(MemaiBuild *build, MemaiBuildTask task)
{
	MemaiBuildShared *shared = build->shared;

	pg_atomic_write_u32(&shared->next, 0);
	SpinLockAcquire(&shared->mutex);
	shared->task = task;
	shared->number++;
	shared->working = shared->participants - 1;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->posted);
	do_task(build, task);
	await_workers(shared);
}

/* ---- memory ---- */

int
memai_build_memory(const MemaiBuild *build)
{
	return maintenance_work_mem / build->shared->participants;
}

dsa_pointer
memai_build_alloc(MemaiBuild *build, Size size)
{
	/* alone, it is the address itself */
	StaticAssertStmt(sizeof(dsa_pointer) >= sizeof(void *), "a dsa_pointer cannot hold an address");
	if (build->area == NULL)
		return (dsa_pointer) (uintptr_t) MemoryContextAllocHuge(build->context, size);
	return dsa_allocate_extended(build->area, size, DSA_ALLOC_HUGE);
}

void *
memai_build_address(MemaiBuild *build, dsa_pointer where)
{
	return build->area ? dsa_get_address(build->area, where) : (void *) (uintptr_t) where;
}

void
memai_build_free(MemaiBuild *build, dsa_pointer where)
{
	if (build->area)
		dsa_free(build->area, where);
	else
		pfree((void *) (uintptr_t) where);
}

/* ---- beginning and end ---- */

static void
init_shared(MemaiBuildShared *shared, const MemaiBuild *build)
{
	memset(shared, 0, sizeof(*shared));
	shared->heap = RelationGetRelid(build->heap);
	shared->index = RelationGetRelid(build->relation);
	shared->concurrent = build->info->ii_Concurrent;
	shared->participants = 1;
	SpinLockInit(&shared->mutex);
	ConditionVariableInit(&shared->posted);
	ConditionVariableInit(&shared->done);
	pg_atomic_init_u32(&shared->next, 0);
	pg_atomic_init_u64(&shared->rows, 0);
	/* a tranche that each process knows by name */
	LWLockInitialize(&shared->lock, LWTRANCHE_PARALLEL_QUERY_DSA);
}

void
memai_build_alone(MemaiBuild *build)
{
	build->shared = palloc(sizeof(MemaiBuildShared));
	init_shared(build->shared, build);
}

static void
estimate(ParallelContext *pcxt, const MemaiBuild *build)
{
	shm_toc_estimator *e = &pcxt->estimator;

	shm_toc_estimate_chunk(e, sizeof(MemaiBuildShared));
	shm_toc_estimate_chunk(e, tuplesort_estimate_shared(pcxt->nworkers + 1));
	shm_toc_estimate_chunk(e, table_parallelscan_estimate(build->heap, build->snapshot));
	shm_toc_estimate_chunk(e, dsa_minimum_size());
	shm_toc_estimate_chunk(e, mul_size(sizeof(WalUsage), pcxt->nworkers));
	shm_toc_estimate_chunk(e, mul_size(sizeof(BufferUsage), pcxt->nworkers));
	shm_toc_estimate_keys(e, 6);
	if (debug_query_string)
	{
		shm_toc_estimate_chunk(e, strlen(debug_query_string) + 1);
		shm_toc_estimate_keys(e, 1);
	}
}

/* allocates a piece of the segment that workers find by its key */
static void *
place(ParallelContext *pcxt, uint64 key, Size size)
{
	void	   *at = shm_toc_allocate(pcxt->toc, size);

	shm_toc_insert(pcxt->toc, key, at);
	return at;
}

/* fills the segment; the leader's own state goes there too */
static void
share(ParallelContext *pcxt, MemaiBuild *build)
{
	int			participants = pcxt->nworkers + 1;

	pfree(build->shared);
	build->shared = place(pcxt, KEY_SHARED, sizeof(MemaiBuildShared));
	init_shared(build->shared, build);
	build->shared_sort = place(pcxt, KEY_SORT, tuplesort_estimate_shared(participants));
	tuplesort_initialize_shared(build->shared_sort, participants, pcxt->seg);
	build->shared_scan = place(pcxt, KEY_SCAN, table_parallelscan_estimate(build->heap, build->snapshot));
	table_parallelscan_initialize(build->heap, build->shared_scan, build->snapshot);
	build->area = dsa_create_in_place(place(pcxt, KEY_AREA, dsa_minimum_size()), dsa_minimum_size(),
									  LWTRANCHE_PARALLEL_QUERY_DSA, pcxt->seg);
	build->wal_usage = place(pcxt, KEY_WAL_USAGE, mul_size(sizeof(WalUsage), pcxt->nworkers));
	build->buffer_usage = place(pcxt, KEY_BUFFER_USAGE, mul_size(sizeof(BufferUsage), pcxt->nworkers));
	if (debug_query_string)
		strcpy(place(pcxt, KEY_QUERY, strlen(debug_query_string) + 1), debug_query_string);
}

/* leaves the leader alone, whether or not there were workers */
static void
end_parallel(MemaiBuild *build)
{
	WaitForParallelWorkersToFinish(build->workers);
	for (int i = 0; i < build->workers->nworkers_launched; i++)
		InstrAccumParallelQuery(&build->buffer_usage[i], &build->wal_usage[i]);
	if (IsMVCCSnapshot(build->snapshot))
		UnregisterSnapshot(build->snapshot);
	if (build->area)
		dsa_detach(build->area);
	DestroyParallelContext(build->workers);
	ExitParallelMode();
	build->workers = NULL;
	build->area = NULL;
	build->shared = NULL;
	build->shared_sort = NULL;
	build->shared_scan = NULL;
}

void
memai_build_launch(MemaiBuild *build)
{
	ParallelContext *pcxt;
	int			workers = 0;

	/* a worker must know the dimension from the index */
	if (build->index->meta.dim > 0 && RelationGetNumberOfBlocks(build->heap) > 0)
		workers = memai_build_workers(build->heap, build->relation, build->info);
	if (workers == 0)
		return;
	EnterParallelMode();
	pcxt = build->workers = CreateParallelContext("memai", "memai_index_build_worker", workers);
	build->snapshot = build->info->ii_Concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	estimate(pcxt, build);
	InitializeParallelDSM(pcxt);
	if (pcxt->seg)
	{
		share(pcxt, build);
		LaunchParallelWorkers(pcxt);
	}
	if (pcxt->nworkers_launched == 0)
	{
		end_parallel(build);
		memai_build_alone(build);
		return;
	}
	build->shared->participants = pcxt->nworkers_launched + 1;
	WaitForParallelWorkersToAttach(pcxt);
	ereport(DEBUG1, (errmsg_internal("building index \"%s\" with %d parallel workers",
									 RelationGetRelationName(build->relation), pcxt->nworkers_launched)));
}

void
memai_build_finish(MemaiBuild *build)
{
	if (build->workers == NULL)
		return;
	memai_build_run(build, MEMAI_BUILD_END);
	end_parallel(build);
}

/* ---- the worker ---- */

static void
take_part(MemaiBuild *build, dsm_segment *seg, shm_toc *toc)
{
	MemaiBuildTask task;
	int			number = 1;

	build->shared_sort = shm_toc_lookup(toc, KEY_SORT, false);
	tuplesort_attach_shared(build->shared_sort, seg);
	build->shared_scan = shm_toc_lookup(toc, KEY_SCAN, false);
	build->area = dsa_attach_in_place(shm_toc_lookup(toc, KEY_AREA, false), seg);
	do
	{
		task = await_task(build->shared, number++);
		do_task(build, task);
		report_done(build->shared);
	} while (task != MEMAI_BUILD_END);
	dsa_detach(build->area);
}

/* entry point of a worker, which runs for the whole build */
void
memai_index_build_worker(dsm_segment *seg, shm_toc *toc)
{
	MemaiBuildShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	BufferUsage *buffer_usage = shm_toc_lookup(toc, KEY_BUFFER_USAGE, false);
	WalUsage   *wal_usage = shm_toc_lookup(toc, KEY_WAL_USAGE, false);
	bool		concurrent = shared->concurrent;
	Relation	heap;
	Relation	relation;
	IndexInfo  *info;
	MemaiBuild	build;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	/* the locks that the leader has */
	heap = table_open(shared->heap, concurrent ? ShareUpdateExclusiveLock : ShareLock);
	relation = index_open(shared->index, concurrent ? RowExclusiveLock : AccessExclusiveLock);
	info = BuildIndexInfo(relation);
	info->ii_Concurrent = concurrent;
	memai_build_init(&build, heap, relation, info);
	build.shared = shared;
	InstrStartParallelQuery();
	take_part(&build, seg, toc);
	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber], &wal_usage[ParallelWorkerNumber]);
	index_close(relation, concurrent ? RowExclusiveLock : AccessExclusiveLock);
	table_close(heap, concurrent ? ShareUpdateExclusiveLock : ShareLock);
}
