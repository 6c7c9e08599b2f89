/*
 * raise.c
 *	  Errors that several modules raise in the same words.  Nothing of the server
 *	  is needed but ereport, so what uses it can be tested outside.
 */
#include "postgres.h"

#include "core/core.h"

void
memai_raise_out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory")));
}
