/*
 * model.c
 *	  Calls of a looked-up model: to its provider, with what no provider may
 *	  get wrong checked here.
 */
#include "postgres.h"

#include "model/registry.h"
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

	memai_provider_find(model->provider)->embed(model, type, ninputs, inputs, vectors);
	check_vectors(info, ninputs, vectors);
}

void
memai_model_complete(const MemaiModelInfo *info, const MemaiChatRequest *request,
					 MemaiChatResult *result)
{
	const MemaiModel *model = whole_row(info);

	memset(result, 0, sizeof(MemaiChatResult));
	result->prompt_tokens = result->completion_tokens = -1;
	memai_provider_find(model->provider)->complete(model, request, result);
}

void
memai_model_init(void)
{
	memai_registry_init();
	memai_credential_init();
	memai_wire_init();
}
