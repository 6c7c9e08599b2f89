/*
 * worker.h
 *	  Background workers that do the jobs of memai.job.
 */
#ifndef MEMAI_WORKER_H
#define MEMAI_WORKER_H

/*
 * Defines the settings, and registers the launcher when the library is loaded
 * by shared_preload_libraries.
 */
extern void memai_worker_init(void);

#endif							/* MEMAI_WORKER_H */
