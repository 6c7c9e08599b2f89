/*
 * aggregate.c
 *	  avg and sum of vector and halfvec.
 *
 * The state is a float8 array, the count of values before the sums of their
 * elements, as in pgvector, so that partial results can be stored and
 * combined.  Sums are kept in double: adding a million floats in float would
 * lose half of their digits.  Inside an aggregate the state is changed in
 * place.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/float.h"

#include "vector/half.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_vector_accum);
PG_FUNCTION_INFO_V1(memai_vector_sum_accum);
PG_FUNCTION_INFO_V1(memai_vector_combine);
PG_FUNCTION_INFO_V1(memai_vector_avg);
PG_FUNCTION_INFO_V1(memai_vector_sum);
PG_FUNCTION_INFO_V1(memai_halfvec_accum);
PG_FUNCTION_INFO_V1(memai_halfvec_sum_accum);
PG_FUNCTION_INFO_V1(memai_halfvec_combine);
PG_FUNCTION_INFO_V1(memai_halfvec_avg);
PG_FUNCTION_INFO_V1(memai_halfvec_sum);

/* the parts of a state */
#define STATE_DIM(state) (ARR_DIMS(state)[0] - 1)
#define STATE_COUNT(state) (((float8 *) ARR_DATA_PTR(state))[0])
#define STATE_SUMS(state) ((float8 *) ARR_DATA_PTR(state) + 1)

/* anyone can call these functions with any array */
static ArrayType *
get_state(FunctionCallInfo fcinfo, int argument, const char *caller)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(argument);

	if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] < 1 ||
		ARR_HASNULL(state) || ARR_ELEMTYPE(state) != FLOAT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s: expected state array", caller)));
	return state;
}

static ArrayType *
make_state(int dim)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + (1 + (Size) dim) * sizeof(float8);
	ArrayType  *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->ndim = 1;
	state->dataoffset = 0;
	state->elemtype = FLOAT8OID;
	ARR_DIMS(state)[0] = dim + 1;
	ARR_LBOUND(state)[0] = 1;
	return state;
}

/* a state of dim dimensions to add to: the given one where that is allowed */
static ArrayType *
writable_state(FunctionCallInfo fcinfo, ArrayType *state, int dim)
{
	ArrayType  *copy;

	if (STATE_DIM(state) == dim && AggCheckCallContext(fcinfo, NULL))
		return state;
	copy = make_state(dim);
	STATE_COUNT(copy) = STATE_COUNT(state);
	memcpy(STATE_SUMS(copy), STATE_SUMS(state), STATE_DIM(state) * sizeof(float8));
	return copy;
}

static void
check_sums(ArrayType *state)
{
	float8	   *sums = STATE_SUMS(state);
	float8		product = 0;

	/* NaN comes from infinity and nothing else: no element is NaN */
	for (int i = 0; i < STATE_DIM(state); i++)
		product += sums[i] * 0;
	if (unlikely(isnan(product)))
		float_overflow_error();
}

/* as_sum chooses between two wordings that pgvector's users know */
static Datum
accumulate(FunctionCallInfo fcinfo, const MemaiVectorType *type, const char *caller,
		   int dim, const float *elements, bool as_sum)
{
	ArrayType  *state = get_state(fcinfo, 0, caller);
	float8	   *sums;

	if (STATE_DIM(state) > 0)
	{
		if (as_sum)
			memai_check_same_dims(type, STATE_DIM(state), dim);
		else
			memai_check_typmod(STATE_DIM(state), dim);
	}
	state = writable_state(fcinfo, state, dim);
	sums = STATE_SUMS(state);
	STATE_COUNT(state) += 1.0;
	for (int i = 0; i < dim; i++)
		sums[i] += (double) elements[i];
	PG_RETURN_ARRAYTYPE_P(state);
}

static Datum
accumulate_halfvec(FunctionCallInfo fcinfo, const char *caller, bool as_sum)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(1);
	float		elements[MEMAI_VECTOR_MAX_DIM];

	memai_kernels->f16_to_f32(vector->dim, vector->x, elements);
	return accumulate(fcinfo, &memai_halfvec_type, caller, vector->dim, elements, as_sum);
}

static Datum
combine(FunctionCallInfo fcinfo, const MemaiVectorType *type, const char *caller)
{
	ArrayType  *state = get_state(fcinfo, 0, caller);
	ArrayType  *other = get_state(fcinfo, 1, caller);
	int			dim = Max(STATE_DIM(state), STATE_DIM(other));

	if (dim > 0)
		memai_check_dim(type, dim);
	if (STATE_DIM(state) > 0 && STATE_DIM(other) > 0)
		memai_check_typmod(STATE_DIM(state), STATE_DIM(other));
	state = writable_state(fcinfo, state, dim);
	STATE_COUNT(state) += STATE_COUNT(other);
	for (int i = 0; i < STATE_DIM(other); i++)
		STATE_SUMS(state)[i] += STATE_SUMS(other)[i];
	check_sums(state);
	PG_RETURN_ARRAYTYPE_P(state);
}

/*
 * The sums divided by divisor as floats, palloc'd; NULL when there was no
 * value, as SQL wants it of avg and sum.
 */
static float *
final_elements(ArrayType *state, const MemaiVectorType *type, bool average)
{
	float8		divisor = average ? STATE_COUNT(state) : 1.0;
	float	   *elements;

	if (STATE_COUNT(state) == 0.0)
		return NULL;
	memai_check_dim(type, STATE_DIM(state));
	elements = palloc(STATE_DIM(state) * sizeof(float));
	for (int i = 0; i < STATE_DIM(state); i++)
		elements[i] = (float) (STATE_SUMS(state)[i] / divisor);
	return elements;
}

static Datum
finish_vector(FunctionCallInfo fcinfo, const char *caller, bool average)
{
	ArrayType  *state = get_state(fcinfo, 0, caller);
	float	   *elements = final_elements(state, &memai_vector_type, average);
	MemaiVector *result;

	if (elements == NULL)
		PG_RETURN_NULL();
	result = memai_vector_alloc(STATE_DIM(state));
	memcpy(result->x, elements, result->dim * sizeof(float));
	pfree(elements);
	if (!average)
		memai_vector_check_overflow(result);
	PG_RETURN_DATUM(memai_vector_result(result));
}

static Datum
finish_halfvec(FunctionCallInfo fcinfo, const char *caller, bool average)
{
	ArrayType  *state = get_state(fcinfo, 0, caller);
	float	   *elements = final_elements(state, &memai_halfvec_type, average);
	MemaiHalfvec *result;

	if (elements == NULL)
		PG_RETURN_NULL();
	result = memai_halfvec_alloc(STATE_DIM(state));
	memai_kernels->f32_to_f16(result->dim, elements, result->x);
	pfree(elements);
	if (!average)
		memai_halfvec_check_overflow(result);
	PG_RETURN_DATUM(memai_halfvec_result(result));
}

/* vector_accum(double precision[], vector) returns double precision[] */
Datum
memai_vector_accum(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(1);

	return accumulate(fcinfo, &memai_vector_type, "vector_accum", vector->dim, vector->x, false);
}

/* _vector_sum_accum(double precision[], vector) returns double precision[] */
Datum
memai_vector_sum_accum(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(1);

	return accumulate(fcinfo, &memai_vector_type, "vector_accum", vector->dim, vector->x, true);
}

/* vector_combine(double precision[], double precision[]) returns double precision[] */
Datum
memai_vector_combine(PG_FUNCTION_ARGS)
{
	return combine(fcinfo, &memai_vector_type, "vector_combine");
}

/* vector_avg(double precision[]) returns vector */
Datum
memai_vector_avg(PG_FUNCTION_ARGS)
{
	return finish_vector(fcinfo, "vector_avg", true);
}

/* _vector_sum(double precision[]) returns vector */
Datum
memai_vector_sum(PG_FUNCTION_ARGS)
{
	return finish_vector(fcinfo, "vector_sum", false);
}

/* halfvec_accum(double precision[], halfvec) returns double precision[] */
Datum
memai_halfvec_accum(PG_FUNCTION_ARGS)
{
	return accumulate_halfvec(fcinfo, "halfvec_accum", false);
}

/* _halfvec_sum_accum(double precision[], halfvec) returns double precision[] */
Datum
memai_halfvec_sum_accum(PG_FUNCTION_ARGS)
{
	return accumulate_halfvec(fcinfo, "halfvec_accum", true);
}

/* halfvec_combine(double precision[], double precision[]) returns double precision[] */
Datum
memai_halfvec_combine(PG_FUNCTION_ARGS)
{
	return combine(fcinfo, &memai_halfvec_type, "halfvec_combine");
}

/* halfvec_avg(double precision[]) returns halfvec */
Datum
memai_halfvec_avg(PG_FUNCTION_ARGS)
{
	return finish_halfvec(fcinfo, "halfvec_avg", true);
}

/* _halfvec_sum(double precision[]) returns halfvec */
Datum
memai_halfvec_sum(PG_FUNCTION_ARGS)
{
	return finish_halfvec(fcinfo, "halfvec_sum", false);
}
