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
 * Steps 3 and 4 are in relink.c; after a crash before them memai_repair does them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "index/index_int.h"

/* entries that two centroids are found from; an insert waits for it */
#define CENTROID_SAMPLE 1024

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

		memai_change_centre(index, &late[i], 1, from_centre, to_centre);
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
	memai_change_centre(index, entries, n, from_centre, to_centre);
	for (int p = 0; p < d->n; p++)
		parts[p] = memai_list_write(index, &index->leaf, 0, to_centre, low[p], high[p],
									part[p], count[p], true);
}

/* two centroids, or halves when all entries are much the same */
static void
plan_clusters(MemaiIndex *index, MemaiEntry **entries, int n, Deal *d)
{
	int			sample = Min(n, CENTROID_SAMPLE);
	MemaiEntry **sampled = palloc(sizeof(MemaiEntry *) * Max(sample, 1));
	int			second = 0;

	for (int i = 0; i < sample; i++)
		sampled[i] = entries[(int64) i * n / sample];
	d->n = 2;
	d->clusters = memai_cluster(index->leaf.padded, sampled, sample, 2);
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
replace(MemaiIndex *index, BlockNumber route, BlockNumber list, const MemaiListFacts *facts,
		MemaiEntry **entries, int n, uint64 position, Deal *d)
{
	int			centre = memai_centre_for(index, entries, n, facts->centre);
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
	memai_finish_move(index, route, list);
}

/* makes a flat list a route to two lists */
static void
grow_route(MemaiIndex *index, BlockNumber list, const MemaiListFacts *facts, MemaiEntry **entries, int n,
		   uint64 position)
{
	Deal		d = {0};
	int			centre = memai_centre_for(index, entries, n, facts->centre);
	uint64		low[2] = {facts->header.hash_low, facts->header.hash_low};
	uint64		high[2] = {facts->header.hash_high, facts->header.hash_high};
	BlockNumber parts[2];
	BlockNumber successors[2] = {InvalidBlockNumber, InvalidBlockNumber};
	MemaiEntry *children[2];

	plan_clusters(index, entries, n, &d);
	write_parts(index, entries, n, &d, facts->centre, centre, low, high, parts);
	for (int p = 0; p < 2; p++)
		children[p] = memai_child_entry(index, parts[p], centre);
	successors[0] = memai_list_write(index, &index->route, 1, centre, low[0], high[0], children, 2, true);
	move_over(index, list, position, &d, parts, successors, facts->centre, centre);
	memai_finish_move(index, InvalidBlockNumber, list);
}

/*
 * Narrows a list's range to the one hash that it holds; false when a row of
 * another one was appended since the list was read up to position.
 */
static bool
isolate(MemaiIndex *index, BlockNumber list, MemaiListFacts *facts, uint64 hash, uint64 position)
{
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
	memai_repair(index, hash);
	return true;
}

/*
 * Rewrites the first rows of an index against their mean if what is lost by
 * waiting for more rows matters.
 */
static bool
learn_centre(MemaiIndex *index, BlockNumber list, const MemaiListFacts *facts)
{
	Deal		d = {.n = 1};
	uint64		position = 0;
	int			n;
	MemaiEntry **entries;

	if (index->centre != NULL || facts->header.pages > 1)
		return false;
	entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &n);
	if (!memai_centre_urgent(index, entries, n, facts->centre))
		return false;
	replace(index, InvalidBlockNumber, list, facts, entries, n, position, &d);
	return true;
}

/* a list that the directory points to */
static void
split_root(MemaiIndex *index, BlockNumber list, MemaiListFacts *facts)
{
	uint64		position = 0;
	int			n;
	MemaiEntry **entries;
	bool		shared = index->leaf.keyed && facts->header.hash_low != facts->header.hash_high;

	if (learn_centre(index, list, facts))
		return;
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
split_child(MemaiIndex *index, BlockNumber route, BlockNumber list, const MemaiListFacts *facts)
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
	MemaiListFacts	facts;

	*route = InvalidBlockNumber;
	if (root == list || root == InvalidBlockNumber)
		return root == list;
	memai_list_facts(index->relation, root, &facts);
	if (facts.level != 1 || (facts.flags & MEMAI_FLAG_MOVED))
		return false;
	*route = root;
	return memai_route_leads_to(index, root, list);
}

void
memai_split(MemaiIndex *caller, uint64 hash, BlockNumber list)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai index split", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemaiIndex *index = memai_index_open(caller->relation);
	BlockNumber route;
	MemaiListFacts	facts;

	memai_reclaim(index->relation);
	if (find_parent(index, hash, list, &route))
	{
		memai_list_facts(index->relation, list, &facts);
		if ((facts.flags & MEMAI_FLAG_MOVED) || facts.level != 0)
			memai_repair(index, hash);
		else if (route == InvalidBlockNumber)
			split_root(index, list, &facts);
		else
		{
			split_child(index, route, list, &facts);
			memai_probes_learn(index, hash, true);
		}
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
	MemaiListFacts	facts;
	Deal		d = {.n = 1};
	uint64		position = 0;
	int			n;
	MemaiEntry **entries;

	if (find_parent(index, hash, list, &route))
	{
		memai_list_facts(index->relation, list, &facts);
		entries = memai_list_read(index, &index->leaf, list, InvalidBuffer, &position, &n);
		replace(index, route, list, &facts, entries, n, position, &d);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

