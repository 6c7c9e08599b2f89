/*
 * share.c
 *	  Jobs that ask one model and share its requests.
 *
 *	  claim the lead -> prepare it -> claim those that may join -> prepare each
 *		-> one call for all -> finish each
 *
 * Every step is a transaction of its own, as the role that submitted all of
 * them, with their tenant.  Each job keeps its own lease and its own error: one
 * that cannot be prepared or finished fails alone, one with too much to share
 * is given back and is the next to be claimed.  A call that fails because of
 * the model fails all of them; one whose failure may be one job's fault is
 * forgotten, and each is done by itself.
 *
 * A job that was lost with its worker shares nothing again: what kills a worker
 * costs the others one attempt.
 */
#include "postgres.h"

#include "job/job_int.h"
#include "miscadmin.h"

#define JOBS_MAX 100
/* texts after which nobody joins any more */
#define TEXTS_MAX 1000

/* the jobs that share, and what each of them asks */
typedef struct Sharers
{
	const MemaiJobSharing *sharing;
	int			njobs;
	MemaiJob   *jobs[JOBS_MAX];
	void	   *shares[JOBS_MAX];
	int			ntexts;
	void	   *prepared;		/* by the last step */
	int			prepared_texts;
} Sharers;

static void
fail_if(MemaiJobRunner *runner, MemaiJob *job, const ErrorData *error)
{
	if (error != NULL)
		memai_job_fail(runner, job, error);
}

/* ---- bodies of steps ---- */

/* the lead: what it cannot share it does in the same transaction */
static Jsonb *
prepare_or_handle(MemaiJob *job, MemaiJobStep *step)
{
	Sharers	   *group = step->state;

	group->prepared = group->sharing->prepare(job, &group->prepared_texts);
	step->completes = group->prepared == NULL;
	return step->completes ? memai_job_handler(job->kind) (job) : NULL;
}

static Jsonb *
prepare(MemaiJob *job, MemaiJobStep *step)
{
	Sharers	   *group = step->state;

	group->prepared = group->sharing->prepare(job, &group->prepared_texts);
	return NULL;
}

static Jsonb *
call(MemaiJob *job, MemaiJobStep *step)
{
	Sharers	   *group = step->state;

	group->sharing->call(group->njobs, group->shares);
	return NULL;
}

/* state is the group; prepared is the job's share */
static Jsonb *
finish(MemaiJob *job, MemaiJobStep *step)
{
	Sharers	   *group = step->state;

	return group->sharing->finish(job, group->prepared);
}

/* ---- the group ---- */

static void
add_prepared(Sharers *group, MemaiJob *job)
{
	group->jobs[group->njobs] = job;
	group->shares[group->njobs++] = group->prepared;
	group->ntexts += group->prepared_texts;
}

/* how many may join the lead */
static int
companions_max(const MemaiJobRunner *runner)
{
	int64		room = runner->max_jobs > 0 ? runner->max_jobs - runner->done - runner->failed - 1 : JOBS_MAX;

	return (int) Max(Min(room, JOBS_MAX - 1), 0);
}

static void
join_companions(MemaiJobRunner *runner, Sharers *group)
{
	int			max = companions_max(runner);
	MemaiJob  **jobs;
	int			n;

	if (max == 0 || group->ntexts >= TEXTS_MAX)
		return;
	n = memai_job_claim_companions(runner, group->jobs[0], max, &jobs);
	for (int i = 0; i < n; i++)
	{
		MemaiJobStep step = {prepare, group, false};
		ErrorData  *error = NULL;

		group->prepared = NULL;
		if (runner->stopped == NULL && group->ntexts < TEXTS_MAX)
			error = memai_job_step(runner, jobs[i], &step);
		fail_if(runner, jobs[i], error);
		if (error == NULL && group->prepared == NULL)
			memai_job_give_back(runner, jobs[i]);
		else if (error == NULL)
			add_prepared(group, jobs[i]);
	}
}

/* can a call have failed because of the texts of one of the jobs? */
static bool
is_of_one_job(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_MEMAI_REFUSED:
		case ERRCODE_MEMAI_FILTERED:
		case ERRCODE_MEMAI_TRUNCATED:
		case ERRCODE_MEMAI_CONTEXT_TOO_LONG:
		case ERRCODE_MEMAI_BAD_RESPONSE:
			return true;
		case ERRCODE_QUERY_CANCELED:
			return false;
		default:
			/* not of the class MA */
			return unpack_sql_state(sqlstate)[0] != 'M';
	}
}

/* true when the model has answered; else what became of the jobs is stored */
static bool
call_for_all(MemaiJobRunner *runner, Sharers *group)
{
	MemaiJobStep step = {call, group, false};
	ErrorData  *error = runner->stopped;

	if (error == NULL)
		error = memai_job_step(runner, group->jobs[0], &step);
	if (error == NULL)
		return true;
	for (int i = 0; i < group->njobs; i++)
	{
		bool		alone = group->njobs > 1 && runner->stopped == NULL && is_of_one_job(error->sqlerrcode);

		fail_if(runner, group->jobs[i], alone ? memai_job_handle(runner, group->jobs[i]) :
				runner->stopped ? runner->stopped : error);
	}
	return false;
}

void
memai_job_share(MemaiJobRunner *runner, MemaiJob *lead, const MemaiJobSharing *sharing)
{
	Sharers	   *group = palloc0(sizeof(Sharers));
	MemaiJobStep first = {prepare_or_handle, group, true};
	ErrorData  *error;

	group->sharing = sharing;
	error = memai_job_step(runner, lead, &first);
	fail_if(runner, lead, error);
	if (error != NULL || group->prepared == NULL)
		return;
	add_prepared(group, lead);
	join_companions(runner, group);
	if (!call_for_all(runner, group))
		return;
	for (int i = 0; i < group->njobs; i++)
	{
		MemaiJobStep step = {finish, group, true};

		group->prepared = group->shares[i];
		fail_if(runner, group->jobs[i], runner->stopped ? runner->stopped : memai_job_step(runner, group->jobs[i], &step));
	}
}
