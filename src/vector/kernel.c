/*
 * kernel.c
 *	  Which set of kernels this process uses.  Pure, like the kernels.
 */
#include "vector/kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

const MemaiKernels *memai_kernels = &memai_kernels_scalar;

#if defined(__x86_64__)

/* __builtin_cpu_supports also asks whether the system saves the registers */
static int
have_avx2(void)
{
	unsigned int eax;
	unsigned int ebx;
	unsigned int ecx;
	unsigned int edx;

	/* not every compiler knows the name f16c */
	return __builtin_cpu_supports("avx2") &&
		__builtin_cpu_supports("fma") &&
		__builtin_cpu_supports("popcnt") &&
		__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

static int
have_avx512(void)
{
	return have_avx2() &&
		__builtin_cpu_supports("avx512f") &&
		__builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512dq") &&
		__builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512vnni") &&
		__builtin_cpu_supports("avx512vpopcntdq");
}

#endif

static const MemaiKernels *
best_kernels(void)
{
#if defined(__x86_64__)
	if (have_avx512())
		return &memai_kernels_avx512;
	if (have_avx2())
		return &memai_kernels_avx2;
#elif defined(__aarch64__)
	return &memai_kernels_neon;
#endif
	return &memai_kernels_scalar;
}

const MemaiKernels *
memai_kernels_find(MemaiSimd simd)
{
	switch (simd)
	{
		case MEMAI_SIMD_AUTO:
			return best_kernels();
		case MEMAI_SIMD_SCALAR:
			return &memai_kernels_scalar;
		case MEMAI_SIMD_AVX2:
#if defined(__x86_64__)
			if (have_avx2())
				return &memai_kernels_avx2;
#endif
			return NULL;
		case MEMAI_SIMD_AVX512:
#if defined(__x86_64__)
			if (have_avx512())
				return &memai_kernels_avx512;
#endif
			return NULL;
		case MEMAI_SIMD_NEON:
#if defined(__aarch64__)
			return &memai_kernels_neon;
#endif
			return NULL;
	}
	return NULL;
}
