/*
 * submit.c
 *	  Submitting work of which there is to be one piece at a time, again and
 *	  again: every message of a chat has some.
 *
 * When the piece waits already it is locked, no more: no worker claims it before
 * this transaction has stored what the job is to find.  memai.submit_job would
 * write the row once more, and be planned anew.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "job/job.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static MemaiStatement lock_waiting = {
	.sql = "SELECT 1 FROM memai.job WHERE scope = $1 AND kind = $2 AND dedupe_key = $3 AND finished_at IS NULL "
	"AND run_after <= now() AND priority <= $4 FOR UPDATE",
	.nargs = 4,
	.argtypes = {INT8OID, TEXTOID, TEXTOID, INT4OID},
};

static MemaiStatement submit = {
	.sql = "SELECT memai.submit_job($1, $2, $3, $4, $5, $6, NULL, 5, $7)",
	.nargs = 7,
	.argtypes = {TEXTOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID},
};

/* Locks the job that waits; false when there is none. */
static bool
is_waiting(const MemaiScope *scope, Datum kind, Datum key, int priority)
{
	Datum		values[4] = {Int64GetDatum(scope->scope), kind, key, Int32GetDatum(priority)};

	/* of a fixed snapshot the row may be long claimed, and could not be locked */
	if (IsolationUsesXactSnapshot())
		return false;
	memai_statement_plan_once(&lock_waiting);
	return memai_statement_run(&lock_waiting, values, NULL, false, 1) > 0;
}

void
memai_job_submit_once(const MemaiScope *scope, const char *kind, const char *payload, const char *model, int priority, const char *dedupe_key)
{
	Datum		kind_value = CStringGetTextDatum(kind);
	Datum		key = CStringGetTextDatum(dedupe_key);
	Datum		values[7];

	if (is_waiting(scope, kind_value, key, priority))
		return;
	values[0] = kind_value;
	values[1] = DirectFunctionCall1(jsonb_in, CStringGetDatum(payload));
	values[2] = PointerGetDatum(scope->user_id);
	values[3] = PointerGetDatum(scope->namespace);
	values[4] = CStringGetTextDatum(model);
	values[5] = Int32GetDatum(priority);
	values[6] = key;
	memai_statement_run(&submit, values, NULL, false, 0);
}
