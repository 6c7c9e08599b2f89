/*
 * health.c
 *	  memai.version: of the library that is loaded, which may be newer than the
 *	  extension's objects until ALTER EXTENSION, or older until a restart.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(memai_version);

/* version() returns text: stable */
Datum
memai_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MEMAI_VERSION));
}
