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

#include "index/index_int.h"

/* rows that the centre is the mean of, and from how many it is worth having */
#define CENTRE_SAMPLE 4096
#define CENTRE_LEAST 128
#define CENTRE_BLOCKS 512
/* sample rows of a centroid */
#define CENTROID_SAMPLE 64

typedef struct Reservoir
{
	MemaiEntry **entries;
	int			n;
	int			size;
	int64		seen;
	pg_prng_state random;
} Reservoir;

typedef struct BuildState
{
	Relation	heap;
	Relation	relation;
	IndexInfo  *info;
	MemaiIndex *index;
	MemoryContext row_context;
	TupleDesc	desc;			/* key, entry */
	TupleTableSlot *in;
	TupleTableSlot *out;
	float	   *rotated;
	bytea	   *payload;		/* the entry being encoded */
	MemaiEntry *entry;
	Size		entry_size;
	int			centre;

	double	   *centre_sum;		/* while sampling */
	int			centre_n;
	int			centre_dim;

	Tuplesortstate *sort;		/* with keys: by hash */
	Tuplestorestate *store;		/* without: as read */
	Reservoir	sample;
	double		rows;

	/* the shared list being filled */
	MemaiEntry **bucket;
	int			nbucket;
	uint64		bucket_low;		/* where the next list's range begins */
} BuildState;

/* ---- the centre ---- */

static bool
build_rotate(BuildState *build, Datum value)
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
	BuildState *build = arg;
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
learn_centre(BuildState *build)
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

/* ---- samples of entries for centroids ---- */

static void
reservoir_init(Reservoir *r, Size entry_size)
{
	Size		limit = (Size) maintenance_work_mem * 1024 / 2 / entry_size;

	r->size = (int) Min(limit, 256 * 1024);
	r->size = Max(r->size, 256);
	r->entries = palloc_extended(sizeof(MemaiEntry *) * (Size) r->size, MCXT_ALLOC_HUGE);
	r->n = 0;
	r->seen = 0;
	pg_prng_seed(&r->random, 20240607);
}

static void
reservoir_add(Reservoir *r, const MemaiEntry *entry, Size size)
{
	int64		at;

	if (r->n < r->size)
	{
		r->entries[r->n] = palloc(MAXALIGN(size));
		memcpy(r->entries[r->n++], entry, size);
		r->seen++;
		return;
	}
	at = (int64) pg_prng_uint64_range(&r->random, 0, r->seen++);
	if (at < r->n)
		memcpy(r->entries[at], entry, size);
}

static void
reservoir_free(Reservoir *r)
{
	for (int i = 0; i < r->n; i++)
		pfree(r->entries[i]);
	pfree(r->entries);
	r->entries = NULL;
	r->n = 0;
}

/* ---- tuples of (key, entry) ---- */

/* an entry's place within its bytea is a multiple of 8 from the datum's start */
#define PAYLOAD_OFFSET (VARHDRSZ + 4)

static Tuplesortstate *
begin_sort(BuildState *build)
{
	AttrNumber	column = 1;
	Oid			less = Int8LessOperator;
	Oid			collation = InvalidOid;
	bool		nulls_first = false;

	return tuplesort_begin_heap(build->desc, 1, &column, &less, &collation, &nulls_first,
								maintenance_work_mem / 2, NULL, TUPLESORT_NONE);
}

static void
put_entry(BuildState *build, Tuplesortstate *sort, int64 key, bytea *payload)
{
	ExecClearTuple(build->in);
	build->in->tts_values[0] = Int64GetDatum(key);
	build->in->tts_values[1] = PointerGetDatum(payload);
	build->in->tts_isnull[0] = build->in->tts_isnull[1] = false;
	ExecStoreVirtualTuple(build->in);
	tuplesort_puttupleslot(sort, build->in);
}

static void
store_entry(BuildState *build, Tuplestorestate *store, bytea *payload)
{
	Datum		values[2] = {Int64GetDatum(0), PointerGetDatum(payload)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(store, build->desc, values, nulls);
}

/* a copy of the slot's entry, aligned */
static MemaiEntry *
slot_entry(BuildState *build, TupleTableSlot *slot)
{
	bool		isnull;
	bytea	   *payload = (bytea *) DatumGetPointer(slot_getattr(slot, 2, &isnull));
	MemaiEntry *entry = palloc(MAXALIGN(build->entry_size));

	/* a short one may have been packed */
	memcpy(entry, VARDATA_ANY(payload) + PAYLOAD_OFFSET - VARHDRSZ, build->entry_size);
	return entry;
}

/* ---- the pass over the table ---- */

static void
build_row(Relation relation, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	BuildState *build = arg;
	int			column = build->index->meta.keys;
	MemoryContext old;
	uint64		hash;

	if (isnull[column])
		return;
	old = MemoryContextSwitchTo(build->row_context);
	if (memai_key_hash(build->relation, values, isnull, &hash) && build_rotate(build, values[column]))
	{
		build->entry = (MemaiEntry *) ((char *) build->payload + PAYLOAD_OFFSET);
		SET_VARSIZE(build->payload, PAYLOAD_OFFSET + build->entry_size);
		build->entry->hash = hash;
		build->entry->tid = *tid;
		memai_entry_encode(build->index, build->rotated, build->centre, build->entry);
		if (build->sort)
			put_entry(build, build->sort, (int64) (hash ^ (UINT64CONST(1) << 63)), build->payload);
		else
		{
			MemoryContextSwitchTo(old);
			if (build->sample.entries == NULL)
				reservoir_init(&build->sample, build->entry_size);
			store_entry(build, build->store, build->payload);
			reservoir_add(&build->sample, build->entry, build->entry_size);
		}
		build->rows++;
		if ((int64) build->rows % 256 == 0)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) build->rows);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);
}

/* ---- writing lists ---- */

/* rows that one list may take, as memory allows */
static int
flat_limit(BuildState *build)
{
	Size		limit = (Size) maintenance_work_mem * 1024 / 2 / build->entry_size;

	return Max(build->index->leaf.capacity, (int) Min(limit, (Size) build->index->meta.flat_size));
}

static BlockNumber
write_list(BuildState *build, uint64 low, uint64 high, MemaiEntry **entries, int n)
{
	BlockNumber list = memai_list_write(build->index, &build->index->leaf, 0, build->centre,
										low, high, entries, n, false);

	for (int i = 0; i < n; i++)
		pfree(entries[i]);
	return list;
}

/* a list of a route; returns the route's entry for it */
static MemaiEntry *
write_child(BuildState *build, uint64 low, uint64 high, MemaiEntry **entries, int n)
{
	/* before the entries are written, which frees them */
	MemaiEntry *child = memai_route_entry(build->index, InvalidBlockNumber, entries, n,
										  build->centre, build->centre);
	BlockNumber list = write_list(build, low, high, entries, n);

	ItemPointerSet(&child->tid, list, 1);
	return child;
}

/*
 * Writes the lists of a tenant whose rows are sorted by cluster and returns
 * its route.  A cluster of very many rows, such as equal ones, becomes several
 * lists with the same centroid.
 */
static BlockNumber
write_clusters(BuildState *build, const MemaiClusters *clusters, Tuplesortstate *sort,
			   uint64 low, uint64 high)
{
	int			most = 4 * (int) build->index->meta.list_size;
	MemaiEntry **entries = palloc(sizeof(MemaiEntry *) * most);
	int			size = memai_cluster_count(clusters) + 16;
	MemaiEntry **children = palloc_extended(sizeof(MemaiEntry *) * (Size) size, MCXT_ALLOC_HUGE);
	int			nchildren = 0;
	int			n = 0;
	int64		cluster = -1;
	bool		more;

	do
	{
		int64		next = -1;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		more = tuplesort_gettupleslot(sort, true, false, build->out, NULL);
		if (more)
			next = DatumGetInt64(slot_getattr(build->out, 1, &isnull));
		if (n > 0 && (next != cluster || n == most))
		{
			if (nchildren == size)
			{
				size *= 2;
				children = repalloc_huge(children, sizeof(MemaiEntry *) * (Size) size);
			}
			children[nchildren++] = write_child(build, low, high, entries, n);
			n = 0;
		}
		cluster = next;
		if (more)
			entries[n++] = slot_entry(build, build->out);
	} while (more);
	pfree(entries);
	return memai_list_write(build->index, &build->index->route, 1, build->centre, low, high,
							children, nchildren, false);
}

/* the route of a tenant of n rows; ends the store */
static BlockNumber
cluster_tenant(BuildState *build, Tuplestorestate *store, double n, Reservoir *sample,
			   uint64 low, uint64 high)
{
	int			k = (int) Max(2, n / build->index->meta.list_size);
	int			used = (int) Min((double) sample->n, (double) k * CENTROID_SAMPLE);
	MemaiClusters *clusters;
	Tuplesortstate *sort = begin_sort(build);
	BlockNumber route;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 4);
	clusters = memai_cluster(build->index->leaf.padded, sample->entries, used, k);
	reservoir_free(sample);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 5);
	while (tuplestore_gettupleslot(store, true, false, build->out))
	{
		MemaiEntry *entry = slot_entry(build, build->out);
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		put_entry(build, sort, memai_cluster_nearest(clusters, entry),
				  (bytea *) DatumGetPointer(slot_getattr(build->out, 2, &isnull)));
		pfree(entry);
	}
	tuplestore_end(store);
	tuplesort_performsort(sort);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 6);
	route = write_clusters(build, clusters, sort, low, high);
	tuplesort_end(sort);
	return route;
}

static BlockNumber
build_flat(BuildState *build)
{
	int			n = 0;
	MemaiEntry **entries = palloc_extended(sizeof(MemaiEntry *) * (Size) (build->rows + 1), MCXT_ALLOC_HUGE);

	while (tuplestore_gettupleslot(build->store, true, false, build->out))
		entries[n++] = slot_entry(build, build->out);
	tuplestore_end(build->store);
	return write_list(build, 0, PG_UINT64_MAX, entries, n);
}

static void
build_without_keys(BuildState *build)
{
	BlockNumber root;

	if (build->rows == 0)
		return;
	if (build->rows <= flat_limit(build))
		root = build_flat(build);
	else
		root = cluster_tenant(build, build->store, build->rows, &build->sample, 0, PG_UINT64_MAX);
	memai_directory_set(build->relation, 0, root);
}

/* ---- tenants ---- */

/* writes the shared list, whose range ends at high */
static void
flush_bucket(BuildState *build, uint64 high)
{
	memai_directory_set(build->relation, build->bucket_low,
						write_list(build, build->bucket_low, high, build->bucket, build->nbucket));
	build->nbucket = 0;
	build->bucket_low = high + 1;
}

/* a tenant that fits in one list */
static void
write_tenant(BuildState *build, uint64 hash, MemaiEntry **entries, int n)
{
	int			capacity = build->index->leaf.capacity;

	if (build->nbucket > 0 && build->nbucket + n > capacity)
		flush_bucket(build, hash - 1);
	if (n <= capacity)
	{
		memcpy(build->bucket + build->nbucket, entries, sizeof(MemaiEntry *) * n);
		build->nbucket += n;
		return;
	}
	/* the range takes in the gap before it */
	memai_directory_set(build->relation, build->bucket_low,
						write_list(build, build->bucket_low, hash, entries, n));
	build->bucket_low = hash + 1;
}

/* a tenant of many rows: those read so far and the rest of them in the sort */
static void
write_large_tenant(BuildState *build, uint64 hash, MemaiEntry **entries, int n, bool *more)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, maintenance_work_mem / 4);
	Reservoir	sample;
	double		rows = n;
	BlockNumber route;

	reservoir_init(&sample, build->entry_size);
	for (int i = 0; i < n; i++)
	{
		memcpy((char *) build->payload + PAYLOAD_OFFSET, entries[i], build->entry_size);
		store_entry(build, store, build->payload);
		reservoir_add(&sample, entries[i], build->entry_size);
		pfree(entries[i]);
	}
	while (*more)
	{
		MemaiEntry *entry = slot_entry(build, build->out);
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (entry->hash != hash)
		{
			pfree(entry);
			break;
		}
		store_entry(build, store, (bytea *) DatumGetPointer(slot_getattr(build->out, 2, &isnull)));
		reservoir_add(&sample, entry, build->entry_size);
		pfree(entry);
		rows++;
		*more = tuplesort_gettupleslot(build->sort, true, false, build->out, NULL);
	}
	/* the range of a route is this one hash: others must not share it */
	if (build->nbucket > 0 || build->bucket_low < hash)
		flush_bucket(build, hash - 1);
	/* the slot still holds the next tenant's first row */
	{
		MinimalTuple next = *more ? ExecCopySlotMinimalTuple(build->out) : NULL;

		route = cluster_tenant(build, store, rows, &sample, hash, hash);
		if (next)
			ExecStoreMinimalTuple(next, build->out, true);
	}
	memai_directory_set(build->relation, hash, route);
	build->bucket_low = hash + 1;
}

static void
build_with_keys(BuildState *build)
{
	int			limit;
	MemaiEntry **entries;
	bool		more;
	bool		last = false;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 3);
	tuplesort_performsort(build->sort);
	if (build->rows == 0)
		return;
	limit = flat_limit(build);
	entries = palloc_extended(sizeof(MemaiEntry *) * (Size) (limit + 1), MCXT_ALLOC_HUGE);
	build->bucket = palloc(sizeof(MemaiEntry *) * build->index->leaf.capacity);
	more = tuplesort_gettupleslot(build->sort, true, false, build->out, NULL);
	while (more)
	{
		int			n = 0;
		uint64		hash = 0;

		CHECK_FOR_INTERRUPTS();
		while (more && n <= limit)
		{
			MemaiEntry *entry = slot_entry(build, build->out);

			if (n > 0 && entry->hash != hash)
			{
				pfree(entry);
				break;
			}
			hash = entry->hash;
			entries[n++] = entry;
			more = tuplesort_gettupleslot(build->sort, true, false, build->out, NULL);
		}
		if (n > limit)
			write_large_tenant(build, hash, entries, n, &more);
		else
			write_tenant(build, hash, entries, n);
		last = hash == PG_UINT64_MAX;
	}
	if (build->nbucket > 0 || !last)
		flush_bucket(build, PG_UINT64_MAX);
}

/* ---- ambuild ---- */

static void
init_build(BuildState *build, Relation heap, Relation relation, IndexInfo *info)
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
		build->sort = begin_sort(build);
	else
		build->store = tuplestore_begin_heap(false, false, maintenance_work_mem / 4);
}

IndexBuildResult *
memai_index_build(Relation heap, Relation relation, IndexInfo *info)
{
	BuildState	build;
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));

	if (RelationGetNumberOfBlocks(relation) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(relation));
	init_build(&build, heap, relation, info);
	learn_centre(&build);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 1);
	result->heap_tuples = table_index_build_scan(heap, relation, info, true, true, build_row, &build, NULL);
	if (build.sort)
		build_with_keys(&build);
	else
		build_without_keys(&build);
	if (build.sort)
		tuplesort_end(build.sort);
	memai_meta_update(relation, build.rows);
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
