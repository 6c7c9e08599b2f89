/*
 * kernel_avx2.c
 *	  The kernels for AVX2 with FMA, F16C and POPCNT (x86-64 since 2013).  Only
 *	  this file is compiled for these instructions; memai_kernels_find sees to
 *	  it that nothing here runs without them.
 */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "vector/kernel.h"
#include "vector/kernel_table.h"

#if defined(__clang__)
#pragma clang attribute push (__attribute__((target("avx2,fma,f16c,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,popcnt")
#endif

#define VECTOR __m256
#define WIDTH ((size_t) 8)
#define ZERO() _mm256_setzero_ps()
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ABS(a) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)
#define SUM(a) sum_floats(a)

static inline float
sum_floats(__m256 v)
{
	__m128		sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
	sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
	return _mm_cvtss_f32(sum);
}

static inline __m256
load_partial_f32(const float *p, size_t n)
{
	float		buffer[8] = {0};

	memcpy(buffer, p, n * sizeof(*p));
	return _mm256_loadu_ps(buffer);
}

static inline __m256
load_f16(const MemaiHalf *p)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) p));
}

static inline __m256
load_partial_f16(const MemaiHalf *p, size_t n)
{
	MemaiHalf	buffer[8] = {0};

	memcpy(buffer, p, n * sizeof(*p));
	return load_f16(buffer);
}

#define KERNEL(name) f32_ ## name
#define ELEMENT float
#define LOAD(p) _mm256_loadu_ps(p)
#define LOAD_PARTIAL(p, n) load_partial_f32(p, n)
#include "vector/kernel_float.inc"

#define KERNEL(name) f16_ ## name
#define ELEMENT MemaiHalf
#define LOAD(p) load_f16(p)
#define LOAD_PARTIAL(p, n) load_partial_f16(p, n)
#include "vector/kernel_float.inc"

static double
f32_norm2(size_t n, const float *a)
{
	__m256d		sum0 = _mm256_setzero_pd();
	__m256d		sum1 = _mm256_setzero_pd();
	double		lanes[4];
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		__m256d		low = _mm256_cvtps_pd(_mm_loadu_ps(a + i));
		__m256d		high = _mm256_cvtps_pd(_mm_loadu_ps(a + i + 4));

		sum0 = _mm256_fmadd_pd(low, low, sum0);
		sum1 = _mm256_fmadd_pd(high, high, sum1);
	}
	_mm256_storeu_pd(lanes, _mm256_add_pd(sum0, sum1));
	for (; i < n; i++)
		lanes[0] += (double) a[i] * a[i];
	return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

static void
f16_to_f32(size_t n, const MemaiHalf *from, float *to)
{
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(to + i, load_f16(from + i));
	for (; i < n; i++)
		to[i] = _cvtsh_ss(from[i]);
}

static void
f32_to_f16(size_t n, const float *from, MemaiHalf *to)
{
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
		_mm_storeu_si128((__m128i *) (to + i),
						 _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
	for (; i < n; i++)
		to[i] = _cvtss_sh(from[i], _MM_FROUND_TO_NEAREST_INT);
}

static inline int32_t
sum_int32(__m256i v)
{
	__m128i		sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
	return _mm_cvtsi128_si32(sum);
}

static inline __m256i
load_i8(const int8_t *p)
{
	return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) p));
}

static inline __m256i
load_u8(const uint8_t *p)
{
	return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *) p));
}

/* products of 16-bit numbers: maddubs would saturate */
static int32_t
i8_dot(size_t n, const int8_t *a, const int8_t *b)
{
	__m256i		sum0 = _mm256_setzero_si256();
	__m256i		sum1 = _mm256_setzero_si256();
	int32_t		sum;
	size_t		i = 0;

	for (; i + 32 <= n; i += 32)
	{
		sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(load_i8(a + i), load_i8(b + i)));
		sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(load_i8(a + i + 16), load_i8(b + i + 16)));
	}
	sum = sum_int32(_mm256_add_epi32(sum0, sum1));
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static int32_t
i8_l2sq(size_t n, const int8_t *a, const int8_t *b)
{
	__m256i		sum0 = _mm256_setzero_si256();
	__m256i		sum1 = _mm256_setzero_si256();
	int32_t		sum;
	size_t		i = 0;

	for (; i + 32 <= n; i += 32)
	{
		__m256i		low = _mm256_sub_epi16(load_i8(a + i), load_i8(b + i));
		__m256i		high = _mm256_sub_epi16(load_i8(a + i + 16), load_i8(b + i + 16));

		sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(low, low));
		sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(high, high));
	}
	sum = sum_int32(_mm256_add_epi32(sum0, sum1));
	for (; i < n; i++)
	{
		int32_t		difference = (int32_t) a[i] - b[i];

		sum += difference * difference;
	}
	return sum;
}

static int32_t
u8i8_dot(size_t n, const uint8_t *a, const int8_t *b)
{
	__m256i		sum0 = _mm256_setzero_si256();
	__m256i		sum1 = _mm256_setzero_si256();
	int32_t		sum;
	size_t		i = 0;

	for (; i + 32 <= n; i += 32)
	{
		sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(load_u8(a + i), load_i8(b + i)));
		sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(load_u8(a + i + 16), load_i8(b + i + 16)));
	}
	sum = sum_int32(_mm256_add_epi32(sum0, sum1));
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static inline uint64_t
load_word(const uint8_t *bytes)
{
	uint64_t	word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* the one-to-one bit kernels: whole words by POPCNT, then single bytes */
static uint64_t
bit_hamming(size_t n, const uint8_t *a, const uint8_t *b)
{
	uint64_t	sum = 0;
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
		sum += (uint64_t) _mm_popcnt_u64(load_word(a + i) ^ load_word(b + i));
	for (; i < n; i++)
		sum += (uint64_t) _mm_popcnt_u32((uint32_t) (a[i] ^ b[i]));
	return sum;
}

static uint64_t
bit_and(size_t n, const uint8_t *a, const uint8_t *b)
{
	uint64_t	sum = 0;
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
		sum += (uint64_t) _mm_popcnt_u64(load_word(a + i) & load_word(b + i));
	for (; i < n; i++)
		sum += (uint64_t) _mm_popcnt_u32((uint32_t) (a[i] & b[i]));
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

#if defined(__clang__)
#pragma clang attribute pop
#endif

const MemaiKernels memai_kernels_avx2 = MEMAI_KERNEL_TABLE("avx2");

#else

/* ISO C wants at least one declaration */
extern int	memai_kernel_avx2_unused;

#endif							/* __x86_64__ */
