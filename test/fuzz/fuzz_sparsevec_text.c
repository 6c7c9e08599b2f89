/*
 * fuzz_sparsevec_text.c
 *	  Text input of sparsevec: reads nothing beyond the text, fills no more
 *	  elements than there is room for, keeps none that is zero or not finite.
 *	  Covers TY4.
 */
/* sources: src/vector/sparsevec_parse.c src/vector/vector_parse.c */
/* seconds: 30 */
#include "postgres.h"

#include <math.h>

#include "vector/parse.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text = malloc(size + 1);
	size_t		room;
	MemaiSparseElement *elements;
	MemaiParseError error;
	int			nnz = 0;
	int32		dim = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	room = memai_sparsevec_parse_room(text, size);
	elements = malloc(room * sizeof(*elements));
	if (memai_sparsevec_parse(text, size, elements, &nnz, &dim, &error) == MEMAI_PARSE_OK)
	{
		if (nnz < 0 || (size_t) nnz > room)
			abort();
		for (int i = 0; i < nnz; i++)
			if (elements[i].value == 0 || !isfinite(elements[i].value))
				abort();
	}
	free(elements);
	free(text);
	return 0;
}
