/*
 * html.c
 *	  HTML to plain text in the manner of Markdown: headings, lists, rows of
 *	  tables, blocks of code; nothing of scripts, styles and comments.  Pure: no
 *	  allocation, no errors, no server state.
 *
 * This is no parser of HTML: elements are not matched with each other, so
 * malformed pages need no repair.  A tag does one thing when it comes, and
 * state is a few counters.  What would end at a place that does not exist (an
 * attribute's quote, a tag's bracket) is looked for once, so the time is linear.
 */
#include "postgres.h"

#include "text/html.h"
#include "text/measure.h"
#include "text/text.h"

#define ELEMENT_MAX 16
#define LIST_DEPTH_MAX 16
/* lists deeper than this are not indented further */
#define INDENT_DEPTH_MAX 4
#define ALT_MAX 1000

/* what a tag does */
typedef enum ElementKind
{
	INLINE,						/* nothing */
	LINE,						/* stands on lines of its own */
	PARAGRAPH,					/* and apart */
	HEADING,
	LIST,
	ITEM,
	ROW,
	CELL,
	PREFORMATTED,
	LINE_BREAK,
	IMAGE,
	RAW,						/* its content is no HTML, and no text */
	TITLE,
	NESTED						/* nothing in it is text */
} ElementKind;

static const struct
{
	const char *name;
	ElementKind kind;
}			elements[] = {
	{"a", INLINE}, {"abbr", INLINE}, {"address", PARAGRAPH}, {"article", PARAGRAPH}, {"aside", PARAGRAPH}, {"audio", NESTED},
	{"b", INLINE}, {"big", INLINE}, {"blockquote", PARAGRAPH}, {"body", PARAGRAPH}, {"br", LINE_BREAK}, {"button", LINE},
	{"canvas", NESTED}, {"caption", LINE}, {"center", LINE}, {"cite", INLINE}, {"code", INLINE}, {"col", INLINE},
	{"dd", LINE}, {"del", INLINE}, {"details", PARAGRAPH}, {"dfn", INLINE}, {"dialog", PARAGRAPH}, {"div", LINE}, {"dl", PARAGRAPH}, {"dt", LINE},
	{"em", INLINE}, {"fieldset", PARAGRAPH}, {"figcaption", LINE}, {"figure", PARAGRAPH}, {"font", INLINE}, {"footer", PARAGRAPH}, {"form", PARAGRAPH},
	{"h1", HEADING}, {"h2", HEADING}, {"h3", HEADING}, {"h4", HEADING}, {"h5", HEADING}, {"h6", HEADING},
	{"head", INLINE}, {"header", PARAGRAPH}, {"hr", PARAGRAPH}, {"html", INLINE},
	{"i", INLINE}, {"iframe", RAW}, {"img", IMAGE}, {"input", INLINE}, {"ins", INLINE}, {"kbd", INLINE}, {"label", INLINE}, {"legend", LINE},
	{"li", ITEM}, {"link", INLINE}, {"main", PARAGRAPH}, {"mark", INLINE}, {"meta", INLINE}, {"nav", PARAGRAPH}, {"noembed", RAW},
	{"noscript", LINE}, {"object", NESTED}, {"ol", LIST}, {"option", LINE}, {"p", PARAGRAPH}, {"picture", INLINE}, {"pre", PREFORMATTED},
	{"q", INLINE}, {"s", INLINE}, {"samp", INLINE}, {"script", RAW}, {"section", PARAGRAPH}, {"select", LINE}, {"small", INLINE},
	{"source", INLINE}, {"span", INLINE}, {"strike", INLINE}, {"strong", INLINE}, {"style", RAW}, {"sub", INLINE}, {"summary", LINE},
	{"sup", INLINE}, {"svg", NESTED}, {"table", PARAGRAPH}, {"tbody", INLINE}, {"td", CELL}, {"template", NESTED}, {"textarea", RAW},
	{"tfoot", INLINE}, {"th", CELL}, {"thead", INLINE}, {"time", INLINE}, {"title", TITLE}, {"tr", ROW}, {"tt", INLINE},
	{"u", INLINE}, {"ul", LIST}, {"var", INLINE}, {"video", NESTED}, {"wbr", INLINE},
};

/* a tag of the source */
typedef struct Tag
{
	char		name[ELEMENT_MAX];
	int			len;
	bool		closing;
	ElementKind kind;
	const unsigned char *attributes;
	const unsigned char *end;	/* of the attributes */
} Tag;

typedef struct Reader
{
	const unsigned char *pos;
	const unsigned char *end;
	bool		no_bracket;		/* no > follows */
	bool		no_quote[2];	/* no ' or " follows */
	char	   *out;
	size_t		n;
	size_t		max;
	int			newlines;		/* due before the next character */
	bool		space;			/* due */
	int			cells;			/* separators due */
	char		prefix[32];		/* due: of a heading or an item */
	int			prefix_len;
	bool		in_heading;
	bool		in_cell;
	bool		row_has_cell;
	bool		in_pre;
	bool		fence_due;
	bool		fenced;
	int			depth;			/* of lists */
	int			numbers[LIST_DEPTH_MAX];	/* of items; -1: no numbers */
	char	   *title;
	size_t		title_size;
} Reader;

static ElementKind
element_kind(const char *name, int len)
{
	for (size_t low = 0, high = lengthof(elements); low < high;)
	{
		size_t		middle = (low + high) / 2;
		int			order = strncmp(name, elements[middle].name, len);

		if (order == 0 && elements[middle].name[len] != '\0')
			order = -1;
		if (order == 0)
			return elements[middle].kind;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return INLINE;
}

bool
memai_html_is_element(const char *name, int len)
{
	for (size_t i = 0; i < lengthof(elements); i++)
	{
		if (strncmp(name, elements[i].name, len) == 0 && elements[i].name[len] == '\0')
			return true;
	}
	return false;
}

/* ---- writing ---- */

static void
put(Reader *reader, const char *bytes, int len)
{
	if (reader->n + len > reader->max)
		return;
	memcpy(&reader->out[reader->n], bytes, len);
	reader->n += len;
}

static void
put_newlines(Reader *reader)
{
	if (reader->n > 0)
		put(reader, "\n\n", Min(reader->newlines, 2));
	reader->newlines = 0;
	reader->space = false;
}

/* Writes what is due before the next character. */
static void
put_due(Reader *reader)
{
	bool		at_line = reader->newlines > 0 || reader->n == 0;

	if (at_line)
		put_newlines(reader);
	for (; reader->cells > 0; reader->cells--)
	{
		put(reader, " | ", 3);
		reader->space = false;
	}
	if (reader->fence_due)
	{
		put(reader, "```\n", 4);
		reader->fence_due = false;
		reader->fenced = true;
	}
	put(reader, reader->prefix, reader->prefix_len);
	if (reader->space && !at_line && reader->prefix_len == 0)
		put(reader, " ", 1);
	reader->prefix_len = 0;
	reader->space = false;
}

static void
put_char(Reader *reader, uint32 code, const unsigned char *bytes, int len)
{
	if (reader->in_pre && (code == '\n' || code == ' ' || code == '\t'))
	{
		if (code == '\n' && reader->fence_due)
			return;
		put_due(reader);
		put(reader, (const char *) bytes, len);
		return;
	}
	if (memai_char_is_space(code))
	{
		reader->space = true;
		return;
	}
	put_due(reader);
	put(reader, (const char *) bytes, len);
}

/* The text goes on on another line; apart: behind an empty one. */
static void
break_line(Reader *reader, bool apart)
{
	if (reader->in_heading || reader->in_cell)
		reader->space = true;
	else
		reader->newlines = Max(reader->newlines, apart ? 2 : 1);
}

/* ---- tags ---- */

static int
set_indent(Reader *reader)
{
	int			indent = 2 * (Min(Max(reader->depth, 1), INDENT_DEPTH_MAX) - 1);

	memset(reader->prefix, ' ', indent);
	return indent;
}

static void
begin_item(Reader *reader)
{
	int			indent;
	int		   *number = reader->depth > 0 && reader->depth <= LIST_DEPTH_MAX ? &reader->numbers[reader->depth - 1] : NULL;

	reader->in_cell = reader->in_heading = false;
	break_line(reader, false);
	indent = set_indent(reader);
	if (number == NULL || *number < 0)
		reader->prefix_len = indent + snprintf(&reader->prefix[indent], sizeof(reader->prefix) - indent, "- ");
	else
		reader->prefix_len = indent + snprintf(&reader->prefix[indent], sizeof(reader->prefix) - indent, "%d. ", ++*number);
}

static void
do_list(Reader *reader, const Tag *tag)
{
	if (tag->closing)
		reader->depth = Max(reader->depth - 1, 0);
	break_line(reader, reader->depth == 0);
	reader->prefix_len = 0;
	if (tag->closing)
		return;
	if (reader->depth < LIST_DEPTH_MAX)
		reader->numbers[reader->depth] = tag->name[0] == 'o' ? 0 : -1;
	/* a hostile page nests without end */
	reader->depth = Min(reader->depth + 1, 1000000);
}

static void
do_heading(Reader *reader, const Tag *tag)
{
	int			level = tag->name[1] - '0';

	reader->in_heading = reader->in_cell = false;
	break_line(reader, true);
	reader->prefix_len = 0;
	if (tag->closing)
		return;
	memset(reader->prefix, '#', level);
	reader->prefix[level] = ' ';
	reader->prefix_len = level + 1;
	reader->in_heading = true;
}

static void
close_fence(Reader *reader)
{
	while (reader->out[reader->n - 1] == '\n')
		reader->n--;
	put(reader, "\n```", 4);
}

static void
do_preformatted(Reader *reader, const Tag *tag)
{
	if (tag->closing ? !reader->in_pre : reader->in_pre)
		return;
	if (tag->closing && reader->fenced)
		close_fence(reader);
	reader->in_heading = reader->in_cell = false;
	break_line(reader, true);
	reader->prefix_len = 0;
	reader->in_pre = reader->fence_due = !tag->closing;
	reader->fenced = false;
}

static void
do_row(Reader *reader, const Tag *tag)
{
	reader->in_cell = reader->in_heading = false;
	reader->cells = 0;
	reader->row_has_cell = false;
	break_line(reader, false);
}

static void
do_cell(Reader *reader, const Tag *tag)
{
	reader->in_heading = false;
	reader->in_cell = !tag->closing;
	if (tag->closing)
		return;
	if (reader->row_has_cell)
		reader->cells++;
	reader->row_has_cell = true;
}

/* Decodes text of the source in [pos, stop) into a buffer without NUL; returns the length. */
static size_t
decode_into(const unsigned char *pos, const unsigned char *stop, char *buffer, size_t size)
{
	size_t		n = 0;
	bool		space = false;

	while (pos < stop)
	{
		const unsigned char *start = pos;
		uint32		code = *pos == '&' ? memai_entity_read(&pos, stop) : 0;
		char		bytes[MEMAI_UTF8_MAX_BYTES];
		int			len;

		if (code == 0)
			code = memai_utf8_decode(&pos, stop);
		if (code == MEMAI_UTF8_INVALID || memai_char_is_space(code))
		{
			space = n > 0;
			continue;
		}
		len = memai_utf8_encode(code, bytes);
		if (n + len + 1 > size || pos == start)
			break;
		if (space)
			buffer[n++] = ' ';
		space = false;
		memcpy(&buffer[n], bytes, len);
		n += len;
	}
	return n;
}

/* An image is what it says instead. */
static void
do_image(Reader *reader, const Tag *tag)
{
	const unsigned char *pos = tag->attributes;
	char		alt[ALT_MAX];
	size_t		len;

	for (; pos + 5 < tag->end; pos++)
	{
		const unsigned char *stop;

		if (pg_strncasecmp((const char *) pos, "alt=", 4) != 0 || (pos[4] != '"' && pos[4] != '\''))
			continue;
		stop = memchr(pos + 5, pos[4], tag->end - (pos + 5));
		if (stop == NULL)
			return;
		len = decode_into(pos + 5, stop, alt, sizeof(alt));
		if (len > 0)
		{
			put_due(reader);
			put(reader, alt, (int) len);
		}
		return;
	}
}

/* The end of an element whose content is no HTML: its closing tag, or the end of the source. */
static const unsigned char *
find_closing(const Reader *reader, const Tag *tag)
{
	const unsigned char *pos = reader->pos;

	while ((pos = memchr(pos, '<', reader->end - pos)) != NULL)
	{
		if (reader->end - pos > tag->len + 2 && pos[1] == '/' &&
			pg_strncasecmp((const char *) pos + 2, tag->name, tag->len) == 0)
			return pos;
		pos++;
	}
	return reader->end;
}

static void
do_title(Reader *reader, const Tag *tag)
{
	const unsigned char *stop = find_closing(reader, tag);

	if (reader->title != NULL && reader->title[0] == '\0')
	{
		size_t		len = decode_into(reader->pos, stop, reader->title, reader->title_size - 1);

		reader->title[len] = '\0';
	}
	reader->pos = stop;
}

/* Is the name of the tag that begins at pos (behind < or </) the one of tag? */
static bool
is_named(const unsigned char *pos, const unsigned char *end, const Tag *tag)
{
	return end - pos > tag->len && pg_strncasecmp((const char *) pos, tag->name, tag->len) == 0 &&
		memai_char_class(pos[tag->len]) != CHAR_WORD;
}

/* Passes an element with everything in it, elements of its name too. */
static void
skip_nested(Reader *reader, const Tag *tag)
{
	const unsigned char *pos = reader->pos;
	int64		depth = 1;

	while (depth > 0 && (pos = memchr(pos, '<', reader->end - pos)) != NULL)
	{
		pos++;
		if (is_named(pos, reader->end, tag))
			depth++;
		else if (pos < reader->end && *pos == '/' && is_named(pos + 1, reader->end, tag))
			depth--;
	}
	reader->pos = pos ? pos : reader->end;
	/* behind the bracket of the closing tag */
	pos = memchr(reader->pos, '>', reader->end - reader->pos);
	reader->pos = pos ? pos + 1 : reader->end;
}

static void
do_tag(Reader *reader, const Tag *tag)
{
	switch (tag->kind)
	{
		case INLINE:
			break;
		case LINE:
		case LINE_BREAK:
			if (reader->in_pre && tag->kind == LINE_BREAK)
				put_char(reader, '\n', (const unsigned char *) "\n", 1);
			else
				break_line(reader, false);
			break;
		case PARAGRAPH:
			break_line(reader, true);
			if (strcmp(tag->name, "table") == 0)
				do_row(reader, tag);
			break;
		case HEADING:
			do_heading(reader, tag);
			break;
		case LIST:
			do_list(reader, tag);
			break;
		case ITEM:
			if (!tag->closing)
				begin_item(reader);
			break;
		case ROW:
			do_row(reader, tag);
			break;
		case CELL:
			do_cell(reader, tag);
			break;
		case PREFORMATTED:
			do_preformatted(reader, tag);
			break;
		case IMAGE:
			do_image(reader, tag);
			break;
		case RAW:
			if (!tag->closing)
				reader->pos = find_closing(reader, tag);
			break;
		case TITLE:
			if (!tag->closing)
				do_title(reader, tag);
			break;
		case NESTED:
			if (!tag->closing && tag->end[-1] != '/')
				skip_nested(reader, tag);
			break;
	}
}

/* ---- reading ---- */

/* The bracket that ends the tag whose attributes begin at pos, quotes respected; NULL: none */
static const unsigned char *
find_bracket(Reader *reader, const unsigned char *pos)
{
	const unsigned char *start = pos;

	for (; pos < reader->end && *pos != '>'; pos++)
	{
		bool		is_double = *pos == '"';
		const unsigned char *stop;

		if ((*pos != '"' && *pos != '\'') || reader->no_quote[is_double])
			continue;
		stop = memchr(pos + 1, *pos, reader->end - (pos + 1));
		if (stop == NULL)
			reader->no_quote[is_double] = true;
		else
			pos = stop;
	}
	if (pos < reader->end)
		return pos;
	/* a quote opened here ends at the end of the page: it was none */
	pos = memchr(start, '>', reader->end - start);
	reader->no_bracket |= pos == NULL;
	return pos;
}

/* Reads the tag at the < at pos, and moves pos behind it; false when there is none. */
static bool
read_tag(Reader *reader, Tag *tag)
{
	const unsigned char *pos = reader->pos + 1;

	memset(tag, 0, sizeof(Tag));
	tag->closing = pos < reader->end && *pos == '/';
	pos += tag->closing;
	if (reader->no_bracket || pos >= reader->end || !((*pos | 0x20) >= 'a' && (*pos | 0x20) <= 'z'))
		return false;
	for (; pos < reader->end && *pos < 0x80 && memai_char_class(*pos) == CHAR_WORD; pos++)
	{
		if (tag->len < ELEMENT_MAX - 1)
			tag->name[tag->len++] = pg_ascii_tolower(*pos);
	}
	tag->attributes = pos;
	tag->end = find_bracket(reader, pos);
	if (tag->end == NULL)
		return false;
	tag->kind = element_kind(tag->name, tag->len);
	reader->pos = tag->end + 1;
	return true;
}

/* Passes a comment, declaration or instruction at pos; false when there is none. */
static bool
skip_declaration(Reader *reader)
{
	const unsigned char *pos = reader->pos;
	const unsigned char *end = reader->end;

	if (end - pos < 2 || (pos[1] != '!' && pos[1] != '?'))
		return false;
	if (end - pos >= 4 && memcmp(pos, "<!--", 4) == 0)
	{
		for (pos += 2; (pos = memchr(pos, '>', end - pos)) != NULL; pos++)
		{
			if (pos[-1] == '-' && pos[-2] == '-')
				break;
		}
	}
	else
		pos = memchr(pos, '>', end - pos);
	reader->pos = pos ? pos + 1 : end;
	return true;
}

size_t
memai_html_to_markdown(const char *utf8, size_t len, char *out, char *title, size_t title_size)
{
	Reader		reader = {.pos = (const unsigned char *) utf8, .end = (const unsigned char *) utf8 + len,
	.out = out, .max = memai_clean_max_size(len) - 8, .title = title, .title_size = title_size};
	Tag			tag;

	if (title != NULL)
		title[0] = '\0';
	while (reader.pos < reader.end)
	{
		const unsigned char *start = reader.pos;
		uint32		code = 0;
		char		bytes[MEMAI_UTF8_MAX_BYTES];

		if (*start == '<')
		{
			if (skip_declaration(&reader))
				continue;
			if (read_tag(&reader, &tag))
			{
				do_tag(&reader, &tag);
				continue;
			}
		}
		if (*start == '&')
			code = memai_entity_read(&reader.pos, reader.end);
		if (code != 0)
		{
			put_char(&reader, code, (unsigned char *) bytes, memai_utf8_encode(code, bytes));
			continue;
		}
		code = memai_utf8_decode(&reader.pos, reader.end);
		put_char(&reader, code, start, reader.pos - start);
	}
	reader.max += 8;
	if (reader.in_pre && reader.fenced)
		close_fence(&reader);
	return reader.n;
}
