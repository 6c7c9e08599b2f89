/*
 * jina.c
 *	  Jina: embeddings in OpenAI's shape with the purpose of the input,
 *	  reranking.
 */
#include "postgres.h"

#include "model/openai.h"
#include "model/retrieval.h"

static const MemaiRetrieval jina_retrieval = {
	.url = "https://api.jina.ai/v1",
	.purpose_key = "task",
	.query = "retrieval.query",
	.document = "retrieval.passage",
	.format = ",\"embedding_type\":\"float\"",
	.dimensions_key = "dimensions",
	.rerank_extra = ",\"return_documents\":false"
};

static const MemaiWire jina_wire = {
	.key_header = "Authorization",
	.key_scheme = "Bearer",
	.write_embed = memai_retrieval_write_embed,
	.read_embed = memai_openai_read_embed,
	.max_batch = 512,
	.write_rerank = memai_retrieval_write_rerank,
	.ranking_key = "results",
	.retrieval = &jina_retrieval
};

const MemaiProvider memai_provider_jina = {
	.name = "jina",
	.validate = memai_retrieval_validate,
	.wire = &jina_wire
};
