/*
 * fuzz_http_host_list.c
 *	  Any list of hosts is survived; a host is listed only where its text
 *	  stands in the list.
 */
/* sources: src/http/address.c */
#include "postgres.h"

#include "http/address.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	(void) memai_http_host_list_valid(text);
	if (memai_http_host_listed(text, "a.b", 80) && strcasestr(text, "a.b") == NULL)
		__builtin_trap();
	free(text);
	return 0;
}
