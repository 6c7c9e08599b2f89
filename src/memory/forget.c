/*
 * forget.c
 *	  Forgetting: hard removes the row, what was concluded from it, the vectors
 *	  (by foreign key) and every copy of the text in the history (by trigger);
 *	  soft stops recalling a memory.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"

/* what was concluded from it goes too; what merely rests on it gets reviewed */
static MemaiStatement delete_memory = {
	.sql = "WITH RECURSIVE gone (id) AS (SELECT $2 UNION SELECT l.from_id FROM gone g "
	"JOIN memai.memory_link l ON l.scope = $1 AND l.to_id = g.id AND l.kind = 'derives') "
	"DELETE FROM memai.memory WHERE scope = $1 AND id IN (SELECT id FROM gone)",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement delete_episode = {
	.sql = "DELETE FROM memai.episode WHERE scope = $1 AND id = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement expire_memory = {
	.sql = "UPDATE memai.memory SET expired_at = now(), reason = $3 WHERE scope = $1 AND id = $2 AND expired_at IS NULL",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, TEXTOID},
};

static MemaiStatement select_episode = {
	.sql = "SELECT FROM memai.episode WHERE scope = $1 AND id = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

/* the row of history that the deletion has written */
static MemaiStatement set_reason = {
	.sql = "UPDATE memai.memory_history SET reason = $3 WHERE scope = $1 AND memory_id = $2 AND event = 'FORGET' "
	"AND reason IS NULL AND xid = pg_current_xact_id()",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_forget);

static bool
run_on(MemaiStatement *statement, const MemaiScope *scope, Datum id, const text *reason)
{
	Datum		values[3] = {Int64GetDatum(scope->scope), id, PointerGetDatum(reason)};

	return memai_statement_run(statement, values, reason ? "   " : "  n", false, 0) > 0;
}

static bool
forget_hard(const MemaiScope *scope, Datum id, const text *reason)
{
	if (run_on(&delete_memory, scope, id, NULL))
	{
		if (reason != NULL)
		{
			MemaiOwner	caller;

			memai_owner_begin(&caller);
			run_on(&set_reason, scope, id, reason);
			memai_owner_end(&caller);
		}
		return true;
	}
	return run_on(&delete_episode, scope, id, NULL);
}

static bool
forget_soft(const MemaiScope *scope, Datum id, const text *reason)
{
	if (run_on(&expire_memory, scope, id, reason))
		return true;
	if (run_on(&select_episode, scope, id, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an episode cannot be forgotten softly"),
				 errdetail("Episodes are what happened; they are kept as they are or removed."),
				 errhint("Use mode => 'hard'.")));
	return false;
}

/* forget(id uuid, user_id text, namespace text, mode text, reason text) returns boolean */
Datum
memai_forget(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	Datum		id;
	char	   *mode = PG_ARGISNULL(3) ? "hard" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	text	   *reason = PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4);
	bool		found;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("id must not be null")));
	id = PG_GETARG_DATUM(0);
	memai_scope_resolve(&scope, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
						PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	if (strcmp(mode, "hard") != 0 && strcmp(mode, "soft") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid mode of forgetting"),
				 errhint("The mode is hard (remove) or soft (keep the row of a memory, stop recalling it).")));
	reason = memai_pii_clean_one("reason", reason);

	SPI_connect();
	found = strcmp(mode, "hard") == 0 ? forget_hard(&scope, id, reason) : forget_soft(&scope, id, reason);
	SPI_finish();
	PG_RETURN_BOOL(found);
}
