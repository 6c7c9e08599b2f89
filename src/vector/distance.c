/*
 * distance.c
 *	  From the sums that the kernels compute to the distances that SQL shows;
 *	  the same for all vector types.
 */
#include "postgres.h"

#include <math.h>

#include "vector/types.h"

double
memai_cosine_from_sums(const MemaiCosineSums *sums)
{
	/*
	 * one root of the product is exact more often than the product of two
	 * roots
	 */
	double		similarity = sums->dot / sqrt((double) sums->norm_a * (double) sums->norm_b);

	/* rounding must not lead out of [0, 2]; NaN passes both tests */
	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;
	return 1.0 - similarity;
}

double
memai_similarity(double cosine_distance)
{
	/* NaN would sort before the best matches of ORDER BY ... DESC */
	if (isnan(cosine_distance))
		return 0.0;
	return 1.0 - cosine_distance / 2.0;
}

double
memai_spherical_from_dot(double dot)
{
	return acos(Max(-1.0, Min(1.0, dot))) / M_PI;
}
