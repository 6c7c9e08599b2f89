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

static MemaiStatement insert_row = {
	"WITH locked AS (SELECT pg_advisory_xact_lock('memai.vectorizer'::regclass::oid::bigint)) "
	"INSERT INTO memai.vectorizer (id, tenant, name, source, model, template, destination_table, schedule, chunking) "
	"SELECT coalesce((SELECT max(v.id) FROM memai.vectorizer v), 0) + 1, $1, $2, $3::oid::regclass, $4, $5, $6::oid::regclass, $7, $8 "
	"FROM locked RETURNING id", 8, {TEXTOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, OIDOID, TEXTOID, JSONBOID}, NULL
};
static MemaiStatement update_row = {
	"UPDATE memai.vectorizer v SET model = $2, template = $3, paused = $4, chunking = $5 WHERE v.name = $1",
	5, {TEXTOID, TEXTOID, TEXTOID, BOOLOID, JSONBOID}, NULL
};
static MemaiStatement delete_row = {
	"WITH queue AS (DELETE FROM memai._vectorizer_queue q WHERE q.vectorizer = $1) "
	"DELETE FROM memai.vectorizer v WHERE v.id = $1", 1, {INT4OID}, NULL
};
static MemaiStatement schedule_it = {
	"SELECT memai.schedule_task($1, $2, 'vectorizer', $3, user_id => 'vectorizer')", 3, {TEXTOID, TEXTOID, TEXTOID}, NULL
};
static MemaiStatement drop_schedule = {
	"SELECT memai.drop_schedule('vectorizer ' || $1, user_id => 'vectorizer')", 1, {TEXTOID}, NULL
};
PG_FUNCTION_INFO_V1(memai_create_vectorizer);
PG_FUNCTION_INFO_V1(memai_alter_vectorizer);
PG_FUNCTION_INFO_V1(memai_drop_vectorizer);
PG_FUNCTION_INFO_V1(memai_refresh_vectorizer);
PG_FUNCTION_INFO_V1(memai_retry_vectorizer);

/* ---- what is created for it ---- */

static char *
vector_type(const MemaiModelInfo *model)
{
	return psprintf("%s(%d)", format_type_extended(memai_vector_type_oid(), -1, FORMAT_TYPE_FORCE_QUALIFY),
					model->dimensions);
}

/* a destination that is there already, or InvalidAttrNumber; raises 42804 and 428C9 when vectors cannot be stored in it */
static AttrNumber
find_destination(const MemaiVectorizer *v, const char *name, Oid type, const char *type_name)
{
	AttrNumber	number = get_attnum(v->source, name);

	if (number == InvalidAttrNumber)
		return number;
	if (number < 0 || get_atttype(v->source, number) != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" is not of type %s", name, get_rel_name(v->source), type_name)));
	if (get_attgenerated(v->source, number))
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" of table \"%s\" is generated", name, get_rel_name(v->source)),
				 errhint("Name another in destination.")));
	return number;
}

static void
check_dimensions(const MemaiVectorizer *v, const MemaiModelInfo *model)
{
	Oid			relid = v->table_name ? v->table : v->source;
	List	   *name = memai_qualified_name_list(v->vector);
	Oid			type;
	Oid			collation;
	int32		typmod;

	get_atttypetypmodcoll(relid, memai_vectorizer_find_column(relid, strVal(linitial(name))), &type, &typmod, &collation);

	if (typmod > 0 && typmod != model->dimensions)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("model \"%s\" makes vectors of another length", model->name),
				 errdetail("They have %d dimensions, the destination has %d.", model->dimensions, typmod),
				 errhint("Create another vectorizer with a destination of its own, and drop this one when that is filled.")));
}

/* the destination column and its hash, made unless they are there */
static void
create_columns(MemaiVectorizer *v, const MemaiModelInfo *model, const char *vector, const char *hash)
{
	v->nextra = 2;
	v->extra[0] = v->vector = pstrdup(quote_identifier(vector));
	v->extra[1] = v->hash = pstrdup(quote_identifier(hash));
	if (find_destination(v, vector, memai_vector_type_oid(), "vector") == InvalidAttrNumber)
		memai_vectorizer_execute(psprintf("ALTER TABLE %s ADD COLUMN %s %s", v->source_name, v->vector, vector_type(model)));
	else
		check_dimensions(v, model);
	if (find_destination(v, hash, UUIDOID, "uuid") == InvalidAttrNumber)
		memai_vectorizer_execute(psprintf("ALTER TABLE %s ADD COLUMN %s uuid", v->source_name, v->hash));
	memai_vectorizer_execute(psprintf("COMMENT ON COLUMN %s.%s IS %s", v->source_name, v->hash,
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
	if (v->chunking)
		appendStringInfoString(&sql, "chunk integer NOT NULL, ");
	appendStringInfo(&sql, "content text NOT NULL, embedding %s, content_hash uuid NOT NULL, PRIMARY KEY (", vector_type(model));
	for (int i = 0; i < v->nkeys; i++)
		appendStringInfo(&sql, "%s%s", i ? ", " : "", v->keys[i]);
	appendStringInfoString(&sql, v->chunking ? ", chunk))" : "))");
	memai_vectorizer_execute(sql.data);
	memai_vectorizer_execute(psprintf("COMMENT ON TABLE %s IS %s", v->table_name,
					 quote_literal_cstr(psprintf("vectors of the rows of %s", v->source_name))));
}

static void
create_vector_index(const MemaiVectorizer *v)
{
	HeapTuple	type = SearchSysCache1(TYPEOID, ObjectIdGetDatum(memai_vector_type_oid()));
	char	   *schema = get_namespace_name(((Form_pg_type) GETSTRUCT(type))->typnamespace);

	ReleaseSysCache(type);
	memai_vectorizer_execute(psprintf("CREATE INDEX ON %s USING memai (%s %s.vector_cosine_ops)",
					 v->table_name ? v->table_name : v->source_name, v->vector, quote_identifier(schema)));
}

/* every row of the source waits */
static int64
enqueue_all(const MemaiVectorizer *v)
{
	return memai_vectorizer_enqueue(v, psprintf("SELECT %s FROM %s s", memai_vectorizer_key_sql(v, "s"), v->source_name));
}

/* ---- create ---- */

/* its jobs come from a schedule */
static void
add_schedule(const MemaiVectorizer *v, text *every)
{
	Datum		values[3];

	values[0] = CStringGetTextDatum(psprintf("vectorizer %s", v->name));
	values[1] = PointerGetDatum(every);
	values[2] = CStringGetTextDatum(v->name);
	(void) memai_statement_run(&schedule_it, values, NULL, false, 0);
}

static void
insert_vectorizer(MemaiVectorizer *v, const char *schedule)
{
	Datum		values[8];
	char		nulls[9] = "        ";
	bool		isnull;

	v->tenant = memai_current_tenant_text();
	values[0] = PointerGetDatum(v->tenant);
	values[1] = CStringGetTextDatum(v->name);
	values[2] = ObjectIdGetDatum(v->source);
	values[3] = CStringGetTextDatum(v->model);
	values[4] = v->template ? CStringGetTextDatum(v->template) : (Datum) 0;
	values[5] = ObjectIdGetDatum(v->table);
	values[6] = schedule ? CStringGetTextDatum(schedule) : (Datum) 0;
	values[7] = JsonbPGetDatum(v->chunking);
	if (v->chunking == NULL)
		nulls[7] = 'n';
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
	char	   *hash = psprintf("%s_hash", column);

	if (strlen(column) + strlen("_hash") >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name of the destination column is too long"),
				 errdetail("The column beside it has the suffix _hash, and names have %d bytes.", NAMEDATALEN - 1)));
	if (table == NULL)
	{
		create_columns(v, model, column, hash);
		return;
	}
	v->table_name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(v->source)), table);
	create_table(v, model);
	v->table = get_relname_relid(table, get_rel_namespace(v->source));
	v->vector = "embedding";
	v->hash = "content_hash";
}

/* one whose table was dropped makes room */
static void
check_name(const char *name)
{
	MemaiVectorizer *other = memai_vectorizer_read(name, 0);
	Datum		id;

	if (other == NULL)
		return;
	if (get_rel_name(other->source) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("vectorizer \"%s\" already exists", name),
				 errhint("Give this one a name => '...', and a destination of its own.")));
	id = Int32GetDatum(other->id);
	(void) memai_vectorizer_own(&delete_row, &id, NULL);
}

/*
 * create_vectorizer(source regclass, columns name[], template text, model text,
 * destination name, destination_table name, index boolean, schedule text,
 * name text, fill boolean, chunking jsonb) returns text
 */
Datum
memai_create_vectorizer(PG_FUNCTION_ARGS)
{
	MemaiVectorizer v = {.what = MEMAI_VECTORIZER};
	MemaiModelInfo *model;
	List	   *columns = NIL;
	Relation	relation;
	Oid			user;
	int			sec_context;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be null")));
	PreventCommandDuringRecovery("memai.create_vectorizer");
	v.source = PG_GETARG_OID(0);
	memai_vectorizer_check_source(v.source);
	SPI_connect();
	relation = table_open(v.source, ShareRowExclusiveLock);
	v.owner = relation->rd_rel->relowner;
	v.source_name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
	table_close(relation, NoLock);
	v.name = memai_vectorizer_choose_name(PG_ARGISNULL(8) ? NULL : PG_GETARG_TEXT_PP(8), v.source);
	check_name(v.name);
	memai_vectorizer_become_owner(&v, &user, &sec_context);
	model = memai_model_lookup(PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)), "embed");
	v.model = model->name;
	if (!PG_ARGISNULL(1))
		columns = memai_vectorizer_list_columns(PG_GETARG_ARRAYTYPE_P(1), v.source);
	if (!PG_ARGISNULL(2))
		v.template = memai_vectorizer_compile_template(text_to_cstring(PG_GETARG_TEXT_PP(2)), v.source, &columns);
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
	if (!PG_ARGISNULL(10))
		v.chunking = memai_vectorizer_check_chunking(PG_GETARG_JSONB_P(10));
	create_destination(&v, model, PG_ARGISNULL(4) ? "embedding" : NameStr(*PG_GETARG_NAME(4)),
					   PG_ARGISNULL(5) ? (v.chunking ? psprintf("%s_chunk", v.name) : NULL) : NameStr(*PG_GETARG_NAME(5)));
	insert_vectorizer(&v, PG_ARGISNULL(7) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(7)));
	memai_vectorizer_create_triggers(&v, columns);
	if (!PG_ARGISNULL(6) && PG_GETARG_BOOL(6))
		create_vector_index(&v);
	v.scheduled = !PG_ARGISNULL(7);
	if (v.scheduled)
		add_schedule(&v, PG_GETARG_TEXT_PP(7));
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
		memai_vectorizer_check_owner(v->source);
	return v;
}

static MemaiVectorizer *
find_complete_vectorizer(const text *name)
{
	bool		described;
	MemaiVectorizer *v = find_vectorizer(name, &described);

	if (!described)
		memai_vectorizer_raise_incomplete(v);
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

/* a table for whole texts has no place for chunks */
static void
set_chunking(MemaiVectorizer *v, Jsonb *chunking)
{
	if (v->chunking == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("vectorizer \"%s\" does not part its texts", v->name),
				 errdetail("Its destination has one vector for each row."),
				 errhint("Create another with chunking, and drop this one when that is filled.")));
	v->chunking = memai_vectorizer_check_chunking(chunking);
}

/* alter_vectorizer(name text, columns name[], template text, model text, paused boolean, chunking jsonb) returns bigint */
Datum
memai_alter_vectorizer(PG_FUNCTION_ARGS)
{
	MemaiVectorizer *v;
	MemaiModelInfo *model;
	List	   *columns;
	Datum		values[5];
	char		nulls[5] = {' ', ' ', ' ', ' ', ' '};
	int64		n = 0;
	Oid			user;
	int			sec_context;
	bool		redo = !PG_ARGISNULL(1) || !PG_ARGISNULL(2) || !PG_ARGISNULL(3) || !PG_ARGISNULL(5);

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	SPI_connect();
	v = find_complete_vectorizer(PG_GETARG_TEXT_PP(0));
	memai_vectorizer_become_owner(v, &user, &sec_context);
	model = memai_model_lookup(PG_ARGISNULL(3) ? v->model : text_to_cstring(PG_GETARG_TEXT_PP(3)), "embed");
	check_dimensions(v, model);
	v->model = model->name;
	columns = PG_ARGISNULL(1) ? present_columns(v) : memai_vectorizer_list_columns(PG_GETARG_ARRAYTYPE_P(1), v->source);
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2))
	{
		v->template = PG_ARGISNULL(2) ? NULL : memai_vectorizer_compile_template(text_to_cstring(PG_GETARG_TEXT_PP(2)), v->source, &columns);
		memai_vectorizer_drop_trigger(v, v->source, MEMAI_VECTORIZER_COLUMNS);
		memai_vectorizer_create_list(v, columns);
	}
	if (!PG_ARGISNULL(4))
		v->paused = PG_GETARG_BOOL(4);
	if (!PG_ARGISNULL(5))
		set_chunking(v, PG_GETARG_JSONB_P(5));
	values[0] = CStringGetTextDatum(v->name);
	values[1] = CStringGetTextDatum(v->model);
	values[2] = v->template ? CStringGetTextDatum(v->template) : (Datum) 0;
	values[3] = BoolGetDatum(v->paused);
	values[4] = JsonbPGetDatum(v->chunking);
	nulls[2] = v->template ? ' ' : 'n';
	nulls[4] = v->chunking ? ' ' : 'n';
	(void) memai_vectorizer_own(&update_row, values, nulls);
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
	MemaiVectorizer *v;
	Datum		id;
	bool		described;

	SPI_connect();
	v = find_vectorizer(PG_GETARG_TEXT_PP(0), &described);
	if (get_rel_name(v->source) != NULL)
		memai_vectorizer_drop_triggers(v);
	if (PG_GETARG_BOOL(1) && v->table_name != NULL)
		memai_vectorizer_execute(psprintf("DROP TABLE %s", v->table_name));
	else if (PG_GETARG_BOOL(1) && described)
		memai_vectorizer_execute(psprintf("ALTER TABLE %s DROP COLUMN %s, DROP COLUMN %s", v->source_name, v->vector, v->hash));
	if (v->scheduled)
	{
		id = CStringGetTextDatum(v->name);
		(void) memai_statement_run(&drop_schedule, &id, NULL, false, 0);
	}
	id = Int32GetDatum(v->id);
	(void) memai_vectorizer_own(&delete_row, &id, NULL);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * refresh_vectorizer(name text) returns bigint: how many rows wait now because
 * of it.  What waited goes first: its keys may be those of another primary key.
 */
Datum
memai_refresh_vectorizer(PG_FUNCTION_ARGS)
{
	MemaiVectorizer *v;
	Oid			user;
	int			sec_context;
	int64		n;

	SPI_connect();
	v = find_complete_vectorizer(PG_GETARG_TEXT_PP(0));
	memai_vectorizer_become_owner(v, &user, &sec_context);
	memai_vectorizer_complete_triggers(v);
	memai_vectorizer_empty_queue(v);
	n = enqueue_all(v);
	SetUserIdAndSecContext(v->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	memai_vectorizer_delete_orphans(v);
	SetUserIdAndSecContext(user, sec_context);
	SPI_finish();
	PG_RETURN_INT64(n);
}

/* retry_vectorizer(name text) returns bigint: how many rows that failed wait again */
Datum
memai_retry_vectorizer(PG_FUNCTION_ARGS)
{
	MemaiVectorizer *v;
	int64		n;

	SPI_connect();
	v = find_complete_vectorizer(PG_GETARG_TEXT_PP(0));
	n = memai_vectorizer_retry_errors(v);
	memai_vectorizer_submit(v);
	SPI_finish();
	PG_RETURN_INT64(n);
}
