/*
 * wake.c
 *	  Waking workers when a transaction that submitted jobs commits.
 *
 * Workers leave their process ids in memai._worker.  The trigger on
 * memai.job reads them in the submitting transaction; the commit callback,
 * where nothing may fail, sets their latches.  A stale id costs a spurious
 * wake-up of another process; a worker that starts in between looks for jobs
 * when it starts, and all workers look every memai.worker_naptime anyway.
 *
 * A prepared transaction has no such callback when it is committed, possibly
 * by another session: a utility hook wakes the workers after every COMMIT
 * PREPARED of sessions that have this library loaded (all, when preloaded).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "commands/trigger.h"
#include "job/job_int.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define WORKERS_MAX 64

static int	worker_pids[WORKERS_MAX];
static int	nworkers = 0;
static ProcessUtility_hook_type next_utility_hook = NULL;

static MemaiStatement read_latches = {
	"SELECT pid FROM memai._worker", 0, {0}, NULL
};

PG_FUNCTION_INFO_V1(memai_job_replicated);
PG_FUNCTION_INFO_V1(memai_job_submitted);

/* connected to SPI: whom to wake when this transaction commits */
static void
read_workers(void)
{
	int			n = (int) memai_statement_run(&read_latches, NULL, NULL, true, WORKERS_MAX);
	bool		isnull;

	for (nworkers = 0; nworkers < n; nworkers++)
		worker_pids[nworkers] = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[nworkers],
															SPI_tuptable->tupdesc, 1, &isnull));
}

static void
wake_workers(void)
{
	for (int i = 0; i < nworkers; i++)
	{
		PGPROC	   *proc = BackendPidGetProc(worker_pids[i]);

		if (proc != NULL)
			SetLatch(&proc->procLatch);
	}
	nworkers = 0;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT)
		wake_workers();
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		nworkers = 0;
}

/* trigger: after insert on memai.job, for each statement */
Datum
memai_job_submitted(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("_job_submitted is a trigger function")));
	if (nworkers == 0)
	{
		SPI_connect();
		read_workers();
		SPI_finish();
	}
	return PointerGetDatum(NULL);
}

/*
 * trigger: before insert or update on memai.job, for each row, on a subscriber
 * only.  The publisher does the job; here nobody may claim it.
 */
Datum
memai_job_replicated(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	row;
	TupleDesc	desc;
	int			column;
	Datum		never = TimestampTzGetDatum(DT_NOEND);
	bool		isnull = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("_job_replicated is a trigger function")));
	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	desc = RelationGetDescr(trigger->tg_relation);
	column = SPI_fnumber(desc, "run_after");
	return PointerGetDatum(heap_modify_tuple_by_cols(row, desc, 1, &column, &never, &isnull));
}

static bool
is_installed(void)
{
	Oid			schema = get_namespace_oid("memai", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("_worker", schema));
}

/* COMMIT PREPARED has committed, and this session is in a transaction of its own */
static void
wake_after_commit_prepared(void)
{
	Oid			user;
	int			sec_context;
	int			nest_level = NewGUCNestLevel();

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	read_workers();
	SPI_finish();
	PopActiveSnapshot();
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, sec_context);
}

static void
utility_hook(PlannedStmt *planned, const char *query, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params,
			 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	const Node *statement = planned->utilityStmt;
	bool		prepared = IsA(statement, TransactionStmt) &&
	((const TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;

	(next_utility_hook ? next_utility_hook : standard_ProcessUtility)
		(planned, query, read_only_tree, context, params, environment, dest, completion);
	if (prepared && is_installed())
		wake_after_commit_prepared();
}

void
memai_job_init(void)
{
	memai_job_clean_init();
	RegisterXactCallback(at_transaction_end, NULL);
	next_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility_hook;
}
