/*
 * vectorizer_define.c
 *	  memai.create_vectorizer, alter_vectorizer, drop_vectorizer and
 *	  refresh_vectorizer.
 *
 * The caller must own the table, in the sense of PostgreSQL: a member of its
 * owner does, and a superuser.  What is created on the user's side, columns, a
 * table, triggers, an index, is created as the owner himself, as whom the jobs
 * run.  memai's own rows are written with the extension's rights.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "ingest/vectorizer.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/model.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#define NAME_MAX_LENGTH 32		/* bytes; triggers are named after it */

static MemaiStatement insert_row = {
	"WITH locked AS (SELECT pg_advisory_xact_lock('memai.vectorizer'::regclass::oid::bigint)) "
	"INSERT INTO memai.vectorizer (id, tenant, name, source, model, template, destination_table, schedule) "
	"SELECT coalesce((SELECT max(v.id) FROM memai.vectorizer v), 0) + 1, $1, $2, $3::oid::regclass, $4, $5, $6::oid::regclass, $7 "
	"FROM locked RETURNING id", 7, {TEXTOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, OIDOID, TEXTOID}, NULL
};
static MemaiStatement update_row = {
	"UPDATE memai.vectorizer v SET model = $2, template = $3, paused = $4 WHERE v.name = $1",
	4, {TEXTOID, TEXTOID, TEXTOID, BOOLOID}, NULL
};
static MemaiStatement delete_row = {
	"WITH queue AS (DELETE FROM memai._vectorizer_queue q WHERE q.vectorizer = $1) "
	"DELETE FROM memai.vectorizer v WHERE v.id = $1", 1, {INT4OID}, NULL
};
static MemaiStatement count_errors = {
	"WITH again AS (UPDATE memai._vectorizer_queue q SET error = NULL, sqlstate = NULL "
	"WHERE q.vectorizer = $1 AND q.error IS NOT NULL RETURNING 1) SELECT count(*) FROM again", 1, {INT4OID}, NULL
};

PG_FUNCTION_INFO_V1(memai_create_vectorizer);
PG_FUNCTION_INFO_V1(memai_alter_vectorizer);
PG_FUNCTION_INFO_V1(memai_drop_vectorizer);
PG_FUNCTION_INFO_V1(memai_refresh_vectorizer);
PG_FUNCTION_INFO_V1(memai_retry_vectorizer);

static void
execute(const char *sql)
{
	int			result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

/* ---- arguments ---- */

static void
check_owner(Oid relid)
{
	if (!memai_owns_relation(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", get_rel_name(relid) ? get_rel_name(relid) : "(dropped)")));
}

/* an error restores the user too */
static void
become_owner(const MemaiVectorizer *v, Oid *user, int *sec_context)
{
	GetUserIdAndSecContext(user, sec_context);
	SetUserIdAndSecContext(v->owner, *sec_context | SECURITY_LOCAL_USERID_CHANGE);
}

static void
check_source(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the source of a vectorizer is a table"),
				 errdetail("\"%s\" is of another kind.", get_rel_name(relid) ? get_rel_name(relid) : "(dropped)")));
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the source of a vectorizer cannot be a temporary table"),
				 errdetail("Workers do not see it.")));
	check_owner(relid);
}

static char *
choose_name(const text *given, Oid source)
{
	char	   *name = given ? text_to_cstring(given) : get_rel_name(source);

	if (given == NULL)
		name[pg_mbcliplen(name, (int) strlen(name), NAME_MAX_LENGTH)] = '\0';
	if (name[0] == '\0' || strlen(name) > NAME_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("a vectorizer's name has 1 to %d bytes", NAME_MAX_LENGTH)));
	return name;
}

/* the column's number, or an error that names it */
static AttrNumber
find_column(Oid relid, const char *name)
{
	AttrNumber	number = get_attnum(relid, name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", name, get_rel_name(relid))));
	return number;
}

static void
add_column(List **columns, Oid relid, char *name)
{
	ListCell   *cell;

	(void) find_column(relid, name);
	foreach(cell, *columns)
		if (strcmp(lfirst(cell), name) == 0)
			return;
	if (list_length(*columns) == MEMAI_VECTORIZER_MAX_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("a vectorizer has at most %d columns", MEMAI_VECTORIZER_MAX_COLUMNS)));
	*columns = lappend(*columns, name);
}

static int
column_index(const List *columns, const char *name)
{
	for (int i = 0; i < list_length(columns); i++)
		if (strcmp(list_nth(columns, i), name) == 0)
			return i + 1;
	return 0;
}

static void
raise_template(const char *template, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("template is broken: %s", what),
			 errdetail("It is \"%s\".", template),
			 errhint("Write {column} for a column, {{ and }} for braces.")));
}

/*
 * Turns {column} into {n} and adds the columns that it names to the list.
 * What is left is independent of the columns' names.
 */
static char *
compile_template(const char *template, Oid source, List **columns)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = template; *p;)
	{
		const char *end;
		char	   *name;

		if ((p[0] == '{' && p[1] == '{') || (p[0] == '}' && p[1] == '}'))
		{
			appendBinaryStringInfo(&out, p, 2);
			p += 2;
			continue;
		}
		if (*p == '}')
			raise_template(template, "a brace is closed that was not opened");
		if (*p != '{')
		{
			appendStringInfoChar(&out, *p++);
			continue;
		}
		end = strchr(p, '}');
		if (end == NULL)
			raise_template(template, "a brace is not closed");
		name = pnstrdup(p + 1, end - p - 1);
		add_column(columns, source, name);
		appendStringInfo(&out, "{%d}", column_index(*columns, name));
		p = end + 1;
	}
	return out.data;
}

static List *
listed_columns(ArrayType *array, Oid source)
{
	List	   *columns = NIL;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			add_column(&columns, source, pstrdup(NameStr(*DatumGetName(names[i]))));
	return columns;
}

/* ---- what is created for it ---- */

static char *
vector_type(const MemaiModelInfo *model)
{
	return psprintf("%s(%d)", format_type_extended(memai_vector_type_oid(), -1, FORMAT_TYPE_FORCE_QUALIFY),
					model->dimensions);
}

/* the destination column and its hash, made unless they are there */
static void
create_columns(const MemaiVectorizer *v, const MemaiModelInfo *model, const char *vector, const char *hash)
{
	AttrNumber	number = get_attnum(v->source, vector);

	if (number > 0 && get_atttype(v->source, number) != memai_vector_type_oid())
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" is not of type vector", vector, get_rel_name(v->source))));
	if (number == InvalidAttrNumber)
		execute(psprintf("ALTER TABLE %s ADD COLUMN %s %s", v->source_name, quote_identifier(vector), vector_type(model)));
	if (get_attnum(v->source, hash) == InvalidAttrNumber)
		execute(psprintf("ALTER TABLE %s ADD COLUMN %s uuid", v->source_name, quote_identifier(hash)));
	execute(psprintf("COMMENT ON COLUMN %s.%s IS %s", v->source_name, quote_identifier(hash),
					 quote_literal_cstr(psprintf("which text column %s was made from", vector))));
}

static void
create_table(const MemaiVectorizer *v, const MemaiModelInfo *model)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", v->table_name);
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, "%s %s, ", v->keys[i], v->key_types[i]);
	appendStringInfo(&sql, "content text NOT NULL, embedding %s, content_hash uuid NOT NULL, PRIMARY KEY (", vector_type(model));
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, "%s%s", i ? ", " : "", v->keys[i]);
	appendStringInfoString(&sql, "))");
	execute(sql.data);
	execute(psprintf("COMMENT ON TABLE %s IS %s", v->table_name,
					 quote_literal_cstr(psprintf("vectors of the rows of %s", v->source_name))));
}

static void
create_trigger(const MemaiVectorizer *v, const char *table, const char *which, const char *when)
{
	execute(psprintf("CREATE TRIGGER %s %s FOR EACH STATEMENT EXECUTE FUNCTION memai._vectorizer_changed(%s)",
					 quote_identifier(psprintf("memai_vectorizer_%s_%s", which, v->name)),
					 psprintf(when, table), quote_literal_cstr(v->name)));
}

/* on the table, and on each partition for statements that name it */
static void
create_change_triggers(const MemaiVectorizer *v)
{
	List	   *tables = find_all_inheritors(v->source, ShareRowExclusiveLock, NULL);
	ListCell   *cell;

	foreach(cell, tables)
	{
		Oid			relid = lfirst_oid(cell);
		char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));

		create_trigger(v, table, "insert", "AFTER INSERT ON %s REFERENCING NEW TABLE AS memai_new");
		create_trigger(v, table, "update", "AFTER UPDATE ON %s REFERENCING OLD TABLE AS memai_old NEW TABLE AS memai_new");
		create_trigger(v, table, "delete", "AFTER DELETE ON %s REFERENCING OLD TABLE AS memai_old");
		create_trigger(v, table, "truncate", "AFTER TRUNCATE ON %s");
	}
}

/* the trigger that keeps the list of columns */
static void
create_columns_trigger(const MemaiVectorizer *v, const List *columns)
{
	StringInfoData when;
	ListCell   *cell;

	initStringInfo(&when);
	appendStringInfoString(&when, "BEFORE UPDATE OF ");
	foreach(cell, columns)
		appendStringInfo(&when, "%s%s", cell == list_head(columns) ? "" : ", ", quote_identifier(lfirst(cell)));
	if (v->table_name == NULL)
		appendStringInfo(&when, ", %s, %s", quote_identifier(v->vector), quote_identifier(v->hash));
	execute(psprintf("CREATE TRIGGER %s %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION memai._vectorizer_changed(%s)",
					 quote_identifier(psprintf("memai_vectorizer_" MEMAI_VECTORIZER_COLUMNS "_%s", v->name)),
					 when.data, v->source_name, quote_literal_cstr(v->name)));
}

static void
drop_trigger(const MemaiVectorizer *v, Oid relid, const char *which)
{
	char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	char	   *name = psprintf("memai_vectorizer_%s_%s", which, v->name);

	if (OidIsValid(get_trigger_oid(relid, name, true)))
		execute(psprintf("DROP TRIGGER %s ON %s", quote_identifier(name), table));
}

static void
create_vector_index(const MemaiVectorizer *v)
{
	HeapTuple	type = SearchSysCache1(TYPEOID, ObjectIdGetDatum(memai_vector_type_oid()));
	char	   *schema = get_namespace_name(((Form_pg_type) GETSTRUCT(type))->typnamespace);

	ReleaseSysCache(type);
	execute(psprintf("CREATE INDEX ON %s USING memai (%s %s.vector_cosine_ops)",
					 v->table_name ? v->table_name : v->source_name, quote_identifier(v->vector), quote_identifier(schema)));
}

/* every row of the source waits */
static int64
enqueue_all(const MemaiVectorizer *v)
{
	return memai_vectorizer_enqueue(v, psprintf("SELECT %s FROM %s s", memai_vectorizer_key_sql(v, "s"), v->source_name));
}

/* ---- create ---- */

static void
insert_vectorizer(MemaiVectorizer *v, const char *schedule)
{
	Datum		values[7];
	char		nulls[8] = "       ";
	bool		isnull;

	v->tenant = memai_current_tenant_text();
	values[0] = PointerGetDatum(v->tenant);
	values[1] = CStringGetTextDatum(v->name);
	values[2] = ObjectIdGetDatum(v->source);
	values[3] = CStringGetTextDatum(v->model);
	values[4] = v->template ? CStringGetTextDatum(v->template) : (Datum) 0;
	values[5] = ObjectIdGetDatum(v->table);
	values[6] = schedule ? CStringGetTextDatum(schedule) : (Datum) 0;
	if (v->template == NULL)
		nulls[4] = 'n';
	if (!OidIsValid(v->table))
		nulls[5] = 'n';
	if (schedule == NULL)
		nulls[6] = 'n';
	(void) memai_vectorizer_own(&insert_row, values, nulls);
	v->id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* where vectors go: into a new table, or columns of the source */
static void
create_destination(MemaiVectorizer *v, const MemaiModelInfo *model, const char *column, const char *table)
{
	v->vector = pstrdup(column);
	v->hash = psprintf("%s_hash", column);
	if (strlen(column) + strlen("_hash") >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name of the destination column is too long"),
				 errdetail("The column beside it has the suffix _hash, and names have %d bytes.", NAMEDATALEN - 1)));
	if (table == NULL)
	{
		create_columns(v, model, v->vector, v->hash);
		return;
	}
	v->table_name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(v->source)), table);
	create_table(v, model);
	v->table = get_relname_relid(table, get_rel_namespace(v->source));
	v->vector = "embedding";
	v->hash = "content_hash";
}

/*
 * create_vectorizer(source regclass, columns name[], template text, model text,
 * destination name, destination_table name, index boolean, schedule text,
 * name text, fill boolean) returns text
 */
Datum
memai_create_vectorizer(PG_FUNCTION_ARGS)
{
	MemaiVectorizer v = {0};
	MemaiModelInfo *model;
	List	   *columns = NIL;
	Relation	relation;
	Oid			user;
	int			sec_context;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be null")));
	v.source = PG_GETARG_OID(0);
	check_source(v.source);
	SPI_connect();
	relation = table_open(v.source, ShareRowExclusiveLock);
	v.owner = relation->rd_rel->relowner;
	v.source_name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
	table_close(relation, NoLock);
	v.name = choose_name(PG_ARGISNULL(8) ? NULL : PG_GETARG_TEXT_PP(8), v.source);
	if (memai_vectorizer_read(v.name, 0) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("vectorizer \"%s\" already exists", v.name),
				 errhint("Give this one a name => '...', and a destination of its own.")));
	become_owner(&v, &user, &sec_context);
	model = memai_model_lookup(PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)), "embed");
	v.model = model->name;
	if (!PG_ARGISNULL(1))
		columns = listed_columns(PG_GETARG_ARRAYTYPE_P(1), v.source);
	if (!PG_ARGISNULL(2))
		v.template = compile_template(text_to_cstring(PG_GETARG_TEXT_PP(2)), v.source, &columns);
	if (columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a vectorizer needs columns"),
				 errhint("Name them in columns, or as {column} in template.")));
	if (!memai_vectorizer_describe_key(&v))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key", get_rel_name(v.source)),
				 errhint("Add one: vectors are stored by key.")));
	create_destination(&v, model, PG_ARGISNULL(4) ? "embedding" : NameStr(*PG_GETARG_NAME(4)),
					   PG_ARGISNULL(5) ? NULL : NameStr(*PG_GETARG_NAME(5)));
	insert_vectorizer(&v, PG_ARGISNULL(7) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(7)));
	create_columns_trigger(&v, columns);
	create_change_triggers(&v);
	if (!PG_ARGISNULL(6) && PG_GETARG_BOOL(6))
		create_vector_index(&v);
	CommandCounterIncrement();
	if (PG_ARGISNULL(9) || PG_GETARG_BOOL(9))
		(void) enqueue_all(&v);
	SetUserIdAndSecContext(user, sec_context);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(v.name));
}

/* ---- the others ---- */

/* by name, for its owner; connected to SPI */
static MemaiVectorizer *
find_vectorizer(const text *name, bool *described)
{
	MemaiVectorizer *v = memai_vectorizer_read(text_to_cstring(name), 0);

	if (v == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("vectorizer \"%s\" does not exist", text_to_cstring(name))));
	*described = memai_vectorizer_describe(v);
	if (get_rel_name(v->source) != NULL)
		check_owner(v->source);
	return v;
}

static MemaiVectorizer *
find_complete_vectorizer(const text *name)
{
	bool		described;
	MemaiVectorizer *v = find_vectorizer(name, &described);

	if (!described)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table of vectorizer \"%s\" is not what it was", v->name),
				 errdetail("The table, its primary key, a trigger or the table of the vectors is gone."),
				 errhint("Drop the vectorizer and create it again.")));
	return v;
}

/* plain names of the columns that it has */
static List *
present_columns(const MemaiVectorizer *v)
{
	List	   *columns = NIL;

	for (int i = 0; i < v->ncolumns; i++)
	{
		List	   *name = memai_qualified_name_list(v->columns[i]);

		columns = lappend(columns, strVal(linitial(name)));
	}
	return columns;
}

static void
check_dimensions(const MemaiVectorizer *v, const MemaiModelInfo *model)
{
	Oid			relid = v->table_name ? v->table : v->source;
	List	   *name = memai_qualified_name_list(v->vector);
	Oid			type;
	Oid			collation;
	int32		typmod;

	get_atttypetypmodcoll(relid, find_column(relid, strVal(linitial(name))), &type, &typmod, &collation);

	if (typmod > 0 && typmod != model->dimensions)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("model \"%s\" makes vectors of another length", model->name),
				 errdetail("They have %d dimensions, the destination has %d.", model->dimensions, typmod),
				 errhint("Create another vectorizer with a destination of its own, and drop this one when that is filled.")));
}

/* alter_vectorizer(name text, columns name[], template text, model text, paused boolean) returns bigint */
Datum
memai_alter_vectorizer(PG_FUNCTION_ARGS)
{
	MemaiVectorizer *v;
	MemaiModelInfo *model;
	List	   *columns;
	Datum		values[4];
	int64		n = 0;
	Oid			user;
	int			sec_context;
	bool		redo = !PG_ARGISNULL(1) || !PG_ARGISNULL(2) || !PG_ARGISNULL(3);

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	SPI_connect();
	v = find_complete_vectorizer(PG_GETARG_TEXT_PP(0));
	become_owner(v, &user, &sec_context);
	model = memai_model_lookup(PG_ARGISNULL(3) ? v->model : text_to_cstring(PG_GETARG_TEXT_PP(3)), "embed");
	check_dimensions(v, model);
	v->model = model->name;
	columns = PG_ARGISNULL(1) ? present_columns(v) : listed_columns(PG_GETARG_ARRAYTYPE_P(1), v->source);
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2))
	{
		v->template = PG_ARGISNULL(2) ? NULL : compile_template(text_to_cstring(PG_GETARG_TEXT_PP(2)), v->source, &columns);
		if (v->table_name == NULL)
		{
			v->vector = strVal(linitial(memai_qualified_name_list(v->vector)));
			v->hash = strVal(linitial(memai_qualified_name_list(v->hash)));
		}
		drop_trigger(v, v->source, MEMAI_VECTORIZER_COLUMNS);
		create_columns_trigger(v, columns);
	}
	if (!PG_ARGISNULL(4))
		v->paused = PG_GETARG_BOOL(4);
	values[0] = CStringGetTextDatum(v->name);
	values[1] = CStringGetTextDatum(v->model);
	values[2] = v->template ? CStringGetTextDatum(v->template) : (Datum) 0;
	values[3] = BoolGetDatum(v->paused);
	(void) memai_vectorizer_own(&update_row, values, v->template ? NULL : "  n ");
	CommandCounterIncrement();
	if (redo)
		n = enqueue_all(v);
	else if (!v->paused && !v->scheduled)
		memai_vectorizer_submit(v);
	SetUserIdAndSecContext(user, sec_context);
	SPI_finish();
	PG_RETURN_INT64(n);
}

/* drop_vectorizer(name text, drop_vectors boolean) returns void */
Datum
memai_drop_vectorizer(PG_FUNCTION_ARGS)
{
	static const char *const kinds[] = {MEMAI_VECTORIZER_COLUMNS, "insert", "update", "delete", "truncate"};
	MemaiVectorizer *v;
	Datum		id;
	bool		described;

	SPI_connect();
	v = find_vectorizer(PG_GETARG_TEXT_PP(0), &described);
	if (get_rel_name(v->source) != NULL)
	{
		List	   *tables = find_all_inheritors(v->source, AccessExclusiveLock, NULL);
		ListCell   *cell;

		foreach(cell, tables)
			for (int i = 0; i < (int) lengthof(kinds); i++)
				drop_trigger(v, lfirst_oid(cell), kinds[i]);
	}
	if (PG_GETARG_BOOL(1) && described && v->table_name != NULL)
		execute(psprintf("DROP TABLE %s", v->table_name));
	else if (PG_GETARG_BOOL(1) && described)
		execute(psprintf("ALTER TABLE %s DROP COLUMN %s, DROP COLUMN %s", v->source_name, v->vector, v->hash));
	id = Int32GetDatum(v->id);
	(void) memai_vectorizer_own(&delete_row, &id, NULL);
	SPI_finish();
	PG_RETURN_VOID();
}

/* refresh_vectorizer(name text) returns bigint: how many rows wait now because of it */
Datum
memai_refresh_vectorizer(PG_FUNCTION_ARGS)
{
	int64		n;

	SPI_connect();
	n = enqueue_all(find_complete_vectorizer(PG_GETARG_TEXT_PP(0)));
	SPI_finish();
	PG_RETURN_INT64(n);
}

/* retry_vectorizer(name text) returns bigint: how many rows that failed wait again */
Datum
memai_retry_vectorizer(PG_FUNCTION_ARGS)
{
	MemaiVectorizer *v;
	Datum		id;
	int64		n;
	bool		isnull;

	SPI_connect();
	v = find_complete_vectorizer(PG_GETARG_TEXT_PP(0));
	id = Int32GetDatum(v->id);
	(void) memai_vectorizer_own(&count_errors, &id, NULL);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	memai_vectorizer_submit(v);
	SPI_finish();
	PG_RETURN_INT64(n);
}
