/*
 * breaker_table.c
 *	  What sessions tell each other of resting models without shared memory.
 *
 * When memai is not preloaded each session finds out by itself that a model is
 * down, and writes it into memai._model_rest in the next of its transactions
 * that calls a model.  A transaction that fails takes the row with it, so the
 * ones that tell are those that survive: jobs, and calls with a fallback.
 * Nobody waits for a row: who does not get the advisory lock of a model at once
 * leaves the telling to the session that has it.
 */
#include "postgres.h"

#include "model/breaker.h"
#include "model/registry.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(memai_model_health);
PG_FUNCTION_INFO_V1(memai_reset_model);

static void
write_rest(const char *model, int64 rests_for, int sqlstate)
{
	static MemaiStatement upsert = {
		"INSERT INTO memai._model_rest (model, until, sqlstate) "
		"SELECT m.name, clock_timestamp() + $2 * interval '1 millisecond', $3 FROM memai.model m "
		"WHERE m.name = $1 AND pg_try_advisory_xact_lock(1835364713, hashtext($1)) "
		"ON CONFLICT (model) DO UPDATE SET until = EXCLUDED.until, sqlstate = EXCLUDED.sqlstate",
		3, {TEXTOID, FLOAT8OID, TEXTOID}, NULL
	};
	Datum		values[3];

	values[0] = CStringGetTextDatum(model);
	values[1] = Float8GetDatum((double) rests_for);
	values[2] = CStringGetTextDatum(unpack_sql_state(sqlstate));
	memai_statement_run(&upsert, values, NULL, false, 0);
}

static void
read_rest(const char *model)
{
	static MemaiStatement read = {
		"SELECT extract(epoch FROM r.until - clock_timestamp())::float8 * 1000, r.until, r.sqlstate "
		"FROM memai._model_rest r WHERE r.model = $1 AND r.until > clock_timestamp()",
		1, {TEXTOID}, NULL
	};
	Datum		value = CStringGetTextDatum(model);
	SPITupleTable *rows;
	bool		isnull;
	double		rests_for;
	TimestampTz until;
	char	   *state;

	if (memai_statement_run(&read, &value, NULL, true, 1) == 0)
		return;
	rows = SPI_tuptable;
	rests_for = DatumGetFloat8(SPI_getbinval(rows->vals[0], rows->tupdesc, 1, &isnull));
	until = DatumGetTimestampTz(SPI_getbinval(rows->vals[0], rows->tupdesc, 2, &isnull));
	state = SPI_getvalue(rows->vals[0], rows->tupdesc, 3);
	memai_breaker_learn(model, (int64) Min(rests_for, 1e9),
						MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]), until);
}

void
memai_breaker_exchange(const char *model)
{
	MemaiRegistry registry;
	char	   *name;
	int64		rests_for;
	int			sqlstate;

	if (memai_breaker_shared())
		return;
	memai_registry_open(&registry);
	if (!XactReadOnly && !RecoveryInProgress())
		while (memai_breaker_next_unsaved(&name, &rests_for, &sqlstate))
			write_rest(name, rests_for, sqlstate);
	read_rest(model);
	memai_registry_close(&registry);
}

/* _model_health(model text) returns record: volatile, strict */
Datum
memai_model_health(PG_FUNCTION_ARGS)
{
	static const char *const states[] = {"closed", "open", "half-open"};
	MemaiHealth health;
	TupleDesc	desc;
	Datum		values[9] = {0};
	bool		nulls[9] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	(void) memai_breaker_health(text_to_cstring(PG_GETARG_TEXT_PP(0)), &health);
	values[0] = CStringGetTextDatum(states[health.state]);
	nulls[1] = health.rests_for == 0;
	values[1] = TimestampTzGetDatum(TimestampTzPlusMilliseconds(GetCurrentTimestamp(), health.rests_for));
	values[2] = Int32GetDatum(health.failures_in_a_row);
	values[3] = Int64GetDatum(health.requests);
	values[4] = Int64GetDatum(health.failures);
	values[5] = Int64GetDatum(health.retries);
	values[6] = Int64GetDatum(health.refused);
	nulls[7] = nulls[8] = health.sqlstate == 0;
	values[7] = CStringGetTextDatum(unpack_sql_state(health.sqlstate));
	values[8] = TimestampTzGetDatum(health.failed_at);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* reset_model(name text) returns boolean: volatile, strict */
Datum
memai_reset_model(PG_FUNCTION_ARGS)
{
	static MemaiStatement delete = {
		"DELETE FROM memai._model_rest WHERE model = $1", 1, {TEXTOID}, NULL
	};
	Datum		value = PG_GETARG_DATUM(0);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemaiHealth health;
	MemaiRegistry registry;
	uint64		rows;

	if (memai_registry_read(name) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" does not exist", name)));
	(void) memai_breaker_health(name, &health);
	memai_breaker_reset(name);
	memai_registry_open(&registry);
	rows = memai_statement_run(&delete, &value, NULL, false, 0);
	memai_registry_close(&registry);
	PG_RETURN_BOOL(rows > 0 || health.state != MEMAI_BREAKER_CLOSED || health.rests_for > 0);
}
