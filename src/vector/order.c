/*
 * order.c
 *	  Comparison and hashing of the three vector types, for btree and hash
 *	  operator classes.
 *
 * Equal values hash alike: zero and negative zero are equal, and there are no
 * NaNs.  None of these functions raises an error that depends on a value, so
 * they are declared leakproof.  Their index support may run many times in one
 * memory context, so they free what detoasting made.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "vector/half.h"
#include "vector/types.h"

/* elements that are normalised and hashed at a time */
#define HASH_CHUNK 64

/* hash of a value under a seed */
typedef uint64 (*HashValue) (const void *value, uint64 seed);

/* how btree and hash see one type */
typedef struct OrderMethods
{
	void	   *(*read) (Datum datum);
	int			(*compare) (const void *a, const void *b);
	HashValue	hash;
} OrderMethods;

int
memai_vector_compare(const MemaiVector *a, const MemaiVector *b)
{
	int			dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (a->x[i] < b->x[i])
			return -1;
		if (a->x[i] > b->x[i])
			return 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

int
memai_halfvec_compare(const MemaiHalfvec *a, const MemaiHalfvec *b)
{
	int			dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		float		x = memai_half_to_float(a->x[i]);
		float		y = memai_half_to_float(b->x[i]);

		if (x < y)
			return -1;
		if (x > y)
			return 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

/*
 * The order of the dense vectors that the sparse ones stand for: at the first
 * place where they differ, a missing element counts as zero.
 */
int
memai_sparsevec_compare(const MemaiSparsevec *a, const MemaiSparsevec *b)
{
	const float *x = MEMAI_SPARSEVEC_VALUES(a);
	const float *y = MEMAI_SPARSEVEC_VALUES(b);
	int32		dim = Min(a->dim, b->dim);
	int32		i = 0;

	while (i < a->nnz && i < b->nnz && a->indices[i] == b->indices[i] && x[i] == y[i])
		i++;
	{
		int32		place_a = i < a->nnz ? a->indices[i] : dim;
		int32		place_b = i < b->nnz ? b->indices[i] : dim;
		int32		place = Min(place_a, place_b);

		if (place < dim)
		{
			float		value_a = place_a == place ? x[i] : 0;
			float		value_b = place_b == place ? y[i] : 0;

			return value_a < value_b ? -1 : 1;
		}
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

static uint64
hash_floats(const float *elements, int n, uint64 seed)
{
	float		chunk[HASH_CHUNK];

	for (int start = 0; start < n; start += HASH_CHUNK)
	{
		int			length = Min(n - start, HASH_CHUNK);

		/* adding zero makes zero of negative zero */
		for (int i = 0; i < length; i++)
			chunk[i] = elements[start + i] + 0.0f;
		seed = hash_bytes_extended((const unsigned char *) chunk, length * (int) sizeof(float), seed);
	}
	return seed;
}

static uint64
hash_vector(const void *value, uint64 seed)
{
	const MemaiVector *vector = value;

	return hash_floats(vector->x, vector->dim, seed);
}

static uint64
hash_halfvec(const void *value, uint64 seed)
{
	const MemaiHalfvec *vector = value;
	uint16		chunk[HASH_CHUNK];

	for (int start = 0; start < vector->dim; start += HASH_CHUNK)
	{
		int			length = Min(vector->dim - start, HASH_CHUNK);

		for (int i = 0; i < length; i++)
			chunk[i] = memai_half_is_zero(vector->x[start + i]) ? 0 : vector->x[start + i];
		seed = hash_bytes_extended((const unsigned char *) chunk, length * (int) sizeof(uint16), seed);
	}
	return seed;
}

static uint64
hash_sparsevec(const void *value, uint64 seed)
{
	const MemaiSparsevec *vector = value;

	seed = hash_bytes_extended((const unsigned char *) &vector->dim, sizeof(vector->dim), seed);
	if (vector->nnz > 0)
		seed = hash_bytes_extended((const unsigned char *) vector->indices,
								   vector->nnz * (int) sizeof(int32), seed);
	return hash_floats(MEMAI_SPARSEVEC_VALUES(vector), vector->nnz, seed);
}

static void *
read_vector(Datum datum)
{
	return memai_vector_from_datum(datum);
}

static void *
read_halfvec(Datum datum)
{
	return memai_halfvec_from_datum(datum);
}

static void *
read_sparsevec(Datum datum)
{
	return memai_sparsevec_from_datum(datum);
}

static int
compare_vectors(const void *a, const void *b)
{
	return memai_vector_compare(a, b);
}

static int
compare_halfvecs(const void *a, const void *b)
{
	return memai_halfvec_compare(a, b);
}

static int
compare_sparsevecs(const void *a, const void *b)
{
	return memai_sparsevec_compare(a, b);
}

static const OrderMethods vector_methods = {read_vector, compare_vectors, hash_vector};
static const OrderMethods halfvec_methods = {read_halfvec, compare_halfvecs, hash_halfvec};
static const OrderMethods sparsevec_methods = {read_sparsevec, compare_sparsevecs, hash_sparsevec};

static int
compare_arguments(FunctionCallInfo fcinfo, const OrderMethods *methods)
{
	void	   *a = methods->read(PG_GETARG_DATUM(0));
	void	   *b = methods->read(PG_GETARG_DATUM(1));
	int			order = methods->compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

static uint64
hash_argument(FunctionCallInfo fcinfo, const OrderMethods *methods, uint64 seed)
{
	void	   *value = methods->read(PG_GETARG_DATUM(0));
	uint64		hash = methods->hash(value, seed);

	PG_FREE_IF_COPY(value, 0);
	return hash;
}

/* the SQL functions of one type */
#define ORDER_FUNCTION(type, name, result) \
	PG_FUNCTION_INFO_V1(memai_ ## type ## _ ## name); \
	Datum \
	memai_ ## type ## _ ## name(PG_FUNCTION_ARGS) \
	{ \
		result; \
	}

#define ORDER_FUNCTIONS(type) \
	ORDER_FUNCTION(type, lt, PG_RETURN_BOOL(compare_arguments(fcinfo, &type ## _methods) < 0)) \
	ORDER_FUNCTION(type, le, PG_RETURN_BOOL(compare_arguments(fcinfo, &type ## _methods) <= 0)) \
	ORDER_FUNCTION(type, eq, PG_RETURN_BOOL(compare_arguments(fcinfo, &type ## _methods) == 0)) \
	ORDER_FUNCTION(type, ne, PG_RETURN_BOOL(compare_arguments(fcinfo, &type ## _methods) != 0)) \
	ORDER_FUNCTION(type, ge, PG_RETURN_BOOL(compare_arguments(fcinfo, &type ## _methods) >= 0)) \
	ORDER_FUNCTION(type, gt, PG_RETURN_BOOL(compare_arguments(fcinfo, &type ## _methods) > 0)) \
	ORDER_FUNCTION(type, cmp, PG_RETURN_INT32(compare_arguments(fcinfo, &type ## _methods))) \
	ORDER_FUNCTION(type, hash, PG_RETURN_INT32((int32) hash_argument(fcinfo, &type ## _methods, 0))) \
	ORDER_FUNCTION(type, hash_extended, \
				   PG_RETURN_INT64((int64) hash_argument(fcinfo, &type ## _methods, \
														 (uint64) PG_GETARG_INT64(1))))

ORDER_FUNCTIONS(vector)
ORDER_FUNCTIONS(halfvec)
ORDER_FUNCTIONS(sparsevec)
