/*
 * interop.c
 *	  Casts between these types and those of an installed pgvector.
 *
 * The stored forms are the same, so the casts relabel and cost nothing.
 * PostgreSQL lets only superusers declare such casts.  They belong to the
 * database, not to either extension: DROP EXTENSION ... CASCADE removes them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "vector/types.h"

#define PGVECTOR_EXTENSION "vector"

PG_FUNCTION_INFO_V1(memai_create_pgvector_casts);

/* the type of that name that belongs to pgvector, or InvalidOid */
static Oid
pgvector_type(const char *name)
{
	static const char query[] =
	"SELECT t.oid FROM pg_catalog.pg_type t"
	" JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass"
	"  AND d.objid OPERATOR(pg_catalog.=) t.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'"
	" JOIN pg_catalog.pg_extension e ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass"
	"  AND d.refobjid OPERATOR(pg_catalog.=) e.oid"
	" WHERE e.extname OPERATOR(pg_catalog.=) $1 AND t.typname OPERATOR(pg_catalog.=) $2";
	Oid			argtypes[2] = {NAMEOID, NAMEOID};
	Datum		values[2];
	bool		isnull;

	values[0] = DirectFunctionCall1(namein, CStringGetDatum(PGVECTOR_EXTENSION));
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(name));
	if (SPI_execute_with_args(query, 2, argtypes, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up the types of extension \"%s\"", PGVECTOR_EXTENSION);
	if (SPI_processed == 0)
		return InvalidOid;
	return DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Creates the cast unless there is one; returns how many were created. */
static int
create_cast(Oid source, Oid target)
{
	StringInfoData command;

	if (SearchSysCacheExists2(CASTSOURCETARGET, ObjectIdGetDatum(source), ObjectIdGetDatum(target)))
		return 0;
	initStringInfo(&command);
	appendStringInfo(&command, "CREATE CAST (%s AS %s) WITHOUT FUNCTION AS ASSIGNMENT",
					 format_type_extended(source, -1, FORMAT_TYPE_FORCE_QUALIFY),
					 format_type_extended(target, -1, FORMAT_TYPE_FORCE_QUALIFY));
	if (SPI_execute(command.data, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute: %s", command.data);
	pfree(command.data);
	return 1;
}

/* create_pgvector_casts() returns integer: the number of casts that were created */
Datum
memai_create_pgvector_casts(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"vector", "halfvec", "sparsevec"};
	int			created = 0;

	if (!OidIsValid(get_extension_oid(PGVECTOR_EXTENSION, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database", PGVECTOR_EXTENSION),
				 errhint("There is nothing to cast from or to.")));
	SPI_connect();
	for (size_t i = 0; i < lengthof(names); i++)
	{
		Oid			theirs = pgvector_type(names[i]);
		Oid			ours = memai_type_oid(names[i]);

		if (!OidIsValid(theirs))
			continue;
		created += create_cast(theirs, ours) + create_cast(ours, theirs);
	}
	SPI_finish();
	PG_RETURN_INT32(created);
}
