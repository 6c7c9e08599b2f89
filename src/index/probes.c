/*
 * probes.c
 *	  How many lists a search reads: measured when the index is built, and as
 *	  it grows (measure.c).
 *
 * A search reads the lists that are not much farther from the query than the
 * nearest list is.  How much is measured, and the same for queries near to
 * rows and far from them, while the number of lists is not: that of queries
 * amidst lists is many times that of queries at the middle of one.  (Rows of
 * the table as queries would need a tenth of the lists that others need, but
 * three quarters of the distance; figures in README.md.)
 *
 * The queries are sums of rows, which lie between lists rather than in them,
 * and rows, which need more where nothing is near anything: in noise a sum is
 * nearer to all rows than they are to each other.  The larger need counts.
 *
 * The number of lists is measured as well, for the planner and as a bound.  It
 * grows about with the square root of that of all lists; so that is the unit.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "index/search_int.h"
#include "vector/kernel.h"

const float memai_probe_recall[MEMAI_PROBE_POINTS] = {0.80f, 0.90f, 0.95f, 0.98f, 0.99f};

/* where it cannot be measured, for want of 8-bit codes: generous, lists made by inserts are worse */
static const float assumed[MEMAI_PROBE_POINTS] = {0.7f, 1.2f, 2.2f, 4.5f, 9};

/* the value for memai.target_recall: straight between two points, from 0 to last */
static double
interpolate(const float *points, double last)
{
	double		recall = 0;
	double		value = 0;
	int			i = 0;

	while (i < MEMAI_PROBE_POINTS && memai_target_recall > memai_probe_recall[i])
	{
		recall = memai_probe_recall[i];
		value = points[i++];
	}
	{
		double		next_recall = i < MEMAI_PROBE_POINTS ? memai_probe_recall[i] : 1;
		double		next = i < MEMAI_PROBE_POINTS ? points[i] : Max(last, value);

		return value + (memai_target_recall - recall) / (next_recall - recall) * (next - value);
	}
}

static int
fixed_probes(const MemaiIndex *index)
{
	return memai_probes > 0 ? memai_probes : MemaiOptions(index->relation, probes, 0);
}

int
memai_probe_count(const MemaiIndex *index, int lists)
{
	int			probes = fixed_probes(index);
	const float *factors = index->meta.probes.factors[0] > 0 ? index->meta.probes.factors : assumed;
	double		root = sqrt((double) lists);

	if (probes > 0)
		return Max(1, Min(probes, lists));
	if (index->meta.probes.factors[0] == 0 && lists < MEMAI_LEAST_MEASURED)
		return Max(1, lists);
	/* at last all lists */
	return (int) Max(1, Min(ceil(interpolate(factors, root) * root), (double) lists));
}

float
memai_probe_gap(const MemaiIndex *index, float length)
{
	const float *gaps = index->meta.probes.gaps;
	float		gap;

	if (fixed_probes(index) > 0 || !(gaps[MEMAI_PROBE_POINTS - 1] > 0))
		return 0;
	gap = (float) interpolate(gaps, MEMAI_HUGE_NORM);
	/* a longer query has greater inner products with everything */
	if (index->support->metric == MEMAI_METRIC_IP)
		gap *= length;
	return Max(gap, FLT_MIN);
}

typedef struct Near
{
	float		distance;
	int			list;			/* how many lists were read before its own */
} Near;

/* the wanted nearest rows after a search of all lists, by 8-bit distance; how many there are */
static int
nearest_rows(MemaiSearch *search, int wanted, Near *near)
{
	int		   *list_of_page = palloc(sizeof(int) * Max(search->rows.npages, 1));
	MemaiCandidate c;
	int			n = 0;

	for (int page = 0, list = 0; page < search->rows.npages; page++)
	{
		if (page > 0 && search->rows.pages[page].list_id != search->rows.pages[page - 1].list_id)
			list++;
		list_of_page[page] = list;
	}
	while (memai_search_peek(search, &c) && !(n == wanted && c.bound >= near[n - 1].distance))
	{
		Near		found;
		float		margin;
		int			at;

		found.distance = memai_search_refine(search, &c, &margin);
		found.list = list_of_page[c.entry / search->rows.stride];
		memai_search_consume(search);
		if (n == wanted && !(found.distance < near[n - 1].distance))
			continue;
		if (n < wanted)
			n++;
		for (at = n - 1; at > 0 && near[at - 1].distance > found.distance; at--)
			near[at] = near[at - 1];
		near[at] = found;
	}
	pfree(list_of_page);
	return n;
}

static int
compare_lists(const void *a, const void *b)
{
	int			x = ((const MemaiProbeNeed *) a)->lists;
	int			y = ((const MemaiProbeNeed *) b)->lists;

	return (x > y) - (x < y);
}

static int
compare_gaps(const void *a, const void *b)
{
	float		x = ((const MemaiProbeNeed *) a)->gap;
	float		y = ((const MemaiProbeNeed *) b)->gap;

	return (x > y) - (x < y);
}

int
memai_probes_query(MemaiSearch *search, uint64 hash, int lists, const float *query, bool is_row,
				   MemaiProbeNeed *needs)
{
	Near		near[MEMAI_PROBE_NEIGHBOURS + 1];
	const MemaiPool *read = &search->lists;
	float		scale = search->index->support->metric == MEMAI_METRIC_IP ?
		sqrtf(memai_kernels->f32_norm2(search->index->leaf.padded, query)) : 1;
	int			n;

	memai_search_start(search, hash, query, (float) memai_epsilon, lists, MEMAI_MEASURED_ROWS);
	n = nearest_rows(search, MEMAI_PROBE_NEIGHBOURS + is_row, near);
	for (int i = is_row; i < n; i++)
	{
		/* the lists are still there in the order in which they were read */
		int			at = Min(near[i].list, read->n - 1);

		needs->lists = near[i].list + 1;
		needs->gap = (read->least[at].bound - read->least[0].bound) / scale;
		if (!(needs->gap < MEMAI_HUGE_NORM))
			needs->gap = MEMAI_HUGE_NORM;
		needs++;
	}
	return Max(n - is_row, 0);
}

/* which of count needs in ascending order is that of a share of recall */
static int
need_for(float recall, double margin, int count)
{
	return (int) ceil((recall + (1 - recall) * margin) * count) - 1;
}

void
memai_probes_raise(MemaiProbeTable *probes, MemaiProbeNeed *needs, int count, double margin, int lists)
{
	qsort(needs, count, sizeof(MemaiProbeNeed), compare_lists);
	for (int i = 0; i < MEMAI_PROBE_POINTS; i++)
		probes->factors[i] = Max(probes->factors[i],
								 (float) needs[need_for(memai_probe_recall[i], margin, count)].lists / sqrtf((float) lists));
	qsort(needs, count, sizeof(MemaiProbeNeed), compare_gaps);
	for (int i = 0; i < MEMAI_PROBE_POINTS; i++)
		probes->gaps[i] = Max(probes->gaps[i], needs[need_for(memai_probe_recall[i], margin, count)].gap);
	probes->lists = (uint32) lists;
}
