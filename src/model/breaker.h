/*
 * breaker.h
 *	  Circuit breakers, rests and retry budgets of models.  Private to model/.
 */
#ifndef MEMAI_MODEL_BREAKER_H
#define MEMAI_MODEL_BREAKER_H

#include "core/core.h"

/* ---- breaker.c ---- */

typedef enum MemaiBreakerState
{
	MEMAI_BREAKER_CLOSED,		/* requests pass */
	MEMAI_BREAKER_OPEN,			/* requests are refused */
	MEMAI_BREAKER_HALF_OPEN		/* one request is out to see */
} MemaiBreakerState;

typedef enum MemaiAdmitted
{
	MEMAI_ADMITTED,
	MEMAI_ADMITTED_AS_PROBE,	/* report how it ended, or release it */
	MEMAI_ADMITTED_LATER,		/* ask again after wait milliseconds */
	MEMAI_NOT_ADMITTED			/* not for another wait milliseconds */
} MemaiAdmitted;

typedef struct MemaiAdmission
{
	MemaiAdmitted verdict;
	int64		wait;			/* milliseconds */
	int			sqlstate;		/* NOT_ADMITTED: of the failure that opened it */
} MemaiAdmission;

/* how a request that was admitted ended, as far as the model's health goes */
typedef enum MemaiOutcome
{
	MEMAI_OUTCOME_ALIVE,		/* it answered, be it with an error */
	MEMAI_OUTCOME_FAILED,		/* it is down, or overloaded */
	MEMAI_OUTCOME_USELESS		/* it answered that no request will succeed */
} MemaiOutcome;

/*
 * Asks whether a request to the model of this database may be sent now.  is_retry: it
 * repeats one that failed.  patience is how many milliseconds the caller would
 * wait.  Never blocks, raises nothing.
 */
extern MemaiAdmission memai_breaker_admit(const char *model, bool is_retry, int64 patience);

/*
 * Reports the end of a request.  rest is how many milliseconds the provider
 * asked to be left alone, 0 for none.
 */
extern void memai_breaker_report(const char *model, MemaiOutcome outcome, int sqlstate, int64 rest);

/* Gives a probe back that was not sent or whose end nobody learnt. */
extern void memai_breaker_release(const char *model);

/*
 * True, and the budget is charged, when a failed request may be repeated:
 * the model is not resting and its retries are still a small share of its
 * requests.
 */
extern bool memai_breaker_take_retry(const char *model);

/* what a session can see of a model's health */
typedef struct MemaiHealth
{
	MemaiBreakerState state;
	int			failures_in_a_row;
	int64		rests_for;		/* milliseconds until requests pass again */
	int64		requests;
	int64		failures;
	int64		retries;
	int64		refused;
	int			sqlstate;		/* of the last failure, 0: none */
	TimestampTz failed_at;		/* 0: never */
} MemaiHealth;

/* False when nothing is known of the model. */
extern bool memai_breaker_health(const char *model, MemaiHealth *health);

/* Closes the model's breaker and forgets its failures. */
extern void memai_breaker_reset(const char *model);

/* True when all sessions share what is known: memai is preloaded. */
extern bool memai_breaker_shared(void);

/*
 * What this session learnt and the table memai._model_rest does not know: the
 * next model that began to rest, with the milliseconds left; false when there
 * is none.  Each is returned once.
 */
extern bool memai_breaker_next_unsaved(char **model, int64 *rests_for, int *sqlstate);

/* Takes a rest over that another session wrote down. */
extern void memai_breaker_learn(const char *model, int64 rests_for, int sqlstate, TimestampTz until);

extern void memai_breaker_init(void);

/* ---- breaker_table.c ---- */

/*
 * Without preloading, tells other sessions what this one learnt, and learns
 * what they wrote of the model.  Runs SPI; needs a transaction.
 */
extern void memai_breaker_exchange(const char *model);

#endif							/* MEMAI_MODEL_BREAKER_H */
