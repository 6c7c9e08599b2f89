/*
 * source_watch.c
 *	  Watched tables of sources: a change in one invalidates what sessions keep.
 *
 * Statement triggers leave the transaction's id in memai._source_change, one row a
 * transaction and source.  It is seen when the change is: at commit.  What
 * a session keeps knows the oldest transaction that was running when it was
 * read (xmin), and holds unless a change with that id or a later one is seen.
 *
 * Of the changes that ended before every running transaction only the last is
 * needed: whoever read before an earlier one ended has an xmin below it, hence
 * below the last, and does not hold.  So the trigger deletes the others, skipping
 * those that somebody else is deleting: writers never wait for each other here.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/core.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#define TRIGGER_FUNCTION "_source_changed"
#define MAX_TABLES 100

static MemaiStatement insert_change = {
	.sql = "INSERT INTO memai._source_change (tenant, source, xid) SELECT s.tenant, s.name, pg_current_xact_id() "
	"FROM memai.source s WHERE s.tenant = $1 AND s.name = $2 AND s.cache_ttl > '0' ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static MemaiStatement delete_older = {
	.sql = "DELETE FROM memai._source_change c WHERE c.tenant = $1 AND c.source = $2 AND c.xid = ANY (ARRAY("
	"SELECT o.xid FROM memai._source_change o WHERE o.tenant = $1 AND o.source = $2 AND o.xid < ("
	"SELECT l.xid FROM memai._source_change l WHERE l.tenant = $1 AND l.source = $2 AND l.xid < pg_snapshot_xmin(pg_current_snapshot()) "
	"ORDER BY l.xid DESC LIMIT 1) ORDER BY o.xid LIMIT 100 FOR UPDATE SKIP LOCKED))",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* the triggers of a source, by their arguments */
static MemaiStatement select_triggers = {
	.sql = "SELECT t.tgrelid, t.tgname FROM pg_trigger t WHERE t.tgfoid = 'memai." TRIGGER_FUNCTION "()'::regprocedure "
	"AND t.tgargs = convert_to($1, getdatabaseencoding()) || decode('00', 'hex') || convert_to($2, getdatabaseencoding()) || decode('00', 'hex')",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_source_changed);
PG_FUNCTION_INFO_V1(memai_watch_source);

/* _source_changed() returns trigger; its arguments are a tenant and the name of a source */
Datum
memai_source_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Datum		values[2];

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this trigger function takes two arguments"),
				 errhint("Name tables in watch of memai.register_source.")));
	values[0] = CStringGetTextDatum(trigger->tg_trigger->tgargs[0]);
	values[1] = CStringGetTextDatum(trigger->tg_trigger->tgargs[1]);
	SPI_connect();
	if (memai_statement_run(&insert_change, values, NULL, false, 0) > 0)
		memai_statement_run(&delete_older, values, NULL, false, 0);
	SPI_finish();
	return PointerGetDatum(NULL);
}

static char *
qualified_name(Oid table)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table));
}

static void
run(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "unexpected result of \"%s\"", sql);
}

/* Drops the source's triggers on tables of the current role; others stay, and do nothing once the source is gone. */
static void
drop_triggers(Datum *values)
{
	uint64		nrows = memai_statement_run(&select_triggers, values, NULL, true, 0);
	SPITupleTable *found = SPI_tuptable;

	for (uint64 row = 0; row < nrows; row++)
	{
		bool		null;
		Oid			table = DatumGetObjectId(SPI_getbinval(found->vals[row], found->tupdesc, 1, &null));
		char	   *name = SPI_getvalue(found->vals[row], found->tupdesc, 2);

		CHECK_FOR_INTERRUPTS();
		if (memai_owns_relation(table))
			run(psprintf("DROP TRIGGER %s ON %s", quote_identifier(name), qualified_name(table)));
	}
	SPI_freetuptable(found);
}

static Oid
look_up_table(const char *name, const char *search_path)
{
	int			nest_level = NewGUCNestLevel();
	Oid			table;
	char		kind;

	(void) set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	table = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(name)));
	AtEOXact_GUC(true, nest_level);
	kind = get_rel_relkind(table);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is no table and cannot be watched", name),
				 errhint("Watch the tables that it reads.")));
	if (!memai_owns_relation(table))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(kind), get_rel_name(table));
	return table;
}

static void
create_triggers(const char *tenant, const char *source, Oid table)
{
	uint64		hash = memai_hash64(source, strlen(source), memai_hash64(tenant, strlen(tenant), 0));
	char	   *name = psprintf("memai_source_%016llx", (unsigned long long) hash);

	run(psprintf("CREATE TRIGGER %s AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION memai."
				 TRIGGER_FUNCTION "(%s, %s)", name, qualified_name(table), quote_literal_cstr(tenant), quote_literal_cstr(source)));
	/* what a subscription applies is a change, too */
	run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", qualified_name(table), name));
}

/*
 * _watch_source(tenant text, name text, tables text[], search_path text) returns text[]:
 * volatile; the tables by their full names
 */
Datum
memai_watch_source(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	char	   *search_path = text_to_cstring(PG_GETARG_TEXT_PP(3));
	Datum	   *names;
	bool	   *nulls;
	int			n;
	ArrayType  *result;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	if (n > MAX_TABLES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many tables in watch"),
				 errdetail("The limit is %d.", MAX_TABLES)));
	SPI_connect();
	drop_triggers(values);
	for (int i = 0; i < n; i++)
	{
		Oid			table;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("watch must not contain nulls")));
		table = look_up_table(TextDatumGetCString(names[i]), search_path);
		create_triggers(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), table);
		MemoryContextSwitchTo(context);
		names[i] = CStringGetTextDatum(qualified_name(table));
	}
	MemoryContextSwitchTo(context);
	result = construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT);
	SPI_finish();
	PG_RETURN_ARRAYTYPE_P(result);
}
