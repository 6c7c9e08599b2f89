/*
 * fallback.h
 *	  Calling another model when one fails.  Private to model/.
 */
#ifndef MEMAI_MODEL_FALLBACK_H
#define MEMAI_MODEL_FALLBACK_H

#include "model/provider.h"

/* makes the call with a model; what it palloc's may be in a child of the current context */
typedef void (*MemaiFallbackBody) (const MemaiModel *model, void *arg);

/*
 * Runs body with the model, and while that fails in a way that the model's
 * option fallback_on names, with its fallbacks that the caller may call.  Returns the model
 * that answered.  Raises the first model's error when none did.  body leaves
 * nothing behind when it raises an error of class MA: no SPI connection, no
 * other user, no lock.
 */
extern const MemaiModel *memai_fallback_run(const MemaiModel *model, MemaiFallbackBody body, void *arg);

/* Checks the options fallback and fallback_on of a row.  Raises 22023. */
extern void memai_fallback_check(const MemaiModel *model);

#endif							/* MEMAI_MODEL_FALLBACK_H */
