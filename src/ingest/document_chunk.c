/*
 * document_chunk.c
 *	  Replacing the stored chunks of a document by those of its content, in one
 *	  transaction: recall sees all of the old ones or all of the new ones.
 *
 * A chunk is known by a hash of what is embedded, which is its headings and its
 * text.  A stored chunk that the new content has too keeps its episode with
 * terms and vectors; at most its time and metadata change.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "ingest/ingest_int.h"
#include "mb/pg_wchar.h"
#include "memory/memory.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

/* rows of one statement */
#define SLICE 1000
#define SEPARATOR " > "

static MemaiStatement select_stored = {
	"SELECT c.content_hash, c.episode_id, e.occurred_at, e.metadata FROM memai.document_chunk c "
	"JOIN memai.episode e ON e.scope = c.scope AND e.id = c.episode_id WHERE c.scope = $1 AND c.document_id = $2",
	2, {INT8OID, UUIDOID}, NULL
};
static MemaiStatement delete_places = {
	"DELETE FROM memai.document_chunk WHERE scope = $1 AND document_id = $2", 2, {INT8OID, UUIDOID}, NULL
};
static MemaiStatement delete_episodes = {
	"DELETE FROM memai.episode WHERE scope = $1 AND id = ANY ($2)", 2, {INT8OID, UUIDARRAYOID}, NULL
};
static MemaiStatement update_episodes = {
	"UPDATE memai.episode e SET occurred_at = u.occurred_at, metadata = u.metadata "
	"FROM ROWS FROM (unnest($2), unnest($3), unnest($4)) AS u (id, occurred_at, metadata) WHERE e.scope = $1 AND e.id = u.id",
	4, {INT8OID, UUIDARRAYOID, TIMESTAMPTZARRAYOID, JSONBARRAYOID}, NULL
};
static MemaiStatement insert_places = {
	"INSERT INTO memai.document_chunk (tenant, user_id, namespace, scope, document_id, seq, episode_id, heading, start_pos, end_pos, content_hash) "
	"SELECT $1, $2, $3, $4, $5, u.* FROM ROWS FROM (unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), unnest($11)) AS u",
	11, {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, INT4ARRAYOID, UUIDARRAYOID, TEXTARRAYOID, INT4ARRAYOID, INT4ARRAYOID, UUIDARRAYOID}, NULL
};

/* a chunk of the content */
typedef struct Chunk
{
	text	   *content;
	text	   *heading;		/* NULL: none */
	text	   *name;			/* title and headings; NULL: none */
	pg_uuid_t	hash;
	pg_uuid_t	episode_id;
	bool		is_stored;
	int			start_pos;
	int			end_pos;
} Chunk;

/* a chunk that is stored */
typedef struct Stored
{
	pg_uuid_t	hash;
	pg_uuid_t	episode_id;
	TimestampTz occurred_at;
	Jsonb	   *metadata;
	int			nused;			/* of a run of equals: how many; kept in its
								 * first */
	bool		is_used;
} Stored;

typedef struct Replacement
{
	const MemaiScope *scope;
	const MemaiDocument *document;
	int			nchunks;
	Chunk	   *chunks;
	int			nstored;
	Stored	   *stored;			/* sorted by hash */
} Replacement;

/* ---- the chunks of the content ---- */

/*
 * Under what a chunk is found, with its text: the title, unless the headings
 * begin with it, and the headings.
 */
static text *
chunk_name(const text *title, const text *heading)
{
	StringInfoData name;
	int			title_len = title ? VARSIZE_ANY_EXHDR(title) : 0;
	bool		repeats = heading != NULL && title != NULL && (int) VARSIZE_ANY_EXHDR(heading) >= title_len &&
	memcmp(VARDATA_ANY(heading), VARDATA_ANY(title), title_len) == 0;

	initStringInfo(&name);
	if (title != NULL && !repeats)
		appendBinaryStringInfo(&name, VARDATA_ANY(title), title_len);
	if (heading != NULL)
		appendStringInfo(&name, "%s%.*s", name.len > 0 ? SEPARATOR : "", (int) VARSIZE_ANY_EXHDR(heading), VARDATA_ANY(heading));
	if (name.len == 0)
		return NULL;
	return cstring_to_text_with_len(name.data, pg_mbcliplen(name.data, name.len, MEMAI_KEY_MAX_LENGTH));
}

static pg_uuid_t
chunk_hash(const Chunk *chunk)
{
	uint64		halves[2];
	pg_uuid_t	hash;

	for (int i = 0; i < 2; i++)
	{
		uint64		seed = chunk->name ? memai_hash64(VARDATA_ANY(chunk->name), VARSIZE_ANY_EXHDR(chunk->name), i + 1) : (uint64) i;

		halves[i] = memai_hash64(VARDATA_ANY(chunk->content), VARSIZE_ANY_EXHDR(chunk->content), seed);
	}
	for (int i = 0; i < UUID_LEN; i++)
		hash.data[i] = (unsigned char) (halves[i / 8] >> (8 * (i % 8)));
	return hash;
}

static void
make_chunks(Replacement *replacement)
{
	const MemaiDocument *document = replacement->document;
	int			capacity = 64;
	MemaiChunker chunker;
	MemaiChunk	span;

	replacement->chunks = palloc(sizeof(Chunk) * capacity);
	memai_chunker_start(&chunker, document->utf8, document->len, &document->how);
	while (memai_chunker_next(&chunker, &span))
	{
		Chunk	   *chunk;

		CHECK_FOR_INTERRUPTS();
		if (replacement->nchunks == MEMAI_DOCUMENT_MAX_CHUNKS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("document has too many chunks"),
					 errdetail("The limit is %d.", MEMAI_DOCUMENT_MAX_CHUNKS),
					 errhint("Use a larger size in chunking, or add the document in parts.")));
		if (replacement->nchunks == capacity)
		{
			capacity *= 2;
			replacement->chunks = repalloc(replacement->chunks, sizeof(Chunk) * capacity);
		}
		chunk = &replacement->chunks[replacement->nchunks++];
		memset(chunk, 0, sizeof(Chunk));
		chunk->content = memai_text_from_utf8(document->utf8 + span.span.start, span.span.len);
		chunk->heading = memai_chunk_heading(document->utf8, &span);
		chunk->name = chunk_name(document->title, chunk->heading);
		chunk->hash = chunk_hash(chunk);
		chunk->start_pos = (int) (span.first_char + 1);
		chunk->end_pos = (int) (span.first_char + span.nchars);
	}
}

/* ---- those that are stored ---- */

static int
compare_stored(const void *left, const void *right)
{
	return memcmp(&((const Stored *) left)->hash, &((const Stored *) right)->hash, UUID_LEN);
}

static Datum
column(uint64 row, int number)
{
	bool		null;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &null);
}

static void
read_stored(Replacement *replacement)
{
	Datum		values[2] = {Int64GetDatum(replacement->scope->scope), UUIDPGetDatum(&replacement->document->id)};
	uint64		n = memai_statement_run(&select_stored, values, NULL, false, 0);

	replacement->nstored = (int) n;
	replacement->stored = palloc0(sizeof(Stored) * Max(n, 1));
	for (uint64 row = 0; row < n; row++)
	{
		Stored	   *stored = &replacement->stored[row];

		CHECK_FOR_INTERRUPTS();
		stored->hash = *DatumGetUUIDP(column(row, 1));
		stored->episode_id = *DatumGetUUIDP(column(row, 2));
		stored->occurred_at = DatumGetTimestampTz(column(row, 3));
		stored->metadata = DatumGetJsonbPCopy(column(row, 4));
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(replacement->stored, n, sizeof(Stored), compare_stored);
}

/* The first stored chunk of a hash that is not used yet, or NULL; it is used from now on. */
static Stored *
use_stored(Replacement *replacement, const pg_uuid_t *hash)
{
	int			low = 0;
	int			high = replacement->nstored;
	Stored	   *first;
	int			position;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (memcmp(&replacement->stored[middle].hash, hash, UUID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == replacement->nstored)
		return NULL;
	first = &replacement->stored[low];
	position = low + first->nused;
	if (position >= replacement->nstored || memcmp(&replacement->stored[position].hash, hash, UUID_LEN) != 0)
		return NULL;
	first->nused++;
	replacement->stored[position].is_used = true;
	return &replacement->stored[position];
}

/* ---- what an episode of a chunk carries ---- */

static void
push_text(JsonbParseState **state, const char *key, const text *value)
{
	JsonbValue	item;

	if (value == NULL)
		return;
	item.type = jbvString;
	item.val.string.val = unconstify(char *, key);
	item.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &item);
	item.val.string.val = VARDATA_ANY(value);
	item.val.string.len = VARSIZE_ANY_EXHDR(value);
	pushJsonbValue(state, WJB_VALUE, &item);
}

/* the document's metadata, and what a reader needs to cite the chunk */
static Jsonb *
chunk_metadata(const MemaiDocument *document, const Chunk *chunk)
{
	JsonbParseState *state = NULL;
	Jsonb	   *cited;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, "title", document->title);
	push_text(&state, "source_uri", document->source_uri);
	push_text(&state, "heading", chunk->heading);
	cited = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(document->metadata), JsonbPGetDatum(cited)));
}

/* chunks are in the order of their times: a microsecond each */
static TimestampTz
chunk_time(const MemaiDocument *document, int position)
{
	return document->created_at + position;
}

static Datum
uuid_array(Datum *ids, int n)
{
	return PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* Finds the stored chunks that stay; those whose place or metadata differ are updated. */
static void
keep_stored(Replacement *replacement)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(replacement->nchunks, 1));
	Datum	   *times = palloc(sizeof(Datum) * Max(replacement->nchunks, 1));
	Datum	   *metadata = palloc(sizeof(Datum) * Max(replacement->nchunks, 1));
	int			n = 0;
	Datum		values[4];

	for (int i = 0; i < replacement->nchunks; i++)
	{
		Chunk	   *chunk = &replacement->chunks[i];
		Stored	   *stored = use_stored(replacement, &chunk->hash);
		Jsonb	   *wanted;

		CHECK_FOR_INTERRUPTS();
		if (stored == NULL)
			continue;
		chunk->is_stored = true;
		chunk->episode_id = stored->episode_id;
		wanted = chunk_metadata(replacement->document, chunk);
		if (stored->occurred_at == chunk_time(replacement->document, i) &&
			compareJsonbContainers(&stored->metadata->root, &wanted->root) == 0)
			continue;
		ids[n] = UUIDPGetDatum(&chunk->episode_id);
		times[n] = TimestampTzGetDatum(chunk_time(replacement->document, i));
		metadata[n++] = JsonbPGetDatum(wanted);
	}
	if (n == 0)
		return;
	values[0] = Int64GetDatum(replacement->scope->scope);
	values[1] = uuid_array(ids, n);
	values[2] = PointerGetDatum(construct_array(times, n, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = PointerGetDatum(construct_array(metadata, n, JSONBOID, -1, false, TYPALIGN_INT));
	memai_statement_run(&update_episodes, values, NULL, false, 0);
}

static void
delete_stored(const Replacement *replacement)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(replacement->nstored, 1));
	int			n = 0;
	Datum		values[2] = {Int64GetDatum(replacement->scope->scope), UUIDPGetDatum(&replacement->document->id)};

	memai_statement_run(&delete_places, values, NULL, false, 0);
	for (int i = 0; i < replacement->nstored; i++)
	{
		if (!replacement->stored[i].is_used)
			ids[n++] = UUIDPGetDatum(&replacement->stored[i].episode_id);
	}
	if (n == 0)
		return;
	values[1] = uuid_array(ids, n);
	memai_statement_run(&delete_episodes, values, NULL, false, 0);
}

/* ---- new ones ---- */

/* Stores the episodes of the chunks from *next on that have none, a slice of them. */
static void
insert_slice(const Replacement *replacement, int *next, bool embed)
{
	MemaiEpisode *episodes = palloc0(sizeof(MemaiEpisode) * SLICE);
	Chunk	  **chunks = palloc(sizeof(Chunk *) * SLICE);
	text	   *role = cstring_to_text("document");
	int			n = 0;

	for (; *next < replacement->nchunks && n < SLICE; (*next)++)
	{
		Chunk	   *chunk = &replacement->chunks[*next];

		if (chunk->is_stored)
			continue;
		chunks[n] = chunk;
		episodes[n++] = (MemaiEpisode) {
			.role = role, .name = chunk->name, .content = chunk->content,
			.metadata = chunk_metadata(replacement->document, chunk),
			.occurred_at = chunk_time(replacement->document, *next)
		};
	}
	memai_chunks_store(replacement->scope, &replacement->document->id, embed, n, episodes);
	for (int i = 0; i < n; i++)
		chunks[i]->episode_id = episodes[i].id;
}

static void
insert_places_slice(const Replacement *replacement, int first, int n)
{
	Datum	   *seq = palloc(sizeof(Datum) * n);
	Datum	   *ids = palloc(sizeof(Datum) * n);
	Datum	   *headings = palloc(sizeof(Datum) * n);
	bool	   *no_heading = palloc(sizeof(bool) * n);
	Datum	   *start = palloc(sizeof(Datum) * n);
	Datum	   *end = palloc(sizeof(Datum) * n);
	Datum	   *hashes = palloc(sizeof(Datum) * n);
	Datum		values[11];
	int			lower_bound = 1;

	for (int i = 0; i < n; i++)
	{
		const Chunk *chunk = &replacement->chunks[first + i];

		seq[i] = Int32GetDatum(first + i + 1);
		ids[i] = UUIDPGetDatum(&chunk->episode_id);
		headings[i] = PointerGetDatum(chunk->heading);
		no_heading[i] = chunk->heading == NULL;
		start[i] = Int32GetDatum(chunk->start_pos);
		end[i] = Int32GetDatum(chunk->end_pos);
		hashes[i] = UUIDPGetDatum(&chunk->hash);
	}
	memai_scope_values(replacement->scope, values);
	values[4] = UUIDPGetDatum(&replacement->document->id);
	values[5] = PointerGetDatum(construct_array(seq, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[6] = uuid_array(ids, n);
	values[7] = PointerGetDatum(construct_md_array(headings, no_heading, 1, &n, &lower_bound, TEXTOID, -1, false, TYPALIGN_INT));
	values[8] = PointerGetDatum(construct_array(start, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[9] = PointerGetDatum(construct_array(end, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[10] = uuid_array(hashes, n);
	memai_statement_run(&insert_places, values, NULL, false, 0);
}

int
memai_document_chunk(const MemaiScope *scope, const MemaiDocument *document, bool embed)
{
	MemoryContext slice_context = AllocSetContextCreate(CurrentMemoryContext, "memai ingest slice", ALLOCSET_DEFAULT_SIZES);
	Replacement replacement = {.scope = scope, .document = document};
	MemoryContext previous;

	make_chunks(&replacement);
	read_stored(&replacement);
	keep_stored(&replacement);
	delete_stored(&replacement);
	previous = MemoryContextSwitchTo(slice_context);
	for (int next = 0; next < replacement.nchunks;)
	{
		CHECK_FOR_INTERRUPTS();
		insert_slice(&replacement, &next, embed);
		MemoryContextReset(slice_context);
	}
	for (int first = 0; first < replacement.nchunks; first += SLICE)
	{
		CHECK_FOR_INTERRUPTS();
		insert_places_slice(&replacement, first, Min(SLICE, replacement.nchunks - first));
		MemoryContextReset(slice_context);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(slice_context);
	return replacement.nchunks;
}
