/*
 * fuzz_retry_after.c
 *	  Any header is survived; the wait is never negative but for -1.
 */
/* sources: src/model/retry.c */
/* seconds: 30 */
#include "postgres.h"

#include "model/wire.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (memai_retry_after(NULL, text, INT64CONST(1445412480)) < -1 ||
		memai_retry_after(text, NULL, INT64CONST(1445412480)) < -1)
		__builtin_trap();
	free(text);
	return 0;
}
