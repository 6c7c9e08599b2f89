/*
 * compat.h
 *	  Differences between the PostgreSQL releases that memai compiles with
 *	  (15 to 18).  Every version conditional of the project lives here.
 */
#ifndef MEMAI_CORE_COMPAT_H
#define MEMAI_CORE_COMPAT_H

#include "access/genam.h"
#include "access/htup_details.h"
#include "fmgr.h"
#include "nodes/tidbitmap.h"
#include "pgstat.h"

#if PG_VERSION_NUM < 150000
#error "memai needs PostgreSQL 15 or later"
#endif

#define MEMAI_PG16_GE (PG_VERSION_NUM >= 160000)
#define MEMAI_PG17_GE (PG_VERSION_NUM >= 170000)
#define MEMAI_PG18_GE (PG_VERSION_NUM >= 180000)

/* since 16 varatt.h is no longer pulled in by postgres.h */
#if MEMAI_PG16_GE
#include "varatt.h"
#endif

/* since 16 the caller may collect a syntax error instead of raising it */
#if MEMAI_PG16_GE
#define memai_qualified_name_list(name) stringToQualifiedNameList(name, NULL)
#else
#define memai_qualified_name_list(name) stringToQualifiedNameList(name)
#endif

/* since 16 the value of a setting has an allocator of its own */
#if !MEMAI_PG16_GE
#define guc_free(value) free(value)
#define guc_strdup(elevel, value) strdup(value)
#endif

/* since 16 the local copy of a backend's status is named after its index */
#if MEMAI_PG16_GE
#define memai_local_backend(index) pgstat_get_local_beentry_by_index(index)
#else
#define memai_local_backend(index) pgstat_fetch_stat_local_beentry(index)
#endif

/* since 18 a function that does not return says so first */
#if !MEMAI_PG18_GE
#define pg_noreturn pg_attribute_noreturn()
#endif

/* since 17 an extension names its wait events; before, all are "Extension" */
static inline uint32
memai_wait_event(void)
{
#if MEMAI_PG17_GE
	static uint32 event = 0;

	if (event == 0)
		event = WaitEventExtensionNew("MemaiHttp");
	return event;
#else
	return PG_WAIT_EXTENSION;
#endif
}

/* since 16 what names a relation's file has another name */
#if MEMAI_PG16_GE
#define MemaiRelFile RelFileLocator
#define memai_relation_file(relation) ((relation)->rd_locator)
#else
#define MemaiRelFile RelFileNode
#define memai_relation_file(relation) ((relation)->rd_node)
#endif

/* since 18 the caller says whether it is ANALYZE */
#if MEMAI_PG18_GE
#define memai_vacuum_delay_point() vacuum_delay_point(false)
#else
#define memai_vacuum_delay_point() vacuum_delay_point()
#endif

/* since 17 the planner asks the access method whether builds may have workers; before, we ask the planner how many */
#if MEMAI_PG17_GE
#define memai_allow_parallel_build(am) ((am)->amcanbuildparallel = true)
#define memai_build_workers(heap, index, info) ((info)->ii_ParallelWorkers)
#else
#define memai_allow_parallel_build(am) ((void) 0)
#define memai_build_workers(heap, index, info) \
	plan_create_index_workers(RelationGetRelid(heap), RelationGetRelid(index))
#endif

/* since 18 the planner counts disabled nodes beside the cost */
#if MEMAI_PG18_GE
#define memai_path_disable(index_path) ((index_path)->path.disabled_nodes = 2)
#else
#define memai_path_disable(index_path) ((void) 0)
#endif

/* since 16 one function answers for all kinds of objects */
#if MEMAI_PG16_GE
#define memai_owns_relation(oid) object_ownercheck(RelationRelationId, oid, GetUserId())
#else
#define memai_owns_relation(oid) pg_class_ownercheck(oid, GetUserId())
#endif

/* since 18 a bitmap scan counts for EXPLAIN, and a bitmap's iterator has another name */
#if MEMAI_PG18_GE
#define MemaiBitmapIterator TBMPrivateIterator
#define memai_beginscan_bitmap(index, snapshot, nkeys) index_beginscan_bitmap(index, snapshot, NULL, nkeys)
#define memai_bitmap_begin(bitmap) tbm_begin_private_iterate(bitmap)
#define memai_bitmap_end(iterator) tbm_end_private_iterate(iterator)
#else
#define MemaiBitmapIterator TBMIterator
#define memai_beginscan_bitmap(index, snapshot, nkeys) index_beginscan_bitmap(index, snapshot, nkeys)
#define memai_bitmap_begin(bitmap) tbm_begin_iterate(bitmap)
#define memai_bitmap_end(iterator) tbm_end_iterate(iterator)
#endif

/* The next page of a bitmap and its tuples, at most MaxHeapTuplesPerPage; false at the end. */
static inline bool
memai_bitmap_next(MemaiBitmapIterator *iterator, BlockNumber *block, OffsetNumber *offsets, int *ntuples)
{
#if MEMAI_PG18_GE
	TBMIterateResult page;

	if (!tbm_private_iterate(iterator, &page))
		return false;
	*block = page.blockno;
	*ntuples = page.lossy ? 0 : tbm_extract_page_tuple(&page, offsets, MaxHeapTuplesPerPage);
#else
	TBMIterateResult *page = tbm_iterate(iterator);

	if (page == NULL)
		return false;
	*block = page->blockno;
	*ntuples = Max(page->ntuples, 0);
	memcpy(offsets, page->offsets, sizeof(OffsetNumber) * *ntuples);
#endif
	return true;
}

#endif							/* MEMAI_CORE_COMPAT_H */
