/*
 * validate.c
 *	  amvalidate: whether an operator class has what the access method needs.
 *
 * An operator class is either for a key column (equality and an extended hash
 * function) or for the vector column (a distance operator, its function and
 * the function that describes the type).
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "index/index_int.h"

static bool
complain(const char *family, const char *what, const char *object)
{
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator family \"%s\" of access method memai %s %s", family, what, object)));
	return false;
}

/*
 * An extended hash function takes the type, or one that is passed the same way
 * (the server hashes bool as "char" and date as integer), and a seed.
 */
static bool
is_hash_function(Oid function, Oid type)
{
	Oid		   *arguments;
	int			n;
	Oid			result = get_func_signature(function, &arguments, &n);

	return result == INT8OID && n == 2 && arguments[1] == INT8OID &&
		get_typlen(arguments[0]) == get_typlen(type) && get_typbyval(arguments[0]) == get_typbyval(type);
}

/* one support function; notes which numbers exist for the class's own type */
static bool
check_proc(const char *family, Form_pg_amproc proc, Oid type, bool *hash, bool *distance, bool *vector)
{
	bool		is_hash = is_hash_function(proc->amproc, proc->amproclefttype);
	bool		own = proc->amproclefttype == type && proc->amprocrighttype == type;

	if (proc->amproclefttype != proc->amprocrighttype)
		return complain(family, "has a support function with two types:", format_procedure(proc->amproc));
	switch (proc->amprocnum)
	{
		case MEMAI_DISTANCE_PROC:	/* and MEMAI_HASH_PROC */
			if (!is_hash && !check_amproc_signature(proc->amproc, FLOAT8OID, true, 2, 2,
													proc->amproclefttype, proc->amproclefttype))
				return complain(family, "has a support function with a wrong signature:", format_procedure(proc->amproc));
			*hash |= own && is_hash;
			*distance |= own && !is_hash;
			return true;
		case MEMAI_VECTOR_PROC:
			if (!check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
				return complain(family, "has a support function with a wrong signature:", format_procedure(proc->amproc));
			*vector |= own;
			return true;
		default:
			return complain(family, "has a support function with an unknown number:", format_procedure(proc->amproc));
	}
}

static bool
check_operator(const char *family, Form_pg_amop op, Oid type, bool *equality, bool *order)
{
	bool		own = op->amoplefttype == type && op->amoprighttype == type;
	bool		is_order = op->amoppurpose == AMOP_ORDER;

	if (op->amopstrategy != MEMAI_STRATEGY)
		return complain(family, "has an operator with an unknown strategy:", format_operator(op->amopopr));
	if (is_order && !OidIsValid(op->amopsortfamily))
		return complain(family, "has an ordering operator without a sort family:", format_operator(op->amopopr));
	if (!check_amop_signature(op->amopopr, is_order ? FLOAT8OID : BOOLOID, op->amoplefttype, op->amoprighttype))
		return complain(family, "has an operator with a wrong signature:", format_operator(op->amopopr));
	*equality |= own && !is_order;
	*order |= own && is_order;
	return true;
}

bool
memai_index_validate(Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	HeapTuple	tuple_family;
	Form_pg_opclass class;
	CatCList   *procs;
	CatCList   *operators;
	char	   *family;
	bool		result = true;
	bool		hash = false;
	bool		distance = false;
	bool		vector = false;
	bool		equality = false;
	bool		order = false;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	class = (Form_pg_opclass) GETSTRUCT(tuple);
	tuple_family = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(class->opcfamily));
	if (!HeapTupleIsValid(tuple_family))
		elog(ERROR, "cache lookup failed for operator family %u", class->opcfamily);
	family = NameStr(((Form_pg_opfamily) GETSTRUCT(tuple_family))->opfname);
	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(class->opcfamily));
	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(class->opcfamily));
	for (int i = 0; i < procs->n_members; i++)
		result &= check_proc(family, (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple),
							 class->opcintype, &hash, &distance, &vector);
	for (int i = 0; i < operators->n_members; i++)
		result &= check_operator(family, (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple),
								 class->opcintype, &equality, &order);
	if (order ? !(distance && vector) || equality : !(hash && equality) || vector)
		result = complain(family, "lacks an operator or support function of", NameStr(class->opcname));
	ReleaseCatCacheList(procs);
	ReleaseCatCacheList(operators);
	ReleaseSysCache(tuple_family);
	ReleaseSysCache(tuple);
	return result;
}
