/*
 * unicode.c
 *	  Characters: decoding, their part in a word, folding and composition.
 *	  Pure: no allocation, no errors, no server state.
 *
 * The server's own tables differ with its release, locale and encoding; stored
 * terms and embeddings must not, so memai has its own, generated once by
 * generate_unicode.py.  Tables of a newer Unicode version change what some
 * texts fold to, and with it their stored terms: the format version in terms.c
 * and the embedder's name have to change with them.
 */
#include "postgres.h"

#include "text/unicode.h"
#include "text/unicode_tables.h"

#define HANGUL_FIRST		0xAC00
#define HANGUL_LEADING		0x1100
#define HANGUL_VOWEL		0x1161
#define HANGUL_TRAILING		0x11A7	/* one before the first: 0 means none */
#define HANGUL_NLEADING		19
#define HANGUL_NVOWEL		21
#define HANGUL_NTRAILING	28

uint32
memai_utf8_decode(const unsigned char **next, const unsigned char *end)
{
	static const uint32 smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *bytes = *next;
	uint32		code = bytes[0];
	int			len;

	*next = bytes + 1;
	if (code < 0x80)
		return code;
	if (code >= 0xC2 && code <= 0xDF)
	{
		len = 2;
		code &= 0x1F;
	}
	else if (code >= 0xE0 && code <= 0xEF)
	{
		len = 3;
		code &= 0x0F;
	}
	else if (code >= 0xF0 && code <= 0xF4)
	{
		len = 4;
		code &= 0x07;
	}
	else
		return MEMAI_UTF8_INVALID;

	if (end - bytes < len)
		return MEMAI_UTF8_INVALID;
	for (int i = 1; i < len; i++)
	{
		if ((bytes[i] & 0xC0) != 0x80)
			return MEMAI_UTF8_INVALID;
		code = (code << 6) | (bytes[i] & 0x3F);
	}
	if (code < smallest[len] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
		return MEMAI_UTF8_INVALID;
	*next = bytes + len;
	return code;
}

int
memai_utf8_encode(uint32 code, char *bytes)
{
	if (code < 0x80)
	{
		bytes[0] = (char) code;
		return 1;
	}
	if (code < 0x800)
	{
		bytes[0] = (char) (0xC0 | (code >> 6));
		bytes[1] = (char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		bytes[0] = (char) (0xE0 | (code >> 12));
		bytes[1] = (char) (0x80 | ((code >> 6) & 0x3F));
		bytes[2] = (char) (0x80 | (code & 0x3F));
		return 3;
	}
	bytes[0] = (char) (0xF0 | (code >> 18));
	bytes[1] = (char) (0x80 | ((code >> 12) & 0x3F));
	bytes[2] = (char) (0x80 | ((code >> 6) & 0x3F));
	bytes[3] = (char) (0x80 | (code & 0x3F));
	return 4;
}

/* the value of the range that holds code, or 0 */
static int
range_value(const CharRange *ranges, int n, uint32 code)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (code < ranges[middle].first)
			high = middle;
		else if (code - ranges[middle].first >= ranges[middle].count)
			low = middle + 1;
		else
			return ranges[middle].value;
	}
	return 0;
}

MemaiCharClass
memai_char_class(uint32 code)
{
	if (code < 0x80)
	{
		if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
			(code >= '0' && code <= '9'))
			return CHAR_WORD;
		return CHAR_OTHER;
	}
	return (MemaiCharClass) range_value(class_ranges, lengthof(class_ranges), code);
}

static inline int
combining_class(uint32 code)
{
	if (code < 0x300)
		return 0;
	return range_value(combining_ranges, lengthof(combining_ranges), code);
}

int
memai_char_fold(uint32 code, uint32 folded[MEMAI_FOLD_MAX])
{
	int			low = 0;
	int			high = lengthof(fold_ranges);

	folded[0] = code;
	if (code < 0x80)
	{
		if (code >= 'A' && code <= 'Z')
			folded[0] = code + ('a' - 'A');
		return 1;
	}
	while (low < high)
	{
		int			middle = (low + high) / 2;
		const FoldRange *range = &fold_ranges[middle];

		if (code < range->first)
			high = middle;
		else if (code - range->first >= range->count)
			low = middle + 1;
		else
		{
			memcpy(folded, &fold_pool[range->offset + (code - range->first) * range->len],
				   range->len * sizeof(uint32));
			return range->len;
		}
	}
	return 1;
}

/* Canonical ordering: a stable sort of every run of marks by combining class. */
static void
sort_marks(uint32 *codes, int n)
{
	for (int i = 1; i < n; i++)
	{
		uint32		code = codes[i];
		int			order = combining_class(code);
		int			j = i;

		if (order == 0)
			continue;
		while (j > 0 && combining_class(codes[j - 1]) > order)
		{
			codes[j] = codes[j - 1];
			j--;
		}
		codes[j] = code;
	}
}

static uint32
compose_hangul(uint32 first, uint32 second)
{
	if (first - HANGUL_LEADING < HANGUL_NLEADING && second - HANGUL_VOWEL < HANGUL_NVOWEL)
		return HANGUL_FIRST + ((first - HANGUL_LEADING) * HANGUL_NVOWEL +
							   (second - HANGUL_VOWEL)) * HANGUL_NTRAILING;
	if (first - HANGUL_FIRST < HANGUL_NLEADING * HANGUL_NVOWEL * HANGUL_NTRAILING &&
		(first - HANGUL_FIRST) % HANGUL_NTRAILING == 0 &&
		second - (HANGUL_TRAILING + 1) < HANGUL_NTRAILING - 1)
		return first + (second - HANGUL_TRAILING);
	return 0;
}

/* the primary composite of two characters, or 0 */
static uint32
compose_pair(uint32 first, uint32 second)
{
	int			low = 0;
	int			high = lengthof(compositions);
	uint64		key = ((uint64) first << 32) | second;

	if (second < 0x300)
		return 0;
	while (low < high)
	{
		int			middle = (low + high) / 2;
		const CharPair *pair = &compositions[middle];
		uint64		pair_key = ((uint64) pair->first << 32) | pair->second;

		if (key < pair_key)
			high = middle;
		else if (key > pair_key)
			low = middle + 1;
		else
			return pair->composed;
	}
	return compose_hangul(first, second);
}

int
memai_chars_compose(uint32 *codes, int n)
{
	int			starter = -1;	/* last character of class 0 */
	int			last_order = 0; /* class of the last mark kept after it */
	int			kept = 0;

	sort_marks(codes, n);
	for (int i = 0; i < n; i++)
	{
		int			order = combining_class(codes[i]);
		bool		adjacent = starter >= 0 && starter == kept - 1;

		/* a mark composes unless one of its own class stands before it */
		if (starter >= 0 && (adjacent || last_order < order))
		{
			uint32		composed = compose_pair(codes[starter], codes[i]);

			if (composed != 0)
			{
				codes[starter] = composed;
				continue;
			}
		}
		if (order == 0)
			starter = kept;
		last_order = order;
		codes[kept++] = codes[i];
	}
	return kept;
}

bool
memai_char_is_accent(uint32 code)
{
	return (code >= 0x0300 && code <= 0x036F) || (code >= 0x1AB0 && code <= 0x1AFF) ||
		(code >= 0x1DC0 && code <= 0x1DFF) || (code >= 0x20D0 && code <= 0x20FF) ||
		(code >= 0xFE20 && code <= 0xFE2F);
}

/* the entry of base_letters for code, or NULL */
static const BaseLetter *
find_base_letter(uint32 code)
{
	int			low = 0;
	int			high = lengthof(base_letters);

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (code < base_letters[middle].code)
			high = middle;
		else if (code > base_letters[middle].code)
			low = middle + 1;
		else
			return &base_letters[middle];
	}
	return NULL;
}

int
memai_char_base(uint32 code, char *bytes)
{
	uint32		folded[MEMAI_FOLD_MAX];
	const BaseLetter *letter;

	/* Latin and Greek: the first character of the decomposition */
	if (memai_char_fold(code, folded) > 1 && memai_char_is_accent(folded[1]) &&
		(folded[0] < 0x250 || (folded[0] >= 0x370 && folded[0] < 0x400)))
		code = folded[0];

	letter = find_base_letter(code);
	if (letter != NULL)
	{
		int			len = strlen(letter->base);

		memcpy(bytes, letter->base, len);
		return len;
	}
	return memai_utf8_encode(code, bytes);
}
