/*
 * vector_cast.c
 *	  The type vector: casts to itself (type modifier) and from and to arrays.
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

void
memai_array_to_floats(ArrayType *array, float *elements)
{
	Oid			type = ARR_ELEMTYPE(array);
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *values;
	int			n;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, &values, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		if (type == INT4OID)
			elements[i] = (float) DatumGetInt32(values[i]);
		else if (type == FLOAT4OID)
			elements[i] = DatumGetFloat4(values[i]);
		else if (type == FLOAT8OID)
			elements[i] = (float) DatumGetFloat8(values[i]);
		else if (type == NUMERICOID)
			elements[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, values[i]));
		else
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("unsupported array type")));
	}
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

/* vector_to_float4(vector, integer, boolean) returns real[] */
Datum
memai_vector_to_float4(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);
	Datum	   *values = palloc(vector->dim * sizeof(Datum));
	ArrayType  *array;

	for (int i = 0; i < vector->dim; i++)
		values[i] = Float4GetDatum(vector->x[i]);
	array = construct_array(values, vector->dim, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT);
	pfree(values);
	PG_RETURN_ARRAYTYPE_P(array);
}
