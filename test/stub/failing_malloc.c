/*
 * failing_malloc.c
 *	  For tests, by LD_PRELOAD: the n-th allocation of one process fails, with
 *	  every kind of malloc.  The environment's FAILING_MALLOC names a file that
 *	  all processes map: two 64-bit integers, the process and how many
 *	  allocations succeed before the one that fails.  The count goes down to -1,
 *	  and stays there.  json-c's reader is spared: it does not survive it, and
 *	  memai looks whether there is memory before it calls that.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);

static volatile int64_t *control;
static int	spared = 0;

static __attribute__((constructor)) void
map_control(void)
{
	const char *path = getenv("FAILING_MALLOC");
	int			file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void	   *map = file < 0 ? MAP_FAILED :
		mmap(NULL, 2 * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (file >= 0)
		close(file);
	if (map != MAP_FAILED)
		control = map;
}

static int
fails(void)
{
	if (control == NULL || spared || control[1] < 0 || control[0] != getpid())
		return 0;
	if (control[1]-- > 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *pointer, size_t size)
{
	return fails() ? NULL : __libc_realloc(pointer, size);
}

void *
json_tokener_parse_ex(void *tokener, const char *text, int len)
{
	void	   *(*next) (void *, const char *, int) = dlsym(RTLD_NEXT, "json_tokener_parse_ex");
	void	   *json;

	spared++;
	json = next(tokener, text, len);
	spared--;
	return json;
}
