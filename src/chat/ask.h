/*
 * ask.h
 *	  Questions that a model answers with a query.  Private to chat/.
 */
#ifndef MEMAI_CHAT_ASK_H
#define MEMAI_CHAT_ASK_H

#include "core/core.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

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

#endif							/* MEMAI_CHAT_ASK_H */
