/*
 * fuzz_sse.c
 *	  Any stream is survived, and gives the same events whole and byte by byte.
 */
/* sources: src/http/sse.c */
/* seconds: 30 */
#include "postgres.h"

#include <sanitizer/asan_interface.h>

#include "http/http.h"

#define MAX_STREAM 8192

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/* what of the stream is not consumed yet; beyond it reading and writing are errors */
static char buffer[MAX_STREAM];

/* the buffer is len bytes long from here on, for the sanitizer too */
static void
resize_buffer(size_t len)
{
	ASAN_UNPOISON_MEMORY_REGION(buffer, len);
	ASAN_POISON_MEMORY_REGION(buffer + len, sizeof(buffer) - len);
}

/* a digest of the events, so that two readings can be compared */
static uint64
read_stream(const uint8 *data, size_t size, size_t piece, bool lines)
{
	uint64		digest = 7;
	size_t		held = 0;
	bool		started = false;

	for (size_t at = 0; at < size; at += piece)
	{
		size_t		n = Min(piece, size - at);
		bool		found;

		resize_buffer(held + n);
		memcpy(buffer + held, data + at, n);
		held += n;
		do
		{
			MemaiSseEvent event;
			size_t		consumed;

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
			resize_buffer(held);
		} while (found);
	}
	resize_buffer(sizeof(buffer));
	return digest;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	if (size > MAX_STREAM)
		return -1;
	if (read_stream(data, size, size ? size : 1, false) != read_stream(data, size, 1, false) ||
		read_stream(data, size, size ? size : 1, true) != read_stream(data, size, 1, true))
		__builtin_trap();
	return 0;
}
