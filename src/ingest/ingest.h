/*
 * ingest.h
 *	  Bringing texts from outside into memory: documents and their chunks.
 */
#ifndef MEMAI_INGEST_H
#define MEMAI_INGEST_H

/* Registers the kinds of jobs that bring texts in. */
extern void memai_ingest_init(void);

#endif							/* MEMAI_INGEST_H */
