/*
 * kernel.h
 *	  Distance kernels: arithmetic on arrays of numbers, nothing else.
 *
 * Plain C, without the server: no palloc, no ereport, no postgres.h.  The
 * module index includes this header too; it is the one header of vector/
 * beside vector.h that other modules may include.
 *
 * Arrays need no alignment beyond their element's.  A length of 0 gives 0.
 */
#ifndef MEMAI_VECTOR_KERNEL_H
#define MEMAI_VECTOR_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* the three sums that cosine needs, of one pass over both arrays */
typedef struct MemaiCosineSums
{
	float		dot;
	float		norm_a;			/* squared */
	float		norm_b;			/* squared */
} MemaiCosineSums;

/* one set of kernels: everything that an instruction set accelerates */
typedef struct MemaiKernels
{
	const char *name;
	float		(*f32_dot) (size_t n, const float *a, const float *b);
	float		(*f32_l2sq) (size_t n, const float *a, const float *b);
	float		(*f32_l1) (size_t n, const float *a, const float *b);
	void		(*f32_cosine) (size_t n, const float *a, const float *b, MemaiCosineSums *sums);
	/* sum of squares in double */
	double		(*f32_norm2) (size_t n, const float *a);
	/* 1 when no element is NaN or infinite, else 0 */
	int			(*f32_finite) (size_t n, const float *a);
} MemaiKernels;

extern const MemaiKernels memai_kernels_scalar;

/* the set in use; never NULL */
extern const MemaiKernels *memai_kernels;

#endif							/* MEMAI_VECTOR_KERNEL_H */
