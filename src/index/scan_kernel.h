/*
 * scan_kernel.h
 *	  The two kernels that only the index needs: the fast Hadamard transform
 *	  and the sums over 1-bit codes.  Plain C, without the server.
 *
 * A block holds the codes of 16 vectors.  Byte i of vector j lies at
 * codes[16 * i + j]; its bit b is the sign of dimension 8 * i + b.  A look-up
 * table has, for each byte i, 16 values for its low four bits and, code_bytes
 * rows later, 16 for its high four bits.  Values are at most 127, so the two
 * of one byte add up within 8 bits.  All sets give the same sums.
 */
#ifndef MEMAI_INDEX_SCAN_KERNEL_H
#define MEMAI_INDEX_SCAN_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define MEMAI_BLOCK_WIDTH 16
#define MEMAI_LUT_MAX 127

/* what turns the sum over a code into a lower bound of the distance */
typedef struct MemaiBoundTerms
{
	float		base;
	float		sum_weight;
	float		sum_offset;
	float		error_weight;
} MemaiBoundTerms;

typedef struct MemaiScanKernels
{
	/* in place, n a power of two, not normalised */
	void		(*hadamard) (size_t n, float *x);
	/*
	 * sums[j] = the table values of vector j; prefetches as many bytes from
	 * next as it reads codes
	 */
	void		(*block_sums) (size_t code_bytes, const uint8_t *codes, const uint8_t *lut,
							   uint32_t *sums, const char *next);
	/*
	 * bound[j] = base + add[j] - factor[j] * (sum_weight * sums[j] +
	 * sum_offset) - error[j] * error_weight
	 */
	void		(*block_bounds) (const MemaiBoundTerms *terms, const uint32_t *sums,
								 const float *add, const float *factor, const float *error,
								 float *bound);
} MemaiScanKernels;

extern const MemaiScanKernels memai_scan_kernels_scalar;
#if defined(__x86_64__)
extern const MemaiScanKernels memai_scan_kernels_avx2;
extern const MemaiScanKernels memai_scan_kernels_avx512;
#endif

/* The set that goes with the vector kernels in use (setting memai.simd). */
extern const MemaiScanKernels *memai_scan_kernels(void);

/* block_sums for blocks of any width, in portable C */
extern void memai_block_sums_any(size_t width, size_t code_bytes, const uint8_t *codes,
								 const uint8_t *lut, uint32_t *sums);

#endif							/* MEMAI_INDEX_SCAN_KERNEL_H */
