/*
 * boundary.c
 *	  Where a text may be parted: graphemes, sentences, lines.  Pure: no
 *	  allocation, no errors, no server state.
 *
 * Everything looks at a bounded number of bytes around a place, but for runs of
 * blanks and lines of headings, so a walk over a text takes linear time.
 */
#include "postgres.h"

#include "text/boundary.h"
#include "text/measure.h"

#define ZERO_WIDTH_JOINER 0x200D
/* closing quotes and brackets that are looked through for the end of a sentence */
#define MAX_CLOSERS 4
#define ABBREVIATION_MAX 6
#define MAX_INDENT 3

/* ---- graphemes ---- */

static bool
is_regional(uint32 code)
{
	return code >= 0x1F1E6 && code <= 0x1F1FF;
}

/* joins the letter before it with the one behind it, in scripts of India */
static bool
is_virama(uint32 code)
{
	return code == 0x094D || code == 0x09CD || code == 0x0ACD || code == 0x0B4D || code == 0x0C4D || code == 0x0D4D;
}

static bool
extends(uint32 code)
{
	MemaiCharClass class;

	if (code < 0x80)
		return false;
	class = memai_char_class(code);
	return class == CHAR_MARK || class == CHAR_IGNORED ||
		(code >= 0x1F3FB && code <= 0x1F3FF) || code == 0x0E33 || code == 0x0EB3;
}

static bool
is_newline(uint32 code)
{
	return code == '\n' || code == '\r' || code == '\v' || code == '\f' || code == 0x85 || code == 0x2028 || code == 0x2029;
}

bool
memai_grapheme_begins(MemaiGraphemes *graphemes, uint32 code)
{
	uint32		previous = graphemes->previous;
	bool		first = !graphemes->started;
	bool		joined;

	graphemes->started = true;
	graphemes->previous = code;
	if (is_regional(code))
	{
		joined = graphemes->odd_regional;
		graphemes->odd_regional = !joined;
		return !joined;
	}
	graphemes->odd_regional = false;
	if (first)
		return true;
	if (extends(code))
		return is_newline(previous);
	if (previous == ZERO_WIDTH_JOINER)
		return code < 0x2000;
	return !(is_virama(previous) && memai_char_class(code) == CHAR_WORD);
}

/* ---- characters around a place ---- */

/* the character that ends at next, which is moved to its start; 0 at begin */
static uint32
step_back(const unsigned char *begin, const unsigned char **next)
{
	const unsigned char *start = *next;
	const unsigned char *reached;
	uint32		code;

	if (start == begin)
		return 0;
	do
		start--;
	while (start > begin && *next - start < MEMAI_UTF8_MAX_BYTES && (*start & 0xC0) == 0x80);
	reached = start;
	code = memai_utf8_decode(&reached, *next);
	if (reached != *next)		/* not one character: a byte alone */
	{
		code = MEMAI_UTF8_INVALID;
		start = *next - 1;
	}
	*next = start;
	return code;
}

static bool
is_closer(uint32 code)
{
	return code == ')' || code == ']' || code == '}' || code == '"' || code == '\'' || code == '*' || code == '_' ||
		code == 0x00BB || code == 0x2019 || code == 0x201D ||
		(code >= 0x3009 && code <= 0x3011 && (code & 1)) || code == 0x3015 || code == 0xFF09;
}

static bool
is_opener(uint32 code)
{
	return code == '(' || code == '[' || code == '{' || code == 0x00AB || code == 0x2018 || code == 0x201C ||
		(code >= 0x3008 && code <= 0x3010 && !(code & 1)) || code == 0x3014 || code == 0xFF08;
}

/* ends a sentence without a blank behind it */
static bool
is_full_stop(uint32 code)
{
	return code == 0x3002 || code == 0xFF01 || code == 0xFF0E || code == 0xFF1F || code == 0xFF61;
}

static bool
is_terminal(uint32 code)
{
	return code == '.' || code == '!' || code == '?' || is_full_stop(code) ||
		code == 0x2026 || code == 0x203C || code == 0x2047 || code == 0x2048 || code == 0x2049 ||
		code == 0x0589 || code == 0x061F || code == 0x06D4 || code == 0x0964 || code == 0x0965 ||
		code == 0x104B || code == 0x1362 || code == 0x1367 || code == 0x17D4;
}

static bool
is_clause_end(uint32 code)
{
	return code == ',' || code == ';' || code == ':' || code == 0x2014 || code == 0x060C || code == 0x061B ||
		code == 0x3001 || code == 0xFF0C || code == 0xFF1A || code == 0xFF1B;
}

static bool
is_lower(uint32 code)
{
	return (code >= 'a' && code <= 'z') || (code >= 0xDF && code <= 0xFF && code != 0xF7) ||
		(code >= 0x3B1 && code <= 0x3C9) || (code >= 0x430 && code <= 0x45F);
}

/* Does the full stop at dot end an abbreviation, an initial or the number of a list's item? */
static bool
is_abbreviation(const unsigned char *begin, const unsigned char *dot)
{
	static const char *const known[] = {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "eg", "ie", "cf", "fig",
	"no", "vol", "inc", "ltd", "jr", "sr", "approx", "nr", "bzw", "ca", "usw", "bl", "ex", "resp"};
	char		word[ABBREVIATION_MAX + 1];
	const unsigned char *start = dot;
	bool		digits = true;
	size_t		len;

	while (start > begin && dot - start <= ABBREVIATION_MAX &&
		   memai_char_class(start[-1]) == CHAR_WORD && start[-1] < 0x80)
		start--;
	len = dot - start;
	if (len == 0 || len > ABBREVIATION_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		word[i] = pg_ascii_tolower(start[i]);
		digits = digits && word[i] >= '0' && word[i] <= '9';
	}
	word[len] = '\0';
	if (digits)
		return start == begin || start[-1] == '\n';
	if (len == 1 && (start == begin || start[-1] < 0x80))
		return true;
	for (size_t i = 0; i < lengthof(known); i++)
	{
		if (strcmp(word, known[i]) == 0)
			return true;
	}
	return false;
}

/* Does a sentence end at next?  code is the character behind the blanks there, 0 for none. */
static bool
ends_sentence(const unsigned char *begin, const unsigned char *next, uint32 code)
{
	uint32		last = step_back(begin, &next);

	for (int i = 0; i < MAX_CLOSERS && is_closer(last); i++)
		last = step_back(begin, &next);
	if (!is_terminal(last))
		return false;
	if (last != '.')
		return !is_lower(code) || last == '!' || last == '?';
	return !is_lower(code) && !is_abbreviation(begin, next);
}

/* ---- blanks and lines ---- */

/* the character at next, 0 at the end */
static uint32
peek(const unsigned char *next, const unsigned char *end)
{
	return next < end ? memai_utf8_decode(&next, end) : 0;
}

void
memai_blank_read(const unsigned char *next, const unsigned char *end, MemaiBlank *blank)
{
	*blank = (MemaiBlank) {.start = next, .end = next};
	while (next < end)
	{
		uint32		code = memai_utf8_decode(&next, end);

		if (!memai_char_is_space(code) || (!is_newline(code) && extends(peek(next, end))))
			break;
		blank->end = next;
		blank->chars++;
		if (is_newline(code))
		{
			/* CR LF is one */
			blank->newlines += !(code == '\n' && next - blank->start > 1 && next[-2] == '\r');
			blank->line = next;
		}
	}
}

int
memai_heading_read(const unsigned char *line, const unsigned char *end,
				   const unsigned char **start, size_t *len)
{
	const unsigned char *stop;
	int			level = 0;

	for (int i = 0; i < MAX_INDENT && line < end && *line == ' '; i++)
		line++;
	while (line < end && *line == '#' && level < 7)
	{
		level++;
		line++;
	}
	if (level == 0 || level > MEMAI_HEADING_LEVELS || (line < end && *line != ' ' && *line != '\t' && *line != '\n' && *line != '\r'))
		return 0;
	stop = line < end ? memchr(line, '\n', end - line) : NULL;
	stop = stop ? stop : end;
	while (line < stop && memai_byte_is_space(*line))
		line++;
	while (stop > line && (memai_byte_is_space(stop[-1]) || stop[-1] == '#'))
		stop--;
	*start = line;
	*len = stop - line;
	return level;
}

bool
memai_line_is_fence(const unsigned char *line, const unsigned char *end)
{
	for (int i = 0; i < MAX_INDENT && line < end && *line == ' '; i++)
		line++;
	return end - line >= 3 && (memcmp(line, "```", 3) == 0 || memcmp(line, "~~~", 3) == 0);
}

/* an item of a list, a row of a table, a quotation */
static bool
begins_item(const unsigned char *next, const unsigned char *end)
{
	const unsigned char *start = next;

	if (next == end)
		return false;
	if (*next == '|' || *next == '>')
		return true;
	if (*next == '-' || *next == '*' || *next == '+')
		return end - next > 1 && next[1] == ' ';
	while (next < end && next - start < 4 && *next >= '0' && *next <= '9')
		next++;
	return next > start && end - next > 1 && (*next == '.' || *next == ')') && next[1] == ' ';
}

static MemaiBreak
code_break(const MemaiBlank *blank)
{
	if (blank->newlines == 0)
		return BREAK_WORD;
	if (blank->newlines == 1)
		return BREAK_SENTENCE;
	return blank->line == blank->end ? BREAK_PARAGRAPH : BREAK_LINE;
}

MemaiBreak
memai_blank_break(const MemaiBlank *blank, const unsigned char *begin,
				  const unsigned char *end, MemaiTextFormat format)
{
	const unsigned char *last = blank->start;
	uint32		code = peek(blank->end, end);
	bool		sentence;

	if (format == MEMAI_FORMAT_CODE)
		return code_break(blank);
	if (blank->newlines > 1)
		return BREAK_PARAGRAPH;
	sentence = ends_sentence(begin, blank->start, code);
	if (blank->newlines == 1)
		return sentence || begins_item(blank->end, end) ? BREAK_LINE : BREAK_CLAUSE;
	if (sentence)
		return BREAK_SENTENCE;
	return is_clause_end(step_back(begin, &last)) ? BREAK_CLAUSE : BREAK_WORD;
}

/* Thai and Lao vowels that are written before their consonant */
static bool
is_leading_vowel(uint32 code)
{
	return (code >= 0x0E40 && code <= 0x0E44) || (code >= 0x0EC0 && code <= 0x0EC4);
}

/* stops and small letters that do not begin a line */
static bool
never_begins(uint32 code)
{
	return is_closer(code) || is_terminal(code) || is_clause_end(code) || code == 0x30FC ||
		code == 0x3063 || code == 0x30C3 || (code >= 0x3083 && code <= 0x3087 && (code & 1)) ||
		(code >= 0x30E3 && code <= 0x30E7 && (code & 1));
}

MemaiBreak
memai_unspaced_break(const unsigned char *begin, const unsigned char *next,
					 uint32 previous, uint32 code)
{
	const unsigned char *back = next;
	uint32		last;

	if (code < 0x80 || previous < 0x80 || never_begins(code))
		return BREAK_NONE;
	last = step_back(begin, &back);
	for (int i = 0; i < MAX_CLOSERS && is_closer(last); i++)
		last = step_back(begin, &back);
	if (is_full_stop(last))
		return BREAK_SENTENCE;
	if (memai_char_class(code) != CHAR_UNSPACED && !is_opener(code))
		return BREAK_NONE;
	if (previous >= 0x3000 && is_clause_end(previous))
		return BREAK_CLAUSE;
	if (is_leading_vowel(previous) || is_opener(previous))
		return BREAK_NONE;
	switch (memai_char_class(previous))
	{
		case CHAR_UNSPACED:
		case CHAR_MARK:
			return BREAK_UNSPACED;
		default:
			return is_closer(previous) ? BREAK_UNSPACED : BREAK_NONE;
	}
}
