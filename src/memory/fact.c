/*
 * fact.c
 *	  Storing memories and replacing them.  History and review follow by
 *	  trigger (change.c); the SQL functions are in fact_sql.c.
 *
 * Truth is kept by two unique indexes, not by this code: a scope holds a live
 * statement once, and a slot has one live value.  A statement that takes the
 * place of another closes it (invalid_at, superseded_by) and never deletes it.
 * Two sessions that race for one slot wait for each other; the second sees what
 * the first made of it.  No model is called while a row is locked: the vector
 * is made before.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* lost races for one statement after which remember gives up */
#define RACE_TRIES 10

/* of advisory locks: "mema" */
#define SLOT_LOCK_CLASS 0x6d656d61
#define SLOT_LOCK_KEYS 1024

#define LIVE_COLUMNS "SELECT id, content, category, slot, valid_at, memory_type, importance, metadata, expires_at FROM memai.memory "
#define IS_LIVE "AND invalid_at IS NULL AND expired_at IS NULL "

static MemaiStatement select_live_slot = {
	.sql = LIVE_COLUMNS "WHERE scope = $1 AND slot = $2 " IS_LIVE "FOR UPDATE",
	.nargs = 2,
	.argtypes = {INT8OID, TEXTOID},
};

static MemaiStatement select_live_content = {
	.sql = LIVE_COLUMNS "WHERE scope = $1 AND content_hash = md5(lower(btrim($2))) " IS_LIVE,
	.nargs = 2,
	.argtypes = {INT8OID, TEXTOID},
};

static MemaiStatement select_live_id = {
	.sql = LIVE_COLUMNS "WHERE scope = $1 AND id = $2 " IS_LIVE "FOR UPDATE",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

/* a row of history follows (history.c); a restored dump brings its own, so no trigger does it */
#define INSERT_MEMORY \
	"INSERT INTO memai.memory (tenant, user_id, namespace, scope, id, content, category, slot, " \
	"metadata, valid_at, invalid_at, terms, about_from, about_until, memory_type, provenance, importance, confidence, " \
	"expires_at, subject_id, predicate, object_id, superseded_by, closed_at) " \
	"SELECT $1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, '{}'), $10, $11, $12, $13, $14, $15, $16, $17, $18, " \
	"$19, $20, $21, $22, $23, CASE WHEN $11 IS NOT NULL THEN now() END "

#define INSERT_TYPES \
	TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, \
	JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BYTEAOID, DATEOID, DATEOID, TEXTOID, TEXTOID, FLOAT4OID, FLOAT4OID, \
	TIMESTAMPTZOID, UUIDOID, TEXTOID, UUIDOID, UUIDOID

static MemaiStatement insert_memory = {
	.sql = INSERT_MEMORY "ON CONFLICT DO NOTHING",
	.nargs = 23,
	.argtypes = {INSERT_TYPES},
};

/*
 * The old row ends and the new one appears in one statement: the unique
 * indexes want it in this order, the reference to the successor in the other,
 * and constraints may be immediate.
 */
#define REPLACE_MEMORY(changes) \
	"WITH replaced AS (UPDATE memai.memory SET " changes ", superseded_by = $5, reason = $25 " \
	"WHERE scope = $4 AND id = $24 RETURNING 1) " INSERT_MEMORY "WHERE EXISTS (SELECT FROM replaced) ON CONFLICT DO NOTHING"

/* until the new one's time it was true */
static MemaiStatement insert_after = {
	.sql = REPLACE_MEMORY("invalid_at = $10, closed_at = now()"),
	.nargs = 25,
	.argtypes = {INSERT_TYPES, UUIDOID, TEXTOID},
};

/* it was never true: the database believed it from created_at until now */
static MemaiStatement insert_correct = {
	.sql = REPLACE_MEMORY("expired_at = now()"),
	.nargs = 25,
	.argtypes = {INSERT_TYPES, UUIDOID, TEXTOID},
};

static MemaiStatement close_memory = {
	.sql = "UPDATE memai.memory SET invalid_at = $3, closed_at = now(), superseded_by = $4, reason = $5 "
	"WHERE scope = $1 AND id = $2",
	.nargs = 5,
	.argtypes = {INT8OID, UUIDOID, TIMESTAMPTZOID, UUIDOID, TEXTOID},
};

static MemaiStatement correct_memory = {
	.sql = "UPDATE memai.memory SET expired_at = now(), superseded_by = $3, reason = $4 WHERE scope = $1 AND id = $2",
	.nargs = 4,
	.argtypes = {INT8OID, UUIDOID, UUIDOID, TEXTOID},
};

static MemaiStatement insert_sources = {
	.sql = "INSERT INTO memai.memory_source (tenant, user_id, namespace, scope, memory_id, episode_id) "
	"SELECT $1, $2, $3, $4, $5, e FROM unnest($6) AS e ON CONFLICT DO NOTHING",
	.nargs = 6,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, UUIDARRAYOID},
};

static MemaiStatement insert_links = {
	.sql = "INSERT INTO memai.memory_link (tenant, user_id, namespace, scope, from_id, to_id, kind) "
	"SELECT $1, $2, $3, $4, $5, m, 'depends_on' FROM unnest($6) AS m ON CONFLICT DO NOTHING",
	.nargs = 6,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, UUIDARRAYOID},
};

/* the value that a slot had next after a time */
static MemaiStatement select_next_value = {
	.sql = "SELECT id, valid_at FROM memai.memory "
	"WHERE scope = $1 AND slot = $2 AND valid_at > $3 AND expired_at IS NULL ORDER BY valid_at, id LIMIT 1",
	.nargs = 3,
	.argtypes = {INT8OID, TEXTOID, TIMESTAMPTZOID},
};

/* the value that was thought to be true at that time ended with it */
static MemaiStatement select_value_at = {
	.sql = LIVE_COLUMNS "WHERE scope = $1 AND slot = $2 AND valid_at <= $3 AND invalid_at > $3 AND expired_at IS NULL FOR UPDATE",
	.nargs = 3,
	.argtypes = {INT8OID, TEXTOID, TIMESTAMPTZOID},
};

/* the last argument is a vector, whose type has no fixed OID */
static MemaiStatement select_similar = {
	.sql = "SELECT memai._similar_memory($1, $2, $3, $4, $5, $6)",
	.nargs = 6,
	.argtypes = {INT8OID, TEXTOID, BYTEAOID, TEXTOID, TEXTOID},
};

static MemaiStatement set_slot = {
	.sql = "UPDATE memai.memory SET slot = $3 WHERE scope = $1 AND id = $2",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, TEXTOID},
};

/* ---- statements ---- */

/* The first row of one of the LIVE_COLUMNS statements, or NULL. */
static MemaiLiveFact *
find_fact(MemaiStatement *statement, Datum *values)
{
	MemaiLiveFact *live = NULL;

	if (memai_statement_run(statement, values, NULL, false, 0) > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		null;
		Datum		slot;

		live = palloc(sizeof(MemaiLiveFact));
		live->id = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &null));
		live->content = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 2, &null));
		live->category = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 3, &null));
		slot = SPI_getbinval(tuple, desc, 4, &null);
		live->slot = null ? NULL : DatumGetTextPCopy(slot);
		live->valid_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 5, &null));
		live->memory_type = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 6, &null));
		live->importance = DatumGetFloat4(SPI_getbinval(tuple, desc, 7, &null));
		live->metadata = DatumGetJsonbPCopy(SPI_getbinval(tuple, desc, 8, &null));
		live->expires_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 9, &null));
		if (null)
			live->expires_at = DT_NOEND;
	}
	SPI_freetuptable(SPI_tuptable);
	return live;
}

static MemaiLiveFact *
find_live(MemaiStatement *statement, const MemaiScope *scope, Datum key)
{
	Datum		values[2] = {Int64GetDatum(scope->scope), key};

	return find_fact(statement, values);
}

static void
set_optional(Datum *values, char *nulls, int parameter, const void *value)
{
	values[parameter] = PointerGetDatum(value);
	nulls[parameter] = value ? ' ' : 'n';
}

/* Fills the parameters of INSERT_TYPES. */
static void
fact_values(const MemaiFact *fact, Datum *values, char *nulls)
{
	MemaiDaySpan days;

	memset(nulls, ' ', 23);
	memai_scope_values(fact->scope, values);
	values[4] = UUIDPGetDatum(&fact->id);
	values[5] = PointerGetDatum(fact->content);
	values[6] = PointerGetDatum(fact->category);
	set_optional(values, nulls, 7, fact->slot);
	set_optional(values, nulls, 8, fact->metadata);
	values[9] = TimestampTzGetDatum(fact->valid_at);
	values[10] = TimestampTzGetDatum(fact->invalid_at);
	nulls[10] = TIMESTAMP_IS_NOEND(fact->invalid_at) ? 'n' : ' ';
	values[11] = memai_item_terms(fact->has_language, fact->language, VARDATA_ANY(fact->content), VARSIZE_ANY_EXHDR(fact->content));
	nulls[12] = nulls[13] = 'n';
	if (memai_days_of(fact->content, fact->valid_at, &days))
	{
		nulls[12] = nulls[13] = ' ';
		values[12] = memai_day_datum(days.first);
		values[13] = memai_day_datum(days.end);
	}
	values[14] = PointerGetDatum(fact->memory_type);
	values[15] = PointerGetDatum(fact->provenance);
	values[16] = Float4GetDatum(fact->importance);
	values[17] = Float4GetDatum(fact->confidence);
	values[18] = TimestampTzGetDatum(fact->expires_at);
	nulls[18] = TIMESTAMP_IS_NOEND(fact->expires_at) ? 'n' : ' ';
	set_optional(values, nulls, 19, fact->has_triplet ? &fact->subject_id : NULL);
	set_optional(values, nulls, 20, fact->predicate);
	set_optional(values, nulls, 21, fact->has_triplet ? &fact->object_id : NULL);
	set_optional(values, nulls, 22, fact->has_successor ? &fact->successor : NULL);
}

/*
 * Inserts the row, in the place of old unless that is NULL, with its line of
 * history; false when a unique index knows it already.
 */
static bool
insert_fact(const MemaiFact *fact, const MemaiLiveFact *old, bool correct, const text *reason)
{
	MemaiStatement *statement = &insert_memory;
	Datum		values[25];
	char		nulls[25];

	fact_values(fact, values, nulls);
	if (old != NULL)
	{
		statement = correct ? &insert_correct : &insert_after;
		set_optional(values, nulls, 23, &old->id);
		set_optional(values, nulls, 24, reason);
	}
	if (memai_statement_run(statement, values, nulls, false, 0) == 0)
		return false;
	memai_history_added(fact->scope, &fact->id, fact->content, NULL);
	if (!TIMESTAMP_IS_NOEND(fact->expires_at))
		memai_expire_submit(fact->scope, fact->expires_at);
	return true;
}

/* Notes the episodes that the fact was taken from and the memories it rests on. */
static void
insert_origins(const MemaiFact *fact)
{
	Datum		values[6];

	memai_scope_values(fact->scope, values);
	values[4] = UUIDPGetDatum(&fact->id);
	values[5] = PointerGetDatum(fact->sources);
	if (fact->sources != NULL)
		memai_statement_run(&insert_sources, values, NULL, false, 0);
	values[5] = PointerGetDatum(fact->depends_on);
	if (fact->depends_on != NULL)
		memai_statement_run(&insert_links, values, NULL, false, 0);
}

/* ---- storing ---- */

static void
raise_concurrent_change(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("another session is storing the same memory"),
			 errhint("Retry the transaction.")));
}

void
memai_fact_embed(MemaiFact *fact)
{
	MemaiModelInfo *model = memai_model_lookup_for(fact->scope, NULL, "embed");
	MemaiSpan	span = memai_search_text(NULL, fact->content);

	memai_model_embed(model, MEMAI_INPUT_DOCUMENT, 1, &span, &fact->vector);
	fact->embed_model = model->name;
}

/* Stores a new row with its vector, as insert_fact does; false when it is known already. */
static bool
store_fact(MemaiFact *fact, const MemaiLiveFact *old, bool correct, const text *reason)
{
	const pg_uuid_t *id = &fact->id;

	/* known a moment ago, but gone since */
	if (fact->vector == NULL)
		memai_fact_embed(fact);
	if (!insert_fact(fact, old, correct, reason))
		return false;
	memai_vectors_store(fact->scope, fact->embed_model, true, 1, &id, &fact->vector);
	return true;
}

/* Ends old in favour of the memory successor. */
static void
close_fact(const MemaiScope *scope, const MemaiLiveFact *old, const pg_uuid_t *successor,
		   TimestampTz valid_at, const text *reason)
{
	Datum		values[5];
	char		nulls[5];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(scope->scope);
	values[1] = UUIDPGetDatum(&old->id);
	values[2] = TimestampTzGetDatum(valid_at);
	values[3] = UUIDPGetDatum(successor);
	set_optional(values, nulls, 4, reason);
	memai_statement_run(&close_memory, values, nulls, false, 0);
}

/* Takes old back: successor says what was meant. */
static void
correct_fact(const MemaiScope *scope, const MemaiLiveFact *old, const pg_uuid_t *successor, const text *reason)
{
	Datum		values[4];
	char		nulls[4];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(scope->scope);
	values[1] = UUIDPGetDatum(&old->id);
	values[2] = UUIDPGetDatum(successor);
	set_optional(values, nulls, 3, reason);
	memai_statement_run(&correct_memory, values, nulls, false, 0);
}

static bool
text_equal(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* The scope holds this statement live already: give it the slot if it has none. */
static void
adopt_slot(const MemaiFact *fact, const MemaiLiveFact *known)
{
	Datum		values[3];

	if (fact->slot == NULL)
		return;
	if (known->slot != NULL)
	{
		if (text_equal(known->slot, fact->slot))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("the statement is the value of another slot already"),
				 errhint("Word it so that it says what the slot is about.")));
	}
	values[0] = Int64GetDatum(fact->scope->scope);
	values[1] = UUIDPGetDatum(&known->id);
	values[2] = PointerGetDatum(fact->slot);
	memai_statement_run(&set_slot, values, NULL, false, 0);
}

/*
 * Stores fact in the place of old.  When the scope holds the same statement
 * live already, that one takes the place and its id is left in fact.
 */
static void
replace_fact(MemaiFact *fact, const MemaiLiveFact *old, bool correct, const text *reason)
{
	MemaiLiveFact *known = find_live(&select_live_content, fact->scope, PointerGetDatum(fact->content));

	if (known == NULL)
	{
		if (!store_fact(fact, old, correct, reason))
			raise_concurrent_change();
		return;
	}
	fact->id = known->id;
	if (correct)
		correct_fact(fact->scope, old, &fact->id, reason);
	else
		close_fact(fact->scope, old, &fact->id, fact->valid_at, reason);
	adopt_slot(fact, known);
}

static bool
same_statement(const MemaiFact *fact, const MemaiLiveFact *live)
{
	MemaiLiveFact *known = find_live(&select_live_content, fact->scope, PointerGetDatum(fact->content));

	return known != NULL && memcmp(&known->id, &live->id, UUID_LEN) == 0;
}

/*
 * News of an older state of a slot: it was true until the next value that is
 * known, and ends the value that was thought to be true at its time.  The
 * caller holds the lock on the slot.
 */
static void
insert_past_fact(MemaiFact *fact)
{
	Datum		values[3] = {Int64GetDatum(fact->scope->scope), PointerGetDatum(fact->slot),
	TimestampTzGetDatum(fact->valid_at)};
	MemaiLiveFact *before = find_fact(&select_value_at, values);
	HeapTuple	next;
	bool		null;

	if (before != NULL && text_equal(before->content, fact->content))
	{
		fact->id = before->id;
		return;
	}
	/* there is one: the live value, which is of a later time */
	memai_statement_run(&select_next_value, values, NULL, false, 0);
	next = SPI_tuptable->vals[0];
	fact->has_successor = true;
	fact->successor = *DatumGetUUIDP(SPI_getbinval(next, SPI_tuptable->tupdesc, 1, &null));
	fact->invalid_at = DatumGetTimestampTz(SPI_getbinval(next, SPI_tuptable->tupdesc, 2, &null));
	SPI_freetuptable(SPI_tuptable);
	if (!store_fact(fact, before, false, NULL))
		raise_concurrent_change();
}

/*
 * Stores fact or finds it, once.  False when another session changed the slot
 * or the statement in the meantime: what it did can be seen by the next try.
 */
static bool
try_store_or_find(MemaiFact *fact)
{
	MemaiLiveFact *live = NULL;
	MemaiLiveFact *known;

	if (fact->slot != NULL)
		live = find_live(&select_live_slot, fact->scope, PointerGetDatum(fact->slot));
	if (live != NULL)
	{
		if (same_statement(fact, live))
			fact->id = live->id;
		else if (fact->valid_at >= live->valid_at)
			replace_fact(fact, live, false, NULL);
		else
			insert_past_fact(fact);
		return true;
	}
	if (store_fact(fact, NULL, false, NULL))
		return true;
	known = find_live(&select_live_content, fact->scope, PointerGetDatum(fact->content));
	if (known == NULL)
		return false;
	adopt_slot(fact, known);
	fact->id = known->id;
	return true;
}

/*
 * One session at a time changes a slot.  Row locks alone would do that too, but
 * sessions that wait partly for the old row and partly at the index end in
 * deadlocks.  The keys are few, so that a statement with many slots does not
 * exhaust the lock table; a shared key costs a wait.
 */
static void
lock_slot(const MemaiFact *fact)
{
	LOCKTAG		tag;
	uint64		key = memai_hash64(VARDATA_ANY(fact->slot), VARSIZE_ANY_EXHDR(fact->slot), fact->scope->scope);

	/* as pg_advisory_xact_lock(integer, integer) */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, SLOT_LOCK_CLASS, (uint32) (key % SLOT_LOCK_KEYS), 2);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * Under READ COMMITTED each try sees what the session before it committed.  A
 * transaction with one snapshot never would.
 */
static void
store_or_find(MemaiFact *fact)
{
	int			tries = IsolationUsesXactSnapshot() ? 1 : RACE_TRIES;

	memai_new_id(&fact->id);
	if (fact->slot != NULL)
		lock_slot(fact);
	for (int i = 0; i < tries; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (try_store_or_find(fact))
			return;
	}
	raise_concurrent_change();
}

/*
 * A live memory of the scope that says nearly the same, in fact->id.  Two
 * sessions that store such at once do not see each other's: what a unique index
 * cannot compare, memai.consolidate finds later.
 */
static bool
find_similar(MemaiFact *fact)
{
	Datum		values[6];
	char		nulls[6];
	bool		null;
	Datum		id;

	if (select_similar.argtypes[5] != memai_vector_type_oid())
	{
		memai_statement_forget(&select_similar);
		select_similar.argtypes[5] = memai_vector_type_oid();
	}
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(fact->scope->scope);
	values[1] = PointerGetDatum(fact->content);
	values[2] = memai_item_terms(fact->has_language, fact->language, VARDATA_ANY(fact->content), VARSIZE_ANY_EXHDR(fact->content));
	set_optional(values, nulls, 3, fact->slot);
	values[4] = CStringGetTextDatum(fact->embed_model);
	values[5] = PointerGetDatum(fact->vector);
	memai_statement_run(&select_similar, values, nulls, false, 0);
	id = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	if (!null)
		fact->id = *DatumGetUUIDP(id);
	SPI_freetuptable(SPI_tuptable);
	return !null;
}

void
memai_fact_remember(MemaiFact *fact)
{
	/* a statement that is known needs no vector */
	if (fact->vector == NULL && find_live(&select_live_content, fact->scope, PointerGetDatum(fact->content)) == NULL)
		memai_fact_embed(fact);
	if (!fact->or_similar || fact->vector == NULL || !find_similar(fact))
		store_or_find(fact);
	insert_origins(fact);
}

MemaiLiveFact *
memai_fact_find(const MemaiScope *scope, const pg_uuid_t *id)
{
	return find_live(&select_live_id, scope, UUIDPGetDatum(id));
}

void
memai_fact_replace(MemaiFact *fact, const MemaiLiveFact *old, bool correct, const text *reason)
{
	if (same_statement(fact, old))
	{
		fact->id = old->id;
		return;
	}
	memai_new_id(&fact->id);
	replace_fact(fact, old, correct, reason);
	insert_origins(fact);
}
