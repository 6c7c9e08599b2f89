/*
 * init.c
 *	  Library load: one init per module, in layer order, nothing else.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "chat/chat.h"
#include "core/core.h"
#include "http/http.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "job/job.h"
#include "memory/memory.h"
#include "model/model.h"
#include "stats/stats.h"
#include "text/text.h"
#include "vector/vector.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	memai_core_init();
	memai_vector_init();
	memai_text_init();
	memai_stats_init();
	memai_index_init();
	memai_http_init();
	memai_model_init();
	memai_job_init();
	memai_memory_init();
	memai_ingest_init();
	memai_chat_init();
	memai_worker_init();

	MarkGUCPrefixReserved("memai");
}
