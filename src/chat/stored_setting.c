/*
 * stored_setting.c
 *	  What settings of users and accounts may hold: anything but secrets.
 *
 * A secret is a credential (memai.create_credential), which no SQL can read; a
 * setting names it, {"credential": "name"}.  What is recognised as a secret is a
 * key of a known form (text/pii.c), and any string under a name such as
 * "password" or "api_key".  That keeps honest mistakes out of tables, dumps and
 * prompts; it does not recognise a secret that looks like any other word.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

static const char *const secret_names[] = {
	"password", "passwd", "secret", "client_secret", "api_key", "apikey", "token", "access_token", "refresh_token", "auth_token",
	"bearer_token", "private_key", "secret_key", "authorization",
};

static MemaiStatement select_credential = {
	.sql = "SELECT 1 FROM memai.credentials WHERE name = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_secret_member);
PG_FUNCTION_INFO_V1(memai_check_setting);

static bool
is_secret_name(const char *name)
{
	for (size_t i = 0; i < lengthof(secret_names); i++)
		if (pg_strcasecmp(name, secret_names[i]) == 0)
			return true;
	return false;
}

static bool
holds_key(const char *value, size_t len)
{
	size_t		utf8_len;
	const char *utf8 = memai_text_to_utf8(value, len, &utf8_len);
	MemaiPiiMatch match;

	return memai_pii_next(utf8, utf8_len, 0, 1U << MEMAI_PII_API_KEY, &match);
}

typedef void (*CredentialVisitor) (const char *credential);

/*
 * The name of the member that holds a secret, palloc'd; NULL when none does.
 * name is that of the whole value.  Calls visit for each credential that is named.
 */
static char *
find_secret(const char *name, Jsonb *value, CredentialVisitor visit)
{
	JsonbIterator *iterator = JsonbIteratorInit(&value->root);
	JsonbValue	item;
	JsonbIteratorToken token;
	char	   *member = pstrdup(name);

	while ((token = JsonbIteratorNext(&iterator, &item, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
		{
			member = pnstrdup(item.val.string.val, item.val.string.len);
			if (holds_key(member, strlen(member)))
				return "a name";
		}
		else if ((token == WJB_VALUE || token == WJB_ELEM) && item.type == jbvString && item.val.string.len > 0)
		{
			/* first, so that no message repeats a key in the place of a credential's name */
			if (is_secret_name(member) || holds_key(item.val.string.val, item.val.string.len))
				return member;
			if (strcmp(member, "credential") == 0 && visit != NULL)
				visit(pnstrdup(item.val.string.val, item.val.string.len));
		}
	}
	return NULL;
}

static void
check_credential(const char *credential)
{
	Datum		value = CStringGetTextDatum(credential);

	if (memai_statement_run(&select_credential, &value, NULL, true, 1) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no credential \"%s\" that you may use", credential),
				 errhint("The view memai.credentials lists those; an administrator makes and grants them.")));
}

/* _secret_member(settings jsonb) returns text: immutable, strict; null when no member holds a secret */
Datum
memai_secret_member(PG_FUNCTION_ARGS)
{
	char	   *member = find_secret("", PG_GETARG_JSONB_P(0), NULL);

	if (member == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(member));
}

/* _check_setting(name text, value jsonb) returns jsonb: volatile; value, or raises 22004, 22023 or 42704 */
Datum
memai_check_setting(PG_FUNCTION_ARGS)
{
	char	   *name;
	char	   *member;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("name and value of a setting must not be null"),
				 errhint("memai.drop_setting removes one.")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (name[0] == '\0' || strlen(name) > 200)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid name of a setting"),
				 errdetail("A name has 1 to 200 bytes.")));
	SPI_connect();
	member = find_secret(name, PG_GETARG_JSONB_P(1), check_credential);
	if (member != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"%s\" holds a secret", name),
				 errdetail("The secret is in \"%s\".", member),
				 errhint("Have an administrator store it with memai.create_credential, and set {\"credential\": \"its name\"} instead.")));
	SPI_finish();
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}
