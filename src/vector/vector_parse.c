/*
 * vector_parse.c
 *	  Text to floats.  Pure: no server, no allocation, reads no byte beyond
 *	  the terminating NUL.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "vector/parse.h"

/* the white space of SQL, whatever the locale */
static inline int
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline const char *
skip_space(const char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

MemaiParseStatus
memai_parse_float(const char **position, const char *end, float *value)
{
	char	   *stop;

	if (*position >= end)
		return MEMAI_PARSE_SYNTAX;
	errno = 0;
	*value = strtof(*position, &stop);
	if (stop == *position)
		return MEMAI_PARSE_SYNTAX;
	*position = stop;
	if (isnan(*value))
		return MEMAI_PARSE_NAN;
	if (isinf(*value))
		return errno == ERANGE ? MEMAI_PARSE_RANGE : MEMAI_PARSE_INFINITE;
	return MEMAI_PARSE_OK;
}

MemaiParseStatus
memai_vector_parse(const char *text, size_t length, int max_dim,
				   float *elements, int *dim, MemaiParseError *error)
{
	const char *end = text + length;
	const char *p = skip_space(text);
	int			n = 0;

	if (*p != '[')
		return MEMAI_PARSE_NO_START;
	p = skip_space(p + 1);
	if (*p == ']')
		return MEMAI_PARSE_EMPTY;

	for (;;)
	{
		MemaiParseStatus status;

		if (n == max_dim)
			return MEMAI_PARSE_TOO_MANY;
		p = skip_space(p);
		error->token = p;
		status = memai_parse_float(&p, end, &elements[n]);
		error->length = (size_t) (p - error->token);
		if (status != MEMAI_PARSE_OK)
			return status;
		n++;
		p = skip_space(p);
		if (*p == ']')
			break;
		if (*p != ',')
			return MEMAI_PARSE_SYNTAX;
		p++;
	}

	p = skip_space(p + 1);
	if (p != end)
		return MEMAI_PARSE_JUNK;
	*dim = n;
	return MEMAI_PARSE_OK;
}
