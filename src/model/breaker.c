/*
 * breaker.c
 *	  Which models are asked at all: circuit breakers, rests, retry budgets.
 *
 *				  5 failures in a row, or half of 20
 *		 closed -----------------------------------> open
 *			^                                       |  ^
 *			| the probe succeeds      time is over, |  | the probe fails: longer
 *			|                         one request   v  |
 *			'------------------------------------ half open
 *
 * A provider that asks to be left alone (Retry-After) makes a closed model rest
 * until then.  The retry budget is a bucket of tokens: a request adds a tenth
 * of one, a retry takes one, so that retries stay a tenth of the traffic in an
 * outage (Site Reliability Engineering, chapter "Handling Overload").
 *
 * When the library is preloaded the entries are in shared memory, and an
 * LWLock is held for a few instructions at a time, never across a call.
 * Otherwise each session has its own; breaker_table.c passes on what it can.
 * Times are of the monotonic clock, which all processes of a machine share.
 *
 * This file does not decide what counts as a failure, and never waits.
 */
#include "postgres.h"

#include "http/http.h"
#include "miscadmin.h"
#include "model/breaker.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define MAX_MODELS 256
#define MODEL_NAME_SIZE 104		/* the registry allows 100 bytes */
#define TRANCHE "memai model"

/* a share of failures says something only of this many requests */
#define WINDOW_MS (30 * 1000)
#define WINDOW_MIN_REQUESTS 20
/* each failed probe doubles the time, up to eight times */
#define MAX_DOUBLINGS 3
/* what another session wrote down is believed up to this time */
#define MAX_LEARNT_REST_MS (10 * 60 * 1000)
/* a longer wait for a provider that asked for one is refused at once */
#define MAX_REST_WAIT_MS (10 * 1000)
/* retries that are allowed before there were requests, and one more a second */
#define RETRY_RESERVE 10.0
/* a probe whose sender died is nobody's after this time */
#define PROBE_LEASE_MS (60 * 1000)

typedef struct Entry
{
	Oid			database;		/* InvalidOid: the entry is free */
	char		model[MODEL_NAME_SIZE];
	int64		used;			/* when it was last touched */
	MemaiBreakerState state;
	int			failures_in_a_row;
	int			openings;		/* in a row */
	int64		open_until;
	int64		rest_until;		/* the provider asked for it */
	int64		probe_until;	/* half open: the probe's lease */
	int64		window_start;
	int			window_requests;
	int			window_failures;
	double		retry_tokens;
	int64		tokens_at;		/* when retry_tokens was true */
	int			sqlstate;
	TimestampTz failed_at;
	int64		requests;
	int64		failures;
	int64		retries;
	int64		refused;
	bool		unsaved;		/* for breaker_table.c */
	TimestampTz learnt;			/* likewise: the row that was taken over */
} Entry;

typedef struct Table
{
	LWLock	   *lock;			/* NULL: of this process alone */
	Entry		entries[MAX_MODELS];
} Table;

static Table own_table;
static Table *table = &own_table;

static int	breaker_failures = 5;
static int	breaker_cooldown = 10000;
static int	retry_budget = 10;

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

/* ---- entries; the caller holds the lock ---- */

static void
lock_table(void)
{
	if (table->lock != NULL)
		LWLockAcquire(table->lock, LW_EXCLUSIVE);
}

static void
unlock_table(void)
{
	if (table->lock != NULL)
		LWLockRelease(table->lock);
}

static Entry *
find_entry(const char *model)
{
	for (int i = 0; i < MAX_MODELS; i++)
		if (table->entries[i].database == MyDatabaseId &&
			strcmp(table->entries[i].model, model) == 0)
			return &table->entries[i];
	return NULL;
}

/* the model's entry; a new one takes the place of what was unused for longest */
static Entry *
get_entry(const char *model, int64 now)
{
	Entry	   *entry = find_entry(model);

	if (entry == NULL)
	{
		entry = &table->entries[0];
		for (int i = 1; i < MAX_MODELS && OidIsValid(entry->database); i++)
			if (!OidIsValid(table->entries[i].database) || table->entries[i].used < entry->used)
				entry = &table->entries[i];
		memset(entry, 0, sizeof(Entry));
		entry->database = MyDatabaseId;
		strlcpy(entry->model, model, MODEL_NAME_SIZE);
		entry->retry_tokens = RETRY_RESERVE;
		entry->tokens_at = now;
	}
	entry->used = now;
	return entry;
}

static void
open_breaker(Entry *entry, int64 now)
{
	entry->state = MEMAI_BREAKER_OPEN;
	entry->open_until = now + ((int64) breaker_cooldown << Min(entry->openings, MAX_DOUBLINGS));
	entry->openings++;
	entry->unsaved = true;
}

static void
close_breaker(Entry *entry)
{
	entry->state = MEMAI_BREAKER_CLOSED;
	entry->failures_in_a_row = 0;
	entry->openings = 0;
	entry->window_requests = entry->window_failures = 0;
}

static void
refill_tokens(Entry *entry, int64 now)
{
	double		seconds = Max(now - entry->tokens_at, 0) / 1000.0;

	entry->retry_tokens = Min(entry->retry_tokens + seconds, RETRY_RESERVE);
	entry->tokens_at = now;
}

static void
count_in_window(Entry *entry, int64 now, bool failed)
{
	if (now - entry->window_start >= WINDOW_MS)
	{
		entry->window_start = now;
		entry->window_requests = entry->window_failures = 0;
	}
	entry->window_requests++;
	if (failed)
		entry->window_failures++;
}

static bool
is_failing(const Entry *entry)
{
	return entry->failures_in_a_row >= breaker_failures ||
		(entry->window_requests >= WINDOW_MIN_REQUESTS &&
		 entry->window_failures * 2 >= entry->window_requests);
}

static MemaiAdmission
refuse(Entry *entry, int64 wait)
{
	MemaiAdmission admission = {MEMAI_NOT_ADMITTED, wait, entry->sqlstate};

	entry->refused++;
	return admission;
}

static MemaiAdmission
admit(Entry *entry, int64 now, int64 patience)
{
	MemaiAdmission admission = {MEMAI_ADMITTED, 0, 0};

	if (entry->state == MEMAI_BREAKER_HALF_OPEN && now < entry->probe_until)
		return refuse(entry, entry->probe_until - now);
	if (entry->state == MEMAI_BREAKER_OPEN && now < entry->open_until)
		return refuse(entry, entry->open_until - now);
	if (now < entry->rest_until)
	{
		if (entry->rest_until - now > Min(patience, MAX_REST_WAIT_MS))
			return refuse(entry, entry->rest_until - now);
		admission.verdict = MEMAI_ADMITTED_LATER;
		admission.wait = entry->rest_until - now;
		return admission;
	}
	if (entry->state != MEMAI_BREAKER_CLOSED)
	{
		entry->state = MEMAI_BREAKER_HALF_OPEN;
		entry->probe_until = now + PROBE_LEASE_MS;
		admission.verdict = MEMAI_ADMITTED_AS_PROBE;
	}
	return admission;
}

/* ---- what send.c asks and tells ---- */

MemaiAdmission
memai_breaker_admit(const char *model, bool is_retry, int64 patience)
{
	int64		now = memai_http_clock();
	MemaiAdmission admission = {MEMAI_ADMITTED, 0, 0};
	Entry	   *entry;

	lock_table();
	entry = get_entry(model, now);
	refill_tokens(entry, now);
	if (breaker_failures > 0)
		admission = admit(entry, now, patience);
	if (admission.verdict == MEMAI_ADMITTED || admission.verdict == MEMAI_ADMITTED_AS_PROBE)
	{
		entry->requests++;
		if (!is_retry)
			entry->retry_tokens = Min(entry->retry_tokens + retry_budget / 100.0, RETRY_RESERVE);
	}
	unlock_table();
	return admission;
}

void
memai_breaker_report(const char *model, MemaiOutcome outcome, int sqlstate, int64 rest)
{
	int64		now = memai_http_clock();
	bool		bad = outcome == MEMAI_OUTCOME_FAILED || outcome == MEMAI_OUTCOME_USELESS;
	TimestampTz time = bad ? GetCurrentTimestamp() : 0;
	Entry	   *entry;

	lock_table();
	entry = get_entry(model, now);
	count_in_window(entry, now, bad);
	if (bad)
	{
		entry->failures++;
		entry->failures_in_a_row++;
		entry->sqlstate = sqlstate;
		entry->failed_at = time;
		if (rest > 0)
			entry->rest_until = Max(entry->rest_until, now + rest);
		if (breaker_failures > 0 && entry->state != MEMAI_BREAKER_OPEN &&
			(entry->state == MEMAI_BREAKER_HALF_OPEN || outcome == MEMAI_OUTCOME_USELESS ||
			 ((rest == 0 || sqlstate != ERRCODE_MEMAI_RATE_LIMIT) && is_failing(entry))))
			open_breaker(entry, now);	/* a rate limit that says when to come
										 * back is no outage */
	}
	else if (entry->state != MEMAI_BREAKER_OPEN)
		close_breaker(entry);
	unlock_table();
}

void
memai_breaker_release(const char *model)
{
	Entry	   *entry;

	lock_table();
	entry = find_entry(model);
	if (entry != NULL && entry->state == MEMAI_BREAKER_HALF_OPEN)
		entry->state = MEMAI_BREAKER_OPEN;	/* its time is over: the next one
											 * probes */
	unlock_table();
}

bool
memai_breaker_take_retry(const char *model)
{
	int64		now = memai_http_clock();
	Entry	   *entry;
	bool		allowed;

	lock_table();
	entry = get_entry(model, now);
	refill_tokens(entry, now);
	allowed = entry->state == MEMAI_BREAKER_CLOSED && entry->retry_tokens >= 1;
	if (allowed)
	{
		entry->retry_tokens -= 1;
		entry->retries++;
	}
	unlock_table();
	return allowed;
}

/* ---- looking, and the exchange between sessions ---- */

bool
memai_breaker_health(const char *model, MemaiHealth *health)
{
	int64		now = memai_http_clock();
	Entry	   *entry;

	memset(health, 0, sizeof(MemaiHealth));
	lock_table();
	entry = find_entry(model);
	if (entry != NULL)
	{
		int64		until = entry->rest_until;

		if (entry->state == MEMAI_BREAKER_OPEN)
			until = Max(until, entry->open_until);
		health->state = entry->state;
		health->failures_in_a_row = entry->failures_in_a_row;
		health->rests_for = Max(until - now, 0);
		health->requests = entry->requests;
		health->failures = entry->failures;
		health->retries = entry->retries;
		health->refused = entry->refused;
		health->sqlstate = entry->sqlstate;
		health->failed_at = entry->failed_at;
	}
	unlock_table();
	return entry != NULL;
}

void
memai_breaker_reset(const char *model)
{
	Entry	   *entry;

	lock_table();
	entry = find_entry(model);
	if (entry != NULL)
	{
		close_breaker(entry);
		entry->rest_until = 0;
		entry->retry_tokens = RETRY_RESERVE;
		entry->unsaved = false;
	}
	unlock_table();
}

bool
memai_breaker_shared(void)
{
	return table != &own_table;
}

bool
memai_breaker_next_unsaved(char **model, int64 *rests_for, int *sqlstate)
{
	int64		now = memai_http_clock();

	for (int i = 0; i < MAX_MODELS; i++)
	{
		Entry	   *entry = &own_table.entries[i];

		if (!entry->unsaved)
			continue;
		entry->unsaved = false;
		if (entry->state == MEMAI_BREAKER_CLOSED || entry->open_until <= now)
			continue;
		*model = pstrdup(entry->model);
		*rests_for = entry->open_until - now;
		*sqlstate = entry->sqlstate;
		return true;
	}
	return false;
}

void
memai_breaker_learn(const char *model, int64 rests_for, int sqlstate, TimestampTz until)
{
	int64		now = memai_http_clock();
	Entry	   *entry = get_entry(model, now);

	/* a longer rest than sessions write down: the clock was set back */
	if (entry->learnt == until ||
		rests_for > Max(MAX_LEARNT_REST_MS, (int64) breaker_cooldown << MAX_DOUBLINGS))
		return;
	entry->learnt = until;
	if (entry->state != MEMAI_BREAKER_CLOSED)
		return;
	entry->state = MEMAI_BREAKER_OPEN;
	entry->open_until = now + rests_for;
	entry->sqlstate = sqlstate;
}

/* ---- shared memory ---- */

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(Table)));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
start_memory(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	table = ShmemInitStruct(TRANCHE, sizeof(Table), &found);
	if (!found)
	{
		memset(table, 0, sizeof(Table));
		table->lock = &GetNamedLWLockTranche(TRANCHE)->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

void
memai_breaker_init(void)
{
	DefineCustomIntVariable("memai.model_breaker_cooldown",
							"Sets how long a model that keeps failing is left alone.",
							"Doubled each time it fails again, up to eight times.",
							&breaker_cooldown, 10000, 10, 3600 * 1000, PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("memai.model_breaker_failures",
							"Sets after how many failures in a row a model is left alone for a while.",
							"Zero means never.",
							&breaker_failures, 5, 0, 1000, PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("memai.model_retry_budget",
							"Limits a model's retries to this percentage of its requests, beside a small reserve.",
							NULL,
							&retry_budget, 10, 0, 100, PGC_SUSET, 0,
							NULL, NULL, NULL);
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}
