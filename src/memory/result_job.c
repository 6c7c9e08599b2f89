/*
 * result_job.c
 *	  Storing what a job found as a memory.
 *
 * memai.remember makes the vector in the transaction that stores it; a job must
 * not wait for a remote model in one.  Here the vector is there before.
 */
#include "postgres.h"

#include "job/job.h"
#include "memory/memory_int.h"
#include "utils/builtins.h"

void
memai_result_remember(const MemaiJob *job, const char *content, const char *slot, Jsonb *metadata, pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	MemaiPiiPolicy policy;
	MemaiFact	fact = {
		.scope = &job->scope,
		.category = cstring_to_text("fact"),
		.memory_type = cstring_to_text("semantic"),
		.provenance = cstring_to_text("inference"),
		.importance = 0.5,
		.confidence = 1.0,
		.invalid_at = DT_NOEND,
		.expires_at = DT_NOEND,
	};

	memai_pii_policy(&policy);
	fact.content = memai_pii_clean(&policy, "content", cstring_to_text(content));
	memai_check_content("content", fact.content);
	fact.slot = memai_pii_clean(&policy, "slot", cstring_to_text(slot));
	fact.metadata = memai_pii_clean_jsonb(&policy, "metadata", metadata);
	memai_job_call_begin();
	memai_fact_embed(&fact);
	memai_job_call_end();
	fact.valid_at = GetCurrentTransactionStartTimestamp();
	memai_job_own_begin();
	SPI_connect();
	MemoryContextSwitchTo(context);
	memai_fact_remember(&fact);
	SPI_finish();
	memai_job_own_end();
	MemoryContextSwitchTo(context);
	*id = fact.id;
}
