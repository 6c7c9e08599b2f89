/*
 * wire.c
 *	  Chat and reranking over HTTP, whatever the provider's format; what is
 *	  common to the answers of all.
 */
#include "postgres.h"

#include "model/usage.h"
#include "model/wire.h"
#include "utils/float.h"
#include "utils/memutils.h"

void
memai_wire_bad_response(const MemaiModel *model, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_MEMAI_BAD_RESPONSE),
			 errmsg("call to model \"%s\" failed: the answer is not what the provider promises",
					model->info.name),
			 errdetail("In the answer, %s.", problem)));
}

void
memai_wire_check_chat(const MemaiModel *model, MemaiChatResult *result)
{
	bool		empty = result->content == NULL || result->content[0] == '\0';

	if (!empty)
		return;
	if (result->tool_calls == NULL && strcmp(result->finish_reason, "content_filter") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_FILTERED),
				 errmsg("call to model \"%s\" failed: a content filter stopped the answer",
						model->info.name)));
	if (result->tool_calls == NULL && strcmp(result->finish_reason, "length") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MEMAI_TRUNCATED),
				 errmsg("call to model \"%s\" failed: the answer ended before its first word",
						model->info.name),
				 errhint("Allow more tokens with the option max_tokens; models that think first need them.")));
	if (result->content == NULL && result->tool_calls == NULL)
		memai_wire_bad_response(model, "the message has no text");
	if (result->content == NULL)
		result->content = pstrdup("");
}

void
memai_wire_check_url(MemaiModel *model, const char *usual)
{
	if (model->url == NULL)
		model->url = pstrdup(usual);
	(void) memai_http_url_parse(model->url, NULL, NULL);
}

MemaiVector *
memai_wire_new_vector(const MemaiModel *model, int len)
{
	if (len != model->info.dimensions)
		memai_wire_bad_response(model, psprintf("a vector has %d dimensions and not %d",
												len, model->info.dimensions));
	return memai_vector_alloc(len);
}

/* ---- chat ---- */

typedef struct ChatReceiver
{
	const MemaiWire *wire;
	const MemaiModel *model;
	MemoryContext context;		/* of the result */
	MemaiChatResult *result;
} ChatReceiver;

/* a successful status and yet an error: some gateways answer like that */
static void
raise_error_in_answer(const MemaiModel *model, const char *body, size_t len)
{
	char	   *code;
	char	   *message;
	int			status;
	MemaiFailure failure;

	memai_failure_read_body(body, len, &code, &message);
	message = memai_failure_clean(message, NULL);
	status = memai_failure_status_of_code(code);
	if (status == 0)
		memai_wire_bad_response(model, psprintf("there is an error instead of a message: %s", message));
	failure = memai_failure_of_status(status, code, message);
	ereport(ERROR,
			(errcode(failure.sqlstate),
			 errmsg("call to model \"%s\" failed: %s", model->info.name, failure.what),
			 errdetail("There is an error instead of a message: %s", message),
			 failure.hint ? errhint("%s", failure.hint) : 0));
}

static void
receive_chat(void *state, int index, const char *body, size_t len)
{
	ChatReceiver *receiver = state;
	MemaiChatResult result = {0};
	const char *problem;
	MemaiJson  *root = memai_json_parse(body, len, &problem);

	if (root == NULL)
		memai_wire_bad_response(receiver->model, psprintf("the JSON is broken: %s", problem));
	if (memai_json_get(root, "error") != NULL)
		raise_error_in_answer(receiver->model, body, len);
	result.prompt_tokens = result.completion_tokens = -1;
	receiver->wire->read_chat(receiver->model, root, &result);
	memai_usage_reported(result.prompt_tokens, result.completion_tokens, result.content);
	*receiver->result = result;
	receiver->result->content = MemoryContextStrdup(receiver->context, result.content);
	if (result.tool_calls != NULL)
		receiver->result->tool_calls = MemoryContextStrdup(receiver->context, result.tool_calls);
}

bool
memai_wire_cached(const MemaiWire *wire, const MemaiModel *model, const MemaiChatRequest *request,
				  MemaiOperation operation, MemaiWireCache *cache, MemaiChatResult *result)
{
	MemaiWireRequest out = {0};
	MemaiSpan	parts[3];

	cache->ttl = memai_cache_ttl(model, request->has_cache_ttl ? request->cache_ttl : -1);
	if (cache->ttl <= 0)
		return false;
	/* a stream and its whole answer are one entry */
	initStringInfo(&out.body);
	wire->write_chat(model, request, false, &out);
	parts[0] = (MemaiSpan) {out.path, strlen(out.path)};
	parts[1] = (MemaiSpan) {out.query, out.query ? strlen(out.query) : 0};
	parts[2] = (MemaiSpan) {out.body.data, out.body.len};
	memai_cache_key(&cache->key, model, "chat", 3, parts);
	pfree(out.body.data);
	if (!memai_cache_find_chat(&cache->key, result))
		return false;
	memai_usage_cached(model, operation);
	return true;
}

void
memai_wire_complete(const MemaiWire *wire, const MemaiModel *model,
					const MemaiChatRequest *request, MemaiChatResult *result)
{
	MemaiWireRequest out = {0};
	ChatReceiver receiver = {wire, model, CurrentMemoryContext, result};
	MemaiWireCache cache;

	if (memai_wire_cached(wire, model, request, MEMAI_OPERATION_COMPLETE, &cache, result))
		return;
	initStringInfo(&out.body);
	wire->write_chat(model, request, false, &out);
	out.max_output = memai_wire_max_tokens(model, request);
	memai_wire_send(wire, model, MEMAI_OPERATION_COMPLETE, 1, &out, receive_chat, &receiver);
	if (cache.ttl > 0)
		memai_cache_store_chat(cache.ttl, &cache.key, result);
	pfree(out.body.data);
}

/* ---- reranking ---- */

typedef struct RerankReceiver
{
	const MemaiWire *wire;
	const MemaiModel *model;
	int			ndocuments;
	double	   *scores;
} RerankReceiver;

static void
receive_ranking(void *state, int index, const char *body, size_t len)
{
	RerankReceiver *receiver = state;
	const char *problem;
	MemaiJson  *root = memai_json_parse(body, len, &problem);
	MemaiJson  *ranking = memai_json_get(root, receiver->wire->ranking_key);
	bool	   *seen = palloc0(sizeof(bool) * receiver->ndocuments);

	if (root == NULL)
		memai_wire_bad_response(receiver->model, psprintf("the JSON is broken: %s", problem));
	if (memai_json_length(ranking) == 0 || memai_json_length(ranking) > receiver->ndocuments)
		memai_wire_bad_response(receiver->model, psprintf("there are %d scores for %d documents",
														  memai_json_length(ranking),
														  receiver->ndocuments));
	for (int i = 0; i < receiver->ndocuments; i++)
		receiver->scores[i] = -get_float8_infinity();
	for (int i = 0; i < memai_json_length(ranking); i++)
	{
		MemaiJson  *item = memai_json_item(ranking, i);
		int64		document;
		double		score;

		if (!memai_json_int(memai_json_get(item, "index"), &document) ||
			!memai_json_number(memai_json_get(item, "relevance_score"), &score) ||
			document < 0 || document >= receiver->ndocuments || seen[document])
			memai_wire_bad_response(receiver->model, "a score has no index or no value of its own");
		seen[document] = true;
		receiver->scores[document] = score;
	}
}

void
memai_wire_rerank(const MemaiWire *wire, const MemaiModel *model, MemaiSpan query,
				  int ndocuments, const MemaiSpan *documents, double *scores)
{
	MemaiWireRequest out = {0};
	RerankReceiver receiver = {wire, model, ndocuments, scores};

	initStringInfo(&out.body);
	wire->write_rerank(model, query, ndocuments, documents, &out);
	memai_wire_send(wire, model, MEMAI_OPERATION_RERANK, 1, &out, receive_ranking, &receiver);
	pfree(out.body.data);
}
