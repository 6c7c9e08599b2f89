/*
 * build_int.h
 *	  An index under construction, for build.c and build_*.c.
 *
 * Each process that takes part has a MemaiBuild of its own; they share a
 * MemaiBuildShared, which a build without workers has too.
 */
#ifndef MEMAI_BUILD_INT_H
#define MEMAI_BUILD_INT_H

#include "access/parallel.h"
#include "access/tableam.h"
#include "common/pg_prng.h"
#include "executor/instrument.h"
#include "executor/tuptable.h"
#include "index/index_int.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/dsa.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

/* entries of a sample at most, and of a piece of its memory */
#define MEMAI_SAMPLE_MOST (256 * 1024)
#define MEMAI_SAMPLE_CHUNK 256

/* what the participants of a build do together */
typedef enum MemaiBuildTask
{
	MEMAI_BUILD_SCAN,			/* read and encode the table's rows */
	MEMAI_BUILD_PARTS,			/* to which part of the centroids entries of the sample belong */
	MEMAI_BUILD_CENTROIDS,		/* centroids, part by part */
	MEMAI_BUILD_NEAREST,		/* the nearest centroid of entries of the sample */
	MEMAI_BUILD_ASSIGN,			/* the nearest centroid of the rows, which are sorted by it */
	MEMAI_BUILD_MEASURE,		/* search, to learn how many lists that takes */
	MEMAI_BUILD_END
} MemaiBuildTask;

typedef struct MemaiBuildShared
{
	/* set before the first task */
	Oid			heap;
	Oid			index;
	bool		concurrent;
	int			participants;

	slock_t		mutex;			/* for this group */
	int			number;			/* of the task, from 1 */
	MemaiBuildTask task;
	int			working;		/* workers that have not done it */
	double		heap_tuples;	/* read by those who are done */
	bool		broken_hot_chain;

	ConditionVariable posted;	/* there is a task */
	ConditionVariable done;		/* a worker has done it */
	pg_atomic_uint32 next;		/* the first piece of the task that nobody has taken */
	pg_atomic_uint64 rows;		/* in the index */

	/* a tenant's sample; lock only while rows are read */
	LWLock		lock;
	int			sample_n;
	int64		sample_seen;
	dsa_pointer chunks[MEMAI_SAMPLE_MOST / MEMAI_SAMPLE_CHUNK];

	/* its centroids; the leader sets these before the task that needs them */
	int			k;				/* 0: one list takes all rows */
	dsa_pointer clusters;
	int			entries;		/* of the sample, evenly spread, that the task is about */
	dsa_pointer assigned;		/* part or centroid of each */

	/* of the tenant with most lists: queries for probes.c */
	uint64		queries_hash;
	int			queries_lists;	/* 0 until there is one */
	int			nsums;			/* of them, the first: sums of rows; the others are rows */
	int			nqueries;
	dsa_pointer queries;
	dsa_pointer needs;			/* MEMAI_PROBE_NEIGHBOURS of each */
	dsa_pointer nneeds;			/* how many of these there are */
} MemaiBuildShared;

typedef struct MemaiBuild
{
	Relation	heap;
	Relation	relation;
	IndexInfo  *info;
	MemaiIndex *index;
	MemoryContext context;		/* for what lives as long as the build */
	MemoryContext row_context;
	TupleDesc	desc;			/* key, entry */
	TupleTableSlot *in;
	TupleTableSlot *out;
	float	   *rotated;
	bytea	   *payload;		/* the entry being encoded */
	MemaiEntry *entry;			/* within payload */
	Size		entry_size;
	int			centre;			/* that entries are encoded for: whether there is one */

	double	   *centre_sum;		/* while sampling */
	int			centre_n;

	MemaiBuildShared *shared;
	Tuplesortstate *sort;		/* by hash with keys, else by centroid */
	Tuplestorestate *store;		/* without keys: rows as read */
	/* addresses of the sample's chunks, as far as they are known here */
	char	   *chunks[MEMAI_SAMPLE_MOST / MEMAI_SAMPLE_CHUNK];
	pg_prng_state random;

	/* with workers, otherwise NULL */
	dsa_area   *area;
	Sharedsort *shared_sort;
	ParallelTableScanDesc shared_scan;
	ParallelContext *workers;	/* from here on the leader's alone */
	Snapshot	snapshot;
	WalUsage   *wal_usage;		/* of each worker */
	BufferUsage *buffer_usage;

	/* the shared list being filled */
	MemaiEntry **bucket;
	int			nbucket;
	uint64		bucket_low;		/* where the next list's range begins */
} MemaiBuild;

/* an entry's place within its bytea is a multiple of 8 from the datum's start */
#define MEMAI_PAYLOAD_OFFSET (VARHDRSZ + 4)

/* ---- build.c ---- */
/* What one process needs to take part; shared is still NULL. */
extern void memai_build_init(MemaiBuild *build, Relation heap, Relation relation, IndexInfo *info);
/* Reads rows: all, or those that the other participants leave. */
extern void memai_build_scan(MemaiBuild *build);

/* ---- build_parallel.c ---- */
/* The state of a build without workers; memai_build_launch replaces it if it gets some. */
extern void memai_build_alone(MemaiBuild *build);
extern void memai_build_launch(MemaiBuild *build);
/* All participants do the task; returns when they have. */
extern void memai_build_run(MemaiBuild *build, MemaiBuildTask task);
/* Ends the workers. */
extern void memai_build_finish(MemaiBuild *build);
/* The part of maintenance_work_mem that each participant may use, in kB. */
extern int	memai_build_memory(const MemaiBuild *build);
/* Memory that all participants reach, each at an address of its own. */
extern dsa_pointer memai_build_alloc(MemaiBuild *build, Size size);
extern void *memai_build_address(MemaiBuild *build, dsa_pointer where);
extern void memai_build_free(MemaiBuild *build, dsa_pointer where);

/* ---- build_sample.c ---- */
/* Offers a row to the sample; with workers all of them do so at once. */
extern void memai_build_sample(MemaiBuild *build, const MemaiEntry *entry);
/*
 * Finds centroids for a tenant of so many rows from its sample, keeps queries
 * if it has most lists so far, and empties the sample.
 */
extern MemaiClusters *memai_build_centroids(MemaiBuild *build, uint64 hash, double rows);
/* They are in no use any more. */
extern void memai_build_forget_centroids(MemaiBuild *build);
/* The centroids that the leader has had found, NULL while there are none; palloc'd. */
extern MemaiClusters *memai_build_clusters(MemaiBuild *build);
/* One participant's share of the tasks PARTS, CENTROIDS and NEAREST. */
extern void memai_build_parts(MemaiBuild *build);
extern void memai_build_find(MemaiBuild *build);
extern void memai_build_nearest(MemaiBuild *build);
/* Rows whose centroids are found at once, see memai_build_batch. */
extern int	memai_build_batch_size(const MemaiBuild *build);
/* Room for row i of a batch. */
extern MemaiEntry *memai_build_batch_entry(MemaiBuild *build, int i);
/* The nearest centroids of n rows. */
extern const int *memai_build_batch(MemaiBuild *build, int n);
/* One participant's share of the task MEASURE, and all of it; false when there is nothing to measure. */
extern void memai_build_measure_some(MemaiBuild *build);
extern bool memai_build_measure(MemaiBuild *build, MemaiProbeTable *probes);

/* ---- build_lists.c ---- */
/* Begins build->sort: by hash, or by centroid. */
extern void memai_build_begin_sort(MemaiBuild *build);
/* Ends what this participant adds to it. */
extern void memai_build_end_sort(MemaiBuild *build);
/* Adds the entry in payload to a sort by key, or to a store. */
extern void memai_build_put(MemaiBuild *build, Tuplesortstate *sort, int64 key, bytea *payload);
extern void memai_build_store(MemaiBuild *build, Tuplestorestate *store, bytea *payload);
/* One participant's share of the task ASSIGN. */
extern void memai_build_assign(MemaiBuild *build);
/* Write the lists and the directory, of the rows that have been read. */
extern void memai_build_without_keys(MemaiBuild *build);
extern void memai_build_with_keys(MemaiBuild *build);

#endif							/* MEMAI_BUILD_INT_H */
