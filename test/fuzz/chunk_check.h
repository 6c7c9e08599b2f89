/*
 * chunk_check.h
 *	  What is true of the chunks of any text; abort() when it is not.  Shared by
 *	  the fuzzer and the unit test of chunks.  Include after postgres.h.
 */
#ifndef MEMAI_TEST_CHUNK_CHECK_H
#define MEMAI_TEST_CHUNK_CHECK_H

#include "text/measure.h"
#include "text/text.h"

static bool
holds_no_text(const unsigned char *from, const unsigned char *to, const unsigned char *end)
{
	while (from < to)
	{
		if (!memai_char_is_space(memai_utf8_decode(&from, end)))
			return false;
	}
	return from == to;
}

static int64
count_chars(const unsigned char *from, const unsigned char *to, const unsigned char *end)
{
	int64		n = 0;

	for (; from < to; n++)
		memai_utf8_decode(&from, end);
	if (from != to)
		abort();				/* a character was parted */
	return n;
}

/* a mark never stands alone at the start, unless what it belongs to is too large */
static void
check_start(const unsigned char *begin, const unsigned char *start, const unsigned char *end,
			const unsigned char *last_start, const MemaiChunking *how)
{
	const unsigned char *next = start;
	uint32		code = memai_utf8_decode(&next, end);

	if (start == begin || code == MEMAI_UTF8_INVALID || memai_char_class(code) != CHAR_MARK)
		return;
	if (start[-1] < ' ' || start[-1] == 0x85 || start[-1] == 0xA8 || start[-1] == 0xA9)
		return;					/* newlines carry no marks */
	/* the grapheme must then fill the chunk before, which consists of it alone */
	next = last_start;
	memai_utf8_decode(&next, end);
	while (next < start)
	{
		MemaiCharClass class = memai_char_class(memai_utf8_decode(&next, end));

		if (class != CHAR_MARK && class != CHAR_IGNORED && how->size > 8)
			abort();
	}
}

/* Checks all chunks of a text and returns how many there are. */
static int
check_chunks(const char *text, size_t len, const MemaiChunking *how)
{
	const unsigned char *begin = (const unsigned char *) text;
	const unsigned char *end = begin + len;
	const unsigned char *covered = begin;
	const unsigned char *last_start = begin;
	const unsigned char *counted = begin;
	int64		chars = 0;
	MemaiChunker chunker;
	MemaiChunk	chunk;
	int			n = 0;

	memai_chunker_start(&chunker, text, len, how);
	while (memai_chunker_next(&chunker, &chunk))
	{
		const unsigned char *start = begin + chunk.span.start;
		const unsigned char *stop = start + chunk.span.len;
		int64		nchars = count_chars(start, stop, end);

		if (chunk.span.len == 0 || stop > end || stop <= covered || start < last_start || (n > 0 && start == last_start))
			abort();
		if (start > covered ? !holds_no_text(covered, start, end) : (how->overlap == 0 && start < covered))
			abort();
		if (start < covered && (how->in_tokens ? memai_estimate_tokens((const char *) start, covered - start) : count_chars(start, covered, end)) > how->overlap)
			abort();
		if (how->in_tokens ? memai_estimate_tokens((const char *) start, chunk.span.len) > how->size : nchars > how->size)
			abort();
		if (nchars != chunk.nchars || nchars > (int64) how->size * 32)
			abort();
		chars += count_chars(counted, start, end);
		counted = start;
		if (chars != chunk.first_char)
			abort();
		if (how->format != MEMAI_FORMAT_CODE && *start <= ' ' && start + 1 < stop && start[1] < 0x80)
			abort();
		/* a blank that carries marks is text, and may be parted from them when size is tiny */
		if (stop[-1] <= ' ' && how->size > 8)
			abort();
		check_start(begin, start, end, last_start, how);
		for (int i = 0; i < MEMAI_HEADING_LEVELS; i++)
			if (chunk.headings[i].start + chunk.headings[i].len > len)
				abort();
		covered = stop;
		last_start = start;
		n++;
	}
	if (!holds_no_text(covered, end, end))
		abort();
	return n;
}

#endif							/* MEMAI_TEST_CHUNK_CHECK_H */
