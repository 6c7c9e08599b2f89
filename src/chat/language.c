/*
 * language.c
 *	  In which language a chat is answered.
 *
 * In that of the message, unless a preference of the user names another or the
 * application's own instructions do.  Nothing that a user wrote gets into the
 * instructions: a preference only chooses among the names of known languages.
 */
#include "postgres.h"

#include "chat/chat_int.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"

#define PREFERENCE "language: "

/* Whether the instructions name a language, or speak of it. */
static bool
speaks_of_language(const text *own)
{
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	size_t		len;
	const char *utf8 = memai_text_to_utf8(VARDATA_ANY(own), VARSIZE_ANY_EXHDR(own), &len);

	memai_tokeniser_start(&tokeniser, utf8, len);
	while (memai_tokeniser_next(&tokeniser, &token))
	{
		CHECK_FOR_INTERRUPTS();
		/* codes of two letters are words, too */
		if (token.len > 2 && memai_text_known_language(token.data, token.len) != NULL)
			return true;
		if (token.len == 8 && memcmp(token.data, "language", 8) == 0)
			return true;
	}
	return false;
}

/* The value of the preference, which ends at *len; NULL when there is none. */
static const char *
preferred(const text *preferences, size_t *len)
{
	char	   *line = preferences ? text_to_cstring(preferences) : NULL;

	while (line != NULL)
	{
		if (strncmp(line, PREFERENCE, strlen(PREFERENCE)) == 0)
		{
			*len = strcspn(line + strlen(PREFERENCE), "\n");
			return line + strlen(PREFERENCE);
		}
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return NULL;
}

/* "German" of "german" */
static char *
title_case(const char *name)
{
	char	   *title = pstrdup(name);

	title[0] = (char) pg_toupper((unsigned char) title[0]);
	return title;
}

char *
memai_language_note(const Chat *chat, const text *own, const text *preferences)
{
	size_t		len;
	const char *preference = preferred(preferences, &len);
	const char *language;

	if (!memai_chat_follow_language() || (own != NULL && speaks_of_language(own)))
		return "";
	if (preference != NULL)
	{
		language = memai_text_known_language(preference, len);
		if (language == NULL)
			return " Answer in the language that the user's preferences name.";
		return psprintf(" Answer in %s, which the user prefers.", title_case(language));
	}
	language = memai_text_clear_language(VARDATA_ANY(chat->message), VARSIZE_ANY_EXHDR(chat->message));
	if (language == NULL)
		return " Answer in the language that the user writes in.";
	return psprintf(" Answer in %s, the language of the message, unless another is asked for.", title_case(language));
}
