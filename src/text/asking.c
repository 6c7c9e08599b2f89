/*
 * asking.c
 *	  How much of a text asks.  Pure: no allocation, no errors, no server state.
 *
 * A question is seldom the answer to another: recall prefers statements.
 */
#include "postgres.h"

#include "text/text.h"
#include "text/unicode.h"

static bool
is_question_mark(uint32 code)
{
	return code == '?' ||
		code == 0x037E ||		/* Greek */
		code == 0x061F ||		/* Arabic */
		code == 0x1367 ||		/* Ethiopic */
		code == 0x203D ||		/* interrobang */
		(code >= 0x2047 && code <= 0x2049) ||	/* double, with exclamation */
		code == 0xFF1F;			/* fullwidth */
}

static bool
is_full_stop(uint32 code)
{
	return code == '.' || code == '!' || code == '\n' ||
		code == 0x06D4 ||		/* Arabic */
		code == 0x0964 ||		/* Devanagari danda */
		code == 0x2026 ||		/* ellipsis */
		code == 0x3002 || code == 0xFF01 || code == 0xFF0E; /* CJK */
}

double
memai_text_asking(const char *utf8, size_t len)
{
	const unsigned char *next = (const unsigned char *) utf8;
	const unsigned char *end = next + len;
	size_t		sentence = 0;	/* bytes since the last end of a sentence */
	size_t		asking = 0;
	size_t		total = 0;

	while (next < end)
	{
		const unsigned char *start = next;
		uint32		code = memai_utf8_decode(&next, end);

		if (is_question_mark(code) || is_full_stop(code))
		{
			if (is_question_mark(code))
				asking += sentence;
			total += sentence;
			sentence = 0;
		}
		else if (code > ' ')
			sentence += next - start;
	}
	total += sentence;
	return total == 0 ? 0.0 : (double) asking / (double) total;
}
