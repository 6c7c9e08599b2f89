/*
 * parse.h
 *	  Reading vectors from text and from the binary protocol.  Plain C, without
 *	  the server, so that it is unit-tested and fuzzed alone.
 */
#ifndef MEMAI_VECTOR_PARSE_H
#define MEMAI_VECTOR_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "vector/kernel.h"

typedef enum MemaiParseStatus
{
	MEMAI_PARSE_OK,
	MEMAI_PARSE_UNDERFLOW,		/* a number that is not zero became zero */
	/* text */
	MEMAI_PARSE_SYNTAX,			/* not a list of numbers */
	MEMAI_PARSE_NO_START,		/* does not begin with the opening bracket */
	MEMAI_PARSE_NO_DIM,			/* sparsevec: ends before the dimensions */
	MEMAI_PARSE_JUNK,			/* something follows the closing bracket */
	MEMAI_PARSE_RANGE,			/* a number does not fit the element type */
	/* binary */
	MEMAI_PARSE_TRUNCATED,		/* shorter than its header says */
	MEMAI_PARSE_UNUSED,			/* the reserved field is not zero */
	MEMAI_PARSE_ZERO,			/* sparsevec: an element is zero */
	/* both */
	MEMAI_PARSE_EMPTY,			/* less than one dimension */
	MEMAI_PARSE_TOO_MANY,		/* more dimensions than the type allows */
	MEMAI_PARSE_NEGATIVE_COUNT, /* sparsevec: number of elements below zero */
	MEMAI_PARSE_TOO_MANY_ELEMENTS,	/* sparsevec: more than
									 * MEMAI_SPARSEVEC_MAX_NNZ */
	MEMAI_PARSE_MORE_THAN_DIM,	/* sparsevec: more elements than dimensions */
	MEMAI_PARSE_INDEX,			/* sparsevec: index outside the dimensions */
	MEMAI_PARSE_ORDER,			/* sparsevec: indices not ascending */
	MEMAI_PARSE_DUPLICATE,		/* sparsevec: an index twice */
	MEMAI_PARSE_NAN,
	MEMAI_PARSE_INFINITE
} MemaiParseStatus;

/* what an error message may quote */
typedef struct MemaiParseError
{
	const char *token;			/* MEMAI_PARSE_RANGE: the number */
	size_t		length;
	int			unused;			/* MEMAI_PARSE_UNUSED: the field's value */
} MemaiParseError;

/* one element of a sparse vector while it is being read */
typedef struct MemaiSparseElement
{
	int32_t		index;			/* from 0 */
	float		value;
} MemaiSparseElement;

/* ---- vector_parse.c ---- */

/*
 * Reads the number at *position and moves *position behind it.  The result is
 * the float4 nearest to the text.  A NUL byte must stand at end.  Accepts
 * what strtof accepts but for leading white space; the locale must be C.
 * Returns OK, UNDERFLOW, SYNTAX, RANGE, NAN or INFINITE.
 */
extern MemaiParseStatus memai_parse_float(const char **position, const char *end, float *value);

/*
 * Reads "[1,2,3]" of length bytes at text, followed by a NUL byte, into at
 * most max_dim elements.  Numbers whose magnitude is limit or more are out of
 * range.  Sets *dim, and *error where its comment says so.
 */
extern MemaiParseStatus memai_vector_parse(const char *text, size_t length, int max_dim,
										   float limit, float *elements, int *dim,
										   MemaiParseError *error);

/* ---- sparsevec_parse.c ---- */

/* The number of elements that text can have at most. */
extern size_t memai_sparsevec_parse_room(const char *text, size_t length);

/*
 * Reads "{1:1.5,3:2}/5", followed by a NUL byte, into elements, which has
 * room for memai_sparsevec_parse_room.  Elements that are zero are left out,
 * the others are not yet sorted or checked.  *dim is cut to the range of int32.
 */
extern MemaiParseStatus memai_sparsevec_parse(const char *text, size_t length,
											  MemaiSparseElement *elements, int *nnz,
											  int32_t *dim, MemaiParseError *error);

/*
 * Whether dim, nnz, indices and values make a sparse vector: OK, EMPTY,
 * TOO_MANY, NEGATIVE_COUNT, TOO_MANY_ELEMENTS, INDEX, ORDER, DUPLICATE, NAN,
 * INFINITE or ZERO.
 */
extern MemaiParseStatus memai_sparsevec_check(int32_t dim, int32_t nnz,
											  const int32_t *indices, const float *values);

/* ---- wire.c: binary input; *used is the number of bytes read ---- */

/*
 * int16 dim, int16 zero, dim elements, all big-endian.  Reads at most max_dim
 * elements into elements.  Whether they are finite is the caller's to check.
 */
extern MemaiParseStatus memai_vector_decode(const unsigned char *bytes, size_t length,
											int max_dim, float *elements, int *dim,
											size_t *used, MemaiParseError *error);
extern MemaiParseStatus memai_halfvec_decode(const unsigned char *bytes, size_t length,
											 int max_dim, MemaiHalf *elements, int *dim,
											 size_t *used, MemaiParseError *error);

/*
 * int32 dim, int32 nnz, int32 zero, nnz int32 indices from 0, nnz float4
 * values.  indices and values must have room for length / 8 and at
 * least one element, or for MEMAI_SPARSEVEC_MAX_NNZ.
 * The result passed memai_sparsevec_check.
 */
extern MemaiParseStatus memai_sparsevec_decode(const unsigned char *bytes, size_t length,
											   int32_t *indices, float *values,
											   int32_t *dim, int32_t *nnz,
											   size_t *used, MemaiParseError *error);

#define MEMAI_SPARSEVEC_MAX_DIM 1000000000
#define MEMAI_SPARSEVEC_MAX_NNZ 16000

#endif							/* MEMAI_VECTOR_PARSE_H */
