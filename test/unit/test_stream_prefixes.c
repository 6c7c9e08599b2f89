/*
 * test_stream_prefixes.c
 *	  Every byte prefix of every recorded stream, read by memai's own reader of
 *	  streams: an error, never a short success (HT21).  Reads MEMAI_DATA/wire
 *	  (default ../shared/data/wire); what only writes and sends requests is not
 *	  called, and not linked.
 *
 * A stream is fed a byte at a time and ends after each of them, so all of its
 * prefixes are seen in one pass: the end of the body changes nothing in the
 * reader.  The shortest of each format are also read anew for each prefix, which
 * then arrives in one piece.
 */
/* sources: src/model/stream.c src/model/wire_json.c src/model/openai.c src/model/anthropic.c src/model/gemini.c src/model/ollama.c src/model/cohere.c src/json/document.c src/json/scan.c src/json/write.c src/json/utf8.c src/http/sse.c src/core/raise.c */
/* libraries: -ljson-c -no-pie -Wl,--unresolved-symbols=ignore-all */
#include "postgres.h"

#include "model/usage.h"
#include "model/wire.h"
#include "miscadmin.h"
#include "tap.h"
#include "../fuzz/server.h"

#define MAX_STREAMS 200
#define SHORTEST 2

typedef struct Recorded
{
	const MemaiWire *wire;
	const char *file;
	int			line;
	char	   *body;
	size_t		len;
} Recorded;

/* an answer, or the SQLSTATE of an error */
typedef struct Outcome
{
	int			sqlstate;		/* 0: an answer */
	char		text[200000];	/* all of it, written down */
} Outcome;

volatile sig_atomic_t InterruptPending = false;

static Recorded recorded[MAX_STREAMS];
static int	nrecorded = 0;

/* what the body holds up to its end, and how much of that was handed out */
static const char *body;
static size_t body_end;
static size_t body_at;

static MemaiModelStream *stream;
static Outcome whole;
static Outcome found;

/* ---- in place of what sends ---- */

static void
write_nothing(const MemaiModel *model, const MemaiChatRequest *request, bool streamed, MemaiWireRequest *out)
{
}

MemaiWireSource *
memai_wire_source_open(const MemaiWire *wire, const MemaiModel *model, MemaiWireRequest *request)
{
	return NULL;
}

bool
memai_wire_cached(const MemaiWire *wire, const MemaiModel *model, const MemaiChatRequest *request,
				  MemaiOperation operation, MemaiWireCache *cache, MemaiChatResult *result)
{
	cache->ttl = 0;
	return false;
}

bool
memai_wire_source_read(MemaiWireSource *source, const char **data, size_t *len)
{
	*data = body + body_at;
	*len = body_end - body_at;
	body_at = body_end;
	return *len > 0;
}

void
memai_wire_source_complete(MemaiWireSource *source, int prompt_tokens, int completion_tokens, const char *text)
{
}

void
memai_wire_source_error(MemaiWireSource *source, const char *data, size_t len)
{
	ereport(ERROR, (errcode(ERRCODE_MEMAI_OVERLOADED), errmsg("an error in the stream")));
	abort();
}

void
memai_wire_bad_response(const MemaiModel *model, const char *problem)
{
	ereport(ERROR, (errcode(ERRCODE_MEMAI_BAD_RESPONSE), errmsg("bad response")));
	abort();
}

double
memai_usage_cost(const MemaiModel *model, int64 prompt_tokens, int64 completion_tokens)
{
	return 0;
}

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size minContextSize,
							  Size initBlockSize, Size maxBlockSize)
{
	return NULL;
}

void
MemoryContextReset(MemoryContext context)
{
}

/* ---- reading ---- */

static void
open_stream(const MemaiWire *wire)
{
	static MemaiWire reading;
	static MemaiModel model = {.info = {.name = "recorded"}};
	static const MemaiChatRequest request = {.max_tokens = 1};

	reading = *wire;
	reading.write_chat = write_nothing;
	body_at = body_end = 0;
	stream = memai_wire_stream_open(&reading, &model, &request);
}

/* arg is the Outcome to fill */
static void
read_to_end(void *arg)
{
	Outcome    *outcome = arg;
	MemaiChatResult result;

	memai_model_stream_result(stream, &result);
	snprintf(outcome->text, sizeof(outcome->text), "%s %d %d %s %s", result.finish_reason, result.prompt_tokens,
			 result.completion_tokens, result.tool_calls ? result.tool_calls : "-", result.content);
}

/* reads what has arrived and then the end of the body */
static void
read_until(size_t end, Outcome *outcome)
{
	body_end = end;
	outcome->text[0] = '\0';
	outcome->sqlstate = fuzz_run(read_to_end, outcome) ? 0 : fuzz_sqlstate;
}

/* is that what the end of a body after so many bytes may come to? */
static bool
is_right(const Recorded *one, size_t end)
{
	if (found.sqlstate == 0)
		return whole.sqlstate == 0 && strcmp(found.text, whole.text) == 0;
	if (found.sqlstate == ERRCODE_MEMAI_TRUNCATED || (whole.sqlstate != 0 && found.sqlstate == whole.sqlstate))
		return true;
	printf("# %s %d: %s after %zu bytes\n", one->file, one->line, unpack_sql_state(found.sqlstate), end);
	return false;
}

char *
unpack_sql_state(int sqlstate)
{
	static char text[6];

	for (int i = 0; i < 5; i++, sqlstate >>= 6)
		text[i] = PGUNSIXBIT(sqlstate);
	return text;
}

/* one pass, a byte at a time; returns the number of prefixes that are no answer, -1: something is wrong */
static int64
test_bytes(const Recorded *one)
{
	int64		errors = 0;

	open_stream(one->wire);
	body = one->body;
	for (size_t end = 0; end <= one->len; end++)
	{
		read_until(end, &found);
		if (!is_right(one, end))
			return -1;
		errors += found.sqlstate != 0;
		if (found.sqlstate == whole.sqlstate && whole.sqlstate != 0)
			break;
	}
	fuzz_release();
	return errors;
}

/* the same for prefixes that arrive in one piece */
static int64
test_pieces(const Recorded *one)
{
	int64		errors = 0;

	for (size_t end = 0; end <= one->len; end++)
	{
		open_stream(one->wire);
		body = one->body;
		read_until(end, &found);
		fuzz_release();
		if (!is_right(one, end))
			return -1;
		errors += found.sqlstate != 0;
	}
	return errors;
}

/* ---- what was recorded ---- */

static bool
is_stream(const char *text, bool lines)
{
	const char *newline = strchr(text, '\n');

	if (lines)
		return text[0] == '{' && newline != NULL && newline[1] == '{';
	return strncmp(text, "data:", 5) == 0 || strncmp(text, "event:", 6) == 0 || text[0] == ':';
}

static void
keep(const MemaiWire *wire, const char *file, int line, MemaiJson *exchange)
{
	const char *text;
	size_t		len;
	int64		status;
	Recorded   *one = &recorded[nrecorded];

	if (!memai_json_int(memai_json_get(exchange, "status"), &status) || status != 200 ||
		!memai_json_string(memai_json_get(exchange, "response"), &text, &len) ||
		!is_stream(text, wire->line_stream) || nrecorded == MAX_STREAMS)
		return;
	one->wire = wire;
	one->file = file;
	one->line = line;
	one->body = malloc(len + 1);
	one->len = len;
	memcpy(one->body, text, len + 1);
	nrecorded++;
}

static void
read_file(const char *directory, const char *file, const MemaiWire *wire)
{
	char		path[MAXPGPATH];
	char	   *line = NULL;
	size_t		capacity = 0;
	ssize_t		len;
	FILE	   *in;

	snprintf(path, sizeof(path), "%s/wire/%s.jsonl", directory, file);
	in = fopen(path, "r");
	if (in == NULL)
		return;
	for (int i = 0; (len = getline(&line, &capacity, in)) > 0; i++)
	{
		const char *problem;

		keep(wire, file, i, memai_json_parse(line, len, &problem));
		fuzz_release();
	}
	free(line);
	fclose(in);
}

static int
compare_streams(const void *a, const void *b)
{
	const Recorded *left = a;
	const Recorded *right = b;

	if (left->wire != right->wire)
		return left->wire < right->wire ? -1 : 1;
	return left->len < right->len ? -1 : left->len > right->len;
}

static void
test_stream(const Recorded *one, bool pieces_too)
{
	int64		errors;
	int64		pieces;

	open_stream(one->wire);
	body = one->body;
	read_until(one->len, &whole);
	fuzz_release();
	errors = test_bytes(one);
	ok(errors > 0, "HT21 %s %d: %lld of %zu prefixes are errors, no other is less than the whole",
	   one->file, one->line, (long long) errors, one->len + 1);
	if (!pieces_too)
		return;
	pieces = test_pieces(one);
	ok(pieces >= errors, "HT21 %s %d: so are they in one piece", one->file, one->line);
}

int
main(void)
{
	const char *directory = getenv("MEMAI_DATA");
	const MemaiWire *wire = NULL;
	int			n = 0;

	if (directory == NULL || directory[0] == '\0')
		directory = "../shared/data";
	read_file(directory, "openai", memai_provider_openai.wire);
	read_file(directory, "openai_compatible", memai_provider_openai.wire);
	read_file(directory, "anthropic", memai_provider_anthropic.wire);
	read_file(directory, "gemini", memai_provider_gemini.wire);
	read_file(directory, "ollama", memai_provider_ollama.wire);
	read_file(directory, "cohere", memai_provider_cohere.wire);
	qsort(recorded, nrecorded, sizeof(Recorded), compare_streams);
	for (int i = 0; i < nrecorded; i++)
	{
		n = recorded[i].wire == wire ? n + 1 : 0;
		wire = recorded[i].wire;
		test_stream(&recorded[i], n < SHORTEST);
		free(recorded[i].body);
	}
	if (nrecorded == 0)
		ok(true, "# skip no recorded traffic in %s/wire", directory);
	return done_testing();
}
