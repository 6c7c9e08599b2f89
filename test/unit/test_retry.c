/*
 * test_retry.c
 *	  How long to wait before another attempt.  Row HT8.
 */
/* sources: src/model/retry.c */
#include "postgres.h"

#include "model/wire.h"
#include "tap.h"

/* 2015-10-21 07:28:00 UTC */
#define NOW INT64CONST(1445412480)

static void
test_after(const char *in_ms, const char *in_seconds, int64 expected)
{
	int64		wait = memai_retry_after(in_ms, in_seconds, NOW);

	ok(wait == expected, "retry-after-ms %s, retry-after %s: %lld", in_ms ? in_ms : "-",
	   in_seconds ? in_seconds : "-", (long long) wait);
}

int
main(void)
{
	test_after(NULL, NULL, -1);
	test_after(NULL, "0", 0);
	test_after(NULL, "1", 1000);
	test_after(NULL, "1.5", 1500);
	test_after(NULL, "120", 120000);
	test_after(NULL, "121", 121000);
	test_after(NULL, "1000000000", INT64CONST(1000000000000));
	test_after(NULL, "99999999999999999999", -1);
	test_after(NULL, "-1", -1);
	test_after(NULL, "nan", -1);
	test_after(NULL, "inf", -1);
	test_after(NULL, "1e3", -1);
	test_after(NULL, "0x10", -1);
	test_after(NULL, "", -1);
	test_after(NULL, ".", -1);
	test_after(NULL, "1 ", -1);
	test_after("250", NULL, 250);
	test_after("250.2", "9", 251);
	test_after("junk", "9", 9000);
	test_after("-5", NULL, -1);
	test_after(NULL, "Wed, 21 Oct 2015 07:28:00 GMT", 0);
	test_after(NULL, "Wed, 21 Oct 2015 07:28:30 GMT", 30000);
	test_after(NULL, "Wed, 21 Oct 2015 07:27:00 GMT", 0);
	test_after(NULL, "Wednesday, 21-Oct-15 07:28:05 GMT", 5000);
	test_after(NULL, "Wed Oct 21 07:28:07 2015", 7000);
	test_after(NULL, "Thu, 22 Oct 2015 07:28:00 GMT", 86400000);
	test_after(NULL, "Mon, 29 Feb 2016 00:00:00 GMT", INT64CONST(131) * 86400000 - (7 * 3600 + 28 * 60) * 1000);
	test_after(NULL, "Wed, 21 Oct 2015 07:28:00 GMT x", -1);
	test_after(NULL, "Wed, 41 Oct 2015 07:28:00 GMT", -1);
	test_after(NULL, "Wed, 21 Okt 2015 07:28:00 GMT", -1);
	test_after(NULL, "Wed, 21 Oct 2015 27:28:00 GMT", -1);
	test_after(NULL, "tomorrow", -1);

	ok(memai_retry_backoff(1, 0) == 500, "the first wait is half a second");
	ok(memai_retry_backoff(2, 0) == 1000 && memai_retry_backoff(3, 0) == 2000, "which doubles");
	ok(memai_retry_backoff(5, 0) == 8000 && memai_retry_backoff(1000, 0) == 8000, "up to eight seconds");
	ok(memai_retry_backoff(1, 0.999999) == 375, "less a quarter at most");
	return done_testing();
}
