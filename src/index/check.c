/*
 * check.c
 *	  memai_index_check and memai_index_info: reading an index from end to end.
 *
 * The check walks from the metapage through directory, routes and lists and
 * raises XX002 at the first thing that is not as README.md says.  It takes the
 * move lock, so lists stay put; inserts go on.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "index/index_int.h"

PG_FUNCTION_INFO_V1(memai_index_check);
PG_FUNCTION_INFO_V1(memai_index_info);

typedef struct CheckState
{
	MemaiIndex *index;
	HTAB	   *tids;			/* NULL unless compared with the table */
	uint64		next_low;		/* where the next directory item must begin */
	bool		done;			/* an item reached the greatest hash */
	uint64		list_id;
	uint64		low;			/* the range of the list being read */
	uint64		high;
	int			level;
	uint32		pages;
	bool		partial;		/* a page that is not full was met */
	BlockNumber *children;
	int			nchildren;
	int			children_size;
	int64		roots;
	int64		routes;
	int64		lists;
	int64		live;
	int64		dead;
} CheckState;

static Relation
open_index(Oid oid, LOCKMODE lock)
{
	Relation	relation = index_open(oid, lock);

	if (relation->rd_rel->relam != get_index_am_oid("memai", false))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a memai index", RelationGetRelationName(relation))));
	if (!memai_owns_relation(oid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, RelationGetRelationName(relation));
	if (RELATION_IS_OTHER_TEMP(relation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot read temporary tables of other sessions")));
	if (!relation->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(relation)),
				 errhint("Run REINDEX on it.")));
	return relation;
}

static void
note_tid(CheckState *check, BlockNumber blkno, ItemPointer tid)
{
	bool		found;

	if (check->tids == NULL)
		return;
	(void) hash_search(check->tids, tid, HASH_ENTER, &found);
	if (found)
		memai_report_corrupted(check->index->relation, blkno, "A row has two entries.");
}

static void
check_slot(CheckState *check, const MemaiLayout *layout, BlockNumber blkno, Page page, int slot)
{
	Relation	relation = check->index->relation;
	ItemPointer tid = memai_slot_tid(layout, page, slot);
	float		add = *memai_slot_floats(layout, page, slot, layout->add_offset);
	float		factor = *memai_slot_floats(layout, page, slot, layout->factor_offset);
	float		error = *memai_slot_floats(layout, page, slot, layout->error_offset);

	if (!ItemPointerIsValid(tid))
	{
		if (add != INFINITY || factor != 0 || error != 0)
			memai_report_corrupted(relation, blkno, "A dead entry has a distance.");
		check->dead++;
		return;
	}
	if (!isfinite(add) || !isfinite(factor) || !isfinite(error) || factor < 0 || error < 0)
		memai_report_corrupted(relation, blkno, "An entry's numbers are impossible.");
	if (layout->keyed && (*memai_slot_hash(layout, page, slot) < check->low ||
						  *memai_slot_hash(layout, page, slot) > check->high))
		memai_report_corrupted(relation, blkno, "An entry is in a list of other keys.");
	if (check->level == 0)
	{
		check->live++;
		note_tid(check, blkno, tid);
		return;
	}
	if (check->nchildren == check->children_size)
	{
		check->children_size *= 2;
		check->children = repalloc_huge(check->children, sizeof(BlockNumber) * (Size) check->children_size);
	}
	check->children[check->nchildren++] = ItemPointerGetBlockNumber(tid);
}

/* the refine pages of a scan page: there, ours, and as full as it says */
static void
check_refine(CheckState *check, const MemaiLayout *layout, BlockNumber blkno, Page page)
{
	int			used = MemaiPageOpaque(page)->used;

	for (int i = 0; i * layout->records < used && layout->refine_bits; i++)
	{
		Buffer		buffer = memai_page_read(check->index->relation, MemaiPageList(page)->refine[i],
											 BUFFER_LOCK_SHARE, MEMAI_PAGE_REFINE);
		MemaiOpaque *opaque = MemaiPageOpaque(BufferGetPage(buffer));

		if (opaque->list_id != check->list_id ||
			opaque->used < Min(layout->records, used - i * layout->records))
			memai_report_corrupted(check->index->relation, BufferGetBlockNumber(buffer),
								   "A refine page does not go with its scan page.");
		UnlockReleaseBuffer(buffer);
	}
}

static bool
check_page(void *arg, Buffer buffer, Page page)
{
	CheckState *check = arg;
	Relation	relation = check->index->relation;
	const MemaiLayout *layout = check->level ? &check->index->route : &check->index->leaf;
	BlockNumber blkno = BufferGetBlockNumber(buffer);
	MemaiOpaque *opaque = MemaiPageOpaque(page);
	bool		first = check->pages++ == 0;

	if (first)
		check->list_id = opaque->list_id;
	if (opaque->level != check->level || opaque->used > layout->capacity || opaque->centre > 1 ||
		((opaque->flags & MEMAI_FLAG_FIRST) != 0) != first)
		memai_report_corrupted(relation, blkno, "A page of a list is not what it should be.");
	if (check->partial)
		memai_report_corrupted(relation, blkno, "A page that is not full is not the last one.");
	check->partial = opaque->used < layout->capacity;
	if (opaque->centre == 1 && check->index->meta.centre == InvalidBlockNumber)
		memai_report_corrupted(relation, blkno, "A list needs a centre that the index does not have.");
	for (int slot = 0; slot < opaque->used; slot++)
		check_slot(check, layout, blkno, page, slot);
	for (int slot = opaque->used; slot < (int) TYPEALIGN(layout->width, layout->capacity); slot++)
		if (*memai_slot_floats(layout, page, slot, layout->add_offset) != INFINITY)
			memai_report_corrupted(relation, blkno, "A slot beyond the last entry is not empty.");
	check_refine(check, layout, blkno, page);
	return true;
}

static void
check_list(CheckState *check, BlockNumber first, int level)
{
	Buffer		buffer = memai_page_read(check->index->relation, first, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
	MemaiListHeader header = *MemaiPageList(BufferGetPage(buffer));
	int			flags = MemaiPageOpaque(BufferGetPage(buffer))->flags;

	UnlockReleaseBuffer(buffer);
	/* on a standby a move may be under way */
	if ((flags & MEMAI_FLAG_MOVED) && RecoveryInProgress())
		return;
	if (flags & MEMAI_FLAG_MOVED)
		memai_report_corrupted(check->index->relation, first, "A replaced list is still linked after repair.");
	check->low = header.hash_low;
	check->high = header.hash_high;
	check->level = level;
	check->pages = 0;
	check->partial = false;
	memai_list_walk(check->index->relation, first, InvalidBuffer, check_page, check);
	if (check->pages < header.pages)
		memai_report_corrupted(check->index->relation, first, "A list has fewer pages than it says.");
}

static void
check_root(void *arg, uint64 low, uint64 high, BlockNumber root)
{
	CheckState *check = arg;
	Buffer		buffer;
	int			level;

	if (check->done || low != check->next_low)
		memai_report_corrupted(check->index->relation, MEMAI_ROOT_BLKNO, "The key directory has a gap.");
	check->done = high == PG_UINT64_MAX;
	check->next_low = high + 1;
	check->roots++;
	buffer = memai_page_read(check->index->relation, root, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
	level = MemaiPageOpaque(BufferGetPage(buffer))->level;
	UnlockReleaseBuffer(buffer);
	check->nchildren = 0;
	check_list(check, root, level);
	if (low < check->low || high > check->high)
		memai_report_corrupted(check->index->relation, root, "A list does not take all keys that lead to it.");
	if (level == 0)
	{
		check->lists++;
		return;
	}
	check->routes++;
	for (int i = 0; i < check->nchildren; i++)
	{
		for (int j = 0; j < i; j++)
			if (check->children[i] == check->children[j])
				memai_report_corrupted(check->index->relation, root, "A list is linked twice.");
		check_list(check, check->children[i], 0);
		check->lists++;
	}
}

/* collects what an interrupted move left, before the directory is walked */
static void
repair_root(void *arg, uint64 low, uint64 high, BlockNumber root)
{
	CheckState *check = arg;

	if (!RecoveryInProgress())
		memai_repair(check->index, low);
}

/* every visible row that belongs into the index must be in it */
static void
check_row(Relation relation, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	CheckState *check = arg;
	MemaiIndex *index = check->index;
	int			column = index->meta.keys;
	MemoryContext context;
	MemoryContext old;
	uint64		hash;

	if (!alive || isnull[column])
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "memai index check", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	if (memai_key_hash(index->relation, values, isnull, &hash) &&
		memai_vector_rotate(index, index->support->detoast(values[column]),
							palloc(sizeof(float) * index->leaf.padded)) &&
		hash_search(check->tids, tid, HASH_FIND, NULL) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" lacks the row (%u,%u)", RelationGetRelationName(index->relation),
						ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid)),
				 errhint("Run REINDEX on it.")));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static void
compare_with_table(CheckState *check, Relation relation)
{
	Relation	heap = table_open(relation->rd_index->indrelid, AccessShareLock);
	IndexInfo  *info = BuildIndexInfo(relation);
	/* that of before the walk: what was committed since may not have been met in it */
	Snapshot	snapshot = GetActiveSnapshot();
	TableScanDesc scan = table_beginscan_strat(heap, snapshot, 0, NULL, true, true);

	info->ii_Concurrent = true;
	info->ii_Unique = false;
	table_index_build_scan(heap, relation, info, true, false, check_row, check, scan);
	table_close(heap, AccessShareLock);
}

static void
check_index(CheckState *check, Relation relation, bool heap_all_indexed)
{
	HASHCTL		ctl = {.keysize = sizeof(ItemPointerData), .entrysize = sizeof(ItemPointerData)};

	memset(check, 0, sizeof(*check));
	check->index = memai_index_open(relation);
	check->children_size = 64;
	check->children = palloc(sizeof(BlockNumber) * check->children_size);
	if (heap_all_indexed)
		check->tids = hash_create("memai index check", 1024, &ctl, HASH_ELEM | HASH_BLOBS);
	if (check->index->meta.dim == 0)
		return;
	if (!RecoveryInProgress())
		memai_move_lock(relation);
	memai_directory_walk(relation, repair_root, check);
	memai_directory_walk(relation, check_root, check);
	if (!RecoveryInProgress())
		memai_move_unlock(relation);
	if (check->roots > 0 && !check->done)
		memai_report_corrupted(relation, MEMAI_ROOT_BLKNO, "The key directory ends too early.");
}

Datum
memai_index_check(PG_FUNCTION_ARGS)
{
	bool		heap_all_indexed = PG_GETARG_BOOL(1);
	/* with the table locked first, as everywhere */
	Oid			heap = IndexGetRelation(PG_GETARG_OID(0), true);
	Relation	relation;
	CheckState	check;

	if (OidIsValid(heap))
		LockRelationOid(heap, AccessShareLock);
	relation = open_index(PG_GETARG_OID(0), AccessShareLock);
	if (heap_all_indexed)
	{
		/* rows that are visible now must be found in the walk that follows */
		PushActiveSnapshot(GetTransactionSnapshot());
		check_index(&check, relation, true);
		if (check.index->meta.dim != 0)
			compare_with_table(&check, relation);
		PopActiveSnapshot();
	}
	else
		check_index(&check, relation, false);
	index_close(relation, AccessShareLock);
	PG_RETURN_VOID();
}

Datum
memai_index_info(PG_FUNCTION_ARGS)
{
	static const char *const metrics[] = {"", "cosine", "l2", "inner product"};
	Relation	relation = open_index(PG_GETARG_OID(0), AccessShareLock);
	CheckState	check;
	MemaiMeta  *meta;
	TupleDesc	desc;
	Datum		values[15];
	bool		nulls[15] = {false};
	int64		size;
	int			i = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_index(&check, relation, false);
	meta = &check.index->meta;
	size = (int64) RelationGetNumberOfBlocks(relation) * BLCKSZ;
	values[i++] = Int32GetDatum((int32) meta->version);
	values[i++] = CStringGetTextDatum(metrics[meta->metric]);
	values[i++] = Int32GetDatum(meta->dim);
	values[i++] = Int32GetDatum(meta->keys);
	values[i++] = Int32GetDatum(meta->refine_bits);
	values[i++] = Int64GetDatum(check.roots);
	values[i++] = Int64GetDatum(check.routes);
	values[i++] = Int64GetDatum(check.lists);
	values[i++] = Int64GetDatum(check.live);
	values[i++] = Int64GetDatum(check.dead);
	values[i++] = Int64GetDatum(size);
	nulls[i] = check.live == 0;
	values[i++] = Float8GetDatum(check.live ? (double) size / (double) check.live : 0);
	nulls[i] = meta->centre == InvalidBlockNumber;
	values[i++] = Int64GetDatum((int64) meta->centre_rows);
	nulls[i] = check.lists <= 1;
	values[i++] = Int32GetDatum(memai_probe_count(check.index, (int) check.lists));
	values[i] = BoolGetDatum(meta->probes.factors[0] > 0);
	index_close(relation, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
