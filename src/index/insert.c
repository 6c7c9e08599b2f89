/*
 * insert.c
 *	  aminsert: one row goes to the end of one list.
 *
 * When that fills the list's last page, or there may be enough rows to learn
 * the centre from, the list is split or rewritten if it is due and nobody else
 * moves entries at the moment; otherwise the next insert or vacuum does it.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "math.h"
#include "utils/memutils.h"

#include "index/index_int.h"
#include "vector/kernel.h"

bool
memai_key_hash(Relation relation, const Datum *values, const bool *nulls, uint64 *hash)
{
	int			keys = IndexRelationGetNumberOfKeyAttributes(relation) - 1;

	*hash = 0;
	for (int i = 0; i < keys; i++)
	{
		FmgrInfo   *proc = index_getprocinfo(relation, i + 1, MEMAI_HASH_PROC);
		Datum		h;

		if (nulls[i])
			return false;
		h = FunctionCall2Coll(proc, relation->rd_indcollation[i], values[i], Int64GetDatum(0));
		*hash = hash_combine64(*hash, DatumGetUInt64(h));
	}
	return true;
}

bool
memai_vector_rotate(MemaiIndex *index, Datum value, float *out)
{
	int			dim = index->support->dim(value);
	float	   *x = index->work;
	double		norm2;

	if (dim != index->meta.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", index->meta.dim, dim),
				 errdetail("Index \"%s\" holds vectors of %d dimensions.",
						   RelationGetRelationName(index->relation), index->meta.dim)));
	index->support->to_floats(value, x);
	if (index->support->metric == MEMAI_METRIC_COSINE)
	{
		norm2 = memai_kernels->f32_norm2(dim, x);
		if (norm2 == 0)
			return false;
		for (int i = 0; i < dim; i++)
			x[i] = (float) (x[i] / sqrt(norm2));
	}
	memai_rotate(index->rotation, x, out);
	return true;
}

void
memai_entry_encode(MemaiIndex *index, const float *rotated, int centre, MemaiEntry *entry)
{
	int			padded = index->leaf.padded;
	float	   *y = index->work;

	if (centre && index->centre == NULL)
		memai_report_corrupted(index->relation, MEMAI_META_BLKNO, "A list needs a centre that the index does not have.");
	for (int i = 0; i < padded; i++)
		y[i] = centre ? rotated[i] - index->centre[i] : rotated[i];
	memai_encode(index->support->metric, padded, y, centre ? index->centre : NULL, &entry->code);
}

/* makes the first list of an index that has none */
static void
create_first_list(MemaiIndex *index)
{
	uint64		low;
	uint64		high;

	memai_move_lock(index->relation);
	if (memai_directory_find(index->relation, 0, &low, &high) == InvalidBlockNumber)
		memai_directory_set(index->relation, 0,
							memai_list_write(index, &index->leaf, 0, 0, 0, PG_UINT64_MAX, NULL, 0, true));
	memai_move_unlock(index->relation);
}

/* the list of rows that the entry belongs to, exclusively locked */
static Buffer
find_list(MemaiIndex *index, uint64 hash, const float *rotated)
{
	for (int attempt = 0;; attempt++)
	{
		uint64		low;
		uint64		high;
		BlockNumber list = memai_directory_find(index->relation, hash, &low, &high);
		Buffer		buffer;
		MemaiOpaque *opaque;
		MemaiListHeader *header;

		CHECK_FOR_INTERRUPTS();
		if (list == InvalidBlockNumber)
		{
			create_first_list(index);
			continue;
		}
		buffer = memai_page_read(index->relation, list, BUFFER_LOCK_SHARE, MEMAI_PAGE_SCAN);
		opaque = MemaiPageOpaque(BufferGetPage(buffer));
		if (opaque->level == 1 && !(opaque->flags & MEMAI_FLAG_MOVED))
		{
			UnlockReleaseBuffer(buffer);
			list = memai_route_nearest(index, list, rotated);
			buffer = memai_page_read(index->relation, list, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_SCAN);
		}
		else
		{
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		}
		opaque = MemaiPageOpaque(BufferGetPage(buffer));
		header = MemaiPageList(BufferGetPage(buffer));
		if (opaque->kind == MEMAI_PAGE_SCAN && opaque->level == 0 && (opaque->flags & MEMAI_FLAG_FIRST) &&
			!(opaque->flags & MEMAI_FLAG_MOVED) &&
			hash >= header->hash_low && hash <= header->hash_high)
			return buffer;
		UnlockReleaseBuffer(buffer);

		/* replaced since; if a crash left it so, we wait for the lock and mend it */
		if (attempt > 0)
		{
			memai_move_lock(index->relation);
			memai_repair(index, hash);
			memai_move_unlock(index->relation);
		}
		if (attempt > 100)
			memai_report_corrupted(index->relation, list, "No list takes the row.");
	}
}

/* splits the list that the row went to, unless somebody else moves entries */
static void
split_if_due(MemaiIndex *index, uint64 hash, BlockNumber list)
{
	if (!memai_move_try_lock(index->relation))
		return;
	memai_split(index, hash, list);
	memai_move_unlock(index->relation);
}

static void
insert_vector(Relation relation, Datum value, uint64 hash, ItemPointer tid)
{
	MemaiIndex *index = memai_index_open(relation);
	MemaiEntry *entry;
	float	   *rotated;
	Buffer		buffer;
	BlockNumber list;
	bool		due;

	value = index->support->detoast(value);
	if (index->meta.dim == 0)
	{
		if (index->support->dim(value) > MEMAI_INDEX_MAX_DIM)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("column cannot have more than %d dimensions for a memai index", MEMAI_INDEX_MAX_DIM)));
		index = memai_index_set_dim(index, index->support->dim(value));
	}
	rotated = palloc(sizeof(float) * index->leaf.padded);
	if (!memai_vector_rotate(index, value, rotated))
		return;
	entry = palloc0(MEMAI_ENTRY_SIZE(index->leaf.padded));
	entry->hash = hash;
	entry->tid = *tid;
	buffer = find_list(index, hash, rotated);
	if (MemaiPageOpaque(BufferGetPage(buffer))->centre && index->centre == NULL)
	{
		/* the centre was learnt after we had opened the index */
		UnlockReleaseBuffer(buffer);
		index = memai_index_open(relation);
		buffer = find_list(index, hash, rotated);
	}
	memai_entry_encode(index, rotated, MemaiPageOpaque(BufferGetPage(buffer))->centre, entry);
	list = BufferGetBlockNumber(buffer);
	due = memai_list_append(index, &index->leaf, buffer, entry) ||
		(index->centre == NULL && MemaiPageOpaque(BufferGetPage(buffer))->used == MEMAI_CENTRE_ROWS);
	UnlockReleaseBuffer(buffer);
	if (due)
		split_if_due(index, hash, list);
}

bool
memai_index_insert(Relation relation, Datum *values, bool *nulls, ItemPointer tid,
				   Relation heap, IndexUniqueCheck check_unique, bool index_unchanged,
				   struct IndexInfo *info)
{
	int			column = IndexRelationGetNumberOfKeyAttributes(relation) - 1;
	MemoryContext context;
	MemoryContext old;
	uint64		hash;

	if (nulls[column] || !memai_key_hash(relation, values, nulls, &hash))
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext, "memai index insert", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	insert_vector(relation, values[column], hash, tid);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return false;
}
