/*
 * claim.c
 *	  Taking jobs that are due: memai.claim and the runner's claim.
 *
 * A queue is a kind and a model.  The statement walks the queues that have
 * unfinished jobs by a loose scan of job_claim_idx (one probe a queue), leaves
 * out those whose model is resting, and takes from each, by priority, the
 * jobs that are due longest.  Every part of it is a short range of one index,
 * so its cost does not depend on how many jobs wait, are scheduled for later,
 * or belong to queues that the caller did not ask for.  Queues of one priority
 * come in random order, so that none of them starves.
 *
 * Of three workers or more, one leaves a model alone that all others are busy
 * with: a slow model server holds up its own jobs, not those of the rest.
 * (Workers that claim in the same instant do not see each other; their next
 * claim does.)
 *
 * Locking: FOR UPDATE SKIP LOCKED; the rows stay locked until the claim
 * commits, and other claimers pass them by.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "job/job_int.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(memai_claim);

/* a worker that finds nothing looks again for what is due and was not to be had, at the earliest */
#define SOON_MS 100

#define QUEUES(tenant_is_ours) \
	"WITH RECURSIVE queue AS (" \
	"(SELECT j.kind, j.model FROM memai.job j WHERE j.finished_at IS NULL" tenant_is_ours \
	" ORDER BY j.kind, j.model LIMIT 1)" \
	" UNION ALL SELECT n.kind, n.model FROM queue q CROSS JOIN LATERAL (" \
	"SELECT j.kind, j.model FROM memai.job j WHERE j.finished_at IS NULL" tenant_is_ours \
	" AND (j.kind, j.model) > (q.kind, q.model) ORDER BY j.kind, j.model LIMIT 1) n) "

#define PICK(tenant_is_ours, model_is_free) \
	QUEUES(tenant_is_ours) ", " \
	"slot AS MATERIALIZED (SELECT q.kind, q.model, level.priority::smallint AS priority " \
	"FROM queue q CROSS JOIN generate_series(0, 2) AS level (priority) " \
	"WHERE q.kind = ANY ($1) AND NOT EXISTS (SELECT FROM memai._job_cooldown c " \
	"WHERE c.model = q.model AND c.until > now())" model_is_free " ORDER BY level.priority, random()) " \
	"SELECT p.scope, p.id FROM slot s CROSS JOIN LATERAL (" \
	"SELECT j.scope, j.id FROM memai.job j WHERE j.finished_at IS NULL" tenant_is_ours \
	" AND j.kind = s.kind AND j.model = s.model AND j.priority = s.priority AND j.run_after <= now()" \
	" AND ($4 IS NULL OR j.submitted_by = $4)" \
	" ORDER BY j.run_after LIMIT $2 FOR UPDATE SKIP LOCKED) p LIMIT $2"

static MemaiStatement pick_any = {
	PICK("", ""), 4, {TEXTARRAYOID, INT8OID, TEXTOID, NAMEOID}, NULL
};
static MemaiStatement pick_as_worker = {
	PICK("", " AND (q.model = '' OR (SELECT count(*) FROM memai._worker w WHERE w.model = q.model) < "
		 "(SELECT greatest(count(*) - 1, 2) FROM memai._worker))"),
	4, {TEXTARRAYOID, INT8OID, TEXTOID, NAMEOID}, NULL
};
static MemaiStatement pick_own_tenant = {
	PICK(" AND j.tenant = $3", ""), 4, {TEXTARRAYOID, INT8OID, TEXTOID, NAMEOID}, NULL
};

/* what became due just now is looked at again: the claim before may have been too early for it */
static MemaiStatement next_due = {
	QUEUES("")
	"SELECT (extract(epoch FROM min(greatest(p.run_after, c.until)) - now()) * 1000)::double precision FROM queue q "
	"CROSS JOIN generate_series(0, 2) AS level (priority) LEFT JOIN memai._job_cooldown c ON c.model = q.model AND c.until > now() "
	"CROSS JOIN LATERAL (SELECT j.run_after FROM memai.job j WHERE j.finished_at IS NULL AND j.kind = q.kind AND j.model = q.model "
	"AND j.priority = level.priority::smallint AND j.run_after < 'infinity' "
	"AND j.run_after > CASE WHEN c.until IS NULL THEN now() - interval '1 s' ELSE '-infinity' END ORDER BY j.run_after LIMIT 1) AS p "
	"WHERE q.kind = ANY ($1)", 1, {TEXTARRAYOID}, NULL
};

/*
 * The jobs that would be claimed next are looked at, not all of the tenant's.
 * One that was lost once may be what killed its worker, and is not put with others.
 */
static MemaiStatement pick_companions = {
	"SELECT p.scope, p.id FROM (SELECT j.scope, j.id, j.run_after FROM memai.job j WHERE j.finished_at IS NULL AND j.tenant = $1 "
	"AND j.kind = $2 AND j.model = $3 AND j.priority = (SELECT l.priority FROM memai.job l WHERE l.scope = $5 AND l.id = $6 "
	"AND (l.attempts = 1 OR (l.attempts = 2 AND l.error IS NOT NULL))) "
	"AND j.run_after <= now() ORDER BY j.run_after LIMIT 1000) AS c "
	"CROSS JOIN LATERAL (SELECT j.scope, j.id FROM memai.job j WHERE j.scope = c.scope AND j.id = c.id AND j.status = 'waiting' "
	"AND j.run_after <= now() AND j.submitted_by = $4 AND (j.attempts = 0 OR (j.attempts = 1 AND j.error IS NOT NULL)) "
	"FOR UPDATE SKIP LOCKED) AS p LIMIT $7",
	7, {TEXTOID, TEXTOID, TEXTOID, NAMEOID, INT8OID, UUIDOID, INT8OID}, NULL
};

#define LOST_MESSAGE "the worker was lost during the last attempt"

/* a job whose last attempt never reported back (a crash) has had its chances: it comes back last, without a lease */
static MemaiStatement take = {
	"WITH taken AS (UPDATE memai.job j SET "
	"status = CASE WHEN j.attempts < j.max_attempts THEN 'running' ELSE 'failed' END, "
	"lease = CASE WHEN j.attempts < j.max_attempts THEN memai.new_id() END, "
	"finished_at = CASE WHEN j.attempts < j.max_attempts THEN NULL ELSE now() END, "
	"error = CASE WHEN j.attempts < j.max_attempts THEN j.error ELSE '" LOST_MESSAGE "' END, "
	"sqlstate = CASE WHEN j.attempts < j.max_attempts THEN j.sqlstate ELSE '57P02' END, "
	"attempts = least(j.attempts + 1, j.max_attempts), dedupe_key = NULL, "
	"run_after = now() + $3, started_at = now() "
	"FROM unnest($1, $2) WITH ORDINALITY AS p (scope, id, position) WHERE j.scope = p.scope AND j.id = p.id "
	"RETURNING p.position, j.*) "
	"SELECT scope, id, lease, kind, model, tenant, user_id, namespace, payload, attempts, max_attempts, submitted_by "
	"FROM taken ORDER BY lease IS NULL, position",
	3, {INT8ARRAYOID, UUIDARRAYOID, INTERVALOID}, NULL
};

bool
memai_job_admin(void)
{
	Oid			admin = get_role_oid("memai_admin", true);

	return OidIsValid(admin) ? has_privs_of_role(GetUserId(), admin) : superuser();
}

/*
 * Runs a statement with sequential and bitmap scans disabled: its plan is kept
 * for the session, and one that was made while the table was small would be
 * the wrong one for long.  Without JIT: it takes the price of a disabled scan
 * for a reason to compile.
 */
static uint64
run_by_index(MemaiStatement *statement, Datum *values, const char *nulls)
{
	int			nest_level = NewGUCNestLevel();
	uint64		n;

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	n = memai_statement_run(statement, values, nulls, false, 0);
	AtEOXact_GUC(true, nest_level);
	return n;
}

/* one column of the result rows as an array */
static Datum
result_column(int column, Oid type, int typlen, bool byval, char align)
{
	int			n = (int) SPI_processed;
	Datum	   *values = palloc(sizeof(Datum) * n);
	bool		isnull;

	for (int i = 0; i < n; i++)
		values[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column, &isnull);
	return PointerGetDatum(construct_array(values, n, type, typlen, byval, align));
}

static text *
text_column(const SPITupleTable *table, int number, int column)
{
	return cstring_to_text(SPI_getvalue(table->vals[number], table->tupdesc, column));
}

MemaiJob *
memai_claim_job(const SPITupleTable *table, int number)
{
	MemaiJob   *job = palloc0(sizeof(MemaiJob));
	TupleDesc	desc = table->tupdesc;
	HeapTuple	row = table->vals[number];
	Datum		lease;
	bool		isnull;

	job->scope.scope = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	job->id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	lease = SPI_getbinval(row, desc, 3, &isnull);
	if (!isnull)
		job->lease = *DatumGetUUIDP(lease);
	job->kind = pstrdup(SPI_getvalue(row, desc, 4));
	job->model = pstrdup(SPI_getvalue(row, desc, 5));
	job->scope.tenant = text_column(table, number, 6);
	job->scope.user_id = text_column(table, number, 7);
	job->scope.namespace = text_column(table, number, 8);
	job->payload = DatumGetJsonbPCopy(SPI_getbinval(row, desc, 9, &isnull));
	job->attempts = DatumGetInt32(SPI_getbinval(row, desc, 10, &isnull));
	job->submitted_by = pstrdup(SPI_getvalue(row, desc, 12));
	return job;
}

/* Tells its kind of a job that has had its chances; number is of its row. */
static void
report_lost(uint64 number)
{
	ErrorData	lost = {.elevel = ERROR, .sqlerrcode = ERRCODE_CRASH_SHUTDOWN, .message = LOST_MESSAGE};

	memai_job_failed(memai_claim_job(SPI_tuptable, (int) number), &lost);
}

/* claims what a statement picked; the first rows are what was claimed */
static uint64
take_picked(Interval *lease_time)
{
	Datum		picked[3];
	uint64		ntaken;
	uint64		nclaimed = 0;
	bool		isnull;

	picked[0] = result_column(1, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	picked[1] = result_column(2, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	picked[2] = PointerGetDatum(lease_time);
	ntaken = run_by_index(&take, picked, NULL);
	for (uint64 row = 0; row < ntaken; row++)
	{
		(void) SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 3, &isnull);
		if (isnull)
			report_lost(row);
		else
			nclaimed++;
	}
	return nclaimed;
}

uint64
memai_claim_run(const MemaiClaim *claim)
{
	MemaiStatement *pick = claim->worker ? &pick_as_worker : claim->all_tenants ? &pick_any : &pick_own_tenant;
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};

	values[0] = PointerGetDatum(claim->kinds);
	values[1] = Int64GetDatum(claim->max_jobs);
	values[2] = PointerGetDatum(memai_current_tenant_text());
	if (claim->submitted_by != NULL)
		values[3] = DirectFunctionCall1(namein, CStringGetDatum(claim->submitted_by));
	else
		nulls[3] = 'n';
	if (run_by_index(pick, values, nulls) == 0)
		return 0;
	return take_picked(claim->lease_time);
}

uint64
memai_claim_companions(const MemaiJob *lead, int max, Interval *lease_time)
{
	Datum		values[7];

	values[0] = PointerGetDatum(lead->scope.tenant);
	values[1] = CStringGetTextDatum(lead->kind);
	values[2] = CStringGetTextDatum(lead->model);
	values[3] = DirectFunctionCall1(namein, CStringGetDatum(lead->submitted_by));
	values[4] = Int64GetDatum(lead->scope.scope);
	values[5] = UUIDPGetDatum(&lead->id);
	values[6] = Int64GetDatum(max);
	if (run_by_index(&pick_companions, values, NULL) == 0)
		return 0;
	return take_picked(lease_time);
}

long
memai_job_next_due(long limit)
{
	Datum		kinds;
	double		due;
	bool		isnull;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	kinds = PointerGetDatum(memai_job_kinds());
	(void) run_by_index(&next_due, &kinds, NULL);
	due = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return isnull || due >= limit ? limit : Max((long) due + 1, SOON_MS);
}

/* claim(kinds text[], max_jobs integer, lease_time interval) returns setof record */
Datum
memai_claim(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemaiClaim	claim = {0};
	uint64		n;

	claim.kinds = PG_GETARG_ARRAYTYPE_P(0);
	claim.max_jobs = PG_GETARG_INT32(1);
	claim.lease_time = PG_GETARG_INTERVAL_P(2);
	claim.all_tenants = memai_job_admin();
	if (claim.max_jobs < 1 || claim.max_jobs > MEMAI_CLAIM_MAX_JOBS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_jobs is out of range"),
				 errdetail("It is %d, the range is 1 to %d.", claim.max_jobs, MEMAI_CLAIM_MAX_JOBS)));

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	n = memai_claim_run(&claim);
	for (uint64 i = 0; i < n; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	return (Datum) 0;
}
