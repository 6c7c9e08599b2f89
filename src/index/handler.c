/*
 * handler.c
 *	  What PostgreSQL asks of the access method memai: its description,
 *	  storage parameters and settings, and what operator classes say of the
 *	  vector types.
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/reloptions.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "utils/guc.h"

#include "core/compat.h"
#include "index/index.h"
#include "index/index_int.h"
#include "vector/kernel.h"
#include "vector/vector.h"

PG_FUNCTION_INFO_V1(memai_index_handler);
PG_FUNCTION_INFO_V1(memai_index_vector_cosine);
PG_FUNCTION_INFO_V1(memai_index_vector_l2);
PG_FUNCTION_INFO_V1(memai_index_vector_ip);
PG_FUNCTION_INFO_V1(memai_index_halfvec_cosine);
PG_FUNCTION_INFO_V1(memai_index_halfvec_l2);
PG_FUNCTION_INFO_V1(memai_index_halfvec_ip);

int			memai_probes;
double		memai_target_recall = 0.95;
double		memai_epsilon = 1.9;
int			memai_max_scan_tuples = 1000000;
int			memai_iterative_scan = MEMAI_ORDER_RELAXED;

static relopt_kind option_kind;

/* ---- vector types ---- */

static int
vector_dim(Datum value)
{
	return ((MemaiVector *) DatumGetPointer(value))->dim;
}

static void
vector_to_floats(Datum value, float *x)
{
	MemaiVector *vector = (MemaiVector *) DatumGetPointer(value);

	memcpy(x, vector->x, sizeof(float) * vector->dim);
}

static Datum
vector_detoast(Datum value)
{
	return PointerGetDatum(memai_vector_from_datum(value));
}

static int
halfvec_dim(Datum value)
{
	return ((MemaiHalfvec *) DatumGetPointer(value))->dim;
}

static void
halfvec_to_floats(Datum value, float *x)
{
	MemaiHalfvec *vector = (MemaiHalfvec *) DatumGetPointer(value);

	memai_kernels->f16_to_f32(vector->dim, vector->x, x);
}

static Datum
halfvec_detoast(Datum value)
{
	return PointerGetDatum(memai_halfvec_from_datum(value));
}

#define VECTOR_SUPPORT(type, name, metric) \
Datum \
memai_index_##type##_##name(PG_FUNCTION_ARGS) \
{ \
	static const MemaiVectorSupport support = { \
		metric, type##_dim, type##_to_floats, type##_detoast \
	}; \
	PG_RETURN_POINTER(&support); \
}

VECTOR_SUPPORT(vector, cosine, MEMAI_METRIC_COSINE)
VECTOR_SUPPORT(vector, l2, MEMAI_METRIC_L2)
VECTOR_SUPPORT(vector, ip, MEMAI_METRIC_IP)
VECTOR_SUPPORT(halfvec, cosine, MEMAI_METRIC_COSINE)
VECTOR_SUPPORT(halfvec, l2, MEMAI_METRIC_L2)
VECTOR_SUPPORT(halfvec, ip, MEMAI_METRIC_IP)

/* ---- storage parameters and settings ---- */

static relopt_enum_elt_def refine_values[] = {
	{"8", 8},
	{"4", 4},
	{"0", 0},
	{NULL, 0}
};

bytea *
memai_index_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{.optname = "dimensions", .opttype = RELOPT_TYPE_INT, .offset = offsetof(MemaiIndexOptions, dimensions)},
		{.optname = "refine_bits", .opttype = RELOPT_TYPE_ENUM, .offset = offsetof(MemaiIndexOptions, refine_bits)},
		{.optname = "list_size", .opttype = RELOPT_TYPE_INT, .offset = offsetof(MemaiIndexOptions, list_size)},
		{.optname = "flat_size", .opttype = RELOPT_TYPE_INT, .offset = offsetof(MemaiIndexOptions, flat_size)},
		{.optname = "probes", .opttype = RELOPT_TYPE_INT, .offset = offsetof(MemaiIndexOptions, probes)},
	};

	return (bytea *) build_reloptions(reloptions, validate, option_kind, sizeof(MemaiIndexOptions),
									  table, lengthof(table));
}

static void
define_options(void)
{
	LOCKMODE	lock = AccessExclusiveLock;

	option_kind = add_reloption_kind();
	add_int_reloption(option_kind, "dimensions", "Dimensions of an untyped vector column, 0 for those of the first row",
					  0, 0, MEMAI_INDEX_MAX_DIM, lock);
	add_enum_reloption(option_kind, "refine_bits", "Bits per dimension of the second code",
					   refine_values, MEMAI_DEFAULT_REFINE_BITS, "Valid values are 8, 4 and 0.", lock);
	add_int_reloption(option_kind, "list_size", "Rows of a list of a clustered tenant",
					  MEMAI_DEFAULT_LIST_SIZE, 32, 65536, lock);
	add_int_reloption(option_kind, "flat_size", "Rows up to which a tenant is one list, searched whole",
					  MEMAI_DEFAULT_FLAT_SIZE, 64, 1000000, lock);
	add_int_reloption(option_kind, "probes", "Lists that a search reads first, 0 for automatic",
					  0, 0, 1000000, ShareUpdateExclusiveLock);
}

static const struct config_enum_entry scan_orders[] = {
	{"off", MEMAI_ORDER_OFF, false},
	{"relaxed", MEMAI_ORDER_RELAXED, false},
	{"strict", MEMAI_ORDER_STRICT, false},
	{NULL, 0, false}
};

void
memai_index_init(void)
{
	define_options();
	memai_bool_keys_init();
	DefineCustomRealVariable("memai.epsilon",
							 "Sets how many standard errors the bound of a 1-bit distance allows for.",
							 NULL, &memai_epsilon, 1.9, 0, 10, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("memai.iterative_scan",
							 "Sets whether an index scan reads more lists when more rows are asked for.",
							 "Relaxed may return a nearer row after a farther one, strict leaves it out.",
							 &memai_iterative_scan, MEMAI_ORDER_RELAXED, scan_orders, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("memai.max_scan_tuples",
							"Sets how many entries an index scan may read.",
							NULL, &memai_max_scan_tuples, 1000000, 1, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("memai.probes",
							"Sets how many lists an index scan reads first, 0 for what memai.target_recall needs.",
							NULL, &memai_probes, 0, 0, 1000000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("memai.target_recall",
							 "Sets the share of the nearest rows that an index scan is to find.",
							 NULL, &memai_target_recall, 0.95, 0, 1, PGC_USERSET, 0, NULL, NULL, NULL);
}

/* ---- the handler ---- */

static char *
phase_name(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "reading and encoding rows";
		case 2:
			return "sampling rows";
		case 3:
			return "sorting by key";
		case 4:
			return "finding centroids";
		case 5:
			return "assigning rows to lists";
		case 6:
			return "writing lists";
		case 7:
			return "measuring searches";
		default:
			return NULL;
	}
}

Datum
memai_index_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amsupport = MEMAI_PROCS;
	am->amcanorderbyop = true;
	am->amcanmulticol = true;
	am->amoptionalkey = true;	/* without keys: an order is enough */
	am->ampredlocks = false;
	am->amusemaintenanceworkmem = true;
	memai_allow_parallel_build(am);
	am->amparallelvacuumoptions = VACUUM_OPTION_NO_PARALLEL;
	am->amkeytype = InvalidOid;
	am->ambuild = memai_index_build;
	am->ambuildempty = memai_index_build_empty;
	am->aminsert = memai_index_insert;
	am->ambulkdelete = memai_index_bulkdelete;
	am->amvacuumcleanup = memai_index_vacuumcleanup;
	am->amcostestimate = memai_index_cost;
	am->amoptions = memai_index_options;
	am->ambuildphasename = phase_name;
	am->amvalidate = memai_index_validate;
	am->ambeginscan = memai_index_beginscan;
	am->amrescan = memai_index_rescan;
	am->amgettuple = memai_index_gettuple;
	am->amendscan = memai_index_endscan;
	PG_RETURN_POINTER(am);
}
