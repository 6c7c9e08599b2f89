/*
 * catch.c
 *	  Running something in a subtransaction and turning its error into a value.
 *
 * The subtransaction is always ended before an error is passed on: left open,
 * it would outlive a statement outside a transaction block and wreck the
 * session.
 */
#include "postgres.h"

#include "core/core.h"
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Errors that end the statement whatever its author wants to catch. */
static bool
ends_statement(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return error->elevel >= FATAL ||
		category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_INSUFFICIENT_RESOURCES ||
		category == ERRCODE_INTERNAL_ERROR;
}

ErrorData *
memai_catch(void (*body) (void *), void *arg, bool (*wanted) (const ErrorData *))
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (error != NULL && (ends_statement(error) || (wanted != NULL && !wanted(error))))
		ReThrowError(error);
	return error;
}
