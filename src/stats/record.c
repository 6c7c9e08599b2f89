/*
 * record.c
 *	  The ledger: one record for every attempt, first in shared memory, then in
 *	  the table memai._usage.
 *
 * A record is announced in shared memory before the attempt is sent, put there
 * when it ends, and stays there whatever becomes of the transaction.  A worker, or a backend that finds the
 * memory filling up, takes the records of its database out, inserts them, and
 * puts them back should its transaction abort.  Without shared memory the
 * record is inserted at once and lives or dies with the transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "stats/stats_int.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define STRINGS 4
#define STRING_MAX 1100			/* bytes with NUL: user_id may have 1024 */

/* room for what others add between a look at the size and the lock */
#define SLACK 65536

/* records that were taken out and are not committed to the table yet */
typedef struct Taken
{
	dlist_node	node;
	int			level;			/* of the transaction that inserts them */
	Size		size;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Taken;

static dlist_head all_taken = DLIST_STATIC_INIT(all_taken);
static bool callbacks_registered = false;

/* while they are inserted: what _usage_pending() shows */
static const char *source = NULL;
static Size source_size;

const char *
memai_operation_name(MemaiOperation operation)
{
	static const char *const names[] = {"embed", "complete", "stream", "rerank"};

	return names[operation];
}

const char *
memai_operation_kind(MemaiOperation operation)
{
	static const char *const kinds[] = {"embed", "chat", "chat", "rerank"};

	return kinds[operation];
}

/* ---- in shared memory ---- */

/* writes usage to out, which has room; returns its size */
static Size
form_record(const MemaiUsage *usage, char *out)
{
	const char *strings[STRINGS] = {usage->user_id, usage->tenant, usage->model, usage->credential};
	MemaiRecord *record = (MemaiRecord *) out;
	Size		size = sizeof(MemaiRecord);

	memset(record, 0, sizeof(MemaiRecord));
	record->id = usage->announced;
	record->database = MyDatabaseId;
	record->role = usage->role;
	record->sqlstate = usage->sqlstate;
	record->at = usage->at;
	record->prompt_tokens = usage->prompt_tokens;
	record->completion_tokens = usage->completion_tokens;
	record->cost = usage->cost;
	record->latency = usage->latency;
	record->attempt = usage->attempt;
	record->operation = usage->operation;
	record->status = usage->status;
	record->estimated = usage->estimated;
	record->cached = usage->cached;
	for (int i = 0; i < STRINGS; i++)
	{
		if (strings[i] == NULL)
			continue;
		record->lengths[i] = Min(strlcpy(out + size, strings[i], STRING_MAX), STRING_MAX - 1) + 1;
		size += record->lengths[i];
	}
	record->size = MAXALIGN(size);
	memset(out + size, 0, record->size - size);
	record->check = memai_record_check(record);
	return record->size;
}

/* the caller holds the lock */
static bool
append(const char *data, Size size)
{
	MemaiStatsShared *shared = memai_stats_shared();

	if (size > shared->buffer->size - shared->buffer->used)
		return false;
	memcpy(shared->buffer->data + shared->buffer->used, data, size);
	shared->buffer->used += size;
	return true;
}

/* writes over the announcement of that record; the caller holds the lock */
static bool
replace(const char *data, Size size)
{
	MemaiUsageBuffer *buffer = memai_stats_shared()->buffer;
	uint64		id = ((const MemaiRecord *) data)->id;

	for (Size offset = 0; id != 0 && offset < buffer->used;)
	{
		MemaiRecord *record = (MemaiRecord *) (buffer->data + offset);

		if (record->under_way && record->id == id && record->database == MyDatabaseId && record->size == size)
		{
			memcpy(record, data, size);
			return true;
		}
		offset += record->size;
	}
	return false;
}

void
memai_usage_announce(MemaiUsage *usage)
{
	MemaiStatsShared *shared = memai_stats_shared();
	char		data[MAXALIGN(sizeof(MemaiRecord) + STRINGS * STRING_MAX)] pg_attribute_aligned(MAXIMUM_ALIGNOF);
	MemaiRecord *record = (MemaiRecord *) data;
	Size		size;

	usage->announced = 0;
	size = form_record(usage, data);
	record->under_way = true;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	record->id = shared->buffer->last_id + 1;
	record->check = memai_record_check(record);
	if (append(data, size))
		usage->announced = shared->buffer->last_id = record->id;
	LWLockRelease(shared->lock);
}

void
memai_usage_put(const MemaiUsage *usage)
{
	MemaiStatsShared *shared = memai_stats_shared();
	char		record[MAXALIGN(sizeof(MemaiRecord) + STRINGS * STRING_MAX)] pg_attribute_aligned(MAXIMUM_ALIGNOF);
	Size		size = form_record(usage, record);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	memai_counter_add(usage);
	if (!replace(record, size) && !append(record, size))
		shared->buffer->dropped++;
	LWLockRelease(shared->lock);
}

void
memai_usage_count(const MemaiUsage *usage)
{
	MemaiStatsShared *shared = memai_stats_shared();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	memai_counter_add(usage);
	LWLockRelease(shared->lock);
}

bool
memai_usage_fuller_than(double share)
{
	MemaiStatsShared *shared = memai_stats_shared();

	/* read without the lock: it is a hint */
	return shared != NULL && shared->buffer->used > share * shared->buffer->size;
}

/*
 * Moves the records of this database to out, as many as room bytes hold, and
 * the others together.  Returns their size.  The caller holds the lock.
 */
static Size
take(char *out, Size room)
{
	MemaiStatsShared *shared = memai_stats_shared();
	Size		taken = 0;
	Size		kept = 0;

	for (Size offset = 0; offset < shared->buffer->used;)
	{
		MemaiRecord *record = (MemaiRecord *) (shared->buffer->data + offset);
		Size		size = record->size;

		offset += size;
		if (record->database == MyDatabaseId && !record->under_way && size <= room - taken)
		{
			memcpy(out + taken, record, size);
			taken += size;
		}
		else
		{
			memmove(shared->buffer->data + kept, record, size);
			kept += size;
		}
	}
	shared->buffer->used = kept;
	return taken;
}

const char *
memai_record_read(Size *size, bool *being_stored)
{
	MemaiStatsShared *shared = memai_stats_shared();
	char	   *copy;

	*being_stored = source != NULL;
	if (source != NULL || shared == NULL)
	{
		*size = source != NULL ? source_size : 0;
		return source;
	}
	for (;;)
	{
		Size		room = shared->buffer->used + SLACK;

		copy = MemoryContextAllocHuge(CurrentMemoryContext, room);
		LWLockAcquire(shared->lock, LW_SHARED);
		*size = shared->buffer->used;
		if (*size <= room)
			memcpy(copy, shared->buffer->data, *size);
		LWLockRelease(shared->lock);
		if (*size <= room)
			return copy;
		pfree(copy);
	}
}

/* ---- taken records and their transaction ---- */

static void
put_back(Taken *taken)
{
	MemaiStatsShared *shared = memai_stats_shared();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (Size offset = 0; offset < taken->size;)
	{
		MemaiRecord *record = (MemaiRecord *) (taken->data + offset);

		if (!append((char *) record, record->size))
			shared->buffer->dropped++;
		offset += record->size;
	}
	LWLockRelease(shared->lock);
}

/* what was taken at level or deeper is in the table, or is not */
static void
end_taken(int level, bool committed)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &all_taken)
	{
		Taken	   *taken = dlist_container(Taken, node, iter.cur);

		if (taken->level < level)
			continue;
		if (!committed)
			put_back(taken);
		dlist_delete(&taken->node);
		pfree(taken);
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		end_taken(0, true);
	else if (event == XACT_EVENT_ABORT)
		end_taken(0, false);
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	dlist_iter	iter;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		end_taken(level, false);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		dlist_foreach(iter, &all_taken)
	{
		Taken	   *taken = dlist_container(Taken, node, iter.cur);

		taken->level = Min(taken->level, level - 1);
	}
}

/* this database's records, out of shared memory; NULL when there are none */
static Taken *
take_all(void)
{
	MemaiStatsShared *shared = memai_stats_shared();
	Size		room = shared->buffer->used + SLACK;
	Taken	   *taken = MemoryContextAllocHuge(TopMemoryContext, offsetof(Taken, data) + room);

	if (!callbacks_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		callbacks_registered = true;
	}
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	taken->size = take(taken->data, room);
	LWLockRelease(shared->lock);
	if (taken->size == 0)
	{
		pfree(taken);
		return NULL;
	}
	taken->level = GetCurrentTransactionNestLevel();
	dlist_push_tail(&all_taken, &taken->node);
	return taken;
}

/* ---- in the table ---- */

#define RECORD_COLUMNS \
	"at, role, user_id, tenant_name, model, kind, operation, credential, prompt_tokens, completion_tokens, " \
	"estimated, cost, latency_ms, status, sqlstate, attempt, cached"

static MemaiStatement insert_records = {
	"INSERT INTO memai._usage (" RECORD_COLUMNS ") SELECT * FROM memai._usage_pending()", 0, {0}, NULL
};

Oid
memai_ledger_owner(void)
{
	Oid			schema = get_namespace_oid("memai", true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("_usage", schema) : InvalidOid;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static bool
can_write(void)
{
	return IsTransactionState() && !XactReadOnly && !RecoveryInProgress() && !IsInParallelMode();
}

/* inserts the records that data holds, as the owner of the table */
static int64
insert(const char *data, Size size)
{
	Oid			owner = memai_ledger_owner();
	Oid			user;
	int			sec_context;
	int64		n;

	if (!OidIsValid(owner))
		return 0;
	GetUserIdAndSecContext(&user, &sec_context);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	SetUserIdAndSecContext(owner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	source = data;
	source_size = size;
	PG_TRY();
	{
		n = memai_statement_run(&insert_records, NULL, NULL, false, 0);
	}
	PG_FINALLY();
	{
		source = NULL;
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, sec_context);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	return n;
}

void
memai_usage_store(const MemaiUsage *usage)
{
	char	   *record;

	if (!can_write())
		return;
	record = palloc(MAXALIGN(sizeof(MemaiRecord) + STRINGS * STRING_MAX));
	(void) insert(record, form_record(usage, record));
	pfree(record);
}

int64
memai_usage_flush(void)
{
	Taken	   *taken;

	if (memai_stats_shared() == NULL || memai_stats_shared()->buffer->used == 0 || !can_write() ||
		!OidIsValid(memai_ledger_owner()))
		return 0;
	taken = take_all();
	return taken ? insert(taken->data, taken->size) : 0;
}
