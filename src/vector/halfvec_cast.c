/*
 * halfvec_cast.c
 *	  The type halfvec: casts to itself (type modifier), from and to vector and
 *	  arrays.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "utils/array.h"

#include "vector/half.h"
#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_halfvec_to_halfvec);
PG_FUNCTION_INFO_V1(memai_array_to_halfvec);
PG_FUNCTION_INFO_V1(memai_halfvec_to_float4);
PG_FUNCTION_INFO_V1(memai_halfvec_to_vector);
PG_FUNCTION_INFO_V1(memai_vector_to_halfvec);

/* halfvec(halfvec, integer, boolean): check the type modifier */
Datum
memai_halfvec_to_halfvec(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(0);

	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_POINTER(vector);
}

/* a number that is finite as a float but not as a half */
static void
report_out_of_range(float number)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(number, text);
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type halfvec", text)));
}

Datum
memai_halfvec_from_floats(const float *elements, int dim)
{
	MemaiHalfvec *result = memai_halfvec_alloc(dim);

	memai_kernels->f32_to_f16(dim, elements, result->x);
	if (unlikely(!memai_kernels->f16_finite(dim, result->x)))
	{
		for (int i = 0; i < dim; i++)
		{
			if (memai_half_is_infinite(result->x[i]) && !isinf(elements[i]))
				report_out_of_range(elements[i]);
		}
	}
	return memai_halfvec_result(result);
}

/* array_to_halfvec(integer[] | real[] | double precision[] | numeric[], integer, boolean) */
Datum
memai_array_to_halfvec(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			dim = memai_array_length(array);
	float	   *elements;

	memai_check_dim(&memai_halfvec_type, dim);
	memai_check_typmod(PG_GETARG_INT32(1), dim);
	elements = palloc(dim * sizeof(float));
	memai_array_to_floats(array, elements);
	PG_RETURN_DATUM(memai_halfvec_from_floats(elements, dim));
}

/* halfvec_to_float4(halfvec, integer, boolean) returns real[] */
Datum
memai_halfvec_to_float4(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(0);
	float	   *elements = palloc(vector->dim * sizeof(float));

	memai_kernels->f16_to_f32(vector->dim, vector->x, elements);
	PG_RETURN_ARRAYTYPE_P(memai_floats_to_array(elements, vector->dim));
}

/* halfvec_to_vector(halfvec, integer, boolean) */
Datum
memai_halfvec_to_vector(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(0);
	MemaiVector *result;

	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	result = memai_vector_alloc(vector->dim);
	memai_kernels->f16_to_f32(vector->dim, vector->x, result->x);
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* vector_to_halfvec(vector, integer, boolean) */
Datum
memai_vector_to_halfvec(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);

	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_DATUM(memai_halfvec_from_floats(vector->x, vector->dim));
}
