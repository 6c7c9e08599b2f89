/* sources: src/text/pii.c */
/* AU15: personal data and secrets in a text, each recogniser on what it must find and must not. */
#include "postgres.h"

#include "tap.h"
#include "text/text.h"

#define ALL ((1u << MEMAI_PII_NKINDS) - 1)

/* "kind:text kind:text" of what is found */
static const char *
found(const char *text, unsigned kinds)
{
	static char result[4096];
	size_t		offset = 0;
	MemaiPiiMatch match;
	char	   *to = result;

	*to = '\0';
	while (memai_pii_next(text, strlen(text), offset, kinds, &match))
	{
		to += sprintf(to, "%s%s:%.*s", to > result ? "|" : "", memai_pii_name(match.kind), (int) (match.end - match.start), text + match.start);
		offset = match.end;
	}
	return result;
}

static void
finds(const char *text, const char *expected)
{
	const char *result = found(text, ALL);
	bool		same = strcmp(result, expected) == 0;

	ok(same, "%.60s", strchr(text, '\n') ? "a key of several lines" : text);
	if (!same)
		printf("# found \"%s\", expected \"%s\"\n", result, expected);
}

static void
test_forms(void)
{
	finds("Write to ann.lee+x@mail.example.co.uk, please", "email:ann.lee+x@mail.example.co.uk");
	finds("<j\303\266rg@m\303\274ller.de>", "email:j\303\266rg@m\303\274ller.de");
	finds("\351\203\265ann@example.com\343\200\202", "email:ann@example.com");
	finds("ann\357\274\240example.com", "email:ann\357\274\240example.com");
	finds("@ann and a@b and x@localhost and 5 @ 3.50", "");
	finds("a.@example.com ann@example.c0m1", "");

	finds("4111 1111 1111 1111", "card:4111 1111 1111 1111");
	finds("card 5500-0000-0000-0004.", "card:5500-0000-0000-0004");
	finds("378282246310005", "card:378282246310005");
	finds("\357\274\224\357\274\221\357\274\221\357\274\221 1111 1111 1111", "card:\357\274\224\357\274\221\357\274\221\357\274\221 1111 1111 1111");
	finds("4111\342\200\2131111\342\200\21311111111", "card:4111\342\200\2131111\342\200\21311111111");
	finds("4111 1111 1111 1112", "");
	finds("order 9111111111111111 41111111111111112222", "");
	finds("4000000000000000", "");

	finds("DE89 3704 0044 0532 0130 00 and then", "iban:DE89 3704 0044 0532 0130 00");
	finds("se4550000000058398257466", "iban:se4550000000058398257466");
	finds("GB82WEST12345698765432", "iban:GB82WEST12345698765432");
	finds("GB82WEST12345698765431 XX89370400440532013000", "");

	finds("call +46 70 123 45 67 now", "phone:+46 70 123 45 67");
	finds("+1 (415) 555-2671", "phone:+1 (415) 555-2671");
	finds("(415) 555-2671 or 415.555.2671", "phone:(415) 555-2671|phone:415.555.2671");
	finds("070-123 45 67, 08-123 456 78", "phone:070-123 45 67|phone:08-123 456 78");
	finds("0044 20 7946 0958", "phone:0044 20 7946 0958");
	finds("on 05.11.2026 10 at 08:30, 2026-11-21 10:30, 1999-2004, page 100-200-3000", "");
	finds("012", "");

	finds("from 192.168.0.1:80 and 2001:db8::8a2e:370:7334", "ip:192.168.0.1|ip:2001:db8::8a2e:370:7334");
	finds("1.2.3 and 256.1.1.1 and 1.2.3.4.5 and v1.2.3.4 and std::abs and 10:20:30 and ::1", "");

	finds("811218-9876", "national_id:811218-9876");
	finds("19811218-9876, 198112189876 and 811218+9876", "national_id:19811218-9876|national_id:198112189876|national_id:811218+9876");
	finds("701063-2391", "national_id:701063-2391");
	finds("811218-9875 and 811318-9874", "");
	finds("123-45-6789", "national_id:123-45-6789");
	finds("123 45 6789", "national_id:123 45 6789");
	finds("000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 123-45 6789", "");

	finds("sk-abcdefghijklmnopqrstuvwx", "api_key:sk-abcdefghijklmnopqrstuvwx");
	finds("key=AKIAIOSFODNN7EXAMPLE;", "api_key:AKIAIOSFODNN7EXAMPLE");
	finds("Authorization: Bearer abc.def-ghi_jklmnopqrstu", "api_key:Bearer abc.def-ghi_jklmnopqrstu");
	finds("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "api_key:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P");
	finds("x -----BEGIN RSA PRIVATE KEY-----\nAAA\n-----END RSA PRIVATE KEY----- y", "api_key:-----BEGIN RSA PRIVATE KEY-----\nAAA\n-----END RSA PRIVATE KEY-----");
	finds("-----BEGIN PRIVATE KEY-----\nAAA", "api_key:-----BEGIN PRIVATE KEY-----\nAAA");
	/* in ids nothing is looked for: three groups of these would be an IBAN, a phone number */
	finds("3c0ead00-26d4-4d56-ad00-26d4e34d0d84 00497881-9088-4d56-8d00-26d4e34d0d84", "");
	finds("(00497881-9088-4d56-8d00-26d4e34d0d84). 070-123 45 67", "phone:070-123 45 67");
	finds("00497881-9088-4d56-8d00-26d4e34d0d84@example.com", "email:00497881-9088-4d56-8d00-26d4e34d0d84@example.com");
	finds("00497881-9088-4d56-8d00-26d4e34d0d84.x@example.com", "email:00497881-9088-4d56-8d00-26d4e34d0d84.x@example.com");
	finds("ad00-26d4-e34d-0d84453a3548", "iban:ad00-26d4-e34d-0d84453a3548");

	finds("task-force sk-short mask-abcdefghijklmnopqrstuvwx -----BEGIN CERTIFICATE-----", "");
}

static void
test_scan(void)
{
	char		bytes[256];

	ok(strcmp(found("ann@example.com 4111111111111111", 1u << MEMAI_PII_CARD), "card:4111111111111111") == 0, "only the kinds asked for");
	ok(strcmp(found("ann@example.com", 0), "") == 0, "no kind, nothing found");
	ok(strcmp(found("070\342\200\213-123 45 67", ALL), "phone:070\342\200\213-123 45 67") == 0, "characters without width do not hide a number");
	for (int i = 0; i < 256; i++)
		bytes[i] = (char) (i ^ 0x80);
	for (size_t len = 0; len < 256; len++)
	{
		MemaiPiiMatch match;

		(void) memai_pii_next(bytes, len, 0, ALL, &match);
	}
	ok(true, "any bytes are read");
}

int
main(void)
{
	test_forms();
	test_scan();
	return done_testing();
}
