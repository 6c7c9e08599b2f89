/*
 * half.h
 *	  Single binary16 numbers in portable C.  For arrays use the kernels.
 */
#ifndef MEMAI_VECTOR_HALF_H
#define MEMAI_VECTOR_HALF_H

#include <string.h>

#include "vector/kernel.h"

#define MEMAI_HALF_INFINITY 0x7c00
#define MEMAI_HALF_SIGN		0x8000

static inline int
memai_half_is_zero(MemaiHalf h)
{
	return (h & 0x7fff) == 0;
}

static inline int
memai_half_is_infinite(MemaiHalf h)
{
	return (h & 0x7fff) == MEMAI_HALF_INFINITY;
}

static inline int
memai_half_is_nan(MemaiHalf h)
{
	return (h & 0x7fff) > MEMAI_HALF_INFINITY;
}

/* exact: every binary16 number is a binary32 number */
static inline float
memai_half_to_float(MemaiHalf h)
{
	uint32_t	sign = (uint32_t) (h & MEMAI_HALF_SIGN) << 16;
	uint32_t	magnitude = h & 0x7fff;
	uint32_t	bits;
	float		f;

	if (magnitude >= MEMAI_HALF_INFINITY)
		bits = UINT32_C(0x7f800000) | (magnitude & 0x3ff) << 13;
	else if (magnitude >= 0x400)
		bits = (magnitude << 13) + ((uint32_t) (127 - 15) << 23);
	else
	{
		/* subnormal: the fraction counts units of 2^-24 */
		f = (float) magnitude * 0x1p-24f;
		memcpy(&bits, &f, sizeof(bits));
	}
	bits |= sign;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* nearest binary16 number, ties to even; too large becomes infinite */
static inline MemaiHalf
memai_half_from_float(float f)
{
	uint32_t	bits;
	uint32_t	sign;
	uint32_t	magnitude;

	memcpy(&bits, &f, sizeof(bits));
	sign = (bits >> 16) & MEMAI_HALF_SIGN;
	magnitude = bits & UINT32_C(0x7fffffff);

	if (magnitude > UINT32_C(0x7f800000))
		return (MemaiHalf) (sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));	/* NaN, quiet */
	if (magnitude >= UINT32_C(0x477ff000))	/* 65520: halfway beyond the
											 * largest */
		return (MemaiHalf) (sign | MEMAI_HALF_INFINITY);
	if (magnitude >= UINT32_C(0x38800000))	/* 2^-14: normal */
	{
		/* a carry out of the fraction correctly enters the exponent */
		magnitude += UINT32_C(0xfff) + ((magnitude >> 13) & 1);
		return (MemaiHalf) (sign | ((magnitude - ((uint32_t) (127 - 15) << 23)) >> 13));
	}

	/*
	 * Subnormal: adding 0.5, whose last binary32 place is 2^-24, makes the
	 * addition round to the units of a binary16 fraction.
	 */
	memcpy(&f, &magnitude, sizeof(f));
	f += 0.5f;
	memcpy(&magnitude, &f, sizeof(magnitude));
	return (MemaiHalf) (sign | (magnitude - UINT32_C(0x3f000000)));
}

#endif							/* MEMAI_VECTOR_HALF_H */
