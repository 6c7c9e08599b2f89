/*
 * vector.h
 *	  The vector types: on-disk form, construction and reading.
 */
#ifndef MEMAI_VECTOR_H
#define MEMAI_VECTOR_H

#include "core/compat.h"

#define MEMAI_VECTOR_MAX_DIM 16000

/*
 * On-disk form, the same as pgvector's: the varlena header, the number of
 * dimensions, two bytes that must be zero, the elements.
 */
typedef struct MemaiVector
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	int16		dim;
	int16		unused;			/* always 0 */
	float		x[FLEXIBLE_ARRAY_MEMBER];
} MemaiVector;

#define MEMAI_VECTOR_SIZE(dim) (offsetof(MemaiVector, x) + sizeof(float) * (size_t) (dim))

/*
 * A zeroed vector of dim dimensions, palloc'd in the current context.
 * Raises 22000 or 54000 when dim is outside 1..MEMAI_VECTOR_MAX_DIM.
 */
extern MemaiVector *memai_vector_alloc(int dim);

/*
 * The vector in a datum, detoasted (palloc'd only if it had to be), its size
 * checked against its dimension.  Raises XX001 when they disagree.
 */
extern MemaiVector *memai_vector_from_datum(Datum datum);

/* Raises 22000 unless every element is finite. */
extern void memai_vector_check_finite(const MemaiVector *vector);

/*
 * OID of the type vector of this extension, and of its array type, in the
 * current database; cached for the session.
 */
extern Oid	memai_vector_type_oid(void);
extern Oid	memai_vector_array_type_oid(void);

/* distances between two arrays of dim floats; best kernel of this CPU */
extern float memai_vector_inner_product(int dim, const float *a, const float *b);
extern float memai_vector_l2_squared(int dim, const float *a, const float *b);

/* cosine distance in [0, 2]; NaN when either vector is all zero */
extern double memai_vector_cosine_distance(int dim, const float *a, const float *b);

/* ---- the type halfvec ---- */

/* On-disk form, the same as pgvector's; elements are IEEE 754 binary16. */
typedef struct MemaiHalfvec
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	int16		dim;
	int16		unused;			/* always 0 */
	uint16		x[FLEXIBLE_ARRAY_MEMBER];
} MemaiHalfvec;

#define MEMAI_HALFVEC_SIZE(dim) (offsetof(MemaiHalfvec, x) + sizeof(uint16) * (size_t) (dim))

/* as the functions of the same names for vector */
extern MemaiHalfvec *memai_halfvec_alloc(int dim);
extern MemaiHalfvec *memai_halfvec_from_datum(Datum datum);

/* ---- the type sparsevec ---- */

/*
 * On-disk form, the same as pgvector's: nnz indices from 0 in ascending order,
 * then nnz values, none of them zero.
 */
typedef struct MemaiSparsevec
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	int32		dim;
	int32		nnz;
	int32		unused;			/* always 0 */
	int32		indices[FLEXIBLE_ARRAY_MEMBER];
} MemaiSparsevec;

#define MEMAI_SPARSEVEC_SIZE(nnz) \
	(offsetof(MemaiSparsevec, indices) + (sizeof(int32) + sizeof(float)) * (size_t) (nnz))
#define MEMAI_SPARSEVEC_VALUES(v) ((float *) ((v)->indices + (v)->nnz))

/*
 * A zeroed sparse vector with room for nnz elements, palloc'd.  Raises 22000
 * or 54000 when dim or nnz is out of bounds.
 */
extern MemaiSparsevec *memai_sparsevec_alloc(int32 dim, int32 nnz);

/* As memai_vector_from_datum; also checks that every index is in bounds. */
extern MemaiSparsevec *memai_sparsevec_from_datum(Datum datum);

/* Defines the setting memai.simd, and so chooses the kernels. */
extern void memai_vector_init(void);

#endif							/* MEMAI_VECTOR_H */
