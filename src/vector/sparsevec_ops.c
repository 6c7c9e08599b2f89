/*
 * sparsevec_ops.c
 *	  The type sparsevec: distances and norms.  All walk the two lists of
 *	  indices side by side; sums are kept in double and rounded to float at the
 *	  end, like those of the dense types.
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_sparsevec_l2_distance);
PG_FUNCTION_INFO_V1(memai_sparsevec_l2_squared);
PG_FUNCTION_INFO_V1(memai_sparsevec_inner_product);
PG_FUNCTION_INFO_V1(memai_sparsevec_negative_inner_product);
PG_FUNCTION_INFO_V1(memai_sparsevec_cosine_distance);
PG_FUNCTION_INFO_V1(memai_sparsevec_l1_distance);
PG_FUNCTION_INFO_V1(memai_sparsevec_similarity);
PG_FUNCTION_INFO_V1(memai_sparsevec_dims);
PG_FUNCTION_INFO_V1(memai_sparsevec_l2_norm);
PG_FUNCTION_INFO_V1(memai_sparsevec_l2_normalize);

/* declares both arguments of a distance function, of the same dimension */
#define GETARG_PAIR(a, b) \
	MemaiSparsevec *a = GETARG_SPARSEVEC(0); \
	MemaiSparsevec *b = GETARG_SPARSEVEC(1); \
	memai_check_same_dims(&memai_sparsevec_type, a->dim, b->dim)

/* the sum of term(x, y) over all places where a or b has an element */
static inline float
sum_union(const MemaiSparsevec *a, const MemaiSparsevec *b, double (*term) (double x, double y))
{
	const float *x = MEMAI_SPARSEVEC_VALUES(a);
	const float *y = MEMAI_SPARSEVEC_VALUES(b);
	double		sum = 0;
	int32		i = 0;
	int32		j = 0;

	while (i < a->nnz && j < b->nnz)
	{
		if (a->indices[i] == b->indices[j])
			sum += term(x[i++], y[j++]);
		else if (a->indices[i] < b->indices[j])
			sum += term(x[i++], 0);
		else
			sum += term(0, y[j++]);
	}
	for (; i < a->nnz; i++)
		sum += term(x[i], 0);
	for (; j < b->nnz; j++)
		sum += term(0, y[j]);
	return (float) sum;
}

static double
squared_difference(double x, double y)
{
	return (x - y) * (x - y);
}

static double
absolute_difference(double x, double y)
{
	return fabs(x - y);
}

static float
inner_product(const MemaiSparsevec *a, const MemaiSparsevec *b)
{
	const float *x = MEMAI_SPARSEVEC_VALUES(a);
	const float *y = MEMAI_SPARSEVEC_VALUES(b);
	double		sum = 0;
	int32		i = 0;
	int32		j = 0;

	while (i < a->nnz && j < b->nnz)
	{
		if (a->indices[i] == b->indices[j])
			sum += (double) x[i++] * (double) y[j++];
		else if (a->indices[i] < b->indices[j])
			i++;
		else
			j++;
	}
	return (float) sum;
}

static double
sum_of_squares(const MemaiSparsevec *a)
{
	const float *x = MEMAI_SPARSEVEC_VALUES(a);
	double		sum = 0;

	for (int32 i = 0; i < a->nnz; i++)
		sum += (double) x[i] * (double) x[i];
	return sum;
}

static double
cosine_distance(const MemaiSparsevec *a, const MemaiSparsevec *b)
{
	MemaiCosineSums sums;

	sums.dot = inner_product(a, b);
	sums.norm_a = (float) sum_of_squares(a);
	sums.norm_b = (float) sum_of_squares(b);
	return memai_cosine_from_sums(&sums);
}

/* l2_distance(sparsevec, sparsevec) */
Datum
memai_sparsevec_l2_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(sqrt((double) sum_union(a, b, squared_difference)));
}

/* sparsevec_l2_squared_distance(sparsevec, sparsevec) */
Datum
memai_sparsevec_l2_squared(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) sum_union(a, b, squared_difference));
}

/* inner_product(sparsevec, sparsevec) */
Datum
memai_sparsevec_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) inner_product(a, b));
}

/* sparsevec_negative_inner_product(sparsevec, sparsevec) */
Datum
memai_sparsevec_negative_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) -inner_product(a, b));
}

/* cosine_distance(sparsevec, sparsevec); NaN when either is all zero */
Datum
memai_sparsevec_cosine_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(cosine_distance(a, b));
}

/* l1_distance(sparsevec, sparsevec) */
Datum
memai_sparsevec_l1_distance(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8((double) sum_union(a, b, absolute_difference));
}

/* vector_similarity(sparsevec, sparsevec) */
Datum
memai_sparsevec_similarity(PG_FUNCTION_ARGS)
{
	GETARG_PAIR(a, b);
	PG_RETURN_FLOAT8(memai_similarity(cosine_distance(a, b)));
}

/* vector_dims(sparsevec) */
Datum
memai_sparsevec_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(GETARG_SPARSEVEC(0)->dim);
}

/* l2_norm(sparsevec) */
Datum
memai_sparsevec_l2_norm(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(sum_of_squares(GETARG_SPARSEVEC(0))));
}

/* l2_normalize(sparsevec); elements that vanish are left out */
Datum
memai_sparsevec_l2_normalize(PG_FUNCTION_ARGS)
{
	MemaiSparsevec *a = GETARG_SPARSEVEC(0);
	const float *x = MEMAI_SPARSEVEC_VALUES(a);
	double		norm = sqrt(sum_of_squares(a));
	MemaiSparsevec *result;
	int32		nnz = 0;
	int32		n = 0;

	for (int32 i = 0; i < a->nnz; i++)
		nnz += (float) (x[i] / norm) != 0;
	result = memai_sparsevec_alloc(a->dim, nnz);
	for (int32 i = 0; i < a->nnz; i++)
	{
		float		value = (float) (x[i] / norm);

		if (value == 0)
			continue;
		if (unlikely(isinf(value)))
			float_overflow_error();
		result->indices[n] = a->indices[i];
		MEMAI_SPARSEVEC_VALUES(result)[n] = value;
		n++;
	}
	PG_RETURN_DATUM(memai_sparsevec_result(result));
}
