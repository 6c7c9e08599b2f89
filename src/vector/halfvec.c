/*
 * halfvec.c
 *	  The type halfvec: making and checking values, text and binary form, type
 *	  modifier.  Both forms are those of pgvector 0.8, byte for byte.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/float.h"

#include "vector/half.h"
#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_halfvec_in);
PG_FUNCTION_INFO_V1(memai_halfvec_out);
PG_FUNCTION_INFO_V1(memai_halfvec_typmod_in);
PG_FUNCTION_INFO_V1(memai_halfvec_recv);
PG_FUNCTION_INFO_V1(memai_halfvec_send);

/* halfway between the largest half and what would be the next one */
#define HALF_LIMIT 65520.0f

MemaiHalfvec *
memai_halfvec_alloc(int dim)
{
	MemaiHalfvec *vector;

	memai_check_dim(&memai_halfvec_type, dim);
	vector = palloc0(MEMAI_HALFVEC_SIZE(dim));
	SET_VARSIZE(vector, MEMAI_HALFVEC_SIZE(dim));
	vector->dim = (int16) dim;
	return vector;
}

MemaiHalfvec *
memai_halfvec_from_datum(Datum datum)
{
	MemaiHalfvec *vector = (MemaiHalfvec *) PG_DETOAST_DATUM(datum);

	if (unlikely(VARSIZE(vector) < offsetof(MemaiHalfvec, x) ||
				 vector->dim < 1 || vector->dim > MEMAI_VECTOR_MAX_DIM ||
				 VARSIZE(vector) != MEMAI_HALFVEC_SIZE(vector->dim)))
		memai_report_corrupt(&memai_halfvec_type, vector);
	return vector;
}

void
memai_halfvec_check_overflow(const MemaiHalfvec *vector)
{
	if (unlikely(!memai_kernels->f16_finite(vector->dim, vector->x)))
		float_overflow_error();
}

Datum
memai_halfvec_result(MemaiHalfvec *vector)
{
	Assert(vector->unused == 0);
	memai_check_dim(&memai_halfvec_type, vector->dim);
	Assert(VARSIZE(vector) == MEMAI_HALFVEC_SIZE(vector->dim));
	if (unlikely(!memai_kernels->f16_finite(vector->dim, vector->x)))
	{
		int			i = 0;

		while (i < vector->dim - 1 &&
			   !memai_half_is_nan(vector->x[i]) && !memai_half_is_infinite(vector->x[i]))
			i++;
		memai_report_not_finite(&memai_halfvec_type, memai_half_is_nan(vector->x[i]));
	}
	return PointerGetDatum(vector);
}

/* halfvec_in(cstring, oid, integer) returns halfvec */
Datum
memai_halfvec_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	size_t		length = strlen(text);
	float		elements[MEMAI_VECTOR_MAX_DIM];
	MemaiParseError error = {0};
	MemaiParseStatus status;
	int			dim = 0;

	status = memai_vector_parse(text, length, MEMAI_VECTOR_MAX_DIM, HALF_LIMIT,
								elements, &dim, &error);
	memai_report_status(&memai_halfvec_type, status, &error, text, length);
	memai_check_typmod(PG_GETARG_INT32(2), dim);
	PG_RETURN_DATUM(memai_halfvec_from_floats(elements, dim));
}

/*
 * halfvec_out(halfvec) returns cstring: the shortest digits that read back the
 * same float4, which is what pgvector prints
 */
Datum
memai_halfvec_out(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(0);
	char	   *text = palloc((size_t) vector->dim * FLOAT_SHORTEST_DECIMAL_LEN + 3);
	char	   *p = text;

	for (int i = 0; i < vector->dim; i++)
	{
		*p++ = i == 0 ? '[' : ',';
		p += float_to_shortest_decimal_bufn(memai_half_to_float(vector->x[i]), p);
	}
	*p++ = ']';
	*p = '\0';
	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_CSTRING(text);
}

/* halfvec_typmod_in(cstring[]) returns integer */
Datum
memai_halfvec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(memai_dimensions_typmod(&memai_halfvec_type, PG_GETARG_ARRAYTYPE_P(0)));
}

/* halfvec_recv(internal, oid, integer) returns halfvec */
Datum
memai_halfvec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			left = message->len - message->cursor;

	/* no more elements than the message can hold */
	MemaiHalfvec *vector = memai_halfvec_alloc(Min(Max(left / (int) sizeof(uint16), 1),
												   MEMAI_VECTOR_MAX_DIM));
	MemaiParseError error = {0};
	MemaiParseStatus status;
	int			dim = 0;
	size_t		used = 0;

	status = memai_halfvec_decode((unsigned char *) message->data + message->cursor, left,
								  MEMAI_VECTOR_MAX_DIM, vector->x, &dim, &used, &error);
	memai_report_status(&memai_halfvec_type, status, &error, NULL, 0);
	message->cursor += (int) used;
	memai_check_typmod(PG_GETARG_INT32(2), dim);

	vector->dim = (int16) dim;
	SET_VARSIZE(vector, MEMAI_HALFVEC_SIZE(dim));
	PG_RETURN_DATUM(memai_halfvec_result(vector));
}

/* halfvec_send(halfvec) returns bytea */
Datum
memai_halfvec_send(PG_FUNCTION_ARGS)
{
	MemaiHalfvec *vector = GETARG_HALFVEC(0);
	StringInfoData message;

	pq_begintypsend(&message);
	enlargeStringInfo(&message, (2 + vector->dim) * (int) sizeof(uint16));
	pq_writeint16(&message, (uint16) vector->dim);
	pq_writeint16(&message, (uint16) vector->unused);
	for (int i = 0; i < vector->dim; i++)
		pq_writeint16(&message, vector->x[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}
