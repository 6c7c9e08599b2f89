/*
 * test_json.c
 *	  The JSON scanner and the float parser: what is JSON and what is not, and
 *	  that every number is rounded as strtof rounds it.
 */
/* sources: src/json/scan.c src/json/floats.c src/json/utf8.c */
#include "postgres.h"

#include <math.h>
#include <time.h>

#include "json/json.h"
#include "tap.h"

static bool
is_json(const char *text)
{
	MemaiJsonScan scan;

	memai_json_scan_start(&scan, text, strlen(text));
	return memai_json_scan_skip(&scan) && memai_json_scan_done(&scan);
}

static void
test_skip(void)
{
	static const char *const good[] = {
		"null", "true", "false", "0", "-0", "12", "1.5", "-1.5e10", "1E+2", "1e-2", "\"\"",
		"\"a\\n\\u00e4\\\\\\\"\"", "[]", "{}", "[1]", "[1,2]", "{\"a\":1}", "{\"a\":{\"b\":[{},[],\"x\"]},\"c\":null}",
		" [ 1 , { \"a\" : [ ] } ]\r\n\t", "\"\xc3\xa4\xf0\x9f\x98\x80\"", "[[[[[[[[[[1]]]]]]]]]]"
	};
	static const char *const bad[] = {
		"", " ", "nul", "True", "NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e", "1e+", "\"", "\"\\\"",
		"\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "}",
		"{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\" 1}", "[}", "{]", "1 2", "[] x",
		"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xe4\"", "'a'", "/**/1", "[1}", "{\"a\":1]"
	};

	for (int i = 0; i < (int) lengthof(good); i++)
		ok(is_json(good[i]), "JSON: %s", good[i]);
	for (int i = 0; i < (int) lengthof(bad); i++)
		ok(!is_json(bad[i]), "not JSON: %d", i);
}

static void
test_depth(void)
{
	char		text[4 * MEMAI_JSON_MAX_DEPTH + 16];
	MemaiJsonScan scan;

	memset(text, '[', MEMAI_JSON_MAX_DEPTH);
	memset(text + MEMAI_JSON_MAX_DEPTH, ']', MEMAI_JSON_MAX_DEPTH);
	text[2 * MEMAI_JSON_MAX_DEPTH] = '\0';
	ok(is_json(text), "the deepest nesting is read");
	memset(text, '[', MEMAI_JSON_MAX_DEPTH + 1);
	memset(text + MEMAI_JSON_MAX_DEPTH + 1, ']', MEMAI_JSON_MAX_DEPTH + 1);
	text[2 * MEMAI_JSON_MAX_DEPTH + 2] = '\0';
	memai_json_scan_start(&scan, text, strlen(text));
	ok(!memai_json_scan_skip(&scan) && strcmp(scan.problem, "the nesting is too deep") == 0,
	   "one level more is not");
}

static void
test_int(const char *text, bool valid, int64 expected)
{
	MemaiJsonScan scan;
	int64		value = 0;
	bool		read;

	memai_json_scan_start(&scan, text, strlen(text));
	read = memai_json_scan_int(&scan, &value);
	ok(read == valid && (!valid || value == expected), "integer %s", text);
}

/* reads one number; NaN when it is refused */
static float
read_float(const char *number)
{
	char		text[512];
	MemaiJsonScan scan;
	float		value;
	int			bad;

	snprintf(text, sizeof(text), "[%s]", number);
	memai_json_scan_start(&scan, text, strlen(text));
	return memai_json_scan_floats(&scan, &value, 1, &bad) == 1 ? value : NAN;
}

static void
test_floats(void)
{
	static const char *const hard[] = {
		"0", "1", "-1", "0.1", "3.4028234e38", "1.17549435e-38", "1e-45", "7e-46", "7.1e-46", "1e-400",
		"16777217", "16777219", "16777217.0000000001", "16777216.9999999999", "0.500000029802322387695312500000001",
		"0.50000002980232238769531250", "0.50000002980232238769531249999", "9007199254740993", "123456789012345678901234567890",
		"1.00000017881393432617187499", "1.00000017881393421514957253748434595763683319091796875",
		"1.00000017881393432617187501", "-0.012345678901234567", "5e-324", "2.3509887e-38", "1e22", "1e23", "1e-22", "1e-23"
	};
	char		text[64];
	uint64		state = 42;
	int			wrong = 0;

	for (int i = 0; i < (int) lengthof(hard); i++)
		ok(read_float(hard[i]) == strtof(hard[i], NULL), "rounded as strtof: %s", hard[i]);
	ok(isnan(read_float("1e39")) && isnan(read_float("3.5e38")), "too large for a float is refused");
	ok(signbit(read_float("-0.0")) != 0, "minus zero keeps its sign");

	/* random digits, and numbers written just beside the middle of two floats */
	for (int i = 0; i < 400000; i++)
	{
		float		low;
		uint32		bits;

		state = state * UINT64CONST(6364136223846793005) + 1442695040888963407;
		bits = (uint32) (state >> 33) % 0x7f000000;
		memcpy(&low, &bits, sizeof(low));
		if (i % 2)
			snprintf(text, sizeof(text), "%.*g", 1 + (int) (state % 19), (double) low * (1 + (state % 1000) * 1e-9));
		else
			snprintf(text, sizeof(text), "%.*g", 14 + (int) (state % 6),
					 ((double) low + (double) nextafterf(low, 1e38f)) / 2);
		wrong += read_float(text) != strtof(text, NULL);
	}
	ok(wrong == 0, "400000 random and midpoint numbers are rounded as strtof (%d wrong)", wrong);
}

static void
test_base64(void)
{
	float		out[4];
	int			count;
	int			bad;

	ok(memai_base64_floats("AACAPwAAAMA=", 12, out, 4, &count, &bad) == NULL && count == 2 &&
	   out[0] == 1 && out[1] == -2, "base64 of two floats");
	ok(memai_base64_floats("", 0, out, 4, &count, &bad) == NULL && count == 0, "base64 of none");
	ok(memai_base64_floats("AACAPwAAAMA=", 12, out, 1, &count, &bad) != NULL, "base64 of too many");
	ok(memai_base64_floats("AACAPwAA", 8, out, 4, &count, &bad) != NULL, "base64 of half a float");
	ok(memai_base64_floats("AACAPw==", 8, out, 4, &count, &bad) == NULL && count == 1, "base64 with padding");
	ok(memai_base64_floats("AADAfw==", 8, out, 4, &count, &bad) != NULL, "base64 of NaN");
	ok(memai_base64_floats("=ACAPw==", 8, out, 4, &count, &bad) != NULL, "padding in front");
}

/* not a test: megabytes a second, for the reader of the log */
static void
report_speed(void)
{
	static char text[8 << 20];
	static float out[1 << 20];
	size_t		len = 1;
	int			n = 0;
	int			bad;
	MemaiJsonScan scan;
	clock_t		start;

	text[0] = '[';
	for (; len < sizeof(text) - 64; n++)
		len += snprintf(text + len, 64, "%s%.17g", n > 0 ? "," : "", sin(n * 1.7) / 30);
	text[len++] = ']';
	start = clock();
	for (int i = 0; i < 10; i++)
	{
		memai_json_scan_start(&scan, text, len);
		if (memai_json_scan_floats(&scan, out, n, &bad) != n)
			ok(false, "the array is read");
	}
	printf("# float arrays: %.0f MB/s under the sanitizers\n",
		   10.0 * len / 1e6 / ((double) (clock() - start) / CLOCKS_PER_SEC));
}

int
main(void)
{
	test_skip();
	test_depth();
	test_int("0", true, 0);
	test_int("-1", true, -1);
	test_int("9223372036854775807", true, PG_INT64_MAX);
	test_int("9223372036854775808", false, 0);
	test_int("1.0", false, 0);
	test_int("1e3", false, 0);
	test_int("\"1\"", false, 0);
	test_floats();
	test_base64();
	report_speed();
	return done_testing();
}
