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
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/snapmgr.h"

/* where the rows of memai_statement_each go */
typedef struct RowReceiver
{
	DestReceiver destination;
	MemaiReceiveRow receive;
	void	   *arg;
	MemoryContext context;		/* of the caller */
} RowReceiver;

/* SPI leaves a context of its own, which ends with the connection: here and below the caller's is put back */
static void
prepare(MemaiStatement *statement, int cursor_options)
{
	MemoryContext context = CurrentMemoryContext;
	SPIPlanPtr	plan;

	Assert(statement->nargs <= MEMAI_STATEMENT_MAX_ARGS);
	plan = SPI_prepare_cursor(statement->sql, statement->nargs, statement->argtypes, cursor_options);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	MemoryContextSwitchTo(context);
	statement->plan = plan;
}

void
memai_statement_plan_once(MemaiStatement *statement)
{
	if (statement->plan == NULL)
		prepare(statement, CURSOR_OPT_GENERIC_PLAN);
}

uint64
memai_statement_run(MemaiStatement *statement, Datum *values,
					const char *nulls, bool read_only, long max_rows)
{
	MemoryContext context = CurrentMemoryContext;
	int			result;

	if (statement->plan == NULL)
		prepare(statement, 0);
	result = SPI_execute_plan(statement->plan, values, nulls, read_only, max_rows);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

uint64
memai_statement_run_latest(MemaiStatement *statement, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	int			result;

	if (statement->plan == NULL)
		prepare(statement, 0);
	CommandCounterIncrement();
	result = SPI_execute_snapshot(statement->plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, false, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

void
memai_see_own_changes(void)
{
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* ---- row by row ---- */

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;
	MemoryContext previous;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	previous = MemoryContextSwitchTo(receiver->context);
	receiver->receive(slot, receiver->arg);
	MemoryContextSwitchTo(previous);
	return true;
}

static void
start_receiving(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
stop_receiving(DestReceiver *self)
{
}

static ParamListInfo
make_parameters(const MemaiStatement *statement, const Datum *values, const char *nulls)
{
	ParamListInfo parameters = makeParamList(statement->nargs);

	for (int i = 0; i < statement->nargs; i++)
	{
		parameters->params[i].value = values[i];
		parameters->params[i].isnull = nulls != NULL && nulls[i] == 'n';
		parameters->params[i].pflags = PARAM_FLAG_CONST;
		parameters->params[i].ptype = statement->argtypes[i];
	}
	return parameters;
}

uint64
memai_statement_each(MemaiStatement *statement, Datum *values, const char *nulls, long max_rows,
					 MemaiReceiveRow receive, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	RowReceiver receiver = {
		.destination = {receive_row, start_receiving, stop_receiving, stop_receiving, DestTuplestore},
		.receive = receive,
		.arg = arg,
		.context = context,
	};
	SPIExecuteOptions options = {.read_only = true,.tcount = max_rows,.dest = &receiver.destination};
	int			result;

	if (statement->plan == NULL)
		prepare(statement, 0);
	if (statement->nargs > 0)
		options.params = make_parameters(statement, values, nulls);
	result = SPI_execute_plan_extended(statement->plan, &options);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(result));
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

Portal
memai_statement_open(MemaiStatement *statement, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	Portal		portal;

	if (statement->plan == NULL)
		prepare(statement, 0);
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
