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

struct MemaiHttpTransfer
{
	dlist_node	node;			/* in the loop's list while active */
	bool		active;			/* libcurl may call back */
	bool		has_descriptor; /* counted with AcquireExternalFD */
	MemoryContext context;		/* holds this struct */
	CURL	   *easy;
	struct curl_slist *header_list;
	MemaiHttpBuffer body;
	MemaiHttpBuffer headers;
	size_t		received;		/* body bytes in all, decompressed */
	size_t		consumed;		/* bytes at the start of body that were
								 * returned */
	size_t		max_size;
	bool		stream;
	bool		private_allowed;	/* host stands in memai.http_private_hosts */
	bool		blocked;		/* an address was refused */
	bool		too_large;
	bool		finished;
	int			timeout;		/* ms */
	int64		started;		/* by memai_http_clock */
	int64		deadline;
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

/* Takes a transfer out of the loop in any phase, at once.  Raises nothing. */
extern void memai_http_loop_remove(MemaiHttpTransfer *transfer);

/* Moves data; when nothing moved waits a slice of time.  Services interrupts. */
extern void memai_http_loop_turn(bool wait);

/* ---- transfer.c ---- */

/* Records how the transfer ended.  Raises nothing. */
extern void memai_http_transfer_finish(MemaiHttpTransfer *transfer, CURLcode result);

#endif							/* MEMAI_HTTP_TRANSFER_H */
