/*
 * fuzz_vector_binary.c
 *	  Binary input of vector, halfvec and sparsevec: reads nothing beyond the
 *	  message, writes nothing beyond the room that its length asks for, accepts
 *	  only sparse vectors that keep their rules.  Covers TY1 to TY3.
 */
/* sources: src/vector/wire.c src/vector/sparsevec_parse.c src/vector/vector_parse.c */
/* seconds: 30 */
#include "postgres.h"

#include "vector/parse.h"

#define MAX_DIM 16000

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void
check_dense(MemaiParseStatus status, size_t size, size_t used, int dim, size_t element_size)
{
	if (status == MEMAI_PARSE_OK &&
		(used > size || dim < 1 || dim > MAX_DIM || used != 4 + (size_t) dim * element_size))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	unsigned char *message = malloc(size + 1);
	/* one byte more than nothing, as the server always points somewhere */
	float	   *floats = malloc(size + 1);
	MemaiHalf  *halfs = malloc(size + 1);
	int32	   *indices = malloc(size / 2 + 4);
	MemaiParseError error;
	MemaiParseStatus status;
	size_t		used = 0;
	int			dim = 0;
	int32		sparse_dim = 0;
	int32		nnz = 0;

	memcpy(message, data, size);
	status = memai_vector_decode(message, size, MAX_DIM, floats, &dim, &used, &error);
	check_dense(status, size, used, dim, sizeof(float));
	status = memai_halfvec_decode(message, size, MAX_DIM, halfs, &dim, &used, &error);
	check_dense(status, size, used, dim, sizeof(MemaiHalf));
	status = memai_sparsevec_decode(message, size, indices, floats, &sparse_dim, &nnz, &used, &error);
	if (status == MEMAI_PARSE_OK &&
		(used > size || used != 12 + (size_t) nnz * 8 ||
		 memai_sparsevec_check(sparse_dim, nnz, indices, floats) != MEMAI_PARSE_OK))
		abort();
	free(indices);
	free(halfs);
	free(floats);
	free(message);
	return 0;
}
