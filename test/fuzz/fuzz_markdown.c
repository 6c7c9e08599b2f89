/*
 * fuzz_markdown.c
 *	  Any bytes as Markdown, plain text and code: what is written stays in bounds,
 *	  valid UTF-8 stays valid, cleaning what was cleaned changes nothing.
 */
/* sources: src/text/html.c src/text/markdown.c src/text/entity.c src/text/clean.c src/text/boundary.c src/text/tokens.c src/text/unicode.c */
#include "postgres.h"

#include "clean_check.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	free(check_clean((const char *) data, size, MEMAI_FORMAT_MARKDOWN));
	free(check_clean((const char *) data, size, MEMAI_FORMAT_TEXT));
	free(check_clean((const char *) data, size, MEMAI_FORMAT_CODE));
	return 0;
}
