/*
 * reembed.c
 *	  memai.reembed: makes the vectors of a model that stored items lack.
 *
 * A new embedding model is filled beside the one that serves, in as many calls
 * as it takes; then memai.set_default_model switches, and switches back.  Each
 * call takes up where the last committed one ended.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define MAX_ROWS 100000

#define ITEMS "(SELECT tenant, user_id, namespace, scope, id, name, content, false AS is_memory FROM memai.episode " \
	"UNION ALL SELECT tenant, user_id, namespace, scope, id, NULL, content, true FROM memai.memory) i "
#define LACKS "NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = i.scope AND v.id = i.id AND v.model = $1)"

/* one of the tenant's scopes that lacks vectors */
static MemaiStatement select_scope = {
	.sql = "SELECT user_id, namespace FROM " ITEMS "WHERE i.tenant = (SELECT memai.current_tenant()) "
	"AND i.user_id = coalesce((SELECT memai.current_user_id()), i.user_id) AND " LACKS " LIMIT 1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static MemaiStatement select_items = {
	.sql = "SELECT id, name, content, is_memory FROM " ITEMS "WHERE " LACKS " AND i.scope = $2 ORDER BY is_memory, id LIMIT $3",
	.nargs = 3,
	.argtypes = {TEXTOID, INT8OID, INT8OID},
};

PG_FUNCTION_INFO_V1(memai_reembed);

static text *
copy_column(uint64 row, int number)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &null);

	return null ? NULL : DatumGetTextPCopy(value);
}

/* Embeds up to limit items of a scope; returns how many. */
static int64
embed_scope(const MemaiScope *scope, const char *model, int64 limit)
{
	Datum		values[3] = {CStringGetTextDatum(model), Int64GetDatum(scope->scope), Int64GetDatum(limit)};
	uint64		n = memai_statement_run(&select_items, values, NULL, false, 0);
	pg_uuid_t  *ids = palloc(sizeof(pg_uuid_t) * Max(n, 1));
	const pg_uuid_t **pointers = palloc(sizeof(pg_uuid_t *) * Max(n, 1));
	MemaiSpan  *texts = palloc(sizeof(MemaiSpan) * Max(n, 1));
	uint64		nepisodes = 0;

	for (uint64 i = 0; i < n; i++)
	{
		bool		null;

		ids[i] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
		pointers[i] = &ids[i];
		texts[i] = memai_search_text(copy_column(i, 2), copy_column(i, 3));
		nepisodes += !DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	memai_embeddings_store(scope, model, false, (int) nepisodes, pointers, texts);
	memai_embeddings_store(scope, model, true, (int) (n - nepisodes), pointers + nepisodes, texts + nepisodes);
	return (int64) n;
}

/* The next scope of the tenant that lacks vectors of the model; false when none does. */
static bool
next_scope(const char *model, MemaiScope *scope)
{
	Datum		value = CStringGetTextDatum(model);
	text	   *user_id;
	text	   *namespace;

	if (memai_statement_run(&select_scope, &value, NULL, false, 0) == 0)
		return false;
	user_id = copy_column(0, 1);
	namespace = copy_column(0, 2);
	SPI_freetuptable(SPI_tuptable);
	memai_scope_resolve(scope, user_id, namespace);
	return true;
}

/* reembed(model text, user_id text, namespace text, max_rows integer) returns bigint */
Datum
memai_reembed(PG_FUNCTION_ARGS)
{
	MemaiModelInfo *model = memai_model_lookup(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)), "embed");
	int			max_rows = PG_ARGISNULL(3) ? 1000 : PG_GETARG_INT32(3);
	MemaiScope	scope;
	int64		done = 0;

	if (max_rows < 1 || max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows is out of range: %d", max_rows),
				 errdetail("The range is 1 to %d.", MAX_ROWS)));
	SPI_connect();
	if (!PG_ARGISNULL(1))
	{
		memai_scope_resolve(&scope, PG_GETARG_TEXT_PP(1), PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
		done = embed_scope(&scope, model->name, max_rows);
	}
	else
	{
		while (done < max_rows && next_scope(model->name, &scope))
		{
			CHECK_FOR_INTERRUPTS();
			done += embed_scope(&scope, model->name, max_rows - done);
		}
	}
	SPI_finish();
	PG_RETURN_INT64(done);
}
