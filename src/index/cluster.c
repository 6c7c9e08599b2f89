/*
 * cluster.c
 *	  Centroids of a set of entries: Lloyd's algorithm on the 8-bit codes.
 *
 * The distance of an entry from a centroid is one integer product of the
 * entry's code with the centroid's, as in a search.  Many centroids are found
 * in two levels: the set is divided into about sqrt(k) parts and each part
 * into its share, so the work grows with sqrt(k) and not with k.  The same
 * two levels find an entry's nearest centroid.  The result depends on the
 * entries and their order alone.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "miscadmin.h"

#include "index/index_int.h"
#include "vector/kernel.h"

#define ITERATIONS 8
/* from so many centroids on, two levels */
#define TWO_LEVELS 96
/* parts that an entry's centroid is looked for in */
#define NEAR_PARTS 6

struct MemaiClusters
{
	int			padded;
	int			k;
	float	   *means;			/* k * padded */
	int8	   *codes;			/* k * padded */
	float	   *scales;
	float	   *norms;			/* squared */
	int32	   *sums;			/* of the codes */
	MemaiClusters *parts;		/* upper level, or NULL */
	int		   *starts;			/* first centroid of each part, and k */
};

static MemaiClusters *
clusters_alloc(int padded, int k)
{
	MemaiClusters *c = palloc0(sizeof(MemaiClusters));

	c->padded = padded;
	c->k = k;
	c->means = palloc_extended(sizeof(float) * (Size) k * padded, MCXT_ALLOC_HUGE);
	c->codes = palloc_extended((Size) k * padded, MCXT_ALLOC_HUGE);
	c->scales = palloc(sizeof(float) * k);
	c->norms = palloc(sizeof(float) * k);
	c->sums = palloc(sizeof(int32) * k);
	return c;
}

/* makes the integer form of centroid i from its mean */
static void
quantise(MemaiClusters *c, int i)
{
	const float *mean = c->means + (Size) i * c->padded;
	int8	   *code = c->codes + (Size) i * c->padded;
	float		max = 0;
	float		norm = 0;
	float		inverse;

	for (int d = 0; d < c->padded; d++)
	{
		max = Max(max, mean[d] < 0 ? -mean[d] : mean[d]);
		norm += mean[d] * mean[d];
	}
	c->scales[i] = max / 127;
	c->norms[i] = norm;
	c->sums[i] = 0;
	inverse = max > 0 ? 127 / max : 0;
	for (int d = 0; d < c->padded; d++)
	{
		float		v = mean[d] * inverse;

		code[d] = (int8) (v < 0 ? v - 0.5f : v + 0.5f);
		c->sums[i] += code[d];
	}
}

/* squared distance less the entry's own norm */
static inline float
distance(const MemaiClusters *c, int i, const MemaiCode *code)
{
	int32		dot = memai_kernels->u8i8_dot(c->padded, code->u, c->codes + (Size) i * c->padded);

	return c->norms[i] - 2 * code->scale * c->scales[i] * ((float) dot - 127.5f * (float) c->sums[i]);
}

static int
nearest_in(const MemaiClusters *c, int from, int to, const MemaiCode *code, float *least)
{
	int			best = from;

	*least = distance(c, from, code);
	for (int i = from + 1; i < to; i++)
	{
		float		d = distance(c, i, code);

		if (d < *least)
		{
			*least = d;
			best = i;
		}
	}
	return best;
}

/* distinct random entries as first centroids */
static void
seed(MemaiClusters *c, MemaiEntry *const *entries, int n, pg_prng_state *random)
{
	int		   *order = palloc_extended(sizeof(int) * (Size) n, MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = 0; i < c->k; i++)
	{
		int			j = (int) pg_prng_uint64_range(random, i, n - 1);
		int			chosen = order[j];

		order[j] = order[i];
		memai_decode(c->padded, &entries[chosen]->code, c->means + (Size) i * c->padded);
		quantise(c, i);
	}
	pfree(order);
}

static void
update_means(MemaiClusters *c, MemaiEntry *const *entries, int n, const int *assigned,
			 pg_prng_state *random)
{
	int		   *count = palloc0(sizeof(int) * c->k);

	memset(c->means, 0, sizeof(float) * (Size) c->k * c->padded);
	for (int i = 0; i < n; i++)
	{
		float	   *mean = c->means + (Size) assigned[i] * c->padded;
		const MemaiCode *code = &entries[i]->code;

		for (int d = 0; d < c->padded; d++)
			mean[d] += code->scale * ((float) code->u[d] - 127.5f);
		count[assigned[i]]++;
	}
	for (int k = 0; k < c->k; k++)
	{
		float	   *mean = c->means + (Size) k * c->padded;

		if (count[k] == 0)
			memai_decode(c->padded, &entries[pg_prng_uint64_range(random, 0, n - 1)]->code, mean);
		else
			for (int d = 0; d < c->padded; d++)
				mean[d] /= (float) count[k];
		quantise(c, k);
	}
	pfree(count);
}

static MemaiClusters *
lloyd(int padded, MemaiEntry *const *entries, int n, int k, pg_prng_state *random, int *assigned)
{
	MemaiClusters *c = clusters_alloc(padded, k);

	seed(c, entries, n, random);
	for (int round = 0;; round++)
	{
		for (int i = 0; i < n; i++)
		{
			float		least;

			if (i % 1024 == 0)
				CHECK_FOR_INTERRUPTS();
			assigned[i] = nearest_in(c, 0, k, &entries[i]->code, &least);
		}
		if (round == ITERATIONS || k == 1)
			break;
		update_means(c, entries, n, assigned, random);
	}
	if (k == 1)
		update_means(c, entries, n, assigned, random);
	return c;
}

/* copies the centroids of one part to their place */
static void
adopt(MemaiClusters *all, int start, const MemaiClusters *part)
{
	memcpy(all->means + (Size) start * all->padded, part->means,
		   sizeof(float) * (Size) part->k * all->padded);
	for (int i = 0; i < part->k; i++)
		quantise(all, start + i);
}

static void
clusters_free(MemaiClusters *c)
{
	pfree(c->means);
	pfree(c->codes);
	pfree(c->scales);
	pfree(c->norms);
	pfree(c->sums);
	pfree(c);
}

MemaiClusters *
memai_cluster(int padded, MemaiEntry *const *entries, int n, int k)
{
	int		   *assigned = palloc_extended(sizeof(int) * (Size) n, MCXT_ALLOC_HUGE);
	MemaiEntry **members;
	MemaiClusters *all;
	MemaiClusters *parts;
	pg_prng_state random;
	int			start = 0;

	pg_prng_seed(&random, 20240607);
	k = Max(1, Min(k, n));
	if (k < TWO_LEVELS)
	{
		all = lloyd(padded, entries, n, k, &random, assigned);
		pfree(assigned);
		return all;
	}
	parts = lloyd(padded, entries, n, (int) sqrt((double) k), &random, assigned);
	all = clusters_alloc(padded, k);
	all->parts = parts;
	all->starts = palloc(sizeof(int) * (parts->k + 1));
	members = palloc_extended(sizeof(MemaiEntry *) * (Size) n, MCXT_ALLOC_HUGE);
	for (int p = 0, seen = 0; p < parts->k; p++)
	{
		int			count = 0;
		int			share;
		int		   *unused;
		MemaiClusters *part;

		for (int i = 0; i < n; i++)
			if (assigned[i] == p)
				members[count++] = entries[i];
		/* shares add up to k: each part ends where its entries end */
		seen += count;
		share = Max(1, (int) ((double) k * seen / n + 0.5) - start);
		share = Min(share, k - start - (parts->k - 1 - p));
		share = Max(1, Min(share, Max(1, count)));
		all->starts[p] = start;
		if (count == 0)
		{
			memcpy(all->means + (Size) start * padded, parts->means + (Size) p * padded, sizeof(float) * padded);
			quantise(all, start++);
			continue;
		}
		unused = palloc_extended(sizeof(int) * (Size) count, MCXT_ALLOC_HUGE);
		part = lloyd(padded, members, count, share, &random, unused);
		adopt(all, start, part);
		start += share;
		clusters_free(part);
		pfree(unused);
	}
	all->starts[parts->k] = start;
	all->k = start;
	pfree(members);
	pfree(assigned);
	return all;
}

int
memai_cluster_count(const MemaiClusters *clusters)
{
	return clusters->k;
}

/* the NEAR_PARTS parts nearest to an entry, by insertion into a short list */
static int
nearest_parts(const MemaiClusters *parts, const MemaiCode *code, int *near)
{
	float		least[NEAR_PARTS];
	int			n = 0;

	for (int p = 0; p < parts->k; p++)
	{
		float		d = distance(parts, p, code);
		int			at;

		if (n == NEAR_PARTS && d >= least[n - 1])
			continue;
		if (n < NEAR_PARTS)
			n++;
		for (at = n - 1; at > 0 && least[at - 1] > d; at--)
		{
			least[at] = least[at - 1];
			near[at] = near[at - 1];
		}
		least[at] = d;
		near[at] = p;
	}
	return n;
}

int
memai_cluster_nearest(const MemaiClusters *clusters, const MemaiEntry *entry)
{
	int			near[NEAR_PARTS];
	int			n;
	int			best = 0;
	float		best_distance = 0;

	if (clusters->parts == NULL)
		return nearest_in(clusters, 0, clusters->k, &entry->code, &best_distance);
	n = nearest_parts(clusters->parts, &entry->code, near);
	for (int i = 0; i < n; i++)
	{
		float		d;
		int			c = nearest_in(clusters, clusters->starts[near[i]], clusters->starts[near[i] + 1],
								   &entry->code, &d);

		if (i == 0 || d < best_distance)
		{
			best = c;
			best_distance = d;
		}
	}
	return best;
}
