/*
 * fuzz_sse.c
 *	  Any stream is survived, and gives the same events whole and byte by byte.
 */
/* sources: src/http/sse.c */
/* seconds: 30 */
#include "postgres.h"

#include "http/http.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/* a digest of the events, so that two readings can be compared */
static uint64
read_stream(const uint8 *data, size_t size, size_t piece, bool lines)
{
	uint64		digest = 7;
	size_t		held = 0;
	bool		started = false;
	char	   *buffer = NULL;

	for (size_t at = 0; at < size; at += piece)
	{
		size_t		n = Min(piece, size - at);
		bool		found;

		do
		{
			/* a fresh block each time, exactly as large as what it holds */
			char	   *block = malloc(held + n ? held + n : 1);
			MemaiSseEvent event;
			size_t		consumed;

			memcpy(block, buffer ? buffer : "", held);
			memcpy(block + held, data + at, n);
			free(buffer);
			buffer = block;
			held += n;
			n = 0;
			found = lines ? memai_line_next(buffer, held, &consumed, &event)
				: memai_sse_next(buffer, held, &started, &consumed, &event);
			if (found)
			{
				for (size_t i = 0; i < event.name_len; i++)
					digest = digest * 31 + (uint8) event.name[i];
				digest = digest * 31 + 256;
				for (size_t i = 0; i < event.data_len; i++)
					digest = digest * 31 + (uint8) event.data[i];
				digest = digest * 31 + 257;
			}
			if (consumed > held)
				__builtin_trap();
			held -= consumed;
			memmove(buffer, buffer + consumed, held);
		} while (found);
	}
	free(buffer);
	return digest;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	if (read_stream(data, size, size ? size : 1, false) != read_stream(data, size, 1, false) ||
		read_stream(data, size, size ? size : 1, true) != read_stream(data, size, 1, true))
		__builtin_trap();
	return 0;
}
