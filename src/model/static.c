/*
 * static.c
 *	  Provider static: embeddings in the server, without a network, from tables
 *	  of vectors that were distilled from a language model (Model2Vec).
 *
 * A text's embedding is the mean of its tokens' vectors, each times the token's
 * weight where the model has weights, scaled to length 1 where its configuration
 * says so.  As the reference library does, a text is cut to max_tokens (512)
 * times the median length of a token in characters and then to max_tokens
 * tokens, and unknown tokens of a WordPiece vocabulary do not count.  A text
 * without tokens has the vector 0.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/registry.h"
#include "model/static.h"
#include "model/static_file.h"
#include "text/text.h"
#include "vector/kernel.h"

#define DEFAULT_MAX_TOKENS 512
#define MAX_MAX_TOKENS 8192

/* bytes of text that are counted at once */
#define COUNT_BLOCK (16 * 1024)

static const MemaiOption static_options[] = {
	{"max_tokens", MEMAI_OPTION_INTEGER, 1, MAX_MAX_TOKENS},
	{"recall_weight", MEMAI_OPTION_NUMBER, 0, 10},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

/* memory for one text after another */
typedef struct Workspace
{
	const MemaiStaticModel *model;
	int			max_tokens;
	int32	   *ids;			/* max_tokens */
	float	   *row;			/* a row of the matrix as floats */
	float	   *sum;
	char	   *work;
	size_t		work_size;
} Workspace;

static void
static_validate(MemaiModel *model)
{
	int			dimensions;

	if (model->url != NULL || model->credential != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("provider \"static\" takes no URL and no credential"),
				 errhint("Leave both out: its models are files of the server.")));
	memai_model_options_check(model->options, static_options);
	dimensions = memai_static_model(model->model)->dimensions;
	if (model->info.dimensions != 0 && model->info.dimensions != dimensions)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("static model \"%s\" cannot have %d dimensions", model->model,
						model->info.dimensions),
				 errdetail("Its vectors have %d dimensions.", dimensions),
				 errhint("Leave the number of dimensions out.")));
	model->info.dimensions = dimensions;
}

/* the length of the first max characters */
static size_t
cut_to_chars(const char *utf8, size_t len, int64 max)
{
	if ((int64) len <= max)
		return len;
	for (size_t i = 0; i < len; i++)
		if (((unsigned char) utf8[i] & 0xC0) != 0x80 && max-- == 0)
			return i;
	return len;
}

static void
reserve_work(Workspace *space, size_t len)
{
	size_t		size = memai_subword_work_size(len);

	if (size <= space->work_size)
		return;
	if (space->work != NULL)
		pfree(space->work);
	space->work = MemoryContextAllocHuge(CurrentMemoryContext, size);
	space->work_size = size;
}

static void
raise_too_long(const MemaiModel *model)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("static model \"%s\" makes a text too long before it takes it apart", model->model),
			 errdetail("The limit is 8 times the text.")));
}

/* a row of the matrix as floats: the matrix's own when it is of floats */
static const float *
matrix_row(Workspace *space, int32 token)
{
	const MemaiStaticModel *model = space->model;
	size_t		n = (size_t) model->dimensions;
	size_t		at = (size_t) model->rows[token] * n;

	if (model->type == MEMAI_STATIC_F32)
		return (const float *) model->matrix + at;
	if (model->type == MEMAI_STATIC_F16)
		memai_kernels->f16_to_f32(n, (const MemaiHalf *) model->matrix + at, space->row);
	else if (model->type == MEMAI_STATIC_BF16)
	{
		for (size_t i = 0; i < n; i++)
			space->row[i] = memai_static_bf16(((const uint16 *) model->matrix)[at + i]);
	}
	else
	{
		for (size_t i = 0; i < n; i++)
			space->row[i] = ((const int8 *) model->matrix)[at + i];
	}
	return space->row;
}

/* the mean of the tokens' vectors; sums are floats because the reference's are */
static void
pool(Workspace *space, int64 ntokens, float *out)
{
	const MemaiStaticModel *model = space->model;
	int			n = model->dimensions;
	double		norm = 0;
	double		divisor = (double) Max(ntokens, 1);

	memset(space->sum, 0, sizeof(float) * n);
	for (int64 t = 0; t < ntokens; t++)
	{
		const float *row = matrix_row(space, space->ids[t]);
		float		weight = model->weights ? model->weights[space->ids[t]] : 1.0f;

		for (int i = 0; i < n; i++)
			space->sum[i] += weight * row[i];
	}
	if (model->normalize)
	{
		for (int i = 0; i < n; i++)
			norm += (double) space->sum[i] * space->sum[i];
		divisor *= Max(sqrt(norm) / divisor, 1e-12);
	}
	for (int i = 0; i < n; i++)
		out[i] = (float) (space->sum[i] / divisor);
}

static MemaiVector *
embed_text(const MemaiModel *model, Workspace *space, const MemaiSpan *input)
{
	MemaiVector *vector = memai_vector_alloc(space->model->dimensions);
	MemaiSubwordTokens tokens = {space->ids, space->max_tokens, 0, !space->model->subword.unigram};
	size_t		len;
	const char *utf8 = memai_text_to_utf8(input->data, input->len, &len);

	len = cut_to_chars(utf8, len, (int64) space->max_tokens * space->model->median_chars);
	reserve_work(space, len);
	if (!memai_subword_tokens(&space->model->subword, utf8, len, true, space->work, &tokens))
		raise_too_long(model);
	pool(space, tokens.n, vector->x);
	if (utf8 != input->data)
		pfree(unconstify(char *, utf8));
	return vector;
}

static void
static_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
			 const MemaiSpan *inputs, MemaiVector **vectors)
{
	Workspace	space = {0};

	space.model = memai_static_model(model->model);
	if (space.model->dimensions != model->info.dimensions)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the files of model \"%s\" are of another model now", model->info.name),
				 errdetail("Its vectors had %d dimensions and have %d.", model->info.dimensions,
						   space.model->dimensions),
				 errhint("Put the files back, or register a new model and fill its embeddings.")));
	space.max_tokens = memai_option_int(model->options, "max_tokens", DEFAULT_MAX_TOKENS);
	space.ids = palloc(sizeof(int32) * space.max_tokens);
	space.row = palloc(sizeof(float) * space.model->dimensions);
	space.sum = palloc(sizeof(float) * space.model->dimensions);
	for (int i = 0; i < ninputs; i++)
	{
		CHECK_FOR_INTERRUPTS();
		vectors[i] = embed_text(model, &space, &inputs[i]);
	}
	if (space.work != NULL)
		pfree(space.work);
}

/* the end of a block that starts at data: before white space, where no token crosses */
static size_t
block_length(const char *data, size_t len)
{
	if (len <= COUNT_BLOCK)
		return len;
	for (size_t i = COUNT_BLOCK; i > COUNT_BLOCK / 2; i--)
		if (data[i] == ' ' || data[i] == '\n')
			return i;
	return cut_to_chars(data, len, COUNT_BLOCK / 4);
}

static int64
static_count_tokens(const MemaiModel *model, const MemaiSpan *input)
{
	const MemaiStaticModel *loaded = memai_static_model(model->model);
	Workspace	space = {0};
	MemaiSubwordTokens tokens = {NULL, PG_INT64_MAX, 0, false};
	size_t		len;
	const char *utf8 = memai_text_to_utf8(input->data, input->len, &len);

	for (size_t at = 0; at < len;)
	{
		size_t		block = block_length(utf8 + at, len - at);

		CHECK_FOR_INTERRUPTS();
		reserve_work(&space, block);
		if (!memai_subword_tokens(&loaded->subword, utf8 + at, block, at == 0, space.work, &tokens))
			raise_too_long(model);
		at += block;
	}
	return tokens.n;
}

void
memai_static_init(void)
{
	memai_static_file_init();
}

const MemaiProvider memai_provider_static = {
	.name = "static",
	.validate = static_validate,
	.embed = static_embed,
	.count_tokens = static_count_tokens
};
