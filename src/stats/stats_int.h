/*
 * stats_int.h
 *	  What the files of stats/ share.  Private to stats/.
 *
 * One lock guards all of it.  It is held for moments only: no palloc, no
 * ereport, no catalog under it.
 */
#ifndef MEMAI_STATS_INT_H
#define MEMAI_STATS_INT_H

#include "stats/stats.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/hsearch.h"

/* records of all databases follow each other from data on */
typedef struct MemaiUsageBuffer
{
	uint32		magic;
	uint32		record_size;	/* of MemaiRecord, when this was written */
	int64		dropped;		/* records that found no room */
	uint64		last_id;		/* of a record that was announced */
	Size		size;			/* of data */
	Size		used;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} MemaiUsageBuffer;

/* in shared memory */
typedef struct MemaiStatsShared
{
	LWLock	   *lock;
	int64		uncounted;		/* calls that found no room among the counters */
	MemaiUsageBuffer *buffer;	/* at the same address in all processes */
} MemaiStatsShared;

/* ---- shared.c ---- */

/* NULL when memai is not preloaded */
extern MemaiStatsShared *memai_stats_shared(void);

/*
 * Context of a setting that is read at the start of the server only.  Without
 * preload it may still stand in the configuration file, and does nothing.
 */
extern GucContext memai_stats_context(void);

/* ---- record.c ---- */

/* a record as it lies in shared memory; its strings follow, each with its NUL */
typedef struct MemaiRecord
{
	uint64		check;			/* memai_record_check of what follows */
	uint64		id;				/* when it was announced; 0: it was not */
	uint32		size;			/* of all of it, aligned */
	Oid			database;
	Oid			role;
	int32		sqlstate;
	TimestampTz at;
	int64		prompt_tokens;
	int64		completion_tokens;
	double		cost;
	double		latency;
	int16		attempt;
	uint8		operation;
	uint8		status;
	bool		estimated;
	bool		cached;
	bool		under_way;		/* announced, and not yet put */
	uint16		lengths[4];		/* of user_id, tenant, model, credential with
								 * their NUL; 0 for NULL */
} MemaiRecord;

/*
 * The records that are being stored in the table, or a copy of all in shared
 * memory, of every database, palloc'd; NULL when there is none.
 */
extern const char *memai_record_read(Size *size, bool *being_stored);

/* ---- buffer.c ---- */

/*
 * The memory for records, with size bytes for them; in the postmaster, before
 * it has children.  What is in it from before a crash or a clean stop is kept.
 */
extern MemaiUsageBuffer *memai_buffer_attach(Size size);

/* Writes the records to a file that the next start reads: all processes have ended. */
extern void memai_buffer_save(void);

/* A hash of all of the record but check: a crash may leave half of one. */
extern uint64 memai_record_check(const MemaiRecord *record);

/* ---- record.c ---- */

/* the owner of the ledger; InvalidOid where memai is not installed */
extern Oid	memai_ledger_owner(void);

extern const char *memai_operation_name(MemaiOperation operation);

/* the kind of model that does it */
extern const char *memai_operation_kind(MemaiOperation operation);

/* ---- counter.c: the caller holds the lock ---- */

extern Size memai_counter_size(void);
extern void memai_counter_attach(void);
extern void memai_counter_add(const MemaiUsage *usage);

/* ---- limit.c ---- */

/* a bucket as memai.limit_status shows it */
typedef struct MemaiLimitState
{
	MemaiLimitKey key;
	char		model[MEMAI_LIMIT_NAME_SIZE];
	char		user[MEMAI_LIMIT_NAME_SIZE];
	int64		calls_under_way;
	MemaiLimitHistory used;
	int64		reserved_tokens;
	double		reserved_cost;
} MemaiLimitState;

/* The buckets of this database, palloc'd; *n is their number. */
extern MemaiLimitState *memai_limit_read(int *n);

extern Size memai_limit_size(void);
extern void memai_limit_attach(void);
extern void memai_limit_init(void);

#endif							/* MEMAI_STATS_INT_H */
