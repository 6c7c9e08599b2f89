/*
 * test_chunk.c
 *	  Where texts are parted; what holds of the chunks of 10,000 random texts; and
 *	  that hostile texts of a megabyte take linear time.
 */
/* sources: src/text/chunk.c src/text/boundary.c src/text/tokens.c src/text/unicode.c */
#include "postgres.h"

#include <time.h>

#include "tap.h"
#include "../fuzz/chunk_check.h"

/* the chunks of a text, joined by "|"; static buffer */
static const char *
chunks_of(const char *text, MemaiChunking how)
{
	static char joined[4096];
	size_t		used = 0;
	size_t		len = strlen(text);
	char	   *copy = malloc(len);	/* exact size: the sanitizer sees an overrun */
	MemaiChunker chunker;
	MemaiChunk	chunk;

	memcpy(copy, text, len);
	memai_chunker_start(&chunker, copy, len, &how);
	while (memai_chunker_next(&chunker, &chunk))
	{
		if (used > 0)
			joined[used++] = '|';
		memcpy(&joined[used], copy + chunk.span.start, chunk.span.len);
		used += chunk.span.len;
	}
	joined[used] = '\0';
	free(copy);
	return joined;
}

/* one text in one way, in characters */
static void
is_parted(const char *text, int size, int overlap, MemaiChunkStrategy strategy, MemaiTextFormat format, const char *expected)
{
	const char *chunks = chunks_of(text, (MemaiChunking) {.size = size, .overlap = overlap, .strategy = strategy, .format = format});

	ok(strcmp(chunks, expected) == 0, "\"%s\" is parted into \"%s\"", text, chunks);
}

#define PARTED(text, size, expected) is_parted(text, size, 0, MEMAI_CHUNK_RECURSIVE, MEMAI_FORMAT_TEXT, expected)
#define MARKDOWN(text, size, expected) is_parted(text, size, 0, MEMAI_CHUNK_RECURSIVE, MEMAI_FORMAT_MARKDOWN, expected)
#define SENTENCES(text, size, expected) is_parted(text, size, 0, MEMAI_CHUNK_SENTENCE, MEMAI_FORMAT_TEXT, expected)
#define FIXED(text, size, expected) is_parted(text, size, 0, MEMAI_CHUNK_FIXED, MEMAI_FORMAT_TEXT, expected)
#define CODE(text, size, expected) is_parted(text, size, 0, MEMAI_CHUNK_RECURSIVE, MEMAI_FORMAT_CODE, expected)

static void
test_places(void)
{
	PARTED("", 10, "");
	PARTED(" \n\t ", 10, "");
	PARTED("short", 10, "short");
	PARTED("  short  ", 10, "short");
	PARTED("one two three", 8, "one two|three");
	PARTED("one two. three four", 12, "one two.|three four");
	PARTED("First line.\n\nSecond paragraph here", 22, "First line.|Second paragraph here");
	PARTED("aaa bbb, ccc ddd eee", 14, "aaa bbb,|ccc ddd eee");
	PARTED("We met Dr. Smith at noon", 13, "We met Dr.|Smith at noon");
	PARTED("abcdefghijklmno", 6, "abcdef|ghijkl|mno");
	PARTED("a internationalization b", 20, "a|internationalization|b");
	SENTENCES("It cost 3.14 euros. He paid. We left at once.", 30, "It cost 3.14 euros. He paid.|We left at once.");
	SENTENCES("See Dr. Smith, e.g. today. Bye.", 27, "See Dr. Smith, e.g. today.|Bye.");
	SENTENCES("Really?! Yes. \"No.\" Fine.", 14, "Really?! Yes.|\"No.\" Fine.");
	FIXED("abcdefghij", 4, "abcd|efgh|ij");
	FIXED("ab cd ef", 3, "ab|cd|ef");
	MARKDOWN("# One\n\nFirst text.\n\n# Two\n\nSecond text.", 60, "# One\n\nFirst text.|# Two\n\nSecond text.");
	MARKDOWN("# One\n\n## Sub\n\nText.", 60, "# One\n\n## Sub\n\nText.");
	MARKDOWN("Intro text here.\n\n```\n# no heading\nx = 1\n```\n\n# Yes\n\nEnd.", 80,
			 "Intro text here.\n\n```\n# no heading\nx = 1\n```|# Yes\n\nEnd.");
	MARKDOWN("#hashtag first\n\nand text", 60, "#hashtag first\n\nand text");
	CODE("int a;\n\nint\nf(void)\n{\n\treturn 1;\n}\n\nint b;", 40, "int a;\n\nint\nf(void)\n{\n\treturn 1;\n}|int b;");
	CODE("f:\n    a\n    b\n    c\n", 16, "f:\n    a\n    b|    c");
}

static void
test_scripts(void)
{
	/* Chinese and Japanese: at the stop, never before it */
	PARTED("\xe6\x88\x91\xe7\x88\xb1\xe4\xbd\xa0\xe3\x80\x82\xe4\xbd\xa0\xe5\xa5\xbd\xe5\x90\x97\xef\xbc\x9f", 5,
		   "\xe6\x88\x91\xe7\x88\xb1\xe4\xbd\xa0\xe3\x80\x82|\xe4\xbd\xa0\xe5\xa5\xbd\xe5\x90\x97\xef\xbc\x9f");
	PARTED("\xe6\x88\x91\xe7\x88\xb1\xe4\xbd\xa0\xe4\xbb\xac\xe3\x80\x82", 4,
		   "\xe6\x88\x91\xe7\x88\xb1\xe4\xbd\xa0|\xe4\xbb\xac\xe3\x80\x82");
	/* Thai: a vowel stays with the consonant behind it */
	PARTED("\xe0\xb8\x81\xe0\xb8\x82\xe0\xb9\x80\xe0\xb8\x81", 3, "\xe0\xb8\x81\xe0\xb8\x82|\xe0\xb9\x80\xe0\xb8\x81");
	/* marks, flags, families and modifiers stay whole */
	FIXED("abe\xcc\x81" "c", 3, "ab|e\xcc\x81" "c");
	FIXED("ab\xf0\x9f\x87\xb8\xf0\x9f\x87\xaa\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa", 3,
		  "ab|\xf0\x9f\x87\xb8\xf0\x9f\x87\xaa|\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa");
	FIXED("ab\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7" "c", 4, "ab|\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7" "c");
	FIXED("ab\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd", 3, "ab|\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd");
	FIXED("a\xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7" "b", 3, "a|\xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7|b");
	/* a grapheme larger than the size is parted between characters */
	FIXED("a\xcc\x81\xcc\x82\xcc\x83", 2, "a\xcc\x81|\xcc\x82\xcc\x83");
}

static void
test_overlap(void)
{
	is_parted("aa bb cc dd ee ff", 8, 3, MEMAI_CHUNK_RECURSIVE, MEMAI_FORMAT_TEXT, "aa bb cc|cc dd ee|ee ff");
	is_parted("abcdefghij", 4, 2, MEMAI_CHUNK_FIXED, MEMAI_FORMAT_TEXT, "abcd|cdef|efgh|ghij");
	is_parted("First one. Two. Three. Four.", 16, 5, MEMAI_CHUNK_SENTENCE, MEMAI_FORMAT_TEXT, "First one. Two.|Two. Three.|Four.");
	is_parted("# A\n\none two three\n\n# B\n\nfour five", 30, 10, MEMAI_CHUNK_RECURSIVE, MEMAI_FORMAT_MARKDOWN,
			  "# A\n\none two three|# B\n\nfour five");
}

static void
test_headings(void)
{
	const char *text = "# Guide\n\nIntro words.\n\n## Travel ##\n\nBook early.\n\n### Rail\n\nSit.\n\n## Food\n\nEat.";
	MemaiChunking how = {.size = 26,.format = MEMAI_FORMAT_MARKDOWN};
	static const char *const expected[] = {"Guide", "Guide/Travel", "Guide/Travel/Rail", "Guide/Food"};
	MemaiChunker chunker;
	MemaiChunk	chunk;
	size_t		n = 0;

	memai_chunker_start(&chunker, text, strlen(text), &how);
	while (memai_chunker_next(&chunker, &chunk))
	{
		char		path[256] = "";

		for (int i = 0; i < MEMAI_HEADING_LEVELS; i++)
		{
			if (chunk.headings[i].len == 0)
				continue;
			if (path[0])
				strcat(path, "/");
			strncat(path, text + chunk.headings[i].start, chunk.headings[i].len);
		}
		ok(n < lengthof(expected) && strcmp(path, expected[n]) == 0, "chunk %zu stands under %s", n, path);
		n++;
	}
	ok(n == lengthof(expected), "%zu chunks", n);
}

/* ---- random texts ---- */

static uint64 seed = 4711;

static uint32
draw(uint32 n)
{
	seed = seed * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return (uint32) ((seed >> 33) % n);
}

static const char *const pieces[] = {
	"word ", "a", " ", "  ", "\n", "\n\n", "\r\n", "\t", ". ", "! ", "? ", ", ", "etc. ", "3.14", "# ", "\n# Head\n", "\n## Sub\n\n",
	"\n```\n", "- item\n", "| a | b |\n", "internationalization", "_x_", "((((", "\xe6\x88\x91", "\xe7\x88\xb1", "\xe3\x80\x82",
	"\xe3\x80\x8c", "\xe3\x80\x8d", "\xe0\xb9\x80", "\xe0\xb8\x81", "\xcc\x81", "\xe2\x80\x8d", "\xf0\x9f\x91\xa9", "\xf0\x9f\x87\xb8",
	"\xf0\x9f\x8f\xbd", "\xef\xb8\x8f", "\xed\x95\x9c", "\xd8\xb3", "\xc2\xa0", "\xff", "\xe2\x82", "\xf0\x9d\x90\x81", "\xe0\xa5\x8d", "\xe0\xa4\x95",
};

static void
test_random(void)
{
	enum
	{
		NTEXTS = 10000
	};
	static char text[8192];
	int			nchunks = 0;

	for (int i = 0; i < NTEXTS; i++)
	{
		MemaiChunking how = {.size = 1 + draw(i % 2 ? 12 : 300),.in_tokens = draw(2),.strategy = draw(3),.format = draw(4)};
		int			npieces = draw(200);
		size_t		len = 0;

		for (int p = 0; p < npieces; p++)
		{
			const char *piece = pieces[draw(i % 3 ? lengthof(pieces) : 8)];

			strcpy(&text[len], piece);
			len += strlen(piece);
		}
		how.overlap = draw(how.size / 2 + 1);
		nchunks += check_chunks(text, len, &how);
	}
	ok(true, "%d random texts: %d chunks of the right sizes cover them", NTEXTS, nchunks);
}

/* ---- hostile texts ---- */

static void
test_linear(void)
{
	static const char *const units[] = {" ", "<", "x", "# a\n", "# ", "```\n", "\n", "\t\tx\n", "\xcc\x81", "\xe2\x80\x8d", ". ", "a. ", "e.g. ", "a\xcc\x81 ",
	"\xe6\x88\x91", "\"", "a\n    ", "- ", "1. ", "\xf0\x9f\x87\xb8", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx a "};
	enum
	{
		LENGTH = 1024 * 1024
	};
	char	   *text = malloc(LENGTH);

	for (size_t u = 0; u < lengthof(units); u++)
	{
		clock_t		slowest = 0;

		for (size_t i = 0; i < LENGTH; i++)
			text[i] = units[u][i % strlen(units[u])];
		for (int way = 0; way < 24; way++)
		{
			int			size = way & 1 ? 200 : 100000;
			MemaiChunking how = {.size = size,.overlap = way & 2 ? size / 2 : 0,.in_tokens = (way & 4) != 0,
			.strategy = way / 8,.format = way & 2 ? MEMAI_FORMAT_CODE : MEMAI_FORMAT_MARKDOWN};
			clock_t		start = clock();
			MemaiChunker chunker;
			MemaiChunk	chunk;

			memai_chunker_start(&chunker, text, LENGTH, &how);
			while (memai_chunker_next(&chunker, &chunk))
				;
			slowest = Max(slowest, clock() - start);
		}
		/* quadratic would take minutes */
		ok(slowest < 5 * CLOCKS_PER_SEC, "1 MB of \"%s\": slowest way %.2f s of processor time", u == 6 ? "newline" : units[u],
		   (double) slowest / CLOCKS_PER_SEC);
	}
	free(text);
}

int
main(void)
{
	test_places();
	test_scripts();
	test_overlap();
	test_headings();
	test_random();
	test_linear();
	return done_testing();
}
