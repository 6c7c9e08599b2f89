/*
 * tokenise.c
 *	  Text to words.  Pure: no allocation, no errors, no server state; memory
 *	  is one fixed buffer on the stack.
 *
 * A word is case folded and normalised as a whole (compatibility decomposition,
 * full case folding, canonical composition), so that spellings which Unicode
 * calls equivalent, such as e + U+0301 and U+00E9, give the same token.  Scripts
 * without spaces give overlapping pairs of characters, a character with the
 * marks that belong to it counting as one; a lone character gives itself.
 */
#include "postgres.h"

#include "text/text.h"
#include "text/unicode.h"

/*
 * Folded characters of one word before composition: room for four times the
 * characters that fit into a token, so that the buffer's end never shows in a
 * token of ordinary text.
 */
#define WORD_MAX_CHARS (4 * MEMAI_TOKEN_MAX_BYTES)

/* marks kept after one character; the limit of Unicode's stream-safe format */
#define MAX_MARKS 30

typedef struct Word
{
	int			n;
	int			nmarks;			/* after the last letter, left out ones too */
	uint32		codes[WORD_MAX_CHARS];
} Word;

void
memai_tokeniser_start(MemaiTokeniser *tokeniser, const char *utf8, size_t len)
{
	tokeniser->next = (const unsigned char *) utf8;
	tokeniser->end = tokeniser->next + len;
	tokeniser->pending = 0;
}

static inline bool
is_apostrophe(uint32 code)
{
	return code == '\'' || code == 0x2019 || code == 0x02BC || code == 0xFF07;
}

/*
 * The next visible character at *next and its class; invisible ones are passed
 * over.  False at the end.
 */
static bool
read_char(const unsigned char **next, const unsigned char *end,
		  uint32 *code, MemaiCharClass *class)
{
	while (*next < end)
	{
		*code = memai_utf8_decode(next, end);
		*class = memai_char_class(*code);
		if (*class != CHAR_IGNORED)
			return true;
	}
	return false;
}

/* Appends a character folded; what does not fit is left out. */
static void
add_char(Word *word, uint32 code, MemaiCharClass class)
{
	uint32		folded[MEMAI_FOLD_MAX];
	int			n = memai_char_fold(code, folded);

	/* marks count as decomposed, so that equivalent spellings have as many */
	word->nmarks = class == CHAR_MARK ? word->nmarks + n : n - 1;
	if (word->nmarks > MAX_MARKS || word->n + n > WORD_MAX_CHARS)
		return;
	memcpy(&word->codes[word->n], folded, n * sizeof(uint32));
	word->n += n;
}

/* Takes the marks at *next that belong to the character before them. */
static void
add_marks(Word *word, const unsigned char **next, const unsigned char *end)
{
	const unsigned char *behind = *next;
	uint32		code;
	MemaiCharClass class;

	while (read_char(&behind, end, &code, &class) && class == CHAR_MARK)
	{
		add_char(word, code, class);
		*next = behind;
	}
}

/* Writes the word as a token, cut at the limit between two characters. */
static void
finish_token(Word *word, MemaiToken *token)
{
	int			n = memai_chars_compose(word->codes, word->n);

	token->len = 0;
	for (int i = 0; i < n; i++)
	{
		char		bytes[MEMAI_UTF8_MAX_BYTES];
		int			len = memai_utf8_encode(word->codes[i], bytes);

		if (token->len + len > MEMAI_TOKEN_MAX_BYTES)
			return;
		memcpy(&token->data[token->len], bytes, len);
		token->len += len;
	}
}

/*
 * The common case: a word of ASCII letters and digits, apostrophes inside
 * included.  False, and nothing moved, when the word is not like that.
 */
static bool
read_ascii_word(MemaiTokeniser *tokeniser, MemaiToken *token)
{
	const unsigned char *next = tokeniser->next;
	const unsigned char *end = tokeniser->end;
	int			len = 0;

	for (; next < end; next++)
	{
		uint32		c = *next;

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		else if (c == '\'')
		{
			/* what follows may be a letter outside ASCII */
			if (next + 1 < end && next[1] >= 0x80)
				return false;
			if (next + 1 >= end || memai_char_class(next[1]) != CHAR_WORD)
				break;
		}
		else if (c >= 0x80)
			return false;
		else if (memai_char_class(c) != CHAR_WORD)
			break;
		if (len < MEMAI_TOKEN_MAX_BYTES)
			token->data[len++] = (char) c;
	}
	token->len = len;
	tokeniser->next = next;
	return true;
}

/* A word of a script with spaces; tokeniser->next stands at its first letter. */
static void
read_word(MemaiTokeniser *tokeniser, MemaiToken *token)
{
	const unsigned char *next = tokeniser->next;
	const unsigned char *end = tokeniser->end;
	uint32		code;
	MemaiCharClass class;
	Word		word;

	word.n = word.nmarks = 0;
	while (read_char(&next, end, &code, &class))
	{
		if (is_apostrophe(code))
		{
			/* only between letters */
			if (!read_char(&next, end, &code, &class) || class != CHAR_WORD)
				break;
			add_char(&word, '\'', CHAR_WORD);
		}
		if (class != CHAR_WORD && class != CHAR_MARK)
			break;
		add_char(&word, code, class);
		tokeniser->next = next;
	}
	finish_token(&word, token);
}

/*
 * The pair of the character at *next and the one behind it, and moves to the
 * latter; or a character that has no neighbour.  False when the character
 * stood in a pair already and has none behind it.
 */
static bool
read_pair(MemaiTokeniser *tokeniser, MemaiToken *token)
{
	const unsigned char *end = tokeniser->end;
	const unsigned char *next = tokeniser->next;
	const unsigned char *second;
	bool		in_pair = tokeniser->pending != 0;
	uint32		code = 0;
	MemaiCharClass class = CHAR_OTHER;
	Word		word;

	word.n = word.nmarks = 0;
	read_char(&next, end, &code, &class);
	add_char(&word, code, class);
	add_marks(&word, &next, end);
	tokeniser->next = second = next;
	tokeniser->pending = 0;

	if (read_char(&next, end, &code, &class) && class == CHAR_UNSPACED)
	{
		add_char(&word, code, class);
		add_marks(&word, &next, end);
		tokeniser->next = second;
		tokeniser->pending = code;
	}
	else if (in_pair)
		return false;
	finish_token(&word, token);
	return true;
}

bool
memai_tokeniser_next(MemaiTokeniser *tokeniser, MemaiToken *token)
{
	while (tokeniser->next < tokeniser->end)
	{
		const unsigned char *behind = tokeniser->next;
		MemaiCharClass class = memai_char_class(memai_utf8_decode(&behind, tokeniser->end));

		if (class == CHAR_WORD)
		{
			if (!read_ascii_word(tokeniser, token))
				read_word(tokeniser, token);
			return true;
		}
		if (class == CHAR_UNSPACED)
		{
			if (read_pair(tokeniser, token))
				return true;
		}
		else
			tokeniser->next = behind;
	}
	return false;
}

void
memai_token_strip_accents(MemaiToken *token)
{
	const unsigned char *next = (const unsigned char *) token->data;
	const unsigned char *end = next + token->len;
	int			len = 0;

	/* what is written is never longer than what was read */
	while (next < end)
	{
		const unsigned char *start = next;
		uint32		code = memai_utf8_decode(&next, end);

		if (code == MEMAI_UTF8_INVALID)
			token->data[len++] = (char) *start;
		else if (!memai_char_is_accent(code))
			len += memai_char_base(code, &token->data[len]);
	}
	token->len = len;
}
