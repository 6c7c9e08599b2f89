/*
 * unicode.h
 *	  Characters: decoding, their part in a word, folding and composition.
 *	  Private to text/.  Everything here is pure.
 */
#ifndef MEMAI_TEXT_UNICODE_H
#define MEMAI_TEXT_UNICODE_H

#include "c.h"

/* what a byte that starts no valid UTF-8 sequence decodes to */
#define MEMAI_UTF8_INVALID 0xFFFFFFFFU

#define MEMAI_UTF8_MAX_BYTES 4

/* the most characters that one character folds to */
#define MEMAI_FOLD_MAX 4

typedef enum MemaiCharClass
{
	CHAR_OTHER,					/* separates words */
	CHAR_WORD,					/* letter or digit of a script with spaces */
	CHAR_UNSPACED,				/* letter of a script without spaces */
	CHAR_MARK,					/* belongs to the character before it */
	CHAR_IGNORED				/* invisible: as if it were not there */
} MemaiCharClass;

/*
 * The character at *next, which must be before end, and moves *next behind it.
 * A byte that starts no valid sequence is passed over alone and gives
 * MEMAI_UTF8_INVALID; nothing at or after end is read.
 */
extern uint32 memai_utf8_decode(const unsigned char **next, const unsigned char *end);

/* Writes a character's UTF-8 (up to MEMAI_UTF8_MAX_BYTES) and returns its length. */
extern int	memai_utf8_encode(uint32 code, char *bytes);

/*
 * grapheme.c: the length in bytes of the extended grapheme cluster (Unicode
 * Standard Annex 29) at data, which must be before end.  A byte that starts no
 * valid sequence counts as a letter.
 */
extern size_t memai_grapheme_length(const unsigned char *data, const unsigned char *end);

/* Also takes MEMAI_UTF8_INVALID, which is CHAR_OTHER. */
extern MemaiCharClass memai_char_class(uint32 code);

/*
 * Full case folding and compatibility decomposition of one character; canonical
 * decompositions included, so the result needs memai_chars_compose.  Returns
 * the number of characters written, 1 to MEMAI_FOLD_MAX.
 */
extern int	memai_char_fold(uint32 code, uint32 folded[MEMAI_FOLD_MAX]);

/*
 * Sorts the marks of n folded characters and composes them in place (Unicode
 * Standard Annex 15, form NFC); returns the new number, which is not larger.
 */
extern int	memai_chars_compose(uint32 *codes, int n);

/* Is this a mark of the general blocks, an accent in any script that uses it? */
extern bool memai_char_is_accent(uint32 code);

/*
 * Writes the letter without its accent as UTF-8, never longer than the
 * letter's own, and returns the length.  Latin, Greek and Cyrillic; in
 * Cyrillic only accents that writers leave out, so U+0439 stays a letter.
 * Any other character is written as it is.
 */
extern int	memai_char_base(uint32 code, char *bytes);

/* ---- properties.c: what the tokenizers of published models ask ---- */

typedef enum MemaiProperty
{
	PROPERTY_NONE,
	PROPERTY_SPACE,
	PROPERTY_CONTROL,			/* control, format, private use, surrogate */
	PROPERTY_PUNCTUATION,
	PROPERTY_MARK,				/* nonspacing */
	PROPERTY_OTHER_MARK			/* spacing or enclosing */
} MemaiProperty;

/* the longest canonical decomposition */
#define MEMAI_DECOMPOSED_MAX 4

/* Tab, line feed, return and the like are PROPERTY_SPACE, not control. */
extern MemaiProperty memai_char_property(uint32 code);

/* The canonical decomposition of one character; returns its length, 1 or more. */
extern int	memai_char_decompose(uint32 code, uint32 decomposed_codes[MEMAI_DECOMPOSED_MAX]);

/* The canonical combining class; 0 for what is no mark. */
extern int	memai_char_combining(uint32 code);

/* The lower case of one character, without its context. */
extern uint32 memai_char_lower(uint32 code);

#endif							/* MEMAI_TEXT_UNICODE_H */
