/*
 * codec.h
 *	  From vectors to codes and from codes to distances.  Pure: no palloc, no
 *	  ereport, no pages.
 *
 * A vector x is rotated to x' and written as y = x' - g, g being the centre.
 * The 1-bit code is the signs of y with three numbers (RaBitQ: Gao and Long,
 * SIGMOD 2024), the 8-bit code y on a uniform grid.  Distances are measured in
 * the metric's own unit: half the squared distance of the normalised vectors
 * for cosine, the squared distance for L2, the negative inner product.  All
 * three have the form  base + add - weight * <y, q' - g>.
 */
#ifndef MEMAI_INDEX_CODEC_H
#define MEMAI_INDEX_CODEC_H

#include <stdint.h>

#include "index/scan_kernel.h"

typedef enum MemaiMetric
{
	MEMAI_METRIC_COSINE = 1,
	MEMAI_METRIC_L2,
	MEMAI_METRIC_IP
} MemaiMetric;

/* the largest padded dimension's sign words of four rounds */
#define MEMAI_ROTATION_WORDS (4 * 7808 / 64)

/*
 * A fixed pseudo-random orthogonal map: four rounds of sign changes and a
 * Hadamard transform of the first or last 2^n elements.
 */
typedef struct MemaiRotation
{
	int			dim;
	int			padded;
	int			block;			/* greatest power of two not above padded */
	uint64_t	signs[MEMAI_ROTATION_WORDS];
} MemaiRotation;

extern void memai_rotation_init(MemaiRotation *rotation, int dim, int padded);

/* out has padded elements, in dim; they may not overlap */
extern void memai_rotate(const MemaiRotation *rotation, const float *in, float *out);

/* what the index knows of a vector, apart from whose it is */
typedef struct MemaiCode
{
	float		add;
	float		factor;			/* |y|^2 / sum |y_i| */
	float		error;			/* the 1-bit product's standard error per |q' - g| */
	float		scale;			/* y_i = scale * (u[i] - 127.5) */
	uint8_t		u[];			/* padded elements; the top bit is the sign of y_i */
} MemaiCode;

/* Encodes y; centre may be NULL, meaning zero. */
extern void memai_encode(MemaiMetric metric, int padded, const float *y,
						 const float *centre, MemaiCode *code);
extern void memai_decode(int padded, const MemaiCode *code, float *y);
/*
 * y came from an older code with that scale and as many times coarser steps
 * as codes have when they are stored; makes the new code of y, which may have
 * a finer scale, say no more than that code did: bounds allow for what it had lost.
 */
extern void memai_code_coarsen(MemaiMetric metric, int padded, const float *y, float scale, float steps,
							   MemaiCode *code);

/* squared norms beyond this are not calculated with */
#define MEMAI_HUGE_NORM 1e36f

/* of a squared length in a distance */
static inline float
memai_distance_weight(MemaiMetric metric)
{
	return metric == MEMAI_METRIC_COSINE ? 0.5f : 1;
}

#define MEMAI_REST_STEPS 254

/* a query against one centre */
typedef struct MemaiQuery
{
	MemaiMetric metric;
	int			padded;
	MemaiBoundTerms terms;
	float		dot_weight;		/* of the integer product, per scale */
	float		margin;			/* error bound of an 8-bit distance, per scale */
	int32_t		sum[2];			/* of r8 and r8_rest */
	int8_t	   *r8;				/* padded elements: q' - g in steps */
	int8_t	   *r8_rest;		/* what that rounds off, in 1/MEMAI_REST_STEPS of a step */
	uint8_t    *lut;			/* 4 * padded bytes */
} MemaiQuery;

/*
 * Prepares a query from the rotated q and the centre (NULL for zero); r8, r8_rest
 * and lut must point to room enough; work to padded floats.  epsilon is the
 * number of standard errors that bounds take into account.
 */
extern void memai_query_prepare(MemaiQuery *query, MemaiMetric metric, int padded,
								const float *q, const float *centre, float epsilon,
								float *work);

/* distance by the 8-bit code */
extern float memai_query_estimate(const MemaiQuery *query, float add, float scale, const uint8_t *u);

#endif							/* MEMAI_INDEX_CODEC_H */
