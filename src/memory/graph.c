/*
 * graph.c
 *	  The entities that a question names, and what is known of them: memories
 *	  that are one or two steps away.
 *
 * An entity is named when all words of its name are words of the question, a
 * genitive's s or 's aside.  A memory with such a subject or object is one step away; its other end leads
 * one step further, and so do its links to other memories.
 *
 * Reads one table, and only where the scope has triplets.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#define FETCH_ROWS 1000

static MemaiStatement select_entities = {
	.sql = "SELECT id, name FROM memai.entity WHERE scope = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
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

/* ---- steps ---- */

static void
reach(HTAB *reached, const pg_uuid_t *id, int steps)
{
	bool		found;
	Reached    *entity = hash_search(reached, id, HASH_ENTER, &found);

	if (!found)
		entity->steps = steps;
}

static bool
is_reached(HTAB *reached, bool has_id, const pg_uuid_t *id, int steps)
{
	Reached    *entity = has_id ? hash_search(reached, id, HASH_FIND, NULL) : NULL;

	return entity != NULL && entity->steps == steps;
}

/* Reaches the entities that the question names; false when there is none. */
static bool
reach_named(const Recall *recall, HTAB *reached)
{
	Datum		value = Int64GetDatum(recall->query->scope->scope);
	Portal		portal = memai_statement_open(&select_entities, &value, NULL);
	bool		found = false;
	QuestionWords words;

	read_words(recall->query->query, &words);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[row];
			bool		null;

			CHECK_FOR_INTERRUPTS();
			if (!has_name(&words, DatumGetTextPP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &null))))
				continue;
			reach(reached, DatumGetUUIDP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null)), 0);
			found = true;
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	return found;
}

/* Marks the memories at entities that took so many steps. */
static void
mark_memories(Recall *recall, HTAB *reached, int steps)
{
	for (int i = 0; i < recall->ncandidates; i++)
	{
		RecallCandidate *item = &recall->candidates[i];

		if (item->hops == 0 && (is_reached(reached, item->has_subject, &item->subject, steps) ||
								is_reached(reached, item->has_object, &item->object, steps)))
			item->hops = (uint8) (steps + 1);
	}
}

/* Reaches the other ends of the memories one step away. */
static void
reach_neighbours(const Recall *recall, HTAB *reached)
{
	for (int i = 0; i < recall->ncandidates; i++)
	{
		const RecallCandidate *item = &recall->candidates[i];

		if (item->hops != 1 || !item->is_live)
			continue;
		if (item->has_subject)
			reach(reached, &item->subject, 1);
		if (item->has_object)
			reach(reached, &item->object, 1);
	}
}

/* Marks what is linked to the memories one step away. */
static void
mark_linked(Recall *recall)
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

void
memai_gather_graph(Recall *recall)
{
	HASHCTL		control = {.keysize = UUID_LEN,.entrysize = sizeof(Reached),.hcxt = CurrentMemoryContext};
	HTAB	   *reached;

	if (recall->nterms == 0 || !has_triplets(recall))
		return;
	reached = hash_create("memai memory graph", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (reach_named(recall, reached))
	{
		mark_memories(recall, reached, 0);
		reach_neighbours(recall, reached);
		mark_memories(recall, reached, 1);
		mark_linked(recall);
	}
	hash_destroy(reached);
}
