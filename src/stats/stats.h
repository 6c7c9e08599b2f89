/*
 * stats.h
 *	  What calls of models cost: a record for every attempt, counters for
 *	  monitoring, limits that calls reserve room in.  Knows no model, provider
 *	  or request.
 */
#ifndef MEMAI_STATS_H
#define MEMAI_STATS_H

#include "core/core.h"

/* True when memai has shared memory: it was in shared_preload_libraries. */
extern bool memai_stats_preloaded(void);

/* ---- record.c: the ledger ---- */

typedef enum MemaiOperation
{
	MEMAI_OPERATION_EMBED,
	MEMAI_OPERATION_COMPLETE,
	MEMAI_OPERATION_STREAM,
	MEMAI_OPERATION_RERANK
} MemaiOperation;

typedef enum MemaiUsageStatus
{
	MEMAI_USAGE_OK,
	MEMAI_USAGE_ERROR,			/* no answer that costs anything */
	MEMAI_USAGE_UNKNOWN			/* cut off: nobody knows what it cost */
} MemaiUsageStatus;

/* one attempt of a call, or an answer from a cache; strings may be NULL but model */
typedef struct MemaiUsage
{
	TimestampTz at;				/* when it began */
	Oid			role;
	const char *user_id;
	const char *tenant;
	const char *model;
	const char *credential;		/* name of the key that was sent */
	MemaiOperation operation;
	MemaiUsageStatus status;
	int			sqlstate;		/* 0: none, or not known */
	int64		prompt_tokens;	/* -1: not known */
	int64		completion_tokens;
	bool		estimated;		/* tokens are memai's estimate */
	double		cost;			/* NaN: not known */
	double		latency;		/* milliseconds */
	int			attempt;		/* from 1; 0: nothing was sent */
	bool		cached;
	bool		counted;		/* a further user's part of an attempt that was put */
	uint64		announced;		/* by memai_usage_announce, 0: not */
} MemaiUsage;

/*
 * Preloaded: writes down that an attempt is about to be sent, with what it is
 * to be recorded as should the server crash, and sets usage->announced.  The
 * record that follows carries that and has the same strings.  Raises nothing.
 */
extern void memai_usage_announce(MemaiUsage *usage);

/*
 * Preloaded: adds the record to shared memory and the counters, whatever
 * becomes of the transaction.  Needs no transaction, raises nothing; a record
 * that finds no room is counted as dropped.
 */
extern void memai_usage_put(const MemaiUsage *usage);

/* Adds to the counters only: for calls that cost nothing. */
extern void memai_usage_count(const MemaiUsage *usage);

/*
 * Not preloaded: writes the record into the table, with the rights of its
 * owner, as a part of the transaction.  Does nothing in a transaction that
 * cannot write.
 */
extern void memai_usage_store(const MemaiUsage *usage);

/*
 * Moves this database's records from shared memory into the table, with the
 * rights of its owner; back again should the transaction abort.  Returns their
 * number.  Does nothing in a transaction that cannot write.
 */
extern int64 memai_usage_flush(void);

/* Is shared memory for records fuller than that share (0 to 1)? */
extern bool memai_usage_fuller_than(double share);

/* ---- limit.c: limits, in shared memory ---- */

#define MEMAI_LIMIT_NAME_SIZE 104

/* what a limit has in common with other calls: zero it first, it is hashed */
typedef struct MemaiLimitKey
{
	uint64		rule;			/* hash of what the rule names */
	uint64		model;			/* hashes of names, 0 when calls share */
	uint64		user;
	Oid			role;
	Oid			database;
} MemaiLimitKey;

typedef struct MemaiLimitBucket MemaiLimitBucket;

/* a rule that a call falls under; a limit of 0 is none */
typedef struct MemaiLimit
{
	MemaiLimitKey key;
	char		model[MEMAI_LIMIT_NAME_SIZE];	/* for display, cut */
	char		user[MEMAI_LIMIT_NAME_SIZE];
	int64		requests_per_minute;
	int64		tokens_per_minute;
	int64		concurrent_calls;
	int64		daily_tokens;
	double		daily_cost;
	MemaiLimitBucket *bucket;	/* set by memai_limit_pin */
} MemaiLimit;

/* what was used before there was a bucket */
typedef struct MemaiLimitHistory
{
	int64		requests;		/* of the last minute */
	int64		tokens;
	int64		day_tokens;		/* since midnight UTC */
	double		day_cost;
} MemaiLimitHistory;

typedef enum MemaiLimitKind
{
	MEMAI_LIMIT_NONE,
	MEMAI_LIMIT_REQUESTS,
	MEMAI_LIMIT_TOKENS,
	MEMAI_LIMIT_CONCURRENT,
	MEMAI_LIMIT_DAILY_TOKENS,
	MEMAI_LIMIT_DAILY_COST
} MemaiLimitKind;

/* why there is no room, and until when */
typedef struct MemaiLimitVerdict
{
	MemaiLimitKind kind;		/* NONE: room was reserved */
	int			index;			/* of the limit */
	int64		wait;			/* milliseconds until there may be room; -1: a
								 * call of this size never fits */
	double		used;			/* with what is reserved */
	double		most;
} MemaiLimitVerdict;

/*
 * Finds the bucket of a limit; false when there is none.  A bucket that was
 * found stays until memai_limit_unpin.  Pin with history makes one, and raises
 * 53400 when there is no room for it.
 */
extern bool memai_limit_pin(MemaiLimit *limit, const MemaiLimitHistory *history);
extern void memai_limit_unpin(MemaiLimit *limit);

/*
 * Reserves room for one call in all of n limits, or in none of them.  *slice
 * is for settling.  Raises nothing.
 */
extern void memai_limit_reserve(int n, MemaiLimit *limits, int64 tokens, double cost,
								int64 *slice, MemaiLimitVerdict *verdict);

/* Gives the reservation back and charges what was used instead.  Raises nothing. */
extern void memai_limit_settle(int n, MemaiLimit *limits, int64 slice, int64 tokens, double cost,
							   int64 used_tokens, double used_cost);

/* ---- audit.c ---- */

/*
 * Writes a row of the audit log, as a part of the transaction: what the current
 * role did (the name of an SQL function) to which object.  Pairs of a name and
 * a value (NULL: left out) follow, at most 8, then NULL.  Needs a transaction that can
 * write, and runs under a fixed search_path.  Never pass a secret.
 */
extern void memai_audit(const char *action, const char *object,...);

extern void memai_stats_init(void);

#endif							/* MEMAI_STATS_H */
