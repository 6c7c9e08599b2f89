/*
 * source_cache.h
 *	  Texts of sources that this session keeps for a while.  Private to chat/.
 */
#ifndef MEMAI_CHAT_SOURCE_CACHE_H
#define MEMAI_CHAT_SOURCE_CACHE_H

#include "utils/timestamp.h"

/*
 * The text kept under a key, and in *xmin the decimal transaction id that was
 * the oldest running one when it was read; NULL when there is none, or its time
 * is over.  Valid until the next call of a function of this file.
 */
extern const char *memai_source_cache_get(const char *key, const char **xmin);

/*
 * Keeps a text until expires_at, in place of any other under the key.  What is
 * too large is not kept; the oldest give way.  It is forgotten when the
 * transaction or subtransaction that keeps it, or a later one, is rolled back.
 */
extern void memai_source_cache_put(const char *key, const char *xmin, TimestampTz expires_at, const char *content);

#endif							/* MEMAI_CHAT_SOURCE_CACHE_H */
