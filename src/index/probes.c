/*
 * probes.c
 *	  How many lists a search reads: measured when the index is built.
 *
 * The measurement needs queries, and rows of the index will not do: a stored
 * row is much easier to find neighbours of than a query to come, for lists
 * were made around it.  Means of three rows are not stored, and between lists
 * rather than in them: what finds their neighbours finds those of other
 * queries too (figures in README.md).
 *
 * The number of lists grows with the table, and the number to be read about
 * with its square root; so that is the unit.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "index/search_int.h"

/* neighbours of each query that are to be found */
#define NEIGHBOURS 10

const float memai_probe_recall[MEMAI_PROBE_POINTS] = {0.80f, 0.90f, 0.95f, 0.98f, 0.99f};

/* for indexes that were not built on enough rows: generous, lists made by inserts are worse */
static const float assumed[MEMAI_PROBE_POINTS] = {0.7f, 1.2f, 2.2f, 4.5f, 9};

int
memai_probe_count(const MemaiIndex *index, int lists)
{
	int			probes = memai_probes > 0 ? memai_probes : MemaiOptions(index->relation, probes, 0);
	const float *factors = index->meta.probe_factors[0] > 0 ? index->meta.probe_factors : assumed;
	double		root = sqrt((double) lists);
	double		recall = 0;
	double		factor = 0;
	int			i = 0;

	if (probes > 0)
		return Max(1, Min(probes, lists));
	while (i < MEMAI_PROBE_POINTS && memai_target_recall > memai_probe_recall[i])
	{
		recall = memai_probe_recall[i];
		factor = factors[i++];
	}
	/* straight between two points, the last being everything */
	{
		double		next_recall = i < MEMAI_PROBE_POINTS ? memai_probe_recall[i] : 1;
		double		next_factor = i < MEMAI_PROBE_POINTS ? factors[i] : Max(root, factor);

		factor += (memai_target_recall - recall) / (next_recall - recall) * (next_factor - factor);
	}
	return (int) Max(1, Min(ceil(factor * root), (double) lists));
}

typedef struct Near
{
	float		distance;
	int			list;			/* how many lists were read before its own */
} Near;

/* the nearest rows after a search of all lists, by 8-bit distance; how many */
static int
nearest_rows(MemaiSearch *search, Near *near)
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
	while (memai_search_peek(search, &c) && !(n == NEIGHBOURS && c.bound >= near[n - 1].distance))
	{
		Near		found;
		float		margin;
		int			at;

		found.distance = memai_search_refine(search, &c, &margin);
		found.list = list_of_page[c.entry / search->rows.stride];
		memai_search_consume(search);
		if (n == NEIGHBOURS && !(found.distance < near[n - 1].distance))
			continue;
		if (n < NEIGHBOURS)
			n++;
		for (at = n - 1; at > 0 && near[at - 1].distance > found.distance; at--)
			near[at] = near[at - 1];
		near[at] = found;
	}
	pfree(list_of_page);
	return n;
}

static int
compare_ints(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	return (x > y) - (x < y);
}

bool
memai_probes_measure(MemaiIndex *index, uint64 hash, int lists, float *const *queries, int n, float *factors)
{
	MemaiSearch *search;
	int		   *needed;
	int			count = 0;

	if (index->leaf.refine_bits == 0 || n == 0 || lists < 2)
		return false;
	search = memai_search_create(index, CurrentMemoryContext);
	needed = palloc(sizeof(int) * n * NEIGHBOURS);
	for (int i = 0; i < n; i++)
	{
		Near		near[NEIGHBOURS];
		int			found;

		CHECK_FOR_INTERRUPTS();
		memai_search_start(search, hash, queries[i], (float) memai_epsilon, lists, MEMAI_MEASURED_ROWS);
		found = nearest_rows(search, near);
		for (int k = 0; k < found; k++)
			needed[count++] = near[k].list + 1;
	}
	if (count < n)
		return false;
	qsort(needed, count, sizeof(int), compare_ints);
	for (int i = 0; i < MEMAI_PROBE_POINTS; i++)
		factors[i] = (float) needed[(int) ceil(memai_probe_recall[i] * count) - 1] / sqrtf((float) lists);
	return true;
}
