/*
 * clean.c
 *	  Texts from outside made fit to be stored and searched, and what they are
 *	  recognised by.  Pure: no allocation, no errors, no server state.
 */
#include "postgres.h"

#include <ctype.h>

#include "text/boundary.h"
#include "text/html.h"
#include "text/measure.h"
#include "text/text.h"

#define INDENT_MAX 40
/* a text is looked at so far for what it is */
#define GUESS_BYTES 4096
#define BLACK_FLAG 0x1F3F4

size_t
memai_clean_max_size(size_t len)
{
	return 4 * len + 64;
}

/* ---- characters and blanks ---- */

/*
 * Characters that show nothing and mean nothing to a reader, but hide words from a
 * search or instructions from a human: controls, soft hyphens, byte order marks,
 * noncharacters, tags.
 */
static bool
is_idle(uint32 code)
{
	return code < ' ' || (code >= 0x7F && code < 0xA0) || code == 0xAD || code == 0x200B || code == 0x2060 || code == 0xFEFF ||
		(code >= 0xFFF9 && code <= 0xFFFB) || (code >= 0xFDD0 && code <= 0xFDEF) || ((code & 0xFFFE) == 0xFFFE && code <= 0x10FFFF) ||
		(code >= 0xE0000 && code <= 0xE0FFF);
}

static bool
is_line_end(uint32 code)
{
	return code == '\n' || code == '\r' || code == '\v' || code == '\f' || code == 0x85 || code == 0x2028 || code == 0x2029;
}

/* a walk over a text that writes no more than it has read, so out may be the text itself */
typedef struct Cleaner
{
	char	   *out;
	size_t		n;
	MemaiTextFormat format;
	int			newlines;		/* due before the next character */
	int			nblanks;		/* due: the first of them */
	char		blanks[INDENT_MAX];
	bool		in_fence;
	bool		in_flag;		/* tags belong to the flag before them */
} Cleaner;

/* Writes the blanks before a character that begins at line when a line begins with it. */
static void
put_blanks(Cleaner *cleaner, const unsigned char *line, const unsigned char *end)
{
	bool		starts = cleaner->newlines > 0 || cleaner->n == 0;
	bool		fence = starts && (cleaner->format == MEMAI_FORMAT_MARKDOWN || cleaner->format == MEMAI_FORMAT_HTML) &&
	memai_line_is_fence(line, end);
	bool		verbatim = cleaner->format == MEMAI_FORMAT_CODE || (cleaner->in_fence && !fence) ||
	(starts && cleaner->format != MEMAI_FORMAT_TEXT);

	if (cleaner->n > 0)
	{
		memset(&cleaner->out[cleaner->n], '\n', Min(cleaner->newlines, 2));
		cleaner->n += Min(cleaner->newlines, 2);
	}
	if (!verbatim && !starts)
		cleaner->blanks[0] = ' ';
	if (!verbatim)
		cleaner->nblanks = starts ? 0 : Min(cleaner->nblanks, 1);
	memcpy(&cleaner->out[cleaner->n], cleaner->blanks, cleaner->nblanks);
	cleaner->n += cleaner->nblanks;
	cleaner->newlines = cleaner->nblanks = 0;
	if (fence)
		cleaner->in_fence = !cleaner->in_fence;
}

/* One character of the source, [start, next). */
static void
clean_char(Cleaner *cleaner, uint32 code, const unsigned char *start, const unsigned char *next, const unsigned char *end)
{
	bool		tag = code >= 0xE0020 && code <= 0xE007F;

	if (is_line_end(code))
	{
		cleaner->newlines += !(code == '\n' && cleaner->newlines > 0 && cleaner->nblanks == 0 && start[-1] == '\r');
		cleaner->nblanks = 0;
		return;
	}
	if (is_idle(code) && code != '\t' && !(tag && cleaner->in_flag))
		return;
	if (memai_char_is_space(code))
	{
		if (cleaner->nblanks < INDENT_MAX)
			cleaner->blanks[cleaner->nblanks++] = code == '\t' ? '\t' : ' ';
		return;
	}
	if (cleaner->newlines > 0 || cleaner->nblanks > 0 || cleaner->n == 0)
		put_blanks(cleaner, start, end);
	cleaner->in_flag = code == BLACK_FLAG || (tag && cleaner->in_flag);
	memmove(&cleaner->out[cleaner->n], start, next - start);
	cleaner->n += next - start;
}

static size_t
clean_blanks(const char *utf8, size_t len, MemaiTextFormat format, char *out)
{
	const unsigned char *next = (const unsigned char *) utf8;
	const unsigned char *end = next + len;
	Cleaner		cleaner = {.out = out, .format = format};

	while (next < end)
	{
		const unsigned char *start = next;
		uint32		code = memai_utf8_decode(&next, end);

		clean_char(&cleaner, code, start, next, end);
	}
	return cleaner.n;
}

size_t
memai_clean(const char *utf8, size_t len, MemaiTextFormat format,
			char *out, char *title, size_t title_size)
{
	if (title != NULL)
		title[0] = '\0';
	if (format == MEMAI_FORMAT_HTML)
		len = memai_html_to_markdown(utf8, len, out, title, title_size);
	else if (format == MEMAI_FORMAT_MARKDOWN)
		len = memai_markdown_to_text(utf8, len, out, title, title_size);
	else
		return clean_blanks(utf8, len, format, out);
	return clean_blanks(out, len, format, out);
}

/* ---- what a text is ---- */

/* Is this the extension of source, letters of either case? */
static bool
has_extension(const char *source, size_t len, const char *extension)
{
	size_t		extension_len = strlen(extension);

	return len > extension_len && source[len - extension_len - 1] == '.' &&
		pg_strncasecmp(&source[len - extension_len], extension, extension_len) == 0;
}

static bool
has_any_extension(const char *source, size_t len, const char *const *extensions, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (has_extension(source, len, extensions[i]))
			return true;
	}
	return false;
}

/* Does the text begin with a declaration or an element of HTML? */
static bool
begins_html(const char *utf8, size_t len)
{
	static const char doctype[] = "<!doctype html";
	char		name[8];
	int			name_len = 0;
	size_t		i = 0;

	while (i < len && i < GUESS_BYTES && (memai_byte_is_space((unsigned char) utf8[i]) || (unsigned char) utf8[i] >= 0xBB))
		i++;
	if (len - i >= strlen(doctype) && pg_strncasecmp(&utf8[i], doctype, strlen(doctype)) == 0)
		return true;
	if (i == len || utf8[i++] != '<')
		return false;
	for (; i < len && name_len < (int) sizeof(name) && isalnum((unsigned char) utf8[i]) && (utf8[i] & 0x80) == 0; i++)
		name[name_len++] = pg_ascii_tolower(utf8[i]);
	return i < len && name_len > 0 && (utf8[i] == '>' || utf8[i] == ' ') && memai_html_is_element(name, name_len);
}

/* Does one of its first lines look like a heading or a fence of Markdown? */
static bool
has_markdown(const unsigned char *line, const unsigned char *end)
{
	const unsigned char *limit = line + Min((size_t) (end - line), GUESS_BYTES);

	while (line != NULL && line < limit)
	{
		const unsigned char *start;
		size_t		len;

		if ((memai_heading_read(line, end, &start, &len) > 0 && len > 0) || memai_line_is_fence(line, end))
			return true;
		line = memchr(line, '\n', limit - line);
		line = line ? line + 1 : NULL;
	}
	return false;
}

MemaiTextFormat
memai_guess_format(const char *utf8, size_t len, const char *source, size_t source_len)
{
	static const char *const html[] = {"html", "htm", "xhtml"};
	static const char *const markdown[] = {"md", "markdown", "mdown", "mkd"};
	static const char *const plain[] = {"txt", "text", "csv", "tsv", "log"};
	static const char *const code[] = {"c", "h", "cc", "cpp", "hpp", "cs", "css", "go", "java", "js", "jsx", "json", "kt", "lua", "php", "pl", "pm",
	"py", "r", "rb", "rs", "scala", "sh", "sql", "swift", "toml", "ts", "tsx", "xml", "yaml", "yml"};

	if (has_any_extension(source, source_len, html, lengthof(html)) || begins_html(utf8, len))
		return MEMAI_FORMAT_HTML;
	if (has_any_extension(source, source_len, markdown, lengthof(markdown)))
		return MEMAI_FORMAT_MARKDOWN;
	if (has_any_extension(source, source_len, code, lengthof(code)))
		return MEMAI_FORMAT_CODE;
	if (!has_any_extension(source, source_len, plain, lengthof(plain)) &&
		has_markdown((const unsigned char *) utf8, (const unsigned char *) utf8 + len))
		return MEMAI_FORMAT_MARKDOWN;
	return MEMAI_FORMAT_TEXT;
}

const char *
memai_binary_kind(const char *data, size_t len)
{
	static const struct
	{
		const char *kind;
		int			len;
		const char *bytes;
	}			kinds[] = {
		{"PDF", 5, "%PDF-"}, {"Word, Excel, PowerPoint or ZIP", 4, "PK\003\004"}, {"older Word, Excel or PowerPoint", 4, "\320\317\021\340"},
		{"RTF", 5, "{\\rtf"}, {"PostScript", 4, "%!PS"}, {"PNG", 4, "\211PNG"}, {"JPEG", 3, "\377\330\377"}, {"GIF", 4, "GIF8"},
		{"gzip", 2, "\037\213"}, {"bzip2", 3, "BZh"}, {"xz", 5, "\3757zXZ"}, {"Zstandard", 4, "\050\265\057\375"}, {"7-Zip", 4, "7z\274\257"},
		{"audio or video", 4, "RIFF"}, {"audio", 3, "ID3"}, {"Ogg", 4, "OggS"}, {"program", 4, "\177ELF"}, {"SQLite", 15, "SQLite format 3"},
		{"Parquet", 4, "PAR1"}, {"UTF-16 or UTF-32", 2, "\377\376"}, {"UTF-16", 2, "\376\377"}
	};

	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (len >= (size_t) kinds[i].len && memcmp(data, kinds[i].bytes, kinds[i].len) == 0)
			return kinds[i].kind;
	}
	return NULL;
}
