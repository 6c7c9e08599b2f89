/*
 * vector_ops.c
 *	  The type vector: distances, norms and order.
 */
#include "postgres.h"

#include <math.h>

#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_vector_sql_l2_distance);
PG_FUNCTION_INFO_V1(memai_vector_sql_l2_squared);
PG_FUNCTION_INFO_V1(memai_vector_sql_inner_product);
PG_FUNCTION_INFO_V1(memai_vector_sql_negative_inner_product);
PG_FUNCTION_INFO_V1(memai_vector_sql_cosine_distance);
PG_FUNCTION_INFO_V1(memai_vector_sql_spherical_distance);
PG_FUNCTION_INFO_V1(memai_vector_sql_l1_distance);
PG_FUNCTION_INFO_V1(memai_vector_sql_dims);
PG_FUNCTION_INFO_V1(memai_vector_sql_norm);
PG_FUNCTION_INFO_V1(memai_vector_sql_l2_normalize);
PG_FUNCTION_INFO_V1(memai_vector_lt);
PG_FUNCTION_INFO_V1(memai_vector_le);
PG_FUNCTION_INFO_V1(memai_vector_eq);
PG_FUNCTION_INFO_V1(memai_vector_ne);
PG_FUNCTION_INFO_V1(memai_vector_ge);
PG_FUNCTION_INFO_V1(memai_vector_gt);
PG_FUNCTION_INFO_V1(memai_vector_cmp);

float
memai_vector_inner_product(int dim, const float *a, const float *b)
{
	return memai_kernels->f32_dot(dim, a, b);
}

float
memai_vector_l2_squared(int dim, const float *a, const float *b)
{
	return memai_kernels->f32_l2sq(dim, a, b);
}

double
memai_vector_cosine_distance(int dim, const float *a, const float *b)
{
	MemaiCosineSums sums;
	double		similarity;

	memai_kernels->f32_cosine(dim, a, b, &sums);
	similarity = (double) sums.dot / sqrt((double) sums.norm_a * (double) sums.norm_b);

	/* rounding must not lead out of [0, 2]; NaN passes both tests */
	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;
	return 1.0 - similarity;
}

/* declares both arguments of a distance function, of the same dimension */
#define GETARG_PAIR(a, b) \
	MemaiVector *a = GETARG_VECTOR(0); \
	MemaiVector *b = GETARG_VECTOR(1); \
	memai_check_same_dims("vector", a->dim, b->dim)

Datum
memai_vector_sql_l2_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(sqrt((double) memai_vector_l2_squared(a->dim, a->x, b->x)));
}

Datum
memai_vector_sql_l2_squared(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) memai_vector_l2_squared(a->dim, a->x, b->x));
}

Datum
memai_vector_sql_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) memai_vector_inner_product(a->dim, a->x, b->x));
}

Datum
memai_vector_sql_negative_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) -memai_vector_inner_product(a->dim, a->x, b->x));
}

/* NaN when either vector is all zero, as in pgvector: it sorts behind all others */
Datum
memai_vector_sql_cosine_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(memai_vector_cosine_distance(a->dim, a->x, b->x));
}

/* the angle between two unit vectors, in units of pi */
Datum
memai_vector_sql_spherical_distance(PG_FUNCTION_ARGS)
{
	double		dot;

	GETARG_PAIR(a, b);
	dot = (double) memai_vector_inner_product(a->dim, a->x, b->x);
	PG_RETURN_FLOAT8(acos(Max(-1.0, Min(1.0, dot))) / M_PI);
}

Datum
memai_vector_sql_l1_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) memai_kernels->f32_l1(a->dim, a->x, b->x));
}

Datum
memai_vector_sql_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(GETARG_VECTOR(0)->dim);
}

Datum
memai_vector_sql_norm(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);

	PG_RETURN_FLOAT8(sqrt(memai_kernels->f32_norm2(a->dim, a->x)));
}

/* the vector of length 1 with the same direction; a zero vector stays what it is */
Datum
memai_vector_sql_l2_normalize(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);
	MemaiVector *result = memai_vector_alloc(a->dim);
	double		norm = sqrt(memai_kernels->f32_norm2(a->dim, a->x));

	if (norm > 0)
	{
		for (int i = 0; i < a->dim; i++)
			result->x[i] = (float) (a->x[i] / norm);
		memai_vector_check_overflow(result);
	}
	PG_RETURN_DATUM(memai_vector_result(result));
}

int
memai_vector_compare(const MemaiVector *a, const MemaiVector *b)
{
	int			dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (a->x[i] < b->x[i])
			return -1;
		if (a->x[i] > b->x[i])
			return 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

/* btree calls these many times in one memory context: leave nothing behind */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	MemaiVector *a = GETARG_VECTOR(0);
	MemaiVector *b = GETARG_VECTOR(1);
	int			order = memai_vector_compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

Datum
memai_vector_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

Datum
memai_vector_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

Datum
memai_vector_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

Datum
memai_vector_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

Datum
memai_vector_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

Datum
memai_vector_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

Datum
memai_vector_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}
