/*
 * cache.h
 *	  Answers and embeddings that were paid for already.  Private to model/.
 */
#ifndef MEMAI_MODEL_CACHE_H
#define MEMAI_MODEL_CACHE_H

#include "model/provider.h"

#define MEMAI_CACHE_KEY_LEN 32

/* SHA-256 of everything that decides about an answer */
typedef struct MemaiCacheKey
{
	uint8		bytes[MEMAI_CACHE_KEY_LEN];
} MemaiCacheKey;

/* The key of a request made of parts to a model; what is a constant word for its kind. */
extern void memai_cache_key(MemaiCacheKey *key, const MemaiModel *model, const char *what,
							int nparts, const MemaiSpan *parts);

/*
 * Looks n keys up among the current role's entries; values[i] becomes a
 * palloc'd bytea, or NULL.  Runs SPI; needs a transaction.
 */
extern void memai_cache_find(int n, const MemaiCacheKey *keys, bytea **values);

/*
 * Stores n values for ttl seconds and drops the role's oldest entries beyond
 * memai.model_cache_entries.  Does nothing where nothing can be written.
 */
extern void memai_cache_store(int ttl, int n, const MemaiCacheKey *keys, bytea **values);

/*
 * Seconds that an answer to this call may be kept, 0: not at all.  wish is the
 * call's own, -1 for none.
 */
extern int	memai_cache_ttl(const MemaiModel *model, int wish);

/* the same for a chat request, whose answer is kept whole */
extern bool memai_cache_find_chat(const MemaiCacheKey *key, MemaiChatResult *result);
extern void memai_cache_store_chat(int ttl, const MemaiCacheKey *key, const MemaiChatResult *result);

extern void memai_cache_init(void);

#endif							/* MEMAI_MODEL_CACHE_H */
