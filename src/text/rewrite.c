/*
 * rewrite.c
 *	  What published models do to a text before it is taken apart: the
 *	  "normalizers" of tokenizer.json.  Pure: no allocation, no errors, no server
 *	  state.
 *
 * Each step reads one buffer and writes another; the caller bounds the length,
 * because a model's file may ask for replacements that grow without end.
 */
#include "postgres.h"

#include "text/text.h"
#include "text/unicode.h"

#define REPLACEMENT_CHARACTER 0xFFFD

/* most characters that are put in order at once; more marks than that stay */
#define MAX_RUN 64

typedef struct Output
{
	char	   *data;
	size_t		len;
	size_t		max;
	bool		overflow;
} Output;

static void
put_bytes(Output *out, const char *data, size_t len)
{
	if (len > out->max - out->len)
	{
		out->overflow = true;
		return;
	}
	memcpy(out->data + out->len, data, len);
	out->len += len;
}

static void
put_char(Output *out, uint32 code)
{
	char		bytes[MEMAI_UTF8_MAX_BYTES];

	if (code < 0x80 && out->len < out->max)
		out->data[out->len++] = (char) code;
	else
		put_bytes(out, bytes, memai_utf8_encode(code, bytes));
}

static uint32
next_char(const unsigned char **next, const unsigned char *end)
{
	uint32		code = memai_utf8_decode(next, end);

	return code == MEMAI_UTF8_INVALID ? REPLACEMENT_CHARACTER : code;
}

static bool
is_chinese(uint32 code)
{
	return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
		(code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
		(code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B920 && code <= 0x2CEAF) ||
		(code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

/* what a cleaned text has instead of code; false for nothing */
static bool
clean(uint32 *code)
{
	MemaiProperty property = memai_char_property(*code);

	if (*code == REPLACEMENT_CHARACTER || property == PROPERTY_CONTROL || *code == 0x0B || *code == 0x0C)
		return false;
	if (property == PROPERTY_SPACE)
		*code = ' ';
	return true;
}

/* İ alone has a lower case of two characters */
static void
put_lower(Output *out, uint32 code)
{
	put_char(out, code == 0x130 ? 'i' : memai_char_lower(code));
	if (code == 0x130)
		put_char(out, 0x307);
}

static void
put_bert(Output *out, uint32 code, int flags)
{
	uint32		codes[MEMAI_DECOMPOSED_MAX] = {code};
	int			n = (flags & MEMAI_BERT_STRIP) ? memai_char_decompose(code, codes) : 1;

	for (int i = 0; i < n; i++)
	{
		if ((flags & MEMAI_BERT_STRIP) && memai_char_property(codes[i]) == PROPERTY_MARK)
			continue;
		if (flags & MEMAI_BERT_LOWER)
			put_lower(out, codes[i]);
		else
			put_char(out, codes[i]);
	}
}

static void
rewrite_bert(Output *out, const unsigned char *next, const unsigned char *end, int flags)
{
	while (next < end)
	{
		uint32		code = next_char(&next, end);
		bool		apart;

		if ((flags & MEMAI_BERT_CLEAN) && !clean(&code))
			continue;
		if (code < 0x80)
		{
			put_char(out, (flags & MEMAI_BERT_LOWER) ? memai_char_lower(code) : code);
			continue;
		}
		apart = (flags & MEMAI_BERT_CHINESE) && is_chinese(code);
		if (apart)
			put_char(out, ' ');
		put_bert(out, code, flags);
		if (apart)
			put_char(out, ' ');
	}
}

/* puts a run of marks in canonical order and out */
static void
flush_run(Output *out, uint32 *run, int *n)
{
	for (int i = 1; i < *n; i++)
	{
		uint32		code = run[i];
		int			order = memai_char_combining(code);
		int			j = i;

		while (order > 0 && j > 0 && memai_char_combining(run[j - 1]) > order)
		{
			run[j] = run[j - 1];
			j--;
		}
		run[j] = code;
	}
	for (int i = 0; i < *n; i++)
		put_char(out, run[i]);
	*n = 0;
}

static void
rewrite_decompose(Output *out, const unsigned char *next, const unsigned char *end)
{
	uint32		run[MAX_RUN + MEMAI_DECOMPOSED_MAX];
	int			n = 0;

	while (next < end)
	{
		uint32		codes[MEMAI_DECOMPOSED_MAX];
		int			ncodes = memai_char_decompose(next_char(&next, end), codes);

		for (int i = 0; i < ncodes; i++)
		{
			if (memai_char_combining(codes[i]) == 0 || n >= MAX_RUN)
				flush_run(out, run, &n);
			run[n++] = codes[i];
		}
	}
	flush_run(out, run, &n);
}

static void
rewrite_by_character(Output *out, const unsigned char *next, const unsigned char *end, int kind)
{
	while (next < end)
	{
		uint32		code = next_char(&next, end);
		MemaiProperty property;

		if (kind == MEMAI_REWRITE_LOWER)
		{
			put_lower(out, code);
			continue;
		}
		property = memai_char_property(code);
		if (property != PROPERTY_MARK && property != PROPERTY_OTHER_MARK)
			put_char(out, code);
	}
}

static void
rewrite_replace(Output *out, const char *in, size_t len, const char *pattern, size_t pattern_len,
				const char *content, size_t content_len)
{
	const char *end = in + len;

	while (in < end && pattern_len > 0)
	{
		const char *found = memmem(in, end - in, pattern, pattern_len);

		if (found == NULL)
			break;
		put_bytes(out, in, found - in);
		put_bytes(out, content, content_len);
		in = found + pattern_len;
	}
	put_bytes(out, in, end - in);
}

/* runs of at least shortest characters that are blanks, or white space */
static void
rewrite_runs(Output *out, const unsigned char *next, const unsigned char *end, bool blanks,
			 const char *content, size_t content_len)
{
	const unsigned char *run = NULL;
	int			length = 0;

	while (next <= end)
	{
		const unsigned char *start = next;
		uint32		code = next < end ? next_char(&next, end) : 0;
		bool		inside = start < end &&
		(blanks ? code == ' ' : memai_char_property(code) == PROPERTY_SPACE || code == 0x85);

		if (inside)
		{
			if (length++ == 0)
				run = start;
			continue;
		}
		if (length > (blanks ? 1 : 0))
			put_bytes(out, content, content_len);
		else if (length > 0)
			put_bytes(out, (const char *) run, start - run);
		length = 0;
		if (start == end)
			break;
		put_bytes(out, (const char *) start, next - start);
	}
}

static void
rewrite_strip(Output *out, const char *in, size_t len, int flags)
{
	const unsigned char *end = (const unsigned char *) in + len;
	const unsigned char *first = end;
	const unsigned char *last = (const unsigned char *) in;
	const unsigned char *next = last;

	while (next < end)
	{
		const unsigned char *start = next;
		uint32		code = next_char(&next, end);

		if (memai_char_property(code) == PROPERTY_SPACE || code == 0x85)
			continue;
		if (first == end)
			first = start;
		last = next;
	}
	if (!(flags & MEMAI_STRIP_LEFT))
		first = (const unsigned char *) in;
	if (!(flags & MEMAI_STRIP_RIGHT))
		last = end;
	if (first < last)
		put_bytes(out, (const char *) first, last - first);
}

/* ---- character maps ---- */

/*
 * A character map as SentencePiece writes it ("precompiled_charsmap"): a tree of
 * byte strings as a double array (of darts-clone), whose values are offsets of
 * what they become, up to a NUL.  A unit of the array has 32 bits, little-endian:
 * the byte that leads to it (0-7), whether a value stands at its base (8), and
 * how far its base is, by exclusive or (10-31, times 256 where bit 9 is set).  Every
 * step is checked, so that an array of any bytes is survived.
 */
typedef struct CharsMap
{
	const unsigned char *units;
	size_t		nunits;
	const char *texts;
	size_t		texts_len;
} CharsMap;

static uint32
read_unit(const CharsMap *map, size_t index)
{
	const unsigned char *unit = map->units + index * 4;

	return unit[0] | (uint32) unit[1] << 8 | (uint32) unit[2] << 16 | (uint32) unit[3] << 24;
}

static size_t
base_of(uint32 unit)
{
	return (size_t) (unit >> 10) << ((unit & 0x200) >> 6);
}

/* the value of the shortest key that data begins with; -1 for none */
static int64
find_key(const CharsMap *map, const unsigned char *data, size_t len)
{
	size_t		node = base_of(read_unit(map, 0));

	for (size_t i = 0; i < len && data[i] != 0; i++)
	{
		uint32		unit;

		node ^= data[i];
		if (node >= map->nunits)
			break;
		unit = read_unit(map, node);
		if ((unit & 0x800000FF) != data[i])
			break;
		node ^= base_of(unit);
		if ((unit & 0x100) && node < map->nunits)
			return read_unit(map, node) & 0x7FFFFFFF;
	}
	return -1;
}

/* puts what data becomes; false when the map says nothing of it */
static bool
put_mapped(Output *out, const CharsMap *map, const unsigned char *data, size_t len)
{
	int64		value = find_key(map, data, len);
	const char *text;

	/* inside a character there is no text */
	if (value < 0 || value > (int64) map->texts_len ||
		(value < (int64) map->texts_len && (map->texts[value] & 0xC0) == 0x80))
		return false;
	text = map->texts + value;
	put_bytes(out, text, strnlen(text, map->texts_len - (size_t) value));
	return true;
}

/*
 * The tokenizers library looks a cluster of up to 5 bytes up whole, and takes
 * the shortest key that it begins with for all of it; others character by character.
 */
static void
rewrite_charsmap(Output *out, const CharsMap *map, const unsigned char *next, const unsigned char *end)
{
	while (next < end)
	{
		const unsigned char *stop = next + memai_grapheme_length(next, end);

		if (stop - next < 6 && put_mapped(out, map, next, stop - next))
			next = stop;
		while (next < stop)
		{
			char		bytes[MEMAI_UTF8_MAX_BYTES];
			int			len = memai_utf8_encode(next_char(&next, end), bytes);

			if (!put_mapped(out, map, (const unsigned char *) bytes, len))
				put_bytes(out, bytes, len);
		}
	}
}

int64
memai_rewrite(const MemaiRewrite *rewrite, const char *strings, const char *in, size_t len,
			  char *out, size_t max)
{
	Output		output = {out, 0, max, false};
	const unsigned char *next = (const unsigned char *) in;
	const unsigned char *end = next + len;
	const char *content = strings + rewrite->content.offset;
	size_t		content_len = rewrite->content.len;
	CharsMap	map = {(const unsigned char *) strings + rewrite->pattern.offset, rewrite->pattern.len / 4, content, content_len};

	switch (rewrite->kind)
	{
		case MEMAI_REWRITE_BERT:
			rewrite_bert(&output, next, end, rewrite->flags);
			break;
		case MEMAI_REWRITE_LOWER:
		case MEMAI_REWRITE_STRIP_MARKS:
			rewrite_by_character(&output, next, end, rewrite->kind);
			break;
		case MEMAI_REWRITE_DECOMPOSE:
			rewrite_decompose(&output, next, end);
			break;
		case MEMAI_REWRITE_REPLACE:
			rewrite_replace(&output, in, len, strings + rewrite->pattern.offset,
							rewrite->pattern.len, content, content_len);
			break;
		case MEMAI_REWRITE_SPACES:
		case MEMAI_REWRITE_BLANKS:
			rewrite_runs(&output, next, end, rewrite->kind == MEMAI_REWRITE_BLANKS,
						 content, content_len);
			break;
		case MEMAI_REWRITE_STRIP:
			rewrite_strip(&output, in, len, rewrite->flags);
			break;
		case MEMAI_REWRITE_PREPEND:
			if (len > 0)
				put_bytes(&output, content, content_len);
			put_bytes(&output, in, len);
			break;
		case MEMAI_REWRITE_CHARSMAP:
			rewrite_charsmap(&output, &map, next, end);
			break;
	}
	return output.overflow ? -1 : (int64) output.len;
}
