/*
 * wire.c
 *	  Vectors from the binary protocol.  Pure: no server, no allocation; reads
 *	  and writes nothing beyond the lengths that it is given.
 */
#include <string.h>

#include "vector/parse.h"

static inline uint32_t
load_uint16(const unsigned char *bytes)
{
	return (uint32_t) bytes[0] << 8 | bytes[1];
}

static inline uint32_t
load_uint32(const unsigned char *bytes)
{
	return load_uint16(bytes) << 16 | load_uint16(bytes + 2);
}

/* dimensions and the reserved field of the dense types */
static MemaiParseStatus
decode_header(const unsigned char *bytes, size_t length, int max_dim, size_t element_size,
			  int *dim, size_t *used, MemaiParseError *error)
{
	if (length < 4)
		return MEMAI_PARSE_TRUNCATED;
	*dim = (int) load_uint16(bytes);
	error->unused = (int) load_uint16(bytes + 2);
	if (*dim < 1)
		return MEMAI_PARSE_EMPTY;
	if (*dim > max_dim)
		return MEMAI_PARSE_TOO_MANY;
	if (error->unused != 0)
		return MEMAI_PARSE_UNUSED;
	*used = 4 + (size_t) *dim * element_size;
	return length < *used ? MEMAI_PARSE_TRUNCATED : MEMAI_PARSE_OK;
}

MemaiParseStatus
memai_vector_decode(const unsigned char *bytes, size_t length, int max_dim,
					float *elements, int *dim, size_t *used, MemaiParseError *error)
{
	MemaiParseStatus status = decode_header(bytes, length, max_dim, sizeof(float),
											dim, used, error);

	if (status != MEMAI_PARSE_OK)
		return status;
	for (int i = 0; i < *dim; i++)
	{
		uint32_t	bits = load_uint32(bytes + 4 + (size_t) i * sizeof(bits));

		memcpy(&elements[i], &bits, sizeof(bits));
	}
	return MEMAI_PARSE_OK;
}

MemaiParseStatus
memai_halfvec_decode(const unsigned char *bytes, size_t length, int max_dim,
					 MemaiHalf *elements, int *dim, size_t *used, MemaiParseError *error)
{
	MemaiParseStatus status = decode_header(bytes, length, max_dim, sizeof(MemaiHalf),
											dim, used, error);

	if (status != MEMAI_PARSE_OK)
		return status;
	for (int i = 0; i < *dim; i++)
		elements[i] = (MemaiHalf) load_uint16(bytes + 4 + (size_t) i * sizeof(MemaiHalf));
	return MEMAI_PARSE_OK;
}

MemaiParseStatus
memai_sparsevec_decode(const unsigned char *bytes, size_t length, int32_t *indices,
					   float *values, int32_t *dim, int32_t *nnz, size_t *used,
					   MemaiParseError *error)
{
	const unsigned char *p = bytes + 12;
	MemaiParseStatus status;

	if (length < 12)
		return MEMAI_PARSE_TRUNCATED;
	*dim = (int32_t) load_uint32(bytes);
	*nnz = (int32_t) load_uint32(bytes + 4);
	error->unused = (int32_t) load_uint32(bytes + 8);

	if (error->unused != 0)
		return MEMAI_PARSE_UNUSED;
	if (*nnz < 0)
		return MEMAI_PARSE_NEGATIVE_COUNT;
	if (*nnz > MEMAI_SPARSEVEC_MAX_NNZ)
		return MEMAI_PARSE_TOO_MANY_ELEMENTS;
	*used = 12 + (size_t) *nnz * 8;
	/* the header's own faults come before a short body's */
	status = memai_sparsevec_check(*dim, 0, NULL, NULL);
	if (status != MEMAI_PARSE_OK)
		return status;
	if (*nnz > *dim)
		return MEMAI_PARSE_MORE_THAN_DIM;
	if (length < *used)
		return MEMAI_PARSE_TRUNCATED;

	for (int32_t i = 0; i < *nnz; i++, p += 4)
		indices[i] = (int32_t) load_uint32(p);
	for (int32_t i = 0; i < *nnz; i++, p += 4)
	{
		uint32_t	bits = load_uint32(p);

		memcpy(&values[i], &bits, sizeof(bits));
	}
	return memai_sparsevec_check(*dim, *nnz, indices, values);
}
