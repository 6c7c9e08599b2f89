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

typedef struct JobKind
{
	const char *name;
	MemaiJobHandler handler;
	const MemaiJobSharing *sharing; /* NULL: each job asks for itself */
	MemaiJobFailed failed;		/* NULL: nothing */
} JobKind;

static JobKind kinds[KINDS_MAX];
static int	nkinds = 0;

/* NULL for a kind that memai does not do */
static JobKind *
find_kind(const char *name)
{
	for (int i = 0; i < nkinds; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static JobKind *
require_kind(const char *name)
{
	JobKind    *kind = find_kind(name);

	if (kind == NULL)
		elog(ERROR, "kind of jobs \"%s\" is not registered", name);
	return kind;
}

void
memai_job_register(const char *kind, MemaiJobHandler handler)
{
	if (nkinds == KINDS_MAX)
		elog(ERROR, "too many kinds of jobs");
	kinds[nkinds].name = kind;
	kinds[nkinds].handler = handler;
	nkinds++;
}

void
memai_job_register_sharing(const char *kind, const MemaiJobSharing *sharing)
{
	require_kind(kind)->sharing = sharing;
}

void
memai_job_register_failed(const char *kind, MemaiJobFailed failed)
{
	require_kind(kind)->failed = failed;
}

MemaiJobHandler
memai_job_handler(const char *kind)
{
	JobKind    *found = find_kind(kind);

	return found ? found->handler : NULL;
}

const MemaiJobSharing *
memai_job_sharing(const char *kind)
{
	JobKind    *found = find_kind(kind);

	return found ? found->sharing : NULL;
}

void
memai_job_failed(const MemaiJob *job, const ErrorData *error)
{
	JobKind    *kind = find_kind(job->kind);

	if (kind != NULL && kind->failed != NULL)
		kind->failed(job, error);
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

ArrayType *
memai_job_kinds(void)
{
	Datum		values[KINDS_MAX];

	for (int i = 0; i < nkinds; i++)
		values[i] = CStringGetTextDatum(kinds[i].name);
	return construct_array(values, nkinds, TEXTOID, -1, false, TYPALIGN_INT);
}
