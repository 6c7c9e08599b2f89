/*
 * ask_answer.c
 *	  An answer in words from the rows that memai.ask found: one more call of
 *	  the model.
 *
 * Rows may hold what anyone wrote, so they are shown as data, as memories are
 * (memory/context.c), one JSON object a line, whole rows only, the first ones
 * that find room.  Nothing that this answer says is run.
 */
#include "postgres.h"

#include "chat/ask.h"
#include "chat/chat_int.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"

#define INSTRUCTIONS \
	"You answer a question from the rows that a query on a database found. Answer in the language of the question, in a few sentences or a short " \
	"list, with values as they are in the rows. Say nothing that the rows do not show, and say so when they do not answer the question " \
	"or when not all of them are shown."

/* The rows that find room, a line each; returns how many. */
static int
append_rows(StringInfo out, Jsonb *rows, int max_tokens)
{
	int			nrows = 0;
	int			tokens = 0;
	JsonbIterator *iterator = JsonbIteratorInit(&rows->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char	   *line;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_ELEM || value.type != jbvBinary)
			continue;
		line = JsonbToCString(NULL, value.val.binary.data, value.val.binary.len);
		tokens += memai_text_estimate_tokens(line, strlen(line)) + 1;
		if (tokens > max_tokens)
			break;
		appendStringInfo(out, "%s\n", line);
		nrows++;
		pfree(line);
	}
	return nrows;
}

static MemaiSpan
string_span(const char *string)
{
	MemaiSpan	span = {string, strlen(string)};

	return span;
}

void
memai_ask_answer(const AskAnswer *ask, MemaiChatResult *answer)
{
	MemaiChatMessage messages[2] = {{.role = "system"}, {.role = "user"}};
	MemaiChatRequest request = {.nmessages = 2, .messages = messages, .temperature = 0};
	StringInfoData rows;
	char	   *shown;
	int			n;

	initStringInfo(&rows);
	n = append_rows(&rows, ask->rows, ask->max_tokens);
	if (n < ask->nrows || ask->more)
		shown = psprintf("These are the first %d rows; the query found %s%d.", n, ask->more ? "more than " : "", ask->nrows);
	else
		shown = psprintf("These are all rows, %d.", n);
	messages[0].content = string_span(psprintf(INSTRUCTIONS "%s%s" MEMAI_DATA_NOTICE, ask->instructions ? "\n\n" : "",
											   ask->instructions ? ask->instructions : ""));
	messages[1].content = string_span(psprintf("%s%s%s\n\n%s", memai_ask_section("query", ask->sql), memai_ask_section("rows", rows.data),
											   shown, text_to_cstring(ask->question)));
	memai_model_complete(ask->model, &request, answer);
}
