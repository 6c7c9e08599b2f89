/*
 * kernel_table.h
 *	  Initializers that name the static functions of a kernel_*.c file, so that
 *	  every instruction set fills the whole table.  Private to those files.
 */
#ifndef MEMAI_VECTOR_KERNEL_TABLE_H
#define MEMAI_VECTOR_KERNEL_TABLE_H

#define MEMAI_KERNEL_TABLE(set_name) { \
	.name = (set_name), \
	.f32_dot = f32_dot, .f32_l2sq = f32_l2sq, .f32_l1 = f32_l1, \
	.f32_cosine = f32_cosine, .f32_norm2 = f32_norm2, .f32_finite = f32_finite, \
	.f32_dot_many = f32_dot_many, .f32_l2sq_many = f32_l2sq_many, \
	.f16_dot = f16_dot, .f16_l2sq = f16_l2sq, .f16_l1 = f16_l1, \
	.f16_cosine = f16_cosine, .f16_finite = f16_finite, \
	.f16_dot_many = f16_dot_many, .f16_l2sq_many = f16_l2sq_many, \
	.f16_to_f32 = f16_to_f32, .f32_to_f16 = f32_to_f16, \
	.i8_dot = i8_dot, .i8_l2sq = i8_l2sq, .u8i8_dot = u8i8_dot, \
	.i8_dot_many = i8_dot_many, .i8_l2sq_many = i8_l2sq_many, \
	.u8i8_dot_many = u8i8_dot_many, \
	.bit_hamming = bit_hamming, .bit_and = bit_and, .bit_counts = bit_counts, \
	.bit_hamming_many = bit_hamming_many, .bit_and_many = bit_and_many \
}

#endif							/* MEMAI_VECTOR_KERNEL_TABLE_H */
