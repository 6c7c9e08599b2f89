/*
 * scan_kernel_avx512.c
 *	  Scan kernels for AVX-512 BW; see scan_kernel.h.  One register holds the
 *	  codes of four bytes of 16 vectors; a shuffle looks up 64 table values.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#include "index/scan_kernel.h"

#if defined(__clang__)
#pragma clang attribute push (__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#define VECTOR __m512
#define WIDTH ((size_t) 16)
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_INT(p) _mm512_cvtepi32_ps(_mm512_loadu_si512(p))
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define SET1(f) _mm512_set1_ps(f)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define FLIP(v, mask) _mm512_xor_ps(v, mask)
#define SWAP(v, distance) _mm512_permutexvar_ps(_mm512_xor_si512(_mm512_setr_epi32( \
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32((int) (distance))), v)

#include "index/scan_kernel.inc"

static void
block_sums(size_t code_bytes, const uint8_t *codes, const uint8_t *lut,
		   uint32_t *sums, const char *next)
{
	const uint8_t *high = lut + MEMAI_BLOCK_WIDTH * code_bytes;
	const __m512i nibble = _mm512_set1_epi8(15);
	const __m512i low_byte = _mm512_set1_epi16(255);
	__m512i		even = _mm512_setzero_si512();
	__m512i		odd = _mm512_setzero_si512();
	uint16_t	part[2][32];

	/* 1,024 code bytes at most: 256 rounds of at most 254 keep within 16 bits */
	for (size_t at = 0; at < MEMAI_BLOCK_WIDTH * code_bytes; at += 64)
	{
		__m512i		code = _mm512_loadu_si512(codes + at);
		__m512i		low_value = _mm512_shuffle_epi8(_mm512_loadu_si512(lut + at),
													_mm512_and_si512(code, nibble));
		__m512i		high_value = _mm512_shuffle_epi8(_mm512_loadu_si512(high + at),
													 _mm512_and_si512(_mm512_srli_epi16(code, 4), nibble));
		__m512i		value = _mm512_add_epi8(low_value, high_value);

		_mm_prefetch(next + at, _MM_HINT_T0);
		even = _mm512_add_epi16(even, _mm512_and_si512(value, low_byte));
		odd = _mm512_add_epi16(odd, _mm512_srli_epi16(value, 8));
	}
	_mm512_storeu_si512(part[0], even);
	_mm512_storeu_si512(part[1], odd);
	for (int j = 0; j < MEMAI_BLOCK_WIDTH; j++)
	{
		const uint16_t *p = part[j & 1] + j / 2;

		sums[j] = (uint32_t) p[0] + p[8] + p[16] + p[24];
	}
}

const MemaiScanKernels memai_scan_kernels_avx512 = {
	.hadamard = hadamard,
	.block_sums = block_sums,
	.block_bounds = block_bounds,
};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
typedef int memai_scan_kernel_avx512_is_empty;
#endif
