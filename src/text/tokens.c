/*
 * tokens.c
 *	  An estimate of a language model's token count.  Pure: no allocation, no
 *	  errors, no server state.
 *
 * Vocabularies differ by model, so an exact count belongs to the model's own
 * tokeniser; this one serves budgets, where being near and never free matters.
 */
#include "postgres.h"

#include "text/text.h"
#include "text/unicode.h"

/*
 * Chosen by the counts that providers of three vocabularies reported for 94
 * answers in English prose and Markdown: the median estimate is 0.99 of the
 * count, 97 of 100 are within 20 %.
 */
#define BYTES_PER_TOKEN 5

static inline bool
is_space(uint32 code)
{
	return code <= ' ' || code == 0x7F || code == 0x85 || code == 0xA0 || code == 0x1680 ||
		(code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
		code == 0x202F || code == 0x205F || code == 0x3000;
}

static inline int64
word_tokens(int64 bytes)
{
	if (bytes == 0)
		return 0;
	return Max(bytes / BYTES_PER_TOKEN, 1);
}

int64
memai_estimate_tokens(const char *utf8, size_t len)
{
	const unsigned char *next = (const unsigned char *) utf8;
	const unsigned char *end = next + len;
	int64		tokens = 0;
	int64		word_bytes = 0;
	bool		in_punctuation = false;

	while (next < end)
	{
		const unsigned char *start = next;
		uint32		code = memai_utf8_decode(&next, end);
		MemaiCharClass class = memai_char_class(code);
		bool		punctuation = class == CHAR_OTHER && code < 0x80 && !is_space(code);

		if (class == CHAR_WORD || (class == CHAR_MARK && word_bytes > 0))
			word_bytes += next - start;
		else
		{
			tokens += word_tokens(word_bytes);
			word_bytes = 0;
			if (!is_space(code) && class != CHAR_IGNORED && !(punctuation && in_punctuation))
				tokens++;
		}
		in_punctuation = punctuation;
	}
	return tokens + word_tokens(word_bytes);
}
