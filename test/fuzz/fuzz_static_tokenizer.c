/*
 * fuzz_static_tokenizer.c
 *	  A tokenizer.json of any bytes is survived, and one that is accepted takes
 *	  any text apart within its memory.  The input is the file, a NUL byte and
 *	  the text.
 */
/* sources: src/model/static_tokenizer.c src/model/static_json.c src/json/scan.c src/json/utf8.c src/json/floats.c src/text/subword.c src/text/rewrite.c src/text/grapheme.c src/text/properties.c src/text/unicode.c */
#include "postgres.h"

#include "model/static.h"

#define MAX_BLOCKS 256

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void *blocks[MAX_BLOCKS];
static int	nblocks;

/* memory runs out at times, as it may */
static void *
allocate(size_t size)
{
	if (nblocks == MAX_BLOCKS)
		return NULL;
	return blocks[nblocks++] = malloc(size ? size : 1);
}

static void
take_apart(const MemaiStaticTokenizer *tokenizer, const char *text, size_t len)
{
	int32		ids[16];
	MemaiSubwordTokens counted = {NULL, PG_INT64_MAX, 0, false};
	MemaiSubwordTokens stored = {ids, lengthof(ids), 0, false};
	void	   *work = malloc(memai_subword_work_size(len));
	bool		whole = memai_subword_tokens(&tokenizer->subword, text, len, true, work, &counted);

	if (whole && (!memai_subword_tokens(&tokenizer->subword, text, len, true, work, &stored) ||
				  stored.n != Min(counted.n, (int64) lengthof(ids))))
		__builtin_trap();
	for (int64 i = 0; i < stored.n; i++)
		if (ids[i] < 0 || (uint32) ids[i] >= tokenizer->ntokens)
			__builtin_trap();
	free(work);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	const uint8 *end = memchr(data, 0, size);
	size_t		len = end ? (size_t) (end - data) : size;
	size_t		text_len = end ? size - len - 1 : 0;
	char	   *json = malloc(len ? len : 1);
	char	   *text = malloc(text_len ? text_len : 1);
	MemaiStaticTokenizer tokenizer;
	MemaiStaticProblem problem;

	memcpy(json, data, len);
	if (text_len > 0)
		memcpy(text, end + 1, text_len);
	if (memai_static_tokenizer_read(json, len, allocate, &tokenizer, &problem))
		take_apart(&tokenizer, text, text_len);
	while (nblocks > 0)
		free(blocks[--nblocks]);
	free(json);
	free(text);
	return 0;
}
