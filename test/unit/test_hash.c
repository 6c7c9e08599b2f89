/*
 * test_hash.c
 *	  memai_hash64: its values are on disk (scopes, features of embeddings), so
 *	  they are fixed here for good.  They were computed by a second
 *	  implementation, in Python with big integers.
 */
/* sources: src/core/hash.c */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "tap.h"

typedef struct KnownAnswer
{
	const char *input;
	uint64		seed;
	uint64		hash;
}			KnownAnswer;

#define PANGRAM "The quick brown fox jumps over the lazy dog"

static const KnownAnswer known_answers[] = {
	{"", 0, 0},
	{"", 1, UINT64CONST(0x5692161d100b05e5)},
	{"", PG_UINT64_MAX, UINT64CONST(0xb4d055fcf2cbbd7b)},
	{"a", 0, UINT64CONST(0xbfcd954c1bc71b5c)},
	{"a", 1, UINT64CONST(0x4217f0f0bf94dcc7)},
	{"a", PG_UINT64_MAX, UINT64CONST(0xb088937da7aededd)},
	{"memai", 0, UINT64CONST(0x05984b8c2cbedd0b)},
	{"memai", UINT64CONST(0x6d656d6169730001), UINT64CONST(0xc78a4b99a9ad2b9d)},
	{"12345678", 0, UINT64CONST(0x9a5e9e42f7bcebe9)},
	{"12345678", 1, UINT64CONST(0x69ff28f64aa3c90e)},
	{"123456789", 0, UINT64CONST(0xb1640b407b30e50d)},
	{"123456789", 1, UINT64CONST(0x39f01fbd2179fdd7)},
	{PANGRAM, 0, UINT64CONST(0xeeca867d79b2401f)},
	{PANGRAM, UINT64CONST(0x6d656d6169730001), UINT64CONST(0xc6d49adb02358de8)},
	{PANGRAM, PG_UINT64_MAX, UINT64CONST(0xfd87d91cfa969e29)},
};

static void
test_known_answers(void)
{
	for (size_t i = 0; i < lengthof(known_answers); i++)
	{
		const		KnownAnswer *known = &known_answers[i];
		uint64		hash = memai_hash64(known->input, strlen(known->input), known->seed);

		ok(hash == known->hash, "\"%s\" under seed " UINT64_FORMAT " hashes to %016llx",
		   known->input, known->seed, (unsigned long long) hash);
	}
}

/* every length from 0 to 255 and every byte value, each hash the seed of the next */
static void
test_all_lengths(void)
{
	unsigned char bytes[256];
	uint64		hash = 0;

	for (int len = 0; len < 256; len++)
	{
		bytes[len] = (unsigned char) len;
		hash = memai_hash64(bytes, len, hash);
	}
	ok(hash == UINT64CONST(0x9d611b2b36a462a0), "lengths 0 to 255 chain to the known value");
}

/* a copy at every offset in a word: no unaligned read, the same hash */
static void
test_alignment(void)
{
	char		buffer[64 + 8];
	uint64		expected = memai_hash64(PANGRAM, strlen(PANGRAM), 7);
	bool		same = true;

	for (int offset = 0; offset < 8; offset++)
	{
		memcpy(buffer + offset, PANGRAM, strlen(PANGRAM));
		same &= memai_hash64(buffer + offset, strlen(PANGRAM), 7) == expected;
	}
	ok(same, "alignment of the input makes no difference");
}

/*
 * Avalanche: flipping any one bit of the input or the seed flips each bit of
 * the hash in about half the trials.  With 4000 trials a fair bit stays
 * within 0.5 +- 0.05 (more than six standard deviations).
 */
static void
test_avalanche(size_t len)
{
	enum
	{
		trials = 4000
	};
	double		worst = 0;
	int			bits = (int) len * 8 + 64;

	for (int flipped = 0; flipped < bits; flipped++)
	{
		int			counts[64] = {0};

		for (uint64 trial = 0; trial < trials; trial++)
		{
			unsigned char input[32];
			uint64		seed = memai_hash64(&trial, sizeof(trial), 1);
			uint64		change;

			for (size_t i = 0; i < len; i++)
				input[i] = (unsigned char) memai_hash64(&trial, sizeof(trial), 2 + i);
			change = memai_hash64(input, len, seed);
			if (flipped < 64)
				seed ^= UINT64CONST(1) << flipped;
			else
				input[(flipped - 64) / 8] ^= (unsigned char) (1 << (flipped % 8));
			change ^= memai_hash64(input, len, seed);
			for (int bit = 0; bit < 64; bit++)
				counts[bit] += (change >> bit) & 1;
		}
		for (int bit = 0; bit < 64; bit++)
			worst = Max(worst, fabs((double) counts[bit] / trials - 0.5));
	}
	ok(worst < 0.05, "avalanche of %zu bytes: every bit within 0.5 +- %.3f", len, worst);
}

int
main(void)
{
	test_known_answers();
	test_all_lengths();
	test_alignment();
	test_avalanche(5);
	test_avalanche(8);
	test_avalanche(12);
	return done_testing();
}
