/*
 * retrieval.c
 *	  Embeddings in OpenAI's shape with the purpose of the input, and rankings:
 *	  one interface that several providers have with other names in it.
 */
#include "postgres.h"

#include "model/retrieval.h"

static const MemaiOption retrieval_options[] = {
	{"batch_size", MEMAI_OPTION_INTEGER, 1, 1000},
	{"extra", MEMAI_OPTION_OBJECT, 0, 0},
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{"send_dimensions", MEMAI_OPTION_BOOLEAN, 0, 0},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

static const MemaiWire *
wire_of(const MemaiModel *model)
{
	return memai_provider_find(model->provider)->wire;
}

void
memai_retrieval_validate(MemaiModel *model)
{
	const MemaiWire *wire = wire_of(model);
	int			batch;

	memai_wire_check_url(model, wire->retrieval->url);
	memai_model_options_check(model->options, retrieval_options);
	batch = memai_option_int(model->options, "batch_size", wire->max_batch);
	if (batch > wire->max_batch)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"batch_size\" of a model of this provider is out of range"),
				 errdetail("It must be a whole number from 1 to %d.", wire->max_batch)));
}

void
memai_retrieval_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
							const MemaiSpan *inputs, MemaiWireRequest *out)
{
	const MemaiRetrieval *retrieval = wire_of(model)->retrieval;
	StringInfo	body = &out->body;

	out->path = "/embeddings";
	memai_wire_start_body(model, body);
	memai_wire_member_texts(body, "input", ninputs, inputs);
	memai_wire_member_text(body, retrieval->purpose_key,
						   type == MEMAI_INPUT_QUERY ? retrieval->query : retrieval->document);
	appendStringInfoString(body, retrieval->format);
	if (memai_option_bool(model->options, "send_dimensions", false))
		memai_wire_member_count(body, retrieval->dimensions_key, model->info.dimensions);
	memai_wire_append_extra(body, model);
	appendStringInfoChar(body, '}');
}

void
memai_retrieval_write_rerank(const MemaiModel *model, MemaiSpan query, int ndocuments,
							 const MemaiSpan *documents, MemaiWireRequest *out)
{
	const MemaiRetrieval *retrieval = wire_of(model)->retrieval;

	out->path = "/rerank";
	memai_wire_start_body(model, &out->body);
	appendStringInfoString(&out->body, ",\"query\":");
	memai_json_write_string(&out->body, query.data, query.len);
	memai_wire_member_texts(&out->body, "documents", ndocuments, documents);
	if (retrieval->rerank_extra != NULL)
		appendStringInfoString(&out->body, retrieval->rerank_extra);
	memai_wire_append_extra(&out->body, model);
	appendStringInfoChar(&out->body, '}');
}
