/*
 * prefetch.h
 *	  Asks the processor for the next value of a sequential scan while this
 *	  one is being computed with.  Private to vector/.
 */
#ifndef MEMAI_VECTOR_PREFETCH_H
#define MEMAI_VECTOR_PREFETCH_H

/*
 * Notes that argument number 0 or 1 of a distance function was a value of
 * size bytes at that address, and prefetches where the next one should be.
 * Only a hint: a wrong guess costs time, nothing else.
 */
extern void memai_prefetch_next(int argument, const void *value, Size size);

#endif							/* MEMAI_VECTOR_PREFETCH_H */
