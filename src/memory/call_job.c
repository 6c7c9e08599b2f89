/*
 * call_job.c
 *	  Jobs that are one call of a model: what memai.submit submits.
 *
 * It stands here because this is the lowest module above both the queue and
 * the models.
 */
#include "postgres.h"

#include "job/job.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* the call's name; a constraint of the table says that there is one */
static char *
call_name(const Jsonb *payload)
{
	Datum		name = DirectFunctionCall2(jsonb_object_field_text, JsonbPGetDatum(payload),
										   CStringGetTextDatum("call"));

	return text_to_cstring(DatumGetTextPP(name));
}

Jsonb *
memai_call_job(MemaiJob *job)
{
	Jsonb	   *result;

	memai_job_call_begin();
	result = memai_model_call(&job->scope, call_name(job->payload), job->model[0] ? job->model : NULL, job->payload);
	memai_job_call_end();
	/* a call that was cancelled meanwhile has no result */
	memai_job_checkpoint(job, 1, 1);
	return result;
}
