/*
 * jsonb.c
 *	  Casts between jsonb arrays of numbers and vector or halfvec.  Numbers
 *	  pass through their shortest decimal text, so a round trip loses nothing.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_jsonb_to_vector);
PG_FUNCTION_INFO_V1(memai_jsonb_to_halfvec);
PG_FUNCTION_INFO_V1(memai_vector_to_jsonb);
PG_FUNCTION_INFO_V1(memai_halfvec_to_jsonb);

static float
float_of_numeric(Numeric number, const MemaiVectorType *type)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	size_t		length = strlen(text);
	const char *position = text;
	MemaiParseError error = {.token = text, .length = length};
	float		value = 0;

	memai_report_status(type, memai_parse_float(&position, text + length, &value),
						&error, text, length);
	pfree(text);
	return value;
}

/* The elements of the array, palloc'd; *dim is their number. */
static float *
floats_of_jsonb(Jsonb *json, const MemaiVectorType *type, int *dim)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	float	   *elements;
	int			n = 0;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot cast jsonb to type %s", type->name),
				 errdetail("The value is not an array.")));
	memai_check_dim(type, (int) JB_ROOT_COUNT(json));
	elements = palloc(JB_ROOT_COUNT(json) * sizeof(float));

	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (value.type != jbvNumeric)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("cannot cast jsonb to type %s", type->name),
					 errdetail("Element %d of the array is not a number.", n + 1)));
		elements[n++] = float_of_numeric(value.val.numeric, type);
	}
	*dim = n;
	return elements;
}

static Datum
jsonb_of_floats(const float *elements, int dim)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < dim; i++)
	{
		char		text[FLOAT_SHORTEST_DECIMAL_LEN];

		float_to_shortest_decimal_buf(elements[i], text);
		value.type = jbvNumeric;
		value.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
																ObjectIdGetDatum(InvalidOid),
																Int32GetDatum(-1)));
		pushJsonbValue(&state, WJB_ELEM, &value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)));
}

/* jsonb_to_vector(jsonb, integer, boolean) */
Datum
memai_jsonb_to_vector(PG_FUNCTION_ARGS)
{
	int			dim;
	float	   *elements = floats_of_jsonb(PG_GETARG_JSONB_P(0), &memai_vector_type, &dim);
	MemaiVector *result;

	memai_check_typmod(PG_GETARG_INT32(1), dim);
	result = memai_vector_alloc(dim);
	memcpy(result->x, elements, dim * sizeof(float));
	PG_RETURN_DATUM(memai_vector_result(result));
}

/* jsonb_to_halfvec(jsonb, integer, boolean) */
Datum
memai_jsonb_to_halfvec(PG_FUNCTION_ARGS)
{
	int			dim;
	float	   *elements = floats_of_jsonb(PG_GETARG_JSONB_P(0), &memai_halfvec_type, &dim);

	memai_check_typmod(PG_GETARG_INT32(1), dim);
	PG_RETURN_DATUM(memai_halfvec_from_floats(elements, dim));
}

/* vector_to_jsonb(vector) */
Datum
memai_vector_to_jsonb(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);

	return jsonb_of_floats(vector->x, vector->dim);
}

/* halfvec_to_jsonb(halfvec) */
Datum
memai_halfvec_to_jsonb(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(0);
	float	   *elements = palloc(vector->dim * sizeof(float));

	memai_kernels->f16_to_f32(vector->dim, vector->x, elements);
	return jsonb_of_floats(elements, vector->dim);
}
