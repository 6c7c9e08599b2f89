/*
 * vectorizer_source.c
 *	  What a vectorizer is about: its row, and what the catalogs say of its
 *	  table now.
 *
 * The table is kept as an OID.  The columns are not kept by memai at all: they
 * are the column list of a trigger that does nothing else (UPDATE OF a, b), in
 * the order of the vectorizer's columns, with the destination's two at the
 * end.  So they follow a rename, are dumped by name, and cannot be dropped
 * without saying so, as PostgreSQL does it for any trigger.
 *
 * SQL that names a user's table is made here, from quoted identifiers.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "ingest/vectorizer.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#define ROW_COLUMNS "SELECT v.id, v.name, v.tenant, v.source, v.model, v.template, v.destination_table, v.paused, " \
	"v.schedule IS NOT NULL, v.chunking FROM memai.vectorizer v WHERE "

static MemaiStatement read_by_name = {ROW_COLUMNS "v.name = $1", 1, {TEXTOID}, NULL};
static MemaiStatement read_by_id = {ROW_COLUMNS "v.id = $1", 1, {INT4OID}, NULL};

uint64
memai_vectorizer_own(MemaiStatement *statement, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			user;
	int			sec_context;
	uint64		n;

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	n = memai_statement_run(statement, values, nulls, false, 0);
	SetUserIdAndSecContext(user, sec_context);
	/* SPI leaves its own behind */
	MemoryContextSwitchTo(context);
	return n;
}

MemaiVectorizer *
memai_vectorizer_read(const char *name, int32 id)
{
	Datum		value = name ? CStringGetTextDatum(name) : Int32GetDatum(id);
	MemaiVectorizer *v;
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	if (memai_vectorizer_own(name ? &read_by_name : &read_by_id, &value, NULL) == 0)
		return NULL;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	v = palloc0(sizeof(MemaiVectorizer));
	v->what = MEMAI_VECTORIZER;
	v->id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
	v->name = SPI_getvalue(row, desc, 2);
	v->tenant = cstring_to_text(SPI_getvalue(row, desc, 3));
	v->source = DatumGetObjectId(SPI_getbinval(row, desc, 4, &isnull));
	v->model = SPI_getvalue(row, desc, 5);
	v->template = SPI_getvalue(row, desc, 6);
	v->table = DatumGetObjectId(SPI_getbinval(row, desc, 7, &isnull));
	v->paused = DatumGetBool(SPI_getbinval(row, desc, 8, &isnull));
	v->scheduled = DatumGetBool(SPI_getbinval(row, desc, 9, &isnull));
	value = SPI_getbinval(row, desc, 10, &isnull);
	v->chunking = isnull ? NULL : DatumGetJsonbPCopy(value);
	v->nextra = OidIsValid(v->table) ? 0 : 2;
	SPI_freetuptable(SPI_tuptable);
	return v;
}

static char *
quoted_relation(Relation relation)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
									  RelationGetRelationName(relation));
}

bool
memai_vectorizer_describe_key(MemaiVectorizer *v)
{
	Relation	relation = relation_open(v->source, NoLock);
	Bitmapset  *attributes = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int			i = -1;

	v->nkeys = 0;
	v->keys = palloc(sizeof(char *) * (bms_num_members(attributes) + 1));
	v->key_types = palloc(sizeof(char *) * (bms_num_members(attributes) + 1));
	v->key_type_oids = palloc(sizeof(Oid) * (bms_num_members(attributes) + 1));
	while ((i = bms_next_member(attributes, i)) >= 0)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation),
													i + FirstLowInvalidHeapAttributeNumber - 1);

		v->keys[v->nkeys] = pstrdup(quote_identifier(NameStr(attribute->attname)));
		v->key_types[v->nkeys] = format_type_extended(attribute->atttypid, attribute->atttypmod,
													  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		v->key_type_oids[v->nkeys] = attribute->atttypid;
		v->nkeys++;
	}
	relation_close(relation, NoLock);
	return v->nkeys > 0;
}

/* the columns that the trigger lists; false when it is not there */
static bool
describe_columns(MemaiVectorizer *v, Relation relation)
{
	TriggerDesc *triggers = relation->trigdesc;
	char	   *name = psprintf("memai_%s_" MEMAI_VECTORIZER_COLUMNS "_%s", v->what, v->name);
	char	   *names[MEMAI_VECTORIZER_MAX_COLUMNS + 2];
	int			n = 0;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (strcmp(trigger->tgname, name) != 0 || trigger->tgnattr > (int) lengthof(names))
			continue;
		for (n = 0; n < trigger->tgnattr; n++)
			names[n] = pstrdup(quote_identifier(get_attname(v->source, trigger->tgattr[n], false)));
	}
	if (n <= v->nextra)
		return false;
	n -= v->nextra;
	memcpy(v->extra, names + n, sizeof(char *) * v->nextra);
	v->ncolumns = n;
	v->columns = palloc(sizeof(char *) * (n + 1));
	memcpy(v->columns, names, sizeof(char *) * n);
	return true;
}

/* does the table of the vectors have the columns of the source's key? */
static bool
has_key(const MemaiVectorizer *v, TupleDesc desc)
{
	int			found = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		for (int k = 0; k < v->nkeys && !attribute->attisdropped; k++)
			found += attribute->atttypid == v->key_type_oids[k] &&
				strcmp(quote_identifier(NameStr(attribute->attname)), v->keys[k]) == 0;
	}
	return found == v->nkeys;
}

bool
memai_vectorizer_follows(const MemaiVectorizer *v, Relation relation)
{
	return RelationGetRelid(relation) == v->source ||
		typeInheritsFrom(relation->rd_rel->reltype, get_rel_type_id(v->source));
}

bool
memai_vectorizer_is_whole(const MemaiVectorizer *v, Relation relation)
{
	/* TRUNCATE ONLY leaves the children's rows, but cannot be of a partitioned table */
	return RelationGetRelid(relation) == v->source &&
		(relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || !relation->rd_rel->relhassubclass);
}

bool
memai_vectorizer_describe(MemaiVectorizer *v)
{
	Relation	relation = try_relation_open(v->source, AccessShareLock);
	bool		complete;

	if (relation == NULL)
		return false;
	v->owner = relation->rd_rel->relowner;
	v->source_name = quoted_relation(relation);
	complete = describe_columns(v, relation) && memai_vectorizer_describe_key(v);
	relation_close(relation, NoLock);
	v->vector = v->extra[0];
	v->hash = v->extra[1];
	if (complete && OidIsValid(v->table))
	{
		relation = try_relation_open(v->table, AccessShareLock);
		if (relation == NULL)
			return false;
		v->misfit = !has_key(v, RelationGetDescr(relation));
		complete = !v->misfit;
		v->table_name = quoted_relation(relation);
		v->vector = "embedding";
		v->hash = "content_hash";
		relation_close(relation, NoLock);
	}
	return complete;
}

void
memai_vectorizer_raise_incomplete(const MemaiVectorizer *v)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the table of vectorizer \"%s\" is not what it was", v->name),
			 v->misfit ? errdetail("The table of the vectors has not the primary key of the source.") :
			 errdetail("The table, its primary key, a trigger or the table of the vectors is gone."),
			 errhint("Drop the vectorizer and create it again.")));
}

/* ---- SQL ---- */

char *
memai_vectorizer_key_sql(const MemaiVectorizer *v, const char *row)
{
	StringInfoData sql;

	initStringInfo(&sql);
	if (v->nkeys == 1)
		appendStringInfo(&sql, "%s.%s::text", row, v->keys[0]);
	else
	{
		appendStringInfoString(&sql, "ARRAY[");
		for (int i = 0; i < v->nkeys; i++)
			appendStringInfo(&sql, "%s%s.%s::text", i ? ", " : "", row, v->keys[i]);
		appendStringInfoString(&sql, "]::text");
	}
	return sql.data;
}

char *
memai_vectorizer_match_sql(const MemaiVectorizer *v, const char *row)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < v->nkeys; i++)
	{
		appendStringInfo(&sql, "%s%s.%s = ", i ? " AND " : "", row, v->keys[i]);
		if (v->nkeys == 1)
			appendStringInfo(&sql, "i.key::%s", v->key_types[i]);
		else
			appendStringInfo(&sql, "(i.key::text[])[%d]::%s", i + 1, v->key_types[i]);
	}
	return sql.data;
}

/* appends len bytes of a template as a literal */
static void
append_literal(StringInfo sql, const char *data, int len)
{
	if (len > 0)
		appendStringInfo(sql, ", %s", quote_literal_cstr(pnstrdup(data, len)));
}

/* a stored template: {n} for the n-th column, {{ and }} for braces */
static void
append_template(StringInfo sql, const MemaiVectorizer *v, const char *row)
{
	const char *from = v->template;
	const char *p = from;

	while (*p)
	{
		if ((p[0] == '{' && p[1] == '{') || (p[0] == '}' && p[1] == '}'))
		{
			append_literal(sql, from, (int) (p + 1 - from));
			from = p += 2;
		}
		else if (*p == '{')
		{
			int			n = atoi(p + 1);

			append_literal(sql, from, (int) (p - from));
			if (n < 1 || n > v->ncolumns)
				elog(ERROR, "template of vectorizer \"%s\" names column %d of %d", v->name, n, v->ncolumns);
			appendStringInfo(sql, ", %s.%s", row, v->columns[n - 1]);
			p = strchr(p, '}');
			from = p = p ? p + 1 : from + strlen(from);
		}
		else
			p++;
	}
	append_literal(sql, from, (int) (p - from));
}

char *
memai_vectorizer_content_sql(const MemaiVectorizer *v, const char *row)
{
	StringInfoData sql;

	initStringInfo(&sql);
	if (v->template)
	{
		appendStringInfoString(&sql, "concat(''");
		append_template(&sql, v, row);
	}
	else
	{
		appendStringInfoString(&sql, "concat_ws(E'\\n'");
		for (int i = 0; i < v->ncolumns; i++)
			appendStringInfo(&sql, ", %s.%s", row, v->columns[i]);
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}
