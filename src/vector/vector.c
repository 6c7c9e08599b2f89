/*
 * vector.c
 *	  The type vector: making and checking values, its OID, module load.
 *
 * Every value that this extension makes leaves through memai_vector_result,
 * and every value that it reads enters through memai_vector_from_datum, so no
 * other code has to wonder whether a vector is well formed.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "vector/kernel.h"
#include "vector/types.h"

static int	simd_setting = MEMAI_SIMD_AUTO;
static Oid	type_oid = InvalidOid;
static bool callback_registered = false;

MemaiVector *
memai_vector_alloc(int dim)
{
	MemaiVector *vector;

	memai_check_dim(&memai_vector_type, dim);
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
		memai_report_corrupt(&memai_vector_type, vector);
	return vector;
}

void
memai_vector_check_finite(const MemaiVector *vector)
{
	if (likely(memai_kernels->f32_finite(vector->dim, vector->x)))
		return;
	for (int i = 0; i < vector->dim; i++)
	{
		if (!isfinite(vector->x[i]))
			memai_report_not_finite(&memai_vector_type, isnan(vector->x[i]));
	}
}

void
memai_vector_check_overflow(const MemaiVector *vector)
{
	if (unlikely(!memai_kernels->f32_finite(vector->dim, vector->x)))
		float_overflow_error();
}

Datum
memai_vector_result(MemaiVector *vector)
{
	Assert(vector->unused == 0);
	memai_check_dim(&memai_vector_type, vector->dim);
	Assert(VARSIZE(vector) == MEMAI_VECTOR_SIZE(vector->dim));
	memai_vector_check_finite(vector);
	return PointerGetDatum(vector);
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

Oid
memai_type_oid(const char *name)
{
	Oid			oid = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
									  ObjectIdGetDatum(extension_schema()));

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"%s\" does not exist in the schema of extension \"memai\"", name)));
	return oid;
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
	type_oid = memai_type_oid("vector");
	return type_oid;
}

Oid
memai_vector_array_type_oid(void)
{
	return get_array_type(memai_vector_type_oid());
}

static const struct config_enum_entry simd_options[] = {
	{"auto", MEMAI_SIMD_AUTO, false},
	{"scalar", MEMAI_SIMD_SCALAR, false},
	{"avx2", MEMAI_SIMD_AVX2, false},
	{"avx512", MEMAI_SIMD_AVX512, false},
	{"neon", MEMAI_SIMD_NEON, false},
	{NULL, 0, false}
};

static bool
check_simd(int *value, void **extra, GucSource source)
{
	if (memai_kernels_find((MemaiSimd) *value) != NULL)
		return true;
	GUC_check_errdetail("This processor, or this build, does not offer these instructions.");
	return false;
}

static void
assign_simd(int value, void *extra)
{
	memai_kernels = memai_kernels_find((MemaiSimd) value);
}

void
memai_vector_init(void)
{
	DefineCustomEnumVariable("memai.simd",
							 "Chooses the instruction set that distances are computed with.",
							 "For tests; the default is the best that the processor offers.",
							 &simd_setting,
							 MEMAI_SIMD_AUTO,
							 simd_options,
							 PGC_USERSET,
							 GUC_NOT_IN_SAMPLE,
							 check_simd,
							 assign_simd,
							 NULL);
}
