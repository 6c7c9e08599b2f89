/* sources: src/text/claim.c src/text/tokenise.c src/text/unicode.c src/core/hash.c */
/*
 * test_claim.c
 *	  Denials and numbers of statements.
 */
#include "postgres.h"

#include "tap.h"
#include "text/text.h"

static MemaiClaim
claim_of(const char *text)
{
	MemaiClaim	claim;

	memai_text_claim(text, strlen(text), &claim);
	return claim;
}

int
main(void)
{
	ok(!claim_of("She likes tea, knots and nets").denies, "no denial");
	ok(claim_of("She does NOT like tea").denies, "not");
	ok(claim_of("She doesn't like tea").denies, "n't");
	ok(claim_of("Mag keinen Tee").denies, "kein");
	ok(claim_of("Har aldrig druckit te").denies, "aldrig");
	ok(!claim_of("").denies && claim_of("").numbers == 0, "nothing");
	ok(claim_of("likes tea").numbers == 0, "no number");
	ok(claim_of("invoice 4711 of 3 May").numbers == claim_of("on May 3: invoice 4711!").numbers, "numbers in any order");
	ok(claim_of("invoice 4711").numbers != claim_of("invoice 4712").numbers, "another number");
	ok(claim_of("7").numbers != claim_of("7 7").numbers, "how often");
	return done_testing();
}
