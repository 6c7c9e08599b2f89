/*
 * transfer.h
 *	  A request under way, and the loop that drives all of them.  Private to
 *	  http/.
 */
#ifndef MEMAI_HTTP_TRANSFER_H
#define MEMAI_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "http/http.h"
#include "lib/ilist.h"

/* malloc'd bytes: libcurl's callbacks fill them and must not raise errors */
typedef struct MemaiHttpBuffer
{
	char	   *data;
	size_t		len;
	size_t		capacity;
} MemaiHttpBuffer;

/*
 * What the callback that opens a socket needs.  malloc'd, because it lives as
 * long as libcurl's handle, which can outlive its transfer.
 */
typedef struct MemaiHttpGuard
{
	bool		private_allowed;	/* host stands in memai.http_private_hosts */
	bool		blocked;		/* an address was refused */
	bool		opened;			/* the name was found: a socket was asked for */
	bool		parked;			/* nobody waits any more: open none */
	bool		sent;			/* the request was on its way */
	bool		stale;			/* libcurl would have sent it again */
} MemaiHttpGuard;

struct MemaiHttpTransfer
{
	dlist_node	node;			/* in the loop's list while active */
	bool		active;			/* libcurl may call back */
	bool		has_descriptor; /* counted with AcquireExternalFD */
	MemoryContext context;		/* holds this struct */
	CURL	   *easy;			/* NULL once it is parked */
	struct curl_slist *header_list;
	MemaiHttpGuard *guard;
	MemaiHttpBuffer body;
	MemaiHttpBuffer headers;
	size_t		received;		/* body bytes in all, decompressed */
	size_t		consumed;		/* bytes at the start of body that were
								 * returned */
	size_t		max_size;
	bool		stream;
	bool		too_large;
	bool		out_of_memory;
	bool		finished;
	int			timeout;		/* ms */
	int64		started;		/* by memai_http_clock */
	int64		deadline;
	int64		connect_deadline;	/* 0: libcurl minds it */
	int64		window_start;	/* low-speed window */
	size_t		window_received;
	MemaiHttpResponse response;
	char		error[CURL_ERROR_SIZE];
};

/* ---- loop.c ---- */

/* The session's multi handle, made at first use.  Raises errors. */
extern CURLM *memai_http_multi(void);

/* Hands a prepared transfer to the loop.  Raises errors. */
extern void memai_http_loop_add(MemaiHttpTransfer *transfer);

/*
 * Takes a transfer out of the loop in any phase, at once.  Raises nothing.
 * It may park libcurl's handle, which then is the transfer's no more.
 */
extern void memai_http_loop_remove(MemaiHttpTransfer *transfer);

/* True when libcurl lets go of a stalled name lookup at once (7.87 and later). */
extern bool memai_http_quick_exit(void);

/* Frees what libcurl has of a request, with its key erased. */
extern void memai_http_free_handle(CURL *easy, struct curl_slist *headers, MemaiHttpGuard *guard);

/* Moves data; when nothing moved waits a slice of time.  Services interrupts. */
extern void memai_http_loop_turn(bool wait);

/* ---- transfer.c ---- */

/* Records how the transfer ended.  Raises nothing. */
extern void memai_http_transfer_finish(MemaiHttpTransfer *transfer, CURLcode result);

/* ---- outcome.c: pure ---- */

/* What a result of libcurl (a CURLcode, perhaps newer than the headers) means. */
extern MemaiHttpOutcome memai_http_outcome_of(int result);

#endif							/* MEMAI_HTTP_TRANSFER_H */
