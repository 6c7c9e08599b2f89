/*
 * limit.c
 *	  Limits as administrators write them: which a call falls under, and
 *	  set_limit.
 *
 * A rule names a model, a role and a user, or leaves them out: then the calls
 * of all share its limits.  '*' stands for each one by itself.  The counting is
 * in stats/limit.c.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "model/registry.h"
#include "model/usage.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#define EACH "*"
#define RULE_SEED UINT64CONST(0x6d656d61696c696d)

PG_FUNCTION_INFO_V1(memai_set_limit);

static MemaiStatement match_rules = {
	"SELECT model, role::oid, user_id, requests_per_minute::bigint, tokens_per_minute, concurrent_calls::bigint, "
	"daily_tokens, daily_cost FROM memai._limit "
	"WHERE (model IS NULL OR model IN ('*', $1)) AND (role IS NULL OR role::oid IN (0, $2)) "
	"AND (user_id IS NULL OR user_id IN ('*', $3))",
	3, {TEXTOID, OIDOID, TEXTOID}, NULL
};
static MemaiStatement find_user_rule = {
	"SELECT FROM memai._limit WHERE user_id IS NOT NULL", 0, {0}, NULL
};
static MemaiStatement read_history = {
	"SELECT count(*) FILTER (WHERE at > d.now - interval '1 minute'), "
	"coalesce(sum(prompt_tokens + completion_tokens) FILTER (WHERE at > d.now - interval '1 minute'), 0)::bigint, "
	"coalesce(sum(prompt_tokens + completion_tokens) FILTER (WHERE at >= d.day), 0)::bigint, "
	"coalesce(sum(cost) FILTER (WHERE at >= d.day), 0) "
	"FROM memai._usage, (SELECT clock_timestamp() AS now, "
	"date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day) d "
	"WHERE at >= least(d.day, d.now - interval '1 minute') AND ($1 IS NULL OR model = $1) "
	"AND ($2 IS NULL OR role::oid = $2) AND ($3 IS NULL OR coalesce(user_id, '') = $3)",
	3, {TEXTOID, OIDOID, TEXTOID}, NULL
};
static MemaiStatement delete_rule = {
	"DELETE FROM memai._limit WHERE model IS NOT DISTINCT FROM $1 AND role::oid IS NOT DISTINCT FROM $2 "
	"AND user_id IS NOT DISTINCT FROM $3",
	3, {TEXTOID, OIDOID, TEXTOID}, NULL
};
static MemaiStatement insert_rule = {
	"INSERT INTO memai._limit (model, role, user_id, requests_per_minute, tokens_per_minute, concurrent_calls, "
	"daily_tokens, daily_cost) VALUES ($1, $2::regrole, $3, $4, $5, $6, $7, $8)",
	8, {TEXTOID, OIDOID, TEXTOID, INT4OID, INT8OID, INT4OID, INT8OID, FLOAT8OID}, NULL
};

/* ---- the limits of a call ---- */

static uint64
hash_name(const char *name, uint64 seed)
{
	return memai_hash64(name, strlen(name), seed);
}

static int64
count_column(HeapTuple row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static double
number_column(HeapTuple row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetFloat8(value);
}

/* fills limit from a rule, for a call of that model, role and user */
static void
read_rule(HeapTuple row, const char *model, Oid role, const char *user_id, MemaiLimit *limit)
{
	char	   *rule_model = SPI_getvalue(row, SPI_tuptable->tupdesc, 1);
	char	   *rule_role = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
	char	   *rule_user = SPI_getvalue(row, SPI_tuptable->tupdesc, 3);

	memset(limit, 0, sizeof(MemaiLimit));
	limit->key.database = MyDatabaseId;
	limit->key.rule = hash_name(rule_model ? rule_model : "", RULE_SEED);
	limit->key.rule = hash_name(rule_role ? rule_role : "", limit->key.rule);
	limit->key.rule = hash_name(rule_user ? rule_user : "", limit->key.rule);
	if (rule_model != NULL)
		limit->key.model = hash_name(model, RULE_SEED);
	if (rule_role != NULL)
		limit->key.role = role;
	if (rule_user != NULL)
		limit->key.user = hash_name(user_id, RULE_SEED);
	strlcpy(limit->model, model, sizeof(limit->model));
	strlcpy(limit->user, user_id, sizeof(limit->user));
	limit->requests_per_minute = count_column(row, 4);
	limit->tokens_per_minute = count_column(row, 5);
	limit->concurrent_calls = count_column(row, 6);
	limit->daily_tokens = count_column(row, 7);
	limit->daily_cost = number_column(row, 8);
}

/* pins the limit's bucket; a new one begins with what the ledger knows */
static void
pin(MemaiLimit *limit, const char *model, const char *user_id)
{
	MemaiLimitHistory history = {0};
	Datum		values[3];
	char		nulls[4] = "   ";

	if (memai_limit_pin(limit, NULL))
		return;
	(void) memai_usage_flush();
	values[0] = CStringGetTextDatum(model);
	values[1] = ObjectIdGetDatum(limit->key.role);
	values[2] = CStringGetTextDatum(user_id);
	nulls[0] = limit->key.model ? ' ' : 'n';
	nulls[1] = OidIsValid(limit->key.role) ? ' ' : 'n';
	nulls[2] = limit->key.user ? ' ' : 'n';
	if (memai_statement_run(&read_history, values, nulls, false, 1) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];

		history.requests = count_column(row, 1);
		history.tokens = count_column(row, 2);
		history.day_tokens = count_column(row, 3);
		history.day_cost = number_column(row, 4);
	}
	(void) memai_limit_pin(limit, &history);
}

void
memai_limits_match(const char *model, Oid role, const char *user_id, MemaiLimit **limits, int *n)
{
	MemoryContext context = CurrentMemoryContext;
	MemaiRegistry registry;
	Datum		values[3];
	int			nrules;

	if (user_id == NULL)
		user_id = "";
	*n = 0;
	memai_registry_open(&registry);
	values[0] = CStringGetTextDatum(model);
	values[1] = ObjectIdGetDatum(role);
	values[2] = CStringGetTextDatum(user_id);
	nrules = (int) memai_statement_run(&match_rules, values, NULL, true, 0);
	if (nrules > 0 && !memai_stats_preloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("limits cannot be kept without shared memory"),
				 errhint("Add memai to shared_preload_libraries and restart, or remove the limits with memai.set_limit.")));
	if (nrules > 0)
		*limits = MemoryContextAllocZero(context, sizeof(MemaiLimit) * nrules);
	for (int i = 0; i < nrules; i++)
		read_rule(SPI_tuptable->vals[i], model, role, user_id, &(*limits)[i]);
	for (int i = 0; i < nrules; i++)
	{
		pin(&(*limits)[i], model, user_id);
		(*n)++;
	}
	memai_registry_close(&registry);
}

bool
memai_limits_by_user(void)
{
	MemaiRegistry registry;
	bool		found;

	memai_registry_open(&registry);
	found = memai_statement_run(&find_user_rule, NULL, NULL, true, 1) > 0;
	memai_registry_close(&registry);
	return found;
}

/* ---- set_limit ---- */

static void
check_positive(FunctionCallInfo fcinfo, int argument, const char *name, double value)
{
	/* written so that NaN fails */
	if (!PG_ARGISNULL(argument) && !(value > 0 && !isinf(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive", name),
				 errhint("Leave it out for no limit; revoke the model to forbid calls.")));
}

static void
check_values(FunctionCallInfo fcinfo)
{
	check_positive(fcinfo, 3, "requests_per_minute", PG_GETARG_INT32(3));
	check_positive(fcinfo, 4, "tokens_per_minute", PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4));
	check_positive(fcinfo, 5, "concurrent_calls", PG_GETARG_INT32(5));
	check_positive(fcinfo, 6, "daily_tokens", PG_ARGISNULL(6) ? 0 : PG_GETARG_INT64(6));
	check_positive(fcinfo, 7, "daily_cost", PG_ARGISNULL(7) ? 0 : PG_GETARG_FLOAT8(7));
}

static char *
name_argument(FunctionCallInfo fcinfo, int argument, const char *what)
{
	char	   *name;

	if (PG_ARGISNULL(argument))
		return NULL;
	name = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", what),
				 errhint("Leave it out for all of them together, or use '*' for each by itself.")));
	return name;
}

static void
audit_rule(FunctionCallInfo fcinfo, const char *model, const char *role)
{
	char	   *limits[5];

	for (int i = 0; i < 5; i++)
	{
		bool		wide = i == 1 || i == 3;

		limits[i] = NULL;
		if (PG_ARGISNULL(i + 3))
			continue;
		if (i == 4)
			limits[i] = psprintf("%.15g", PG_GETARG_FLOAT8(7));
		else
			limits[i] = psprintf(INT64_FORMAT, wide ? PG_GETARG_INT64(i + 3) : (int64) PG_GETARG_INT32(i + 3));
	}
	memai_audit("set_limit", model ? model : "", "role", role, "user_id", name_argument(fcinfo, 2, "user_id"),
				"requests_per_minute", limits[0], "tokens_per_minute", limits[1], "concurrent_calls", limits[2],
				"daily_tokens", limits[3], "daily_cost", limits[4], NULL);
}

/*
 * set_limit(model text, role text, user_id text, requests_per_minute integer,
 * tokens_per_minute bigint, concurrent_calls integer, daily_tokens bigint,
 * daily_cost double precision) returns void: volatile
 */
Datum
memai_set_limit(PG_FUNCTION_ARGS)
{
	char	   *model = name_argument(fcinfo, 0, "model");
	char	   *role = name_argument(fcinfo, 1, "role");
	MemaiRegistry registry;
	Datum		values[8];
	char		nulls[9] = "        ";
	bool		limited = false;

	(void) name_argument(fcinfo, 2, "user_id");
	check_values(fcinfo);
	for (int i = 0; i < 8; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		limited |= i >= 3 && !PG_ARGISNULL(i);
	}
	if (limited && !memai_stats_preloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("limits need shared memory"),
				 errhint("Add memai to shared_preload_libraries and restart the server.")));
	if (limited && model != NULL && strcmp(model, EACH) != 0 && memai_registry_read(model) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" does not exist", model)));
	if (role != NULL)
		values[1] = ObjectIdGetDatum(strcmp(role, EACH) == 0 ? InvalidOid : get_role_oid(role, false));
	memai_registry_open(&registry);
	memai_statement_run(&delete_rule, values, nulls, false, 0);
	if (limited)
		memai_statement_run(&insert_rule, values, nulls, false, 0);
	memai_registry_close(&registry);
	audit_rule(fcinfo, model, role);
	PG_RETURN_VOID();
}
