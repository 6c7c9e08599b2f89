/*
 * query.h
 *	  Running a SELECT that somebody registered or a model wrote.  Private to
 *	  chat/.
 */
#ifndef MEMAI_CHAT_QUERY_H
#define MEMAI_CHAT_QUERY_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct ChatQuery
{
	const char *sql;
	Jsonb	   *parameters;		/* an object; NULL: none */
	const char *search_path;
	int			max_rows;		/* at least 1 */
	int			timeout;		/* milliseconds, at least 1 */
	bool		as_json;		/* wanted are rows->json, not rows->values */

	/* NULL, or raises unless the query may run; called with its search path */
	void		(*check) (const char *sql, void *arg);
	void	   *check_arg;
} ChatQuery;

/* what it returned, as text; NULL values are null */
typedef struct ChatRows
{
	int			ncolumns;
	char	  **names;			/* as_json: different ones */
	int			nrows;
	char	 ***values;			/* by row and column */
	char	   *json;			/* an array of objects */
	bool		more;			/* there were more than max_rows */
} ChatRows;

/*
 * Runs the query with the current role's rights, unable to write, and returns
 * its first rows, palloc'd in the current context.  Raises 22023 unless it is
 * one SELECT, 42P02 for a parameter it was not given, 54000 when it took too
 * long or returned too much as JSON, and whatever the query raises.  The caller
 * is connected to SPI.
 */
extern ChatRows *memai_query_run(const ChatQuery *query);

/*
 * Raises what preparing the query raises; runs nothing.  Returns the names of
 * the parameters that it uses, of char *.
 */
extern List *memai_query_check(const ChatQuery *query);

/*
 * Runs body(arg), which may use SPI, with a search path and within a time limit in milliseconds;
 * raises 54000, naming what, when that is over.  Calls nest: an outer limit holds inside.
 */
extern void memai_run_limited(const char *what, const char *search_path, int timeout, void (*body) (void *), void *arg);

/* Raises 22023: the query ... */
extern void memai_query_refuse(const char *problem);

#endif							/* MEMAI_CHAT_QUERY_H */
