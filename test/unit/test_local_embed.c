/*
 * test_local_embed.c
 *	  The embedder local/hash-384: its vectors are stored, so their bits are
 *	  fixed here for good (computed by a second implementation, in Python with
 *	  exact integers); and what they should say of texts.
 */
/* sources: src/model/local_embed.c src/text/tokenise.c src/text/unicode.c src/core/hash.c */
#include "postgres.h"

#include <math.h>

#include "model/local.h"
#include "tap.h"

static MemaiLocalEmbedder *embedder;

static void
embed(const char *text, size_t len, float *out)
{
	char	   *copy = malloc(len);

	memcpy(copy, text, len);
	memai_local_embed_start(embedder, copy, len);
	while (memai_local_embed_step(embedder))
		;
	memai_local_embed_finish(embedder, out);
	free(copy);
}

static double
norm(const float *vector)
{
	double		sum = 0;

	for (int i = 0; i < MEMAI_LOCAL_DIMENSIONS; i++)
		sum += (double) vector[i] * vector[i];
	return sqrt(sum);
}

static double
similarity(const char *a, const char *b)
{
	float		left[MEMAI_LOCAL_DIMENSIONS];
	float		right[MEMAI_LOCAL_DIMENSIONS];
	double		sum = 0;

	embed(a, strlen(a), left);
	embed(b, strlen(b), right);
	for (int i = 0; i < MEMAI_LOCAL_DIMENSIONS; i++)
		sum += (double) left[i] * right[i];
	return sum;
}

/* hash of the elements' bit patterns, whatever the machine's byte order */
static uint64
checksum(const float *vector)
{
	unsigned char bytes[MEMAI_LOCAL_DIMENSIONS * 4];

	for (int i = 0; i < MEMAI_LOCAL_DIMENSIONS; i++)
	{
		uint32		bits;

		memcpy(&bits, &vector[i], sizeof(bits));
		for (int byte = 0; byte < 4; byte++)
			bytes[4 * i + byte] = (unsigned char) (bits >> (8 * byte));
	}
	return memai_hash64(bytes, sizeof(bytes), 0);
}

typedef struct KnownAnswer
{
	const char *text;
	uint64		checksum;
} KnownAnswer;

static const KnownAnswer known_answers[] = {
	{"I prefer aisle seats", UINT64CONST(0x87a50a123f7e8cdd)},
	{"", UINT64CONST(0xaf6a0917f736def7)},
	{"a", UINT64CONST(0x5a965b32ee10edff)},
	{"Don't you remember? We moved to Zürich on 3 May 2024, and she isn't happy.", UINT64CONST(0x3ba49b8c500b54a4)},
	{"我喜欢北京的秋天", UINT64CONST(0x02ed1fd1c28941e4)},
	{"Привет, мир! Καλημέρα κόσμε.", UINT64CONST(0xfe86573fc5c60485)},
	{"!!!", UINT64CONST(0x2768338f15970050)},
	{"🍕🍕🎉", UINT64CONST(0xfccddcb0512bdcd5)},
	{"\xFF\xFE\x80", UINT64CONST(0x8c98350e82e9f291)},
	{"row row row your boat, row row row", UINT64CONST(0xa392734137091294)},
};

static void
test_known_answers(void)
{
	for (size_t i = 0; i < lengthof(known_answers); i++)
	{
		float		vector[MEMAI_LOCAL_DIMENSIONS];
		uint64		sum;

		embed(known_answers[i].text, strlen(known_answers[i].text), vector);
		sum = checksum(vector);
		ok(sum == known_answers[i].checksum, "text %zu has checksum %016llx",
		   i, (unsigned long long) sum);
		ok(fabs(norm(vector) - 1.0) < 1e-6, "and length 1");
	}
}

static void
test_meaning(void)
{
	ok(similarity("Café Zürich", "cafe zurich") > 0.999999, "case and accents make no difference");
	ok(similarity("cafe\u0301", "caf\u00e9") > 0.999999, "nor do equivalent spellings");
	ok(similarity("she was hiking", "she hikes") > 0.3, "forms of a word are near");
	ok(similarity("favourite colour", "favorite color") > 0.1, "spellings are not far");
	ok(similarity("I prefer aisle seats", "Which seat does she prefer?") >
	   similarity("I prefer aisle seats", "What did the dog eat?") + 0.2,
	   "shared content words count");
	ok(similarity("it was what they had", "the dog had it") <
	   similarity("the brown dog", "a brown dog"), "function words count little");
	ok(similarity("dog bites man", "man bites dog") < 0.999, "order counts");
}

/* long texts: more features than are counted together, one word without end */
static void
test_long(void)
{
	size_t		len = 2 * 1024 * 1024;
	char	   *text = malloc(len);
	float		vector[MEMAI_LOCAL_DIMENSIONS];
	float		again[MEMAI_LOCAL_DIMENSIONS];

	for (size_t i = 0; i < len; i++)
		text[i] = (memai_hash64(&i, sizeof(i), 0) % 6 == 0) ? ' ' :
			(char) ('a' + memai_hash64(&i, sizeof(i), 1) % 26);
	embed(text, len, vector);
	ok(fabs(norm(vector) - 1.0) < 1e-6, "2 MB of random words have length 1");
	embed(text, len, again);
	ok(memcmp(vector, again, sizeof(vector)) == 0, "and the same vector again");

	memset(text, 'x', len);
	embed(text, len, vector);
	ok(fabs(norm(vector) - 1.0) < 1e-6, "so has a word of 2 MB");
	memset(text, '.', len);
	embed(text, len, vector);
	ok(fabs(norm(vector) - 1.0) < 1e-6, "and 2 MB without a word");
	free(text);
}

int
main(void)
{
	embedder = malloc(memai_local_embedder_size());
	memai_local_embedder_init(embedder);
	test_known_answers();
	test_meaning();
	test_long();
	free(embedder);
	return done_testing();
}
