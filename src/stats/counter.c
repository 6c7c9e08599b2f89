/*
 * counter.c
 *	  Counters since the start of the server, one set for each database, role,
 *	  model, operation and outcome: what memai.metrics() shows.
 *
 * They live in shared memory only, so they are cheap enough for models that
 * run in the server, and start again at zero with it.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "stats/stats_int.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#define COUNTERS_MAX 1000
#define MODEL_SIZE 104
#define NBUCKETS 13

/* upper ends of the latency buckets in milliseconds; one more has no end */
static const double bounds[NBUCKETS] = {
	5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000
};

typedef struct CounterKey
{
	Oid			database;
	Oid			role;
	int32		sqlstate;
	int16		operation;
	int16		status;
	char		model[MODEL_SIZE];
} CounterKey;

typedef struct Counter
{
	CounterKey	key;
	int64		attempts;
	int64		retries;
	int64		cached;
	int64		prompt_tokens;
	int64		completion_tokens;
	double		cost;
	double		latency;		/* sum, milliseconds */
	int64		buckets[NBUCKETS + 1];	/* not cumulative */
} Counter;

static HTAB *counters = NULL;

PG_FUNCTION_INFO_V1(memai_usage_counters);
PG_FUNCTION_INFO_V1(memai_usage_bounds);

Size
memai_counter_size(void)
{
	return hash_estimate_size(COUNTERS_MAX, sizeof(Counter));
}

void
memai_counter_attach(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(CounterKey);
	control.entrysize = sizeof(Counter);
	counters = ShmemInitHash("memai counters", COUNTERS_MAX, COUNTERS_MAX, &control,
							 HASH_ELEM | HASH_BLOBS);
}

static int
bucket_of(double latency)
{
	int			bucket = 0;

	while (bucket < NBUCKETS && latency > bounds[bucket])
		bucket++;
	return bucket;
}

void
memai_counter_add(const MemaiUsage *usage)
{
	CounterKey	key;
	Counter    *counter;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.database = MyDatabaseId;
	key.role = usage->role;
	key.sqlstate = usage->sqlstate;
	key.operation = usage->operation;
	key.status = usage->status;
	strlcpy(key.model, usage->model, sizeof(key.model));
	counter = hash_search(counters, &key, HASH_FIND, NULL);
	if (counter == NULL && hash_get_num_entries(counters) < COUNTERS_MAX)
	{
		counter = hash_search(counters, &key, HASH_ENTER_NULL, &found);
		if (counter != NULL)
			memset((char *) counter + sizeof(CounterKey), 0, sizeof(Counter) - sizeof(CounterKey));
	}
	if (counter == NULL)
	{
		memai_stats_shared()->uncounted++;
		return;
	}
	counter->prompt_tokens += Max(usage->prompt_tokens, 0);
	counter->completion_tokens += Max(usage->completion_tokens, 0);
	counter->cost += isnan(usage->cost) ? 0 : usage->cost;
	if (usage->counted)
		return;
	counter->attempts++;
	counter->retries += usage->attempt > 1 ? 1 : 0;
	counter->cached += usage->cached ? 1 : 0;
	counter->latency += usage->latency;
	counter->buckets[bucket_of(usage->latency)]++;
}

/* a copy of the counters of this database; returns their number */
static int
copy_counters(Counter *copy)
{
	LWLock	   *lock = memai_stats_shared()->lock;
	HASH_SEQ_STATUS scan;
	Counter    *counter;
	int			n = 0;

	LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&scan, counters);
	while ((counter = hash_seq_search(&scan)) != NULL)
		if (counter->key.database == MyDatabaseId && n < COUNTERS_MAX)
			copy[n++] = *counter;
	LWLockRelease(lock);
	return n;
}

static Datum
bucket_array(const int64 *buckets)
{
	Datum		elements[NBUCKETS + 1];

	for (int i = 0; i <= NBUCKETS; i++)
		elements[i] = Int64GetDatum(buckets[i]);
	return PointerGetDatum(construct_array(elements, NBUCKETS + 1, INT8OID, 8, FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

static void
put_row(ReturnSetInfo *set, const Counter *counter)
{
	Datum		values[13];
	bool		nulls[13] = {false};

	values[0] = ObjectIdGetDatum(counter->key.role);
	values[1] = CStringGetTextDatum(counter->key.model);
	values[2] = CStringGetTextDatum(memai_operation_name(counter->key.operation));
	values[3] = BoolGetDatum(counter->key.status == MEMAI_USAGE_OK);
	nulls[4] = counter->key.sqlstate == 0;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(unpack_sql_state(counter->key.sqlstate));
	values[5] = Int64GetDatum(counter->attempts);
	values[6] = Int64GetDatum(counter->retries);
	values[7] = Int64GetDatum(counter->cached);
	values[8] = Int64GetDatum(counter->prompt_tokens);
	values[9] = Int64GetDatum(counter->completion_tokens);
	values[10] = Float8GetDatum(counter->cost);
	values[11] = Float8GetDatum(counter->latency);
	values[12] = bucket_array(counter->buckets);
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/* _usage_counters() returns setof record: volatile; no rows when not preloaded */
Datum
memai_usage_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Counter    *copy;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (!memai_stats_preloaded())
		return (Datum) 0;
	copy = palloc(sizeof(Counter) * COUNTERS_MAX);
	n = copy_counters(copy);
	for (int i = 0; i < n; i++)
		put_row(set, &copy[i]);
	return (Datum) 0;
}

/* _usage_bounds() returns double precision[]: immutable; upper ends of the buckets in seconds */
Datum
memai_usage_bounds(PG_FUNCTION_ARGS)
{
	Datum		elements[NBUCKETS];

	for (int i = 0; i < NBUCKETS; i++)
		elements[i] = Float8GetDatum(bounds[i] / 1000);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, NBUCKETS, FLOAT8OID, 8, FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
