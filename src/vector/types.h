/*
 * types.h
 *	  What the files of this directory share: checks that every path goes
 *	  through, and argument macros.  Private to vector/.
 */
#ifndef MEMAI_VECTOR_TYPES_H
#define MEMAI_VECTOR_TYPES_H

#include "utils/array.h"
#include "vector/parse.h"
#include "vector/vector.h"

#define GETARG_VECTOR(n) memai_vector_from_datum(PG_GETARG_DATUM(n))

/*
 * The only way out for a vector that was made here: checks dimension, size
 * and elements and returns it as a datum.  Raises 22000 or 54000.
 */
extern Datum memai_vector_result(MemaiVector *vector);

/*
 * Raises 22003 when an operation on finite numbers gave an infinite one; to
 * be called before memai_vector_result by everything that calculates.
 */
extern void memai_vector_check_overflow(const MemaiVector *vector);

/* Raises 22000 unless both have the same number of dimensions. */
extern void memai_check_same_dims(const char *type, int a, int b);

/* Raises 22000 when a type modifier is given and is not dim. */
extern void memai_check_typmod(int32 typmod, int dim);

/* The value of a type modifier: one integer from 1 to max_dim. */
extern int32 memai_dimensions_typmod(ArrayType *modifiers, const char *type, int max_dim);

/*
 * Raises the error that a parser's status means: 22P02, 22003, 22000 or
 * 54000.  Repeats at most the beginning of text.  Returns on MEMAI_PARSE_OK.
 */
extern void memai_report_parse_error(MemaiParseStatus status, const MemaiParseError *error,
									 const char *type, int max_dim,
									 const char *text, size_t length);

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

/*
 * -1, 0 or 1: element by element, then by dimension, as PostgreSQL compares
 * arrays.  Zero and negative zero are equal.
 */
extern int	memai_vector_compare(const MemaiVector *a, const MemaiVector *b);

#endif							/* MEMAI_VECTOR_TYPES_H */
