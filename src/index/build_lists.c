/*
 * build_lists.c
 *	  The second half of ambuild: encoded rows are divided into lists, and
 *	  these are written one after the other.
 *
 * Only codes are handled here.  Sorts and stores spill to disk.  All that
 * writes to the index is done by the leader.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "index/build_int.h"

/* ---- tuples of (key, entry) ---- */

static Tuplesortstate *
begin_sort(MemaiBuild *build, int memory, SortCoordinate coordinate)
{
	AttrNumber	column = 1;
	Oid			less = Int8LessOperator;
	Oid			collation = InvalidOid;
	bool		nulls_first = false;

	return tuplesort_begin_heap(build->desc, 1, &column, &less, &collation, &nulls_first,
								memory, coordinate, TUPLESORT_NONE);
}

/* what a sort that all participants add to wants to be told; NULL if there is but one */
static SortCoordinate
coordinate_sort(MemaiBuild *build, bool merge)
{
	SortCoordinate coordinate;

	if (build->shared_sort == NULL)
		return NULL;
	coordinate = palloc0(sizeof(SortCoordinateData));
	coordinate->isWorker = !merge;
	coordinate->nParticipants = merge ? build->shared->participants : -1;
	coordinate->sharedsort = build->shared_sort;
	return coordinate;
}

void
memai_build_begin_sort(MemaiBuild *build)
{
	build->sort = begin_sort(build, memai_build_memory(build) / 2, coordinate_sort(build, false));
}

void
memai_build_end_sort(MemaiBuild *build)
{
	tuplesort_performsort(build->sort);
	if (build->shared_sort == NULL)
		return;
	tuplesort_end(build->sort);
	build->sort = NULL;
}

/* leader: what all participants have sorted */
static void
merge_sort(MemaiBuild *build)
{
	if (build->shared_sort == NULL)
		return;
	build->sort = begin_sort(build, maintenance_work_mem / 2, coordinate_sort(build, true));
	tuplesort_performsort(build->sort);
}

void
memai_build_put(MemaiBuild *build, Tuplesortstate *sort, int64 key, bytea *payload)
{
	ExecClearTuple(build->in);
	build->in->tts_values[0] = Int64GetDatum(key);
	build->in->tts_values[1] = PointerGetDatum(payload);
	build->in->tts_isnull[0] = build->in->tts_isnull[1] = false;
	ExecStoreVirtualTuple(build->in);
	tuplesort_puttupleslot(sort, build->in);
}

void
memai_build_store(MemaiBuild *build, Tuplestorestate *store, bytea *payload)
{
	Datum		values[2] = {Int64GetDatum(0), PointerGetDatum(payload)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(store, build->desc, values, nulls);
}

/* copies the slot's entry to where it is aligned */
static void
copy_entry(MemaiBuild *build, TupleTableSlot *slot, MemaiEntry *entry)
{
	bool		isnull;
	bytea	   *payload = (bytea *) DatumGetPointer(slot_getattr(slot, 2, &isnull));

	/* a short one may have been packed */
	memcpy(entry, VARDATA_ANY(payload) + MEMAI_PAYLOAD_OFFSET - VARHDRSZ, build->entry_size);
}

static MemaiEntry *
slot_entry(MemaiBuild *build, TupleTableSlot *slot)
{
	MemaiEntry *entry = palloc(MAXALIGN(build->entry_size));

	copy_entry(build, slot, entry);
	return entry;
}

/* ---- writing lists ---- */

/* rows that one list may take, as memory allows */
static int
flat_limit(MemaiBuild *build)
{
	Size		limit = (Size) maintenance_work_mem * 1024 / 2 / build->entry_size;

	return Max(build->index->leaf.capacity, (int) Min(limit, (Size) build->index->meta.flat_size));
}

static BlockNumber
write_list(MemaiBuild *build, uint64 low, uint64 high, MemaiEntry **entries, int n)
{
	BlockNumber list = memai_list_write(build->index, &build->index->leaf, 0, build->centre,
										low, high, entries, n, false);

	for (int i = 0; i < n; i++)
		pfree(entries[i]);
	return list;
}

/* a list of a route; returns the route's entry for it */
static MemaiEntry *
write_child(MemaiBuild *build, uint64 low, uint64 high, MemaiEntry **entries, int n)
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
write_clusters(MemaiBuild *build, const MemaiClusters *clusters, Tuplesortstate *sort,
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

/* ---- a table without keys ---- */

void
memai_build_assign(MemaiBuild *build)
{
	MemaiClusters *clusters = memai_build_clusters(build);

	memai_build_begin_sort(build);
	while (tuplestore_gettupleslot(build->store, true, false, build->out))
	{
		CHECK_FOR_INTERRUPTS();
		copy_entry(build, build->out, build->entry);
		memai_build_put(build, build->sort, clusters ? memai_cluster_nearest(clusters, build->entry) : 0, build->payload);
	}
	tuplestore_end(build->store);
	memai_build_end_sort(build);
}

static BlockNumber
write_flat(MemaiBuild *build, int rows)
{
	MemaiEntry **entries = palloc_extended(sizeof(MemaiEntry *) * (Size) rows, MCXT_ALLOC_HUGE);
	int			n = 0;

	while (n < rows && tuplesort_gettupleslot(build->sort, true, false, build->out, NULL))
		entries[n++] = slot_entry(build, build->out);
	return write_list(build, 0, PG_UINT64_MAX, entries, n);
}

void
memai_build_without_keys(MemaiBuild *build)
{
	double		rows = (double) pg_atomic_read_u64(&build->shared->rows);
	MemaiClusters *clusters = NULL;
	BlockNumber root;

	if (rows == 0)
		return;
	if (rows > flat_limit(build))
		clusters = memai_build_centroids(build, 0, rows);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 5);
	memai_build_run(build, MEMAI_BUILD_ASSIGN);
	merge_sort(build);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 6);
	if (clusters)
		root = write_clusters(build, clusters, build->sort, 0, PG_UINT64_MAX);
	else
		root = write_flat(build, (int) rows);
	memai_directory_set(build->relation, 0, root);
}

/* ---- tenants ---- */

/* writes the shared list, whose range ends at high */
static void
flush_bucket(MemaiBuild *build, uint64 high)
{
	memai_directory_set(build->relation, build->bucket_low,
						write_list(build, build->bucket_low, high, build->bucket, build->nbucket));
	build->nbucket = 0;
	build->bucket_low = high + 1;
}

/* a tenant that fits in one list */
static void
write_tenant(MemaiBuild *build, uint64 hash, MemaiEntry **entries, int n)
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

/* the route of a tenant of so many rows; ends the store */
static BlockNumber
cluster_tenant(MemaiBuild *build, Tuplestorestate *store, double rows, uint64 hash)
{
	Tuplesortstate *sort = begin_sort(build, maintenance_work_mem / 2, NULL);
	MemaiClusters *clusters = memai_build_centroids(build, hash, rows);
	int			size = memai_build_batch_size(build);
	BlockNumber route;
	int			n;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 5);
	do
	{
		const int  *nearest;

		for (n = 0; n < size && tuplestore_gettupleslot(store, true, false, build->out); n++)
			copy_entry(build, build->out, memai_build_batch_entry(build, n));
		CHECK_FOR_INTERRUPTS();
		nearest = memai_build_batch(build, n);
		for (int i = 0; i < n; i++)
		{
			memcpy(build->entry, memai_build_batch_entry(build, i), build->entry_size);
			memai_build_put(build, sort, nearest[i], build->payload);
		}
	} while (n == size);
	tuplestore_end(store);
	tuplesort_performsort(sort);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 6);
	route = write_clusters(build, clusters, sort, hash, hash);
	tuplesort_end(sort);
	memai_build_forget_centroids(build);
	return route;
}

/* a tenant of many rows: those read so far and the rest of them in the sort */
static void
write_large_tenant(MemaiBuild *build, uint64 hash, MemaiEntry **entries, int n, bool *more)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, maintenance_work_mem / 4);
	double		rows = n;
	BlockNumber route;
	MinimalTuple next;

	for (int i = 0; i < n; i++)
	{
		memcpy(build->entry, entries[i], build->entry_size);
		memai_build_store(build, store, build->payload);
		memai_build_sample(build, entries[i]);
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
		memai_build_store(build, store, (bytea *) DatumGetPointer(slot_getattr(build->out, 2, &isnull)));
		memai_build_sample(build, entry);
		pfree(entry);
		rows++;
		*more = tuplesort_gettupleslot(build->sort, true, false, build->out, NULL);
	}
	/* the range of a route is this one hash: others must not share it */
	if (build->nbucket > 0 || build->bucket_low < hash)
		flush_bucket(build, hash - 1);
	/* the slot still holds the next tenant's first row */
	next = *more ? ExecCopySlotMinimalTuple(build->out) : NULL;
	route = cluster_tenant(build, store, rows, hash);
	if (next)
		ExecStoreMinimalTuple(next, build->out, true);
	memai_directory_set(build->relation, hash, route);
	build->bucket_low = hash + 1;
}

void
memai_build_with_keys(MemaiBuild *build)
{
	int			limit;
	MemaiEntry **entries;
	bool		more;
	bool		last = false;

	merge_sort(build);
	if (pg_atomic_read_u64(&build->shared->rows) == 0)
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
