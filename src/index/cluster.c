/*
 * cluster.c
 *	  Centroids of a set of entries: Lloyd's algorithm on the 8-bit codes.
 *
 * The distance of an entry from a centroid is one integer product of the
 * entry's code with the centroid's, as in a search.  Many centroids are found
 * in two levels: the set is divided into about sqrt(k) parts and each part
 * into its share, so the work grows with sqrt(k) and not with k.  The same
 * two levels find an entry's nearest centroid.
 *
 * The parts do not depend on each other, so several processes may each find
 * the centroids of some of them, in memory that they share.  The result
 * depends on the entries and their order alone, not on who finds what.
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
/* entries of a part that are looked at to divide the set into parts */
#define PART_SAMPLE 1024
/* parts that an entry's centroid is looked for in */
#define NEAR_PARTS 6
#define SEED 20240607

/* centroids in integer form */
typedef struct Centroids
{
	int			padded;
	int			k;
	int8	   *codes;			/* k * padded */
	float	   *scales;
	float	   *norms;			/* squared */
	int32	   *sums;			/* of the codes */
} Centroids;

/* one process's view of the memory that memai_clusters_at was given */
struct MemaiClusters
{
	Centroids	all;
	Centroids	parts;			/* upper level; unused if there is but one */
	int		   *starts;			/* first centroid of each part, and how many there are */
};

/* ---- memory ---- */

static int
part_count(int k)
{
	return k < TWO_LEVELS ? 1 : (int) sqrt((double) k);
}

static Size
centroids_size(int padded, int k)
{
	return add_size(mul_size(MAXALIGN(padded), k), mul_size(3, MAXALIGN(mul_size(sizeof(float), k))));
}

Size
memai_clusters_size(int padded, int k)
{
	int			parts = part_count(k);

	return add_size(add_size(centroids_size(padded, k), centroids_size(padded, parts)),
					MAXALIGN(sizeof(int) * (parts + 1)));
}

static char *
centroids_at(Centroids *c, char *memory, int padded, int k)
{
	Size		numbers = MAXALIGN(sizeof(float) * (Size) k);

	c->padded = padded;
	c->k = k;
	c->codes = (int8 *) memory;
	memory += MAXALIGN(padded) * (Size) k;
	c->scales = (float *) memory;
	c->norms = (float *) (memory + numbers);
	c->sums = (int32 *) (memory + 2 * numbers);
	return memory + 3 * numbers;
}

MemaiClusters *
memai_clusters_at(void *memory, int padded, int k)
{
	MemaiClusters *clusters = palloc(sizeof(MemaiClusters));
	char	   *next = centroids_at(&clusters->all, memory, padded, k);

	next = centroids_at(&clusters->parts, next, padded, part_count(k));
	clusters->starts = (int *) next;
	return clusters;
}

/* ---- distances ---- */

/* makes the integer form of centroid i */
static void
quantise(Centroids *c, int i, const float *mean)
{
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
distance(const Centroids *c, int i, const MemaiCode *code)
{
	int32		dot = memai_kernels->u8i8_dot(c->padded, code->u, c->codes + (Size) i * c->padded);

	return c->norms[i] - 2 * code->scale * c->scales[i] * ((float) dot - 127.5f * (float) c->sums[i]);
}

static int
nearest_in(const Centroids *c, int from, int to, const MemaiCode *code, float *least)
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

/* ---- Lloyd's algorithm ---- */

/* distinct random entries as first centroids */
static void
seed(Centroids *c, MemaiEntry *const *entries, int n, float *mean, pg_prng_state *random)
{
	int		   *order = palloc_extended(sizeof(int) * (Size) n, MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = 0; i < c->k; i++)
	{
		int			j = (int) pg_prng_uint64_range(random, i, n - 1);
		int			chosen = order[j];

		order[j] = order[i];
		memai_decode(c->padded, &entries[chosen]->code, mean);
		quantise(c, i, mean);
	}
	pfree(order);
}

static void
update_means(Centroids *c, MemaiEntry *const *entries, int n, const int *assigned, float *means,
			 pg_prng_state *random)
{
	int		   *count = palloc0(sizeof(int) * c->k);

	memset(means, 0, sizeof(float) * (Size) c->k * c->padded);
	for (int i = 0; i < n; i++)
	{
		float	   *mean = means + (Size) assigned[i] * c->padded;
		const MemaiCode *code = &entries[i]->code;

		for (int d = 0; d < c->padded; d++)
			mean[d] += code->scale * ((float) code->u[d] - 127.5f);
		count[assigned[i]]++;
	}
	for (int k = 0; k < c->k; k++)
	{
		float	   *mean = means + (Size) k * c->padded;

		if (count[k] == 0)
			memai_decode(c->padded, &entries[pg_prng_uint64_range(random, 0, n - 1)]->code, mean);
		else
			for (int d = 0; d < c->padded; d++)
				mean[d] /= (float) count[k];
		quantise(c, k, mean);
	}
	pfree(count);
}

/* n is not less than the number of centroids */
static void
lloyd(Centroids *c, MemaiEntry *const *entries, int n, uint64 number)
{
	int		   *assigned = palloc0(sizeof(int) * n);
	float	   *means = palloc_extended(sizeof(float) * (Size) c->k * c->padded, MCXT_ALLOC_HUGE);
	pg_prng_state random;

	pg_prng_seed(&random, SEED + number);
	seed(c, entries, n, means, &random);
	for (int round = 0; round < (c->k > 1 ? ITERATIONS : 1); round++)
	{
		for (int i = 0; i < n; i++)
		{
			float		least;

			if (i % 1024 == 0)
				CHECK_FOR_INTERRUPTS();
			assigned[i] = nearest_in(c, 0, c->k, &entries[i]->code, &least);
		}
		update_means(c, entries, n, assigned, means, &random);
	}
	pfree(means);
	pfree(assigned);
}

/* ---- the steps ---- */

void
memai_clusters_divide(MemaiClusters *clusters, MemaiEntry *const *entries, int n)
{
	int			used = (int) Min((int64) n, (int64) clusters->parts.k * PART_SAMPLE);
	MemaiEntry **sample;

	if (clusters->parts.k == 1)
		return;
	sample = palloc_extended(sizeof(MemaiEntry *) * (Size) used, MCXT_ALLOC_HUGE);
	for (int i = 0; i < used; i++)
		sample[i] = entries[(int64) i * n / used];
	lloyd(&clusters->parts, sample, used, 0);
	pfree(sample);
}

int
memai_clusters_part(const MemaiClusters *clusters, const MemaiEntry *entry)
{
	float		least;

	return clusters->parts.k == 1 ? 0 : nearest_in(&clusters->parts, 0, clusters->parts.k, &entry->code, &least);
}

void
memai_clusters_share(MemaiClusters *clusters, const int *part_of, int n)
{
	int			k = clusters->all.k;
	int			parts = clusters->parts.k;
	int		   *count = palloc0(sizeof(int) * parts);
	int			start = 0;

	for (int i = 0; i < n; i++)
		count[part_of[i]]++;
	for (int p = 0, seen = 0; p < parts; p++)
	{
		int			share;

		/* shares add up to k: each part ends where its entries end */
		seen += count[p];
		share = (int) ((double) k * seen / n + 0.5) - start;
		share = Min(share, k - start - (parts - 1 - p));
		clusters->starts[p] = start;
		start += Max(1, Min(share, Max(1, count[p])));
	}
	clusters->starts[parts] = start;
	pfree(count);
}

void
memai_clusters_find(MemaiClusters *clusters, int part, MemaiEntry *const *entries, const int *part_of, int n)
{
	MemaiEntry **members = palloc_extended(sizeof(MemaiEntry *) * (Size) n, MCXT_ALLOC_HUGE);
	int			start = clusters->starts[part];
	int			count = 0;
	Centroids	own = clusters->all;

	for (int i = 0; i < n; i++)
		if (part_of[i] == part)
			members[count++] = entries[i];
	own.k = clusters->starts[part + 1] - start;
	own.codes += (Size) start * own.padded;
	own.scales += start;
	own.norms += start;
	own.sums += start;
	if (count > 0)
		lloyd(&own, members, count, part);
	else
	{
		memcpy(own.codes, clusters->parts.codes + (Size) part * own.padded, own.padded);
		own.scales[0] = clusters->parts.scales[part];
		own.norms[0] = clusters->parts.norms[part];
		own.sums[0] = clusters->parts.sums[part];
	}
	pfree(members);
}

MemaiClusters *
memai_cluster(int padded, MemaiEntry *const *entries, int n, int k)
{
	MemaiClusters *clusters;
	int		   *part_of = palloc_extended(sizeof(int) * (Size) n, MCXT_ALLOC_HUGE);

	k = Max(1, Min(k, n));
	clusters = memai_clusters_at(palloc_extended(memai_clusters_size(padded, k), MCXT_ALLOC_HUGE), padded, k);
	memai_clusters_divide(clusters, entries, n);
	for (int i = 0; i < n; i++)
		part_of[i] = memai_clusters_part(clusters, entries[i]);
	memai_clusters_share(clusters, part_of, n);
	for (int part = 0; part < clusters->parts.k; part++)
		memai_clusters_find(clusters, part, entries, part_of, n);
	pfree(part_of);
	return clusters;
}

int
memai_clusters_parts(const MemaiClusters *clusters)
{
	return clusters->parts.k;
}

int
memai_cluster_count(const MemaiClusters *clusters)
{
	return clusters->starts[clusters->parts.k];
}

/* the NEAR_PARTS parts nearest to an entry, by insertion into a short list */
static int
nearest_parts(const Centroids *parts, const MemaiCode *code, int *near)
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

	if (clusters->parts.k == 1)
		return nearest_in(&clusters->all, 0, clusters->all.k, &entry->code, &best_distance);
	n = nearest_parts(&clusters->parts, &entry->code, near);
	for (int i = 0; i < n; i++)
	{
		float		d;
		int			c = nearest_in(&clusters->all, clusters->starts[near[i]], clusters->starts[near[i] + 1],
								   &entry->code, &d);

		if (i == 0 || d < best_distance)
		{
			best = c;
			best_distance = d;
		}
	}
	return best;
}
