/*
 * item.c
 *	  What episodes and memories have in common: checks of their texts, the
 *	  text under which they are found, their vectors.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "vector/vector.h"

static MemaiStatement insert_embeddings = {
	.sql = "INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, episode_id, memory_id, embedding) "
	"SELECT $1, $2, $3, $4, $5, e.episode_id, e.memory_id, e.embedding "
	"FROM ROWS FROM (unnest($6), unnest($7), unnest($8)) AS e (episode_id, memory_id, embedding)",
};

/*
 * For items that were stored before: those that are gone by now are left out,
 * the others stay until this transaction ends.
 */
static MemaiStatement insert_missing_embeddings = {
	.sql = "INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, episode_id, memory_id, embedding) "
	"SELECT $1, $2, $3, $4, $5, e.episode_id, e.memory_id, e.embedding "
	"FROM ROWS FROM (unnest($6), unnest($7), unnest($8)) AS e (episode_id, memory_id, embedding), LATERAL ("
	"SELECT FROM (SELECT FROM memai.episode i WHERE e.episode_id IS NOT NULL AND i.scope = $4 AND i.id = e.episode_id FOR KEY SHARE) x "
	"UNION ALL SELECT FROM (SELECT FROM memai.memory i WHERE e.memory_id IS NOT NULL AND i.scope = $4 AND i.id = e.memory_id FOR KEY SHARE) x) i "
	"ON CONFLICT DO NOTHING",
};

/* share of common stems from which statements are compared word by word */
#define WORDS_MIN_OVERLAP 0.2

PG_FUNCTION_INFO_V1(memai_same_claim);
PG_FUNCTION_INFO_V1(memai_statement_overlap);

void
memai_check_content(const char *name, const text *content)
{
	if (content == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 errhint("Pass a text, or do not make the call.")));
	if (VARSIZE_ANY_EXHDR(content) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name),
				 errhint("Pass a text of at least one character.")));
	if (VARSIZE_ANY_EXHDR(content) > MEMAI_CONTENT_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too long", name),
				 errdetail("It has %zu bytes, the limit is %d.",
						   (size_t) VARSIZE_ANY_EXHDR(content), MEMAI_CONTENT_MAX_LENGTH),
				 errhint("Split it into several parts.")));
}

void
memai_check_role(const text *role)
{
	static const char *const roles[] = {"user", "assistant", "system", "tool"};
	size_t		len = VARSIZE_ANY_EXHDR(role);

	for (size_t i = 0; i < lengthof(roles); i++)
	{
		if (strlen(roles[i]) == len && memcmp(roles[i], VARDATA_ANY(role), len) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid role \"%.*s\"",
					pg_mbcliplen(VARDATA_ANY(role), len, 40), VARDATA_ANY(role)),
			 errhint("A role is user, assistant, system or tool.")));
}

void
memai_check_metadata(const Jsonb *metadata)
{
	if (metadata != NULL && !JB_ROOT_IS_OBJECT(metadata))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metadata must be a JSON object"),
				 errhint("Write it like '{\"topic\": \"travel\"}'.")));
}

MemaiSpan
memai_search_text(const text *name, const text *content)
{
	MemaiSpan	span;
	StringInfoData joined;

	if (name == NULL)
	{
		span.data = VARDATA_ANY(content);
		span.len = VARSIZE_ANY_EXHDR(content);
		return span;
	}
	initStringInfo(&joined);
	appendBinaryStringInfo(&joined, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	appendStringInfoString(&joined, ": ");
	appendBinaryStringInfo(&joined, VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content));
	span.data = joined.data;
	span.len = joined.len;
	return span;
}

Datum
memai_item_terms(bool has_language, int language, const char *data, size_t len)
{
	return PointerGetDatum(has_language && language >= 0 ? memai_text_terms_in(language, data, len) : memai_text_terms(data, len));
}

bool
memai_days_of(const text *content, TimestampTz reference, MemaiDaySpan *days)
{
	size_t		len;
	const char *utf8 = memai_text_to_utf8(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), &len);
	int32		day;

	/* floor: times before 2000 are negative */
	day = (int32) ((reference >= 0 ? reference : reference - (USECS_PER_DAY - 1)) / USECS_PER_DAY);
	return memai_text_days(utf8, len, day + POSTGRES_EPOCH_JDATE, days);
}

Datum
memai_day_datum(int32 julian_day)
{
	return DateADTGetDatum(julian_day - POSTGRES_EPOCH_JDATE);
}

void
memai_scope_values(const MemaiScope *scope, Datum *values)
{
	values[0] = PointerGetDatum(scope->tenant);
	values[1] = PointerGetDatum(scope->user_id);
	values[2] = PointerGetDatum(scope->namespace);
	values[3] = Int64GetDatum(scope->scope);
}

/*
 * The vector type has its OID from CREATE EXTENSION; the plan may stem from
 * before the extension was dropped and created again.
 */
static void
set_embedding_arguments(MemaiStatement *statement)
{
	const Oid	types[] = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, UUIDARRAYOID, UUIDARRAYOID};
	Oid			vectors = memai_vector_array_type_oid();

	if (statement->plan != NULL && statement->argtypes[lengthof(types)] == vectors)
		return;
	memai_statement_forget(statement);
	statement->nargs = lengthof(types) + 1;
	memcpy(statement->argtypes, types, sizeof(types));
	statement->argtypes[lengthof(types)] = vectors;
}

/* one array of ids, and one of as many NULLs for the table they are not of */
static Datum
id_array(int nitems, const pg_uuid_t *const *ids)
{
	Datum	   *elements = palloc(sizeof(Datum) * nitems);
	bool	   *nulls = palloc(sizeof(bool) * nitems);
	int			lower_bound = 1;

	for (int i = 0; i < nitems; i++)
	{
		elements[i] = ids ? UUIDPGetDatum(ids[i]) : (Datum) 0;
		nulls[i] = (ids == NULL);
	}
	return PointerGetDatum(construct_md_array(elements, nulls, 1, &nitems, &lower_bound,
											  UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

static void
store_vectors(MemaiStatement *statement, const MemaiScope *scope, const char *model_name, bool is_memory, int nitems,
			  const pg_uuid_t *const *ids, MemaiVector *const *vectors)
{
	Datum	   *elements = palloc(sizeof(Datum) * nitems);
	Datum		values[8];

	for (int i = 0; i < nitems; i++)
		elements[i] = PointerGetDatum(vectors[i]);
	set_embedding_arguments(statement);
	memai_scope_values(scope, values);
	values[4] = CStringGetTextDatum(model_name);
	values[5] = id_array(nitems, is_memory ? NULL : ids);
	values[6] = id_array(nitems, is_memory ? ids : NULL);
	values[7] = PointerGetDatum(construct_array(elements, nitems, memai_vector_type_oid(),
												-1, false, TYPALIGN_INT));
	memai_statement_run(statement, values, NULL, false, 0);
}

void
memai_vectors_store(const MemaiScope *scope, const char *model_name, bool is_memory, int nitems,
					const pg_uuid_t *const *ids, MemaiVector *const *vectors)
{
	store_vectors(&insert_embeddings, scope, model_name, is_memory, nitems, ids, vectors);
}

void
memai_episode_set_vector(const MemaiScope *scope, const pg_uuid_t *id, const char *model, MemaiVector *vector)
{
	store_vectors(&insert_missing_embeddings, scope, model, false, 1, &id, &vector);
}

static void
store_slice(const MemaiScope *scope, const MemaiModelInfo *model, bool is_memory, int nitems,
			const pg_uuid_t *const *ids, const MemaiSpan *texts)
{
	MemaiVector **vectors = palloc(sizeof(MemaiVector *) * nitems);

	memai_model_embed(model, MEMAI_INPUT_DOCUMENT, nitems, texts, vectors);
	store_vectors(&insert_missing_embeddings, scope, model->name, is_memory, nitems, ids, vectors);
}

void
memai_embeddings_store(const MemaiScope *scope, const char *model_name, bool is_memory, int nitems,
					   const pg_uuid_t *const *ids, const MemaiSpan *texts)
{
	MemaiModelInfo *model = memai_model_lookup_for(scope, model_name, "embed");
	MemoryContext slice_context = AllocSetContextCreate(CurrentMemoryContext, "memai memory embed",
														ALLOCSET_DEFAULT_SIZES);

	for (int start = 0; start < nitems; start += MEMAI_EMBED_SLICE)
	{
		MemoryContext previous = MemoryContextSwitchTo(slice_context);

		CHECK_FOR_INTERRUPTS();
		store_slice(scope, model, is_memory, Min(MEMAI_EMBED_SLICE, nitems - start), ids + start, texts + start);
		MemoryContextSwitchTo(previous);
		MemoryContextReset(slice_context);
	}
	MemoryContextDelete(slice_context);
}

/* Jaccard overlap of stored terms */
static double
terms_overlap(bytea *a, bytea *b)
{
	MemaiTermsView left;
	MemaiTermsView right;
	uint32		common = 0;

	memai_terms_open((unsigned char *) VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a), &left);
	memai_terms_open((unsigned char *) VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b), &right);
	for (uint32 i = 0; i < left.nterms; i++)
		common += memai_terms_frequency(&right, memai_terms_hash(&left, i)) > 0;
	return common > 0 ? common / (double) (left.nterms + right.nterms - common) : 0;
}

static double
statement_overlap(text *a, text *b)
{
	int			language = memai_text_language(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a));
	MemaiQueryWord *left;
	MemaiQueryWord *right;
	int			nleft = memai_text_query_words(&language, VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a), &left);
	int			nright = memai_text_query_words(&language, VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b), &right);
	double		overlap = memai_text_overlap(nleft, left, nright, right);

	/* of many pairs in one query */
	pfree(left);
	pfree(right);
	return overlap;
}

/*
 * _statement_overlap(a_terms bytea, b_terms bytea, a text, b text) returns double precision: stable, strict.
 * All pairs of a scope are asked for: only what has some stems in common is worth its words.
 */
Datum
memai_statement_overlap(PG_FUNCTION_ARGS)
{
	double		overlap = terms_overlap(PG_GETARG_BYTEA_PP(0), PG_GETARG_BYTEA_PP(1));

	if (overlap >= WORDS_MIN_OVERLAP)
		overlap = statement_overlap(PG_GETARG_TEXT_PP(2), PG_GETARG_TEXT_PP(3));
	PG_RETURN_FLOAT8(overlap);
}

/* _same_claim(a text, b text) returns boolean: immutable, strict */
Datum
memai_same_claim(PG_FUNCTION_ARGS)
{
	text	   *a = PG_GETARG_TEXT_PP(0);
	text	   *b = PG_GETARG_TEXT_PP(1);
	size_t		a_len;
	size_t		b_len;
	const char *a_utf8 = memai_text_to_utf8(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a), &a_len);
	const char *b_utf8 = memai_text_to_utf8(VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b), &b_len);

	PG_RETURN_BOOL(memai_text_same_claim(a_utf8, a_len, b_utf8, b_len));
}
