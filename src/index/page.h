/*
 * page.h
 *	  What is on the pages of a memai index.  README.md explains how the pages
 *	  hang together and which locks protect what.
 *
 * pd_lower equals pd_special on every page: the server may drop what lies
 * between pd_lower and pd_upper, so there is nothing between them.
 */
#ifndef MEMAI_INDEX_PAGE_H
#define MEMAI_INDEX_PAGE_H

#include "core/compat.h"
#include "access/genam.h"
#include "access/transam.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"

#define MEMAI_INDEX_MAGIC	0x4D454D49	/* "MEMI" */
#define MEMAI_INDEX_VERSION 2
#define MEMAI_INDEX_MAX_DIM 7808
#define MEMAI_META_BLKNO	0
#define MEMAI_ROOT_BLKNO	1	/* root of the key directory, never moves */
#define MEMAI_PAGE_ID		0xFF9A
#define MEMAI_CACHE_LINE	64

typedef enum MemaiPageKind
{
	MEMAI_PAGE_META = 1,
	MEMAI_PAGE_DIRECTORY,
	MEMAI_PAGE_SCAN,			/* 1-bit codes and TIDs of a list */
	MEMAI_PAGE_REFINE,			/* 8-bit or 4-bit codes of a list */
	MEMAI_PAGE_CENTRE,
	MEMAI_PAGE_FREE
} MemaiPageKind;

/* first page of a list only */
#define MEMAI_FLAG_FIRST	1
/* replaced by the lists in moved[]; the contents stay for scans under way */
#define MEMAI_FLAG_MOVED	2

/* special space of every page */
typedef struct MemaiOpaque
{
	uint64		list_id;		/* of scan and refine pages; never used twice */
	BlockNumber next;			/* next page of the chain, or invalid */
	uint16		used;			/* entries, records or items on this page */
	uint16		unused;
	uint8		kind;
	uint8		level;			/* of a list: 0 rows, 1 lists */
	uint8		centre;			/* of a list: codes are relative to 0, 1 the centre */
	uint8		flags;
	uint16		unused2;
	uint16		page_id;
} MemaiOpaque;

#define MemaiPageOpaque(page) ((MemaiOpaque *) PageGetSpecialPointer(page))

/* shares of the nearest rows for which the number of lists to read is known, see probes.c */
#define MEMAI_PROBE_POINTS 5

/* which lists a search reads for each of these shares; 0 unless measured */
typedef struct MemaiProbeTable
{
	float		factors[MEMAI_PROBE_POINTS];	/* their number, per root of that of all lists */
	float		gaps[MEMAI_PROBE_POINTS];	/* how much farther than the nearest list */
	uint32		lists;			/* of the tenant that it was measured on */
	uint32		hasty;			/* 1: with few queries, by an insert */
} MemaiProbeTable;

typedef struct MemaiMeta
{
	uint32		magic;
	uint32		version;
	uint16		dim;			/* 0 until the first row */
	uint8		metric;
	uint8		keys;			/* leading key columns */
	uint8		refine_bits;
	uint8		unused[3];
	uint32		list_size;		/* rows of a list of a clustered tenant */
	uint32		flat_size;		/* rows up to which a tenant is one list */
	BlockNumber centre;			/* first page of the centre, invalid until learnt */
	BlockNumber dead_head;		/* replaced lists, oldest first */
	BlockNumber dead_tail;
	uint64		next_list_id;
	double		rows;			/* live rows at the last build or vacuum */
	double		centre_rows;	/* rows when the centre was learnt */
	MemaiProbeTable probes;		/* an index made before there were gaps has none */
} MemaiMeta;

#define MemaiPageMeta(page) ((MemaiMeta *) PageGetContents(page))

/* ---- key directory: hash of the key columns to list ---- */

typedef struct MemaiDirectoryItem
{
	uint64		low;			/* least hash; the item ends where the next begins */
	BlockNumber child;			/* directory page, or first page of a list */
	uint32		unused;
} MemaiDirectoryItem;

typedef struct MemaiDirectory
{
	uint64		high;			/* greatest hash of this page */
	uint32		level;			/* 0: children are lists */
	uint32		unused;
	MemaiDirectoryItem items[FLEXIBLE_ARRAY_MEMBER];
} MemaiDirectory;

#define MemaiPageDirectory(page) ((MemaiDirectory *) PageGetContents(page))
#define MEMAI_DIRECTORY_ITEMS \
	((BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - offsetof(MemaiDirectory, items) - \
	  MAXALIGN(sizeof(MemaiOpaque))) / sizeof(MemaiDirectoryItem))

/* ---- lists ---- */

#define MEMAI_MAX_REFINE_PAGES 14

/* at the start of every scan page; only refine is used beyond the first one */
typedef struct MemaiListHeader
{
	uint64		hash_low;		/* the hashes that belong here */
	uint64		hash_high;
	uint64		dead_xid;		/* full transaction id of the replacement */
	BlockNumber tail;			/* last scan page */
	BlockNumber moved[2];		/* what replaced this list */
	BlockNumber next_dead;		/* next replaced list */
	uint32		pages;			/* scan pages */
	BlockNumber refine[MEMAI_MAX_REFINE_PAGES];
} MemaiListHeader;

#define MemaiPageList(page) ((MemaiListHeader *) PageGetContents(page))

/* where blocks begin on a scan page, records on a refine page */
#define MEMAI_SCAN_DATA		128
#define MEMAI_REFINE_DATA	MAXALIGN(SizeOfPageHeaderData)

/* record of a refine page; the code follows */
typedef struct MemaiRefineRecord
{
	float		scale;			/* y = scale * (code - half of the range) */
	float		add;			/* as on the scan page */
} MemaiRefineRecord;

/* where things are on the pages of a list, from dimension and options */
typedef struct MemaiLayout
{
	int			padded;			/* dimensions, a multiple of 64 */
	int			code_bytes;		/* of a 1-bit code */
	int			width;			/* vectors in a block: 16, or 8 of many dimensions */
	int			block_bytes;
	int			capacity;		/* vectors on a scan page */
	int			refine_bits;
	int			record_bytes;
	int			records;		/* on a refine page */
	int			refine_pages;	/* of a scan page */
	bool		keyed;			/* entries have hashes */
	int			add_offset;		/* within a block */
	int			factor_offset;
	int			error_offset;
	int			hash_offset;
	int			tid_offset;
} MemaiLayout;

#endif							/* MEMAI_INDEX_PAGE_H */
