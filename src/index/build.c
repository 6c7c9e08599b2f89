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
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/progress.h"
#include "common/pg_prng.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/sampling.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "index/build_int.h"

/* rows that the centre is the mean of, and from how many it is worth having */
#define CENTRE_SAMPLE 4096
#define CENTRE_LEAST 128
#define CENTRE_BLOCKS 512

/* ---- the centre ---- */

static bool
build_rotate(MemaiBuild *build, Datum value)
{
	int			dim;

	value = build->index->support->detoast(value);
	dim = build->index->support->dim(value);
	if (build->index->meta.dim == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(build->index->context);

		if (dim > MEMAI_INDEX_MAX_DIM)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("column cannot have more than %d dimensions for a memai index", MEMAI_INDEX_MAX_DIM)));
		build->index = memai_index_set_dim(build->index, dim);
		MemoryContextSwitchTo(old);
	}
	if (build->rotated == NULL)
	{
		int			padded = build->index->leaf.padded;

		build->entry_size = offsetof(MemaiEntry, code.u) + padded;
		build->rotated = MemoryContextAlloc(build->index->context, sizeof(float) * padded);
		build->payload = MemoryContextAllocZero(build->index->context, VARHDRSZ + 4 + build->entry_size + 8);
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
			build->centre_sum = MemoryContextAllocZero(build->index->context,
													   sizeof(double) * build->index->leaf.padded);
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
	BlockSampler_Init(&sampler, blocks, CENTRE_BLOCKS, 20240607);
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
		build->entry = (MemaiEntry *) ((char *) build->payload + MEMAI_PAYLOAD_OFFSET);
		SET_VARSIZE(build->payload, MEMAI_PAYLOAD_OFFSET + build->entry_size);
		build->entry->hash = hash;
		build->entry->tid = *tid;
		memai_entry_encode(build->index, build->rotated, build->centre, build->entry);
		if (build->sort)
			memai_build_put(build, build->sort, (int64) (hash ^ (UINT64CONST(1) << 63)), build->payload);
		else
		{
			MemoryContextSwitchTo(old);
			memai_build_store(build, build->store, build->payload);
			memai_build_sample(&build->sample, build->entry, build->entry_size);
		}
		build->rows++;
		if ((int64) build->rows % 256 == 0)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) build->rows);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);
}

/* ---- ambuild ---- */

static void
init_build(MemaiBuild *build, Relation heap, Relation relation, IndexInfo *info)
{
	memset(build, 0, sizeof(*build));
	build->heap = heap;
	build->relation = relation;
	build->info = info;
	memai_write_empty(relation, MAIN_FORKNUM, 0);
	build->index = memai_index_open(relation);
	build->row_context = AllocSetContextCreate(CurrentMemoryContext, "memai index build row", ALLOCSET_DEFAULT_SIZES);
	build->desc = CreateTemplateTupleDesc(2);
	TupleDescInitEntry(build->desc, 1, "key", INT8OID, -1, 0);
	TupleDescInitEntry(build->desc, 2, "entry", BYTEAOID, -1, 0);
	build->in = MakeSingleTupleTableSlot(build->desc, &TTSOpsVirtual);
	build->out = MakeSingleTupleTableSlot(build->desc, &TTSOpsMinimalTuple);
	if (build->index->meta.keys > 0)
		build->sort = memai_build_begin_sort(build);
	else
		build->store = tuplestore_begin_heap(false, false, maintenance_work_mem / 4);
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
	init_build(&build, heap, relation, info);
	learn_centre(&build);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 1);
	result->heap_tuples = table_index_build_scan(heap, relation, info, true, true, build_row, &build, NULL);
	if (build.sort)
		memai_build_with_keys(&build);
	else
		memai_build_without_keys(&build);
	if (build.sort)
		tuplesort_end(build.sort);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 7);
	measured = memai_probes_measure(build.index, build.queries_hash, build.queries_lists,
									build.queries, build.nsums, false, &probes) &&
		memai_probes_measure(build.index, build.queries_hash, build.queries_lists,
							 build.queries + build.nsums, build.nqueries - build.nsums, true, &probes);
	memai_meta_update(relation, build.rows, measured ? &probes : NULL);
	if (RelationNeedsWAL(relation))
		log_newpage_range(relation, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(relation), true);
	ExecDropSingleTupleTableSlot(build.in);
	ExecDropSingleTupleTableSlot(build.out);
	result->index_tuples = build.rows;
	return result;
}

void
memai_index_build_empty(Relation relation)
{
	memai_write_empty(relation, INIT_FORKNUM, 0);
}
