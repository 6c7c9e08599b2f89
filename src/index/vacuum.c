/*
 * vacuum.c
 *	  ambulkdelete and amvacuumcleanup: one pass over the scan pages; and
 *	  what searches need, measured anew when there are many more lists.
 *
 * The move lock is held throughout, so every entry stays where it is but for
 * the lists that this pass itself replaces; inserts go on.  An entry that
 * moved to another list before is met there.  A dead entry keeps its slot and
 * gets an infinite distance; a list that is mostly dead is rewritten.
 */
#include "postgres.h"

#include <math.h>

#include "access/amapi.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "utils/memutils.h"

#include "index/index_int.h"

/* a list with this share of dead entries is rewritten */
#define COMPACT_SHARE 0.3

typedef struct VacuumState
{
	MemaiIndex *index;
	IndexBulkDeleteResult *stats;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	double		list_live;		/* of the list being read */
	double		list_slots;
	bool		changed;
	int			most_lists;		/* of a tenant, and whose they are */
	uint64		most_hash;
} VacuumState;

/* kills the page's entries that the callback names; it is locked share, then exclusive */
static bool
vacuum_page(void *arg, Buffer buffer, Page page)
{
	VacuumState *vacuum = arg;
	const MemaiLayout *layout = &vacuum->index->leaf;
	int			used = Min(MemaiPageOpaque(page)->used, layout->capacity);
	int			dead[BLCKSZ / 16];
	int			ndead = 0;

	for (int slot = 0; slot < used; slot++)
	{
		ItemPointer tid = memai_slot_tid(layout, page, slot);

		vacuum->list_slots++;
		if (!ItemPointerIsValid(tid))
			continue;
		if (vacuum->callback(tid, vacuum->callback_state))
			dead[ndead++] = slot;
		else
			vacuum->list_live++;
	}
	if (ndead > 0)
	{
		GenericXLogState *state;

		/* nobody else changes entries that are there */
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		state = GenericXLogStart(vacuum->index->relation);
		page = GenericXLogRegisterBuffer(state, buffer, 0);
		for (int i = 0; i < ndead; i++)
			memai_slot_kill(layout, page, dead[i]);
		GenericXLogFinish(state);
		vacuum->stats->tuples_removed += ndead;
	}
	return true;
}

static void
vacuum_list(VacuumState *vacuum, uint64 hash, BlockNumber list)
{
	memai_vacuum_delay_point();
	vacuum->list_live = vacuum->list_slots = 0;
	memai_list_walk(vacuum->index->relation, list, InvalidBuffer, vacuum_page, vacuum);
	vacuum->stats->num_index_tuples += vacuum->list_live;
	if (vacuum->list_slots > vacuum->index->leaf.records &&
		vacuum->list_slots - vacuum->list_live > COMPACT_SHARE * vacuum->list_slots)
		memai_index_compact(vacuum->index, hash, list);
}

/* what stands at a directory item: the n lists of rows there, after repair, palloc'd */
static BlockNumber *
lists_at(MemaiIndex *index, uint64 low, int *n)
{
	BlockNumber root;
	BlockNumber *lists;
	MemaiListFacts facts;
	uint64		ignored;

	memai_repair(index, low);
	root = memai_directory_find(index->relation, low, &ignored, &ignored);
	memai_list_facts(index->relation, root, &facts);
	if (facts.level == 1)
		return memai_route_children(index, root, n);
	lists = palloc(sizeof(BlockNumber));
	lists[0] = root;
	*n = 1;
	return lists;
}

static void
vacuum_root(void *arg, uint64 low, uint64 high, BlockNumber root)
{
	VacuumState *vacuum = arg;
	int			n;
	BlockNumber *lists = lists_at(vacuum->index, low, &n);

	for (int i = 0; i < n; i++)
		vacuum_list(vacuum, low, lists[i]);
	pfree(lists);
}

IndexBulkDeleteResult *
memai_index_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
					   IndexBulkDeleteCallback callback, void *callback_state)
{
	VacuumState vacuum = {.callback = callback, .callback_state = callback_state};

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	stats->num_index_tuples = 0;
	vacuum.index = memai_index_open(info->index);
	vacuum.stats = stats;
	if (vacuum.index->meta.dim == 0)
		return stats;
	memai_move_lock(info->index);
	memai_directory_walk(info->index, vacuum_root, &vacuum);
	memai_move_unlock(info->index);
	memai_meta_update(info->index, stats->num_index_tuples, NULL);
	return stats;
}

/* splits the lists at a directory item that have grown too large */
static void
maintain_root(void *arg, uint64 low, uint64 high, BlockNumber root)
{
	VacuumState *vacuum = arg;
	MemaiIndex *index = vacuum->index;
	int			n;
	BlockNumber *lists = lists_at(index, low, &n);

	if (n > vacuum->most_lists)
	{
		vacuum->most_lists = n;
		vacuum->most_hash = low;
	}
	for (int i = 0; i < n; i++)
	{
		MemaiListFacts facts;
		double		rows;
		uint64		found_low;
		uint64		found_high;

		memai_list_facts(index->relation, lists[i], &facts);
		rows = (double) facts.header.pages * index->leaf.capacity;
		memai_vacuum_delay_point();
		if (n == 1 ? rows <= index->meta.flat_size && (facts.header.pages == 1 || !index->leaf.keyed)
			: rows <= 2 * index->meta.list_size)
			continue;
		memai_split(index, low, lists[i]);
		memai_list_facts(index->relation, lists[i], &facts);
		(void) memai_directory_find(index->relation, low, &found_low, &found_high);
		if ((facts.flags & MEMAI_FLAG_MOVED) || found_high != high)
			vacuum->changed = true;
	}
	pfree(lists);
}

IndexBulkDeleteResult *
memai_index_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	VacuumState vacuum = {.changed = true};

	if (info->analyze_only)
		return stats;
	vacuum.index = memai_index_open(info->index);
	if (vacuum.index->meta.dim != 0)
	{
		memai_move_lock(info->index);
		memai_reclaim(info->index);
		for (int pass = 0; pass < 16 && vacuum.changed; pass++)
		{
			vacuum.changed = false;
			memai_directory_walk(info->index, maintain_root, &vacuum);
		}
		memai_probes_learn(vacuum.index, vacuum.most_hash, false);
		memai_move_unlock(info->index);
		IndexFreeSpaceMapVacuum(info->index);
	}
	/* without a pass the number of entries is not known: let the old one stand */
	if (stats)
	{
		stats->num_pages = RelationGetNumberOfBlocks(info->index);
		stats->estimated_count = info->estimated_count;
	}
	return stats;
}
