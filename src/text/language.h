/*
 * language.h
 *	  Languages by number, and telling them apart.  Pure.
 */
#ifndef MEMAI_TEXT_LANGUAGE_H
#define MEMAI_TEXT_LANGUAGE_H

#include "c.h"

/*
 * Stored beside terms: numbers never change, new ones go before the last.
 * Names are those of PostgreSQL's text search configurations.
 */
typedef enum MemaiLanguage
{
	LANGUAGE_CONFIGURED,		/* that of memai.text_search_config */
	LANGUAGE_SIMPLE,			/* none: words as they are */
	LANGUAGE_ENGLISH,
	LANGUAGE_SWEDISH,
	LANGUAGE_GERMAN,
	LANGUAGE_DANISH,
	LANGUAGE_NORWEGIAN,
	LANGUAGE_DUTCH,
	LANGUAGE_FRENCH,
	LANGUAGE_SPANISH,
	LANGUAGE_PORTUGUESE,
	LANGUAGE_ITALIAN,
	LANGUAGE_FINNISH,
	LANGUAGE_HUNGARIAN,
	LANGUAGE_ROMANIAN,
	LANGUAGE_TURKISH,
	LANGUAGE_RUSSIAN,
	LANGUAGE_ARABIC,
	LANGUAGE_GREEK,
	LANGUAGE_HINDI,
	LANGUAGE_TAMIL,
	LANGUAGE_ARMENIAN,
	/* never detected, only set */
	LANGUAGE_BASQUE,
	LANGUAGE_CATALAN,
	LANGUAGE_INDONESIAN,
	LANGUAGE_IRISH,
	LANGUAGE_LITHUANIAN,
	LANGUAGE_NEPALI,
	LANGUAGE_SERBIAN,
	LANGUAGE_YIDDISH,
	LANGUAGE_COUNT
} MemaiLanguage;

/* The name of a language; NULL for LANGUAGE_CONFIGURED and unknown numbers. */
extern const char *memai_language_name(int language);

/* A language by its name or two-letter code (ISO 639-1), or -1. */
extern int	memai_language_by_name(const char *name, size_t len);

/*
 * The language of a text, told by its script, its commonest words, its letters
 * and its endings; doubt is answered with in_doubt.  Looks at the first 300
 * words.  Latin script: the languages from English to Turkish above.
 */
extern MemaiLanguage memai_language_detect(const char *utf8, size_t len, MemaiLanguage in_doubt);

#endif							/* MEMAI_TEXT_LANGUAGE_H */
