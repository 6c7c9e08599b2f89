/*
 * manage.c
 *	  create_model and the other functions that change the registry.  The
 *	  right to run them is the EXECUTE privilege (memai_admin); what a model
 *	  may look like is decided by its provider.
 */
#include "postgres.h"

#include "model/breaker.h"
#include "model/fallback.h"
#include "model/registry.h"
#include "stats/stats.h"
#include "model/wire.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(memai_create_model);
PG_FUNCTION_INFO_V1(memai_alter_model);
PG_FUNCTION_INFO_V1(memai_drop_model);
PG_FUNCTION_INFO_V1(memai_grant_model);
PG_FUNCTION_INFO_V1(memai_revoke_model);
PG_FUNCTION_INFO_V1(memai_set_default_model);

static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static void
check_name(const char *name)
{
	static const char allowed[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-";

	if (name == NULL || name[0] == '\0' || strlen(name) > 100 ||
		strspn(name, allowed) != strlen(name) || strchr("._:/@+-", name[0]) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of the model is not accepted"),
				 errdetail("It must be 1 to 100 letters, digits and . _ : / @ + -, and start with a letter or digit.")));
}

/* false also for what is no kind at all */
static bool
provides(const MemaiProvider *provider, const char *kind)
{
	const MemaiWire *wire = provider->wire;

	if (strcmp(kind, "embed") == 0)
		return wire ? wire->write_embed != NULL : provider->embed != NULL;
	if (strcmp(kind, "chat") == 0)
		return wire ? wire->write_chat != NULL : provider->complete != NULL;
	return wire != NULL && wire->write_rerank != NULL;
}

static void
check_kind(const MemaiModel *model, const MemaiProvider *provider)
{
	const char *kind = model->info.kind;

	if (kind == NULL || (strcmp(kind, "embed") != 0 && strcmp(kind, "chat") != 0 &&
						 strcmp(kind, "rerank") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind of a model must be embed, chat or rerank")));
	if (!provides(provider, kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("provider \"%s\" has no models of kind %s", provider->name, kind)));
	if (strcmp(kind, "embed") != 0 && model->info.dimensions != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only models of kind embed have dimensions")));
}

static void
check_sizes(const MemaiModel *model)
{
	if (strcmp(model->info.kind, "embed") == 0 &&
		(model->info.dimensions < 1 || model->info.dimensions > MEMAI_VECTOR_MAX_DIM))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions of model \"%s\" must be given", model->info.name),
				 errdetail("The number of dimensions is from 1 to %d.", MEMAI_VECTOR_MAX_DIM),
				 errhint("Pass dimensions => the length of the vectors this model returns.")));
	if (model->info.context_window < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("context window must be positive")));
}

/* everything that can be checked without a call; the owner is set */
static void
check_model(MemaiModel *model)
{
	const MemaiProvider *provider = memai_provider_find(model->provider);

	check_kind(model, provider);
	provider->validate(model);
	check_sizes(model);
	memai_fallback_check(model);
	if (model->credential != NULL)
	{
		if (model->url == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("provider \"%s\" takes no credential", model->provider)));
		memai_credential_check(model->credential, model->owner,
							   memai_http_url_parse(model->url, NULL, NULL));
	}
}

/* the row's changeable columns as statement parameters from $2 on */
static void
row_values(const MemaiModel *model, Datum *values, char *nulls)
{
	values[0] = model->url ? CStringGetTextDatum(model->url) : (Datum) 0;
	values[1] = model->credential ? CStringGetTextDatum(model->credential) : (Datum) 0;
	values[2] = JsonbPGetDatum(model->options);
	values[3] = Int32GetDatum(model->info.context_window);
	nulls[0] = model->url ? ' ' : 'n';
	nulls[1] = model->credential ? ' ' : 'n';
	nulls[2] = ' ';
	nulls[3] = model->info.context_window > 0 ? ' ' : 'n';
}

static uint64
run(MemaiStatement *statement, Datum *values, const char *nulls)
{
	MemaiRegistry registry;
	uint64		rows;

	memai_registry_open(&registry);
	rows = memai_statement_run(statement, values, nulls, false, 0);
	memai_registry_close(&registry);
	return rows;
}

static void
insert_model(const MemaiModel *model)
{
	static MemaiStatement insert = {
		"INSERT INTO memai.model (name, url, credential, options, context_window, "
		"kind, provider, model, dimensions, owner) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::oid::regrole) ON CONFLICT (name) DO NOTHING",
		10, {TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, OIDOID},
		NULL
	};
	Datum		values[10];
	char		nulls[11] = "          ";

	values[0] = CStringGetTextDatum(model->info.name);
	row_values(model, values + 1, nulls + 1);
	values[5] = CStringGetTextDatum(model->info.kind);
	values[6] = CStringGetTextDatum(model->provider);
	values[7] = CStringGetTextDatum(model->model);
	values[8] = Int32GetDatum(model->info.dimensions);
	nulls[8] = model->info.dimensions > 0 ? ' ' : 'n';
	values[9] = ObjectIdGetDatum(model->owner);
	if (run(&insert, values, nulls) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("model \"%s\" already exists", model->info.name)));
}

/* create_model(name, kind, provider, model, url, credential, options, dimensions, context_window): volatile */
Datum
memai_create_model(PG_FUNCTION_ARGS)
{
	MemaiModel	model = {0};

	model.info.name = text_argument(fcinfo, 0);
	model.info.kind = text_argument(fcinfo, 1);
	model.provider = text_argument(fcinfo, 2);
	model.model = text_argument(fcinfo, 3);
	model.url = text_argument(fcinfo, 4);
	model.credential = text_argument(fcinfo, 5);
	model.options = PG_ARGISNULL(6) ? memai_options_empty() : PG_GETARG_JSONB_P(6);
	model.info.dimensions = PG_ARGISNULL(7) ? 0 : PG_GETARG_INT32(7);
	model.info.context_window = PG_ARGISNULL(8) ? 0 : PG_GETARG_INT32(8);
	model.owner = GetUserId();

	check_name(model.info.name);
	if (model.provider == NULL || model.model == NULL || model.model[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a model needs a provider and the provider's name of the model")));
	/* its credential and fallbacks may be of this statement */
	memai_see_own_changes();
	check_model(&model);
	PopActiveSnapshot();
	insert_model(&model);
	memai_audit("create_model", model.info.name, "kind", model.info.kind, "provider", model.provider,
				"model", model.model, "url", model.url, "credential", model.credential, NULL);
	PG_RETURN_VOID();
}

/* the row of a model that may be changed: raises 42704 or 42501 */
static MemaiModel *
require_own_model(const char *name)
{
	static MemaiStatement is_built_in = {
		"SELECT FROM memai.model WHERE name = $1 AND built_in", 1, {TEXTOID}, NULL
	};
	MemaiModel *model = memai_registry_read(name);
	Datum		value = CStringGetTextDatum(name);

	if (model == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" does not exist", name)));
	if (run(&is_built_in, &value, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("model \"%s\" is part of memai and cannot be changed", name),
				 errhint("Register one of your own with the same provider, and revoke or replace this one as default.")));
	return model;
}

/* alter_model(name, options, url, credential, context_window): volatile */
Datum
memai_alter_model(PG_FUNCTION_ARGS)
{
	static MemaiStatement update = {
		"UPDATE memai.model SET url = $2, credential = $3, options = $4, context_window = $5, "
		"owner = $6::oid::regrole WHERE name = $1",
		6, {TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT4OID, OIDOID}, NULL
	};
	char	   *name = text_argument(fcinfo, 0);
	int			dimensions;
	MemaiModel *model;
	Datum		values[6];
	char		nulls[7] = "      ";

	check_name(name);
	memai_see_own_changes();
	model = require_own_model(name);
	dimensions = model->info.dimensions;
	if (!PG_ARGISNULL(1))
		model->options = PG_GETARG_JSONB_P(1);
	if (!PG_ARGISNULL(2))
		model->url = text_argument(fcinfo, 2);
	if (!PG_ARGISNULL(3))
		model->credential = text_argument(fcinfo, 3);
	if (!PG_ARGISNULL(4))
		model->info.context_window = PG_GETARG_INT32(4);
	/* whoever points a key somewhere must hold it */
	model->owner = GetUserId();
	check_model(model);
	PopActiveSnapshot();
	if (model->info.dimensions != dimensions)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions of a model cannot change"),
				 errdetail("Model \"%s\" has %d dimensions.", name, dimensions),
				 errhint("Register a new model.")));

	values[0] = CStringGetTextDatum(name);
	row_values(model, values + 1, nulls + 1);
	values[5] = ObjectIdGetDatum(model->owner);
	(void) run(&update, values, nulls);
	/* options may hold anything, so only their change is told */
	memai_audit("alter_model", name, "url", text_argument(fcinfo, 2), "credential", text_argument(fcinfo, 3),
				"options", PG_ARGISNULL(1) ? NULL : "changed", NULL);
	/* what was learnt of the old address says nothing of the new one */
	memai_breaker_reset(name);
	PG_RETURN_VOID();
}

/* drop_model(name text): volatile, strict */
Datum
memai_drop_model(PG_FUNCTION_ARGS)
{
	static MemaiStatement delete = {
		"DELETE FROM memai.model WHERE name = $1", 1, {TEXTOID}, NULL
	};
	Datum		value = PG_GETARG_DATUM(0);

	memai_see_own_changes();
	(void) require_own_model(text_argument(fcinfo, 0));
	PopActiveSnapshot();
	(void) run(&delete, &value, NULL);
	memai_audit("drop_model", text_argument(fcinfo, 0), NULL);
	PG_RETURN_VOID();
}

/* a role by name; public is 0 */
static Oid
role_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name = text_argument(fcinfo, n);

	return strcmp(name, "public") == 0 ? InvalidOid : get_role_oid(name, false);
}

static void
change_grant(FunctionCallInfo fcinfo, const char *action, MemaiStatement *statement)
{
	char	   *name = text_argument(fcinfo, 0);
	Datum		values[2];

	memai_see_own_changes();
	if (memai_registry_read(name) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" does not exist", name)));
	PopActiveSnapshot();
	values[0] = PG_GETARG_DATUM(0);
	values[1] = ObjectIdGetDatum(role_argument(fcinfo, 1));
	(void) run(statement, values, NULL);
	memai_audit(action, name, "role", text_argument(fcinfo, 1), NULL);
}

/* grant_model(name text, role text): volatile, strict */
Datum
memai_grant_model(PG_FUNCTION_ARGS)
{
	static MemaiStatement insert = {
		"INSERT INTO memai.model_grant (model, grantee) VALUES ($1, $2::oid::regrole) "
		"ON CONFLICT DO NOTHING", 2, {TEXTOID, OIDOID}, NULL
	};

	change_grant(fcinfo, "grant_model", &insert);
	PG_RETURN_VOID();
}

/* revoke_model(name text, role text): volatile, strict */
Datum
memai_revoke_model(PG_FUNCTION_ARGS)
{
	static MemaiStatement delete = {
		"DELETE FROM memai.model_grant WHERE model = $1 AND grantee = $2::oid::regrole",
		2, {TEXTOID, OIDOID}, NULL
	};

	change_grant(fcinfo, "revoke_model", &delete);
	PG_RETURN_VOID();
}

/* the size of an argument, '' for none; raises 22023 */
static char *
size_argument(FunctionCallInfo fcinfo, int n, const char *kind)
{
	char	   *size = text_argument(fcinfo, n);

	if (size == NULL || size[0] == '\0')
		return "";
	if (strcmp(kind, "chat") != 0 ||
		(strcmp(size, "small") != 0 && strcmp(size, "medium") != 0 && strcmp(size, "large") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("size of a default model must be small, medium or large, and its kind chat")));
	return size;
}

/* set_default_model(kind text, name text, size text): volatile */
Datum
memai_set_default_model(PG_FUNCTION_ARGS)
{
	static MemaiStatement upsert = {
		"INSERT INTO memai.model_default (kind, built_in, model, size) VALUES ($1, false, $2, $3) "
		"ON CONFLICT (kind, size, built_in) DO UPDATE SET model = EXCLUDED.model",
		3, {TEXTOID, TEXTOID, TEXTOID}, NULL
	};
	char	   *kind = text_argument(fcinfo, 0);
	Datum		values[3];

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_VOID();
	memai_see_own_changes();
	/* raises when there is no such model, or it is of another kind */
	values[1] = CStringGetTextDatum(memai_model_lookup(text_argument(fcinfo, 1), kind)->name);
	PopActiveSnapshot();
	values[0] = CStringGetTextDatum(kind);
	values[2] = CStringGetTextDatum(size_argument(fcinfo, 2, kind));
	(void) run(&upsert, values, NULL);
	memai_audit("set_default_model", TextDatumGetCString(values[1]), "kind", kind, "size", text_argument(fcinfo, 2), NULL);
	PG_RETURN_VOID();
}
