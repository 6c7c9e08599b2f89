/*
 * vector_cast.c
 *	  The type vector: casts to itself (type modifier) and from and to arrays,
 *	  and the array code of all three types.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_vector_to_vector);
PG_FUNCTION_INFO_V1(memai_array_to_vector);
PG_FUNCTION_INFO_V1(memai_vector_to_float4);

/* vector(vector, integer, boolean): check the type modifier */
Datum
memai_vector_to_vector(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);

	memai_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_POINTER(vector);
}

int
memai_array_length(ArrayType *array)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D")));
	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

static float
float_of_datum(Datum value, Oid type)
{
	switch (type)
	{
		case INT4OID:
			return (float) DatumGetInt32(value);
		case FLOAT8OID:
			return (float) DatumGetFloat8(value);
		case NUMERICOID:
			return DatumGetFloat4(DirectFunctionCall1(numeric_float4, value));
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("unsupported array type")));
			return 0;
	}
}

void
memai_array_to_floats(ArrayType *array, float *elements)
{
	Oid			type = ARR_ELEMTYPE(array);
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *values;
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	/* an array without nulls stores its floats one after another */
	if (type == FLOAT4OID && !ARR_HASNULL(array))
	{
		memcpy(elements, ARR_DATA_PTR(array), n * sizeof(float));
		return;
	}

	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, &values, NULL, &n);
	for (int i = 0; i < n; i++)
		elements[i] = type == FLOAT4OID ? DatumGetFloat4(values[i]) :
			float_of_datum(values[i], type);
	pfree(values);
}

/* array_to_vector(integer[] | real[] | double precision[] | numeric[], integer, boolean) */
Datum
memai_array_to_vector(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			dim = memai_array_length(array);
	MemaiVector *vector = memai_vector_alloc(dim);

	memai_check_typmod(PG_GETARG_INT32(1), dim);
	memai_array_to_floats(array, vector->x);
	PG_RETURN_DATUM(memai_vector_result(vector));
}

ArrayType *
memai_floats_to_array(const float *elements, int n)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + n * sizeof(float);
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), elements, n * sizeof(float));
	return array;
}

/* vector_to_float4(vector, integer, boolean) returns real[] */
Datum
memai_vector_to_float4(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);

	PG_RETURN_ARRAYTYPE_P(memai_floats_to_array(vector->x, vector->dim));
}
