/*
 * ingest_int.h
 *	  What the files of ingest/ share with each other only.
 */
#ifndef MEMAI_INGEST_INT_H
#define MEMAI_INGEST_INT_H

#include "ingest/ingest.h"

#endif							/* MEMAI_INGEST_INT_H */
