/*
 * send.c
 *	  Requests to a provider, until they succeed, fail for good, or run out of
 *	  time.
 *
 * One call has one wall-clock deadline (memai.http_call_timeout) that all its
 * attempts, waits and parallel requests share.  An attempt that failed in a
 * way that may pass is repeated after a wait, as far as the model's health and
 * its budget of retries allow (breaker.c); the same idempotency key goes
 * with every attempt of a request, so that a provider that knows such keys
 * bills it once.  Waiting is interruptible; no lock is held.
 *
 * When a call fails, what its answered requests cost is still accounted; those
 * under way are cut off.
 */
#include "postgres.h"

#include <time.h>

#include "model/breaker.h"
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
	bool		admitted;		/* by the breaker, not started yet */
	int64		not_before;		/* by memai_http_clock */
	bool		stale;			/* the last attempt met a connection that was
								 * no more */
	bool		done;
	MemaiWireFailure failure;	/* of the last attempt, if there was one */
} Job;

/*
 * What this call holds of a model's breaker.  It lies in the call's memory
 * context, whose end gives back a probe that nobody reported.
 */
typedef struct Probe
{
	char	   *model;
	bool		held;
} Probe;

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
	MemaiWireRefusal refuse;	/* NULL: every failure is raised */
	void	   *state;
	bool		stream;
	Probe	   *probe;
	MemaiOperation operation;
	MemaiUsageCall *usage;
} Call;

void
memai_wire_raise(const MemaiModel *model, const MemaiWireFailure *failure)
{
	char	   *status = failure->status > 0 ?
	psprintf("HTTP status %d", failure->status) : pstrdup("No answer");

	ereport(ERROR,
			(errcode(failure->failure.sqlstate),
			 errmsg("call to model \"%s\" failed: %s", model->info.name, failure->failure.what),
			 errdetail("%s after %d %s%s%s", status, failure->attempts,
					   failure->attempts == 1 ? "attempt" : "attempts",
					   failure->words[0] ? ": " : ".", failure->words),
			 failure->failure.hint ? errhint("%s", failure->failure.hint) : 0));
}

static char *
new_idempotency_key(void)
{
	pg_uuid_t	id;

	memai_new_id(&id);
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id)));
}

static void
start_job(Call *call, int index)
{
	Job		   *job = &call->jobs[index];
	MemaiHttpRequest http = {0};
	int64		left = call->deadline - memai_http_clock();

	http.url = job->url;
	http.body = job->request->body.data;
	http.body_len = job->request->body.len;
	http.timeout = (int) Max(1, Min(left, memai_http_attempt_timeout()));
	http.fresh = job->stale;
	memai_http_add_header(&http, "Content-Type", "application/json");
	http.stream = call->stream;
	memai_http_add_header(&http, "Accept", call->stream ? "text/event-stream, application/x-ndjson" : "application/json");
	memai_http_add_header(&http, "Idempotency-Key", job->idempotency_key);
	for (int i = 0; i < job->request->nheaders; i++)
		memai_http_add_header(&http, job->request->headers[i].name, job->request->headers[i].value);
	call->transfers[index] = memai_credential_open(&http, call->credential, call->wire->key_header, call->wire->key_scheme);
	memai_usage_sent(&job->attempt);
	job->attempts++;
	call->under_way++;
}

/* the model is resting: raises why */
static void
raise_resting(const Call *call, const Job *job, const MemaiAdmission *admission)
{
	/* what the provider said to this call says more */
	if (job->attempts > 0)
		memai_wire_raise(call->model, &job->failure);
	ereport(ERROR,
			(errcode(ERRCODE_MEMAI_BREAKER_OPEN),
			 errmsg("call to model \"%s\" failed: the model is resting after repeated failures",
					call->model->info.name),
			 errdetail("It is not called for another %.1f seconds; the last failure was %s. No attempt was made.",
					   admission->wait / 1000.0, unpack_sql_state(admission->sqlstate)),
			 errhint("See memai.model_health; an administrator can run memai.reset_model, or give the model a fallback.")));
}

/*
 * Asks whether the model takes requests; when it does the job is admitted, else
 * its not_before says when to ask again.
 */
static void
admit_job(Call *call, Job *job)
{
	int64		now = memai_http_clock();
	MemaiAdmission admission = memai_breaker_admit(call->model->info.name, job->attempts > 0,
												   call->deadline - now);

	switch (admission.verdict)
	{
		case MEMAI_NOT_ADMITTED:
			raise_resting(call, job, &admission);
			break;
		case MEMAI_ADMITTED_LATER:
			/* not all at the same moment */
			job->not_before = now + admission.wait +
				(int64) (admission.wait * 0.1 * pg_prng_double(&pg_global_prng_state));
			return;
		case MEMAI_ADMITTED_AS_PROBE:
			call->probe->held = true;
			break;
		case MEMAI_ADMITTED:
			break;
	}
	job->admitted = true;
}

/* starts a job that is due, if its model takes requests and limits allow it */
static void
try_job(Call *call, int index)
{
	Job		   *job = &call->jobs[index];
	int64		wait;

	if (!job->admitted)
		admit_job(call, job);
	if (!job->admitted)
		return;
	wait = memai_usage_begin(call->usage, &job->attempt, job->attempts + 1, job->request->body.data,
							 job->request->body.len, job->request->max_output, call->deadline);
	if (wait > 0)
		job->not_before = memai_http_clock() + wait;
	else
	{
		job->admitted = false;
		start_job(call, index);
	}
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

		if (job->done || call->transfers[i] != NULL)
			continue;
		/* while a probe is under way, nothing else is */
		if (job->not_before <= now && call->under_way < memai_http_max_parallel() &&
			(!call->probe->held || job->admitted))
			try_job(call, i);
		if (job->not_before > now)
			next = Min(next, job->not_before);
	}
	return next;
}

/* gives the probe back, if there is one; reset callback of the call's context too */
static void
release_probe(void *arg)
{
	Probe	   *probe = arg;

	if (probe->held)
		memai_breaker_release(probe->model);
	probe->held = false;
}

/* tells the model's breaker how an attempt ended */
static void
report_attempt(Call *call, const MemaiHttpResponse *response, const MemaiFailure *failure)
{
	MemaiOutcome outcome = MEMAI_OUTCOME_ALIVE;
	int64		rest = 0;

	if (failure != NULL && failure->sqlstate == ERRCODE_MEMAI_QUOTA)
		outcome = MEMAI_OUTCOME_USELESS;
	else if (failure != NULL && !response->stale && (failure->retryable || response->outcome == MEMAI_HTTP_TLS_FAILED ||
								 response->outcome == MEMAI_HTTP_INVALID))
	{
		outcome = MEMAI_OUTCOME_FAILED;
		rest = memai_retry_after(memai_http_header(response, "retry-after-ms"),
								 memai_http_header(response, "retry-after"), (int64) time(NULL));
	}
	else if (response->outcome != MEMAI_HTTP_ANSWERED)
	{
		/* refused on this side, or an old connection: nothing was learnt of the model */
		release_probe(call->probe);
		return;
	}
	memai_breaker_report(call->model->info.name, outcome, failure ? failure->sqlstate : 0,
						 Min(Max(rest, 0), MEMAI_RETRY_AFTER_LIMIT_MS));
	call->probe->held = false;
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
	if (response->stale)
		delay = 0;
	else if (delay <= 0)
		delay = memai_retry_backoff(job->attempts, pg_prng_double(&pg_global_prng_state));
	if (memai_http_clock() + delay >= call->deadline ||
		!memai_breaker_take_retry(call->model->info.name))
		return -1;
	return delay;
}

static void
explain(const Call *call, const MemaiHttpResponse *response, MemaiWireFailure *explanation)
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

/* what to do about an answer that is none: wait and try again, or give up */
static void
fail_job(Call *call, int index, const MemaiHttpResponse *response)
{
	Job		   *job = &call->jobs[index];
	int64		delay;

	explain(call, response, &job->failure);
	job->failure.attempts = job->attempts;
	job->stale = response->stale;
	report_attempt(call, response, &job->failure.failure);
	memai_usage_failed(&job->attempt, job->failure.failure.sqlstate, is_unclear(response->outcome));
	delay = retry_delay(call, job, response, &job->failure.failure);
	if (delay >= 0)
		job->not_before = memai_http_clock() + delay;
	else if (call->refuse != NULL && call->refuse(call->state, index, &job->failure))
		job->done = true;
	else
	{
		memai_wait_set_retry_after(memai_retry_after(memai_http_header(response, "retry-after-ms"),
													 memai_http_header(response, "retry-after"), (int64) time(NULL)));
		memai_wire_raise(call->model, &job->failure);
	}
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
		report_attempt(call, response, NULL);
		memai_usage_receive(&job->attempt, call->receive, call->state, index,
							response->body, response->body_len);
		job->done = true;
	}
	else
		fail_job(call, index, response);
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

/* turns of the transfers that connect and send what was just started, or read what has come */
#define MOVING_TURNS 3

/*
 * Waits until a transfer has ended and returns its index, or -1 when it is time
 * to look for jobs that are due.  What else there is to do is done while
 * everything that can be under way is.
 */
static int
wait_for_transfer(Call *call, int64 until)
{
	if (memai_wait_has_work())
	{
		int			index = -1;

		for (int i = 0; i < MOVING_TURNS && index < 0; i++)
		{
			memai_http_progress();
			index = memai_http_wait_any(call->njobs, call->transfers, 0);
		}
		if (index >= 0)
			return index;
		if (memai_wait_work())
			return -1;
	}
	return memai_http_wait_any(call->njobs, call->transfers, until);
}

/* receives an answer that nobody will read */
static void
ignore_answer(void *state, int index, const char *body, size_t len)
{
}

/* is it under way, or has it ended and not been looked at? */
static bool
is_open(const Call *call, int index)
{
	return call->transfers[index] != NULL && call->jobs[index].attempt.call != NULL;
}

/*
 * The call fails: what its other requests cost is written down as far as their
 * answers have come.  The others are cut off with the call.  Waits for nothing
 * and services no interrupts; an error may be under way.
 */
static void
account_arrived(Call *call)
{
	bool		any = false;

	for (int i = 0; i < call->njobs; i++)
		any = any || is_open(call, i);
	if (!any)
		return;
	HOLD_INTERRUPTS();
	for (int i = 0; i < MOVING_TURNS; i++)
		memai_http_progress();
	for (int i = 0; i < call->njobs; i++)
	{
		MemaiAttempt *attempt = &call->jobs[i].attempt;
		const MemaiHttpResponse *response = is_open(call, i) ? memai_http_ended(call->transfers[i]) : NULL;
		MemaiWireFailure failure = {0};

		if (response == NULL)
			continue;
		if (response->outcome == MEMAI_HTTP_ANSWERED && is_success(response->status))
			memai_usage_receive(attempt, ignore_answer, NULL, i, response->body, response->body_len);
		else
		{
			explain(call, response, &failure);
			memai_usage_failed(attempt, failure.failure.sqlstate, is_unclear(response->outcome));
		}
	}
	RESUME_INTERRUPTS();
}

/* until all jobs are done, or one fails for good */
static void
run_jobs(Call *call)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		while (!all_done(call))
		{
			int64		next = start_due_jobs(call);

			if (call->under_way > 0)
			{
				int			index = wait_for_transfer(call, next);

				if (index >= 0)
					finish_job(call, index);
			}
			else
				memai_http_sleep(next - memai_http_clock());
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		account_arrived(call);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static Probe *
new_probe(const MemaiModel *model)
{
	Probe	   *probe = palloc0(sizeof(Probe));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	probe->model = pstrdup(model->info.name);
	callback->func = release_probe;
	callback->arg = probe;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return probe;
}

static void
prepare(Call *call, MemaiWireRequest *requests)
{
	memai_breaker_exchange(call->model->info.name);
	call->probe = new_probe(call->model);
	call->usage = memai_usage_open(call->model, call->operation);
	call->jobs = palloc0(sizeof(Job) * call->njobs);
	call->transfers = palloc0(sizeof(MemaiHttpTransfer *) * call->njobs);
	for (int i = 0; i < call->njobs; i++)
	{
		Job		   *job = &call->jobs[i];

		job->request = &requests[i];
		job->attempt.nshares = requests[i].nshares;
		job->attempt.shares = requests[i].shares;
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
	memai_wire_send_each(wire, model, operation, n, requests, receive, NULL, state);
}

void
memai_wire_send_each(const MemaiWire *wire, const MemaiModel *model, MemaiOperation operation, int n,
					 MemaiWireRequest *requests, MemaiWireReceiver receive, MemaiWireRefusal refuse, void *state)
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
	call.refuse = refuse;
	call.state = state;
	call.deadline = memai_http_clock() + memai_http_call_timeout();
	prepare(&call, requests);
	memai_wait_begin();
	run_jobs(&call);
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
	memai_wait_begin();
	for (;;)
	{
		int64		next = start_due_jobs(call);

		if (call->under_way == 0)
		{
			memai_http_sleep(next - memai_http_clock());
			continue;
		}
		if (is_success(memai_http_wait_status(call->transfers[0])))
			break;
		fail_job(call, 0, memai_http_wait(call->transfers[0]));
		end_transfer(call, 0);
	}
	memai_wait_end();
	return source;
}

bool
memai_wire_source_read(MemaiWireSource *source, const char **data, size_t *len)
{
	Call	   *call = &source->call;
	const MemaiHttpResponse *response = NULL;
	MemaiWireFailure failure = {0};

	memai_wait_begin();
	if (!memai_http_read(call->transfers[0], data, len))
		response = memai_http_wait(call->transfers[0]);
	memai_wait_end();
	if (response == NULL)
		return true;
	if (response->outcome == MEMAI_HTTP_ANSWERED)
	{
		report_attempt(call, response, NULL);
		return false;
	}
	explain(call, response, &failure);
	failure.attempts = call->jobs[0].attempts;
	report_attempt(call, response, &failure.failure);
	memai_usage_failed(&call->jobs[0].attempt, failure.failure.sqlstate, true);
	memai_wire_raise(call->model, &failure);
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
	MemaiWireFailure failure = {0};
	char	   *code;
	char	   *message;
	int			status;

	memai_failure_read_body(data, len, &code, &message);
	status = memai_failure_status_of_code(code);
	failure.failure = memai_failure_of_status(status ? status : 500, code, message);
	failure.status = 200;
	failure.attempts = call->jobs[0].attempts;
	failure.words = memai_failure_clean(message, call->credential ? call->credential->secret : NULL);
	memai_usage_failed(&call->jobs[0].attempt, failure.failure.sqlstate, true);
	memai_wire_raise(call->model, &failure);
}

void
memai_wire_init(void)
{
	DefineCustomIntVariable("memai.model_max_retries",
							"Sets how often a call that failed in passing is tried again.",
							NULL,
							&max_retries, 2, 0, 10, PGC_USERSET, 0,
							NULL, NULL, NULL);
	memai_breaker_init();
}
