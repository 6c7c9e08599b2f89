/*
 * provider.h
 *	  What a provider is: a table of operations.  Private to model/.  Adding a
 *	  provider is one file that defines such a table and one line in the list
 *	  of provider.c.
 */
#ifndef MEMAI_MODEL_PROVIDER_H
#define MEMAI_MODEL_PROVIDER_H

#include "model/model.h"
#include "utils/jsonb.h"

/* a registry row, complete; palloc'd together in one context */
typedef struct MemaiModel
{
	MemaiModelInfo info;
	char	   *provider;
	char	   *model;			/* the provider's own name of the model */
	char	   *url;			/* base URL, NULL for providers in process */
	char	   *credential;		/* name, NULL for none */
	Jsonb	   *options;		/* an object, never NULL */
	Oid			owner;			/* the role that registered it */
	bool		alone;			/* this call is about it: no fallback, no cache */
} MemaiModel;

typedef struct MemaiProvider
{
	const char *name;

	/*
	 * Checks a row before it is stored and fills info.dimensions when the
	 * provider knows it (0: not known).  Raises 22023 with a hint.  Never
	 * calls out.
	 */
	void		(*validate) (MemaiModel *model);

	/* as memai_model_embed; NULL when the provider has no embeddings */
	void		(*embed) (const MemaiModel *model, MemaiInputType type, int ninputs,
						  const MemaiSpan *inputs, MemaiVector **vectors);

	/* as memai_model_complete; NULL when the provider has no chat */
	void		(*complete) (const MemaiModel *model, const MemaiChatRequest *request,
							 MemaiChatResult *result);

	/*
	 * The tokens that the model makes of a text; NULL when only the model's
	 * own server could count them.
	 */
	int64		(*count_tokens) (const MemaiModel *model, const MemaiSpan *input);

	/* for providers over HTTP, instead of the two above: wire.h */
	const struct MemaiWire *wire;
} MemaiProvider;

/* the provider of that name; raises 22023 with the list of names */
extern const MemaiProvider *memai_provider_find(const char *name);

/* one table per provider file */
extern const MemaiProvider memai_provider_local;
extern const MemaiProvider memai_provider_anthropic;
extern const MemaiProvider memai_provider_azure;
extern const MemaiProvider memai_provider_cohere;
extern const MemaiProvider memai_provider_gemini;
extern const MemaiProvider memai_provider_jina;
extern const MemaiProvider memai_provider_ollama;
extern const MemaiProvider memai_provider_openai;
extern const MemaiProvider memai_provider_static;
extern const MemaiProvider memai_provider_voyage;

#endif							/* MEMAI_MODEL_PROVIDER_H */
