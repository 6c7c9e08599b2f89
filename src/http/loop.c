/*
 * loop.c
 *	  The one multi handle of a backend and the loop that drives it.
 *
 * Each turn moves what can be moved, then waits at most 100 ms for sockets and
 * services interrupts outside libcurl.  poll(2) returns when a signal arrives,
 * so a cancel is normally seen at once; the slice bounds the rare signal that
 * lands in the instant between check and poll, and the time to notice a dead
 * postmaster.
 *
 * Signals are blocked while libcurl works: it starts resolver threads there,
 * which inherit the mask and so never run the server's signal handlers.
 *
 * The library is initialised at the first request of a backend, never in the
 * postmaster, and never cleaned up: the process ends with the session.
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "http/settings.h"
#include "http/transfer.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"

#define SLICE_MS 100
/* below this many bytes a second an answer counts as stuck */
#define LOW_SPEED_BYTES 10
/* idle connections kept for the next request */
#define MAX_IDLE_CONNECTIONS 8

/*
 * A handle whose request nobody waits for, but whose name lookup libcurl
 * before 7.87 would wait for when the handle is taken out.  It stays in the
 * multi handle until the lookup ends, can open no socket, and is freed in a later turn.
 */
typedef struct Parked
{
	dlist_node	node;
	CURL	   *easy;
	struct curl_slist *headers;
	MemaiHttpGuard *guard;
} Parked;

static dlist_head parked_handles = DLIST_STATIC_INIT(parked_handles);
static CURLM *multi = NULL;
static int	multi_generation = 0;
static dlist_head active_transfers = DLIST_STATIC_INIT(active_transfers);

int64
memai_http_clock(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

static void
init_library(void)
{
	static bool initialised = false;
	CURLcode	result;

	if (initialised)
		return;
	result = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (result != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not initialize libcurl: %s", curl_easy_strerror(result))));
	if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0)
		ereport(WARNING,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this libcurl looks up host names without being interruptible"),
				 errhint("Install a libcurl built with the threaded resolver or c-ares.")));
	initialised = true;
}

CURLM *
memai_http_multi(void)
{
	int			generation = memai_http_settings()->generation;

	/* kept connections may go where the settings no longer allow */
	if (multi != NULL && generation != multi_generation && dlist_is_empty(&active_transfers) &&
		dlist_is_empty(&parked_handles))
	{
		curl_multi_cleanup(multi);
		multi = NULL;
	}
	if (multi != NULL)
		return multi;
	init_library();
	multi = curl_multi_init();
	if (multi == NULL)
		memai_raise_out_of_memory();
	multi_generation = generation;
	(void) curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) MAX_IDLE_CONNECTIONS);
#if LIBCURL_VERSION_NUM >= 0x081400
	(void) curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	return multi;
}

void
memai_http_loop_add(MemaiHttpTransfer *transfer)
{
	CURLM	   *handle = memai_http_multi();
	CURLMcode	result;

	/* another transfer keeps an outdated multi handle alive */
	if (multi_generation != memai_http_settings()->generation)
		(void) curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
	result = curl_multi_add_handle(handle, transfer->easy);
	if (result != CURLM_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not start an HTTP request: %s", curl_multi_strerror(result))));
	transfer->active = true;
	dlist_push_tail(&active_transfers, &transfer->node);
}

bool
memai_http_quick_exit(void)
{
#if LIBCURL_VERSION_NUM >= 0x075700
	/* the library at run time may be older than the headers */
	return curl_version_info(CURLVERSION_NOW)->version_num >= 0x075700;
#else
	return false;
#endif
}

/* would taking the transfer out wait for its name lookup? */
static bool
in_lookup(const MemaiHttpTransfer *transfer)
{
	curl_off_t	lookup = 0;

	(void) curl_easy_getinfo(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup);
	return !memai_http_quick_exit() && !transfer->guard->opened && lookup == 0;
}

static size_t
discard(char *data, size_t size, size_t count, void *arg)
{
	return 0;
}

/* Leaves the handle to a later turn; nothing of it points to the transfer any more. */
static bool
park(MemaiHttpTransfer *transfer)
{
	Parked	   *parked = malloc(sizeof(Parked));
	CURL	   *easy = transfer->easy;

	if (parked == NULL)
		return false;
	(void) curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
	(void) curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
	(void) curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	(void) curl_easy_setopt(easy, CURLOPT_WRITEDATA, NULL);
	(void) curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, discard);
	(void) curl_easy_setopt(easy, CURLOPT_HEADERDATA, NULL);
	(void) curl_easy_setopt(easy, CURLOPT_CURLU, NULL);
	(void) curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) 0);
	(void) curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
	transfer->guard->parked = true;
	parked->easy = easy;
	parked->headers = transfer->header_list;
	parked->guard = transfer->guard;
	dlist_push_tail(&parked_handles, &parked->node);
	transfer->easy = NULL;
	transfer->header_list = NULL;
	transfer->guard = NULL;
	return true;
}

/* the parked handle's lookup has ended */
static void
free_parked(CURL *easy)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &parked_handles)
	{
		Parked	   *parked = dlist_container(Parked, node, iter.cur);

		if (parked->easy != easy)
			continue;
		dlist_delete(&parked->node);
		(void) curl_multi_remove_handle(multi, easy);
		memai_http_free_handle(easy, parked->headers, parked->guard);
		free(parked);
		return;
	}
}

void
memai_http_loop_remove(MemaiHttpTransfer *transfer)
{
	if (!transfer->active)
		return;
	transfer->active = false;
	dlist_delete(&transfer->node);
	if (!in_lookup(transfer) || !park(transfer))
		(void) curl_multi_remove_handle(multi, transfer->easy);
}

/* one round of libcurl with every signal blocked */
static CURLMcode
perform(void)
{
	sigset_t	all;
	sigset_t	saved;
	int			running;
	CURLMcode	result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	result = curl_multi_perform(multi, &running);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return result;
}

/* returns true when at least one transfer has ended */
static bool
collect_finished(void)
{
	CURLMsg    *message;
	int			left;
	bool		any = false;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		MemaiHttpTransfer *transfer;
		CURLcode	result = message->data.result;

		if (message->msg != CURLMSG_DONE ||
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) != CURLE_OK)
			continue;
		if (transfer == NULL)
		{
			free_parked(message->easy_handle);
			continue;
		}
		memai_http_transfer_finish(transfer, result);
		memai_http_loop_remove(transfer);
		any = true;
	}
	return any;
}

/* true when the answer has begun and then nearly stopped */
static bool
is_too_slow(MemaiHttpTransfer *transfer, int64 now)
{
	int64		window = (int64) memai_http_settings()->low_speed_time * 1000;
	size_t		received = transfer->received + transfer->headers.len;

	if (window == 0 || transfer->stream || received == 0)
		return false;
	if (transfer->window_start == 0 ||
		received - transfer->window_received >= (size_t) (window / 1000 * LOW_SPEED_BYTES))
	{
		transfer->window_start = now;
		transfer->window_received = received;
	}
	return now - transfer->window_start >= window;
}

/* is the time to connect over, where libcurl does not mind it? */
static bool
is_late_to_connect(const MemaiHttpTransfer *transfer, int64 now)
{
	curl_off_t	connected = 0;

	if (transfer->connect_deadline == 0 || now < transfer->connect_deadline)
		return false;
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
	return connected == 0;
}

/* ends what is out of time; returns the milliseconds until the next deadline */
static int64
enforce_deadlines(void)
{
	int64		now = memai_http_clock();
	int64		nearest = SLICE_MS;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &active_transfers)
	{
		MemaiHttpTransfer *transfer = dlist_container(MemaiHttpTransfer, node, iter.cur);

		if (now >= transfer->deadline || is_too_slow(transfer, now) || is_late_to_connect(transfer, now))
		{
			memai_http_transfer_finish(transfer, CURLE_OPERATION_TIMEDOUT);
			memai_http_loop_remove(transfer);
			nearest = 0;
		}
		else
			nearest = Min(nearest, transfer->deadline - now);
	}
	return nearest;
}

static void
exit_if_orphaned(void)
{
	if (IsUnderPostmaster && !PostmasterIsAlive())
		proc_exit(1);
}

static void
report_broken_loop(CURLMcode code)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not drive an HTTP request: %s", curl_multi_strerror(code))));
}

void
memai_http_loop_turn(bool wait)
{
	CURLMcode	result;
	bool		any;
	int64		timeout;

	CHECK_FOR_INTERRUPTS();
	exit_if_orphaned();
	result = perform();
	if (result != CURLM_OK)
		report_broken_loop(result);
	any = collect_finished();
	timeout = enforce_deadlines();
	/* a signal that came while it was blocked in perform has run its handler */
	if (any || timeout <= 0 || !wait ||
		(InterruptPending && INTERRUPTS_CAN_BE_PROCESSED()))
		return;
	pgstat_report_wait_start(memai_wait_event());
	result = curl_multi_poll(multi, NULL, 0, (int) timeout, NULL);
	pgstat_report_wait_end();
	if (result != CURLM_OK)
		report_broken_loop(result);
	CHECK_FOR_INTERRUPTS();
}

void
memai_http_sleep(int64 milliseconds)
{
	int64		until = memai_http_clock() + milliseconds;
	int64		left = milliseconds;

	while (left > 0)
	{
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) Min(left, 60 * 1000), memai_wait_event());
		ResetLatch(MyLatch);
		left = until - memai_http_clock();
	}
	CHECK_FOR_INTERRUPTS();
}
