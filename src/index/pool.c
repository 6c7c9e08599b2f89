/*
 * pool.c
 *	  The most promising of many entries, without forgetting the others.
 *
 * Of each page read the lower bounds of its entries stay in an array, and the
 * entries with the least bounds are copied.  When the copies are used up they
 * are taken anew from the pages, by the array.  So nobody needs to know how
 * many will be asked for, and the codes are read once.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "index/search_int.h"

#define FIRST_PAGES 64

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

void
memai_pool_init(MemaiPool *pool, const MemaiLayout *layout)
{
	memset(pool, 0, sizeof(*pool));
	pool->layout = layout;
	pool->stride = (int) TYPEALIGN(layout->width, layout->capacity);
	pool->pages_size = FIRST_PAGES;
	pool->pages = palloc(sizeof(MemaiPageRef) * pool->pages_size);
	pool->bounds = palloc(sizeof(float) * pool->pages_size * pool->stride);
}

/* empties the least */
static void
restart(MemaiPool *pool, int target)
{
	pool->target = target;
	pool->n = pool->position = 0;
	pool->limit = INFINITY;
	pool->dropped = false;
	if (pool->size < 2 * target)
	{
		pool->size = 2 * target;
		if (pool->least)
			pfree(pool->least);
		pool->least = MemoryContextAllocHuge(GetMemoryChunkContext(pool->bounds),
											 sizeof(MemaiCandidate) * (Size) pool->size);
	}
}

void
memai_pool_clear(MemaiPool *pool, int target)
{
	pool->npages = 0;
	restart(pool, target);
}

int
memai_pool_add_page(MemaiPool *pool, BlockNumber blkno, uint64 list_id)
{
	float	   *bounds;

	if (pool->npages == pool->pages_size)
	{
		pool->pages_size *= 2;
		pool->pages = repalloc_huge(pool->pages, sizeof(MemaiPageRef) * (Size) pool->pages_size);
		pool->bounds = repalloc_huge(pool->bounds, sizeof(float) * (Size) pool->pages_size * pool->stride);
	}
	pool->pages[pool->npages].blkno = blkno;
	pool->pages[pool->npages].list_id = list_id;
	bounds = memai_pool_bounds(pool, pool->npages);
	for (int slot = 0; slot < pool->stride; slot++)
		bounds[slot] = INFINITY;
	return pool->npages++;
}

static void
fill_candidate(MemaiPool *pool, Page page, int slot, int number)
{
	const MemaiLayout *layout = pool->layout;
	MemaiCandidate *c = &pool->least[pool->n++];

	c->entry = (uint32) (number * pool->stride + slot);
	c->bound = pool->bounds[c->entry];
	c->correction = pool->means ? memai_route_correction(layout, page, slot, pool->metric) : 0;
	c->tid = *memai_slot_tid(layout, page, slot);
	c->centre = MemaiPageOpaque(page)->centre;
	c->refine = layout->refine_bits ? MemaiPageList(page)->refine[slot / layout->records] : InvalidBlockNumber;
	c->record = (uint16) (layout->refine_bits ? slot % layout->records : 0);
}

void
memai_pool_cut(MemaiPool *pool, int n)
{
	if (pool->n <= n)
		return;
	select_least(pool->least, pool->n, n);
	pool->n = n;
	pool->limit = pool->least[0].bound;
	for (int i = 1; i < n; i++)
		pool->limit = Max(pool->limit, pool->least[i].bound);
	pool->dropped = true;
}

void
memai_pool_collect(MemaiPool *pool, Page page, int number)
{
	const float *bounds = memai_pool_bounds(pool, number);
	int			used = Min(MemaiPageOpaque(page)->used, pool->layout->capacity);

	for (int slot = 0; slot < used; slot++)
	{
		if (!(bounds[slot] < pool->limit))
			continue;
		fill_candidate(pool, page, slot, number);
		if (pool->n == pool->size)
			memai_pool_cut(pool, pool->target);
	}
}

void
memai_pool_refill(MemaiPool *pool, Relation relation, int target)
{
	restart(pool, target);
	for (int i = 0; i < pool->npages; i++)
	{
		float	   *bounds = memai_pool_bounds(pool, i);
		bool		any = false;
		Buffer		buffer;
		Page		page;

		CHECK_FOR_INTERRUPTS();
		for (int slot = 0; slot < pool->stride; slot++)
			any |= bounds[slot] < pool->limit;
		if (!any)
			continue;
		buffer = memai_page_read(relation, pool->pages[i].blkno, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
		page = BufferGetPage(buffer);
		if (MemaiPageOpaque(page)->list_id != pool->pages[i].list_id)
			memai_report_reused(relation, pool->pages[i].blkno);
		/* vacuum may have killed some meanwhile */
		for (int slot = 0; slot < pool->layout->capacity; slot++)
			if (!ItemPointerIsValid(memai_slot_tid(pool->layout, page, slot)))
				bounds[slot] = INFINITY;
		memai_pool_collect(pool, page, i);
		UnlockReleaseBuffer(buffer);
	}
}

void
memai_pool_sort(MemaiPool *pool)
{
	sort_candidates(pool->least + pool->position, pool->n - pool->position);
}

void
memai_pool_use(MemaiPool *pool)
{
	pool->bounds[pool->least[pool->position++].entry] = INFINITY;
}
