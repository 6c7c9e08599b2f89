/*
 * wait.c
 *	  Leaving the transaction while a call to the outside waits.
 *
 * A background job must not keep a transaction, and with it the horizon of
 * VACUUM, while a model server thinks.  Who runs jobs sets two hooks; whoever
 * calls out says when it has read all it needs from the database, and when it
 * has the answer.  Without hooks nothing happens: a call in a user's statement
 * stays in its transaction.
 */
#include "postgres.h"

#include "core/core.h"
#include "mb/pg_wchar.h"

static const MemaiWaitHooks *hooks = NULL;
static MemaiWaitWork work = NULL;
static bool waiting = false;
static int64 retry_after = 0;

void
memai_wait_set_hooks(const MemaiWaitHooks *new_hooks)
{
	hooks = new_hooks;
	work = NULL;
	waiting = false;
}

void
memai_wait_set_work(MemaiWaitWork new_work)
{
	work = new_work;
}

bool
memai_wait_has_work(void)
{
	return waiting && work != NULL;
}

bool
memai_wait_work(void)
{
	return memai_wait_has_work() && work();
}

void
memai_wait_begin(void)
{
	/* converting an answer to another encoding needs the catalogs */
	if (hooks == NULL || GetDatabaseEncoding() != PG_UTF8)
		return;
	waiting = true;
	hooks->leave();
}

void
memai_wait_end(void)
{
	if (!waiting)
		return;
	waiting = false;
	hooks->enter();
}

void
memai_wait_set_retry_after(int64 milliseconds)
{
	retry_after = Max(milliseconds, 0);
}

int64
memai_wait_retry_after(void)
{
	return retry_after;
}
