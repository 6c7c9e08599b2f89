/*
 * cost.c
 *	  amcostestimate: what a search costs, by the entries that it reads.
 *
 * Without an order or without a value for each key column the index cannot
 * be used, which an infinite cost says.  All the work before the first row is
 * startup cost, so a LIMIT does not hide it.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "index/index_int.h"

/* measured, in units of cpu_operator_cost: bound of an entry, refined entry, exact distance */
#define ENTRY_COST 0.2
#define REFINE_COST 4.0
#define EXACT_COST 60.0
/* entries that are refined and rows fetched beyond those returned */
#define REFINED 100
#define FETCHED 8

/* selectivity of the conditions on key columns; negative when one has none */
static double
key_selectivity(PlannerInfo *root, IndexPath *path)
{
	int			keys = path->indexinfo->nkeycolumns - 1;
	bool		found[INDEX_MAX_KEYS] = {false};
	List	   *quals = NIL;
	ListCell   *lc;

	foreach(lc, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);

		found[clause->indexcol] = true;
		quals = lappend(quals, clause->rinfo);
	}
	for (int i = 0; i < keys; i++)
		if (!found[i])
			return -1;
	return clauselist_selectivity(root, quals, path->indexinfo->rel->relid, JOIN_INNER, NULL);
}

void
memai_index_cost(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
				 Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
				 double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	double		share = path->indexorderbys == NIL ? -1 : key_selectivity(root, path);
	double		rows;
	double		entries;
	double		scan_pages;
	double		random_cost;
	double		seq_cost;
	Relation	relation;
	MemaiIndex *index;

	*correlation = 0;
	if (share < 0)
	{
		*startup_cost = *total_cost = get_float8_infinity();
		*selectivity = 0;
		*pages = 0;
		memai_path_disable(path);
		return;
	}
	rows = Max(1, info->tuples * share);
	relation = index_open(info->indexoid, NoLock);
	index = memai_index_open(relation);
	entries = rows;
	scan_pages = 1;
	if (index->meta.dim > 0)
	{
		if (rows > index->meta.flat_size)
		{
			int			lists = (int) Min(1e9, rows / index->meta.list_size);

			entries = rows / lists * memai_probe_count(index, lists) + lists;
		}
		scan_pages = ceil(entries / index->leaf.capacity);
	}
	index_close(relation, NoLock);

	get_tablespace_page_costs(info->reltablespace, &random_cost, &seq_cost);
	/* metapage, directory and first page at random; the rest lies together */
	*pages = scan_pages + 3;
	*startup_cost = Min(*pages, 3 + ceil(scan_pages / 8)) * random_cost / 2 +
		entries * ENTRY_COST * cpu_operator_cost +
		Min(rows, REFINED) * REFINE_COST * cpu_operator_cost +
		Min(rows, FETCHED) * EXACT_COST * cpu_operator_cost;
	*total_cost = *startup_cost +
		rows * (cpu_index_tuple_cost + (REFINE_COST + EXACT_COST) * cpu_operator_cost);
	*selectivity = share;
}
