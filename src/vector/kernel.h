/*
 * kernel.h
 *	  Distance kernels: arithmetic on arrays of numbers, nothing else.
 *
 * Plain C, without the server: no palloc, no ereport, no postgres.h.  This is
 * the one header of vector/ beside vector.h that other modules may include;
 * index/ does.
 *
 * There is one set of kernels per instruction set.  The best set that the
 * processor offers is chosen when the library is loaded.  Integer and bit
 * kernels give the same result in every set.  Float kernels differ by
 * rounding: by less than 1e-6 of the sum of the absolute terms.
 *
 * Arrays need no alignment beyond their element's.  A length of 0 gives 0.
 * The one-to-many forms read count rows that lie stride bytes apart and write
 * one result per row.
 */
#ifndef MEMAI_VECTOR_KERNEL_H
#define MEMAI_VECTOR_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* longest array of the integer kernels: beyond it a sum could leave 32 bits */
#define MEMAI_KERNEL_MAX_INT_LENGTH 32768

/* an IEEE 754 binary16 number, by its bits */
typedef uint16_t MemaiHalf;

/* the three sums that cosine needs, of one pass over both arrays */
typedef struct MemaiCosineSums
{
	float		dot;
	float		norm_a;			/* squared */
	float		norm_b;			/* squared */
} MemaiCosineSums;

/* the three counts that Jaccard needs */
typedef struct MemaiBitCounts
{
	uint64_t	both;			/* bits set in a and in b */
	uint64_t	in_a;
	uint64_t	in_b;
} MemaiBitCounts;

/* all kernels of one instruction set; n counts elements, of bit kernels bytes */
typedef struct MemaiKernels
{
	const char *name;

	/* fp32 */
	float		(*f32_dot) (size_t n, const float *a, const float *b);
	float		(*f32_l2sq) (size_t n, const float *a, const float *b);
	float		(*f32_l1) (size_t n, const float *a, const float *b);
	void		(*f32_cosine) (size_t n, const float *a, const float *b, MemaiCosineSums *sums);
	double		(*f32_norm2) (size_t n, const float *a);	/* sum of squares */
	int			(*f32_finite) (size_t n, const float *a);	/* no NaN, no infinity */
	void		(*f32_dot_many) (size_t n, const float *query, const float *rows,
								 size_t stride, size_t count, float *out);
	void		(*f32_l2sq_many) (size_t n, const float *query, const float *rows,
								  size_t stride, size_t count, float *out);

	/* fp16; sums are kept in fp32 */
	float		(*f16_dot) (size_t n, const MemaiHalf *a, const MemaiHalf *b);
	float		(*f16_l2sq) (size_t n, const MemaiHalf *a, const MemaiHalf *b);
	float		(*f16_l1) (size_t n, const MemaiHalf *a, const MemaiHalf *b);
	void		(*f16_cosine) (size_t n, const MemaiHalf *a, const MemaiHalf *b,
							   MemaiCosineSums *sums);
	int			(*f16_finite) (size_t n, const MemaiHalf *a);
	void		(*f16_dot_many) (size_t n, const MemaiHalf *query, const MemaiHalf *rows,
								 size_t stride, size_t count, float *out);
	void		(*f16_l2sq_many) (size_t n, const MemaiHalf *query, const MemaiHalf *rows,
								  size_t stride, size_t count, float *out);
	void		(*f16_to_f32) (size_t n, const MemaiHalf *from, float *to);
	/* to nearest, ties to even; too large becomes infinite */
	void		(*f32_to_f16) (size_t n, const float *from, MemaiHalf *to);

	/* int8; n at most MEMAI_KERNEL_MAX_INT_LENGTH */
	int32_t		(*i8_dot) (size_t n, const int8_t *a, const int8_t *b);
	int32_t		(*i8_l2sq) (size_t n, const int8_t *a, const int8_t *b);
	/* unsigned codes against a signed query */
	int32_t		(*u8i8_dot) (size_t n, const uint8_t *a, const int8_t *b);
	void		(*i8_dot_many) (size_t n, const int8_t *query, const int8_t *rows,
								size_t stride, size_t count, int32_t *out);
	void		(*i8_l2sq_many) (size_t n, const int8_t *query, const int8_t *rows,
								 size_t stride, size_t count, int32_t *out);
	void		(*u8i8_dot_many) (size_t n, const int8_t *query, const uint8_t *rows,
								  size_t stride, size_t count, int32_t *out);

	/* 1-bit */
	uint64_t	(*bit_hamming) (size_t n, const uint8_t *a, const uint8_t *b);
	uint64_t	(*bit_and) (size_t n, const uint8_t *a, const uint8_t *b);	/* bits set in both */
	void		(*bit_counts) (size_t n, const uint8_t *a, const uint8_t *b,
							   MemaiBitCounts *counts);
	void		(*bit_hamming_many) (size_t n, const uint8_t *query, const uint8_t *rows,
									 size_t stride, size_t count, uint32_t *out);
	void		(*bit_and_many) (size_t n, const uint8_t *query, const uint8_t *rows,
								 size_t stride, size_t count, uint32_t *out);
} MemaiKernels;

extern const MemaiKernels memai_kernels_scalar;
#if defined(__x86_64__)
extern const MemaiKernels memai_kernels_avx2;
extern const MemaiKernels memai_kernels_avx512;
#elif defined(__aarch64__)
extern const MemaiKernels memai_kernels_neon;
#endif

/* the set in use; never NULL */
extern const MemaiKernels *memai_kernels;

typedef enum MemaiSimd
{
	MEMAI_SIMD_AUTO,			/* the best that the processor offers */
	MEMAI_SIMD_SCALAR,
	MEMAI_SIMD_AVX2,			/* with FMA, F16C and POPCNT */
	MEMAI_SIMD_AVX512,			/* F, BW, DQ, VL, VNNI and VPOPCNTDQ */
	MEMAI_SIMD_NEON
} MemaiSimd;

/* The set of that name, or NULL when this processor or build lacks it. */
extern const MemaiKernels *memai_kernels_find(MemaiSimd simd);

#endif							/* MEMAI_VECTOR_KERNEL_H */
