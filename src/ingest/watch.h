/*
 * watch.h
 *	  What the files of watches share.  Private to ingest/.
 */
#ifndef MEMAI_INGEST_WATCH_H
#define MEMAI_INGEST_WATCH_H

#include "ingest/vectorizer.h"

/* a row of memai.watched */
typedef struct MemaiWatch
{
	MemaiVectorizer table;		/* what, name, tenant, source, template and
								 * what the catalogs say */
	char	   *namespace;
	char	   *user_id;		/* of all rows; NULL: the column table.extra[0] */
} MemaiWatch;

/* ---- watch.c: the caller is connected to SPI ---- */

/* Reads a watch in the current context; NULL when there is none. */
extern MemaiWatch *memai_watch_read(const char *name);

/* Key, user and text of a row, as columns of a query for memai_watch_run. */
extern char *memai_watch_columns_sql(const MemaiWatch *watch, const char *row);

/* Runs a query as the table's owner: its rows become episodes, or with gone their keys lose them. */
extern void memai_watch_run(const MemaiWatch *watch, const char *query, bool gone);

/* Removes the episodes of n keys, with keys NULL all of the watch. */
extern void memai_watch_forget(const MemaiWatch *watch, Datum *keys, int n);

#endif							/* MEMAI_INGEST_WATCH_H */
