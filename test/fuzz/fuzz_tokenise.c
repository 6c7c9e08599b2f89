/*
 * fuzz_tokenise.c
 *	  Any bytes: tokens stay in bounds and are UTF-8, the walk ends, and a
 *	  token taken apart again gives itself.
 */
/* sources: src/text/tokenise.c src/text/unicode.c src/text/tokens.c */
#include "postgres.h"

#include "text/text.h"
#include "text/unicode.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_utf8(const MemaiToken *token)
{
	const unsigned char *next = (const unsigned char *) token->data;
	const unsigned char *end = next + token->len;

	if (token->len <= 0 || token->len > MEMAI_TOKEN_MAX_BYTES)
		abort();
	while (next < end)
	{
		if (memai_utf8_decode(&next, end) == MEMAI_UTF8_INVALID)
			abort();
	}
}

/* folding is stable: the words of a token are that token */
static void
check_stable(const MemaiToken *token)
{
	MemaiTokeniser again;
	MemaiToken	same;

	memai_tokeniser_start(&again, token->data, token->len);
	if (!memai_tokeniser_next(&again, &same) || same.len > token->len ||
		memcmp(same.data, token->data, same.len) != 0)
		abort();
}

static void
check_text(const char *data, size_t size)
{
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	size_t		ntokens = 0;

	memai_tokeniser_start(&tokeniser, data, size);
	while (memai_tokeniser_next(&tokeniser, &token))
	{
		int			len = token.len;

		if (++ntokens > size)
			abort();
		check_utf8(&token);
		check_stable(&token);
		memai_token_strip_accents(&token);
		if (token.len > len)
			abort();
		check_utf8(&token);
	}
	if (memai_estimate_tokens(data, size) > (int64) size)
		abort();
}

/* two bytes a character: reaches every script of the first plane quickly */
static void
check_characters(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size / 2 * MEMAI_UTF8_MAX_BYTES + 1);
	size_t		len = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
	{
		uint32		code = (data[i] << 8) | data[i + 1];

		if (code < 0xD800 || code > 0xDFFF)
			len += memai_utf8_encode(code, &text[len]);
	}
	check_text(text, len);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_text((const char *) data, size);
	check_characters(data, size);
	return 0;
}
