/*
 * markdown.c
 *	  Markdown without the markup inside of its lines.  Headings, lists, tables
 *	  and blocks of code stay; links and images become their texts, emphasis,
 *	  references, comments and rules go.  Pure: no allocation, no errors, no
 *	  server state.
 *
 * Each line is read once.  What opens something (a bracket, stars) is written
 * out and its place remembered; when its end comes it is taken out again by
 * writing TAKEN over it, which the last walk drops.  What is looked for ahead is
 * not looked for again where it was not found.  So the time is linear.
 */
#include "postgres.h"

#include "text/boundary.h"
#include "text/html.h"
#include "text/measure.h"
#include "text/text.h"

/* no character of a text: the source's own are dropped */
#define TAKEN '\001'
#define BRACKETS_MAX 16
#define CODE_RUN_MAX 4
#define LOOK_AHEAD 2000
#define TAG_MAX 300
#define FRONT_MATTER_MAX 65536

typedef struct Writer
{
	char	   *out;
	size_t		n;
	/* of the line: openings that wait for their ends, as places in out */
	size_t		brackets[BRACKETS_MAX];
	int			nbrackets;
	size_t		emphasis[2][4]; /* * and _, by the length of the run */
	bool		open[2][4];
	/* nothing of this is before here */
	const unsigned char *no_code[CODE_RUN_MAX + 1];
	const unsigned char *no_paren;
	bool		in_comment;
} Writer;

static void
put(Writer *writer, const unsigned char *bytes, size_t len)
{
	memcpy(&writer->out[writer->n], bytes, len);
	writer->n += len;
}

static bool
is_word(const unsigned char *begin, const unsigned char *pos, const unsigned char *end)
{
	return pos >= begin && pos < end && (*pos >= 0x80 || memai_char_class(*pos) == CHAR_WORD);
}

static bool
is_blank_at(const unsigned char *begin, const unsigned char *pos, const unsigned char *end)
{
	return pos < begin || pos >= end || memai_byte_is_space(*pos);
}

static int
run_length(const unsigned char *pos, const unsigned char *end)
{
	int			len = 1;

	while (pos + len < end && len < 1000 && pos[len] == *pos)
		len++;
	return len;
}

/* ---- inside of a line ---- */

/* `code`: what stands between runs of the same length is kept as it is */
static const unsigned char *
pass_code(Writer *writer, const unsigned char *pos, const unsigned char *end)
{
	int			len = run_length(pos, end);
	const unsigned char *start = pos + len;
	const unsigned char *limit = start + Min(end - start, LOOK_AHEAD);
	const unsigned char *look = start;

	if (len <= CODE_RUN_MAX && writer->no_code[len] < limit)
	{
		look = Max(look, writer->no_code[len]);
		while ((look = memchr(look, '`', limit - look)) != NULL)
		{
			int			found = run_length(look, end);

			if (found == len)
			{
				put(writer, start, look - start);
				return look + len;
			}
			look += found;
			if (look >= limit)
				break;
		}
		writer->no_code[len] = limit;
	}
	put(writer, pos, len);
	return start;
}

/* * or _ around words */
static const unsigned char *
pass_emphasis(Writer *writer, const unsigned char *line, const unsigned char *pos, const unsigned char *end)
{
	int			len = run_length(pos, end);
	int			kind = *pos == '_';
	bool		before = !is_blank_at(line, pos - 1, end);
	bool		behind = !is_blank_at(line, pos + len, end);
	bool		inside = is_word(line, pos - 1, end) && is_word(line, pos + len, end);

	if (len > 3 || (inside && (kind == 1 || len == 1)) || (!before && !behind))
	{
		put(writer, pos, len);
		return pos + len;
	}
	if (before && writer->open[kind][len])
	{
		memset(&writer->out[writer->emphasis[kind][len]], TAKEN, len);
		writer->open[kind][len] = false;
		return pos + len;
	}
	if (behind)
	{
		writer->emphasis[kind][len] = writer->n;
		writer->open[kind][len] = true;
	}
	put(writer, pos, len);
	return pos + len;
}

/* What follows the text of a link: (where) or [which]; NULL when it is no link. */
static const unsigned char *
pass_target(Writer *writer, const unsigned char *pos, const unsigned char *end)
{
	const unsigned char *limit = pos + Min(end - pos, LOOK_AHEAD);
	const unsigned char *stop = NULL;
	int			depth = 0;

	if (pos == end || (*pos != '(' && *pos != '['))
		return NULL;
	if (*pos == '[')
	{
		stop = memchr(pos, ']', Min(limit - pos, 200));
		return stop ? stop + 1 : NULL;
	}
	if (writer->no_paren >= limit)
		return NULL;
	for (const unsigned char *look = pos; look < limit; look++)
	{
		depth += *look == '(';
		if (*look != ')')
			continue;
		stop = stop ? stop : look;
		if (--depth == 0)
			return look + 1;
	}
	if (stop == NULL)
		writer->no_paren = limit;
	return stop ? stop + 1 : NULL;
}

static const unsigned char *
pass_closing_bracket(Writer *writer, const unsigned char *pos, const unsigned char *end)
{
	if (writer->nbrackets > 0)
	{
		size_t		opening = writer->brackets[--writer->nbrackets];
		const unsigned char *behind = pass_target(writer, pos + 1, end);

		if (behind != NULL)
		{
			writer->out[opening] = TAKEN;
			if (opening > 0 && writer->out[opening - 1] == '!')
				writer->out[opening - 1] = TAKEN;
			return behind;
		}
	}
	put(writer, pos, 1);
	return pos + 1;
}

/* <https://example.org>, <br>, <!-- comment --> */
static const unsigned char *
pass_angle(Writer *writer, const unsigned char *pos, const unsigned char *end)
{
	const unsigned char *name = pos + 1;
	const unsigned char *stop = memchr(pos, '>', Min(end - pos, TAG_MAX));
	char		element[8];
	int			len = 0;

	if (end - pos >= 4 && memcmp(pos, "<!--", 4) == 0)
	{
		writer->in_comment = true;
		return pos + 4;
	}
	if (stop == NULL)
	{
		put(writer, pos, 1);
		return pos + 1;
	}
	if (stop - name > 6 && (memcmp(name, "http://", Min(7, stop - name)) == 0 || memcmp(name, "https:/", Min(7, stop - name)) == 0 ||
							memcmp(name, "mailto:", Min(7, stop - name)) == 0))
	{
		put(writer, name, stop - name);
		return stop + 1;
	}
	name += *name == '/';
	for (; name + len < stop && len < (int) sizeof(element) && memai_char_class(name[len]) == CHAR_WORD && name[len] < 0x80; len++)
		element[len] = pg_ascii_tolower(name[len]);
	if (len == 0 || len == sizeof(element) || !memai_html_is_element(element, len))
	{
		put(writer, pos, 1);
		return pos + 1;
	}
	return stop + 1;
}

/* Passes the rest of a comment; it may end in a later line. */
static const unsigned char *
pass_comment(Writer *writer, const unsigned char *pos, const unsigned char *end)
{
	for (; end - pos >= 3; pos++)
	{
		if (memcmp(pos, "-->", 3) == 0)
		{
			writer->in_comment = false;
			return pos + 3;
		}
	}
	return end;
}

/* One character, or what begins with it; returns what is behind. */
static const unsigned char *
pass_inline(Writer *writer, const unsigned char *line, const unsigned char *pos, const unsigned char *end)
{
	const unsigned char *next = pos;
	uint32		code;
	char		bytes[MEMAI_UTF8_MAX_BYTES];

	switch (*pos)
	{
		case '\\':
			if (pos + 1 < end && pos[1] > ' ' && pos[1] < 0x7F && memai_char_class(pos[1]) == CHAR_OTHER)
			{
				put(writer, pos + 1, 1);
				return pos + 2;
			}
			break;
		case '`':
			return pass_code(writer, pos, end);
		case '*':
		case '_':
			return pass_emphasis(writer, line, pos, end);
		case '~':
			if (pos + 1 < end && pos[1] == '~')
				return pos + 2;
			break;
		case '[':
			if (writer->nbrackets < BRACKETS_MAX)
				writer->brackets[writer->nbrackets++] = writer->n;
			break;
		case ']':
			return pass_closing_bracket(writer, pos, end);
		case '<':
			return pass_angle(writer, pos, end);
		case '&':
			code = memai_entity_read(&next, end);
			if (code != 0)
			{
				if (code != TAKEN)
					put(writer, (unsigned char *) bytes, memai_utf8_encode(code, bytes));
				return next;
			}
			break;
		case TAKEN:
			return pos + 1;
		default:
			break;
	}
	put(writer, pos, 1);
	return pos + 1;
}

static void
pass_line(Writer *writer, const unsigned char *line, const unsigned char *end)
{
	const unsigned char *pos = line;

	writer->nbrackets = 0;
	memset(writer->open, 0, sizeof(writer->open));
	while (pos < end)
		pos = writer->in_comment ? pass_comment(writer, pos, end) : pass_inline(writer, line, pos, end);
}

/* ---- lines ---- */

static const unsigned char *
skip_blanks(const unsigned char *pos, const unsigned char *end)
{
	while (pos < end && (*pos == ' ' || *pos == '\t'))
		pos++;
	return pos;
}

/* a line of nothing but these characters and blanks, n of the first at least */
static bool
consists_of(const unsigned char *pos, const unsigned char *end, const char *characters, int n)
{
	unsigned char first;

	pos = skip_blanks(pos, end);
	first = pos < end ? *pos : 0;
	for (; pos < end; pos++)
	{
		if (*pos == first)
			n--;
		if (*pos == '\0' || (strchr(characters, *pos) == NULL && !memai_byte_is_space(*pos)))
			return false;
	}
	return n <= 0 && first != 0;
}

static bool
is_rule(const unsigned char *line, const unsigned char *end)
{
	return consists_of(line, end, "-", 3) || consists_of(line, end, "*", 3) || consists_of(line, end, "_", 3);
}

/* |---|:-:| under the head of a table */
static bool
is_table_rule(const unsigned char *line, const unsigned char *end)
{
	return memchr(line, '|', end - line) != NULL && consists_of(line, end, "|-:", 1) && memchr(line, '-', end - line) != NULL;
}

/* [name]: where it leads to; footnotes stay */
static bool
is_reference(const unsigned char *line, const unsigned char *end)
{
	const unsigned char *stop;

	line = skip_blanks(line, end);
	if (end - line < 4 || *line != '[' || line[1] == '^')
		return false;
	stop = memchr(line, ']', Min(end - line, 200));
	return stop != NULL && end - stop > 1 && stop[1] == ':';
}

/* Writes the line without quotation marks; * and + become - */
static void
pass_body(Writer *writer, const unsigned char *line, const unsigned char *end)
{
	const unsigned char *pos = skip_blanks(line, end);

	while (pos < end && *pos == '>')
		line = pos = skip_blanks(pos + 1, end);
	if (end - pos > 1 && (*pos == '*' || *pos == '+') && pos[1] == ' ')
	{
		put(writer, line, pos - line);
		put(writer, (const unsigned char *) "-", 1);
		line = pos + 1;
	}
	pass_line(writer, line, end);
}

/* the end of the line at pos, without its newline */
static const unsigned char *
line_end(const unsigned char *pos, const unsigned char *end)
{
	const unsigned char *stop = memchr(pos, '\n', end - pos);

	stop = stop ? stop : end;
	return stop > pos && stop[-1] == '\r' ? stop - 1 : stop;
}

/* the level of a heading whose line is underlined in the next, or 0 */
static int
underlined(const unsigned char *line, const unsigned char *stop, const unsigned char *end)
{
	const unsigned char *next = stop + (stop < end && *stop == '\r');
	const unsigned char *text = skip_blanks(line, stop);

	next += next < end && *next == '\n';
	if (next >= end || text == stop || stop - text > LOOK_AHEAD || *text == '>' || *text == '|' || (*text == '-' && text[1] == ' '))
		return 0;
	stop = line_end(next, end);
	if (stop - next > LOOK_AHEAD)
		return 0;
	return consists_of(next, stop, "=", 2) ? 1 : consists_of(next, stop, "-", 2) ? 2 : 0;
}

/* Passes the line [line, stop); returns true when the next one is its underline. */
static bool
pass_block(Writer *writer, const unsigned char *line, const unsigned char *stop, const unsigned char *end, bool after_text)
{
	const unsigned char *start;
	size_t		len;
	int			level;

	if (writer->in_comment)
		pass_line(writer, line, stop);
	else if ((level = memai_heading_read(line, stop, &start, &len)) > 0)
	{
		put(writer, (const unsigned char *) "###### " + 6 - level, level + 1);
		pass_line(writer, start, start + len);
	}
	else if (is_table_rule(line, stop))
		writer->n -= writer->n > 0; /* the rows follow each other */
	else if (is_rule(line, stop) || is_reference(line, stop))
		return false;
	else if (!after_text && (level = underlined(line, stop, end)) > 0)
	{
		put(writer, (const unsigned char *) "###### " + 6 - level, level + 1);
		pass_line(writer, skip_blanks(line, stop), stop);
		return true;
	}
	else
		pass_body(writer, line, stop);
	return false;
}

/* The line behind front matter (YAML between two lines of ---), whose title is taken; else utf8 itself. */
static const unsigned char *
pass_front_matter(const unsigned char *begin, const unsigned char *end, char *title, size_t title_size)
{
	const unsigned char *limit = begin + Min(end - begin, FRONT_MATTER_MAX);
	const unsigned char *line = begin;

	for (int n = 0; line < limit; n++)
	{
		const unsigned char *stop = line_end(line, end);
		bool		rule = stop - line == 3 && memcmp(line, "---", 3) == 0;
		const unsigned char *next = stop;

		next += next < end && *next == '\r';
		next += next < end && *next == '\n';
		if (n == 0 && !rule)
			return begin;
		if (n > 0 && rule)
			return next;
		if (title != NULL && stop - line > 6 && memcmp(line, "title:", 6) == 0)
		{
			line = skip_blanks(line + 6, stop);
			while (line < stop && (stop[-1] == '"' || stop[-1] == '\'' || memai_byte_is_space(stop[-1])))
				stop--;
			line += line < stop && (*line == '"' || *line == '\'');
			if ((size_t) (stop - line) < title_size)
			{
				memcpy(title, line, stop - line);
				title[stop - line] = '\0';
			}
		}
		if (next == line)
			break;
		line = next;
	}
	if (title != NULL)
		title[0] = '\0';
	return begin;
}

/* Drops what was taken; returns the new length. */
static size_t
drop_taken(char *out, size_t n)
{
	size_t		kept = 0;

	for (size_t i = 0; i < n; i++)
	{
		if (out[i] != TAKEN)
			out[kept++] = out[i];
	}
	return kept;
}

size_t
memai_markdown_to_text(const char *utf8, size_t len, char *out, char *title, size_t title_size)
{
	const unsigned char *line = (const unsigned char *) utf8;
	const unsigned char *end = line + len;
	Writer		writer = {.out = out};
	bool		in_fence = false;
	bool		after_text = false; /* the line before is of a paragraph */

	if (title != NULL)
		title[0] = '\0';
	line = pass_front_matter(line, end, title, title_size);
	while (line < end)
	{
		const unsigned char *stop = line_end(line, end);
		bool		fence = !writer.in_comment && memai_line_is_fence(line, stop);
		bool		has_underline = false;

		if (fence || in_fence)
		{
			put(&writer, line, stop - line);
			in_fence = in_fence != fence;
			after_text = false;
		}
		else
		{
			has_underline = pass_block(&writer, line, stop, end, after_text);
			after_text = skip_blanks(line, stop) < stop && !has_underline;
		}
		put(&writer, (const unsigned char *) "\n", 1);
		line = memchr(stop, '\n', end - stop);
		line = line ? line + 1 : end;
		if (has_underline)
		{
			line = memchr(line, '\n', end - line);
			line = line ? line + 1 : end;
		}
	}
	return drop_taken(out, writer.n);
}
