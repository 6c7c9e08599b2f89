/*
 * wire_embed.c
 *	  Embeddings over HTTP, whatever the provider's format: the cache,
 *	  duplicates, prefixes and batches on the way out; dimensions on the way
 *	  back; and finding the one input that a provider refuses.
 *
 * One bad input makes a provider refuse its whole batch.  A refused batch is
 * cut in halves that are sent again, until the bad inputs stand alone; what
 * came back on the way is kept.  Failures that are not the input's fault are
 * never bisected, and the requests this costs are bounded.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/cache.h"
#include "model/usage.h"
#include "model/wire.h"
#include "utils/memutils.h"

/* bytes of text in one request of embeddings; providers cap tokens */
#define MAX_BATCH_BYTES (600 * 1024)
/* requests that looking for refused inputs may cost a call */
#define MAX_EXTRA_REQUESTS 100
/* rounds in which every half is refused, after which the input is not at fault */
#define MAX_HOPELESS_ROUNDS 2

/* an input and where it stands, for finding equal ones */
typedef struct HashedInput
{
	uint64		hash;
	int			index;
} HashedInput;

/* inputs start to end - 1, sent in one request */
typedef struct Batch
{
	int			start;
	int			end;
	bool		refused;
} Batch;

typedef struct EmbedCall
{
	const MemaiWire *wire;
	const MemaiModel *model;
	MemaiInputType type;
	MemoryContext context;		/* of the vectors */
	MemoryContext scratch;		/* of the call */
	int			ninputs;
	const MemaiSpan *inputs;	/* with their prefix */
	MemaiVector **vectors;		/* per input, NULL until it came */
	int			nbatches;
	Batch	   *batches;
	MemaiWireFailure refusal;	/* of the batch refused last */
	bool		skip_refused;	/* else a refused input is an error */
	int			nall;			/* what the caller asked for */
	MemaiVector **all;
	int		   *first;			/* per unique input the first of its equals ... */
	int		   *next;			/* ... and per input the next one, or -1 */
	const int  *sent;			/* per input that is sent its place among the
								 * unique ones; NULL: the same */
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

int
memai_wire_embed_batch(const MemaiWire *wire, const MemaiModel *model)
{
	return memai_option_int(model->options, "batch_size", wire->max_batch);
}

/* cuts the inputs into batches */
static void
cut_batches(EmbedCall *call)
{
	int			max_batch = memai_wire_embed_batch(call->wire, call->model);
	size_t		bytes = 0;

	call->batches = palloc0(sizeof(Batch) * call->ninputs);
	for (int i = 0; i < call->ninputs; i++)
	{
		Batch	   *batch = &call->batches[Max(call->nbatches - 1, 0)];

		if (i == 0 || i - batch->start >= max_batch || bytes + call->inputs[i].len > MAX_BATCH_BYTES)
		{
			batch = &call->batches[call->nbatches++];
			batch->start = i;
			bytes = 0;
		}
		batch->end = i + 1;
		bytes += call->inputs[i].len;
	}
}

static void
check_vectors(const MemaiModel *model, int n, MemaiVector **vectors)
{
	for (int i = 0; i < n; i++)
	{
		bool		zero = true;

		memai_vector_check_finite(vectors[i]);
		for (int j = 0; j < vectors[i]->dim && zero; j++)
			zero = vectors[i]->x[j] == 0;
		if (zero)
			memai_wire_bad_response(model, psprintf("vector %d is all zeros", i));
	}
}

/* for each unique input the list of those that are equal to it */
static void
link_equals(EmbedCall *call, int nunique, const int *slots)
{
	call->first = palloc(sizeof(int) * nunique);
	call->next = palloc(sizeof(int) * call->nall);
	for (int i = 0; i < nunique; i++)
		call->first[i] = -1;
	for (int i = call->nall - 1; i >= 0; i--)
	{
		call->next[i] = call->first[slots[i]];
		call->first[slots[i]] = i;
	}
}

/* gives the vector of a unique input to all that are equal to it */
static void
deliver(const EmbedCall *call, int slot, MemaiVector *vector)
{
	for (int i = call->first[slot]; i >= 0; i = call->next[i])
		call->all[i] = vector;
}

static void
receive_embed(void *state, int index, const char *body, size_t len)
{
	EmbedCall  *call = state;
	const Batch *batch = &call->batches[index];
	int			n = batch->end - batch->start;
	MemoryContext old = MemoryContextSwitchTo(call->context);

	call->wire->read_embed(call->model, body, len, n, call->vectors + batch->start);
	check_vectors(call->model, n, call->vectors + batch->start);
	MemoryContextSwitchTo(old);
	for (int i = batch->start; i < batch->end; i++)
		deliver(call, call->sent ? call->sent[i] : i, call->vectors[i]);
}

/* did the provider find fault with what it was sent? */
static bool
is_input_fault(const MemaiWireFailure *failure)
{
	int			sqlstate = failure->failure.sqlstate;

	return (sqlstate == ERRCODE_MEMAI_REFUSED || sqlstate == ERRCODE_MEMAI_CONTEXT_TOO_LONG ||
			sqlstate == ERRCODE_MEMAI_FILTERED) &&
		(failure->status == 400 || failure->status == 413 || failure->status == 422 || failure->status == 500);
}

static bool
refuse_embed(void *state, int index, const MemaiWireFailure *failure)
{
	EmbedCall  *call = state;

	if (!is_input_fault(failure) || (call->ninputs == 1 && !call->skip_refused))
		return false;
	call->batches[index].refused = true;
	call->refusal = *failure;
	call->refusal.words = MemoryContextStrdup(call->scratch, failure->words);
	return true;
}

/* adds a user's text to the request */
static void
add_share(MemaiWireRequest *request, const char *user_id, double weight)
{
	int			i = 0;

	while (i < request->nshares && request->shares[i].user_id != user_id &&
		   strcmp(request->shares[i].user_id, user_id) != 0)
		i++;
	if (i == request->nshares)
		request->shares[request->nshares++] = (MemaiUsageShare) {.user_id = user_id};
	request->shares[i].weight += weight;
}

/* how many of the call's texts are equal to one that is sent; *first is the first of them */
static int
count_equals(const EmbedCall *call, int input, int *first)
{
	int			n = 0;

	*first = call->first[call->sent ? call->sent[input] : input];
	for (int i = *first; i >= 0; i = call->next[i])
		n++;
	return n;
}

/*
 * Whom a batch is for, where the texts of the call are of several users: by the
 * bytes of theirs.  Those who have the same text share it, as it is sent once.
 */
static void
share_batch(const EmbedCall *call, const Batch *batch, MemaiWireRequest *request)
{
	const char *const *users = call->model->info.text_users;
	int			first;
	int			ntexts = 0;

	if (users == NULL)
		return;
	for (int i = batch->start; i < batch->end; i++)
		ntexts += count_equals(call, i, &first);
	request->shares = palloc(sizeof(MemaiUsageShare) * ntexts);
	for (int i = batch->start; i < batch->end; i++)
	{
		int			n = count_equals(call, i, &first);

		for (int j = first; j >= 0; j = call->next[j])
			add_share(request, users[j], (double) Max(call->inputs[i].len, 1) / n);
	}
}

static void
send_batches(EmbedCall *call)
{
	MemaiWireRequest *requests = palloc0(sizeof(MemaiWireRequest) * call->nbatches);

	for (int i = 0; i < call->nbatches; i++)
	{
		const Batch *batch = &call->batches[i];

		initStringInfo(&requests[i].body);
		call->wire->write_embed(call->model, call->type, batch->end - batch->start,
								call->inputs + batch->start, &requests[i]);
		share_batch(call, batch, &requests[i]);
	}
	memai_wire_send_each(call->wire, call->model, MEMAI_OPERATION_EMBED, call->nbatches, requests, receive_embed,
						 refuse_embed, call);
	for (int i = 0; i < call->nbatches; i++)
		pfree(requests[i].body.data);
	pfree(requests);
}

/*
 * The halves of the refused batches become the next ones.  Returns how many
 * batches were refused; *alone is the first input that was refused by itself,
 * or -1.
 */
static int
halve_refused(EmbedCall *call, int *alone)
{
	Batch	   *halves = palloc0(sizeof(Batch) * 2 * call->nbatches);
	int			n = 0;
	int			refused = 0;

	*alone = -1;
	for (int i = 0; i < call->nbatches; i++)
	{
		const Batch *batch = &call->batches[i];
		int			middle = batch->start + (batch->end - batch->start) / 2;

		if (!batch->refused)
			continue;
		refused++;
		if (batch->end - batch->start == 1)
		{
			if (*alone < 0 || batch->start < *alone)
				*alone = batch->start;
			continue;
		}
		halves[n++] = (Batch) {.start = batch->start, .end = middle};
		halves[n++] = (Batch) {.start = middle, .end = batch->end};
	}
	call->batches = halves;
	call->nbatches = n;
	return refused;
}

/* Sends everything; returns the first input that the provider refuses, or -1. */
static int
send_and_bisect(EmbedCall *call)
{
	int			hopeless = 0;
	int			extra = 0;
	int			alone;

	for (;;)
	{
		int			sent = call->nbatches;
		bool		halves = extra > 0;
		int			refused;

		send_batches(call);
		refused = halve_refused(call, &alone);
		if (alone >= 0 && !call->skip_refused)
			return alone;
		if (call->nbatches == 0)
			return -1;
		/* what refuses everything has another reason */
		hopeless = halves && refused == sent ? hopeless + 1 : 0;
		extra += call->nbatches;
		if (extra > MAX_EXTRA_REQUESTS || (hopeless == MAX_HOPELESS_ROUNDS && !call->skip_refused))
			memai_wire_raise(call->model, &call->refusal);
	}
}

/* the place of a unique input among all, from 1 */
static int
position_of(int slot, int ninputs, const int *slots)
{
	for (int i = 0; i < ninputs; i++)
		if (slots[i] == slot)
			return i + 1;
	return 0;
}

static void
raise_refused(const EmbedCall *call, int position, int ninputs)
{
	const MemaiWireFailure *refusal = &call->refusal;

	ereport(ERROR,
			(errcode(refusal->failure.sqlstate),
			 errmsg("call to model \"%s\" failed: %s", call->model->info.name, refusal->failure.what),
			 errdetail("Input %d of %d is refused, HTTP status %d: %s", position, ninputs,
					   refusal->status, refusal->words),
			 errhint("With on_error => 'null' a refused input gets NULL and the others their embeddings.")));
}

/* ---- the cache ---- */

/* the call's inputs that are not cached, and what to store them under */
typedef struct Uncached
{
	int			ttl;
	int			n;
	int		   *slots;			/* per one of them its place among all */
	MemaiCacheKey *keys;
} Uncached;

/* delivers the vectors that are cached and leaves in inputs those that are not */
static void
find_cached(EmbedCall *call, MemaiSpan *inputs, Uncached *uncached)
{
	int			n = call->ninputs;
	char		type = call->type == MEMAI_INPUT_QUERY ? 'q' : 'd';
	bytea	  **values = palloc(sizeof(bytea *) * n);

	uncached->slots = palloc(sizeof(int) * n);
	uncached->keys = palloc(sizeof(MemaiCacheKey) * n);
	for (int i = 0; i < n; i++)
	{
		MemaiSpan	parts[2] = {{&type, 1}, inputs[i]};

		memai_cache_key(&uncached->keys[i], call->model, "embed", 2, parts);
	}
	memai_cache_find(n, uncached->keys, values);
	for (int i = 0; i < n; i++)
	{
		size_t		size = sizeof(float) * call->model->info.dimensions;

		if (values[i] != NULL && VARSIZE_ANY_EXHDR(values[i]) == size)
		{
			MemoryContext old = MemoryContextSwitchTo(call->context);

			MemaiVector *vector = memai_vector_alloc(call->model->info.dimensions);

			memcpy(vector->x, VARDATA_ANY(values[i]), size);
			MemoryContextSwitchTo(old);
			deliver(call, i, vector);
			continue;
		}
		inputs[uncached->n] = inputs[i];
		uncached->keys[uncached->n] = uncached->keys[i];
		uncached->slots[uncached->n++] = i;
	}
	call->ninputs = uncached->n;
	call->sent = uncached->slots;
}

static void
store_uncached(const EmbedCall *call, const Uncached *uncached)
{
	MemaiCacheKey *keys = palloc(sizeof(MemaiCacheKey) * Max(uncached->n, 1));
	bytea	  **values = palloc(sizeof(bytea *) * Max(uncached->n, 1));
	size_t		size = sizeof(float) * call->model->info.dimensions;
	int			n = 0;

	for (int i = 0; i < uncached->n; i++)
	{
		if (call->vectors[i] == NULL)
			continue;
		keys[n] = uncached->keys[i];
		values[n] = palloc(VARHDRSZ + size);
		SET_VARSIZE(values[n], VARHDRSZ + size);
		memcpy(VARDATA(values[n++]), call->vectors[i]->x, size);
	}
	memai_cache_store(uncached->ttl, n, keys, values);
}

/* embeds unique inputs; one that is refused has no vector and its place is returned, or -1 */
static int
embed_unique(EmbedCall *call, MemaiSpan *inputs)
{
	Uncached	uncached = {.ttl = memai_cache_ttl(call->model, -1)};
	int			refused = -1;

	if (uncached.ttl > 0)
		find_cached(call, inputs, &uncached);
	if (uncached.ttl > 0 && call->ninputs == 0)
		memai_usage_cached(call->model, MEMAI_OPERATION_EMBED);
	call->inputs = add_prefix(call->model, call->type, call->ninputs, inputs);
	call->vectors = palloc0(sizeof(MemaiVector *) * Max(call->ninputs, 1));
	if (call->ninputs > 0)
	{
		cut_batches(call);
		refused = send_and_bisect(call);
	}
	if (refused >= 0)
		return uncached.ttl > 0 ? uncached.slots[refused] : refused;
	if (uncached.ttl > 0)
		store_uncached(call, &uncached);
	return -1;
}

void
memai_wire_embed(const MemaiWire *wire, const MemaiModel *model, MemaiInputType type,
				 int ninputs, const MemaiSpan *inputs, bool skip_refused,
				 MemoryContext context, MemaiVector **vectors)
{
	MemoryContext old;
	EmbedCall	call = {0};
	MemaiSpan  *unique;
	int		   *slots;
	int			refused;

	if (ninputs <= 0)
		return;
	call.context = context;
	call.scratch = AllocSetContextCreate(CurrentMemoryContext, "memai embed call", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(call.scratch);
	call.wire = wire;
	call.model = model;
	call.type = type;
	call.skip_refused = skip_refused;
	unique = palloc(sizeof(MemaiSpan) * ninputs);
	slots = palloc(sizeof(int) * ninputs);
	call.ninputs = collapse_duplicates(ninputs, inputs, unique, slots);
	call.nall = ninputs;
	call.all = vectors;
	memset(vectors, 0, sizeof(MemaiVector *) * ninputs);
	link_equals(&call, call.ninputs, slots);
	refused = embed_unique(&call, unique);
	if (refused >= 0)
		raise_refused(&call, position_of(refused, ninputs, slots), ninputs);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(call.scratch);
}
