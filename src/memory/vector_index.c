/*
 * vector_index.c
 *	  memai.create_vector_index, memai.drop_vector_index: the index over a
 *	  model's vectors.
 *
 * A model with a partition of memai.embedding gets an index of that partition;
 * the others share the default partition, and each gets a partial index there.
 * (A partition made later than the extension would be dumped in a way that
 * pg_restore complains about: it would restore indexes that ATTACH has made.)
 *
 * A model has its index from the start: a trigger of memai.model makes it with
 * the model, which brings it back in a restore, too, and drops it with the
 * model.  The built-in model's is made with its partition.
 *
 * The functions are for administrators (EXECUTE), as models are.  All work as
 * the owner of the tables, without row-level security: an index is of all
 * tenants.  Until the transaction ends they lock the partition against writes,
 * and where they drop an index against reads, too.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* letters of the model's name in the name of its index */
#define READABLE_LETTERS 32
#define NAME_SEED UINT64CONST(0x6d656d6169700001)
/* dimensions that an index of the access method takes at most */
#define INDEX_DIMENSIONS 7808

static MemaiStatement find_partition = {
	.sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
	"WHERE i.inhparent = 'memai.embedding'::regclass "
	"AND pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES IN (%L)', $1)",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* made here or by hand */
static MemaiStatement find_index = {
	.sql = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam "
	"WHERE i.indrelid = format('memai.%I', $1)::regclass AND a.amname = 'memai' AND i.indisvalid "
	"AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(model = %L::text)', $2)) ORDER BY c.oid LIMIT 1",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_create_vector_index);
PG_FUNCTION_INFO_V1(memai_drop_vector_index);
PG_FUNCTION_INFO_V1(memai_model_vectors);
PG_FUNCTION_INFO_V1(memai_may_switch);

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
execute(const char *command)
{
	int			result = SPI_execute(command, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
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

/* ---- the index ---- */

/* embedding_, what can be read of the model's name, and a hash that tells models apart */
static char *
index_name(const char *model)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, "embedding_");
	for (int i = 0; model[i] != '\0' && i < READABLE_LETTERS; i++)
	{
		char		c = pg_tolower((unsigned char) model[i]);

		appendStringInfoChar(&name, (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_');
	}
	appendStringInfo(&name, "_%08x_idx", (uint32) memai_hash64(model, strlen(model), NAME_SEED));
	return name.data;
}

/* The one string of a statement's result, or NULL. */
static char *
string_of(MemaiStatement *statement, Datum *values)
{
	char	   *string;

	if (memai_statement_run(statement, values, NULL, false, 0) == 0)
		return NULL;
	string = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	return string;
}

/* The partition that holds the vectors of a model; own: no other model's. */
static char *
partition_of(const char *model, bool *own)
{
	Datum		value = CStringGetTextDatum(model);
	char	   *name = string_of(&find_partition, &value);

	*own = (name != NULL);
	return *own ? name : pstrdup("embedding_other");
}

static char *
lookup_index(const char *partition, const char *model)
{
	Datum		values[2] = {CStringGetTextDatum(partition), CStringGetTextDatum(model)};

	return string_of(&find_index, values);
}

static void
create_index(const char *partition, bool own, const char *model, int dimensions, const char *index)
{
	execute(psprintf("CREATE INDEX %s ON memai.%s USING memai (scope, embedding %s.vector_cosine_ops) WITH (dimensions = %d)%s",
					 quote_identifier(index), quote_identifier(partition), types_schema(), dimensions,
					 own ? "" : psprintf(" WHERE model = %s", quote_literal_cstr(model))));
	execute(psprintf("COMMENT ON INDEX memai.%s IS 'the nearest vectors of a scope'", quote_identifier(index)));
}

static void
drop_index(const char *index)
{
	execute(psprintf("DROP INDEX memai.%s", quote_identifier(index)));
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
	char	   *index;
	bool		own;

	memai_become_owner(&caller);
	SPI_connect();
	partition = partition_of(model->name, &own);
	index = lookup_index(partition, model->name);
	if (index == NULL)
	{
		index = index_name(model->name);
		create_index(partition, own, model->name, model->dimensions, index);
	}
	index = MemoryContextStrdup(result_context, index);
	SPI_finish();
	memai_become_caller(&caller);
	PG_RETURN_TEXT_P(cstring_to_text(index));
}

/* drop_vector_index(model text) returns boolean */
Datum
memai_drop_vector_index(PG_FUNCTION_ARGS)
{
	MemaiModelInfo *model = model_argument(fcinfo);
	MemaiCaller caller;
	char	   *index;
	bool		own;

	memai_become_owner(&caller);
	SPI_connect();
	index = lookup_index(partition_of(model->name, &own), model->name);
	if (index != NULL)
		drop_index(index);
	SPI_finish();
	memai_become_caller(&caller);
	PG_RETURN_BOOL(index != NULL);
}

/* ---- with the model ---- */

/* whether there are vectors under the model's name that are none of its own */
static bool
has_misfits(const char *model, int dimensions)
{
	execute(psprintf("SELECT FROM memai.embedding WHERE model = %s AND %s.vector_dims(embedding) <> %d LIMIT 1",
					 quote_literal_cstr(model), types_schema(), dimensions));
	return SPI_processed > 0;
}

static void
index_new_model(const char *model, int dimensions)
{
	bool		own;
	char	   *partition = partition_of(model, &own);

	if (lookup_index(partition, model) != NULL)
		return;
	if (dimensions > INDEX_DIMENSIONS || has_misfits(model, dimensions))
	{
		ereport(NOTICE,
				(errmsg("the vectors of model \"%s\" have no index", model),
				 dimensions > INDEX_DIMENSIONS ? errdetail("An index takes %d dimensions at most.", INDEX_DIMENSIONS) :
				 errdetail("There are vectors of another dimension under that name."),
				 errhint("Recall compares all vectors of a scope.")));
		return;
	}
	create_index(partition, own, model, dimensions, index_name(model));
}

static void
unindex_model(const char *model)
{
	bool		own;
	char	   *index = lookup_index(partition_of(model, &own), model);

	/* a partition of its own keeps its index, as in a new database */
	if (index != NULL && !own)
		drop_index(index);
}

/* _model_vectors() returns trigger: of memai.model, for each row of an embedding model */
Datum
memai_model_vectors(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	MemaiCaller caller;
	char	   *name;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("memai._model_vectors must be called as a trigger")));
	memai_become_owner(&caller);
	SPI_connect();
	desc = RelationGetDescr(trigger->tg_relation);
	name = SPI_getvalue(trigger->tg_trigtuple, desc, SPI_fnumber(desc, "name"));
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		bool		isnull;

		index_new_model(name, DatumGetInt32(SPI_getbinval(trigger->tg_trigtuple, desc, SPI_fnumber(desc, "dimensions"), &isnull)));
	}
	else
		unindex_model(name);
	SPI_finish();
	memai_become_caller(&caller);
	return PointerGetDatum(NULL);
}

/*
 * _may_switch(wanted boolean) returns boolean: wanted, unless the role may not.
 * Checked here, since an ACL would be checked when it is not wanted, too.
 */
Datum
memai_may_switch(PG_FUNCTION_ARGS)
{
	bool		wanted = PG_GETARG_BOOL(0);

	if (wanted && !has_privs_of_role(GetUserId(), get_role_oid("memai_admin", false)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to switch to another embedding model"),
				 errhint("A member of memai_admin can; without switch, reembed makes the vectors only.")));
	PG_RETURN_BOOL(wanted);
}
