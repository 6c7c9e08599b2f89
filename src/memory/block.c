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

static MemaiStatement upsert_block = {
	.sql = "INSERT INTO memai.block AS b (tenant, user_id, namespace, scope, label, value) "
	"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT ON CONSTRAINT block_pkey "
	"DO UPDATE SET value = excluded.value, version = b.version + 1, updated_at = now() RETURNING b.version",
	.nargs = 6,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_set_block);

static text *
block_text(FunctionCallInfo fcinfo, int argument, const char *name, int max_length)
{
	text	   *value = PG_ARGISNULL(argument) ? NULL : PG_GETARG_TEXT_PP(argument);
	int			length;

	memai_check_content(name, value);
	length = pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (length > max_length)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s of a block is too long", name),
				 errdetail("It has %d characters, the limit is %d.", length, max_length),
				 errhint("A block is in every context; store long texts as memories or episodes.")));
	return value;
}

/* set_block(label text, value text, user_id text, namespace text) returns integer */
Datum
memai_set_block(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	Datum		values[6];
	bool		null;
	int32		version;

	values[4] = PointerGetDatum(block_text(fcinfo, 0, "label", LABEL_MAX_LENGTH));
	values[5] = PointerGetDatum(block_text(fcinfo, 1, "value", VALUE_MAX_LENGTH));
	memai_scope_resolve(&scope, PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2),
						PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3));
	memai_scope_values(&scope, values);

	SPI_connect();
	memai_statement_run(&upsert_block, values, NULL, false, 0);
	version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	SPI_finish();
	PG_RETURN_INT32(version);
}
