/*
 * sparsevec.c
 *	  The type sparsevec: making and checking values, text and binary form,
 *	  type modifier.  Both forms are those of pgvector 0.8, byte for byte:
 *	  indices count from 1 in text and from 0 in binary and on disk.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_sparsevec_in);
PG_FUNCTION_INFO_V1(memai_sparsevec_out);
PG_FUNCTION_INFO_V1(memai_sparsevec_typmod_in);
PG_FUNCTION_INFO_V1(memai_sparsevec_recv);
PG_FUNCTION_INFO_V1(memai_sparsevec_send);

/* an index or the dimensions as digits */
#define INT32_TEXT_LENGTH 10

MemaiSparsevec *
memai_sparsevec_alloc(int32 dim, int32 nnz)
{
	MemaiSparsevec *vector;

	memai_check_dim(&memai_sparsevec_type, dim);
	if (nnz < 0)
		memai_report_status(&memai_sparsevec_type, MEMAI_PARSE_NEGATIVE_COUNT, NULL, NULL, 0);
	if (nnz > MEMAI_SPARSEVEC_MAX_NNZ)
		memai_report_status(&memai_sparsevec_type, MEMAI_PARSE_TOO_MANY_ELEMENTS, NULL, NULL, 0);
	vector = palloc0(MEMAI_SPARSEVEC_SIZE(nnz));
	SET_VARSIZE(vector, MEMAI_SPARSEVEC_SIZE(nnz));
	vector->dim = dim;
	vector->nnz = nnz;
	return vector;
}

MemaiSparsevec *
memai_sparsevec_from_datum(Datum datum)
{
	MemaiSparsevec *vector = (MemaiSparsevec *) PG_DETOAST_DATUM(datum);
	bool		valid = VARSIZE(vector) >= offsetof(MemaiSparsevec, indices) &&
	vector->dim >= 1 && vector->dim <= MEMAI_SPARSEVEC_MAX_DIM &&
	vector->nnz >= 0 && vector->nnz <= MEMAI_SPARSEVEC_MAX_NNZ &&
	VARSIZE(vector) == MEMAI_SPARSEVEC_SIZE(vector->nnz);

	/* ascending from 0 up to below dim, so none is out of bounds */
	for (int32 i = 0; valid && i < vector->nnz; i++)
		valid = vector->indices[i] > (i == 0 ? -1 : vector->indices[i - 1]) &&
			vector->indices[i] < vector->dim;

	if (unlikely(!valid))
		memai_report_corrupt(&memai_sparsevec_type, vector);
	return vector;
}

Datum
memai_sparsevec_result(MemaiSparsevec *vector)
{
	Assert(vector->unused == 0);
	Assert(VARSIZE(vector) == MEMAI_SPARSEVEC_SIZE(vector->nnz));
	memai_report_status(&memai_sparsevec_type,
						memai_sparsevec_check(vector->dim, vector->nnz, vector->indices,
											  MEMAI_SPARSEVEC_VALUES(vector)),
						NULL, NULL, 0);
	return PointerGetDatum(vector);
}

static int
compare_elements(const void *a, const void *b)
{
	int32		index_a = ((const MemaiSparseElement *) a)->index;
	int32		index_b = ((const MemaiSparseElement *) b)->index;

	return (index_a > index_b) - (index_a < index_b);
}

/* sparsevec_in(cstring, oid, integer) returns sparsevec */
Datum
memai_sparsevec_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	size_t		length = strlen(text);
	size_t		room = memai_sparsevec_parse_room(text, length);
	MemaiSparseElement *elements;
	MemaiSparsevec *vector;
	MemaiParseError error = {0};
	MemaiParseStatus status;
	int			nnz = 0;
	int32		dim = 0;

	if (room > MEMAI_SPARSEVEC_MAX_NNZ)
		memai_report_status(&memai_sparsevec_type, MEMAI_PARSE_TOO_MANY_ELEMENTS, NULL, NULL, 0);
	elements = palloc(room * sizeof(MemaiSparseElement));
	status = memai_sparsevec_parse(text, length, elements, &nnz, &dim, &error);
	memai_report_status(&memai_sparsevec_type, status, &error, text, length);
	memai_check_dim(&memai_sparsevec_type, dim);
	memai_check_typmod(PG_GETARG_INT32(2), dim);

	qsort(elements, nnz, sizeof(MemaiSparseElement), compare_elements);
	vector = memai_sparsevec_alloc(dim, nnz);
	for (int i = 0; i < nnz; i++)
	{
		vector->indices[i] = elements[i].index;
		MEMAI_SPARSEVEC_VALUES(vector)[i] = elements[i].value;
	}
	pfree(elements);
	PG_RETURN_DATUM(memai_sparsevec_result(vector));
}

/* sparsevec_out(sparsevec) returns cstring */
Datum
memai_sparsevec_out(PG_FUNCTION_ARGS)
{
	MemaiSparsevec *vector = GETARG_SPARSEVEC(0);
	const float *values = MEMAI_SPARSEVEC_VALUES(vector);

	/*
	 * per element index, colon, value and comma; braces, slash, dimensions,
	 * NUL
	 */
	char	   *text = palloc((size_t) vector->nnz *
							  (INT32_TEXT_LENGTH + 2 + FLOAT_SHORTEST_DECIMAL_LEN) +
							  INT32_TEXT_LENGTH + 4);
	char	   *p = text;

	*p++ = '{';
	for (int32 i = 0; i < vector->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += pg_ltoa(vector->indices[i] + 1, p);
		*p++ = ':';
		p += float_to_shortest_decimal_bufn(values[i], p);
	}
	*p++ = '}';
	*p++ = '/';
	pg_ltoa(vector->dim, p);
	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_CSTRING(text);
}

/* sparsevec_typmod_in(cstring[]) returns integer */
Datum
memai_sparsevec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(memai_dimensions_typmod(&memai_sparsevec_type, PG_GETARG_ARRAYTYPE_P(0)));
}

/* sparsevec_recv(internal, oid, integer) returns sparsevec */
Datum
memai_sparsevec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			left = message->len - message->cursor;

	/* no more elements than the message can hold, and one to point at */
	int			room = Min(left / (int) (sizeof(int32) + sizeof(float)), MEMAI_SPARSEVEC_MAX_NNZ) + 1;
	int32	   *indices = palloc(room * sizeof(int32));
	float	   *values = palloc(room * sizeof(float));
	MemaiSparsevec *vector;
	MemaiParseError error = {0};
	MemaiParseStatus status;
	int32		dim = 0;
	int32		nnz = 0;
	size_t		used = 0;

	status = memai_sparsevec_decode((unsigned char *) message->data + message->cursor, left,
									indices, values, &dim, &nnz, &used, &error);
	memai_report_status(&memai_sparsevec_type, status, &error, NULL, 0);
	message->cursor += (int) used;
	memai_check_typmod(PG_GETARG_INT32(2), dim);

	vector = memai_sparsevec_alloc(dim, nnz);
	memcpy(vector->indices, indices, nnz * sizeof(int32));
	memcpy(MEMAI_SPARSEVEC_VALUES(vector), values, nnz * sizeof(float));
	pfree(indices);
	pfree(values);
	PG_RETURN_DATUM(memai_sparsevec_result(vector));
}

/* sparsevec_send(sparsevec) returns bytea */
Datum
memai_sparsevec_send(PG_FUNCTION_ARGS)
{
	MemaiSparsevec *vector = GETARG_SPARSEVEC(0);
	const float *values = MEMAI_SPARSEVEC_VALUES(vector);
	StringInfoData message;

	pq_begintypsend(&message);
	enlargeStringInfo(&message, (3 + 2 * vector->nnz) * (int) sizeof(int32));
	pq_writeint32(&message, (uint32) vector->dim);
	pq_writeint32(&message, (uint32) vector->nnz);
	pq_writeint32(&message, (uint32) vector->unused);
	for (int32 i = 0; i < vector->nnz; i++)
		pq_writeint32(&message, (uint32) vector->indices[i]);
	for (int32 i = 0; i < vector->nnz; i++)
	{
		uint32		bits;

		memcpy(&bits, &values[i], sizeof(bits));
		pq_writeint32(&message, bits);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}
