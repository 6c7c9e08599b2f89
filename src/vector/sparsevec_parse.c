/*
 * sparsevec_parse.c
 *	  Sparse vectors: text to elements, and the check that every sparse vector
 *	  passes.  Pure: no server, no allocation.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/parse.h"

static inline const char *
skip_space(const char *p)
{
	while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		p++;
	return p;
}

/*
 * Reads an integer as strtol does, cut to the range of int32 less one at the
 * lower end, so that one can be taken off.
 */
static int
parse_integer(const char **position, int32_t *value)
{
	char	   *stop;
	long		number = strtol(*position, &stop, 10);

	if (stop == *position)
		return 0;
	if (number > INT32_MAX)
		number = INT32_MAX;
	if (number <= INT32_MIN)
		number = INT32_MIN + 1;
	*value = (int32_t) number;
	*position = stop;
	return 1;
}

size_t
memai_sparsevec_parse_room(const char *text, size_t length)
{
	size_t		room = 1;

	for (size_t i = 0; i < length; i++)
		room += text[i] == ',';
	return room;
}

/* one "index:value" */
static MemaiParseStatus
parse_element(const char **position, const char *end, MemaiSparseElement *element,
			  MemaiParseError *error)
{
	const char *p = *position;
	MemaiParseStatus status;

	if (!parse_integer(&p, &element->index))
		return MEMAI_PARSE_SYNTAX;
	element->index--;
	p = skip_space(p);
	if (*p != ':')
		return MEMAI_PARSE_SYNTAX;
	p = skip_space(p + 1);
	error->token = p;
	status = memai_parse_float(&p, end, &element->value);
	error->length = (size_t) (p - error->token);
	*position = p;
	/* an element that silently vanished would change the meaning */
	return status == MEMAI_PARSE_UNDERFLOW ? MEMAI_PARSE_RANGE : status;
}

static MemaiParseStatus
parse_elements(const char **position, const char *end, MemaiSparseElement *elements,
			   int *nnz, MemaiParseError *error)
{
	const char *p = skip_space(*position);

	*nnz = 0;
	if (*p == '}')
	{
		*position = p + 1;
		return MEMAI_PARSE_OK;
	}
	for (;;)
	{
		MemaiSparseElement element;
		MemaiParseStatus status;

		p = skip_space(p);
		status = parse_element(&p, end, &element, error);
		if (status != MEMAI_PARSE_OK)
			return status;
		if (element.value != 0)
			elements[(*nnz)++] = element;
		p = skip_space(p);
		if (*p == '}')
			break;
		if (*p != ',')
			return MEMAI_PARSE_SYNTAX;
		p++;
	}
	*position = p + 1;
	return MEMAI_PARSE_OK;
}

MemaiParseStatus
memai_sparsevec_parse(const char *text, size_t length, MemaiSparseElement *elements,
					  int *nnz, int32_t *dim, MemaiParseError *error)
{
	const char *end = text + length;
	const char *p = skip_space(text);
	MemaiParseStatus status;

	if (*p != '{')
		return MEMAI_PARSE_NO_START;
	p++;
	status = parse_elements(&p, end, elements, nnz, error);
	if (status != MEMAI_PARSE_OK)
		return status;
	p = skip_space(p);
	if (*p != '/')
		return MEMAI_PARSE_NO_DIM;
	p = skip_space(p + 1);
	if (!parse_integer(&p, dim))
		return MEMAI_PARSE_SYNTAX;
	p = skip_space(p);
	return p == end ? MEMAI_PARSE_OK : MEMAI_PARSE_JUNK;
}

MemaiParseStatus
memai_sparsevec_check(int32_t dim, int32_t nnz, const int32_t *indices, const float *values)
{
	if (dim < 1)
		return MEMAI_PARSE_EMPTY;
	if (dim > MEMAI_SPARSEVEC_MAX_DIM)
		return MEMAI_PARSE_TOO_MANY;
	if (nnz < 0)
		return MEMAI_PARSE_NEGATIVE_COUNT;
	if (nnz > MEMAI_SPARSEVEC_MAX_NNZ)
		return MEMAI_PARSE_TOO_MANY_ELEMENTS;
	for (int32_t i = 0; i < nnz; i++)
	{
		if (indices[i] < 0 || indices[i] >= dim)
			return MEMAI_PARSE_INDEX;
		if (i > 0 && indices[i] < indices[i - 1])
			return MEMAI_PARSE_ORDER;
		if (i > 0 && indices[i] == indices[i - 1])
			return MEMAI_PARSE_DUPLICATE;
	}
	for (int32_t i = 0; i < nnz; i++)
	{
		if (isnan(values[i]))
			return MEMAI_PARSE_NAN;
		if (isinf(values[i]))
			return MEMAI_PARSE_INFINITE;
		if (values[i] == 0)
			return MEMAI_PARSE_ZERO;
	}
	return MEMAI_PARSE_OK;
}
