/*
 * vectorizer_ddl.c
 *	  What vectorizers and watches share when they are created: checks of the
 *	  table and its columns, templates, triggers.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "ingest/vectorizer.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define NAME_MAX_LENGTH 32		/* bytes; triggers are named after it */

void
memai_vectorizer_execute(const char *sql)
{
	int			result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

void
memai_vectorizer_check_owner(Oid relid)
{
	if (!memai_owns_relation(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", get_rel_name(relid) ? get_rel_name(relid) : "(dropped)")));
}

/* an error restores the user too */
void
memai_vectorizer_become_owner(const MemaiVectorizer *v, Oid *user, int *sec_context)
{
	GetUserIdAndSecContext(user, sec_context);
	SetUserIdAndSecContext(v->owner, *sec_context | SECURITY_LOCAL_USERID_CHANGE);
}

void
memai_vectorizer_check_source(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", get_rel_name(relid) ? get_rel_name(relid) : "(dropped)"),
				 errdetail("Vectorizers and watches follow tables, partitioned or not.")));
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a temporary table", get_rel_name(relid)),
				 errdetail("Workers do not see it.")));
	memai_vectorizer_check_owner(relid);
}

char *
memai_vectorizer_choose_name(const text *given, Oid source)
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
AttrNumber
memai_vectorizer_find_column(Oid relid, const char *name)
{
	AttrNumber	number = get_attnum(relid, name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", name, get_rel_name(relid))));
	return number;
}

void
memai_vectorizer_add_column(List **columns, Oid relid, char *name)
{
	ListCell   *cell;

	(void) memai_vectorizer_find_column(relid, name);
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
char *
memai_vectorizer_compile_template(const char *template, Oid source, List **columns)
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
		memai_vectorizer_add_column(columns, source, name);
		appendStringInfo(&out, "{%d}", column_index(*columns, name));
		p = end + 1;
	}
	return out.data;
}

List *
memai_vectorizer_list_columns(ArrayType *array, Oid source)
{
	List	   *columns = NIL;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			memai_vectorizer_add_column(&columns, source, pstrdup(NameStr(*DatumGetName(names[i]))));
	return columns;
}

static void
create_trigger(const MemaiVectorizer *v, const char *table, const char *which, const char *when)
{
	memai_vectorizer_execute(psprintf("CREATE TRIGGER %s %s FOR EACH STATEMENT EXECUTE FUNCTION memai._%s_changed(%s)",
					 quote_identifier(psprintf("memai_%s_%s_%s", v->what, which, v->name)),
					 psprintf(when, table), v->what, quote_literal_cstr(v->name)));
}

static void
create_triggers(const MemaiVectorizer *v, Oid relid)
{
	char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));

	create_trigger(v, table, "insert", "AFTER INSERT ON %s REFERENCING NEW TABLE AS memai_new");
	create_trigger(v, table, "update", "AFTER UPDATE ON %s REFERENCING OLD TABLE AS memai_old NEW TABLE AS memai_new");
	create_trigger(v, table, "delete", "AFTER DELETE ON %s REFERENCING OLD TABLE AS memai_old");
	create_trigger(v, table, "truncate", "AFTER TRUNCATE ON %s");
}

/* on the table, and on each partition for statements that name it */
void
memai_vectorizer_create_triggers(const MemaiVectorizer *v, const List *columns)
{
	List	   *tables = find_all_inheritors(v->source, ShareRowExclusiveLock, NULL);
	ListCell   *cell;

	memai_vectorizer_create_list(v, columns);
	foreach(cell, tables)
		create_triggers(v, lfirst_oid(cell));
}

void
memai_vectorizer_complete_triggers(const MemaiVectorizer *v)
{
	List	   *tables = find_all_inheritors(v->source, AccessShareLock, NULL);
	char	   *name = psprintf("memai_%s_insert_%s", v->what, v->name);
	ListCell   *cell;

	foreach(cell, tables)
		if (!OidIsValid(get_trigger_oid(lfirst_oid(cell), name, true)))
			create_triggers(v, lfirst_oid(cell));
}

/* the trigger that keeps the list of columns */
void
memai_vectorizer_create_list(const MemaiVectorizer *v, const List *columns)
{
	StringInfoData when;
	ListCell   *cell;

	initStringInfo(&when);
	appendStringInfoString(&when, "BEFORE UPDATE OF ");
	foreach(cell, columns)
		appendStringInfo(&when, "%s%s", cell == list_head(columns) ? "" : ", ", quote_identifier(lfirst(cell)));
	for (int i = 0; i < v->nextra; i++)
		appendStringInfo(&when, ", %s", v->extra[i]);
	memai_vectorizer_execute(psprintf("CREATE TRIGGER %s %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION memai._%s_changed(%s)",
					 quote_identifier(psprintf("memai_%s_" MEMAI_VECTORIZER_COLUMNS "_%s", v->what, v->name)),
					 when.data, v->source_name, v->what, quote_literal_cstr(v->name)));
}

void
memai_vectorizer_drop_trigger(const MemaiVectorizer *v, Oid relid, const char *which)
{
	char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	char	   *name = psprintf("memai_%s_%s_%s", v->what, which, v->name);

	if (OidIsValid(get_trigger_oid(relid, name, true)))
		memai_vectorizer_execute(psprintf("DROP TRIGGER %s ON %s", quote_identifier(name), table));
}

void
memai_vectorizer_drop_triggers(const MemaiVectorizer *v)
{
	static const char *const kinds[] = {MEMAI_VECTORIZER_COLUMNS, "insert", "update", "delete", "truncate"};
	List	   *tables = find_all_inheritors(v->source, AccessExclusiveLock, NULL);
	ListCell   *cell;

	foreach(cell, tables)
		for (int i = 0; i < (int) lengthof(kinds); i++)
			memai_vectorizer_drop_trigger(v, lfirst_oid(cell), kinds[i]);
}
