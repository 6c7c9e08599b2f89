/*
 * functions.c
 *	  embed, complete, generate, check_model: the calls as SQL functions.
 */
#include "postgres.h"

#include <math.h>

#include "model/messages.h"
#include "model/registry.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "http/http.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(memai_embed);
PG_FUNCTION_INFO_V1(memai_embed_array);
PG_FUNCTION_INFO_V1(memai_complete);
PG_FUNCTION_INFO_V1(memai_generate);
PG_FUNCTION_INFO_V1(memai_check_model);

static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static Jsonb *
options_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? memai_options_empty() : PG_GETARG_JSONB_P(n);
}

static MemaiInputType
input_type_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name = text_argument(fcinfo, n);

	if (name == NULL || strcmp(name, "document") == 0)
		return MEMAI_INPUT_DOCUMENT;
	if (strcmp(name, "query") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("input type must be document or query")));
	return MEMAI_INPUT_QUERY;
}

static MemaiSpan
text_span(text *value)
{
	MemaiSpan	span = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};

	return span;
}

/* embed(input text, model text, input_type text) returns vector: volatile */
Datum
memai_embed(PG_FUNCTION_ARGS)
{
	MemaiInputType type = input_type_argument(fcinfo, 2);
	MemaiModelInfo *model = memai_model_lookup(text_argument(fcinfo, 1), "embed");
	MemaiVector *vector;
	MemaiSpan	input;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	input = text_span(PG_GETARG_TEXT_PP(0));
	memai_model_embed(model, type, 1, &input, &vector);
	PG_RETURN_POINTER(vector);
}

/* the elements that are not null as spans; returns their number */
static int
array_spans(ArrayType *array, int n, Datum *elements, bool *nulls, MemaiSpan *inputs)
{
	int			ninputs = 0;

	for (int i = 0; i < n; i++)
		if (!nulls[i])
			inputs[ninputs++] = text_span(DatumGetTextPP(elements[i]));
	return ninputs;
}

/* on_error => 'null': what a provider refuses becomes null */
static bool
skip_refused_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *on_error = text_argument(fcinfo, n);

	if (on_error != NULL && strcmp(on_error, "raise") != 0 && strcmp(on_error, "null") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value of on_error"),
				 errhint("It is \"raise\" or \"null\".")));
	return on_error != NULL && strcmp(on_error, "null") == 0;
}

/* embed(inputs text[], model text, input_type text, on_error text) returns vector[]: volatile */
Datum
memai_embed_array(PG_FUNCTION_ARGS)
{
	MemaiInputType type = input_type_argument(fcinfo, 2);
	bool		skip_refused = skip_refused_argument(fcinfo, 3);
	MemaiModelInfo *model = memai_model_lookup(text_argument(fcinfo, 1), "embed");
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			ninputs;
	MemaiSpan  *inputs;
	MemaiVector **vectors;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	array = PG_GETARG_ARRAYTYPE_P(0);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (n == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(memai_vector_type_oid()));
	inputs = palloc(sizeof(MemaiSpan) * n);
	vectors = palloc(sizeof(MemaiVector *) * n);
	ninputs = array_spans(array, n, elements, nulls, inputs);
	if (skip_refused)
		memai_model_embed_some(model, type, ninputs, inputs, vectors);
	else
		memai_model_embed(model, type, ninputs, inputs, vectors);
	for (int i = 0, next = 0; i < n; i++)
	{
		elements[i] = nulls[i] ? (Datum) 0 : PointerGetDatum(vectors[next++]);
		nulls[i] = elements[i] == (Datum) 0;
	}
	PG_RETURN_ARRAYTYPE_P(construct_md_array(elements, nulls, ARR_NDIM(array), ARR_DIMS(array),
											 ARR_LBOUND(array), memai_vector_type_oid(),
											 -1, false, TYPALIGN_INT));
}

static double
milliseconds_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now);
}

static void
set_token_count(int count, int column, Datum *values, bool *nulls)
{
	values[column] = Int32GetDatum(count);
	nulls[column] = count < 0;
}

/* complete(messages jsonb, model text, options jsonb) returns record: volatile */
Datum
memai_complete(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	MemaiModelInfo *model;
	Jsonb	   *options;
	MemaiChatRequest request;
	MemaiChatResult result;
	instr_time	start;
	Datum		values[9] = {0};
	bool		nulls[9] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	INSTR_TIME_SET_CURRENT(start);
	model = memai_model_lookup(text_argument(fcinfo, 1), "chat");
	options = options_argument(fcinfo, 2);
	memai_chat_request_from_jsonb(&request, PG_GETARG_JSONB_P(0), options);
	/* a streamed answer's time limit is between its pieces */
	if (memai_option_bool(options, "stream", false))
		memai_model_stream_result(memai_model_stream_open(model, &request), &result);
	else
		memai_model_complete(model, &request, &result);

	values[0] = CStringGetTextDatum(result.content);
	if (result.tool_calls != NULL)
		values[1] = DirectFunctionCall1(jsonb_in, CStringGetDatum(result.tool_calls));
	nulls[1] = result.tool_calls == NULL;
	values[2] = CStringGetTextDatum(result.finish_reason);
	values[3] = CStringGetTextDatum(result.model);
	set_token_count(result.prompt_tokens, 4, values, nulls);
	set_token_count(result.completion_tokens, 5, values, nulls);
	values[6] = Float8GetDatum(milliseconds_since(start));
	values[7] = BoolGetDatum(result.cached);
	values[8] = Float8GetDatum(result.cost);
	nulls[8] = isnan(result.cost);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* generate(prompt text, model text, system text, options jsonb) returns text: volatile */
Datum
memai_generate(PG_FUNCTION_ARGS)
{
	MemaiModelInfo *model = memai_model_lookup(text_argument(fcinfo, 1), "chat");
	MemaiChatMessage messages[2] = {0};
	MemaiChatRequest request = {0};
	MemaiChatResult result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	request.messages = messages;
	if (!PG_ARGISNULL(2))
	{
		messages[0].role = "system";
		messages[0].content = text_span(PG_GETARG_TEXT_PP(2));
		request.nmessages = 1;
	}
	messages[request.nmessages].role = "user";
	messages[request.nmessages].content = text_span(PG_GETARG_TEXT_PP(0));
	request.nmessages++;
	memai_chat_request_set_options(&request, options_argument(fcinfo, 3));
	memai_model_complete(model, &request, &result);
	PG_RETURN_TEXT_P(cstring_to_text(result.content));
}

/* the smallest call a model can answer */
static void
try_model(const MemaiModelInfo *model)
{
	static const MemaiSpan hello = {"Hello", 5};
	MemaiChatMessage message = {.role = "user", .content = {"Answer with OK.", 15}};
	MemaiChatRequest request = {.nmessages = 1, .messages = &message, .temperature = NAN};
	MemaiChatResult result;
	MemaiVector *vector;

	if (strcmp(model->kind, "embed") == 0)
		memai_model_embed(model, MEMAI_INPUT_DOCUMENT, 1, &hello, &vector);
	else
		memai_model_complete(model, &request, &result);
}

static void
try_model_body(void *arg)
{
	try_model(arg);
}

/* check_model(name text) returns record: volatile, strict */
Datum
memai_check_model(PG_FUNCTION_ARGS)
{
	char	   *name = text_argument(fcinfo, 0);
	MemaiModel *row = memai_registry_read(name);
	MemaiModelInfo *model;
	TupleDesc	desc;
	ErrorData  *error;
	instr_time	start;
	Datum		values[5] = {0};
	bool		nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	model = memai_model_lookup(name, row ? row->info.kind : "chat");
	((MemaiModel *) model)->alone = true;
	INSTR_TIME_SET_CURRENT(start);
	error = memai_catch(try_model_body, model, NULL);
	values[0] = BoolGetDatum(error == NULL);
	values[1] = Float8GetDatum(milliseconds_since(start));
	values[2] = Int32GetDatum(model->dimensions);
	nulls[2] = model->dimensions == 0;
	nulls[3] = nulls[4] = error == NULL;
	if (error != NULL)
	{
		values[3] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
		values[4] = CStringGetTextDatum(error->detail ? psprintf("%s (%s)", error->message, error->detail)
										: error->message);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
