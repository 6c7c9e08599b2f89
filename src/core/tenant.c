/*
 * tenant.c
 *	  Who owns a row: tenant, user and namespace, and their 64-bit hash.
 *
 * The tenant is a security boundary: memai.tenant is superuser-set, so a
 * session with plain SQL access cannot choose it, and its default is the
 * current role's name, so that an installation that never heard of tenants is
 * isolated by role.  memai.user_id only narrows a session and may be set by
 * anyone.  Row-level security on every table compares with these two.
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

/* separates the scope hash from every other use of memai_hash64 */
#define SCOPE_SEED UINT64CONST(0x6d656d6169730001)

static char *tenant_setting = NULL;
static char *user_id_setting = NULL;

PG_FUNCTION_INFO_V1(memai_current_tenant);
PG_FUNCTION_INFO_V1(memai_current_user_id);
PG_FUNCTION_INFO_V1(memai_scope_hash);
PG_FUNCTION_INFO_V1(memai_scope_sql);
PG_FUNCTION_INFO_V1(memai_user_sql);

static const char *
tenant_name(void)
{
	if (tenant_setting != NULL && tenant_setting[0] != '\0')
		return tenant_setting;
	return GetUserNameFromId(GetUserId(), false);
}

text *
memai_current_tenant_text(void)
{
	return cstring_to_text(tenant_name());
}

/*
 * Hash of the three keys.  Each key is hashed with the previous result as its
 * seed and its length is part of the hash, so ('a','bc') and ('ab','c') differ.
 */
static int64
scope_hash(const text *tenant, const text *user_id, const text *namespace)
{
	uint64		hash = SCOPE_SEED;

	hash = memai_hash64(VARDATA_ANY(tenant), VARSIZE_ANY_EXHDR(tenant), hash);
	hash = memai_hash64(VARDATA_ANY(user_id), VARSIZE_ANY_EXHDR(user_id), hash);
	hash = memai_hash64(VARDATA_ANY(namespace), VARSIZE_ANY_EXHDR(namespace), hash);
	return (int64) hash;
}

static void
check_key(const char *name, const text *key)
{
	if (VARSIZE_ANY_EXHDR(key) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name),
				 errhint("Use the application's identifier for it.")));
	if (VARSIZE_ANY_EXHDR(key) > MEMAI_KEY_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too long", name),
				 errdetail("It has %zu bytes, the limit is %d.",
						   (size_t) VARSIZE_ANY_EXHDR(key), MEMAI_KEY_MAX_LENGTH),
				 errhint("Use the application's identifier for it, or a hash of it.")));
}

static text *
resolve_user_id(text *user_id)
{
	bool		narrowed = user_id_setting != NULL && user_id_setting[0] != '\0';

	if (user_id == NULL)
	{
		if (!narrowed)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("no user is given"),
					 errhint("Pass user_id => '...', or set memai.user_id for the session.")));
		return cstring_to_text(user_id_setting);
	}
	if (narrowed &&
		(strlen(user_id_setting) != VARSIZE_ANY_EXHDR(user_id) ||
		 memcmp(user_id_setting, VARDATA_ANY(user_id), VARSIZE_ANY_EXHDR(user_id)) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("this session is limited to another user"),
				 errdetail("The setting memai.user_id is not the user_id of the call."),
				 errhint("Leave user_id out, or RESET memai.user_id.")));
	return user_id;
}

void
memai_scope_resolve(MemaiScope *scope, text *user_id, text *namespace)
{
	scope->tenant = memai_current_tenant_text();
	scope->user_id = resolve_user_id(user_id);
	scope->namespace = namespace ? namespace : cstring_to_text(MEMAI_DEFAULT_NAMESPACE);
	check_key("user_id", scope->user_id);
	check_key("namespace", scope->namespace);
	scope->scope = scope_hash(scope->tenant, scope->user_id, scope->namespace);
}

/* current_tenant() returns text: stable */
Datum
memai_current_tenant(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(memai_current_tenant_text());
}

/* current_user_id() returns text: stable, NULL when the session is not narrowed */
Datum
memai_current_user_id(PG_FUNCTION_ARGS)
{
	if (user_id_setting == NULL || user_id_setting[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(user_id_setting));
}

/* scope_hash(tenant text, user_id text, namespace text) returns bigint: immutable */
Datum
memai_scope_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(scope_hash(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(1), PG_GETARG_TEXT_PP(2)));
}

/* _scope(user_id text, namespace text) returns bigint: stable, for SQL-language functions */
Datum
memai_scope_sql(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;

	memai_scope_resolve(&scope, PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0),
						PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	PG_RETURN_INT64(scope.scope);
}

/* _user(user_id text) returns text: stable, for SQL-language functions */
Datum
memai_user_sql(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;

	memai_scope_resolve(&scope, PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0), NULL);
	PG_RETURN_TEXT_P(scope.user_id);
}

void
memai_core_init(void)
{
	DefineCustomStringVariable("memai.tenant",
							   "Sets the tenant whose rows a session sees and writes.",
							   "Empty means the name of the current role.",
							   &tenant_setting, "", PGC_SUSET, 0,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("memai.user_id",
							   "Limits the session to the rows of one user.",
							   "Empty means no limit.",
							   &user_id_setting, "", PGC_USERSET, 0,
							   NULL, NULL, NULL);
}
