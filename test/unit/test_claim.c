/* sources: src/text/claim.c src/text/tokenise.c src/text/unicode.c src/core/hash.c */
/*
 * test_claim.c
 *	  Denials, numbers, opposites and exchanged places of statements.
 */
#include "postgres.h"

#include "tap.h"
#include "text/text.h"

static void
check(bool expected, const char *a, const char *b)
{
	ok(memai_text_same_claim(a, strlen(a), b, strlen(b)) == expected && memai_text_same_claim(b, strlen(b), a, strlen(a)) == expected,
	   "\"%s\" %s \"%s\"", a, expected ? "may be" : "is not", b);
}

static void
test_denials(void)
{
	check(true, "She likes tea, knots and nets", "She likes tea");
	check(false, "She does NOT like tea", "She likes tea");
	check(false, "She doesn't like tea", "She likes tea");
	check(true, "She doesn't like tea", "She does not like tea");
	check(false, "Mag keinen Tee", "Mag Tee");
	check(false, "Har aldrig druckit te", "Har druckit te");
	check(true, "", "");
}

static void
test_numbers(void)
{
	check(true, "invoice 4711 of 3 May", "on May 3: invoice 4711!");
	check(false, "invoice 4711", "invoice 4712");
	check(false, "invoice 4711", "invoice");
	check(false, "7", "7 7");
	check(true, "Has two cats and a dog", "Has 2 cats and one dog");
	check(false, "Has two cats", "Has three cats");
	check(true, "Har tv\303\245 katter", "Har 2 katter");
	check(true, "Hat zw\303\266lf Katzen", "Hat 12 Katzen");
}

static void
test_opposites(void)
{
	check(false, "Takes insulin before meals", "Takes insulin after meals");
	check(true, "Rests before meals and after meals", "Rests after meals and before meals");
	check(true, "Rests before and after meals", "Rests after meals");
	check(false, "Loves loud music", "Hates loud music");
	check(true, "Dislikes loud music", "Hates loud music");
	check(false, "Gillar fisk", "Ogillar fisk");
	check(false, "Der Laden \303\266ffnet um 9", "Der Laden schlie\303\237t um 9");
	check(true, "opened", "reopened closedown");
}

static void
test_places(void)
{
	check(false, "Moved from Berlin to Vienna", "Moved from Vienna to Berlin");
	check(true, "Moved from Berlin to Vienna", "Moved to Vienna, from Berlin");
	check(false, "Prefers tea to the coffee", "Prefers the coffee to tea");
	check(true, "Goes to work by bus", "Takes the bus to work");
	check(false, "Flyttade fr\303\245n Lund till Ystad", "Flyttade fr\303\245n Ystad till Lund");
	/* another place is another word, which the overlap tells */
	check(true, "Moved to Lund", "Moved to Ystad");
}

static void
test_any_bytes(void)
{
	char		bytes[256];

	for (int i = 0; i < 256; i++)
		bytes[i] = (char) (i ^ 0x80);
	for (size_t len = 0; len < 256; len++)
		(void) memai_text_same_claim(bytes, len, bytes + len, 256 - len);
	ok(true, "any bytes are read");
}

int
main(void)
{
	test_denials();
	test_numbers();
	test_opposites();
	test_places();
	test_any_bytes();
	return done_testing();
}
