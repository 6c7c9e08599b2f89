/*
 * test_tokenise.c
 *	  Words of many scripts, equivalent spellings, damaged UTF-8, the length
 *	  limit; and the estimate of tokens.
 */
/* sources: src/text/tokenise.c src/text/unicode.c src/text/tokens.c */
#include "postgres.h"

#include "text/text.h"
#include "tap.h"

/* the tokens of a text, joined by '|'; static buffer */
static const char *
tokens_of(const char *text, size_t len, bool strip)
{
	static char joined[4096];
	size_t		used = 0;
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	char	   *copy = malloc(len);	/* exact size: the sanitizer sees an overrun */

	memcpy(copy, text, len);
	memai_tokeniser_start(&tokeniser, copy, len);
	while (memai_tokeniser_next(&tokeniser, &token))
	{
		if (strip)
			memai_token_strip_accents(&token);
		if (used > 0)
			joined[used++] = '|';
		memcpy(&joined[used], token.data, token.len);
		used += token.len;
	}
	joined[used] = '\0';
	free(copy);
	return joined;
}

typedef struct KnownAnswer
{
	const char *text;
	const char *tokens;
} KnownAnswer;

static const KnownAnswer words[] = {
	/* Latin: case, digits, punctuation */
	{"", ""},
	{"   \t\n.,;!?", ""},
	{"Hello, World!", "hello|world"},
	{"C3PO met R2-D2 at 10:30", "c3po|met|r2|d2|at|10|30"},
	{"3.14 and 1,000", "3|14|and|1|000"},
	{"snake_case e-mail", "snake|case|e|mail"},
	{"Straße STRASSE", "strasse|strasse"},
	{"ﬁne ＦＵＬＬ１２", "fine|full12"},
	{"x² Ⅳ ½ ①", "x2|iv|½|1"},
	{"İSTANBUL ISPARTA ısı", "i̇stanbul|isparta|ısı"},
	{"𝐁𝐨𝐥𝐝 Ǆ", "bold|dž"},
	/* apostrophes */
	{"don't I'm dogs' 'quoted' rock 'n' roll", "don't|i'm|dogs|quoted|rock|n|roll"},
	{"don’t donʼt l’École", "don't|don't|l'école"},
	{"it''s a' 'b", "it|s|a|b"},
	{"d'é", "d'é"},
	/* invisible characters */
	{"co\xC2\xADop zero\xE2\x80\x8Bwidth \xEF\xBB\xBFmark a\xE2\x80\x8D", "coop|zerowidth|mark|a"},
	/* Greek, Cyrillic, Armenian, Georgian, Cherokee */
	{"ΟΔΥΣΣΕΥΣ Ὀδυσσεύς", "οδυσσευσ|ὀδυσσεύσ"},
	{"Привет МИР Ёлка", "привет|мир|ёлка"},
	{"ԵՐԵՎԱՆ ᲗᲑᲘᲚᲘᲡᲘ ᏣᎳᎩ", "երեվան|თბილისი|ᏣᎳᎩ"},
	/* right to left, with marks */
	{"שָׁלוֹם עולם", "שָׁלוֹם|עולם"},
	{"السَّلام عليكم", "السَّلام|عليكم"},
	{"ﻻ", "لا"},
	/* Indic: vowel signs belong to the word */
	{"हिन्दी में তোমার தமிழ்", "हिन्दी|में|তোমার|தமிழ்"},
	/* Ethiopic */
	{"ሰላም፡ዓለም።", "ሰላም|ዓለም"},
	/* scripts without spaces: pairs, and a lone character */
	{"我喜欢北京", "我喜|喜欢|欢北|北京"},
	{"我", "我"},
	{"我。你", "我|你"},
	{"東京タワーへ行く", "東京|京タ|タワ|ワー|ーへ|へ行|行く"},
	{"ﾄｳｷｮｳ ｶﾞ", "トウ|ウキ|キョ|ョウ|ガ"},
	{"iPhone手机15个", "iphone|手机|15|个"},
	{"학교에서 가다", "학교|교에|에서|가다"},
	{"ㅋㅋㅋ", "ㅋㅋ|ㅋㅋ"},
	{"ที่นี่", "ที่นี่"},
	{"ภาษาไทย", "ภา|าษ|ษา|าไ|ไท|ทย"},
	{"ភាសា", "ភាសា"},
	{"မြန်မာ", "မြန်|န်မာ"},
	/* symbols and emoji are no words */
	{"I ❤ 🍕 ™", "i"},
};

static void
test_words(void)
{
	for (size_t i = 0; i < lengthof(words); i++)
	{
		const char *tokens = tokens_of(words[i].text, strlen(words[i].text), false);

		ok(strcmp(tokens, words[i].tokens) == 0, "text %zu gives \"%s\"", i, tokens);
	}
}

/* pairs of spellings that Unicode calls canonically or compatibly equivalent */
static const char *const equivalents[][2] = {
	{"caf\u00e9", "cafe\u0301"},
	{"\u00c5ngstr\u00f6m", "A\u030angstro\u0308m"},
	{"\u212b", "A\u030a"},
	{"vi\u1ec7t", "vie\u0323\u0302t"},
	{"vi\u1ec7t", "vie\u0302\u0323t"},
	{"vi\u1ec7t", "vi\u1eb9\u0302t"},
	{"vi\u1ec7t", "vi\u00ea\u0323t"},
	{"\u0439", "\u0438\u0306"},
	{"\u1f84", "\u03b1\u0313\u0301\u0345"},
	{"\u1f84", "\u03b1\u0345\u0313\u0301"},
	{"\u1f84", "\u1fb3\u0313\u0301"},
	{"\u304c\u3071", "\u304b\u3099\u306f\u309a"},
	{"\uff76\uff9e\uff8a\uff9f", "\u30ac\u30d1"},
	{"\ud55c\uad6d", "\u1112\u1161\u11ab\u1100\u116e\u11a8"},
	{"\ud55c\uad6d", "\ud558\u11ab\uad6d"},
	{"\u09cb", ""},
	{"\u0995\u09cb", "\u0995\u09c7\u09be"},
	{"\uf900\u8c48", "\u8c48\u8c48"},
	{"q\u0307\u0323", "q\u0323\u0307"},
	{"\u1e9b\u0323", "s\u0323\u0307"},
};

static void
test_equivalents(void)
{
	for (size_t i = 0; i < lengthof(equivalents); i++)
	{
		char		first[256];

		strcpy(first, tokens_of(equivalents[i][0], strlen(equivalents[i][0]), false));
		ok(strcmp(first, tokens_of(equivalents[i][1], strlen(equivalents[i][1]), false)) == 0,
		   "pair %zu: both give \"%s\"", i, first);
	}
}

static const KnownAnswer stripped[] = {
	{"Café naïve Ångström Łódź œuvre Ærø", "cafe|naive|angstrom|lodz|oeuvre|aero"},
	{"Việt Nam tiếng", "viet|nam|tieng"},
	{"İstanbul ısı", "istanbul|isi"},
	{"ᾄδω Ὀδυσσεύς ΐ", "αδω|οδυσσευσ|ι"},
	/* io and stress go; short i, yi and the like are letters of their own */
	{"ёлка за\u0301мок мой їжак", "елка|замок|мой|їжак"},
	{"þorn ðe", "thorn|de"},
	/* nothing else changes */
	{"がぱ हिन्दी שָׁ", "がぱ|हिन्दी|שָׁ"},
	{"don't 42", "don't|42"},
};

static void
test_strip(void)
{
	for (size_t i = 0; i < lengthof(stripped); i++)
	{
		const char *tokens = tokens_of(stripped[i].text, strlen(stripped[i].text), true);

		ok(strcmp(tokens, stripped[i].tokens) == 0, "\"%s\" strips to %s",
		   stripped[i].text, tokens);
	}
}

static void
test_damaged(void)
{
	static const KnownAnswer damaged[] = {
		{"ab\xFF" "cd", "ab|cd"},
		{"ab\xC3", "ab"},
		{"ab\xE2\x82", "ab"},
		{"\xF0\x9F\x8D", ""},
		{"a\xC0\xAF" "b", "a|b"},	/* overlong */
		{"a\xED\xA0\x80" "b", "a|b"},	/* surrogate */
		{"a\xF4\x90\x80\x80" "b", "a|b"},	/* beyond Unicode */
		{"\x80\x80 caf\xE9", "caf"},
		{"\xCC\x81 alone", "alone"},	/* a mark without a letter */
	};

	for (size_t i = 0; i < lengthof(damaged); i++)
		ok(strcmp(tokens_of(damaged[i].text, strlen(damaged[i].text), false),
				  damaged[i].tokens) == 0, "damaged text %zu", i);
	ok(strcmp(tokens_of("a\0b", 3, false), "a|b") == 0, "a NUL separates words");
}

/* words longer than a token are cut between characters, and are one token */
static void
test_limit(void)
{
	char		text[2000];
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	MemaiToken	composed;

	memset(text, 'a', 1000);
	memai_tokeniser_start(&tokeniser, text, 1000);
	ok(memai_tokeniser_next(&tokeniser, &token) && token.len == MEMAI_TOKEN_MAX_BYTES,
	   "a word of 1000 letters is cut");
	ok(!memai_tokeniser_next(&tokeniser, &token), "and is one token");

	/* 1 + 2 * 999 bytes: the limit falls into a character */
	text[0] = 'a';
	for (int i = 1; i + 1 < 2000; i += 2)
		memcpy(&text[i], "\u00e9", 2);
	memai_tokeniser_start(&tokeniser, text, 1999);
	ok(memai_tokeniser_next(&tokeniser, &composed) && composed.len == MEMAI_TOKEN_MAX_BYTES - 1,
	   "the cut is between characters");

	text[0] = 'a';
	for (int i = 1; i + 2 < 2000; i += 3)
		memcpy(&text[i], "e\u0301", 3);
	memai_tokeniser_start(&tokeniser, text, 1999);
	ok(memai_tokeniser_next(&tokeniser, &token) && token.len == composed.len &&
	   memcmp(token.data, composed.data, token.len) == 0,
	   "the decomposed spelling is cut at the same place");

	/* one letter under a pile of marks */
	text[0] = 'a';
	for (int i = 1; i + 1 < 2000; i += 2)
		memcpy(&text[i], i % 4 == 1 ? "\u0301" : "\u0323", 2);
	memai_tokeniser_start(&tokeniser, text, 1999);
	ok(memai_tokeniser_next(&tokeniser, &token) && !memai_tokeniser_next(&tokeniser, &composed),
	   "a pile of marks is one token");
	memai_token_strip_accents(&token);
	ok(token.len == 1 && token.data[0] == 'a', "and strips to its letter");
}

typedef struct Estimate
{
	const char *text;
	int64		tokens;
} Estimate;

static void
test_estimate(void)
{
	static const Estimate estimates[] = {
		{"", 0},
		{" \n\t ", 0},
		{"a", 1},
		{"word", 1},
		{"internationally", 3},
		{"Hello, world!", 4},
		{"我喜欢北京。", 6},
		{"привет", 2},
		{"**bold** (\"quoted\").", 6},
		{"a , b", 3},
		{"cafe\u0301", 1},
		{"🍕🍕", 2},
		{"\xFF\xFE", 2},
	};

	for (size_t i = 0; i < lengthof(estimates); i++)
	{
		int64		tokens = memai_estimate_tokens(estimates[i].text, strlen(estimates[i].text));

		ok(tokens == estimates[i].tokens, "text %zu is estimated at " INT64_FORMAT " tokens",
		   i, tokens);
	}
}

int
main(void)
{
	test_words();
	test_equivalents();
	test_strip();
	test_damaged();
	test_limit();
	test_estimate();
	return done_testing();
}
