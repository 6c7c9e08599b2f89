/*
 * search.c
 *	  Search: lists are read, nearest first, and their entries given out in
 *	  order of the bounds of their distances.
 *
 * Two pools (pool.c) keep what is read: the lists of a route (route.c) and
 * the rows of the lists.  A search never needs to know how many rows will be
 * asked for, and forgets no entry.  When all entries are consumed, or many in
 * relation to those read, more lists are read.
 *
 * No lock or pin is held between calls.  A list that was replaced since the
 * directory was read leads to its successors.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "index/search_int.h"
#include "vector/kernel.h"

#define FIRST_POOL 128
/* refine records are prefetched so far ahead */
#define REFINE_AHEAD 4
/* more lists are read when one in so many entries has been returned */
#define RETURNED_SHARE 16

static inline void
prefetch_bytes(const void *from, int bytes)
{
	for (int i = 0; i < bytes; i += MEMAI_CACHE_LINE)
		__builtin_prefetch((const char *) from + i);
}

/* room for a look-up table, which is read a cache line at a time */
static uint8 *
alloc_lut(int padded)
{
	return (uint8 *) TYPEALIGN(MEMAI_CACHE_LINE, palloc(4 * padded + MEMAI_CACHE_LINE));
}

MemaiSearch *
memai_search_create(MemaiIndex *index, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	MemaiSearch *search = palloc0(sizeof(MemaiSearch));
	int			padded = index->leaf.padded;

	search->index = index;
	search->context = context;
	search->metric = index->support->metric;
	search->q = palloc(sizeof(float) * padded);
	search->unpacked = palloc(padded);
	for (int i = 0; i < 2; i++)
	{
		search->query[i].r8 = palloc(padded);
		search->query[i].r8_rest = palloc(padded);
		search->query[i].lut = alloc_lut(padded);
	}
	memai_pool_init(&search->lists, &index->route);
	memai_pool_init(&search->rows, &index->leaf);
	search->most_pages = RelationGetNumberOfBlocks(index->relation);
	search->read_size = 64;
	search->read_lists = palloc(sizeof(BlockNumber) * search->read_size);
	MemoryContextSwitchTo(old);
	return search;
}

MemaiQuery *
memai_search_query(MemaiSearch *search, int centre)
{
	MemaiIndex *index = search->index;

	if (centre > 1)
		memai_report_corrupted(index->relation, MEMAI_META_BLKNO, "A list needs a centre that does not exist.");
	if (!search->prepared[centre])
	{
		if (centre == 1 && index->centre == NULL)
		{
			/* learnt after the index was opened */
			MemoryContext old = MemoryContextSwitchTo(search->context);
			MemaiIndex *fresh = memai_index_open(index->relation);

			MemoryContextSwitchTo(old);
			index->centre = fresh->centre;
			if (index->centre == NULL)
				memai_report_corrupted(index->relation, MEMAI_META_BLKNO, "A list needs a centre that the index does not have.");
		}
		memai_query_prepare(&search->query[centre], search->metric, index->leaf.padded, search->q,
							centre ? index->centre : NULL, search->epsilon, index->work);
		search->prepared[centre] = true;
	}
	return &search->query[centre];
}

void
memai_search_page(MemaiSearch *search, const MemaiLayout *layout, Page page, Page next, float *bounds)
{
	MemaiQuery *query = memai_search_query(search, MemaiPageOpaque(page)->centre);
	const MemaiScanKernels *kernels = memai_scan_kernels();
	MemaiBoundTerms terms = query->terms;
	int			used = MemaiPageOpaque(page)->used;
	uint32		sums[MEMAI_BLOCK_WIDTH] = {0};

	if (next == NULL)
		next = page;
	/* the kernel prefetches the codes; the header and the special space are ours */
	prefetch_bytes(next, MEMAI_SCAN_DATA);
	prefetch_bytes((char *) next + BLCKSZ - MEMAI_CACHE_LINE, MEMAI_CACHE_LINE);
	/* lists are ranked by estimates */
	if (layout == &search->index->route)
		terms.error_weight = 0;

	for (int slot = 0; slot < used; slot += layout->width)
	{
		char	   *block = memai_block(layout, page, slot);
		char	   *next_block = memai_block(layout, next, slot);
		float	   *add = (float *) (block + layout->add_offset);
		float	   *factor = (float *) (block + layout->factor_offset);
		float	   *error = (float *) (block + layout->error_offset);

		if (layout->width == MEMAI_BLOCK_WIDTH)
		{
			prefetch_bytes(next_block + layout->add_offset, layout->block_bytes - layout->add_offset);
			kernels->block_sums(layout->code_bytes, (uint8 *) block, query->lut, sums, next_block);
			kernels->block_bounds(&terms, sums, add, factor, error, bounds + slot);
		}
		else
		{
			memai_block_sums_any(layout->width, layout->code_bytes, (uint8 *) block, query->lut, sums);
			for (int j = 0; j < layout->width; j++)
				bounds[slot + j] = terms.base + add[j] -
					factor[j] * (terms.sum_weight * (float) sums[j] + terms.sum_offset) -
					error[j] * terms.error_weight;
		}
		if (layout->keyed)
			for (int j = 0; j < layout->width; j++)
				if (((uint64 *) (block + layout->hash_offset))[j] != search->hash)
					bounds[slot + j] = INFINITY;
	}
	for (int slot = used; slot < (int) TYPEALIGN(layout->width, used); slot++)
		bounds[slot] = INFINITY;
}

/* ---- reading lists ---- */

/* remembers a list as read; false when it was read before */
static bool
note_list(MemaiSearch *search, BlockNumber first)
{
	for (int i = search->redirected ? 0 : search->nread; i < search->nread; i++)
		if (search->read_lists[i] == first)
			return false;
	if (search->nread == search->read_size)
	{
		search->read_size *= 2;
		search->read_lists = repalloc(search->read_lists, sizeof(BlockNumber) * search->read_size);
	}
	search->read_lists[search->nread++] = first;
	return true;
}

/*
 * Reads the list that begins in buffer, which is pinned; releases it.  after
 * is the first page of the list to be read next, or invalid; the result is
 * that page's pin, taken early so that the kernel can prefetch it.
 */
static Buffer
read_list(MemaiSearch *search, Buffer buffer, BlockNumber after)
{
	Relation	relation = search->index->relation;
	uint64		list_id = 0;
	bool		first = true;

	for (;;)
	{
		Page		page = BufferGetPage(buffer);
		MemaiOpaque *opaque = MemaiPageOpaque(page);
		BlockNumber next;
		Buffer		next_buffer = InvalidBuffer;
		int			number;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		memai_page_check(relation, buffer, MEMAI_PAGE_SCAN);
		if (first && (opaque->flags & MEMAI_FLAG_MOVED))
		{
			BlockNumber moved[2];

			memcpy(moved, MemaiPageList(page)->moved, sizeof(moved));
			UnlockReleaseBuffer(buffer);
			search->redirected = true;
			for (int i = 0; i < 2; i++)
				if (moved[i] != InvalidBlockNumber && note_list(search, moved[i]))
					(void) read_list(search, memai_buffer_read(relation, moved[i]), InvalidBlockNumber);
			return after == InvalidBlockNumber ? InvalidBuffer : memai_buffer_read(relation, after);
		}
		if (first)
			list_id = opaque->list_id;
		if (opaque->list_id != list_id)
			memai_report_reused(relation, BufferGetBlockNumber(buffer));
		if (opaque->used > search->index->leaf.capacity || opaque->level != 0)
			memai_report_corrupted(relation, BufferGetBlockNumber(buffer), "A list does not look like one.");
		next = opaque->next;
		if (next != InvalidBlockNumber || after != InvalidBlockNumber)
		{
			next_buffer = memai_buffer_read(relation, next != InvalidBlockNumber ? next : after);
			/* a list that was built lies together, so this is a good guess */
			if (next != InvalidBlockNumber)
				memai_buffer_expect(relation, next + 1);
			if (after != InvalidBlockNumber)
				memai_buffer_expect(relation, after);
		}
		number = memai_pool_add_page(&search->rows, BufferGetBlockNumber(buffer), list_id);
		if ((BlockNumber) number > search->most_pages && (BlockNumber) number > RelationGetNumberOfBlocks(relation))
			memai_report_corrupted(relation, BufferGetBlockNumber(buffer), "The pages of a list go round in a circle.");
		memai_search_page(search, &search->index->leaf, page,
						  BufferIsValid(next_buffer) ? BufferGetPage(next_buffer) : NULL,
						  memai_pool_bounds(&search->rows, number));
		memai_pool_collect(&search->rows, page, number);
		search->scanned += opaque->used;
		UnlockReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
		if (next == InvalidBlockNumber)
			return next_buffer;
		buffer = next_buffer;
		first = false;
	}
}

/* reads the next n lists of the route */
static void
read_lists(MemaiSearch *search, int n)
{
	Relation	relation = search->index->relation;
	MemaiPool  *lists = &search->lists;
	Buffer		buffer = InvalidBuffer;

	n = memai_route_next(search, n);
	while (n-- > 0 && search->scanned < search->most_scanned)
	{
		MemaiCandidate *current = &lists->least[lists->position];
		BlockNumber list = ItemPointerGetBlockNumberNoCheck(&current->tid);
		BlockNumber after = n > 0 ? ItemPointerGetBlockNumberNoCheck(&current[1].tid) : InvalidBlockNumber;

		memai_pool_use(lists);
		if (!BufferIsValid(buffer))
			buffer = memai_buffer_read(relation, list);
		if (note_list(search, list))
			buffer = read_list(search, buffer, after);
		else
		{
			ReleaseBuffer(buffer);
			buffer = InvalidBuffer;
		}
	}
	if (BufferIsValid(buffer))
		ReleaseBuffer(buffer);
}

/*
 * Where the search for hash begins: a list of rows or, with about so many,
 * of lists; or neither.
 */
static BlockNumber
find_root(MemaiSearch *search, int *level, int *count)
{
	Relation	relation = search->index->relation;
	uint64		low;
	uint64		high;
	BlockNumber root = memai_directory_find(relation, search->hash, &low, &high);

	for (int hops = 0; root != InvalidBlockNumber; hops++)
	{
		Buffer		buffer = memai_page_read(relation, root, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
		MemaiOpaque *opaque = MemaiPageOpaque(BufferGetPage(buffer));
		MemaiListHeader *header = MemaiPageList(BufferGetPage(buffer));
		BlockNumber moved = header->moved[0];
		bool		to_route = false;

		*level = opaque->level;
		*count = header->pages <= 1 ? opaque->used :
			(int) Min(INT_MAX, ((double) header->pages - 0.5) * search->index->route.capacity);
		/* a list that became a route, or a compacted route: one successor */
		if ((opaque->flags & MEMAI_FLAG_MOVED) && header->moved[1] == InvalidBlockNumber)
			to_route = true;
		UnlockReleaseBuffer(buffer);
		if (!to_route || hops > 100)
			break;
		root = moved;
	}
	return root;
}

/* the first lists of a route of about count lists: probes of them or, if 0, by the settings */
static void
read_route(MemaiSearch *search, BlockNumber route, int probes, int count)
{
	float		gap = 0;

	if (probes <= 0)
	{
		probes = memai_probe_count(search->index, count);
		gap = memai_probe_gap(search->index, sqrtf(memai_kernels->f32_norm2(search->index->leaf.padded, search->q)));
	}
	memai_route_read(search, route, probes);
	if (gap > 0)
		probes = memai_route_within(search, gap, (int) Min((double) probes * MEMAI_PROBES_MOST, count));
	read_lists(search, probes);
}

void
memai_search_start(MemaiSearch *search, uint64 hash, const float *q, float epsilon, int probes, int64 most)
{
	int			level = 0;
	int			count = 0;
	BlockNumber root;

	memcpy(search->q, q, sizeof(float) * search->index->leaf.padded);
	search->hash = hash;
	search->epsilon = epsilon;
	search->nread = 0;
	search->scanned = search->consumed = 0;
	search->most_scanned = most;
	search->redirected = false;
	search->prepared[0] = search->prepared[1] = false;
	memai_pool_clear(&search->lists, 0);
	memai_pool_clear(&search->rows, FIRST_POOL);

	root = find_root(search, &level, &count);
	if (root == InvalidBlockNumber)
		return;
	if (level == 1)
		read_route(search, root, probes, count);
	else
		read_list(search, memai_buffer_read(search->index->relation, root), InvalidBlockNumber);
	memai_pool_sort(&search->rows);
}

/* ---- what scan.c asks for ---- */

static bool
more_lists(MemaiSearch *search)
{
	return memai_route_more(search) && search->scanned < search->most_scanned &&
		memai_iterative_scan != MEMAI_ORDER_OFF;
}

static void
refill(MemaiSearch *search, int target)
{
	memai_pool_refill(&search->rows, search->index->relation, target);
	memai_pool_sort(&search->rows);
}

/* doubles the number of lists read; what waits in the pool is found again by its bound */
static void
read_more_lists(MemaiSearch *search)
{
	read_lists(search, Max(search->nread, 1));
	refill(search, search->rows.target);
}

bool
memai_search_peek(MemaiSearch *search, MemaiCandidate *candidate)
{
	for (;;)
	{
		MemaiPool  *rows = &search->rows;

		if (rows->position < rows->n)
		{
			*candidate = rows->least[rows->position];
			return true;
		}
		if (rows->dropped)
			refill(search, 4 * rows->target);
		else if (more_lists(search))
			read_more_lists(search);
		else
			return false;
	}
}

float
memai_search_bound(const MemaiSearch *search)
{
	const MemaiPool *rows = &search->rows;

	if (rows->position < rows->n)
		return rows->least[rows->position].bound;
	return rows->dropped ? rows->limit : INFINITY;
}

void
memai_search_consume(MemaiSearch *search)
{
	search->consumed++;
	memai_pool_use(&search->rows);
}

void
memai_search_returned(MemaiSearch *search, int64 returned)
{
	if (returned * RETURNED_SHARE > search->scanned && more_lists(search))
		read_more_lists(search);
}

float
memai_search_estimate(MemaiSearch *search, const MemaiLayout *layout, const MemaiCandidate *c, float *margin)
{
	MemaiQuery *query = memai_search_query(search, c->centre);
	Buffer		buffer = memai_page_read(search->index->relation, c->refine, BUFFER_LOCK_SHARE, MEMAI_PAGE_REFINE);
	const MemaiRefineRecord *record = (const MemaiRefineRecord *)
	((char *) BufferGetPage(buffer) + MEMAI_REFINE_DATA + c->record * layout->record_bytes);
	float		scale;
	const uint8 *code = memai_record_code(layout, record, search->unpacked, &scale);
	float		distance = memai_query_estimate(query, record->add, scale, code);

	/* half a step of a 4-bit code is 16 of an 8-bit code */
	*margin = query->margin * scale * (layout->refine_bits == 4 ? 16 : 1);
	UnlockReleaseBuffer(buffer);
	return distance;
}

float
memai_search_refine(MemaiSearch *search, const MemaiCandidate *candidate, float *margin)
{
	const MemaiLayout *layout = &search->index->leaf;
	const MemaiPool *rows = &search->rows;
	int			ahead = rows->position + REFINE_AHEAD;

	/* records lie anywhere in memory: ask for those that come next */
	if (ahead < rows->n)
		memai_buffer_prefetch(search->index->relation, rows->least[ahead].refine,
							  MEMAI_REFINE_DATA + rows->least[ahead].record * layout->record_bytes,
							  layout->record_bytes);
	return memai_search_estimate(search, layout, candidate, margin);
}
