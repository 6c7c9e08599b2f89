/*
 * ask_schema.c
 *	  What a model is told of tables: names, columns, types, keys, comments.
 *
 * Only what the current role may read is told, down to single columns.  The
 * text is data wherever it is shown: comments may have been written by anyone.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "chat/ask.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#define MAX_TABLES 1000

/* $1 tables, $2 schemas: none of both, and it is what belongs to applications */
static MemaiStatement select_tables = {
	.sql = "SELECT c.oid, concat(CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' "
	"ELSE 'table' END, ' ', quote_ident(n.nspname), '.', quote_ident(c.relname), "
	"' -- ' || left(regexp_replace(obj_description(c.oid, 'pg_class'), '\\s+', ' ', 'g'), 500), E'\\n', cols.lines, keys.lines) "
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
	"CROSS JOIN LATERAL (SELECT string_agg(concat('  ', quote_ident(a.attname), ' ', format_type(a.atttypid, a.atttypmod), "
	"' (one of ' || (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = a.atttypid) || ')', "
	"' -- ' || left(regexp_replace(col_description(c.oid, a.attnum), '\\s+', ' ', 'g'), 500), E'\\n'), '' ORDER BY a.attnum) AS lines "
	"FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'SELECT')) cols "
	"CROSS JOIN LATERAL (SELECT string_agg(concat('  ', pg_get_constraintdef(k.oid), E'\\n'), '' ORDER BY k.contype DESC, k.conname) AS lines "
	"FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'f') "
	"AND NOT EXISTS (SELECT FROM unnest(k.conkey) t (attnum) WHERE NOT has_column_privilege(k.conrelid, t.attnum, 'SELECT')) "
	"AND (k.confrelid = 0 OR NOT EXISTS (SELECT FROM unnest(k.confkey) t (attnum) WHERE NOT has_column_privilege(k.confrelid, t.attnum, 'SELECT')))) keys "
	"WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') "
	"AND CASE WHEN $1 IS NULL AND $2 IS NULL THEN n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'memai') AND NOT c.relispartition "
	"AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') "
	"ELSE c.oid = ANY ($1) OR n.nspname = ANY ($2) AND NOT c.relispartition END "
	"ORDER BY n.nspname, c.relname",
	.nargs = 2,
	.argtypes = {OIDARRAYOID, NAMEARRAYOID},
};

PG_FUNCTION_INFO_V1(memai_ask_schema_text);

/* what a caller named */
typedef struct Wanted
{
	int			ntables;
	Datum	   *tables;			/* OIDs */
	int			nschemas;
	Datum	   *schemas;		/* names */
} Wanted;

static void
want_schema(Wanted *wanted, const char *name)
{
	Name		schema = palloc0(NAMEDATALEN);

	(void) get_namespace_oid(name, false);
	namestrcpy(schema, name);
	wanted->schemas[wanted->nschemas++] = NameGetDatum(schema);
}

static void
want_table(Wanted *wanted, const char *name)
{
	size_t		len = strlen(name);
	Oid			table;

	if (len > 2 && strcmp(name + len - 2, ".*") == 0)
	{
		List	   *names = memai_qualified_name_list(pnstrdup(name, len - 2));

		if (list_length(names) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("invalid name in tables: \"%s\"", name)));
		want_schema(wanted, strVal(linitial(names)));
		return;
	}
	table = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(name)));
	if (pg_class_aclcheck(table, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(table, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(table)), get_rel_name(table));
	wanted->tables[wanted->ntables++] = ObjectIdGetDatum(table);
}

static char **
names_of(ArrayType *array, const char *argument, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **names;

	*n = 0;
	if (array == NULL)
		return NULL;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	if (*n > MAX_TABLES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many names in %s", argument),
				 errdetail("The limit is %d.", MAX_TABLES)));
	names = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain nulls", argument)));
		names[i] = TextDatumGetCString(elements[i]);
	}
	return names;
}

/* Looks names up as whoever asks would write them. */
static void
look_up(Wanted *wanted, ArrayType *tables, ArrayType *schemas, const char *search_path)
{
	int			ntables;
	int			nschemas;
	char	  **table_names = names_of(tables, "tables", &ntables);
	char	  **schema_names = names_of(schemas, "schemas", &nschemas);
	int			nest_level = NewGUCNestLevel();

	wanted->tables = palloc(sizeof(Datum) * (ntables + 1));
	wanted->schemas = palloc(sizeof(Datum) * (ntables + nschemas + 1));
	(void) set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < ntables; i++)
		want_table(wanted, table_names[i]);
	for (int i = 0; i < nschemas; i++)
		want_schema(wanted, schema_names[i]);
	AtEOXact_GUC(true, nest_level);
}

static uint64
run_select_tables(ArrayType *tables, ArrayType *schemas, const char *search_path)
{
	Wanted		wanted = {0};
	bool		is_named = tables != NULL || schemas != NULL;
	Datum		values[2] = {0};

	if (is_named)
	{
		look_up(&wanted, tables, schemas, search_path);
		values[0] = PointerGetDatum(construct_array(wanted.tables, wanted.ntables, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
		values[1] = PointerGetDatum(construct_array(wanted.schemas, wanted.nschemas, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
	}
	return memai_statement_run(&select_tables, values, is_named ? NULL : "nn", true, 0);
}

AskSchema *
memai_ask_schema(ArrayType *tables, ArrayType *schemas, const char *search_path, int max_tokens)
{
	AskSchema  *schema = palloc0(sizeof(AskSchema));
	uint64		nrows = run_select_tables(tables, schemas, search_path);
	int			tokens_left = max_tokens;
	StringInfoData description;

	initStringInfo(&description);
	schema->tables = palloc(sizeof(Oid) * Max(nrows, 1));
	for (uint64 row = 0; row < nrows; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		bool		null;
		char	   *text = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2);
		int			tokens = memai_text_estimate_tokens(text, strlen(text));

		CHECK_FOR_INTERRUPTS();
		if (tokens <= tokens_left)
		{
			tokens_left -= tokens;
			appendStringInfoString(&description, text);
			schema->tables[schema->ntables++] = DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null));
		}
		else
			schema->nleft_out++;
		pfree(text);
	}
	SPI_freetuptable(SPI_tuptable);
	schema->description = description.data;
	if (schema->ntables == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no table to ask about"),
				 schema->nleft_out > 0 ? errdetail("Of %d tables none can be described in %d tokens.", schema->nleft_out, max_tokens) : 0,
				 schema->nleft_out > 0 ? errhint("Raise max_schema_tokens, or use a model with a larger context.") :
				 errhint("Name tables or schemas, and grant SELECT on them.")));
	return schema;
}

/* ask_schema(tables text[], schemas text[], max_schema_tokens integer, search_path text) returns text: stable */
Datum
memai_ask_schema_text(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	AskSchema  *schema;
	text	   *result;

	SPI_connect();
	schema = memai_ask_schema(PG_ARGISNULL(0) ? NULL : PG_GETARG_ARRAYTYPE_P(0), PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1),
							  PG_ARGISNULL(3) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(3)), PG_ARGISNULL(2) ? 6000 : PG_GETARG_INT32(2));
	if (schema->nleft_out > 0)
		ereport(WARNING,
				(errmsg("%d tables are left out", schema->nleft_out),
				 errhint("Name those that matter in tables or schemas, or raise max_schema_tokens.")));
	MemoryContextSwitchTo(context);
	result = cstring_to_text(schema->description);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}
