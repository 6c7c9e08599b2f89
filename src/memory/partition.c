/*
 * partition.c
 *	  memai.create_vector_index, memai.drop_vector_index: the partition of
 *	  memai.embedding that a model's vectors lie in, and the index over it.
 *
 * There is no index to begin with: it makes every write dearer and serves
 * scopes of thousands of items only, which many databases have none of.
 *
 * Both functions are for administrators (EXECUTE) and work as the owner of the
 * tables, without row-level security: an index is of all tenants.  They lock
 * the partition against writes until the transaction ends.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "catalog/pg_type_d.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* letters of the model's name in the name of its partition */
#define READABLE_LETTERS 32
#define NAME_SEED UINT64CONST(0x6d656d6169700001)

#define COLUMNS "tenant, user_id, namespace, scope, model, episode_id, memory_id, embedding"

static MemaiStatement find_partition = {
	.sql = "SELECT c.relname::text, c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
	"WHERE i.inhparent = 'memai.embedding'::regclass "
	"AND pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES IN (%L)', $1)",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static MemaiStatement find_index = {
	.sql = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam "
	"WHERE i.indrelid = $1 AND a.amname = 'memai' AND i.indisvalid ORDER BY c.oid LIMIT 1",
	.nargs = 1,
	.argtypes = {OIDOID},
};

PG_FUNCTION_INFO_V1(memai_create_vector_index);
PG_FUNCTION_INFO_V1(memai_drop_vector_index);
PG_FUNCTION_INFO_V1(memai_own_partition);

/* ---- as the owner ---- */

void
memai_become_owner(MemaiCaller *caller)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(get_relname_relid("embedding", get_namespace_oid("memai", false))));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for memai.embedding");
	GetUserIdAndSecContext(&caller->user, &caller->context);
	SetUserIdAndSecContext(((Form_pg_class) GETSTRUCT(tuple))->relowner,
						   caller->context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	ReleaseSysCache(tuple);
}

void
memai_become_caller(const MemaiCaller *caller)
{
	SetUserIdAndSecContext(caller->user, caller->context);
}

/* Runs a command whose names and values are quoted already. */
static void
execute(const char *format,...) pg_attribute_printf(1, 2);

static void
execute(const char *format,...)
{
	StringInfoData command;
	int			result;

	initStringInfo(&command);
	for (;;)
	{
		va_list		arguments;
		int			needed;

		va_start(arguments, format);
		needed = appendStringInfoVA(&command, format, arguments);
		va_end(arguments);
		if (needed == 0)
			break;
		enlargeStringInfo(&command, needed);
	}
	result = SPI_execute(command.data, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
	pfree(command.data);
}

/* the extension's schema of types and operators, quoted */
static const char *
types_schema(void)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(memai_vector_type_oid()));
	const char *schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for the vector type");
	schema = quote_identifier(get_namespace_name(((Form_pg_type) GETSTRUCT(tuple))->typnamespace));
	ReleaseSysCache(tuple);
	return schema;
}

/* ---- the partition ---- */

/* embedding_, what can be read of the model's name, and a hash that tells models apart */
static char *
partition_name(const char *model)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, "embedding_");
	for (int i = 0; model[i] != '\0' && i < READABLE_LETTERS; i++)
	{
		char		c = pg_tolower((unsigned char) model[i]);

		appendStringInfoChar(&name, (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_');
	}
	appendStringInfo(&name, "_%08x", (uint32) memai_hash64(model, strlen(model), NAME_SEED));
	return name.data;
}

/* Moves the vectors of a model from the default partition to one of its own. */
static char *
create_partition(const MemaiModelInfo *model)
{
	char	   *bare = partition_name(model->name);
	const char *name = quote_identifier(bare);
	char	   *value = quote_literal_cstr(model->name);

	execute("LOCK TABLE memai.embedding_other IN SHARE ROW EXCLUSIVE MODE");
	execute("CREATE TABLE memai.%s (LIKE memai.embedding INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE, "
			"CHECK (%s.vector_dims(embedding) = %d)) WITH (toast_tuple_target = 8160)",
			name, types_schema(), model->dimensions);
	execute("COMMENT ON TABLE memai.%s IS %s", name,
			quote_literal_cstr(psprintf("vectors of the model %s", model->name)));
	execute("ALTER TABLE memai.%s ALTER COLUMN embedding SET STATISTICS 0", name);
	execute("INSERT INTO memai.%s (" COLUMNS ") SELECT " COLUMNS " FROM memai.embedding_other WHERE model = %s", name, value);
	execute("DELETE FROM memai.embedding_other WHERE model = %s", value);
	execute("ALTER TABLE memai.%s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", name);
	execute("CREATE POLICY isolation ON memai.%s USING (tenant = (SELECT memai.current_tenant()) "
			"AND user_id = coalesce((SELECT memai.current_user_id()), user_id))", name);
	execute("ALTER TABLE memai.embedding ATTACH PARTITION memai.%s FOR VALUES IN (%s)", name, value);
	execute("ANALYZE memai.%s", name);
	return bare;
}

static char *
copy_string(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/* The name and OID of the model's own partition; false when it has none. */
static bool
lookup_partition(const char *model, char **name, Oid *relid)
{
	Datum		value = CStringGetTextDatum(model);
	bool		null;

	if (memai_statement_run(&find_partition, &value, NULL, false, 0) == 0)
		return false;
	*name = copy_string(1);
	*relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* The name of the partition's vector index, or NULL. */
static char *
lookup_index(Oid partition)
{
	Datum		value = ObjectIdGetDatum(partition);
	char	   *name;

	if (memai_statement_run(&find_index, &value, NULL, false, 0) == 0)
		return NULL;
	name = copy_string(1);
	SPI_freetuptable(SPI_tuptable);
	return name;
}

static MemaiModelInfo *
model_argument(FunctionCallInfo fcinfo)
{
	return memai_model_lookup(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)), "embed");
}

/* create_vector_index(model text) returns text */
Datum
memai_create_vector_index(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	MemaiModelInfo *model = model_argument(fcinfo);
	MemaiCaller caller;
	char	   *partition;
	char	   *index = NULL;
	Oid			relid;

	memai_become_owner(&caller);
	SPI_connect();
	if (lookup_partition(model->name, &partition, &relid))
		index = lookup_index(relid);
	else
		partition = create_partition(model);
	if (index == NULL)
	{
		index = psprintf("%s_vector_idx", partition);
		execute("CREATE INDEX %s ON memai.%s USING memai (scope, embedding %s.vector_cosine_ops)",
				quote_identifier(index), quote_identifier(partition), types_schema());
		execute("COMMENT ON INDEX memai.%s IS 'the nearest vectors of a scope'", quote_identifier(index));
	}
	index = MemoryContextStrdup(result_context, index);
	SPI_finish();
	memai_become_caller(&caller);
	PG_RETURN_TEXT_P(cstring_to_text(index));
}

/*
 * _own_partition(model text, wanted boolean) returns text: the name of the
 * model's partition, made when it has none; NULL unless wanted.  The rights are
 * checked here, since an ACL would be checked when it is not wanted, too.
 */
Datum
memai_own_partition(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	MemaiModelInfo *model;
	MemaiCaller caller;
	char	   *partition;
	Oid			relid;

	if (!PG_GETARG_BOOL(1))
		PG_RETURN_NULL();
	if (!has_privs_of_role(GetUserId(), get_role_oid("memai_admin", false)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to switch to another embedding model"),
				 errhint("A member of memai_admin can; without switch, reembed makes the vectors only.")));
	model = model_argument(fcinfo);
	memai_become_owner(&caller);
	SPI_connect();
	if (!lookup_partition(model->name, &partition, &relid))
		partition = create_partition(model);
	partition = MemoryContextStrdup(result_context, partition);
	SPI_finish();
	memai_become_caller(&caller);
	PG_RETURN_TEXT_P(cstring_to_text(partition));
}

/* drop_vector_index(model text) returns boolean */
Datum
memai_drop_vector_index(PG_FUNCTION_ARGS)
{
	MemaiModelInfo *model = model_argument(fcinfo);
	MemaiCaller caller;
	char	   *partition;
	char	   *index = NULL;
	Oid			relid;

	memai_become_owner(&caller);
	SPI_connect();
	if (lookup_partition(model->name, &partition, &relid))
		index = lookup_index(relid);
	if (index != NULL)
		execute("DROP INDEX memai.%s", quote_identifier(index));
	SPI_finish();
	memai_become_caller(&caller);
	PG_RETURN_BOOL(index != NULL);
}
