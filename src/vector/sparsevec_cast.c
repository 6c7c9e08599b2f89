/*
 * sparsevec_cast.c
 *	  The type sparsevec: casts to itself (type modifier), from and to vector
 *	  and halfvec, from arrays.
 */
#include "postgres.h"

#include "utils/array.h"

#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_sparsevec_to_sparsevec);
PG_FUNCTION_INFO_V1(memai_array_to_sparsevec);
PG_FUNCTION_INFO_V1(memai_vector_to_sparsevec);
PG_FUNCTION_INFO_V1(memai_halfvec_to_sparsevec);
PG_FUNCTION_INFO_V1(memai_sparsevec_to_vector);
PG_FUNCTION_INFO_V1(memai_sparsevec_to_halfvec);

/* sparsevec(sparsevec, integer, boolean): check the type modifier */
Datum
memai_sparsevec_to_sparsevec(PG_FUNCTION_ARGS)
{
	MemaiSparsevec *vector = GETARG_SPARSEVEC(0);

	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_POINTER(vector);
}

Datum
memai_sparsevec_from_floats(const float *elements, int dim)
{
	MemaiSparsevec *result;
	int32		nnz = 0;
	int32		n = 0;

	/* NaN is not equal to zero, so it is kept and found by the check */
	for (int i = 0; i < dim; i++)
		nnz += elements[i] != 0;
	result = memai_sparsevec_alloc(dim, nnz);
	for (int i = 0; i < dim; i++)
	{
		if (elements[i] == 0)
			continue;
		result->indices[n] = i;
		MEMAI_SPARSEVEC_VALUES(result)[n] = elements[i];
		n++;
	}
	return memai_sparsevec_result(result);
}

void
memai_sparsevec_to_floats(const MemaiSparsevec *vector, float *elements)
{
	memset(elements, 0, vector->dim * sizeof(float));
	for (int32 i = 0; i < vector->nnz; i++)
		elements[vector->indices[i]] = MEMAI_SPARSEVEC_VALUES(vector)[i];
}

/* array_to_sparsevec(integer[] | real[] | double precision[] | numeric[], integer, boolean) */
Datum
memai_array_to_sparsevec(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			dim = memai_array_length(array);
	float	   *elements;

	memai_check_dim(&memai_sparsevec_type, dim);
	memai_check_typmod(PG_GETARG_INT32(1), dim);
	elements = palloc(mul_size(dim, sizeof(float)));
	memai_array_to_floats(array, elements);
	PG_RETURN_DATUM(memai_sparsevec_from_floats(elements, dim));
}

/* vector_to_sparsevec(vector, integer, boolean) */
Datum
memai_vector_to_sparsevec(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);

	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_DATUM(memai_sparsevec_from_floats(vector->x, vector->dim));
}

/* halfvec_to_sparsevec(halfvec, integer, boolean) */
Datum
memai_halfvec_to_sparsevec(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(0);
	float	   *elements = palloc(vector->dim * sizeof(float));

	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	memai_kernels->f16_to_f32(vector->dim, vector->x, elements);
	PG_RETURN_DATUM(memai_sparsevec_from_floats(elements, vector->dim));
}

/* sparsevec_to_vector(sparsevec, integer, boolean) */
Datum
memai_sparsevec_to_vector(PG_FUNCTION_ARGS)
{
	MemaiSparsevec *vector = GETARG_SPARSEVEC(0);
	MemaiVector *result;

	memai_check_dim(&memai_vector_type, vector->dim);
	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	result = memai_vector_alloc(vector->dim);
	memai_sparsevec_to_floats(vector, result->x);
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* sparsevec_to_halfvec(sparsevec, integer, boolean) */
Datum
memai_sparsevec_to_halfvec(PG_FUNCTION_ARGS)
{
	MemaiSparsevec *vector = GETARG_SPARSEVEC(0);
	float	   *elements;

	memai_check_dim(&memai_halfvec_type, vector->dim);
	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	elements = palloc(vector->dim * sizeof(float));
	memai_sparsevec_to_floats(vector, elements);
	PG_RETURN_DATUM(memai_halfvec_from_floats(elements, vector->dim));
}
