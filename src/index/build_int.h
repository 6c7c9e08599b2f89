/*
 * build_int.h
 *	  An index under construction, for build.c and build_lists.c.
 */
#ifndef MEMAI_BUILD_INT_H
#define MEMAI_BUILD_INT_H

#include "common/pg_prng.h"
#include "executor/tuptable.h"
#include "index/index_int.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

/* a sample of the entries of a tenant */
typedef struct MemaiReservoir
{
	MemaiEntry **entries;
	int			n;
	int			size;
	int64		seen;
	pg_prng_state random;
} MemaiReservoir;

typedef struct MemaiBuild
{
	Relation	heap;
	Relation	relation;
	IndexInfo  *info;
	MemaiIndex *index;
	MemoryContext row_context;
	TupleDesc	desc;			/* key, entry */
	TupleTableSlot *in;
	TupleTableSlot *out;
	float	   *rotated;
	bytea	   *payload;		/* the entry being encoded */
	MemaiEntry *entry;
	Size		entry_size;
	int			centre;

	double	   *centre_sum;		/* while sampling */
	int			centre_n;
	int			centre_dim;

	Tuplesortstate *sort;		/* with keys: by hash */
	Tuplestorestate *store;		/* without: as read */
	MemaiReservoir sample;
	double		rows;

	/* the shared list being filled */
	MemaiEntry **bucket;
	int			nbucket;
	uint64		bucket_low;		/* where the next list's range begins */

	/* of the tenant with most lists: what memai_probes_measure is asked for */
	float	  **queries;		/* NULL until there is one */
	int			nsums;			/* of them, the first: sums of rows; the others are rows */
	int			nqueries;
	uint64		queries_hash;
	int			queries_lists;
} MemaiBuild;

/* an entry's place within its bytea is a multiple of 8 from the datum's start */
#define MEMAI_PAYLOAD_OFFSET (VARHDRSZ + 4)

/* ---- build_lists.c ---- */
extern Tuplesortstate *memai_build_begin_sort(MemaiBuild *build);
/* Adds the entry in payload to a sort by key, or to a store. */
extern void memai_build_put(MemaiBuild *build, Tuplesortstate *sort, int64 key, bytea *payload);
extern void memai_build_store(MemaiBuild *build, Tuplestorestate *store, bytea *payload);
/* Adds an entry to the sample, of which the first one makes it. */
extern void memai_build_sample(MemaiReservoir *sample, const MemaiEntry *entry, Size size);
/* Writes the lists and the directory from the store, or from the sort by hash. */
extern void memai_build_without_keys(MemaiBuild *build);
extern void memai_build_with_keys(MemaiBuild *build);

#endif							/* MEMAI_BUILD_INT_H */
