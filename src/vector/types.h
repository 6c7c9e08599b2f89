/*
 * types.h
 *	  What the files of this directory share: the checks that every value
 *	  passes, and argument macros.  Private to vector/.
 */
#ifndef MEMAI_VECTOR_TYPES_H
#define MEMAI_VECTOR_TYPES_H

#include "utils/array.h"
#include "utils/varbit.h"
#include "vector/parse.h"
#include "vector/prefetch.h"
#include "vector/vector.h"

#define GETARG_VECTOR(n) memai_vector_from_datum(PG_GETARG_DATUM(n))
#define GETARG_HALFVEC(n) memai_halfvec_from_datum(PG_GETARG_DATUM(n))
#define GETARG_SPARSEVEC(n) memai_sparsevec_from_datum(PG_GETARG_DATUM(n))

/*
 * What this directory knows of a type, for messages and limits.  The SQL
 * names are fixed, so they double as names in messages.
 */
typedef struct MemaiVectorType
{
	const char *name;
	const char *bracket;		/* that its text begins with */
	int			max_dim;
} MemaiVectorType;

extern const MemaiVectorType memai_vector_type;
extern const MemaiVectorType memai_halfvec_type;
extern const MemaiVectorType memai_sparsevec_type;

/* ---- check.c ---- */

/*
 * Raises the error that a status means: 22P02, 22003, 22000, 54000 or 08P01.
 * Quotes at most the beginning of text.  Returns on OK and UNDERFLOW.
 */
extern void memai_report_status(const MemaiVectorType *type, MemaiParseStatus status,
								const MemaiParseError *error, const char *text, size_t length);

/* Raises 22000 or 54000 unless 1 <= dim <= max_dim. */
extern void memai_check_dim(const MemaiVectorType *type, int dim);

/* Raises 22000 unless both have the same number of dimensions. */
extern void memai_check_same_dims(const MemaiVectorType *type, int a, int b);

/* Raises 22000 when a type modifier is given and is not dim. */
extern void memai_check_typmod(int32 typmod, int dim);

/* Raises 22000 because of a NaN or infinite element, or XX000 when there is none. */
pg_noreturn extern void memai_report_not_finite(const MemaiVectorType *type, bool nan);

/* Raises XX001: a stored value whose size is not what its header says. */
pg_noreturn extern void memai_report_corrupt(const MemaiVectorType *type, const void *value);

/* The value of a type modifier: one integer from 1 to max_dim.  Raises 22023. */
extern int32 memai_dimensions_typmod(const MemaiVectorType *type, ArrayType *modifiers);

/*
 * The bounds, from 0 and without the end, of subvector(value, start, count)
 * with start from 1.  Raises 22000 when nothing would be left.
 */
extern void memai_subvector_bounds(const MemaiVectorType *type, int dim, int32 start, int32 count,
								   int *from, int *to);

/* ---- vector.c ---- */

/* OID of this extension's type of that name.  Raises 42704 when there is none. */
extern Oid	memai_type_oid(const char *name);

/* ---- values; the *_result functions are the only way out for new ones ---- */

/*
 * Checks dimension, size and elements of a value that was made here and
 * returns it as a datum.  Raises 22000 or 54000.
 */
extern Datum memai_vector_result(MemaiVector *vector);
extern Datum memai_halfvec_result(MemaiHalfvec *vector);
extern Datum memai_sparsevec_result(MemaiSparsevec *vector);

/*
 * Raises 22003 when an operation on finite numbers gave an infinite one; to
 * be called before *_result by everything that calculates.
 */
extern void memai_vector_check_overflow(const MemaiVector *vector);
extern void memai_halfvec_check_overflow(const MemaiHalfvec *vector);

/* ---- vector_cast.c, halfvec_cast.c, sparsevec_cast.c ---- */

/*
 * The number of elements of an array that is to become a vector.  Raises
 * 22000 unless it has one dimension, 22004 when it holds a null.
 */
extern int	memai_array_length(ArrayType *array);

/*
 * Writes the elements of an array of integer, real, double precision or
 * numeric as floats; elements must have room for memai_array_length.
 */
extern void memai_array_to_floats(ArrayType *array, float *elements);

/* A real[] of n elements, palloc'd. */
extern ArrayType *memai_floats_to_array(const float *elements, int n);

/*
 * The halfvec of these floats.  Raises 22003 when a finite one does not fit,
 * 22000 when one is not finite.
 */
extern Datum memai_halfvec_from_floats(const float *elements, int dim);

/* The sparsevec of a dense array: its elements that are not zero. */
extern Datum memai_sparsevec_from_floats(const float *elements, int dim);

/* Writes all dim elements, zeros included. */
extern void memai_sparsevec_to_floats(const MemaiSparsevec *vector, float *elements);

/* ---- distance.c ---- */

/* cosine distance in [0, 2]; NaN when either norm is zero */
extern double memai_cosine_from_sums(const MemaiCosineSums *sums);

/* a cosine distance as a similarity in [0, 1]; 0 for NaN */
extern double memai_similarity(double cosine_distance);

/* the angle between two vectors of length 1 with this dot product, in units of pi */
extern double memai_spherical_from_dot(double dot);

/* ---- bitvec.c ---- */

/* A zeroed bit string, palloc'd. */
extern VarBit *memai_bit_alloc(int bits);

/* ---- order.c ---- */

/*
 * -1, 0 or 1: element by element, then by dimension, as PostgreSQL compares
 * arrays.  Zero and negative zero are equal.
 */
extern int	memai_vector_compare(const MemaiVector *a, const MemaiVector *b);
extern int	memai_halfvec_compare(const MemaiHalfvec *a, const MemaiHalfvec *b);
extern int	memai_sparsevec_compare(const MemaiSparsevec *a, const MemaiSparsevec *b);

#endif							/* MEMAI_VECTOR_TYPES_H */
