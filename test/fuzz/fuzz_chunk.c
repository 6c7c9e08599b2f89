/*
 * fuzz_chunk.c
 *	  Any bytes in any way of chunking: see chunk_check.h for what must hold.
 */
/* sources: src/text/chunk.c src/text/boundary.c src/text/tokens.c src/text/unicode.c */
#include "postgres.h"

#include "chunk_check.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MemaiChunking how;

	if (size < 3)
		return 0;
	how = (MemaiChunking) {.size = 1 + data[0], .in_tokens = data[1] & 1,
		.strategy = (data[1] >> 1) % 3, .format = (data[1] >> 4) % 4};
	how.overlap = data[2] % (how.size / 2 + 1);
	check_chunks((const char *) data + 3, size - 3, &how);
	return 0;
}
