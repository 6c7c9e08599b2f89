/*
 * watch_define.c
 *	  memai.watch and memai.unwatch.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "ingest/watch.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static MemaiStatement insert_row = {
	"INSERT INTO memai.watched (name, tenant, namespace_of_all, user_of_all, source, template) VALUES ($1, $2, $3, $4, $5::oid::regclass, $6)",
	6, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, OIDOID, TEXTOID}, NULL
};
static MemaiStatement delete_row = {
	"WITH rows AS (DELETE FROM memai._watched_row r WHERE r.watch = $1) DELETE FROM memai.watched w WHERE w.name = $1",
	1, {TEXTOID}, NULL
};

PG_FUNCTION_INFO_V1(memai_watch);
PG_FUNCTION_INFO_V1(memai_unwatch);

static void
insert_watch(const MemaiWatch *watch)
{
	Datum		values[6];

	values[0] = CStringGetTextDatum(watch->table.name);
	values[1] = PointerGetDatum(watch->table.tenant);
	values[2] = CStringGetTextDatum(watch->namespace);
	values[3] = watch->user_id ? CStringGetTextDatum(watch->user_id) : (Datum) 0;
	values[4] = ObjectIdGetDatum(watch->table.source);
	values[5] = CStringGetTextDatum(watch->table.template);
	(void) memai_vectorizer_own(&insert_row, values, watch->user_id ? NULL : "   n  ");
}

static void
lock_source(MemaiVectorizer *v)
{
	Relation	relation = table_open(v->source, ShareRowExclusiveLock);

	v->owner = relation->rd_rel->relowner;
	v->source_name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
	table_close(relation, NoLock);
}

/* whose episodes: one user's, or a column's */
static void
choose_user(MemaiWatch *watch, FunctionCallInfo fcinfo)
{
	MemaiScope	scope;

	if (PG_ARGISNULL(2) == PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a watch needs either user_id or user_column"),
				 errhint("Name the column that has the user's id in user_column, or give all rows to one user by user_id.")));
	if (!PG_ARGISNULL(2))
	{
		memai_scope_resolve(&scope, PG_GETARG_TEXT_PP(2), PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
		watch->user_id = text_to_cstring(scope.user_id);
		return;
	}
	(void) memai_vectorizer_find_column(watch->table.source, NameStr(*PG_GETARG_NAME(3)));
	watch->table.nextra = 1;
	watch->table.extra[0] = pstrdup(quote_identifier(NameStr(*PG_GETARG_NAME(3))));
}

/*
 * watch(source regclass, template text, user_id text, user_column name,
 * namespace text, name text, fill boolean) returns text
 */
Datum
memai_watch(PG_FUNCTION_ARGS)
{
	MemaiWatch	watch = {.table = {.what = MEMAI_WATCH}};
	List	   *columns = NIL;
	Oid			user;
	int			sec_context;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source and template must not be null")));
	PreventCommandDuringRecovery("memai.watch");
	watch.table.source = PG_GETARG_OID(0);
	memai_vectorizer_check_source(watch.table.source);
	SPI_connect();
	lock_source(&watch.table);
	watch.table.name = memai_vectorizer_choose_name(PG_ARGISNULL(5) ? NULL : PG_GETARG_TEXT_PP(5), watch.table.source);
	if (memai_watch_read(watch.table.name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("watch \"%s\" already exists", watch.table.name),
				 errhint("Give this one a name => '...'.")));
	watch.table.template = memai_vectorizer_compile_template(text_to_cstring(PG_GETARG_TEXT_PP(1)), watch.table.source, &columns);
	if (columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the template names no column"),
				 errhint("Write {column} where a column's value should stand.")));
	choose_user(&watch, fcinfo);
	watch.namespace = PG_ARGISNULL(4) ? MEMAI_DEFAULT_NAMESPACE : text_to_cstring(PG_GETARG_TEXT_PP(4));
	if (!memai_vectorizer_describe_key(&watch.table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key", get_rel_name(watch.table.source)),
				 errhint("Add one: an episode is found again by the key of its row.")));
	memai_vectorizer_become_owner(&watch.table, &user, &sec_context);
	watch.table.tenant = memai_current_tenant_text();
	insert_watch(&watch);
	memai_vectorizer_create_triggers(&watch.table, columns);
	SetUserIdAndSecContext(user, sec_context);
	CommandCounterIncrement();
	if (!memai_vectorizer_describe(&watch.table))
		elog(ERROR, "watch \"%s\" is incomplete", watch.table.name);
	if (PG_ARGISNULL(6) || PG_GETARG_BOOL(6))
		memai_watch_run(&watch, psprintf("SELECT %s FROM %s s", memai_watch_columns_sql(&watch, "s"), watch.table.source_name), false);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(watch.table.name));
}

/* unwatch(name text, forget boolean) returns void */
Datum
memai_unwatch(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemaiWatch *watch;
	Datum		value = CStringGetTextDatum(name);

	SPI_connect();
	watch = memai_watch_read(name);
	if (watch == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("watch \"%s\" does not exist", name)));
	if (get_rel_name(watch->table.source) != NULL)
	{
		memai_vectorizer_check_owner(watch->table.source);
		memai_vectorizer_drop_triggers(&watch->table);
	}
	else if (!superuser() && strcmp(text_to_cstring(watch->table.tenant), text_to_cstring(memai_current_tenant_text())) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("watch \"%s\" is another tenant's", name)));
	if (PG_GETARG_BOOL(1))
		memai_watch_forget(watch, NULL, 0);
	(void) memai_vectorizer_own(&delete_row, &value, NULL);
	SPI_finish();
	PG_RETURN_VOID();
}
