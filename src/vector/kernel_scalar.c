/*
 * kernel_scalar.c
 *	  The kernels in portable C: the definition that the other sets are tested
 *	  against, and the fallback.  Sums are kept in double, so this set is the
 *	  most exact one, not the fastest.
 */
#include <math.h>
#include <string.h>

#include "vector/kernel.h"

/* independent sums hide the latency of the addition */
#define LANES 4

static float
f32_dot(size_t n, const float *a, const float *b)
{
	double		sum[LANES] = {0};
	size_t		i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			sum[j] += (double) a[i + j] * b[i + j];
	for (; i < n; i++)
		sum[0] += (double) a[i] * b[i];
	return (float) ((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static float
f32_l2sq(size_t n, const float *a, const float *b)
{
	double		sum[LANES] = {0};
	size_t		i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
		{
			double		difference = (double) a[i + j] - b[i + j];

			sum[j] += difference * difference;
		}
	for (; i < n; i++)
	{
		double		difference = (double) a[i] - b[i];

		sum[0] += difference * difference;
	}
	return (float) ((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static float
f32_l1(size_t n, const float *a, const float *b)
{
	double		sum[LANES] = {0};
	size_t		i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			sum[j] += fabs((double) a[i + j] - b[i + j]);
	for (; i < n; i++)
		sum[0] += fabs((double) a[i] - b[i]);
	return (float) ((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static double
f32_norm2(size_t n, const float *a)
{
	double		sum[LANES] = {0};
	size_t		i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			sum[j] += (double) a[i + j] * a[i + j];
	for (; i < n; i++)
		sum[0] += (double) a[i] * a[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void
f32_cosine(size_t n, const float *a, const float *b, MemaiCosineSums *sums)
{
	sums->dot = f32_dot(n, a, b);
	sums->norm_a = (float) f32_norm2(n, a);
	sums->norm_b = (float) f32_norm2(n, b);
}

static int
f32_finite(size_t n, const float *a)
{
	uint32_t	carry = 0;

	/* an exponent of all ones carries into the sign's place */
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	bits;

		memcpy(&bits, &a[i], sizeof(bits));
		carry |= (bits & UINT32_C(0x7fffffff)) + UINT32_C(0x00800000);
	}
	return (carry & UINT32_C(0x80000000)) == 0;
}

const MemaiKernels memai_kernels_scalar = {
	.name = "scalar",
	.f32_dot = f32_dot,
	.f32_l2sq = f32_l2sq,
	.f32_l1 = f32_l1,
	.f32_cosine = f32_cosine,
	.f32_norm2 = f32_norm2,
	.f32_finite = f32_finite,
};
