/*
 * send.c
 *	  Requests to a provider, until they succeed, fail for good, or run out of
 *	  time.
 *
 * One call has one wall-clock deadline (memai.http_call_timeout) that all its
 * attempts, waits and parallel requests share.  An attempt that failed in a
 * way that may pass is repeated after a wait; the same idempotency key goes
 * with every attempt of a request, so that a provider that knows such keys
 * bills it once.  Waiting is interruptible; no lock is held.
 */
#include "postgres.h"

#include <time.h>

#include "model/usage.h"
#include "model/wire.h"
#include "common/pg_prng.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

static int	max_retries = 2;

/* one request of a call on its way */
typedef struct Job
{
	MemaiWireRequest *request;
	MemaiHttpUrl *url;
	char	   *idempotency_key;
	int			attempts;
	MemaiAttempt attempt;
	int64		not_before;		/* by memai_http_clock */
	bool		done;
} Job;

typedef struct Call
{
	const MemaiWire *wire;
	const MemaiModel *model;
	MemaiCredential *credential;	/* NULL when the model needs none */
	int64		deadline;
	int			njobs;
	Job		   *jobs;
	MemaiHttpTransfer **transfers;	/* per job, NULL when not under way */
	int			under_way;
	MemaiWireReceiver receive;
	void	   *state;
	bool		stream;
	MemaiOperation operation;
	MemaiUsageCall *usage;
} Call;

/* why a call failed, in the words of both sides */
typedef struct Explanation
{
	MemaiFailure failure;
	int			status;
	int			attempts;
	const char *words;			/* already clean */
} Explanation;

static void
raise_failure(const Call *call, const Explanation *explanation)
{
	const MemaiFailure *failure = &explanation->failure;
	char	   *status = explanation->status > 0 ?
	psprintf("HTTP status %d", explanation->status) : pstrdup("No answer");

	ereport(ERROR,
			(errcode(failure->sqlstate),
			 errmsg("call to model \"%s\" failed: %s", call->model->info.name, failure->what),
			 errdetail("%s after %d %s%s%s", status, explanation->attempts,
					   explanation->attempts == 1 ? "attempt" : "attempts",
					   explanation->words[0] ? ": " : ".", explanation->words),
			 failure->hint ? errhint("%s", failure->hint) : 0));
}

static char *
new_idempotency_key(void)
{
	pg_uuid_t	id;

	memai_new_id(&id);
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id)));
}

/* the header line of the key; the caller erases it */
static char *
key_value(const Call *call)
{
	const char *scheme = call->credential->scheme;

	if (scheme == NULL && call->credential->header == NULL)
		scheme = call->wire->key_scheme;
	if (scheme == NULL || scheme[0] == '\0')
		return pstrdup(call->credential->secret);
	return psprintf("%s %s", scheme, call->credential->secret);
}

static void
add_header(MemaiHttpRequest *http, const char *name, const char *value)
{
	Assert(http->nheaders < MEMAI_HTTP_MAX_HEADERS);
	http->headers[http->nheaders].name = name;
	http->headers[http->nheaders].value = value;
	http->nheaders++;
}

static void
start_job(Call *call, int index)
{
	Job		   *job = &call->jobs[index];
	MemaiHttpRequest http = {0};
	int64		left = call->deadline - memai_http_clock();
	char	   *key = NULL;

	http.url = job->url;
	http.body = job->request->body.data;
	http.body_len = job->request->body.len;
	http.timeout = (int) Max(1, Min(left, memai_http_attempt_timeout()));
	add_header(&http, "Content-Type", "application/json");
	http.stream = call->stream;
	add_header(&http, "Accept", call->stream ? "text/event-stream, application/x-ndjson" : "application/json");
	add_header(&http, "Idempotency-Key", job->idempotency_key);
	for (int i = 0; i < job->request->nheaders; i++)
		add_header(&http, job->request->headers[i].name, job->request->headers[i].value);
	if (call->credential != NULL)
	{
		key = key_value(call);
		add_header(&http, call->credential->header ? call->credential->header
				   : call->wire->key_header, key);
	}
	call->transfers[index] = memai_http_open(&http);
	if (key != NULL)
	{
		explicit_bzero(key, strlen(key));
		pfree(key);
	}
	memai_usage_sent(&job->attempt);
	job->attempts++;
	call->under_way++;
}

/* 0 when limits let the job start, or how long to wait before asking again */
static int64
ask_limits(Call *call, Job *job)
{
	return memai_usage_begin(call->usage, &job->attempt, job->attempts + 1, job->request->body.data,
							 job->request->body.len, job->request->max_output, call->deadline);
}

/* starts what is due; returns when the next waiting job is due */
static int64
start_due_jobs(Call *call)
{
	int64		now = memai_http_clock();
	int64		next = PG_INT64_MAX;

	for (int i = 0; i < call->njobs; i++)
	{
		Job		   *job = &call->jobs[i];
		int64		wait = 0;

		if (job->done || call->transfers[i] != NULL)
			continue;
		if (job->not_before <= now && call->under_way < memai_http_max_parallel())
		{
			wait = ask_limits(call, job);
			if (wait == 0)
				start_job(call, i);
			else
				job->not_before = now + wait;
		}
		if (job->not_before > now)
			next = Min(next, job->not_before);
	}
	return next;
}

/* milliseconds to wait before another attempt, -1 for none */
static int64
retry_delay(const Call *call, const Job *job, const MemaiHttpResponse *response,
			const MemaiFailure *failure)
{
	char	   *wish = memai_http_header(response, "x-should-retry");
	bool		retryable = failure->retryable;
	int64		delay;

	if (wish != NULL && strcmp(wish, "true") == 0 && failure->sqlstate != ERRCODE_MEMAI_QUOTA)
		retryable = true;
	if (wish != NULL && strcmp(wish, "false") == 0)
		retryable = false;
	if (!retryable || job->attempts > max_retries)
		return -1;
	delay = memai_retry_after(memai_http_header(response, "retry-after-ms"),
							  memai_http_header(response, "retry-after"), (int64) time(NULL));
	if (delay > MEMAI_RETRY_AFTER_LIMIT_MS)
		return -1;
	if (delay <= 0)
		delay = memai_retry_backoff(job->attempts, pg_prng_double(&pg_global_prng_state));
	return memai_http_clock() + delay < call->deadline ? delay : -1;
}

static void
explain(const Call *call, const MemaiHttpResponse *response, Explanation *explanation)
{
	const char *secret = call->credential ? call->credential->secret : NULL;
	char	   *code;
	char	   *message;

	explanation->status = response->status;
	if (response->outcome != MEMAI_HTTP_ANSWERED)
	{
		explanation->failure = memai_failure_of_outcome(response->outcome);
		explanation->words = memai_failure_clean(psprintf("%s while %s", response->problem,
														  response->phase), secret);
		return;
	}
	memai_failure_read_body(response->body, response->body_len, &code, &message);
	explanation->failure = memai_failure_of_status(response->status, code, message);
	/* no JSON: a web page of something in between */
	if (message[0] == '\0')
		message = memai_json_server_text(response->body, Min(response->body_len, 2048));
	explanation->words = memai_failure_clean(message, secret);
}

/* may the provider have done the work without our knowing? */
static bool
is_unclear(MemaiHttpOutcome outcome)
{
	return outcome == MEMAI_HTTP_TIMED_OUT || outcome == MEMAI_HTTP_BROKEN_OFF ||
		outcome == MEMAI_HTTP_TOO_LARGE;
}

/* what to do about an answer that is none: wait and try again, or raise */
static void
fail_job(Call *call, Job *job, const MemaiHttpResponse *response)
{
	Explanation explanation = {0};
	int64		delay;

	explain(call, response, &explanation);
	explanation.attempts = job->attempts;
	memai_usage_failed(&job->attempt, explanation.failure.sqlstate, is_unclear(response->outcome));
	delay = retry_delay(call, job, response, &explanation.failure);
	if (delay < 0)
		raise_failure(call, &explanation);
	job->not_before = memai_http_clock() + delay;
}

static bool
is_success(int status)
{
	return status >= 200 && status < 300;
}

static void
end_transfer(Call *call, int index)
{
	memai_http_close(call->transfers[index]);
	call->transfers[index] = NULL;
	call->under_way--;
}

static void
finish_job(Call *call, int index)
{
	Job		   *job = &call->jobs[index];
	const MemaiHttpResponse *response = memai_http_wait(call->transfers[index]);

	if (response->outcome == MEMAI_HTTP_ANSWERED && is_success(response->status))
	{
		memai_usage_receive(&job->attempt, call->receive, call->state, index,
							response->body, response->body_len);
		job->done = true;
	}
	else
		fail_job(call, job, response);
	end_transfer(call, index);
}

static bool
all_done(const Call *call)
{
	for (int i = 0; i < call->njobs; i++)
		if (!call->jobs[i].done)
			return false;
	return true;
}

static void
prepare(Call *call, MemaiWireRequest *requests)
{
	call->usage = memai_usage_open(call->model, call->operation);
	call->jobs = palloc0(sizeof(Job) * call->njobs);
	call->transfers = palloc0(sizeof(MemaiHttpTransfer *) * call->njobs);
	for (int i = 0; i < call->njobs; i++)
	{
		Job		   *job = &call->jobs[i];

		job->request = &requests[i];
		job->url = memai_http_url_parse(call->model->url, requests[i].path, requests[i].query);
		job->idempotency_key = new_idempotency_key();
		/* every URL is checked against the key's prefix, not only the first */
		if (call->model->credential != NULL)
		{
			if (call->credential != NULL)
				memai_credential_forget(call->credential);
			call->credential = memai_credential_read(call->model, job->url);
		}
	}
}

void
memai_wire_send(const MemaiWire *wire, const MemaiModel *model, MemaiOperation operation, int n,
				MemaiWireRequest *requests, MemaiWireReceiver receive, void *state)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai model call",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Call		call = {0};

	call.wire = wire;
	call.model = model;
	call.operation = operation;
	call.njobs = n;
	call.receive = receive;
	call.state = state;
	call.deadline = memai_http_clock() + memai_http_call_timeout();
	prepare(&call, requests);
	memai_wait_begin();
	while (!all_done(&call))
	{
		int64		next = start_due_jobs(&call);

		if (call.under_way > 0)
		{
			int			index = memai_http_wait_any(n, call.transfers, next);

			if (index >= 0)
				finish_job(&call, index);
		}
		else
			memai_http_sleep(next - memai_http_clock());
	}
	if (call.credential != NULL)
		memai_credential_forget(call.credential);
	MemoryContextSwitchTo(old);
	memai_wait_end();
	memai_usage_close(call.usage);
	MemoryContextDelete(context);
}

/* ---- one request whose answer is read as it arrives ---- */

struct MemaiWireSource
{
	Call		call;
	const MemaiHttpResponse *response;	/* set at the end */
};

MemaiWireSource *
memai_wire_source_open(const MemaiWire *wire, const MemaiModel *model, MemaiWireRequest *request)
{
	MemaiWireSource *source = palloc0(sizeof(MemaiWireSource));
	Call	   *call = &source->call;

	call->wire = wire;
	call->model = model;
	call->njobs = 1;
	call->stream = true;
	call->operation = MEMAI_OPERATION_STREAM;
	call->deadline = memai_http_clock() + memai_http_call_timeout();
	prepare(call, request);
	for (;;)
	{
		int64		wait = call->jobs[0].not_before - memai_http_clock();

		do
			if (wait > 0)
				memai_http_sleep(wait);
		while ((wait = ask_limits(call, &call->jobs[0])) > 0);
		start_job(call, 0);
		if (is_success(memai_http_wait_status(call->transfers[0])))
			return source;
		fail_job(call, &call->jobs[0], memai_http_wait(call->transfers[0]));
		end_transfer(call, 0);
	}
}

bool
memai_wire_source_read(MemaiWireSource *source, const char **data, size_t *len)
{
	Call	   *call = &source->call;
	const MemaiHttpResponse *response;
	Explanation explanation = {0};

	if (memai_http_read(call->transfers[0], data, len))
		return true;
	response = memai_http_wait(call->transfers[0]);
	if (response->outcome == MEMAI_HTTP_ANSWERED)
		return false;
	explain(call, response, &explanation);
	explanation.attempts = call->jobs[0].attempts;
	memai_usage_failed(&call->jobs[0].attempt, explanation.failure.sqlstate, true);
	raise_failure(call, &explanation);
	return false;
}

void
memai_wire_source_complete(MemaiWireSource *source, int prompt_tokens, int completion_tokens, const char *text)
{
	memai_usage_streamed(&source->call.jobs[0].attempt, prompt_tokens, completion_tokens, text);
	memai_usage_close(source->call.usage);
}

void
memai_wire_source_error(MemaiWireSource *source, const char *data, size_t len)
{
	Call	   *call = &source->call;
	Explanation explanation = {0};
	char	   *code;
	char	   *message;
	int			status;

	memai_failure_read_body(data, len, &code, &message);
	status = memai_failure_status_of_code(code);
	explanation.failure = memai_failure_of_status(status ? status : 500, code, message);
	explanation.status = 200;
	explanation.attempts = call->jobs[0].attempts;
	explanation.words = memai_failure_clean(message, call->credential ? call->credential->secret : NULL);
	memai_usage_failed(&call->jobs[0].attempt, explanation.failure.sqlstate, true);
	raise_failure(call, &explanation);
	pg_unreachable();
}

void
memai_wire_init(void)
{
	DefineCustomIntVariable("memai.model_max_retries",
							"Sets how often a call that failed in passing is tried again.",
							NULL,
							&max_retries, 2, 0, 10, PGC_USERSET, 0,
							NULL, NULL, NULL);
}
