/*
 * list.c
 *	  Lists: a chain of scan pages, each with the refine pages of its entries.
 *
 * The first page stands for the list: whoever changes the list holds it
 * exclusively, then its last scan page, then a refine page.  A list only
 * grows; entries keep their places until the list is replaced.  Readers lock
 * one page at a time.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "index/index_int.h"

/* an empty scan page of a list */
static void
init_scan_page(const MemaiLayout *layout, Page page, uint64 list_id, int level, int centre)
{
	MemaiListHeader *list;

	memset(page, 0, BLCKSZ);
	memai_page_init(page, MEMAI_PAGE_SCAN);
	MemaiPageOpaque(page)->list_id = list_id;
	MemaiPageOpaque(page)->level = (uint8) level;
	MemaiPageOpaque(page)->centre = (uint8) centre;
	list = MemaiPageList(page);
	list->tail = list->next_dead = InvalidBlockNumber;
	list->moved[0] = list->moved[1] = InvalidBlockNumber;
	for (int i = 0; i < MEMAI_MAX_REFINE_PAGES; i++)
		list->refine[i] = InvalidBlockNumber;
	/* blocks are read whole, so slots without an entry must look dead */
	for (int slot = 0; slot < (int) TYPEALIGN(layout->width, layout->capacity); slot++)
		memai_slot_kill(layout, page, slot);
}

static void
init_refine_page(Page page, uint64 list_id)
{
	memset(page, 0, BLCKSZ);
	memai_page_init(page, MEMAI_PAGE_REFINE);
	MemaiPageOpaque(page)->list_id = list_id;
}

/* replaces the contents of a page that nothing points to yet */
static void
put_page(Relation relation, BlockNumber blkno, Page image, bool logged)
{
	Buffer		buffer = ReadBuffer(relation, blkno);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (logged)
	{
		GenericXLogState *state = GenericXLogStart(relation);

		memcpy(GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE), image, BLCKSZ);
		GenericXLogFinish(state);
	}
	else
	{
		START_CRIT_SECTION();
		memcpy(BufferGetPage(buffer), image, BLCKSZ);
		MarkBufferDirty(buffer);
		END_CRIT_SECTION();
	}
	UnlockReleaseBuffer(buffer);
}

static BlockNumber *
new_blocks(Relation relation, int n)
{
	BlockNumber *blocks = palloc(sizeof(BlockNumber) * n);

	for (int i = 0; i < n; i++)
	{
		Buffer		buffer = memai_page_new(relation);

		blocks[i] = BufferGetBlockNumber(buffer);
		UnlockReleaseBuffer(buffer);
	}
	return blocks;
}

/* writes the refine pages of up to capacity entries; returns how many */
static int
write_refine_pages(MemaiIndex *index, const MemaiLayout *layout, uint64 list_id,
				   const BlockNumber *blocks, MemaiEntry *const *entries, int n, bool logged)
{
	PGAlignedBlock image;
	int			pages = 0;

	if (layout->refine_bits == 0)
		return 0;
	for (int start = 0; start < n; start += layout->records)
	{
		int			count = Min(layout->records, n - start);

		init_refine_page((Page) image.data, list_id);
		for (int i = 0; i < count; i++)
			memai_record_write(layout, (Page) image.data, i, entries[start + i]);
		MemaiPageOpaque((Page) image.data)->used = (uint16) count;
		put_page(index->relation, blocks[pages++], (Page) image.data, logged);
	}
	return pages;
}

BlockNumber
memai_list_write(MemaiIndex *index, const MemaiLayout *layout, int level, int centre,
				 uint64 hash_low, uint64 hash_high, MemaiEntry *const *entries, int n, bool logged)
{
	Relation	relation = index->relation;
	PGAlignedBlock image;
	Page		page = (Page) image.data;
	int			scan_pages = Max(1, (n + layout->capacity - 1) / layout->capacity);
	int			last = n - (scan_pages - 1) * layout->capacity;
	int			blocks_needed = scan_pages + (scan_pages - 1) * layout->refine_pages +
	(layout->records ? (last + layout->records - 1) / layout->records : 0);
	BlockNumber *blocks = new_blocks(relation, blocks_needed);
	BlockNumber first = blocks[0];
	BlockNumber *refine = blocks + scan_pages;
	uint64		list_id = memai_list_ids(relation, 1);

	for (int i = 0; i < scan_pages; i++)
	{
		MemaiEntry *const *part = entries + i * layout->capacity;
		int			count = Min(layout->capacity, n - i * layout->capacity);
		MemaiListHeader *list = MemaiPageList(page);
		int			pages;

		CHECK_FOR_INTERRUPTS();
		init_scan_page(layout, page, list_id, level, centre);
		pages = write_refine_pages(index, layout, list_id, refine, part, count, logged);
		memcpy(list->refine, refine, sizeof(BlockNumber) * pages);
		refine += pages;
		for (int slot = 0; slot < count; slot++)
			memai_slot_write(layout, page, slot, part[slot]);
		MemaiPageOpaque(page)->used = (uint16) count;
		MemaiPageOpaque(page)->next = i + 1 < scan_pages ? blocks[i + 1] : InvalidBlockNumber;
		if (i == 0)
		{
			MemaiPageOpaque(page)->flags = MEMAI_FLAG_FIRST;
			list->hash_low = hash_low;
			list->hash_high = hash_high;
			list->tail = blocks[scan_pages - 1];
			list->pages = scan_pages;
		}
		put_page(relation, blocks[i], page, logged);
	}
	pfree(blocks);
	return first;
}

/* adds a scan page to the list when the last one is full; one record of four pages at most */
static void
append_with_new_page(MemaiIndex *index, const MemaiLayout *layout, Buffer first, Buffer tail,
					 const MemaiEntry *entry)
{
	Relation	relation = index->relation;
	MemaiOpaque *opaque = MemaiPageOpaque(BufferGetPage(first));
	uint64		list_id = opaque->list_id;
	int			level = opaque->level;
	int			centre = opaque->centre;
	Buffer		scan = memai_page_new(relation);
	Buffer		refine = layout->refine_bits ? memai_page_new(relation) : InvalidBuffer;
	GenericXLogState *state = GenericXLogStart(relation);
	Page		head = GenericXLogRegisterBuffer(state, first, 0);
	Page		old = tail == first ? head : GenericXLogRegisterBuffer(state, tail, 0);
	Page		page = GenericXLogRegisterBuffer(state, scan, GENERIC_XLOG_FULL_IMAGE);

	init_scan_page(layout, page, list_id, level, centre);
	memai_slot_write(layout, page, 0, entry);
	MemaiPageOpaque(page)->used = 1;
	if (BufferIsValid(refine))
	{
		Page		records = GenericXLogRegisterBuffer(state, refine, GENERIC_XLOG_FULL_IMAGE);

		init_refine_page(records, list_id);
		memai_record_write(layout, records, 0, entry);
		MemaiPageOpaque(records)->used = 1;
		MemaiPageList(page)->refine[0] = BufferGetBlockNumber(refine);
	}
	MemaiPageOpaque(old)->next = BufferGetBlockNumber(scan);
	MemaiPageList(head)->tail = BufferGetBlockNumber(scan);
	MemaiPageList(head)->pages++;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(scan);
	if (BufferIsValid(refine))
		UnlockReleaseBuffer(refine);
}

/* adds the entry to a scan page with room; one record of two pages */
static void
append_to_page(MemaiIndex *index, const MemaiLayout *layout, Buffer tail, const MemaiEntry *entry)
{
	Relation	relation = index->relation;
	Page		page = BufferGetPage(tail);
	int			slot = MemaiPageOpaque(page)->used;
	uint64		list_id = MemaiPageOpaque(page)->list_id;
	Buffer		refine = InvalidBuffer;
	bool		fresh = false;
	GenericXLogState *state;

	if (layout->refine_bits)
	{
		fresh = slot % layout->records == 0;
		refine = fresh ? memai_page_new(relation) :
			memai_page_read(relation, MemaiPageList(page)->refine[slot / layout->records],
							BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_REFINE);
	}
	state = GenericXLogStart(relation);
	page = GenericXLogRegisterBuffer(state, tail, 0);
	memai_slot_write(layout, page, slot, entry);
	MemaiPageOpaque(page)->used++;
	if (BufferIsValid(refine))
	{
		Page		records = GenericXLogRegisterBuffer(state, refine,
														fresh ? GENERIC_XLOG_FULL_IMAGE : 0);

		if (fresh)
		{
			init_refine_page(records, list_id);
			MemaiPageList(page)->refine[slot / layout->records] = BufferGetBlockNumber(refine);
		}
		memai_record_write(layout, records, slot % layout->records, entry);
		MemaiPageOpaque(records)->used = (uint16) (slot % layout->records + 1);
	}
	GenericXLogFinish(state);
	if (BufferIsValid(refine))
		UnlockReleaseBuffer(refine);
}

bool
memai_list_append(MemaiIndex *index, const MemaiLayout *layout, Buffer first, const MemaiEntry *entry)
{
	BlockNumber tail_block = MemaiPageList(BufferGetPage(first))->tail;
	Buffer		tail = first;
	int			used;

	if (tail_block != BufferGetBlockNumber(first))
		tail = memai_page_read(index->relation, tail_block, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);
	used = MemaiPageOpaque(BufferGetPage(tail))->used;
	if (used > layout->capacity)
		memai_report_corrupted(index->relation, tail_block, "The page says that it holds more than fits.");
	if (used == layout->capacity)
	{
		append_with_new_page(index, layout, first, tail, entry);
		used = 0;
	}
	else
		append_to_page(index, layout, tail, entry);
	if (tail != first)
		UnlockReleaseBuffer(tail);
	return used + 1 == layout->capacity;
}

void
memai_list_walk(Relation relation, BlockNumber first, Buffer held, MemaiPageVisitor visit, void *state)
{
	BlockNumber blkno = first;
	BlockNumber limit = RelationGetNumberOfBlocks(relation);
	BlockNumber visited = 0;
	uint64		list_id = 0;

	while (blkno != InvalidBlockNumber)
	{
		bool		mine = BufferIsValid(held) && blkno == BufferGetBlockNumber(held);
		Buffer		buffer = mine ? held :
		memai_page_read(relation, blkno, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
		Page		page = BufferGetPage(buffer);
		BlockNumber next = MemaiPageOpaque(page)->next;
		bool		more;

		CHECK_FOR_INTERRUPTS();
		if (visited == 0)
			list_id = MemaiPageOpaque(page)->list_id;
		else if (MemaiPageOpaque(page)->list_id != list_id)
			memai_report_reused(relation, blkno);
		if (++visited > limit && visited > RelationGetNumberOfBlocks(relation))
			memai_report_corrupted(relation, blkno, "The pages of a list go round in a circle.");
		more = visit(state, buffer, page);
		if (!mine)
			UnlockReleaseBuffer(buffer);
		if (!more)
			return;
		blkno = next;
	}
}

typedef struct ListRead
{
	MemaiIndex *index;
	const MemaiLayout *layout;
	uint64		start;
	uint64		position;
	MemaiEntry **entries;
	int			n;
	int			size;
} ListRead;

static bool
read_page(void *arg, Buffer buffer, Page page)
{
	ListRead   *read = arg;
	const MemaiLayout *layout = read->layout;
	int			used = MemaiPageOpaque(page)->used;
	Buffer		refine = InvalidBuffer;

	if (used > layout->capacity)
		memai_report_corrupted(read->index->relation, BufferGetBlockNumber(buffer),
							   "The page says that it holds more than fits.");
	for (int slot = 0; slot < used; slot++, read->position++)
	{
		if (read->position < read->start)
			continue;
		if (layout->refine_bits && (!BufferIsValid(refine) || slot % layout->records == 0))
		{
			if (BufferIsValid(refine))
				UnlockReleaseBuffer(refine);
			refine = memai_page_read(read->index->relation, MemaiPageList(page)->refine[slot / layout->records],
									 BUFFER_LOCK_SHARE, MEMAI_PAGE_REFINE);
		}
		if (!ItemPointerIsValid(memai_slot_tid(layout, page, slot)))
			continue;
		if (read->n == read->size)
		{
			read->size *= 2;
			read->entries = repalloc_huge(read->entries, sizeof(MemaiEntry *) * (Size) read->size);
		}
		read->entries[read->n] = palloc(MEMAI_ENTRY_SIZE(layout->padded));
		memai_slot_read(layout, page, slot, BufferIsValid(refine) ? BufferGetPage(refine) : NULL,
						read->entries[read->n++]);
	}
	if (BufferIsValid(refine))
		UnlockReleaseBuffer(refine);
	return true;
}

MemaiEntry **
memai_list_read(MemaiIndex *index, const MemaiLayout *layout, BlockNumber first, Buffer held,
				uint64 *position, int *n)
{
	ListRead	read = {.index = index, .layout = layout, .start = *position, .size = 64};

	read.entries = palloc(sizeof(MemaiEntry *) * read.size);
	memai_list_walk(index->relation, first, held, read_page, &read);
	*position = read.position;
	*n = read.n;
	return read.entries;
}
