/*
 * wait_for.c
 *	  Waiting for jobs: memai.wait_for, memai.flush and memai.await.
 *
 * All look again every few milliseconds with a new snapshot, so they need
 * read committed isolation, and jobs that were submitted in the same
 * transaction can never finish while it waits: those are errors, not waits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "job/job_int.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define LOOK_EVERY_MS 20

static MemaiStatement read_status = {
	"SELECT j.status, j.finished_at IS NOT NULL, "
	"j.xmin = pg_catalog.pg_current_xact_id_if_assigned()::xid "
	"FROM memai.job j WHERE j.scope = $1 AND j.id = $2", 2, {INT8OID, UUIDOID}, NULL
};
static MemaiStatement read_result = {
	"SELECT j.status, j.finished_at IS NOT NULL, "
	"j.xmin = pg_catalog.pg_current_xact_id_if_assigned()::xid, j.result, j.error, j.sqlstate "
	"FROM memai.job j WHERE j.scope = $1 AND j.id = $2", 2, {INT8OID, UUIDOID}, NULL
};
static MemaiStatement read_unfinished = {
	"SELECT NULL, count(*) = 0, bool_or(j.xmin = pg_catalog.pg_current_xact_id_if_assigned()::xid) FROM memai.job j "
	"WHERE j.finished_at IS NULL AND j.tenant = $1 AND j.kind = ANY ($2)", 2, {TEXTOID, TEXTARRAYOID}, NULL
};

PG_FUNCTION_INFO_V1(memai_job_wait_for);
PG_FUNCTION_INFO_V1(memai_job_flush);
PG_FUNCTION_INFO_V1(memai_job_await);

static void
check_isolation(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("a transaction with isolation level repeatable read cannot see a job finish"),
				 errhint("Wait in a read committed transaction.")));
}

static bool
bool_column(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* waits until column 2 of the statement's row is true; false after the timeout or when there is no row */
static bool
wait_until(MemaiStatement *statement, Datum *values, const Interval *timeout)
{
	TimestampTz end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
															  TimestampTzGetDatum(GetCurrentTimestamp()),
															  IntervalPGetDatum(timeout)));

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (memai_statement_run(statement, values, NULL, false, 1) == 0)
			return false;
		if (bool_column(2))
			return true;
		if (bool_column(3))
			ereport(ERROR,
					(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
					 errmsg("the job was submitted by this transaction and cannot start before it commits"),
					 errhint("Commit first.")));
		if (GetCurrentTimestamp() >= end)
			return false;
		SPI_freetuptable(SPI_tuptable);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_EVERY_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/* wait_for(id uuid, user_id text, namespace text, timeout interval) returns text */
Datum
memai_job_wait_for(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	Datum		values[2];
	char	   *status = NULL;
	MemoryContext context = CurrentMemoryContext;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	check_isolation();
	memai_scope_resolve(&scope, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
						PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	values[0] = Int64GetDatum(scope.scope);
	values[1] = PG_GETARG_DATUM(0);
	SPI_connect();
	(void) wait_until(&read_status, values, PG_GETARG_INTERVAL_P(3));
	if (SPI_processed > 0)
		status = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	if (status == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(status));
}

/* flush(timeout interval) returns boolean */
Datum
memai_job_flush(PG_FUNCTION_ARGS)
{
	Datum		values[2];
	bool		finished;

	check_isolation();
	values[0] = PointerGetDatum(memai_current_tenant_text());
	values[1] = PointerGetDatum(memai_job_kinds());
	SPI_connect();
	finished = wait_until(&read_unfinished, values, PG_GETARG_INTERVAL_P(0));
	SPI_finish();
	PG_RETURN_BOOL(finished);
}

/* the error that a job ended with, as if it had been raised here */
static void
raise_job_error(const char *status, const char *error, const char *sqlstate)
{
	if (strcmp(status, "cancelled") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("the job was cancelled")));
	ereport(ERROR,
			(errcode(sqlstate && strlen(sqlstate) == 5 ?
					 MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]) :
					 ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			 errmsg("the job failed: %s", error ? error : "no reason is known")));
}

/* _await(id uuid, user_id text, timeout interval) returns jsonb: strict */
Datum
memai_job_await(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	MemaiScope	scope;
	Datum		values[2];
	bool		finished;
	bool		isnull = true;
	Datum		result = (Datum) 0;

	check_isolation();
	memai_scope_resolve(&scope, PG_GETARG_TEXT_PP(1), NULL);
	values[0] = Int64GetDatum(scope.scope);
	values[1] = PG_GETARG_DATUM(0);
	SPI_connect();
	finished = wait_until(&read_result, values, PG_GETARG_INTERVAL_P(2));
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no such job"),
				 errhint("Pass the user_id that it was submitted with; results are removed some time after they came.")));
	if (finished)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *status = SPI_getvalue(row, desc, 1);

		if (strcmp(status, "done") != 0)
			raise_job_error(status, SPI_getvalue(row, desc, 5), SPI_getvalue(row, desc, 6));
		result = SPI_getbinval(row, desc, 4, &isnull);
		if (!isnull)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			result = JsonbPGetDatum(DatumGetJsonbPCopy(result));
			MemoryContextSwitchTo(old);
		}
	}
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
