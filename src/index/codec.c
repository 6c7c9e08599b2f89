/*
 * codec.c
 *	  Rotation, 1-bit and 8-bit codes, and queries against them; see codec.h.
 */
#include <math.h>
#include <string.h>

#include "index/codec.h"
#include "vector/kernel.h"

/* rounding is allowed for with so many standard errors at least: one code in 16,000 is off by more */
#define LEAST_MARGIN 4

/* splitmix64 (Steele, Lea and Flood 2014); the index format depends on it */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
memai_rotation_init(MemaiRotation *rotation, int dim, int padded)
{
	uint64_t	state = 0x6d656d61692d4958;

	rotation->dim = dim;
	rotation->padded = padded;
	rotation->block = 64;
	while (rotation->block * 2 <= padded)
		rotation->block *= 2;
	for (int i = 0; i < 4 * padded / 64; i++)
		rotation->signs[i] = next_random(&state);
}

static void
flip_signs(int n, const uint64_t *signs, float *x)
{
	for (int i = 0; i < n; i += 64)
	{
		uint64_t	word = signs[i / 64];

		for (int j = 0; j < 64; j++)
		{
			uint32_t	bits;

			memcpy(&bits, &x[i + j], sizeof(bits));
			bits ^= (uint32_t) ((word >> j) & 1) << 31;
			memcpy(&x[i + j], &bits, sizeof(bits));
		}
	}
}

void
memai_rotate(const MemaiRotation *rotation, const float *in, float *out)
{
	const MemaiScanKernels *kernels = memai_scan_kernels();
	int			padded = rotation->padded;
	int			block = rotation->block;
	float		norm = 1.0f / sqrtf((float) block);

	memcpy(out, in, sizeof(float) * (size_t) rotation->dim);
	memset(out + rotation->dim, 0, sizeof(float) * (size_t) (padded - rotation->dim));
	for (int round = 0; round < 4; round++)
	{
		float	   *part = (round & 1) ? out + padded - block : out;

		flip_signs(padded, rotation->signs + round * padded / 64, out);
		kernels->hadamard((size_t) block, part);
		for (int i = 0; i < block; i++)
			part[i] *= norm;
	}
}

/* y on the grid of the code's scale */
static void
fill_grid(int padded, const float *y, MemaiCode *code)
{
	float		inverse = code->scale > 0 ? 1 / code->scale : 0;

	for (int i = 0; i < padded; i++)
	{
		float		u = y[i] * inverse + 128;

		u = u < 0 ? 0 : u > 255 ? 255 : u;
		code->u[i] = (uint8_t) u;
	}
}

void
memai_encode(MemaiMetric metric, int padded, const float *y, const float *centre, MemaiCode *code)
{
	float		norm2 = memai_kernels->f32_dot((size_t) padded, y, y);
	float		sum = 0;
	float		max = 0;
	float		cosine2;

	for (int i = 0; i < padded; i++)
	{
		float		size = fabsf(y[i]);

		sum += size;
		max = size > max ? size : max;
	}
	code->factor = sum > 0 ? norm2 / sum : 0;
	/* squared cosine between y and its signs */
	cosine2 = norm2 > 0 ? sum * sum / ((float) padded * norm2) : 1;
	code->error = cosine2 < 1 ? code->factor * sqrtf(1 - cosine2) : 0;
	code->scale = max / 127.5f;
	fill_grid(padded, y, code);
	if (!(norm2 < MEMAI_HUGE_NORM))
	{
		/* out of the range of float: a bound that the exact distance is not below */
		code->factor = code->error = 0;
		code->add = metric == MEMAI_METRIC_IP ? -MEMAI_HUGE_NORM : MEMAI_HUGE_NORM;
		return;
	}
	switch (metric)
	{
		case MEMAI_METRIC_COSINE:
			code->add = norm2 / 2;
			break;
		case MEMAI_METRIC_L2:
			code->add = norm2;
			break;
		case MEMAI_METRIC_IP:
			code->add = centre ? -memai_kernels->f32_dot((size_t) padded, y, centre) : 0;
			break;
	}
}

void
memai_code_coarsen(MemaiMetric metric, int padded, const float *y, float scale, float steps, MemaiCode *code)
{
	/* of what rounding lost in each dimension */
	float		variance = scale * scale * steps * steps / 12;

	if (code->scale < scale)
	{
		code->scale = scale;
		fill_grid(padded, y, code);
	}
	if (!(fabsf(code->add) < MEMAI_HUGE_NORM))
		return;
	code->error = sqrtf(code->error * code->error + variance);
	/* rounding makes squared lengths greater by this on average */
	if (metric != MEMAI_METRIC_IP)
		code->add -= memai_distance_weight(metric) * (float) padded * variance;
}

void
memai_decode(int padded, const MemaiCode *code, float *y)
{
	for (int i = 0; i < padded; i++)
		y[i] = code->scale * ((float) code->u[i] - 127.5f);
}

/* sums of the 16 subsets of four numbers */
static void
subset_sums(const float *r, float *sums)
{
	sums[0] = 0;
	for (int bit = 0; bit < 4; bit++)
		for (int i = 0; i < 1 << bit; i++)
			sums[(1 << bit) + i] = sums[i] + r[bit];
}

/* the table for r: entries are step * (value - least of its group) */
static void
fill_lut(MemaiQuery *query, const float *r, float *step, float *least_sum)
{
	int			groups = query->padded / 4;
	float		widest = 0;

	*least_sum = 0;
	for (int g = 0; g < groups; g++)
	{
		float		least = 0;
		float		most = 0;

		for (int i = 0; i < 4; i++)
		{
			least += r[4 * g + i] < 0 ? r[4 * g + i] : 0;
			most += r[4 * g + i] > 0 ? r[4 * g + i] : 0;
		}
		*least_sum += least;
		widest = most - least > widest ? most - least : widest;
	}
	*step = widest / MEMAI_LUT_MAX;
	for (int g = 0; g < groups; g++)
	{
		/* low halves of the bytes first, then the high halves */
		uint8_t    *row = query->lut + MEMAI_BLOCK_WIDTH * ((g & 1) * (groups / 2) + g / 2);
		float		sums[16];
		float		least = 0;
		float		inverse = *step > 0 ? 1 / *step : 0;

		subset_sums(r + 4 * g, sums);
		for (int i = 0; i < 4; i++)
			least += r[4 * g + i] < 0 ? r[4 * g + i] : 0;
		for (int i = 0; i < 16; i++)
			row[i] = (uint8_t) ((sums[i] - least) * inverse + 0.5f);
	}
}

void
memai_query_prepare(MemaiQuery *query, MemaiMetric metric, int padded,
					const float *q, const float *centre, float epsilon, float *r)
{
	float		norm2 = 0;
	float		total = 0;
	float		max = 0;
	float		weight = metric == MEMAI_METRIC_L2 ? 2 : 1;
	float		step;
	float		least_sum;
	float		r_scale;
	float		inverse;
	int32_t		sum = 0;
	int32_t		rest_sum = 0;

	query->metric = metric;
	query->padded = padded;
	for (int i = 0; i < padded; i++)
	{
		r[i] = centre ? q[i] - centre[i] : q[i];
		norm2 += r[i] * r[i];
		total += r[i];
		max = fabsf(r[i]) > max ? fabsf(r[i]) : max;
	}
	if (metric == MEMAI_METRIC_IP)
		query->terms.base = centre ? -memai_kernels->f32_dot((size_t) padded, q, centre) : 0;
	else
		query->terms.base = metric == MEMAI_METRIC_L2 ? norm2 : norm2 / 2;
	if (!(norm2 < MEMAI_HUGE_NORM))
	{
		/* no order before the exact distances */
		memset(r, 0, sizeof(float) * (size_t) padded);
		norm2 = total = max = query->terms.base = 0;
	}

	/* <signs, r> = 2 * (sum of r where the sign is positive) - total */
	fill_lut(query, r, &step, &least_sum);
	query->terms.sum_weight = weight * 2 * step;
	query->terms.sum_offset = weight * (2 * least_sum - total);
	query->terms.error_weight = weight * epsilon * sqrtf(norm2);

	r_scale = max / 127;
	inverse = r_scale > 0 ? 1 / r_scale : 0;
	for (int i = 0; i < padded; i++)
	{
		float		v = r[i] * inverse;
		int			whole = (int) (v + (v < 0 ? -0.5f : 0.5f));
		float		rest = (v - (float) whole) * MEMAI_REST_STEPS;
		int			steps = (int) (rest + (rest < 0 ? -0.5f : 0.5f));

		query->r8[i] = (int8_t) whole;
		query->r8_rest[i] = (int8_t) steps;
		sum += whole;
		rest_sum += steps;
	}
	query->sum[0] = sum;
	query->sum[1] = rest_sum;
	query->dot_weight = weight * r_scale;
	/* standard errors of the code's rounding; the query's is nothing beside it */
	query->margin = (epsilon > LEAST_MARGIN ? epsilon : LEAST_MARGIN) * weight * sqrtf(norm2 / 12);
}

float
memai_query_estimate(const MemaiQuery *query, float add, float scale, const uint8_t *u)
{
	int32_t		dot = memai_kernels->u8i8_dot((size_t) query->padded, u, query->r8);
	int32_t		rest = memai_kernels->u8i8_dot((size_t) query->padded, u, query->r8_rest);
	float		product = (float) dot - 127.5f * (float) query->sum[0] +
		((float) rest - 127.5f * (float) query->sum[1]) / MEMAI_REST_STEPS;

	return query->terms.base + add - query->dot_weight * scale * product;
}
