/*
 * ingest.c
 *	  What the module does when the library is loaded: each part registers its
 *	  kinds of jobs.
 */
#include "postgres.h"

#include "ingest/ingest_int.h"

void
memai_ingest_init(void)
{
	memai_document_init();
}
