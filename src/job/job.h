/*
 * job.h
 *	  The queue of background work, and who does it: kinds of jobs register a
 *	  handler here, memai.run_jobs and the background worker run them.
 */
#ifndef MEMAI_JOB_H
#define MEMAI_JOB_H

#include "core/core.h"
#include "utils/jsonb.h"

/*
 * A claimed job as its handler sees it; everything is palloc'd in the context
 * that is current while the handler runs, which lives as long as the job.
 */
typedef struct MemaiJob
{
	MemaiScope	scope;
	pg_uuid_t	id;
	pg_uuid_t	lease;
	char	   *kind;
	char	   *model;			/* empty: none */
	Jsonb	   *payload;
	char	   *submitted_by;
	int			attempts;		/* this one included */
} MemaiJob;

/* ---- kind.c ---- */

/*
 * Does one job and returns its result, or NULL.  Runs in a transaction, as the
 * role that submitted the job, with its tenant, under
 * SECURITY_RESTRICTED_OPERATION, not connected to SPI.  What it writes is
 * stored together with the job's completion, or not at all, but for what
 * memai_job_checkpoint has committed.  It fails by raising an error.  What
 * must survive a checkpoint or a model call is palloc'd in the context that is
 * current on entry.
 */
typedef Jsonb *(*MemaiJobHandler) (MemaiJob *job);

/* Called by the init functions of upper modules; kind is a constant string. */
extern void memai_job_register(const char *kind, MemaiJobHandler handler);

/*
 * How jobs of a kind that call the same model share its requests, when they
 * are of one tenant and were submitted by one role.  All three are called as
 * handlers are, in transactions of their own; what they return lives as long as
 * the jobs.
 */
typedef struct MemaiJobSharing
{
	/*
	 * Reads what the model is to be asked, and how many texts that is; what
	 * it writes is committed.  NULL: the handler does this job, because its
	 * model runs in this process or there is too much for a share.
	 */
	void	   *(*prepare) (MemaiJob *job, int *ntexts);
	/* Asks for all of them, between memai_job_call_begin and memai_job_call_end. */
	void		(*call) (int njobs, void **shares);
	/* Stores what came for a job; returns its result as the handler would. */
	Jsonb	   *(*finish) (MemaiJob *job, void *share);
} MemaiJobSharing;
extern void memai_job_register_sharing(const char *kind, const MemaiJobSharing *sharing);

/*
 * What a kind does when an attempt of it failed, or when its last one was lost
 * with its worker (57P02; whoever claims jobs next finds that out), in the transaction that
 * stores the error, as whoever runs or claims jobs.  It must not raise errors, nor use SPI.
 */
typedef void (*MemaiJobFailed) (const MemaiJob *job, const ErrorData *error);
extern void memai_job_register_failed(const char *kind, MemaiJobFailed failed);

/* A string or number of the payload as text, palloc'd; NULL when it is absent or null. */
extern char *memai_job_payload_text(const MemaiJob *job, const char *key);

/* ---- submit.c ---- */

/*
 * Submits a job that is due at once, as memai.submit_job does, unless one waits under dedupe_key in the scope; that one is
 * not claimed before this transaction ends.  payload: a JSON object; priority: 0..2.  The caller is connected to SPI and
 * has stored what the job is to find.
 */
extern void memai_job_submit_once(const MemaiScope *scope, const char *kind, const char *payload, const char *model,
								  int priority, const char *dedupe_key);

/* ---- run.c ---- */

/*
 * For handlers, not connected to SPI: commits what the job wrote so far, with
 * its progress, renews its lease and goes on in a new transaction.  Raises
 * 55006 when the lease is lost and 57014 when the job was cancelled; then
 * nothing is committed.
 */
extern void memai_job_checkpoint(MemaiJob *job, int64 done, int64 total);

/* For handlers, not connected to SPI: commits what the job wrote so far and goes on in a new transaction. */
extern void memai_job_commit(void);

/*
 * For handlers: model calls between begin and end wait outside of any
 * transaction (core/wait.c): what was written before is committed.  Not
 * connected to SPI, and with nothing allocated in the transaction's context.
 */
extern void memai_job_call_begin(void);
extern void memai_job_call_end(void);

/*
 * The same, with work for the time that calls wait: run is called in a
 * transaction like the handler's own, which ends with it, and may checkpoint;
 * wanted, outside of any, says whether there is something to run now.
 */
typedef struct MemaiJobWork
{
	bool		(*wanted) (void *state);
	void		(*run) (void *state);
	void	   *state;
} MemaiJobWork;
extern void memai_job_call_begin_with(const MemaiJobWork *work);

/*
 * For handlers: between begin and end runs what is memai's own and needs its
 * deferred foreign keys (memai.remember, when a slot gets another value).  In
 * there SECURITY_RESTRICTED_OPERATION, under which nothing can be deferred, is
 * off: nothing that a user wrote may run.
 */
extern void memai_job_own_begin(void);
extern void memai_job_own_end(void);

/* where jobs are run, and what became of them so far */
typedef struct MemaiJobRunner
{
	bool		background;		/* own transactions; else in a procedure */
	bool		all_tenants;	/* else only what the current role submitted */
	MemoryContext context;		/* outlives transactions */
	int64		done;
	int64		failed;			/* attempts that raised an error */
	int64		max_jobs;		/* of both; 0: any number */
	ErrorData  *stopped;		/* what ended the caller's own statement; NULL */
	/* background: called in the transaction that claims or finishes a job */
	void		(*claimed) (const MemaiJob *job);
	void		(*joined) (int n, MemaiJob **jobs);	/* beside the one that was claimed */
	void		(*finished) (const struct MemaiJobRunner *runner);
} MemaiJobRunner;

/*
 * Claims one job that is due and has a handler, with those that can share its
 * requests, runs them and stores what came of each; false when there is none.  Errors of the job are stored with it and
 * not raised, except a cancel of the foreground's statement.  background: call
 * outside of a transaction; else in a procedure connected to SPI non-atomically.
 */
extern bool memai_job_run_next(MemaiJobRunner *runner);

/* ---- claim.c ---- */

/*
 * Milliseconds until a job will be due that memai does itself, at most limit.
 * For workers: outside of a transaction, which it begins and ends.
 */
extern long memai_job_next_due(long limit);

/* ---- clean.c ---- */

/* Removes finished jobs that are older than memai.job_retention, in a transaction of its own; for workers. */
extern void memai_job_clean(void);

/* ---- wake.c ---- */

/* Commits of transactions that submitted jobs wake the workers from now on. */
extern void memai_job_init(void);

#endif							/* MEMAI_JOB_H */
