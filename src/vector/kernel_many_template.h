/*
 * kernel_many_template.h
 *	  The one-to-many forms of the integer and bit kernels of one instruction
 *	  set, made of the one-to-one forms that stand above the inclusion.
 */

static void
i8_dot_many(size_t n, const int8_t *query, const int8_t *rows,
			size_t stride, size_t count, int32_t *out)
{
	for (size_t row = 0; row < count; row++)
		out[row] = i8_dot(n, (const int8_t *) ((const char *) rows + row * stride), query);
}

static void
i8_l2sq_many(size_t n, const int8_t *query, const int8_t *rows,
			 size_t stride, size_t count, int32_t *out)
{
	for (size_t row = 0; row < count; row++)
		out[row] = i8_l2sq(n, (const int8_t *) ((const char *) rows + row * stride), query);
}

static void
u8i8_dot_many(size_t n, const int8_t *query, const uint8_t *rows,
			  size_t stride, size_t count, int32_t *out)
{
	for (size_t row = 0; row < count; row++)
		out[row] = u8i8_dot(n, rows + row * stride, query);
}

static void
bit_hamming_many(size_t n, const uint8_t *query, const uint8_t *rows,
				 size_t stride, size_t count, uint32_t *out)
{
	for (size_t row = 0; row < count; row++)
		out[row] = (uint32_t) bit_hamming(n, rows + row * stride, query);
}

static void
bit_and_many(size_t n, const uint8_t *query, const uint8_t *rows,
			 size_t stride, size_t count, uint32_t *out)
{
	for (size_t row = 0; row < count; row++)
		out[row] = (uint32_t) bit_and(n, rows + row * stride, query);
}
