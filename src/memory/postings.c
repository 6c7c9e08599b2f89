/*
 * postings.c
 *	  Reading the inverted indexes of episodes and memories: which items of a
 *	  scope have a word, and which of them have the most weight of words.
 *
 * The indexes are read below SQL, as a bitmap scan does, because SQL knows no way to ask for the
 * items that have the most of some keys without reading all that have any.  What
 * comes of it are places in the tables only: gather.c reads the rows there by
 * SQL, with the caller's rights and row-level security.  An index holds
 * rows that no snapshot sees any more, or not yet; they count in the frequencies
 * of words until VACUUM, and their places are dropped by the caller's snapshot.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/gin.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "lib/binaryheap.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* array_ops: the key array overlaps the query */
#define GIN_OVERLAP_STRATEGY 1
#define OFFSET_BITS 16

/* an item that has a word; the place is block and offset */
typedef struct Posting
{
	uint64		place;
	uint32		status;
	bool		is_taken;
	float		weight;
	uint64		words;			/* bit by word: what it has */
} Posting;

#define SH_PREFIX posting
#define SH_ELEMENT_TYPE Posting
#define SH_KEY_TYPE uint64
#define SH_KEY place
#define SH_HASH_KEY(tb, key) ((uint32) (((key) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct RecallPostings
{
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	posting_hash *items;
	binaryheap *best;			/* of items that are not taken */
	TIDBitmap  *sample;			/* to sample from */
	int64		nsample;		/* items in it */
};

/* ---- the index ---- */

static bool
is_usable(Relation index)
{
	Form_pg_index form = index->rd_index;

	/* that of a partitioned table has no pages of its own */
	return index->rd_rel->relkind == RELKIND_INDEX && index->rd_rel->relam == GIN_AM_OID &&
		form->indisvalid && form->indnkeyatts == 1 &&
		(!form->indcheckxmin ||
		 TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin));
}

RecallPostings *
memai_postings_open(bool memories)
{
	Oid			schema = get_namespace_oid("memai", false);
	Oid			index = get_relname_relid(memories ? "memory_words_idx" : "episode_words_idx", schema);
	Oid			table = OidIsValid(index) ? IndexGetRelation(index, true) : InvalidOid;
	RecallPostings *postings;

	if (!OidIsValid(table))
		return NULL;
	postings = palloc0(sizeof(RecallPostings));
	postings->table = relation_open(table, AccessShareLock);
	/* a REINDEX CONCURRENTLY may have dropped it before the table was locked */
	postings->index = try_relation_open(index, AccessShareLock);
	if (postings->index == NULL || !is_usable(postings->index))
	{
		memai_postings_close(postings);
		return NULL;
	}
	postings->scan = memai_beginscan_bitmap(postings->index, GetActiveSnapshot(), 1);
	postings->items = posting_create(CurrentMemoryContext, 1024, NULL);
	return postings;
}

void
memai_postings_close(RecallPostings *postings)
{
	if (postings->scan != NULL)
		index_endscan(postings->scan);
	if (postings->index != NULL)
		relation_close(postings->index, AccessShareLock);
	relation_close(postings->table, AccessShareLock);
}

/* The items that have a key, as a bitmap to be freed; returns their number. */
static int64
read_key(RecallPostings *postings, int64 key, TIDBitmap **bitmap)
{
	Datum		element = Int64GetDatum(key);
	ScanKeyData scankey;

	ScanKeyInit(&scankey, 1, GIN_OVERLAP_STRATEGY, F_ARRAYOVERLAP,
				PointerGetDatum(construct_array(&element, 1, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
	index_rescan(postings->scan, &scankey, 1, NULL, 0);
	/* memory enough never to forget which items of a page it were */
	*bitmap = tbm_create(MaxAllocSize, NULL);
	return index_getbitmap(postings->scan, *bitmap);
}

static uint64
make_place(BlockNumber block, OffsetNumber offset)
{
	return ((uint64) block << OFFSET_BITS) | offset;
}

static Posting *
note(RecallPostings *postings, uint64 place)
{
	bool		found;
	Posting    *posting = posting_insert(postings->items, place, &found);

	if (!found)
	{
		posting->is_taken = false;
		posting->words = 0;
	}
	return posting;
}

int64
memai_postings_read(RecallPostings *postings, int64 key, int word)
{
	TIDBitmap  *bitmap;
	int64		n = read_key(postings, key, &bitmap);
	MemaiBitmapIterator *iterator = memai_bitmap_begin(bitmap);
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	BlockNumber block;
	int			ntuples;

	while (memai_bitmap_next(iterator, &block, offsets, &ntuples))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < ntuples; i++)
			note(postings, make_place(block, offsets[i]))->words |= UINT64CONST(1) << word;
	}
	memai_bitmap_end(iterator);
	tbm_free(bitmap);
	return n;
}

int64
memai_postings_count(const RecallPostings *postings)
{
	return postings->items->members;
}

/* ---- the best ---- */

/* heavier first; of equals the one stored later */
static int
compare_postings(Datum left, Datum right, void *arg)
{
	const Posting *a = (const Posting *) DatumGetPointer(left);
	const Posting *b = (const Posting *) DatumGetPointer(right);

	if (a->weight != b->weight)
		return a->weight > b->weight ? 1 : -1;
	return a->place > b->place ? 1 : -1;
}

void
memai_postings_weigh(RecallPostings *postings, const double *weights)
{
	posting_iterator iterator;
	Posting    *posting;

	if (postings->best != NULL)
		binaryheap_free(postings->best);
	postings->best = binaryheap_allocate(Max((int) postings->items->members, 1), compare_postings, NULL);
	posting_start_iterate(postings->items, &iterator);
	while ((posting = posting_iterate(postings->items, &iterator)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		posting->weight = 0;
		for (uint64 words = posting->words; words != 0; words &= words - 1)
			posting->weight += (float) weights[pg_rightmost_one_pos64(words)];
		if (!posting->is_taken)
			binaryheap_add_unordered(postings->best, PointerGetDatum(posting));
	}
	binaryheap_build(postings->best);
}

/* ---- places ---- */

static void
set_tid(ItemPointer tid, uint64 place)
{
	ItemPointerSet(tid, (BlockNumber) (place >> OFFSET_BITS), (OffsetNumber) (place & ((1 << OFFSET_BITS) - 1)));
}

static Datum
array_of_tids(int n, ItemPointerData *tids)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = PointerGetDatum(&tids[i]);
	return PointerGetDatum(construct_array(elements, n, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));
}

static Datum
array_of_places(int n, const uint64 *places)
{
	ItemPointerData *tids = palloc(sizeof(ItemPointerData) * Max(n, 1));

	for (int i = 0; i < n; i++)
		set_tid(&tids[i], places[i]);
	return array_of_tids(n, tids);
}

int
memai_postings_moved(RecallPostings *postings, Datum places, Datum *result)
{
	ArrayType  *array = DatumGetArrayTypeP(places);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	ItemPointerData *tids = (ItemPointerData *) ARR_DATA_PTR(array);
	IndexFetchTableData *fetch = table_index_fetch_begin(postings->table);
	TupleTableSlot *slot = table_slot_create(postings->table, NULL);
	ItemPointerData *moved = palloc(sizeof(ItemPointerData) * Max(n, 1));
	int			nmoved = 0;

	for (int i = 0; i < n; i++)
	{
		ItemPointerData tid = tids[i];
		bool		call_again = false;
		bool		all_dead;

		CHECK_FOR_INTERRUPTS();
		if (table_index_fetch_tuple(fetch, &tid, GetActiveSnapshot(), slot, &call_again, &all_dead) &&
			!ItemPointerEquals(&slot->tts_tid, &tids[i]))
			moved[nmoved++] = slot->tts_tid;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_index_fetch_end(fetch);
	*result = array_of_tids(nmoved, moved);
	return nmoved;
}

int
memai_postings_left(const RecallPostings *postings)
{
	return postings->best->bh_size;
}

int
memai_postings_take(RecallPostings *postings, int max, Datum *result)
{
	uint64	   *places = palloc(sizeof(uint64) * max);
	int			n = 0;

	while (n < max && !binaryheap_empty(postings->best))
	{
		Posting    *posting = (Posting *) DatumGetPointer(binaryheap_remove_first(postings->best));

		posting->is_taken = true;
		places[n++] = posting->place;
	}
	*result = array_of_places(n, places);
	pfree(places);
	return n;
}

int64
memai_postings_measure(RecallPostings *postings, int64 key)
{
	postings->nsample = read_key(postings, key, &postings->sample);
	return postings->nsample;
}

void
memai_postings_sample(RecallPostings *postings, int max, Datum *result)
{
	MemaiBitmapIterator *iterator = memai_bitmap_begin(postings->sample);
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	BlockNumber block;
	int			ntuples;
	uint64	   *places = palloc(sizeof(uint64) * Max(max, 1));
	int64		seen = 0;
	int			taken = 0;

	while (memai_bitmap_next(iterator, &block, offsets, &ntuples))
	{
		CHECK_FOR_INTERRUPTS();
		/* evenly from the oldest to the newest */
		for (int i = 0; i < ntuples; i++, seen++)
		{
			if (taken == max || seen * max < (int64) taken * postings->nsample)
				continue;
			places[taken] = make_place(block, offsets[i]);
			note(postings, places[taken++])->is_taken = true;
		}
	}
	memai_bitmap_end(iterator);
	tbm_free(postings->sample);
	*result = array_of_places(taken, places);
	pfree(places);
}
