/*
 * local.c
 *	  Provider local: models that run in the server, without a network and
 *	  without weights.
 *
 * hash-384 embeds by feature hashing (local_embed.c), extract answers by
 * quoting (local_extract.c).  They make every function work at once and in
 * tests; neither understands language.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "model/local.h"
#include "model/provider.h"
#include "model/registry.h"
#include "text/text.h"

#define EMBEDDER_NAME "hash-384"
#define ANSWERER_NAME "extract"

static const MemaiOption local_options[] = {
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static void
validate(MemaiModel *model)
{
	const char *kind;

	if (strcmp(model->model, EMBEDDER_NAME) == 0)
		kind = "embed";
	else if (strcmp(model->model, ANSWERER_NAME) == 0)
		kind = "chat";
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("provider \"local\" has no model \"%s\"", model->model),
				 errhint("Its models are \"%s\" (embed) and \"%s\" (chat).",
						 EMBEDDER_NAME, ANSWERER_NAME)));

	if (strcmp(model->info.kind, kind) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" of provider \"local\" is not of kind \"%s\"",
						model->model, model->info.kind),
				 errhint("Create it with kind \"%s\".", kind)));
	memai_model_options_check(model->options, local_options);
	if (model->url != NULL || model->credential != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("provider \"local\" takes no URL and no credential"),
				 errhint("Leave both out: its models run in the server.")));
	if (strcmp(kind, "embed") != 0)
		return;
	if (model->info.dimensions != 0 && model->info.dimensions != MEMAI_LOCAL_DIMENSIONS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" of provider \"local\" cannot have %d dimensions",
						model->model, model->info.dimensions),
				 errdetail("Its vectors have %d dimensions.", MEMAI_LOCAL_DIMENSIONS),
				 errhint("Leave the number of dimensions out.")));
	model->info.dimensions = MEMAI_LOCAL_DIMENSIONS;
}

static MemaiVector *
embed_text(MemaiLocalEmbedder *embedder, const MemaiSpan *input)
{
	MemaiVector *vector = memai_vector_alloc(MEMAI_LOCAL_DIMENSIONS);
	size_t		len;
	const char *utf8 = memai_text_to_utf8(input->data, input->len, &len);

	memai_local_embed_start(embedder, utf8, len);
	do
		CHECK_FOR_INTERRUPTS();
	while (memai_local_embed_step(embedder));
	memai_local_embed_finish(embedder, vector->x);
	if (utf8 != input->data)
		pfree(unconstify(char *, utf8));
	return vector;
}

static void
embed(const MemaiModel *model, MemaiInputType type, int ninputs,
	  const MemaiSpan *inputs, MemaiVector **vectors)
{
	MemaiLocalEmbedder *embedder = palloc(memai_local_embedder_size());

	memai_local_embedder_init(embedder);
	for (int i = 0; i < ninputs; i++)
		vectors[i] = embed_text(embedder, &inputs[i]);
	pfree(embedder);
}

static void
complete(const MemaiModel *model, const MemaiChatRequest *request, MemaiChatResult *result)
{
	memai_local_extract(request, result);
}

const MemaiProvider memai_provider_local = {
	.name = "local",
	.validate = validate,
	.embed = embed,
	.complete = complete,
};
