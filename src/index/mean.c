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
#include "vector/kernel.h"

/* rows whose spread is a smaller part of their mean's squared length than this are far from the origin */
#define FAR_SPREAD 0.1f
/*
 * The nearest rows of a wide list are nearer than those of a narrow one with
 * the same mean distance, and farther than those with the same distance of the
 * mean.  Halfway between the two, a search needs the fewest lists (README.md).
 */
#define SPREAD_SHARE 0.5f

double
memai_add_vector(MemaiIndex *index, const MemaiEntry *entry, int centre, float times, float *sum)
{
	int			padded = index->leaf.padded;
	float	   *y = index->work + padded;
	double		norm2 = 0;

	memai_decode(padded, &entry->code, y);
	for (int i = 0; i < padded; i++)
	{
		float		x = centre ? y[i] + index->centre[i] : y[i];

		sum[i] += times * x;
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
		norm2 += memai_add_vector(index, entries[i], centre, 1, mean);
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
	if (index->centre == NULL && n >= MEMAI_CENTRE_ROWS)
		memai_centre_store(index, mean_of(index, entries, n, 0, &ignored), n);
	return index->centre != NULL;
}

bool
memai_centre_urgent(MemaiIndex *index, MemaiEntry *const *entries, int n, int centre)
{
	float		spread;
	float	   *mean;

	if (index->leaf.refine_bits == 0 || n < MEMAI_CENTRE_ROWS)
		return false;
	mean = mean_of(index, entries, n, centre, &spread);
	return spread < FAR_SPREAD * (float) memai_kernels->f32_norm2((size_t) index->leaf.padded, mean);
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
		float		scale = entries[i]->code.scale;

		memset(rotated, 0, sizeof(float) * index->leaf.padded);
		(void) memai_add_vector(index, entries[i], from, 1, rotated);
		memai_entry_encode(index, rotated, to, entries[i]);
		for (int d = 0; d < index->leaf.padded; d++)
			rotated[d] -= to ? index->centre[d] : 0;
		memai_code_coarsen(index->support->metric, index->leaf.padded, rotated, scale,
						   index->leaf.refine_bits == 4 ? 16 : 1, &entries[i]->code);
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
