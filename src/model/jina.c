/*
 * jina.c
 *	  Jina: embeddings in OpenAI's shape with the purpose of the input,
 *	  reranking.
 */
#include "postgres.h"

#include "model/openai.h"

static const MemaiOption jina_options[] = {
	{"batch_size", MEMAI_OPTION_INTEGER, 1, 512},
	{"extra", MEMAI_OPTION_OBJECT, 0, 0},
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{"send_dimensions", MEMAI_OPTION_BOOLEAN, 0, 0},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static void
jina_validate(MemaiModel *model)
{
	memai_wire_check_url(model, "https://api.jina.ai/v1");
	memai_model_options_check(model->options, jina_options);
}

static void
jina_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
				   const MemaiSpan *inputs, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;

	out->path = "/embeddings";
	memai_wire_start_body(model, body);
	memai_wire_member_texts(body, "input", ninputs, inputs);
	memai_wire_member_text(body, "task", type == MEMAI_INPUT_QUERY ? "retrieval.query" : "retrieval.passage");
	memai_wire_member_text(body, "embedding_type", "float");
	if (memai_option_bool(model->options, "send_dimensions", false))
		memai_wire_member_count(body, "dimensions", model->info.dimensions);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

static void
jina_write_rerank(const MemaiModel *model, MemaiSpan query, int ndocuments,
					const MemaiSpan *documents, MemaiWireRequest *out)
{
	out->path = "/rerank";
	memai_wire_start_body(model, &out->body);
	appendStringInfoString(&out->body, ",\"query\":");
	memai_json_write_string(&out->body, query.data, query.len);
	memai_wire_member_texts(&out->body, "documents", ndocuments, documents);
	appendStringInfoString(&out->body, ",\"return_documents\":false");
	memai_wire_append_extra(&out->body, model);
	appendStringInfoChar(&out->body, '}');
}

static MemaiJson *
jina_find_ranking(MemaiJson *root)
{
	return memai_json_get(root, "results");
}

static const MemaiWire jina_wire = {
	.key_header = "Authorization",
	.key_scheme = "Bearer",
	.write_embed = jina_write_embed,
	.read_embed = memai_openai_read_embed,
	.max_batch = 512,
	.write_rerank = jina_write_rerank,
	.find_ranking = jina_find_ranking
};

const MemaiProvider memai_provider_jina = {
	.name = "jina",
	.validate = jina_validate,
	.wire = &jina_wire
};
