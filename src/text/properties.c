/*
 * properties.c
 *	  Properties of characters that the tokenizers of published models ask for:
 *	  category, canonical decomposition, lower case.  Pure: no allocation, no
 *	  errors, no server state.
 *
 * unicode.c folds for search and may change with a format version; a model's
 * tokenizer must do exactly what the one it was trained with did, so it has
 * tables of its own.
 */
#include "postgres.h"

#include "text/unicode.h"
#include "text/properties_tables.h"

#define HANGUL_FIRST		0xAC00
#define HANGUL_LAST			0xD7A3
#define HANGUL_LEADING		0x1100
#define HANGUL_VOWEL		0x1161
#define HANGUL_TRAILING		0x11A7
#define HANGUL_NTRAILING	28
#define HANGUL_NVOWEL		21

static MemaiProperty
ascii_property(uint32 code)
{
	if (code == ' ' || (code >= '\t' && code <= '\r'))
		return PROPERTY_SPACE;
	if (code < ' ' || code == 0x7F)
		return PROPERTY_CONTROL;
	if ((code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z'))
		return PROPERTY_NONE;
	return PROPERTY_PUNCTUATION;
}

MemaiProperty
memai_char_property(uint32 code)
{
	int			low = 0;
	int			high = lengthof(property_ranges);

	if (code < 0x80)
		return ascii_property(code);
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (code < property_ranges[middle].first)
			high = middle;
		else if (code > property_ranges[middle].last)
			low = middle + 1;
		else
			return property_ranges[middle].value;
	}
	return PROPERTY_NONE;
}

int
memai_char_combining(uint32 code)
{
	int			low = 0;
	int			high = lengthof(class_ranges);

	if (code < 0x300)
		return 0;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (code < class_ranges[middle].first)
			high = middle;
		else if (code > class_ranges[middle].last)
			low = middle + 1;
		else
			return class_ranges[middle].class;
	}
	return 0;
}

static int
decompose_hangul(uint32 code, uint32 *codes)
{
	uint32		syllable = code - HANGUL_FIRST;
	uint32		trailing = syllable % HANGUL_NTRAILING;

	codes[0] = HANGUL_LEADING + syllable / (HANGUL_NTRAILING * HANGUL_NVOWEL);
	codes[1] = HANGUL_VOWEL + syllable / HANGUL_NTRAILING % HANGUL_NVOWEL;
	codes[2] = HANGUL_TRAILING + trailing;
	return trailing > 0 ? 3 : 2;
}

int
memai_char_decompose(uint32 code, uint32 decomposed_codes[MEMAI_DECOMPOSED_MAX])
{
	int			low = 0;
	int			high = lengthof(decomposed);

	if (code >= HANGUL_FIRST && code <= HANGUL_LAST)
		return decompose_hangul(code, decomposed_codes);
	decomposed_codes[0] = code;
	while (code >= 0x80 && low < high)
	{
		int			middle = (low + high) / 2;
		const Decomposed *entry = &decomposed[middle];

		if (code < entry->code)
			high = middle;
		else if (code > entry->code)
			low = middle + 1;
		else
		{
			memcpy(decomposed_codes, &decomposition_pool[entry->offset], entry->len * sizeof(uint32));
			return entry->len;
		}
	}
	return 1;
}

uint32
memai_char_lower(uint32 code)
{
	int			low = 0;
	int			high = lengthof(lowered);

	if (code < 0x80)
		return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (code < lowered[middle].code)
			high = middle;
		else if (code > lowered[middle].code)
			low = middle + 1;
		else
			return lowered[middle].lower;
	}
	return code;
}
