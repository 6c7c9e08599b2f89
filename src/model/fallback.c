/*
 * fallback.c
 *	  Other models to call when one is down, limited, too small or too strict.
 *
 * A model's option "fallback" names models that are tried in its place, first
 * its own, then theirs, at most five; "fallback_on" names the kinds of failure
 * that make it so.  What the caller may not call is passed over.  Requests
 * that a provider refuses, and keys that it does not know, never fall back:
 * that would hide a mistake.
 *
 * An error is caught here without a subtransaction: background jobs call
 * models outside of any transaction (core/wait.c).  That is sound because only
 * errors of class MA are caught, and those are raised where nothing is held
 * but memory of the call's own context, whose end closes its connections.
 */
#include "postgres.h"

#include "json/json.h"
#include "model/fallback.h"
#include "model/registry.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MAX_FALLBACKS 5

static const struct
{
	const char *kind;
	bool		usual;			/* without the option fallback_on */
	int			sqlstates[5];
}			kinds[] =

{
	{"outage", true, {ERRCODE_MEMAI_OVERLOADED, ERRCODE_MEMAI_TIMEOUT, ERRCODE_MEMAI_TRUNCATED, ERRCODE_MEMAI_BREAKER_OPEN}},
	{"rate_limit", true, {ERRCODE_MEMAI_RATE_LIMIT}},
	{"context_length", true, {ERRCODE_MEMAI_CONTEXT_TOO_LONG}},
	{"content_filter", true, {ERRCODE_MEMAI_FILTERED}},
	{"quota", false, {ERRCODE_MEMAI_QUOTA}},
	{"budget", false, {ERRCODE_MEMAI_BUDGET_SPENT}},
};

/* the names of fallbacks in the order in which they are tried */
typedef struct Chain
{
	int			n;
	char	   *names[MAX_FALLBACKS];
} Chain;

static MemaiJson *
option_list(const MemaiModel *model, const char *key)
{
	char	   *json = memai_option_json(model->options, key);
	const char *problem;

	return json ? memai_json_parse_server(json, &problem) : NULL;
}

static bool
list_contains(MemaiJson *list, const char *text)
{
	for (int i = 0; i < memai_json_length(list); i++)
	{
		char	   *item = memai_json_text(memai_json_item(list, i));

		if (item != NULL && strcmp(item, text) == 0)
			return true;
	}
	return false;
}

static bool
falls_back(const MemaiModel *model, int sqlstate)
{
	MemaiJson  *wanted = option_list(model, "fallback_on");

	for (int i = 0; i < (int) lengthof(kinds); i++)
		for (int j = 0; kinds[i].sqlstates[j] != 0; j++)
			if (kinds[i].sqlstates[j] == sqlstate)
				return wanted ? list_contains(wanted, kinds[i].kind) : kinds[i].usual;
	return false;
}

static bool
in_chain(const Chain *chain, const char *name)
{
	for (int i = 0; i < chain->n; i++)
		if (strcmp(chain->names[i], name) == 0)
			return true;
	return false;
}

/* appends a model's own fallbacks that are not in the chain yet, as far as there is room */
static void
extend_chain(Chain *chain, const MemaiModel *first, const MemaiModel *model)
{
	MemaiJson  *list = option_list(model, "fallback");

	for (int i = 0; i < memai_json_length(list) && chain->n < MAX_FALLBACKS; i++)
	{
		char	   *name = memai_json_text(memai_json_item(list, i));

		if (name != NULL && strcmp(name, first->info.name) != 0 && !in_chain(chain, name))
			chain->names[chain->n++] = name;
	}
}

/* the error of a call that may fall back; NULL when it succeeded */
static ErrorData *
try_model(const MemaiModel *model, MemaiFallbackBody body, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "memai model attempt", ALLOCSET_SMALL_SIZES);
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		body(model, arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (!falls_back(model, error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	if (error != NULL)
	{
		MemoryContextDelete(context);
		memai_wait_end();
	}
	return error;
}

/* the model to try next, NULL when the caller may not call it or it is gone */
static MemaiModel *
read_fallback(const MemaiModel *first, const char *name)
{
	bool		usable = false;
	MemaiModel *model = memai_registry_find(name, &usable);

	if (model == NULL || !usable || strcmp(model->info.kind, first->info.kind) != 0 ||
		model->info.dimensions != first->info.dimensions)
		return NULL;
	model->info.user_id = first->info.user_id;
	model->info.text_users = first->info.text_users;
	return model;
}

const MemaiModel *
memai_fallback_run(const MemaiModel *model, MemaiFallbackBody body, void *arg)
{
	Chain		chain = {0};
	ErrorData  *first_error;
	StringInfoData tried;

	if (!model->alone)
		extend_chain(&chain, model, model);
	if (chain.n == 0)
	{
		body(model, arg);
		return model;
	}
	first_error = try_model(model, body, arg);
	if (first_error == NULL)
		return model;
	initStringInfo(&tried);
	for (int i = 0; i < chain.n; i++)
	{
		MemaiModel *next = read_fallback(model, chain.names[i]);
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		if (next == NULL)
			continue;
		extend_chain(&chain, model, next);
		error = try_model(next, body, arg);
		if (error == NULL)
			return next;
		appendStringInfo(&tried, "%s\"%s\" (%s)", tried.len > 0 ? ", " : "", next->info.name,
						 unpack_sql_state(error->sqlerrcode));
	}
	if (tried.len > 0)
		first_error->detail = psprintf("%s The fallback models failed too: %s.",
									   first_error->detail ? first_error->detail : "", tried.data);
	ReThrowError(first_error);
	pg_unreachable();
}

/* ---- checks of a row ---- */

static void
check_kinds(const MemaiModel *model)
{
	MemaiJson  *list = option_list(model, "fallback_on");

	for (int i = 0; i < memai_json_length(list); i++)
	{
		char	   *kind = memai_json_text(memai_json_item(list, i));
		bool		known = false;

		for (int j = 0; kind != NULL && j < (int) lengthof(kinds); j++)
			known = known || strcmp(kinds[j].kind, kind) == 0;
		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"fallback_on\" has an unknown kind of failure"),
					 errhint("The kinds are: outage, rate_limit, context_length, content_filter, quota, budget.")));
	}
}

static void
check_same_use(const MemaiModel *model, const char *name, const MemaiModel *other)
{
	if (other == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("fallback model \"%s\" does not exist", name)));
	if (strcmp(other->info.kind, model->info.kind) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fallback model \"%s\" is of kind %s, not %s", name, other->info.kind, model->info.kind)));
	if (other->info.dimensions != model->info.dimensions)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fallback model \"%s\" has %d dimensions, not %d", name,
						other->info.dimensions, model->info.dimensions)));
}

/* follows the fallbacks of fallbacks; raises when they lead back to the model */
static void
check_chain(const MemaiModel *model, const MemaiModel *from, int depth)
{
	MemaiJson  *list = option_list(from, "fallback");

	check_stack_depth();
	if (depth > MAX_FALLBACKS || memai_json_length(list) > MAX_FALLBACKS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" has too many fallback models", model->info.name),
				 errdetail("At most %d are tried.", MAX_FALLBACKS)));
	for (int i = 0; i < memai_json_length(list); i++)
	{
		char	   *name = memai_json_text(memai_json_item(list, i));
		MemaiModel *next;

		if (name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"fallback\" must be an array of names of models")));
		if (strcmp(name, model->info.name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("model \"%s\" would be its own fallback", name),
					 from == model ? 0 : errdetail("It is a fallback of model \"%s\".", from->info.name)));
		next = memai_registry_read(name);

		/*
		 * what another model's row says may be out of date, and is then
		 * passed over
		 */
		if (from == model)
			check_same_use(model, name, next);
		if (next != NULL)
			check_chain(model, next, depth + 1);
	}
}

void
memai_fallback_check(const MemaiModel *model)
{
	check_kinds(model);
	check_chain(model, model, 1);
}
