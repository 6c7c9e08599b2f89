/*
 * vectors.h
 *	  Embeddings in answers.  Private to model/.
 */
#ifndef MEMAI_MODEL_VECTORS_H
#define MEMAI_MODEL_VECTORS_H

#include "model/wire.h"

/* Raises MA010 when the scan met a problem. */
extern void memai_vectors_check_scan(const MemaiModel *model, const MemaiJsonScan *scan);

extern bool memai_vectors_key_is(const char *key, size_t len, const char *name);

/*
 * Reads one vector, as numbers or base64.  buffer has room for the model's
 * dimensions.  Palloc'd; raises MA010.
 */
extern MemaiVector *memai_vectors_read_one(const MemaiModel *model, MemaiJsonScan *scan,
										   float *buffer);

/*
 * Reads an answer whose vectors stand in the order of the inputs, in a list
 * that the keys of path (ended by NULL) lead to.  With member the list's
 * elements are objects that hold their vector under that key.
 */
extern void memai_vectors_read_plain(const MemaiModel *model, const char *body, size_t len,
									 const char *const *path, const char *member,
									 int ninputs, MemaiVector **vectors);

#endif							/* MEMAI_MODEL_VECTORS_H */
