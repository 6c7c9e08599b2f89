/*
 * kernels.c
 *	  Speed of the distance kernels: nanoseconds per vector for every set that
 *	  this processor offers, hot (one vector again and again, in the first-level
 *	  cache) and streaming (through more memory than the caches hold), beside
 *	  the memory bandwidth that one thread reaches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vector/kernel.h"

#define STREAM_BYTES ((size_t) 256 << 20)
#define REPETITIONS 3			/* the best one counts */

static const size_t dimensions[] = {384, 768, 1024, 1536, 3072};

#define DIMENSIONS (sizeof(dimensions) / sizeof(dimensions[0]))

/* results go here, so that no call is optimised away */
static volatile double sink;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

typedef double (*Measure) (const MemaiKernels *kernels, size_t n, const void *query,
						   const void *rows, size_t count);

static double
f32_dot(const MemaiKernels *kernels, size_t n, const void *query, const void *rows, size_t count)
{
	double		sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += kernels->f32_dot(n, query, (const float *) rows + i * n);
	return sum;
}

static double
f32_l2sq(const MemaiKernels *kernels, size_t n, const void *query, const void *rows, size_t count)
{
	double		sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += kernels->f32_l2sq(n, query, (const float *) rows + i * n);
	return sum;
}

static double
f32_cosine(const MemaiKernels *kernels, size_t n, const void *query, const void *rows, size_t count)
{
	double		sum = 0;

	for (size_t i = 0; i < count; i++)
	{
		MemaiCosineSums sums;

		kernels->f32_cosine(n, query, (const float *) rows + i * n, &sums);
		sum += sums.dot;
	}
	return sum;
}

static double
f32_dot_many(const MemaiKernels *kernels, size_t n, const void *query, const void *rows, size_t count)
{
	float		out[64];
	double		sum = 0;

	for (size_t i = 0; i < count; i += 64)
	{
		kernels->f32_dot_many(n, query, (const float *) rows + i * n, n * sizeof(float),
							  count - i < 64 ? count - i : 64, out);
		sum += out[0];
	}
	return sum;
}

static double
f16_dot(const MemaiKernels *kernels, size_t n, const void *query, const void *rows, size_t count)
{
	double		sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += kernels->f16_dot(n, query, (const MemaiHalf *) rows + i * n);
	return sum;
}

static double
i8_dot(const MemaiKernels *kernels, size_t n, const void *query, const void *rows, size_t count)
{
	double		sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += kernels->i8_dot(n, query, (const int8_t *) rows + i * n);
	return sum;
}

static double
bit_hamming(const MemaiKernels *kernels, size_t n, const void *query, const void *rows, size_t count)
{
	double		sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (double) kernels->bit_hamming(n / 8, query, (const uint8_t *) rows + i * (n / 8));
	return sum;
}

/* nanoseconds per vector; rows that are hot are few enough for 8 kB */
static double
time_one(Measure measure, const MemaiKernels *kernels, size_t n, size_t vector_bytes,
		 const char *memory, int streaming)
{
	size_t		count = streaming ? STREAM_BYTES / vector_bytes :
		8192 / vector_bytes > 0 ? 8192 / vector_bytes : 1;
	size_t		rounds = streaming ? 1 : 400000 / count + 1;
	double		best = 1e30;

	for (int i = 0; i < REPETITIONS; i++)
	{
		double		start = now();
		double		elapsed;

		for (size_t round = 0; round < rounds; round++)
			sink += measure(kernels, n, memory, memory + 65536, count);
		elapsed = (now() - start) / (double) (rounds * count);
		if (elapsed < best)
			best = elapsed;
	}
	return best;
}

static void
print_bandwidth(const char *memory)
{
	double		best = 1e30;

	for (int i = 0; i < REPETITIONS; i++)
	{
		double		start = now();
		uint64_t	sum = 0;

		for (size_t at = 65536; at < 65536 + STREAM_BYTES; at += 64)
		{
			uint64_t	word;

			memcpy(&word, memory + at, sizeof(word));
			sum += word;
		}
		sink += (double) sum;
		if (now() - start < best)
			best = now() - start;
	}
	printf("memory bandwidth of one thread: %.1f GB/s\n", (double) STREAM_BYTES / best);
}

int
main(void)
{
	static const struct
	{
		const char *name;
		Measure		measure;
		double		bytes;		/* per dimension */
	}			kernels[] = {
		{"fp32 dot", f32_dot, 4}, {"fp32 l2", f32_l2sq, 4}, {"fp32 cosine", f32_cosine, 4},
		{"fp32 dot, many", f32_dot_many, 4}, {"fp16 dot", f16_dot, 2}, {"int8 dot", i8_dot, 1},
		{"1-bit Hamming", bit_hamming, 0.125},
	};
	static const MemaiSimd sets[] = {MEMAI_SIMD_SCALAR, MEMAI_SIMD_AVX2, MEMAI_SIMD_AVX512, MEMAI_SIMD_NEON};
	char	   *memory = malloc(STREAM_BYTES + 65536 * 2);

	/* small halfs, floats and bytes alike */
	for (size_t i = 0; i < STREAM_BYTES + 65536 * 2; i++)
		memory[i] = (char) (i % 4 == 3 ? 0x3c : i * 31 % 61);

	print_bandwidth(memory);
	printf("\nns per vector, hot / streaming\n%-16s %-7s", "kernel", "set");
	for (size_t d = 0; d < DIMENSIONS; d++)
		printf(" %16zu", dimensions[d]);
	printf("\n");
	for (size_t k = 0; k < sizeof(kernels) / sizeof(kernels[0]); k++)
	{
		for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++)
		{
			const MemaiKernels *set = memai_kernels_find(sets[s]);

			if (set == NULL)
				continue;
			printf("%-16s %-7s", kernels[k].name, set->name);
			for (size_t d = 0; d < DIMENSIONS; d++)
			{
				size_t		bytes = (size_t) ((double) dimensions[d] * kernels[k].bytes);

				printf(" %7.1f / %6.1f",
					   time_one(kernels[k].measure, set, dimensions[d], bytes, memory, 0),
					   time_one(kernels[k].measure, set, dimensions[d], bytes, memory, 1));
			}
			printf("\n");
		}
	}
	free(memory);
	return 0;
}
