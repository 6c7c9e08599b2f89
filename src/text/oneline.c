/*
 * oneline.c
 *	  A text on one line, as it is seen.  Pure: no allocation, no errors.
 *
 * For places where a line is an item and hidden characters could carry orders
 * to a model that no reader of the text would notice.
 */
#include "postgres.h"

#include "text/text.h"
#include "text/unicode.h"

static bool
breaks_line(uint32 code)
{
	return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x2028 || code == 0x2029;
}

static bool
is_hidden(uint32 code)
{
	return code == 0x200B || code == 0x2060 || code == 0xFEFF ||	/* no width */
		(code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || /* direction */
		(code >= 0xE0000 && code <= 0xE0FFF);	/* tags */
}

size_t
memai_text_one_line(const char *utf8, size_t len, char *out)
{
	const unsigned char *next = (const unsigned char *) utf8;
	const unsigned char *end = next + len;
	size_t		written = 0;

	while (next < end)
	{
		const unsigned char *start = next;
		uint32		code = memai_utf8_decode(&next, end);

		if (code == MEMAI_UTF8_INVALID)
			out[written++] = (char) *start;
		else if (breaks_line(code))
			out[written++] = ' ';
		else if (!is_hidden(code))
		{
			memmove(out + written, start, next - start);
			written += next - start;
		}
	}
	return written;
}
