/*
 * test_clean.c
 *	  HTML and Markdown to text, idle characters, what files and formats are
 *	  recognised by; hostile sources of a megabyte take linear time.
 */
/* sources: src/text/html.c src/text/markdown.c src/text/entity.c src/text/clean.c src/text/boundary.c src/text/tokens.c src/text/unicode.c */
#include "postgres.h"

#include <time.h>

#include "tap.h"
#include "../fuzz/clean_check.h"

typedef struct KnownAnswer
{
	const char *source;
	const char *expected;
} KnownAnswer;

static const KnownAnswer pages[] = {
	{"", ""},
	{"plain", "plain"},
	{"a < b && c > d", "a < b && c > d"},
	{"<p>One<p>Two", "One\n\nTwo"},
	{"<h1>Title</h1><p>Text <b>bold</b>, <i>it</i>alic.</p>", "# Title\n\nText bold, italic."},
	{"<h2>\n Two <br> lines\n</h2>after", "## Two lines\n\nafter"},
	{"<h3></h3>text", "text"},
	{"a<br>b<br/>c", "a\nb\nc"},
	{"<div>one</div><div>two</div>", "one\ntwo"},
	{"<ul><li>one<li>two<ul><li>deep</ul></ul>end", "- one\n- two\n  - deep\n\nend"},
	{"<ol><li>one</li><li>two</li></ol>", "1. one\n2. two"},
	{"<li>stray", "- stray"},
	{"<table><tr><th>a<th>b</tr><tr><td><p>1</p><td>2</table>", "a | b\n1 | 2"},
	{"<table><tr><td><td>x</table>", " | x"},
	{"<pre>  x = 1\n\ty</pre>", "```\n  x = 1\n\ty\n```"},
	{"<pre><code>a\n</code></pre>b", "```\na\n```\n\nb"},
	{"<pre>open", "```\nopen\n```"},
	{"<script>if (a < b) alert('</p>')</script>x<style>p{}</style>", "x"},
	{"<SCRIPT>x</ScRiPt >y", "y"},
	{"<script>never closed", ""},
	{"a<!-- <p>no</p> -->b<!doctype html><?xml?>", "ab"},
	{"a<!-- never closed", "a"},
	{"<svg><title>no</title><svg></svg></svg>yes", "yes"},
	{"<template><p>no</template>yes", "yes"},
	{"<a href='x>y' title=\"z\">link</a>", "link"},
	{"<a title=\"open>text", "text"},
	{"<img src=x alt=\"a &amp; b\"> <img alt=''>", "a & b"},
	{"&lt;p&gt; &amp;amp; &eacute;&#233;&#xE9; &nbsp;&copy; &hellip; &unknown; &#; &#x110000; &#150; AT&T &amp", "<p> &amp; \xc3\xa9\xc3\xa9\xc3\xa9 \xc2\xa9 \xe2\x80\xa6 &unknown; &#; \xef\xbf\xbd \xe2\x80\x93 AT&T &"},
	{"x?a=1&copy=2", "x?a=1&copy=2"},
	{"<p", "<p"},
	{"<", "<"},
	{"</", "</"},
	{"<>", "<>"},
	{"</p></div></table></li></h1></pre>x", "x"},
	{"<p>zero\xE2\x80\x8Bwidth&shy;hyphen\xEF\xBB\xBF</p>", "zerowidthhyphen"},
};

static const KnownAnswer markdowns[] = {
	{"# Title #\n\nText", "# Title\n\nText"},
	{"Title\n=====\nSub\n---\ntext", "# Title\n## Sub\ntext"},
	{"a **bold** and *it* and ***both*** and __b__ and _i_", "a bold and it and both and b and i"},
	{"snake_case_name 2*3*4 2 * 3 * 4 a*b", "snake_case_name 2*3*4 2 * 3 * 4 a*b"},
	{"*open and **open", "*open and **open"},
	{"[text](http://x.y/a_(b)) and [ref][1] and ![alt](i.png) and [alone]", "text and ref and alt and [alone]"},
	{"[![badge](b.svg)](http://x)", "badge"},
	{"[open](never", "[open](never"},
	{"[1]: http://x.y 'title'\ntext", "text"},
	{"[^1]: a footnote", "[^1]: a footnote"},
	{"`code *not* bold` and ``a ` b``", "code *not* bold and a ` b"},
	{"`open", "`open"},
	{"```c\nint  *x; // **x**\n\n\n\ty\n```\n*after*", "```c\nint  *x; // **x**\n\n\ty\n```\nafter"},
	{"* one\n+ two\n- three\n  * deep\n1. first", "- one\n- two\n- three\n  - deep\n1. first"},
	{"> quoted\n> > twice", "quoted\ntwice"},
	{"a\n\n---\n\n***\n\nb", "a\n\nb"},
	{"| a | b |\n|---|:-:|\n| 1 | 2 |", "| a | b |\n| 1 | 2 |"},
	{"---\ntitle: \"The Guide\"\ntags: x\n---\ntext", "text"},
	{"a <!-- gone --> b <br> <span class='x'>c</span> Vec<T> <https://x.y>", "a b c Vec<T> https://x.y"},
	{"<!--\nlong\ncomment\n-->\ntext", "text"},
	{"\\*not\\* &amp; &lt;", "*not* & <"},
	{"~~gone~~", "gone"},
	{"line one  \nline two", "line one\nline two"},
};

static const KnownAnswer plains[] = {
	{"a\r\nb\rc\n\n\n\nd \t e  ", "a\nb\nc\n\nd e"},
	{"  lead\n   in", "lead\nin"},
	{"a\001b\x7f" "c\xc2\x85" "d\xe2\x80\xa8" "e", "abc\nd\ne"},
	{"co\xc2\xad" "op\xc2\xa0x\xe3\x80\x80y", "coop x y"},
	/* words written in tags are invisible; the flag of Scotland is made of tags */
	{"a\xf3\xa0\x81\x81\xf3\xa0\x81\x82" "b", "ab"},
	{"\xf0\x9f\x8f\xb4\xf3\xa0\x81\xa7\xf3\xa0\x81\xbf!", "\xf0\x9f\x8f\xb4\xf3\xa0\x81\xa7\xf3\xa0\x81\xbf!"},
	/* joiners mean something */
	{"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7"},
};

static void
test_answers(const KnownAnswer *answers, size_t n, MemaiTextFormat format, const char *what)
{
	for (size_t i = 0; i < n; i++)
	{
		char	   *copy = malloc(strlen(answers[i].source));
		char	   *out;

		memcpy(copy, answers[i].source, strlen(answers[i].source));
		out = check_clean(copy, strlen(answers[i].source), format);
		ok(strcmp(out, answers[i].expected) == 0, "%s %zu gives \"%s\"", what, i, out);
		free(out);
		free(copy);
	}
}

static void
test_titles(void)
{
	char		out[1024];
	char		title[32];

	memai_clean("<head><title>\n The &amp; Guide </title></head><svg><title>no</title></svg>", 75, MEMAI_FORMAT_HTML, out, title, sizeof(title));
	ok(strcmp(title, "The & Guide") == 0, "title of a page: %s", title);
	memai_clean("<title>0123456789012345678901234567890123456789</title>", 55, MEMAI_FORMAT_HTML, out, title, sizeof(title));
	ok(strlen(title) < sizeof(title), "a long title is cut: %s", title);
	memai_clean("---\ntitle: 'The Guide'\n---\nx", 29, MEMAI_FORMAT_MARKDOWN, out, title, sizeof(title));
	ok(strcmp(title, "The Guide") == 0, "title of front matter: %s", title);
	memai_clean("---\ntitle: no\nend", 17, MEMAI_FORMAT_MARKDOWN, out, title, sizeof(title));
	ok(title[0] == '\0', "no title without an end of the front matter");
}

static void
test_kinds(void)
{
	static const struct
	{
		const char *text;
		const char *source;
		MemaiTextFormat format;
	}			guesses[] = {
		{"x", "a.html", MEMAI_FORMAT_HTML}, {"x", "http://h/A.HTM", MEMAI_FORMAT_HTML}, {"x", "README.md", MEMAI_FORMAT_MARKDOWN},
		{"x", "main.c", MEMAI_FORMAT_CODE}, {"x", "", MEMAI_FORMAT_TEXT}, {"  <!DOCTYPE html><p>", "", MEMAI_FORMAT_HTML},
		{"\xEF\xBB\xBF<html>", "", MEMAI_FORMAT_HTML}, {"text\n\n## Head\n", "", MEMAI_FORMAT_MARKDOWN}, {"text\n#tag\n", "", MEMAI_FORMAT_TEXT},
		{"# comment\nx", "notes.txt", MEMAI_FORMAT_TEXT}, {"# comment\nx=1", "a.py", MEMAI_FORMAT_CODE}, {"c", "c", MEMAI_FORMAT_TEXT},
		{"<p class=x>a", "", MEMAI_FORMAT_HTML}, {"<T> generic", "", MEMAI_FORMAT_TEXT}, {"<", "", MEMAI_FORMAT_TEXT}, {"", "", MEMAI_FORMAT_TEXT},
	};

	for (size_t i = 0; i < lengthof(guesses); i++)
		ok(memai_guess_format(guesses[i].text, strlen(guesses[i].text), guesses[i].source, strlen(guesses[i].source)) == guesses[i].format,
		   "\"%s\" from \"%s\" is of format %d", guesses[i].text, guesses[i].source, guesses[i].format);
	ok(strcmp(memai_binary_kind("%PDF-1.7", 8), "PDF") == 0, "PDF");
	ok(memai_binary_kind("PK\003\004xxxx", 8) != NULL, "ZIP");
	ok(memai_binary_kind("PKware is a company", 19) == NULL, "a text");
	ok(memai_binary_kind("", 0) == NULL, "nothing");
}

static void
test_linear(void)
{
	static const char *const units[] = {" ", "<", "x", "<a", "<a ", "<a \"", "<a '", "<!--", "<!", "</", "<svg>", "<script>", "<ul>", "<ul><li>", "<table><tr><td>",
	"<pre>", "<h1>", "&", "&#", "&amp", "[", "[](", "](", "[x](", "`", "`a``", "``a`", "*", "*a", "**a *b ", "_a", "![", "> ", "- ", "#", "# ", "---\n", "a\n=\n", "\\", "~~", "|-", "|-\n", "```\n", "\n", "[a]: b\n", "title:"};
	enum
	{
		LENGTH = 1024 * 1024
	};
	char	   *text = malloc(LENGTH);
	char	   *out = malloc(memai_clean_max_size(LENGTH));

	for (size_t u = 0; u < lengthof(units); u++)
	{
		clock_t		slowest = 0;

		for (size_t i = 0; i < LENGTH; i++)
			text[i] = units[u][i % strlen(units[u])];
		for (int format = MEMAI_FORMAT_TEXT; format <= MEMAI_FORMAT_CODE; format++)
		{
			clock_t		start = clock();

			memai_clean(text, LENGTH, format, out, NULL, 0);
			slowest = Max(slowest, clock() - start);
		}
		/* quadratic would take minutes */
		ok(slowest < 5 * CLOCKS_PER_SEC, "1 MB of unit %zu: slowest %.2f s of processor time", u, (double) slowest / CLOCKS_PER_SEC);
	}
	free(out);
	free(text);
}

int
main(void)
{
	test_answers(pages, lengthof(pages), MEMAI_FORMAT_HTML, "page");
	test_answers(markdowns, lengthof(markdowns), MEMAI_FORMAT_MARKDOWN, "markdown");
	test_answers(plains, lengthof(plains), MEMAI_FORMAT_TEXT, "text");
	test_titles();
	test_kinds();
	test_linear();
	return done_testing();
}
