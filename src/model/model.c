/*
 * model.c
 *	  Calls of a looked-up model: to its provider, with what no provider may
 *	  get wrong checked here.
 */
#include "postgres.h"

#include "model/registry.h"
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
		if (vectors[i]->dim != info->dimensions)
			elog(ERROR, "model \"%s\" made a vector of %d dimensions", info->name, vectors[i]->dim);
		memai_vector_check_finite(vectors[i]);
	}
}

void
memai_model_embed(const MemaiModelInfo *info, MemaiInputType type,
				  int ninputs, const MemaiSpan *inputs, MemaiVector **vectors)
{
	const MemaiModel *model = whole_row(info);
	const MemaiProvider *provider = memai_provider_find(model->provider);
	instr_time	start;

	if (provider->wire != NULL)
		memai_wire_embed(provider->wire, model, type, ninputs, inputs, vectors);
	else
	{
		INSTR_TIME_SET_CURRENT(start);
		provider->embed(model, type, ninputs, inputs, vectors);
		memai_usage_local(model, MEMAI_OPERATION_EMBED, start);
	}
	check_vectors(info, ninputs, vectors);
}

void
memai_model_complete(const MemaiModelInfo *info, const MemaiChatRequest *request,
					 MemaiChatResult *result)
{
	const MemaiModel *model = whole_row(info);
	const MemaiProvider *provider = memai_provider_find(model->provider);
	instr_time	start;

	memset(result, 0, sizeof(MemaiChatResult));
	result->prompt_tokens = result->completion_tokens = -1;
	if (provider->wire != NULL)
		memai_wire_complete(provider->wire, model, request, result);
	else
	{
		INSTR_TIME_SET_CURRENT(start);
		provider->complete(model, request, result);
		memai_usage_local(model, MEMAI_OPERATION_COMPLETE, start);
	}
}

MemaiModelStream *
memai_model_stream_open(const MemaiModelInfo *info, const MemaiChatRequest *request)
{
	const MemaiModel *model = whole_row(info);
	const MemaiProvider *provider = memai_provider_find(model->provider);
	MemaiChatResult result;

	if (provider->wire != NULL && provider->wire->read_event != NULL)
		return memai_wire_stream_open(provider->wire, model, request);
	memai_model_complete(info, request, &result);
	return memai_wire_stream_whole(&result);
}

void
memai_model_rerank(const MemaiModelInfo *info, MemaiSpan query,
				   int ndocuments, const MemaiSpan *documents, double *scores)
{
	const MemaiModel *model = whole_row(info);

	memai_wire_rerank(memai_provider_find(model->provider)->wire, model, query,
					  ndocuments, documents, scores);
}

double
memai_model_cost(const MemaiModelInfo *info, const MemaiChatResult *result)
{
	return memai_usage_cost(whole_row(info), result->prompt_tokens, result->completion_tokens);
}

void
memai_model_init(void)
{
	memai_registry_init();
	memai_credential_init();
	memai_wire_init();
	memai_usage_init();
}
