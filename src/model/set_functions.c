/*
 * set_functions.c
 *	  complete_stream and rerank: the calls that return rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
/* only pq_flush is wanted of it, not the headers of Kerberos */
#undef ENABLE_GSS
#include "libpq/libpq.h"
#include "model/messages.h"
#include "model/registry.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(memai_complete_stream);
PG_FUNCTION_INFO_V1(memai_rerank);

/* opens the stream in the context of the whole query; NULL for no messages */
static MemaiModelStream *
start_stream(FunctionCallInfo fcinfo, FuncCallContext *context)
{
	MemoryContext old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
	MemaiModelStream *stream = NULL;
	MemaiModelInfo *model;
	MemaiChatRequest *request;

	if (!PG_ARGISNULL(0))
	{
		model = memai_model_lookup(PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)), "chat");
		request = palloc0(sizeof(MemaiChatRequest));
		memai_chat_request_from_jsonb(request, PG_GETARG_JSONB_P_COPY(0),
									  PG_ARGISNULL(2) ? memai_options_empty() : PG_GETARG_JSONB_P_COPY(2));
		stream = memai_model_stream_open(model, request);
	}
	MemoryContextSwitchTo(old);
	return stream;
}

/*
 * complete_stream(messages jsonb, model text, options jsonb) returns setof text:
 * volatile.  One row a call, so that a cursor or a client in single-row mode
 * sees each piece when it arrives: before it waits for the next one, what the
 * executor has sent so far is flushed to the client.
 */
Datum
memai_complete_stream(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	MemaiModelStream *stream;
	const char *piece;

	if (SRF_IS_FIRSTCALL())
	{
		context = SRF_FIRSTCALL_INIT();
		context->user_fctx = start_stream(fcinfo, context);
	}
	else if (whereToSendOutput == DestRemote)
		(void) pq_flush();

	context = SRF_PERCALL_SETUP();
	stream = context->user_fctx;
	if (stream != NULL && memai_model_stream_next(stream, &piece))
		SRF_RETURN_NEXT(context, CStringGetTextDatum(piece));
	if (stream != NULL)
		memai_model_stream_close(stream);
	SRF_RETURN_DONE(context);
}

/* the documents as spans; raises 22004 for a null one */
static MemaiSpan *
document_spans(ArrayType *array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	MemaiSpan  *spans;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	spans = palloc(sizeof(MemaiSpan) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		text	   *document;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("document %d is null", i + 1)));
		document = DatumGetTextPP(elements[i]);
		spans[i].data = VARDATA_ANY(document);
		spans[i].len = VARSIZE_ANY_EXHDR(document);
	}
	return spans;
}

typedef struct Ranked
{
	int			document;
	double		score;
} Ranked;

static int
compare_ranked(const void *a, const void *b)
{
	const Ranked *x = a;
	const Ranked *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->document > y->document) - (x->document < y->document);
}

/* rerank(query text, documents text[], model text, top_n integer) returns setof record: volatile */
Datum
memai_rerank(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	MemaiModelInfo *model = memai_model_lookup(PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)), "rerank");
	int			top_n = PG_ARGISNULL(3) ? PG_INT32_MAX : PG_GETARG_INT32(3);
	MemaiSpan  *documents;
	MemaiSpan	query;
	double	   *scores;
	Ranked	   *ranked;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (top_n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("top_n must not be negative")));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	documents = document_spans(PG_GETARG_ARRAYTYPE_P(1), &n);
	if (n == 0)
		return (Datum) 0;
	query.data = VARDATA_ANY(PG_GETARG_TEXT_PP(0));
	query.len = VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0));
	scores = palloc(sizeof(double) * n);
	memai_model_rerank(model, query, n, documents, scores);
	ranked = palloc(sizeof(Ranked) * n);
	for (int i = 0; i < n; i++)
	{
		ranked[i].document = i;
		ranked[i].score = scores[i];
	}
	qsort(ranked, n, sizeof(Ranked), compare_ranked);
	for (int i = 0; i < Min(n, top_n) && !isinf(ranked[i].score); i++)
	{
		Datum		values[2] = {Int32GetDatum(ranked[i].document + 1), Float8GetDatum(ranked[i].score)};
		bool		nulls[2] = {false, false};

		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}
