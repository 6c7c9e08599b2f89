/*
 * model.c
 *	  Calls of a looked-up model: to its provider or that of a fallback, with
 *	  what no provider may get wrong checked here.
 */
#include "postgres.h"

#include "model/cache.h"
#include "model/fallback.h"
#include "model/registry.h"
#include "model/static.h"
#include "model/usage.h"
#include "model/wire.h"

/* the row that memai_model_lookup made; info is its first member */
static const MemaiModel *
whole_row(const MemaiModelInfo *info)
{
	StaticAssertStmt(offsetof(MemaiModel, info) == 0, "info must come first");
	return (const MemaiModel *) info;
}

static void
check_vectors(const MemaiModelInfo *info, int n, MemaiVector **vectors)
{
	for (int i = 0; i < n; i++)
	{
		if (vectors[i] == NULL)
			continue;
		if (vectors[i]->dim != info->dimensions)
			elog(ERROR, "model \"%s\" made a vector of %d dimensions", info->name, vectors[i]->dim);
		memai_vector_check_finite(vectors[i]);
	}
}

/* ---- one call with one model: bodies for memai_fallback_run ---- */

typedef struct EmbedArguments
{
	MemaiInputType type;
	int			ninputs;
	const MemaiSpan *inputs;
	bool		skip_refused;
	MemoryContext context;		/* of the vectors */
	MemaiVector **vectors;
} EmbedArguments;

static void
embed_body(const MemaiModel *model, void *arg)
{
	EmbedArguments *call = arg;
	const MemaiProvider *provider = memai_provider_find(model->provider);
	instr_time	start;

	if (provider->wire != NULL)
		memai_wire_embed(provider->wire, model, call->type, call->ninputs, call->inputs,
						 call->skip_refused, call->context, call->vectors);
	else
	{
		INSTR_TIME_SET_CURRENT(start);
		provider->embed(model, call->type, call->ninputs, call->inputs, call->vectors);
		memai_usage_local(model, MEMAI_OPERATION_EMBED, start);
	}
	check_vectors(&model->info, call->ninputs, call->vectors);
}

typedef struct ChatArguments
{
	const MemaiChatRequest *request;
	MemaiChatResult *result;
	MemaiModelStream *stream;
} ChatArguments;

static void
chat_body(const MemaiModel *model, void *arg)
{
	ChatArguments *call = arg;
	const MemaiProvider *provider = memai_provider_find(model->provider);
	instr_time	start;

	memset(call->result, 0, sizeof(MemaiChatResult));
	call->result->prompt_tokens = call->result->completion_tokens = -1;
	if (provider->wire != NULL)
		memai_wire_complete(provider->wire, model, call->request, call->result);
	else
	{
		INSTR_TIME_SET_CURRENT(start);
		provider->complete(model, call->request, call->result);
		memai_usage_local(model, MEMAI_OPERATION_COMPLETE, start);
	}
	call->result->model = model->info.name;
	call->result->cost = call->result->cached ? 0 :
		memai_usage_cost(model, call->result->prompt_tokens, call->result->completion_tokens);
}

static void
stream_body(const MemaiModel *model, void *arg)
{
	ChatArguments *call = arg;
	const MemaiProvider *provider = memai_provider_find(model->provider);
	MemaiChatResult result;

	if (provider->wire != NULL && provider->wire->read_event != NULL)
	{
		call->stream = memai_wire_stream_open(provider->wire, model, call->request);
		return;
	}
	call->result = &result;
	chat_body(model, arg);
	call->stream = memai_wire_stream_whole(&result);
}

typedef struct RerankArguments
{
	MemaiSpan	query;
	int			ndocuments;
	const MemaiSpan *documents;
	double	   *scores;
} RerankArguments;

static void
rerank_body(const MemaiModel *model, void *arg)
{
	RerankArguments *call = arg;

	memai_wire_rerank(memai_provider_find(model->provider)->wire, model, call->query,
					  call->ndocuments, call->documents, call->scores);
}

/* ---- calls ---- */

void
memai_model_embed(const MemaiModelInfo *info, MemaiInputType type,
				  int ninputs, const MemaiSpan *inputs, MemaiVector **vectors)
{
	EmbedArguments call = {type, ninputs, inputs, false, CurrentMemoryContext, vectors};

	(void) memai_fallback_run(whole_row(info), embed_body, &call);
}

void
memai_model_embed_some(const MemaiModelInfo *info, MemaiInputType type,
					   int ninputs, const MemaiSpan *inputs, MemaiVector **vectors)
{
	EmbedArguments call = {type, ninputs, inputs, true, CurrentMemoryContext, vectors};

	(void) memai_fallback_run(whole_row(info), embed_body, &call);
}

bool
memai_model_limits_users(void)
{
	return memai_limits_by_user();
}

int
memai_model_embed_batch(const MemaiModelInfo *info)
{
	const MemaiProvider *provider = memai_provider_find(whole_row(info)->provider);

	return provider->wire ? memai_wire_embed_batch(provider->wire, whole_row(info)) * memai_http_max_parallel() : 0;
}

void
memai_model_complete(const MemaiModelInfo *info, const MemaiChatRequest *request,
					 MemaiChatResult *result)
{
	ChatArguments call = {request, result, NULL};

	(void) memai_fallback_run(whole_row(info), chat_body, &call);
}

MemaiModelStream *
memai_model_stream_open(const MemaiModelInfo *info, const MemaiChatRequest *request)
{
	ChatArguments call = {request, NULL, NULL};
	const MemaiModel *answering = memai_fallback_run(whole_row(info), stream_body, &call);

	memai_wire_stream_set_model(call.stream, answering->info.name);
	return call.stream;
}

void
memai_model_rerank(const MemaiModelInfo *info, MemaiSpan query,
				   int ndocuments, const MemaiSpan *documents, double *scores)
{
	RerankArguments call = {query, ndocuments, documents, scores};

	(void) memai_fallback_run(whole_row(info), rerank_body, &call);
}

void
memai_model_init(void)
{
	memai_registry_init();
	memai_credential_init();
	memai_wire_init();
	memai_static_init();
	memai_cache_init();
	memai_usage_init();
}
