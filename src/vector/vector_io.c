/*
 * vector_io.c
 *	  The type vector: text and binary form, type modifier.  Both forms are
 *	  those of pgvector 0.8, byte for byte.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/array.h"

#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_vector_in);
PG_FUNCTION_INFO_V1(memai_vector_out);
PG_FUNCTION_INFO_V1(memai_vector_typmod_in);
PG_FUNCTION_INFO_V1(memai_vector_recv);
PG_FUNCTION_INFO_V1(memai_vector_send);

/* vector_in(cstring, oid, integer) returns vector */
Datum
memai_vector_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	size_t		length = strlen(text);
	float		elements[MEMAI_VECTOR_MAX_DIM];
	MemaiVector *vector;
	MemaiParseError error = {0};
	MemaiParseStatus status;
	int			dim = 0;

	status = memai_vector_parse(text, length, MEMAI_VECTOR_MAX_DIM, INFINITY,
								elements, &dim, &error);
	memai_report_status(&memai_vector_type, status, &error, text, length);
	memai_check_typmod(PG_GETARG_INT32(2), dim);

	vector = memai_vector_alloc(dim);
	memcpy(vector->x, elements, dim * sizeof(float));
	PG_RETURN_DATUM(memai_vector_result(vector));
}

/* vector_out(vector) returns cstring: the shortest digits that read back the same */
Datum
memai_vector_out(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);

	/* per element its digits and a separator; brackets and NUL */
	char	   *text = palloc((size_t) vector->dim * FLOAT_SHORTEST_DECIMAL_LEN + 3);
	char	   *p = text;

	for (int i = 0; i < vector->dim; i++)
	{
		*p++ = i == 0 ? '[' : ',';
		p += float_to_shortest_decimal_bufn(vector->x[i], p);
	}
	*p++ = ']';
	*p = '\0';
	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_CSTRING(text);
}

/* vector_typmod_in(cstring[]) returns integer */
Datum
memai_vector_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(memai_dimensions_typmod(&memai_vector_type, PG_GETARG_ARRAYTYPE_P(0)));
}

/* vector_recv(internal, oid, integer) returns vector */
Datum
memai_vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			left = message->len - message->cursor;

	/* no more elements than the message can hold */
	MemaiVector *vector = memai_vector_alloc(Min(Max(left / (int) sizeof(float), 1),
												 MEMAI_VECTOR_MAX_DIM));
	MemaiParseError error = {0};
	MemaiParseStatus status;
	int			dim = 0;
	size_t		used = 0;

	status = memai_vector_decode((unsigned char *) message->data + message->cursor, left,
								 MEMAI_VECTOR_MAX_DIM, vector->x, &dim, &used, &error);
	memai_report_status(&memai_vector_type, status, &error, NULL, 0);
	message->cursor += (int) used;
	memai_check_typmod(PG_GETARG_INT32(2), dim);

	vector->dim = (int16) dim;
	SET_VARSIZE(vector, MEMAI_VECTOR_SIZE(dim));
	PG_RETURN_DATUM(memai_vector_result(vector));
}

/* vector_send(vector) returns bytea */
Datum
memai_vector_send(PG_FUNCTION_ARGS)
{
	MemaiVector *vector = GETARG_VECTOR(0);
	StringInfoData message;

	pq_begintypsend(&message);
	enlargeStringInfo(&message, 2 * sizeof(int16) + vector->dim * sizeof(float));
	pq_writeint16(&message, (uint16) vector->dim);
	pq_writeint16(&message, (uint16) vector->unused);
	for (int i = 0; i < vector->dim; i++)
	{
		uint32		bits;

		memcpy(&bits, &vector->x[i], sizeof(bits));
		pq_writeint32(&message, bits);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}
