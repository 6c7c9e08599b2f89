/* sources: src/text/asking.c src/text/unicode.c */
/*
 * test_asking.c
 *	  The share of a text that asks.
 */
#include "postgres.h"

#include <math.h>

#include "tap.h"
#include "text/text.h"

static void
asks(const char *text, double expected)
{
	double		share = memai_text_asking(text, strlen(text));

	ok(fabs(share - expected) < 1e-9, "\"%s\" asks %.3f, expected %.3f", text, share, expected);
}

int
main(void)
{
	asks("", 0.0);
	asks("?", 0.0);
	asks("   ", 0.0);
	asks("I like boats", 0.0);
	asks("I like boats.", 0.0);
	asks("Do you like boats?", 1.0);
	asks("Do you like boats??", 1.0);
	asks("Do you? I do.", 5.0 / 8.0);
	asks("abcd. efgh?", 0.5);
	asks("abcd\nefgh?", 0.5);
	asks("abcd? efgh", 0.5);
	asks("\xe5\xa5\xbd\xe5\x90\x97\xef\xbc\x9f", 1.0);	/* Chinese, fullwidth question mark */
	asks("\xd9\x83\xd9\x8a\xd9\x81\xd8\x9f", 1.0);	/* Arabic */
	asks("\xff\xfe?", 1.0);		/* not UTF-8 */
	return done_testing();
}
