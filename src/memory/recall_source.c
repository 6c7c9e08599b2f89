/*
 * recall_source.c
 *	  Whose word candidates of a recall are: a limit on what one source may have
 *	  of the result.
 *
 * The source of an episode is its conversation, that of a memory the
 * conversation that it was taken from, or else whoever said it: all tools are
 * one source, for one.  What users said outside of any conversation has none and is never
 * limited.  Conversations of memories are read for the best of the ranking
 * only, as the choice comes to them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* so many of the ranking are looked up at once, then twice as many */
#define FIRST_SOURCES 32

static MemaiStatement select_conversations = {
	.sql = "SELECT wanted_id, c.thread_id FROM unnest($2) AS wanted (wanted_id), LATERAL (SELECT e.thread_id FROM memai.memory_source s "
	"JOIN memai.episode e ON e.scope = s.scope AND e.id = s.episode_id "
	"WHERE s.scope = $1 AND s.memory_id = wanted_id ORDER BY s.episode_id LIMIT 1) c WHERE c.thread_id IS NOT NULL",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDARRAYOID},
};

void
memai_source_from_word(RecallCandidate *candidate, const text *provenance)
{
	char	   *word = text_to_cstring(provenance);

	candidate->source_kind = RECALL_SOURCE_UNREAD;
	memset(&candidate->source, 0, sizeof(candidate->source));
	if (strcmp(word, "user") != 0)
		memcpy(&candidate->source, word, Min(strlen(word), UUID_LEN));
	candidate->is_word_of_other = strcmp(word, "tool") == 0 || strcmp(word, "assistant") == 0;
	pfree(word);
}

static bool
has_word(const RecallCandidate *candidate)
{
	return candidate->source.data[0] != '\0';
}

/* Notes what select_conversations found; wanted are the candidates that it was asked about. */
static void
note_conversations(Recall *recall, int nwanted, const int *wanted, uint64 nfound)
{
	for (int i = 0; i < nwanted; i++)
	{
		RecallCandidate *candidate = &recall->candidates[wanted[i]];

		candidate->source_kind = has_word(candidate) ? RECALL_SOURCE_WORD : RECALL_SOURCE_NONE;
		for (uint64 row = 0; row < nfound; row++)
		{
			HeapTuple	found = SPI_tuptable->vals[row];
			bool		null;

			if (memcmp(DatumGetUUIDP(SPI_getbinval(found, SPI_tuptable->tupdesc, 1, &null)), &candidate->id, UUID_LEN) != 0)
				continue;
			candidate->source = *DatumGetUUIDP(SPI_getbinval(found, SPI_tuptable->tupdesc, 2, &null));
			candidate->source_kind = RECALL_SOURCE_THREAD;
			break;
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

void
memai_source_read(Recall *recall, int first, int nranked, const int *ranked)
{
	int			max = Max(FIRST_SOURCES, first);
	int		   *wanted = palloc(sizeof(int) * max);
	Datum	   *ids = palloc(sizeof(Datum) * max);
	int			n = 0;
	Datum		values[2] = {Int64GetDatum(recall->query->scope->scope)};

	for (int i = first; i < nranked && n < max; i++)
	{
		int			chosen = memai_gather_successor(recall, ranked[i]);

		if (chosen < 0 || recall->candidates[chosen].source_kind != RECALL_SOURCE_UNREAD)
			continue;
		/* of two that stand for one the first is enough */
		recall->candidates[chosen].source_kind = RECALL_SOURCE_NONE;
		ids[n] = UUIDPGetDatum(&recall->candidates[chosen].id);
		wanted[n++] = chosen;
	}
	values[1] = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	note_conversations(recall, n, wanted, memai_statement_run(&select_conversations, values, NULL, true, 0));
	pfree(wanted);
	pfree(ids);
}

bool
memai_source_is_same(const RecallCandidate *a, const RecallCandidate *b)
{
	return a->source_kind == b->source_kind && a->source_kind > RECALL_SOURCE_UNREAD &&
		memcmp(&a->source, &b->source, UUID_LEN) == 0;
}
