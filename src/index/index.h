/*
 * index.h
 *	  The access method memai.  Reached through SQL and the planner alone; this
 *	  header exists for the library's load.
 */
#ifndef MEMAI_INDEX_H
#define MEMAI_INDEX_H

/* Defines the settings memai.probes and so on, and the storage parameters. */
extern void memai_index_init(void);

#endif							/* MEMAI_INDEX_H */
