/*
 * test_sse.c
 *	  Server-sent events: line ends, comments, joined data, and the same events
 *	  however the stream is cut into pieces.  Row HT21.
 */
/* sources: src/http/sse.c */
#include "postgres.h"

#include "http/http.h"
#include "tap.h"

/* feeds the stream in pieces; writes "name=data|" for each event to out */
static size_t
read_stream(const char *stream, size_t len, size_t piece, bool lines, char *out)
{
	char	   *buffer = malloc(len + 1);
	size_t		held = 0;
	size_t		written = 0;
	bool		started = false;

	for (size_t at = 0; at < len; at += piece)
	{
		size_t		n = Min(piece, len - at);
		size_t		consumed;
		MemaiSseEvent event;
		bool		found;

		memcpy(buffer + held, stream + at, n);
		held += n;
		do
		{
			found = lines ? memai_line_next(buffer, held, &consumed, &event)
				: memai_sse_next(buffer, held, &started, &consumed, &event);
			if (found)
				written += sprintf(out + written, "%.*s=%.*s|", (int) event.name_len, event.name,
								   (int) event.data_len, event.data);
			held -= consumed;
			memmove(buffer, buffer + consumed, held);
		} while (found);
	}
	free(buffer);
	out[written] = '\0';
	return written;
}

static void
test_stream(const char *name, const char *stream, const char *expected)
{
	size_t		len = strlen(stream);
	char		out[4096];
	bool		same = true;

	for (size_t piece = 1; piece <= len; piece++)
	{
		read_stream(stream, len, piece, false, out);
		if (strcmp(out, expected) != 0)
		{
			same = false;
			printf("# in pieces of %zu: %s\n", piece, out);
			break;
		}
	}
	ok(same, "%s", name);
}

static void
test_prefixes(void)
{
	static const char stream[] = "event: a\ndata: 1\n\ndata: [DONE]\n\n";
	char		out[256];
	bool		complete = false;

	for (size_t len = 0; len < sizeof(stream) - 2; len++)
	{
		read_stream(stream, len, 1, false, out);
		complete |= strstr(out, "[DONE]") != NULL;
	}
	ok(!complete, "no prefix holds the last event");
}

int
main(void)
{
	char		out[256];

	test_stream("one event", "data: x\n\n", "=x|");
	test_stream("a name", "event: n\ndata: x\n\n", "n=x|");
	test_stream("CRLF", "event: n\r\ndata: x\r\n\r\ndata: y\r\n\r\nz", "n=x|=y|");
	test_stream("CR", "data: x\r\rdata: y\r\r:", "=x|=y|");
	test_stream("several lines of data", "data: a\ndata: b\ndata\ndata:c\n\n", "=a\nb\n\nc|");
	test_stream("several lines with CRLF", "data: a\r\ndata: b\r\n\r\n;", "=a\nb|");
	test_stream("comments and keep-alive", ": hello\n\n:\n\ndata: x\n: y\n\n", "=x|");
	test_stream("other fields", "id: 1\nretry: 5\ndatax: no\ndata: x\n\n", "=x|");
	test_stream("no space after the colon", "data:x\n\ndata:  y\n\n", "=x|= y|");
	test_stream("a byte order mark", "\xef\xbb\xbf" "data: x\n\n", "=x|");
	test_stream("an event without data is none", "event: ping\n\ndata: x\n\n", "=x|");
	test_stream("an unfinished event is none", "data: x\n\ndata: y\n", "=x|");
	test_stream("an unfinished line is none", "data: x\n\ndata: y", "=x|");
	test_stream("the last name wins", "event: a\nevent: b\ndata: x\n\n", "b=x|");
	test_prefixes();

	read_stream("{\"a\":1}\n\r\n{\"b\":2}\r\n{\"c\"", 23, 1, true, out);
	ok(strcmp(out, "={\"a\":1}|={\"b\":2}|") == 0, "lines: %s", out);
	return done_testing();
}
