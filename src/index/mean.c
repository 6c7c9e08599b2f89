/*
 * mean.c
 *	  Means of entries: the index's centre, and what a route knows of a list.
 *
 * Means are taken of the 8-bit codes, which is as good as of the vectors.  A
 * route's entry for a list is the code of the list's mean; its add tells as
 * well how far the rows lie around it, see memai_route_entry.
 */
#include "postgres.h"

#include <math.h>

#include "index/index_int.h"

/* rows from which on the centre is learnt */
#define CENTRE_ROWS 24
/*
 * The nearest rows of a wide list are nearer than those of a narrow one with
 * the same mean distance, and farther than those with the same distance of the
 * mean.  Halfway between the two, a search needs the fewest lists (README.md).
 */
#define SPREAD_SHARE 0.5f

/* adds an entry's rotated vector to a sum; returns its squared length */
static double
add_rotated(MemaiIndex *index, const MemaiEntry *entry, int centre, float *sum)
{
	int			padded = index->leaf.padded;
	float	   *y = index->work + padded;
	double		norm2 = 0;

	memai_decode(padded, &entry->code, y);
	for (int i = 0; i < padded; i++)
	{
		float		x = centre ? y[i] + index->centre[i] : y[i];

		sum[i] += x;
		norm2 += (double) x * x;
	}
	return norm2;
}

/* their mean, palloc'd, and the mean squared distance from it */
static float *
mean_of(MemaiIndex *index, MemaiEntry *const *entries, int n, int centre, float *spread)
{
	float	   *mean = palloc0(sizeof(float) * index->leaf.padded);
	double		norm2 = 0;
	double		mean2 = 0;

	for (int i = 0; i < n; i++)
		norm2 += add_rotated(index, entries[i], centre, mean);
	for (int i = 0; i < index->leaf.padded && n > 0; i++)
	{
		mean[i] /= (float) n;
		mean2 += (double) mean[i] * mean[i];
	}
	*spread = n > 0 ? (float) Max(0, norm2 / n - mean2) : 0;
	return mean;
}

int
memai_centre_for(MemaiIndex *index, MemaiEntry *const *entries, int n, int centre)
{
	float		ignored;

	if (index->leaf.refine_bits == 0)
		return centre;
	if (index->centre == NULL && n >= CENTRE_ROWS)
		memai_centre_store(index, mean_of(index, entries, n, 0, &ignored), n);
	return index->centre != NULL;
}

void
memai_change_centre(MemaiIndex *index, MemaiEntry *const *entries, int n, int from, int to)
{
	float	   *rotated;

	if (from == to)
		return;
	rotated = palloc(sizeof(float) * index->leaf.padded);
	for (int i = 0; i < n; i++)
	{
		memset(rotated, 0, sizeof(float) * index->leaf.padded);
		(void) add_rotated(index, entries[i], from, rotated);
		memai_entry_encode(index, rotated, to, entries[i]);
	}
	pfree(rotated);
}

MemaiEntry *
memai_route_entry(MemaiIndex *index, BlockNumber list, MemaiEntry *const *entries, int n,
				  int centre, int route_centre)
{
	MemaiEntry *entry = palloc0(MEMAI_ENTRY_SIZE(index->leaf.padded));
	float		spread;
	float	   *mean = mean_of(index, entries, n, centre, &spread);
	float		weight = memai_distance_weight(index->support->metric);

	memai_entry_encode(index, mean, route_centre, entry);
	/* an inner product says as much of a wide list as of a narrow one */
	if (index->support->metric != MEMAI_METRIC_IP && isfinite(spread) && entry->code.add < MEMAI_HUGE_NORM)
		entry->code.add = Min(entry->code.add + SPREAD_SHARE * weight * spread, MEMAI_HUGE_NORM);
	ItemPointerSet(&entry->tid, list, 1);
	pfree(mean);
	return entry;
}

float
memai_route_correction(const MemaiLayout *layout, Page page, int slot, MemaiMetric metric)
{
	float		add = *memai_slot_floats(layout, page, slot, layout->add_offset);
	float		factor = *memai_slot_floats(layout, page, slot, layout->factor_offset);
	float		error = *memai_slot_floats(layout, page, slot, layout->error_offset);

	if (metric != MEMAI_METRIC_IP && !(add < MEMAI_HUGE_NORM))
		return 0;
	return memai_distance_weight(metric) * (float) layout->padded * (factor * factor - error * error) - add;
}
