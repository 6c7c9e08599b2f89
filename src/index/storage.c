/*
 * storage.c
 *	  Pages of the index as a whole: metapage, centre, new and checked pages,
 *	  the move lock.
 *
 * A page is locked alone or in the order metapage last, see README.md.  Every
 * page that is read passes memai_page_check, so no damaged page gets further.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/index.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "index/index_int.h"

#define CENTRE_FLOATS \
	((int) ((BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - MAXALIGN(sizeof(MemaiOpaque))) / sizeof(float)))

/* what rd_amcache points to: one chunk, as the relation cache frees it */
typedef struct IndexCache
{
	MemaiMeta	meta;
	float		centre[FLEXIBLE_ARRAY_MEMBER];
} IndexCache;

void
memai_report_corrupted(Relation relation, BlockNumber blkno, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is damaged at block %u", RelationGetRelationName(relation), blkno),
			 errdetail("%s", what),
			 errhint("Run REINDEX on it.")));
}

void
memai_report_reused(Relation relation, BlockNumber blkno)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("canceling statement due to conflict with recovery"),
				 errdetail("A page of index \"%s\" was reused while the statement read it.",
						   RelationGetRelationName(relation)),
				 errhint("Run the statement again.")));
	memai_report_corrupted(relation, blkno, "The page belongs to another list than what points to it says.");
}

void
memai_page_init(Page page, MemaiPageKind kind)
{
	MemaiOpaque *opaque;

	PageInit(page, BLCKSZ, sizeof(MemaiOpaque));
	((PageHeader) page)->pd_lower = ((PageHeader) page)->pd_special;
	opaque = MemaiPageOpaque(page);
	memset(opaque, 0, sizeof(*opaque));
	opaque->next = InvalidBlockNumber;
	opaque->kind = (uint8) kind;
	opaque->page_id = MEMAI_PAGE_ID;
}

void
memai_page_check(Relation relation, Buffer buffer, MemaiPageKind kind)
{
	Page		page = BufferGetPage(buffer);
	BlockNumber blkno = BufferGetBlockNumber(buffer);

	if (PageIsNew(page))
		memai_report_corrupted(relation, blkno, "The page is empty.");
	if (PageGetSpecialSize(page) != MAXALIGN(sizeof(MemaiOpaque)) ||
		((PageHeader) page)->pd_lower != ((PageHeader) page)->pd_special ||
		MemaiPageOpaque(page)->page_id != MEMAI_PAGE_ID)
		memai_report_corrupted(relation, blkno, "The page does not belong to an index of this kind.");
	if (MemaiPageOpaque(page)->kind != kind)
		memai_report_reused(relation, blkno);
	if (kind == MEMAI_PAGE_DIRECTORY && MemaiPageOpaque(page)->used > MEMAI_DIRECTORY_ITEMS)
		memai_report_corrupted(relation, blkno, "The page says that it holds more than fits.");
}

Buffer
memai_page_read(Relation relation, BlockNumber blkno, int lock, MemaiPageKind kind)
{
	Buffer		buffer;

	if (blkno == InvalidBlockNumber)
		memai_report_corrupted(relation, 0, "A page that must exist is not pointed to.");
	buffer = memai_buffer_read(relation, blkno);
	LockBuffer(buffer, lock);
	memai_page_check(relation, buffer, kind);
	return buffer;
}

static bool
plausible_probes(const MemaiProbeTable *probes)
{
	for (int i = 0; i < MEMAI_PROBE_POINTS; i++)
		if (!(probes->factors[i] >= 0 && probes->factors[i] < 1e5f) ||
			!(probes->gaps[i] >= 0 && probes->gaps[i] <= MEMAI_HUGE_NORM))
			return false;
	return true;
}

/* the metapage's contents, checked */
static void
read_meta(Relation relation, MemaiMeta *meta)
{
	Buffer		buffer = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_SHARE, MEMAI_PAGE_META);

	*meta = *MemaiPageMeta(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	if (meta->magic != MEMAI_INDEX_MAGIC)
		memai_report_corrupted(relation, MEMAI_META_BLKNO, "The metapage has no magic number.");
	if (meta->version != MEMAI_INDEX_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" has format version %u, not %d",
						RelationGetRelationName(relation), meta->version, MEMAI_INDEX_VERSION),
				 errhint("Run REINDEX on it.")));
	if (meta->dim > MEMAI_INDEX_MAX_DIM ||
		(meta->refine_bits != 0 && meta->refine_bits != 4 && meta->refine_bits != 8) ||
		meta->list_size == 0 || meta->flat_size == 0 || !plausible_probes(&meta->probes))
		memai_report_corrupted(relation, MEMAI_META_BLKNO, "The metapage has impossible values.");
}

static void
read_centre(Relation relation, const MemaiMeta *meta, int padded, float *centre)
{
	BlockNumber blkno = meta->centre;

	for (int done = 0; done < padded;)
	{
		Buffer		buffer = memai_page_read(relation, blkno, BUFFER_LOCK_SHARE, MEMAI_PAGE_CENTRE);
		Page		page = BufferGetPage(buffer);
		int			n = Min(CENTRE_FLOATS, padded - done);

		memcpy(centre + done, PageGetContents(page), sizeof(float) * n);
		blkno = MemaiPageOpaque(page)->next;
		done += n;
		UnlockReleaseBuffer(buffer);
	}
}

/* the cache of the relation, filled when it is empty or older than the centre */
static IndexCache *
index_cache(Relation relation)
{
	IndexCache *cache = (IndexCache *) relation->rd_amcache;
	MemaiMeta	meta;
	int			padded;

	if (cache && cache->meta.centre != InvalidBlockNumber)
		return cache;
	read_meta(relation, &meta);
	padded = (int) TYPEALIGN(64, meta.dim);
	cache = MemoryContextAlloc(relation->rd_indexcxt,
							   offsetof(IndexCache, centre) + sizeof(float) * padded);
	cache->meta = meta;
	if (meta.centre != InvalidBlockNumber)
		read_centre(relation, &meta, padded, cache->centre);
	if (relation->rd_amcache)
		pfree(relation->rd_amcache);
	relation->rd_amcache = cache;
	return cache;
}

static const MemaiVectorSupport *
vector_support(Relation relation)
{
	FmgrInfo   *proc = index_getprocinfo(relation, IndexRelationGetNumberOfKeyAttributes(relation),
										 MEMAI_VECTOR_PROC);

	return (const MemaiVectorSupport *)
		DatumGetPointer(FunctionCall1Coll(proc, InvalidOid, PointerGetDatum(NULL)));
}

MemaiIndex *
memai_index_open(Relation relation)
{
	MemaiIndex *index = palloc0(sizeof(MemaiIndex));
	IndexCache *cache = index_cache(relation);
	int			dim;

	index->relation = relation;
	index->meta = cache->meta;
	index->context = CurrentMemoryContext;
	index->support = vector_support(relation);
	if (index->meta.metric != index->support->metric ||
		index->meta.keys != IndexRelationGetNumberOfKeyAttributes(relation) - 1)
		memai_report_corrupted(relation, MEMAI_META_BLKNO, "The metapage is of another index.");
	dim = index->meta.dim;
	if (dim == 0)
		return index;
	memai_layout_init(&index->leaf, dim, index->meta.refine_bits, index->meta.keys > 0);
	memai_layout_init(&index->route, dim, 8, false);
	index->rotation = palloc(sizeof(MemaiRotation));
	memai_rotation_init(index->rotation, dim, index->leaf.padded);
	index->work = palloc(sizeof(float) * (dim + 2 * index->leaf.padded));
	if (index->meta.centre != InvalidBlockNumber)
	{
		index->centre = palloc(sizeof(float) * index->leaf.padded);
		memcpy(index->centre, cache->centre, sizeof(float) * index->leaf.padded);
	}
	return index;
}

MemaiIndex *
memai_index_set_dim(MemaiIndex *index, int dim)
{
	Relation	relation = index->relation;
	Buffer		buffer = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_META);

	/* another session may have been first */
	if (MemaiPageMeta(BufferGetPage(buffer))->dim == 0)
	{
		GenericXLogState *state = GenericXLogStart(relation);
		Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

		MemaiPageMeta(page)->dim = (uint16) dim;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
	if (relation->rd_amcache)
		pfree(relation->rd_amcache);
	relation->rd_amcache = NULL;
	return memai_index_open(relation);
}

/* a page from the free space map, if one is free indeed; else at the end */
Buffer
memai_page_new(Relation relation)
{
	Buffer		buffer;
	bool		lock;

	for (;;)
	{
		BlockNumber blkno = GetFreeIndexPage(relation);

		if (blkno == InvalidBlockNumber)
			break;
		buffer = ReadBuffer(relation, blkno);

		/* the map is not logged: somebody may be using the page */
		if (ConditionalLockBuffer(buffer))
		{
			Page		page = BufferGetPage(buffer);

			if (PageIsNew(page) ||
				(PageGetSpecialSize(page) == MAXALIGN(sizeof(MemaiOpaque)) &&
				 MemaiPageOpaque(page)->page_id == MEMAI_PAGE_ID &&
				 MemaiPageOpaque(page)->kind == MEMAI_PAGE_FREE))
				return buffer;
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		}
		ReleaseBuffer(buffer);
	}
	lock = !RELATION_IS_LOCAL(relation);
	if (lock)
		LockRelationForExtension(relation, ExclusiveLock);
	buffer = ReadBuffer(relation, P_NEW);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (lock)
		UnlockRelationForExtension(relation, ExclusiveLock);
	return buffer;
}

uint64
memai_list_ids(Relation relation, int count)
{
	Buffer		buffer = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_META);
	GenericXLogState *state = GenericXLogStart(relation);
	MemaiMeta  *meta = MemaiPageMeta(GenericXLogRegisterBuffer(state, buffer, 0));
	uint64		id = meta->next_list_id;

	meta->next_list_id += count;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	return id;
}

void
memai_meta_update(Relation relation, double rows, const MemaiProbeTable *probes)
{
	Buffer		buffer = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_META);
	GenericXLogState *state = GenericXLogStart(relation);
	MemaiMeta  *meta = MemaiPageMeta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->rows = rows;
	if (probes)
		meta->probes = *probes;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

void
memai_probes_store(Relation relation, const MemaiProbeTable *probes)
{
	Buffer		buffer = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_META);
	GenericXLogState *state = GenericXLogStart(relation);

	MemaiPageMeta(GenericXLogRegisterBuffer(state, buffer, 0))->probes = *probes;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/* writes one new page of a fork at its end; page is filled by the caller */
static void
append_page(Relation relation, ForkNumber fork, Page image)
{
	Buffer		buffer = ReadBufferExtended(relation, fork, P_NEW, RBM_NORMAL, NULL);
	GenericXLogState *state;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (fork == INIT_FORKNUM)
	{
		/* the init fork is logged although the relation is not */
		START_CRIT_SECTION();
		memcpy(BufferGetPage(buffer), image, BLCKSZ);
		MarkBufferDirty(buffer);
		log_newpage_buffer(buffer, true);
		END_CRIT_SECTION();
	}
	else
	{
		state = GenericXLogStart(relation);
		memcpy(GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE), image, BLCKSZ);
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
}

static int
column_dim(Relation relation)
{
	int			column = IndexRelationGetNumberOfKeyAttributes(relation) - 1;

	return TupleDescAttr(RelationGetDescr(relation), column)->atttypmod;
}

/* all but the last column are keys, the last one is a vector */
static void
check_columns(Relation relation)
{
	int			columns = IndexRelationGetNumberOfKeyAttributes(relation);

	for (int i = 1; i <= columns; i++)
		if (OidIsValid(index_getprocid(relation, i, MEMAI_VECTOR_PROC)) != (i == columns))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a memai index needs one vector column, after its key columns"),
					 errdetail("Column %d is %s.", i, i == columns ? "not a vector" : "a vector")));
}

void
memai_write_empty(Relation relation, ForkNumber fork, int dim)
{
	const MemaiVectorSupport *vector;
	PGAlignedBlock image;
	Page		page = (Page) image.data;
	MemaiMeta  *meta;
	int			declared = column_dim(relation);

	check_columns(relation);
	vector = vector_support(relation);
	if (dim == 0)
		dim = declared > 0 ? declared : MemaiOptions(relation, dimensions, 0);
	if (dim > MEMAI_INDEX_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column cannot have more than %d dimensions for a memai index", MEMAI_INDEX_MAX_DIM)));
	memset(image.data, 0, BLCKSZ);
	memai_page_init(page, MEMAI_PAGE_META);
	meta = MemaiPageMeta(page);
	meta->magic = MEMAI_INDEX_MAGIC;
	meta->version = MEMAI_INDEX_VERSION;
	meta->dim = (uint16) dim;
	meta->metric = (uint8) vector->metric;
	meta->keys = (uint8) (IndexRelationGetNumberOfKeyAttributes(relation) - 1);
	meta->refine_bits = (uint8) MemaiOptions(relation, refine_bits, MEMAI_DEFAULT_REFINE_BITS);
	meta->list_size = MemaiOptions(relation, list_size, MEMAI_DEFAULT_LIST_SIZE);
	meta->flat_size = MemaiOptions(relation, flat_size, MEMAI_DEFAULT_FLAT_SIZE);
	meta->centre = meta->dead_head = meta->dead_tail = InvalidBlockNumber;
	meta->next_list_id = 1;
	append_page(relation, fork, page);

	memset(image.data, 0, BLCKSZ);
	memai_page_init(page, MEMAI_PAGE_DIRECTORY);
	MemaiPageDirectory(page)->high = PG_UINT64_MAX;
	append_page(relation, fork, page);
}

void
memai_centre_store(MemaiIndex *index, const float *centre, double rows)
{
	Relation	relation = index->relation;
	int			padded = index->leaf.padded;
	int			pages = (padded + CENTRE_FLOATS - 1) / CENTRE_FLOATS;
	BlockNumber next = InvalidBlockNumber;
	Buffer		buffer;
	GenericXLogState *state;

	/* last page first, so each knows the next */
	for (int i = pages - 1; i >= 0; i--)
	{
		int			n = Min(CENTRE_FLOATS, padded - i * CENTRE_FLOATS);
		Page		page;

		buffer = memai_page_new(relation);
		state = GenericXLogStart(relation);
		page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
		memai_page_init(page, MEMAI_PAGE_CENTRE);
		memcpy(PageGetContents(page), centre + i * CENTRE_FLOATS, sizeof(float) * n);
		MemaiPageOpaque(page)->next = next;
		MemaiPageOpaque(page)->used = (uint16) n;
		GenericXLogFinish(state);
		next = BufferGetBlockNumber(buffer);
		UnlockReleaseBuffer(buffer);
	}
	buffer = memai_page_read(relation, MEMAI_META_BLKNO, BUFFER_LOCK_EXCLUSIVE, MEMAI_PAGE_META);
	state = GenericXLogStart(relation);
	{
		MemaiMeta  *meta = MemaiPageMeta(GenericXLogRegisterBuffer(state, buffer, 0));

		meta->centre = next;
		meta->centre_rows = rows;
	}
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);

	index->meta.centre = next;
	index->centre = MemoryContextAlloc(index->context, sizeof(float) * padded);
	memcpy(index->centre, centre, sizeof(float) * padded);
}

void
memai_move_lock(Relation relation)
{
	LockPage(relation, MEMAI_META_BLKNO, ExclusiveLock);
}

bool
memai_move_try_lock(Relation relation)
{
	return ConditionalLockPage(relation, MEMAI_META_BLKNO, ExclusiveLock);
}

void
memai_move_unlock(Relation relation)
{
	UnlockPage(relation, MEMAI_META_BLKNO, ExclusiveLock);
}
