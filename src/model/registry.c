/*
 * registry.c
 *	  Reading the registry: rights, rows, defaults.
 *
 * The tables grant nothing to anyone.  This module reads and writes them with
 * the rights of their owner, by fixed statements, and checks the caller's
 * rights itself, on every call.  The search_path is pinned by the SQL
 * functions that lead here.
 */
#include "postgres.h"

#include "model/registry.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static char *default_chat = NULL;
static char *default_embed = NULL;

static Oid
registry_owner(void)
{
	Oid			schema = get_namespace_oid("memai", true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("model", schema) : InvalidOid;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("memai is not installed in this database"),
				 errhint("Run CREATE EXTENSION memai.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
memai_registry_open(MemaiRegistry *registry)
{
	Oid			owner = registry_owner();

	GetUserIdAndSecContext(&registry->user, &registry->sec_context);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	SetUserIdAndSecContext(owner, registry->sec_context | SECURITY_LOCAL_USERID_CHANGE);
}

void
memai_registry_close(MemaiRegistry *registry)
{
	SetUserIdAndSecContext(registry->user, registry->sec_context);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

bool
memai_is_admin(Oid role)
{
	Oid			admin = get_role_oid("memai_admin", true);

	return OidIsValid(admin) ? has_privs_of_role(role, admin) : superuser_arg(role);
}

/* the text of a column of the first result row in context, NULL for null */
static char *
column_text(int column, MemoryContext context)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

static Datum
column_datum(int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull);
}

/* may the caller use the model of the first result row, owned by its column 10? */
static bool
may_use(Oid caller)
{
	bool		isnull;
	Oid			owner = DatumGetObjectId(column_datum(10, &isnull));
	Datum		grantees = column_datum(11, &isnull);
	ArrayType  *array = DatumGetArrayTypeP(grantees);
	Oid		   *roles = (Oid *) ARR_DATA_PTR(array);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (has_privs_of_role(caller, owner) || memai_is_admin(caller))
		return true;
	for (int i = 0; i < n; i++)
		if (!OidIsValid(roles[i]) || has_privs_of_role(caller, roles[i]))
			return true;
	return false;
}

/* the first result row as a model in context */
static MemaiModel *
row_to_model(MemoryContext context)
{
	MemaiModel *model = MemoryContextAllocZero(context, sizeof(MemaiModel));
	MemoryContext old;
	bool		isnull;
	Datum		value;

	model->info.name = column_text(1, context);
	model->info.kind = column_text(2, context);
	model->provider = column_text(3, context);
	model->model = column_text(4, context);
	model->url = column_text(5, context);
	model->credential = column_text(6, context);
	value = column_datum(7, &isnull);
	old = MemoryContextSwitchTo(context);
	model->options = DatumGetJsonbPCopy(value);
	MemoryContextSwitchTo(old);
	value = column_datum(8, &isnull);
	model->info.dimensions = isnull ? 0 : DatumGetInt32(value);
	value = column_datum(9, &isnull);
	model->info.context_window = isnull ? 0 : DatumGetInt32(value);
	model->owner = DatumGetObjectId(column_datum(10, &isnull));
	model->info.is_local = strcmp(model->provider, "local") == 0;
	model->info.recall_weight = memai_option_number(model->options, "recall_weight", 1.0);
	return model;
}

#define MODEL_COLUMNS \
	"m.name, m.kind, m.provider, m.model, m.url, m.credential, m.options, m.dimensions, " \
	"m.context_window, m.owner::oid, " \
	"ARRAY(SELECT g.grantee::oid FROM memai.model_grant g WHERE g.model = m.name)"

static MemaiStatement read_by_name = {
	"SELECT " MODEL_COLUMNS " FROM memai.model m WHERE m.name = $1", 1, {TEXTOID}, NULL
};

static MemaiStatement read_by_kind = {
	"SELECT " MODEL_COLUMNS " FROM memai.model_default d JOIN memai.model m ON m.name = d.model "
	"WHERE d.kind = $1 AND d.size = '' ORDER BY d.built_in LIMIT 1", 1, {TEXTOID}, NULL
};

/* a size that nobody chose a model for is the default model's */
static MemaiStatement read_by_size = {
	"SELECT " MODEL_COLUMNS " FROM memai.model_default d JOIN memai.model m ON m.name = d.model "
	"WHERE d.kind = 'chat' AND d.size IN ($1, '') ORDER BY d.size DESC, d.built_in LIMIT 1", 1, {TEXTOID}, NULL
};

/*
 * Reads one row by name or as the default of a kind into the current context.
 * *usable tells whether the caller may call it.  NULL when there is no row.
 */
static MemaiModel *
read_model(MemaiStatement *statement, const char *key, bool *usable)
{
	MemoryContext context = CurrentMemoryContext;
	MemaiModel *model = NULL;
	MemaiRegistry registry;
	Datum		value = CStringGetTextDatum(key);

	memai_registry_open(&registry);
	if (memai_statement_run(statement, &value, NULL, true, 1) > 0)
	{
		*usable = may_use(registry.user);
		model = row_to_model(context);
	}
	memai_registry_close(&registry);
	return model;
}

MemaiModel *
memai_registry_find(const char *name, bool *usable)
{
	return read_model(&read_by_name, name, usable);
}

MemaiModel *
memai_registry_read(const char *name)
{
	bool		usable;

	return memai_registry_find(name, &usable);
}

/* the session's choice for a kind, NULL when it made none */
static const char *
session_default(const char *kind)
{
	const char *name = NULL;

	if (strcmp(kind, "embed") == 0)
		name = default_embed;
	else if (strcmp(kind, "chat") == 0)
		name = default_chat;
	return name != NULL && name[0] != '\0' ? name : NULL;
}

/* is it a word for whichever chat model an administrator chose? */
static bool
is_size(const char *name)
{
	return strcmp(name, "small") == 0 || strcmp(name, "medium") == 0 || strcmp(name, "large") == 0;
}

static void
check_usable(const MemaiModel *model, const char *kind, bool usable)
{
	if (!usable)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for model \"%s\"", model->info.name),
				 errhint("An administrator can run memai.grant_model.")));
	if (strcmp(model->info.kind, kind) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" is of kind %s, not %s",
						model->info.name, model->info.kind, kind),
				 errhint("The view memai.models lists the models you may call, with their kinds.")));
}

MemaiModelInfo *
memai_model_lookup(const char *name, const char *kind)
{
	bool		usable;
	MemaiModel *model;

	if (name == NULL)
		name = session_default(kind);
	model = name ? read_model(&read_by_name, name, &usable)
		: read_model(&read_by_kind, kind, &usable);
	if (model == NULL && name != NULL && strcmp(kind, "chat") == 0 && is_size(name))
		model = read_model(&read_by_size, name, &usable);
	if (model == NULL && name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" does not exist", name),
				 errhint("The view memai.models lists the models you may call.")));
	if (model == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no default model of kind %s", kind),
				 errhint("Name a model in the call, or have an administrator run memai.set_default_model.")));
	check_usable(model, kind, usable);
	return &model->info;
}

MemaiModelInfo *
memai_model_lookup_for(const MemaiScope *scope, const char *name, const char *kind)
{
	MemaiModelInfo *info = memai_model_lookup(name, kind);

	info->user_id = text_to_cstring(scope->user_id);
	return info;
}

void
memai_registry_init(void)
{
	DefineCustomStringVariable("memai.model_default_chat",
							   "Sets the chat model of calls that name none.",
							   "Empty means the database's default.",
							   &default_chat, "", PGC_USERSET, 0,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("memai.model_default_embed",
							   "Sets the embedding model of calls that name none.",
							   "Empty means the database's default.",
							   &default_embed, "", PGC_USERSET, 0,
							   NULL, NULL, NULL);
}
