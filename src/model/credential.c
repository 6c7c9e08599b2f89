/*
 * credential.c
 *	  Keys of providers: who holds them, where they may be sent, how they are
 *	  read at the moment of a call.
 *
 * A key is bound to a URL prefix by whoever stored it, and goes into requests
 * below that prefix only.  The role that registered a model must hold the key
 * of the model when the call is made, so a revoked grant works at once.  No
 * function returns a key, no message holds one.  Keys from the environment or
 * a file are for superusers to register, because the name of a variable or
 * file together with a prefix decides where its content is sent.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/registry.h"
#include "stats/stats.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#define ENV_PREFIX "MEMAI_"
#define MAX_SECRET_LENGTH 8192

static char *credential_directory = NULL;

PG_FUNCTION_INFO_V1(memai_create_credential);
PG_FUNCTION_INFO_V1(memai_rotate_credential);
PG_FUNCTION_INFO_V1(memai_drop_credential);
PG_FUNCTION_INFO_V1(memai_grant_credential);
PG_FUNCTION_INFO_V1(memai_revoke_credential);

/* a row without judgement; strings in the context of the reader */
typedef struct CredentialRow
{
	char	   *url_prefix;
	char	   *source;
	char	   *secret;
	char	   *header;
	char	   *scheme;
	Oid			owner;
	int			ngrantees;
	Oid		   *grantees;
} CredentialRow;

static MemaiStatement read_statement = {
	"SELECT c.url_prefix, c.source, c.secret, c.header, c.scheme, c.owner::oid, "
	"ARRAY(SELECT g.grantee::oid FROM memai.credential_grant g WHERE g.credential = c.name) "
	"FROM memai.credential c WHERE c.name = $1", 1, {TEXTOID}, NULL
};

static void
read_grantees(CredentialRow *row, Datum datum)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);

	row->ngrantees = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	row->grantees = (Oid *) palloc(sizeof(Oid) * Max(row->ngrantees, 1));
	if (row->ngrantees > 0)
		memcpy(row->grantees, ARR_DATA_PTR(array), sizeof(Oid) * row->ngrantees);
}

/* NULL when there is no such credential */
static CredentialRow *
read_row(const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	CredentialRow *row = NULL;
	MemaiRegistry registry;
	Datum		value = CStringGetTextDatum(name);

	memai_registry_open(&registry);
	if (memai_statement_run(&read_statement, &value, NULL, true, 1) > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		bool		isnull;

		row = palloc0(sizeof(CredentialRow));
		row->url_prefix = SPI_getvalue(tuple, desc, 1);
		row->source = SPI_getvalue(tuple, desc, 2);
		row->secret = SPI_getvalue(tuple, desc, 3);
		row->header = SPI_getvalue(tuple, desc, 4);
		row->scheme = SPI_getvalue(tuple, desc, 5);
		row->owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 6, &isnull));
		read_grantees(row, SPI_getbinval(tuple, desc, 7, &isnull));
		MemoryContextSwitchTo(old);
	}
	memai_registry_close(&registry);
	return row;
}

static void
forget_row(CredentialRow *row)
{
	explicit_bzero(row->secret, strlen(row->secret));
}

static CredentialRow *
require_row(const char *name)
{
	CredentialRow *row = read_row(name);

	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("credential \"%s\" does not exist", name),
				 errhint("Run memai.create_credential. Dumps leave credentials out.")));
	return row;
}

static bool
holds(const CredentialRow *row, Oid role)
{
	if (has_privs_of_role(role, row->owner))
		return true;
	for (int i = 0; i < row->ngrantees; i++)
		if (has_privs_of_role(role, row->grantees[i]))
			return true;
	return false;
}

static void
check_holder(const char *name, const CredentialRow *row, Oid role)
{
	if (!holds(row, role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" does not hold credential \"%s\"",
						GetUserNameFromId(role, true), name),
				 errhint("Its owner can run memai.grant_credential.")));
}

static void
check_prefix(const char *name, const CredentialRow *row, const MemaiHttpUrl *url)
{
	MemaiHttpUrl *prefix = memai_http_url_parse(row->url_prefix, NULL, NULL);

	if (!memai_http_url_covers(prefix, url))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("credential \"%s\" is not for this URL", name),
				 errdetail("It is bound to %s.", row->url_prefix)));
}

void
memai_credential_check(const char *name, Oid role, const MemaiHttpUrl *url)
{
	CredentialRow *row = require_row(name);

	forget_row(row);
	check_holder(name, row, role);
	check_prefix(name, row, url);
}

/* ---- where a secret comes from ---- */

/* NULL when the key can travel in a header, otherwise what is wrong with it */
static const char *
secret_problem(const char *secret)
{
	size_t		len = strlen(secret);

	if (len == 0)
		return "it is empty";
	if (len > MAX_SECRET_LENGTH)
		return "it is longer than 8192 bytes";
	for (const unsigned char *p = (const unsigned char *) secret; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return "it holds a space or a byte that is not printable ASCII";
	return NULL;
}

static void
refuse_secret(const char *name, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_MEMAI_AUTH),
			 errmsg("the key of credential \"%s\" cannot be used: %s", name, problem)));
}

/*
 * Opens the directory and then the file in it, so that neither a path nor a
 * symbolic link leads elsewhere.  -1 when that fails.
 */
static int
open_secret_file(const char *filename)
{
	int			directory = open(credential_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int			file;

	if (directory < 0)
		return -1;
	file = openat(directory, filename, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	close(directory);
	return file;
}

/* reads at most size - 1 bytes; what is wrong, or NULL.  Raises nothing. */
static const char *
read_secret_file(const char *filename, char *buffer, size_t size)
{
	struct stat info;
	int			file = open_secret_file(filename);
	ssize_t		len;
	const char *problem = NULL;

	if (file < 0)
		return "its file cannot be opened";
	if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode))
		problem = "its file is not a regular file";
	else if (info.st_uid != geteuid() && info.st_uid != 0)
		problem = "its file belongs to another user";
	else if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		problem = "its file is accessible to group or others";
	if (problem == NULL)
	{
		len = read(file, buffer, size - 1);
		if (len < 0)
			problem = "its file cannot be read";
		else
			buffer[len] = '\0';
	}
	close(file);
	return problem;
}

static char *
secret_from_file(const char *name, const char *filename)
{
	char	   *buffer = palloc0(MAX_SECRET_LENGTH + 3);
	const char *problem;
	size_t		len;

	if (credential_directory == NULL || credential_directory[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the key of credential \"%s\" cannot be used: no directory is set", name),
				 errhint("A superuser can set memai.credential_directory.")));
	problem = read_secret_file(filename, buffer, MAX_SECRET_LENGTH + 3);
	if (problem != NULL)
		refuse_secret(name, problem);
	len = strlen(buffer);
	while (len > 0 && (buffer[len - 1] == '\n' || buffer[len - 1] == '\r'))
		buffer[--len] = '\0';
	return buffer;
}

static char *
find_secret(const char *name, const CredentialRow *row)
{
	const char *value;

	if (strcmp(row->source, "stored") == 0)
		return pstrdup(row->secret);
	if (strcmp(row->source, "file") == 0)
		return secret_from_file(name, row->secret);
	value = getenv(row->secret);
	if (value == NULL)
		refuse_secret(name, "its environment variable is not set");
	return pstrdup(value);
}

MemaiCredential *
memai_credential_read(const MemaiModel *model, const MemaiHttpUrl *url)
{
	const char *name = model->credential;
	CredentialRow *row = require_row(name);
	MemaiCredential *credential = palloc0(sizeof(MemaiCredential));
	const char *problem;

	check_holder(name, row, model->owner);
	check_prefix(name, row, url);
	credential->header = row->header;
	credential->scheme = row->scheme;
	credential->secret = find_secret(name, row);
	forget_row(row);
	problem = secret_problem(credential->secret);
	if (problem != NULL)
		refuse_secret(name, problem);
	return credential;
}

void
memai_credential_forget(MemaiCredential *credential)
{
	explicit_bzero(credential->secret, strlen(credential->secret));
}

/* the key's header line; the caller erases it */
static char *
key_value(const MemaiCredential *credential, const char *usual_scheme)
{
	const char *scheme = credential->scheme;

	if (scheme == NULL && credential->header == NULL)
		scheme = usual_scheme;
	if (scheme == NULL || scheme[0] == '\0')
		return pstrdup(credential->secret);
	return psprintf("%s %s", scheme, credential->secret);
}

MemaiHttpTransfer *
memai_credential_open(MemaiHttpRequest *http, const MemaiCredential *credential,
					  const char *usual_header, const char *usual_scheme)
{
	MemaiHttpTransfer *transfer;
	char	   *key;

	if (credential == NULL)
		return memai_http_open(http);
	key = key_value(credential, usual_scheme);
	memai_http_add_header(http, credential->header ? credential->header : usual_header, key);
	transfer = memai_http_open(http);
	explicit_bzero(key, strlen(key));
	pfree(key);
	return transfer;
}

/* ---- functions ---- */

static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static void
check_plain_word(const char *what, const char *word, const char *allowed)
{
	if (word == NULL)
		return;
	if (word[0] == '\0' || strspn(word, allowed) != strlen(word))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is malformed", what),
				 errdetail("It may hold only: %s", allowed)));
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static void
require_superuser_for_source(const char *source)
{
	if (strcmp(source, "stored") != 0 && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to use keys from the environment or a file")));
}

/* the secret itself is in no message */
static void
check_location(const char *source, const char *location)
{
	const char *problem;

	require_superuser_for_source(source);
	if (strcmp(source, "env") == 0)
	{
		check_plain_word("name of the environment variable", location, LETTERS "_");
		if (strncmp(location, ENV_PREFIX, strlen(ENV_PREFIX)) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("name of the environment variable must start with %s", ENV_PREFIX)));
	}
	else if (strcmp(source, "file") == 0)
	{
		check_plain_word("name of the key file", location, LETTERS "._-");
		if (location[0] == '.')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("name of the key file must not start with a dot"),
					 errhint("Give the name of a file in memai.credential_directory, without a path.")));
	}
	else if ((problem = secret_problem(location)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the key is not accepted: %s", problem)));
}

static void
check_credential_name(const char *name)
{
	if (name == NULL || name[0] == '\0' || strlen(name) > 100 ||
		strspn(name, LETTERS "._:/@+-") != strlen(name) || strchr("._:/@+-", name[0]) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of the credential is not accepted"),
				 errdetail("It must be 1 to 100 letters, digits and . _ : / @ + -, and start with a letter or digit.")));
}

/* create_credential(name, url_prefix, secret, env, file, header, scheme): volatile */
Datum
memai_create_credential(PG_FUNCTION_ARGS)
{
	static MemaiStatement insert = {
		"INSERT INTO memai.credential (name, url_prefix, source, secret, header, scheme, owner) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7::oid::regrole) ON CONFLICT (name) DO NOTHING",
		7, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, OIDOID}, NULL
	};
	char	   *name = text_argument(fcinfo, 0);
	char	   *url_prefix = text_argument(fcinfo, 1);
	int			given = !PG_ARGISNULL(2) + !PG_ARGISNULL(3) + !PG_ARGISNULL(4);
	int			which = !PG_ARGISNULL(2) ? 2 : !PG_ARGISNULL(3) ? 3 : 4;
	const char *source = which == 2 ? "stored" : which == 3 ? "env" : "file";
	MemaiRegistry registry;
	Datum		values[7];
	char		nulls[8] = "       ";
	uint64		inserted;

	check_credential_name(name);
	if (url_prefix == NULL || given != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a credential needs a URL prefix and one source of its key"),
				 errhint("Pass url_prefix => 'https://...' and one of secret, env and file.")));
	check_location(source, text_argument(fcinfo, which));
	check_plain_word("header", text_argument(fcinfo, 5), LETTERS "-_");
	check_plain_word("scheme", text_argument(fcinfo, 6), LETTERS "-_");

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(memai_http_url_parse(url_prefix, NULL, NULL)->text);
	values[2] = CStringGetTextDatum(source);
	values[3] = PG_GETARG_DATUM(which);
	values[4] = PG_GETARG_DATUM(5);
	values[5] = PG_GETARG_DATUM(6);
	values[6] = ObjectIdGetDatum(GetUserId());
	nulls[4] = PG_ARGISNULL(5) ? 'n' : ' ';
	nulls[5] = PG_ARGISNULL(6) ? 'n' : ' ';
	memai_registry_open(&registry);
	inserted = memai_statement_run(&insert, values, nulls, false, 0);
	memai_registry_close(&registry);
	if (inserted == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("credential \"%s\" already exists", name),
				 errhint("Use memai.rotate_credential to replace its key.")));
	memai_audit("create_credential", name, "url_prefix", TextDatumGetCString(values[1]), "source", source, NULL);
	PG_RETURN_VOID();
}

/* raises unless the caller owns the credential */
static CredentialRow *
require_owned(const char *name)
{
	CredentialRow *row;

	memai_see_own_changes();
	row = require_row(name);
	PopActiveSnapshot();
	if (!has_privs_of_role(GetUserId(), row->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of credential \"%s\"", name)));
	return row;
}

static void
run_registry_change(MemaiStatement *statement, Datum *values)
{
	MemaiRegistry registry;

	memai_registry_open(&registry);
	(void) memai_statement_run(statement, values, NULL, false, 0);
	memai_registry_close(&registry);
}

/* rotate_credential(name text, secret text): volatile, strict */
Datum
memai_rotate_credential(PG_FUNCTION_ARGS)
{
	static MemaiStatement update = {
		"UPDATE memai.credential SET secret = $2, rotated_at = now() WHERE name = $1",
		2, {TEXTOID, TEXTOID}, NULL
	};
	CredentialRow *row = require_owned(text_argument(fcinfo, 0));
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	forget_row(row);
	check_location(row->source, text_argument(fcinfo, 1));
	run_registry_change(&update, values);
	memai_audit("rotate_credential", text_argument(fcinfo, 0), NULL);
	PG_RETURN_VOID();
}

/* drop_credential(name text): volatile, strict */
Datum
memai_drop_credential(PG_FUNCTION_ARGS)
{
	static MemaiStatement delete = {
		"DELETE FROM memai.credential WHERE name = $1", 1, {TEXTOID}, NULL
	};
	Datum		value = PG_GETARG_DATUM(0);

	forget_row(require_owned(text_argument(fcinfo, 0)));
	run_registry_change(&delete, &value);
	memai_audit("drop_credential", text_argument(fcinfo, 0), NULL);
	PG_RETURN_VOID();
}

static void
change_grant(FunctionCallInfo fcinfo, const char *action, MemaiStatement *statement)
{
	Datum		values[2];

	forget_row(require_owned(text_argument(fcinfo, 0)));
	values[0] = PG_GETARG_DATUM(0);
	values[1] = ObjectIdGetDatum(get_role_oid(text_argument(fcinfo, 1), false));
	run_registry_change(statement, values);
	memai_audit(action, text_argument(fcinfo, 0), "role", text_argument(fcinfo, 1), NULL);
}

/* grant_credential(name text, role text): volatile, strict */
Datum
memai_grant_credential(PG_FUNCTION_ARGS)
{
	static MemaiStatement insert = {
		"INSERT INTO memai.credential_grant (credential, grantee) VALUES ($1, $2::oid::regrole) "
		"ON CONFLICT DO NOTHING", 2, {TEXTOID, OIDOID}, NULL
	};

	change_grant(fcinfo, "grant_credential", &insert);
	PG_RETURN_VOID();
}

/* revoke_credential(name text, role text): volatile, strict */
Datum
memai_revoke_credential(PG_FUNCTION_ARGS)
{
	static MemaiStatement delete = {
		"DELETE FROM memai.credential_grant WHERE credential = $1 AND grantee = $2::oid::regrole",
		2, {TEXTOID, OIDOID}, NULL
	};

	change_grant(fcinfo, "revoke_credential", &delete);
	PG_RETURN_VOID();
}

void
memai_credential_init(void)
{
	DefineCustomStringVariable("memai.credential_directory",
							   "Sets the directory that key files of credentials are read from.",
							   "Empty means no key files.",
							   &credential_directory, "", PGC_SUSET, 0,
							   NULL, NULL, NULL);
}
