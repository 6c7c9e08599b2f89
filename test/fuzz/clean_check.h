/*
 * clean_check.h
 *	  What is true of any cleaned text; abort() when it is not.  Shared by fuzzers
 *	  and unit tests.  Include after postgres.h.
 */
#ifndef MEMAI_TEST_CLEAN_CHECK_H
#define MEMAI_TEST_CLEAN_CHECK_H

#include "text/text.h"
#include "text/unicode.h"

static bool
is_valid(const char *text, size_t len)
{
	const unsigned char *next = (const unsigned char *) text;
	const unsigned char *end = next + len;

	while (next < end)
	{
		if (memai_utf8_decode(&next, end) == MEMAI_UTF8_INVALID)
			return false;
	}
	return true;
}

/* Cleans a text, checks what comes, and returns it: malloc'd and terminated. */
static char *
check_clean(const char *text, size_t len, MemaiTextFormat format)
{
	size_t		max = memai_clean_max_size(len);
	char	   *out = malloc(max + 1);
	char	   *again = malloc(memai_clean_max_size(max));
	char		title[64];
	size_t		n = memai_clean(text, len, format, out, title, sizeof(title));
	size_t		same;

	if (n > max || (is_valid(text, len) && !is_valid(out, n)) || (is_valid(text, len) && !is_valid(title, strlen(title))))
		abort();
	for (size_t i = 0; i < n; i++)
	{
		if ((unsigned char) out[i] < ' ' && out[i] != '\n' && out[i] != '\t')
			abort();
		if (out[i] == '\n' && i > 1 && out[i - 1] == '\n' && out[i - 2] == '\n')
			abort();
	}
	if (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '\n' || out[0] == '\n'))
		abort();
	/* the cleaning of blanks is done once for all */
	if (is_valid(text, len) && (format == MEMAI_FORMAT_TEXT || format == MEMAI_FORMAT_CODE))
	{
		same = memai_clean(out, n, format, again, NULL, 0);
		if (same != n || memcmp(again, out, n) != 0)
			abort();
	}
	free(again);
	out[n] = '\0';
	return out;
}

#endif							/* MEMAI_TEST_CLEAN_CHECK_H */
