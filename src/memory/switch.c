/*
 * switch.c
 *	  Making a model the default for embeddings when its vectors are there.
 *
 * The last job of memai.reembed(model, switch => true) does it: when no item of
 * any tenant that is older than the job lacks its vector.  What was written
 * since, under the old model, gets further jobs: before the switch while older
 * items lack theirs, after it for the rest.  So it ends however much is written,
 * and between the two the old model serves.  Texts that the model refuses get no
 * further job: then there is no switch until somebody makes it.
 *
 * Jobs that finish at one time queue up behind an advisory lock that is held
 * until they commit, so one of them is the last.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"

#define LOCK_CLASS 0x6d656d62

/* the items that lack vectors of the model $1 */
#define LACKING(columns, condition) \
	"SELECT " columns " FROM (SELECT tenant, user_id, namespace, scope, id, created_at FROM memai.episode " \
	"UNION ALL SELECT tenant, user_id, namespace, scope, id, created_at FROM memai.memory) i WHERE " condition \
	" NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = i.scope AND v.id = i.id AND v.model = $1)"

static MemaiStatement lock_model = {
	.sql = "SELECT pg_advisory_xact_lock($1, hashtext($2))",
	.nargs = 2,
	.argtypes = {INT4OID, TEXTOID},
};

static MemaiStatement others_unfinished = {
	.sql = "SELECT EXISTS (SELECT FROM memai.job j WHERE j.kind = 'reembed' AND j.model = $1 AND j.finished_at IS NULL "
	"AND NOT (j.scope = $2 AND j.id = $3))",
	.nargs = 3,
	.argtypes = {TEXTOID, INT8OID, UUIDOID},
};

static MemaiStatement older_lack = {
	.sql = "SELECT EXISTS (" LACKING("", "i.created_at < (SELECT j.submitted_at FROM memai.job j WHERE j.scope = $2 AND j.id = $3) AND") ")",
	.nargs = 3,
	.argtypes = {TEXTOID, INT8OID, UUIDOID},
};

static MemaiStatement set_default = {
	.sql = "SELECT memai.set_default_model('embed', $1)",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* $2: whether they are to switch in their turn */
static MemaiStatement submit_more = {
	.sql = "SELECT memai.submit_job('reembed', jsonb_build_object('switch', $2), s.user_id, s.namespace, $1, 2, NULL, 5, "
	"CASE WHEN $2 THEN 'switch to ' ELSE '' END || $1) "
	"FROM (" LACKING("DISTINCT user_id, namespace", "i.tenant = memai.current_tenant() AND") ") s",
	.nargs = 2,
	.argtypes = {TEXTOID, BOOLOID},
};

static bool
ask(MemaiStatement *statement, Datum *values)
{
	bool		null;
	bool		answer;

	memai_statement_run(statement, values, NULL, false, 1);
	answer = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	SPI_freetuptable(SPI_tuptable);
	return answer;
}

static int64
submit(const char *model, bool wants_switch)
{
	Datum		values[2] = {CStringGetTextDatum(model), BoolGetDatum(wants_switch)};

	return (int64) memai_statement_run(&submit_more, values, NULL, false, 0);
}

MemaiSwitch
memai_switch_when_filled(const MemaiJob *job, const char *model, bool refused)
{
	Datum		values[3] = {CStringGetTextDatum(model), Int64GetDatum(job->scope.scope), UUIDPGetDatum(&job->id)};
	Datum		lock[2] = {Int32GetDatum(LOCK_CLASS), values[0]};
	MemaiCaller caller;
	bool		unfinished;
	bool		lacking = false;
	MemaiSwitch result;

	SPI_connect();
	memai_statement_run(&lock_model, lock, NULL, false, 0);
	/* of all tenants */
	memai_become_owner(&caller);
	unfinished = ask(&others_unfinished, values);
	if (!unfinished)
		lacking = ask(&older_lack, values);
	memai_become_caller(&caller);

	if (unfinished)
		result = SWITCH_LATER;
	else if (lacking && refused)
		result = SWITCH_REFUSED;	/* asking again would refuse again */
	else if (lacking)
		result = submit(model, true) > 0 ? SWITCH_LATER : SWITCH_OTHERS_LACK;
	else
	{
		memai_statement_run(&set_default, values, NULL, false, 0);
		submit(model, false);
		result = SWITCH_DONE;
	}
	SPI_finish();
	return result;
}
