/*
 * voyage.c
 *	  Voyage: embeddings in OpenAI's shape with the purpose of the input,
 *	  reranking.
 */
#include "postgres.h"

#include "model/openai.h"

static const MemaiOption voyage_options[] = {
	{"batch_size", MEMAI_OPTION_INTEGER, 1, 1000},
	{"extra", MEMAI_OPTION_OBJECT, 0, 0},
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{"send_dimensions", MEMAI_OPTION_BOOLEAN, 0, 0},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static void
voyage_validate(MemaiModel *model)
{
	memai_wire_check_url(model, "https://api.voyageai.com/v1");
	memai_model_options_check(model->options, voyage_options);
}

static void
voyage_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
				   const MemaiSpan *inputs, MemaiWireRequest *out)
{
	StringInfo	body = &out->body;

	out->path = "/embeddings";
	memai_wire_start_body(model, body);
	memai_wire_member_texts(body, "input", ninputs, inputs);
	memai_wire_member_text(body, "input_type", type == MEMAI_INPUT_QUERY ? "query" : "document");
	memai_wire_member_text(body, "encoding_format", "base64");
	if (memai_option_bool(model->options, "send_dimensions", false))
		memai_wire_member_count(body, "output_dimension", model->info.dimensions);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

static void
voyage_write_rerank(const MemaiModel *model, MemaiSpan query, int ndocuments,
					const MemaiSpan *documents, MemaiWireRequest *out)
{
	out->path = "/rerank";
	memai_wire_start_body(model, &out->body);
	appendStringInfoString(&out->body, ",\"query\":");
	memai_json_write_string(&out->body, query.data, query.len);
	memai_wire_member_texts(&out->body, "documents", ndocuments, documents);
	memai_wire_append_extra(&out->body, model);
	appendStringInfoChar(&out->body, '}');
}

static MemaiJson *
voyage_find_ranking(MemaiJson *root)
{
	return memai_json_get(root, "data");
}

static const MemaiWire voyage_wire = {
	.key_header = "Authorization",
	.key_scheme = "Bearer",
	.write_embed = voyage_write_embed,
	.read_embed = memai_openai_read_embed,
	.max_batch = 1000,
	.write_rerank = voyage_write_rerank,
	.find_ranking = voyage_find_ranking
};

const MemaiProvider memai_provider_voyage = {
	.name = "voyage",
	.validate = voyage_validate,
	.wire = &voyage_wire
};
