/*
 * relink.c
 *	  Replacing lists, the later steps: pointing the directory or a route at
 *	  the successors, finishing what a crash interrupted, and reusing pages.
 *
 * See split.c for the steps.  The caller holds the move lock.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "utils/snapmgr.h"

#include "index/index_int.h"

void
memai_list_facts(Relation relation, BlockNumber list, MemaiListFacts *facts)
{
	Buffer		buffer = memai_page_read(relation, list, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
	MemaiOpaque *opaque = MemaiPageOpaque(BufferGetPage(buffer));

	facts->header = *MemaiPageList(BufferGetPage(buffer));
	facts->level = opaque->level;
	facts->centre = opaque->centre;
	facts->flags = opaque->flags;
	UnlockReleaseBuffer(buffer);
}

/* ---- steps 3 and 4 ---- */

typedef struct RouteFind
{
	const MemaiLayout *layout;
	BlockNumber child;
	BlockNumber block;			/* where it is */
	int			slot;
} RouteFind;

static bool
find_child_on_page(void *arg, Buffer buffer, Page page)
{
	RouteFind  *find = arg;

	for (int slot = 0; slot < MemaiPageOpaque(page)->used; slot++)
		if (ItemPointerGetBlockNumberNoCheck(memai_slot_tid(find->layout, page, slot)) == find->child)
		{
			find->block = BufferGetBlockNumber(buffer);
			find->slot = slot;
			return false;
		}
	return true;
}

static bool
find_child(MemaiIndex *index, BlockNumber route, BlockNumber child, RouteFind *find)
{
	find->layout = &index->route;
	find->child = child;
	find->block = InvalidBlockNumber;
	memai_list_walk(index->relation, route, InvalidBuffer, find_child_on_page, find);
	return find->block != InvalidBlockNumber;
}

bool
memai_route_leads_to(MemaiIndex *index, BlockNumber route, BlockNumber list)
{
	RouteFind	find;

	return find_child(index, route, list, &find);
}

/* puts an entry in the place of another one of the route; one record of two pages */
static void
overwrite_child(MemaiIndex *index, const RouteFind *find, const MemaiEntry *entry)
{
	const MemaiLayout *layout = &index->route;
	Buffer		buffer = memai_page_read(index->relation, find->block, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);
	BlockNumber block = MemaiPageList(BufferGetPage(buffer))->refine[find->slot / layout->records];
	Buffer		refine = memai_page_read(index->relation, block, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_REFINE);
	GenericXLogState *state = GenericXLogStart(index->relation);

	memai_slot_write(layout, GenericXLogRegisterBuffer(state, buffer, 0), find->slot, entry);
	memai_record_write(layout, GenericXLogRegisterBuffer(state, refine, 0), find->slot % layout->records, entry);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(refine);
	UnlockReleaseBuffer(buffer);
}

MemaiEntry *
memai_child_entry(MemaiIndex *index, BlockNumber list, int route_centre)
{
	MemaiListFacts facts;
	uint64		position = 0;
	int			n;
	MemaiEntry **entries;

	memai_list_facts(index->relation, list, &facts);
	entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &n);
	return memai_route_entry(index, list, entries, n, facts.centre, route_centre);
}

/* points the route at the successors of its child */
static void
relink_child(MemaiIndex *index, BlockNumber route, BlockNumber child, const MemaiListFacts *facts)
{
	RouteFind	find;
	MemaiListFacts	route_facts;

	memai_list_facts(index->relation, route, &route_facts);
	/* the second first: until the child is overwritten it leads to both */
	if (facts->header.moved[1] != InvalidBlockNumber &&
		!find_child(index, route, facts->header.moved[1], &find))
	{
		MemaiEntry *entry = memai_child_entry(index, facts->header.moved[1], route_facts.centre);
		Buffer		first = memai_page_read(index->relation, route, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);

		(void) memai_list_append(index, &index->route, first, entry);
		UnlockReleaseBuffer(first);
	}
	if (find_child(index, route, child, &find))
		overwrite_child(index, &find, memai_child_entry(index, facts->header.moved[0], route_facts.centre));
}

/* points the directory at the successors of a list */
static void
relink_root(MemaiIndex *index, const MemaiListFacts *facts)
{
	MemaiListFacts	second;

	if (facts->header.moved[1] != InvalidBlockNumber)
	{
		memai_list_facts(index->relation, facts->header.moved[1], &second);
		memai_directory_set(index->relation, second.header.hash_low, facts->header.moved[1]);
	}
	memai_directory_set(index->relation, facts->header.hash_low, facts->header.moved[0]);
}

/* the end of the queue; only the holder of the move lock changes it */
static BlockNumber
dead_tail(Relation relation)
{
	Buffer		meta = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_SHARE, MEMAI_PAGE_META);
	BlockNumber tail = MemaiPageMeta(BufferGetPage(meta))->dead_tail;

	UnlockReleaseBuffer(meta);
	return tail;
}

/*
 * Queues a list that nothing leads to any more; one record of three pages.
 * The metapage comes last: a scan may want it while it holds a page.
 */
static void
enqueue_dead(Relation relation, BlockNumber list)
{
	BlockNumber tail_block = dead_tail(relation);
	Buffer		first = memai_page_read(relation, list, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);
	Buffer		tail = tail_block == InvalidBlockNumber ? InvalidBuffer :
	memai_page_read(relation, tail_block, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);
	Buffer		meta = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_META);
	GenericXLogState *state = GenericXLogStart(relation);
	MemaiMeta  *m = MemaiPageMeta(GenericXLogRegisterBuffer(state, meta, 0));

	MemaiPageList(GenericXLogRegisterBuffer(state, first, 0))->dead_xid =
		U64FromFullTransactionId(ReadNextFullTransactionId());
	if (BufferIsValid(tail))
		MemaiPageList(GenericXLogRegisterBuffer(state, tail, 0))->next_dead = list;
	else
		m->dead_head = list;
	m->dead_tail = list;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(meta);
	if (BufferIsValid(tail))
		UnlockReleaseBuffer(tail);
	UnlockReleaseBuffer(first);
}

void
memai_finish_move(MemaiIndex *index, BlockNumber route, BlockNumber list)
{
	MemaiListFacts	facts;

	memai_list_facts(index->relation, list, &facts);
	if (route != InvalidBlockNumber)
		relink_child(index, route, list, &facts);
	else
		relink_root(index, &facts);
	enqueue_dead(index->relation, list);
}

/* ---- repair ---- */

typedef struct Children
{
	const MemaiLayout *layout;
	BlockNumber *lists;
	int			n;
	int			size;
} Children;

static bool
collect_children(void *arg, Buffer buffer, Page page)
{
	Children   *c = arg;

	for (int slot = 0; slot < MemaiPageOpaque(page)->used; slot++)
	{
		if (c->n == c->size)
		{
			c->size *= 2;
			c->lists = repalloc_huge(c->lists, sizeof(BlockNumber) * (Size) c->size);
		}
		c->lists[c->n++] = ItemPointerGetBlockNumberNoCheck(memai_slot_tid(c->layout, page, slot));
	}
	return true;
}

BlockNumber *
memai_route_children(MemaiIndex *index, BlockNumber route, int *n)
{
	Children	c = {.layout = &index->route, .size = 64};

	c.lists = palloc(sizeof(BlockNumber) * c.size);
	memai_list_walk(index->relation, route, InvalidBuffer, collect_children, &c);
	*n = c.n;
	return c.lists;
}

/* finishes the moves of a route's children that a crash interrupted */
static void
repair_children(MemaiIndex *index, BlockNumber route)
{
	MemaiListFacts	facts;
	int			n;
	BlockNumber *lists = memai_route_children(index, route, &n);

	for (int i = 0; i < n; i++)
	{
		memai_list_facts(index->relation, lists[i], &facts);
		if (facts.flags & MEMAI_FLAG_MOVED)
			memai_finish_move(index, route, lists[i]);
	}
	pfree(lists);
}

static BlockNumber
empty_list(MemaiIndex *index, uint64 low, uint64 high)
{
	return memai_list_write(index, &index->leaf, 0, index->centre != NULL, low, high, NULL, 0, true);
}

/* keys that lead to a list but do not belong into it get lists of their own */
static void
close_gaps(MemaiIndex *index, BlockNumber list, const MemaiListHeader *header, uint64 low, uint64 high)
{
	if (low > header->hash_high)
		memai_report_corrupted(index->relation, list, "The key directory leads past the keys of a list.");
	if (high > header->hash_high)
		memai_directory_set(index->relation, header->hash_high + 1,
							empty_list(index, header->hash_high + 1, high));
	if (low < header->hash_low)
	{
		BlockNumber gap = empty_list(index, low, Min(high, header->hash_low - 1));

		if (high >= header->hash_low)
			memai_directory_set(index->relation, header->hash_low, list);
		memai_directory_set(index->relation, low, gap);
	}
}

void
memai_repair(MemaiIndex *index, uint64 hash)
{
	uint64		low;
	uint64		high;
	BlockNumber list = memai_directory_find(index->relation, hash, &low, &high);
	MemaiListFacts	facts;

	if (list == InvalidBlockNumber)
		return;
	memai_list_facts(index->relation, list, &facts);
	if (facts.flags & MEMAI_FLAG_MOVED)
		memai_finish_move(index, InvalidBlockNumber, list);
	else if (low < facts.header.hash_low || high > facts.header.hash_high)
		close_gaps(index, list, &facts.header, low, high);
	else if (facts.level == 1)
		repair_children(index, list);
}

/* ---- reuse ---- */

static void
free_page(Relation relation, BlockNumber blkno)
{
	Buffer		buffer = ReadBuffer(relation, blkno);
	GenericXLogState *state;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	state = GenericXLogStart(relation);
	memai_page_init(GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE), MEMAI_PAGE_FREE);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	RecordFreeIndexPage(relation, blkno);
}

static void
free_list(Relation relation, BlockNumber blkno)
{
	while (blkno != InvalidBlockNumber)
	{
		Buffer		buffer = memai_page_read(relation, blkno, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
		Page		page = BufferGetPage(buffer);
		MemaiListHeader header = *MemaiPageList(page);
		BlockNumber next = MemaiPageOpaque(page)->next;

		CHECK_FOR_INTERRUPTS();
		UnlockReleaseBuffer(buffer);
		for (int i = 0; i < MEMAI_MAX_REFINE_PAGES; i++)
			if (header.refine[i] != InvalidBlockNumber)
				free_page(relation, header.refine[i]);
		free_page(relation, blkno);
		blkno = next;
	}
}

void
memai_reclaim(Relation relation)
{
	/* a local relation's own horizon ignores this session's open scans */
	Relation	horizon = RELATION_IS_LOCAL(relation) ? NULL : relation;
	bool		freed = false;

	for (;;)
	{
		Buffer		meta = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_SHARE, MEMAI_PAGE_META);
		BlockNumber list = MemaiPageMeta(BufferGetPage(meta))->dead_head;
		GenericXLogState *state;
		MemaiListFacts	facts;
		MemaiMeta  *m;

		UnlockReleaseBuffer(meta);
		if (list == InvalidBlockNumber)
			break;
		memai_list_facts(relation, list, &facts);
		if (!GlobalVisCheckRemovableFullXid(horizon, FullTransactionIdFromU64(facts.header.dead_xid)))
			break;
		/* out of the queue first: a crash loses pages, never frees them twice */
		meta = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_META);
		state = GenericXLogStart(relation);
		m = MemaiPageMeta(GenericXLogRegisterBuffer(state, meta, 0));
		m->dead_head = facts.header.next_dead;
		if (m->dead_head == InvalidBlockNumber)
			m->dead_tail = InvalidBlockNumber;
		GenericXLogFinish(state);
		UnlockReleaseBuffer(meta);
		free_list(relation, list);
		freed = true;
	}
	/* searches for a page begin at the top of the map */
	if (freed)
		IndexFreeSpaceMapVacuum(relation);
}
