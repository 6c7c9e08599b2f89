/*
 * limit.c
 *	  Limits of requests, tokens and money, shared by all backends.
 *
 * A bucket is what one rule counts together: the calls of one role, of one
 * model, of all.  A call reserves what it may need in every bucket it falls
 * into, or in none; when it ends the reservation is replaced by what it used.
 * So calls that run at once never overshoot by more than their estimates are
 * wrong.
 *
 * A minute is a window that slides in slices of two seconds: use counts from
 * its slice's beginning until 60 seconds after its slice's end, so no 60
 * seconds ever hold more than the limit.  Slices follow a clock that never
 * jumps; only the day, which ends at midnight UTC, follows the calendar.
 *
 * A bucket that a running call has pinned stays; when the table is full the
 * idle one that was used longest ago goes.
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"
#include "stats/stats_int.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define SLICE_MS 2000
#define WINDOW_SLICES 31		/* the current one and 60 seconds before it */
#define SLICES 32
/* how often a call looks again whether another one has ended */
#define CONCURRENT_WAIT_MS 10

typedef struct Slice
{
	int64		number;			/* of the slice of time; 0: never used */
	int64		requests;
	int64		tokens;
} Slice;

struct MemaiLimitBucket
{
	MemaiLimitKey key;
	char		model[MEMAI_LIMIT_NAME_SIZE];
	char		user[MEMAI_LIMIT_NAME_SIZE];
	int64		pins;
	int64		last_used;		/* clock */
	int64		under_way;
	int64		reserved_tokens;
	double		reserved_cost;
	int64		day;			/* since 1970 */
	int64		day_tokens;
	double		day_cost;
	Slice		slices[SLICES];
};

static int	max_buckets = 1000;
static HTAB *buckets = NULL;

Size
memai_limit_size(void)
{
	return hash_estimate_size(max_buckets, sizeof(MemaiLimitBucket));
}

void
memai_limit_attach(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(MemaiLimitKey);
	control.entrysize = sizeof(MemaiLimitBucket);
	buckets = ShmemInitHash("memai limits", max_buckets, max_buckets, &control,
							HASH_ELEM | HASH_BLOBS);
}

/* ---- time ---- */

static int64
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64
today(void)
{
	return (int64) time(NULL) / SECS_PER_DAY;
}

/* the slice of that number, emptied if it held an older one's use */
static Slice *
slice_at(MemaiLimitBucket *bucket, int64 number)
{
	Slice	   *slice = &bucket->slices[number % SLICES];

	if (slice->number != number)
	{
		memset(slice, 0, sizeof(Slice));
		slice->number = number;
	}
	return slice;
}

static bool
in_window(const Slice *slice, int64 now)
{
	return slice->number != 0 && slice->number > now - WINDOW_SLICES;
}

static void
sum_window(const MemaiLimitBucket *bucket, int64 now, int64 *requests, int64 *tokens)
{
	*requests = *tokens = 0;
	for (int i = 0; i < SLICES; i++)
		if (in_window(&bucket->slices[i], now))
		{
			*requests += bucket->slices[i].requests;
			*tokens += bucket->slices[i].tokens;
		}
}

/* milliseconds until excess of requests or tokens has left the window */
static int64
wait_for_slices(const MemaiLimitBucket *bucket, int64 clock, bool of_tokens, int64 excess)
{
	int64		now = clock / SLICE_MS;

	for (int64 number = now - WINDOW_SLICES + 1; number <= now; number++)
	{
		const Slice *slice = &bucket->slices[number % SLICES];

		if (slice->number != number)
			continue;
		excess -= of_tokens ? slice->tokens : slice->requests;
		if (excess <= 0)
			return (number + WINDOW_SLICES) * SLICE_MS - clock;
	}
	return WINDOW_SLICES * SLICE_MS;
}

/* a new day starts from nothing */
static void
turn_day(MemaiLimitBucket *bucket)
{
	if (bucket->day == today())
		return;
	bucket->day = today();
	bucket->day_tokens = 0;
	bucket->day_cost = 0;
}

static int64
until_midnight(void)
{
	return (SECS_PER_DAY - (int64) time(NULL) % SECS_PER_DAY) * 1000;
}

/* ---- buckets: the caller holds the lock ---- */

/* makes room for one more; false when every bucket is in use */
static bool
evict(void)
{
	HASH_SEQ_STATUS scan;
	MemaiLimitBucket *bucket;
	MemaiLimitBucket *oldest = NULL;

	hash_seq_init(&scan, buckets);
	while ((bucket = hash_seq_search(&scan)) != NULL)
		if (bucket->pins == 0 && (oldest == NULL || bucket->last_used < oldest->last_used))
			oldest = bucket;
	return oldest != NULL && hash_search(buckets, &oldest->key, HASH_REMOVE, NULL) != NULL;
}

static MemaiLimitBucket *
make_bucket(const MemaiLimit *limit, const MemaiLimitHistory *history)
{
	MemaiLimitBucket *bucket;
	Slice	   *slice;

	if (hash_get_num_entries(buckets) >= max_buckets && !evict())
		return NULL;
	bucket = hash_search(buckets, &limit->key, HASH_ENTER_NULL, NULL);
	if (bucket == NULL)
		return NULL;
	memset((char *) bucket + sizeof(MemaiLimitKey), 0, sizeof(MemaiLimitBucket) - sizeof(MemaiLimitKey));
	strlcpy(bucket->model, limit->model, sizeof(bucket->model));
	strlcpy(bucket->user, limit->user, sizeof(bucket->user));
	bucket->day = today();
	bucket->day_tokens = history->day_tokens;
	bucket->day_cost = history->day_cost;
	slice = slice_at(bucket, clock_ms() / SLICE_MS);
	slice->requests = history->requests;
	slice->tokens = history->tokens;
	return bucket;
}

bool
memai_limit_pin(MemaiLimit *limit, const MemaiLimitHistory *history)
{
	LWLock	   *lock = memai_stats_shared()->lock;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	limit->bucket = hash_search(buckets, &limit->key, HASH_FIND, NULL);
	if (limit->bucket == NULL && history != NULL)
		limit->bucket = make_bucket(limit, history);
	if (limit->bucket != NULL)
	{
		limit->bucket->pins++;
		limit->bucket->last_used = clock_ms();
	}
	LWLockRelease(lock);
	if (limit->bucket == NULL && history != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no room for another limit's counters"),
				 errdetail("All %d are in use by calls under way.", max_buckets),
				 errhint("Raise memai.stats_max_limits and restart the server.")));
	return limit->bucket != NULL;
}

void
memai_limit_unpin(MemaiLimit *limit)
{
	LWLock	   *lock = memai_stats_shared()->lock;

	if (limit->bucket == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	limit->bucket->pins--;
	LWLockRelease(lock);
	limit->bucket = NULL;
}

/* ---- reserving ---- */

static void
refuse(MemaiLimitVerdict *verdict, MemaiLimitKind kind, int64 wait, double used, double most)
{
	/* of several reasons, the one that lasts longest */
	if (verdict->kind != MEMAI_LIMIT_NONE && verdict->wait >= 0 && wait >= 0 && wait <= verdict->wait)
		return;
	if (verdict->kind != MEMAI_LIMIT_NONE && verdict->wait < 0)
		return;
	verdict->kind = kind;
	verdict->wait = wait;
	verdict->used = used;
	verdict->most = most;
}

/* is there room for a call of that size in the limit's bucket? */
static void
judge(const MemaiLimit *limit, int64 clock, int64 tokens, double cost, MemaiLimitVerdict *verdict)
{
	MemaiLimitBucket *bucket = limit->bucket;
	int64		requests;
	int64		used;
	double		spent = bucket->day_cost + bucket->reserved_cost;
	int64		day_tokens = bucket->day_tokens + bucket->reserved_tokens;

	sum_window(bucket, clock / SLICE_MS, &requests, &used);
	if (limit->requests_per_minute > 0 && requests >= limit->requests_per_minute)
		refuse(verdict, MEMAI_LIMIT_REQUESTS,
			   wait_for_slices(bucket, clock, false, requests + 1 - limit->requests_per_minute),
			   requests, limit->requests_per_minute);
	if (limit->tokens_per_minute > 0 && used + tokens > limit->tokens_per_minute)
		refuse(verdict, MEMAI_LIMIT_TOKENS, tokens > limit->tokens_per_minute ? -1 :
			   wait_for_slices(bucket, clock, true, used + tokens - limit->tokens_per_minute),
			   used, limit->tokens_per_minute);
	if (limit->concurrent_calls > 0 && bucket->under_way >= limit->concurrent_calls)
		refuse(verdict, MEMAI_LIMIT_CONCURRENT, CONCURRENT_WAIT_MS,
			   bucket->under_way, limit->concurrent_calls);
	if (limit->daily_tokens > 0 && day_tokens + tokens > limit->daily_tokens)
		refuse(verdict, MEMAI_LIMIT_DAILY_TOKENS, tokens > limit->daily_tokens ? -1 : until_midnight(),
			   day_tokens, limit->daily_tokens);
	if (limit->daily_cost > 0 && spent + cost > limit->daily_cost)
		refuse(verdict, MEMAI_LIMIT_DAILY_COST, cost > limit->daily_cost ? -1 : until_midnight(),
			   spent, limit->daily_cost);
}

static void
reserve(MemaiLimitBucket *bucket, int64 clock, int64 tokens, double cost)
{
	Slice	   *slice = slice_at(bucket, clock / SLICE_MS);

	slice->requests++;
	slice->tokens += tokens;
	bucket->under_way++;
	bucket->reserved_tokens += tokens;
	bucket->reserved_cost += cost;
	bucket->last_used = clock;
}

void
memai_limit_reserve(int n, MemaiLimit *limits, int64 tokens, double cost,
					int64 *slice, MemaiLimitVerdict *verdict)
{
	LWLock	   *lock = memai_stats_shared()->lock;
	int64		clock;

	memset(verdict, 0, sizeof(MemaiLimitVerdict));
	LWLockAcquire(lock, LW_EXCLUSIVE);
	clock = clock_ms();
	*slice = clock / SLICE_MS;
	for (int i = 0; i < n; i++)
	{
		MemaiLimitKind before = verdict->kind;
		int64		wait = verdict->wait;

		turn_day(limits[i].bucket);
		judge(&limits[i], clock, tokens, cost, verdict);
		if (verdict->kind != before || verdict->wait != wait)
			verdict->index = i;
	}
	for (int i = 0; i < n && verdict->kind == MEMAI_LIMIT_NONE; i++)
		reserve(limits[i].bucket, clock, tokens, cost);
	LWLockRelease(lock);
}

void
memai_limit_settle(int n, MemaiLimit *limits, int64 slice, int64 tokens, double cost,
				   int64 used_tokens, double used_cost)
{
	LWLock	   *lock = memai_stats_shared()->lock;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < n; i++)
	{
		MemaiLimitBucket *bucket = limits[i].bucket;
		Slice	   *began = &bucket->slices[slice % SLICES];

		turn_day(bucket);
		bucket->under_way--;
		bucket->reserved_tokens -= tokens;
		bucket->reserved_cost = bucket->under_way > 0 ? bucket->reserved_cost - cost : 0;
		bucket->day_tokens += used_tokens;
		bucket->day_cost += used_cost;
		if (began->number == slice)
			began->tokens = Max(began->tokens + used_tokens - tokens, 0);
		bucket->last_used = clock_ms();
	}
	LWLockRelease(lock);
}

/* ---- display ---- */

MemaiLimitState *
memai_limit_read(int *n)
{
	MemaiLimitState *states;
	HASH_SEQ_STATUS scan;
	MemaiLimitBucket *bucket;
	int64		now = clock_ms() / SLICE_MS;

	*n = 0;
	if (!memai_stats_preloaded())
		return NULL;
	states = palloc0(sizeof(MemaiLimitState) * max_buckets);
	LWLockAcquire(memai_stats_shared()->lock, LW_SHARED);
	hash_seq_init(&scan, buckets);
	while ((bucket = hash_seq_search(&scan)) != NULL)
	{
		MemaiLimitState *state = &states[*n];
		bool		same_day = bucket->day == today();

		if (bucket->key.database != MyDatabaseId || *n >= max_buckets)
			continue;
		state->key = bucket->key;
		strlcpy(state->model, bucket->model, sizeof(state->model));
		strlcpy(state->user, bucket->user, sizeof(state->user));
		state->calls_under_way = bucket->under_way;
		sum_window(bucket, now, &state->used.requests, &state->used.tokens);
		state->used.day_tokens = same_day ? bucket->day_tokens : 0;
		state->used.day_cost = same_day ? bucket->day_cost : 0;
		state->reserved_tokens = bucket->reserved_tokens;
		state->reserved_cost = bucket->reserved_cost;
		(*n)++;
	}
	LWLockRelease(memai_stats_shared()->lock);
	return states;
}

void
memai_limit_init(void)
{
	DefineCustomIntVariable("memai.stats_max_limits",
							"Sets for how many roles, users and models limits are counted at a time.",
							"Used when memai is preloaded.",
							&max_buckets, 1000, 10, 1000 * 1000, memai_stats_context(), 0,
							NULL, NULL, NULL);
}
