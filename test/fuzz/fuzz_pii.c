/*
 * fuzz_pii.c
 *	  Any bytes: matches are in bounds, not empty, ascending and of the kinds
 *	  asked for; what is found is found again when it stands alone.
 */
/* sources: src/text/pii.c */
#include "postgres.h"

#include "text/text.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	unsigned	kinds = size > 0 ? data[0] | 1u << MEMAI_PII_CARD : 0;
	size_t		offset = 0;
	MemaiPiiMatch match;

	while (memai_pii_next(text, size, offset, kinds, &match))
	{
		MemaiPiiMatch again;

		if (match.start < offset || match.end <= match.start || match.end > size || !(kinds & (1u << match.kind)))
			abort();
		if (!memai_pii_next(text + match.start, match.end - match.start, 0, kinds, &again) || again.start != 0)
			abort();
		offset = match.end;
	}
	return 0;
}
