/*
 * settings.c
 *	  The worker's settings, and its start by shared_preload_libraries.
 */
#include "postgres.h"

#include "worker/worker.h"
#include "worker/worker_int.h"
#include "miscadmin.h"
#include "utils/guc.h"

static int	count = 1;
static char *databases = NULL;
static int	naptime = 1000;
static int	restart_delay = 1000;

int
memai_worker_naptime(void)
{
	return naptime;
}

int
memai_worker_restart_delay(void)
{
	return restart_delay;
}

int
memai_worker_count(void)
{
	return count;
}

const char *
memai_worker_databases(void)
{
	return databases;
}

void
memai_worker_init(void)
{
	BackgroundWorker launcher;

	DefineCustomStringVariable("memai.worker_databases",
							   "Names the databases that a preloaded launcher starts workers in.",
							   "Names are separated by commas.",
							   &databases, "postgres", PGC_SIGHUP, GUC_LIST_INPUT,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("memai.worker_naptime",
							"Sets how often an idle worker looks for jobs that nothing woke it for.",
							NULL,
							&naptime, 1000, 10, 3600 * 1000, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("memai.worker_restart_delay",
							"Sets how long the launcher waits before it starts a lost worker again.",
							"The delay doubles up to 5 minutes while workers are lost within a minute.",
							&restart_delay, 1000, 10, 300 * 1000, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("memai.workers",
							"Sets the number of workers in each database of memai.worker_databases.",
							NULL,
							&count, 1, 0, 16, PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	memai_launcher_describe(&launcher, InvalidOid, 0);
	RegisterBackgroundWorker(&launcher);
}
