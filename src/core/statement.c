/*
 * statement.c
 *	  memai's own SQL statements: prepared once a session, run through SPI.
 *
 * A kept plan belongs to the session, not to a transaction.  PostgreSQL plans
 * it again by itself when a table, the role (row-level security) or the
 * search_path changes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "utils/snapmgr.h"

static void
prepare_statement(MemaiStatement *statement)
{
	SPIPlanPtr	plan;

	Assert(statement->nargs <= MEMAI_STATEMENT_MAX_ARGS);
	plan = SPI_prepare(statement->sql, statement->nargs, statement->argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	statement->plan = plan;
}

uint64
memai_statement_run(MemaiStatement *statement, Datum *values,
					const char *nulls, bool read_only, long max_rows)
{
	MemoryContext context = CurrentMemoryContext;
	int			result;

	if (statement->plan == NULL)
		prepare_statement(statement);
	result = SPI_execute_plan(statement->plan, values, nulls, read_only, max_rows);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	/* SPI leaves its own, which ends with the connection */
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

uint64
memai_statement_run_latest(MemaiStatement *statement, Datum *values, const char *nulls)
{
	int			result;

	if (statement->plan == NULL)
		prepare_statement(statement);
	CommandCounterIncrement();
	result = SPI_execute_snapshot(statement->plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, false, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	return SPI_processed;
}

void
memai_see_own_changes(void)
{
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
}

Portal
memai_statement_open(MemaiStatement *statement, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	Portal		portal;

	if (statement->plan == NULL)
		prepare_statement(statement);
	portal = SPI_cursor_open(NULL, statement->plan, values, nulls, true);
	if (portal == NULL)
		elog(ERROR, "SPI_cursor_open failed: %s", SPI_result_code_string(SPI_result));
	MemoryContextSwitchTo(context);
	return portal;
}

void
memai_statement_forget(MemaiStatement *statement)
{
	SPIPlanPtr	plan = statement->plan;

	statement->plan = NULL;
	if (plan != NULL)
		SPI_freeplan(plan);
}
