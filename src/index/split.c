/*
 * split.c
 *	  Replacing lists: a list that has grown too large by two, a list that is
 *	  mostly dead by a smaller one, a flat list by a route over two.
 *
 * The caller holds the move lock, so only appends happen beside us.  The
 * steps, each one WAL record or unreachable until the next:
 *	 1. the successors are written,
 *	 2. the list is locked, what was appended meanwhile is copied, and the list
 *		is marked as moved, which leads everybody to the successors,
 *	 3. the directory or the route is pointed at the successors,
 *	 4. the list is queued for reuse of its pages.
 * After a crash between 2 and 4 memai_repair does 3 and 4.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "index/index_int.h"

/* rows from which on the centre is learnt */
#define CENTRE_ROWS 24

/* how entries are dealt out to the one or two successors */
typedef struct Deal
{
	int			n;
	uint64		middle;			/* by hash: the second takes those from here on */
	MemaiClusters *clusters;	/* by the nearer centroid */
	bool		halves;			/* alternately */
	uint64		count;
} Deal;

static int
deal(Deal *d, const MemaiEntry *entry)
{
	if (d->n == 1)
		return 0;
	if (d->clusters)
		return memai_cluster_nearest(d->clusters, entry);
	if (d->halves)
		return (int) (d->count++ & 1);
	return entry->hash >= d->middle;
}

typedef struct ListFacts
{
	MemaiListHeader header;
	int			level;
	int			centre;
	int			flags;
} ListFacts;

static void
list_facts(Relation relation, BlockNumber list, ListFacts *facts)
{
	Buffer		buffer = memai_page_read(relation, list, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
	MemaiOpaque *opaque = MemaiPageOpaque(BufferGetPage(buffer));

	facts->header = *MemaiPageList(BufferGetPage(buffer));
	facts->level = opaque->level;
	facts->centre = opaque->centre;
	facts->flags = opaque->flags;
	UnlockReleaseBuffer(buffer);
}

/* ---- the centre ---- */

/* adds an entry's rotated vector to a sum */
static void
add_rotated(MemaiIndex *index, const MemaiEntry *entry, int centre, float *sum)
{
	int			padded = index->leaf.padded;
	float	   *y = index->work + padded;

	memai_decode(padded, &entry->code, y);
	for (int i = 0; i < padded; i++)
		sum[i] += centre ? y[i] + index->centre[i] : y[i];
}

static float *
mean_of(MemaiIndex *index, MemaiEntry *const *entries, int n, int centre)
{
	float	   *mean = palloc0(sizeof(float) * index->leaf.padded);

	for (int i = 0; i < n; i++)
		add_rotated(index, entries[i], centre, mean);
	for (int i = 0; i < index->leaf.padded && n > 0; i++)
		mean[i] /= (float) n;
	return mean;
}

/*
 * The centre that new lists use, learnt from these entries if there is none.
 * Signs alone do not say enough of a vector to encode it for another centre.
 */
static int
centre_for(MemaiIndex *index, MemaiEntry *const *entries, int n, int centre)
{
	if (index->leaf.refine_bits == 0)
		return centre;
	if (index->centre == NULL && n >= CENTRE_ROWS)
		memai_centre_store(index, mean_of(index, entries, n, 0), n);
	return index->centre != NULL;
}

/* encodes entries of a list with one centre for a list with another */
static void
change_centre(MemaiIndex *index, MemaiEntry *const *entries, int n, int from, int to)
{
	float	   *rotated;

	if (from == to)
		return;
	rotated = palloc(sizeof(float) * index->leaf.padded);
	for (int i = 0; i < n; i++)
	{
		memset(rotated, 0, sizeof(float) * index->leaf.padded);
		add_rotated(index, entries[i], from, rotated);
		memai_entry_encode(index, rotated, to, entries[i]);
	}
	pfree(rotated);
}

/* a route's entry for a list: its mean, encoded for the route's centre */
static MemaiEntry *
route_entry(MemaiIndex *index, BlockNumber list, int route_centre)
{
	MemaiEntry *entry = palloc0(MEMAI_ENTRY_SIZE(index->leaf.padded));
	MemaiEntry **entries;
	ListFacts	facts;
	uint64		position = 0;
	int			n;

	list_facts(index->relation, list, &facts);
	entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &n);
	memai_entry_encode(index, mean_of(index, entries, n, facts.centre), route_centre, entry);
	ItemPointerSet(&entry->tid, list, 1);
	return entry;
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

/* points the route at the successors of its child */
static void
relink_child(MemaiIndex *index, BlockNumber route, BlockNumber child, const ListFacts *facts)
{
	RouteFind	find;
	ListFacts	route_facts;

	list_facts(index->relation, route, &route_facts);
	/* the second first: until the child is overwritten it leads to both */
	if (facts->header.moved[1] != InvalidBlockNumber &&
		!find_child(index, route, facts->header.moved[1], &find))
	{
		MemaiEntry *entry = route_entry(index, facts->header.moved[1], route_facts.centre);
		Buffer		first = memai_page_read(index->relation, route, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);

		(void) memai_list_append(index, &index->route, first, entry);
		UnlockReleaseBuffer(first);
	}
	if (find_child(index, route, child, &find))
		overwrite_child(index, &find, route_entry(index, facts->header.moved[0], route_facts.centre));
}

/* points the directory at the successors of a list */
static void
relink_root(MemaiIndex *index, const ListFacts *facts)
{
	ListFacts	second;

	if (facts->header.moved[1] != InvalidBlockNumber)
	{
		list_facts(index->relation, facts->header.moved[1], &second);
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

static void
finish(MemaiIndex *index, BlockNumber route, BlockNumber list)
{
	ListFacts	facts;

	list_facts(index->relation, list, &facts);
	if (route != InvalidBlockNumber)
		relink_child(index, route, list, &facts);
	else
		relink_root(index, &facts);
	enqueue_dead(index->relation, list);
}

/* ---- step 2 ---- */

/*
 * Copies what was appended to the list since position to the parts and marks
 * the list as moved to the successors, which are the parts or a route to them.
 */
static void
move_over(MemaiIndex *index, BlockNumber list, uint64 position, Deal *d, const BlockNumber *parts,
		  const BlockNumber *successors, int from_centre, int to_centre)
{
	Relation	relation = index->relation;
	Buffer		first = memai_page_read(relation, list, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);
	GenericXLogState *state;
	Page		page;
	int			n;
	MemaiEntry **late = memai_list_read(index, &index->leaf, list, first, &position, &n);

	for (int i = 0; i < n; i++)
	{
		BlockNumber part = parts[deal(d, late[i])];
		Buffer		buffer = memai_page_read(relation, part, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);

		change_centre(index, &late[i], 1, from_centre, to_centre);
		(void) memai_list_append(index, &index->leaf, buffer, late[i]);
		UnlockReleaseBuffer(buffer);
	}
	state = GenericXLogStart(relation);
	page = GenericXLogRegisterBuffer(state, first, 0);
	MemaiPageOpaque(page)->flags |= MEMAI_FLAG_MOVED;
	MemaiPageList(page)->moved[0] = successors[0];
	MemaiPageList(page)->moved[1] = successors[1];
	GenericXLogFinish(state);
	UnlockReleaseBuffer(first);
}

/* ---- step 1 ---- */

/* writes the parts that the entries are dealt out to */
static void
write_parts(MemaiIndex *index, MemaiEntry **entries, int n, Deal *d, int from_centre, int to_centre,
			const uint64 *low, const uint64 *high, BlockNumber *parts)
{
	MemaiEntry **part[2];
	int			count[2] = {0, 0};

	for (int p = 0; p < 2; p++)
		part[p] = palloc(sizeof(MemaiEntry *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		int			p = deal(d, entries[i]);

		part[p][count[p]++] = entries[i];
	}
	/* dealt out by the old codes, so codes change only now */
	change_centre(index, entries, n, from_centre, to_centre);
	for (int p = 0; p < d->n; p++)
		parts[p] = memai_list_write(index, &index->leaf, 0, to_centre, low[p], high[p],
									part[p], count[p], true);
}

/* two centroids, or halves when all entries are much the same */
static void
plan_clusters(MemaiIndex *index, MemaiEntry **entries, int n, Deal *d)
{
	int			second = 0;

	d->n = 2;
	d->clusters = memai_cluster(index->leaf.padded, entries, n, 2);
	if (memai_cluster_count(d->clusters) == 2)
		for (int i = 0; i < n; i++)
			second += memai_cluster_nearest(d->clusters, entries[i]);
	if (second < n / 16 || n - second < n / 16)
	{
		d->clusters = NULL;
		d->halves = true;
	}
}

static int
compare_hashes(const void *a, const void *b)
{
	uint64		x = (*(MemaiEntry *const *) a)->hash;
	uint64		y = (*(MemaiEntry *const *) b)->hash;

	return (x > y) - (x < y);
}

/* the hash nearest to the middle of the sorted entries that begins a new run */
static uint64
middle_hash(MemaiEntry **entries, int n)
{
	for (int distance = 0; distance <= n / 2 + 1; distance++)
	{
		int			up = n / 2 + distance;
		int			down = n / 2 - distance;

		if (up < n && up > 0 && entries[up]->hash != entries[up - 1]->hash)
			return entries[up]->hash;
		if (down > 0 && down < n && entries[down]->hash != entries[down - 1]->hash)
			return entries[down]->hash;
	}
	elog(ERROR, "no second hash among %d entries", n);
}

/* replaces the list by one or two, as dealt; under a route or the directory */
static void
replace(MemaiIndex *index, BlockNumber route, BlockNumber list, const ListFacts *facts,
		MemaiEntry **entries, int n, uint64 position, Deal *d)
{
	int			centre = centre_for(index, entries, n, facts->centre);
	uint64		low[2] = {facts->header.hash_low, facts->header.hash_low};
	uint64		high[2] = {facts->header.hash_high, facts->header.hash_high};
	BlockNumber parts[2] = {InvalidBlockNumber, InvalidBlockNumber};

	if (d->n == 2 && d->clusters == NULL && !d->halves)
	{
		low[1] = d->middle;
		high[0] = d->middle - 1;
	}
	write_parts(index, entries, n, d, facts->centre, centre, low, high, parts);
	move_over(index, list, position, d, parts, parts, facts->centre, centre);
	finish(index, route, list);
}

/* makes a flat list a route to two lists */
static void
grow_route(MemaiIndex *index, BlockNumber list, const ListFacts *facts, MemaiEntry **entries, int n,
		   uint64 position)
{
	Deal		d = {0};
	int			centre = centre_for(index, entries, n, facts->centre);
	uint64		low[2] = {facts->header.hash_low, facts->header.hash_low};
	uint64		high[2] = {facts->header.hash_high, facts->header.hash_high};
	BlockNumber parts[2];
	BlockNumber successors[2] = {InvalidBlockNumber, InvalidBlockNumber};
	MemaiEntry *children[2];

	plan_clusters(index, entries, n, &d);
	write_parts(index, entries, n, &d, facts->centre, centre, low, high, parts);
	for (int p = 0; p < 2; p++)
		children[p] = route_entry(index, parts[p], centre);
	successors[0] = memai_list_write(index, &index->route, 1, centre, low[0], high[0], children, 2, true);
	move_over(index, list, position, &d, parts, successors, facts->centre, centre);
	finish(index, InvalidBlockNumber, list);
}

/*
 * Narrows a list's range to the one hash that it holds; false when a row of
 * another one was appended since the list was read up to position.
 */
static bool
isolate(MemaiIndex *index, BlockNumber list, ListFacts *facts, uint64 hash, uint64 position)
{
	uint64		low = facts->header.hash_low;
	uint64		high = facts->header.hash_high;
	Buffer		buffer = memai_page_read(index->relation, list, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);
	int			n;
	MemaiEntry **late = memai_list_read(index, &index->leaf, list, buffer, &position, &n);
	GenericXLogState *state;
	MemaiListHeader *header;

	for (int i = 0; i < n; i++)
		if (late[i]->hash != hash)
		{
			UnlockReleaseBuffer(buffer);
			return false;
		}
	state = GenericXLogStart(index->relation);
	header = MemaiPageList(GenericXLogRegisterBuffer(state, buffer, 0));
	header->hash_low = header->hash_high = hash;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	facts->header.hash_low = facts->header.hash_high = hash;
	if (low < hash)
		memai_repair(index, low);
	if (hash < high)
		memai_repair(index, high);
	return true;
}

/* a list that the directory points to */
static void
split_root(MemaiIndex *index, BlockNumber list, ListFacts *facts)
{
	uint64		position = 0;
	int			n;
	MemaiEntry **entries;
	bool		shared = index->leaf.keyed && facts->header.hash_low != facts->header.hash_high;

	if (!shared && (double) facts->header.pages * index->leaf.capacity <= index->meta.flat_size)
		return;
	entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &n);
	if (n < index->leaf.capacity)
		return;
	if (shared)
	{
		qsort(entries, n, sizeof(MemaiEntry *), compare_hashes);
		if (entries[0]->hash != entries[n - 1]->hash)
		{
			Deal		d = {.n = 2, .middle = middle_hash(entries, n)};

			replace(index, InvalidBlockNumber, list, facts, entries, n, position, &d);
			return;
		}
		if (!isolate(index, list, facts, entries[0]->hash, position))
			return;
	}
	if (n > (int) index->meta.flat_size)
		grow_route(index, list, facts, entries, n, position);
}

/* a list that a route points to */
static void
split_child(MemaiIndex *index, BlockNumber route, BlockNumber list, const ListFacts *facts)
{
	Deal		d = {0};
	uint64		position = 0;
	int			n;
	MemaiEntry **entries;

	if ((double) facts->header.pages * index->leaf.capacity <= 2.0 * index->meta.list_size)
		return;
	entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &n);
	if (n <= 2 * (int) index->meta.list_size)
		return;
	plan_clusters(index, entries, n, &d);
	replace(index, route, list, facts, entries, n, position, &d);
}

/* where hash's root is and whether list is it or below it */
static bool
find_parent(MemaiIndex *index, uint64 hash, BlockNumber list, BlockNumber *route)
{
	uint64		low;
	uint64		high;
	BlockNumber root = memai_directory_find(index->relation, hash, &low, &high);
	ListFacts	facts;
	RouteFind	find;

	*route = InvalidBlockNumber;
	if (root == list || root == InvalidBlockNumber)
		return root == list;
	list_facts(index->relation, root, &facts);
	if (facts.level != 1 || (facts.flags & MEMAI_FLAG_MOVED))
		return false;
	*route = root;
	return find_child(index, root, list, &find);
}

void
memai_split(MemaiIndex *caller, uint64 hash, BlockNumber list)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai index split", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemaiIndex *index = memai_index_open(caller->relation);
	BlockNumber route;
	ListFacts	facts;

	memai_reclaim(index->relation);
	if (find_parent(index, hash, list, &route))
	{
		list_facts(index->relation, list, &facts);
		if ((facts.flags & MEMAI_FLAG_MOVED) || facts.level != 0)
			memai_repair(index, hash);
		else if (route == InvalidBlockNumber)
			split_root(index, list, &facts);
		else
			split_child(index, route, list, &facts);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
memai_index_compact(MemaiIndex *caller, uint64 hash, BlockNumber list)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai index compact", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemaiIndex *index = memai_index_open(caller->relation);
	BlockNumber route;
	ListFacts	facts;
	Deal		d = {.n = 1};
	uint64		position = 0;
	int			n;
	MemaiEntry **entries;

	if (find_parent(index, hash, list, &route))
	{
		list_facts(index->relation, list, &facts);
		entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &n);
		replace(index, route, list, &facts, entries, n, position, &d);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---- repair ---- */

typedef struct MovedChildren
{
	MemaiIndex *index;
	BlockNumber *children;
	int			n;
	int			size;
} MovedChildren;

static bool
collect_children(void *arg, Buffer buffer, Page page)
{
	MovedChildren *c = arg;

	for (int slot = 0; slot < MemaiPageOpaque(page)->used; slot++)
	{
		if (c->n == c->size)
		{
			c->size *= 2;
			c->children = repalloc(c->children, sizeof(BlockNumber) * c->size);
		}
		c->children[c->n++] = ItemPointerGetBlockNumberNoCheck(memai_slot_tid(&c->index->route, page, slot));
	}
	return true;
}

/* finishes the moves of a route's children that a crash interrupted */
static void
repair_children(MemaiIndex *index, BlockNumber route)
{
	MovedChildren c = {.index = index, .size = 64};
	ListFacts	facts;

	c.children = palloc(sizeof(BlockNumber) * c.size);
	memai_list_walk(index->relation, route, InvalidBuffer, collect_children, &c);
	for (int i = 0; i < c.n; i++)
	{
		list_facts(index->relation, c.children[i], &facts);
		if (facts.flags & MEMAI_FLAG_MOVED)
			finish(index, route, c.children[i]);
	}
	pfree(c.children);
}

static BlockNumber
empty_list(MemaiIndex *index, uint64 low, uint64 high)
{
	return memai_list_write(index, &index->leaf, 0, index->centre != NULL, low, high, NULL, 0, true);
}

void
memai_repair(MemaiIndex *index, uint64 hash)
{
	uint64		low;
	uint64		high;
	BlockNumber list = memai_directory_find(index->relation, hash, &low, &high);
	ListFacts	facts;

	if (list == InvalidBlockNumber)
		return;
	list_facts(index->relation, list, &facts);
	if (facts.flags & MEMAI_FLAG_MOVED)
		finish(index, InvalidBlockNumber, list);
	else if (hash > facts.header.hash_high)
		memai_directory_set(index->relation, facts.header.hash_high + 1,
							empty_list(index, facts.header.hash_high + 1, high));
	else if (hash < facts.header.hash_low)
	{
		BlockNumber gap = empty_list(index, low, facts.header.hash_low - 1);

		memai_directory_set(index->relation, facts.header.hash_low, list);
		memai_directory_set(index->relation, low, gap);
	}
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
		ListFacts	facts;
		MemaiMeta  *m;

		UnlockReleaseBuffer(meta);
		if (list == InvalidBlockNumber)
			break;
		list_facts(relation, list, &facts);
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
