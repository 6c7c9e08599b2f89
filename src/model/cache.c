/*
 * cache.c
 *	  Answers and embeddings that were paid for already, kept for their role.
 *
 * A call whose model or options have a cache_ttl looks in memai._model_cache
 * first.  The key is a cryptographic hash of the model, its address and
 * options, and the whole request, so two calls that share an entry asked the
 * same; what was asked is not stored.  Row-level security keeps every role to its own entries, and to those of its
 * tenant.  The table is unlogged: it is in no WAL, no standby and no backup.
 *
 * There is no unique index and rows are appended: two sessions that ask the
 * same at once both call and both store, and nobody waits for a lock.  What an
 * uncommitted transaction stored nobody sees.
 */
#include "postgres.h"

#include "json/json.h"
#include "model/cache.h"
#include "model/registry.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(memai_clear_cache);

static int	max_entries = 10000;

int
memai_cache_ttl(const MemaiModel *model, int wish)
{
	if (model->alone || RecoveryInProgress())
		return 0;
	return wish >= 0 ? wish : memai_option_int(model->options, "cache_ttl", 0);
}

static void
hash_bytes(pg_cryptohash_ctx *hash, const void *data, size_t len)
{
	/* lengths too, so that no two lists of parts look alike */
	uint64		size = len;

	if (pg_cryptohash_update(hash, (const uint8 *) &size, sizeof(size)) < 0 ||
		pg_cryptohash_update(hash, data, len) < 0)
		elog(ERROR, "could not compute a hash");
}

static void
hash_text(pg_cryptohash_ctx *hash, const char *text)
{
	hash_bytes(hash, text ? text : "", text ? strlen(text) : 0);
}

void
memai_cache_key(MemaiCacheKey *key, const MemaiModel *model, const char *what,
				int nparts, const MemaiSpan *parts)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	StaticAssertStmt(MEMAI_CACHE_KEY_LEN == PG_SHA256_DIGEST_LENGTH, "a key is a SHA-256");
	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not compute a hash");
	hash_text(hash, what);
	hash_text(hash, model->info.name);
	hash_text(hash, model->provider);
	hash_text(hash, model->model);
	hash_text(hash, model->url);
	hash_bytes(hash, model->options, VARSIZE(model->options));
	for (int i = 0; i < nparts; i++)
		hash_bytes(hash, parts[i].data, parts[i].len);
	if (pg_cryptohash_final(hash, key->bytes, sizeof(key->bytes)) < 0)
		elog(ERROR, "could not compute a hash");
	pg_cryptohash_free(hash);
}

static bytea *
make_bytea(const void *data, size_t len)
{
	bytea	   *value = palloc(VARHDRSZ + len);

	SET_VARSIZE(value, VARHDRSZ + len);
	memcpy(VARDATA(value), data, len);
	return value;
}

static Datum
key_array(int n, const MemaiCacheKey *keys)
{
	Datum	   *elements = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		elements[i] = PointerGetDatum(make_bytea(keys[i].bytes, MEMAI_CACHE_KEY_LEN));
	return PointerGetDatum(construct_array(elements, n, BYTEAOID, -1, false, TYPALIGN_INT));
}

static void
touch(Datum role, Datum keys)
{
	/* coarse on purpose: most hits write nothing, and none waits */
	static MemaiStatement update = {
		"UPDATE memai._model_cache c SET used_at = now() WHERE c.id IN (SELECT o.id FROM memai._model_cache o "
		"WHERE o.role = $1 AND o.key = ANY ($2) AND o.used_at < now() - interval '1 hour' FOR UPDATE SKIP LOCKED)",
		2, {OIDOID, BYTEAARRAYOID}, NULL
	};
	Datum		values[2] = {role, keys};

	memai_statement_run(&update, values, NULL, false, 0);
}

void
memai_cache_find(int n, const MemaiCacheKey *keys, bytea **values)
{
	static MemaiStatement find = {
		"SELECT DISTINCT ON (k.position) k.position::integer, c.value "
		"FROM unnest($2) WITH ORDINALITY AS k (key, position) JOIN memai._model_cache c ON c.key = k.key "
		"WHERE c.role = $1 AND c.tenant = $3 AND c.expires_at > now() ORDER BY k.position, c.expires_at DESC",
		3, {OIDOID, BYTEAARRAYOID, TEXTOID}, NULL
	};
	MemoryContext context = CurrentMemoryContext;
	Datum		arguments[3];
	uint64		found;

	memset(values, 0, sizeof(bytea *) * n);
	arguments[0] = ObjectIdGetDatum(GetUserId());
	arguments[1] = key_array(n, keys);
	arguments[2] = PointerGetDatum(memai_current_tenant_text());
	SPI_connect();
	found = memai_statement_run(&find, arguments, NULL, true, 0);
	for (uint64 i = 0; i < found; i++)
	{
		bool		isnull;
		int			position = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull);
		MemoryContext old = MemoryContextSwitchTo(context);

		values[position - 1] = DatumGetByteaPCopy(value);
		MemoryContextSwitchTo(old);
	}
	if (found > 0 && !XactReadOnly)
		touch(arguments[0], arguments[1]);
	SPI_finish();
}

void
memai_cache_store(int ttl, int n, const MemaiCacheKey *keys, bytea **values)
{
	static MemaiStatement insert = {
		"INSERT INTO memai._model_cache (role, key, value, expires_at) "
		"SELECT $1, e.key, e.value, now() + $4 * interval '1 second' FROM unnest($2, $3) AS e (key, value)",
		4, {OIDOID, BYTEAARRAYOID, BYTEAARRAYOID, INT4OID}, NULL
	};
	static MemaiStatement trim = {
		"DELETE FROM memai._model_cache c WHERE c.id IN (SELECT l.id FROM memai._model_cache l WHERE l.id = ANY ("
		"ARRAY(SELECT o.id FROM memai._model_cache o WHERE o.role = $1 ORDER BY o.used_at DESC, o.id DESC OFFSET $2) || "
		"ARRAY(SELECT o.id FROM memai._model_cache o WHERE o.role = $1 AND o.expires_at < now() LIMIT 1000)) "
		"FOR UPDATE SKIP LOCKED)",
		2, {OIDOID, INT8OID}, NULL
	};
	Datum		arguments[4];
	Datum	   *elements = palloc(sizeof(Datum) * n);

	if (n == 0 || XactReadOnly || RecoveryInProgress())
		return;
	for (int i = 0; i < n; i++)
		elements[i] = PointerGetDatum(values[i]);
	arguments[0] = ObjectIdGetDatum(GetUserId());
	arguments[1] = key_array(n, keys);
	arguments[2] = PointerGetDatum(construct_array(elements, n, BYTEAOID, -1, false, TYPALIGN_INT));
	arguments[3] = Int32GetDatum(ttl);
	SPI_connect();
	memai_statement_run(&insert, arguments, NULL, false, 0);
	arguments[1] = Int64GetDatum(max_entries);
	memai_statement_run(&trim, arguments, NULL, false, 0);
	SPI_finish();
}

/* ---- chat: an answer as JSON ---- */

bool
memai_cache_find_chat(const MemaiCacheKey *key, MemaiChatResult *result)
{
	bytea	   *value;
	const char *problem;
	MemaiJson  *root;
	int64		count;

	memai_cache_find(1, key, &value);
	if (value == NULL)
		return false;
	root = memai_json_parse_server(text_to_cstring((text *) value), &problem);
	result->content = memai_json_text(memai_json_get(root, "content"));
	result->finish_reason = memai_json_text(memai_json_get(root, "finish_reason"));
	result->tool_calls = memai_json_text(memai_json_get(root, "tool_calls"));
	if (result->content == NULL || result->finish_reason == NULL)
		return false;
	if (memai_json_int(memai_json_get(root, "prompt_tokens"), &count))
		result->prompt_tokens = (int) count;
	if (memai_json_int(memai_json_get(root, "completion_tokens"), &count))
		result->completion_tokens = (int) count;
	result->cached = true;
	return true;
}

void
memai_cache_store_chat(int ttl, const MemaiCacheKey *key, const MemaiChatResult *result)
{
	StringInfoData json;
	bytea	   *value;

	/* an answer that was cut short is not the answer */
	if (strcmp(result->finish_reason, "stop") != 0 && strcmp(result->finish_reason, "tool_calls") != 0)
		return;
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"content\":");
	escape_json(&json, result->content);
	appendStringInfoString(&json, ",\"finish_reason\":");
	escape_json(&json, result->finish_reason);
	if (result->tool_calls != NULL)
	{
		appendStringInfoString(&json, ",\"tool_calls\":");
		escape_json(&json, result->tool_calls);
	}
	appendStringInfo(&json, ",\"prompt_tokens\":%d,\"completion_tokens\":%d}",
					 result->prompt_tokens, result->completion_tokens);
	value = make_bytea(json.data, json.len);
	memai_cache_store(ttl, 1, key, &value);
}

/* clear_cache() returns bigint: volatile */
Datum
memai_clear_cache(PG_FUNCTION_ARGS)
{
	static MemaiStatement delete = {
		"DELETE FROM memai._model_cache WHERE tenant = $1", 1, {TEXTOID}, NULL
	};
	Datum		tenant = PointerGetDatum(memai_current_tenant_text());
	MemaiRegistry registry;
	uint64		rows;

	memai_registry_open(&registry);
	rows = memai_statement_run(&delete, &tenant, NULL, false, 0);
	memai_registry_close(&registry);
	PG_RETURN_INT64((int64) rows);
}

void
memai_cache_init(void)
{
	DefineCustomIntVariable("memai.model_cache_entries",
							"Limits the answers and embeddings that are cached for a role.",
							NULL,
							&max_entries, 10000, 1, 10000000, PGC_SUSET, 0,
							NULL, NULL, NULL);
}
