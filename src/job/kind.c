/*
 * kind.c
 *	  The kinds of jobs that memai does itself: a table of handlers.
 *
 * The queue lies below the modules whose work it holds, so they register
 * their handlers here when the library is loaded.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/job_int.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define KINDS_MAX 32

static struct
{
	const char *kind;
	MemaiJobHandler handler;
	const MemaiJobSharing *sharing;
	MemaiJobFailed failed;		/* NULL: nothing */
}			kinds[KINDS_MAX];
static int	nkinds = 0;

void
memai_job_register(const char *kind, MemaiJobHandler handler)
{
	if (nkinds == KINDS_MAX)
		elog(ERROR, "too many kinds of jobs");
	kinds[nkinds].kind = kind;
	kinds[nkinds].handler = handler;
	nkinds++;
}

void
memai_job_register_failed(const char *kind, MemaiJobFailed failed)
{
	for (int i = 0; i < nkinds; i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			kinds[i].failed = failed;
}

void
memai_job_failed(const MemaiJob *job, const ErrorData *error)
{
	for (int i = 0; i < nkinds; i++)
		if (strcmp(kinds[i].kind, job->kind) == 0 && kinds[i].failed != NULL)
			kinds[i].failed(job, error);
}

char *
memai_job_payload_text(const MemaiJob *job, const char *key)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(job->payload) ||
		getKeyJsonValueFromContainer(&job->payload->root, key, (int) strlen(key), &value) == NULL)
		return NULL;
	if (value.type == jbvString)
		return pnstrdup(value.val.string.val, value.val.string.len);
	if (value.type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
	return NULL;
}

MemaiJobHandler
memai_job_handler(const char *kind)
{
	for (int i = 0; i < nkinds; i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].handler;
	return NULL;
}

void
memai_job_register_sharing(const char *kind, const MemaiJobSharing *sharing)
{
	for (int i = 0; i < nkinds; i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			kinds[i].sharing = sharing;
}

const MemaiJobSharing *
memai_job_sharing(const char *kind)
{
	for (int i = 0; i < nkinds; i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].sharing;
	return NULL;
}

ArrayType *
memai_job_kinds(void)
{
	Datum		values[KINDS_MAX];

	for (int i = 0; i < nkinds; i++)
		values[i] = CStringGetTextDatum(kinds[i].kind);
	return construct_array(values, nkinds, TEXTOID, -1, false, TYPALIGN_INT);
}
