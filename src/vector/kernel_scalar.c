/*
 * kernel_scalar.c
 *	  The kernels in portable C: the definition that the other sets are tested
 *	  against, and the fallback.  Float sums are kept in double, so this set is
 *	  the most exact one, not the fastest.
 */
#include <math.h>
#include <string.h>

#include "vector/half.h"
#include "vector/kernel.h"
#include "vector/kernel_table.h"

/*
 * The float template with vectors of one double.  Four sums are independent
 * here too, which the processor uses even without vector instructions.
 */
#define VECTOR double
#define WIDTH ((size_t) 1)
#define ZERO() 0.0
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define FMA(a, b, c) ((a) * (b) + (c))
#define ABS(a) fabs(a)
#define SUM(a) ((float) (a))

#define KERNEL(name) f32_ ## name
#define ELEMENT float
#define LOAD(p) ((double) *(p))
#define LOAD_PARTIAL(p, n) ((void) (n), LOAD(p))
#include "vector/kernel_float.inc"

#define KERNEL(name) f16_ ## name
#define ELEMENT MemaiHalf
#define LOAD(p) ((double) memai_half_to_float(*(p)))
#define LOAD_PARTIAL(p, n) ((void) (n), LOAD(p))
#include "vector/kernel_float.inc"

static double
f32_norm2(size_t n, const float *a)
{
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double) a[i] * a[i];
	return sum;
}

static void
f16_to_f32(size_t n, const MemaiHalf *from, float *to)
{
	for (size_t i = 0; i < n; i++)
		to[i] = memai_half_to_float(from[i]);
}

static void
f32_to_f16(size_t n, const float *from, MemaiHalf *to)
{
	for (size_t i = 0; i < n; i++)
		to[i] = memai_half_from_float(from[i]);
}

static int32_t
i8_dot(size_t n, const int8_t *a, const int8_t *b)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static int32_t
i8_l2sq(size_t n, const int8_t *a, const int8_t *b)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		int32_t		difference = (int32_t) a[i] - b[i];

		sum += difference * difference;
	}
	return sum;
}

static int32_t
u8i8_dot(size_t n, const uint8_t *a, const int8_t *b)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

/* bits set in a word, without the instruction for it (Hacker's Delight, 5-1) */
static inline uint64_t
count_bits(uint64_t word)
{
	word -= (word >> 1) & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) + ((word >> 2) & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (word * UINT64_C(0x0101010101010101)) >> 56;
}

/* up to 8 bytes as a word, in memory order: only its bits are counted */
static inline uint64_t
load_word(const uint8_t *bytes, size_t n)
{
	uint64_t	word = 0;

	memcpy(&word, bytes, n < sizeof(word) ? n : sizeof(word));
	return word;
}

static uint64_t
bit_hamming(size_t n, const uint8_t *a, const uint8_t *b)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < n; i += sizeof(uint64_t))
		sum += count_bits(load_word(a + i, n - i) ^ load_word(b + i, n - i));
	return sum;
}

static uint64_t
bit_and(size_t n, const uint8_t *a, const uint8_t *b)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < n; i += sizeof(uint64_t))
		sum += count_bits(load_word(a + i, n - i) & load_word(b + i, n - i));
	return sum;
}

static void
bit_counts(size_t n, const uint8_t *a, const uint8_t *b, MemaiBitCounts *counts)
{
	counts->both = bit_and(n, a, b);
	counts->in_a = bit_and(n, a, a);
	counts->in_b = bit_and(n, b, b);
}

#include "vector/kernel_many.inc"

const MemaiKernels memai_kernels_scalar = MEMAI_KERNEL_TABLE("scalar");
