/*
 * recall_sql.c
 *	  memai.recall, memai.recall_vector and memai.explain_recall: arguments
 *	  and results of recall.c in SQL.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#define DEFAULT_HALF_LIFE (30.0 * SECS_PER_DAY)
#define RESULT_COLUMNS 24

/* the arguments that the three functions share, in this order */
enum
{
	ARG_QUERY,					/* of recall_vector: the vector */
	ARG_USER_ID,
	ARG_NAMESPACE,
	ARG_K,
	ARG_FILTER,
	ARG_MIN_SCORE,
	ARG_MODEL,
	ARG_INCLUDE_ANSWERS,
	ARG_EXCLUDE_THREAD,
	ARG_AS_OF,
	ARG_KNOWN_AT,
	ARG_LAYER,
	ARG_CATEGORIES,
	ARG_RECENCY,
	ARG_HALF_LIFE,
	ARG_DIVERSITY,
	ARG_MAX_PER_THREAD,
	ARG_MAX_TOKENS,
	ARG_LANGUAGE,
	ARG_RERANK,					/* not of recall_vector */
	ARG_TEXT = ARG_RERANK		/* of recall_vector only: the question in
								 * words */
};

/* what the arguments are kept in */
typedef struct Arguments
{
	MemaiScope	scope;
	MemaiRecallQuery query;
	TimestampTz as_of;
	TimestampTz known_at;
} Arguments;

PG_FUNCTION_INFO_V1(memai_recall);
PG_FUNCTION_INFO_V1(memai_recall_vector);
PG_FUNCTION_INFO_V1(memai_explain_recall);

void
memai_check_k(int k)
{
	if (k < 1 || k > MEMAI_RECALL_MAX_K)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k is out of range: %d", k),
				 errdetail("The range is 1 to %d.", MEMAI_RECALL_MAX_K),
				 errhint("Pass the number of results wanted; 10 is the default.")));
}

/* ---- arguments ---- */

static MemaiRecency
recency_argument(const text *value)
{
	char	   *recency = text_to_cstring(value);

	if (strcmp(recency, "none") == 0)
		return MEMAI_RECENCY_NONE;
	if (strcmp(recency, "linear") == 0)
		return MEMAI_RECENCY_LINEAR;
	if (strcmp(recency, "exponential") == 0)
		return MEMAI_RECENCY_EXPONENTIAL;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid recency"),
			 errhint("It is none, linear or exponential.")));
}

static double
half_life_argument(const Interval *value)
{
	double		seconds = value->time / (double) USECS_PER_SEC +
	value->day * (double) SECS_PER_DAY + value->month * (DAYS_PER_MONTH * (double) SECS_PER_DAY);

	if (!(seconds >= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("half_life must be at least a second")));
	return seconds;
}

static int
positive_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int			value;

	if (PG_ARGISNULL(argument))
		return 0;
	value = PG_GETARG_INT32(argument);
	if (value < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive", name),
				 errhint("Leave it out for no limit.")));
	return value;
}

static const char *
layer_argument(const text *value)
{
	char	   *layer = text_to_cstring(value);

	if (strcmp(layer, "memory") != 0 && strcmp(layer, "episode") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid layer"),
				 errhint("It is memory or episode; NULL finds both.")));
	return layer;
}

/* which rows take part */
static void
read_selection(FunctionCallInfo fcinfo, Arguments *arguments)
{
	MemaiRecallQuery *query = &arguments->query;

	memai_scope_resolve(&arguments->scope, PG_ARGISNULL(ARG_USER_ID) ? NULL : PG_GETARG_TEXT_PP(ARG_USER_ID),
						PG_ARGISNULL(ARG_NAMESPACE) ? NULL : PG_GETARG_TEXT_PP(ARG_NAMESPACE));
	query->scope = &arguments->scope;
	if (!PG_ARGISNULL(ARG_FILTER))
		query->filter = PG_GETARG_JSONB_P(ARG_FILTER);
	memai_check_filter(query->filter);
	if (!PG_ARGISNULL(ARG_MODEL))
		query->model = text_to_cstring(PG_GETARG_TEXT_PP(ARG_MODEL));
	query->include_answers = !PG_ARGISNULL(ARG_INCLUDE_ANSWERS) && PG_GETARG_BOOL(ARG_INCLUDE_ANSWERS);
	query->exclude_thread = PG_ARGISNULL(ARG_EXCLUDE_THREAD) ? NULL : PG_GETARG_UUID_P(ARG_EXCLUDE_THREAD);
	if (!PG_ARGISNULL(ARG_AS_OF))
	{
		arguments->as_of = PG_GETARG_TIMESTAMPTZ(ARG_AS_OF);
		query->as_of = &arguments->as_of;
	}
	if (!PG_ARGISNULL(ARG_KNOWN_AT))
	{
		arguments->known_at = PG_GETARG_TIMESTAMPTZ(ARG_KNOWN_AT);
		query->known_at = &arguments->known_at;
	}
	if (!PG_ARGISNULL(ARG_LAYER))
		query->layer = layer_argument(PG_GETARG_TEXT_PP(ARG_LAYER));
	if (!PG_ARGISNULL(ARG_CATEGORIES))
		query->categories = PG_GETARG_ARRAYTYPE_P(ARG_CATEGORIES);
}

/* how they are ordered, and how many are returned */
static void
read_preferences(FunctionCallInfo fcinfo, MemaiRecallQuery *query)
{
	query->k = PG_ARGISNULL(ARG_K) ? 10 : PG_GETARG_INT32(ARG_K);
	memai_check_k(query->k);
	if (!PG_ARGISNULL(ARG_MIN_SCORE))
		query->min_score = PG_GETARG_FLOAT8(ARG_MIN_SCORE);
	if (!PG_ARGISNULL(ARG_RECENCY))
		query->recency = recency_argument(PG_GETARG_TEXT_PP(ARG_RECENCY));
	query->half_life = PG_ARGISNULL(ARG_HALF_LIFE) ? DEFAULT_HALF_LIFE : half_life_argument(PG_GETARG_INTERVAL_P(ARG_HALF_LIFE));
	if (!PG_ARGISNULL(ARG_DIVERSITY))
		query->diversity = PG_GETARG_FLOAT8(ARG_DIVERSITY);
	if (!(query->diversity >= 0 && query->diversity <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("diversity is out of range"),
				 errdetail("The range is 0 (the best match first) to 1 (the most unlike first).")));
	query->max_per_thread = positive_argument(fcinfo, ARG_MAX_PER_THREAD, "max_per_thread");
	query->max_tokens = positive_argument(fcinfo, ARG_MAX_TOKENS, "max_tokens");
	if (!PG_ARGISNULL(ARG_LANGUAGE))
	{
		query->language = memai_text_language_argument(PG_GETARG_TEXT_PP(ARG_LANGUAGE));
		query->has_language = true;
	}
}

static void
read_arguments(FunctionCallInfo fcinfo, int text_argument, Arguments *arguments)
{
	memset(arguments, 0, sizeof(Arguments));
	if (!PG_ARGISNULL(text_argument))
		arguments->query.query = PG_GETARG_TEXT_PP(text_argument);
	if (text_argument == ARG_QUERY || arguments->query.query != NULL)
		memai_check_content("query", arguments->query.query);
	read_selection(fcinfo, arguments);
	read_preferences(fcinfo, &arguments->query);
	if (text_argument == ARG_QUERY && !PG_ARGISNULL(ARG_RERANK))
		arguments->query.rerank = text_to_cstring(PG_GETARG_TEXT_PP(ARG_RERANK));
}

/* ---- rows ---- */

static void
set_text(Datum *values, bool *nulls, int column, const text *value)
{
	values[column] = PointerGetDatum(value);
	nulls[column] = (value == NULL);
}

static void
put_recalled(ReturnSetInfo *rsinfo, const MemaiRecalled *item)
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	values[0] = UUIDPGetDatum(&item->id);
	values[1] = CStringGetTextDatum(item->is_memory ? "memory" : "episode");
	values[2] = PointerGetDatum(item->content);
	values[3] = Float8GetDatum(item->score);
	values[4] = Float8GetDatum(item->similarity);
	nulls[4] = isnan(item->similarity);
	values[5] = Float8GetDatum(item->keyword);
	set_text(values, nulls, 6, item->role);
	set_text(values, nulls, 7, item->name);
	values[8] = TimestampTzGetDatum(item->occurred_at);
	values[9] = UUIDPGetDatum(&item->thread_id);
	nulls[9] = !item->has_thread;
	values[10] = JsonbPGetDatum(item->metadata);
	set_text(values, nulls, 11, item->category);
	set_text(values, nulls, 12, item->status ? cstring_to_text(item->status) : NULL);
	values[13] = UUIDPGetDatum(&item->via);
	nulls[13] = !item->has_via;
	values[14] = UUIDPGetDatum(&item->successor);
	nulls[14] = !item->has_successor;
	values[15] = Float8GetDatum(item->recency);
	values[16] = Float8GetDatum(item->importance);
	values[17] = Float8GetDatum(item->confidence);
	values[18] = Float8GetDatum(item->feedback);
	values[19] = Float8GetDatum(item->parts[RANK_TIME]);
	values[20] = Float8GetDatum(item->parts[RANK_SPEAKER]);
	values[21] = Float8GetDatum(item->parts[RANK_ENTITY]);
	values[22] = Float8GetDatum(item->rerank);
	nulls[22] = isnan(item->rerank);
	set_text(values, nulls, 23, item->language ? cstring_to_text(item->language) : NULL);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
return_recalled(FunctionCallInfo fcinfo, const MemaiRecallQuery *query)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *result;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SPI_connect();
	result = memai_recall_run(query, CurrentMemoryContext, NULL);
	foreach(cell, result)
		put_recalled(rsinfo, lfirst(cell));
	SPI_finish();
}

/* recall(query text, ... as the enum says) returns setof record: volatile, since it may call a model */
Datum
memai_recall(PG_FUNCTION_ARGS)
{
	Arguments	arguments;

	read_arguments(fcinfo, ARG_QUERY, &arguments);
	return_recalled(fcinfo, &arguments.query);
	return (Datum) 0;
}

/* recall_vector(embedding vector, ..., query text) returns setof record: stable, calls no model */
Datum
memai_recall_vector(PG_FUNCTION_ARGS)
{
	Arguments	arguments;

	if (PG_ARGISNULL(ARG_QUERY))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("embedding must not be null")));
	read_arguments(fcinfo, ARG_TEXT, &arguments);
	arguments.query.vector = memai_vector_from_datum(PG_GETARG_DATUM(ARG_QUERY));
	return_recalled(fcinfo, &arguments.query);
	return (Datum) 0;
}

/* ---- explaining ---- */

static void
push_key(JsonbParseState **state, const char *name)
{
	JsonbValue	key = {.type = jbvString,.val.string = {.len = strlen(name),.val = unconstify(char *, name)}};

	pushJsonbValue(state, WJB_KEY, &key);
}

static void
push_number(JsonbParseState **state, const char *name, double number)
{
	JsonbValue	value = {.type = isnan(number) ? jbvNull : jbvNumeric};

	push_key(state, name);
	if (!isnan(number))
		value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(number)));
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_string(JsonbParseState **state, const char *name, const char *string)
{
	JsonbValue	value = {.type = string ? jbvString : jbvNull};

	push_key(state, name);
	if (string)
	{
		value.val.string.val = unconstify(char *, string);
		value.val.string.len = strlen(string);
	}
	pushJsonbValue(state, WJB_VALUE, &value);
}

static char *
uuid_string(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

static void
push_counts(JsonbParseState **state, const MemaiRecallCounts *counts)
{
	push_key(state, "read");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_number(state, "episodes", counts->episodes);
	push_number(state, "memories", counts->memories);
	push_number(state, "superseded", counts->superseded);
	push_number(state, "vectors", counts->vectors);
	push_number(state, "pass_filters", counts->eligible);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
	push_string(state, "vectors_read", counts->vectors_read);
	push_string(state, "vector_index", counts->vector_index);
	push_string(state, "language", counts->language);
	push_number(state, "question_terms", counts->terms);
	push_number(state, "similarity_weight", counts->similarity_weight);
}

static void
push_recalled(JsonbParseState **state, const MemaiRecalled *item)
{
	static const char *const parts[] = {"own", "neighbourhood", "conversation", "speaker", "time", "feedback", "entity"};

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_string(state, "id", uuid_string(&item->id));
	push_string(state, "kind", item->is_memory ? "memory" : "episode");
	push_string(state, "status", item->status);
	push_string(state, "via", item->has_via ? uuid_string(&item->via) : NULL);
	push_number(state, "score", item->score);
	push_number(state, "similarity", item->similarity);
	push_number(state, "keyword", item->keyword);
	push_key(state, "keyword_parts");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < RANK_NPARTS; i++)
		push_number(state, parts[i], item->parts[i]);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
	push_number(state, "rerank", item->rerank);
	push_string(state, "language", item->language);
	push_key(state, "factors");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_number(state, "recency", item->recency);
	push_number(state, "importance", item->importance);
	push_number(state, "confidence", item->confidence);
	push_number(state, "feedback", item->feedback);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* explain_recall(query text, ...) returns jsonb: volatile as recall */
Datum
memai_explain_recall(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	Arguments	arguments;
	MemaiRecallCounts counts;
	JsonbParseState *state = NULL;
	JsonbValue *root;
	List	   *result;
	ListCell   *cell;

	read_arguments(fcinfo, ARG_QUERY, &arguments);
	SPI_connect();
	result = memai_recall_run(&arguments.query, result_context, &counts);
	SPI_finish();

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_counts(&state, &counts);
	push_key(&state, "results");
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	foreach(cell, result)
		push_recalled(&state, lfirst(cell));
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	root = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(root));
}
