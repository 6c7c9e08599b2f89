/*
 * erase.c
 *	  memai.forget_user and memai.compact: erasing a user from every table
 *	  that holds users' data, and from the files under them.
 *
 * The tables are those of schema memai that have the columns tenant, user_id
 * and scope, whatever module made them; upper modules need not be known here.
 * What stays: the history's rows without any text, and the certificate.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "stats/stats.h"
#include "utils/builtins.h"

/* partitions are reached through their parent; what is kept is left out */
static MemaiStatement clear_cache = {"SELECT memai.clear_cache()", 0, {0}, NULL};

static MemaiStatement select_user_tables = {
	.sql = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'memai'::regnamespace "
	"AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN ('memory_history', 'erasure') "
	"AND 3 = (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped "
	"AND a.attname IN ('tenant', 'user_id', 'scope')) "
	/* vectors and links before what they belong to, so that they are counted */
	"ORDER BY c.relname IN ('memory', 'entity'), c.relname = 'document', c.relname = 'episode', c.relname",
};

static MemaiStatement select_files = {
	.sql = "SELECT c.relname::text, i.relname::text FROM pg_class c "
	"JOIN pg_index x ON x.indrelid = c.oid AND x.indisprimary JOIN pg_class i ON i.oid = x.indexrelid "
	"WHERE c.relnamespace = 'memai'::regnamespace AND c.relkind = 'r' "
	"AND 3 = (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped "
	"AND a.attname IN ('tenant', 'user_id', 'scope')) ORDER BY 1",
};

static MemaiStatement scrub_history = {
	.sql = "UPDATE memai.memory_history SET old_content = NULL, new_content = NULL, before = NULL, reason = NULL "
	"WHERE tenant = $1 AND user_id = $2 AND ($3 IS NULL OR namespace = $3)",
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

static MemaiStatement insert_certificate = {
	.sql = "INSERT INTO memai.erasure (tenant, user_id, namespace, scope, removed, reason, actor) "
	"VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7)",
	.nargs = 7,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, NAMEOID},
};

PG_FUNCTION_INFO_V1(memai_forget_user);
PG_FUNCTION_INFO_V1(memai_compact);

/* The text columns of a statement's rows, palloc'd in the caller's context: nrows x ncolumns. */
static char **
read_names(MemaiStatement *statement, int ncolumns, uint64 *nrows)
{
	char	  **names;

	*nrows = memai_statement_run(statement, NULL, NULL, true, 0);
	names = palloc(sizeof(char *) * Max(*nrows * ncolumns, 1));
	for (uint64 row = 0; row < *nrows; row++)
	{
		for (int i = 0; i < ncolumns; i++)
			names[row * ncolumns + i] = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1);
	}
	return names;
}

/* what forget_user works on */
typedef struct Erasure
{
	MemaiScope	scope;
	text	   *namespace;		/* NULL: all */
	bool		confirm;
	ReturnSetInfo *rsinfo;
	StringInfoData removed;		/* the certificate's JSON */
} Erasure;

static void
report(Erasure *erasure, const char *what, uint64 n)
{
	Datum		values[2] = {CStringGetTextDatum(what), Int64GetDatum((int64) n)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(erasure->rsinfo->setResult, erasure->rsinfo->setDesc, values, nulls);
	appendStringInfo(&erasure->removed, "%s\"%s\": " UINT64_FORMAT, erasure->removed.len > 1 ? ", " : "", what, n);
}

/* Removes the user's rows of one table, or counts them. */
static void
erase_from(Erasure *erasure, const char *table)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3] = {PointerGetDatum(erasure->scope.tenant), PointerGetDatum(erasure->scope.user_id),
	PointerGetDatum(erasure->namespace)};
	StringInfoData sql;
	int			result;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s FROM memai.%s WHERE tenant = $1 AND user_id = $2 AND ($3 IS NULL OR namespace = $3)",
					 erasure->confirm ? "DELETE" : "SELECT", quote_identifier(table));
	result = SPI_execute_with_args(sql.data, 3, types, values, erasure->namespace ? "   " : "  n",
								   !erasure->confirm, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
	report(erasure, table, SPI_processed);
}

/* Takes the texts out of the history and writes the certificate: not for the caller's own hands. */
static void
certify(Erasure *erasure, const text *reason)
{
	const MemaiScope *scope = &erasure->scope;
	Datum		keys[3] = {PointerGetDatum(scope->tenant), PointerGetDatum(scope->user_id), PointerGetDatum(erasure->namespace)};
	Datum		values[7];
	NameData	actor;
	MemaiOwner	caller;

	namestrcpy(&actor, GetUserNameFromId(GetUserId(), false));
	memai_owner_begin(&caller);
	report(erasure, "history_texts", memai_statement_run(&scrub_history, keys, erasure->namespace ? "   " : "  n", false, 0));
	appendStringInfo(&erasure->removed, ", \"all_namespaces\": %s}", erasure->namespace ? "false" : "true");
	memai_scope_values(scope, values);
	values[4] = CStringGetTextDatum(erasure->removed.data);
	values[5] = PointerGetDatum(reason);
	values[6] = NameGetDatum(&actor);
	memai_statement_run(&insert_certificate, values, reason ? "       " : "     n ", false, 0);
	memai_owner_end(&caller);
}

/* forget_user(user_id text, confirm boolean, namespace text, reason text) returns setof record */
Datum
memai_forget_user(PG_FUNCTION_ARGS)
{
	Erasure		erasure = {.confirm = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1)};
	char	  **tables;
	uint64		ntables;
	text	   *reason;

	erasure.namespace = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	memai_scope_resolve(&erasure.scope, PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0), erasure.namespace);
	reason = memai_pii_clean_one("reason", PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3));
	InitMaterializedSRF(fcinfo, 0);
	erasure.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	initStringInfo(&erasure.removed);
	appendStringInfoChar(&erasure.removed, '{');

	SPI_connect();
	tables = read_names(&select_user_tables, 1, &ntables);
	for (uint64 i = 0; i < ntables; i++)
	{
		CHECK_FOR_INTERRUPTS();
		erase_from(&erasure, tables[i]);
	}
	if (erasure.confirm)
	{
		/* cached answers of models do not say whom they are about */
		memai_statement_run(&clear_cache, NULL, NULL, false, 0);
		certify(&erasure, reason);
		/* who it was stands in the certificate */
		memai_audit("forget_user", "", "tenant", text_to_cstring(erasure.scope.tenant), NULL);
	}
	SPI_finish();
	return (Datum) 0;
}

/* compact() returns bigint: has its owner's rights, since CLUSTER takes those */
Datum
memai_compact(PG_FUNCTION_ARGS)
{
	char	  **names;
	uint64		nfiles;

	SPI_connect();
	names = read_names(&select_files, 2, &nfiles);
	for (uint64 i = 0; i < nfiles; i++)
	{
		StringInfoData sql;
		int			result;

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&sql);
		appendStringInfo(&sql, "CLUSTER memai.%s USING %s", quote_identifier(names[2 * i]), quote_identifier(names[2 * i + 1]));
		result = SPI_execute(sql.data, false, 0);
		if (result < 0)
			elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
	}
	SPI_finish();
	PG_RETURN_INT64((int64) nfiles);
}
