/*
 * failing_io.c
 *	  For tests, by LD_PRELOAD: reading, writing or synchronising some files fails.
 *	  The environment's FAILING_IO names a file that all processes map: 64-bit
 *	  integers, namely which calls fail (1 reads, 2 writes, 4 syncs; added), with
 *	  which errno, how many of them succeed before, how many fail then (-1: all)
 *	  and how many have failed; and a part of the names of the files that are meant.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define READS 1
#define WRITES 2
#define SYNCS 4

typedef struct Control
{
	int64_t		calls;
	int64_t		error;
	int64_t		before;
	int64_t		times;
	int64_t		failed;
	char		name[64];
} Control;

static volatile Control *control;

static __attribute__((constructor)) void
map_control(void)
{
	const char *path = getenv("FAILING_IO");
	int			file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void	   *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (file >= 0)
		close(file);
	if (map != MAP_FAILED)
		control = map;
}

static int
fails(int call, int fd)
{
	char		link[64];
	char		path[4096];
	ssize_t		length;

	if (control == NULL || !(control->calls & call) || control->times == 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = '\0';
	if (strstr(path, (const char *) control->name) == NULL)
		return 0;
	if (__atomic_fetch_sub(&control->before, 1, __ATOMIC_SEQ_CST) > 0)
		return 0;
	if (control->times > 0)
		__atomic_fetch_sub(&control->times, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&control->failed, 1, __ATOMIC_SEQ_CST);
	errno = (int) control->error;
	return 1;
}

/*
 * result name(parameters), which fails as told or does what it always does.
 * read and write are left alone: servers call them in signal handlers, and
 * never for tables or indexes.
 */
#define CALL(call, result, name, parameters, arguments) \
	result name parameters \
	{ \
		result (*real) parameters = dlsym(RTLD_NEXT, #name); \
		return fails(call, fd) ? -1 : real arguments; \
	}

CALL(READS, ssize_t, pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
CALL(READS, ssize_t, pread64, (int fd, void *data, size_t size, off64_t at), (fd, data, size, at))
CALL(READS, ssize_t, preadv, (int fd, const struct iovec *data, int n, off_t at), (fd, data, n, at))
CALL(READS, ssize_t, preadv64, (int fd, const struct iovec *data, int n, off64_t at), (fd, data, n, at))
CALL(WRITES, ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
CALL(WRITES, ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
CALL(WRITES, ssize_t, pwritev, (int fd, const struct iovec *data, int n, off_t at), (fd, data, n, at))
CALL(WRITES, ssize_t, pwritev64, (int fd, const struct iovec *data, int n, off64_t at), (fd, data, n, at))
CALL(SYNCS, int, fsync, (int fd), (fd))
CALL(SYNCS, int, fdatasync, (int fd), (fd))

/* these return the error */
int
posix_fallocate(int fd, off_t at, off_t size)
{
	int			(*real) (int, off_t, off_t) = dlsym(RTLD_NEXT, "posix_fallocate");

	return fails(WRITES, fd) ? errno : real(fd, at, size);
}

int
posix_fallocate64(int fd, off64_t at, off64_t size)
{
	int			(*real) (int, off64_t, off64_t) = dlsym(RTLD_NEXT, "posix_fallocate64");

	return fails(WRITES, fd) ? errno : real(fd, at, size);
}
