/*
 * bool_keys.c
 *	  Boolean key columns, as the planner of PostgreSQL 15 sees them.
 *
 * The planner turns "active = true" into "active", and "active = false" into
 * "NOT active".  Until PostgreSQL 16 it takes these back for conditions on an
 * index only if the column's operator family is one of the two built-in ones
 * for boolean.  So it is told that a boolean key column of an index of this
 * access method has the built-in hash family, which holds the same one
 * operator as ours, "=" of two booleans, under the same strategy number.  The
 * planner alone sees that: the executor takes the family from the index.
 *
 * The library is loaded by then, for the relation cache calls the access
 * method's handler when the planner opens the index.
 */
#include "postgres.h"

#include "core/compat.h"
#include "catalog/pg_opfamily_d.h"
#include "catalog/pg_type_d.h"
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"

#include "index/index_int.h"

#if !MEMAI_PG16_GE

static get_relation_info_hook_type previous_hook;

static void
present_bool_keys(PlannerInfo *root, Oid relation, bool inhparent, RelOptInfo *rel)
{
	ListCell   *lc;

	if (previous_hook)
		previous_hook(root, relation, inhparent, rel);
	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *info = lfirst_node(IndexOptInfo, lc);

		if ((void *) info->amcostestimate != (void *) memai_index_cost)
			continue;
		for (int i = 0; i < info->nkeycolumns - 1; i++)
			if (info->opcintype[i] == BOOLOID)
				info->opfamily[i] = BOOL_HASH_FAM_OID;
	}
}

void
memai_bool_keys_init(void)
{
	previous_hook = get_relation_info_hook;
	get_relation_info_hook = present_bool_keys;
}

#else

void
memai_bool_keys_init(void)
{
	/* the planner asks which families hold "=" */
}

#endif
