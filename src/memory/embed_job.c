/*
 * embed_job.c
 *	  Jobs that fill in missing vectors: kinds embed and reembed.
 *
 * A job belongs to one scope and one model.  It works in batches: read items
 * that have no vector of the model, call the model outside of any transaction,
 * store the vectors of those items whose content is still what was sent, and
 * commit.  What is stored is not read again, so a job that was interrupted
 * goes on where it stopped, and repeating it stores nothing twice.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/job.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define BATCH_ITEMS 1000
#define BATCH_BYTES (4 * 1024 * 1024)
/* a job that asks for more does not share its requests with others */
#define SHARE_ITEMS 100
#define SHARE_BYTES (256 * 1024)

/* items without a vector; in the order of their ids, from the one after $3 */
static MemaiStatement read_missing = {
	"SELECT i.id, i.is_memory, i.name, i.content FROM ("
	"(SELECT e.id, false AS is_memory, e.name, e.content FROM memai.episode e WHERE e.scope = $1 AND e.id > $3 "
	"AND NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = $1 AND v.id = e.id AND v.model = $2) "
	"ORDER BY e.id LIMIT $4) UNION ALL "
	"(SELECT m.id, true, NULL, m.content FROM memai.memory m WHERE m.scope = $1 AND m.id > $3 "
	"AND NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = $1 AND v.id = m.id AND v.model = $2) "
	"ORDER BY m.id LIMIT $4)) AS i ORDER BY i.id LIMIT $4",
	4, {INT8OID, TEXTOID, UUIDOID, INT8OID}, NULL
};

/* the same of one conversation or document */
static MemaiStatement read_missing_of_thread = {
	"SELECT e.id, false AS is_memory, e.name, e.content FROM memai.episode e WHERE e.scope = $1 AND e.id > $3 AND e.thread_id = $5 "
	"AND NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = $1 AND v.id = e.id AND v.model = $2) "
	"ORDER BY e.id LIMIT $4",
	5, {INT8OID, TEXTOID, UUIDOID, INT8OID, UUIDOID}, NULL
};

static MemaiStatement count_missing_of_thread = {
	"SELECT count(*) FROM memai.episode e WHERE e.scope = $1 AND e.thread_id = $3 "
	"AND NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = $1 AND v.id = e.id AND v.model = $2)",
	3, {INT8OID, TEXTOID, UUIDOID}, NULL
};

static MemaiStatement count_missing = {
	"SELECT (SELECT count(*) FROM memai.episode e WHERE e.scope = $1 "
	"AND NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = $1 AND v.id = e.id AND v.model = $2)) + "
	"(SELECT count(*) FROM memai.memory m WHERE m.scope = $1 "
	"AND NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = $1 AND v.id = m.id AND v.model = $2))",
	2, {INT8OID, TEXTOID}, NULL
};

/*
 * An item's content must still be the one that was sent, and stays so until
 * the vector is in.  The locking subqueries are also what makes the planner
 * look items up by key, one by one.
 */
static MemaiStatement store_vectors = {
	.sql = "INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, episode_id, memory_id, embedding) "
	"SELECT $1, $2, $3, $4, $5, e.id, NULL, i.embedding FROM unnest($6, $7, $8) AS i (id, content_md5, embedding) "
	"CROSS JOIN LATERAL (SELECT e.id FROM memai.episode e WHERE e.scope = $4 AND e.id = i.id "
	"AND md5(e.content) = i.content_md5 FOR SHARE) AS e "
	"UNION ALL SELECT $1, $2, $3, $4, $5, NULL, m.id, i.embedding FROM unnest($6, $7, $8) AS i (id, content_md5, embedding) "
	"CROSS JOIN LATERAL (SELECT m.id FROM memai.memory m WHERE m.scope = $4 AND m.id = i.id "
	"AND md5(m.content) = i.content_md5 FOR SHARE) AS m "
	"ON CONFLICT DO NOTHING",
	.nargs = 8,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, UUIDARRAYOID, TEXTARRAYOID},
};

typedef struct Batch
{
	int			nitems;
	Datum	   *ids;
	Datum	   *hashes;
	MemaiSpan  *texts;
	MemaiVector **vectors;
} Batch;

static text *
nullable_text(int row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? NULL : DatumGetTextPCopy(value);
}

static void
read_item(Batch *batch, int row)
{
	bool		isnull;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	text	   *content = nullable_text(row, 4);

	*id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));
	batch->ids[row] = UUIDPGetDatum(id);
	batch->hashes[row] = DirectFunctionCall1(md5_text, PointerGetDatum(content));
	batch->texts[row] = memai_search_text(nullable_text(row, 3), content);
	batch->nitems = row + 1;
}

/* the next items, up to limit, in the current context; fewer when they are long; returns their length */
static size_t
read_batch(const MemaiJob *job, const pg_uuid_t *thread_id, const char *model, const pg_uuid_t *after, int limit,
		   Batch *batch)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[5];
	size_t		bytes = 0;
	int			n;

	batch->nitems = 0;
	batch->ids = palloc(sizeof(Datum) * limit);
	batch->hashes = palloc(sizeof(Datum) * limit);
	batch->texts = palloc(sizeof(MemaiSpan) * limit);
	batch->vectors = palloc0(sizeof(MemaiVector *) * limit);
	values[0] = Int64GetDatum(job->scope.scope);
	values[1] = CStringGetTextDatum(model);
	values[2] = UUIDPGetDatum(after);
	values[3] = Int64GetDatum(limit);
	SPI_connect();
	values[4] = UUIDPGetDatum(thread_id);
	n = (int) memai_statement_run(thread_id ? &read_missing_of_thread : &read_missing, values, NULL, true, limit);
	MemoryContextSwitchTo(context);
	for (int i = 0; i < n && bytes < BATCH_BYTES; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_item(batch, i);
		bytes += batch->texts[i].len;
	}
	SPI_finish();
	return bytes;
}

static void
store_batch(const MemaiJob *job, const char *model, const Batch *batch)
{
	Datum		values[8];
	Datum	   *elements = palloc(sizeof(Datum) * batch->nitems);

	/* the plan may stem from before the extension was dropped and created again */
	if (store_vectors.argtypes[7] != memai_vector_array_type_oid())
	{
		memai_statement_forget(&store_vectors);
		store_vectors.argtypes[7] = memai_vector_array_type_oid();
	}
	for (int i = 0; i < batch->nitems; i++)
		elements[i] = PointerGetDatum(batch->vectors[i]);
	memai_scope_values(&job->scope, values);
	values[4] = CStringGetTextDatum(model);
	values[5] = PointerGetDatum(construct_array(batch->ids, batch->nitems, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[6] = PointerGetDatum(construct_array(batch->hashes, batch->nitems, TEXTOID, -1, false, TYPALIGN_INT));
	values[7] = PointerGetDatum(construct_array(elements, batch->nitems, memai_vector_type_oid(), -1, false, TYPALIGN_INT));
	SPI_connect();
	memai_statement_run(&store_vectors, values, NULL, false, 0);
	SPI_finish();
}

static int64
count_items(const MemaiJob *job, const pg_uuid_t *thread_id, const char *model)
{
	Datum		values[3];
	bool		isnull;
	int64		n;

	values[0] = Int64GetDatum(job->scope.scope);
	values[1] = CStringGetTextDatum(model);
	SPI_connect();
	values[2] = UUIDPGetDatum(thread_id);
	memai_statement_run(thread_id ? &count_missing_of_thread : &count_missing, values, NULL, true, 1);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return n;
}

/* leaves out the items whose text the provider refuses; returns how many remain */
static int
drop_refused(Batch *batch)
{
	int			n = 0;

	for (int i = 0; i < batch->nitems; i++)
	{
		if (batch->vectors[i] == NULL)
			continue;
		batch->ids[n] = batch->ids[i];
		batch->hashes[n] = batch->hashes[i];
		batch->vectors[n++] = batch->vectors[i];
	}
	batch->nitems = n;
	return n;
}

/* whether the job is to make its model the default */
static bool
wants_switch(const MemaiJob *job)
{
	JsonbValue	buffer;
	JsonbValue *value = NULL;

	if (strcmp(job->kind, "reembed") == 0 && JB_ROOT_IS_OBJECT(job->payload))
		value = getKeyJsonValueFromContainer(&job->payload->root, "switch", strlen("switch"), &buffer);
	return value != NULL && value->type == jbvBool && value->val.boolean;
}

/* switched: NULL when that was not asked for */
static Jsonb *
embedded_result(const char *model, int64 done, int64 refused, const char *switched)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"model\": ");
	escape_json(&json, model);
	appendStringInfo(&json, ", \"embedded\": %lld", (long long) done);
	if (refused > 0)
		appendStringInfo(&json, ", \"refused\": %lld", (long long) refused);
	if (switched != NULL)
		appendStringInfo(&json, ", \"switched\": \"%s\"", switched);
	appendStringInfoChar(&json, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/* in the order of MemaiSwitch */
static const char *const switch_states[] = {"done", "later", "other tenants lack vectors", "refused texts lack vectors"};

/* A model that takes none of many texts has another reason than their words. */
static void
check_not_all_refused(const MemaiModelInfo *info, int64 done, int64 refused)
{
	if (done == 0 && refused > 0)
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_REFUSED),
				 errmsg("model \"%s\" refused every text", info->name),
				 errdetail("It refused %lld of %lld.", (long long) refused, (long long) refused),
				 errhint("memai.check_model tells why.")));
}

Jsonb *
memai_embed_missing(MemaiJob *job, const pg_uuid_t *thread_id)
{
	MemoryContext job_context = CurrentMemoryContext;
	MemoryContext batch_context = AllocSetContextCreate(job_context, "memai memory embed job",
														ALLOCSET_DEFAULT_SIZES);
	MemaiModelInfo *info = memai_model_lookup_for(&job->scope, job->model[0] ? job->model : NULL, "embed");
	pg_uuid_t	after = {{0}};
	int64		total = count_items(job, thread_id, info->name);
	int64		done = 0;
	int64		refused = 0;
	const char *switched = NULL;

	for (;;)
	{
		Batch		batch;
		int			sent;

		MemoryContextSwitchTo(batch_context);
		(void) read_batch(job, thread_id, info->name, &after, BATCH_ITEMS, &batch);
		if (batch.nitems == 0)
			break;
		memai_job_call_begin();
		memai_model_embed_some(info, MEMAI_INPUT_DOCUMENT, batch.nitems, batch.texts, batch.vectors);
		memai_job_call_end();
		sent = batch.nitems;
		after = *DatumGetUUIDP(batch.ids[sent - 1]);
		if (drop_refused(&batch) > 0)
			store_batch(job, info->name, &batch);
		done += batch.nitems;
		refused += sent - batch.nitems;
		memai_job_checkpoint(job, done + refused, Max(total, done + refused));
		MemoryContextReset(batch_context);
	}
	MemoryContextSwitchTo(job_context);
	check_not_all_refused(info, done, refused);
	if (wants_switch(job))
		switched = switch_states[memai_switch_when_filled(job, info->name, refused > 0)];
	return embedded_result(info->name, done, refused, switched);
}

/* ---- sharing requests with other jobs ---- */

/* what a job asks the model; lives as long as the job */
typedef struct Share
{
	MemaiModelInfo *info;
	Batch		batch;
} Share;

void *
memai_embed_share_prepare(MemaiJob *job, const pg_uuid_t *thread_id, int *ntexts)
{
	Share	   *share = palloc0(sizeof(Share));
	pg_uuid_t	first = {{0}};

	share->info = memai_model_lookup_for(&job->scope, job->model[0] ? job->model : NULL, "embed");
	/* a user's limit is kept where his texts are alone */
	if (memai_model_embed_batch(share->info) == 0 || memai_model_limits_users() ||
		read_batch(job, thread_id, share->info->name, &first, SHARE_ITEMS + 1, &share->batch) > SHARE_BYTES ||
		share->batch.nitems > SHARE_ITEMS)
		return NULL;
	*ntexts = share->batch.nitems;
	return share;
}

void
memai_embed_share_call(int njobs, void **shares)
{
	MemaiModelInfo *info = ((Share *) shares[0])->info;
	const char **users;
	MemaiSpan  *texts;
	MemaiVector **vectors;
	int			ntexts = 0;
	int			n = 0;

	for (int i = 0; i < njobs; i++)
		ntexts += ((Share *) shares[i])->batch.nitems;
	if (ntexts == 0)
		return;
	users = palloc(sizeof(char *) * ntexts);
	texts = palloc(sizeof(MemaiSpan) * ntexts);
	vectors = palloc0(sizeof(MemaiVector *) * ntexts);
	for (int i = 0; i < njobs; i++)
	{
		const Share *share = shares[i];

		/* the default may have changed between two of them */
		if (strcmp(share->info->name, info->name) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("jobs that share a request are of models \"%s\" and \"%s\"", info->name, share->info->name)));
		memcpy(texts + n, share->batch.texts, sizeof(MemaiSpan) * share->batch.nitems);
		for (int j = 0; j < share->batch.nitems; j++)
			users[n++] = share->info->user_id;
		if (strcmp(share->info->user_id, ((Share *) shares[0])->info->user_id) != 0)
			info->text_users = users;
	}
	memai_job_call_begin();
	memai_model_embed_some(info, MEMAI_INPUT_DOCUMENT, ntexts, texts, vectors);
	memai_job_call_end();
	n = 0;
	for (int i = 0; i < njobs; i++)
	{
		Batch	   *batch = &((Share *) shares[i])->batch;

		memcpy(batch->vectors, vectors + n, sizeof(MemaiVector *) * batch->nitems);
		n += batch->nitems;
	}
}

Jsonb *
memai_embed_share_finish(MemaiJob *job, void *state)
{
	Share	   *share = state;
	int			sent = share->batch.nitems;
	int			stored = drop_refused(&share->batch);

	if (stored > 0)
		store_batch(job, share->info->name, &share->batch);
	if (sent > 0)
		memai_job_checkpoint(job, sent, sent);
	check_not_all_refused(share->info, stored, sent - stored);
	return embedded_result(share->info->name, stored, sent - stored, NULL);
}

static void *
prepare_embed(MemaiJob *job, int *ntexts)
{
	return memai_embed_share_prepare(job, NULL, ntexts);
}

static const MemaiJobSharing sharing = {
	prepare_embed, memai_embed_share_call, memai_embed_share_finish
};

/* handler of the kinds embed and reembed */
static Jsonb *
embed_missing(MemaiJob *job)
{
	return memai_embed_missing(job, NULL);
}

void
memai_memory_init(void)
{
	memai_job_register("embed", embed_missing);
	memai_job_register_sharing("embed", &sharing);
	memai_job_register("reembed", embed_missing);
	memai_job_register("call", memai_call_job);
	memai_extract_init();
	memai_expire_init();
	memai_review_init();
}
