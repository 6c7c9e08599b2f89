/*
 * retrieval.h
 *	  What providers of embeddings in OpenAI's shape and of rankings differ in.
 *	  Private to model/.
 */
#ifndef MEMAI_MODEL_RETRIEVAL_H
#define MEMAI_MODEL_RETRIEVAL_H

#include "model/wire.h"

/* the retrieval of a MemaiWire; members that its functions do not need are NULL */
typedef struct MemaiRetrieval
{
	const char *url;			/* where the provider usually is */
	const char *purpose_key;	/* says what a text is embedded for */
	const char *query;
	const char *document;
	const char *format;			/* ,"key":"value" that names the form of
								 * vectors */
	const char *dimensions_key;
	const char *rerank_extra;	/* ,"key":value of a request for a ranking */
} MemaiRetrieval;

/* as the members of MemaiProvider and MemaiWire with these names */
extern void memai_retrieval_validate(MemaiModel *model);
extern void memai_retrieval_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
										const MemaiSpan *inputs, MemaiWireRequest *out);
extern void memai_retrieval_write_rerank(const MemaiModel *model, MemaiSpan query, int ndocuments,
										 const MemaiSpan *documents, MemaiWireRequest *out);

#endif							/* MEMAI_MODEL_RETRIEVAL_H */
