/*
 * worker_int.h
 *	  What the files of worker/ share.  Private to worker/.
 */
#ifndef MEMAI_WORKER_INT_H
#define MEMAI_WORKER_INT_H

#include "postmaster/bgworker.h"

/* bgw_type, shown as pg_stat_activity.backend_type */
#define MEMAI_WORKER_TYPE "memai worker"
#define MEMAI_LAUNCHER_TYPE "memai launcher"

/* ---- settings.c ---- */

extern int	memai_worker_naptime(void); /* milliseconds */
extern int	memai_worker_restart_delay(void);	/* milliseconds */
extern int	memai_worker_count(void);	/* a database */
extern const char *memai_worker_databases(void);

/* ---- launcher.c ---- */

/*
 * Fills the registration of a launcher: for one database and a number of
 * workers, or with database InvalidOid for those of the settings.
 */
extern void memai_launcher_describe(BackgroundWorker *worker, Oid database, int nworkers);

/* entry points of the processes; the argument is the database, or 0 */
extern PGDLLEXPORT void memai_launcher_main(Datum argument);
extern PGDLLEXPORT void memai_worker_main(Datum argument);

#endif							/* MEMAI_WORKER_INT_H */
