/*
 * schedule_query.c
 *	  Queries that a schedule's author wrote: checked when they are given, run
 *	  as him.
 *
 * One SELECT (or VALUES, or EXPLAIN-free WITH that changes nothing), run
 * read-only, under the search_path that was in force when it was given.  Only
 * the first rows and bytes of what it returns are of use.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "ingest/schedule.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#define MAX_ROW_BYTES 2000

PG_FUNCTION_INFO_V1(memai_check_query);

/* a WITH query can change rows, too */
static bool
only_reads(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	Query	   *query = linitial_node(Query, source->query_list);

	return query->commandType == CMD_SELECT && !query->hasModifyingCTE;
}

static SPIPlanPtr
prepare_query(const char *query)
{
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);

	if (plan == NULL || !SPI_is_cursor_plan(plan) || !only_reads(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query of a schedule is one SELECT"),
				 errdetail("It is \"%s\".", query)));
	return plan;
}

static int
use_search_path(const char *search_path)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

/* "column: value, ..." without what is null, in the context */
static char *
describe_row(HeapTuple row, TupleDesc desc, int first, MemoryContext context)
{
	StringInfoData text;
	MemoryContext old = MemoryContextSwitchTo(context);

	initStringInfo(&text);
	for (int i = first; i <= desc->natts; i++)
	{
		char	   *value = SPI_getvalue(row, desc, i);

		if (value != NULL)
			appendStringInfo(&text, "%s%s: %s", text.len ? ", " : "", SPI_fname(desc, i), value);
	}
	if (text.len > MAX_ROW_BYTES)
		text.data[pg_mbcliplen(text.data, text.len, MAX_ROW_BYTES)] = '\0';
	MemoryContextSwitchTo(old);
	return text.data;
}

void
memai_schedule_query(const char *query, const char *search_path, bool is_condition, MemaiFinding *finding)
{
	MemoryContext context = CurrentMemoryContext;
	int			nest_level = use_search_path(search_path);
	Portal		portal;

	memset(finding, 0, sizeof(MemaiFinding));
	SPI_connect();
	portal = SPI_cursor_open(NULL, prepare_query(query), NULL, NULL, true);
	SPI_cursor_fetch(portal, true, MEMAI_SCHEDULE_MAX_ROWS);
	finding->nrows = (int) SPI_processed;
	for (int i = 0; i < finding->nrows; i++)
		finding->rows[i] = describe_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, is_condition ? 2 : 1, context);
	if (is_condition && finding->nrows > 0 && SPI_tuptable->tupdesc->natts > 0 && SPI_gettypeid(SPI_tuptable->tupdesc, 1) == BOOLOID)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		finding->is_true = !isnull && DatumGetBool(value);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	AtEOXact_GUC(false, nest_level);
}

/* _check_query(query text, search_path text, is_condition boolean) returns text: the query */
Datum
memai_check_query(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			nest_level = use_search_path(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	SPIPlanPtr	plan;
	Portal		portal;

	SPI_connect();
	plan = prepare_query(query);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	if (PG_GETARG_BOOL(2) && (portal->tupDesc->natts < 1 || SPI_gettypeid(portal->tupDesc, 1) != BOOLOID))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the first column of an alert's condition must be boolean")));
	SPI_cursor_close(portal);
	SPI_finish();
	AtEOXact_GUC(false, nest_level);
	PG_RETURN_TEXT_P(PG_GETARG_TEXT_PP(0));
}
