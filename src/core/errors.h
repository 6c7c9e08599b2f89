/*
 * errors.h
 *	  memai's own SQLSTATE class MA: what a model provider can answer other
 *	  than success.  Applications branch on these, so a code never changes its
 *	  meaning.  Everything else uses PostgreSQL's standard codes.
 */
#ifndef MEMAI_CORE_ERRORS_H
#define MEMAI_CORE_ERRORS_H

#include "utils/elog.h"

/* the provider answered something that is none of the cases below */
#define ERRCODE_MEMAI_PROVIDER_ERROR	MAKE_SQLSTATE('M', 'A', '0', '0', '0')
/* credentials missing, wrong or without the right to this model */
#define ERRCODE_MEMAI_AUTH				MAKE_SQLSTATE('M', 'A', '0', '0', '1')
/* the account's quota or credit is used up; waiting does not help */
#define ERRCODE_MEMAI_QUOTA				MAKE_SQLSTATE('M', 'A', '0', '0', '2')
/* too many requests or tokens a minute; waiting helps */
#define ERRCODE_MEMAI_RATE_LIMIT		MAKE_SQLSTATE('M', 'A', '0', '0', '3')
/* the provider is overloaded or down (5xx) */
#define ERRCODE_MEMAI_OVERLOADED		MAKE_SQLSTATE('M', 'A', '0', '0', '4')
/* a deadline of memai's passed before the answer was complete */
#define ERRCODE_MEMAI_TIMEOUT			MAKE_SQLSTATE('M', 'A', '0', '0', '5')
/* the provider rejected the request as malformed or not allowed */
#define ERRCODE_MEMAI_REFUSED			MAKE_SQLSTATE('M', 'A', '0', '0', '6')
/* a content filter stopped the request or the answer */
#define ERRCODE_MEMAI_FILTERED			MAKE_SQLSTATE('M', 'A', '0', '0', '7')
/* the answer ended before its terminal marker */
#define ERRCODE_MEMAI_TRUNCATED			MAKE_SQLSTATE('M', 'A', '0', '0', '8')
/* the input does not fit the model's context window */
#define ERRCODE_MEMAI_CONTEXT_TOO_LONG	MAKE_SQLSTATE('M', 'A', '0', '0', '9')
/* the answer is not what the wire format promises */
#define ERRCODE_MEMAI_BAD_RESPONSE		MAKE_SQLSTATE('M', 'A', '0', '1', '0')
/* the model is resting after repeated failures */
#define ERRCODE_MEMAI_BREAKER_OPEN		MAKE_SQLSTATE('M', 'A', '0', '1', '1')
/* a budget that an administrator set is spent */
#define ERRCODE_MEMAI_BUDGET_SPENT		MAKE_SQLSTATE('M', 'A', '0', '1', '2')
/* a limit of requests or tokens that an administrator set; waiting helps */
#define ERRCODE_MEMAI_LIMIT				MAKE_SQLSTATE('M', 'A', '0', '1', '3')

#endif							/* MEMAI_CORE_ERRORS_H */
