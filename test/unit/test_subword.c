/*
 * test_subword.c
 *	  Tokenizers of published models: rewriting steps one by one, WordPiece and
 *	  Unigram on a small vocabulary, added tokens, limits; the head of a
 *	  safetensors file.
 */
/* sources: src/model/static_tokenizer.c src/model/static_tensors.c src/model/static_json.c src/json/scan.c src/json/utf8.c src/json/floats.c src/text/subword.c src/text/rewrite.c src/text/grapheme.c src/text/properties.c src/text/unicode.c */
#include "postgres.h"

#include "model/static.h"
#include "text/unicode.h"
#include "tap.h"

static char strings[64];

/* one step on a text; the result, or "too long" */
static const char *
rewritten(MemaiRewriteKind kind, int flags, const char *pattern, const char *content, const char *text)
{
	static char out[256];
	MemaiRewrite rewrite = {kind, flags, {0, 0}, {32, 0}};
	int64		len;

	strcpy(strings, pattern);
	strcpy(strings + 32, content);
	rewrite.pattern.len = strlen(pattern);
	rewrite.content.len = strlen(content);
	len = memai_rewrite(&rewrite, strings, text, strlen(text), out, sizeof(out) - 1);
	if (len < 0)
		return "too long";
	out[len] = '\0';
	return out;
}

static void
is_text(const char *got, const char *expected, const char *test)
{
	ok(strcmp(got, expected) == 0, "%s", test);
	if (strcmp(got, expected) != 0)
		printf("# got \"%s\", expected \"%s\"\n", got, expected);
}

static void
test_rewrites(void)
{
	int			all = MEMAI_BERT_CLEAN | MEMAI_BERT_CHINESE | MEMAI_BERT_STRIP | MEMAI_BERT_LOWER;
	char		long_text[300];

	is_text(rewritten(MEMAI_REWRITE_BERT, all, "", "", "Ab\tC\x7f\xe2\x80\x8b\xef\xbb\xbf!"), "ab c!", "BERT: white space, control and format characters");
	is_text(rewritten(MEMAI_REWRITE_BERT, all, "", "", "\xc3\x89" "col\xc3\xa9 \xc4\xb0"), "ecole i", "BERT: accents and case");
	is_text(rewritten(MEMAI_REWRITE_BERT, all, "", "", "a\xe6\x9d\xb1\xe4\xba\xac"), "a \xe6\x9d\xb1  \xe4\xba\xac ", "BERT: Chinese characters stand alone");
	is_text(rewritten(MEMAI_REWRITE_BERT, MEMAI_BERT_LOWER, "", "", "\xc3\x89\t"), "\xc3\xa9\t", "BERT: only lower case");
	is_text(rewritten(MEMAI_REWRITE_LOWER, 0, "", "", "\xc4\xb0\xce\xa3"), "i\xcc\x87\xcf\x83", "lower case of a letter that becomes two");
	is_text(rewritten(MEMAI_REWRITE_DECOMPOSE, 0, "", "", "\xe1\xbb\x87\xea\xb0\x81"), "e\xcc\xa3\xcc\x82\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "decomposition of Latin and Hangul");
	is_text(rewritten(MEMAI_REWRITE_DECOMPOSE, 0, "", "", "e\xcc\x82\xcc\xa3"), "e\xcc\xa3\xcc\x82", "marks in canonical order");
	is_text(rewritten(MEMAI_REWRITE_STRIP_MARKS, 0, "", "", "e\xcc\xa3\xcc\x82!"), "e!", "marks removed");
	is_text(rewritten(MEMAI_REWRITE_REPLACE, 0, "ab", "x", "ababb"), "xxb", "replacement");
	is_text(rewritten(MEMAI_REWRITE_REPLACE, 0, "a", "", "banana"), "bnn", "removal");
	is_text(rewritten(MEMAI_REWRITE_SPACES, 0, "", " ", " a \t\n b\xe3\x80\x80"), " a b ", "runs of white space");
	is_text(rewritten(MEMAI_REWRITE_BLANKS, 0, "", "_", "a b  c\t\t"), "a b_c\t\t", "runs of blanks");
	is_text(rewritten(MEMAI_REWRITE_STRIP, MEMAI_STRIP_LEFT | MEMAI_STRIP_RIGHT, "", "", " \ta b\n"), "a b", "white space at both ends");
	is_text(rewritten(MEMAI_REWRITE_STRIP, MEMAI_STRIP_LEFT, "", "", "  "), "", "nothing but white space");
	is_text(rewritten(MEMAI_REWRITE_PREPEND, 0, "", "x", "a"), "xa", "prepended");
	is_text(rewritten(MEMAI_REWRITE_PREPEND, 0, "", "x", ""), "", "not to nothing");
	memset(long_text, 'a', 299);
	long_text[299] = '\0';
	is_text(rewritten(MEMAI_REWRITE_REPLACE, 0, "a", "bb", long_text), "too long", "what does not fit is told");
}

/* the bytes of the first cluster */
static void
is_cluster(const char *text, size_t len, const char *test)
{
	size_t		got = memai_grapheme_length((const unsigned char *) text, (const unsigned char *) text + strlen(text));

	ok(got == len, "cluster: %s", test);
	if (got != len)
		printf("# got %zu bytes, expected %zu\n", got, len);
}

static void
test_clusters(void)
{
	is_cluster("ab", 1, "a letter");
	is_cluster("e\xcc\x81\xcc\xa7x", 5, "a letter with its marks");
	is_cluster("\r\n\xcc\x81", 2, "the end of a line");
	is_cluster("\n\xcc\x81", 1, "no mark of it");
	is_cluster("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8\xea\xb0\x81", 9, "a syllable of three letters");
	is_cluster("\xea\xb0\x81\xe1\x86\xa8\xe1\x85\xa1", 6, "a syllable and one more final letter");
	is_cluster("\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa\xf0\x9f\x87\xab", 8, "a flag");
	is_cluster("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7x", 11, "pictures that are joined");
	is_cluster("a\xe2\x80\x8d\xf0\x9f\x91\xa7", 4, "no picture before the joiner");
	is_cluster("\xd8\x80\xd9\xa1x", 4, "a sign before a digit");
	is_cluster("\xff\xcc\x81x", 3, "a broken byte is a letter");
}

static void *blocks[64];
static int	nblocks;

static void *
allocate(size_t size)
{
	return blocks[nblocks++] = malloc(size);
}

/* the tokens of a text, "1 2 3"; or the problem of the tokenizer */
static const char *
try_tokens(const char *json, const char *text, int max, bool drop_unknown)
{
	static char out[512];
	MemaiStaticTokenizer tokenizer;
	MemaiStaticProblem problem;
	int32		ids[64];
	MemaiSubwordTokens tokens = {ids, max, 0, drop_unknown};
	void	   *work;

	if (!memai_static_tokenizer_read(json, strlen(json), allocate, &tokenizer, &problem))
		return strcpy(out, problem.text);
	work = allocate(memai_subword_work_size(strlen(text)));
	if (!memai_subword_tokens(&tokenizer.subword, text, strlen(text), true, work, &tokens))
		return "too long";
	out[0] = '\0';
	for (int i = 0; i < tokens.n; i++)
		sprintf(out + strlen(out), "%s%d", i > 0 ? " " : "", ids[i]);
	return out;
}

static const char *
tokens_of(const char *json, const char *text, int max, bool drop_unknown)
{
	const char *result = try_tokens(json, text, max, drop_unknown);

	while (nblocks > 0)
		free(blocks[--nblocks]);
	return result;
}

static const char wordpiece[] =
"{\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"normalized\":false,\"single_word\":true,\"lstrip\":true,\"rstrip\":true}],"
"\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
"\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"U\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":6,"
"\"vocab\":{\"U\":0,\"un\":1,\"##able\":2,\"##a\":3,\"una\":4,\"!\":5,\"\\u00e9\":6,\"##\\ud83d\\ude00\":7}}}";

static const char unigram[] =
"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"always\",\"split\":false},"
"\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"U\",-9],[\"_a\",-1.5],[\"b\",-2],[\"_ab\",-4],[\"_\",-1],[\"a\",-0.25]]}}";

static void
test_tokens(void)
{
	is_text(tokens_of(wordpiece, "un UNA!", 64, false), "1 4 5", "WordPiece: words and marks");
	is_text(tokens_of(wordpiece, "unable", 64, false), "0", "the longest piece first, without a way back");
	is_text(tokens_of(wordpiece, "unaa una\xf0\x9f\x98\x80", 64, false), "4 3 4 7", "pieces inside a word, one beyond the basic plane");
	is_text(tokens_of(wordpiece, "unaaaaa x \xc3\xa9", 64, false), "0 0 6", "a word that is too long, a word that is unknown");
	is_text(tokens_of(wordpiece, "unaaaaa x \xc3\xa9", 64, true), "6", "unknown ones dropped");
	is_text(tokens_of(wordpiece, "un <x> un <x>un", 64, false), "1 9 1 0 0 0 1", "an added token, with the blanks around it and only as a word");
	is_text(tokens_of(wordpiece, "un un un", 2, false), "1 1", "no more than asked for");
	is_text(tokens_of(wordpiece, "", 64, false), "", "no text, no tokens");
	is_text(tokens_of(unigram, "ab a", 64, false), "4 5 2 4 5", "Unigram: the best sum and not the longest token");
	is_text(tokens_of(unigram, "xyz b", 64, false), "4 0 4 2", "unknown neighbours are one token");
	is_text(tokens_of(unigram, "\xff" "a", 64, false), "4 0 5", "broken UTF-8 is unknown");
}

static void
test_refusals(void)
{
	is_text(tokens_of("{", "", 1, false), "it is no JSON", "no JSON");
	is_text(tokens_of("{}", "", 1, false), "it has no vocabulary", "no model");
	is_text(tokens_of("{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", "", 1, false), "it is neither WordPiece nor Unigram (BPE)", "another kind");
	is_text(tokens_of("{\"normalizer\":{\"type\":\"NFKC\"}}", "", 1, false), "memai does not know its normalizer (NFKC)", "another normalizer");
	is_text(tokens_of("{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a+\"},\"content\":\"\"}}", "", 1, false),
			"its normalizer has a regular expression that memai does not know (a+)", "a regular expression");
	is_text(tokens_of("{\"model\":{\"type\":\"Unigram\",\"unk_id\":5,\"vocab\":[[\"a\",1]]}}", "", 1, false),
			"its vocabulary lacks the unknown token", "an unknown token that is none");
	is_text(tokens_of("{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",1e400]]}}", "", 1, false),
			"an entry of its vocabulary is none", "a score that is no number");
	is_text(tokens_of("{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"vocab\":{\"a\":99999999}}}", "", 1, false),
			"the number of a token is out of range", "a token beyond all");
}

static void
test_tensors(void)
{
	static const char head[] =
	"{\"embeddings\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},\"mapping\":{\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[12,28]}}";
	MemaiStaticTensors tensors;
	MemaiStaticProblem problem;
	size_t		len = strlen(head);

	ok(memai_static_tensors_read(head, len, 8 + len + 28, &tensors, &problem), "a head");
	ok(tensors.embeddings.type == MEMAI_STATIC_F16 && tensors.embeddings.rows == 2 && tensors.embeddings.columns == 3 &&
	   tensors.embeddings.offset == 8 + len && tensors.embeddings.size == 12, "its matrix");
	ok(tensors.mapping.type == MEMAI_STATIC_I32 && tensors.mapping.rows == 4 && tensors.mapping.offset == 8 + len + 12, "its mapping");
	ok(tensors.weights.type == MEMAI_STATIC_NONE, "and no weights");
	ok(!memai_static_tensors_read(head, len, 8 + len + 27, &tensors, &problem), "a file that is a byte short");
	is_text(problem.text, "the extent of tensor \"mapping\" does not fit its shape and the file", "says which");
	ok(!memai_static_tensors_read("[]", 2, 10, &tensors, &problem), "a head that is no object");
}

int
main(void)
{
	test_rewrites();
	test_clusters();
	test_tokens();
	test_refusals();
	test_tensors();
	return done_testing();
}
