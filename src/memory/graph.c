/*
 * graph.c
 *	  The entities that a question names, and what is known of them: memories
 *	  that are one or two steps away.
 *
 * An entity is named when all words of its name are words of the question, a
 * genitive's s or 's aside.  A memory with such a subject or object is one step away; its other end leads
 * one step further, and so do its links to other memories.
 *
 * An alias stands for the entity that it was merged into, on both sides: the question may
 * name either, and memories keep the one that they were stored with.
 *
 * Reads the scope's entities; in a large scope also the newest memories about those that it reaches.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#define FETCH_ROWS 1000
/* memories that are read a step, of a large scope; the entities share them, but each has a few */
#define STEP_ITEMS 300
#define LEAST_ITEMS 10

static MemaiStatement select_entities = {
	.sql = "SELECT id, name, merged_into FROM memai.entity WHERE scope = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

/* $3 of each, $4 as_of, $5 known_at: what is not true then is left out, lest old values of a slot take all places */
#define NEWEST_AT(column) \
	"(SELECT m.id, m.valid_at FROM memai.memory m WHERE m.scope = $1 AND m." column " = e.entity AND m.valid_at <= $4 " \
	"AND (m.invalid_at IS NULL OR m.invalid_at > $4 OR m.closed_at > $5) " \
	"AND m.created_at <= $5 AND (m.expired_at IS NULL OR m.expired_at > $5) " \
	"ORDER BY m.valid_at DESC, m.id DESC LIMIT $3)"

static MemaiStatement select_newest = {
	.sql = "SELECT n.id FROM unnest($2) AS e (entity), LATERAL (" NEWEST_AT("subject_id") " UNION ALL " NEWEST_AT("object_id") ") AS n "
	"ORDER BY n.valid_at DESC, n.id DESC LIMIT $6",
	.nargs = 6,
	.argtypes = {INT8OID, UUIDARRAYOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID},
};

/* words of a question that may be names */
#define MAX_WORDS 192
#define WORD_SEED UINT64CONST(0x6d656d6169670001)

typedef struct QuestionWords
{
	int			n;
	uint64		hashes[MAX_WORDS];
} QuestionWords;

/* an entity that was reached, and in how many steps from the question: 0 or 1 */
typedef struct Reached
{
	pg_uuid_t	id;
	int			steps;
} Reached;

typedef struct EntityAlias
{
	pg_uuid_t	id;
	pg_uuid_t	merged_into;
} EntityAlias;

typedef struct Graph
{
	Recall	   *recall;
	HTAB	   *reached;		/* of Reached; no aliases */
	HTAB	   *aliases;		/* of EntityAlias */
} Graph;

static bool
has_triplets(const Recall *recall)
{
	for (int i = 0; i < recall->ncandidates; i++)
	{
		if (recall->candidates[i].has_subject || recall->candidates[i].has_object)
			return true;
	}
	return false;
}

/* ---- names ---- */

static uint64
word_hash(const MemaiToken *token, int len)
{
	MemaiToken	bare;

	bare.len = len;
	memcpy(bare.data, token->data, len);
	memai_token_strip_accents(&bare);
	return memai_hash64(bare.data, bare.len, WORD_SEED);
}

/* Reads the words of the question, as they are and without what a genitive adds. */
static void
read_words(const text *question, QuestionWords *words)
{
	size_t		len;
	const char *utf8 = memai_text_to_utf8(VARDATA_ANY(question), VARSIZE_ANY_EXHDR(question), &len);
	MemaiTokeniser tokeniser;
	MemaiToken	token;

	words->n = 0;
	memai_tokeniser_start(&tokeniser, utf8, len);
	while (words->n + 3 <= MAX_WORDS && memai_tokeniser_next(&tokeniser, &token))
	{
		words->hashes[words->n++] = word_hash(&token, token.len);
		if (token.len > 2 && token.data[token.len - 1] == 's')
			words->hashes[words->n++] = word_hash(&token, token.len - 1);
		if (token.len > 3 && memcmp(token.data + token.len - 2, "'s", 2) == 0)
			words->hashes[words->n++] = word_hash(&token, token.len - 2);
	}
}

static bool
has_word(const QuestionWords *words, uint64 hash)
{
	for (int i = 0; i < words->n; i++)
	{
		if (words->hashes[i] == hash)
			return true;
	}
	return false;
}

static bool
has_name(const QuestionWords *words, const text *name)
{
	size_t		len;
	const char *utf8 = memai_text_to_utf8(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &len);
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	bool		any = false;

	memai_tokeniser_start(&tokeniser, utf8, len);
	while (memai_tokeniser_next(&tokeniser, &token))
	{
		if (!has_word(words, word_hash(&token, token.len)))
			return false;
		any = true;
	}
	return any;
}

/* ---- entities ---- */

static const pg_uuid_t *
entity_of(const Graph *graph, const pg_uuid_t *id)
{
	EntityAlias	   *alias = hash_search(graph->aliases, id, HASH_FIND, NULL);

	return alias ? &alias->merged_into : id;
}

/* Notes an entity unless it is known; id: of it or of an alias. */
static void
reach(Graph *graph, const pg_uuid_t *id, int steps)
{
	bool		found;
	Reached    *entity = hash_search(graph->reached, entity_of(graph, id), HASH_ENTER, &found);

	if (!found)
		entity->steps = steps;
}

static bool
is_reached(const Graph *graph, bool has_id, const pg_uuid_t *id, int steps)
{
	Reached    *entity = has_id ? hash_search(graph->reached, entity_of(graph, id), HASH_FIND, NULL) : NULL;

	return entity != NULL && entity->steps == steps;
}

/* A row of select_entities; true when the question names it. */
static bool
read_entity(Graph *graph, HeapTuple tuple, TupleDesc desc, const QuestionWords *words, pg_uuid_t *id)
{
	bool		null,
				id_null;
	Datum		merged_into = SPI_getbinval(tuple, desc, 3, &null);

	*id = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &id_null));
	if (!null)
		((EntityAlias *) hash_search(graph->aliases, id, HASH_ENTER, NULL))->merged_into = *DatumGetUUIDP(merged_into);
	return has_name(words, DatumGetTextPP(SPI_getbinval(tuple, desc, 2, &null)));
}

/* Reads the aliases and reaches the entities that the question names; false when there is none. */
static bool
reach_named(Graph *graph)
{
	Datum		value = Int64GetDatum(graph->recall->query->scope->scope);
	Portal		portal = memai_statement_open(&select_entities, &value, NULL);
	List	   *named = NIL;
	ListCell   *cell;
	QuestionWords words;

	read_words(graph->recall->query->query, &words);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

			CHECK_FOR_INTERRUPTS();
			if (read_entity(graph, SPI_tuptable->vals[row], SPI_tuptable->tupdesc, &words, id))
				named = lappend(named, id);
			else
				pfree(id);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	foreach(cell, named)
		reach(graph, lfirst(cell), 0);
	return named != NIL;
}

/* ---- steps ---- */

/* The entities that took so many steps, and their aliases, as an array of uuid. */
static Datum
reached_ids(const Graph *graph, int steps, int *count)
{
	long		max = hash_get_num_entries(graph->reached) + hash_get_num_entries(graph->aliases);
	Datum	   *ids = palloc(sizeof(Datum) * Max(max, 1));
	int			n = 0;
	HASH_SEQ_STATUS status;
	Reached    *entity;
	EntityAlias	   *alias;

	hash_seq_init(&status, graph->reached);
	while ((entity = hash_seq_search(&status)) != NULL)
	{
		if (entity->steps == steps)
			ids[n++] = UUIDPGetDatum(&entity->id);
	}
	hash_seq_init(&status, graph->aliases);
	while ((alias = hash_seq_search(&status)) != NULL)
	{
		if (is_reached(graph, true, &alias->id, steps))
			ids[n++] = UUIDPGetDatum(&alias->id);
	}
	*count = n;
	return PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* Makes candidates of the newest memories at entities that took so many steps. */
static void
gather_newest(Graph *graph, int steps)
{
	Recall	   *recall = graph->recall;
	Datum		values[6];
	int			nentities;
	uint64		n;

	values[0] = Int64GetDatum(recall->query->scope->scope);
	values[1] = reached_ids(graph, steps, &nentities);
	if (nentities == 0)
		return;
	values[2] = Int64GetDatum(Max(STEP_ITEMS / nentities, LEAST_ITEMS));
	values[3] = TimestampTzGetDatum(recall->as_of);
	values[4] = TimestampTzGetDatum(recall->query->known_at ? *recall->query->known_at : DT_NOEND);
	values[5] = Int64GetDatum(STEP_ITEMS);
	n = memai_statement_run(&select_newest, values, NULL, true, 0);
	for (uint64 row = 0; row < n; row++)
	{
		bool		null;

		memai_gather_want(recall, *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &null)));
	}
	SPI_freetuptable(SPI_tuptable);
	memai_gather_wanted(recall);
}

/* Marks the memories at entities that took so many steps; of a large scope it reads them first. */
static void
mark_memories(Graph *graph, int steps)
{
	Recall	   *recall = graph->recall;

	if (recall->population > 0)
		gather_newest(graph, steps);
	for (int i = 0; i < recall->ncandidates; i++)
	{
		RecallCandidate *item = &recall->candidates[i];

		if (item->hops == 0 && (is_reached(graph, item->has_subject, &item->subject, steps) ||
								is_reached(graph, item->has_object, &item->object, steps)))
			item->hops = (uint8) (steps + 1);
	}
}

/* Reaches the other ends of the memories one step away. */
static void
reach_neighbours(Graph *graph)
{
	for (int i = 0; i < graph->recall->ncandidates; i++)
	{
		const RecallCandidate *item = &graph->recall->candidates[i];

		if (item->hops != 1 || !item->is_live)
			continue;
		if (item->has_subject)
			reach(graph, &item->subject, 1);
		if (item->has_object)
			reach(graph, &item->object, 1);
	}
}

void
memai_gather_linked(Recall *recall)
{
	for (int i = 0; i < recall->nlinks; i++)
	{
		RecallCandidate *from = &recall->candidates[recall->links[i].from];
		RecallCandidate *to = &recall->candidates[recall->links[i].to];

		if (from->hops == 1 && to->hops == 0)
			to->hops = 2;
		if (to->hops == 1 && from->hops == 0)
			from->hops = 2;
	}
}

static HTAB *
make_table(const char *name, Size entry_size)
{
	HASHCTL		control = {.keysize = UUID_LEN,.entrysize = entry_size,.hcxt = CurrentMemoryContext};

	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
memai_gather_graph(Recall *recall)
{
	Graph		graph = {.recall = recall};

	if (recall->nterms == 0 || (recall->population == 0 && !has_triplets(recall)))
		return;
	graph.reached = make_table("memai memory graph", sizeof(Reached));
	graph.aliases = make_table("memai memory aliases", sizeof(EntityAlias));
	if (reach_named(&graph))
	{
		mark_memories(&graph, 0);
		reach_neighbours(&graph);
		mark_memories(&graph, 1);
	}
	hash_destroy(graph.aliases);
	hash_destroy(graph.reached);
}
