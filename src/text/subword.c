/*
 * subword.c
 *	  The tokens of a published model: added tokens, rewriting, words, and then
 *	  WordPiece (Wu et al. 2016: the longest token first) or Unigram (Kudo 2018:
 *	  the sequence with the best sum of scores, by dynamic programming).  Pure:
 *	  no allocation, no errors, no server state.
 *
 * All tokens of a vocabulary are one tree over bytes, whose edges are slots of a
 * hash table.  Walking it visits every token that begins at a place, so neither
 * algorithm compares strings.
 */
#include "postgres.h"

#include "text/text.h"
#include "text/unicode.h"

#define GROWTH 8
#define GROWTH_BASE 64

/* the best way to reach a place of the text */
typedef struct Step
{
	double		score;
	int32		from;			/* where its last token starts; -1: no way yet */
	int32		token;
} Step;

typedef struct Walk
{
	const MemaiSubword *subword;
	MemaiSubwordTokens *tokens;
	char	   *buffers[2];		/* GROWTH * len + GROWTH_BASE bytes each */
	size_t		max;			/* of each */
	Step	   *steps;			/* for as many bytes, and one */
} Walk;

static size_t
buffer_size(size_t len)
{
	return MAXALIGN(GROWTH * len + GROWTH_BASE);
}

size_t
memai_subword_work_size(size_t len)
{
	return 2 * buffer_size(len) + (buffer_size(len) + 1) * sizeof(Step);
}

uint32
memai_subword_slot(const MemaiSubwordEdge *edges, uint32 mask, uint32 node, unsigned char byte)
{
	uint32		key = node << 8 | byte;
	uint32		hash = key * 0x9E3779B1U;
	uint32		slot = (hash ^ hash >> 15) & mask;

	while (edges[slot].key != 0 && edges[slot].key != key)
		slot = (slot + 1) & mask;
	return slot;
}

/* the node that an edge leads to, or MEMAI_SUBWORD_NO_NODE */
static inline uint32
follow(const MemaiSubword *subword, uint32 node, unsigned char byte)
{
	const MemaiSubwordEdge *edge;

	if (byte == 0)
		return MEMAI_SUBWORD_NO_NODE;
	edge = &subword->edges[memai_subword_slot(subword->edges, subword->edge_mask, node, byte)];
	return edge->key != 0 ? edge->child : MEMAI_SUBWORD_NO_NODE;
}

static bool
is_full(const MemaiSubwordTokens *tokens)
{
	return tokens->n >= tokens->max;
}

static void
emit(Walk *walk, int32 token)
{
	MemaiSubwordTokens *tokens = walk->tokens;

	if (is_full(tokens) || (tokens->drop_unknown && token == walk->subword->unknown))
		return;
	if (tokens->ids != NULL)
		tokens->ids[tokens->n] = token;
	tokens->n++;
}

static int
count_chars(const char *data, size_t len)
{
	int			n = 0;

	for (size_t i = 0; i < len; i++)
		n += (data[i] & 0xC0) != 0x80;
	return n;
}

/* a word as its longest pieces, or as one unknown token */
static void
wordpiece(Walk *walk, const char *word, size_t len)
{
	const MemaiSubword *subword = walk->subword;
	int64		before = walk->tokens->n;
	size_t		at = 0;

	if (len > (size_t) subword->max_word_chars &&
		count_chars(word, len) > subword->max_word_chars)
	{
		emit(walk, subword->unknown);
		return;
	}
	while (at < len)
	{
		uint32		node = at == 0 ? 0 : subword->continuing;
		size_t		end = 0;
		int32		token = -1;

		for (size_t i = at; i < len && node != MEMAI_SUBWORD_NO_NODE; i++)
		{
			node = follow(subword, node, (unsigned char) word[i]);
			if (node != MEMAI_SUBWORD_NO_NODE && subword->node_tokens[node] >= 0)
			{
				token = subword->node_tokens[node];
				end = i + 1;
			}
		}
		if (token < 0)
		{
			walk->tokens->n = before;
			emit(walk, subword->unknown);
			return;
		}
		emit(walk, token);
		at = end;
	}
}

/* makes a step to a place if it is better than what led there */
static void
offer(Step *steps, size_t from, size_t to, int32 token, double score)
{
	if (steps[to].from < 0 || score > steps[to].score)
	{
		steps[to].score = score;
		steps[to].from = (int32) from;
		steps[to].token = token;
	}
}

/* all tokens that begin at a place, and the unknown one when none is one character */
static void
step_from(const MemaiSubword *subword, Step *steps, const char *word, size_t len, size_t at, size_t char_len)
{
	uint32		node = 0;
	double		so_far = steps[at].score;
	bool		has_single = false;

	for (size_t i = at; i < len; i++)
	{
		int32		token;

		node = follow(subword, node, (unsigned char) word[i]);
		if (node == MEMAI_SUBWORD_NO_NODE)
			break;
		token = subword->node_tokens[node];
		if (token < 0)
			continue;
		offer(steps, at, i + 1, token, so_far + subword->scores[token]);
		has_single |= i + 1 - at == char_len;
	}
	if (!has_single)
		offer(steps, at, at + char_len, subword->unknown, so_far + subword->unknown_score);
}

/* a text as the most likely sequence of tokens; unknown neighbours are one */
static void
unigram(Walk *walk, const char *word, size_t len)
{
	Step	   *steps = walk->steps;
	int32		unknown = walk->subword->unknown;
	bool		was_unknown = false;
	size_t		at = 0;
	int32		next;
	int32		to;

	for (size_t i = 0; i <= len; i++)
		steps[i].from = -1;
	steps[0].score = 0;
	while (at < len)
	{
		const unsigned char *after = (const unsigned char *) word + at;

		(void) memai_utf8_decode(&after, (const unsigned char *) word + len);
		step_from(walk->subword, steps, word, len, at, (const char *) after - word - at);
		at = (const char *) after - word;
	}
	/* turn the way back into a way forward, from end to end of its tokens */
	for (to = (int32) len, next = -1; to > 0;)
	{
		int32		from = steps[to].from;

		steps[to].from = next;
		next = to;
		to = from;
	}
	for (; next > 0; next = steps[next].from)
	{
		/* unknown neighbours are one token */
		if (!(steps[next].token == unknown && was_unknown))
			emit(walk, steps[next].token);
		was_unknown = steps[next].token == unknown;
	}
}

/* ---- words of a rewritten text ---- */

static void
word_tokens(Walk *walk, const char *word, size_t len)
{
	if (len == 0 || is_full(walk->tokens))
		return;
	if (walk->subword->unigram)
		unigram(walk, word, len);
	else
		wordpiece(walk, word, len);
}

static void
split_words(Walk *walk, const char *text, size_t len, bool marks_alone)
{
	const unsigned char *next = (const unsigned char *) text;
	const unsigned char *end = next + len;
	const unsigned char *word = next;

	while (next < end && !is_full(walk->tokens))
	{
		const unsigned char *start = next;
		uint32		code = memai_utf8_decode(&next, end);
		MemaiProperty property = code == MEMAI_UTF8_INVALID ? PROPERTY_NONE : memai_char_property(code);
		bool		space = property == PROPERTY_SPACE || code == 0x85;

		if (!space && !(marks_alone && property == PROPERTY_PUNCTUATION))
			continue;
		word_tokens(walk, (const char *) word, start - word);
		if (!space)
			word_tokens(walk, (const char *) start, next - start);
		word = next;
	}
	word_tokens(walk, (const char *) word, end - word);
}

/* blanks become the metaspace, and words begin with it; false when too long */
static bool
split_metaspace(Walk *walk, const char *text, size_t len, char *out, bool first)
{
	const MemaiSubword *subword = walk->subword;
	const char *mark = subword->strings + subword->metaspace.offset;
	size_t		mark_len = subword->metaspace.len;
	MemaiRewrite blanks = {MEMAI_REWRITE_REPLACE, 0, {0, 0}, {0, 0}};
	int			flags = subword->split_flags;
	bool		prepend = (flags & MEMAI_METASPACE_PREPEND_ALWAYS) ||
	(first && (flags & MEMAI_METASPACE_PREPEND_FIRST));
	size_t		start = 0;
	int64		n;

	if (len == 0)
		return true;
	if (prepend && text[0] != ' ' && !(len >= mark_len && memcmp(text, mark, mark_len) == 0))
		memcpy(out, mark, start = mark_len);
	blanks.content = subword->metaspace;
	/* the last of the strings is a blank: what the metaspace replaces */
	blanks.pattern.offset = subword->metaspace.offset + subword->metaspace.len;
	blanks.pattern.len = 1;
	n = memai_rewrite(&blanks, subword->strings, text, len, out + start, walk->max - start);
	if (n < 0)
		return false;
	n += start;
	if (!(flags & MEMAI_METASPACE_SPLIT))
	{
		word_tokens(walk, out, n);
		return true;
	}
	for (start = 0; start < (size_t) n;)
	{
		const char *next = memmem(out + start + 1, n - start - 1, mark, mark_len);
		size_t		end = next ? (size_t) (next - out) : (size_t) n;

		word_tokens(walk, out + start, end - start);
		start = end;
	}
	return true;
}

/* a piece of the text that holds no added token */
static bool
piece_tokens(Walk *walk, const char *text, size_t len, bool first)
{
	const MemaiSubword *subword = walk->subword;
	int			turn = 0;

	for (int i = 0; i < subword->nrewrites; i++)
	{
		const MemaiRewrite *rewrite = &subword->rewrites[i];
		int64		n;

		if (rewrite->kind == MEMAI_REWRITE_REPLACE &&
			memmem(text, len, subword->strings + rewrite->pattern.offset, rewrite->pattern.len) == NULL)
			continue;
		n = memai_rewrite(rewrite, subword->strings, text, len, walk->buffers[turn], walk->max);
		if (n < 0)
			return false;
		text = walk->buffers[turn];
		len = n;
		turn = !turn;
	}
	switch (subword->split)
	{
		case MEMAI_SPLIT_METASPACE:
			return split_metaspace(walk, text, len, walk->buffers[turn], first);
		case MEMAI_SPLIT_NONE:
			word_tokens(walk, text, len);
			return true;
		default:
			split_words(walk, text, len, subword->split == MEMAI_SPLIT_BERT);
			return true;
	}
}

/* ---- added tokens ---- */

static bool
is_word_byte(unsigned char byte)
{
	return byte >= 0x80 || byte == '_' || memai_char_property(byte) == PROPERTY_NONE;
}

static bool
is_blank(char byte)
{
	return memai_char_property((unsigned char) byte) == PROPERTY_SPACE;
}

/* the longest added token that stands at a place; NULL for none */
static const MemaiAddedToken *
added_at(const MemaiSubword *subword, const char *text, size_t len, size_t at)
{
	const MemaiAddedToken *best = NULL;

	for (int i = 0; i < subword->nadded; i++)
	{
		const MemaiAddedToken *added = &subword->added[i];
		size_t		end = at + added->text.len;

		if (added->text.len > len - at || (best != NULL && added->text.len <= best->text.len) ||
			memcmp(text + at, subword->strings + added->text.offset, added->text.len) != 0)
			continue;
		if ((added->flags & MEMAI_ADDED_SINGLE_WORD) &&
			((at > 0 && is_word_byte(text[at - 1])) || (end < len && is_word_byte(text[end]))))
			continue;
		best = added;
	}
	return best;
}

bool
memai_subword_tokens(const MemaiSubword *subword, const char *utf8, size_t len, bool first,
					 void *work, MemaiSubwordTokens *tokens)
{
	Walk		walk = {subword, tokens, {NULL, NULL}, GROWTH * len + GROWTH_BASE, NULL};
	bool		begins[256] = {false};
	size_t		start = 0;

	walk.buffers[0] = work;
	walk.buffers[1] = walk.buffers[0] + buffer_size(len);
	walk.steps = (Step *) (walk.buffers[1] + buffer_size(len));
	for (int i = 0; i < subword->nadded; i++)
		begins[(unsigned char) subword->strings[subword->added[i].text.offset]] = true;

	for (size_t at = 0; at < len && !is_full(tokens);)
	{
		const MemaiAddedToken *added = begins[(unsigned char) utf8[at]]
		? added_at(subword, utf8, len, at) : NULL;
		size_t		end = at;

		if (added == NULL)
		{
			at++;
			continue;
		}
		while ((added->flags & MEMAI_ADDED_STRIP_LEFT) && end > start && is_blank(utf8[end - 1]))
			end--;
		if (!piece_tokens(&walk, utf8 + start, end - start, first && start == 0))
			return false;
		emit(&walk, added->token);
		at += added->text.len;
		while ((added->flags & MEMAI_ADDED_STRIP_RIGHT) && at < len && is_blank(utf8[at]))
			at++;
		start = at;
	}
	return piece_tokens(&walk, utf8 + start, len - start, first && start == 0);
}
