/*
 * transaction.c
 *	  The transactions in which jobs run, and whose rights they have there.
 *
 * The background worker begins and ends its transactions itself; a procedure is
 * in one always and commits through SPI.  A handler runs in a subtransaction, as
 * the submitter under SECURITY_RESTRICTED_OPERATION; around a call of a model
 * both end, and begin again after it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "job/job_int.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* the job that this process is running; a process runs one at a time */
static struct
{
	const MemaiJobRunner *runner;
	const MemaiJob *job;
	MemaiJobWork work;			/* while a call waits */
	/* while the submitter's rights are in force */
	Oid			user;
	int			sec_context;
	int			nest_level;
	ResourceOwner owner;
}			current;

void
memai_job_set_current(const MemaiJobRunner *runner, const MemaiJob *job)
{
	current.runner = runner;
	current.job = job;
}

/* ---- transactions ---- */

/* begins a transaction (a procedure is in one already) with a snapshot and a safe search_path */
void
memai_job_open_transaction(const MemaiJobRunner *runner)
{
	MemoryContext old = CurrentMemoryContext;

	if (runner->background)
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
	}
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(old);
}

void
memai_job_close_transaction(const MemaiJobRunner *runner)
{
	MemoryContext old = CurrentMemoryContext;

	PopActiveSnapshot();
	if (runner->background)
	{
		CommitTransactionCommand();
		pgstat_report_stat(false);
	}
	else
		SPI_commit();
	MemoryContextSwitchTo(old);
}

/* after an error, whatever it left open */
void
memai_job_abandon_transaction(const MemaiJobRunner *runner)
{
	memai_wait_set_hooks(NULL);
	while (GetCurrentTransactionNestLevel() > 1)
		RollbackAndReleaseCurrentSubTransaction();
	if (runner->background)
	{
		AbortCurrentTransaction();
		pgstat_report_stat(false);
	}
	else
	{
		while (ActiveSnapshotSet())
			PopActiveSnapshot();
		SPI_rollback();
	}
}

/* deferred triggers may not be queued under SECURITY_RESTRICTED_OPERATION */
static void
set_constraints(bool deferred)
{
	ConstraintsSetStmt *statement = makeNode(ConstraintsSetStmt);

	statement->deferred = deferred;
	AfterTriggerSetState(statement);
}

/* ---- whose rights ---- */

void
memai_job_become_submitter(void)
{
	const MemaiJob *job = current.job;
	MemoryContext old = CurrentMemoryContext;
	Oid			role;

	current.owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	role = get_role_oid(job->submitted_by, true);
	if (!OidIsValid(role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", which submitted the job, does not exist", job->submitted_by)));
	set_constraints(false);
	GetUserIdAndSecContext(&current.user, &current.sec_context);
	current.nest_level = NewGUCNestLevel();
	(void) set_config_option("memai.tenant", text_to_cstring(job->scope.tenant), PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("memai.user_id", "", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(role, current.sec_context | SECURITY_RESTRICTED_OPERATION);
}

void
memai_job_become_runner(void)
{
	MemoryContext old = CurrentMemoryContext;

	AtEOXact_GUC(false, current.nest_level);
	SetUserIdAndSecContext(current.user, current.sec_context);
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = current.owner;
}

void
memai_job_own_begin(void)
{
	Oid			user;
	int			sec_context;

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(user, sec_context & ~SECURITY_RESTRICTED_OPERATION);
	set_constraints(true);
}

void
memai_job_own_end(void)
{
	Oid			user;
	int			sec_context;

	/* checks what was put off, now that it can be right */
	set_constraints(false);
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(user, sec_context | SECURITY_RESTRICTED_OPERATION);
}

static void
leave(void)
{
	memai_job_become_runner();
	memai_job_close_transaction(current.runner);
}

static void
enter(void)
{
	memai_job_open_transaction(current.runner);
	memai_job_become_submitter();
}

void
memai_job_commit(void)
{
	leave();
	enter();
}

static const MemaiWaitHooks wait_hooks = {leave, enter};

void
memai_job_call_begin(void)
{
	memai_wait_set_hooks(&wait_hooks);
}

/* a piece of the handler's work in a transaction of its own */
static bool
work(void)
{
	MemoryContext old = CurrentMemoryContext;

	if (!current.work.wanted(current.work.state))
		return false;
	enter();
	current.work.run(current.work.state);
	MemoryContextSwitchTo(old);
	leave();
	return true;
}

void
memai_job_call_begin_with(const MemaiJobWork *new_work)
{
	current.work = *new_work;
	memai_wait_set_hooks(&wait_hooks);
	memai_wait_set_work(work);
}

void
memai_job_call_end(void)
{
	memai_wait_set_hooks(NULL);
}
