/*
 * http.h
 *	  One HTTP request from inside a backend: cancellable in every phase,
 *	  bounded in time and size, to addresses an administrator allowed.  The
 *	  only module that knows libcurl; it knows nothing of models or keys.
 */
#ifndef MEMAI_HTTP_H
#define MEMAI_HTTP_H

#include "core/core.h"

/* ---- url.c ---- */

#define MEMAI_HTTP_URL_MAX_LENGTH 2048

/* a parsed URL, in normal form; freed with the memory context it was made in */
typedef struct MemaiHttpUrl
{
	const char *text;			/* the whole URL */
	const char *scheme;			/* http or https */
	const char *host;			/* lower case, an IPv6 address without
								 * brackets */
	int			port;
	const char *path;			/* starts with a slash, dot segments resolved */
	void	   *handle;			/* libcurl's own parse, which the request uses */
} MemaiHttpUrl;

/*
 * Parses an absolute http or https URL and appends path (NULL, or starting
 * with a slash) and query (NULL, or without its question mark).  Raises 22023
 * for user names, fragments, hosts not in their plain form, and any byte that
 * is not printable ASCII.
 */
extern MemaiHttpUrl *memai_http_url_parse(const char *base, const char *path, const char *query);

/*
 * True when url has prefix's scheme, host and port and its path is prefix's or
 * below it, compared segment by segment.
 */
extern bool memai_http_url_covers(const MemaiHttpUrl *prefix, const MemaiHttpUrl *url);

/* text with every byte but letters, digits, and -._~ percent-encoded; palloc'd */
extern char *memai_http_escape(const char *text);

/* ---- transfer.c ---- */

typedef struct MemaiHttpHeader
{
	const char *name;
	const char *value;
} MemaiHttpHeader;

#define MEMAI_HTTP_MAX_HEADERS 16

/*
 * Everything that is pointed to must live until the transfer is closed.
 * Times are in milliseconds.
 */
typedef struct MemaiHttpRequest
{
	const MemaiHttpUrl *url;
	const char *body;			/* NULL: GET, otherwise POST */
	size_t		body_len;
	int			nheaders;
	MemaiHttpHeader headers[MEMAI_HTTP_MAX_HEADERS];
	int			timeout;		/* of this attempt; see
								 * memai_http_attempt_timeout */
	bool		stream;			/* body is read piece by piece: timeout is
								 * between pieces */
	bool		fresh;			/* not on a connection that was kept */
} MemaiHttpRequest;

/* Adds a header line; a request has at most MEMAI_HTTP_MAX_HEADERS. */
extern void memai_http_add_header(MemaiHttpRequest *request, const char *name, const char *value);

/* how a request ended, as far as HTTP is concerned */
typedef enum MemaiHttpOutcome
{
	MEMAI_HTTP_ANSWERED,		/* a complete answer, whatever its status */
	MEMAI_HTTP_UNREACHABLE,		/* name not found, connection refused */
	MEMAI_HTTP_TLS_FAILED,		/* no trusted connection */
	MEMAI_HTTP_TIMED_OUT,
	MEMAI_HTTP_BROKEN_OFF,		/* the connection ended before the answer did */
	MEMAI_HTTP_TOO_LARGE,		/* over memai.http_max_response_size */
	MEMAI_HTTP_BLOCKED,			/* the host's address is not allowed */
	MEMAI_HTTP_INVALID			/* the answer is not HTTP */
} MemaiHttpOutcome;

typedef struct MemaiHttpResponse
{
	MemaiHttpOutcome outcome;
	int			status;			/* 0 when no status line arrived */
	const char *body;			/* not NUL-terminated; lives as long as the
								 * transfer */
	size_t		body_len;
	const char *headers;		/* raw header lines of the final answer */
	size_t		headers_len;
	const char *phase;			/* what was being done when it ended (static) */
	char		problem[256];	/* libcurl's words, empty when answered */
	int64		elapsed;		/* milliseconds from open to end */
	bool		stale;			/* broken off: a kept connection ended before
								 * a byte of the answer came */
} MemaiHttpResponse;

typedef struct MemaiHttpTransfer MemaiHttpTransfer;

/*
 * Starts a request.  The transfer and everything it holds is freed by
 * memai_http_close or with the current memory context, in any phase, at once.
 * Raises 55000 when calls out are switched off or not possible here, 42501 for
 * plain http to a host that is not allowed, 22023 for a malformed header.
 */
extern MemaiHttpTransfer *memai_http_open(const MemaiHttpRequest *request);

/*
 * Waits until the request has ended.  Services interrupts, so it raises 57014
 * and 57P01, and 53200 when this process had no memory for the answer; never call it while holding a lock.
 */
extern const MemaiHttpResponse *memai_http_wait(MemaiHttpTransfer *transfer);

/*
 * How a request has ended: NULL while it is under way, or when this process had
 * no memory for the answer.  Raises nothing.
 */
extern const MemaiHttpResponse *memai_http_ended(const MemaiHttpTransfer *transfer);

/*
 * Waits until the status and headers have arrived, or the request has ended.
 * Returns the status so far, 0 for none.  Interrupts as in memai_http_wait.
 */
extern int	memai_http_wait_status(MemaiHttpTransfer *transfer);

/*
 * Waits for more of the body.  Returns false at the end, with or without
 * success (see memai_http_wait, which then returns at once).  The bytes are
 * valid until the next call.  Interrupts as in memai_http_wait.
 */
extern bool memai_http_read(MemaiHttpTransfer *transfer, const char **data, size_t *len);

extern void memai_http_close(MemaiHttpTransfer *transfer);

/*
 * Waits until one of n transfers has ended and returns its index, or -1 soon
 * after the clock reaches until.  Entries may be NULL but not all of them.
 * Interrupts as in memai_http_wait.
 */
extern int	memai_http_wait_any(int n, MemaiHttpTransfer **transfers, int64 until);

/*
 * Lets all transfers go as far as they can without waiting.  Interrupts as in
 * memai_http_wait.
 */
extern void memai_http_progress(void);

/* The value of a response header, palloc'd; NULL when it is absent. */
extern char *memai_http_header(const MemaiHttpResponse *response, const char *name);

/*
 * Sleeps as long as a request waits: interruptible, under the same wait event.
 */
extern void memai_http_sleep(int64 milliseconds);

/* Milliseconds of a clock that never jumps. */
extern int64 memai_http_clock(void);

/* ---- sse.c: pure ---- */

/* one event of a stream, in place in the buffer it was found in */
typedef struct MemaiSseEvent
{
	const char *name;			/* empty for the usual kind */
	size_t		name_len;
	const char *data;			/* its data lines, joined by newlines */
	size_t		data_len;
} MemaiSseEvent;

/*
 * Looks for the next server-sent event in a buffer that holds len bytes of a
 * stream, and rewrites the buffer where an event's lines must be joined.
 * Returns false when the buffer holds no complete event.  *consumed is how many
 * bytes at the front of the buffer are done with, in both cases; the caller
 * drops them once the event is used and appends what arrives to the rest.
 * *started is false before the first call and kept by the function.
 */
extern bool memai_sse_next(char *buffer, size_t len, bool *started, size_t *consumed,
						   MemaiSseEvent *event);

/* The same for streams of one JSON document a line; blank lines are no events. */
extern bool memai_line_next(char *buffer, size_t len, size_t *consumed, MemaiSseEvent *event);

/* ---- settings.c ---- */

/* timeouts in force, in milliseconds, the administrator's ceiling applied */
extern int	memai_http_attempt_timeout(void);
extern int	memai_http_call_timeout(void);

/* how many requests one call may have under way */
extern int	memai_http_max_parallel(void);

extern void memai_http_init(void);

#endif							/* MEMAI_HTTP_H */
