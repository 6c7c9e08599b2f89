/*
 * kernel.c
 *	  Which set of kernels this process uses.
 */
#include "vector/kernel.h"

const MemaiKernels *memai_kernels = &memai_kernels_scalar;
