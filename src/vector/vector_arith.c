/*
 * vector_arith.c
 *	  The type vector: arithmetic, concatenation, parts, quantisation.
 */
#include "postgres.h"

#include "utils/float.h"

#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_vector_add);
PG_FUNCTION_INFO_V1(memai_vector_sub);
PG_FUNCTION_INFO_V1(memai_vector_mul);
PG_FUNCTION_INFO_V1(memai_vector_concat);
PG_FUNCTION_INFO_V1(memai_vector_subvector);
PG_FUNCTION_INFO_V1(memai_vector_binary_quantize);

/* a + b */
Datum
memai_vector_add(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);
	MemaiVector *b = GETARG_VECTOR(1);
	MemaiVector *result;

	memai_check_same_dims(&memai_vector_type, a->dim, b->dim);
	result = memai_vector_alloc(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] + b->x[i];
	memai_vector_check_overflow(result);
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* a - b */
Datum
memai_vector_sub(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);
	MemaiVector *b = GETARG_VECTOR(1);
	MemaiVector *result;

	memai_check_same_dims(&memai_vector_type, a->dim, b->dim);
	result = memai_vector_alloc(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] - b->x[i];
	memai_vector_check_overflow(result);
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* the products of the elements; one that vanishes is an error, as in float4mul */
Datum
memai_vector_mul(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);
	MemaiVector *b = GETARG_VECTOR(1);
	MemaiVector *result;

	memai_check_same_dims(&memai_vector_type, a->dim, b->dim);
	result = memai_vector_alloc(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] * b->x[i];
	memai_vector_check_overflow(result);
	for (int i = 0; i < a->dim; i++)
	{
		if (unlikely(result->x[i] == 0 && a->x[i] != 0 && b->x[i] != 0))
			float_underflow_error();
	}
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* a || b */
Datum
memai_vector_concat(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);
	MemaiVector *b = GETARG_VECTOR(1);
	MemaiVector *result = memai_vector_alloc(a->dim + b->dim);

	memcpy(result->x, a->x, a->dim * sizeof(float));
	memcpy(result->x + a->dim, b->x, b->dim * sizeof(float));
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* subvector(vector, start, count): start counts from 1, like substring */
Datum
memai_vector_subvector(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);
	MemaiVector *result;
	int			from;
	int			to;

	memai_subvector_bounds(&memai_vector_type, a->dim, PG_GETARG_INT32(1), PG_GETARG_INT32(2),
						   &from, &to);
	result = memai_vector_alloc(to - from);
	memcpy(result->x, a->x + from, (to - from) * sizeof(float));
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* one bit per element: whether it is greater than zero */
Datum
memai_vector_binary_quantize(PG_FUNCTION_ARGS)
{
	MemaiVector *a = GETARG_VECTOR(0);
	VarBit	   *result = memai_bit_alloc(a->dim);
	bits8	   *bits = VARBITS(result);

	for (int i = 0; i < a->dim; i++)
		bits[i / BITS_PER_BYTE] |= (a->x[i] > 0) << (BITS_PER_BYTE - 1 - i % BITS_PER_BYTE);
	PG_RETURN_VARBIT_P(result);
}
