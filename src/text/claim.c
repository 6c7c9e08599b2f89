/*
 * claim.c
 *	  What makes two statements of nearly the same words say different things: a
 *	  denial, numbers, a word and its opposite, places that are exchanged.  Pure:
 *	  no allocation, no errors.
 *
 * Stop words are no terms, "not", "before" and "to" among them, so "likes tea" and
 * "does not like tea", "from Berlin to Vienna" and "from Vienna to Berlin" have the
 * same terms.  In English, German and Swedish.
 */
#include "postgres.h"

#include "core/core.h"
#include "text/text.h"

#define WORD_SEED UINT64CONST(0x6d656d6169630001)
#define MAX_WORDS 256

/* words without accents; as the tokeniser gives them */
static const char *const denials[] = {
	"not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot", "stopped", "quit",
	"nicht", "nie", "niemals", "kein", "keine", "keinen", "keiner", "keinem", "keines", "nichts", "niemand", "ohne",
	"inte", "ej", "icke", "aldrig", "ingen", "inget", "inga", "ingenting", "utan", "slutat",
};

/* as one is written with digits elsewhere; one is also an article */
static const char *const numerals[] = {
	"2 two zwei tva", "3 three drei tre", "4 four vier fyra", "5 five funf fem", "6 six sechs sex", "7 seven sieben sju",
	"8 eight acht atta", "9 nine neun nio", "10 ten zehn tio", "11 eleven elf elva", "12 twelve zwolf tolv", "20 twenty zwanzig tjugo",
};

/* a statement with a word of the one side does not say what one with a word of the other side says */
static const struct
{
	const char *one;
	const char *other;
}			opposites[] =
{
	{"before fore vor", "after efter nach"},
	{"more mehr mer", "less fewer weniger mindre"},
	{"most meist mest", "least wenigsten minst"},
	{"above over uber", "below under unter"},
	{"like likes love loves enjoy enjoys mag liebt gillar alskar", "dislike dislikes hate hates detests hasst ogillar hatar"},
	{"buy buys bought kauft kaufte koper kopte", "sell sells sold verkauft verkaufte saljer salde"},
	{"win wins won gewinnt gewann vann vinner", "lose loses lost verliert verlor forlorade forlorar"},
	{"open opens opened offnet offen oppnar oppen", "close closes closed schliesst geschlossen stanger stangd"},
	{"start starts started begins began beginnt borjar", "stop stops end ends ended endet slutar"},
	{"first erste ersten forsta", "last letzte letzten sista"},
	{"increase increases increased rises rose", "decrease decreases decreased falls fell"},
	{"allow allows allowed erlaubt tillater", "forbid forbids forbidden verboten forbjuder"},
	{"accept accepts accepted", "refuse refuses refused reject rejects rejected declines declined"},
	{"enable enables enabled", "disable disables disabled"},
	{"always immer alltid", "sometimes rarely seldom selten manchmal sallan ibland"},
	{"early fruh tidigt", "late spat sent"},
};

/* what stands after these is what changes places: from Berlin to Vienna, tea to coffee */
static const char *const directions[] = {
	"to nach till", "from von fran", "before vor fore", "after nach efter", "than als an", "over",
};

static const char articles[] = "the a an der die das den dem ein eine einen en ett";

/* one statement, taken apart */
typedef struct Claim
{
	bool		denies;
	uint64		numbers;		/* a sum: in whatever order they stand */
	uint32		ones;			/* of opposites, by bit */
	uint32		others;
	uint64		after[lengthof(directions)];	/* the word after each direction, 0: none */
	int			nwords;
	uint64		words[MAX_WORDS];
} Claim;

/* Whether a list of words between blanks has this one; of numerals the first is skipped. */
static bool
lists(const char *list, const MemaiToken *token)
{
	for (const char *at = list; at != NULL; at = strchr(at, ' '))
	{
		at += *at == ' ';
		if (strncmp(at, token->data, token->len) == 0 && (at[token->len] == ' ' || at[token->len] == '\0'))
			return true;
	}
	return false;
}

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

static uint64
hash(const char *data, size_t len)
{
	return memai_hash64(data, len, WORD_SEED);
}

/* A number's hash, however it is written, or 0. */
static uint64
number(const MemaiToken *token)
{
	if (has_digit(token))
		return hash(token->data, token->len);
	for (size_t i = 0; i < lengthof(numerals); i++)
	{
		if (lists(numerals[i], token))
			return hash(numerals[i], strcspn(numerals[i], " "));
	}
	return 0;
}

static void
read_claim(const char *utf8, size_t len, Claim *claim)
{
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	uint32		open = 0;		/* directions whose word comes next */

	memset(claim, 0, offsetof(Claim, words));
	memai_tokeniser_start(&tokeniser, utf8, len);
	while (memai_tokeniser_next(&tokeniser, &token))
	{
		uint64		word;

		memai_token_strip_accents(&token);
		word = hash(token.data, token.len);
		claim->denies |= is_denial(&token);
		claim->numbers += number(&token);
		for (size_t i = 0; i < lengthof(opposites); i++)
		{
			claim->ones |= lists(opposites[i].one, &token) ? 1U << i : 0;
			claim->others |= lists(opposites[i].other, &token) ? 1U << i : 0;
		}
		if (claim->nwords < MAX_WORDS)
			claim->words[claim->nwords++] = word;
		for (size_t i = 0; i < lengthof(directions) && !lists(articles, &token); i++)
		{
			if ((open >> i) & 1)
				claim->after[i] = word;
			open &= ~(1U << i);
			open |= lists(directions[i], &token) ? 1U << i : 0;
		}
	}
}

static bool
has_word(const Claim *claim, uint64 word)
{
	for (int i = 0; i < claim->nwords; i++)
	{
		if (claim->words[i] == word)
			return true;
	}
	return false;
}

/* Whether two words have changed places: each statement has both, but another one after "to". */
static bool
is_exchanged(const Claim *a, const Claim *b)
{
	for (size_t i = 0; i < lengthof(directions); i++)
	{
		if (a->after[i] != 0 && b->after[i] != 0 && a->after[i] != b->after[i] &&
			has_word(a, b->after[i]) && has_word(b, a->after[i]))
			return true;
	}
	return false;
}

bool
memai_text_same_claim(const char *a_utf8, size_t a_len, const char *b_utf8, size_t b_len)
{
	Claim		a;
	Claim		b;

	read_claim(a_utf8, a_len, &a);
	read_claim(b_utf8, b_len, &b);
	return a.denies == b.denies && a.numbers == b.numbers && !is_exchanged(&a, &b) &&
		(a.ones & ~a.others & b.others & ~b.ones) == 0 && (a.others & ~a.ones & b.ones & ~b.others) == 0;
}
