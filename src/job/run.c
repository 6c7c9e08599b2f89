/*
 * run.c
 *	  Doing jobs: claim, commit, run, store, each in transactions of its own.
 *
 * The same code runs in the background worker, which begins and ends its
 * transactions itself, and in CALL memai.run_jobs(), a procedure that commits
 * through SPI.  One job is run at a time, or several that share their requests
 * (share.c), so that a process that dies takes at most one attempt of these with
 * it.
 *
 *	  claim -> commit -> run as the submitter -> complete -> commit
 *				  |         | checkpoint: commit, renew the lease, go on
 *				  |         | model call: commit, wait, begin
 *				  +-- error: roll back, then fail the job in a new transaction
 *
 * A handler runs in a subtransaction, so that its error undoes its role, its
 * settings, its SPI connections and its writes at once, in both places.  Its
 * role is that of the submitter, under SECURITY_RESTRICTED_OPERATION; the
 * queue's own statements run as whoever runs the jobs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "job/job_int.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timestamp.h"

/* how often CALL run_jobs() says how far it is */
#define NOTICE_EVERY_MS 10000
/* a lease outlives every model call, which has a deadline of its own */
#define LEASE_SECONDS 600
/* how long a model rests whose provider is overloaded or limits the rate, unless it says */
#define COOLDOWN_SECONDS 10
#define COOLDOWN_MAX_SECONDS 3600

/* of the job that this process is running; a process runs one at a time */
static struct
{
	MemaiJobRunner *runner;
	TimestampTz noticed_at;		/* when the client last heard of progress */
	bool		cancelled;		/* by memai.cancel_job */
}			current;

static MemaiStatement renew = {
	"SELECT memai.renew_lease($1, $2, $3, $4, $5, $6), "
	"EXISTS (SELECT FROM memai.job j WHERE j.scope = $1 AND j.id = $2 AND j.lease = $3)",
	6, {INT8OID, UUIDOID, UUIDOID, INTERVALOID, INT8OID, INT8OID}, NULL
};
static MemaiStatement complete = {
	"SELECT memai.complete_job($1, $2, $3, $4)", 4, {INT8OID, UUIDOID, UUIDOID, JSONBOID}, NULL
};
static MemaiStatement fail = {
	"SELECT memai.fail_job($1, $2, $3, $4, $5, $6)", 6,
	{INT8OID, UUIDOID, UUIDOID, TEXTOID, TEXTOID, INTERVALOID}, NULL
};
static MemaiStatement give_back = {
	"UPDATE memai.job j SET status = 'waiting', lease = NULL, attempts = j.attempts - 1, run_after = least(j.submitted_at, now()) "
	"WHERE j.scope = $1 AND j.id = $2 AND j.lease = $3", 3, {INT8OID, UUIDOID, UUIDOID}, NULL
};
static MemaiStatement cool_down = {
	"INSERT INTO memai._job_cooldown VALUES ($1, now() + $2) "
	"ON CONFLICT (model) DO UPDATE SET until = greatest(_job_cooldown.until, excluded.until)",
	2, {TEXTOID, INTERVALOID}, NULL
};

PG_FUNCTION_INFO_V1(memai_run_jobs);

static Interval *
seconds(int n)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = n * USECS_PER_SEC;
	return interval;
}

/* ---- the queue's own statements ---- */

static void
job_key(const MemaiJob *job, Datum *values)
{
	values[0] = Int64GetDatum(job->scope.scope);
	values[1] = UUIDPGetDatum(&job->id);
	values[2] = UUIDPGetDatum(&job->lease);
}

static bool
bool_result(int column)
{
	bool		isnull;

	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

static void
raise_lease_lost(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("the job is not held by this worker any more"),
			 errdetail("Its lease ended and another worker may have it.")));
}

/* in the foreground: true once in a while, when the client should hear how far it is */
static bool
notice_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (current.runner->background || !TimestampDifferenceExceeds(current.noticed_at, now, NOTICE_EVERY_MS))
		return false;
	current.noticed_at = now;
	return true;
}

void
memai_job_checkpoint(MemaiJob *job, int64 done, int64 total)
{
	Datum		values[6];
	bool		ours,
				wanted;

	memai_job_become_runner();
	SPI_connect();
	job_key(job, values);
	values[3] = PointerGetDatum(seconds(LEASE_SECONDS));
	values[4] = Int64GetDatum(done);
	values[5] = Int64GetDatum(total);
	memai_statement_run(&renew, values, NULL, false, 1);
	wanted = bool_result(1);
	ours = bool_result(2);
	SPI_finish();
	if (!ours)
		raise_lease_lost();
	current.cancelled = !wanted;
	if (!wanted)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("the job was cancelled")));
	if (notice_is_due())
		ereport(NOTICE,
				(errmsg("%lld jobs done, and %lld of %lld of a job of kind %s", (long long) current.runner->done,
						(long long) done, (long long) total, job->kind)));
	memai_job_close_transaction(current.runner);
	memai_job_open_transaction(current.runner);
	memai_job_become_submitter();
}

/* a claimed job in context, or NULL; committed either way */
static MemaiJob *
claim_one(MemaiJobRunner *runner, MemoryContext context)
{
	MemaiClaim	claim = {0};
	MemaiJob   *job = NULL;

	memai_job_open_transaction(runner);
	SPI_connect();
	claim.kinds = memai_job_kinds();
	claim.max_jobs = 1;
	claim.lease_time = seconds(LEASE_SECONDS);
	claim.all_tenants = runner->all_tenants;
	claim.worker = runner->background;
	if (!runner->all_tenants)
		claim.submitted_by = GetUserNameFromId(GetUserId(), false);
	if (memai_claim_run(&claim) > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		job = memai_claim_job(SPI_tuptable, 0);
		MemoryContextSwitchTo(old);
		if (runner->claimed)
			runner->claimed(job);
	}
	SPI_finish();
	memai_job_close_transaction(runner);
	return job;
}

static void
complete_job(MemaiJobRunner *runner, const MemaiJob *job, const Jsonb *result)
{
	Datum		values[4];

	SPI_connect();
	job_key(job, values);
	values[3] = JsonbPGetDatum(result);
	memai_statement_run(&complete, values, result ? NULL : "   n", false, 1);
	if (!bool_result(1))
		raise_lease_lost();
	runner->done++;
	if (runner->finished)
		runner->finished(runner);
	SPI_finish();
}

int
memai_job_claim_companions(MemaiJobRunner *runner, const MemaiJob *lead, int max, MemaiJob ***jobs)
{
	MemoryContext context = CurrentMemoryContext;
	int			n;

	memai_job_open_transaction(runner);
	SPI_connect();
	n = (int) memai_claim_companions(lead, max, seconds(LEASE_SECONDS));
	MemoryContextSwitchTo(context);
	*jobs = palloc(sizeof(MemaiJob *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*jobs)[i] = memai_claim_job(SPI_tuptable, i);
	if (n > 0 && runner->joined)
		runner->joined(n, *jobs);
	SPI_finish();
	memai_job_close_transaction(runner);
	return n;
}

void
memai_job_give_back(MemaiJobRunner *runner, const MemaiJob *job)
{
	Datum		values[3];

	memai_job_open_transaction(runner);
	SPI_connect();
	job_key(job, values);
	memai_statement_run(&give_back, values, NULL, false, 0);
	SPI_finish();
	memai_job_close_transaction(runner);
}

static void
run_step(MemaiJobRunner *runner, MemaiJob *job, MemaiJobStep *step)
{
	Jsonb	   *result;

	memai_job_open_transaction(runner);
	memai_job_become_submitter();
	result = step->body(job, step);
	memai_job_become_runner();
	if (step->completes)
		complete_job(runner, job, result);
	memai_job_close_transaction(runner);
}

bool
memai_job_model_rests(int sqlstate)
{
	return sqlstate == ERRCODE_MEMAI_RATE_LIMIT || sqlstate == ERRCODE_MEMAI_OVERLOADED ||
		sqlstate == ERRCODE_MEMAI_BREAKER_OPEN;
}

/* seconds that the provider asked to wait, 0 when it did not */
static int
asked_seconds(void)
{
	return (int) Min((memai_wait_retry_after() + 999) / 1000, COOLDOWN_MAX_SECONDS);
}

/* connected to SPI */
static void
rest_model(const MemaiJob *job)
{
	Datum		values[2];
	int			asked = asked_seconds();

	values[0] = CStringGetTextDatum(job->model);
	values[1] = PointerGetDatum(seconds(asked > 0 ? asked : COOLDOWN_SECONDS));
	memai_statement_run(&cool_down, values, NULL, false, 0);
}

/* a lease that is lost changes nothing */
void
memai_job_fail(MemaiJobRunner *runner, const MemaiJob *job, const ErrorData *error)
{
	Datum		values[6];

	memai_job_open_transaction(runner);
	SPI_connect();
	job_key(job, values);
	values[3] = CStringGetTextDatum(error->detail ?
									psprintf("%s: %s", error->message, error->detail) : error->message);
	values[4] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
	values[5] = PointerGetDatum(seconds(asked_seconds()));
	memai_statement_run(&fail, values, asked_seconds() > 0 ? NULL : "     n", false, 1);
	if (runner->all_tenants && job->model[0] != '\0' && memai_job_model_rests(error->sqlerrcode))
		rest_model(job);
	memai_job_failed(job, error);
	runner->failed++;
	if (runner->finished)
		runner->finished(runner);
	SPI_finish();
	memai_job_close_transaction(runner);
}

ErrorData *
memai_job_step(MemaiJobRunner *runner, MemaiJob *job, MemaiJobStep *step)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	current.runner = runner;
	memai_job_set_current(runner, job);
	current.cancelled = false;
	memai_wait_set_retry_after(0);
	PG_TRY();
	{
		run_step(runner, job, step);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		memai_job_abandon_transaction(runner);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	/* whoever waits for the procedure cancelled it, not the job */
	if (error != NULL && !runner->background && error->sqlerrcode == ERRCODE_QUERY_CANCELED && !current.cancelled)
		runner->stopped = error;
	return error;
}

static Jsonb *
handle(MemaiJob *job, MemaiJobStep *step)
{
	return memai_job_handler(job->kind) (job);
}

ErrorData *
memai_job_handle(MemaiJobRunner *runner, MemaiJob *job)
{
	MemaiJobStep step = {handle, NULL, true};

	return memai_job_step(runner, job, &step);
}

bool
memai_job_run_next(MemaiJobRunner *runner)
{
	MemoryContext context = AllocSetContextCreate(runner->context, "memai job run", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemaiJob   *job = claim_one(runner, context);

	MemoryContextSwitchTo(context);
	runner->stopped = NULL;
	if (job != NULL)
	{
		const MemaiJobSharing *sharing = memai_job_sharing(job->kind);
		ErrorData  *error = NULL;

		if (sharing != NULL)
			memai_job_share(runner, job, sharing);
		else if ((error = memai_job_handle(runner, job)) != NULL)
			memai_job_fail(runner, job, error);
		if (runner->stopped != NULL)
			ReThrowError(runner->stopped);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return job != NULL;
}

/* run_jobs(max_jobs integer, max_time interval): procedure */
Datum
memai_run_jobs(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	MemaiJobRunner runner = {0};
	int64		max_jobs = PG_ARGISNULL(0) ? PG_INT64_MAX : PG_GETARG_INT32(0);
	TimestampTz end = DT_NOEND;

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("run_jobs commits and cannot run inside a transaction block or function"),
				 errhint("Use CALL memai.run_jobs() by itself.")));
	if (!PG_ARGISNULL(1))
		end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													  TimestampTzGetDatum(GetCurrentTimestamp()),
													  IntervalPGetDatum(PG_GETARG_INTERVAL_P(1))));
	runner.all_tenants = memai_job_admin();
	runner.context = PortalContext;
	runner.max_jobs = PG_ARGISNULL(0) ? 0 : max_jobs;
	current.noticed_at = GetCurrentTimestamp();
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	while (runner.done + runner.failed < max_jobs && GetCurrentTimestamp() < end)
	{
		CHECK_FOR_INTERRUPTS();
		if (!memai_job_run_next(&runner))
			break;
		if (notice_is_due())
			ereport(NOTICE,
					(errmsg("%lld jobs done, %lld attempts failed, going on",
							(long long) runner.done, (long long) runner.failed)));
	}
	SPI_finish();
	ereport(NOTICE,
			(errmsg("%lld jobs done, %lld attempts failed",
					(long long) runner.done, (long long) runner.failed)));
	PG_RETURN_VOID();
}
