/*
 * local_embed.c
 *	  The embedder of model local/hash-384: text to a vector by feature hashing.
 *	  Pure: no allocation, no errors, no server state.
 *
 * Features are words (stemmed lightly), pairs of neighbouring words and the
 * character 3-, 4- and 5-grams of content words; English function words weigh
 * little, words of other languages all weigh the same.  Each feature adds its
 * weight, damped by the logarithm of how often it occurs, to one of 384 buckets
 * with a sign, both taken from its hash (Weinberger et al., "Feature Hashing
 * for Large Scale Multitask Learning", ICML 2009); the vector is scaled to
 * length 1.  It compares spelling, not meaning.
 *
 * Vectors are stored and compared across machines and releases, so they must
 * be the same to the last bit: weights and sums are integers, and the only
 * floating-point operations are one square root and a division and a rounding
 * for each element, which IEEE 754 defines exactly.  Any change of a feature, a
 * weight or the word list needs a new model name.
 */
#include "postgres.h"

#include <math.h>

#include "model/local.h"
#include "text/text.h"

/* weights are fixed point; ONE is that of a content word */
#define ONE						4096
#define FUNCTION_WORD_WEIGHT	410 /* 0.1 */
#define NGRAM_WEIGHT			2867	/* 0.7, for all n-grams of a word */

/* of a pair by how many of its two words are function words: 0.5 * 0.3^n */
static const uint32 pair_weights[] = {2048, 614, 184};

#define MIN_NGRAM 3
#define MAX_NGRAM 5

/* seeds separate the kinds of features from each other and other uses of the hash */
#define WORD_SEED	UINT64CONST(0x6d656d61696c0001)
#define PAIR_SEED	UINT64CONST(0x6d656d61696c0002)
#define NGRAM_SEED	UINT64CONST(0x6d656d61696c0003)
#define CHAR_SEED	UINT64CONST(0x6d656d61696c0004)
#define TEXT_SEED	UINT64CONST(0x6d656d61696c0005)

/*
 * Distinct features that are counted together.  A longer text is counted in
 * parts of that many, which damps its repeated features a little less.
 */
#define MAX_FEATURES	8192
#define NSLOTS			(2 * MAX_FEATURES)	/* a power of two */
#define MAX_COUNT		65535

#define WORDS_PER_STEP	1024

/* of a text without words, no more is looked at */
#define MAX_LONE_BYTES	65536

/* a token in '<' and '>' */
#define FRAMED_MAX_BYTES (MEMAI_TOKEN_MAX_BYTES + 2)

/* 2^27 squared and added up MEMAI_LOCAL_DIMENSIONS times stays below 2^63 */
#define MAX_ELEMENT (INT64CONST(1) << 27)

typedef struct Feature
{
	uint64		hash;
	uint32		weight;			/* sum over its occurrences */
	uint32		count;			/* 0: the slot is free */
} Feature;

/* what a pair needs to know of a word */
typedef struct EmbedWord
{
	uint64		stem_hash;
	bool		is_function_word;
} EmbedWord;

struct MemaiLocalEmbedder
{
	/* the text */
	const char *utf8;
	size_t		len;
	MemaiTokeniser tokeniser;
	bool		has_word;
	EmbedWord	last_word;
	int64		sums[MEMAI_LOCAL_DIMENSIONS];

	/* features not yet in sums; slots are free between two texts */
	int			nused;
	uint16		used[MAX_FEATURES]; /* slots in the order of appearance */
	Feature		slots[NSLOTS];
};

/* round(256 * (1 + log2(n))) for n = 1 to 64; more occurrences add nothing */
static const uint16 damping[] = {
	256, 512, 662, 768, 850, 918, 975, 1024, 1068, 1106, 1142, 1174, 1203, 1231, 1256, 1280,
	1302, 1324, 1343, 1362, 1380, 1398, 1414, 1430, 1445, 1459, 1473, 1487, 1500, 1512, 1524, 1536,
	1547, 1558, 1569, 1580, 1590, 1599, 1609, 1618, 1628, 1636, 1645, 1654, 1662, 1670, 1678, 1686,
	1693, 1701, 1708, 1715, 1722, 1729, 1736, 1743, 1749, 1756, 1762, 1768, 1774, 1780, 1786, 1792
};

/* English words that say little about a text's subject; sorted */
static const char *const function_words[] = {
	"a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as",
	"at", "be", "because", "been", "before", "being", "both", "but", "by", "can", "could",
	"d", "did", "do", "does", "doing", "during", "each", "few", "for", "from", "further",
	"had", "has", "have", "having", "he", "her", "here", "hers", "herself", "him", "himself",
	"his", "how", "i", "if", "in", "into", "is", "it", "its", "itself", "just", "let", "ll",
	"m", "may", "me", "might", "more", "most", "must", "my", "myself", "no", "nor", "not",
	"now", "of", "off", "on", "once", "only", "or", "other", "our", "ours", "ourselves",
	"out", "over", "own", "re", "s", "same", "shall", "she", "should", "so", "some", "such",
	"t", "than", "that", "the", "their", "theirs", "them", "themselves", "then", "there",
	"these", "they", "this", "those", "through", "to", "too", "under", "until", "up", "us",
	"ve", "very", "was", "we", "were", "what", "when", "where", "which", "while", "who",
	"whom", "whose", "why", "will", "with", "would", "yet", "you", "your", "yours",
	"yourself", "yourselves"
};

size_t
memai_local_embedder_size(void)
{
	return sizeof(MemaiLocalEmbedder);
}

void
memai_local_embedder_init(MemaiLocalEmbedder *embedder)
{
	memset(embedder, 0, sizeof(*embedder));
}

/* Adds the features counted so far to the buckets and forgets them. */
static void
flush_features(MemaiLocalEmbedder *embedder)
{
	for (int i = 0; i < embedder->nused; i++)
	{
		Feature    *feature = &embedder->slots[embedder->used[i]];
		int			bucket = (int) (((feature->hash >> 32) * MEMAI_LOCAL_DIMENSIONS) >> 32);
		uint32		rank = Min(feature->count, lengthof(damping));
		int64		value = (int64) ((uint64) feature->weight * damping[rank - 1] / feature->count);

		embedder->sums[bucket] += (feature->hash & 1) ? value : -value;
		feature->count = 0;
	}
	embedder->nused = 0;
}

static void
add_feature(MemaiLocalEmbedder *embedder, uint64 hash, uint32 weight)
{
	uint32		slot = (uint32) hash % NSLOTS;
	Feature    *feature;

	for (;;)
	{
		feature = &embedder->slots[slot];
		if (feature->count == 0 || feature->hash == hash)
			break;
		slot = (slot + 1) % NSLOTS;
	}
	if (feature->count == 0)
	{
		if (embedder->nused == MAX_FEATURES)
		{
			flush_features(embedder);
			slot = (uint32) hash % NSLOTS;
			feature = &embedder->slots[slot];
		}
		embedder->used[embedder->nused++] = (uint16) slot;
		feature->hash = hash;
		feature->weight = 0;
	}
	if (feature->count < MAX_COUNT)
	{
		feature->count++;
		feature->weight += weight;
	}
}

static bool
is_function_word(const MemaiToken *token)
{
	const char *apostrophe = memchr(token->data, '\'', token->len);
	int			len = apostrophe ? (int) (apostrophe - token->data) : token->len;
	int			low = 0;
	int			high = lengthof(function_words);

	/* don't, isn't */
	if (token->len > 3 && memcmp(&token->data[token->len - 3], "n't", 3) == 0)
		return true;
	while (low < high)
	{
		int			middle = (low + high) / 2;
		const char *word = function_words[middle];
		int			order = strncmp(token->data, word, len);

		if (order == 0 && word[len] == '\0')
			return true;
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool
has_vowel(const char *word, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (strchr("aeiouy", word[i]) != NULL)
			return true;
	}
	return false;
}

static bool
ends_with(const char *word, int len, const char *suffix)
{
	int			suffix_len = strlen(suffix);

	return len >= suffix_len && memcmp(&word[len - suffix_len], suffix, suffix_len) == 0;
}

/* Cuts "ing" or "ed" off, and one of two equal consonants before it. */
static int
strip_tense(const char *word, int len)
{
	int			rest;

	if (ends_with(word, len, "ing"))
		rest = len - 3;
	else if (ends_with(word, len, "ed"))
		rest = len - 2;
	else
		return len;
	if (rest < 2 || !has_vowel(word, rest))
		return len;
	if (rest > 2 && word[rest - 1] == word[rest - 2] && strchr("lsz", word[rest - 1]) == NULL)
		rest--;
	return rest;
}

/*
 * Writes the stem of an English word, other words as they are, and returns its
 * length.  Plural, tense and final e only: enough that the forms of a word
 * meet, and independent of the dictionaries of a server.
 */
static int
stem_word(const MemaiToken *token, char *stem)
{
	int			len = token->len;

	if (ends_with(token->data, len, "'s"))
		len -= 2;
	memcpy(stem, token->data, len);
	for (int i = 0; i < len; i++)
	{
		if (stem[i] < 'a' || stem[i] > 'z')
			return len;
	}
	if (len > 4 && (ends_with(stem, len, "ies") || ends_with(stem, len, "ied")))
	{
		len -= 2;
		stem[len - 1] = 'y';
	}
	else if (len > 4 && ends_with(stem, len, "sses"))
		len -= 2;
	else if (len > 3 && stem[len - 1] == 's' && strchr("sui", stem[len - 2]) == NULL)
		len--;
	len = strip_tense(stem, len);
	if (len > 3 && stem[len - 1] == 'e')
		len--;
	return len;
}

/* the largest r with r * r <= x; x is below 2^32 */
static uint32
integer_sqrt(uint32 x)
{
	uint32		root = 0;

	for (uint32 bit = 1 << 15; bit != 0; bit >>= 1)
	{
		if ((uint64) (root + bit) * (root + bit) <= x)
			root += bit;
	}
	return root;
}

/* The character n-grams of '<word>'; the root of their weights' squares is NGRAM_WEIGHT. */
static void
add_ngrams(MemaiLocalEmbedder *embedder, const MemaiToken *token)
{
	char		framed[FRAMED_MAX_BYTES];
	int			starts[FRAMED_MAX_BYTES + 1];
	int			nchars = 0;
	int			len = 0;
	int			ngrams = 0;
	uint32		weight;

	framed[len++] = '<';
	memcpy(&framed[len], token->data, token->len);
	len += token->len;
	framed[len++] = '>';
	for (int i = 0; i < len; i++)
	{
		if (((unsigned char) framed[i] & 0xC0) != 0x80)
			starts[nchars++] = i;
	}
	starts[nchars] = len;

	for (int n = MIN_NGRAM; n <= Min(MAX_NGRAM, nchars); n++)
		ngrams += nchars - n + 1;
	if (ngrams == 0)
		return;
	weight = integer_sqrt(NGRAM_WEIGHT * NGRAM_WEIGHT / ngrams);
	for (int n = MIN_NGRAM; n <= Min(MAX_NGRAM, nchars); n++)
	{
		for (int i = 0; i + n <= nchars; i++)
			add_feature(embedder,
						memai_hash64(&framed[starts[i]], starts[i + n] - starts[i], NGRAM_SEED),
						weight);
	}
}

static void
add_word(MemaiLocalEmbedder *embedder, const MemaiToken *token, EmbedWord *word)
{
	char		stem[MEMAI_TOKEN_MAX_BYTES];
	int			len = stem_word(token, stem);

	word->stem_hash = memai_hash64(stem, len, WORD_SEED);
	word->is_function_word = is_function_word(token);
	add_feature(embedder, word->stem_hash, word->is_function_word ? FUNCTION_WORD_WEIGHT : ONE);
	if (!word->is_function_word)
		add_ngrams(embedder, token);
}

static void
add_pair(MemaiLocalEmbedder *embedder, const EmbedWord *first, const EmbedWord *second)
{
	uint64		hashes[2] = {first->stem_hash, second->stem_hash};
	unsigned char bytes[sizeof(hashes)];

	for (int i = 0; i < (int) sizeof(bytes); i++)
		bytes[i] = (unsigned char) (hashes[i / 8] >> (8 * (i % 8)));
	add_feature(embedder, memai_hash64(bytes, sizeof(bytes), PAIR_SEED),
				pair_weights[first->is_function_word + second->is_function_word]);
}

/* A text without words: its first characters, as they are, are its features. */
static void
add_characters(MemaiLocalEmbedder *embedder)
{
	size_t		len = Min(embedder->len, MAX_LONE_BYTES);
	size_t		start = 0;

	for (size_t i = 1; i <= len; i++)
	{
		if (i < len && ((unsigned char) embedder->utf8[i] & 0xC0) == 0x80)
			continue;
		add_feature(embedder, memai_hash64(&embedder->utf8[start], i - start, CHAR_SEED), ONE);
		start = i;
	}
}

/* Scales the sums to length 1; false when all are zero. */
static bool
normalize(const int64 *sums, float *out)
{
	int64		largest = 0;
	int			shift = 0;
	uint64		squares = 0;
	double		norm;

	for (int i = 0; i < MEMAI_LOCAL_DIMENSIONS; i++)
		largest = Max(largest, sums[i] < 0 ? -sums[i] : sums[i]);
	if (largest == 0)
		return false;
	while ((largest >> shift) >= MAX_ELEMENT)
		shift++;
	for (int i = 0; i < MEMAI_LOCAL_DIMENSIONS; i++)
	{
		int64		element = sums[i] / (INT64CONST(1) << shift);

		squares += (uint64) (element * element);
	}
	norm = sqrt((double) squares);
	for (int i = 0; i < MEMAI_LOCAL_DIMENSIONS; i++)
		out[i] = (float) ((double) (sums[i] / (INT64CONST(1) << shift)) / norm);
	return true;
}

void
memai_local_embed_start(MemaiLocalEmbedder *embedder, const char *utf8, size_t len)
{
	embedder->utf8 = utf8;
	embedder->len = len;
	embedder->has_word = false;
	memset(embedder->sums, 0, sizeof(embedder->sums));
	memai_tokeniser_start(&embedder->tokeniser, utf8, len);
}

bool
memai_local_embed_step(MemaiLocalEmbedder *embedder)
{
	MemaiToken	token;

	for (int i = 0; i < WORDS_PER_STEP; i++)
	{
		EmbedWord	word;

		if (!memai_tokeniser_next(&embedder->tokeniser, &token))
			return false;
		memai_token_strip_accents(&token);
		add_word(embedder, &token, &word);
		if (embedder->has_word)
			add_pair(embedder, &embedder->last_word, &word);
		embedder->has_word = true;
		embedder->last_word = word;
	}
	return true;
}

void
memai_local_embed_finish(MemaiLocalEmbedder *embedder, float *out)
{
	if (!embedder->has_word)
		add_characters(embedder);
	flush_features(embedder);

	/* features that cancel each other, or none at all: the text as a whole */
	if (!normalize(embedder->sums, out))
	{
		add_feature(embedder, memai_hash64(embedder->utf8, embedder->len, TEXT_SEED), ONE);
		flush_features(embedder);
		(void) normalize(embedder->sums, out);
	}
}
