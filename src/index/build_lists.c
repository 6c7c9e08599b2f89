/*
 * build_lists.c
 *	  The second half of ambuild: encoded rows are divided into lists, and
 *	  these are written one after the other.
 *
 * Only codes are handled here.  Sorts and stores spill to disk, samples are
 * bounded by maintenance_work_mem.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_operator.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "index/build_int.h"
#include "vector/kernel.h"

/* sample rows of a centroid */
#define CENTROID_SAMPLE 64
/* queries to measure with how many lists a search has to read */
#define SUM_QUERIES 200
#define ROW_QUERIES 100
#define QUERIES (SUM_QUERIES + ROW_QUERIES)
#define PARENTS 3
/* of the last of them; the others' is 1 */
#define LAST_SHARE 0.5f

/* ---- samples of entries for centroids ---- */

static void
reservoir_init(MemaiReservoir *r, Size entry_size)
{
	Size		limit = (Size) maintenance_work_mem * 1024 / 2 / entry_size;

	r->size = (int) Min(limit, 256 * 1024);
	r->size = Max(r->size, 256);
	r->entries = palloc_extended(sizeof(MemaiEntry *) * (Size) r->size, MCXT_ALLOC_HUGE);
	r->n = 0;
	r->seen = 0;
	pg_prng_seed(&r->random, 20240607);
}

void
memai_build_sample(MemaiReservoir *r, const MemaiEntry *entry, Size size)
{
	int64		at;

	if (r->entries == NULL)
		reservoir_init(r, size);
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
reservoir_free(MemaiReservoir *r)
{
	for (int i = 0; i < r->n; i++)
		pfree(r->entries[i]);
	pfree(r->entries);
	r->entries = NULL;
	r->n = 0;
}

/* ---- tuples of (key, entry) ---- */

Tuplesortstate *
memai_build_begin_sort(MemaiBuild *build)
{
	AttrNumber	column = 1;
	Oid			less = Int8LessOperator;
	Oid			collation = InvalidOid;
	bool		nulls_first = false;

	return tuplesort_begin_heap(build->desc, 1, &column, &less, &collation, &nulls_first,
								maintenance_work_mem / 2, NULL, TUPLESORT_NONE);
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

/* a copy of the slot's entry, aligned */
static MemaiEntry *
slot_entry(MemaiBuild *build, TupleTableSlot *slot)
{
	bool		isnull;
	bytea	   *payload = (bytea *) DatumGetPointer(slot_getattr(slot, 2, &isnull));
	MemaiEntry *entry = palloc(MAXALIGN(build->entry_size));

	/* a short one may have been packed */
	memcpy(entry, VARDATA_ANY(payload) + MEMAI_PAYLOAD_OFFSET - VARHDRSZ, build->entry_size);
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

/* adds so many times the vector that was encoded, still rotated, to a sum */
static void
add_vector(const MemaiBuild *build, const MemaiCode *code, float times, float *sum)
{
	int			padded = build->index->leaf.padded;
	float	   *y = build->index->work + padded;

	memai_decode(padded, code, y);
	for (int i = 0; i < padded; i++)
		sum[i] += times * (build->centre ? y[i] + build->index->centre[i] : y[i]);
}

/* a row of the sample, or a weighted mean of PARENTS rows, the i-th such; false if it is no query */
static bool
make_query(const MemaiBuild *build, const MemaiReservoir *sample, int parents, int i, float *query)
{
	int			padded = build->index->leaf.padded;
	float		share = 0;
	float		norm2;
	float		scale;

	memset(query, 0, sizeof(float) * padded);
	for (int p = 0; p < parents; p++)
	{
		float		times = p > 0 && p == parents - 1 ? LAST_SHARE : 1;

		add_vector(build, &sample->entries[p * (sample->n / parents) + i]->code, times, query);
		share += times;
	}
	norm2 = memai_kernels->f32_dot((size_t) padded, query, query);
	if (!(norm2 > 0 && norm2 < MEMAI_HUGE_NORM))
		return false;
	scale = build->index->support->metric == MEMAI_METRIC_COSINE ? 1 / sqrtf(norm2) : 1 / share;
	for (int d = 0; d < padded; d++)
		query[d] *= scale;
	return true;
}

/* of the tenant with most lists so far: queries for probes.c, which says why these */
static void
keep_queries(MemaiBuild *build, const MemaiReservoir *sample, uint64 hash, int lists)
{
	int			padded = build->index->leaf.padded;
	int			step = sample->n / (PARENTS * SUM_QUERIES);

	if (lists <= build->queries_lists || step == 0)
		return;
	if (build->queries == NULL)
	{
		build->queries = palloc(sizeof(float *) * QUERIES);
		for (int i = 0; i < QUERIES; i++)
			build->queries[i] = palloc(sizeof(float) * padded);
	}
	build->nqueries = 0;
	build->queries_hash = hash;
	build->queries_lists = lists;
	for (int i = 0; i < SUM_QUERIES; i++)
		if (make_query(build, sample, PARENTS, i * step, build->queries[build->nqueries]))
			build->nqueries++;
	build->nsums = build->nqueries;
	for (int i = 0; i < ROW_QUERIES; i++)
		if (make_query(build, sample, 1, i * (sample->n / ROW_QUERIES), build->queries[build->nqueries]))
			build->nqueries++;
}

/* the route of a tenant of n rows; ends the store */
static BlockNumber
cluster_tenant(MemaiBuild *build, Tuplestorestate *store, double n, MemaiReservoir *sample,
			   uint64 low, uint64 high)
{
	int			k = (int) Max(2, n / build->index->meta.list_size);
	int			used = (int) Min((double) sample->n, (double) k * CENTROID_SAMPLE);
	MemaiClusters *clusters;
	Tuplesortstate *sort = memai_build_begin_sort(build);
	BlockNumber route;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 4);
	clusters = memai_cluster(build->index->leaf.padded, sample->entries, used, k);
	keep_queries(build, sample, low, memai_cluster_count(clusters));
	reservoir_free(sample);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 5);
	while (tuplestore_gettupleslot(store, true, false, build->out))
	{
		MemaiEntry *entry = slot_entry(build, build->out);
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		memai_build_put(build, sort, memai_cluster_nearest(clusters, entry),
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
build_flat(MemaiBuild *build)
{
	int			n = 0;
	MemaiEntry **entries = palloc_extended(sizeof(MemaiEntry *) * (Size) (build->rows + 1), MCXT_ALLOC_HUGE);

	while (tuplestore_gettupleslot(build->store, true, false, build->out))
		entries[n++] = slot_entry(build, build->out);
	tuplestore_end(build->store);
	return write_list(build, 0, PG_UINT64_MAX, entries, n);
}

void
memai_build_without_keys(MemaiBuild *build)
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

/* a tenant of many rows: those read so far and the rest of them in the sort */
static void
write_large_tenant(MemaiBuild *build, uint64 hash, MemaiEntry **entries, int n, bool *more)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, maintenance_work_mem / 4);
	MemaiReservoir sample = {0};
	double		rows = n;
	BlockNumber route;
	MinimalTuple next;

	for (int i = 0; i < n; i++)
	{
		memcpy((char *) build->payload + MEMAI_PAYLOAD_OFFSET, entries[i], build->entry_size);
		memai_build_store(build, store, build->payload);
		memai_build_sample(&sample, entries[i], build->entry_size);
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
		memai_build_sample(&sample, entry, build->entry_size);
		pfree(entry);
		rows++;
		*more = tuplesort_gettupleslot(build->sort, true, false, build->out, NULL);
	}
	/* the range of a route is this one hash: others must not share it */
	if (build->nbucket > 0 || build->bucket_low < hash)
		flush_bucket(build, hash - 1);
	/* the slot still holds the next tenant's first row */
	next = *more ? ExecCopySlotMinimalTuple(build->out) : NULL;
	route = cluster_tenant(build, store, rows, &sample, hash, hash);
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
