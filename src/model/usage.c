/*
 * usage.c
 *	  Accounting of calls over the wire; see usage.h for the order of things.
 *
 * Every attempt is a record in the ledger.  Its tokens are what the provider
 * reports; where it reports none, memai's estimate, marked as such; of an
 * attempt that was cut off they are unknown, and limits are charged with its
 * prompt.  Nothing here waits: a call that must is told for how long and asks
 * again, so that waiting is send.c's, with its deadline and its interrupts.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "core/core.h"
#include "http/http.h"
#include "miscadmin.h"
#include "model/registry.h"
#include "model/tokens_used.h"
#include "model/usage.h"
#include "storage/ipc.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* reserved for an answer whose length nothing limits */
#define ANSWER_TOKENS 1000
/* records are moved to the table by a caller when so much of their memory is used */
#define FULL 0.5
/* longest time between two looks at a limit: others may give back room early */
#define WAIT_MAX_MS 1000

struct MemaiUsageCall
{
	dlist_node	node;
	MemoryContext context;
	const MemaiModel *model;
	MemaiOperation operation;
	double		input_price;	/* of a million tokens; NaN: not known */
	double		output_price;
	Oid			role;
	char	   *user_id;		/* NULL: none */
	char	   *tenant;
	int			nlimits;
	MemaiLimit *limits;
	dlist_head	attempts;		/* under way */
	List	   *records;		/* not preloaded: to be written at close */
	bool		closing;		/* something failed: none will be written */
	bool		released;
	MemoryContextCallback callback;
};

static bool limit_wait = true;
static int	max_calls_per_statement = 0;
static int	max_tokens_per_statement = 0;

/* calls of this backend that are not over */
static dlist_head calls = DLIST_STATIC_INIT(calls);

/* whose answer is being received */
static MemaiAttempt *receiving = NULL;

/* what the running statement has used */
static struct
{
	TimestampTz started_at;
	int64		calls;
	int64		tokens;
}			statement;

/* ---- money ---- */

static double
cost_of(double input_price, double output_price, int64 prompt_tokens, int64 completion_tokens)
{
	if (prompt_tokens < 0 || (isnan(input_price) && isnan(output_price)))
		return NAN;
	return (prompt_tokens * (isnan(input_price) ? 0 : input_price) +
			Max(completion_tokens, 0) * (isnan(output_price) ? 0 : output_price)) / 1e6;
}

double
memai_usage_cost(const MemaiModel *model, int64 prompt_tokens, int64 completion_tokens)
{
	return cost_of(memai_option_number(model->options, "input_price", NAN),
				   memai_option_number(model->options, "output_price", NAN),
				   prompt_tokens, completion_tokens);
}

/* ---- the end of an attempt: raises nothing when preloaded, errors are being cleaned up ---- */

static int64
prompt_estimate(MemaiAttempt *attempt)
{
	if (attempt->prompt_estimate == 0)
		attempt->prompt_estimate = memai_estimate_tokens(attempt->body, attempt->body_len);
	return attempt->prompt_estimate;
}

/* writes a record down, here or at the end of the call */
static void
record_one(MemaiUsageCall *call, const MemaiUsage *usage)
{
	MemoryContext old;

	if (memai_stats_preloaded())
	{
		memai_usage_put(usage);
		return;
	}
	/* of a call that fails nothing will stay */
	if (call->closing)
		return;
	old = MemoryContextSwitchTo(call->context);
	call->records = lappend(call->records, memcpy(palloc(sizeof(MemaiUsage)), usage, sizeof(MemaiUsage)));
	MemoryContextSwitchTo(old);
}

/*
 * Writes the attempt down.  One that several users share is a record for each,
 * whose tokens add up to the attempt's.
 */
static void
record(const MemaiAttempt *attempt, const MemaiUsage *usage)
{
	MemaiUsageCall *call = attempt->call;
	double		total = 0;
	double		before = 0;

	if (attempt->nshares == 0)
		record_one(call, usage);
	for (int i = 0; i < attempt->nshares; i++)
		total += attempt->shares[i].weight;
	for (int i = 0; i < attempt->nshares; i++)
	{
		const MemaiUsageShare *share = &attempt->shares[i];
		double		after = i == attempt->nshares - 1 ? total : before + share->weight;
		MemaiUsage	part = *usage;

		part.user_id = share->user_id;
		part.announced = share->announced;
		part.counted = i > 0;
		if (usage->prompt_tokens > 0)
			part.prompt_tokens = (int64) (rint(usage->prompt_tokens * (after / total)) -
										  rint(usage->prompt_tokens * (before / total)));
		part.cost = cost_of(call->input_price, call->output_price, part.prompt_tokens, part.completion_tokens);
		record_one(call, &part);
		before = after;
	}
}

/* what the attempt cost, as far as anybody knows */
static void
fill_tokens(MemaiAttempt *attempt, MemaiUsage *usage)
{
	const MemaiUsageCall *call = attempt->call;
	bool		chat = call->operation == MEMAI_OPERATION_COMPLETE || call->operation == MEMAI_OPERATION_STREAM;

	if (usage->status == MEMAI_USAGE_OK || attempt->prompt_tokens >= 0)
	{
		usage->prompt_tokens = attempt->prompt_tokens;
		usage->completion_tokens = chat ? attempt->completion_tokens : 0;
		usage->estimated = usage->prompt_tokens < 0 || usage->completion_tokens < 0;
		if (usage->prompt_tokens < 0)
			usage->prompt_tokens = prompt_estimate(attempt);
		if (usage->completion_tokens < 0)
			usage->completion_tokens = attempt->answer_estimate;
	}
	else if (usage->status == MEMAI_USAGE_UNKNOWN)
		usage->prompt_tokens = usage->completion_tokens = -1;
	usage->cost = cost_of(call->input_price, call->output_price,
						  usage->prompt_tokens, usage->completion_tokens);
}

/* replaces the reservation by what was used; of the unknown, the prompt */
static void
settle(MemaiAttempt *attempt, const MemaiUsage *usage)
{
	MemaiUsageCall *call = attempt->call;
	int64		prompt = usage->prompt_tokens;
	int64		completion = Max(usage->completion_tokens, 0);
	double		cost;

	if (prompt < 0 && attempt->reserved_tokens > 0)
		prompt = prompt_estimate(attempt);
	if (!attempt->sent)
		prompt = completion = 0;
	prompt = Max(prompt, 0);
	cost = cost_of(call->input_price, call->output_price, prompt, completion);
	if (call->nlimits > 0)
		memai_limit_settle(call->nlimits, call->limits, attempt->slice, attempt->reserved_tokens,
						   attempt->reserved_cost, prompt + completion, isnan(cost) ? 0 : cost);
	statement.tokens = Max(statement.tokens + prompt + completion - attempt->reserved_tokens, 0);
}

/* the attempt as the ledger has it, but for tokens and cost */
static void
describe(const MemaiAttempt *attempt, MemaiUsageStatus status, int sqlstate, MemaiUsage *usage)
{
	const MemaiUsageCall *call = attempt->call;
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, attempt->start);
	memset(usage, 0, sizeof(MemaiUsage));
	usage->announced = attempt->announced;
	usage->at = attempt->at;
	usage->role = call->role;
	usage->user_id = call->user_id;
	usage->tenant = call->tenant;
	usage->model = call->model->info.name;
	usage->credential = call->model->credential;
	usage->operation = call->operation;
	usage->status = status;
	usage->sqlstate = sqlstate;
	usage->latency = INSTR_TIME_GET_MILLISEC(now);
	usage->attempt = attempt->number;
}

static void
finish(MemaiAttempt *attempt, MemaiUsageStatus status, int sqlstate)
{
	MemaiUsage	usage;

	describe(attempt, status, sqlstate, &usage);
	fill_tokens(attempt, &usage);
	settle(attempt, &usage);
	if (attempt->sent)
		record(attempt, &usage);
	dlist_delete(&attempt->node);
	attempt->call = NULL;
	if (receiving == attempt)
		receiving = NULL;
}

/* ---- what is cut off ---- */

/* ends what is under way at that level of transactions or deeper */
static void
cut_off(MemaiUsageCall *call, int level)
{
	dlist_mutable_iter iter;
	bool		closing = call->closing;

	call->closing = true;
	dlist_foreach_modify(iter, &call->attempts)
	{
		MemaiAttempt *attempt = dlist_container(MemaiAttempt, node, iter.cur);

		if (attempt->level >= level)
			finish(attempt, MEMAI_USAGE_UNKNOWN, 0);
	}
	call->closing = closing;
}

/* the memory of the call goes */
static void
release_call(void *arg)
{
	MemaiUsageCall *call = arg;

	/* a process that ends does this before its memory goes */
	if (call->released)
		return;
	call->released = true;
	cut_off(call, 0);
	for (int i = 0; i < call->nlimits; i++)
		memai_limit_unpin(&call->limits[i]);
	call->nlimits = 0;
	dlist_delete(&call->node);
}

static void
at_exit(int code, Datum argument)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &calls)
		release_call(dlist_container(MemaiUsageCall, node, iter.cur));
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	dlist_iter	iter;

	if (event == XACT_EVENT_ABORT)
		dlist_foreach(iter, &calls)
			cut_off(dlist_container(MemaiUsageCall, node, iter.cur), 0);
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT)
		statement.started_at = 0;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	dlist_iter	iter;
	dlist_iter	inner;

	dlist_foreach(iter, &calls)
	{
		MemaiUsageCall *call = dlist_container(MemaiUsageCall, node, iter.cur);

		if (event == SUBXACT_EVENT_ABORT_SUB)
			cut_off(call, level);
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			dlist_foreach(inner, &call->attempts)
		{
			MemaiAttempt *attempt = dlist_container(MemaiAttempt, node, inner.cur);

			attempt->level = Min(attempt->level, level - 1);
		}
	}
}

/* ---- a call ---- */

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
	before_shmem_exit(at_exit, (Datum) 0);
	registered = true;
}

/* a limit of money needs prices, and any limit shared memory */
static void
check_limits(const MemaiUsageCall *call)
{
	for (int i = 0; i < call->nlimits; i++)
		if (call->limits[i].daily_cost > 0 && isnan(call->input_price) && isnan(call->output_price))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("model \"%s\" has no price, and its cost is limited", call->model->info.name),
					 errhint("Set its options input_price and output_price with memai.alter_model.")));
}

/* whom a call of model is made for; NULL: nobody said, or its requests say for whom they are */
static const char *
accounted_user(const MemaiModel *model)
{
	const char *user_id = model->info.text_users ? "" : model->info.user_id ? model->info.user_id : GetConfigOption("memai.user_id", true, false);

	return user_id != NULL && user_id[0] != '\0' ? user_id : NULL;
}

MemaiUsageCall *
memai_usage_open(const MemaiModel *model, MemaiOperation operation)
{
	MemaiUsageCall *call = palloc0(sizeof(MemaiUsageCall));
	const char *user_id = accounted_user(model);

	register_callbacks();
	if (statement.started_at != GetCurrentStatementStartTimestamp())
	{
		memset(&statement, 0, sizeof(statement));
		statement.started_at = GetCurrentStatementStartTimestamp();
	}
	call->context = CurrentMemoryContext;
	call->model = model;
	call->operation = operation;
	call->input_price = memai_option_number(model->options, "input_price", NAN);
	call->output_price = memai_option_number(model->options, "output_price", NAN);
	call->role = GetUserId();
	call->user_id = user_id ? pstrdup(user_id) : NULL;
	call->tenant = text_to_cstring(memai_current_tenant_text());
	dlist_init(&call->attempts);
	if (memai_usage_fuller_than(FULL))
		(void) memai_usage_flush();
	/* from here on an error gives back what was pinned */
	call->callback.func = release_call;
	call->callback.arg = call;
	MemoryContextRegisterResetCallback(call->context, &call->callback);
	dlist_push_tail(&calls, &call->node);
	memai_limits_match(model->info.name, call->role, call->user_id, &call->limits, &call->nlimits);
	check_limits(call);
	return call;
}

void
memai_usage_close(MemaiUsageCall *call)
{
	ListCell   *cell;

	foreach(cell, call->records)
		memai_usage_store(lfirst(cell));
	call->records = NIL;
}

/* ---- an attempt ---- */

static char *
who(const MemaiUsageCall *call, const MemaiLimit *limit)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, limit->key.model ? psprintf("model \"%s\"", limit->model) : "all models");
	if (OidIsValid(limit->key.role))
		appendStringInfoString(&text, ", the caller's role");
	if (limit->key.user)
		appendStringInfo(&text, ", user \"%s\"", limit->user);
	return text.data;
}

static const char *
wait_hint(const MemaiLimitVerdict *verdict)
{
	int64		seconds = (verdict->wait + 999) / 1000;

	if (verdict->wait < 0)
		return "Make the call smaller, or have an administrator raise the limit with memai.set_limit.";
	if (verdict->kind == MEMAI_LIMIT_CONCURRENT)
		return "It is free again when one of the calls under way ends.";
	if (verdict->kind >= MEMAI_LIMIT_DAILY_TOKENS)
		return psprintf("It is filled up at midnight UTC, in %d h %d min.",
						(int) (seconds / 3600), (int) (seconds % 3600 / 60));
	return psprintf("There is room in %d s.", (int) seconds);
}

static void
raise_verdict(const MemaiUsageCall *call, const MemaiLimitVerdict *verdict, int64 tokens)
{
	static const char *const names[] = {
		"", "requests a minute", "tokens a minute", "calls at a time", "tokens a day", "cost a day"
	};
	bool		budget = verdict->kind >= MEMAI_LIMIT_DAILY_TOKENS;

	ereport(ERROR,
			(errcode(budget ? ERRCODE_MEMAI_BUDGET_SPENT : ERRCODE_MEMAI_LIMIT),
			 errmsg("call to model \"%s\" refused: %s", call->model->info.name,
					budget ? "the budget for today is spent" : "a limit is reached"),
			 errdetail("The limit for %s is %.10g %s; %.10g are used or reserved and the call may need %lld tokens.",
					   who(call, &call->limits[verdict->index]), verdict->most, names[verdict->kind],
					   verdict->used, (long long) tokens),
			 errhint("%s", wait_hint(verdict))));
}

static void
check_statement(const MemaiUsageCall *call, int64 tokens)
{
	bool		too_many = max_calls_per_statement > 0 && statement.calls >= max_calls_per_statement;
	bool		too_large = max_tokens_per_statement > 0 && statement.tokens + tokens > max_tokens_per_statement;

	if (!too_many && !too_large)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MEMAI_LIMIT),
			 errmsg("call to model \"%s\" refused: the statement has used what one may use", call->model->info.name),
			 too_many ? errdetail("A statement may make %d calls.", max_calls_per_statement) :
			 errdetail("A statement may use %d tokens; it has used %lld and the call may need %lld.",
					   max_tokens_per_statement, (long long) statement.tokens, (long long) tokens),
			 errhint("Do less in one statement, or have a superuser raise memai.max_%s_per_statement.",
					 too_many ? "calls" : "tokens")));
}

/* tokens that are reserved for the answer */
static int64
answer_wanted(const MemaiUsageCall *call, int max_output)
{
	if (call->operation != MEMAI_OPERATION_COMPLETE && call->operation != MEMAI_OPERATION_STREAM)
		return 0;
	return max_output > 0 ? max_output : ANSWER_TOKENS;
}

static void
start(MemaiUsageCall *call, MemaiAttempt *attempt, int number)
{
	attempt->call = call;
	attempt->level = GetCurrentTransactionNestLevel();
	attempt->number = number;
	attempt->sent = false;
	attempt->announced = 0;
	attempt->at = GetCurrentTimestamp();
	INSTR_TIME_SET_CURRENT(attempt->start);
	attempt->prompt_tokens = attempt->completion_tokens = -1;
	attempt->answer_estimate = 0;
	dlist_push_tail(&call->attempts, &attempt->node);
	statement.calls++;
	statement.tokens += attempt->reserved_tokens;
}

int64
memai_usage_begin(MemaiUsageCall *call, MemaiAttempt *attempt, int number,
				  const char *body, size_t body_len, int max_output, int64 deadline)
{
	MemaiLimitVerdict verdict = {0};
	int64		answer = answer_wanted(call, max_output);
	int64		prompt;

	attempt->body = body;
	attempt->body_len = body_len;
	attempt->reserved_tokens = 0;
	attempt->reserved_cost = 0;
	if (call->nlimits > 0 || max_tokens_per_statement > 0)
	{
		prompt = prompt_estimate(attempt);
		attempt->reserved_tokens = prompt + answer;
		attempt->reserved_cost = cost_of(call->input_price, call->output_price, prompt, answer);
		if (isnan(attempt->reserved_cost))
			attempt->reserved_cost = 0;
	}
	check_statement(call, attempt->reserved_tokens);
	if (call->nlimits > 0)
		memai_limit_reserve(call->nlimits, call->limits, attempt->reserved_tokens,
							attempt->reserved_cost, &attempt->slice, &verdict);
	if (verdict.kind == MEMAI_LIMIT_NONE)
	{
		start(call, attempt, number);
		return 0;
	}
	if (!limit_wait || verdict.wait < 0 || verdict.kind >= MEMAI_LIMIT_DAILY_TOKENS ||
		memai_http_clock() + verdict.wait >= deadline)
		raise_verdict(call, &verdict, attempt->reserved_tokens);
	return Min(verdict.wait, WAIT_MAX_MS);
}

void
memai_usage_sent(MemaiAttempt *attempt)
{
	MemaiUsage	usage;

	attempt->sent = true;
	if (!memai_stats_preloaded())
		return;
	/* what stays of it when the server crashes before it ends */
	describe(attempt, MEMAI_USAGE_UNKNOWN, 0, &usage);
	fill_tokens(attempt, &usage);
	for (int i = 0; i < attempt->nshares; i++)
	{
		usage.user_id = attempt->shares[i].user_id;
		memai_usage_announce(&usage);
		attempt->shares[i].announced = usage.announced;
	}
	if (attempt->nshares > 0)
		return;
	memai_usage_announce(&usage);
	attempt->announced = usage.announced;
}

void
memai_usage_cached(const MemaiModel *model, MemaiOperation operation)
{
	MemaiUsage	usage = {0};

	usage.at = GetCurrentTimestamp();
	usage.role = GetUserId();
	usage.user_id = accounted_user(model);
	usage.tenant = text_to_cstring(memai_current_tenant_text());
	usage.model = model->info.name;
	usage.operation = operation;
	usage.cached = true;
	if (memai_stats_preloaded())
		memai_usage_put(&usage);
	else
		memai_usage_store(&usage);
}

void
memai_usage_reported(int prompt_tokens, int completion_tokens, const char *text)
{
	if (receiving == NULL)
		return;
	receiving->prompt_tokens = prompt_tokens;
	receiving->completion_tokens = completion_tokens;
	if (completion_tokens < 0 && text != NULL)
		receiving->answer_estimate = memai_text_estimate_tokens(text, strlen(text));
}

void
memai_usage_receive(MemaiAttempt *attempt,
					void (*receive) (void *state, int index, const char *body, size_t len),
					void *state, int index, const char *body, size_t len)
{
	memai_tokens_used(body, len, &attempt->prompt_tokens, &attempt->completion_tokens);
	receiving = attempt;
	PG_TRY();
	{
		receive(state, index, body, len);
	}
	PG_CATCH();
	{
		finish(attempt, MEMAI_USAGE_ERROR, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	finish(attempt, MEMAI_USAGE_OK, 0);
}

void
memai_usage_streamed(MemaiAttempt *attempt, int prompt_tokens, int completion_tokens, const char *text)
{
	if (attempt->call == NULL)
		return;
	receiving = attempt;
	memai_usage_reported(prompt_tokens, completion_tokens, text);
	finish(attempt, MEMAI_USAGE_OK, 0);
}

void
memai_usage_failed(MemaiAttempt *attempt, int sqlstate, bool unclear)
{
	if (attempt->call != NULL)
		finish(attempt, unclear ? MEMAI_USAGE_UNKNOWN : MEMAI_USAGE_ERROR, sqlstate);
}

void
memai_usage_local(const MemaiModel *model, MemaiOperation operation, instr_time start)
{
	MemaiUsage	usage = {0};
	instr_time	now;

	if (!memai_stats_preloaded())
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	usage.role = GetUserId();
	usage.model = model->info.name;
	usage.operation = operation;
	usage.latency = INSTR_TIME_GET_MILLISEC(now);
	memai_usage_count(&usage);
}

void
memai_usage_init(void)
{
	DefineCustomIntVariable("memai.max_calls_per_statement",
							"Limits how many requests to providers a statement may make.",
							"Zero means no limit.",
							&max_calls_per_statement, 0, 0, PG_INT32_MAX, PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("memai.max_tokens_per_statement",
							"Limits how many tokens a statement may use at providers.",
							"Zero means no limit.",
							&max_tokens_per_statement, 0, 0, PG_INT32_MAX, PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("memai.model_limit_wait",
							 "Lets a call wait for a limit that will have room before its deadline.",
							 "Off means an error at once.",
							 &limit_wait, true, PGC_USERSET, 0,
							 NULL, NULL, NULL);
}
