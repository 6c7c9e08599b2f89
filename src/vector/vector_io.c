/*
 * vector_io.c
 *	  The type vector: text and binary form, type modifier.  Both forms are
 *	  those of pgvector 0.8, byte for byte.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/array.h"

#include "vector/kernel.h"
#include "vector/parse.h"
#include "vector/types.h"

/* so much of a wrong input is repeated in the error message */
#define ERROR_TEXT_LENGTH 100

PG_FUNCTION_INFO_V1(memai_vector_in);
PG_FUNCTION_INFO_V1(memai_vector_out);
PG_FUNCTION_INFO_V1(memai_vector_typmod_in);
PG_FUNCTION_INFO_V1(memai_vector_recv);
PG_FUNCTION_INFO_V1(memai_vector_send);

/* the beginning of a text, cut at a character, palloc'd */
static char *
excerpt(const char *text, size_t length)
{
	if (length <= ERROR_TEXT_LENGTH)
		return pnstrdup(text, length);
	return psprintf("%.*s...", pg_mbcliplen(text, ERROR_TEXT_LENGTH + MAX_MULTIBYTE_CHAR_LEN,
											ERROR_TEXT_LENGTH), text);
}

void
memai_report_parse_error(MemaiParseStatus status, const MemaiParseError *error,
						 const char *type, int max_dim, const char *text, size_t length)
{
	switch (status)
	{
		case MEMAI_PARSE_OK:
			return;
		case MEMAI_PARSE_EMPTY:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("%s must have at least 1 dimension", type)));
			break;
		case MEMAI_PARSE_TOO_MANY:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s cannot have more than %d dimensions", type, max_dim)));
			break;
		case MEMAI_PARSE_RANGE:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%s\" is out of range for type %s",
							excerpt(error->token, error->length), type)));
			break;
		case MEMAI_PARSE_NAN:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("NaN not allowed in %s", type)));
			break;
		case MEMAI_PARSE_INFINITE:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("infinite value not allowed in %s", type)));
			break;
		case MEMAI_PARSE_SYNTAX:
		case MEMAI_PARSE_NO_START:
		case MEMAI_PARSE_JUNK:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"",
							type, excerpt(text, length)),
					 status == MEMAI_PARSE_NO_START ?
					 errdetail("Vector contents must start with \"[\".") : 0,
					 status == MEMAI_PARSE_JUNK ?
					 errdetail("Junk after closing right brace.") : 0));
			break;
	}
}

/* vector_in(cstring, oid, integer) returns vector */
Datum
memai_vector_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	size_t		length = strlen(text);
	int			max_dim = (int) Min(length / 2 + 1, MEMAI_VECTOR_MAX_DIM);
	MemaiVector *vector = memai_vector_alloc(max_dim);
	MemaiParseError error;
	MemaiParseStatus status;
	int			dim = 0;

	/* every element takes two bytes of text, so max_dim cuts nothing off */
	status = memai_vector_parse(text, length, max_dim, vector->x, &dim, &error);
	memai_report_parse_error(status, &error, "vector", MEMAI_VECTOR_MAX_DIM, text, length);
	memai_check_typmod(PG_GETARG_INT32(2), dim);

	vector->dim = (int16) dim;
	SET_VARSIZE(vector, MEMAI_VECTOR_SIZE(dim));
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
	PG_RETURN_INT32(memai_dimensions_typmod(PG_GETARG_ARRAYTYPE_P(0), "vector",
											MEMAI_VECTOR_MAX_DIM));
}

/*
 * vector_recv(internal, oid, integer) returns vector: int16 dimensions,
 * int16 zero, float4 elements, all big-endian
 */
Datum
memai_vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			dim = (int16) pq_getmsgint(message, sizeof(int16));
	int			unused = (int16) pq_getmsgint(message, sizeof(int16));
	MemaiVector *vector;
	const char *elements;

	/* a negative number is one above 32767 that the field cannot hold */
	if (dim < 0)
		dim += 1 << 16;
	vector = memai_vector_alloc(dim);
	memai_check_typmod(PG_GETARG_INT32(2), dim);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	elements = pq_getmsgbytes(message, dim * (int) sizeof(float));
	for (int i = 0; i < dim; i++)
	{
		uint32		bits;

		memcpy(&bits, elements + i * sizeof(bits), sizeof(bits));
		bits = pg_ntoh32(bits);
		memcpy(&vector->x[i], &bits, sizeof(bits));
	}
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
