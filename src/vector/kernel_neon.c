/*
 * kernel_neon.c
 *	  The kernels for the vector instructions that every 64-bit Arm processor
 *	  has.
 */
#if defined(__aarch64__)

#include <arm_neon.h>
#include <string.h>

#include "vector/half.h"
#include "vector/kernel.h"
#include "vector/kernel_table.h"

#define VECTOR float32x4_t
#define WIDTH ((size_t) 4)
#define ZERO() vdupq_n_f32(0.0f)
#define ADD(a, b) vaddq_f32(a, b)
#define SUB(a, b) vsubq_f32(a, b)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define ABS(a) vabsq_f32(a)
#define SUM(a) vaddvq_f32(a)

static inline float32x4_t
load_partial_f32(const float *p, size_t n)
{
	float		buffer[4] = {0};

	memcpy(buffer, p, n * sizeof(*p));
	return vld1q_f32(buffer);
}

static inline float32x4_t
load_f16(const MemaiHalf *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline float32x4_t
load_partial_f16(const MemaiHalf *p, size_t n)
{
	MemaiHalf	buffer[4] = {0};

	memcpy(buffer, p, n * sizeof(*p));
	return load_f16(buffer);
}

#define KERNEL(name) f32_ ## name
#define ELEMENT float
#define LOAD(p) vld1q_f32(p)
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
	float64x2_t sum0 = vdupq_n_f64(0);
	float64x2_t sum1 = vdupq_n_f64(0);
	double		sum;
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
	{
		float32x4_t v = vld1q_f32(a + i);
		float64x2_t low = vcvt_f64_f32(vget_low_f32(v));
		float64x2_t high = vcvt_high_f64_f32(v);

		sum0 = vfmaq_f64(sum0, low, low);
		sum1 = vfmaq_f64(sum1, high, high);
	}
	sum = vaddvq_f64(vaddq_f64(sum0, sum1));
	for (; i < n; i++)
		sum += (double) a[i] * a[i];
	return sum;
}

static void
f16_to_f32(size_t n, const MemaiHalf *from, float *to)
{
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(to + i, load_f16(from + i));
	for (; i < n; i++)
		to[i] = memai_half_to_float(from[i]);
}

static void
f32_to_f16(size_t n, const float *from, MemaiHalf *to)
{
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
		vst1_u16(to + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(from + i))));
	for (; i < n; i++)
		to[i] = memai_half_from_float(from[i]);
}

static int32_t
i8_dot(size_t n, const int8_t *a, const int8_t *b)
{
	int32x4_t	sums = vdupq_n_s32(0);
	int32_t		sum;
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
	{
		int8x16_t	va = vld1q_s8(a + i);
		int8x16_t	vb = vld1q_s8(b + i);

		sums = vpadalq_s16(sums, vmull_s8(vget_low_s8(va), vget_low_s8(vb)));
		sums = vpadalq_s16(sums, vmull_high_s8(va, vb));
	}
	sum = vaddvq_s32(sums);
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static int32_t
i8_l2sq(size_t n, const int8_t *a, const int8_t *b)
{
	uint32x4_t	sums = vdupq_n_u32(0);
	int32_t		sum;
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
	{
		/* the absolute difference of two signed bytes fits an unsigned one */
		uint8x16_t	difference = vreinterpretq_u8_s8(vabdq_s8(vld1q_s8(a + i), vld1q_s8(b + i)));

		sums = vpadalq_u16(sums, vmull_u8(vget_low_u8(difference), vget_low_u8(difference)));
		sums = vpadalq_u16(sums, vmull_high_u8(difference, difference));
	}
	sum = (int32_t) vaddvq_u32(sums);
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
	int32x4_t	sums = vdupq_n_s32(0);
	int32_t		sum;
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		int16x8_t	va = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(a + i)));
		int16x8_t	vb = vmovl_s8(vld1_s8(b + i));

		sums = vmlal_s16(sums, vget_low_s16(va), vget_low_s16(vb));
		sums = vmlal_high_s16(sums, va, vb);
	}
	sum = vaddvq_s32(sums);
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static uint64_t
bit_hamming(size_t n, const uint8_t *a, const uint8_t *b)
{
	uint64_t	sum = 0;
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
		sum += vaddlvq_u8(vcntq_u8(veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i))));
	for (; i < n; i++)
		sum += (uint64_t) __builtin_popcount((unsigned) (a[i] ^ b[i]));
	return sum;
}

static uint64_t
bit_and(size_t n, const uint8_t *a, const uint8_t *b)
{
	uint64_t	sum = 0;
	size_t		i = 0;

	for (; i + 16 <= n; i += 16)
		sum += vaddlvq_u8(vcntq_u8(vandq_u8(vld1q_u8(a + i), vld1q_u8(b + i))));
	for (; i < n; i++)
		sum += (uint64_t) __builtin_popcount((unsigned) (a[i] & b[i]));
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

const MemaiKernels memai_kernels_neon = MEMAI_KERNEL_TABLE("neon");

#else

/* ISO C wants at least one declaration */
extern int	memai_kernel_neon_unused;

#endif							/* __aarch64__ */
