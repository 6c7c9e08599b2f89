/*
 * boundary.h
 *	  Where a text may be parted: graphemes, sentences, lines.  Private to
 *	  text/.  Everything here is pure.
 */
#ifndef MEMAI_TEXT_BOUNDARY_H
#define MEMAI_TEXT_BOUNDARY_H

#include "text/text.h"
#include "text/unicode.h"

/* how good a place is to part a text, better ones last */
typedef enum MemaiBreak
{
	BREAK_NONE,
	BREAK_UNSPACED,				/* between letters of a script without spaces */
	BREAK_WORD,
	BREAK_CLAUSE,
	BREAK_SENTENCE,
	BREAK_LINE,
	BREAK_PARAGRAPH,
	BREAK_HEADING				/* the next line is a heading */
} MemaiBreak;

/* what a walk over the graphemes of a text remembers; start with zeros */
typedef struct MemaiGraphemes
{
	bool		started;
	uint32		previous;
	bool		odd_regional;	/* it is the first half of a flag */
} MemaiGraphemes;

/*
 * Does a grapheme begin at the next character?  An approximation of extended
 * grapheme clusters (Unicode Standard Annex 29) from the classes of unicode.h:
 * marks, joiners, selectors, flags, modifiers, conjuncts.  Call once for each
 * character, in order.
 */
extern bool memai_grapheme_begins(MemaiGraphemes *graphemes, uint32 code);

/* a run of blanks and what stands around it */
typedef struct MemaiBlank
{
	const unsigned char *start;
	const unsigned char *end;	/* of the run; start when there is none */
	const unsigned char *line;	/* behind its last newline, or NULL */
	int			newlines;
	int64		chars;
} MemaiBlank;

/* The blanks at next; a blank that carries a mark is none. */
extern void memai_blank_read(const unsigned char *next, const unsigned char *end, MemaiBlank *blank);

/* How good a place to part a run of blanks is.  begin is the start of the text. */
extern MemaiBreak memai_blank_break(const MemaiBlank *blank, const unsigned char *begin,
									const unsigned char *end, MemaiTextFormat format);

/*
 * How good a place there is between two characters of which the first ends at
 * next, or BREAK_NONE: in scripts without spaces.
 */
extern MemaiBreak memai_unspaced_break(const unsigned char *begin, const unsigned char *next,
									   uint32 previous, uint32 code);

/*
 * The level, 1 to 6, of the Markdown heading that begins at line, or 0; its text goes
 * to start and len.  line is behind a newline or the start of the text.
 */
extern int	memai_heading_read(const unsigned char *line, const unsigned char *end,
							   const unsigned char **start, size_t *len);

/* Does the line open or close a fenced block of code? */
extern bool memai_line_is_fence(const unsigned char *line, const unsigned char *end);

#endif							/* MEMAI_TEXT_BOUNDARY_H */
