/*
 * model.h
 *	  The registry of models and the calls that go through it.  Above this
 *	  module nobody knows a vendor, a URL or a credential.
 */
#ifndef MEMAI_MODEL_H
#define MEMAI_MODEL_H

#include "core/core.h"
#include "utils/jsonb.h"
#include "vector/vector.h"

/* embed texts that will be stored, or a question that looks for them */
typedef enum MemaiInputType
{
	MEMAI_INPUT_DOCUMENT,
	MEMAI_INPUT_QUERY
} MemaiInputType;

/* what a caller may know of a model; strings are palloc'd with the struct */
typedef struct MemaiModelInfo
{
	char	   *name;			/* registry key, also the partition key of
								 * embeddings */
	char	   *kind;			/* embed, chat or rerank */
	int			dimensions;		/* embed: length of its vectors */
	int			context_window; /* chat: tokens of input and output together */
	double		recall_weight;	/* embed: weight of its ranking in hybrid
								 * recall */
	bool		is_local;		/* runs in this process: calls nobody */
	const char *user_id;		/* whom calls are accounted to; NULL: the setting
								 * memai.user_id */
	const char *const *text_users;	/* embed: the user of each text where those
									 * of one call are of several; or NULL */
} MemaiModelInfo;

/* a span of bytes in the server's encoding, not NUL-terminated */
typedef struct MemaiSpan
{
	const char *data;
	size_t		len;
} MemaiSpan;

/*
 * One turn of a conversation; role is system, user, assistant or tool.  Zero
 * the struct first: members are added at its end.
 */
typedef struct MemaiChatMessage
{
	const char *role;
	MemaiSpan	content;

	/* assistant: the tools it called, as in MemaiChatResult; NULL for none */
	const char *tool_calls;
	/* tool: which call this is the result of, and the tool's name */
	const char *tool_call_id;
	const char *tool_name;
} MemaiChatMessage;

/*
 * One statement that the answer should rest on.  The same text also stands in
 * a system message, marked as data; a provider that quotes its sources itself
 * (local/extract) reads it here instead of parsing it out again.
 */
typedef struct MemaiGrounding
{
	MemaiSpan	content;
	TimestampTz occurred_at;	/* DT_NOBEGIN when not known */
	double		score;			/* recall's, higher is better */
} MemaiGrounding;

/* Zero the struct first: members are added at its end. */
typedef struct MemaiChatRequest
{
	int			nmessages;
	const MemaiChatMessage *messages;
	int			ngrounding;
	const MemaiGrounding *grounding;
	double		temperature;	/* NaN: the provider's default */
	int			max_tokens;		/* 0: the provider's default */

	/* JSON text in the server's encoding, NULL for none */
	const char *tools;			/* [{"name", "description", "parameters"}] */
	const char *tool_choice;	/* no JSON: auto, none, required or a tool's
								 * name */
	const char *json_schema;	/* the answer must be JSON of this schema */
	const char *stop;			/* array of strings that end the answer */

	/* 0: the provider's default; left out for providers that lack them */
	double		top_p;
	double		presence_penalty;
	double		frequency_penalty;

	/* the user's own words where the last message holds more; empty: all of it */
	MemaiSpan	question;

	/* seconds that the answer may be kept, 0 for none; else the model's option */
	bool		has_cache_ttl;
	int			cache_ttl;
} MemaiChatRequest;

typedef struct MemaiChatResult
{
	char	   *content;		/* server encoding, NUL-terminated, palloc'd */
	const char *finish_reason;	/* stop, length, content_filter, tool_calls */
	int			prompt_tokens;	/* -1: not reported */
	int			completion_tokens;	/* -1: not reported */

	/* [{"id", "name", "arguments": {}}] as JSON, NULL for none, palloc'd */
	char	   *tool_calls;

	const char *model;			/* name of the model that answered: it may be
								 * a fallback */
	bool		cached;			/* no call was made */
	double		cost;			/* by that model's prices; NaN: not known */
} MemaiChatResult;

/*
 * Looks up a model that the current role may use: by name, or with name NULL
 * the default of that kind ("embed", "chat").  Raises 42704 when there is none,
 * 42501 when it is not granted, 42809 when it is of another kind.  The result
 * is palloc'd in the current context.
 */
extern MemaiModelInfo *memai_model_lookup(const char *name, const char *kind);

/* The same, for calls that are made for a user, who is accounted for them and limited. */
extern MemaiModelInfo *memai_model_lookup_for(const MemaiScope *scope, const char *name, const char *kind);

/* May users' calls be limited one by one?  Needs a transaction. */
extern bool memai_model_limits_users(void);

/*
 * Embeds ninputs texts (server encoding) in one go; vectors[i] belongs to
 * inputs[i] whatever the provider's order.  vectors is an array of ninputs
 * pointers that the caller provides; each vector is palloc'd in the current
 * context, has info->dimensions dimensions and finite elements.  May call out:
 * never hold a lock.  Raises class MA errors and 57014.
 */
extern void memai_model_embed(const MemaiModelInfo *info, MemaiInputType type,
							  int ninputs, const MemaiSpan *inputs, MemaiVector **vectors);

/*
 * The same, but an input that the provider refuses, when others are not,
 * gets NULL instead of failing the call.  vectors is set to NULL and then filled
 * answer by answer: what memai_wait_work does while others are under way may
 * use those that came.
 */
extern void memai_model_embed_some(const MemaiModelInfo *info, MemaiInputType type,
								   int ninputs, const MemaiSpan *inputs, MemaiVector **vectors);

/*
 * How many texts are with the model's provider at one time when there are
 * enough of them; 0 when it runs in this process.
 */
extern int	memai_model_embed_batch(const MemaiModelInfo *info);

/*
 * One chat completion.  result's strings are palloc'd in the current context.
 * May call out: never hold a lock.  Raises class MA errors and 57014.
 */
extern void memai_model_complete(const MemaiModelInfo *info, const MemaiChatRequest *request,
								 MemaiChatResult *result);

/*
 * The same, in pieces as the model speaks.  Open raises when the call cannot
 * start; next waits for more text and returns false at the end, when result may
 * be asked for.  An answer that breaks off raises MA008, never looks complete.
 * Everything lives in the context that is current at open and ends with it, or
 * with close.  Piece is server text, valid until the next call.
 */
typedef struct MemaiModelStream MemaiModelStream;
extern MemaiModelStream *memai_model_stream_open(const MemaiModelInfo *info,
												 const MemaiChatRequest *request);
extern bool memai_model_stream_next(MemaiModelStream *stream, const char **piece);
extern void memai_model_stream_result(MemaiModelStream *stream, MemaiChatResult *result);
extern void memai_model_stream_close(MemaiModelStream *stream);

/*
 * Scores how well each of n documents answers the query; higher is better,
 * scores[i] belongs to documents[i], minus infinity to one that the provider
 * left out because others were better.  May call out.  Raises as the others.
 */
extern void memai_model_rerank(const MemaiModelInfo *info, MemaiSpan query,
							   int ndocuments, const MemaiSpan *documents, double *scores);

/* ---- answers.c ---- */

/* Raises 22023 unless a summary may have so many words. */
extern void memai_check_max_words(int max_words);

/*
 * A text in at most max_words words, palloc'd; by quoting its sentences with a
 * model that follows no instructions.  May call out.  Raises as
 * memai_model_complete, and MA007 or MA008 for an answer that was stopped.
 */
extern char *memai_model_summarize(const MemaiModelInfo *info, const char *input, int max_words);

/* ---- endpoint.c ---- */

/* a registered URL that is no model */
typedef struct MemaiEndpoint
{
	const char *name;			/* for messages */
	const char *url;
	const char *credential;		/* name; NULL: none */
	Oid			owner;			/* the role that registered it, which must hold
								 * the credential */
	int			timeout;		/* milliseconds */
} MemaiEndpoint;

/*
 * Posts len bytes of JSON once and returns the answer's body as text of the
 * server, palloc'd, and its HTTP status, whatever that is.  Raises class MA
 * when there is no answer, MA001 and 42501 as for models, 57014.  Never hold a
 * lock.
 */
extern char *memai_endpoint_post(const MemaiEndpoint *endpoint, const char *body, size_t len, int *status);

/*
 * A call by name (complete, generate, embed, rerank) with its arguments in a
 * JSON object, answered by one.  model may be NULL.  Raises 22023 for arguments
 * that do not fit, and as the others.
 */
extern Jsonb *memai_model_call(const MemaiScope *scope, const char *call, const char *model, const Jsonb *payload);

extern void memai_model_init(void);

#endif							/* MEMAI_MODEL_H */
