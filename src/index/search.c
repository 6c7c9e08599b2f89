/*
 * search.c
 *	  Search: which lists to read, bounds of all their entries, and the most
 *	  promising entries in order of their bounds.
 *
 * Reading a page writes the lower bounds of its entries to an array and
 * copies the entries with the least bounds into a pool.  When the pool runs
 * dry it is filled again from the array, without another look at the codes
 * but for the TIDs.  So a search never needs to know how many rows will be
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

#include "index/index_int.h"

#define FIRST_POOL 128
/* refine records are prefetched so far ahead */
#define REFINE_AHEAD 4
/* of a route, this many times the lists to read are ranked by their 8-bit codes */
#define ROUTE_RANKED 3
/* more lists are read when one in so many entries has been returned */
#define RETURNED_SHARE 16

typedef struct PageRef
{
	BlockNumber blkno;
	uint64		list_id;
} PageRef;

#define CACHE_LINE 64

static inline void
prefetch_bytes(const void *from, int bytes)
{
	for (int i = 0; i < bytes; i += CACHE_LINE)
		__builtin_prefetch((const char *) from + i);
}

struct MemaiSearch
{
	MemaiIndex *index;
	MemoryContext context;
	uint64		hash;
	float		epsilon;
	float	   *q;				/* rotated query */
	MemaiMetric metric;			/* L2 when the nearest list of a new row is sought */
	MemaiQuery	query[2];		/* against no centre, against the centre */
	bool		prepared[2];
	uint8	   *unpacked;		/* of 4-bit codes */

	/* the lists of a route, the best first as far as ranked */
	MemaiCandidate *lists;
	int			nlists;
	int			next_list;
	int			ranked;
	BlockNumber *read_lists;	/* first pages of lists read, while any was a successor */
	int			nread;
	int			read_size;
	bool		redirected;

	PageRef    *pages;
	BlockNumber most_pages;		/* more pages than the index had at the start are suspect */
	int			npages;
	int			pages_size;
	int			stride;			/* bounds of a page */
	float	   *bounds;
	int64		scanned;

	MemaiCandidate *pool;
	int			npool;
	int			position;
	int			target;
	int			pool_size;
	float		limit;			/* entries with lesser bounds are in the pool */
	bool		dropped;		/* others exist */
};

#define ST_SORT sort_candidates
#define ST_ELEMENT_TYPE MemaiCandidate
#define ST_COMPARE(a, b) ((a)->bound < (b)->bound ? -1 : (a)->bound > (b)->bound)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* moves the n candidates with the least bounds to the front (quickselect) */
static void
select_least(MemaiCandidate *c, int count, int n)
{
	int			low = 0;
	int			high = count - 1;

	while (low < high)
	{
		float		pivot = c[low + (high - low) / 2].bound;
		int			i = low;
		int			j = high;

		while (i <= j)
		{
			while (c[i].bound < pivot)
				i++;
			while (c[j].bound > pivot)
				j--;
			if (i <= j)
			{
				MemaiCandidate swap = c[i];

				c[i++] = c[j];
				c[j--] = swap;
			}
		}
		if (n - 1 <= j)
			high = j;
		else if (n - 1 >= i)
			low = i;
		else
			break;
	}
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
		search->query[i].lut = palloc(4 * padded);
	}
	search->pool_size = 2 * FIRST_POOL;
	search->pool = palloc(sizeof(MemaiCandidate) * search->pool_size);
	search->pages_size = 64;
	search->pages = palloc(sizeof(PageRef) * search->pages_size);
	search->stride = (int) TYPEALIGN(index->leaf.width, index->leaf.capacity);
	search->bounds = palloc(sizeof(float) * search->pages_size * search->stride);
	search->most_pages = RelationGetNumberOfBlocks(index->relation);
	search->read_size = 64;
	search->read_lists = palloc(sizeof(BlockNumber) * search->read_size);
	MemoryContextSwitchTo(old);
	return search;
}

void
memai_search_free(MemaiSearch *search)
{
	if (search->lists)
		pfree(search->lists);
	search->lists = NULL;
}

/* the query against a list's centre */
static MemaiQuery *
query_for(MemaiSearch *search, int centre)
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

/* bounds of all slots of a scan page, dead and foreign ones infinite */
static void
page_bounds(MemaiSearch *search, const MemaiLayout *layout, Page page, Page next, float *bounds)
{
	MemaiQuery *query = query_for(search, MemaiPageOpaque(page)->centre);
	const MemaiScanKernels *kernels = memai_scan_kernels();
	MemaiBoundTerms terms = query->terms;
	int			used = MemaiPageOpaque(page)->used;
	uint32		sums[MEMAI_BLOCK_WIDTH] = {0};

	/* the kernel prefetches the codes; the header and the special space are ours */
	prefetch_bytes(next, MEMAI_SCAN_DATA);
	prefetch_bytes((char *) next + BLCKSZ - CACHE_LINE, CACHE_LINE);
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

static void
fill_candidate(MemaiCandidate *c, const MemaiLayout *layout, Page page, int slot, float bound, uint32 entry)
{
	c->bound = bound;
	c->entry = entry;
	c->correction = 0;
	c->tid = *memai_slot_tid(layout, page, slot);
	c->centre = MemaiPageOpaque(page)->centre;
	c->refine = layout->refine_bits ? MemaiPageList(page)->refine[slot / layout->records] : InvalidBlockNumber;
	c->record = (uint16) (layout->refine_bits ? slot % layout->records : 0);
}

/* ---- the pool ---- */

static void
reset_pool(MemaiSearch *search)
{
	search->npool = search->position = 0;
	search->limit = INFINITY;
	search->dropped = false;
	if (search->pool_size < 2 * search->target)
	{
		search->pool_size = 2 * search->target;
		search->pool = repalloc_huge(search->pool, sizeof(MemaiCandidate) * (Size) search->pool_size);
	}
}

/* takes over the entries of a page whose bounds are below the limit */
static void
collect_page(MemaiSearch *search, Page page, BlockNumber number)
{
	const MemaiLayout *layout = &search->index->leaf;
	float	   *bounds = search->bounds + (Size) number * search->stride;
	int			used = MemaiPageOpaque(page)->used;

	for (int slot = 0; slot < used; slot++)
	{
		if (!(bounds[slot] < search->limit))
			continue;
		fill_candidate(&search->pool[search->npool++], layout, page, slot, bounds[slot],
					   (uint32) (number * search->stride + slot));
		if (search->npool == search->pool_size)
		{
			select_least(search->pool, search->npool, search->target);
			search->npool = search->target;
			search->limit = 0;
			for (int i = 0; i < search->npool; i++)
				search->limit = i == 0 ? search->pool[0].bound : Max(search->limit, search->pool[i].bound);
			search->dropped = true;
		}
	}
}

/* fills the pool again, with a larger one, from the pages read so far */
static void
refill_pool(MemaiSearch *search)
{
	search->target *= 4;
	reset_pool(search);
	for (int i = 0; i < search->npages; i++)
	{
		float	   *bounds = search->bounds + (Size) i * search->stride;
		bool		any = false;
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		for (int slot = 0; slot < search->stride; slot++)
			any |= bounds[slot] < search->limit;
		if (!any)
			continue;
		buffer = memai_page_read(search->index->relation, search->pages[i].blkno,
								 BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
		if (MemaiPageOpaque(BufferGetPage(buffer))->list_id != search->pages[i].list_id)
			memai_report_reused(search->index->relation, search->pages[i].blkno);
		/* vacuum may have killed some meanwhile */
		for (int slot = 0; slot < search->index->leaf.capacity; slot++)
			if (!ItemPointerIsValid(memai_slot_tid(&search->index->leaf, BufferGetPage(buffer), slot)))
				bounds[slot] = INFINITY;
		collect_page(search, BufferGetPage(buffer), i);
		UnlockReleaseBuffer(buffer);
	}
	sort_candidates(search->pool, search->npool);
}

/* ---- reading lists ---- */

static BlockNumber
add_page(MemaiSearch *search, BlockNumber blkno, uint64 list_id)
{
	if (search->npages == search->pages_size)
	{
		search->pages_size *= 2;
		search->pages = repalloc_huge(search->pages, sizeof(PageRef) * (Size) search->pages_size);
		search->bounds = repalloc_huge(search->bounds,
									   sizeof(float) * (Size) search->pages_size * search->stride);
	}
	search->pages[search->npages].blkno = blkno;
	search->pages[search->npages].list_id = list_id;
	for (int slot = 0; slot < search->stride; slot++)
		search->bounds[(Size) search->npages * search->stride + slot] = INFINITY;
	return (BlockNumber) search->npages++;
}

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
		BlockNumber number;

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
		number = add_page(search, BufferGetBlockNumber(buffer), list_id);
		if (number > search->most_pages && number > RelationGetNumberOfBlocks(relation))
			memai_report_corrupted(relation, BufferGetBlockNumber(buffer), "The pages of a list go round in a circle.");
		page_bounds(search, &search->index->leaf, page,
					BufferIsValid(next_buffer) ? BufferGetPage(next_buffer) : page,
					search->bounds + (Size) number * search->stride);
		collect_page(search, page, number);
		search->scanned += opaque->used;
		UnlockReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
		if (next == InvalidBlockNumber)
			return next_buffer;
		buffer = next_buffer;
		first = false;
	}
}

/* ranks lists from next_list on so that the next n are in order */
static void
rank_lists(MemaiSearch *search, int n)
{
	MemaiCandidate *lists = search->lists + search->next_list;
	int			count = search->nlists - search->next_list;
	int			ranked = Min(count, Max(64, ROUTE_RANKED * n));

	if (ranked < count)
		select_least(lists, count, ranked);
	for (int i = 0; i < ranked; i++)
	{
		const MemaiLayout *route = &search->index->route;
		float		margin;

		if (i + REFINE_AHEAD < ranked)
			memai_buffer_prefetch(search->index->relation, lists[i + REFINE_AHEAD].refine,
								  MEMAI_REFINE_DATA + lists[i + REFINE_AHEAD].record * route->record_bytes,
								  route->record_bytes);

		lists[i].bound = memai_search_refine_as(search, &search->index->route, &lists[i], &margin) +
			lists[i].correction;
	}
	sort_candidates(lists, ranked);
}

/* reads the next n lists of the route */
static void
read_lists(MemaiSearch *search, int n)
{
	Relation	relation = search->index->relation;
	Buffer		buffer = InvalidBuffer;

	n = Min(n, search->nlists - search->next_list);
	if (n > 0)
		rank_lists(search, n);
	while (n-- > 0 && search->scanned < memai_max_scan_tuples)
	{
		MemaiCandidate *current = &search->lists[search->next_list++];
		BlockNumber list = ItemPointerGetBlockNumberNoCheck(&current->tid);
		BlockNumber after = n > 0 ? ItemPointerGetBlockNumberNoCheck(&current[1].tid) : InvalidBlockNumber;

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

typedef struct RouteRead
{
	MemaiSearch *search;
	int			size;
	float	   *bounds;
} RouteRead;

/*
 * A row goes to the list with the nearest mean, whatever the metric.  With
 * inner products, add is not |y|^2, but factor and error imply it.
 */
static float
correction(const MemaiLayout *layout, Page page, int slot)
{
	float		factor = *memai_slot_floats(layout, page, slot, layout->factor_offset);
	float		error = *memai_slot_floats(layout, page, slot, layout->error_offset);

	return (float) layout->padded * (factor * factor - error * error) -
		*memai_slot_floats(layout, page, slot, layout->add_offset);
}

static bool
read_route_page(void *arg, Buffer buffer, Page page)
{
	RouteRead  *read = arg;
	MemaiSearch *search = read->search;
	const MemaiLayout *layout = &search->index->route;
	int			used = MemaiPageOpaque(page)->used;

	if (used > layout->capacity || MemaiPageOpaque(page)->level != 1)
		memai_report_corrupted(search->index->relation, BufferGetBlockNumber(buffer), "A list does not look like one.");
	page_bounds(search, layout, page, page, read->bounds);
	if (search->nlists + used > read->size)
	{
		read->size = Max(read->size * 2, search->nlists + used);
		search->lists = search->lists ?
			repalloc_huge(search->lists, sizeof(MemaiCandidate) * (Size) read->size) :
			MemoryContextAlloc(search->context, sizeof(MemaiCandidate) * (Size) read->size);
	}
	for (int slot = 0; slot < used; slot++)
		if (isfinite(read->bounds[slot]))
		{
			MemaiCandidate *list = &search->lists[search->nlists++];

			fill_candidate(list, layout, page, slot, read->bounds[slot], 0);
			if (search->metric != search->index->support->metric)
			{
				list->correction = correction(layout, page, slot);
				list->bound += list->correction;
			}
		}
	return true;
}

/* fills lists with the children of a route, with distances by their 1-bit codes */
static void
read_route(MemaiSearch *search, BlockNumber route)
{
	RouteRead	read = {.search = search, .size = search->lists ? search->nlists : 0};

	read.bounds = palloc(sizeof(float) * (search->index->route.capacity + MEMAI_BLOCK_WIDTH));
	search->nlists = 0;
	memai_list_walk(search->index->relation, route, InvalidBuffer, read_route_page, &read);
	pfree(read.bounds);
}

/* where the search for hash begins: a list of rows or of lists, or neither */
static BlockNumber
find_root(MemaiSearch *search, int *level)
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

void
memai_search_start(MemaiSearch *search, uint64 hash, const float *q, float epsilon, int probes)
{
	int			level = 0;
	BlockNumber root;

	memcpy(search->q, q, sizeof(float) * search->index->leaf.padded);
	search->hash = hash;
	search->epsilon = epsilon;
	search->npages = search->nread = search->nlists = search->next_list = 0;
	search->scanned = 0;
	search->redirected = false;
	search->target = FIRST_POOL;
	search->prepared[0] = search->prepared[1] = false;
	reset_pool(search);

	root = find_root(search, &level);
	if (root == InvalidBlockNumber)
		return;
	if (level == 1)
	{
		read_route(search, root);
		read_lists(search, probes > 0 ? probes :
				   memai_probe_count(search->index->relation, search->nlists));
	}
	else
		read_list(search, memai_buffer_read(search->index->relation, root), InvalidBlockNumber);
	sort_candidates(search->pool, search->npool);
}

/* ---- what scan.c asks for ---- */

static bool
more_lists(MemaiSearch *search)
{
	return search->next_list < search->nlists && search->scanned < memai_max_scan_tuples &&
		memai_iterative_scan != MEMAI_ORDER_OFF;
}

/* doubles the number of lists read; the pool starts anew */
static void
read_more_lists(MemaiSearch *search)
{
	/* what waits in the pool is found again through its bound */
	reset_pool(search);
	read_lists(search, Max(search->next_list, 1));
	search->target /= 4;
	refill_pool(search);
}

bool
memai_search_peek(MemaiSearch *search, MemaiCandidate *candidate)
{
	for (;;)
	{
		if (search->position < search->npool)
		{
			*candidate = search->pool[search->position];
			return true;
		}
		if (search->dropped)
			refill_pool(search);
		else if (more_lists(search))
			read_more_lists(search);
		else
			return false;
	}
}

float
memai_search_bound(const MemaiSearch *search)
{
	if (search->position < search->npool)
		return search->pool[search->position].bound;
	return search->dropped ? search->limit : INFINITY;
}

void
memai_search_consume(MemaiSearch *search)
{
	search->bounds[search->pool[search->position++].entry] = INFINITY;
}

void
memai_search_returned(MemaiSearch *search, int64 returned)
{
	if (returned * RETURNED_SHARE > search->scanned && more_lists(search))
		read_more_lists(search);
}

int64
memai_search_scanned(const MemaiSearch *search)
{
	return search->scanned;
}

float
memai_search_refine_as(MemaiSearch *search, const MemaiLayout *layout, const MemaiCandidate *c, float *margin)
{
	MemaiQuery *query = query_for(search, c->centre);
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
	int			ahead = search->position + REFINE_AHEAD;

	/* records lie anywhere in memory: ask for those that come next */
	if (ahead < search->npool)
		memai_buffer_prefetch(search->index->relation, search->pool[ahead].refine,
							  MEMAI_REFINE_DATA + search->pool[ahead].record * layout->record_bytes,
							  layout->record_bytes);
	return memai_search_refine_as(search, &search->index->leaf, candidate, margin);
}

BlockNumber
memai_route_nearest(MemaiIndex *index, BlockNumber route, const float *rotated)
{
	MemaiSearch *search = memai_search_create(index, CurrentMemoryContext);
	BlockNumber nearest;

	if (search->metric == MEMAI_METRIC_IP)
		search->metric = MEMAI_METRIC_L2;
	memcpy(search->q, rotated, sizeof(float) * index->leaf.padded);
	read_route(search, route);
	if (search->nlists == 0)
		memai_report_corrupted(index->relation, route, "A route leads nowhere.");
	rank_lists(search, 8);
	nearest = ItemPointerGetBlockNumberNoCheck(&search->lists[0].tid);
	memai_search_free(search);
	return nearest;
}
