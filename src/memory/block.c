/*
 * block.c
 *	  Blocks: short named texts that are always in context.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"

/* characters; the table's constraints say the same */
#define LABEL_MAX_LENGTH 100
#define VALUE_MAX_LENGTH 10000
#define DESCRIPTION_MAX_LENGTH 1000

/*
 * One statement, so that two sessions cannot both write over version n: the
 * second waits for the first on the row and then finds another version.
 * $7 description, $8 char_limit, $9 is_read_only, $10 expected_version: NULL
 * keeps what is there, or takes the default.
 */
static MemaiStatement upsert_block = {
	.sql = "INSERT INTO memai.block AS b (tenant, user_id, namespace, scope, label, value, description, char_limit, is_read_only) "
	"SELECT $1, $2, $3, $4, $5, $6, $7, coalesce($8, 10000), coalesce($9, false) "
	"WHERE coalesce($10, 0) = 0 OR EXISTS (SELECT FROM memai.block x WHERE x.scope = $4 AND x.label = $5) "
	"ON CONFLICT ON CONSTRAINT block_pkey DO UPDATE SET value = excluded.value, version = b.version + 1, updated_at = now(), "
	"description = coalesce($7, b.description), char_limit = coalesce($8, b.char_limit), is_read_only = coalesce($9, b.is_read_only) "
	"WHERE ($10 IS NULL OR b.version = $10) AND (NOT b.is_read_only OR $9 IS FALSE) RETURNING b.version",
	.nargs = 10,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, BOOLOID, INT4OID},
};

static MemaiStatement select_block = {
	.sql = "SELECT version, is_read_only, char_limit FROM memai.block WHERE scope = $1 AND label = $2",
	.nargs = 2,
	.argtypes = {INT8OID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_set_block);

/* what is known of a block before it is set */
typedef struct BlockState
{
	bool		exists;
	int32		version;
	bool		is_read_only;
	int32		char_limit;
} BlockState;

static int
text_length(const text *value)
{
	return pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static void
check_length(const char *name, int length, int max_length)
{
	if (length > max_length)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s of a block is too long", name),
				 errdetail("It has %d characters, the limit is %d.", length, max_length),
				 errhint("A block is in every context; store long texts as memories or episodes.")));
}

static text *
block_text(FunctionCallInfo fcinfo, int argument, const char *name, int max_length)
{
	text	   *value = PG_ARGISNULL(argument) ? NULL : PG_GETARG_TEXT_PP(argument);

	memai_check_content(name, value);
	check_length(name, text_length(value), max_length);
	return value;
}

static BlockState
read_state(const MemaiScope *scope, const text *label)
{
	Datum		values[2] = {Int64GetDatum(scope->scope), PointerGetDatum(label)};
	BlockState	state = {.char_limit = VALUE_MAX_LENGTH};
	bool		null;

	if (memai_statement_run(&select_block, values, NULL, false, 0) > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		state.exists = true;
		state.version = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &null));
		state.is_read_only = DatumGetBool(SPI_getbinval(tuple, desc, 2, &null));
		state.char_limit = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	return state;
}

/* Why the statement wrote nothing. */
static void
raise_not_written(const MemaiScope *scope, const text *label, int expected_version)
{
	BlockState	state = read_state(scope, label);

	if (state.is_read_only)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the block is read-only"),
				 errhint("Set it with is_read_only => false to change it.")));
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("the block is not of the expected version"),
			 errdetail("Expected is version %d, stored is version %d.", expected_version, state.version),
			 errhint("Read the block again and decide anew; version 0 stands for no block.")));
}

/*
 * set_block(label text, value text, user_id text, namespace text, expected_version integer,
 * description text, char_limit integer, is_read_only boolean) returns integer
 */
Datum
memai_set_block(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	Datum		values[10];
	char		nulls[10];
	text	   *label = block_text(fcinfo, 0, "label", LABEL_MAX_LENGTH);
	text	   *value = block_text(fcinfo, 1, "value", VALUE_MAX_LENGTH);
	MemaiPiiPolicy policy;
	int32		char_limit = PG_ARGISNULL(6) ? 0 : PG_GETARG_INT32(6);
	bool		null;
	int32		version;

	if (!PG_ARGISNULL(6) && (char_limit < 1 || char_limit > VALUE_MAX_LENGTH))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("char_limit is out of range: %d", char_limit),
				 errdetail("The range is 1 to %d.", VALUE_MAX_LENGTH)));
	memset(nulls, ' ', sizeof(nulls));
	memai_scope_resolve(&scope, PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2),
						PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3));
	memai_scope_values(&scope, values);
	memai_pii_policy(&policy);
	value = memai_pii_clean(&policy, "value", value);
	label = memai_pii_clean(&policy, "label", label);
	values[4] = PointerGetDatum(label);
	values[5] = PointerGetDatum(value);
	if (!PG_ARGISNULL(5))
		values[6] = PointerGetDatum(memai_pii_clean(&policy, "description", block_text(fcinfo, 5, "description", DESCRIPTION_MAX_LENGTH)));
	values[7] = Int32GetDatum(char_limit);
	values[8] = PG_ARGISNULL(7) ? (Datum) 0 : PG_GETARG_DATUM(7);
	values[9] = PG_ARGISNULL(4) ? (Datum) 0 : PG_GETARG_DATUM(4);
	nulls[6] = PG_ARGISNULL(5) ? 'n' : ' ';
	nulls[7] = PG_ARGISNULL(6) ? 'n' : ' ';
	nulls[8] = PG_ARGISNULL(7) ? 'n' : ' ';
	nulls[9] = PG_ARGISNULL(4) ? 'n' : ' ';

	SPI_connect();
	check_length("value", text_length(value), char_limit ? char_limit : read_state(&scope, label).char_limit);
	if (memai_statement_run(&upsert_block, values, nulls, false, 0) == 0)
		raise_not_written(&scope, label, PG_ARGISNULL(4) ? 0 : PG_GETARG_INT32(4));
	version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	SPI_finish();
	PG_RETURN_INT32(version);
}
