/*
 * static_tokenizer.c
 *	  Reading a tokenizer.json: the part of that format that models of static
 *	  embeddings use.  Pure but for the memory that its caller gives.
 *
 * What is not understood is refused and not guessed: a tokenizer that differs
 * a little gives vectors that are wrong a little, which nobody notices.  The
 * tree of tokens (text/subword.c) is built here; its size is bounded by that of
 * the file, since each byte of a token makes at most one node.
 */
#include "postgres.h"

#include "model/static.h"

#define MAX_REWRITES 256
#define MAX_ADDED 256
#define MAX_NESTING 4
#define MAX_METASPACE 16
#define MAX_LENGTH 1024			/* longer tokens count as this long in the
								 * median */
#define DEFAULT_WORD_CHARS 100

/* what an unknown character costs more than the least likely token */
#define UNKNOWN_PENALTY 10.0

typedef struct Builder
{
	MemaiStaticTokenizer *out;
	MemaiStaticAllocate allocate;
	MemaiStaticProblem *problem;
	MemaiRewrite *rewrites;
	MemaiAddedToken *added;
	MemaiSubwordEdge *edges;
	uint32		nslots;
	int32	   *node_tokens;
	uint32		max_nodes;
	double	   *scores;
	uint32		max_scores;
	char	   *strings;		/* as large as the file */
	char	   *scratch;		/* likewise: the string read last */
	int64		lengths[MAX_LENGTH + 1];
	int64		nlengths;
} Builder;

static bool
fail(Builder *builder, const char *text)
{
	snprintf(builder->problem->text, sizeof(builder->problem->text), "%s", text);
	return false;
}

/* the same with the value that is at fault, shortened */
static bool
fail_value(Builder *builder, const char *text, const MemaiJsonScan *member)
{
	MemaiJsonScan scan = *member;
	const char *data = "none";
	size_t		len = 4;

	if (member->at != NULL && memai_json_scan_peek(&scan) == '"')
		(void) memai_json_scan_string(&scan, &data, &len);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) data[i] < ' ' || (unsigned char) data[i] > '~')
			len = i;
	snprintf(builder->problem->text, sizeof(builder->problem->text), "%s (%.*s)",
			 text, (int) Min(len, 60), data);
	return false;
}

static bool
out_of_memory(Builder *builder)
{
	return fail(builder, "there is not enough memory for it");
}

/* ---- strings ---- */

/* copies bytes into the strings, which are large enough for what the file holds */
static MemaiSubwordText
keep(Builder *builder, const char *data, size_t len)
{
	MemaiSubwordText text = {builder->out->strings_len, (uint32) len};

	memcpy(builder->strings + text.offset, data, len);
	builder->out->strings_len += (uint32) len;
	return text;
}

/* a member's string kept; false when there is none */
static bool
keep_member(Builder *builder, const MemaiJsonScan *member, MemaiSubwordText *text)
{
	MemaiJsonScan scan = *member;
	int64		len;

	if (member->at == NULL || memai_json_scan_peek(&scan) != '"')
		return false;
	len = memai_static_string(&scan, builder->scratch);
	if (len < 0)
		return false;
	*text = keep(builder, builder->scratch, (size_t) len);
	return true;
}

/* ---- the tree of tokens ---- */

static bool
grow_nodes(Builder *builder)
{
	uint32		max = Max(builder->max_nodes * 2, 4096);
	int32	   *nodes;

	if (max > MEMAI_SUBWORD_MAX_NODES)
		return fail(builder, "its vocabulary is too large");
	nodes = builder->allocate(max * sizeof(int32));
	if (nodes == NULL)
		return out_of_memory(builder);
	if (builder->out->nnodes > 0)
		memcpy(nodes, builder->node_tokens, builder->out->nnodes * sizeof(int32));
	builder->node_tokens = nodes;
	builder->max_nodes = max;
	return true;
}

static bool
grow_edges(Builder *builder)
{
	uint32		n = builder->nslots * 2;
	MemaiSubwordEdge *edges = builder->allocate((size_t) n * sizeof(MemaiSubwordEdge));

	if (edges == NULL)
		return out_of_memory(builder);
	memset(edges, 0, (size_t) n * sizeof(MemaiSubwordEdge));
	for (uint32 i = 0; i < builder->nslots; i++)
	{
		const MemaiSubwordEdge *edge = &builder->edges[i];

		if (edge->key != 0)
			edges[memai_subword_slot(edges, n - 1, edge->key >> 8, edge->key & 0xFF)] = *edge;
	}
	builder->edges = edges;
	builder->nslots = n;
	return true;
}

static bool
new_node(Builder *builder, uint32 *node)
{
	if (builder->out->nnodes >= builder->max_nodes && !grow_nodes(builder))
		return false;
	*node = builder->out->nnodes++;
	builder->node_tokens[*node] = -1;
	return true;
}

/* the node of a string, made if need be */
static bool
insert_path(Builder *builder, const char *data, size_t len, uint32 *node)
{
	*node = 0;
	for (size_t i = 0; i < len; i++)
	{
		unsigned char byte = (unsigned char) data[i];
		MemaiSubwordEdge *edge;

		if (byte == 0)
			return fail(builder, "a token holds a NUL character");
		/* every node but the root is behind one edge */
		if (builder->out->nnodes * 3 / 2 >= builder->nslots && !grow_edges(builder))
			return false;
		edge = &builder->edges[memai_subword_slot(builder->edges, builder->nslots - 1, *node, byte)];
		if (edge->key == 0)
		{
			uint32		child;

			if (!new_node(builder, &child))
				return false;
			edge->key = *node << 8 | byte;
			edge->child = child;
		}
		*node = edge->child;
	}
	return true;
}

static void
count_length(Builder *builder, const char *data, size_t len)
{
	size_t		chars = 0;

	for (size_t i = 0; i < len; i++)
		chars += (data[i] & 0xC0) != 0x80;
	builder->lengths[Min(chars, MAX_LENGTH)]++;
	builder->nlengths++;
}

static bool
check_token(Builder *builder, int64 token)
{
	if (token < 0 || token >= MEMAI_STATIC_MAX_TOKENS)
		return fail(builder, "the number of a token is out of range");
	builder->out->ntokens = Max(builder->out->ntokens, (uint32) token + 1);
	return true;
}

static bool
insert_token(Builder *builder, const char *data, size_t len, int64 token)
{
	uint32		node;

	if (!check_token(builder, token) || !insert_path(builder, data, len, &node))
		return false;
	count_length(builder, data, len);
	if (len > 0)
		builder->node_tokens[node] = (int32) token;
	return true;
}

/* the node of a string, or MEMAI_SUBWORD_NO_NODE */
static uint32
find_path(const Builder *builder, const char *data, size_t len)
{
	uint32		node = 0;

	for (size_t i = 0; i < len; i++)
	{
		const MemaiSubwordEdge *edge =
		&builder->edges[memai_subword_slot(builder->edges, builder->nslots - 1, node,
										   (unsigned char) data[i])];

		if (edge->key == 0)
			return MEMAI_SUBWORD_NO_NODE;
		node = edge->child;
	}
	return node;
}

/* ---- what happens to the text first ---- */

static MemaiRewrite *
add_rewrite(Builder *builder, MemaiRewriteKind kind, int flags)
{
	MemaiRewrite *rewrite;

	if (builder->out->subword.nrewrites >= MAX_REWRITES)
	{
		(void) fail(builder, "its normalizer has too many steps");
		return NULL;
	}
	rewrite = &builder->rewrites[builder->out->subword.nrewrites++];
	memset(rewrite, 0, sizeof(MemaiRewrite));
	rewrite->kind = kind;
	rewrite->flags = flags;
	return rewrite;
}

static bool
read_bert_normalizer(Builder *builder, MemaiJsonScan *scan)
{
	static const char *const keys[] = {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"};
	static const int flags[] = {
		MEMAI_BERT_CLEAN, MEMAI_BERT_CHINESE, MEMAI_BERT_STRIP, MEMAI_BERT_LOWER
	};
	MemaiJsonScan found[4];
	bool		values[4] = {true, true, false, true};
	int			set = 0;

	(void) memai_static_members(scan, 4, keys, found);
	for (int i = 0; i < 4; i++)
		(void) memai_static_bool(&found[i], &values[i]);
	/* unless it is said, accents go when case goes */
	if (found[2].at == NULL)
		values[2] = values[3];
	for (int i = 0; i < 4; i++)
		set |= values[i] ? flags[i] : 0;
	return add_rewrite(builder, MEMAI_REWRITE_BERT, set) != NULL;
}

static bool
read_replace(Builder *builder, MemaiJsonScan *scan)
{
	static const char *const keys[] = {"pattern", "content"};
	static const char *const pattern_keys[] = {"String", "Regex"};
	MemaiJsonScan found[2];
	MemaiJsonScan pattern[2];
	MemaiRewrite *rewrite = add_rewrite(builder, MEMAI_REWRITE_REPLACE, 0);

	if (rewrite == NULL)
		return false;
	(void) memai_static_members(scan, 2, keys, found);
	if (found[0].at == NULL || !memai_static_members(&found[0], 2, pattern_keys, pattern) ||
		!keep_member(builder, &found[1], &rewrite->content))
		return fail(builder, "a replacement of its normalizer lacks its pattern or its content");
	if (pattern[0].at != NULL)
	{
		if (!keep_member(builder, &pattern[0], &rewrite->pattern) || rewrite->pattern.len == 0)
			return fail(builder, "a replacement of its normalizer has an empty pattern");
		return true;
	}
	/* as JSON writes them */
	if (memai_static_string_is(&pattern[1], "\\\\s+"))
		rewrite->kind = MEMAI_REWRITE_SPACES;
	else if (memai_static_string_is(&pattern[1], " {2,}"))
		rewrite->kind = MEMAI_REWRITE_BLANKS;
	else
		return fail_value(builder, "its normalizer has a regular expression that memai does not know", &pattern[1]);
	return true;
}

static bool
read_strip(Builder *builder, MemaiJsonScan *scan)
{
	static const char *const keys[] = {"strip_left", "strip_right"};
	MemaiJsonScan found[2];
	bool		left = true;
	bool		right = true;

	(void) memai_static_members(scan, 2, keys, found);
	(void) memai_static_bool(&found[0], &left);
	(void) memai_static_bool(&found[1], &right);
	return add_rewrite(builder, MEMAI_REWRITE_STRIP, (left ? MEMAI_STRIP_LEFT : 0) |
					   (right ? MEMAI_STRIP_RIGHT : 0)) != NULL;
}

/*
 * A character map: the length of its tree in bytes, little-endian; the tree; the
 * texts that it maps to.  Its steps are checked when they are made.
 */
static bool
read_charsmap(Builder *builder, MemaiJsonScan *scan)
{
	static const char *const keys[] = {"precompiled_charsmap"};
	MemaiRewrite *rewrite = add_rewrite(builder, MEMAI_REWRITE_CHARSMAP, 0);
	const unsigned char *map = (const unsigned char *) builder->scratch;
	MemaiJsonScan found;
	int64		len = -1;
	size_t		tree_len;

	if (rewrite == NULL)
		return false;
	(void) memai_static_members(scan, 1, keys, &found);
	if (found.at != NULL && memai_json_scan_peek(&found) == '"')
		len = memai_static_string(&found, builder->scratch);
	if (len >= 0)
		len = memai_base64_bytes(builder->scratch, (size_t) len, builder->scratch);
	if (len < 8)
		return fail(builder, "the character map of its normalizer is none");
	/* whole units only, at least the root */
	tree_len = (map[0] | (size_t) map[1] << 8 | (size_t) map[2] << 16 | (size_t) map[3] << 24) / 4 * 4;
	if (tree_len < 4 || tree_len > (size_t) len - 4)
		return fail(builder, "the tree of its character map is cut off");
	for (size_t at = 4 + tree_len; at < (size_t) len;)
	{
		int			char_len = memai_utf8_char_length(map + at, (size_t) len - at);

		if (char_len == 0)
			return fail(builder, "the texts of its character map are not UTF-8");
		at += char_len;
	}
	rewrite->pattern = keep(builder, builder->scratch + 4, tree_len);
	rewrite->content = keep(builder, builder->scratch + 4 + tree_len, (size_t) len - 4 - tree_len);
	return true;
}

static bool
read_normalizer(Builder *builder, const MemaiJsonScan *member, int nesting)
{
	static const char *const keys[] = {"type", "normalizers", "prepend"};
	MemaiJsonScan scan = *member;
	MemaiJsonScan found[3];
	MemaiRewrite *rewrite;
	bool		first = true;

	if (member->at == NULL)
		return true;
	if (nesting > MAX_NESTING || !memai_static_members(&scan, 3, keys, found))
		return fail(builder, "its normalizer is none");
	scan = *member;
	if (memai_static_string_is(&found[0], "BertNormalizer"))
		return read_bert_normalizer(builder, &scan);
	if (memai_static_string_is(&found[0], "Replace"))
		return read_replace(builder, &scan);
	if (memai_static_string_is(&found[0], "Strip"))
		return read_strip(builder, &scan);
	if (memai_static_string_is(&found[0], "Lowercase"))
		return add_rewrite(builder, MEMAI_REWRITE_LOWER, 0) != NULL;
	if (memai_static_string_is(&found[0], "Precompiled"))
		return read_charsmap(builder, &scan);
	if (memai_static_string_is(&found[0], "NFD"))
		return add_rewrite(builder, MEMAI_REWRITE_DECOMPOSE, 0) != NULL;
	if (memai_static_string_is(&found[0], "StripAccents"))
		return add_rewrite(builder, MEMAI_REWRITE_STRIP_MARKS, 0) != NULL;
	if (memai_static_string_is(&found[0], "Prepend"))
	{
		rewrite = add_rewrite(builder, MEMAI_REWRITE_PREPEND, 0);
		if (rewrite == NULL)
			return false;
		return keep_member(builder, &found[2], &rewrite->content) ||
			fail(builder, "its normalizer prepends nothing");
	}
	if (!memai_static_string_is(&found[0], "Sequence"))
		return fail_value(builder, "memai does not know its normalizer", &found[0]);
	if (found[1].at == NULL || !memai_json_scan_enter(&found[1], '['))
		return fail(builder, "its normalizer has no steps");
	while (memai_json_scan_item(&found[1], &first))
	{
		MemaiJsonScan item = found[1];

		if (!read_normalizer(builder, &item, nesting + 1))
			return false;
		(void) memai_json_scan_skip(&found[1]);
	}
	return true;
}

/* ---- how it is taken apart ---- */

static bool
read_metaspace(Builder *builder, MemaiJsonScan *scan)
{
	static const char *const keys[] = {"replacement", "prepend_scheme", "add_prefix_space", "split"};
	MemaiSubword *subword = &builder->out->subword;
	MemaiJsonScan found[4];
	bool		split = true;
	bool		prefix = true;

	(void) memai_static_members(scan, 4, keys, found);
	if (!keep_member(builder, &found[0], &subword->metaspace) || subword->metaspace.len == 0 ||
		subword->metaspace.len > MAX_METASPACE)
		return fail(builder, "its metaspace is no character");
	(void) keep(builder, " ", 1);
	(void) memai_static_bool(&found[3], &split);
	(void) memai_static_bool(&found[2], &prefix);
	if (memai_static_string_is(&found[1], "first"))
		subword->split_flags |= MEMAI_METASPACE_PREPEND_FIRST;
	else if (memai_static_string_is(&found[1], "always") || (found[1].at == NULL && prefix))
		subword->split_flags |= MEMAI_METASPACE_PREPEND_ALWAYS;
	subword->split_flags |= split ? MEMAI_METASPACE_SPLIT : 0;
	subword->split = MEMAI_SPLIT_METASPACE;
	return true;
}

static bool
read_pre_tokenizer(Builder *builder, const MemaiJsonScan *member)
{
	static const char *const keys[] = {"type", "pretokenizers"};
	MemaiJsonScan scan = *member;
	MemaiJsonScan found[2];
	bool		first = true;

	if (member->at == NULL)
		return true;
	if (!memai_static_members(&scan, 2, keys, found))
		return fail(builder, "its pre-tokenizer is none");
	/* a sequence of one is that one */
	if (memai_static_string_is(&found[0], "Sequence") && found[1].at != NULL &&
		memai_json_scan_enter(&found[1], '[') && memai_json_scan_item(&found[1], &first))
	{
		MemaiJsonScan only = found[1];

		(void) memai_json_scan_skip(&found[1]);
		if (memai_json_scan_item(&found[1], &first))
			return fail(builder, "its pre-tokenizer has several steps");
		scan = only;
		if (!memai_static_members(&scan, 2, keys, found))
			return fail(builder, "its pre-tokenizer is none");
		scan = only;
	}
	else
		scan = *member;
	if (memai_static_string_is(&found[0], "Metaspace"))
		return read_metaspace(builder, &scan);
	if (memai_static_string_is(&found[0], "BertPreTokenizer"))
		builder->out->subword.split = MEMAI_SPLIT_BERT;
	else if (memai_static_string_is(&found[0], "WhitespaceSplit"))
		builder->out->subword.split = MEMAI_SPLIT_SPACE;
	else
		return fail_value(builder, "memai does not know its pre-tokenizer", &found[0]);
	return true;
}

static bool
read_added_token(Builder *builder, MemaiJsonScan *scan)
{
	static const char *const keys[] = {"content", "id", "normalized", "single_word", "lstrip", "rstrip"};
	static const int flags[] = {MEMAI_ADDED_SINGLE_WORD, MEMAI_ADDED_STRIP_LEFT, MEMAI_ADDED_STRIP_RIGHT};
	MemaiSubword *subword = &builder->out->subword;
	MemaiAddedToken *added = &builder->added[subword->nadded];
	MemaiJsonScan found[6];
	bool		normalized = false;
	int64		token;

	if (subword->nadded >= MAX_ADDED)
		return fail(builder, "it has more than 256 added tokens");
	memset(added, 0, sizeof(MemaiAddedToken));
	(void) memai_static_members(scan, 6, keys, found);
	(void) memai_static_bool(&found[2], &normalized);
	if (!keep_member(builder, &found[0], &added->text) || added->text.len == 0 ||
		!memai_static_int(&found[1], &token))
		return fail(builder, "an added token lacks its text or its number");
	if (normalized)
		return fail_value(builder, "it looks for an added token in the normalized text", &found[0]);
	if (!check_token(builder, token))
		return false;
	added->token = (int32) token;
	for (int i = 0; i < 3; i++)
	{
		bool		set = false;

		(void) memai_static_bool(&found[3 + i], &set);
		added->flags |= set ? flags[i] : 0;
	}
	subword->nadded++;
	return true;
}

static bool
read_added_tokens(Builder *builder, MemaiJsonScan *member)
{
	bool		first = true;

	if (member->at == NULL)
		return true;
	if (!memai_json_scan_enter(member, '['))
		return fail(builder, "its added tokens are no list");
	while (memai_json_scan_item(member, &first))
	{
		MemaiJsonScan item = *member;

		if (!read_added_token(builder, &item))
			return false;
		(void) memai_json_scan_skip(member);
	}
	return true;
}

/* ---- the vocabulary ---- */

static bool
read_wordpiece(Builder *builder, MemaiJsonScan *vocab, const MemaiJsonScan *unknown,
			   const MemaiJsonScan *prefix, const MemaiJsonScan *max_chars)
{
	MemaiSubword *subword = &builder->out->subword;
	MemaiSubwordText text;
	bool		first = true;
	const char *key;
	size_t		len;
	int64		value = DEFAULT_WORD_CHARS;
	uint32		node;

	if (!memai_json_scan_enter(vocab, '{'))
		return fail(builder, "its vocabulary is no object");
	for (;;)
	{
		MemaiJsonScan string;
		int64		token;
		int64		written;

		if (!memai_json_scan_member(vocab, &first, &key, &len))
			break;

		/*
		 * the scanner hands keys out with their escapes: read it again, as a
		 * string
		 */
		memai_json_scan_start(&string, key - 1, len + 2);
		written = memai_static_string(&string, builder->scratch);
		if (written < 0 || !memai_json_scan_int(vocab, &token))
			return fail(builder, "an entry of its vocabulary is none");
		if (!insert_token(builder, builder->scratch, (size_t) written, token))
			return false;
	}
	if (!keep_member(builder, unknown, &text) ||
		(node = find_path(builder, builder->strings + text.offset, text.len)) == MEMAI_SUBWORD_NO_NODE ||
		builder->node_tokens[node] < 0)
		return fail(builder, "its vocabulary lacks the unknown token");
	subword->unknown = builder->node_tokens[node];
	if (!keep_member(builder, prefix, &text))
		text = keep(builder, "##", 2);
	subword->continuing = find_path(builder, builder->strings + text.offset, text.len);
	(void) memai_static_int(max_chars, &value);
	subword->max_word_chars = (int32) Max(1, Min(value, 10000));
	return true;
}

static bool
keep_score(Builder *builder, uint32 token, double score)
{
	if (token >= builder->max_scores)
	{
		uint32		max = Max(builder->max_scores * 2, 4096);
		double	   *scores = builder->allocate(max * sizeof(double));

		if (scores == NULL)
			return out_of_memory(builder);
		if (token > 0)
			memcpy(scores, builder->scores, token * sizeof(double));
		builder->scores = scores;
		builder->max_scores = max;
	}
	builder->scores[token] = score;
	return true;
}

static bool
read_unigram(Builder *builder, MemaiJsonScan *vocab, const MemaiJsonScan *unknown)
{
	MemaiSubword *subword = &builder->out->subword;
	double		least = 0;
	bool		first = true;
	int64		unknown_token;
	uint32		n = 0;

	if (!memai_json_scan_enter(vocab, '['))
		return fail(builder, "its vocabulary is no list");
	for (; memai_json_scan_item(vocab, &first); n++)
	{
		bool		first_part = true;
		int64		len = -1;
		double		score;

		if (memai_json_scan_enter(vocab, '[') && memai_json_scan_item(vocab, &first_part))
			len = memai_static_string(vocab, builder->scratch);
		if (len < 0 || !memai_json_scan_item(vocab, &first_part) ||
			!memai_static_number(vocab, &score) || memai_json_scan_item(vocab, &first_part))
			return fail(builder, "an entry of its vocabulary is none");
		if (!insert_token(builder, builder->scratch, (size_t) len, n) ||
			!keep_score(builder, n, score))
			return false;
		least = n == 0 ? score : Min(least, score);
	}
	if (!memai_static_int(unknown, &unknown_token) || unknown_token < 0 || unknown_token >= n)
		return fail(builder, "its vocabulary lacks the unknown token");
	subword->unigram = true;
	subword->unknown = (int32) unknown_token;
	subword->unknown_score = least - UNKNOWN_PENALTY;
	return true;
}

static bool
read_model(Builder *builder, const MemaiJsonScan *member)
{
	static const char *const keys[] = {
		"type", "vocab", "unk_token", "unk_id", "continuing_subword_prefix",
		"max_input_chars_per_word", "byte_fallback"
	};
	MemaiJsonScan scan = *member;
	MemaiJsonScan found[7];
	bool		fallback = false;
	bool		is_list;

	if (member->at == NULL || !memai_static_members(&scan, 7, keys, found) || found[1].at == NULL)
		return fail(builder, "it has no vocabulary");
	(void) memai_static_bool(&found[6], &fallback);
	if (fallback)
		return fail(builder, "it falls back to bytes");
	/* old files do not tell the type */
	is_list = memai_json_scan_peek(&found[1]) == '[';
	if (memai_static_string_is(&found[0], "Unigram") || (found[0].at == NULL && is_list))
		return read_unigram(builder, &found[1], &found[3]);
	if (memai_static_string_is(&found[0], "WordPiece") || (found[0].at == NULL && !is_list))
		return read_wordpiece(builder, &found[1], &found[2], &found[4], &found[5]);
	return fail_value(builder, "it is neither WordPiece nor Unigram", &found[0]);
}

static int32
median_length(const Builder *builder)
{
	int64		below = 0;

	for (int chars = 0; chars < MAX_LENGTH; chars++)
	{
		below += builder->lengths[chars];
		if (below * 2 > builder->nlengths)
			return Max(chars, 1);
	}
	return MAX_LENGTH;
}

static bool
start(Builder *builder, size_t len)
{
	uint32		root;

	builder->nslots = 8192;
	builder->edges = builder->allocate(builder->nslots * sizeof(MemaiSubwordEdge));
	builder->rewrites = builder->allocate(MAX_REWRITES * sizeof(MemaiRewrite));
	builder->added = builder->allocate((MAX_ADDED + 1) * sizeof(MemaiAddedToken));
	/* a blank for the metaspace and a prefix that is not written come on top */
	builder->strings = builder->allocate(len + 16);
	builder->scratch = builder->allocate(len + 16);
	if (builder->edges == NULL || builder->rewrites == NULL || builder->added == NULL ||
		builder->strings == NULL || builder->scratch == NULL)
		return out_of_memory(builder);
	memset(builder->edges, 0, builder->nslots * sizeof(MemaiSubwordEdge));
	return new_node(builder, &root);
}

bool
memai_static_tokenizer_read(const char *json, size_t len, MemaiStaticAllocate allocate,
							MemaiStaticTokenizer *tokenizer, MemaiStaticProblem *problem)
{
	static const char *const keys[] = {"normalizer", "pre_tokenizer", "added_tokens", "model"};
	Builder		builder = {.out = tokenizer, .allocate = allocate, .problem = problem};
	MemaiSubword *subword = &tokenizer->subword;
	MemaiJsonScan scan;
	MemaiJsonScan found[4];

	memset(tokenizer, 0, sizeof(MemaiStaticTokenizer));
	subword->continuing = MEMAI_SUBWORD_NO_NODE;
	memai_json_scan_start(&scan, json, len);
	if (!memai_static_members(&scan, 4, keys, found) || !memai_json_scan_done(&scan))
		return fail(&builder, "it is no JSON");
	if (!start(&builder, len) || !read_normalizer(&builder, &found[0], 0) ||
		!read_pre_tokenizer(&builder, &found[1]) || !read_added_tokens(&builder, &found[2]) ||
		!read_model(&builder, &found[3]))
		return false;
	tokenizer->median_chars = median_length(&builder);
	subword->rewrites = builder.rewrites;
	subword->added = builder.added;
	subword->edges = builder.edges;
	subword->edge_mask = builder.nslots - 1;
	subword->node_tokens = builder.node_tokens;
	subword->scores = builder.scores;
	subword->strings = builder.strings;
	return true;
}
