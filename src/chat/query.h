/*
 * query.h
 *	  Running a SELECT that somebody registered or a model wrote.  Private to
 *	  chat/.
 */
#ifndef MEMAI_CHAT_QUERY_H
#define MEMAI_CHAT_QUERY_H

#include "utils/jsonb.h"

typedef struct ChatQuery
{
	const char *sql;
	Jsonb	   *parameters;		/* an object; NULL: none */
	const char *search_path;
	int			max_rows;		/* at least 1 */
	int			timeout;		/* milliseconds, at least 1 */
} ChatQuery;

/* what it returned, as text; NULL values are null */
typedef struct ChatRows
{
	int			ncolumns;
	char	  **names;
	int			nrows;
	char	 ***values;			/* by row and column */
	bool		more;			/* there were more than max_rows */
} ChatRows;

/*
 * Runs the query with the current role's rights, unable to write, and returns
 * its first rows, palloc'd in the current context.  Raises 22023 unless it is
 * one SELECT, 42P02 for a parameter it was not given, 54000 when it took too
 * long, and whatever the query raises.  The caller is connected to SPI.
 */
extern ChatRows *memai_query_run(const ChatQuery *query);

/* Raises what preparing the query raises; runs nothing. */
extern void memai_query_check(const ChatQuery *query);

/*
 * Runs body(arg), which may use SPI, with a search path and within a time limit in milliseconds;
 * raises 54000, naming what, when that is over.
 */
extern void memai_run_limited(const char *what, const char *search_path, int timeout, void (*body) (void *), void *arg);

#endif							/* MEMAI_CHAT_QUERY_H */
