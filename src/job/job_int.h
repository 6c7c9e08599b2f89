/*
 * job_int.h
 *	  What the files of job/ share.  Private to job/.
 */
#ifndef MEMAI_JOB_INT_H
#define MEMAI_JOB_INT_H

#include "job/job.h"
#include "utils/array.h"

#define MEMAI_CLAIM_MAX_JOBS 1000

/* ---- kind.c ---- */

/* The handler of a kind, NULL for kinds that only clients claim. */
extern MemaiJobHandler memai_job_handler(const char *kind);

/* What follows from a failed attempt of the job's kind. */
extern void memai_job_failed(const MemaiJob *job, const ErrorData *error);

/* The kinds that have a handler, text[], palloc'd. */
extern ArrayType *memai_job_kinds(void);

/* ---- clean.c ---- */

extern void memai_job_clean_init(void);

/* ---- claim.c ---- */

typedef struct MemaiClaim
{
	ArrayType  *kinds;
	int			max_jobs;
	Interval   *lease_time;
	bool		all_tenants;	/* else the current tenant */
	bool		worker;			/* all tenants, and no model that keeps the other
								 * workers busy */
	char	   *submitted_by;	/* only this role's jobs; NULL: any */
} MemaiClaim;

/*
 * Claims jobs that are due, most urgent first, and leaves them in SPI_tuptable
 * with the columns of memai.claim: returns how many.  Jobs whose last attempt
 * never reported are failed on the way.  The caller is connected to SPI.
 */
extern uint64 memai_claim_run(const MemaiClaim *claim);

/* True when the current role has the rights of memai_admin. */
extern bool memai_job_admin(void);

#endif							/* MEMAI_JOB_INT_H */
