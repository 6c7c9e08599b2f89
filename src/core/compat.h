/*
 * compat.h
 *	  Differences between the PostgreSQL releases that memai compiles with
 *	  (15 to 18).  Every version conditional of the project lives here.
 */
#ifndef MEMAI_CORE_COMPAT_H
#define MEMAI_CORE_COMPAT_H

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "memai needs PostgreSQL 15 or later"
#endif

#define MEMAI_PG16_GE (PG_VERSION_NUM >= 160000)
#define MEMAI_PG17_GE (PG_VERSION_NUM >= 170000)
#define MEMAI_PG18_GE (PG_VERSION_NUM >= 180000)

/* since 16 varatt.h is no longer pulled in by postgres.h */
#if MEMAI_PG16_GE
#include "varatt.h"
#endif

#endif							/* MEMAI_CORE_COMPAT_H */
