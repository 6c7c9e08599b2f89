/*
 * vector_ops.c
 *	  The type vector: distances and norms.
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
PG_FUNCTION_INFO_V1(memai_vector_sql_similarity);

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

	memai_kernels->f32_cosine(dim, a, b, &sums);
	return memai_cosine_from_sums(&sums);
}

/* an argument of a distance function */
static inline MemaiVector *
get_operand(FunctionCallInfo fcinfo, int argument)
{
	Datum		datum = PG_GETARG_DATUM(argument);
	MemaiVector *vector = memai_vector_from_datum(datum);

	/* a copy would be at a new place each time */
	if ((Pointer) vector == DatumGetPointer(datum))
		memai_prefetch_next(argument, vector, VARSIZE(vector));
	return vector;
}

/* declares both arguments of a distance function, of the same dimension */
#define GETARG_PAIR(a, b) \
	MemaiVector *a = get_operand(fcinfo, 0); \
	MemaiVector *b = get_operand(fcinfo, 1); \
	memai_check_same_dims(&memai_vector_type, a->dim, b->dim)

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
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(memai_spherical_from_dot(memai_vector_inner_product(a->dim, a->x, b->x)));
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

/* 1 - cosine distance / 2, from 0 to 1; 0 when either vector is all zero */
Datum
memai_vector_sql_similarity(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(memai_similarity(memai_vector_cosine_distance(a->dim, a->x, b->x)));
}
