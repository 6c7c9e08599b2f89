/*
 * odd_machine.c
 *	  For tests, by LD_PRELOAD: a machine whose wall clock jumps by the seconds in the
 *	  file CLOCK_JUMP_FILE, and whose backends have HELD_FILES files open.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long
jump(void)
{
	const char *name = getenv("CLOCK_JUMP_FILE");
	FILE	   *file = name ? fopen(name, "r") : NULL;
	long		seconds = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld", &seconds) != 1)
		seconds = 0;
	fclose(file);
	return seconds;
}

int
clock_gettime(clockid_t clock, struct timespec *result)
{
	int			(*real) (clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int			status = real(clock, result);

	if (clock == CLOCK_REALTIME)
		result->tv_sec += jump();
	return status;
}

int
gettimeofday(struct timeval *restrict result, void *restrict zone)
{
	struct timespec now;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &now);
	result->tv_sec = now.tv_sec;
	result->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (result)
		*result = now.tv_sec;
	return now.tv_sec;
}

static void
hold_files(void)
{
	const char *held = getenv("HELD_FILES");

	for (int i = held ? atoi(held) : 0; i > 0; i--)
		if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
			break;
}

/* not in the postmaster, which uses select() itself in PostgreSQL 15 */
__attribute__((constructor)) static void
hold_files_in_children(void)
{
	pthread_atfork(NULL, NULL, hold_files);
}
