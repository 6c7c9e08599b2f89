/*
 * route.c
 *	  Which lists of a route to read: those whose rows may be nearest, first.
 *
 * 1-bit codes of the lists' means give estimates for all of them, which leave
 * a few times as many as are wanted, and 8-bit codes put those in order.
 */
#include "postgres.h"

#include <math.h>

#include "index/search_int.h"

/* as many times the lists wanted, and at least so many, are looked at closely */
#define RANKED 2
#define LEAST_RANKED 32
/* records are prefetched so far ahead */
#define RANK_AHEAD 4

static bool
read_page(void *arg, Buffer buffer, Page page)
{
	MemaiSearch *search = arg;
	MemaiPool  *lists = &search->lists;
	const MemaiLayout *layout = lists->layout;
	int			used = MemaiPageOpaque(page)->used;
	int			number;
	float	   *bounds;

	if (used > layout->capacity || MemaiPageOpaque(page)->level != 1)
		memai_report_corrupted(search->index->relation, BufferGetBlockNumber(buffer), "A list does not look like one.");
	number = memai_pool_add_page(lists, BufferGetBlockNumber(buffer), MemaiPageOpaque(page)->list_id);
	bounds = memai_pool_bounds(lists, number);
	memai_search_page(search, layout, page,
					  memai_buffer_guess(search->index->relation, MemaiPageOpaque(page)->next), bounds);
	for (int slot = 0; lists->means && slot < used; slot++)
		bounds[slot] += memai_route_correction(layout, page, slot, lists->metric);
	memai_pool_collect(lists, page, number);
	return true;
}

/* puts as many of the least lists in order as are worth it for n */
static void
rank(MemaiSearch *search, int n)
{
	MemaiPool  *lists = &search->lists;
	Relation	relation = search->index->relation;

	memai_pool_cut(lists, Max(LEAST_RANKED, RANKED * n));
	for (int i = 0; i < lists->n; i++)
	{
		MemaiCandidate *c = &lists->least[i];
		float		margin;

		if (i + RANK_AHEAD < lists->n)
			memai_buffer_prefetch(relation, c[RANK_AHEAD].refine,
								  MEMAI_REFINE_DATA + c[RANK_AHEAD].record * lists->layout->record_bytes,
								  lists->layout->record_bytes);
		c->bound = memai_search_estimate(search, lists->layout, c, &margin) + c->correction;
	}
	memai_pool_sort(lists);
}

void
memai_route_read(MemaiSearch *search, BlockNumber route, int n)
{
	memai_pool_clear(&search->lists, Max(LEAST_RANKED, RANKED * n));
	memai_list_walk(search->index->relation, route, InvalidBuffer, read_page, search);
	rank(search, n);
}

int
memai_route_next(MemaiSearch *search, int n)
{
	MemaiPool  *lists = &search->lists;

	if (lists->n - lists->position < n && lists->dropped)
	{
		memai_pool_refill(lists, search->index->relation, Max(LEAST_RANKED, RANKED * n));
		rank(search, n);
	}
	return Min(n, lists->n - lists->position);
}

int
memai_route_within(MemaiSearch *search, float gap, int most)
{
	MemaiPool  *lists = &search->lists;
	int			n = 0;

	while (n < most)
	{
		/* the last quarter of those in order is not to be relied on */
		if (lists->dropped && 4 * n > 3 * (lists->n - lists->position))
		{
			memai_pool_refill(lists, search->index->relation, RANKED * RANKED * n);
			rank(search, RANKED * n);
		}
		if (lists->position + n >= lists->n ||
			lists->least[lists->position + n].bound > lists->least[lists->position].bound + gap)
			break;
		n++;
	}
	return n;
}

bool
memai_route_more(const MemaiSearch *search)
{
	return search->lists.position < search->lists.n || search->lists.dropped;
}

BlockNumber
memai_route_nearest(MemaiIndex *index, BlockNumber route, const float *rotated)
{
	MemaiSearch *search = memai_search_create(index, CurrentMemoryContext);

	search->lists.means = true;
	search->lists.metric = search->metric;
	if (search->metric == MEMAI_METRIC_IP)
		search->metric = MEMAI_METRIC_L2;
	memcpy(search->q, rotated, sizeof(float) * index->leaf.padded);
	memai_route_read(search, route, 8);
	if (search->lists.n == 0)
		memai_report_corrupted(index->relation, route, "A route leads nowhere.");
	return ItemPointerGetBlockNumberNoCheck(&search->lists.least[0].tid);
}
