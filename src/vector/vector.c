/*
 * vector.c
 *	  The type vector: making and checking values, its OID, module load.
 *
 * Every value that this extension makes leaves through memai_vector_result,
 * and every value that it reads enters through memai_vector_from_datum, so no
 * other code has to wonder whether a vector is well formed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "vector/kernel.h"
#include "vector/types.h"

static Oid	type_oid = InvalidOid;
static bool callback_registered = false;

static void
check_dim(int dim)
{
	if (dim < 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("vector must have at least 1 dimension")));
	if (dim > MEMAI_VECTOR_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("vector cannot have more than %d dimensions", MEMAI_VECTOR_MAX_DIM)));
}

MemaiVector *
memai_vector_alloc(int dim)
{
	MemaiVector *vector;

	check_dim(dim);
	vector = palloc0(MEMAI_VECTOR_SIZE(dim));
	SET_VARSIZE(vector, MEMAI_VECTOR_SIZE(dim));
	vector->dim = (int16) dim;
	return vector;
}

MemaiVector *
memai_vector_from_datum(Datum datum)
{
	MemaiVector *vector = (MemaiVector *) PG_DETOAST_DATUM(datum);

	if (unlikely(VARSIZE(vector) < offsetof(MemaiVector, x) ||
				 vector->dim < 1 || vector->dim > MEMAI_VECTOR_MAX_DIM ||
				 VARSIZE(vector) != MEMAI_VECTOR_SIZE(vector->dim)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid vector"),
				 errdetail("The value has %u bytes, which no number of dimensions explains or which is not what its header says.",
						   (unsigned) VARSIZE(vector))));
	return vector;
}

void
memai_vector_check_finite(const MemaiVector *vector)
{
	if (likely(memai_kernels->f32_finite(vector->dim, vector->x)))
		return;
	for (int i = 0; i < vector->dim; i++)
	{
		if (isnan(vector->x[i]))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("NaN not allowed in vector")));
		if (isinf(vector->x[i]))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("infinite value not allowed in vector")));
	}
}

void
memai_vector_check_overflow(const MemaiVector *vector)
{
	if (likely(memai_kernels->f32_finite(vector->dim, vector->x)))
		return;
	float_overflow_error();
}

Datum
memai_vector_result(MemaiVector *vector)
{
	Assert(vector->unused == 0);
	check_dim(vector->dim);
	Assert(VARSIZE(vector) == MEMAI_VECTOR_SIZE(vector->dim));
	memai_vector_check_finite(vector);
	return PointerGetDatum(vector);
}

void
memai_check_same_dims(const char *type, int a, int b)
{
	if (unlikely(a != b))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different %s dimensions %d and %d", type, a, b)));
}

void
memai_check_typmod(int32 typmod, int dim)
{
	if (unlikely(typmod != -1 && typmod != dim))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));
}

int32
memai_dimensions_typmod(ArrayType *modifiers, const char *type, int max_dim)
{
	int			n;
	int32	   *values = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier")));
	if (values[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type)));
	if (values[0] > max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d", type, max_dim)));
	return values[0];
}

/* the schema that holds the extension's types */
static Oid
extension_schema(void)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	Oid			schema = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("memai"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);

	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"memai\" does not exist"),
				 errhint("Run CREATE EXTENSION memai in this database.")));
	return schema;
}

/* a type came, went or moved: look again at the next call */
static void
forget_type(Datum argument, int cache, uint32 hash)
{
	type_oid = InvalidOid;
}

Oid
memai_vector_type_oid(void)
{
	if (OidIsValid(type_oid))
		return type_oid;
	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, forget_type, (Datum) 0);
		callback_registered = true;
	}
	type_oid = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
							   CStringGetDatum("vector"),
							   ObjectIdGetDatum(extension_schema()));
	if (!OidIsValid(type_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"vector\" does not exist in the schema of extension \"memai\"")));
	return type_oid;
}

Oid
memai_vector_array_type_oid(void)
{
	return get_array_type(memai_vector_type_oid());
}

void
memai_vector_init(void)
{
}
