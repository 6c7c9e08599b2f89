/*
 * utf8.c
 *	  Which bytes are a UTF-8 character (RFC 3629, table of section 4).  Pure.
 */
#include "postgres.h"

#include "json/json.h"

static inline bool
is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

int
memai_utf8_char_length(const unsigned char *data, size_t len)
{
	unsigned char lead = data[0];
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	int			length;

	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (len < (size_t) length)
		return 0;
	/* overlong forms, surrogates and what lies beyond U+10FFFF */
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (data[1] < low || data[1] > high)
		return 0;
	for (int i = 2; i < length; i++)
		if (!is_continuation(data[i]))
			return 0;
	return length;
}
