/*
 * terms.h
 *	  Building the hashed terms of a document.  Private to text/; readers are
 *	  in text.h.
 */
#ifndef MEMAI_TEXT_TERMS_H
#define MEMAI_TEXT_TERMS_H

#include "c.h"

/* Bytes that the payload of n occurrences needs at most; n is below 2^28. */
extern size_t memai_terms_max_size(uint32 n);

/*
 * Sorts n term hashes of a language and writes the payload of terms.c, of which it returns
 * the size.  payload has room for memai_terms_max_size(n) bytes.
 */
extern size_t memai_terms_build(uint32 *hashes, uint32 n, int language, unsigned char *payload);

/* Sorts n hashes and leaves each once; returns the new number. */
extern uint32 memai_terms_distinct(uint32 *hashes, uint32 n);

#endif							/* MEMAI_TEXT_TERMS_H */
