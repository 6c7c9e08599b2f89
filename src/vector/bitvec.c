/*
 * bitvec.c
 *	  Functions on PostgreSQL's own type bit: distances of binary vectors.
 */
#include "postgres.h"

#include "utils/varbit.h"

#include "vector/kernel.h"
#include "vector/types.h"

PG_FUNCTION_INFO_V1(memai_bit_hamming_distance);
PG_FUNCTION_INFO_V1(memai_bit_jaccard_distance);

VarBit *
memai_bit_alloc(int bits)
{
	VarBit	   *result = palloc0(VARBITTOTALLEN((size_t) bits));

	SET_VARSIZE(result, VARBITTOTALLEN((size_t) bits));
	VARBITLEN(result) = bits;
	return result;
}

/* bits beyond the length are zero by bit's own rules, so whole bytes compare */
static VarBit *
get_bits(FunctionCallInfo fcinfo, int argument)
{
	VarBit	   *bits = PG_GETARG_VARBIT_P(argument);

	if (unlikely(VARSIZE(bits) < VARBITHDRSZ + VARHDRSZ ||
				 VARBITLEN(bits) < 0 ||
				 VARSIZE(bits) != VARBITTOTALLEN((size_t) VARBITLEN(bits))))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid bit string")));
	return bits;
}

static void
check_same_length(VarBit *a, VarBit *b)
{
	if (VARBITLEN(a) != VARBITLEN(b))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %d and %d", VARBITLEN(a), VARBITLEN(b))));
}

/* the number of places in which the bit strings differ */
Datum
memai_bit_hamming_distance(PG_FUNCTION_ARGS)
{
	VarBit	   *a = get_bits(fcinfo, 0);
	VarBit	   *b = get_bits(fcinfo, 1);

	check_same_length(a, b);
	PG_RETURN_FLOAT8((double) memai_kernels->bit_hamming(VARBITBYTES(a), VARBITS(a), VARBITS(b)));
}

/* 1 - |a and b| / |a or b|; 1 when nothing is common, even when both are empty */
Datum
memai_bit_jaccard_distance(PG_FUNCTION_ARGS)
{
	VarBit	   *a = get_bits(fcinfo, 0);
	VarBit	   *b = get_bits(fcinfo, 1);
	MemaiBitCounts counts;

	check_same_length(a, b);
	memai_kernels->bit_counts(VARBITBYTES(a), VARBITS(a), VARBITS(b), &counts);
	if (counts.both == 0)
		PG_RETURN_FLOAT8(1.0);
	PG_RETURN_FLOAT8(1.0 - (double) counts.both /
					 (double) (counts.in_a + counts.in_b - counts.both));
}
