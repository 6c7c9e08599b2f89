/*
 * scan_kernel.c
 *	  Scan kernels in portable C, and which set is in use.
 */
#include "index/scan_kernel.h"
#include "vector/kernel.h"

static void
hadamard(size_t n, float *x)
{
	for (size_t half = 1; half < n; half *= 2)
		for (size_t i = 0; i < n; i += 2 * half)
			for (size_t j = i; j < i + half; j++)
			{
				float		low = x[j];
				float		high = x[j + half];

				x[j] = low + high;
				x[j + half] = low - high;
			}
}

static void
block_bounds(const MemaiBoundTerms *terms, const uint32_t *sums,
			 const float *add, const float *factor, const float *error, float *bound)
{
	for (int j = 0; j < MEMAI_BLOCK_WIDTH; j++)
		bound[j] = terms->base + add[j] -
			factor[j] * (terms->sum_weight * (float) sums[j] + terms->sum_offset) -
			error[j] * terms->error_weight;
}

void
memai_block_sums_any(size_t width, size_t code_bytes, const uint8_t *codes,
					 const uint8_t *lut, uint32_t *sums)
{
	const uint8_t *high = lut + MEMAI_BLOCK_WIDTH * code_bytes;

	for (size_t j = 0; j < width; j++)
		sums[j] = 0;
	for (size_t i = 0; i < code_bytes; i++)
		for (size_t j = 0; j < width; j++)
		{
			uint8_t		code = codes[i * width + j];

			sums[j] += (uint32_t) lut[i * MEMAI_BLOCK_WIDTH + (code & 15)] +
				high[i * MEMAI_BLOCK_WIDTH + (code >> 4)];
		}
}

static void
block_sums(size_t code_bytes, const uint8_t *codes, const uint8_t *lut,
		   uint32_t *sums, const char *next)
{
	(void) next;
	memai_block_sums_any(MEMAI_BLOCK_WIDTH, code_bytes, codes, lut, sums);
}

const MemaiScanKernels memai_scan_kernels_scalar = {
	.hadamard = hadamard,
	.block_sums = block_sums,
	.block_bounds = block_bounds,
};

const MemaiScanKernels *
memai_scan_kernels(void)
{
#if defined(__x86_64__)
	if (memai_kernels == &memai_kernels_avx512)
		return &memai_scan_kernels_avx512;
	if (memai_kernels == &memai_kernels_avx2)
		return &memai_scan_kernels_avx2;
#endif
	return &memai_scan_kernels_scalar;
}
