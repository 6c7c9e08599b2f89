/*
 * change.c
 *	  What follows from a change of memories, in the same statement: the
 *	  trigger of memory, episode, memory_link and memory_source.
 *
 * Set-based: one call a statement, with its transition tables.
 *	 - every change of a memory gets a row of history (storing one: fact.c); a
 *	   removed memory's text leaves the history
 *	 - the vectors of a removed memory or episode go
 *	 - what rests on a memory that ended, directly or not, needs review
 *	 - a memory that lost its last source goes
 *	 - an entity goes with the last memory that is about it
 *
 * A cascade from a foreign key passes row-level security, but the triggers it
 * fires run as the caller, who may not see the rows (an administrator without a
 * tenant deletes a customer).  So the statements run as the owner of the table,
 * as those of foreign keys do; they touch rows of the scopes in the transition
 * tables only.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#define HISTORY "INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, actor, job_id, "

#define LIVE "m.invalid_at IS NULL AND m.expired_at IS NULL "

/* a chain of conclusions longer than this is a mistake; it also ends cycles */
#define MARK_DEPENDENTS \
	"dependent (scope, id, depth) AS (" \
	"SELECT scope, id, 1 FROM base " \
	"UNION SELECT l.scope, l.from_id, d.depth + 1 FROM dependent d " \
	"JOIN memai.memory_link l ON l.scope = d.scope AND l.to_id = d.id " \
	"WHERE l.kind IN ('depends_on', 'derives') AND d.depth < 20) " \
	"UPDATE memai.memory m SET needs_review = true, reason = 'something it rests on has ended' " \
	"FROM (SELECT DISTINCT scope, id FROM dependent) d " \
	"WHERE m.scope = d.scope AND m.id = d.id AND NOT m.needs_review AND " LIVE

static MemaiStatement log_updated = {
	.sql = HISTORY "event, old_content, related_id, before, reason) "
	"SELECT n.tenant, n.user_id, n.namespace, n.scope, n.id, $1, $2, "
	"CASE WHEN n.expired_at IS NOT NULL AND o.expired_at IS NULL THEN "
	"CASE WHEN n.superseded_by IS DISTINCT FROM o.superseded_by THEN 'UPDATE' "
	"WHEN n.expires_at <= now() THEN 'EXPIRE' ELSE 'FORGET' END "
	"WHEN (n.expired_at IS NULL AND o.expired_at IS NOT NULL) OR (n.invalid_at IS NULL AND o.invalid_at IS NOT NULL) THEN 'RESTORE' "
	"WHEN n.invalid_at IS DISTINCT FROM o.invalid_at OR n.superseded_by IS DISTINCT FROM o.superseded_by THEN "
	"CASE WHEN n.superseded_by IS NULL THEN 'INVALIDATE' ELSE 'SUPERSEDE' END "
	"WHEN n.is_pinned <> o.is_pinned THEN CASE WHEN n.is_pinned THEN 'PIN' ELSE 'UNPIN' END "
	"WHEN n.needs_review <> o.needs_review THEN CASE WHEN n.needs_review THEN 'REVIEW' ELSE 'CONFIRM' END "
	"ELSE 'UPDATE' END, o.content, n.superseded_by, "
	"jsonb_build_object('memory_type', o.memory_type, 'category', o.category, 'slot', o.slot, 'metadata', o.metadata, "
	"'importance', o.importance, 'confidence', o.confidence, 'is_pinned', o.is_pinned, 'needs_review', o.needs_review, "
	"'valid_at', o.valid_at, 'invalid_at', o.invalid_at, 'closed_at', o.closed_at, 'expired_at', o.expired_at, "
	"'expires_at', o.expires_at, 'superseded_by', o.superseded_by), "
	"CASE WHEN n.reason IS DISTINCT FROM o.reason THEN n.reason END "
	"FROM old_rows o JOIN new_rows n ON n.scope = o.scope AND n.id = o.id",
	.nargs = 2,
	.argtypes = {NAMEOID, UUIDOID},
};

static MemaiStatement review_updated = {
	.sql = "WITH RECURSIVE base AS (SELECT l.scope, l.from_id AS id FROM old_rows o "
	"JOIN new_rows n ON n.scope = o.scope AND n.id = o.id "
	"JOIN memai.memory_link l ON l.scope = o.scope AND l.to_id = o.id AND l.kind IN ('depends_on', 'derives') "
	"WHERE (o.invalid_at IS NULL AND n.invalid_at IS NOT NULL) OR (o.expired_at IS NULL AND n.expired_at IS NOT NULL)), "
	MARK_DEPENDENTS,
};

static MemaiStatement delete_vectors = {
	.sql = "DELETE FROM memai.embedding v USING old_rows o WHERE v.scope = o.scope AND v.id = o.id",
};

static MemaiStatement scrub_deleted = {
	.sql = "UPDATE memai.memory_history h SET old_content = NULL, new_content = NULL, before = NULL, reason = NULL "
	"FROM old_rows o WHERE h.scope = o.scope AND h.memory_id = o.id",
};

/* why others were replaced by it may say what it said */
static MemaiStatement scrub_replaced = {
	.sql = "WITH replaced AS (UPDATE memai.memory_history h SET reason = NULL "
	"FROM old_rows o WHERE h.scope = o.scope AND h.related_id = o.id RETURNING h.scope, h.memory_id) "
	"UPDATE memai.memory m SET reason = NULL FROM (SELECT DISTINCT scope, memory_id FROM replaced) r "
	"WHERE m.scope = r.scope AND m.id = r.memory_id AND m.reason IS NOT NULL",
};

static MemaiStatement log_deleted = {
	.sql = HISTORY "event) SELECT tenant, user_id, namespace, scope, id, $1, $2, 'FORGET' FROM old_rows",
	.nargs = 2,
	.argtypes = {NAMEOID, UUIDOID},
};

/*
 * In two statements: the second sees what was committed before the locks were
 * taken.  An entity that another session is using right now stays.
 */
static MemaiStatement lock_entities = {
	.sql = "SELECT array_agg(e.scope), array_agg(e.id) FROM (SELECT DISTINCT o.scope, x.id FROM old_rows o, "
	"LATERAL (VALUES (o.subject_id), (o.object_id)) x (id) WHERE x.id IS NOT NULL "
	"UNION SELECT t.scope, t.merged_into FROM old_rows o JOIN memai.entity t ON t.scope = o.scope AND t.id = o.subject_id "
	"UNION SELECT t.scope, t.merged_into FROM old_rows o JOIN memai.entity t ON t.scope = o.scope AND t.id = o.object_id) o, "
	"LATERAL (SELECT t.scope, t.id FROM memai.entity t WHERE t.scope = o.scope AND t.id = o.id FOR UPDATE SKIP LOCKED) e",
};

static MemaiStatement delete_entities = {
	.sql = "DELETE FROM memai.entity e USING unnest($1, $2) AS o (scope, id) WHERE e.scope = o.scope AND e.id = o.id "
	"AND NOT EXISTS (SELECT FROM memai.entity a WHERE a.scope = e.scope AND a.merged_into = e.id) "
	"AND NOT EXISTS (SELECT FROM memai.memory m WHERE m.scope = e.scope AND m.subject_id = e.id) "
	"AND NOT EXISTS (SELECT FROM memai.memory m WHERE m.scope = e.scope AND m.object_id = e.id)",
	.nargs = 2,
	.argtypes = {INT8ARRAYOID, UUIDARRAYOID},
};

static MemaiStatement review_unlinked = {
	.sql = "WITH RECURSIVE base AS (SELECT o.scope, o.from_id AS id FROM old_rows o "
	"WHERE o.kind IN ('depends_on', 'derives') "
	"AND NOT EXISTS (SELECT FROM memai.memory t WHERE t.scope = o.scope AND t.id = o.to_id)), "
	MARK_DEPENDENTS,
};

static MemaiStatement delete_orphans = {
	.sql = "DELETE FROM memai.memory m USING (SELECT DISTINCT scope, memory_id FROM old_rows) o "
	"WHERE m.scope = o.scope AND m.id = o.memory_id "
	"AND NOT EXISTS (SELECT FROM memai.memory_source s WHERE s.scope = o.scope AND s.memory_id = o.memory_id)",
};

PG_FUNCTION_INFO_V1(memai_memory_changed);

static void
remove_orphaned_entities(void)
{
	Datum		keys[2];
	bool		null;

	memai_statement_run(&lock_entities, NULL, NULL, false, 0);
	keys[0] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	keys[1] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null);
	/* aliases first, then what they were merged into */
	if (!null && memai_statement_run(&delete_entities, keys, NULL, false, 0) > 0)
		memai_statement_run(&delete_entities, keys, NULL, false, 0);
}

static void
follow_memory(TriggerEvent event, const NameData *actor)
{
	bool		no_job;
	Datum		values[2] = {NameGetDatum(actor), memai_history_job(&no_job)};
	const char *nulls = no_job ? " n" : "  ";

	if (TRIGGER_FIRED_BY_UPDATE(event))
	{
		memai_statement_run(&log_updated, values, nulls, false, 0);
		memai_statement_run(&review_updated, NULL, NULL, false, 0);
		return;
	}
	memai_statement_run_latest(&delete_vectors, NULL, NULL);
	memai_statement_run(&scrub_deleted, NULL, NULL, false, 0);
	memai_statement_run(&scrub_replaced, NULL, NULL, false, 0);
	memai_statement_run(&log_deleted, values, nulls, false, 0);
	remove_orphaned_entities();
}

/* _memory_changed() returns trigger */
Datum
memai_memory_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *table;
	NameData	actor;
	MemaiOwner	caller;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("memai._memory_changed must be called as a trigger")));
	/* fired for a statement without rows too, such as this trigger's own */
	if (tuplestore_tuple_count(trigger->tg_oldtable) == 0)
		return PointerGetDatum(NULL);
	table = RelationGetRelationName(trigger->tg_relation);
	memai_owner_begin(&caller);

	/*
	 * in a cascade it is the owner already: then the role of the session is
	 * meant
	 */
	namestrcpy(&actor, GetUserNameFromId((caller.context & SECURITY_NOFORCE_RLS) ? GetOuterUserId() : caller.user, false));
	SPI_connect();
	SPI_register_trigger_data(trigger);
	if (strcmp(table, "memory") == 0)
		follow_memory(trigger->tg_event, &actor);
	else if (strcmp(table, "episode") == 0)
		memai_statement_run_latest(&delete_vectors, NULL, NULL);
	else if (strcmp(table, "memory_link") == 0)
		memai_statement_run(&review_unlinked, NULL, NULL, false, 0);
	else
		memai_statement_run(&delete_orphans, NULL, NULL, false, 0);
	SPI_finish();
	memai_owner_end(&caller);
	return PointerGetDatum(NULL);
}
