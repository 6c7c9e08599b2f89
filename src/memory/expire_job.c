/*
 * expire_job.c
 *	  Removing memories when they are due: jobs of kind expire.
 *
 * A scope has one such job, due when the first of its memories is; the job
 * removes what is due by then and submits the next one.  What is pinned stays.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/job.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"

static MemaiStatement submit = {
	.sql = "SELECT memai.submit_job('expire', '{}', $1, $2, '', 2, $3, 5, 'expire')",
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static MemaiStatement remove_due = {
	.sql = "DELETE FROM memai.memory WHERE scope = $1 AND expires_at <= now() AND NOT is_pinned",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static MemaiStatement select_next = {
	.sql = "SELECT expires_at FROM memai.memory WHERE scope = $1 AND expires_at IS NOT NULL AND NOT is_pinned ORDER BY expires_at LIMIT 1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

void
memai_expire_submit(const MemaiScope *scope, TimestampTz expires_at)
{
	Datum		values[3] = {PointerGetDatum(scope->user_id), PointerGetDatum(scope->namespace), TimestampTzGetDatum(expires_at)};

	memai_statement_run(&submit, values, NULL, false, 0);
}

void
memai_expire_schedule(const MemaiScope *scope)
{
	Datum		value = Int64GetDatum(scope->scope);
	bool		null;

	if (memai_statement_run(&select_next, &value, NULL, false, 0) > 0)
		memai_expire_submit(scope, DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null)));
}

/* handler of the kind expire */
static Jsonb *
expire(MemaiJob *job)
{
	Datum		scope = Int64GetDatum(job->scope.scope);
	volatile uint64 removed = 0;

	SPI_connect();
	memai_history_set_job(&job->id);
	PG_TRY();
	{
		removed = memai_statement_run(&remove_due, &scope, NULL, false, 0);
	}
	PG_FINALLY();
	{
		memai_history_set_job(NULL);
	}
	PG_END_TRY();
	memai_expire_schedule(&job->scope);
	SPI_finish();
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf("{\"removed\": %llu}", (unsigned long long) removed))));
}

void
memai_expire_init(void)
{
	memai_job_register("expire", expire);
}
