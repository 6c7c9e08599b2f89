/*
 * index_int.h
 *	  What the files of the access method share: the opened index, its
 *	  entries, and one group of prototypes per file.  Private to index/.
 */
#ifndef MEMAI_INDEX_INT_H
#define MEMAI_INDEX_INT_H

#include "access/amapi.h"
#include "access/generic_xlog.h"
#include "index/codec.h"
#include "index/page.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

/* support functions of the operator classes */
#define MEMAI_HASH_PROC		1	/* key columns: extended hash */
#define MEMAI_DISTANCE_PROC 1	/* vector column: distance, as the operator's */
#define MEMAI_VECTOR_PROC	2	/* vector column: MemaiVectorSupport */
#define MEMAI_PROCS			2
#define MEMAI_STRATEGY		1	/* both: equality, distance */

/* what an operator class of a vector type tells about it */
typedef struct MemaiVectorSupport
{
	MemaiMetric metric;
	/* dimensions of the datum, which is already detoasted */
	int			(*dim) (Datum value);
	void		(*to_floats) (Datum value, float *x);
	/* detoasts and checks */
	Datum		(*detoast) (Datum value);
} MemaiVectorSupport;

/* the settings, see handler.c */
typedef enum MemaiScanOrder
{
	MEMAI_ORDER_OFF,
	MEMAI_ORDER_RELAXED,
	MEMAI_ORDER_STRICT
} MemaiScanOrder;

extern int	memai_probes;
extern double memai_target_recall;
extern double memai_epsilon;
extern int	memai_max_scan_tuples;
extern int	memai_iterative_scan;

/* storage parameters */
typedef struct MemaiIndexOptions
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	int			dimensions;
	int			refine_bits;
	int			list_size;
	int			flat_size;
	int			probes;
} MemaiIndexOptions;

#define MemaiOptions(relation, name, fallback) \
	((relation)->rd_options ? ((MemaiIndexOptions *) (relation)->rd_options)->name : (fallback))
#define MEMAI_DEFAULT_REFINE_BITS 8
#define MEMAI_DEFAULT_LIST_SIZE 160
#define MEMAI_DEFAULT_FLAT_SIZE 8192

/*
 * An index opened for one operation: palloc'd in one memory context, so a
 * relcache flush does not pull it away.
 */
typedef struct MemaiIndex
{
	Relation	relation;
	const MemaiVectorSupport *support;
	MemaiMeta	meta;			/* as of the opening */
	MemaiLayout leaf;			/* lists of rows */
	MemaiLayout route;			/* lists of lists */
	MemaiRotation *rotation;	/* NULL while the dimension is unknown */
	float	   *centre;			/* rotated, NULL while unknown */
	float	   *work;			/* dim + 2 * padded floats */
	MemoryContext context;
} MemaiIndex;

/* a row, or a list, as it is moved about in memory */
typedef struct MemaiEntry
{
	uint64		hash;
	ItemPointerData tid;		/* of a list: its first page */
	uint16		unused;
	MemaiCode	code;
} MemaiEntry;

#define MEMAI_ENTRY_SIZE(padded) MAXALIGN(offsetof(MemaiEntry, code.u) + (padded))

/* ---- handler.c ---- */
extern bytea *memai_index_options(Datum reloptions, bool validate);

/* ---- bool_keys.c ---- */
/* Makes the planner use conditions on boolean key columns. */
extern void memai_bool_keys_init(void);

/* ---- layout.c: pure arithmetic ---- */
extern void memai_layout_init(MemaiLayout *layout, int dim, int refine_bits, bool keyed);

/* parts of page's slot */
static inline char *
memai_block(const MemaiLayout *layout, Page page, int slot)
{
	return (char *) page + MEMAI_SCAN_DATA + (slot / layout->width) * layout->block_bytes;
}

static inline float *
memai_slot_floats(const MemaiLayout *layout, Page page, int slot, int offset)
{
	return (float *) (memai_block(layout, page, slot) + offset) + slot % layout->width;
}

static inline ItemPointer
memai_slot_tid(const MemaiLayout *layout, Page page, int slot)
{
	return (ItemPointer) (memai_block(layout, page, slot) + layout->tid_offset) + slot % layout->width;
}

static inline uint64 *
memai_slot_hash(const MemaiLayout *layout, Page page, int slot)
{
	return (uint64 *) (memai_block(layout, page, slot) + layout->hash_offset) + slot % layout->width;
}

/* Writes the entry's 1-bit part into a slot of a scan page image. */
extern void memai_slot_write(const MemaiLayout *layout, Page page, int slot, const MemaiEntry *entry);
/* Makes a slot dead: no bound reaches it, no TID is in it. */
extern void memai_slot_kill(const MemaiLayout *layout, Page page, int slot);
/* Writes the entry's record into a refine page image. */
extern void memai_record_write(const MemaiLayout *layout, Page page, int record, const MemaiEntry *entry);
/* Reads an entry back; refine is its refine page or NULL when there is none. */
extern void memai_slot_read(const MemaiLayout *layout, Page page, int slot, Page refine,
							MemaiEntry *entry);
/* The 8-bit form of a record's code: in place, or unpacked into buffer. */
extern const uint8 *memai_record_code(const MemaiLayout *layout, const MemaiRefineRecord *record,
									  uint8 *buffer, float *scale);

/* ---- buffers.c ---- */
/* ReadBuffer, remembering where the page was */
extern Buffer memai_buffer_read(Relation relation, BlockNumber blkno);
/* Where the page may be in memory, or NULL: nothing is pinned, it is only good to prefetch. */
extern Page memai_buffer_guess(Relation relation, BlockNumber blkno);
/* Asks the processor for bytes of a page, if it is remembered where the page was. */
extern void memai_buffer_prefetch(Relation relation, BlockNumber blkno, int offset, int bytes);
/* The same for what pinning the page will touch. */
extern void memai_buffer_expect(Relation relation, BlockNumber blkno);

/* ---- storage.c ---- */
extern MemaiIndex *memai_index_open(Relation relation);
/* Sets the dimension of an index that has none yet, and reopens it. */
extern MemaiIndex *memai_index_set_dim(MemaiIndex *index, int dim);
extern void memai_page_init(Page page, MemaiPageKind kind);
/*
 * Reads and locks a page and checks that it is one of this kind.  Raises
 * XX002 with the hint to REINDEX otherwise.
 */
extern Buffer memai_page_read(Relation relation, BlockNumber blkno, int lock, MemaiPageKind kind);
extern void memai_page_check(Relation relation, Buffer buffer, MemaiPageKind kind);
pg_noreturn extern void memai_report_corrupted(Relation relation, BlockNumber blkno, const char *what);
/*
 * For a page that belongs to another list than expected: on a standby replay
 * may have reused it, which is a conflict (40001); else it is damage.
 */
pg_noreturn extern void memai_report_reused(Relation relation, BlockNumber blkno);
/* A page to write to, exclusively locked; its contents are undefined. */
extern Buffer memai_page_new(Relation relation);
/* Hands out list ids; they are never used again, whatever happens next. */
extern uint64 memai_list_ids(Relation relation, int count);
/* Writes metapage and empty directory root into a fork. */
extern void memai_write_empty(Relation relation, ForkNumber fork, int dim);
/* Stores the centre and makes it known; caller holds the move lock or is building. */
extern void memai_centre_store(MemaiIndex *index, const float *centre, double rows);
/* Changes the number of rows in the metapage, and probes unless NULL, as a logged action of its own. */
extern void memai_meta_update(Relation relation, double rows, const MemaiProbeTable *probes);
/* Changes probes in the metapage. */
extern void memai_probes_store(Relation relation, const MemaiProbeTable *probes);

/* The move lock: who holds it alone moves entries between lists. */
extern void memai_move_lock(Relation relation);
extern bool memai_move_try_lock(Relation relation);
extern void memai_move_unlock(Relation relation);

/* ---- directory.c ---- */
/* The list for a hash and the range of hashes that its item covers. */
extern BlockNumber memai_directory_find(Relation relation, uint64 hash, uint64 *low, uint64 *high);
/* Points the item that begins at low to list, adding it if need be; move lock held. */
extern void memai_directory_set(Relation relation, uint64 low, BlockNumber list);
/* Visits all lists in order of hash. */
typedef void (*MemaiListVisitor) (void *state, uint64 low, uint64 high, BlockNumber list);
extern void memai_directory_walk(Relation relation, MemaiListVisitor visit, void *state);

/* ---- list.c ---- */
/*
 * Writes n entries as a new list that nothing points to yet and returns its
 * first page.  logged false only while building.
 */
extern BlockNumber memai_list_write(MemaiIndex *index, const MemaiLayout *layout, int level,
									int centre, uint64 hash_low, uint64 hash_high,
									MemaiEntry *const *entries, int n, bool logged);
/*
 * Appends an entry to the list whose first page is locked exclusively; true
 * when the last page became full.
 */
extern bool memai_list_append(MemaiIndex *index, const MemaiLayout *layout, Buffer first,
							  const MemaiEntry *entry);
/*
 * Called with each scan page of a list, share-locked; false ends the walk.
 * held is the first page if the caller has it locked already, else invalid.
 */
typedef bool (*MemaiPageVisitor) (void *state, Buffer buffer, Page page);
extern void memai_list_walk(Relation relation, BlockNumber first, Buffer held,
							MemaiPageVisitor visit, void *state);
/*
 * All live entries from slot *position of the list on (page-wise order), as a
 * palloc'd array of *n palloc'd entries; *position becomes the list's end.
 */
extern MemaiEntry **memai_list_read(MemaiIndex *index, const MemaiLayout *layout, BlockNumber first,
									Buffer held, uint64 *position, int *n);

/* ---- search.c ---- */
typedef struct MemaiSearch MemaiSearch;
extern MemaiSearch *memai_search_create(MemaiIndex *index, MemoryContext context);
/*
 * Reads the first lists for a rotated query: probes of them, or by the
 * settings if 0.  No list is begun once most entries have been read.
 */
extern void memai_search_start(MemaiSearch *search, uint64 hash, const float *q, float epsilon,
							   int probes, int64 most);

/* where an 8-bit or exact distance can be got */
typedef struct MemaiCandidate
{
	float		bound;
	uint32		entry;			/* position in the pool's bounds */
	BlockNumber refine;			/* refine page, or invalid */
	uint16		record;
	ItemPointerData tid;
	uint8		centre;
	float		correction;		/* of a list, memai_route_correction when asked for */
} MemaiCandidate;

/* No entry that is read but not consumed is nearer than this. */
extern float memai_search_bound(const MemaiSearch *search);
/*
 * The candidate with the least bound, reading more lists when there is none;
 * false when all lists are read.
 */
extern bool memai_search_peek(MemaiSearch *search, MemaiCandidate *candidate);
extern void memai_search_consume(MemaiSearch *search);
/* Reads the candidate's 8-bit code: distance and how far it may be off. */
extern float memai_search_refine(MemaiSearch *search, const MemaiCandidate *candidate, float *margin);
/* Reads more lists if returned rows are many in relation to those read. */
extern void memai_search_returned(MemaiSearch *search, int64 returned);

/* nearest list of a route for an entry (insert, split) */
extern BlockNumber memai_route_nearest(MemaiIndex *index, BlockNumber route, const float *rotated);

/* ---- insert.c ---- */
extern bool memai_index_insert(Relation relation, Datum *values, bool *nulls, ItemPointer tid,
							   Relation heap, IndexUniqueCheck check_unique,
							   bool index_unchanged, struct IndexInfo *info);
/* Hash of the key columns; false when one of them is null. */
extern bool memai_key_hash(Relation relation, const Datum *values, const bool *nulls, uint64 *hash);
/*
 * The rotated vector, normalised for cosine, into out (padded floats); false
 * when it does not go into the index (zero under cosine).
 */
extern bool memai_vector_rotate(MemaiIndex *index, Datum value, float *out);
/* Encodes a rotated vector against centre number 0 or 1. */
extern void memai_entry_encode(MemaiIndex *index, const float *rotated, int centre, MemaiEntry *entry);

/* ---- mean.c ---- */
/*
 * Adds the rotated vector of an entry of a list with that centre, so many
 * times, to a sum; returns the vector's squared length.
 */
extern double memai_add_vector(MemaiIndex *index, const MemaiEntry *entry, int centre, float times, float *sum);
/*
 * The centre that new lists use, learnt from these entries of a list with
 * that centre if there is none.  Signs alone do not say enough of a vector to
 * encode it for another centre, so without refine codes the centre stays.
 */
extern int	memai_centre_for(MemaiIndex *index, MemaiEntry *const *entries, int n, int centre);
/* rows from which on the centre is learnt */
#define MEMAI_CENTRE_ROWS 24
/*
 * Are these entries so far from the origin, in relation to the distances
 * between them, that codes without a centre lose what tells them apart?
 */
extern bool memai_centre_urgent(MemaiIndex *index, MemaiEntry *const *entries, int n, int centre);
/* Encodes entries of a list with one centre for a list with another. */
extern void memai_change_centre(MemaiIndex *index, MemaiEntry *const *entries, int n, int from, int to);
/*
 * A route's entry for a list with these entries, palloc'd: the code of their
 * mean.  Its add is greater than that of the mean alone by part of the spread,
 * so that a search ranks lists by where their nearest rows may be.
 */
extern MemaiEntry *memai_route_entry(MemaiIndex *index, BlockNumber list, MemaiEntry *const *entries, int n,
									 int centre, int route_centre);
/*
 * What to add to a distance by a route's entry in slot to get that of the mean
 * alone, for a new row goes to the nearest mean: factor and error imply its
 * length.  With inner products, from there to the squared distance.
 */
extern float memai_route_correction(const MemaiLayout *layout, Page page, int slot, MemaiMetric metric);

/* ---- split.c: with the move lock held ---- */
extern void memai_split(MemaiIndex *index, uint64 hash, BlockNumber list);
/* Rewrites the list without its dead entries. */
extern void memai_index_compact(MemaiIndex *index, uint64 hash, BlockNumber list);

/* ---- relink.c: with the move lock held ---- */
/* what the first page of a list says of it */
typedef struct MemaiListFacts
{
	MemaiListHeader header;
	int			level;
	int			centre;
	int			flags;
} MemaiListFacts;

extern void memai_list_facts(Relation relation, BlockNumber list, MemaiListFacts *facts);
extern bool memai_route_leads_to(MemaiIndex *index, BlockNumber route, BlockNumber list);
/* The n lists of a route, palloc'd. */
extern BlockNumber *memai_route_children(MemaiIndex *index, BlockNumber route, int *n);
/* What a route with this centre says of a list, read anew. */
extern MemaiEntry *memai_child_entry(MemaiIndex *index, BlockNumber list, int route_centre);
/* Points route, or the directory if invalid, at the successors of a moved list and queues it. */
extern void memai_finish_move(MemaiIndex *index, BlockNumber route, BlockNumber list);
/* Makes the way to hash's list whole after a crash between two steps. */
extern void memai_repair(MemaiIndex *index, uint64 hash);
/* Frees the pages of replaced lists that no scan can be in any more. */
extern void memai_reclaim(Relation relation);

/* ---- cluster.c ---- */
/*
 * Centroids, found in these steps: divide, part (of each entry), share, and
 * find for each part.  Several processes may do the steps part and find at once.
 */
typedef struct MemaiClusters MemaiClusters;
/* Bytes that k centroids of so many floats take. */
extern Size memai_clusters_size(int padded, int k);
/* Centroids in memory of this size, to be found or found by another process; palloc'd, the memory is not. */
extern MemaiClusters *memai_clusters_at(void *memory, int padded, int k);
/* The upper level, by some of n entries; k of memai_clusters_at must not be above n. */
extern void memai_clusters_divide(MemaiClusters *clusters, MemaiEntry *const *entries, int n);
extern int	memai_clusters_parts(const MemaiClusters *clusters);
/* Which part an entry is in, from 0. */
extern int	memai_clusters_part(const MemaiClusters *clusters, const MemaiEntry *entry);
/* How many centroids each part gets, by the parts of n entries. */
extern void memai_clusters_share(MemaiClusters *clusters, const int *part_of, int n);
/* The centroids of one part, by those of n entries that are in it. */
extern void memai_clusters_find(MemaiClusters *clusters, int part, MemaiEntry *const *entries, const int *part_of, int n);
/* All steps: k centroids at most of the entries, palloc'd. */
extern MemaiClusters *memai_cluster(int padded, MemaiEntry *const *entries, int n, int k);
extern int	memai_cluster_count(const MemaiClusters *clusters);
extern int	memai_cluster_nearest(const MemaiClusters *clusters, const MemaiEntry *entry);

/* ---- build.c ---- */
extern IndexBuildResult *memai_index_build(Relation heap, Relation relation, struct IndexInfo *info);
extern void memai_index_build_empty(Relation relation);

/* ---- scan.c ---- */
extern IndexScanDesc memai_index_beginscan(Relation relation, int nkeys, int norderbys);
extern void memai_index_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool memai_index_gettuple(IndexScanDesc scan, ScanDirection direction);
extern void memai_index_endscan(IndexScanDesc scan);

/* ---- probes.c ---- */
extern const float memai_probe_recall[MEMAI_PROBE_POINTS];
/* About how many of so many lists a search reads, by settings, storage parameter and what was measured. */
extern int	memai_probe_count(const MemaiIndex *index, int lists);
/*
 * How much farther than the nearest list the lists to be read may be, for a
 * query of this length; 0 when memai_probe_count is all there is to go by.
 */
extern float memai_probe_gap(const MemaiIndex *index, float length);
/* times memai_probe_count at most are read first */
#define MEMAI_PROBES_MOST 10
/* neighbours of a query that are to be found */
#define MEMAI_PROBE_NEIGHBOURS 10
/* what it takes to find one of them */
typedef struct MemaiProbeNeed
{
	int			lists;
	float		gap;
} MemaiProbeNeed;

/*
 * What each neighbour of a rotated query takes, after a search of all lists
 * under hash; how many there are.  is_row: the query is a row of the table,
 * and not its own neighbour.
 */
extern int	memai_probes_query(MemaiSearch *search, uint64 hash, int lists, const float *query, bool is_row,
							   MemaiProbeNeed *needs);
/*
 * Raises probes to what count needs, which are sorted, say of so many lists;
 * margin: the share to be found of the neighbours that may be missed.
 */
extern void memai_probes_raise(MemaiProbeTable *probes, MemaiProbeNeed *needs, int count, double margin, int lists);
/* more rows are not read for one query */
#define MEMAI_MEASURED_ROWS 4000000
/* how many queries of each kind are worth measuring with */
#define MEMAI_SUM_QUERIES 200
#define MEMAI_ROW_QUERIES 100
/* rows of a sum, see memai_probe_query */
#define MEMAI_PROBE_PARENTS 3
/* fewer lists are all read until it is measured how many are needed */
#define MEMAI_LEAST_MEASURED 16

/* ---- measure.c ---- */
/*
 * A query to measure with, padded floats: a row, or a weighted mean of
 * MEMAI_PROBE_PARENTS rows, of lists with that centre; false if it is none.
 */
extern bool memai_probe_query(MemaiIndex *index, MemaiEntry *const *parents, int nparents, int centre, float *query);
/*
 * Measures on the tenant with that hash what a search needs, if it has many
 * more lists than when that was measured, or many fewer; with the move lock
 * held.  in_insert: with as many queries as an insert can wait for.
 */
extern void memai_probes_learn(MemaiIndex *index, uint64 hash, bool in_insert);

/* ---- vacuum.c ---- */
extern IndexBulkDeleteResult *memai_index_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
													 IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *memai_index_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

/* ---- cost.c ---- */
extern void memai_index_cost(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
							 Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
							 double *correlation, double *pages);

/* ---- validate.c ---- */
extern bool memai_index_validate(Oid opclass);

#endif							/* MEMAI_INDEX_INT_H */
