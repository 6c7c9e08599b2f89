/*
 * recall.c
 *	  Finding: reads what a scope holds, ranks it (rank.c), returns the best.
 *
 * One pass over the scope's episodes, memories and vectors, each by an index
 * scan on the scope, then the contents of the k best only.  Exact: no row of
 * the scope is skipped, whatever its rank by either signal.  Reads only, so it
 * works on a standby with a local embedding model.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "vector/vector.h"

#define FETCH_ROWS 1000
/* a question of more distinct words than this is cut; contexts may be long */
#define QUERY_MAX_TERMS 256
/* a memory was stored to be found, an episode because it happened */
#define MEMORY_WEIGHT 1.25

/* what is known of a row while it is ranked */
typedef struct Candidate
{
	pg_uuid_t	id;
	pg_uuid_t	thread_id;
	bool		is_memory;
	bool		has_thread;
	bool		eligible;
	bool		has_similarity;
	int64		occurred_at;
	double		asking;
	double		similarity;
	uint64		speaker_terms;
	MemaiTermsView terms;
} Candidate;

/* a speaker met before; conversations have few */
typedef struct Speaker
{
	text	   *name;
	uint64		terms;			/* as RankItem.speaker_terms */
} Speaker;

#define SPEAKER_CACHE 8

typedef struct IdEntry
{
	pg_uuid_t	id;
	uint32		status;
	int			candidate;
} IdEntry;

#define SH_PREFIX idtable
#define SH_ELEMENT_TYPE IdEntry
#define SH_KEY_TYPE pg_uuid_t
#define SH_KEY id
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) &(key), UUID_LEN)
#define SH_EQUAL(tb, a, b) (memcmp(&(a), &(b), UUID_LEN) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Recall
{
	const MemaiRecallQuery *query;
	int			nterms;
	uint32	   *terms;
	MemaiVector *vector;		/* of the question */
	uint64		speaker_mask;	/* terms of the question that any speaker's name has */
	int			nspeakers;
	Speaker		speakers[SPEAKER_CACHE];
	int			ncandidates;
	int			capacity;
	Candidate  *candidates;
	idtable_hash *by_id;
} Recall;

static MemaiStatement select_episodes = {
	.sql = "SELECT id, thread_id, terms, occurred_at, asking, name, "
	"($2 OR role <> 'assistant' OR source <> 'chat') "
	"AND ($3 IS NULL OR thread_id IS DISTINCT FROM $3) AND ($4 IS NULL OR metadata @> $4) "
	"FROM memai.episode WHERE scope = $1",
	.nargs = 4,
	.argtypes = {INT8OID, BOOLOID, UUIDOID, JSONBOID},
};

static MemaiStatement select_memories = {
	.sql = "SELECT id, NULL::uuid, terms, valid_at, 0::float4, NULL::text, ($2 IS NULL OR metadata @> $2) "
	"FROM memai.memory WHERE scope = $1 AND expired_at IS NULL "
	"AND valid_at <= now() AND (invalid_at IS NULL OR invalid_at > now())",
	.nargs = 2,
	.argtypes = {INT8OID, JSONBOID},
};

static MemaiStatement select_embeddings = {
	.sql = "SELECT id, embedding FROM memai.embedding WHERE scope = $1 AND model = $2",
	.nargs = 2,
	.argtypes = {INT8OID, TEXTOID},
};

static MemaiStatement select_episode_contents = {
	.sql = "SELECT id, content, role, name, metadata FROM memai.episode WHERE scope = $1 AND id = ANY ($2)",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDARRAYOID},
};

static MemaiStatement select_memory_contents = {
	.sql = "SELECT id, content, NULL::text, NULL::text, metadata FROM memai.memory WHERE scope = $1 AND id = ANY ($2)",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDARRAYOID},
};

PG_FUNCTION_INFO_V1(memai_recall);

/* ---- gathering ---- */

static Datum
column(int row, int attribute, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, attribute, null);
}

static Candidate *
add_candidate(Recall *recall)
{
	if (recall->ncandidates == recall->capacity)
	{
		recall->capacity *= 2;
		recall->candidates = repalloc_huge(recall->candidates,
										   mul_size(sizeof(Candidate), recall->capacity));
	}
	memset(&recall->candidates[recall->ncandidates], 0, sizeof(Candidate));
	return &recall->candidates[recall->ncandidates++];
}

static uint64
compute_speaker_terms(const Recall *recall, const text *name)
{
	uint32	   *hashes;
	int			n = memai_text_query_terms(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &hashes);
	uint64		terms = 0;

	for (int i = 0; i < n; i++)
	{
		for (int t = 0; t < Min(recall->nterms, RANK_SPEAKER_TERMS); t++)
		{
			if (recall->terms[t] == hashes[i])
				terms |= UINT64CONST(1) << t;
		}
	}
	pfree(hashes);
	return terms;
}

/*
 * A memory is spoken by nobody: the speakers that it mentions take that place,
 * or a question that names somebody would prefer what he said to what is known
 * of him.  Episodes are gathered first, so the speakers are known.
 */
static uint64
mentioned_terms(const Recall *recall, const MemaiTermsView *content)
{
	uint64		terms = 0;

	for (int t = 0; t < Min(recall->nterms, RANK_SPEAKER_TERMS); t++)
	{
		if (((recall->speaker_mask >> t) & 1) && memai_terms_frequency(content, recall->terms[t]) > 0)
			terms |= UINT64CONST(1) << t;
	}
	return terms;
}

/* Which terms of the question the name has; the last few names are kept. */
static uint64
speaker_terms(Recall *recall, const text *name)
{
	Speaker    *speaker;

	for (int i = 0; i < Min(recall->nspeakers, SPEAKER_CACHE); i++)
	{
		speaker = &recall->speakers[i];
		if (VARSIZE_ANY_EXHDR(speaker->name) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(VARDATA_ANY(speaker->name), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0)
			return speaker->terms;
	}
	speaker = &recall->speakers[recall->nspeakers++ % SPEAKER_CACHE];
	speaker->name = DatumGetTextPCopy(PointerGetDatum(name));
	speaker->terms = compute_speaker_terms(recall, name);
	recall->speaker_mask |= speaker->terms;
	return speaker->terms;
}

/* a row of select_episodes or select_memories */
static void
gather_item(Recall *recall, int row, bool is_memory)
{
	Candidate  *candidate = add_candidate(recall);
	IdEntry    *entry;
	Datum		thread_id;
	Datum		name;
	bytea	   *terms;
	bool		null,
				found;

	candidate->id = *DatumGetUUIDP(column(row, 1, &null));
	thread_id = column(row, 2, &null);
	candidate->has_thread = !null;
	if (!null)
		candidate->thread_id = *DatumGetUUIDP(thread_id);
	terms = DatumGetByteaPCopy(column(row, 3, &null));
	memai_terms_open((unsigned char *) VARDATA(terms), VARSIZE(terms) - VARHDRSZ, &candidate->terms);
	candidate->occurred_at = DatumGetTimestampTz(column(row, 4, &null));
	candidate->asking = DatumGetFloat4(column(row, 5, &null));
	name = column(row, 6, &null);
	if (!null)
		candidate->speaker_terms = speaker_terms(recall, DatumGetTextPP(name));
	else if (is_memory)
		candidate->speaker_terms = mentioned_terms(recall, &candidate->terms);
	candidate->eligible = DatumGetBool(column(row, 7, &null));
	candidate->is_memory = is_memory;

	entry = idtable_insert(recall->by_id, candidate->id, &found);
	entry->candidate = recall->ncandidates - 1;
}

/* a row of select_embeddings: its similarity to the question */
static void
gather_embedding(Recall *recall, int row)
{
	bool		null;
	IdEntry    *entry = idtable_lookup(recall->by_id, *DatumGetUUIDP(column(row, 1, &null)));
	MemaiVector *vector;
	Candidate  *candidate;

	if (entry == NULL)
		return;					/* of a memory that is not live */
	vector = memai_vector_from_datum(column(row, 2, &null));
	if (vector->dim != recall->vector->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("stored vectors do not fit the embedding model"),
				 errdetail("A stored vector has %d dimensions, the model makes %d.",
						   vector->dim, recall->vector->dim)));
	candidate = &recall->candidates[entry->candidate];
	candidate->similarity = 1.0 - memai_vector_cosine_distance(vector->dim, vector->x, recall->vector->x);
	candidate->has_similarity = !isnan(candidate->similarity);
}

typedef enum GatherKind
{
	GATHER_EPISODES,
	GATHER_MEMORIES,
	GATHER_EMBEDDINGS
} GatherKind;

/* Runs one of the gathering statements, a bounded number of rows at a time. */
static void
gather_rows(Recall *recall, GatherKind kind, MemaiStatement *statement, Datum *values, const char *nulls)
{
	MemoryContext rows_context = AllocSetContextCreate(CurrentMemoryContext, "memai memory rows",
													   ALLOCSET_DEFAULT_SIZES);
	Portal		portal = memai_statement_open(statement, values, nulls);

	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			CHECK_FOR_INTERRUPTS();
			if (kind == GATHER_EMBEDDINGS)
			{
				MemoryContext previous = MemoryContextSwitchTo(rows_context);

				gather_embedding(recall, (int) row);
				MemoryContextSwitchTo(previous);
			}
			else
				gather_item(recall, (int) row, kind == GATHER_MEMORIES);
		}
		SPI_freetuptable(SPI_tuptable);
		MemoryContextReset(rows_context);
	}
	SPI_cursor_close(portal);
	MemoryContextDelete(rows_context);
}

static void
gather_scope(Recall *recall, const MemaiModelInfo *model)
{
	const MemaiRecallQuery *query = recall->query;
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};

	values[0] = Int64GetDatum(query->scope->scope);
	values[1] = BoolGetDatum(query->include_answers);
	values[2] = UUIDPGetDatum(query->exclude_thread);
	nulls[2] = query->exclude_thread ? ' ' : 'n';
	values[3] = JsonbPGetDatum(query->filter);
	nulls[3] = query->filter ? ' ' : 'n';
	gather_rows(recall, GATHER_EPISODES, &select_episodes, values, nulls);

	values[1] = JsonbPGetDatum(query->filter);
	nulls[1] = query->filter ? ' ' : 'n';
	gather_rows(recall, GATHER_MEMORIES, &select_memories, values, nulls);

	values[1] = CStringGetTextDatum(model->name);
	nulls[1] = ' ';
	gather_rows(recall, GATHER_EMBEDDINGS, &select_embeddings, values, nulls);
}

/* ---- ranking ---- */

/* conversations together, each in order of time and then of storing */
static int
compare_candidates(const void *left, const void *right)
{
	const Candidate *a = left;
	const Candidate *b = right;
	int			order = (int) b->has_thread - (int) a->has_thread;

	if (order == 0 && a->has_thread)
		order = memcmp(&a->thread_id, &b->thread_id, UUID_LEN);
	if (order == 0 && a->occurred_at != b->occurred_at)
		order = a->occurred_at < b->occurred_at ? -1 : 1;
	if (order == 0)
		order = memcmp(&a->id, &b->id, UUID_LEN);
	return order;
}

static bool
same_conversation(const Candidate *a, const Candidate *b)
{
	return a->has_thread && b->has_thread && memcmp(&a->thread_id, &b->thread_id, UUID_LEN) == 0;
}

/* Ranks the candidates (they are sorted in place); returns the number ranked. */
static int
rank_candidates(Recall *recall, double similarity_weight, RankItem **result, int **order)
{
	int			n = recall->ncandidates;
	RankItem   *items = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(RankItem), Max(n, 1)));
	void	   *scratch = MemoryContextAllocHuge(CurrentMemoryContext,
												 memai_rank_scratch_size(Max(n, 1), recall->nterms));

	qsort(recall->candidates, n, sizeof(Candidate), compare_candidates);
	for (int i = 0; i < n; i++)
	{
		const Candidate *candidate = &recall->candidates[i];

		CHECK_FOR_INTERRUPTS();
		items[i] = (RankItem) {
			.terms = candidate->terms,
			.asking = candidate->asking,
			.weight = candidate->is_memory ? MEMORY_WEIGHT : 1.0,
			.speaker_terms = candidate->speaker_terms,
			.eligible = candidate->eligible,
			.has_similarity = candidate->has_similarity,
			.similarity = candidate->similarity,
			.occurred_at = candidate->occurred_at,
		};
		if (i > 0)
			items[i].conversation = items[i - 1].conversation +
				(same_conversation(candidate - 1, candidate) ? 0 : 1);
	}
	*result = items;
	*order = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(int), Max(n, 1)));
	return memai_rank(n, items, recall->nterms, recall->terms, similarity_weight, *order, scratch);
}

/* ---- the result ---- */

static text *
copy_text(int row, int number)
{
	bool		null;
	Datum		value = column(row, number, &null);

	return null ? NULL : DatumGetTextPCopy(value);
}

/* Reads the contents of the found items of one table; found[i] keeps its place. */
static void
fetch_contents(const MemaiRecallQuery *query, bool is_memory, MemaiRecalled *found, int nfound,
			   MemoryContext result_context)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(nfound, 1));
	int			nids = 0;
	Datum		values[2];
	uint64		nrows;

	for (int i = 0; i < nfound; i++)
	{
		if (found[i].is_memory == is_memory)
			ids[nids++] = UUIDPGetDatum(&found[i].id);
	}
	if (nids == 0)
		return;
	values[0] = Int64GetDatum(query->scope->scope);
	values[1] = PointerGetDatum(construct_array(ids, nids, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	nrows = memai_statement_run(is_memory ? &select_memory_contents : &select_episode_contents,
								values, NULL, true, 0);
	for (uint64 row = 0; row < nrows; row++)
	{
		MemoryContext previous = MemoryContextSwitchTo(result_context);
		bool		null;
		pg_uuid_t  *id = DatumGetUUIDP(column((int) row, 1, &null));
		MemaiRecalled *item = found;

		while (item->is_memory != is_memory || memcmp(&item->id, id, UUID_LEN) != 0)
			item++;
		item->content = copy_text((int) row, 2);
		item->role = copy_text((int) row, 3);
		item->name = copy_text((int) row, 4);
		item->metadata = DatumGetJsonbPCopy(column((int) row, 5, &null));
		MemoryContextSwitchTo(previous);
	}
	SPI_freetuptable(SPI_tuptable);
}

static List *
make_result(const Recall *recall, const RankItem *items, const int *order, int nranked,
			MemoryContext result_context)
{
	const MemaiRecallQuery *query = recall->query;
	int			nfound = 0;
	MemaiRecalled *found = MemoryContextAllocZero(result_context,
												  sizeof(MemaiRecalled) * Max(Min(query->k, nranked), 1));
	List	   *result = NIL;
	MemoryContext previous;

	while (nfound < Min(query->k, nranked) && items[order[nfound]].score >= query->min_score)
	{
		const Candidate *candidate = &recall->candidates[order[nfound]];
		const RankItem *item = &items[order[nfound]];

		found[nfound++] = (MemaiRecalled) {
			.id = candidate->id,
			.is_memory = candidate->is_memory,
			.score = item->score,
			.similarity = item->has_similarity ? item->similarity : get_float8_nan(),
			.keyword = item->keyword,
			.occurred_at = candidate->occurred_at,
			.has_thread = candidate->has_thread,
			.thread_id = candidate->thread_id,
		};
	}
	fetch_contents(query, false, found, nfound, result_context);
	fetch_contents(query, true, found, nfound, result_context);

	previous = MemoryContextSwitchTo(result_context);
	for (int i = 0; i < nfound; i++)
		result = lappend(result, &found[i]);
	MemoryContextSwitchTo(previous);
	return result;
}

static void
read_question(Recall *recall, const MemaiModelInfo *model)
{
	MemaiSpan	span = {VARDATA_ANY(recall->query->query), VARSIZE_ANY_EXHDR(recall->query->query)};

	recall->nterms = Min(memai_text_query_terms(span.data, span.len, &recall->terms), QUERY_MAX_TERMS);
	memai_model_embed(model, MEMAI_INPUT_QUERY, 1, &span, &recall->vector);
}

List *
memai_recall_run(const MemaiRecallQuery *query, MemoryContext result_context)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "memai memory recall",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(work);
	MemaiModelInfo *model = memai_model_lookup(query->model, "embed");
	Recall		recall = {.query = query, .capacity = 256};
	RankItem   *items;
	int		   *order;
	int			nranked;
	List	   *result;

	recall.candidates = palloc(sizeof(Candidate) * recall.capacity);
	recall.by_id = idtable_create(work, 256, NULL);
	read_question(&recall, model);
	gather_scope(&recall, model);
	nranked = rank_candidates(&recall, model->recall_weight, &items, &order);
	result = make_result(&recall, items, order, nranked, result_context);

	MemoryContextSwitchTo(previous);
	MemoryContextDelete(work);
	return result;
}

/* ---- SQL ---- */

void
memai_check_k(int k)
{
	if (k < 1 || k > MEMAI_RECALL_MAX_K)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k is out of range: %d", k),
				 errdetail("The range is 1 to %d.", MEMAI_RECALL_MAX_K)));
}

void
memai_check_filter(const Jsonb *filter)
{
	if (filter != NULL && !JB_ROOT_IS_OBJECT(filter))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("filter must be a JSON object"),
				 errhint("Write it like '{\"topic\": \"travel\"}'; items whose metadata contains it are found.")));
}

static void
put_recalled(ReturnSetInfo *rsinfo, const MemaiRecalled *item)
{
	Datum		values[11];
	bool		nulls[11] = {false};

	values[0] = UUIDPGetDatum(&item->id);
	values[1] = CStringGetTextDatum(item->is_memory ? "memory" : "episode");
	values[2] = PointerGetDatum(item->content);
	values[3] = Float8GetDatum(item->score);
	values[4] = Float8GetDatum(item->similarity);
	nulls[4] = isnan(item->similarity);
	values[5] = Float8GetDatum(item->keyword);
	values[6] = PointerGetDatum(item->role);
	nulls[6] = (item->role == NULL);
	values[7] = PointerGetDatum(item->name);
	nulls[7] = (item->name == NULL);
	values[8] = TimestampTzGetDatum(item->occurred_at);
	values[9] = UUIDPGetDatum(&item->thread_id);
	nulls[9] = !item->has_thread;
	values[10] = JsonbPGetDatum(item->metadata);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * recall(query text, user_id text, namespace text, k integer, filter jsonb,
 * min_score double precision, model text, include_answers boolean,
 * exclude_thread uuid) returns setof record: volatile, since it may call a model
 */
Datum
memai_recall(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemaiScope	scope;
	MemaiRecallQuery query = {.scope = &scope, .k = 10};
	List	   *result;
	ListCell   *cell;

	query.query = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	memai_check_content("query", query.query);
	memai_scope_resolve(&scope, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
						PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		query.k = PG_GETARG_INT32(3);
	memai_check_k(query.k);
	if (!PG_ARGISNULL(4))
		query.filter = PG_GETARG_JSONB_P(4);
	memai_check_filter(query.filter);
	if (!PG_ARGISNULL(5))
		query.min_score = PG_GETARG_FLOAT8(5);
	if (!PG_ARGISNULL(6))
		query.model = text_to_cstring(PG_GETARG_TEXT_PP(6));
	query.include_answers = !PG_ARGISNULL(7) && PG_GETARG_BOOL(7);
	query.exclude_thread = PG_ARGISNULL(8) ? NULL : PG_GETARG_UUID_P(8);

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SPI_connect();
	result = memai_recall_run(&query, CurrentMemoryContext);
	foreach(cell, result)
		put_recalled(rsinfo, lfirst(cell));
	SPI_finish();
	return (Datum) 0;
}
