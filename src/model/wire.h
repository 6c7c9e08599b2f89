/*
 * wire.h
 *	  What the providers that speak HTTP have in common: sending with retries
 *	  and deadlines, telling failures apart.  A provider's file adds what its
 *	  requests and answers look like.  Private to model/.
 */
#ifndef MEMAI_MODEL_WIRE_H
#define MEMAI_MODEL_WIRE_H

#include "http/http.h"
#include "json/json.h"
#include "model/cache.h"
#include "model/provider.h"
#include "model/registry.h"
#include "stats/stats.h"

/* a request as a provider's file writes it */
typedef struct MemaiWireRequest
{
	const char *path;			/* appended to the model's URL */
	const char *query;			/* NULL, or without question mark */
	StringInfoData body;		/* JSON, UTF-8 */
	int			max_output;		/* tokens of the answer; 0: not limited */
	int			nshares;		/* users that it is for; 0: the model's info says */
	struct MemaiUsageShare *shares;
	int			nheaders;		/* besides content type and key */
	MemaiHttpHeader headers[4];
} MemaiWireRequest;

/* a tool call whose parts arrive one by one; UTF-8 */
typedef struct MemaiStreamedTool
{
	StringInfoData id;
	StringInfoData name;
	StringInfoData arguments;
	StringInfoData signature;	/* empty for formats that sign nothing */
} MemaiStreamedTool;

/* what has been read of a streamed answer */
typedef struct MemaiWireStream
{
	MemoryContext context;		/* of what is read */
	StringInfoData text;		/* server text since the last piece was taken */
	bool		complete;		/* the format's last event has arrived */
	const char *finish_reason;	/* NULL as long as it is not known */
	int			prompt_tokens;	/* -1: not reported */
	int			completion_tokens;
	int			ntools;
	MemaiStreamedTool *tools;
	bool		in_tool;		/* for formats that name no tool in later parts */
} MemaiWireStream;

/* what one provider's requests and answers look like; members may be NULL */
typedef struct MemaiWire
{
	const char *key_header;		/* where the key goes unless the credential says */
	const char *key_scheme;		/* word before the key, NULL for none */

	void		(*write_chat) (const MemaiModel *model, const MemaiChatRequest *request,
							   bool stream, MemaiWireRequest *out);

	/*
	 * Reads an answer into result.  root is an object without a top-level
	 * error.  Raises class MA errors with memai_wire_bad_response.
	 */
	void		(*read_chat) (const MemaiModel *model, MemaiJson *root,
							  MemaiChatResult *result);

	/*
	 * Reads one event of a stream.  root is its data, NULL when that is no
	 * JSON and stands in data.
	 */
	void		(*read_event) (const MemaiModel *model, MemaiJson *root, const char *data,
							   MemaiWireStream *stream);
	bool		line_stream;	/* one document a line instead of events */

	void		(*write_embed) (const MemaiModel *model, MemaiInputType type, int ninputs,
								const MemaiSpan *inputs, MemaiWireRequest *out);

	/* Reads exactly ninputs vectors; vectors[i] belongs to input i. */
	void		(*read_embed) (const MemaiModel *model, const char *body, size_t len,
							   int ninputs, MemaiVector **vectors);
	int			max_batch;		/* inputs a request of embeddings may have */

	void		(*write_rerank) (const MemaiModel *model, MemaiSpan query, int ndocuments,
								 const MemaiSpan *documents, MemaiWireRequest *out);

	const char *ranking_key;	/* of the list of {"index", "relevance_score"} */

	const struct MemaiRetrieval *retrieval;	/* for retrieval.h */
} MemaiWire;

/* ---- wire.c ---- */

/* one chat completion over the wire; as memai_model_complete */
extern void memai_wire_complete(const MemaiWire *wire, const MemaiModel *model,
								const MemaiChatRequest *request, MemaiChatResult *result);

/* where the answer to a request is kept */
typedef struct MemaiWireCache
{
	int			ttl;			/* seconds; 0: nowhere */
	MemaiCacheKey key;
} MemaiWireCache;

/*
 * Looks for the answer among those that are kept: true when it is there, in
 * result, and counted as of that operation.  Otherwise *cache says where to
 * keep it.
 */
extern bool memai_wire_cached(const MemaiWire *wire, const MemaiModel *model, const MemaiChatRequest *request,
							  MemaiOperation operation, MemaiWireCache *cache, MemaiChatResult *result);

/* a streamed answer; as memai_model_stream_open and so on */
extern MemaiModelStream *memai_wire_stream_open(const MemaiWire *wire, const MemaiModel *model,
												const MemaiChatRequest *request);

/* for a provider that cannot stream: its answer as the only piece */
extern MemaiModelStream *memai_wire_stream_whole(const MemaiChatResult *result);

/* Says which model answers; name lives as long as the stream. */
extern void memai_wire_stream_set_model(MemaiModelStream *stream, const char *name);

/* relevance of documents; as memai_model_rerank */
extern void memai_wire_rerank(const MemaiWire *wire, const MemaiModel *model, MemaiSpan query,
							  int ndocuments, const MemaiSpan *documents, double *scores);

/* Appends the text of an event, if json is a string. */
extern void memai_wire_stream_text(MemaiWireStream *stream, MemaiJson *json);

/* The tool call of that index, made if need be; NULL when index is nonsense. */
extern MemaiStreamedTool *memai_wire_stream_tool(MemaiWireStream *stream, int64 index);

/* Appends a string to a part of a tool call, if json is one. */
extern void memai_wire_stream_part(StringInfo part, MemaiJson *json);

/* ---- wire_embed.c ---- */

/*
 * Embeddings over the wire, in batches; as memai_model_embed, or with
 * skip_refused as memai_model_embed_some.  The vectors are palloc'd in context.
 */
extern void memai_wire_embed(const MemaiWire *wire, const MemaiModel *model, MemaiInputType type,
							 int ninputs, const MemaiSpan *inputs, bool skip_refused,
							 MemoryContext context, MemaiVector **vectors);

/* How many texts go into one request. */
extern int	memai_wire_embed_batch(const MemaiWire *wire, const MemaiModel *model);

/* ---- wire.c ---- */

/* Raises MA010: the answer of model is not what its format promises. */
pg_noreturn extern void memai_wire_bad_response(const MemaiModel *model, const char *problem);

/*
 * Raises unless the answer has text or tool calls: MA007 when a filter ate it,
 * MA008 when it ended before it began, MA010 otherwise.  Text that is missing
 * beside tool calls becomes empty.
 */
extern void memai_wire_check_chat(const MemaiModel *model, MemaiChatResult *result);

/*
 * Gives the model the provider's usual URL when it has none.  Raises 22023 for
 * one that cannot be called.
 */
extern void memai_wire_check_url(MemaiModel *model, const char *usual);

/*
 * Starts a body: {"model":"..." and leaves it open.
 */
extern void memai_wire_start_body(const MemaiModel *model, StringInfo body);

/* Appends ,"key":["text",...] for texts of the server. */
extern void memai_wire_member_texts(StringInfo out, const char *key, int n, const MemaiSpan *texts);

/* Appends ,"key":number unless it is NaN, or not positive. */
extern void memai_wire_member_number(StringInfo out, const char *key, double value);
extern void memai_wire_member_count(StringInfo out, const char *key, int value);

/* Appends what a request says of sampling under the provider's names; NULL: it has none. */
extern void memai_wire_member_sampling(StringInfo out, const MemaiChatRequest *request, const char *top_p,
									   const char *presence_penalty, const char *frequency_penalty);

/* ---- wire_json.c: pieces that the providers' formats share ---- */

/* Appends JSON text of the server's encoding as it is, converted to UTF-8. */
extern void memai_wire_append_json(StringInfo out, const char *json);

/* Parses JSON text of the server's encoding; it was checked before. */
extern MemaiJson *memai_wire_parse(const char *json);

/* Appends ,"key":"text" and so on to an object that has a member already. */
extern void memai_wire_member_text(StringInfo out, const char *key, const char *text);
extern void memai_wire_member_json(StringInfo out, const char *key, const char *json);

/* Appends the members of the model's option "extra". */
extern void memai_wire_append_extra(StringInfo out, const MemaiModel *model);

/* The caller's value, or the model's option, or NaN and 0 for none. */
extern double memai_wire_temperature(const MemaiModel *model, const MemaiChatRequest *request);
extern int	memai_wire_max_tokens(const MemaiModel *model, const MemaiChatRequest *request);

/* A count of tokens, -1 unless it is a whole number from 0 to 2^31 - 1. */
extern int	memai_wire_token_count(MemaiJson *json);

/*
 * The list of tool calls of an answer as memai writes it.  arguments is an
 * object, or a string that should hold one.
 */
typedef struct MemaiToolCallList
{
	StringInfoData out;			/* UTF-8 */
	int			n;
} MemaiToolCallList;

extern void memai_tool_calls_start(MemaiToolCallList *list);
extern void memai_tool_calls_add(MemaiToolCallList *list, MemaiJson *id, MemaiJson *name,
								 MemaiJson *arguments);

/* the same for parts as a stream brings them */
extern void memai_tool_calls_add_text(MemaiToolCallList *list, StringInfo id, StringInfo name,
									  StringInfo arguments);
/*
 * Gives the call added last the signature that its model wants back with it:
 * json, when it is a string, or UTF-8 text, when it is not empty.
 */
extern void memai_tool_calls_sign(MemaiToolCallList *list, MemaiJson *json);
extern void memai_tool_calls_sign_text(MemaiToolCallList *list, StringInfo text);
/* NULL when there was none */
extern char *memai_tool_calls_finish(MemaiToolCallList *list);

/* Allocates the vector of an answer and checks that it has len elements. */
extern MemaiVector *memai_wire_new_vector(const MemaiModel *model, int len);

/* ---- send.c ---- */

typedef struct MemaiFailure
{
	int			sqlstate;
	const char *what;			/* "the provider is overloaded", ... (static) */
	const char *hint;			/* static, or NULL */
	bool		retryable;
} MemaiFailure;

/* why a request failed for good, in the words of both sides */
typedef struct MemaiWireFailure
{
	MemaiFailure failure;
	int			status;			/* of HTTP, 0 for no answer */
	int			attempts;
	const char *words;			/* the provider's, already clean */
} MemaiWireFailure;

pg_noreturn extern void memai_wire_raise(const MemaiModel *model, const MemaiWireFailure *failure);

typedef void (*MemaiWireReceiver) (void *state, int index, const char *body, size_t len);

/*
 * Takes the failure of one request, which lives until it returns; false to
 * have it raised.
 */
typedef bool (*MemaiWireRefusal) (void *state, int index, const MemaiWireFailure *failure);

/*
 * Sends n requests, up to memai.http_max_parallel at a time, each again when
 * its failure allows, and hands every successful answer to receive (in any
 * order; the body is gone afterwards).  Raises class MA errors, 42501, 54000
 * and 57014.
 */
extern void memai_wire_send(const MemaiWire *wire, const MemaiModel *model, MemaiOperation operation,
							int n, MemaiWireRequest *requests, MemaiWireReceiver receive, void *state);

/* The same; failures that no further attempt can mend go to refuse. */
extern void memai_wire_send_each(const MemaiWire *wire, const MemaiModel *model, MemaiOperation operation,
								 int n, MemaiWireRequest *requests, MemaiWireReceiver receive,
								 MemaiWireRefusal refuse, void *state);

/* a request whose answer is read as it arrives */
typedef struct MemaiWireSource MemaiWireSource;

/*
 * Sends a request, again when its failure allows, until an answer begins.
 * Everything hangs on the current memory context.  Raises as memai_wire_send.
 */
extern MemaiWireSource *memai_wire_source_open(const MemaiWire *wire, const MemaiModel *model,
											   MemaiWireRequest *request);

/* More of the body, as memai_http_read.  Raises class MA when the answer fails. */
extern bool memai_wire_source_read(MemaiWireSource *source, const char **data, size_t *len);

/* The answer is complete: what it cost (-1: not reported) and all its text. */
extern void memai_wire_source_complete(MemaiWireSource *source, int prompt_tokens,
									   int completion_tokens, const char *text);

/* Raises the error that an event of the stream reports. */
pg_noreturn extern void memai_wire_source_error(MemaiWireSource *source, const char *data, size_t len);

extern void memai_wire_init(void);

/* ---- failure.c: pure but for palloc ---- */

/* how a request that HTTP could not complete failed */
extern MemaiFailure memai_failure_of_outcome(MemaiHttpOutcome outcome);

/*
 * How an answer with an error failed.  code and message are the provider's
 * own, in lower case or as they came, possibly empty, never NULL.
 */
extern MemaiFailure memai_failure_of_status(int status, const char *code, const char *message);

/* The HTTP status that the code of an error inside an answer stands for, or 0. */
extern int	memai_failure_status_of_code(const char *code);

/*
 * Finds code and message in the body of an error, whatever provider it comes
 * from: palloc'd text of the server, empty when there is none.
 */
extern void memai_failure_read_body(const char *body, size_t len, char **code, char **message);

/*
 * A provider's words made fit for an error message: one line, at most 300
 * characters, and without the key, whole or in part.
 */
extern char *memai_failure_clean(const char *message, const char *secret);

/* ---- retry.c: pure ---- */

/*
 * Milliseconds that a server asked to wait, from its headers (NULL when
 * absent): retry-after-ms, or retry-after in seconds or as an HTTP date.
 * now is seconds since 1970.  -1 when it asked nothing sensible.
 */
extern int64 memai_retry_after(const char *retry_after_ms, const char *retry_after, int64 now);

/* longest wait a server can ask for; beyond it a retry makes no sense */
#define MEMAI_RETRY_AFTER_LIMIT_MS (120 * 1000)

/* Milliseconds to wait before attempt number attempt + 1; jitter is in [0, 1). */
extern int64 memai_retry_backoff(int attempt, double jitter);

#endif							/* MEMAI_MODEL_WIRE_H */
