/*
 * kernel_avx512.c
 *	  The kernels for AVX-512 F, BW, DQ and VL with VNNI and VPOPCNTDQ (Intel
 *	  since Ice Lake, AMD since Zen 4).  Only this file is compiled for these
 *	  instructions; memai_kernels_find sees to it that nothing here runs
 *	  without them.  Masked loads replace the loops over what is left of an
 *	  array.
 */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "vector/kernel.h"
#include "vector/kernel_table.h"

#if defined(__clang__)
#pragma clang attribute push (__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")
#endif

#define VECTOR __m512
#define WIDTH ((size_t) 16)
#define ZERO() _mm512_setzero_ps()
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ABS(a) _mm512_abs_ps(a)
#define SUM(a) _mm512_reduce_add_ps(a)

/* the n lowest bits */
static inline uint64_t
low_bits(size_t n)
{
	return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

static inline __m512
load_f16(const MemaiHalf *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) p));
}

static inline __m512
load_partial_f16(const MemaiHalf *p, size_t n)
{
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16) low_bits(n), p));
}

#define KERNEL(name) f32_ ## name
#define ELEMENT float
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_PARTIAL(p, n) _mm512_maskz_loadu_ps((__mmask16) low_bits(n), p)
#include "vector/kernel_float.inc"

#define KERNEL(name) f16_ ## name
#define ELEMENT MemaiHalf
#define LOAD(p) load_f16(p)
#define LOAD_PARTIAL(p, n) load_partial_f16(p, n)
#include "vector/kernel_float.inc"

static double
f32_norm2(size_t n, const float *a)
{
	__m512d		sum0 = _mm512_setzero_pd();
	__m512d		sum1 = _mm512_setzero_pd();

	for (size_t i = 0; i < n; i += 16)
	{
		__m512		v = _mm512_maskz_loadu_ps((__mmask16) low_bits(n - i), a + i);
		__m512d		low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
		__m512d		high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));

		sum0 = _mm512_fmadd_pd(low, low, sum0);
		sum1 = _mm512_fmadd_pd(high, high, sum1);
	}
	return _mm512_reduce_add_pd(_mm512_add_pd(sum0, sum1));
}

static void
f16_to_f32(size_t n, const MemaiHalf *from, float *to)
{
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
		_mm512_storeu_ps(to + i, load_f16(from + i));
	if (i < n)
		_mm512_mask_storeu_ps(to + i, (__mmask16) low_bits(n - i),
							  load_partial_f16(from + i, n - i));
}

static void
f32_to_f16(size_t n, const float *from, MemaiHalf *to)
{
	for (size_t i = 0; i < n; i += 16)
	{
		__mmask16	mask = (__mmask16) low_bits(n - i);
		__m512		v = _mm512_maskz_loadu_ps(mask, from + i);

		_mm256_mask_storeu_epi16(to + i, mask, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
	}
}

/*
 * VPDPBUSD multiplies unsigned by signed bytes.  For signed by signed, a is
 * shifted into the unsigned range and 128 times the sum of b taken off again.
 */
static int32_t
i8_dot(size_t n, const int8_t *a, const int8_t *b)
{
	const __m512i shift = _mm512_set1_epi8((char) 0x80);
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		dot = _mm512_setzero_si512();
	__m512i		sum_b = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
	{
		__mmask64	mask = low_bits(n - i);
		__m512i		va = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, a + i), shift);
		__m512i		vb = _mm512_maskz_loadu_epi8(mask, b + i);

		dot = _mm512_dpbusd_epi32(dot, va, vb);
		sum_b = _mm512_dpbusd_epi32(sum_b, ones, vb);
	}
	return _mm512_reduce_add_epi32(_mm512_sub_epi32(dot, _mm512_slli_epi32(sum_b, 7)));
}

static int32_t
i8_l2sq(size_t n, const int8_t *a, const int8_t *b)
{
	__m512i		sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 32)
	{
		__mmask32	mask = (__mmask32) low_bits(n - i);
		__m512i		va = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, a + i));
		__m512i		vb = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, b + i));
		__m512i		difference = _mm512_sub_epi16(va, vb);

		sum = _mm512_dpwssd_epi32(sum, difference, difference);
	}
	return _mm512_reduce_add_epi32(sum);
}

static int32_t
u8i8_dot(size_t n, const uint8_t *a, const int8_t *b)
{
	__m512i		dot = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
	{
		__mmask64	mask = low_bits(n - i);

		dot = _mm512_dpbusd_epi32(dot, _mm512_maskz_loadu_epi8(mask, a + i),
								  _mm512_maskz_loadu_epi8(mask, b + i));
	}
	return _mm512_reduce_add_epi32(dot);
}

static inline __m512i
load_bytes(const uint8_t *p, size_t left)
{
	return _mm512_maskz_loadu_epi8(low_bits(left), p);
}

static uint64_t
bit_hamming(size_t n, const uint8_t *a, const uint8_t *b)
{
	__m512i		sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
	{
		__m512i		differ = _mm512_xor_si512(load_bytes(a + i, n - i), load_bytes(b + i, n - i));

		sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(differ));
	}
	return (uint64_t) _mm512_reduce_add_epi64(sum);
}

static uint64_t
bit_and(size_t n, const uint8_t *a, const uint8_t *b)
{
	__m512i		sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
	{
		__m512i		both = _mm512_and_si512(load_bytes(a + i, n - i), load_bytes(b + i, n - i));

		sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(both));
	}
	return (uint64_t) _mm512_reduce_add_epi64(sum);
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

const MemaiKernels memai_kernels_avx512 = MEMAI_KERNEL_TABLE("avx512");

#else

/* ISO C wants at least one declaration */
extern int	memai_kernel_avx512_unused;

#endif							/* __x86_64__ */
