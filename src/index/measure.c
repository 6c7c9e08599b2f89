/*
 * measure.c
 *	  What a search needs, measured in an index that grows.
 *
 * A build knows all rows and measures at its end.  Inserts change the lists:
 * when a tenant has half as many lists again as when it was measured last, the
 * insert that divided one measures anew, with as many queries as it can read
 * all lists for without being much slower than the division; large tenants
 * are left to vacuum, which uses as many queries as a build.  Rows for the
 * queries come from the lists themselves, so the table is not read.
 *
 * The caller holds the move lock: lists stay where they are.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "index/search_int.h"
#include "vector/kernel.h"

/* what the last parent adds to a sum; the others add 1 */
#define LAST_SHARE 0.5f
/* most work, in entries read: an insert waits for it some 50 ms, vacuum some seconds */
#define INSERT_WORK 8e6
#define VACUUM_WORK 1e9
/* of looking closely at a candidate, in entries read */
#define CANDIDATE_WORK 40
/* so many queries at most for an insert, and fewer are not begun with */
#define INSERT_QUERIES 99
#define LEAST_QUERIES 30
/* of the neighbours that may be missed, this share is found: there will be more lists soon, and of all shapes */
#define GROWN_MARGIN 0.5
/* rows are taken from so many lists */
#define SAMPLED_LISTS 128
/* lists made by inserts have so many rows, in units of list_size */
#define LIST_FILL 1.3

bool
memai_probe_query(MemaiIndex *index, MemaiEntry *const *parents, int nparents, int centre, float *query)
{
	int			padded = index->leaf.padded;
	float		share = 0;
	float		norm2;
	float		scale;

	memset(query, 0, sizeof(float) * padded);
	for (int p = 0; p < nparents; p++)
	{
		float		times = p > 0 && p == nparents - 1 ? LAST_SHARE : 1;

		(void) memai_add_vector(index, parents[p], centre, times, query);
		share += times;
	}
	norm2 = (float) memai_kernels->f32_norm2((size_t) padded, query);
	if (!(norm2 > 0 && norm2 < MEMAI_HUGE_NORM))
		return false;
	scale = index->support->metric == MEMAI_METRIC_COSINE ? 1 / sqrtf(norm2) : 1 / share;
	for (int d = 0; d < padded; d++)
		query[d] *= scale;
	return true;
}

/* ---- a sample of the rows ---- */

/* the same number of rows from lists throughout the route, shuffled, encoded for the centre */
static MemaiEntry **
sample_rows(MemaiIndex *index, const BlockNumber *lists, int nlists, int wanted, int *n)
{
	int			centre = index->centre != NULL;
	int			sampled = Min(nlists, SAMPLED_LISTS);
	int			each = (wanted + sampled - 1) / sampled;
	MemaiEntry **sample = palloc(sizeof(MemaiEntry *) * sampled * each);
	pg_prng_state random;

	*n = 0;
	for (int i = 0; i < sampled; i++)
	{
		BlockNumber list = lists[(int64) i * nlists / sampled];
		MemaiListFacts facts;
		uint64		position = 0;
		int			count;
		MemaiEntry **entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &count);
		int			taken = Min(each, count);

		memai_list_facts(index->relation, list, &facts);
		for (int j = 0; j < taken; j++)
		{
			MemaiEntry **from = &entries[(int64) j * count / taken];

			memai_change_centre(index, from, 1, facts.centre, centre);
			sample[(*n)++] = *from;
			*from = NULL;
		}
		for (int j = 0; j < count; j++)
			if (entries[j])
				pfree(entries[j]);
		pfree(entries);
	}
	pg_prng_seed(&random, (uint64) nlists);
	for (int i = *n - 1; i > 0; i--)
	{
		int			j = (int) pg_prng_uint64_range(&random, 0, (uint64) i);
		MemaiEntry *swap = sample[i];

		sample[i] = sample[j];
		sample[j] = swap;
	}
	return sample;
}

/* ---- measuring ---- */

/* raises probes to what most queries, or those that this much work is enough for, need; false when they say nothing */
static bool
measure_kind(MemaiSearch *search, uint64 hash, int lists, MemaiEntry *const *sample, int parents, int most,
			 double work, MemaiProbeTable *probes)
{
	MemaiIndex *index = search->index;
	float	   *query = palloc(sizeof(float) * index->leaf.padded);
	MemaiProbeNeed *needs = palloc(sizeof(MemaiProbeNeed) * Max(most, 1) * MEMAI_PROBE_NEIGHBOURS);
	int			count = 0;
	int			asked = 0;

	for (int i = 0; i < most && work > 0; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!memai_probe_query(index, sample + i * parents, parents, index->centre != NULL, query))
			continue;
		count += memai_probes_query(search, hash, lists, query, parents == 1, needs + count);
		asked++;
		work -= (double) search->scanned + CANDIDATE_WORK * (double) search->consumed;
	}
	if (asked == 0 || count < asked)
		return false;
	memai_probes_raise(probes, needs, count, GROWN_MARGIN, lists);
	return true;
}

/* measures with up to so many queries, two thirds of them sums */
static bool
measure(MemaiIndex *index, uint64 hash, const BlockNumber *lists, int nlists, int most, MemaiProbeTable *probes)
{
	double		work = (probes->hasty ? INSERT_WORK : VACUUM_WORK) / 3;
	MemaiSearch *search = memai_search_create(index, CurrentMemoryContext);
	int			sums = most * 2 / 3;
	int			rows = most - sums;
	int			n;
	MemaiEntry **sample = sample_rows(index, lists, nlists, MEMAI_PROBE_PARENTS * sums, &n);

	return measure_kind(search, hash, nlists, sample, MEMAI_PROBE_PARENTS, Min(sums, n / MEMAI_PROBE_PARENTS),
						2 * work, probes) &&
		measure_kind(search, hash, nlists, sample, 1, Min(rows, n), work, probes);
}

/* how many queries are worth the time; 0 when what was measured before is good enough */
static int
queries_due(const MemaiIndex *index, int lists, bool in_insert, const MemaiProbeTable *last)
{
	double		entries = lists * LIST_FILL * index->meta.list_size;
	bool		changed = lists * 2.0 > last->lists * 3.0 || lists * 2.0 < last->lists;

	if (index->leaf.refine_bits == 0 || lists < MEMAI_LEAST_MEASURED)
		return 0;
	if (!in_insert)
		return changed || last->hasty ? MEMAI_SUM_QUERIES + MEMAI_ROW_QUERIES : 0;
	/* another tenant of fewer lists is none of an insert's business */
	if (lists * 2.0 <= last->lists * 3.0)
		return 0;
	return INSERT_WORK / entries < LEAST_QUERIES ? 0 : INSERT_QUERIES;
}

/* about how many lists a route has; 0 when hash has none */
static int
count_lists(MemaiIndex *index, uint64 hash, BlockNumber *route)
{
	uint64		ignored;
	MemaiListFacts facts;
	Buffer		buffer;
	int			used;

	*route = memai_directory_find(index->relation, hash, &ignored, &ignored);
	if (*route == InvalidBlockNumber)
		return 0;
	memai_list_facts(index->relation, *route, &facts);
	if (facts.level != 1 || (facts.flags & MEMAI_FLAG_MOVED))
		return 0;
	buffer = memai_page_read(index->relation, facts.header.tail, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
	used = MemaiPageOpaque(BufferGetPage(buffer))->used;
	UnlockReleaseBuffer(buffer);
	return (int) (facts.header.pages - 1) * index->route.capacity + used;
}

/* what the metapage says now; what the session remembers may be older */
static MemaiProbeTable
last_measured(Relation relation)
{
	Buffer		meta = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_SHARE, MEMAI_PAGE_META);
	MemaiProbeTable probes = MemaiPageMeta(BufferGetPage(meta))->probes;

	UnlockReleaseBuffer(meta);
	return probes;
}

void
memai_probes_learn(MemaiIndex *caller, uint64 hash, bool in_insert)
{
	MemoryContext context;
	MemoryContext old;
	BlockNumber route;
	int			lists = count_lists(caller, hash, &route);
	MemaiProbeTable last = last_measured(caller->relation);
	MemaiProbeTable probes = {.hasty = in_insert};
	int			n = queries_due(caller, lists, in_insert, &last);

	if (n == 0)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "memai index measure", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	{
		MemaiIndex *index = memai_index_open(caller->relation);
		BlockNumber *children = memai_route_children(index, route, &lists);

		if (measure(index, hash, children, lists, n, &probes))
		{
			memai_probes_store(index->relation, &probes);
			/* sessions remember the metapage */
			CacheInvalidateRelcache(index->relation);
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
