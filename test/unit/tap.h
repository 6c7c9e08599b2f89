/*
 * tap.h
 *	  Test Anything Protocol for the unit tests: ok() prints one line a check,
 *	  done_testing() the plan; main returns what done_testing() returns.
 *	  Include after postgres.h.
 */
#ifndef MEMAI_TEST_TAP_H
#define MEMAI_TEST_TAP_H

static int	tap_tests = 0;
static int	tap_failures = 0;

static inline bool
pg_attribute_printf(2, 3)
ok(bool passed, const char *format,...)
{
	va_list		args;

	tap_tests++;
	tap_failures += !passed;
	printf("%s %d - ", passed ? "ok" : "not ok", tap_tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	return passed;
}

static inline int
done_testing(void)
{
	printf("1..%d\n", tap_tests);
	return tap_failures > 0;
}

#endif							/* MEMAI_TEST_TAP_H */
