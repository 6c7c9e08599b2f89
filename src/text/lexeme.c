/*
 * lexeme.c
 *	  Words to terms, with the server's text search dictionaries.
 *
 * memai's own tokeniser finds the words, the dictionaries of the text's
 * language drop stop words and stem the rest, then accents go and the term is
 * hashed.  The configuration's parser is not used: it knows no script without
 * spaces and splits words in ways that depend on the locale.
 *
 * The language is detected (language.c) or set, and stored with the terms: a
 * question is stemmed in each language that it meets.  A configuration of the
 * user's own, memai.text_search_config, takes the place of all languages; what
 * is stored under one is found by questions under the same.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_ts_config.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "tsearch/ts_cache.h"
#include "tsearch/ts_public.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "core/core.h"
#include "text/language.h"
#include "text/terms.h"
#include "text/text.h"

/* terms without a language were stemmed by this before languages were told */
#define DEFAULT_CONFIG "pg_catalog.english"

#define LANGUAGE_AUTO (-1)

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
	MemaiToken *words_of_terms; /* of a question: beside terms; else NULL */
	CacheSlot  *cache;
	MemoryContext scratch;		/* what dictionaries allocate */
	uint32		words;			/* since the last reset of scratch */
} Lexer;

static char *config_setting = NULL;
static int	language_setting = LANGUAGE_AUTO;

static const struct config_enum_entry language_options[] = {
	{"auto", LANGUAGE_AUTO, false},
	{"simple", LANGUAGE_SIMPLE, false},
	{"arabic", LANGUAGE_ARABIC, false},
	{"armenian", LANGUAGE_ARMENIAN, false},
	{"basque", LANGUAGE_BASQUE, false},
	{"catalan", LANGUAGE_CATALAN, false},
	{"danish", LANGUAGE_DANISH, false},
	{"dutch", LANGUAGE_DUTCH, false},
	{"english", LANGUAGE_ENGLISH, false},
	{"finnish", LANGUAGE_FINNISH, false},
	{"french", LANGUAGE_FRENCH, false},
	{"german", LANGUAGE_GERMAN, false},
	{"greek", LANGUAGE_GREEK, false},
	{"hindi", LANGUAGE_HINDI, false},
	{"hungarian", LANGUAGE_HUNGARIAN, false},
	{"indonesian", LANGUAGE_INDONESIAN, false},
	{"irish", LANGUAGE_IRISH, false},
	{"italian", LANGUAGE_ITALIAN, false},
	{"lithuanian", LANGUAGE_LITHUANIAN, false},
	{"nepali", LANGUAGE_NEPALI, false},
	{"norwegian", LANGUAGE_NORWEGIAN, false},
	{"portuguese", LANGUAGE_PORTUGUESE, false},
	{"romanian", LANGUAGE_ROMANIAN, false},
	{"russian", LANGUAGE_RUSSIAN, false},
	{"serbian", LANGUAGE_SERBIAN, false},
	{"spanish", LANGUAGE_SPANISH, false},
	{"swedish", LANGUAGE_SWEDISH, false},
	{"tamil", LANGUAGE_TAMIL, false},
	{"turkish", LANGUAGE_TURKISH, false},
	{"yiddish", LANGUAGE_YIDDISH, false},
	{NULL, 0, false}
};

PG_FUNCTION_INFO_V1(memai_terms_sql);
PG_FUNCTION_INFO_V1(memai_detect_language);
PG_FUNCTION_INFO_V1(memai_terms_language);
PG_FUNCTION_INFO_V1(memai_estimate_tokens_sql);

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

	if ((*newval)[0] == '\0' || !IsTransactionState() || !OidIsValid(MyDatabaseId))
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

/* The configuration that stems a language. */
static Oid
config_of(int language)
{
	const char *name = memai_language_name(language);
	const char *setting = config_setting[0] ? config_setting : DEFAULT_CONFIG;
	Oid			config;

	if (name != NULL)
	{
		config = get_ts_config_oid(list_make2(makeString("pg_catalog"), makeString(pstrdup(name))), true);
		if (OidIsValid(config))
			return config;
		setting = "pg_catalog.simple";
	}
	config = get_ts_config_oid(memai_qualified_name_list(setting), true);
	if (!OidIsValid(config))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("text search configuration \"%s\" does not exist", setting),
				 errhint("Set memai.text_search_config to one that does, or to nothing.")));
	return config;
}

static void
start_lexer(Lexer *lexer, int language, size_t len)
{
	MemoryContext caller;

	if (len > MEMAI_TEXT_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("text is too long to be searched by its words"),
				 errdetail("It has %zu bytes, the limit is %d.", len, MEMAI_TEXT_MAX_BYTES),
				 errhint("Split the text into parts.")));

	lexer->config = config_of(language);
	lexer->words_of_terms = NULL;
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

/* Adds a term, which was made of a word. */
static void
add_term(Lexer *lexer, uint32 term, const char *word, int len)
{
	/* MEMAI_TEXT_MAX_BYTES keeps this far from overflow */
	if (lexer->nterms == lexer->capacity)
	{
		lexer->capacity *= 2;
		lexer->terms = repalloc(lexer->terms, lexer->capacity * sizeof(uint32));
		if (lexer->words_of_terms != NULL)
			lexer->words_of_terms = repalloc_huge(lexer->words_of_terms, lexer->capacity * sizeof(MemaiToken));
	}
	if (lexer->words_of_terms != NULL)
	{
		MemaiToken *token = &lexer->words_of_terms[lexer->nterms];

		token->len = Min(len, MEMAI_TOKEN_MAX_BYTES);
		memcpy(token->data, word, token->len);
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
		/* a question's words count once */
		if (!slot->is_stop && lexer->words_of_terms == NULL)
			add_term(lexer, slot->term, word, len);
		return;
	}

	is_stop = !trim_apostrophe(lexer, &word, &len);
	if (!is_stop)
	{
		stems = stems_of_word(lexer, word, len);
		is_stop = stems != NULL && stems->lexeme == NULL;
	}
	if (stems == NULL && !is_stop)
		add_term(lexer, term_hash(word, len), word, len);
	for (; stems != NULL && stems->lexeme != NULL; stems++)
	{
		size_t		stem_len;
		const char *stem = memai_text_to_utf8(stems->lexeme, strlen(stems->lexeme), &stem_len);

		add_term(lexer, term_hash(stem, stem_len), word, len);
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

/*
 * Whether the dictionary of a language can be read in the database's encoding,
 * which has to know the characters of its stop words.
 */
static bool
is_readable(MemaiLanguage language)
{
	if (language == LANGUAGE_SIMPLE)
		return true;
	switch (GetDatabaseEncoding())
	{
		case PG_UTF8:
			return true;
		case PG_LATIN1:
		case PG_LATIN9:
		case PG_WIN1252:
			return language == LANGUAGE_DANISH || language == LANGUAGE_DUTCH || language == LANGUAGE_ENGLISH ||
				language == LANGUAGE_FINNISH || language == LANGUAGE_FRENCH || language == LANGUAGE_GERMAN ||
				language == LANGUAGE_ITALIAN || language == LANGUAGE_NORWEGIAN || language == LANGUAGE_PORTUGUESE ||
				language == LANGUAGE_SPANISH || language == LANGUAGE_SWEDISH;
		case PG_WIN1251:
		case PG_KOI8R:
			return language == LANGUAGE_ENGLISH || language == LANGUAGE_RUSSIAN;
		default:
			return language == LANGUAGE_ENGLISH;
	}
}

int
memai_text_language(const char *data, size_t len)
{
	size_t		utf8_len;
	const char *utf8;
	MemaiLanguage language;

	if (config_setting[0])
		return LANGUAGE_CONFIGURED;
	if (language_setting != LANGUAGE_AUTO)
		return language_setting;
	utf8 = memai_text_to_utf8(data, len, &utf8_len);
	language = memai_language_detect(utf8, utf8_len, LANGUAGE_ENGLISH);
	if (utf8 != data)
		pfree(unconstify(char *, utf8));
	return is_readable(language) ? language : LANGUAGE_ENGLISH;
}

const char *
memai_text_clear_language(const char *data, size_t len)
{
	size_t		utf8_len;
	const char *utf8 = memai_text_to_utf8(data, len, &utf8_len);
	MemaiLanguage language = memai_language_detect(utf8, utf8_len, LANGUAGE_SIMPLE);

	if (utf8 != data)
		pfree(unconstify(char *, utf8));
	return language == LANGUAGE_SIMPLE ? NULL : memai_language_name(language);
}

const char *
memai_text_known_language(const char *data, size_t len)
{
	char		name[MEMAI_TOKEN_MAX_BYTES];
	int			language;

	if (len > sizeof(name))
		return NULL;
	for (size_t i = 0; i < len; i++)
		name[i] = (char) pg_ascii_tolower((unsigned char) data[i]);
	language = memai_language_by_name(name, len);
	return language > LANGUAGE_SIMPLE ? memai_language_name(language) : NULL;
}

const char *
memai_text_language_name(int language)
{
	return memai_language_name(language);
}

int
memai_text_language_argument(const text *name)
{
	const char *data = VARDATA_ANY(name);
	size_t		len = VARSIZE_ANY_EXHDR(name);
	int			language;

	if (len == 4 && memcmp(data, "auto", 4) == 0)
		return LANGUAGE_AUTO;
	language = memai_language_by_name(data, len);
	if (language < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown language"),
				 errhint("It is auto, simple, or a language by name or code, such as swedish or sv.")));
	return language;
}

bytea *
memai_text_terms_in(int language, const char *data, size_t len)
{
	Lexer		lexer;
	bytea	   *result;
	size_t		size;

	start_lexer(&lexer, language, len);
	add_text(&lexer, data, len);
	result = palloc(VARHDRSZ + memai_terms_max_size(lexer.nterms));
	size = memai_terms_build(lexer.terms, lexer.nterms, language, (unsigned char *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + size);
	pfree(lexer.terms);
	finish_lexer(&lexer);
	return result;
}

bytea *
memai_text_terms(const char *data, size_t len)
{
	return memai_text_terms_in(memai_text_language(data, len), data, len);
}

/* ---- questions ---- */

int
memai_text_query_terms(const char *data, size_t len, uint32 **hashes)
{
	Lexer		lexer;

	start_lexer(&lexer, memai_text_language(data, len), len);
	add_text(&lexer, data, len);
	finish_lexer(&lexer);
	*hashes = lexer.terms;
	return (int) memai_terms_distinct(lexer.terms, lexer.nterms);
}

static int
compare_words(const void *left, const void *right)
{
	const MemaiQueryWord *a = left;
	const MemaiQueryWord *b = right;

	return a->term < b->term ? -1 : a->term > b->term;
}

int
memai_text_query_words(int *language, const char *data, size_t len, MemaiQueryWord **words)
{
	Lexer		lexer;
	MemaiQueryWord *found;
	int			n = 0;

	if (*language == LANGUAGE_AUTO)
		*language = memai_text_language(data, len);
	start_lexer(&lexer, *language, len);
	lexer.words_of_terms = palloc(sizeof(MemaiToken) * lexer.capacity);
	add_text(&lexer, data, len);
	finish_lexer(&lexer);
	found = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(MemaiQueryWord), Max(lexer.nterms, 1)));
	for (uint32 i = 0; i < lexer.nterms; i++)
		found[i] = (MemaiQueryWord) {.term = lexer.terms[i],.word = lexer.words_of_terms[i]};
	qsort(found, lexer.nterms, sizeof(MemaiQueryWord), compare_words);
	for (uint32 i = 0; i < lexer.nterms; i++)
	{
		if (n == 0 || found[n - 1].term != found[i].term)
			found[n++] = found[i];
	}
	pfree(lexer.words_of_terms);
	pfree(lexer.terms);
	*words = found;
	return n;
}

void
memai_text_translate_terms(int language, int nwords, const MemaiQueryWord *words, uint32 *terms)
{
	MemoryContext caller = CurrentMemoryContext;
	Lexer		lexer;

	start_lexer(&lexer, language, 0);
	MemoryContextSwitchTo(lexer.scratch);
	for (int i = 0; i < nwords; i++)
	{
		const MemaiToken *word = &words[i].word;
		TSLexeme   *stems = stems_of_word(&lexer, word->data, word->len);
		const char *stem = word->data;
		size_t		len = word->len;

		if (stems != NULL && stems->lexeme != NULL)
			stem = memai_text_to_utf8(stems->lexeme, strlen(stems->lexeme), &len);
		terms[i] = term_hash(stem, len);
	}
	MemoryContextSwitchTo(caller);
	pfree(lexer.terms);
	finish_lexer(&lexer);
}

/* ---- in SQL ---- */

/* _terms(content text) returns bytea: stable, depends on settings */
Datum
memai_terms_sql(PG_FUNCTION_ARGS)
{
	text	   *content = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BYTEA_P(memai_text_terms(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content)));
}

/* detect_language(content text) returns text: stable, depends on settings; NULL under a configuration */
Datum
memai_detect_language(PG_FUNCTION_ARGS)
{
	text	   *content = PG_GETARG_TEXT_PP(0);
	const char *name = memai_language_name(memai_text_language(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content)));

	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/* _terms_language(terms bytea) returns text: immutable */
Datum
memai_terms_language(PG_FUNCTION_ARGS)
{
	bytea	   *terms = PG_GETARG_BYTEA_PP(0);
	MemaiTermsView view;
	const char *name;

	memai_terms_open((unsigned char *) VARDATA_ANY(terms), VARSIZE_ANY_EXHDR(terms), &view);
	name = memai_language_name(view.language);
	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/* _estimate_tokens(content text) returns integer: immutable */
Datum
memai_estimate_tokens_sql(PG_FUNCTION_ARGS)
{
	text	   *content = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT32(memai_text_estimate_tokens(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content)));
}

void
memai_text_init(void)
{
	DefineCustomEnumVariable("memai.language",
							 "Sets the language in which words are stemmed and stop words known.",
							 "With auto each text's own is detected, English when in doubt.",
							 &language_setting, LANGUAGE_AUTO, language_options, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("memai.text_search_config",
							   "Sets a text search configuration that takes the place of memai.language.",
							   "Empty for none. It decides how memories are found by their words; use one for all.",
							   &config_setting, "", PGC_USERSET, 0,
							   check_config, NULL, NULL);
}
