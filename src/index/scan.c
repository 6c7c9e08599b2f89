/*
 * scan.c
 *	  amgettuple: rows in order of distance, for as long as they are asked for.
 *
 * A heap holds what is known of each candidate: first its lower bound, then
 * its distance by the 8-bit code less the margin of error, then its exact
 * distance, calculated from the table with the operator's own function.  The
 * least of all is looked at more closely, or returned when it is exact or no
 * other row can come before it.  So few rows are fetched only to be compared.
 *
 * A row's visibility is tested when its exact distance is calculated, or by
 * the executor.  No lock or pin is held between calls,
 * which needs a snapshot that obeys MVCC: a row that replaces a removed one at
 * the same place is not visible to it.
 */
#include "postgres.h"

#include <math.h>

#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "index/index_int.h"

typedef struct ScanItem
{
	double		key;			/* the distance is not less */
	double		most;			/* and not more; equal to key when exact */
	ItemPointerData tid;
} ScanItem;

typedef struct MemaiScan
{
	MemoryContext context;		/* of the scan */
	MemoryContext query_context;	/* of one (re)scan */
	MemoryContext row_context;	/* of one distance */
	MemaiIndex *index;
	MemaiSearch *search;
	bool		started;
	bool		empty;			/* a key or the query rules out every row */
	uint64		hash;
	Datum		query;			/* 0 when it is null or zero: any order */
	int64		returned;
	double		last;			/* greatest distance returned */

	ScanItem   *heap;			/* binary heap */
	int			nheap;
	int			heap_size;

	/* the table */
	FmgrInfo   *distance;
	Oid			collation;
	AttrNumber	column;			/* 0: an expression */
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
	IndexInfo  *info;
	EState	   *estate;
} MemaiScan;

IndexScanDesc
memai_index_beginscan(Relation relation, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(relation, nkeys, norderbys);
	MemaiScan  *state = palloc0(sizeof(MemaiScan));
	int			column = IndexRelationGetNumberOfKeyAttributes(relation);

	state->context = AllocSetContextCreate(CurrentMemoryContext, "memai index scan", ALLOCSET_DEFAULT_SIZES);
	state->query_context = AllocSetContextCreate(state->context, "memai index query", ALLOCSET_DEFAULT_SIZES);
	state->row_context = AllocSetContextCreate(state->context, "memai index row", ALLOCSET_DEFAULT_SIZES);
	state->distance = index_getprocinfo(relation, column, MEMAI_DISTANCE_PROC);
	state->collation = relation->rd_indcollation[column - 1];
	state->column = relation->rd_index->indkey.values[column - 1];
	scan->opaque = state;
	return scan;
}

/* the hash of the key columns' values; false when no row can have them */
static bool
scan_hash(IndexScanDesc scan, uint64 *hash)
{
	Relation	relation = scan->indexRelation;
	int			keys = IndexRelationGetNumberOfKeyAttributes(relation) - 1;

	*hash = 0;
	for (int i = 0; i < keys; i++)
	{
		ScanKey		key = NULL;
		Oid			type = relation->rd_opcintype[i];
		Oid			subtype;
		Oid			proc;
		Datum		h;

		/* of several conditions on one column one is enough: all are rechecked */
		for (int k = 0; k < scan->numberOfKeys; k++)
			if (scan->keyData[k].sk_attno == i + 1)
				key = &scan->keyData[k];
		if (key == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("index \"%s\" cannot be searched without a value for each key column",
							RelationGetRelationName(relation))));
		if (key->sk_flags & SK_ISNULL)
			return false;
		subtype = OidIsValid(key->sk_subtype) ? key->sk_subtype : type;
		proc = get_opfamily_proc(relation->rd_opfamily[i], subtype, subtype, MEMAI_HASH_PROC);
		if (!OidIsValid(proc))
			proc = index_getprocid(relation, i + 1, MEMAI_HASH_PROC);
		h = OidFunctionCall2Coll(proc, key->sk_collation, key->sk_argument, Int64GetDatum(0));
		*hash = hash_combine64(*hash, DatumGetUInt64(h));
	}
	return true;
}

void
memai_index_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	MemaiScan  *state = scan->opaque;

	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));
	state->started = false;
	state->nheap = 0;
	state->returned = 0;
	state->last = -INFINITY;
	MemoryContextReset(state->query_context);
	if (state->fetch)
		table_index_fetch_reset(state->fetch);
}

/* opens what lasts over rescans */
static void
open_scan(IndexScanDesc scan)
{
	MemaiScan  *state = scan->opaque;

	if (scan->numberOfOrderBys != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" cannot be searched without an order",
						RelationGetRelationName(scan->indexRelation))));
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a memai index can only be searched with a snapshot that obeys MVCC")));
	state->heap_size = 256;
	state->heap = palloc(sizeof(ScanItem) * state->heap_size);
	state->fetch = table_index_fetch_begin(scan->heapRelation);
	state->slot = table_slot_create(scan->heapRelation, NULL);
	if (state->column == 0)
	{
		state->info = BuildIndexInfo(scan->indexRelation);
		state->estate = CreateExecutorState();
		GetPerTupleExprContext(state->estate)->ecxt_scantuple = state->slot;
	}
}

/* rotates the query and reads the first lists */
static void
start_scan(IndexScanDesc scan)
{
	MemaiScan  *state = scan->opaque;
	MemoryContext old = MemoryContextSwitchTo(state->context);
	ScanKey		order = scan->orderByData;
	float	   *rotated;

	state->started = true;
	pgstat_count_index_scan(scan->indexRelation);
	if (state->fetch == NULL)
		open_scan(scan);
	if (state->index == NULL || state->index->meta.dim == 0)
		state->index = memai_index_open(scan->indexRelation);
	state->empty = state->index->meta.dim == 0 || !scan_hash(scan, &state->hash);
	if (!state->empty)
	{
		if (state->search == NULL)
			state->search = memai_search_create(state->index, state->context);
		MemoryContextSwitchTo(state->query_context);
		rotated = palloc0(sizeof(float) * state->index->leaf.padded);
		state->query = (Datum) 0;
		if (!(order->sk_flags & SK_ISNULL))
		{
			Datum		query = state->index->support->detoast(order->sk_argument);

			if (memai_vector_rotate(state->index, query, rotated))
				state->query = query;
		}
		memai_search_start(state->search, state->hash, rotated, (float) memai_epsilon, 0,
						   memai_max_scan_tuples);
	}
	MemoryContextSwitchTo(old);
}

/* ---- the heap ---- */

static void
push(MemaiScan *state, double key, double most, const ItemPointerData *tid)
{
	int			i;

	if (state->nheap == state->heap_size)
	{
		state->heap_size *= 2;
		state->heap = repalloc_huge(state->heap, sizeof(ScanItem) * (Size) state->heap_size);
	}
	for (i = state->nheap++; i > 0 && state->heap[(i - 1) / 2].key > key; i = (i - 1) / 2)
		state->heap[i] = state->heap[(i - 1) / 2];
	state->heap[i].key = key;
	state->heap[i].most = most;
	state->heap[i].tid = *tid;
}

static ScanItem
pop(MemaiScan *state)
{
	ScanItem	least = state->heap[0];
	ScanItem	last = state->heap[--state->nheap];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= state->nheap)
			break;
		if (child + 1 < state->nheap && state->heap[child + 1].key < state->heap[child].key)
			child++;
		if (state->heap[child].key >= last.key)
			break;
		state->heap[i] = state->heap[child];
		i = child;
	}
	if (state->nheap > 0)
		state->heap[i] = last;
	return least;
}

/* ---- distances ---- */

/* the exact distance of a row; false when the row is not visible */
static bool
exact_distance(IndexScanDesc scan, const ItemPointerData *tid, double *distance)
{
	MemaiScan  *state = scan->opaque;
	ItemPointerData place = *tid;
	bool		call_again = false;
	bool		all_dead = false;
	Datum		value;
	bool		isnull;
	MemoryContext old;

	if (!table_index_fetch_tuple(state->fetch, &place, scan->xs_snapshot, state->slot,
								 &call_again, &all_dead))
		return false;
	old = MemoryContextSwitchTo(state->row_context);
	*distance = INFINITY;
	if (state->query != (Datum) 0)
	{
		if (state->column != 0)
			value = slot_getattr(state->slot, state->column, &isnull);
		else
		{
			Datum		values[INDEX_MAX_KEYS];
			bool		nulls[INDEX_MAX_KEYS];
			int			i = IndexRelationGetNumberOfKeyAttributes(scan->indexRelation) - 1;

			FormIndexDatum(state->info, state->slot, state->estate, values, nulls);
			value = values[i];
			isnull = nulls[i];
		}
		if (!isnull)
			*distance = DatumGetFloat8(FunctionCall2Coll(state->distance, state->collation, value, state->query));
		/* NaN sorts behind everything */
		if (isnan(*distance))
			*distance = INFINITY;
		if (state->estate)
			ResetPerTupleExprContext(state->estate);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row_context);
	ExecClearTuple(state->slot);
	return true;
}

/* looks closer at the nearest candidate that the search knows */
static bool
take_candidate(IndexScanDesc scan)
{
	MemaiScan  *state = scan->opaque;
	MemaiCandidate c;
	float		margin;

	if (!memai_search_peek(state->search, &c))
		return false;
	memai_search_consume(state->search);
	if (c.refine == InvalidBlockNumber)
		push(state, c.bound, INFINITY, &c.tid);
	else
	{
		float		estimate = memai_search_refine(state->search, &c, &margin);

		/* NaN only from damaged pages: let the exact distance decide */
		if (isnan(estimate))
			push(state, c.bound, INFINITY, &c.tid);
		else
			push(state, estimate - margin, estimate + margin, &c.tid);
	}
	return true;
}

/* the second least key of the heap */
static double
second_key(const MemaiScan *state)
{
	double		left = state->nheap > 1 ? state->heap[1].key : INFINITY;
	double		right = state->nheap > 2 ? state->heap[2].key : INFINITY;

	return Min(left, right);
}

/*
 * Is a candidate with this bound looked at before the heap's least?  If it may
 * come first; and also if nothing else keeps the least from being returned as
 * it is, for a closer look costs little beside an exact distance.
 */
static bool
candidate_first(const MemaiScan *state, double bound)
{
	const ScanItem *least = state->heap;

	if (state->nheap == 0 || bound < least->key)
		return true;
	return bound < least->most && isfinite(least->most) && least->most <= second_key(state);
}

/* the least row of all, in *item; false when there is none left */
static bool
next_row(IndexScanDesc scan, ScanItem *item)
{
	MemaiScan  *state = scan->opaque;

	for (;;)
	{
		double		distance;

		CHECK_FOR_INTERRUPTS();
		if (candidate_first(state, memai_search_bound(state->search)))
		{
			if (take_candidate(scan))
				continue;
			if (state->nheap == 0)
				return false;
		}
		*item = pop(state);
		/* when no other row can come before it, the exact distance does not matter */
		if (item->most == item->key ||
			(item->most <= memai_search_bound(state->search) &&
			 (state->nheap == 0 || item->most <= state->heap[0].key)))
			return true;
		if (exact_distance(scan, &item->tid, &distance))
			push(state, distance, distance, &item->tid);
	}
}

bool
memai_index_gettuple(IndexScanDesc scan, ScanDirection direction)
{
	MemaiScan  *state = scan->opaque;
	ScanItem	item;

	if (!state->started)
		start_scan(scan);
	if (state->empty)
		return false;
	while (next_row(scan, &item))
	{
		state->returned++;
		memai_search_returned(state->search, state->returned);
		if (item.key < state->last && memai_iterative_scan == MEMAI_ORDER_STRICT)
			continue;
		state->last = item.key;
		scan->xs_heaptid = item.tid;
		/* two keys may have one hash */
		scan->xs_recheck = state->index->meta.keys > 0;
		scan->xs_recheckorderby = false;
		return true;
	}
	return false;
}

void
memai_index_endscan(IndexScanDesc scan)
{
	MemaiScan  *state = scan->opaque;

	if (state->slot)
		ExecDropSingleTupleTableSlot(state->slot);
	if (state->fetch)
		table_index_fetch_end(state->fetch);
	if (state->estate)
		FreeExecutorState(state->estate);
	MemoryContextDelete(state->context);
	pfree(state);
	scan->opaque = NULL;
}
