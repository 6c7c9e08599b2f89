/*
 * job_int.h
 *	  What the files of job/ share.  Private to job/.
 */
#ifndef MEMAI_JOB_INT_H
#define MEMAI_JOB_INT_H

#include "executor/spi.h"
#include "job/job.h"
#include "utils/array.h"

#define MEMAI_CLAIM_MAX_JOBS 1000

/* ---- kind.c ---- */

/* The handler of a kind, NULL for kinds that only clients claim. */
extern MemaiJobHandler memai_job_handler(const char *kind);

/* How jobs of the kind share requests; NULL when they do not. */
extern const MemaiJobSharing *memai_job_sharing(const char *kind);
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
 * Claims jobs that are due, most urgent first, and leaves them as the first rows of SPI_tuptable
 * with the columns of memai.claim: returns how many.  Jobs whose last attempt
 * never reported are failed on the way, and their kind is told.  The caller is connected to SPI.
 */
extern uint64 memai_claim_run(const MemaiClaim *claim);

/*
 * The same for up to max jobs that can share the requests of one that was
 * claimed: of its kind, model, tenant, role and priority, and never lost by a
 * worker that died.
 */
extern uint64 memai_claim_companions(const MemaiJob *lead, int max, Interval *lease_time);

/* A row of a claim, in the current context. */
extern MemaiJob *memai_claim_job(const SPITupleTable *table, int number);

/* True when the current role has the rights of memai_admin. */
extern bool memai_job_admin(void);

/* ---- transaction.c ---- */

/*
 * Begins a transaction, where the runner is not in one always, with a snapshot
 * and a safe search_path; ends it.  The current context stays what it is.
 */
extern void memai_job_open_transaction(const MemaiJobRunner *runner);
extern void memai_job_close_transaction(const MemaiJobRunner *runner);

/* Rolls back, after an error, whatever it left open. */
extern void memai_job_abandon_transaction(const MemaiJobRunner *runner);

/* The job whose submitter is meant by what follows. */
extern void memai_job_set_current(const MemaiJobRunner *runner, const MemaiJob *job);

/*
 * Goes on in a subtransaction as the submitter, with his tenant, and back again.
 * Raises 42501 when his role is gone.
 */
extern void memai_job_become_submitter(void);
extern void memai_job_become_runner(void);

/* ---- run.c ---- */

/* One step of a job as its submitter, in a transaction that ends with it. */
typedef struct MemaiJobStep
{
	Jsonb	   *(*body) (MemaiJob *job, struct MemaiJobStep *step);
	void	   *state;
	bool		completes;		/* the job is done with it, and has its result;
								 * the body may say otherwise */
} MemaiJobStep;

/* Runs a step; its error, in the current context, with everything rolled back, or NULL. */
extern ErrorData *memai_job_step(MemaiJobRunner *runner, MemaiJob *job, MemaiJobStep *step);

/* Lets the handler do the job; its error or NULL. */
extern ErrorData *memai_job_handle(MemaiJobRunner *runner, MemaiJob *job);

/* Is it the model's state and not the job that an error is about? */
extern bool memai_job_model_rests(int sqlstate);

/* Stores an error with its job. */
extern void memai_job_fail(MemaiJobRunner *runner, const MemaiJob *job, const ErrorData *error);

/* Claims those that can share requests with the lead, and commits that; returns how many, palloc'd. */
extern int	memai_job_claim_companions(MemaiJobRunner *runner, const MemaiJob *lead, int max, MemaiJob ***jobs);

/* Gives a claimed job back as it was before, to be the next. */
extern void memai_job_give_back(MemaiJobRunner *runner, const MemaiJob *job);

/* ---- share.c ---- */

/*
 * Does a claimed job of a kind that shares requests, and those that join it.
 * Their errors are stored with them.
 */
extern void memai_job_share(MemaiJobRunner *runner, MemaiJob *lead, const MemaiJobSharing *sharing);

#endif							/* MEMAI_JOB_INT_H */
