/*
 * forget.c
 *	  Forgetting: hard removes the row, its vectors (by foreign key) and every
 *	  copy of its text in the history; soft stops recalling a memory.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"

static MemaiStatement scrub_history = {
	.sql = "UPDATE memai.memory_history SET old_content = NULL, new_content = NULL WHERE scope = $1 AND memory_id = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

/* the histories of what it superseded quote it as their new content */
static MemaiStatement scrub_predecessors = {
	.sql = "UPDATE memai.memory_history h SET new_content = NULL FROM memai.memory m "
	"WHERE h.scope = $1 AND h.event = 'SUPERSEDE' AND h.memory_id = m.id AND m.scope = $1 AND m.superseded_by = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement delete_memory = {
	.sql = "DELETE FROM memai.memory WHERE scope = $1 AND id = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement delete_episode = {
	.sql = "DELETE FROM memai.episode WHERE scope = $1 AND id = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement expire_memory = {
	.sql = "UPDATE memai.memory SET expired_at = now() WHERE scope = $1 AND id = $2 AND expired_at IS NULL",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement select_episode = {
	.sql = "SELECT FROM memai.episode WHERE scope = $1 AND id = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement log_forget = {
	.sql = "INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, event, reason) "
	"VALUES ($1, $2, $3, $4, $5, 'FORGET', $6)",
	.nargs = 6,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_forget);

static bool
run_on(MemaiStatement *statement, const MemaiScope *scope, Datum id)
{
	Datum		values[2] = {Int64GetDatum(scope->scope), id};

	return memai_statement_run(statement, values, NULL, false, 0) > 0;
}

static void
log_forgotten(const MemaiScope *scope, Datum id, text *reason)
{
	Datum		values[6];
	char		nulls[6];

	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(scope, values);
	values[4] = id;
	values[5] = PointerGetDatum(reason);
	nulls[5] = reason ? ' ' : 'n';
	memai_statement_run(&log_forget, values, nulls, false, 0);
}

static bool
forget_hard(const MemaiScope *scope, Datum id, text *reason)
{
	run_on(&scrub_predecessors, scope, id);
	if (run_on(&delete_memory, scope, id))
	{
		run_on(&scrub_history, scope, id);
		log_forgotten(scope, id, reason);
		return true;
	}
	return run_on(&delete_episode, scope, id);
}

static bool
forget_soft(const MemaiScope *scope, Datum id, text *reason)
{
	if (!run_on(&expire_memory, scope, id))
	{
		if (run_on(&select_episode, scope, id))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("an episode cannot be forgotten softly"),
					 errdetail("Episodes are what happened; they are kept as they are or removed."),
					 errhint("Use mode => 'hard'.")));
		return false;
	}
	log_forgotten(scope, id, reason);
	return true;
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

	SPI_connect();
	found = strcmp(mode, "hard") == 0 ? forget_hard(&scope, id, reason) : forget_soft(&scope, id, reason);
	SPI_finish();
	PG_RETURN_BOOL(found);
}
