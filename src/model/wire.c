/*
 * wire.c
 *	  Chat and embeddings over HTTP, whatever the provider's format: batches,
 *	  duplicates, prefixes on the way out; dimensions on the way back.
 */
#include "postgres.h"

#include "model/usage.h"
#include "model/wire.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

/* bytes of text in one request of embeddings; providers cap tokens */
#define MAX_BATCH_BYTES (600 * 1024)

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

void
memai_wire_complete(const MemaiWire *wire, const MemaiModel *model,
					const MemaiChatRequest *request, MemaiChatResult *result)
{
	MemaiWireRequest out = {0};
	ChatReceiver receiver = {wire, model, CurrentMemoryContext, result};

	initStringInfo(&out.body);
	wire->write_chat(model, request, false, &out);
	out.max_output = memai_wire_max_tokens(model, request);
	memai_wire_send(wire, model, MEMAI_OPERATION_COMPLETE, 1, &out, receive_chat, &receiver);
	pfree(out.body.data);
}

/* ---- embeddings ---- */

/* an input and where it stands, for finding equal ones */
typedef struct HashedInput
{
	uint64		hash;
	int			index;
} HashedInput;

typedef struct EmbedCall
{
	const MemaiWire *wire;
	const MemaiModel *model;
	MemoryContext context;		/* of the vectors */
	int			nbatches;
	int		   *starts;			/* per batch its first unique input, one more
								 * at the end */
	MemaiVector **vectors;		/* per unique input */
} EmbedCall;

static int
compare_hashed(const void *a, const void *b)
{
	const HashedInput *x = a;
	const HashedInput *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static bool
same_span(const MemaiSpan *a, const MemaiSpan *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/*
 * Fills unique with the first of each group of equal inputs, in input order,
 * and slots[i] with the place in unique that input i shares.  Returns the
 * number of unique inputs.
 */
static int
collapse_duplicates(int n, const MemaiSpan *inputs, MemaiSpan *unique, int *slots)
{
	HashedInput *hashed = palloc(sizeof(HashedInput) * n);
	int			count = 0;

	for (int i = 0; i < n; i++)
	{
		hashed[i].hash = memai_hash64(inputs[i].data, inputs[i].len, 0);
		hashed[i].index = i;
		slots[i] = -1;
	}
	qsort(hashed, n, sizeof(HashedInput), compare_hashed);
	/* first pass: slots[i] becomes the first input equal to i */
	for (int i = 0; i < n; i++)
	{
		int			index = hashed[i].index;

		slots[index] = index;
		for (int j = i - 1; j >= 0 && hashed[j].hash == hashed[i].hash; j--)
			if (same_span(&inputs[hashed[j].index], &inputs[index]))
			{
				slots[index] = slots[hashed[j].index];
				break;
			}
	}
	for (int i = 0; i < n; i++)
	{
		if (slots[i] == i)
		{
			unique[count] = inputs[i];
			slots[i] = count++;
		}
		else
			slots[i] = slots[slots[i]];
	}
	pfree(hashed);
	return count;
}

/* the inputs with the model's prefix for their type, if it has one */
static const MemaiSpan *
add_prefix(const MemaiModel *model, MemaiInputType type, int n, const MemaiSpan *inputs)
{
	char	   *prefix = memai_option_text(model->options, type == MEMAI_INPUT_QUERY
										   ? "query_prefix" : "document_prefix");
	MemaiSpan  *prefixed;
	size_t		prefix_len;

	if (prefix == NULL || prefix[0] == '\0')
		return inputs;
	prefix_len = strlen(prefix);
	prefixed = palloc(sizeof(MemaiSpan) * n);
	for (int i = 0; i < n; i++)
	{
		char	   *data = palloc(prefix_len + inputs[i].len + 1);

		memcpy(data, prefix, prefix_len);
		memcpy(data + prefix_len, inputs[i].data, inputs[i].len);
		prefixed[i].data = data;
		prefixed[i].len = prefix_len + inputs[i].len;
	}
	return prefixed;
}

/* cuts n inputs into batches; fills starts and returns their number */
static int
cut_batches(const MemaiWire *wire, const MemaiModel *model, int n, const MemaiSpan *inputs, int *starts)
{
	int			max_batch = memai_option_int(model->options, "batch_size", wire->max_batch);
	int			nbatches = 0;
	size_t		bytes = 0;

	for (int i = 0; i < n; i++)
	{
		if (i == 0 || i - starts[nbatches - 1] >= max_batch ||
			bytes + inputs[i].len > MAX_BATCH_BYTES)
		{
			starts[nbatches++] = i;
			bytes = 0;
		}
		bytes += inputs[i].len;
	}
	starts[nbatches] = n;
	return nbatches;
}

static void
check_vectors(const MemaiModel *model, int n, MemaiVector **vectors)
{
	for (int i = 0; i < n; i++)
	{
		bool		zero = true;

		for (int j = 0; j < vectors[i]->dim && zero; j++)
			zero = vectors[i]->x[j] == 0;
		if (zero)
			memai_wire_bad_response(model, psprintf("vector %d is all zeros", i));
	}
}

static void
receive_embed(void *state, int index, const char *body, size_t len)
{
	EmbedCall  *call = state;
	int			start = call->starts[index];
	int			n = call->starts[index + 1] - start;
	MemoryContext old = MemoryContextSwitchTo(call->context);

	call->wire->read_embed(call->model, body, len, n, call->vectors + start);
	check_vectors(call->model, n, call->vectors + start);
	MemoryContextSwitchTo(old);
}

static void
send_batches(EmbedCall *call, MemaiInputType type, const MemaiSpan *inputs)
{
	MemaiWireRequest *requests = palloc0(sizeof(MemaiWireRequest) * call->nbatches);

	for (int i = 0; i < call->nbatches; i++)
	{
		initStringInfo(&requests[i].body);
		call->wire->write_embed(call->model, type, call->starts[i + 1] - call->starts[i],
								inputs + call->starts[i], &requests[i]);
	}
	memai_wire_send(call->wire, call->model, MEMAI_OPERATION_EMBED, call->nbatches, requests, receive_embed, call);
}

void
memai_wire_embed(const MemaiWire *wire, const MemaiModel *model, MemaiInputType type,
				 int ninputs, const MemaiSpan *inputs, MemaiVector **vectors)
{
	MemoryContext context;
	MemoryContext old;
	EmbedCall	call = {0};
	MemaiSpan  *unique;
	int		   *slots;
	int			nunique;

	if (ninputs == 0)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "memai embed call",
									ALLOCSET_DEFAULT_SIZES);
	call.context = CurrentMemoryContext;
	old = MemoryContextSwitchTo(context);
	call.wire = wire;
	call.model = model;
	unique = palloc(sizeof(MemaiSpan) * ninputs);
	slots = palloc(sizeof(int) * ninputs);
	nunique = collapse_duplicates(ninputs, inputs, unique, slots);
	call.vectors = palloc0(sizeof(MemaiVector *) * nunique);
	call.starts = palloc(sizeof(int) * (nunique + 1));
	call.nbatches = cut_batches(wire, model, nunique, unique, call.starts);
	send_batches(&call, type, add_prefix(model, type, nunique, unique));
	for (int i = 0; i < ninputs; i++)
		vectors[i] = call.vectors[slots[i]];
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
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
	MemaiJson  *ranking = receiver->wire->find_ranking(root);
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
