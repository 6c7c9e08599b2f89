/*
 * search_int.h
 *	  A search under way, for search.c, route.c and pool.c.
 */
#ifndef MEMAI_SEARCH_INT_H
#define MEMAI_SEARCH_INT_H

#include "index/index_int.h"

typedef struct MemaiPageRef
{
	BlockNumber blkno;
	uint64		list_id;
} MemaiPageRef;

/*
 * The bounds of all entries of the pages read, and copies of the entries with
 * the least, which are used up one after the other.
 */
typedef struct MemaiPool
{
	const MemaiLayout *layout;
	bool		means;			/* candidates carry memai_route_correction */
	MemaiMetric metric;
	MemaiPageRef *pages;
	int			npages;
	int			pages_size;
	int			stride;			/* bounds of a page */
	float	   *bounds;			/* infinite once used up */
	MemaiCandidate *least;
	int			n;
	int			position;		/* of the next to be used */
	int			target;			/* how many are to be kept at least */
	int			size;
	float		limit;			/* entries with lesser bounds are among the least */
	bool		dropped;		/* others exist */
} MemaiPool;

/* ---- pool.c ---- */
extern void memai_pool_init(MemaiPool *pool, const MemaiLayout *layout);
/* Forgets everything. */
extern void memai_pool_clear(MemaiPool *pool, int target);
/* Adds a page; its bounds, all infinite, are at memai_pool_bounds(pool, result). */
extern int	memai_pool_add_page(MemaiPool *pool, BlockNumber blkno, uint64 list_id);
static inline float *
memai_pool_bounds(const MemaiPool *pool, int page)
{
	return pool->bounds + (Size) page * pool->stride;
}

/* Takes over a page's entries that are among the least; their order is open. */
extern void memai_pool_collect(MemaiPool *pool, Page page, int number);
/* Sets the least anew from all that is not used up; drops those beyond the n least. */
extern void memai_pool_refill(MemaiPool *pool, Relation relation, int target);
extern void memai_pool_cut(MemaiPool *pool, int n);
/* Sorts what is not used yet by bound. */
extern void memai_pool_sort(MemaiPool *pool);
/* Moves on to the next of the least. */
extern void memai_pool_use(MemaiPool *pool);

struct MemaiSearch
{
	MemaiIndex *index;
	MemoryContext context;
	uint64		hash;
	float		epsilon;
	float	   *q;				/* rotated query */
	MemaiMetric metric;			/* L2 instead of IP when the nearest mean is sought */
	MemaiQuery	query[2];		/* against no centre, against the centre */
	bool		prepared[2];
	uint8	   *unpacked;		/* of 4-bit codes */

	MemaiPool	lists;			/* of the route */
	BlockNumber *read_lists;	/* first pages of the lists read */
	int			nread;
	int			read_size;
	bool		redirected;		/* one of them was a successor */

	MemaiPool	rows;
	BlockNumber most_pages;		/* more pages than the index had at the start are suspect */
	int64		scanned;
	int64		most_scanned;
	int64		consumed;		/* entries looked at more closely */
};

/* ---- search.c ---- */
/* the query against a list's centre */
extern MemaiQuery *memai_search_query(MemaiSearch *search, int centre);
/*
 * Bounds of all slots of a scan page, dead and foreign ones infinite.  Meanwhile
 * next, if not NULL, is prefetched; it need not be pinned.
 */
extern void memai_search_page(MemaiSearch *search, const MemaiLayout *layout, Page page, Page next,
							  float *bounds);
/* Distance of a candidate by its 8-bit code, and how far that may be off. */
extern float memai_search_estimate(MemaiSearch *search, const MemaiLayout *layout,
								   const MemaiCandidate *candidate, float *margin);

/* ---- route.c ---- */
/* Reads the route, of which the n nearest lists are wanted first. */
extern void memai_route_read(MemaiSearch *search, BlockNumber route, int n);
/* Puts the next n lists in order; how many there are. */
extern int	memai_route_next(MemaiSearch *search, int n);
/* How many lists, at most so many, are not farther than the nearest by more than gap; those are in order. */
extern int	memai_route_within(MemaiSearch *search, float gap, int most);
extern bool memai_route_more(const MemaiSearch *search);

#endif							/* MEMAI_SEARCH_INT_H */
