/*
 * fact.c
 *	  Memories: remember, supersede, forget.
 *
 * Truth is kept by two unique indexes, not by this code: a scope holds a live
 * statement once, and a slot has one live value.  A statement that takes the
 * place of another closes it (invalid_at, superseded_by) and never deletes it.
 * Two sessions that race for one slot wait for each other on the row of the
 * old value; the second sees what the first made of it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct Fact
{
	pg_uuid_t	id;
	const MemaiScope *scope;
	text	   *content;
	text	   *category;
	text	   *slot;			/* NULL: none */
	Jsonb	   *metadata;		/* NULL: empty */
	TimestampTz valid_at;
	TimestampTz invalid_at;		/* DT_NOEND while it is true */
} Fact;

/* what the database holds live under a slot, an id or a content */
typedef struct LiveFact
{
	pg_uuid_t	id;
	text	   *content;
	text	   *category;
	text	   *slot;			/* NULL: none */
	TimestampTz valid_at;
} LiveFact;

#define LIVE_COLUMNS "SELECT id, content, category, slot, valid_at FROM memai.memory "
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

static MemaiStatement insert_memory = {
	.sql = "INSERT INTO memai.memory (tenant, user_id, namespace, scope, id, content, category, slot, "
	"metadata, valid_at, invalid_at, terms) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, '{}'), $10, $11, $12) ON CONFLICT DO NOTHING",
	.nargs = 12,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID,
	JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BYTEAOID},
};

static MemaiStatement close_memory = {
	.sql = "UPDATE memai.memory SET invalid_at = $3, superseded_by = $4 WHERE scope = $1 AND id = $2",
	.nargs = 4,
	.argtypes = {INT8OID, UUIDOID, TIMESTAMPTZOID, UUIDOID},
};

/* when the value of a slot changed next after a time; a row for min() even so */
static MemaiStatement select_next_change = {
	.sql = "SELECT min(valid_at) FROM memai.memory "
	"WHERE scope = $1 AND slot = $2 AND valid_at > $3 AND expired_at IS NULL",
	.nargs = 3,
	.argtypes = {INT8OID, TEXTOID, TIMESTAMPTZOID},
};

/* the value that was thought to be true at that time ended with it */
static MemaiStatement select_value_at = {
	.sql = LIVE_COLUMNS "WHERE scope = $1 AND slot = $2 AND valid_at <= $3 AND invalid_at > $3 AND expired_at IS NULL FOR UPDATE",
	.nargs = 3,
	.argtypes = {INT8OID, TEXTOID, TIMESTAMPTZOID},
};

static MemaiStatement set_slot = {
	.sql = "UPDATE memai.memory SET slot = $3 WHERE scope = $1 AND id = $2",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, TEXTOID},
};

static MemaiStatement insert_history = {
	.sql = "INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, event, "
	"old_content, new_content, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	.nargs = 9,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_remember);
PG_FUNCTION_INFO_V1(memai_supersede);

/* ---- statements ---- */

/* The first row of one of the LIVE_COLUMNS statements, or NULL. */
static LiveFact *
find_fact(MemaiStatement *statement, Datum *values)
{
	LiveFact   *live = NULL;

	if (memai_statement_run(statement, values, NULL, false, 0) > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		null;
		Datum		slot;

		live = palloc(sizeof(LiveFact));
		live->id = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &null));
		live->content = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 2, &null));
		live->category = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 3, &null));
		slot = SPI_getbinval(tuple, desc, 4, &null);
		live->slot = null ? NULL : DatumGetTextPCopy(slot);
		live->valid_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 5, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	return live;
}

static LiveFact *
find_live(MemaiStatement *statement, const MemaiScope *scope, Datum key)
{
	Datum		values[2] = {Int64GetDatum(scope->scope), key};

	return find_fact(statement, values);
}

static void
add_history(const MemaiScope *scope, const pg_uuid_t *id, const char *event,
			const text *old_content, const text *new_content, const text *reason)
{
	Datum		values[9];
	char		nulls[9];

	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(scope, values);
	values[4] = UUIDPGetDatum(id);
	values[5] = CStringGetTextDatum(event);
	values[6] = PointerGetDatum(old_content);
	nulls[6] = old_content ? ' ' : 'n';
	values[7] = PointerGetDatum(new_content);
	nulls[7] = new_content ? ' ' : 'n';
	values[8] = PointerGetDatum(reason);
	nulls[8] = reason ? ' ' : 'n';
	memai_statement_run(&insert_history, values, nulls, false, 0);
}

/* Inserts the row alone; false when a unique index knows it already. */
static bool
insert_fact(const Fact *fact)
{
	Datum		values[12];
	char		nulls[12];

	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(fact->scope, values);
	values[4] = UUIDPGetDatum(&fact->id);
	values[5] = PointerGetDatum(fact->content);
	values[6] = PointerGetDatum(fact->category);
	values[7] = PointerGetDatum(fact->slot);
	nulls[7] = fact->slot ? ' ' : 'n';
	values[8] = JsonbPGetDatum(fact->metadata);
	nulls[8] = fact->metadata ? ' ' : 'n';
	values[9] = TimestampTzGetDatum(fact->valid_at);
	values[10] = TimestampTzGetDatum(fact->invalid_at);
	nulls[10] = TIMESTAMP_IS_NOEND(fact->invalid_at) ? 'n' : ' ';
	values[11] = PointerGetDatum(memai_text_terms(VARDATA_ANY(fact->content), VARSIZE_ANY_EXHDR(fact->content)));
	return memai_statement_run(&insert_memory, values, nulls, false, 0) > 0;
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

/* Stores a new row with its vector and history.  It must not be known yet. */
static bool
store_fact(const Fact *fact)
{
	const pg_uuid_t *id = &fact->id;
	MemaiSpan	span = memai_search_text(NULL, fact->content);

	if (!insert_fact(fact))
		return false;
	memai_embeddings_store(fact->scope, true, 1, &id, &span);
	add_history(fact->scope, &fact->id, "ADD", NULL, fact->content, NULL);
	return true;
}

/* Closes old in favour of the memory successor, whose text is content. */
static void
close_fact(const MemaiScope *scope, const LiveFact *old, const pg_uuid_t *successor,
		   const text *content, TimestampTz valid_at, const text *reason)
{
	Datum		values[4];

	values[0] = Int64GetDatum(scope->scope);
	values[1] = UUIDPGetDatum(&old->id);
	values[2] = TimestampTzGetDatum(valid_at);
	values[3] = UUIDPGetDatum(successor);
	memai_statement_run(&close_memory, values, NULL, false, 0);
	add_history(scope, &old->id, "SUPERSEDE", old->content, content, reason);
}

static bool
text_equal(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* The scope holds this statement live already: give it the slot if it has none. */
static void
adopt_slot(const Fact *fact, const LiveFact *known)
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
replace_fact(Fact *fact, const LiveFact *old, const text *reason)
{
	LiveFact   *known = find_live(&select_live_content, fact->scope, PointerGetDatum(fact->content));

	if (known != NULL)
		fact->id = known->id;
	close_fact(fact->scope, old, &fact->id, fact->content, fact->valid_at, reason);
	if (known != NULL)
		adopt_slot(fact, known);
	else if (!store_fact(fact))
		raise_concurrent_change();
}

static bool
same_statement(const Fact *fact, const LiveFact *live)
{
	LiveFact   *known = find_live(&select_live_content, fact->scope, PointerGetDatum(fact->content));

	return known != NULL && memcmp(&known->id, &live->id, UUID_LEN) == 0;
}

/*
 * News of an older state of a slot: it was true until the next value that is
 * known, and ends the value that was thought to be true at its time.  The
 * caller holds the lock on the slot's live row.
 */
static void
insert_past_fact(Fact *fact)
{
	Datum		values[3] = {Int64GetDatum(fact->scope->scope), PointerGetDatum(fact->slot),
	TimestampTzGetDatum(fact->valid_at)};
	LiveFact   *before = find_fact(&select_value_at, values);
	bool		null;

	memai_statement_run(&select_next_change, values, NULL, false, 0);
	fact->invalid_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	SPI_freetuptable(SPI_tuptable);
	if (before != NULL)
		close_fact(fact->scope, before, &fact->id, fact->content, fact->valid_at, NULL);
	if (!store_fact(fact))
		raise_concurrent_change();
}

/* Stores fact, or finds that it is known; its id is left in fact. */
static void
remember_fact(Fact *fact)
{
	LiveFact   *live = NULL;
	LiveFact   *known;

	memai_new_id(&fact->id);
	if (fact->slot != NULL)
		live = find_live(&select_live_slot, fact->scope, PointerGetDatum(fact->slot));
	if (live != NULL)
	{
		if (same_statement(fact, live))
			fact->id = live->id;
		else if (fact->valid_at >= live->valid_at)
			replace_fact(fact, live, NULL);
		else
			insert_past_fact(fact);
		return;
	}
	if (store_fact(fact))
		return;
	known = find_live(&select_live_content, fact->scope, PointerGetDatum(fact->content));
	if (known == NULL)
		raise_concurrent_change();
	adopt_slot(fact, known);
	fact->id = known->id;
}

/* ---- SQL ---- */

static text *
label_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	text	   *label;

	if (PG_ARGISNULL(argument))
		return NULL;
	label = PG_GETARG_TEXT_PP(argument);
	if (VARSIZE_ANY_EXHDR(label) == 0 || VARSIZE_ANY_EXHDR(label) > MEMAI_KEY_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have 1 to %d bytes", name, MEMAI_KEY_MAX_LENGTH),
				 errhint("It is a short name, such as home.city; NULL leaves it out.")));
	return label;
}

/* now, or the argument, which must be finite */
static TimestampTz
valid_at_argument(FunctionCallInfo fcinfo, int argument)
{
	TimestampTz valid_at;

	if (PG_ARGISNULL(argument))
		return GetCurrentTransactionStartTimestamp();
	valid_at = PG_GETARG_TIMESTAMPTZ(argument);
	if (TIMESTAMP_NOT_FINITE(valid_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("valid_at must be finite"),
				 errhint("Leave it out when the statement is true from now on.")));
	return valid_at;
}

static Datum
return_id(const pg_uuid_t *id)
{
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	*result = *id;
	return UUIDPGetDatum(result);
}

/*
 * remember(content text, user_id text, namespace text, metadata jsonb,
 * category text, slot text, valid_at timestamptz) returns uuid
 */
Datum
memai_remember(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	Fact		fact = {.scope = &scope, .invalid_at = DT_NOEND};

	fact.content = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	memai_check_content("content", fact.content);
	memai_scope_resolve(&scope, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
						PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	fact.metadata = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	memai_check_metadata(fact.metadata);
	fact.category = label_argument(fcinfo, 4, "category");
	if (fact.category == NULL)
		fact.category = cstring_to_text("fact");
	fact.slot = label_argument(fcinfo, 5, "slot");
	fact.valid_at = valid_at_argument(fcinfo, 6);

	SPI_connect();
	remember_fact(&fact);
	SPI_finish();
	return return_id(&fact.id);
}

/*
 * supersede(id uuid, content text, user_id text, namespace text, reason text,
 * valid_at timestamptz) returns uuid
 */
Datum
memai_supersede(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	Fact		fact = {.scope = &scope, .invalid_at = DT_NOEND};
	LiveFact   *old;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("id must not be null")));
	fact.content = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	memai_check_content("content", fact.content);
	memai_scope_resolve(&scope, PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2),
						PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3));
	fact.valid_at = valid_at_argument(fcinfo, 5);

	SPI_connect();
	old = find_live(&select_live_id, &scope, PG_GETARG_DATUM(0));
	if (old == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there is no live memory with this id"),
				 errhint("Memories that were superseded or forgotten stay as they are; remember a new one.")));
	if (fact.valid_at < old->valid_at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("valid_at is before the time since when the old memory is true"),
				 errdetail("The old memory is true since %s.", timestamptz_to_str(old->valid_at))));
	if (same_statement(&fact, old))
	{
		fact.id = old->id;
		SPI_finish();
		return return_id(&fact.id);
	}
	memai_new_id(&fact.id);
	fact.category = old->category;
	fact.slot = old->slot;
	replace_fact(&fact, old, PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	SPI_finish();
	return return_id(&fact.id);
}
