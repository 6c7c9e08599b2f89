/*
 * rows.c
 *	  What lies in shared memory as rows of SQL: records that are not in the
 *	  table yet, the state of limits, and the module's own counters.
 */
#include "postgres.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "stats/stats_int.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(memai_usage_pending);
PG_FUNCTION_INFO_V1(memai_flush_usage);
PG_FUNCTION_INFO_V1(memai_limit_buckets);
PG_FUNCTION_INFO_V1(memai_stats_health);

#define RECORD_COLUMNS 17

static bool
is_admin(void)
{
	Oid			admin = get_role_oid("memai_admin", true);

	return OidIsValid(admin) ? has_privs_of_role(GetUserId(), admin) : superuser();
}

static void
set_text(Datum *values, bool *nulls, int column, const char *value)
{
	nulls[column] = value == NULL;
	if (value != NULL)
		values[column] = CStringGetTextDatum(value);
}

static void
set_count(Datum *values, bool *nulls, int column, int64 value)
{
	values[column] = Int64GetDatum(value);
	nulls[column] = value < 0;
}

/* columns in the order of memai._usage */
static void
put_record(ReturnSetInfo *set, const MemaiRecord *record)
{
	static const char *const status_names[] = {"ok", "error", "unknown"};
	const char *strings[4];
	const char *next = (const char *) (record + 1);
	Datum		values[RECORD_COLUMNS] = {0};
	bool		nulls[RECORD_COLUMNS] = {false};

	for (int i = 0; i < 4; i++)
	{
		strings[i] = record->lengths[i] > 0 ? next : NULL;
		next += record->lengths[i];
	}
	values[0] = TimestampTzGetDatum(record->at);
	values[1] = ObjectIdGetDatum(record->role);
	set_text(values, nulls, 2, strings[0]);
	set_text(values, nulls, 3, strings[1]);
	set_text(values, nulls, 4, strings[2]);
	set_text(values, nulls, 5, memai_operation_kind(record->operation));
	set_text(values, nulls, 6, memai_operation_name(record->operation));
	set_text(values, nulls, 7, strings[3]);
	set_count(values, nulls, 8, record->prompt_tokens);
	set_count(values, nulls, 9, record->completion_tokens);
	values[10] = BoolGetDatum(record->estimated);
	values[11] = Float8GetDatum(record->cost);
	nulls[11] = isnan(record->cost);
	values[12] = Float8GetDatum(record->latency);
	set_text(values, nulls, 13, status_names[record->status]);
	set_text(values, nulls, 14, record->sqlstate ? unpack_sql_state(record->sqlstate) : NULL);
	values[15] = Int16GetDatum(record->attempt);
	values[16] = BoolGetDatum(record->cached);
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/*
 * _usage_pending() returns setof record: volatile.  The caller's own rows, an
 * administrator's all; while rows are stored, those.
 */
Datum
memai_usage_pending(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		all;
	Size		size;
	const char *data = memai_record_read(&size, &all);

	InitMaterializedSRF(fcinfo, 0);
	if (data == NULL)
		return (Datum) 0;
	all = all || is_admin();
	for (Size offset = 0; offset < size;)
	{
		const MemaiRecord *record = (const MemaiRecord *) (data + offset);

		CHECK_FOR_INTERRUPTS();
		if (record->database == MyDatabaseId && !record->under_way &&
			(all || has_privs_of_role(GetUserId(), record->role)))
			put_record(set, record);
		offset += record->size;
	}
	return (Datum) 0;
}

/* flush_usage() returns bigint: volatile */
Datum
memai_flush_usage(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(memai_usage_flush());
}

/* _limit_buckets() returns setof record: volatile; no rows when not preloaded */
Datum
memai_limit_buckets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	MemaiLimitState *states;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	states = memai_limit_read(&n);
	for (int i = 0; i < n; i++)
	{
		const MemaiLimitState *state = &states[i];
		Datum		values[10];
		bool		nulls[10] = {false};

		set_text(values, nulls, 0, state->key.model ? state->model : NULL);
		values[1] = ObjectIdGetDatum(state->key.role);
		nulls[1] = !OidIsValid(state->key.role);
		set_text(values, nulls, 2, state->key.user ? state->user : NULL);
		values[3] = Int64GetDatum(state->calls_under_way);
		values[4] = Int64GetDatum(state->used.requests);
		values[5] = Int64GetDatum(state->used.tokens);
		values[6] = Int64GetDatum(state->used.day_tokens);
		values[7] = Float8GetDatum(state->used.day_cost);
		values[8] = Int64GetDatum(state->reserved_tokens);
		values[9] = Float8GetDatum(state->reserved_cost);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* _stats_health() returns record: volatile */
Datum
memai_stats_health(PG_FUNCTION_ARGS)
{
	MemaiStatsShared *shared = memai_stats_shared();
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false, shared == NULL, shared == NULL, shared == NULL};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = BoolGetDatum(shared != NULL);
	values[1] = Int64GetDatum(shared ? shared->buffer->dropped : 0);
	values[2] = Int64GetDatum(shared ? shared->uncounted : 0);
	values[3] = Float8GetDatum(shared ? (double) shared->buffer->used / shared->buffer->size : 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
