/* sources: src/text/oneline.c src/text/unicode.c */
/*
 * test_oneline.c
 *	  A text on one line, without what nobody sees.
 */
#include "postgres.h"

#include "tap.h"
#include "text/text.h"

static void
shows(const char *text, const char *expected)
{
	size_t		len = strlen(text);
	char	   *out = malloc(len + 1);
	size_t		written = memai_text_one_line(text, len, out);

	ok(written == strlen(expected) && memcmp(out, expected, written) == 0, "shows \"%s\"", expected);
	free(out);
}

int
main(void)
{
	shows("", "");
	shows("as it is, Zo\xc3\xab \xe6\x9d\xb1", "as it is, Zo\xc3\xab \xe6\x9d\xb1");
	shows("a\nb\r\tc\x7f", "a b  c ");
	shows("a\xc2\x85" "b\xe2\x80\xa8" "c\xe2\x80\xa9" "d", "a b c d");	/* NEL, LS, PS */
	shows("a\xf3\xa0\x81\x81" "b", "ab");	/* tag A */
	shows("a\xe2\x80\xae" "b\xe2\x81\xa6" "c", "abc"); /* overrides of direction */
	shows("a\xe2\x80\x8b" "b\xef\xbb\xbf" "c", "abc"); /* zero width */
	shows("\xe2\x80\x8d\xe2\x80\x8c", "\xe2\x80\x8d\xe2\x80\x8c"); /* joiners belong to words */
	shows("\xff\xc3", "\xff\xc3");	/* not UTF-8: passed on */
	return done_testing();
}
