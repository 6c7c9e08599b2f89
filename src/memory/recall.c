/*
 * recall.c
 *	  Finding: reads what a scope holds (gather.c), ranks it (rank.c), chooses
 *	  the best and reads their contents.
 *
 * Exact: no row of the scope is skipped, whatever its rank by either signal.
 * Reads only, so it works on a standby with a local embedding model.
 *
 * What is returned is true at the time in question: a superseded memory that
 * matches gives its successor, and a memory that rests on others is followed
 * by them, so that a rule and the news that changes it come together.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* a question of more distinct words than this is cut; contexts may be long */
#define QUERY_MAX_TERMS 64
/* a memory was stored to be found, an episode because it happened */
#define MEMORY_WEIGHT 1.25

/* how far the factors can push; 1 / (60 + rank) falls by half over 60 ranks */
#define RECENCY_WEIGHT 0.3
#define IMPORTANCE_WEIGHT 0.2
#define CONFIDENCE_WEIGHT 0.2
#define FEEDBACK_WEIGHT 0.1

/* so many items are all read to find what a flood of one source hides */
#define FLOOD_ITEMS 20000

/* of this many of the best, times k, the unlike are chosen */
#define DIVERSITY_POOL 4
/* so many of the best are ordered once more by a rerank model */
#define RERANK_POOL 50

static MemaiStatement select_episode_contents = {
	.sql = "SELECT id, content, role, name, metadata, NULL::text, NULL::text FROM " EACH_OF("episode", "id", "$2"),
	.nargs = 2,
	.argtypes = {INT8OID, UUIDARRAYOID},
};

static MemaiStatement select_memory_contents = {
	.sql = "SELECT id, content, NULL::text, NULL::text, metadata, category, provenance FROM " EACH_OF("memory", "id", "$2"),
	.nargs = 2,
	.argtypes = {INT8OID, UUIDARRAYOID},
};

/* one of the chosen */
typedef struct Choice
{
	int			candidate;
	int			via;			/* the candidate that led to it, or -1 */
	double		score;
} Choice;

typedef struct Choices
{
	int			n;
	int			k;
	int			nleft_out;		/* of sources that had enough */
	Choice	   *choices;
	bool	   *taken;			/* by candidate */
} Choices;

/* ---- weighing ---- */

static double
recency_factor(const Recall *recall, int64 occurred_at)
{
	const MemaiRecallQuery *query = recall->query;
	double		age = Max(0.0, (double) (recall->as_of - occurred_at) / USECS_PER_SEC);
	double		fresh;

	if (query->recency == MEMAI_RECENCY_NONE)
		return 1.0;
	if (query->recency == MEMAI_RECENCY_LINEAR)
		fresh = Max(0.0, 1.0 - age / (2 * query->half_life));
	else
		fresh = exp2(-age / query->half_life);
	return 1.0 - RECENCY_WEIGHT * (1.0 - fresh);
}

static double
importance_factor(const RecallCandidate *candidate)
{
	return 1.0 + IMPORTANCE_WEIGHT * (candidate->importance - 0.5);
}

static double
confidence_factor(const RecallCandidate *candidate)
{
	return 1.0 - CONFIDENCE_WEIGHT * (1.0 - candidate->confidence);
}

static double
feedback_factor(const RecallCandidate *candidate)
{
	return 1.0 + FEEDBACK_WEIGHT * candidate->feedback;
}

/* ---- ranking ---- */

static bool
same_conversation(const RecallCandidate *a, const RecallCandidate *b)
{
	return a->has_thread && b->has_thread && memcmp(&a->thread_id, &b->thread_id, UUID_LEN) == 0;
}

static void
check_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

/* Ranks the candidates (they are sorted in place); returns the number ranked. */
static int
rank_candidates(Recall *recall, double similarity_weight, RankItem **result, int **order)
{
	int			n = recall->ncandidates;
	RankItem   *items = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(RankItem), Max(n, 1)));
	void	   *scratch = MemoryContextAllocHuge(CurrentMemoryContext,
												 memai_rank_scratch_size(Max(n, 1), recall->nterms));
	RankQuestion question = {.nterms = recall->nterms,.terms = recall->terms,.nmore_languages = recall->nlanguages - 1,
		.asks_when = recall->asks_when,.similarity_weight = similarity_weight,.check = check_interrupts,
		.has_moments = recall->has_moments,
		.similarity_mean = recall->similarity_mean,.similarity_deviation = recall->similarity_deviation,
		.population = recall->population,.average_length = recall->average_length,.holders = recall->holders
	};

	memai_gather_sort(recall);
	for (int i = 0; i < n; i++)
	{
		const RecallCandidate *candidate = &recall->candidates[i];

		CHECK_FOR_INTERRUPTS();
		items[i] = (RankItem) {
			.terms = candidate->terms,
			.asking = candidate->asking,
			.weight = candidate->is_memory ? MEMORY_WEIGHT : 1.0,
			.speaker_terms = candidate->speaker_terms,
			.eligible = candidate->eligible,
			.has_similarity = candidate->has_similarity,
			.similarity = candidate->similarity,
			.in_days = candidate->in_days,
			.names_time = candidate->names_time,
			.hops = candidate->hops,
			.language = candidate->language,
			.occurred_at = candidate->occurred_at,
			.factor = recency_factor(recall, candidate->occurred_at) * importance_factor(candidate) *
			confidence_factor(candidate) * feedback_factor(candidate),
		};
		if (i > 0)
			items[i].conversation = items[i - 1].conversation +
				(same_conversation(candidate - 1, candidate) ? 0 : 1);
	}
	*result = items;
	*order = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(int), Max(n, 1)));
	return memai_rank(n, items, &question, *order, scratch);
}

static void
diversify(const Recall *recall, const RankItem *items, int *order, int nranked)
{
	int			pool = Min(DIVERSITY_POOL * recall->query->k, nranked);

	if (recall->query->diversity > 0)
		memai_rank_diversify(items, pool, order, recall->query->k, recall->query->diversity,
							 palloc(sizeof(double) * Max(pool, 1)));
}

/* ---- choosing ---- */

static void
choose(Choices *choices, int candidate, int via, double score)
{
	if (choices->taken[candidate] || choices->n == choices->k)
		return;
	choices->taken[candidate] = true;
	choices->choices[choices->n++] = (Choice) {.candidate = candidate, .via = via, .score = score};
}

/* how many of a candidate's source are chosen */
static int
count_source(const Recall *recall, const Choices *choices, int candidate)
{
	int			n = 0;

	for (int i = 0; i < choices->n; i++)
		n += memai_source_is_same(&recall->candidates[choices->choices[i].candidate], &recall->candidates[candidate]);
	return n;
}

/* whether the limit of its source leaves a candidate out; in the last pass it holds for the word of others only */
static bool
is_too_many(const Recall *recall, const Choices *choices, int candidate, bool is_last_pass)
{
	const MemaiRecallQuery *query = recall->query;

	if (query->max_per_thread == 0 || (is_last_pass && !(query->limit_others && recall->candidates[candidate].is_word_of_other)))
		return false;
	return count_source(recall, choices, candidate) >= query->max_per_thread;
}

/* Chooses what a candidate stands for, and what that rests on; false when its source has had enough. */
static bool
choose_ranked(Recall *recall, Choices *choices, int ranked, int chosen, double score, bool is_last_pass)
{
	if (is_too_many(recall, choices, chosen, is_last_pass))
		return false;
	choose(choices, chosen, chosen == ranked ? -1 : ranked, score);
	for (int i = 0; i < recall->nlinks; i++)
	{
		int			parent;

		if (recall->links[i].from != chosen)
			continue;
		parent = memai_gather_successor(recall, recall->links[i].to);
		if (parent < 0)
			continue;
		if (recall->candidates[parent].source_kind == RECALL_SOURCE_UNREAD)
			memai_source_read(recall, 0, 1, &parent);
		if (!is_too_many(recall, choices, parent, true))
			choose(choices, parent, chosen, score);
	}
	return true;
}

static void
choose_best(Recall *recall, const RankItem *items, const int *order, int nranked, Choices *choices)
{
	const MemaiRecallQuery *query = recall->query;

	choices->k = Min(query->rerank ? Max(query->k, RERANK_POOL) : query->k, recall->ncandidates);
	choices->choices = palloc(sizeof(Choice) * Max(choices->k, 1));
	choices->taken = palloc0(Max(recall->ncandidates, 1));
	/* what the limit of a conversation leaves out fills the room that stays */
	for (int pass = query->max_per_thread > 0 ? 0 : 1; pass < 2; pass++)
	{
		choices->nleft_out = 0;
		for (int i = 0; i < nranked && choices->n < choices->k && items[order[i]].score >= query->min_score; i++)
		{
			int			chosen = memai_gather_successor(recall, order[i]);

			CHECK_FOR_INTERRUPTS();
			if (chosen < 0 || choices->taken[chosen])
				continue;
			if (recall->candidates[chosen].source_kind == RECALL_SOURCE_UNREAD)
				memai_source_read(recall, i, nranked, order);
			if (!choose_ranked(recall, choices, order[i], chosen, items[order[i]].score, pass == 1))
				choices->nleft_out++;
		}
	}
}

/* ---- the result ---- */

static Datum
column(int row, int attribute, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, attribute, null);
}

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
	MemaiStatement *statement = is_memory ? &select_memory_contents : &select_episode_contents;
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
	memai_statement_plan_once(statement);
	nrows = memai_statement_run(statement, values, NULL, true, 0);
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
		item->category = copy_text((int) row, 6);
		item->provenance = copy_text((int) row, 7);
		MemoryContextSwitchTo(previous);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* What was chosen by its words in a large scope has a similarity, too. */
static void
fill_similarities(Recall *recall, const char *model, const Choices *choices)
{
	int		   *positions = palloc(sizeof(int) * Max(choices->n, 1));
	int			n = 0;

	for (int i = 0; i < choices->n && recall->vectors != RECALL_VECTORS_ALL; i++)
	{
		if (!recall->candidates[choices->choices[i].candidate].has_similarity)
			positions[n++] = choices->choices[i].candidate;
	}
	memai_gather_similarities(recall, model, n, positions);
	pfree(positions);
}

static const char *
candidate_status(const RecallCandidate *candidate)
{
	if (!candidate->is_memory)
		return NULL;
	if (candidate->has_successor)
		return "superseded";
	return candidate->needs_review ? "needs_review" : "live";
}

static void
fill_recalled(const Recall *recall, const RankItem *items, const Choice *choice, MemaiRecalled *found)
{
	const RecallCandidate *candidate = &recall->candidates[choice->candidate];
	const RankItem *item = &items[choice->candidate];

	*found = (MemaiRecalled) {
		.id = candidate->id,
		.is_memory = candidate->is_memory,
		.score = choice->score,
		.similarity = candidate->has_similarity ? candidate->similarity : get_float8_nan(),
		.rerank = get_float8_nan(),
		.language = memai_text_language_name(candidate->terms.language),
		.keyword = item->keyword,
		.occurred_at = candidate->occurred_at,
		.has_thread = candidate->has_thread,
		.thread_id = candidate->thread_id,
		.status = candidate_status(candidate),
		.has_via = choice->via >= 0,
		.has_successor = candidate->has_successor,
		.successor = candidate->successor,
		.recency = recency_factor(recall, candidate->occurred_at),
		.importance = importance_factor(candidate),
		.confidence = confidence_factor(candidate),
		.feedback = feedback_factor(candidate),
	};
	StaticAssertStmt(lengthof(found->parts) == RANK_NPARTS, "a part of the keyword score is missing");
	memcpy(found->parts, item->parts, sizeof(found->parts));
	if (choice->via >= 0)
		found->via = recall->candidates[choice->via].id;
}

/* Best by the rerank model first; of equals the one that was before. */
static int
compare_reranked(const void *left, const void *right)
{
	const MemaiRecalled *a = left;
	const MemaiRecalled *b = right;

	if (a->rerank != b->rerank)
		return a->rerank > b->rerank ? -1 : 1;
	return a->place - b->place;
}

/* Orders what was found by a rerank model.  May call out. */
static void
rerank(const Recall *recall, const MemaiModelInfo *model, MemaiRecalled *found, int nfound)
{
	const text *query = recall->query->query;
	MemaiSpan  *documents = palloc(sizeof(MemaiSpan) * Max(nfound, 1));
	double	   *scores = palloc(sizeof(double) * Max(nfound, 1));

	if (nfound == 0)
		return;
	for (int i = 0; i < nfound; i++)
		documents[i] = memai_search_text(found[i].name, found[i].content);
	memai_model_rerank(model, (MemaiSpan) {VARDATA_ANY(query), VARSIZE_ANY_EXHDR(query)}, nfound, documents, scores);
	for (int i = 0; i < nfound; i++)
	{
		found[i].rerank = scores[i];
		found[i].place = i;
	}
	qsort(found, nfound, sizeof(MemaiRecalled), compare_reranked);
}

/* Drops what was removed meanwhile by a transaction that this one sees; returns how many are left. */
static int
drop_missing(MemaiRecalled *found, int nfound)
{
	int			n = 0;

	for (int i = 0; i < nfound; i++)
	{
		if (found[i].content != NULL)
			found[n++] = found[i];
	}
	return n;
}

static List *
make_result(Recall *recall, const char *model, const RankItem *items, const Choices *choices,
			const MemaiModelInfo *rerank_model, MemoryContext result_context)
{
	const MemaiRecallQuery *query = recall->query;
	MemaiRecalled *found = MemoryContextAllocZero(result_context, sizeof(MemaiRecalled) * Max(choices->n, 1));
	int			nfound = choices->n;
	List	   *result = NIL;
	int64		tokens = 0;
	MemoryContext previous;

	fill_similarities(recall, model, choices);
	for (int i = 0; i < nfound; i++)
		fill_recalled(recall, items, &choices->choices[i], &found[i]);
	fetch_contents(query, false, found, nfound, result_context);
	fetch_contents(query, true, found, nfound, result_context);
	nfound = drop_missing(found, nfound);
	if (rerank_model != NULL)
		rerank(recall, rerank_model, found, nfound);

	previous = MemoryContextSwitchTo(result_context);
	for (int i = 0; i < Min(nfound, query->k); i++)
	{
		if (query->max_tokens > 0)
		{
			tokens += memai_text_estimate_tokens(VARDATA_ANY(found[i].content), VARSIZE_ANY_EXHDR(found[i].content));
			if (tokens > query->max_tokens)
				break;
		}
		result = lappend(result, &found[i]);
	}
	MemoryContextSwitchTo(previous);
	return result;
}

/* ---- the question ---- */

static void
read_question(Recall *recall, const MemaiModelInfo *model)
{
	const MemaiRecallQuery *query = recall->query;
	MemaiVector *vector;

	/* of the clock: what others have committed since this transaction began is true, too */
	recall->now = GetCurrentTimestamp();
	recall->as_of = query->as_of ? *query->as_of : recall->now;
	recall->nlanguages = 1;
	recall->languages[0] = query->has_language ? query->language : -1;
	if (query->query != NULL)
	{
		MemaiSpan	span = {VARDATA_ANY(query->query), VARSIZE_ANY_EXHDR(query->query)};
		size_t		len;
		const char *utf8 = memai_text_to_utf8(span.data, span.len, &len);

		recall->nterms = Min(memai_text_query_words(&recall->languages[0], span.data, span.len, &recall->words), QUERY_MAX_TERMS);
		recall->has_days = memai_days_of(query->query, recall->as_of, &recall->days);
		recall->asks_when = memai_text_asks_when(utf8, len);
	}
	recall->terms = palloc(sizeof(uint32) * Max(recall->nterms, 1));
	for (int i = 0; i < recall->nterms; i++)
		recall->terms[i] = recall->words[i].term;
	recall->vector = query->vector;
	if (query->vector == NULL)
	{
		MemaiSpan	span = {VARDATA_ANY(query->query), VARSIZE_ANY_EXHDR(query->query)};

		memai_model_embed(model, MEMAI_INPUT_QUERY, 1, &span, &vector);
		recall->vector = vector;
	}
}

static void
count_candidates(const Recall *recall, double similarity_weight, MemaiRecallCounts *counts, MemoryContext result_context)
{
	static const char *const vectors_read[] = {"candidates", "all", "eligible", "nearest"};

	*counts = (MemaiRecallCounts) {
		.terms = recall->nterms,
		.similarity_weight = similarity_weight,
		.language = memai_text_language_name(recall->languages[0]),
		.vectors_read = vectors_read[recall->vectors],
	};
	if (OidIsValid(recall->vector_index))
		counts->vector_index = MemoryContextStrdup(result_context, get_rel_name(recall->vector_index));
	for (int i = 0; i < recall->ncandidates; i++)
	{
		const RecallCandidate *candidate = &recall->candidates[i];

		counts->episodes += !candidate->is_memory;
		counts->memories += candidate->is_memory && candidate->is_live;
		counts->superseded += !candidate->is_live;
		counts->vectors += candidate->has_similarity;
		counts->eligible += candidate->eligible && candidate->is_live;
	}
}

List *
memai_recall_run(const MemaiRecallQuery *query, MemoryContext result_context, MemaiRecallCounts *counts)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "memai memory recall",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(work);
	MemaiModelInfo *model = memai_model_lookup_for(query->scope, query->model, "embed");
	MemaiModelInfo *rerank_model = query->rerank ? memai_model_lookup_for(query->scope, query->rerank, "rerank") : NULL;
	Recall		recall = {.query = query};
	Choices		choices = {0};
	RankItem   *items;
	int		   *order;
	int			nranked;
	List	   *result;

	read_question(&recall, model);
	for (bool all = false;; all = true)
	{
		choices.n = 0;
		memai_gather_scope(&recall, model, all);
		nranked = rank_candidates(&recall, model->recall_weight, &items, &order);
		diversify(&recall, items, order, nranked);
		choose_best(&recall, items, order, nranked, &choices);
		/* a large scope may have rows that were not found by words, or only by those whose words are not everybody's */
		if (recall.population == 0 || choices.n >= query->k || query->min_score > 0 ||
			(choices.n + choices.nleft_out >= query->k && recall.population > FLOOD_ITEMS))
			break;
	}
	result = make_result(&recall, model->name, items, &choices, rerank_model, result_context);
	if (counts != NULL)
		count_candidates(&recall, model->recall_weight, counts, result_context);

	MemoryContextSwitchTo(previous);
	MemoryContextDelete(work);
	return result;
}
