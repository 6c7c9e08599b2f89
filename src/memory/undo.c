/*
 * undo.c
 *	  memai.undo: takes changes of memories back, newest first, from what the
 *	  history kept of the rows.  Taking back is a change too: it has its own
 *	  history and can be undone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"

static MemaiStatement select_changes = {
	.sql = "SELECT id, memory_id, event, before IS NOT NULL FROM memai.memory_history "
	"WHERE scope = $1 AND (id = $2 OR created_at >= $3 OR job_id = $4) ORDER BY id DESC",
	.nargs = 4,
	.argtypes = {INT8OID, UUIDOID, TIMESTAMPTZOID, UUIDOID},
};

static MemaiStatement retract_memory = {
	.sql = "UPDATE memai.memory SET expired_at = now(), reason = $3 WHERE scope = $1 AND id = $2 AND expired_at IS NULL",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, TEXTOID},
};

/* the memory that the change stored in the place of this one, if it is live */
static MemaiStatement retract_successor = {
	.sql = "UPDATE memai.memory m SET expired_at = now(), reason = $3 FROM memai.memory_history h "
	"JOIN memai.memory_history a ON a.scope = h.scope AND a.memory_id = h.related_id AND a.event = 'ADD' AND a.xid = h.xid "
	"WHERE h.scope = $1 AND h.id = $2 AND m.scope = $1 AND m.id = h.related_id "
	"AND m.expired_at IS NULL AND m.invalid_at IS NULL",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, TEXTOID},
};

static MemaiStatement restore_memory = {
	.sql = "UPDATE memai.memory m SET memory_type = b.memory_type, category = b.category, slot = b.slot, metadata = b.metadata, "
	"importance = b.importance, confidence = b.confidence, is_pinned = b.is_pinned, needs_review = b.needs_review, "
	"valid_at = b.valid_at, invalid_at = b.invalid_at, closed_at = b.closed_at, expired_at = b.expired_at, "
	"expires_at = b.expires_at, reason = $3, "
	"superseded_by = (SELECT s.id FROM memai.memory s WHERE s.scope = $1 AND s.id = b.superseded_by) "
	"FROM memai.memory_history h, jsonb_populate_record(NULL::memai.memory, h.before) b "
	"WHERE h.scope = $1 AND h.id = $2 AND m.scope = $1 AND m.id = h.memory_id",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_undo);

typedef struct Change
{
	pg_uuid_t	id;
	pg_uuid_t	memory_id;
	bool		is_add;
	bool		has_before;
} Change;

static bool
run_on(MemaiStatement *statement, const MemaiScope *scope, const pg_uuid_t *id, const text *reason)
{
	Datum		values[3] = {Int64GetDatum(scope->scope), UUIDPGetDatum(id), PointerGetDatum(reason)};

	return memai_statement_run(statement, values, NULL, false, 0) > 0;
}

/*
 * The changes that the arguments history_id, since and job choose.  The list is
 * read before anything is taken back, which adds to the history.
 */
static Change *
read_changes(const MemaiScope *scope, FunctionCallInfo fcinfo, uint64 *nchanges)
{
	Datum		values[4] = {Int64GetDatum(scope->scope)};
	char		nulls[4] = {' '};
	Change	   *changes;

	for (int i = 0; i < 3; i++)
	{
		values[1 + i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
		nulls[1 + i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	*nchanges = memai_statement_run(&select_changes, values, nulls, true, 0);
	changes = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(Change), Max(*nchanges, 1)));
	for (uint64 i = 0; i < *nchanges; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		null;

		CHECK_FOR_INTERRUPTS();
		changes[i].id = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &null));
		changes[i].memory_id = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 2, &null));
		changes[i].is_add = strcmp(TextDatumGetCString(SPI_getbinval(tuple, desc, 3, &null)), "ADD") == 0;
		changes[i].has_before = DatumGetBool(SPI_getbinval(tuple, desc, 4, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	return changes;
}

static bool
take_back(const MemaiScope *scope, const Change *change, const text *reason)
{
	if (change->is_add)
		return run_on(&retract_memory, scope, &change->memory_id, reason);
	if (!change->has_before)
		return false;
	run_on(&retract_successor, scope, &change->id, reason);
	return run_on(&restore_memory, scope, &change->id, reason);
}

/*
 * undo(history_id uuid, since timestamptz, job uuid, user_id text,
 * namespace text, reason text) returns bigint
 */
Datum
memai_undo(PG_FUNCTION_ARGS)
{
	text	   *reason = PG_ARGISNULL(5) ? cstring_to_text("undo") : PG_GETARG_TEXT_PP(5);
	MemaiScope	scope;
	Change	   *changes;
	uint64		nchanges;
	int64		undone = 0;

	if (!PG_ARGISNULL(0) + !PG_ARGISNULL(1) + !PG_ARGISNULL(2) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("one of history_id, since and job must be given"),
				 errhint("memai.history shows the history_id and the job_id of each change.")));
	memai_scope_resolve(&scope, PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3),
						PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	reason = memai_pii_clean_one("reason", reason);
	SPI_connect();
	changes = read_changes(&scope, fcinfo, &nchanges);
	for (uint64 i = 0; i < nchanges; i++)
	{
		CHECK_FOR_INTERRUPTS();
		undone += take_back(&scope, &changes[i], reason);
	}
	SPI_finish();
	PG_RETURN_INT64(undone);
}
