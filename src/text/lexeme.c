/*
 * lexeme.c
 *	  Words to terms, with the server's text search dictionaries.
 *
 * memai's own tokeniser finds the words, the dictionaries of the configuration
 * memai.text_search_config drop stop words and stem the rest, then accents go
 * and the term is hashed.  The configuration's parser is not used: it knows no
 * script without spaces and splits words in ways that depend on the locale.
 *
 * Stored terms follow the setting of the session that stored them.  A question
 * under another configuration finds only the words whose stems agree.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_ts_config.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tsearch/ts_cache.h"
#include "tsearch/ts_public.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "core/core.h"
#include "text/terms.h"
#include "text/text.h"

#define DEFAULT_CONFIG "pg_catalog.english"

/* separates term hashes from every other use of memai_hash64 */
#define TERM_SEED UINT64CONST(0x6d656d6169740001)

/* distinct words of one text whose term is remembered; a power of two */
#define CACHE_SLOTS 1024

/* words between two resets of the dictionaries' memory */
#define WORDS_PER_RESET 256

/* letters that must follow the apostrophe of a stop word to count as a word */
#define MIN_BYTES_AFTER_ELISION 3

typedef enum WordKind
{
	WORD_ASCII,
	WORD_OTHER,
	WORD_WITH_DIGIT
} WordKind;

/* the parser's names of the token types that the kinds of words belong to */
static const char *const kind_aliases[] = {"asciiword", "word", "numword"};

#define NKINDS lengthof(kind_aliases)

/* the one term of a word seen before; valid when set */
typedef struct CacheSlot
{
	uint64		word;			/* hash of the word */
	uint32		term;
	bool		set;
	bool		is_stop;
} CacheSlot;

/* one text on its way to terms */
typedef struct Lexer
{
	Oid			config;
	int			token_types[NKINDS];	/* of the configuration's parser, or
										 * -1 */
	uint32	   *terms;
	uint32		nterms;
	uint32		capacity;
	CacheSlot  *cache;
	MemoryContext scratch;		/* what dictionaries allocate */
	uint32		words;			/* since the last reset of scratch */
} Lexer;

static char *config_setting = NULL;

PG_FUNCTION_INFO_V1(memai_terms_sql);

/* the configuration's name with its schema, palloc'd */
static char *
qualified_config_name(Oid config)
{
	HeapTuple	tuple = SearchSysCache1(TSCONFIGOID, ObjectIdGetDatum(config));
	Form_pg_ts_config form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for text search configuration %u", config);
	form = (Form_pg_ts_config) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->cfgnamespace),
									  NameStr(form->cfgname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * A configuration that does not exist is refused where that can be known: not
 * while the server starts or outside a transaction, when the first use raises.
 * The name is kept with its schema, because memai's functions run under a
 * search_path of their own.
 */
static bool
check_config(char **newval, void **extra, GucSource source)
{
	Oid			config;
	char	   *kept;

	if (!IsTransactionState() || !OidIsValid(MyDatabaseId))
		return true;
	config = get_ts_config_oid(memai_qualified_name_list(*newval), true);
	if (!OidIsValid(config))
	{
		if (source == PGC_S_TEST)
		{
			ereport(NOTICE,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("text search configuration \"%s\" does not exist", *newval)));
			return true;
		}
		GUC_check_errdetail("Text search configuration \"%s\" does not exist.", *newval);
		return false;
	}
	kept = guc_strdup(LOG, qualified_config_name(config));
	if (kept == NULL)
		return false;
	guc_free(*newval);
	*newval = kept;
	return true;
}

/* the numbers that the configuration's parser gives to the kinds of words */
static void
find_token_types(Lexer *lexer)
{
	TSConfigCacheEntry *config = lookup_ts_config_cache(lexer->config);
	TSParserCacheEntry *parser = lookup_ts_parser_cache(config->prsId);
	LexDescr   *types;

	for (int kind = 0; kind < (int) NKINDS; kind++)
		lexer->token_types[kind] = -1;
	if (!OidIsValid(parser->lextypeOid))
		return;
	types = (LexDescr *) DatumGetPointer(OidFunctionCall1(parser->lextypeOid, Int32GetDatum(0)));
	for (; types != NULL && types->lexid != 0; types++)
	{
		for (int kind = 0; kind < (int) NKINDS; kind++)
		{
			if (strcmp(types->alias, kind_aliases[kind]) == 0)
				lexer->token_types[kind] = types->lexid;
		}
	}
}

static Oid
current_config(void)
{
	Oid			config = get_ts_config_oid(memai_qualified_name_list(config_setting), true);

	if (!OidIsValid(config))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("text search configuration \"%s\" does not exist", config_setting),
				 errhint("Set memai.text_search_config to one that does.")));
	return config;
}

static void
start_lexer(Lexer *lexer, size_t len)
{
	MemoryContext caller;

	if (len > MEMAI_TEXT_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("text is too long to be searched by its words"),
				 errdetail("It has %zu bytes, the limit is %d.", len, MEMAI_TEXT_MAX_BYTES),
				 errhint("Split the text into parts.")));

	lexer->config = current_config();
	lexer->scratch = AllocSetContextCreate(CurrentMemoryContext, "memai text lexemes",
										   ALLOCSET_DEFAULT_SIZES);
	lexer->words = 0;
	lexer->cache = palloc0(CACHE_SLOTS * sizeof(CacheSlot));
	lexer->nterms = 0;
	lexer->capacity = 64;
	lexer->terms = palloc(lexer->capacity * sizeof(uint32));

	caller = MemoryContextSwitchTo(lexer->scratch);
	find_token_types(lexer);
	MemoryContextSwitchTo(caller);
}

static void
finish_lexer(Lexer *lexer)
{
	MemoryContextDelete(lexer->scratch);
	pfree(lexer->cache);
}

static void
add_term(Lexer *lexer, uint32 term)
{
	/* MEMAI_TEXT_MAX_BYTES keeps this far from overflow */
	if (lexer->nterms == lexer->capacity)
	{
		lexer->capacity *= 2;
		lexer->terms = repalloc(lexer->terms, lexer->capacity * sizeof(uint32));
	}
	lexer->terms[lexer->nterms++] = term;
}

/* The term of a stem: accents gone, hashed. */
static uint32
term_hash(const char *stem, size_t len)
{
	MemaiToken	token;

	token.len = (int) Min(len, MEMAI_TOKEN_MAX_BYTES);
	memcpy(token.data, stem, token.len);
	memai_token_strip_accents(&token);
	return (uint32) (memai_hash64(token.data, token.len, TERM_SEED) >> 32);
}

static WordKind
word_kind(const char *word, int len)
{
	WordKind	kind = WORD_ASCII;

	for (int i = 0; i < len; i++)
	{
		if (word[i] >= '0' && word[i] <= '9')
			return WORD_WITH_DIGIT;
		if (IS_HIGHBIT_SET(word[i]))
			kind = WORD_OTHER;
	}
	return kind;
}

/* What one dictionary makes of a word: NULL when it does not know it. */
static TSLexeme *
lexize(Oid dictionary, const char *word, int len)
{
	TSDictionaryCacheEntry *entry = lookup_ts_dictionary_cache(dictionary);
	DictSubState state = {false, false, NULL};
	TSLexeme   *lexemes;

	lexemes = (TSLexeme *) DatumGetPointer(FunctionCall4(&entry->lexize,
														 PointerGetDatum(entry->dictData),
														 PointerGetDatum(word),
														 Int32GetDatum(len),
														 PointerGetDatum(&state)));
	/* a dictionary of phrases wants more words: there are none */
	if (state.getnext)
	{
		TSLexeme   *rest;

		state.isend = true;
		rest = (TSLexeme *) DatumGetPointer(FunctionCall4(&entry->lexize,
														  PointerGetDatum(entry->dictData),
														  PointerGetDatum(word),
														  Int32GetDatum(len),
														  PointerGetDatum(&state)));
		if (rest != NULL)
			lexemes = rest;
	}
	return lexemes;
}

/*
 * The stems of a word by the first dictionary that knows it; an empty list for
 * a stop word, NULL when none knows it.  Allocated in the current context.
 */
static TSLexeme *
stems_of_word(const Lexer *lexer, const char *word, int len)
{
	WordKind	kind = word_kind(word, len);
	int			type = lexer->token_types[kind];
	TSConfigCacheEntry *config;
	ListDictionary *dictionaries;

	/* dictionaries take the server's encoding */
	if (kind != WORD_ASCII && GetDatabaseEncoding() != PG_UTF8)
		return NULL;
	config = lookup_ts_config_cache(lexer->config);
	if (type < 0 || type >= config->lenmap)
		return NULL;

	dictionaries = &config->map[type];
	for (int i = 0; i < dictionaries->len; i++)
	{
		TSLexeme   *lexemes = lexize(dictionaries->dictIds[i], word, len);

		if (lexemes == NULL)
			continue;
		/* a filter replaces the word for the dictionaries behind it */
		if (lexemes->lexeme == NULL || !(lexemes->flags & TSL_FILTER))
			return lexemes;
		word = lexemes->lexeme;
		len = strlen(word);
		/* loading a dictionary can have replaced the configuration's entry */
		dictionaries = &lookup_ts_config_cache(lexer->config)->map[type];
	}
	return NULL;
}

static bool
is_stop_word(const Lexer *lexer, const char *word, int len)
{
	TSLexeme   *stems = stems_of_word(lexer, word, len);

	return stems != NULL && stems->lexeme == NULL;
}

/*
 * Takes what an apostrophe glued to a word off it; false when nothing is left.
 * "'s" goes; a stop word before the apostrophe goes (don't, I'm, l'homme) and
 * what follows it stays when it is long enough to be a word; so does a stop
 * word with "n't" behind it (isn't).
 */
static bool
trim_apostrophe(const Lexer *lexer, const char **word, int *len)
{
	const char *apostrophe = memchr(*word, '\'', *len);
	int			before;
	int			after;

	if (apostrophe == NULL)
		return true;
	before = (int) (apostrophe - *word);
	after = *len - before - 1;
	if (is_stop_word(lexer, *word, before))
	{
		*word = apostrophe + 1;
		*len = after;
		return after >= MIN_BYTES_AFTER_ELISION;
	}
	if (after == 1 && apostrophe[1] == 's')
		*len = before;
	else if (before > 1 && apostrophe[-1] == 'n' && after == 1 && apostrophe[1] == 't' &&
			 is_stop_word(lexer, *word, before - 1))
		return false;
	return true;
}

/* Adds the terms of one word and remembers it when it has one at most. */
static void
add_word(Lexer *lexer, const MemaiToken *token)
{
	uint64		hash = memai_hash64(token->data, token->len, TERM_SEED);
	CacheSlot  *slot = &lexer->cache[hash % CACHE_SLOTS];
	const char *word = token->data;
	int			len = token->len;
	TSLexeme   *stems = NULL;
	bool		is_stop;
	uint32		nterms = lexer->nterms;

	if (slot->set && slot->word == hash)
	{
		if (!slot->is_stop)
			add_term(lexer, slot->term);
		return;
	}

	is_stop = !trim_apostrophe(lexer, &word, &len);
	if (!is_stop)
	{
		stems = stems_of_word(lexer, word, len);
		is_stop = stems != NULL && stems->lexeme == NULL;
	}
	if (stems == NULL && !is_stop)
		add_term(lexer, term_hash(word, len));
	for (; stems != NULL && stems->lexeme != NULL; stems++)
	{
		size_t		stem_len;
		const char *stem = memai_text_to_utf8(stems->lexeme, strlen(stems->lexeme), &stem_len);

		add_term(lexer, term_hash(stem, stem_len));
	}

	if (lexer->nterms - nterms <= 1)
	{
		slot->set = true;
		slot->word = hash;
		slot->is_stop = lexer->nterms == nterms;
		slot->term = slot->is_stop ? 0 : lexer->terms[nterms];
	}
}

/* Adds the terms of a text in the server's encoding. */
static void
add_text(Lexer *lexer, const char *data, size_t len)
{
	size_t		utf8_len;
	const char *utf8 = memai_text_to_utf8(data, len, &utf8_len);
	MemoryContext caller = CurrentMemoryContext;
	MemaiTokeniser tokeniser;
	MemaiToken	token;

	memai_tokeniser_start(&tokeniser, utf8, utf8_len);
	while (memai_tokeniser_next(&tokeniser, &token))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(lexer->scratch);
		add_word(lexer, &token);
		MemoryContextSwitchTo(caller);
		if (++lexer->words >= WORDS_PER_RESET)
		{
			MemoryContextReset(lexer->scratch);
			lexer->words = 0;
		}
	}
	if (utf8 != data)
		pfree(unconstify(char *, utf8));
}

const char *
memai_text_to_utf8(const char *data, size_t len, size_t *utf8_len)
{
	char	   *utf8;

	*utf8_len = len;
	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII)
		return data;
	if (len > (size_t) INT_MAX)
		elog(ERROR, "text of %zu bytes is longer than a value can be", len);
	utf8 = pg_server_to_any(data, (int) len, PG_UTF8);
	if (utf8 != data)
		*utf8_len = strlen(utf8);
	return utf8;
}

int
memai_text_estimate_tokens(const char *data, size_t len)
{
	size_t		utf8_len;
	const char *utf8 = memai_text_to_utf8(data, len, &utf8_len);
	int64		tokens = memai_estimate_tokens(utf8, utf8_len);

	if (utf8 != data)
		pfree(unconstify(char *, utf8));
	return (int) Min(tokens, PG_INT32_MAX);
}

bytea *
memai_text_terms(const char *data, size_t len)
{
	Lexer		lexer;
	bytea	   *result;
	size_t		size;

	start_lexer(&lexer, len);
	add_text(&lexer, data, len);
	result = palloc(VARHDRSZ + memai_terms_max_size(lexer.nterms));
	size = memai_terms_build(lexer.terms, lexer.nterms, (unsigned char *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + size);
	pfree(lexer.terms);
	finish_lexer(&lexer);
	return result;
}

int
memai_text_query_terms(const char *data, size_t len, uint32 **hashes)
{
	Lexer		lexer;

	start_lexer(&lexer, len);
	add_text(&lexer, data, len);
	finish_lexer(&lexer);
	*hashes = lexer.terms;
	return (int) memai_terms_distinct(lexer.terms, lexer.nterms);
}

/* _terms(content text) returns bytea: stable, depends on memai.text_search_config */
Datum
memai_terms_sql(PG_FUNCTION_ARGS)
{
	text	   *content = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BYTEA_P(memai_text_terms(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content)));
}

void
memai_text_init(void)
{
	DefineCustomStringVariable("memai.text_search_config",
							   "Sets the text search configuration that finds the stems of words.",
							   "It decides how new memories are found by their words; use one for all.",
							   &config_setting, DEFAULT_CONFIG, PGC_USERSET, 0,
							   check_config, NULL, NULL);
}
