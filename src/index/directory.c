/*
 * directory.c
 *	  The key directory: a B-tree from hashes of the key columns to lists.
 *
 * Items cover ranges of hashes, so tenants with few rows share a list.  Only
 * the holder of the move lock changes the directory.  Pages split to the
 * right and link to the right (Lehman and Yao), so a reader that comes from a
 * parent read before a split finds its way; it holds one page lock at a time.
 * The root stays at its block: when it is full, its items move into two new
 * pages.  A split is one WAL record of three pages.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "index/index_int.h"

/* position of the item that covers hash; -1 when the page is empty */
static int
find_item(const MemaiDirectory *directory, int used, uint64 hash)
{
	int			low = 0;
	int			high = used;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (directory->items[middle].low <= hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/* the share-locked page of a level that covers hash */
static Buffer
descend(Relation relation, uint64 hash, uint32 level)
{
	BlockNumber blkno = MEMAI_ROOT_BLKNO;
	BlockNumber steps = 0;

	for (;;)
	{
		Buffer		buffer = memai_page_read(relation, blkno, BUFFER_LOCK_SHARE, MEMAI_PAGE_DIRECTORY);
		Page		page = BufferGetPage(buffer);
		MemaiDirectory *directory = MemaiPageDirectory(page);
		int			item;

		if (++steps > 1000)
			memai_report_corrupted(relation, blkno, "The links of the key directory go round in a circle.");
		if (hash > directory->high)
			blkno = MemaiPageOpaque(page)->next;
		else if (directory->level == level)
			return buffer;
		else
		{
			item = find_item(directory, MemaiPageOpaque(page)->used, hash);
			if (item < 0 || directory->level < level)
				memai_report_corrupted(relation, blkno, "The key directory does not lead on.");
			blkno = directory->items[item].child;
		}
		UnlockReleaseBuffer(buffer);
	}
}

BlockNumber
memai_directory_find(Relation relation, uint64 hash, uint64 *low, uint64 *high)
{
	Buffer		buffer = descend(relation, hash, 0);
	Page		page = BufferGetPage(buffer);
	MemaiDirectory *directory = MemaiPageDirectory(page);
	int			used = MemaiPageOpaque(page)->used;
	int			item = find_item(directory, used, hash);
	BlockNumber list = InvalidBlockNumber;

	if (item >= 0)
	{
		list = directory->items[item].child;
		*low = directory->items[item].low;
		*high = item + 1 < used ? directory->items[item + 1].low - 1 : directory->high;
	}
	UnlockReleaseBuffer(buffer);
	return list;
}

static void
copy_items(Page page, uint32 level, uint64 high, BlockNumber next,
		   const MemaiDirectoryItem *items, int n)
{
	MemaiDirectory *directory;

	memai_page_init(page, MEMAI_PAGE_DIRECTORY);
	directory = MemaiPageDirectory(page);
	directory->level = level;
	directory->high = high;
	directory->unused = 0;
	memcpy(directory->items, items, sizeof(*items) * n);
	MemaiPageOpaque(page)->used = (uint16) n;
	MemaiPageOpaque(page)->next = next;
}

static void
add_item(Page page, int position, uint64 low, BlockNumber child)
{
	MemaiDirectory *directory = MemaiPageDirectory(page);
	MemaiOpaque *opaque = MemaiPageOpaque(page);

	memmove(&directory->items[position + 1], &directory->items[position],
			sizeof(MemaiDirectoryItem) * (opaque->used - position));
	directory->items[position].low = low;
	directory->items[position].child = child;
	directory->items[position].unused = 0;
	opaque->used++;
}

/* moves the root's items into two new pages below it; root is locked */
static void
split_root(Relation relation, Buffer root)
{
	PGAlignedBlock copy;
	MemaiDirectory *old = MemaiPageDirectory((Page) copy.data);
	Buffer		left = memai_page_new(relation);
	Buffer		right = memai_page_new(relation);
	GenericXLogState *state = GenericXLogStart(relation);
	Page		page = GenericXLogRegisterBuffer(state, root, 0);
	int			used = MemaiPageOpaque(page)->used;
	int			half = used / 2;
	uint64		middle;

	memcpy(copy.data, page, BLCKSZ);
	middle = old->items[half].low;
	copy_items(GenericXLogRegisterBuffer(state, left, GENERIC_XLOG_FULL_IMAGE), old->level,
			   middle - 1, BufferGetBlockNumber(right), old->items, half);
	copy_items(GenericXLogRegisterBuffer(state, right, GENERIC_XLOG_FULL_IMAGE), old->level,
			   PG_UINT64_MAX, InvalidBlockNumber, old->items + half, used - half);
	MemaiPageDirectory(page)->level = old->level + 1;
	MemaiPageOpaque(page)->used = 0;
	add_item(page, 0, old->items[0].low, BufferGetBlockNumber(left));
	add_item(page, 1, middle, BufferGetBlockNumber(right));
	GenericXLogFinish(state);
	UnlockReleaseBuffer(left);
	UnlockReleaseBuffer(right);
}

/* splits a full page below parent, which has room; both are locked */
static void
split_page(Relation relation, Buffer parent, Buffer buffer)
{
	PGAlignedBlock copy;
	MemaiDirectory *old = MemaiPageDirectory((Page) copy.data);
	Buffer		right = memai_page_new(relation);
	GenericXLogState *state = GenericXLogStart(relation);
	Page		upper = GenericXLogRegisterBuffer(state, parent, 0);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	int			used = MemaiPageOpaque(page)->used;
	int			half = used / 2;
	uint64		middle;

	memcpy(copy.data, page, BLCKSZ);
	middle = old->items[half].low;
	copy_items(GenericXLogRegisterBuffer(state, right, GENERIC_XLOG_FULL_IMAGE), old->level,
			   old->high, MemaiPageOpaque((Page) copy.data)->next, old->items + half, used - half);
	MemaiPageDirectory(page)->high = middle - 1;
	MemaiPageOpaque(page)->next = BufferGetBlockNumber(right);
	MemaiPageOpaque(page)->used = (uint16) half;
	add_item(upper, find_item(MemaiPageDirectory(upper), MemaiPageOpaque(upper)->used, middle) + 1,
			 middle, BufferGetBlockNumber(right));
	GenericXLogFinish(state);
	UnlockReleaseBuffer(right);
}

/*
 * The exclusively locked leaf for hash, with room for an item: full pages on
 * the way are split, so a parent always has room for its child's sibling.
 */
static Buffer
descend_for_insert(Relation relation, uint64 hash)
{
	Buffer		buffer = memai_page_read(relation, MEMAI_ROOT_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_DIRECTORY);

	if (MemaiPageOpaque(BufferGetPage(buffer))->used == MEMAI_DIRECTORY_ITEMS)
		split_root(relation, buffer);
	for (;;)
	{
		Page		page = BufferGetPage(buffer);
		MemaiDirectory *directory = MemaiPageDirectory(page);
		Buffer		child;
		int			item;

		if (directory->level == 0)
			return buffer;
		item = find_item(directory, MemaiPageOpaque(page)->used, hash);
		if (item < 0)
			memai_report_corrupted(relation, BufferGetBlockNumber(buffer), "The key directory does not lead on.");
		child = memai_page_read(relation, directory->items[item].child, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_DIRECTORY);
		if (MemaiPageOpaque(BufferGetPage(child))->used == MEMAI_DIRECTORY_ITEMS)
		{
			split_page(relation, buffer, child);
			/* choose again between the two halves */
			UnlockReleaseBuffer(child);
			continue;
		}
		UnlockReleaseBuffer(buffer);
		buffer = child;
	}
}

void
memai_directory_set(Relation relation, uint64 low, BlockNumber list)
{
	Buffer		buffer = descend_for_insert(relation, low);
	GenericXLogState *state = GenericXLogStart(relation);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	MemaiDirectory *directory = MemaiPageDirectory(page);
	int			item = find_item(directory, MemaiPageOpaque(page)->used, low);

	if (item >= 0 && directory->items[item].low == low)
		directory->items[item].child = list;
	else
		add_item(page, item + 1, low, list);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

void
memai_directory_walk(Relation relation, MemaiListVisitor visit, void *state)
{
	MemaiDirectory *copy = palloc(BLCKSZ);
	uint64		hash = 0;

	for (;;)
	{
		Buffer		buffer = descend(relation, hash, 0);
		Page		page = BufferGetPage(buffer);
		int			used = MemaiPageOpaque(page)->used;
		int			start;

		memcpy(copy, MemaiPageDirectory(page),
			   offsetof(MemaiDirectory, items) + sizeof(MemaiDirectoryItem) * used);
		UnlockReleaseBuffer(buffer);
		start = Max(find_item(copy, used, hash), 0);
		for (int i = start; i < used; i++)
		{
			CHECK_FOR_INTERRUPTS();
			visit(state, copy->items[i].low,
				  i + 1 < used ? copy->items[i + 1].low - 1 : copy->high, copy->items[i].child);
		}
		if (copy->high == PG_UINT64_MAX)
			break;
		hash = copy->high + 1;
	}
	pfree(copy);
}
