/*
 * usage.h
 *	  Accounting of calls over the wire: who pays, what limits say, what each
 *	  attempt cost.  Private to model/.
 *
 * One call is opened before anything is sent, in a transaction; its attempts
 * begin and end outside of one too.  What is still under way when the call's
 * memory goes, its (sub)transaction aborts or the backend ends is recorded as
 * cut off, and its reservations are given back.
 */
#ifndef MEMAI_MODEL_USAGE_H
#define MEMAI_MODEL_USAGE_H

#include "lib/ilist.h"
#include "model/provider.h"
#include "portability/instr_time.h"
#include "stats/stats.h"

typedef struct MemaiUsageCall MemaiUsageCall;

/* a user's part of a request that is made for several */
typedef struct MemaiUsageShare
{
	const char *user_id;
	double		weight;			/* against the other parts' */
	uint64		announced;		/* as in MemaiAttempt */
} MemaiUsageShare;

/* one attempt; the caller's memory, zeroed, as long-lived as the call */
typedef struct MemaiAttempt
{
	dlist_node	node;
	MemaiUsageCall *call;		/* NULL: not under way */
	int			level;			/* of the transaction it belongs to */
	int			number;
	bool		sent;
	TimestampTz at;
	instr_time	start;
	const char *body;			/* of the request */
	size_t		body_len;
	int			nshares;		/* 0: it is for the call's user */
	MemaiUsageShare *shares;
	int64		prompt_estimate;	/* of body; 0: not made yet */
	uint64		announced;		/* in shared memory; 0: not */
	int64		slice;			/* of the reservation */
	int64		reserved_tokens;
	double		reserved_cost;
	int64		prompt_tokens;	/* as reported; -1: not yet, or not at all */
	int64		completion_tokens;
	int64		answer_estimate;	/* tokens of the answer's text */
} MemaiAttempt;

/*
 * Starts a call of model, in the current context: reads the limits that it
 * falls under.  Raises 55000 when there are limits that cannot be kept.
 */
extern MemaiUsageCall *memai_usage_open(const MemaiModel *model, MemaiOperation operation);

/*
 * Begins an attempt whose request is body and whose answer has at most
 * max_output tokens (0: not known).  Returns 0 when it may be sent, or how many
 * milliseconds to wait before asking again.  Raises MA012 and MA013 when limits
 * allow it never, or not before deadline (by memai_http_clock).
 */
extern int64 memai_usage_begin(MemaiUsageCall *call, MemaiAttempt *attempt, int number,
							   const char *body, size_t body_len, int max_output, int64 deadline);

/*
 * Call it just before the attempt is sent: from here on it may cost something,
 * and the ledger knows of it even if the server crashes (when preloaded).
 */
extern void memai_usage_sent(MemaiAttempt *attempt);

/* Records an answer that came from a cache and cost nothing; needs a transaction. */
extern void memai_usage_cached(const MemaiModel *model, MemaiOperation operation);

/* Hands an answer to receive and ends the attempt by how that went. */
extern void memai_usage_receive(MemaiAttempt *attempt,
								void (*receive) (void *state, int index, const char *body, size_t len),
								void *state, int index, const char *body, size_t len);

/*
 * What the answer that is being received cost, as the provider reports it; -1:
 * not reported.  text is what it says, NULL for none.
 */
extern void memai_usage_reported(int prompt_tokens, int completion_tokens, const char *text);

/* Ends an attempt whose answer was read as it came; text is all of it. */
extern void memai_usage_streamed(MemaiAttempt *attempt, int prompt_tokens, int completion_tokens,
								 const char *text);

/* Ends an attempt that failed; unclear: nobody knows whether the provider did the work. */
extern void memai_usage_failed(MemaiAttempt *attempt, int sqlstate, bool unclear);

/*
 * Ends a call that went well: without shared memory its records are written
 * now, so a transaction must be open.
 */
extern void memai_usage_close(MemaiUsageCall *call);

/* Counts a call of a model in the server that began then. */
extern void memai_usage_local(const MemaiModel *model, MemaiOperation operation, instr_time start);

/* What tokens of model cost; NaN when it has no price. */
extern double memai_usage_cost(const MemaiModel *model, int64 prompt_tokens, int64 completion_tokens);

extern void memai_usage_init(void);

/* ---- limit.c ---- */

/*
 * The limits that a call falls under, with their buckets pinned one by one:
 * *n grows with each, so that they can be given back after an error.  Palloc'd
 * in the current context before the first is pinned.
 */
extern void memai_limits_match(const char *model, Oid role, const char *user_id,
							   MemaiLimit **limits, int *n);

/* Is anything limited by user? */
extern bool memai_limits_by_user(void);

#endif							/* MEMAI_MODEL_USAGE_H */
