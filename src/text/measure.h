/*
 * measure.h
 *	  Counting tokens as a text grows.  Private to text/.  Pure.
 */
#ifndef MEMAI_TEXT_MEASURE_H
#define MEMAI_TEXT_MEASURE_H

#include "text/unicode.h"

/* an estimate on its way; start with zeros */
typedef struct MemaiTokenCount
{
	int64		tokens;			/* of what is complete */
	int64		word_bytes;		/* of the word that may go on */
	bool		in_punctuation;
} MemaiTokenCount;

/* One more character, of so many bytes. */
extern void memai_tokens_add(MemaiTokenCount *count, uint32 code, int bytes);

/* The estimate of all characters so far; it never falls when one is added. */
extern int64 memai_tokens_so_far(const MemaiTokenCount *count);

/* A blank: separates words and is no token.  Takes MEMAI_UTF8_INVALID. */
extern bool memai_char_is_space(uint32 code);

/* The same of a byte that is a character by itself; of others false. */
static inline bool
memai_byte_is_space(unsigned char byte)
{
	return byte <= ' ' || byte == 0x7F;
}

#endif							/* MEMAI_TEXT_MEASURE_H */
