/*
 * fuzz_vector_text.c
 *	  Text input of vector and halfvec: reads nothing beyond the text, writes
 *	  nothing beyond the elements; every element that it accepts is the float
 *	  that strtof reads at the same place.  Covers TY4.
 */
/* sources: src/vector/vector_parse.c */
/* seconds: 30 */
#include "postgres.h"

#include <math.h>

#include "vector/parse.h"

#define MAX_DIM 64

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void
check_number(const char *text, size_t length)
{
	const char *position = text;
	char	   *stop;
	float		value = 0;
	float		expected;
	MemaiParseStatus status = memai_parse_float(&position, text + length, &value);

	if (status != MEMAI_PARSE_OK && status != MEMAI_PARSE_UNDERFLOW)
		return;
	expected = strtof(text, &stop);
	if (stop != position || memcmp(&expected, &value, sizeof(value)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	float	   *elements = malloc(MAX_DIM * sizeof(float));
	char	   *text = malloc(size + 1);
	MemaiParseError error;
	int			dim = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	if (memai_vector_parse(text, size, MAX_DIM, INFINITY, elements, &dim, &error) == MEMAI_PARSE_OK)
	{
		if (dim < 1 || dim > MAX_DIM)
			abort();
		for (int i = 0; i < dim; i++)
			if (!isfinite(elements[i]))
				abort();
	}
	if (memai_vector_parse(text, size, MAX_DIM, 65520.0f, elements, &dim, &error) == MEMAI_PARSE_OK)
		for (int i = 0; i < dim; i++)
			if (!(fabsf(elements[i]) < 65520.0f))
				abort();
	check_number(text, size);
	free(text);
	free(elements);
	return 0;
}
