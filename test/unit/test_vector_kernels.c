/*
 * test_vector_kernels.c
 *	  Every set of kernels that this processor offers against a definition in
 *	  double, for every length from 1 to 130 and every misalignment; the one-to-
 *	  many forms against the one-to-one forms; conversions for all half floats.
 *	  Covers TY11.
 */
/* sources: src/vector/kernel.c src/vector/kernel_scalar.c src/vector/kernel_avx2.c src/vector/kernel_avx512.c src/vector/kernel_neon.c */
#include "postgres.h"

#include <math.h>

#include "vector/half.h"
#include "vector/kernel.h"
#include "tap.h"

#define MAX_LENGTH 130
#define MAX_SHIFT 8				/* elements by which an array is misaligned */
#define ROWS 7					/* more than the four that are taken at once */
#define TOLERANCE 1e-6

/* ends where the allocation ends, so that reading beyond it is found */
typedef struct Arrays
{
	float	   *f32[2];
	MemaiHalf  *f16[2];
	int8	   *i8[2];
	uint8	   *u8[2];
} Arrays;

static uint64 random_state = UINT64CONST(0x9e3779b97f4a7c15);

static uint32
random_bits(void)
{
	random_state = random_state * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return (uint32) (random_state >> 32);
}

static float
random_float(void)
{
	return (float) (int32) random_bits() / 2147483648.0f;
}

/* n elements of the given size that lie shift elements from an aligned address */
static void *
make_array(size_t n, size_t shift, size_t size)
{
	char	   *memory = malloc((n + shift) * size);

	return memory + shift * size;
}

static void
free_array(void *array, size_t shift, size_t size)
{
	free((char *) array - shift * size);
}

static void
fill(Arrays *arrays, size_t n, size_t shift)
{
	for (int which = 0; which < 2; which++)
	{
		arrays->f32[which] = make_array(n, shift, sizeof(float));
		arrays->f16[which] = make_array(n, shift, sizeof(MemaiHalf));
		arrays->i8[which] = make_array(n, shift, 1);
		arrays->u8[which] = make_array(n, shift, 1);
		for (size_t i = 0; i < n; i++)
		{
			arrays->f32[which][i] = random_float();
			arrays->f16[which][i] = memai_half_from_float(random_float());
			arrays->i8[which][i] = (int8) random_bits();
			arrays->u8[which][i] = (uint8) random_bits();
		}
	}
}

static void
release(Arrays *arrays, size_t shift)
{
	for (int which = 0; which < 2; which++)
	{
		free_array(arrays->f32[which], shift, sizeof(float));
		free_array(arrays->f16[which], shift, sizeof(MemaiHalf));
		free_array(arrays->i8[which], shift, 1);
		free_array(arrays->u8[which], shift, 1);
	}
}

/* relative to the sum of the absolute terms */
static bool
near(double value, double expected, double magnitude)
{
	return fabs(value - expected) <= TOLERANCE * magnitude + 1e-30;
}

static bool
check_floats(const MemaiKernels *kernels, size_t n, const float *a, const float *b)
{
	double		dot = 0, dot_abs = 0, l2sq = 0, l1 = 0, norm_a = 0, norm_b = 0;
	MemaiCosineSums sums;

	for (size_t i = 0; i < n; i++)
	{
		double		x = a[i], y = b[i];

		dot += x * y;
		dot_abs += fabs(x * y);
		l2sq += (x - y) * (x - y);
		l1 += fabs(x - y);
		norm_a += x * x;
		norm_b += y * y;
	}
	kernels->f32_cosine(n, a, b, &sums);
	return near(kernels->f32_dot(n, a, b), dot, dot_abs) &&
		near(kernels->f32_l2sq(n, a, b), l2sq, l2sq) &&
		near(kernels->f32_l1(n, a, b), l1, l1) &&
		near(sums.dot, dot, dot_abs) &&
		near(sums.norm_a, norm_a, norm_a) &&
		near(sums.norm_b, norm_b, norm_b) &&
		fabs(kernels->f32_norm2(n, a) - norm_a) <= 1e-12 * norm_a &&
		kernels->f32_finite(n, a) == 1;
}

static bool
check_halfs(const MemaiKernels *kernels, size_t n, const MemaiHalf *a, const MemaiHalf *b)
{
	double		dot = 0, dot_abs = 0, l2sq = 0, l1 = 0, norm_a = 0, norm_b = 0;
	MemaiCosineSums sums;

	for (size_t i = 0; i < n; i++)
	{
		double		x = memai_half_to_float(a[i]), y = memai_half_to_float(b[i]);

		dot += x * y;
		dot_abs += fabs(x * y);
		l2sq += (x - y) * (x - y);
		l1 += fabs(x - y);
		norm_a += x * x;
		norm_b += y * y;
	}
	kernels->f16_cosine(n, a, b, &sums);
	return near(kernels->f16_dot(n, a, b), dot, dot_abs) &&
		near(kernels->f16_l2sq(n, a, b), l2sq, l2sq) &&
		near(kernels->f16_l1(n, a, b), l1, l1) &&
		near(sums.dot, dot, dot_abs) &&
		near(sums.norm_a, norm_a, norm_a) &&
		near(sums.norm_b, norm_b, norm_b) &&
		kernels->f16_finite(n, a) == 1;
}

static bool
check_integers(const MemaiKernels *kernels, size_t n, const Arrays *arrays)
{
	const int8 *a = arrays->i8[0];
	const int8 *b = arrays->i8[1];
	const uint8 *u = arrays->u8[0];
	const uint8 *v = arrays->u8[1];
	int32		dot = 0, l2sq = 0, udot = 0;
	uint64		differ = 0, both = 0, in_u = 0, in_v = 0;
	MemaiBitCounts counts;

	for (size_t i = 0; i < n; i++)
	{
		dot += (int32) a[i] * b[i];
		l2sq += ((int32) a[i] - b[i]) * ((int32) a[i] - b[i]);
		udot += (int32) u[i] * b[i];
		for (int bit = 0; bit < 8; bit++)
		{
			differ += ((u[i] ^ v[i]) >> bit) & 1;
			both += ((u[i] & v[i]) >> bit) & 1;
			in_u += (u[i] >> bit) & 1;
			in_v += (v[i] >> bit) & 1;
		}
	}
	kernels->bit_counts(n, u, v, &counts);
	return kernels->i8_dot(n, a, b) == dot &&
		kernels->i8_l2sq(n, a, b) == l2sq &&
		kernels->u8i8_dot(n, u, b) == udot &&
		kernels->bit_hamming(n, u, v) == differ &&
		kernels->bit_and(n, u, v) == both &&
		counts.both == both && counts.in_a == in_u && counts.in_b == in_v;
}

static void
test_one_to_one(const MemaiKernels *kernels)
{
	int			wrong_floats = 0, wrong_halfs = 0, wrong_integers = 0;

	for (size_t n = 0; n <= MAX_LENGTH; n++)
	{
		for (size_t shift = 0; shift < MAX_SHIFT; shift++)
		{
			Arrays		arrays;

			fill(&arrays, n, shift);
			wrong_floats += !check_floats(kernels, n, arrays.f32[0], arrays.f32[1]);
			wrong_halfs += !check_halfs(kernels, n, arrays.f16[0], arrays.f16[1]);
			wrong_integers += !check_integers(kernels, n, &arrays);
			release(&arrays, shift);
		}
	}
	ok(wrong_floats == 0, "%s: fp32, lengths 0 to %d, unaligned", kernels->name, MAX_LENGTH);
	ok(wrong_halfs == 0, "%s: fp16, lengths 0 to %d, unaligned", kernels->name, MAX_LENGTH);
	ok(wrong_integers == 0, "%s: int8 and bits, lengths 0 to %d, unaligned", kernels->name, MAX_LENGTH);
}

static void
test_long(const MemaiKernels *kernels)
{
	static const size_t lengths[] = {384, 768, 1024, 1536, 2048, 2049, 3072, 16000, MEMAI_KERNEL_MAX_INT_LENGTH};
	int			wrong_floats = 0, wrong_halfs = 0, wrong = 0;

	for (size_t i = 0; i < lengthof(lengths); i++)
	{
		Arrays		arrays;

		fill(&arrays, lengths[i], 1);
		wrong_floats += !check_floats(kernels, lengths[i], arrays.f32[0], arrays.f32[1]);
		wrong_halfs += !check_halfs(kernels, lengths[i], arrays.f16[0], arrays.f16[1]);
		wrong += !check_integers(kernels, lengths[i], &arrays);
		/* the largest sums that the integer kernels have to hold */
		memset(arrays.i8[0], 0x80, lengths[i]);
		memset(arrays.i8[1], 0x7f, lengths[i]);
		memset(arrays.u8[0], 0xff, lengths[i]);
		wrong += !check_integers(kernels, lengths[i], &arrays);
		memset(arrays.i8[1], 0x80, lengths[i]);
		wrong += !check_integers(kernels, lengths[i], &arrays);
		release(&arrays, 1);
	}
	ok(wrong_floats == 0, "%s: fp32, long arrays", kernels->name);
	ok(wrong_halfs == 0, "%s: fp16, long arrays", kernels->name);
	ok(wrong == 0, "%s: int8 and bits, long arrays and extreme values", kernels->name);
}

static bool
check_many(const MemaiKernels *kernels, size_t n)
{
	size_t		stride = n + 3;
	Arrays		arrays;
	float		dot[ROWS], l2sq[ROWS], half_dot[ROWS], half_l2sq[ROWS];
	int32		i8_dot[ROWS], i8_l2sq[ROWS], u8i8_dot[ROWS];
	uint32		hamming[ROWS], both[ROWS];
	bool		good = true;

	fill(&arrays, ROWS * stride, 1);
	kernels->f32_dot_many(n, arrays.f32[0], arrays.f32[1], stride * 4, ROWS, dot);
	kernels->f32_l2sq_many(n, arrays.f32[0], arrays.f32[1], stride * 4, ROWS, l2sq);
	kernels->f16_dot_many(n, arrays.f16[0], arrays.f16[1], stride * 2, ROWS, half_dot);
	kernels->f16_l2sq_many(n, arrays.f16[0], arrays.f16[1], stride * 2, ROWS, half_l2sq);
	kernels->i8_dot_many(n, arrays.i8[0], arrays.i8[1], stride, ROWS, i8_dot);
	kernels->i8_l2sq_many(n, arrays.i8[0], arrays.i8[1], stride, ROWS, i8_l2sq);
	kernels->u8i8_dot_many(n, arrays.i8[0], arrays.u8[1], stride, ROWS, u8i8_dot);
	kernels->bit_hamming_many(n, arrays.u8[0], arrays.u8[1], stride, ROWS, hamming);
	kernels->bit_and_many(n, arrays.u8[0], arrays.u8[1], stride, ROWS, both);
	for (size_t row = 0; row < ROWS; row++)
	{
		const float *f32 = arrays.f32[1] + row * stride;
		const MemaiHalf *f16 = arrays.f16[1] + row * stride;

		good &= near(dot[row], kernels->f32_dot(n, arrays.f32[0], f32), (double) n);
		good &= near(l2sq[row], kernels->f32_l2sq(n, arrays.f32[0], f32), l2sq[row]);
		good &= near(half_dot[row], kernels->f16_dot(n, arrays.f16[0], f16), (double) n);
		good &= near(half_l2sq[row], kernels->f16_l2sq(n, arrays.f16[0], f16), half_l2sq[row]);
		good &= i8_dot[row] == kernels->i8_dot(n, arrays.i8[0], arrays.i8[1] + row * stride);
		good &= i8_l2sq[row] == kernels->i8_l2sq(n, arrays.i8[0], arrays.i8[1] + row * stride);
		good &= u8i8_dot[row] == kernels->u8i8_dot(n, arrays.u8[1] + row * stride, arrays.i8[0]);
		good &= hamming[row] == kernels->bit_hamming(n, arrays.u8[0], arrays.u8[1] + row * stride);
		good &= both[row] == kernels->bit_and(n, arrays.u8[0], arrays.u8[1] + row * stride);
	}
	release(&arrays, 1);
	return good;
}

static void
test_many(const MemaiKernels *kernels)
{
	int			wrong = 0;

	for (size_t n = 1; n <= MAX_LENGTH; n++)
		wrong += !check_many(kernels, n);
	wrong += !check_many(kernels, 1536) + !check_many(kernels, 3071);
	ok(wrong == 0, "%s: one-to-many as one-to-one", kernels->name);
}

static void
test_finite(const MemaiKernels *kernels)
{
	static const uint32 bad[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff};
	static const uint32 good[] = {0x7f7fffff, 0xff7fffff, 0, 0x80000000, 1, 0x807fffff};
	static const MemaiHalf bad_half[] = {0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff};
	float		numbers[MAX_LENGTH];
	MemaiHalf	halfs[MAX_LENGTH];
	int			wrong = 0;

	for (size_t n = 1; n <= MAX_LENGTH; n++)
	{
		for (size_t at = 0; at < n; at++)
		{
			for (size_t i = 0; i < n; i++)
			{
				memcpy(&numbers[i], &good[i % lengthof(good)], sizeof(float));
				halfs[i] = i % 2 ? 0x7bff : 0x8001;
			}
			wrong += !kernels->f32_finite(n, numbers) + !kernels->f16_finite(n, halfs);
			memcpy(&numbers[at], &bad[(n + at) % lengthof(bad)], sizeof(float));
			halfs[at] = bad_half[(n + at) % lengthof(bad_half)];
			wrong += kernels->f32_finite(n, numbers) + kernels->f16_finite(n, halfs);
		}
	}
	ok(wrong == 0, "%s: finds NaN and infinity at every place", kernels->name);
}

/* every half float there and back, and floats around every rounding boundary */
static void
test_conversion(const MemaiKernels *kernels)
{
	int			wrong_up = 0, wrong_down = 0, wrong_middle = 0;

	for (uint32 bits = 0; bits < 0x10000; bits++)
	{
		MemaiHalf	half[17];
		float		number[17];
		MemaiHalf	back[17];

		if (memai_half_is_nan((MemaiHalf) bits))
			continue;
		for (int i = 0; i < 17; i++)
			half[i] = (MemaiHalf) bits;
		kernels->f16_to_f32(17, half, number);
		kernels->f32_to_f16(17, number, back);
		for (int i = 0; i < 17; i++)
		{
			wrong_up += number[i] != memai_half_to_float(half[i]);
			wrong_down += back[i] != half[i];
		}
		for (int i = 0; i < 17; i++)
			number[i] = nextafterf((number[i] + memai_half_to_float((MemaiHalf) (bits ^ 1))) / 2,
								   i < 8 ? -INFINITY : i == 8 ? 0 : INFINITY);
		kernels->f32_to_f16(17, number, back);
		for (int i = 0; i < 17; i++)
			wrong_middle += back[i] != memai_half_from_float(number[i]) && !isnan(number[i]);
	}
	ok(wrong_up == 0, "%s: fp16 to fp32, all values", kernels->name);
	ok(wrong_down == 0, "%s: fp32 to fp16, all values", kernels->name);
	ok(wrong_middle == 0, "%s: fp32 to fp16 rounds as defined", kernels->name);
}

static void
test_half_rounding(void)
{
	ok(memai_half_from_float(65519.996f) == 0x7bff, "just below 65520 is the largest half");
	ok(memai_half_from_float(65520.0f) == MEMAI_HALF_INFINITY, "65520 is infinite");
	ok(memai_half_from_float(2049.0f) == memai_half_from_float(2048.0f), "a tie goes to the even half");
	ok(memai_half_from_float(2051.0f) == memai_half_from_float(2052.0f), "another tie goes to the even half");
	ok(memai_half_from_float(0x1p-25f) == 0, "half the smallest subnormal is zero");
	ok(memai_half_from_float(0x1.8p-25f) == 1, "three quarters of the smallest subnormal is one");
	ok(memai_half_from_float(-0.0f) == MEMAI_HALF_SIGN, "negative zero keeps its sign");
	ok(memai_half_is_nan(memai_half_from_float(NAN)), "NaN stays NaN");
}

int
main(void)
{
	static const MemaiSimd sets[] = {MEMAI_SIMD_SCALAR, MEMAI_SIMD_AVX2, MEMAI_SIMD_AVX512, MEMAI_SIMD_NEON};

	for (size_t i = 0; i < lengthof(sets); i++)
	{
		const MemaiKernels *kernels = memai_kernels_find(sets[i]);

		if (kernels == NULL)
			continue;
		test_one_to_one(kernels);
		test_long(kernels);
		test_many(kernels);
		test_finite(kernels);
		test_conversion(kernels);
	}
	test_half_rounding();
	ok(memai_kernels_find(MEMAI_SIMD_AUTO) != NULL, "there is always a set");
	return done_testing();
}
