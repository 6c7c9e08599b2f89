/*
 * chunk.c
 *	  Parting a text into chunks for retrieval.  Pure: no allocation, no errors,
 *	  no server state.
 *
 * A chunk grows character by character until it would exceed its size.  On the
 * way the places where it could end are graded (boundary.c); the best one in
 * the second half wins, the last among equals.  So a chunk ends after a
 * paragraph where there is one, or after a line, a sentence, a clause, a word,
 * and inside a word only when that fills half of the chunk.  In Markdown a new
 * section begins a new chunk unless what stands before it is an eighth of the
 * size or less, and a heading stays with its text.
 *
 * Every chunk ends at least a quarter of the size behind the one before it, or
 * is followed by one that does, and nothing beyond the size is looked at: the
 * time is linear whatever the text.
 */
#include "postgres.h"

#include "text/boundary.h"
#include "text/measure.h"

/* how many characters n tokens may have: blanks and invisible ones are no tokens */
#define CHARS_PER_TOKEN 32
/* a section of more than a size / this is not joined with the next */
#define SECTION_PART 8
/* indentation of more than a size / this is dropped */
#define INDENT_PART 4

typedef struct Measure
{
	int64		chars;
	MemaiTokenCount tokens;
} Measure;

/* where a chunk can end and the text go on */
typedef struct Place
{
	const unsigned char *end;	/* NULL: no place */
	const unsigned char *next;
	MemaiBreak	level;
	int64		units;			/* of the chunk */
	int64		chars;			/* of the chunk */
	int64		next_chars;		/* from the chunk's start to next */
} Place;

/* looking for the end of a chunk */
typedef struct Search
{
	const MemaiChunker *chunker;
	Measure		measure;		/* from the chunk's start to pos */
	const unsigned char *pos;
	MemaiGraphemes graphemes;
	uint32		previous;
	bool		in_fence;
	bool		in_heading;		/* pos is in the line of a heading */
	bool		has_body;		/* something else than headings was seen */
	int64		least;			/* units of the part that no place is wanted in */
	Place		best;			/* behind that part */
	Place		before;			/* in it, the last one */
	Place		sentence;		/* the last end of a sentence */
	Place		cut;			/* the last end of a grapheme */
} Search;

static void
measure_add(const MemaiChunker *chunker, Measure *measure, uint32 code, int bytes)
{
	measure->chars++;
	if (chunker->how.in_tokens)
		memai_tokens_add(&measure->tokens, code, bytes);
}

static int64
measure_units(const MemaiChunker *chunker, const Measure *measure)
{
	return chunker->how.in_tokens ? memai_tokens_so_far(&measure->tokens) : measure->chars;
}

static bool
fits(const MemaiChunker *chunker, const Measure *measure)
{
	return measure_units(chunker, measure) <= chunker->how.size &&
		measure->chars <= (int64) chunker->how.size * CHARS_PER_TOKEN;
}

/* ---- lines ---- */

/* The start of the line in which only blanks stand before pos, or NULL. */
static const unsigned char *
line_of(const MemaiChunker *chunker, const unsigned char *pos)
{
	for (int i = 0; i <= 3; i++)
	{
		if (pos == chunker->begin || pos[-1] == '\n')
			return pos;
		if (pos[-1] != ' ')
			return NULL;
		pos--;
	}
	return NULL;
}

static bool
is_markdown(const MemaiChunker *chunker)
{
	return chunker->how.format == MEMAI_FORMAT_MARKDOWN || chunker->how.format == MEMAI_FORMAT_HTML;
}

/* Follows the line that begins at line; is it a heading? */
static bool
enter_line(const MemaiChunker *chunker, const unsigned char *line, bool *in_fence)
{
	const unsigned char *start;
	size_t		len;

	if (memai_line_is_fence(line, chunker->end))
	{
		*in_fence = !*in_fence;
		return false;
	}
	return !*in_fence && memai_heading_read(line, chunker->end, &start, &len) > 0;
}

/* ---- the end of a chunk ---- */

static void
consider(Search *search, Place place)
{
	const MemaiChunker *chunker = search->chunker;

	if (place.end <= chunker->from || place.end <= chunker->last_end)
		return;
	search->cut = place;
	if (place.level == BREAK_NONE)
		return;
	if (place.level >= BREAK_SENTENCE)
		search->sentence = place;
	if (place.units < search->least)
	{
		if (place.level >= BREAK_WORD)
			search->before = place;
	}
	else if (search->best.end == NULL || place.level >= search->best.level)
		search->best = place;
}

/* where the text goes on behind blanks: in code with its indentation */
static const unsigned char *
behind_blank(const MemaiChunker *chunker, const MemaiBlank *blank)
{
	const unsigned char *line = blank->line;

	if (chunker->how.format != MEMAI_FORMAT_CODE || line == NULL ||
		blank->end - line > chunker->how.size / INDENT_PART)
		return blank->end;
	while (line < blank->end && (*line == ' ' || *line == '\t'))
		line++;
	return line == blank->end ? blank->line : blank->end;
}

/* Passes blanks; true when the section that begins behind them ends the chunk. */
static bool
pass_blank(Search *search, const MemaiBlank *blank)
{
	const MemaiChunker *chunker = search->chunker;
	int64		blank_chars = blank->chars - (blank->end - behind_blank(chunker, blank));
	Place		place = {.end = blank->start, .next = behind_blank(chunker, blank),
		.units = measure_units(chunker, &search->measure), .chars = search->measure.chars,
	.next_chars = search->measure.chars + blank_chars};
	bool		was_heading = search->in_heading;

	place.level = memai_blank_break(blank, chunker->begin, chunker->end, search->in_fence ? MEMAI_FORMAT_CODE : chunker->how.format);
	if (search->in_fence)
		place.level = Min(place.level, BREAK_SENTENCE);
	if (blank->line != NULL && blank->line[-1] == '\n' && is_markdown(chunker))
	{
		search->in_heading = enter_line(chunker, blank->line, &search->in_fence);
		if (search->in_heading)
			place.level = BREAK_HEADING;
		if (was_heading)
			place.level = BREAK_UNSPACED;
	}
	consider(search, place);
	search->measure.chars += blank->chars;
	memai_tokens_add(&search->measure.tokens, ' ', 1);
	search->graphemes = (MemaiGraphemes) {0};
	search->previous = ' ';
	search->pos = blank->end;
	return place.level == BREAK_HEADING && search->has_body && search->cut.end == blank->start &&
		chunker->how.strategy == MEMAI_CHUNK_RECURSIVE && place.units > chunker->how.size / SECTION_PART;
}

/* memai_unspaced_break, but at once for what most texts are made of */
static inline MemaiBreak
unspaced_break(const MemaiChunker *chunker, const unsigned char *next, uint32 previous, uint32 code)
{
	if (code < 0x80 || previous < 0x80)
		return BREAK_NONE;
	return memai_unspaced_break(chunker->begin, next, previous, code);
}

/* Passes one character; false when it does not fit any more. */
static bool
pass_char(Search *search, uint32 code, const unsigned char *next)
{
	const MemaiChunker *chunker = search->chunker;
	Measure		measure = search->measure;

	if (memai_grapheme_begins(&search->graphemes, code) && search->pos > chunker->from && search->previous != ' ')
		consider(search, (Place) {.end = search->pos, .next = search->pos,
				.level = unspaced_break(chunker, search->pos, search->previous, code),
				.units = measure_units(chunker, &measure), .chars = measure.chars, .next_chars = measure.chars
			});
	measure_add(chunker, &measure, code, next - search->pos);
	if (!fits(chunker, &measure))
		return false;
	search->measure = measure;
	search->has_body |= !search->in_heading;
	search->previous = code;
	search->pos = next;
	return true;
}

static Place
place_here(const Search *search)
{
	return (Place) {.end = search->pos, .next = search->pos, .units = measure_units(search->chunker, &search->measure),
		.chars = search->measure.chars, .next_chars = search->measure.chars};
}

static Place
choose(const Search *search)
{
	const MemaiChunker *chunker = search->chunker;

	if (chunker->how.strategy != MEMAI_CHUNK_FIXED)
	{
		if (chunker->how.strategy == MEMAI_CHUNK_SENTENCE && search->sentence.end != NULL)
			return search->sentence;
		if (search->best.end != NULL)
			return search->best;
		if (search->before.end != NULL)
			return search->before;
	}
	/* one grapheme that is too large is parted between characters */
	return search->cut.end != NULL ? search->cut : place_here(search);
}

static Place
find_end(const MemaiChunker *chunker)
{
	const unsigned char *line = line_of(chunker, chunker->from);
	Search		search = {.chunker = chunker, .pos = chunker->from, .in_fence = chunker->in_fence,
	.least = Max(chunker->how.size / 2, chunker->how.overlap + chunker->how.size / 4)};

	if (line != NULL && is_markdown(chunker))
		search.in_heading = enter_line(chunker, line, &search.in_fence);
	while (search.pos < chunker->end && fits(chunker, &search.measure))
	{
		const unsigned char *next = search.pos;
		uint32		code = memai_utf8_decode(&next, chunker->end);
		MemaiBlank	blank;

		if (memai_char_is_space(code))
		{
			memai_blank_read(search.pos, chunker->end, &blank);
			if (blank.end == chunker->end)
			{
				Place		place = place_here(&search);

				place.next = blank.end;
				return place;
			}
			if (blank.end > search.pos)
			{
				if (pass_blank(&search, &blank))
					return search.cut;
				continue;
			}
		}
		if (!pass_char(&search, code, next))
			return choose(&search);
	}
	return search.pos == chunker->end ? place_here(&search) : choose(&search);
}

/* ---- going on behind it ---- */

/*
 * Follows the lines of the chunk, which is [from, place.next).  Returns the
 * place before which no overlap may begin: the line behind the last fence, or
 * the last heading.
 */
static const unsigned char *
follow_lines(MemaiChunker *chunker, const Place *place, MemaiChunk *chunk)
{
	const unsigned char *barrier = chunker->from;
	const unsigned char *line = line_of(chunker, chunker->from);
	bool		has_body = line == NULL;

	memcpy(chunk->headings, chunker->headings, sizeof(chunk->headings));
	line = line ? line : chunker->from;
	while (line < place->next)
	{
		const unsigned char *stop = memchr(line, '\n', place->next - line);
		const unsigned char *start;
		size_t		len;
		int			level;

		stop = stop ? stop + 1 : place->next;
		if (line_of(chunker, line) == line && memai_line_is_fence(line, chunker->end))
		{
			chunker->in_fence = !chunker->in_fence;
			barrier = stop;
			has_body = true;
		}
		else if (!chunker->in_fence && line_of(chunker, line) == line &&
				 (level = memai_heading_read(line, chunker->end, &start, &len)) > 0)
		{
			memset(&chunker->headings[level - 1], 0, sizeof(MemaiTextSpan) * (MEMAI_HEADING_LEVELS - level + 1));
			chunker->headings[level - 1] = (MemaiTextSpan) {start - chunker->begin, len};
			barrier = line;
			if (!has_body)
				memcpy(chunk->headings, chunker->headings, sizeof(chunk->headings));
		}
		else
		{
			while (line < stop && memai_byte_is_space(*line))
				line++;
			has_body |= line < stop;
		}
		line = stop;
	}
	return barrier;
}

/* Is this a place where an overlap may begin?  blank: the blanks before it, or NULL */
static bool
begins_overlap(const MemaiChunker *chunker, const MemaiBlank *blank, const unsigned char *pos,
			   uint32 previous, uint32 code)
{
	MemaiBreak	level;

	if (blank != NULL)
		level = memai_blank_break(blank, chunker->begin, chunker->end, chunker->how.format);
	else
		level = unspaced_break(chunker, pos, previous, code);
	if (chunker->how.strategy == MEMAI_CHUNK_SENTENCE)
		return level >= BREAK_SENTENCE;
	return level > BREAK_NONE;
}

/* Sets from to where the next chunk begins: the overlap before place.next, if there is one. */
static void
set_overlap(MemaiChunker *chunker, const Place *place, const unsigned char *barrier)
{
	int64		overlap = Min(chunker->how.overlap, place->units / 2);
	int64		chars_max = (int64) chunker->how.size * (chunker->how.in_tokens ? CHARS_PER_TOKEN / 2 : 1);
	/* in characters the blanks before next count, in tokens they are none */
	int64		total = chunker->how.in_tokens ? place->units : place->next_chars;
	const unsigned char *pos = chunker->from;
	MemaiGraphemes graphemes = {0};
	Measure		measure = {0};
	uint32		previous = 0;

	while (pos < place->end)
	{
		const unsigned char *next = pos;
		uint32		code = memai_utf8_decode(&next, chunker->end);
		MemaiBlank	blank = {.end = pos};
		bool		begins = memai_grapheme_begins(&graphemes, code);
		bool		is_blank;

		if (memai_char_is_space(code))
			memai_blank_read(pos, place->end, &blank);
		is_blank = blank.end > pos;
		if (is_blank)
		{
			measure.chars += blank.chars;
			memai_tokens_add(&measure.tokens, ' ', 1);
			graphemes = (MemaiGraphemes) {0};
			previous = ' ';
			pos = blank.end;
			begins = true;
		}
		if (begins && pos > chunker->from && pos >= barrier &&
			total - measure_units(chunker, &measure) <= overlap && place->next_chars - measure.chars <= chars_max &&
			((chunker->how.strategy == MEMAI_CHUNK_FIXED && !chunker->how.in_tokens && previous != ' ') ||
			 begins_overlap(chunker, is_blank ? &blank : NULL, pos, previous, code)))
		{
			chunker->from = pos;
			chunker->from_chars += measure.chars;
			return;
		}
		if (is_blank)
			continue;
		measure_add(chunker, &measure, code, next - pos);
		previous = code;
		pos = next;
	}
	chunker->from = place->next;
	chunker->from_chars += place->next_chars;
}

void
memai_chunker_start(MemaiChunker *chunker, const char *utf8, size_t len, const MemaiChunking *how)
{
	MemaiBlank	blank;

	memset(chunker, 0, sizeof(MemaiChunker));
	chunker->how = *how;
	chunker->begin = (const unsigned char *) utf8;
	chunker->end = chunker->begin + len;
	chunker->last_end = chunker->begin;
	memai_blank_read(chunker->begin, chunker->end, &blank);
	chunker->from = blank.end == chunker->end ? blank.end : behind_blank(chunker, &blank);
	chunker->from_chars = blank.chars - (blank.end - chunker->from);
}

bool
memai_chunker_next(MemaiChunker *chunker, MemaiChunk *chunk)
{
	const unsigned char *barrier = chunker->from;
	Place		place;

	if (chunker->from == chunker->end)
		return false;
	memset(chunk, 0, sizeof(MemaiChunk));
	place = find_end(chunker);
	chunk->span = (MemaiTextSpan) {chunker->from - chunker->begin, place.end - chunker->from};
	chunk->first_char = chunker->from_chars;
	chunk->nchars = place.chars;
	if (is_markdown(chunker))
		barrier = follow_lines(chunker, &place, chunk);
	chunker->last_end = place.end;
	if (chunker->how.overlap > 0 && place.level != BREAK_HEADING && place.next != chunker->end)
		set_overlap(chunker, &place, barrier);
	else
	{
		chunker->from = place.next;
		chunker->from_chars += place.next_chars;
	}
	return true;
}
