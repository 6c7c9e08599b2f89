/*
 * gather.c
 *	  What a recall reads: episodes, memories, their statistics and links of
 *	  one scope, none of their contents.  All of a small scope, each table by one
 *	  index scan; of a large one what is asked for by place or id, which
 *	  gather_words.c and graph.c find.  vectors.c reads their vectors.
 *
 * Memories that were superseded are read too: they may match a question that
 * their successor does not ("does she still live in Lund?"), and then the
 * successor is returned in their place.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define SPEAKER_CACHE 8
#define MAX_SUCCESSORS 1000
#define WANTED_STEP 64

/* a speaker met before; conversations have few */
typedef struct Speaker
{
	text	   *name;
	uint64		terms;			/* as RankItem.speaker_terms */
} Speaker;

struct RecallSpeakers
{
	int			n;
	Speaker		speakers[SPEAKER_CACHE];
	uint64		mask;			/* terms of the question that any name has */
};

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

struct RecallIds
{
	idtable_hash *table;
};

/* parameter 8 of a selection is an array of places or of ids */
#define ALL_OF(table) "memai." table " WHERE scope = $1"
/* no index has the scope here: none may seem cheaper than to go where the places say */
#define AT_PLACES(table) "memai." table " WHERE ctid = ANY ($8) AND (scope = $1) IS TRUE"
#define OF_IDS(table) EACH_OF(table, "id", "$8") " WHERE true"
#define NPARAMETERS 8

#define MATCHES_FILTER "($2 IS NULL OR memai._metadata_matches(metadata, $2)) "

/* $3 as_of, $4 known_at */
#define SELECT_EPISODES(which, array) { \
	.sql = "SELECT id, thread_id, terms, occurred_at, about_from, about_until, asking, name, " \
	MATCHES_FILTER "AND ($5 OR role <> 'assistant' OR source <> 'chat') " \
	"AND ($6 IS NULL OR thread_id IS DISTINCT FROM $6) " \
	"FROM " which " AND ($7 OR occurred_at <= $3) AND created_at <= $4", \
	.nargs = NPARAMETERS, \
	.argtypes = {INT8OID, JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, UUIDOID, BOOLOID, array}, \
}

static MemaiStatement select_episodes[] = {
	[RECALL_ALL] = SELECT_EPISODES(ALL_OF("episode"), UUIDARRAYOID),
	[RECALL_PLACES] = SELECT_EPISODES(AT_PLACES("episode"), TIDARRAYOID),
	[RECALL_IDS] = SELECT_EPISODES(OF_IDS("episode"), UUIDARRAYOID),
};

/* what was closed after known_at was not known to be closed then */
#define SELECT_MEMORIES(which, array) { \
	.sql = "SELECT * FROM (SELECT id, NULL::uuid, terms, valid_at, about_from, about_until, 0::float4, NULL::text, " \
	MATCHES_FILTER "AND ($5 IS NULL OR category = ANY ($5)), " \
	"valid_at <= $3 AND (invalid_at IS NULL OR invalid_at > $3 OR closed_at > $4) " \
	"AND created_at <= $4 AND (expired_at IS NULL OR expired_at > $4) " \
	"AND (expires_at IS NULL OR is_pinned OR expires_at > $6) AS is_live, " \
	"needs_review, superseded_by, CASE WHEN is_pinned THEN 1 ELSE importance END, confidence, subject_id, object_id, provenance " \
	"FROM " which ") m WHERE is_live OR superseded_by IS NOT NULL", \
	.nargs = NPARAMETERS, \
	.argtypes = {INT8OID, JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, TIMESTAMPTZOID, BOOLOID, array}, \
}

static MemaiStatement select_memories[] = {
	[RECALL_ALL] = SELECT_MEMORIES(ALL_OF("memory"), UUIDARRAYOID),
	[RECALL_PLACES] = SELECT_MEMORIES(AT_PLACES("memory"), TIDARRAYOID),
	[RECALL_IDS] = SELECT_MEMORIES(OF_IDS("memory"), UUIDARRAYOID),
};

/* which: of all candidates, or of $2; a scope without such rows costs one look */
#define SELECT_FEEDBACK(which) { \
	.sql = "SELECT memory_id, (useful - harmful)::float8 / (useful + harmful + 2) " \
	"FROM " which " AND useful + harmful > 0", \
	.nargs = 2, \
	.argtypes = {INT8OID, UUIDARRAYOID}, \
}

static MemaiStatement select_feedback[] = {
	[RECALL_ALL] = SELECT_FEEDBACK(ALL_OF("memory_stat")),
	[RECALL_IDS] = SELECT_FEEDBACK(EACH_OF("memory_stat", "memory_id", "$2")
								   " WHERE (SELECT true FROM memai.memory_stat WHERE scope = $1 LIMIT 1)"),
};

#define LINKS "SELECT from_id, to_id FROM memai.memory_link WHERE scope = $1 AND kind IN ('depends_on', 'derives')"
#define SELECT_LINKS(query) { \
	.sql = query " ORDER BY 1, 2", \
	.nargs = 2, \
	.argtypes = {INT8OID, UUIDARRAYOID}, \
}

/* by id a link of two of them comes twice; each end by a look of its own, as EACH_OF does */
static MemaiStatement select_links[] = {
	[RECALL_ALL] = SELECT_LINKS(LINKS),
	[RECALL_IDS] = SELECT_LINKS("SELECT from_id, to_id FROM unnest($2) AS wanted (id), LATERAL ("
								LINKS " AND from_id = wanted.id UNION ALL " LINKS " AND to_id = wanted.id OFFSET 0) AS link "
								"WHERE (SELECT true FROM memai.memory_link WHERE scope = $1 LIMIT 1)"),
};

/* ---- rows ---- */

/* 0 when it is null, which is what the flags that may be mean then */
static Datum
column(const TupleTableSlot *row, int attribute, bool *null)
{
	*null = row->tts_isnull[attribute - 1];
	return *null ? (Datum) 0 : row->tts_values[attribute - 1];
}

RecallCandidate *
memai_gather_find(const Recall *recall, pg_uuid_t id)
{
	IdEntry    *entry = idtable_lookup(recall->by_id->table, id);

	return entry ? &recall->candidates[entry->candidate] : NULL;
}

static RecallCandidate *
add_candidate(Recall *recall)
{
	if (recall->ncandidates == recall->capacity)
	{
		recall->capacity *= 2;
		recall->candidates = repalloc_huge(recall->candidates,
										   mul_size(sizeof(RecallCandidate), recall->capacity));
	}
	memset(&recall->candidates[recall->ncandidates], 0, sizeof(RecallCandidate));
	return &recall->candidates[recall->ncandidates++];
}

static uint64
compute_speaker_terms(const Recall *recall, const text *name)
{
	MemaiQueryWord *words;
	int			language = recall->languages[0];
	int			n = memai_text_query_words(&language, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &words);
	uint64		terms = 0;

	for (int i = 0; i < n; i++)
	{
		for (int t = 0; t < Min(recall->nterms, RANK_SPEAKER_TERMS); t++)
		{
			if (recall->terms[t] == words[i].term)
				terms |= UINT64CONST(1) << t;
		}
	}
	pfree(words);
	return terms;
}

/* Which terms of the question the name has; the last few names are kept. */
static uint64
speaker_terms(Recall *recall, const text *name)
{
	RecallSpeakers *known = recall->speakers;
	Speaker    *speaker;

	for (int i = 0; i < Min(known->n, SPEAKER_CACHE); i++)
	{
		speaker = &known->speakers[i];
		if (VARSIZE_ANY_EXHDR(speaker->name) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(VARDATA_ANY(speaker->name), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0)
			return speaker->terms;
	}
	speaker = &known->speakers[known->n++ % SPEAKER_CACHE];
	speaker->name = DatumGetTextPCopy(PointerGetDatum(name));
	speaker->terms = compute_speaker_terms(recall, name);
	known->mask |= speaker->terms;
	return speaker->terms;
}

/*
 * A memory is spoken by nobody: the speakers that it mentions take that place,
 * or a question that names somebody would prefer what he said to what is known
 * of him.  Episodes are gathered first, so the speakers are known.
 */
static uint64
mentioned_terms(const Recall *recall, const MemaiTermsView *content, int language)
{
	const uint32 *hashes = recall->terms + (size_t) language * recall->nterms;
	uint64		terms = 0;

	for (int t = 0; t < Min(recall->nterms, RANK_SPEAKER_TERMS); t++)
	{
		if (((recall->speakers->mask >> t) & 1) && memai_terms_frequency(content, hashes[t]) > 0)
			terms |= UINT64CONST(1) << t;
	}
	return terms;
}

/* whether the item happened in the days of the question, or speaks of them */
static void
set_times(const Recall *recall, RecallCandidate *candidate, const TupleTableSlot *row)
{
	bool		null;
	DateADT		from = DatumGetDateADT(column(row, 5, &null));
	DateADT		until = DatumGetDateADT(column(row, 6, &null));
	DateADT		first = recall->days.first - POSTGRES_EPOCH_JDATE;
	DateADT		end = recall->days.end - POSTGRES_EPOCH_JDATE;

	candidate->names_time = !null;
	if (!recall->has_days)
		return;
	candidate->in_days = (candidate->names_time && from < end && until > first) ||
		(candidate->occurred_at >= first * USECS_PER_DAY && candidate->occurred_at < end * USECS_PER_DAY);
}

/* The row of terms in a language, which is made when the first item speaks it. */
static int
language_row(Recall *recall, int language)
{
	int			row = 0;

	while (row < recall->nlanguages && recall->languages[row] != language)
		row++;
	if (row < recall->nlanguages || recall->nterms == 0)
		return row % recall->nlanguages;
	if (recall->nlanguages == RECALL_MAX_LANGUAGES)
		return 0;
	recall->terms = repalloc(recall->terms, sizeof(uint32) * Max(recall->nterms, 1) * (row + 1));
	memai_text_translate_terms(language, recall->nterms, recall->words, recall->terms + (size_t) row * recall->nterms);
	recall->languages[recall->nlanguages++] = language;
	return row;
}

/* an id that may be NULL; false when it is */
static bool
nullable_id(const TupleTableSlot *row, int attribute, pg_uuid_t *id)
{
	bool		null;
	Datum		value = column(row, attribute, &null);

	if (!null)
		*id = *DatumGetUUIDP(value);
	return !null;
}

/* what only memories have */
static void
set_memory(const Recall *recall, RecallCandidate *candidate, const TupleTableSlot *row)
{
	bool		null;

	candidate->is_memory = true;
	candidate->speaker_terms = mentioned_terms(recall, &candidate->terms, candidate->language);
	candidate->is_live = DatumGetBool(column(row, 10, &null));
	candidate->needs_review = DatumGetBool(column(row, 11, &null));
	candidate->has_successor = nullable_id(row, 12, &candidate->successor);
	candidate->importance = DatumGetFloat4(column(row, 13, &null));
	candidate->confidence = DatumGetFloat4(column(row, 14, &null));
	candidate->has_subject = nullable_id(row, 15, &candidate->subject);
	candidate->has_object = nullable_id(row, 16, &candidate->object);
	if (recall->query->max_per_thread > 0)
		memai_source_from_word(candidate, DatumGetTextPP(column(row, 17, &null)));
}

/* a row of select_episodes or select_memories */
static void
gather_item(Recall *recall, const TupleTableSlot *row, bool is_memory)
{
	RecallCandidate *candidate;
	IdEntry    *entry;
	Datum		name;
	bytea	   *terms;
	bool		null,
				found;

	entry = idtable_insert(recall->by_id->table, *DatumGetUUIDP(column(row, 1, &null)), &found);
	if (found)
		return;
	entry->candidate = recall->ncandidates;
	candidate = add_candidate(recall);
	candidate->id = entry->id;
	candidate->has_thread = nullable_id(row, 2, &candidate->thread_id);
	candidate->source_kind = candidate->has_thread ? RECALL_SOURCE_THREAD : RECALL_SOURCE_NONE;
	candidate->source = candidate->thread_id;
	terms = DatumGetByteaPCopy(column(row, 3, &null));
	memai_terms_open((unsigned char *) VARDATA(terms), VARSIZE(terms) - VARHDRSZ, &candidate->terms);
	candidate->language = language_row(recall, candidate->terms.language);
	candidate->occurred_at = DatumGetTimestampTz(column(row, 4, &null));
	set_times(recall, candidate, row);
	candidate->asking = DatumGetFloat4(column(row, 7, &null));
	name = column(row, 8, &null);
	if (!null)
		candidate->speaker_terms = speaker_terms(recall, DatumGetTextPP(name));
	candidate->eligible = DatumGetBool(column(row, 9, &null));
	candidate->is_live = true;
	candidate->importance = 0.5;
	candidate->confidence = 1;
	if (is_memory)
		set_memory(recall, candidate, row);
}

static void
receive_episode(TupleTableSlot *row, void *recall)
{
	gather_item(recall, row, false);
}

static void
receive_memory(TupleTableSlot *row, void *recall)
{
	gather_item(recall, row, true);
}

/* a row of select_feedback */
static void
receive_feedback(TupleTableSlot *row, void *recall)
{
	bool		null;
	RecallCandidate *candidate = memai_gather_find(recall, *DatumGetUUIDP(column(row, 1, &null)));

	if (candidate != NULL)
		candidate->feedback = (float) DatumGetFloat8(column(row, 2, &null));
}

/* a row of select_links */
static void
receive_link(TupleTableSlot *row, void *arg)
{
	Recall	   *recall = arg;
	bool		null;
	IdEntry    *from = idtable_lookup(recall->by_id->table, *DatumGetUUIDP(column(row, 1, &null)));
	IdEntry    *to = idtable_lookup(recall->by_id->table, *DatumGetUUIDP(column(row, 2, &null)));

	if (from != NULL && to == NULL && recall->population > 0)
		memai_gather_want(recall, *DatumGetUUIDP(column(row, 2, &null)));
	if (from == NULL || to == NULL)
		return;
	if (recall->nlinks == recall->links_capacity)
	{
		recall->links_capacity = recall->links_capacity ? 2 * recall->links_capacity : 64;
		recall->links = recall->links ?
			repalloc_huge(recall->links, mul_size(sizeof(RecallLink), recall->links_capacity)) :
			palloc(sizeof(RecallLink) * recall->links_capacity);
	}
	recall->links[recall->nlinks++] = (RecallLink) {from->candidate, to->candidate};
}

/* ---- statements ---- */

bool
memai_gather_wants(const MemaiRecallQuery *query, bool memories)
{
	if (!memories && query->categories != NULL)
		return false;
	return query->layer == NULL || strcmp(query->layer, memories ? "memory" : "episode") == 0;
}

/*
 * Lets the planner go to places one by one, whatever it expects of the table: a
 * plan is kept, and the table may have been small when it was made.  Until
 * AtEOXact_GUC of the level that it returns.
 */
static int
plan_for_places(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_indexscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static int64
gather_rows(Recall *recall, MemaiStatement *statement, RecallSelection selection, Datum *values, const char *nulls, int64 max_rows,
			MemaiReceiveRow receive)
{
	int			level = selection == RECALL_PLACES ? plan_for_places() : 0;
	uint64		nrows;

	if (selection == RECALL_PLACES || selection == RECALL_IDS)
		memai_statement_plan_once(statement);
	nrows = memai_statement_each(statement, values, nulls, max_rows, receive, recall);
	if (selection == RECALL_PLACES)
		AtEOXact_GUC(true, level);
	return (int64) nrows;
}

int64
memai_gather_items(Recall *recall, bool memories, RecallSelection selection, Datum selected, int64 max_rows)
{
	const MemaiRecallQuery *query = recall->query;
	Datum		values[NPARAMETERS];
	char		nulls[NPARAMETERS];

	if (!memai_gather_wants(query, memories) ||
		(selection != RECALL_ALL && ARR_NDIM(DatumGetArrayTypeP(selected)) == 0))
		return 0;
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(query->scope->scope);
	values[1] = JsonbPGetDatum(query->filter);
	nulls[1] = query->filter ? ' ' : 'n';
	values[2] = TimestampTzGetDatum(recall->as_of);
	values[3] = TimestampTzGetDatum(query->known_at ? *query->known_at : DT_NOEND);
	values[6] = BoolGetDatum(query->as_of == NULL);
	values[7] = selected;
	nulls[7] = selection == RECALL_ALL ? 'n' : ' ';
	if (memories)
	{
		values[4] = PointerGetDatum(query->categories);
		nulls[4] = query->categories ? ' ' : 'n';
		values[5] = TimestampTzGetDatum(recall->now);
		return gather_rows(recall, &select_memories[selection], selection, values, nulls, max_rows, receive_memory);
	}
	values[4] = BoolGetDatum(query->include_answers);
	values[5] = UUIDPGetDatum(query->exclude_thread);
	nulls[5] = query->exclude_thread ? ' ' : 'n';
	return gather_rows(recall, &select_episodes[selection], selection, values, nulls, max_rows, receive_episode);
}

/* ---- by id ---- */

void
memai_gather_want(Recall *recall, pg_uuid_t id)
{
	if (idtable_lookup(recall->by_id->table, id) != NULL)
		return;
	if (recall->nwanted % WANTED_STEP == 0)
		recall->wanted = recall->wanted ? repalloc_huge(recall->wanted, sizeof(pg_uuid_t) * (recall->nwanted + WANTED_STEP)) :
			palloc(sizeof(pg_uuid_t) * WANTED_STEP);
	recall->wanted[recall->nwanted++] = id;
}

static int
compare_ids(const void *left, const void *right)
{
	return memcmp(left, right, UUID_LEN);
}

Datum
memai_gather_id_array(int n, pg_uuid_t *ids)
{
	Datum	   *elements = palloc(mul_size(sizeof(Datum), Max(n, 1)));
	Datum		result;

	qsort(ids, n, sizeof(pg_uuid_t), compare_ids);
	for (int i = 0; i < n; i++)
		elements[i] = UUIDPGetDatum(&ids[i]);
	result = PointerGetDatum(construct_array(elements, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	pfree(elements);
	return result;
}

bool
memai_gather_wanted(Recall *recall)
{
	int			before = recall->ncandidates;
	if (recall->nwanted > 0)
	{
		Datum		ids = memai_gather_id_array(recall->nwanted, recall->wanted);

		recall->nwanted = 0;
		memai_gather_items(recall, false, RECALL_IDS, ids, 0);
		memai_gather_items(recall, true, RECALL_IDS, ids, 0);
	}
	return recall->ncandidates > before;
}

/* The successors of what was superseded, and theirs. */
static void
gather_successors(Recall *recall)
{
	int			done = 0;

	do
	{
		for (; done < recall->ncandidates; done++)
		{
			const RecallCandidate *candidate = &recall->candidates[done];

			if (!candidate->is_live && candidate->has_successor)
				memai_gather_want(recall, candidate->successor);
		}
	} while (memai_gather_wanted(recall));
}

/* ---- what is known of the items ---- */

static void
gather_records(Recall *recall, MemaiStatement *statements, MemaiReceiveRow receive)
{
	RecallSelection selection = recall->population > 0 ? RECALL_IDS : RECALL_ALL;
	Datum		values[2] = {Int64GetDatum(recall->query->scope->scope)};
	char		nulls[2] = {' ', 'n'};

	if (selection == RECALL_IDS)
	{
		pg_uuid_t  *ids = palloc(sizeof(pg_uuid_t) * Max(recall->ncandidates, 1));

		for (int i = 0; i < recall->ncandidates; i++)
			ids[i] = recall->candidates[i].id;
		values[1] = memai_gather_id_array(recall->ncandidates, ids);
		nulls[1] = ' ';
	}
	gather_rows(recall, &statements[selection], selection, values, nulls, 0, receive);
}

/* In a large scope what the items rest on is read now, with what took its place and what that rests on. */
static void
gather_links(Recall *recall)
{
	int			before;

	do
	{
		before = recall->ncandidates;
		recall->nlinks = 0;
		gather_records(recall, select_links, receive_link);
		if (memai_gather_wanted(recall))
			gather_successors(recall);
	} while (recall->ncandidates > before);
}

static bool
has_memories(const Recall *recall)
{
	for (int i = recall->ncandidates - 1; i >= 0; i--)
	{
		if (recall->candidates[i].is_memory)
			return true;
	}
	return false;
}

void
memai_gather_scope(Recall *recall, const MemaiModelInfo *model, bool all)
{
	recall->capacity = 256;
	recall->candidates = palloc(sizeof(RecallCandidate) * recall->capacity);
	recall->by_id = palloc(sizeof(RecallIds));
	recall->by_id->table = idtable_create(CurrentMemoryContext, 256, NULL);
	recall->speakers = palloc0(sizeof(RecallSpeakers));
	recall->population = 0;
	recall->ncandidates = 0;
	recall->nmisfits = 0;
	recall->nlinks = 0;
	recall->nwanted = 0;
	recall->vectors = RECALL_VECTORS_CANDIDATES;
	if (!all && memai_gather_by_words(recall))
	{
		/* the built-in model compares spelling: what it finds has words in common */
		if (!model->is_local)
			memai_gather_nearest(recall, model->name);
	}
	else
	{
		memai_gather_items(recall, false, RECALL_ALL, (Datum) 0, 0);
		memai_gather_items(recall, true, RECALL_ALL, (Datum) 0, 0);
	}
	if (recall->population > 0 || has_memories(recall))
	{
		memai_gather_graph(recall);
		gather_successors(recall);
		gather_links(recall);
		gather_records(recall, select_feedback, receive_feedback);
		memai_gather_linked(recall);
	}
	memai_gather_vectors(recall, model->name);
}

/* ---- order ---- */

/* conversations together, each in order of time and then of storing */
static int
compare_candidates(const void *left, const void *right)
{
	const RecallCandidate *a = left;
	const RecallCandidate *b = right;
	int			order = (int) b->has_thread - (int) a->has_thread;

	if (order == 0 && a->has_thread)
		order = memcmp(&a->thread_id, &b->thread_id, UUID_LEN);
	if (order == 0 && a->occurred_at != b->occurred_at)
		order = a->occurred_at < b->occurred_at ? -1 : 1;
	if (order == 0)
		order = memcmp(&a->id, &b->id, UUID_LEN);
	return order;
}

void
memai_gather_sort(Recall *recall)
{
	pg_uuid_t  *ends = palloc(mul_size(sizeof(pg_uuid_t), Max(2 * recall->nlinks, 1)));

	for (int i = 0; i < recall->nlinks; i++)
	{
		ends[2 * i] = recall->candidates[recall->links[i].from].id;
		ends[2 * i + 1] = recall->candidates[recall->links[i].to].id;
	}
	qsort(recall->candidates, recall->ncandidates, sizeof(RecallCandidate), compare_candidates);
	for (int i = 0; i < recall->ncandidates; i++)
		idtable_lookup(recall->by_id->table, recall->candidates[i].id)->candidate = i;
	for (int i = 0; i < recall->nlinks; i++)
	{
		recall->links[i].from = idtable_lookup(recall->by_id->table, ends[2 * i])->candidate;
		recall->links[i].to = idtable_lookup(recall->by_id->table, ends[2 * i + 1])->candidate;
	}
	pfree(ends);
}

int
memai_gather_successor(const Recall *recall, int candidate)
{
	for (int n = 0; n < MAX_SUCCESSORS; n++)
	{
		const RecallCandidate *item = &recall->candidates[candidate];
		IdEntry    *entry;

		if (item->is_live)
			return item->eligible ? candidate : -1;
		if (!item->has_successor)
			return -1;
		entry = idtable_lookup(recall->by_id->table, item->successor);
		if (entry == NULL)
			return -1;
		candidate = entry->candidate;
	}
	return -1;
}
