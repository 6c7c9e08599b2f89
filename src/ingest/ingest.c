/*
 * ingest.c
 *	  What the module does when the library is loaded: each part registers its
 *	  kinds of jobs.
 */
#include "postgres.h"

#include "ingest/ingest_int.h"
#include "ingest/schedule.h"
#include "ingest/vectorizer.h"

void
memai_ingest_init(void)
{
	memai_document_init();
	memai_vectorizer_init();
	memai_schedule_init();
}
