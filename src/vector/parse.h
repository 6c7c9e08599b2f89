/*
 * parse.h
 *	  Reading vectors from text.  Plain C, without the server, so that it is
 *	  unit-tested and fuzzed alone.
 */
#ifndef MEMAI_VECTOR_PARSE_H
#define MEMAI_VECTOR_PARSE_H

#include <stddef.h>

typedef enum MemaiParseStatus
{
	MEMAI_PARSE_OK,
	MEMAI_PARSE_SYNTAX,			/* not a list of numbers */
	MEMAI_PARSE_NO_START,		/* does not begin with the opening bracket */
	MEMAI_PARSE_JUNK,			/* something follows the closing bracket */
	MEMAI_PARSE_EMPTY,			/* no element */
	MEMAI_PARSE_TOO_MANY,		/* more than max_dim elements */
	MEMAI_PARSE_RANGE,			/* a number does not fit float4 */
	MEMAI_PARSE_NAN,
	MEMAI_PARSE_INFINITE
} MemaiParseStatus;

/* where a number stands that MEMAI_PARSE_RANGE complains about */
typedef struct MemaiParseError
{
	const char *token;
	size_t		length;
} MemaiParseError;

/*
 * Reads the number at *position, which must lie before end, and moves
 * *position behind it.  The result is the float4 nearest to the text.  text
 * up to end must be followed by a NUL byte.  Accepts what strtof accepts,
 * leading white space excluded; the locale must be C.
 */
extern MemaiParseStatus memai_parse_float(const char **position, const char *end, float *value);

/*
 * Reads "[1,2,3]" of length bytes at text, NUL-terminated, into at most max_dim elements.
 * Sets *dim and, on MEMAI_PARSE_RANGE, *error.
 */
extern MemaiParseStatus memai_vector_parse(const char *text, size_t length, int max_dim,
										   float *elements, int *dim, MemaiParseError *error);

#endif							/* MEMAI_VECTOR_PARSE_H */
