/*
 * build.c
 *	  ambuild: a sample for the centre, one pass over the table, lists written
 *	  one after the other.
 *
 * Rows are encoded as they are read, and only the codes are sorted: by hash
 * of the key columns, then, for a tenant with more rows than one list takes,
 * by the nearest centroid.  Sorts spill to disk, the centroids' sample is
 * bounded by maintenance_work_mem, and lists are written one at a time, so
 * memory does not grow with the number of rows.  Pages are logged at the end.
 *
 * Parallel workers read, encode, find centroids and assign rows to them, see
 * build_parallel.c.  Only the leader writes to the index.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/pg_type.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#include "index/build_int.h"

/* rows that the centre is the mean of, and from how many it is worth having */
#define CENTRE_SAMPLE 4096
#define CENTRE_LEAST 128
#define CENTRE_BLOCKS 512
#define SEED 20240607

/* ---- the centre ---- */

/* once the dimension is known */
static void
make_entry(MemaiBuild *build)
{
	int			padded = build->index->leaf.padded;

	build->entry_size = offsetof(MemaiEntry, code.u) + padded;
	build->rotated = MemoryContextAlloc(build->context, sizeof(float) * padded);
	build->payload = MemoryContextAllocZero(build->context, MEMAI_PAYLOAD_OFFSET + build->entry_size + 8);
	SET_VARSIZE(build->payload, MEMAI_PAYLOAD_OFFSET + build->entry_size);
	build->entry = (MemaiEntry *) ((char *) build->payload + MEMAI_PAYLOAD_OFFSET);
}

static bool
build_rotate(MemaiBuild *build, Datum value)
{
	int			dim;

	value = build->index->support->detoast(value);
	dim = build->index->support->dim(value);
	if (build->index->meta.dim == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(build->context);

		if (dim > MEMAI_INDEX_MAX_DIM)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("column cannot have more than %d dimensions for a memai index", MEMAI_INDEX_MAX_DIM)));
		build->index = memai_index_set_dim(build->index, dim);
		MemoryContextSwitchTo(old);
		make_entry(build);
	}
	return memai_vector_rotate(build->index, value, build->rotated);
}

static void
sample_row(Relation relation, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	MemaiBuild *build = arg;
	int			column = build->index->meta.keys;
	MemoryContext old;

	if (isnull[column] || build->centre_n >= CENTRE_SAMPLE)
		return;
	old = MemoryContextSwitchTo(build->row_context);
	if (build_rotate(build, values[column]))
	{
		if (build->centre_sum == NULL)
			build->centre_sum = MemoryContextAllocZero(build->context, sizeof(double) * build->index->leaf.padded);
		for (int i = 0; i < build->index->leaf.padded; i++)
			build->centre_sum[i] += build->rotated[i];
		build->centre_n++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);
}

static void
learn_centre(MemaiBuild *build)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(build->heap);
	BlockSamplerData sampler;
	float	   *centre;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 2);
	BlockSampler_Init(&sampler, blocks, CENTRE_BLOCKS, SEED);
	while (BlockSampler_HasMore(&sampler) && build->centre_n < CENTRE_SAMPLE)
		table_index_build_range_scan(build->heap, build->relation, build->info, false, true, false,
									 BlockSampler_Next(&sampler), 1, sample_row, build, NULL);
	if (build->centre_n < CENTRE_LEAST)
		return;
	centre = palloc(sizeof(float) * build->index->leaf.padded);
	for (int i = 0; i < build->index->leaf.padded; i++)
		centre[i] = (float) (build->centre_sum[i] / build->centre_n);
	memai_centre_store(build->index, centre, build->centre_n);
	build->centre = 1;
	pfree(centre);
}

/* ---- the pass over the table ---- */

static void
build_row(Relation relation, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	MemaiBuild *build = arg;
	int			column = build->index->meta.keys;
	MemoryContext old;
	uint64		hash;

	if (isnull[column])
		return;
	old = MemoryContextSwitchTo(build->row_context);
	if (memai_key_hash(build->relation, values, isnull, &hash) && build_rotate(build, values[column]))
	{
		uint64		rows = pg_atomic_add_fetch_u64(&build->shared->rows, 1);

		build->entry->hash = hash;
		build->entry->tid = *tid;
		memai_entry_encode(build->index, build->rotated, build->centre, build->entry);
		if (build->sort)
			memai_build_put(build, build->sort, (int64) (hash ^ (UINT64CONST(1) << 63)), build->payload);
		else
		{
			memai_build_store(build, build->store, build->payload);
			memai_build_sample(build, build->entry);
		}
		if (rows % 256 == 0)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) rows);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);
}

void
memai_build_scan(MemaiBuild *build)
{
	MemaiBuildShared *shared = build->shared;
	bool		leader = !IsParallelWorker();
	TableScanDesc scan = NULL;
	double		tuples;

	if (build->index->meta.keys > 0)
		memai_build_begin_sort(build);
	else
		build->store = tuplestore_begin_heap(false, false, memai_build_memory(build) / 4);
	if (build->shared_scan)
		scan = table_beginscan_parallel(build->heap, build->shared_scan);
	tuples = table_index_build_scan(build->heap, build->relation, build->info, true, leader, build_row, build, scan);
	if (build->sort)
	{
		if (leader)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 3);
		memai_build_end_sort(build);
	}
	SpinLockAcquire(&shared->mutex);
	shared->heap_tuples += tuples;
	shared->broken_hot_chain |= build->info->ii_BrokenHotChain;
	SpinLockRelease(&shared->mutex);
}

/* ---- ambuild ---- */

void
memai_build_init(MemaiBuild *build, Relation heap, Relation relation, IndexInfo *info)
{
	memset(build, 0, sizeof(*build));
	build->heap = heap;
	build->relation = relation;
	build->info = info;
	build->context = CurrentMemoryContext;
	build->row_context = AllocSetContextCreate(CurrentMemoryContext, "memai index build row", ALLOCSET_DEFAULT_SIZES);
	build->index = memai_index_open(relation);
	build->centre = build->index->centre != NULL;
	if (build->index->meta.dim > 0)
		make_entry(build);
	build->desc = CreateTemplateTupleDesc(2);
	TupleDescInitEntry(build->desc, 1, "key", INT8OID, -1, 0);
	TupleDescInitEntry(build->desc, 2, "entry", BYTEAOID, -1, 0);
	build->in = MakeSingleTupleTableSlot(build->desc, &TTSOpsVirtual);
	build->out = MakeSingleTupleTableSlot(build->desc, &TTSOpsMinimalTuple);
	pg_prng_seed(&build->random, SEED + ParallelWorkerNumber);
}

IndexBuildResult *
memai_index_build(Relation heap, Relation relation, IndexInfo *info)
{
	MemaiBuild	build;
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	MemaiProbeTable probes = {0};
	bool		measured;

	if (RelationGetNumberOfBlocks(relation) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(relation));
	memai_write_empty(relation, MAIN_FORKNUM, 0);
	memai_build_init(&build, heap, relation, info);
	learn_centre(&build);
	memai_build_alone(&build);
	memai_build_launch(&build);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 1);
	memai_build_run(&build, MEMAI_BUILD_SCAN);
	if (build.index->meta.keys > 0)
		memai_build_with_keys(&build);
	else
		memai_build_without_keys(&build);
	if (build.sort)
		tuplesort_end(build.sort);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 7);
	measured = memai_build_measure(&build, &probes);
	result->heap_tuples = build.shared->heap_tuples;
	result->index_tuples = (double) pg_atomic_read_u64(&build.shared->rows);
	info->ii_BrokenHotChain = build.shared->broken_hot_chain;
	memai_build_finish(&build);
	memai_meta_update(relation, result->index_tuples, measured ? &probes : NULL);
	if (RelationNeedsWAL(relation))
		log_newpage_range(relation, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(relation), true);
	ExecDropSingleTupleTableSlot(build.in);
	ExecDropSingleTupleTableSlot(build.out);
	return result;
}

void
memai_index_build_empty(Relation relation)
{
	memai_write_empty(relation, INIT_FORKNUM, 0);
}
