/*
 * claim.c
 *	  What makes two statements of the same words say different things: a
 *	  denial, and the numbers.  Pure: no allocation, no errors.
 *
 * Stop words are no terms, "not" among them, so "likes tea" and "does not like
 * tea" have the same terms.  Denials in English, German and Swedish.
 */
#include "postgres.h"

#include "core/core.h"
#include "text/text.h"

#define NUMBER_SEED UINT64CONST(0x6d656d6169630001)

/* without accents; as the tokeniser gives them */
static const char *const denials[] = {
	"not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot", "stopped", "quit",
	"nicht", "nie", "niemals", "kein", "keine", "keinen", "keiner", "keinem", "keines", "nichts", "niemand", "ohne",
	"inte", "ej", "icke", "aldrig", "ingen", "inget", "inga", "ingenting", "utan", "slutat",
};

static bool
is_denial(const MemaiToken *token)
{
	/* don't, doesn't, won't; the apostrophe is part of the word */
	if (token->len > 3 && memcmp(token->data + token->len - 2, "'t", 2) == 0 && token->data[token->len - 3] == 'n')
		return true;
	for (size_t i = 0; i < lengthof(denials); i++)
	{
		if (strlen(denials[i]) == (size_t) token->len && memcmp(denials[i], token->data, token->len) == 0)
			return true;
	}
	return false;
}

static bool
has_digit(const MemaiToken *token)
{
	for (int i = 0; i < token->len; i++)
	{
		if (token->data[i] >= '0' && token->data[i] <= '9')
			return true;
	}
	return false;
}

void
memai_text_claim(const char *utf8, size_t len, MemaiClaim *claim)
{
	MemaiTokeniser tokeniser;
	MemaiToken	token;

	claim->denies = false;
	claim->numbers = 0;
	memai_tokeniser_start(&tokeniser, utf8, len);
	while (memai_tokeniser_next(&tokeniser, &token))
	{
		memai_token_strip_accents(&token);
		claim->denies |= is_denial(&token);
		/* a sum: in whatever order they stand */
		if (has_digit(&token))
			claim->numbers += memai_hash64(token.data, token.len, NUMBER_SEED);
	}
}
