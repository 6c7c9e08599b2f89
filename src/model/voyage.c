/*
 * voyage.c
 *	  Voyage: embeddings in OpenAI's shape with the purpose of the input,
 *	  reranking.
 */
#include "postgres.h"

#include "model/openai.h"
#include "model/retrieval.h"

static const MemaiRetrieval voyage_retrieval = {
	.url = "https://api.voyageai.com/v1",
	.purpose_key = "input_type",
	.query = "query",
	.document = "document",
	.format = ",\"encoding_format\":\"base64\"",
	.dimensions_key = "output_dimension"
};

static const MemaiWire voyage_wire = {
	.key_header = "Authorization",
	.key_scheme = "Bearer",
	.write_embed = memai_retrieval_write_embed,
	.read_embed = memai_openai_read_embed,
	.max_batch = 1000,
	.write_rerank = memai_retrieval_write_rerank,
	.ranking_key = "data",
	.retrieval = &voyage_retrieval
};

const MemaiProvider memai_provider_voyage = {
	.name = "voyage",
	.validate = memai_retrieval_validate,
	.wire = &voyage_wire
};
