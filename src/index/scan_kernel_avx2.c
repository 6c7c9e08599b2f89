/*
 * scan_kernel_avx2.c
 *	  Scan kernels for AVX2; see scan_kernel.h.  One register holds the codes
 *	  of two bytes of 16 vectors; a shuffle looks up 32 table values.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#include "index/scan_kernel.h"

#if defined(__clang__)
#pragma clang attribute push (__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define VECTOR __m256
#define WIDTH ((size_t) 8)
#define LOAD(p) _mm256_loadu_ps(p)
#define LOAD_INT(p) _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *) (p)))
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SET1(f) _mm256_set1_ps(f)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define FLIP(v, mask) _mm256_xor_ps(v, mask)
#define SWAP(v, distance) _mm256_permutevar8x32_ps(v, \
	_mm256_xor_si256(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int) (distance))))

#include "index/scan_kernel.inc"

/* 512 code bytes at a time: 256 rounds of at most 254 keep within 16 bits */
#define CHUNK ((size_t) 512)

static void
block_sums(size_t code_bytes, const uint8_t *codes, const uint8_t *lut,
		   uint32_t *sums, const char *next)
{
	const uint8_t *high = lut + MEMAI_BLOCK_WIDTH * code_bytes;
	const __m256i nibble = _mm256_set1_epi8(15);
	const __m256i low_byte = _mm256_set1_epi16(255);
	size_t		i = 0;

	for (int j = 0; j < MEMAI_BLOCK_WIDTH; j++)
		sums[j] = 0;
	while (i < code_bytes)
	{
		size_t		end = i + CHUNK < code_bytes ? i + CHUNK : code_bytes;
		__m256i		even = _mm256_setzero_si256();
		__m256i		odd = _mm256_setzero_si256();
		uint16_t	part[2][16];

		for (; i < end; i += 2)
		{
			size_t		at = MEMAI_BLOCK_WIDTH * i;
			__m256i		code = _mm256_loadu_si256((const __m256i *) (codes + at));
			__m256i		low_value = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *) (lut + at)),
														_mm256_and_si256(code, nibble));
			__m256i		high_value = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *) (high + at)),
														 _mm256_and_si256(_mm256_srli_epi16(code, 4), nibble));
			__m256i		value = _mm256_add_epi8(low_value, high_value);

			if ((at & 63) == 0)
				_mm_prefetch(next + at, _MM_HINT_T0);
			even = _mm256_add_epi16(even, _mm256_and_si256(value, low_byte));
			odd = _mm256_add_epi16(odd, _mm256_srli_epi16(value, 8));
		}
		_mm256_storeu_si256((__m256i *) part[0], even);
		_mm256_storeu_si256((__m256i *) part[1], odd);
		for (int j = 0; j < MEMAI_BLOCK_WIDTH; j++)
			sums[j] += (uint32_t) part[j & 1][j / 2] + part[j & 1][8 + j / 2];
	}
}

const MemaiScanKernels memai_scan_kernels_avx2 = {
	.hadamard = hadamard,
	.block_sums = block_sums,
	.block_bounds = block_bounds,
};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
typedef int memai_scan_kernel_avx2_is_empty;
#endif
