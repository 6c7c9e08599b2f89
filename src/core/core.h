/*
 * core.h
 *	  The ground that every module stands on: stable hashing, ids, statements
 *	  through SPI, tenancy.  Layer 0: includes no other module.
 */
#ifndef MEMAI_CORE_H
#define MEMAI_CORE_H

#include "core/compat.h"
#include "core/errors.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/uuid.h"

/* ---- hash.c: pure, no server dependency but the integer types ---- */

/*
 * 64-bit hash of len bytes under a seed.  The same on every machine, byte
 * order and release: scopes and embedding features that are stored on disk
 * depend on it, so the function can never change.
 */
extern uint64 memai_hash64(const void *data, size_t len, uint64 seed);

/* ---- ids.c ---- */

/*
 * Writes a new time-ordered UUID (RFC 9562 version 7).  Ids that one backend
 * makes are strictly increasing, so they keep the order of a statement's rows.
 */
extern void memai_new_id(pg_uuid_t *id);

/* ---- statement.c ---- */

#define MEMAI_STATEMENT_MAX_ARGS 26

/*
 * One SQL statement of memai's own, prepared at first use and kept for the
 * session.  Declare it static; fill sql, nargs and argtypes; leave plan NULL.
 * The text is fixed at compile time: values travel as parameters only.
 */
typedef struct MemaiStatement
{
	const char *sql;
	int			nargs;
	Oid			argtypes[MEMAI_STATEMENT_MAX_ARGS];
	SPIPlanPtr	plan;
} MemaiStatement;

/*
 * Runs the statement inside an open SPI connection with the caller's rights
 * and returns the number of rows; results are in SPI_tuptable as usual.  The
 * current memory context stays current.
 * nulls may be NULL when no value is null.  max_rows 0 means all.  The caller
 * must run under a fixed search_path (SET search_path on the SQL function).
 * Raises whatever the statement raises.
 */
extern uint64 memai_statement_run(MemaiStatement *statement, Datum *values,
								  const char *nulls, bool read_only, long max_rows);

/*
 * Runs a statement that writes on the newest snapshot, even in a transaction
 * that has but one: for what must not miss rows that others committed.
 */
extern uint64 memai_statement_run_latest(MemaiStatement *statement, Datum *values, const char *nulls);

/*
 * Makes seen what this statement did before, as a function of the same select
 * list may have: pushes a snapshot, which the caller pops.  For functions that
 * are VOLATILE and PARALLEL UNSAFE only.
 */
extern void memai_see_own_changes(void);

/*
 * Before a statement is run: has one plan made for all values, where the server would else plan for those of a
 * call as long as that promises anything.  For statements whose best plan does not depend on values.
 */
extern void memai_statement_plan_once(MemaiStatement *statement);

/*
 * Runs the read-only statement and hands each row to receive, as the executor has it: nothing is copied, and what is not
 * passed by value is gone when receive returns.  receive runs in the caller's memory context and must not use SPI.  The
 * rest is as of memai_statement_run.
 */
typedef void (*MemaiReceiveRow) (TupleTableSlot *slot, void *arg);
extern uint64 memai_statement_each(MemaiStatement *statement, Datum *values, const char *nulls, long max_rows,
								   MemaiReceiveRow receive, void *arg);

/*
 * Opens a cursor on the read-only statement instead; fetch with
 * SPI_cursor_fetch, close with SPI_cursor_close.
 */
extern Portal memai_statement_open(MemaiStatement *statement, Datum *values, const char *nulls);

/* Drops the kept plan, because a type that it was made with is another now. */
extern void memai_statement_forget(MemaiStatement *statement);

/* ---- catch.c ---- */

/*
 * Runs body(arg) in a subtransaction.  Returns NULL, or a copy of the error it
 * raised, palloc'd in the current context; what it did in the database is then
 * undone.  Errors for which wanted (NULL: all) answers false are raised again,
 * and always those that end a statement: cancel, shutdown, out of memory,
 * internal errors.
 */
extern ErrorData *memai_catch(void (*body) (void *), void *arg, bool (*wanted) (const ErrorData *));

/* ---- raise.c ---- */

/*
 * Raises 53200: for what is allocated outside of memory contexts, by malloc or
 * in a library.  Never call it in a library's callback.
 */
pg_noreturn extern void memai_raise_out_of_memory(void);

/* ---- tenant.c ---- */

#define MEMAI_DEFAULT_NAMESPACE "default"
#define MEMAI_KEY_MAX_LENGTH	1024	/* bytes, of user_id and of namespace */

/*
 * Whose data a call is about: the three texts and their hash.  Strings are in
 * the memory context that was current when memai_scope_resolve was called.
 */
typedef struct MemaiScope
{
	text	   *tenant;
	text	   *user_id;
	text	   *namespace;
	int64		scope;
} MemaiScope;

/*
 * Fills the scope of a call from its user_id and namespace arguments, either
 * of which may be NULL (then the setting memai.user_id, and 'default').
 * Raises 22023 when no user is known or a key is empty or too long, 42501
 * when memai.user_id names another user.
 */
extern void memai_scope_resolve(MemaiScope *scope, text *user_id, text *namespace);

/* The tenant of the running statement, palloc'd; never empty. */
extern text *memai_current_tenant_text(void);

/* ---- wait.c ---- */

/* how to leave the running transaction, and how to begin another */
typedef struct MemaiWaitHooks
{
	void		(*leave) (void);
	void		(*enter) (void);
} MemaiWaitHooks;

/* Sets the hooks of this process; NULL: none.  Also forgets an unfinished wait. */
extern void memai_wait_set_hooks(const MemaiWaitHooks *hooks);

/*
 * What the owner of the hooks can do in the time that a call waits: a short
 * piece of it, in a transaction that begins and ends there; false when there
 * is nothing to do now.  Forgotten with the hooks.
 */
typedef bool (*MemaiWaitWork) (void);
extern void memai_wait_set_work(MemaiWaitWork work);

/*
 * For whoever calls out, while everything it can send is under way: whether
 * there may be such work, and doing a piece of it.  Raises whatever that raises.
 */
extern bool memai_wait_has_work(void);
extern bool memai_wait_work(void);

/*
 * Around the waiting of a call to the outside.  Between the two there may be
 * no transaction: no catalogs, no SPI, no memory of a transaction.  An error
 * in between is the hooks' owner's to clean up.
 */
extern void memai_wait_begin(void);
extern void memai_wait_end(void);

/*
 * How long the last call that failed was asked to wait before another try, in
 * milliseconds; 0: not at all.  Whoever fails a call notes it just before the
 * error; who runs jobs reads it after, and sets it to 0 before a job.
 */
extern void memai_wait_set_retry_after(int64 milliseconds);
extern int64 memai_wait_retry_after(void);

extern void memai_core_init(void);

#endif							/* MEMAI_CORE_H */
