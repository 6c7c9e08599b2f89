/*
 * text.h
 *	  Text as memai compares it: normalised tokens, hashed terms, BM25, token
 *	  counts.  The same on every machine, locale and release.
 */
#ifndef MEMAI_TEXT_H
#define MEMAI_TEXT_H

#include "core/compat.h"

/* ---- tokenise.c: pure ---- */

#define MEMAI_TOKEN_MAX_BYTES 128

/* one word as text compares it: case folded, compatibility forms replaced */
typedef struct MemaiToken
{
	char		data[MEMAI_TOKEN_MAX_BYTES];	/* UTF-8, not NUL-terminated */
	int			len;
} MemaiToken;

/* where a walk over the words of a text stands; start with data and end */
typedef struct MemaiTokeniser
{
	const unsigned char *next;
	const unsigned char *end;
	uint32		pending;		/* not 0: the character at next stood in a
								 * pair */
} MemaiTokeniser;

extern void memai_tokeniser_start(MemaiTokeniser *tokeniser, const char *utf8, size_t len);

/*
 * The next word, or false at the end.  Words are runs of letters, digits and
 * marks of any script, an apostrophe inside a word included; scripts that are
 * written without spaces come as overlapping pairs of characters.  Never fails:
 * bytes that are not UTF-8 separate words; a longer word is cut at the limit.
 */
extern bool memai_tokeniser_next(MemaiTokeniser *tokeniser, MemaiToken *token);

/* Removes accents in place (Latin, Greek, Cyrillic); the length can only shrink. */
extern void memai_token_strip_accents(MemaiToken *token);

/* ---- lexeme.c: needs the server (text search dictionaries) ---- */

/* no longer text is taken apart into terms; a memory is a few sentences */
#define MEMAI_TEXT_MAX_BYTES (16 * 1024 * 1024)

/*
 * A text of the server's encoding as UTF-8, and its length: palloc'd, or data
 * itself when no conversion is needed (then not NUL-terminated).  In a
 * SQL_ASCII database nothing is converted or checked.  Raises 22021 or 22P05.
 */
extern const char *memai_text_to_utf8(const char *data, size_t len, size_t *utf8_len);

/* memai_estimate_tokens of a text in the server's encoding, at most INT_MAX */
extern int	memai_text_estimate_tokens(const char *data, size_t len);

/*
 * The language in which the words of a text are stemmed: that of
 * memai.text_search_config when it is set (0), else that of memai.language, or
 * the one detected.
 */
extern int	memai_text_language(const char *data, size_t len);

/* The name of a stored language; NULL when words were stemmed by a configuration. */
extern const char *memai_text_language_name(int language);

/* The name of the language that a text of the server is clearly in; NULL in doubt. */
extern const char *memai_text_clear_language(const char *data, size_t len);

/* The name of a language by its name or ISO 639-1 code, whatever its case; NULL: none is known. */
extern const char *memai_text_known_language(const char *data, size_t len);

/*
 * A language by name or ISO 639-1 code; "auto" is -1, what the text says.  Raises
 * 22023 for any other name.
 */
extern int	memai_text_language_argument(const text *name);

/*
 * The hashed terms of a document: a bytea that stands beside the text and is
 * all that BM25 needs of it.  Stop words are gone, words are stemmed in the
 * text's language, which is stored too, each distinct stem is a 32-bit hash
 * with its frequency.  data is in the server's encoding.  Palloc'd in the
 * current context.  Format: terms.c.  Raises 54000 over MEMAI_TEXT_MAX_BYTES
 * and 42704 when the configuration does not exist.
 */
extern bytea *memai_text_terms(const char *data, size_t len);

/* The same in a language that the caller knows. */
extern bytea *memai_text_terms_in(int language, const char *data, size_t len);

/*
 * The distinct term hashes of a question, ascending; palloc'd array, its length
 * returned.  Empty when all words are stop words.  Raises as memai_text_terms.
 */
extern int	memai_text_query_terms(const char *data, size_t len, uint32 **hashes);

/* one distinct word of a question */
typedef struct MemaiQueryWord
{
	uint32		term;			/* its hash, in the question's language */
	MemaiToken	word;			/* not stemmed */
} MemaiQueryWord;

/*
 * The words of a question in a language (-1: its own), without stop words, by
 * ascending term; palloc'd array, its length returned.  Raises as above.
 */
extern int	memai_text_query_words(int *language, const char *data, size_t len, MemaiQueryWord **words);

/* What the terms of these words are in the texts of another language. */
extern void memai_text_translate_terms(int language, int nwords, const MemaiQueryWord *words, uint32 *terms);

/* ---- terms.c: pure; the argument is the bytea's payload ---- */

/* stored terms opened for reading; points into the payload */
typedef struct MemaiTermsView
{
	int			language;		/* of the stems; a MemaiLanguage */
	uint32		length;			/* term occurrences: the document's BM25
								 * length */
	uint32		nterms;			/* distinct terms */
	const unsigned char *hashes;
	const unsigned char *frequencies;
} MemaiTermsView;

/* Opens a payload; a damaged one opens as a document without terms. */
extern void memai_terms_open(const unsigned char *payload, size_t size, MemaiTermsView *view);

/* The i-th hash, i < nterms, in ascending order, and its frequency. */
extern uint32 memai_terms_hash(const MemaiTermsView *view, uint32 i);
extern uint32 memai_terms_count(const MemaiTermsView *view, uint32 i);

/* how often one term occurs; 0 when absent.  O(log n). */
extern uint32 memai_terms_frequency(const MemaiTermsView *view, uint32 hash);

/* ---- asking.c: pure ---- */

/*
 * The share of a text that asks, 0 to 1: the bytes of its sentences that end
 * in a question mark, of any script, to those of all of its sentences.
 */
extern double memai_text_asking(const char *utf8, size_t len);

/* ---- oneline.c: pure ---- */

/*
 * Writes a text on one line to out, which has room for len bytes, and returns
 * the length: controls and line separators become blanks; what nobody sees
 * (tag characters, direction overrides, zero-width spaces) is left out.
 */
extern size_t memai_text_one_line(const char *utf8, size_t len, char *out);

/* ---- when.c: pure ---- */

/* days as Julian day numbers; end is the first day after */
typedef struct MemaiDaySpan
{
	int32		first;
	int32		end;
} MemaiDaySpan;

/*
 * The days that a text speaks of, by its first time expression in English,
 * German or Swedish, seen from the day reference; false when it has none.
 */
extern bool memai_text_days(const char *utf8, size_t len, int32 reference, MemaiDaySpan *span);

/* whether a question asks for a time ("When did ...?") */
extern bool memai_text_asks_when(const char *utf8, size_t len);

/* ---- claim.c: pure ---- */

/*
 * Whether two statements of nearly the same words may say the same: both deny something or
 * neither does, with the same numbers, no word's opposite, and nothing that has changed places.
 */
extern bool memai_text_same_claim(const char *a_utf8, size_t a_len, const char *b_utf8, size_t b_len);

/* ---- paraphrase.c: pure ---- */

/*
 * Weighted Jaccard overlap of two statements' words (memai_text_query_words, in one language), 0
 * to 1: words of the same root or meaning count as one, those that say little count little.
 */
extern double memai_text_overlap(int na, const MemaiQueryWord *a, int nb, const MemaiQueryWord *b);

/* ---- pii.c: pure ---- */

/* kinds of personal data and secrets; a set of them is bits 1 << kind */
typedef enum MemaiPiiKind
{
	MEMAI_PII_EMAIL,
	MEMAI_PII_CARD,
	MEMAI_PII_IBAN,
	MEMAI_PII_PHONE,
	MEMAI_PII_IP,
	MEMAI_PII_NATIONAL_ID,
	MEMAI_PII_API_KEY,
	MEMAI_PII_NKINDS
} MemaiPiiKind;

/* the bytes from start to before end */
typedef struct MemaiPiiMatch
{
	MemaiPiiKind kind;
	size_t		start;
	size_t		end;
} MemaiPiiMatch;

/* email, card, iban, phone, ip, national_id or api_key */
extern const char *memai_pii_name(MemaiPiiKind kind);

/*
 * The first piece of one of kinds that starts at offset or later, or false.  Go
 * on at match->end.  Any bytes are read; what is no UTF-8 separates.
 */
extern bool memai_pii_next(const char *utf8, size_t len, size_t offset, unsigned kinds, MemaiPiiMatch *match);

/* ---- bm25.c: pure ---- */

/*
 * Okapi BM25 with Lucene's always-positive inverse document frequency,
 * ln(1 + (n - df + 0.5) / (df + 0.5)) (Robertson & Zaragoza 2009).
 */
typedef struct MemaiBm25
{
	double		k1;
	double		b;
	double		average_length;
} MemaiBm25;

extern double memai_bm25_idf(double ndocuments, double document_frequency);
extern double memai_bm25_term(const MemaiBm25 *bm25, double idf, double frequency, double length);

/* ---- tokens.c: pure ---- */

/*
 * Estimate of the tokens that a language model's tokeniser makes of a text:
 * one a character of a script without spaces or a symbol, one for every five
 * bytes of a word (at least one), one a run of ASCII punctuation marks.
 */
extern int64 memai_estimate_tokens(const char *utf8, size_t len);

/* ---- rewrite.c, subword.c: pure: the tokens of a published model ---- */

/* what happens to a text, in this order, before it is taken apart */
typedef enum MemaiRewriteKind
{
	MEMAI_REWRITE_BERT,			/* flags: MEMAI_BERT_... */
	MEMAI_REWRITE_LOWER,
	MEMAI_REWRITE_DECOMPOSE,	/* canonically (Unicode Annex 15, NFD) */
	MEMAI_REWRITE_STRIP_MARKS,
	MEMAI_REWRITE_REPLACE,		/* every pattern by content */
	MEMAI_REWRITE_SPACES,		/* every run of white space by content */
	MEMAI_REWRITE_BLANKS,		/* every run of two or more blanks by content */
	MEMAI_REWRITE_STRIP,		/* white space; flags: MEMAI_STRIP_... */
	MEMAI_REWRITE_PREPEND,		/* content, unless the text is empty */
	MEMAI_REWRITE_CHARSMAP		/* by a map of SentencePiece: pattern is its
								 * tree, content what it maps to */
} MemaiRewriteKind;

#define MEMAI_BERT_CLEAN	1
#define MEMAI_BERT_CHINESE	2
#define MEMAI_BERT_STRIP	4
#define MEMAI_BERT_LOWER	8
#define MEMAI_STRIP_LEFT	1
#define MEMAI_STRIP_RIGHT	2

/* a piece of the strings of a MemaiSubword */
typedef struct MemaiSubwordText
{
	uint32		offset;
	uint32		len;
} MemaiSubwordText;

typedef struct MemaiRewrite
{
	int32		kind;
	int32		flags;
	MemaiSubwordText pattern;
	MemaiSubwordText content;
} MemaiRewrite;

/* how a rewritten text is taken apart into words */
typedef enum MemaiSplitKind
{
	MEMAI_SPLIT_NONE,
	MEMAI_SPLIT_BERT,			/* at white space, punctuation marks alone */
	MEMAI_SPLIT_SPACE,			/* at white space */
	MEMAI_SPLIT_METASPACE		/* blanks become a character of their own */
} MemaiSplitKind;

#define MEMAI_METASPACE_PREPEND_FIRST	1
#define MEMAI_METASPACE_PREPEND_ALWAYS	2
#define MEMAI_METASPACE_SPLIT			4

/* a token that is looked for in the text as it came, before all else */
typedef struct MemaiAddedToken
{
	MemaiSubwordText text;
	int32		token;
	int32		flags;
} MemaiAddedToken;

#define MEMAI_ADDED_SINGLE_WORD	1
#define MEMAI_ADDED_STRIP_LEFT	2
#define MEMAI_ADDED_STRIP_RIGHT	4

/* an edge of the tree of tokens: from a node by a byte */
typedef struct MemaiSubwordEdge
{
	uint32		key;			/* node << 8 | byte; 0: free slot */
	uint32		child;
} MemaiSubwordEdge;

#define MEMAI_SUBWORD_MAX_NODES (1 << 24)
#define MEMAI_SUBWORD_NO_NODE 0xFFFFFFFFU

/*
 * A tokenizer, ready for use: numbers and offsets only, in memory that may be
 * shared and read-only.  Whoever makes one guarantees that edges lead to nodes
 * and texts lie in strings.
 */
typedef struct MemaiSubword
{
	bool		unigram;		/* otherwise WordPiece */
	int32		unknown;		/* token of what has none */
	int32		max_word_chars; /* WordPiece: longer words are unknown */
	uint32		continuing;		/* WordPiece: node after the prefix of pieces
								 * inside a word, or MEMAI_SUBWORD_NO_NODE */
	double		unknown_score;	/* Unigram */
	int32		split;
	int32		split_flags;
	MemaiSubwordText metaspace; /* a blank follows it in strings */
	int32		nrewrites;
	int32		nadded;
	uint32		edge_mask;		/* slots of edges, a power of two, less one */
	const MemaiRewrite *rewrites;
	const MemaiAddedToken *added;
	const MemaiSubwordEdge *edges;
	const int32 *node_tokens;	/* -1: no token ends at this node */
	const double *scores;		/* Unigram: by token */
	const char *strings;
} MemaiSubword;

/* The slot of an edge from node by byte, or the free slot where it belongs. */
extern uint32 memai_subword_slot(const MemaiSubwordEdge *edges, uint32 mask, uint32 node,
								 unsigned char byte);

/* where tokens go */
typedef struct MemaiSubwordTokens
{
	int32	   *ids;			/* NULL: they are only counted */
	int64		max;			/* stop after so many */
	int64		n;
	bool		drop_unknown;
} MemaiSubwordTokens;

/* Bytes of working memory that memai_subword_tokens needs for len bytes. */
extern size_t memai_subword_work_size(size_t len);

/*
 * Appends the tokens of UTF-8 text; broken sequences count as U+FFFD.  first
 * tells whether this is the beginning of the text.  False, leaving tokens half
 * done, when the rewritten text is longer than 8 times len + 64.
 */
extern bool memai_subword_tokens(const MemaiSubword *subword, const char *utf8, size_t len,
								 bool first, void *work, MemaiSubwordTokens *tokens);

/* One rewriting step; the new length, or -1 when it is more than max. */
extern int64 memai_rewrite(const MemaiRewrite *rewrite, const char *strings,
						   const char *in, size_t len, char *out, size_t max);

/* ---- chunk.c: pure ---- */

#define MEMAI_CHUNK_MAX_SIZE 1000000
#define MEMAI_HEADING_LEVELS 6

/* what a text is written in; HTML is made Markdown before it is chunked */
typedef enum MemaiTextFormat
{
	MEMAI_FORMAT_TEXT,
	MEMAI_FORMAT_MARKDOWN,
	MEMAI_FORMAT_HTML,
	MEMAI_FORMAT_CODE
} MemaiTextFormat;

typedef enum MemaiChunkStrategy
{
	MEMAI_CHUNK_RECURSIVE,		/* at the best place of the second half */
	MEMAI_CHUNK_SENTENCE,		/* whole sentences, as many as fit */
	MEMAI_CHUNK_FIXED			/* as much as fits */
} MemaiChunkStrategy;

/* how to part a text */
typedef struct MemaiChunking
{
	int			size;			/* 1..MEMAI_CHUNK_MAX_SIZE, of a chunk at most */
	int			overlap;		/* 0..size / 2, with the chunk before at most */
	bool		in_tokens;		/* size and overlap are estimated tokens, else
								 * characters */
	MemaiChunkStrategy strategy;
	MemaiTextFormat format;
} MemaiChunking;

/* bytes of the text */
typedef struct MemaiTextSpan
{
	size_t		start;
	size_t		len;
} MemaiTextSpan;

typedef struct MemaiChunk
{
	MemaiTextSpan span;
	int64		first_char;		/* characters of the text before the chunk */
	int64		nchars;
	MemaiTextSpan headings[MEMAI_HEADING_LEVELS];	/* in force at its start, by
													 * level; len 0: none */
} MemaiChunk;

/* where a walk over the chunks of a text stands; private but for its size */
typedef struct MemaiChunker
{
	MemaiChunking how;
	const unsigned char *begin;
	const unsigned char *end;
	const unsigned char *from;	/* of the next chunk */
	const unsigned char *last_end;	/* of the chunk before */
	int64		from_chars;		/* characters before from */
	bool		in_fence;
	MemaiTextSpan headings[MEMAI_HEADING_LEVELS];
} MemaiChunker;

extern void memai_chunker_start(MemaiChunker *chunker, const char *utf8, size_t len, const MemaiChunking *how);

/*
 * The next chunk, or false at the end.  Chunks stand in the order of the text; each
 * ends behind the one before it; together they hold every character that is no
 * blank.  None is larger than size, begins (but for the indentation of code) or
 * ends with blanks, or parts a grapheme, unless that alone is larger than size.
 * A chunk of n tokens has at most 32 n characters.  The same text gives the same
 * chunks everywhere.  Takes linear time; any bytes will do.
 */
extern bool memai_chunker_next(MemaiChunker *chunker, MemaiChunk *chunk);

/* ---- clean.c, html.c, markdown.c: pure ---- */

/* bytes that what the cleaners write of len bytes needs at most */
extern size_t memai_clean_max_size(size_t len);

/*
 * Cleans a text: no control or invisible characters, newlines of one kind, one
 * blank for many, no more than one empty line.  Indentation stays in code, and in
 * Markdown outside of paragraphs.  HTML and Markdown come as Markdown without
 * markup in its lines: headings, lists, rows and blocks of code stay.  Writes to
 * out (memai_clean_max_size(len) bytes, not in utf8) and returns the length.
 * title, unless NULL, gets the title of a page or the front matter, terminated
 * and empty when there is none.  Never fails, takes linear time.
 */
extern size_t memai_clean(const char *utf8, size_t len, MemaiTextFormat format,
						  char *out, char *title, size_t title_size);

/* The same without the cleaning of blanks. */
extern size_t memai_html_to_markdown(const char *utf8, size_t len, char *out, char *title, size_t title_size);
extern size_t memai_markdown_to_text(const char *utf8, size_t len, char *out, char *title, size_t title_size);

/*
 * What a text is written in, by the extension of its source and by how it
 * begins; plain text when nothing speaks for another.
 */
extern MemaiTextFormat memai_guess_format(const char *utf8, size_t len, const char *source, size_t source_len);

/* What kind of file these bytes are, when they are no text ("PDF"); NULL: they may be text. */
extern const char *memai_binary_kind(const char *data, size_t len);

/* ---- chunk_sql.c: needs the server ---- */

/* "text", "markdown", "html" or "code"; raises 22023 */
extern MemaiTextFormat memai_text_format(const text *value);

/* Sets unit and strategy by their names; NULL: tokens, recursive.  Raises 22023. */
extern void memai_chunking_set(MemaiChunking *how, const text *unit, const text *strategy);

/* Sets size and overlap; NULL: 400, and a tenth of the size.  Raises 22023 out of range. */
extern void memai_chunking_set_size(MemaiChunking *how, const int *size, const int *overlap, int min_size, int max_size);

/* UTF-8 as a text of the server's encoding, palloc'd.  Raises 22P05. */
extern text *memai_text_from_utf8(const char *utf8, size_t len);

/* The headings over a chunk of utf8 ("Guide > Travel"), palloc'd, or NULL. */
extern text *memai_chunk_heading(const char *utf8, const MemaiChunk *chunk);

extern void memai_text_init(void);

#endif							/* MEMAI_TEXT_H */
