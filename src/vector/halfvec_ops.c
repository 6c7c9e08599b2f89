/*
 * halfvec_ops.c
 *	  The type halfvec: distances, norms, arithmetic, parts, quantisation.
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "vector/half.h"
#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_halfvec_l2_distance);
PG_FUNCTION_INFO_V1(memai_halfvec_l2_squared);
PG_FUNCTION_INFO_V1(memai_halfvec_inner_product);
PG_FUNCTION_INFO_V1(memai_halfvec_negative_inner_product);
PG_FUNCTION_INFO_V1(memai_halfvec_cosine_distance);
PG_FUNCTION_INFO_V1(memai_halfvec_spherical_distance);
PG_FUNCTION_INFO_V1(memai_halfvec_l1_distance);
PG_FUNCTION_INFO_V1(memai_halfvec_similarity);
PG_FUNCTION_INFO_V1(memai_halfvec_dims);
PG_FUNCTION_INFO_V1(memai_halfvec_l2_norm);
PG_FUNCTION_INFO_V1(memai_halfvec_l2_normalize);
PG_FUNCTION_INFO_V1(memai_halfvec_add);
PG_FUNCTION_INFO_V1(memai_halfvec_sub);
PG_FUNCTION_INFO_V1(memai_halfvec_mul);
PG_FUNCTION_INFO_V1(memai_halfvec_concat);
PG_FUNCTION_INFO_V1(memai_halfvec_subvector);
PG_FUNCTION_INFO_V1(memai_halfvec_binary_quantize);

/* an argument of a distance function */
static inline MemaiHalfvec *
get_operand(FunctionCallInfo fcinfo, int argument)
{
	Datum		datum = PG_GETARG_DATUM(argument);
	MemaiHalfvec *vector = memai_halfvec_from_datum(datum);

	/* a copy would be at a new place each time */
	if ((Pointer) vector == DatumGetPointer(datum))
		memai_prefetch_next(argument, vector, VARSIZE(vector));
	return vector;
}

/* declares both arguments of a distance function, of the same dimension */
#define GETARG_PAIR(a, b) \
	MemaiHalfvec *a = get_operand(fcinfo, 0); \
	MemaiHalfvec *b = get_operand(fcinfo, 1); \
	memai_check_same_dims(&memai_halfvec_type, a->dim, b->dim)

static double
cosine_distance(const MemaiHalfvec *a, const MemaiHalfvec *b)
{
	MemaiCosineSums sums;

	memai_kernels->f16_cosine(a->dim, a->x, b->x, &sums);
	return memai_cosine_from_sums(&sums);
}

/* l2_distance(halfvec, halfvec) */
Datum
memai_halfvec_l2_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(sqrt((double) memai_kernels->f16_l2sq(a->dim, a->x, b->x)));
}

/* halfvec_l2_squared_distance(halfvec, halfvec) */
Datum
memai_halfvec_l2_squared(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) memai_kernels->f16_l2sq(a->dim, a->x, b->x));
}

/* inner_product(halfvec, halfvec) */
Datum
memai_halfvec_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) memai_kernels->f16_dot(a->dim, a->x, b->x));
}

/* halfvec_negative_inner_product(halfvec, halfvec) */
Datum
memai_halfvec_negative_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) -memai_kernels->f16_dot(a->dim, a->x, b->x));
}

/* cosine_distance(halfvec, halfvec); NaN when either is all zero */
Datum
memai_halfvec_cosine_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(cosine_distance(a, b));
}

/* halfvec_spherical_distance(halfvec, halfvec) */
Datum
memai_halfvec_spherical_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(memai_spherical_from_dot(memai_kernels->f16_dot(a->dim, a->x, b->x)));
}

/* l1_distance(halfvec, halfvec) */
Datum
memai_halfvec_l1_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) memai_kernels->f16_l1(a->dim, a->x, b->x));
}

/* vector_similarity(halfvec, halfvec) */
Datum
memai_halfvec_similarity(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(memai_similarity(cosine_distance(a, b)));
}

/* vector_dims(halfvec) */
Datum
memai_halfvec_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(GETARG_HALFVEC(0)->dim);
}

/* the Euclidean norm; in double, as 16000 squares of halfs may not fit float */
static double
l2_norm(const MemaiHalfvec *a)
{
	double		sum = 0;

	for (int i = 0; i < a->dim; i++)
	{
		double		x = memai_half_to_float(a->x[i]);

		sum += x * x;
	}
	return sqrt(sum);
}

/* l2_norm(halfvec) */
Datum
memai_halfvec_l2_norm(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(l2_norm(GETARG_HALFVEC(0)));
}

/* l2_normalize(halfvec); a zero vector stays what it is */
Datum
memai_halfvec_l2_normalize(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *a = GETARG_HALFVEC(0);
	MemaiHalfvec *result = memai_halfvec_alloc(a->dim);
	double		norm = l2_norm(a);

	if (norm > 0)
	{
		for (int i = 0; i < a->dim; i++)
			result->x[i] = memai_half_from_float((float) (memai_half_to_float(a->x[i]) / norm));
		memai_halfvec_check_overflow(result);
	}
	PG_RETURN_DATUM(memai_halfvec_result(result));
}

/* a + b */
Datum
memai_halfvec_add(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *a = GETARG_HALFVEC(0);
	MemaiHalfvec *b = GETARG_HALFVEC(1);
	MemaiHalfvec *result;

	memai_check_same_dims(&memai_halfvec_type, a->dim, b->dim);
	result = memai_halfvec_alloc(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = memai_half_from_float(memai_half_to_float(a->x[i]) +
											 memai_half_to_float(b->x[i]));
	memai_halfvec_check_overflow(result);
	PG_RETURN_DATUM(memai_halfvec_result(result));
}

/* a - b */
Datum
memai_halfvec_sub(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *a = GETARG_HALFVEC(0);
	MemaiHalfvec *b = GETARG_HALFVEC(1);
	MemaiHalfvec *result;

	memai_check_same_dims(&memai_halfvec_type, a->dim, b->dim);
	result = memai_halfvec_alloc(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = memai_half_from_float(memai_half_to_float(a->x[i]) -
											 memai_half_to_float(b->x[i]));
	memai_halfvec_check_overflow(result);
	PG_RETURN_DATUM(memai_halfvec_result(result));
}

/* the products of the elements; one that vanishes is an error, as in float4mul */
Datum
memai_halfvec_mul(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *a = GETARG_HALFVEC(0);
	MemaiHalfvec *b = GETARG_HALFVEC(1);
	MemaiHalfvec *result;

	memai_check_same_dims(&memai_halfvec_type, a->dim, b->dim);
	result = memai_halfvec_alloc(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = memai_half_from_float(memai_half_to_float(a->x[i]) *
											 memai_half_to_float(b->x[i]));
	memai_halfvec_check_overflow(result);
	for (int i = 0; i < a->dim; i++)
	{
		if (unlikely(memai_half_is_zero(result->x[i]) &&
					 !memai_half_is_zero(a->x[i]) && !memai_half_is_zero(b->x[i])))
			float_underflow_error();
	}
	PG_RETURN_DATUM(memai_halfvec_result(result));
}

/* a || b */
Datum
memai_halfvec_concat(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *a = GETARG_HALFVEC(0);
	MemaiHalfvec *b = GETARG_HALFVEC(1);
	MemaiHalfvec *result = memai_halfvec_alloc(a->dim + b->dim);

	memcpy(result->x, a->x, a->dim * sizeof(uint16));
	memcpy(result->x + a->dim, b->x, b->dim * sizeof(uint16));
	PG_RETURN_DATUM(memai_halfvec_result(result));
}

/* subvector(halfvec, start, count): start counts from 1, like substring */
Datum
memai_halfvec_subvector(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *a = GETARG_HALFVEC(0);
	MemaiHalfvec *result;
	int			from;
	int			to;

	memai_subvector_bounds(&memai_halfvec_type, a->dim, PG_GETARG_INT32(1), PG_GETARG_INT32(2),
						   &from, &to);
	result = memai_halfvec_alloc(to - from);
	memcpy(result->x, a->x + from, (to - from) * sizeof(uint16));
	PG_RETURN_DATUM(memai_halfvec_result(result));
}

/* one bit per element: whether it is greater than zero */
Datum
memai_halfvec_binary_quantize(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *a = GETARG_HALFVEC(0);
	VarBit	   *result = memai_bit_alloc(a->dim);
	bits8	   *bits = VARBITS(result);

	for (int i = 0; i < a->dim; i++)
	{
		bool		positive = (a->x[i] & MEMAI_HALF_SIGN) == 0 && !memai_half_is_zero(a->x[i]);

		bits[i / BITS_PER_BYTE] |= positive << (BITS_PER_BYTE - 1 - i % BITS_PER_BYTE);
	}
	PG_RETURN_VARBIT_P(result);
}
