/*
 * fact_sql.c
 *	  memai.remember, remember_triplet, supersede and revise: arguments and
 *	  results of fact.c in SQL; entities.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"

/* remember's arguments after content, in this order; remember_triplet's too */
enum
{
	ARG_USER_ID,
	ARG_NAMESPACE,
	ARG_METADATA,
	ARG_CATEGORY,
	ARG_SLOT,
	ARG_VALID_AT,
	ARG_MEMORY_TYPE,
	ARG_IMPORTANCE,
	ARG_CONFIDENCE,
	ARG_PROVENANCE,
	ARG_EXPIRES_AT,
	ARG_SOURCES,
	ARG_DEPENDS_ON,
	ARG_OR_SIMILAR,
	ARG_LANGUAGE
};

static MemaiStatement upsert_entity = {
	.sql = "INSERT INTO memai.entity (tenant, user_id, namespace, scope, name) VALUES ($1, $2, $3, $4, $5) "
	"ON CONFLICT (scope, lower(name)) DO UPDATE SET name = entity.name RETURNING id",
	.nargs = 5,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_remember);
PG_FUNCTION_INFO_V1(memai_remember_triplet);
PG_FUNCTION_INFO_V1(memai_supersede);
PG_FUNCTION_INFO_V1(memai_revise);

/* ---- arguments ---- */

static text *
label_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	text	   *label;

	if (PG_ARGISNULL(argument))
		return NULL;
	label = PG_GETARG_TEXT_PP(argument);
	if (VARSIZE_ANY_EXHDR(label) == 0 || VARSIZE_ANY_EXHDR(label) > MEMAI_KEY_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have 1 to %d bytes", name, MEMAI_KEY_MAX_LENGTH),
				 errhint("It is a short name, such as home.city; NULL leaves it out.")));
	return label;
}

/* one of a few words */
static text *
choice_argument(FunctionCallInfo fcinfo, int argument, const char *name, const char *const *choices, const char *hint)
{
	char	   *value = PG_ARGISNULL(argument) ? unconstify(char *, choices[0]) : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	for (int i = 0; choices[i] != NULL; i++)
	{
		if (strcmp(choices[i], value) == 0)
			return cstring_to_text(value);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s", name),
			 errhint("It is one of %s.", hint)));
}

static float4
share_argument(FunctionCallInfo fcinfo, int argument, const char *name, float4 default_value)
{
	float8		value = PG_ARGISNULL(argument) ? default_value : PG_GETARG_FLOAT8(argument);

	if (!(value >= 0 && value <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range", name),
				 errdetail("The range is 0 to 1.")));
	return (float4) value;
}

/* the default, or the argument, which must be finite */
static TimestampTz
time_argument(FunctionCallInfo fcinfo, int argument, const char *name, TimestampTz default_value)
{
	TimestampTz value;

	if (PG_ARGISNULL(argument))
		return default_value;
	value = PG_GETARG_TIMESTAMPTZ(argument);
	if (TIMESTAMP_NOT_FINITE(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be finite", name),
				 errhint("Leave it out when the statement is true from now on.")));
	return value;
}

static ArrayType *
ids_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	ArrayType  *ids;

	if (PG_ARGISNULL(argument))
		return NULL;
	ids = PG_GETARG_ARRAYTYPE_P(argument);
	if (array_contains_nulls(ids))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain nulls", name)));
	return ids;
}

/* the arguments that start with user_id at the position first */
static void
read_fact(FunctionCallInfo fcinfo, int first, MemaiScope *scope, MemaiFact *fact)
{
	static const char *const types[] = {"semantic", "episodic", "procedural", NULL};
	MemaiPiiPolicy policy;
	static const char *const provenances[] = {"user", "assistant", "tool", "document", "inference", "import", NULL};

	memai_scope_resolve(scope, PG_ARGISNULL(first + ARG_USER_ID) ? NULL : PG_GETARG_TEXT_PP(first + ARG_USER_ID),
						PG_ARGISNULL(first + ARG_NAMESPACE) ? NULL : PG_GETARG_TEXT_PP(first + ARG_NAMESPACE));
	fact->scope = scope;
	memai_pii_policy(&policy);
	fact->content = memai_pii_clean(&policy, "content", fact->content);
	fact->metadata = PG_ARGISNULL(first + ARG_METADATA) ? NULL : PG_GETARG_JSONB_P(first + ARG_METADATA);
	memai_check_metadata(fact->metadata);
	fact->metadata = memai_pii_clean_jsonb(&policy, "metadata", fact->metadata);
	fact->category = label_argument(fcinfo, first + ARG_CATEGORY, "category");
	if (fact->category == NULL)
		fact->category = cstring_to_text("fact");
	fact->slot = memai_pii_clean(&policy, "slot", label_argument(fcinfo, first + ARG_SLOT, "slot"));
	fact->valid_at = time_argument(fcinfo, first + ARG_VALID_AT, "valid_at", GetCurrentTransactionStartTimestamp());
	fact->invalid_at = DT_NOEND;
	fact->memory_type = choice_argument(fcinfo, first + ARG_MEMORY_TYPE, "memory_type", types,
										"semantic, episodic and procedural");
	fact->importance = share_argument(fcinfo, first + ARG_IMPORTANCE, "importance", 0.5);
	fact->confidence = share_argument(fcinfo, first + ARG_CONFIDENCE, "confidence", 1.0);
	fact->provenance = choice_argument(fcinfo, first + ARG_PROVENANCE, "provenance", provenances,
									   "user, assistant, tool, document, inference and import");
	fact->expires_at = time_argument(fcinfo, first + ARG_EXPIRES_AT, "expires_at", DT_NOEND);
	fact->sources = ids_argument(fcinfo, first + ARG_SOURCES, "sources");
	fact->depends_on = ids_argument(fcinfo, first + ARG_DEPENDS_ON, "depends_on");
	fact->or_similar = !PG_ARGISNULL(first + ARG_OR_SIMILAR) && PG_GETARG_BOOL(first + ARG_OR_SIMILAR);
	fact->has_language = !PG_ARGISNULL(first + ARG_LANGUAGE);
	if (fact->has_language)
		fact->language = memai_text_language_argument(PG_GETARG_TEXT_PP(first + ARG_LANGUAGE));
}

static Datum
return_id(const pg_uuid_t *id)
{
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	*result = *id;
	return UUIDPGetDatum(result);
}

/* remember(content text, ... as the enum says) returns uuid */
Datum
memai_remember(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	MemaiFact	fact = {.content = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0)};

	memai_check_content("content", fact.content);
	read_fact(fcinfo, 1, &scope, &fact);
	SPI_connect();
	memai_fact_remember(&fact);
	SPI_finish();
	return return_id(&fact.id);
}

/* ---- triplets ---- */

static void
find_entity(const MemaiScope *scope, text *name, pg_uuid_t *id)
{
	Datum		values[5];
	bool		null;

	memai_scope_values(scope, values);
	values[4] = PointerGetDatum(name);
	memai_statement_run(&upsert_entity, values, NULL, false, 0);
	*id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	SPI_freetuptable(SPI_tuptable);
}

static text *
join_words(const text *a, const text *b, const text *c)
{
	StringInfoData joined;

	initStringInfo(&joined);
	appendBinaryStringInfo(&joined, VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a));
	appendStringInfoChar(&joined, ' ');
	for (int i = 0; i < (int) VARSIZE_ANY_EXHDR(b); i++)
		appendStringInfoChar(&joined, VARDATA_ANY(b)[i] == '_' ? ' ' : VARDATA_ANY(b)[i]);
	appendStringInfoChar(&joined, ' ');
	appendBinaryStringInfo(&joined, VARDATA_ANY(c), VARSIZE_ANY_EXHDR(c));
	return cstring_to_text_with_len(joined.data, joined.len);
}

/* remember_triplet(subject text, predicate text, object text, content text, ... as the enum says) returns uuid */
Datum
memai_remember_triplet(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"subject", "predicate", "object"};
	text	   *words[3];
	MemaiPiiPolicy policy;
	MemaiScope	scope;
	MemaiFact	fact = {.has_triplet = true};

	memai_pii_policy(&policy);
	for (int i = 0; i < 3; i++)
	{
		words[i] = memai_pii_clean(&policy, names[i], label_argument(fcinfo, i, names[i]));
		if (words[i] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names[i])));
	}
	fact.predicate = words[1];
	fact.content = PG_ARGISNULL(3) ? join_words(words[0], words[1], words[2]) : PG_GETARG_TEXT_PP(3);
	memai_check_content("content", fact.content);
	read_fact(fcinfo, 4, &scope, &fact);
	memai_fact_embed(&fact);
	SPI_connect();
	find_entity(&scope, words[0], &fact.subject_id);
	find_entity(&scope, words[2], &fact.object_id);
	memai_fact_remember(&fact);
	SPI_finish();
	return return_id(&fact.id);
}

/* ---- replacing ---- */

static MemaiLiveFact *
need_live(const MemaiScope *scope, FunctionCallInfo fcinfo)
{
	MemaiLiveFact *old = memai_fact_find(scope, PG_GETARG_UUID_P(0));

	if (old == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there is no live memory with this id"),
				 errhint("Memories that were superseded or forgotten stay as they are; remember a new one.")));
	return old;
}

/* what both functions start with: id, content, user_id, namespace, reason */
static void
read_replacement(FunctionCallInfo fcinfo, MemaiScope *scope, MemaiFact *fact, text **reason)
{
	MemaiPiiPolicy policy;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("id must not be null")));
	fact->content = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	memai_check_content("content", fact->content);
	memai_scope_resolve(scope, PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2),
						PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3));
	memai_pii_policy(&policy);
	fact->content = memai_pii_clean(&policy, "content", fact->content);
	*reason = memai_pii_clean(&policy, "reason", PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	fact->scope = scope;
	fact->invalid_at = DT_NOEND;
}

static void
replace(MemaiFact *fact, const MemaiLiveFact *old, bool correct, const text *reason)
{
	fact->category = old->category;
	fact->memory_type = old->memory_type;
	fact->provenance = cstring_to_text("user");
	fact->slot = old->slot;
	fact->importance = old->importance;
	fact->confidence = 1.0;
	fact->expires_at = old->expires_at;
	if (correct)
		fact->metadata = old->metadata;
	memai_fact_replace(fact, old, correct, reason);
}

/*
 * supersede(id uuid, content text, user_id text, namespace text, reason text,
 * valid_at timestamptz) returns uuid
 */
Datum
memai_supersede(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	MemaiFact	fact = {0};
	MemaiLiveFact *old;
	text	   *reason;

	read_replacement(fcinfo, &scope, &fact, &reason);
	fact.valid_at = time_argument(fcinfo, 5, "valid_at", GetCurrentTransactionStartTimestamp());
	memai_fact_embed(&fact);
	SPI_connect();
	old = need_live(&scope, fcinfo);
	if (fact.valid_at < old->valid_at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("valid_at is before the time since when the old memory is true"),
				 errdetail("The old memory is true since %s.", timestamptz_to_str(old->valid_at))));
	replace(&fact, old, false, reason);
	SPI_finish();
	return return_id(&fact.id);
}

/* revise(id uuid, content text, user_id text, namespace text, reason text) returns uuid */
Datum
memai_revise(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	MemaiFact	fact = {0};
	MemaiLiveFact *old;
	text	   *reason;

	read_replacement(fcinfo, &scope, &fact, &reason);
	memai_fact_embed(&fact);
	SPI_connect();
	old = need_live(&scope, fcinfo);
	fact.valid_at = old->valid_at;
	replace(&fact, old, true, reason);
	SPI_finish();
	return return_id(&fact.id);
}
