/*
 * ask.h
 *	  Questions that a model answers with a query.  Private to chat/.
 */
#ifndef MEMAI_CHAT_ASK_H
#define MEMAI_CHAT_ASK_H

#include "core/core.h"
#include "model/model.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"

/* ---- ask_schema.c ---- */

/* tables that a query may read, and what a model is told of them */
typedef struct AskSchema
{
	char	   *description;
	int			ntables;
	Oid		   *tables;
	int			nleft_out;		/* more were found than found room */
} AskSchema;

/*
 * Describes the tables that the current role may read: those named in tables
 * ("orders", "shop.orders", "shop.*"; found under search_path) and those of
 * schemas; with both NULL all that belong neither to the system, to memai nor to
 * another extension.  Tables that do not fit into max_tokens estimated tokens
 * are left out.  Raises 42P01, 3F000 and 42501 for what is named and cannot be read,
 * 55000 when nothing is left.  The caller is connected to SPI; palloc'd in the
 * current context.
 */
extern AskSchema *memai_ask_schema(ArrayType *tables, ArrayType *schemas, const char *search_path, int max_tokens);

/* ---- ask_check.c ---- */

typedef struct AskRules
{
	const AskSchema *schema;	/* the tables that may be read */
	List	   *functions;		/* of char *: volatile functions that may be called */
} AskRules;

/*
 * Raises unless a query keeps to the AskRules that arg is: 42601, 22023 for what
 * is no single SELECT without side effects, 42501 for a table or function that
 * it may not use, and whatever parsing raises.  Runs nothing.
 */
extern void memai_ask_check(const char *sql, void *arg);

/* ---- ask.c ---- */

/* A text in a section that is marked as data, palloc'd. */
extern char *memai_ask_section(const char *section, const char *data);

/* ---- ask_answer.c ---- */

/* what an answer in words is made from */
typedef struct AskAnswer
{
	const MemaiModelInfo *model;
	const text *question;
	const char *instructions;	/* of the caller; NULL: none */
	const char *sql;
	Jsonb	   *rows;			/* an array of objects */
	int			nrows;
	bool		more;			/* the query found more than these */
	int			max_tokens;		/* estimated, of the rows that the model is shown */
} AskAnswer;

/* Has the model answer the question from the rows; raises errors of class MA. */
extern void memai_ask_answer(const AskAnswer *ask, MemaiChatResult *answer);

#endif							/* MEMAI_CHAT_ASK_H */
