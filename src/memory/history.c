/*
 * history.c
 *	  Writing memory_history and erasure, which roles read but never write.
 *
 * A record that its subject could write proves nothing.  So these tables have
 * no INSERT, UPDATE or DELETE rights to grant; memai's own functions write them
 * as the owner of the tables, without row-level security, in scopes that were
 * resolved for the caller, and name the caller as actor.  The caller's rights
 * come back with memai_owner_end, and with the end of the (sub)transaction on
 * an error.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

/* the job whose handler is running in this process, or none */
static bool has_job = false;
static pg_uuid_t current_job;

static MemaiStatement insert_added = {
	.sql = "INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, event, new_content, reason, actor, job_id) "
	"VALUES ($1, $2, $3, $4, $5, 'ADD', $6, $7, $8, $9)",
	.nargs = 9,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID, TEXTOID, NAMEOID, UUIDOID},
};

void
memai_owner_begin(MemaiOwner *saved)
{
	Oid			table = get_relname_relid("memory_history", get_namespace_oid("memai", false));
	Relation	relation = RelationIdGetRelation(table);

	if (!RelationIsValid(relation))
		elog(ERROR, "memai.memory_history is missing");
	GetUserIdAndSecContext(&saved->user, &saved->context);
	SetUserIdAndSecContext(relation->rd_rel->relowner,
						   saved->context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	RelationClose(relation);
}

void
memai_owner_end(const MemaiOwner *saved)
{
	SetUserIdAndSecContext(saved->user, saved->context);
}

void
memai_history_set_job(const pg_uuid_t *job)
{
	has_job = (job != NULL);
	if (has_job)
		current_job = *job;
}

Datum
memai_history_job(bool *isnull)
{
	*isnull = !has_job;
	return has_job ? UUIDPGetDatum(&current_job) : (Datum) 0;
}

void
memai_history_added(const MemaiScope *scope, const pg_uuid_t *memory_id, const text *content, const text *reason)
{
	MemaiOwner	saved;
	NameData	actor;
	Datum		values[9];
	char		nulls[9];
	bool		no_job;

	memset(nulls, ' ', sizeof(nulls));
	namestrcpy(&actor, GetUserNameFromId(GetUserId(), false));
	memai_scope_values(scope, values);
	values[4] = UUIDPGetDatum(memory_id);
	values[5] = PointerGetDatum(content);
	values[6] = PointerGetDatum(reason);
	nulls[6] = reason ? ' ' : 'n';
	values[7] = NameGetDatum(&actor);
	values[8] = memai_history_job(&no_job);
	nulls[8] = no_job ? 'n' : ' ';
	memai_owner_begin(&saved);
	memai_statement_run(&insert_added, values, nulls, false, 0);
	memai_owner_end(&saved);
}
