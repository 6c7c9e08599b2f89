/*
 * hash.c
 *	  The stable hash of memai.  Pure: no allocation, no errors, no server
 *	  state, bytes are read as little-endian whatever the machine.
 *
 * The mixing step is the 64-bit multiply-and-rotate of MurmurHash3's author
 * (Austin Appleby, public domain) over 8-byte words with a finalizer by David
 * Stafford ("mix 13").  Quality was the reason, speed is a side effect.
 */
#include "postgres.h"

#include "core/core.h"

#define MULTIPLIER_1 UINT64CONST(0x87c37b91114253d5)
#define MULTIPLIER_2 UINT64CONST(0x4cf5ad432745937f)

static inline uint64
rotate_left(uint64 x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline uint64
load_word(const unsigned char *bytes, size_t len)
{
	uint64		word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64) bytes[i] << (8 * i);
	return word;
}

static inline uint64
mix_word(uint64 hash, uint64 word)
{
	word *= MULTIPLIER_1;
	word = rotate_left(word, 31);
	word *= MULTIPLIER_2;
	hash ^= word;
	return rotate_left(hash, 27) * 5 + 0x52dce729;
}

uint64
memai_hash64(const void *data, size_t len, uint64 seed)
{
	const unsigned char *bytes = data;
	uint64		hash = seed ^ (len * MULTIPLIER_2);
	size_t		left = len;

	for (; left >= 8; bytes += 8, left -= 8)
		hash = mix_word(hash, load_word(bytes, 8));
	if (left > 0)
		hash = mix_word(hash, load_word(bytes, left));

	hash ^= hash >> 30;
	hash *= UINT64CONST(0xbf58476d1ce4e5b9);
	hash ^= hash >> 27;
	hash *= UINT64CONST(0x94d049bb133111eb);
	hash ^= hash >> 31;
	return hash;
}
