/*
 * build_sample.c
 *	  What a build learns from a sample of a tenant's rows: the centroids of
 *	  its lists, and queries to measure searches with.
 *
 * The sample is one reservoir that all participants fill.  Its memory comes in
 * chunks, so a small table does not take what maintenance_work_mem allows.
 * When the centroids are found the same memory takes batches of rows whose
 * nearest centroid is wanted.
 */
#include "postgres.h"

#include <math.h>

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"

#include "index/build_int.h"
#include "vector/kernel.h"

/* sample rows of a centroid */
#define CENTROID_SAMPLE 64
/* entries that a participant takes at once */
#define PIECE 256
#define BATCH 4096
#define QUERIES (MEMAI_SUM_QUERIES + MEMAI_ROW_QUERIES)
/* of the neighbours that may be missed, this share is found to be on the safe side */
#define MARGIN 0.1

/* ---- the sample ---- */

static int
sample_size(const MemaiBuild *build)
{
	Size		limit = (Size) maintenance_work_mem * 1024 / 2 / build->entry_size;

	return (int) Max(256, Min(limit, MEMAI_SAMPLE_MOST));
}

static MemaiEntry *
sample_entry(MemaiBuild *build, int i)
{
	int			chunk = i / MEMAI_SAMPLE_CHUNK;
	Size		stride = MAXALIGN(build->entry_size);

	if (build->chunks[chunk] == NULL)
	{
		dsa_pointer *where = &build->shared->chunks[chunk];

		if (!DsaPointerIsValid(*where))
			*where = memai_build_alloc(build, stride * MEMAI_SAMPLE_CHUNK);
		build->chunks[chunk] = memai_build_address(build, *where);
	}
	return (MemaiEntry *) (build->chunks[chunk] + stride * (i % MEMAI_SAMPLE_CHUNK));
}

void
memai_build_sample(MemaiBuild *build, const MemaiEntry *entry)
{
	MemaiBuildShared *shared = build->shared;
	int			size = sample_size(build);
	int64		at;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	at = shared->sample_seen++;
	if (at < size)
		shared->sample_n++;
	else
		at = (int64) pg_prng_uint64_range(&build->random, 0, at);
	if (at < size)
		memcpy(sample_entry(build, (int) at), entry, build->entry_size);
	LWLockRelease(&shared->lock);
}

static void
sample_free(MemaiBuild *build)
{
	MemaiBuildShared *shared = build->shared;

	for (int i = 0; i < MEMAI_SAMPLE_MOST / MEMAI_SAMPLE_CHUNK && DsaPointerIsValid(shared->chunks[i]); i++)
	{
		memai_build_free(build, shared->chunks[i]);
		shared->chunks[i] = InvalidDsaPointer;
		build->chunks[i] = NULL;
	}
	shared->sample_n = 0;
	shared->sample_seen = 0;
}

/* the entries that a task is about, palloc'd */
static MemaiEntry **
task_entries(MemaiBuild *build)
{
	int			n = build->shared->entries;
	MemaiEntry **entries = palloc(sizeof(MemaiEntry *) * n);

	for (int i = 0; i < n; i++)
		entries[i] = sample_entry(build, (int) ((int64) i * build->shared->sample_n / n));
	return entries;
}

/* ---- tasks ---- */

MemaiClusters *
memai_build_clusters(MemaiBuild *build)
{
	MemaiBuildShared *shared = build->shared;

	if (shared->k == 0)
		return NULL;
	return memai_clusters_at(memai_build_address(build, shared->clusters), build->index->leaf.padded, shared->k);
}

/* asks something of each entry, piece by piece */
static void
ask_entries(MemaiBuild *build, int (*ask) (const MemaiClusters *, const MemaiEntry *))
{
	MemaiBuildShared *shared = build->shared;
	MemaiClusters *clusters = memai_build_clusters(build);
	MemaiEntry **entries = task_entries(build);
	int		   *answers = memai_build_address(build, shared->assigned);
	int			from;

	while ((from = (int) pg_atomic_fetch_add_u32(&shared->next, PIECE)) < shared->entries)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = from; i < Min(from + PIECE, shared->entries); i++)
			answers[i] = ask(clusters, entries[i]);
	}
	pfree(entries);
	pfree(clusters);
}

void
memai_build_parts(MemaiBuild *build)
{
	ask_entries(build, memai_clusters_part);
}

void
memai_build_nearest(MemaiBuild *build)
{
	ask_entries(build, memai_cluster_nearest);
}

void
memai_build_find(MemaiBuild *build)
{
	MemaiBuildShared *shared = build->shared;
	MemaiClusters *clusters = memai_build_clusters(build);
	MemaiEntry **entries = task_entries(build);
	const int  *part_of = memai_build_address(build, shared->assigned);
	int			part;

	while ((part = (int) pg_atomic_fetch_add_u32(&shared->next, 1)) < memai_clusters_parts(clusters))
		memai_clusters_find(clusters, part, entries, part_of, shared->entries);
	pfree(entries);
	pfree(clusters);
}

/* ---- queries ---- */

/* a row of the sample, or a sum of several, the i-th such; false if it is no query */
static bool
make_query(MemaiBuild *build, int parents, int i, float *query)
{
	int			apart = build->shared->sample_n / parents;
	MemaiEntry *rows[MEMAI_PROBE_PARENTS];

	for (int p = 0; p < parents; p++)
		rows[p] = sample_entry(build, p * apart + i);
	return memai_probe_query(build->index, rows, parents, build->centre, query);
}

/* of the tenant with most lists so far: queries for probes.c, which says why these */
static void
keep_queries(MemaiBuild *build, uint64 hash, int lists)
{
	MemaiBuildShared *shared = build->shared;
	int			padded = build->index->leaf.padded;
	int			step = shared->sample_n / (MEMAI_PROBE_PARENTS * MEMAI_SUM_QUERIES);
	float	   *queries;

	if (lists <= shared->queries_lists || step == 0)
		return;
	if (shared->queries_lists == 0)
		shared->queries = memai_build_alloc(build, sizeof(float) * QUERIES * padded);
	queries = memai_build_address(build, shared->queries);
	shared->nqueries = 0;
	shared->queries_hash = hash;
	shared->queries_lists = lists;
	for (int i = 0; i < MEMAI_SUM_QUERIES; i++)
		if (make_query(build, MEMAI_PROBE_PARENTS, i * step, queries + (Size) shared->nqueries * padded))
			shared->nqueries++;
	shared->nsums = shared->nqueries;
	for (int i = 0; i < MEMAI_ROW_QUERIES; i++)
		if (make_query(build, 1, i * (shared->sample_n / MEMAI_ROW_QUERIES), queries + (Size) shared->nqueries * padded))
			shared->nqueries++;
}

void
memai_build_measure_some(MemaiBuild *build)
{
	MemaiBuildShared *shared = build->shared;
	MemaiSearch *search = memai_search_create(build->index, CurrentMemoryContext);
	const float *queries = memai_build_address(build, shared->queries);
	MemaiProbeNeed *needs = memai_build_address(build, shared->needs);
	int		   *nneeds = memai_build_address(build, shared->nneeds);
	int			i;

	while ((i = (int) pg_atomic_fetch_add_u32(&shared->next, 1)) < shared->nqueries)
	{
		CHECK_FOR_INTERRUPTS();
		nneeds[i] = memai_probes_query(search, shared->queries_hash, shared->queries_lists,
									   queries + (Size) i * build->index->leaf.padded, i >= shared->nsums,
									   needs + i * MEMAI_PROBE_NEIGHBOURS);
	}
}

/* raises probes to what some queries need; false when these found too little */
static bool
raise_probes(MemaiBuild *build, int from, int to, MemaiProbeTable *probes)
{
	MemaiBuildShared *shared = build->shared;
	const MemaiProbeNeed *needs = memai_build_address(build, shared->needs);
	const int  *nneeds = memai_build_address(build, shared->nneeds);
	MemaiProbeNeed all[QUERIES * MEMAI_PROBE_NEIGHBOURS];
	int			n = 0;

	for (int i = from; i < to; i++)
	{
		memcpy(all + n, needs + i * MEMAI_PROBE_NEIGHBOURS, sizeof(MemaiProbeNeed) * nneeds[i]);
		n += nneeds[i];
	}
	if (to == from || n < to - from)
		return false;
	memai_probes_raise(probes, all, n, MARGIN, shared->queries_lists);
	return true;
}

bool
memai_build_measure(MemaiBuild *build, MemaiProbeTable *probes)
{
	MemaiBuildShared *shared = build->shared;

	if (build->index->leaf.refine_bits == 0 || shared->queries_lists < 2)
		return false;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 7);
	shared->needs = memai_build_alloc(build, sizeof(MemaiProbeNeed) * QUERIES * MEMAI_PROBE_NEIGHBOURS);
	shared->nneeds = memai_build_alloc(build, sizeof(int) * QUERIES);
	memai_build_run(build, MEMAI_BUILD_MEASURE);
	return raise_probes(build, 0, shared->nsums, probes) &&
		raise_probes(build, shared->nsums, shared->nqueries, probes);
}

/* ---- centroids ---- */

MemaiClusters *
memai_build_centroids(MemaiBuild *build, uint64 hash, double rows)
{
	MemaiBuildShared *shared = build->shared;
	int			padded = build->index->leaf.padded;
	int			k = (int) Max(2, rows / build->index->meta.list_size);
	MemaiClusters *clusters;
	MemaiEntry **entries;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 4);
	shared->entries = (int) Min((double) shared->sample_n, (double) k * CENTROID_SAMPLE);
	shared->k = Min(k, shared->entries);
	shared->clusters = memai_build_alloc(build, memai_clusters_size(padded, shared->k));
	if (!DsaPointerIsValid(shared->assigned))
		shared->assigned = memai_build_alloc(build, sizeof(int) * sample_size(build));
	clusters = memai_build_clusters(build);
	entries = task_entries(build);
	memai_clusters_divide(clusters, entries, shared->entries);
	pfree(entries);
	memai_build_run(build, MEMAI_BUILD_PARTS);
	memai_clusters_share(clusters, memai_build_address(build, shared->assigned), shared->entries);
	memai_build_run(build, MEMAI_BUILD_CENTROIDS);
	keep_queries(build, hash, memai_cluster_count(clusters));
	sample_free(build);
	return clusters;
}

void
memai_build_forget_centroids(MemaiBuild *build)
{
	sample_free(build);
	memai_build_free(build, build->shared->clusters);
	build->shared->k = 0;
}

/* ---- batches of rows ---- */

int
memai_build_batch_size(const MemaiBuild *build)
{
	return Min(sample_size(build), BATCH);
}

MemaiEntry *
memai_build_batch_entry(MemaiBuild *build, int i)
{
	return sample_entry(build, i);
}

const int  *
memai_build_batch(MemaiBuild *build, int n)
{
	build->shared->sample_n = build->shared->entries = n;
	memai_build_run(build, MEMAI_BUILD_NEAREST);
	return memai_build_address(build, build->shared->assigned);
}
