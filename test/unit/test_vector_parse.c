/*
 * test_vector_parse.c
 *	  The parsers of vector text and of its binary form: numbers against strtof,
 *	  a million of them, in the forms that programs write; the grammar; damaged
 *	  binary input.  Covers TY1 to TY5.
 */
/* sources: src/vector/vector_parse.c src/vector/sparsevec_parse.c src/vector/wire.c */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "vector/parse.h"
#include "tap.h"

#define MILLION 1000000
#define MAX_DIM 16000

static uint64 random_state = UINT64CONST(0x2545f4914f6cdd1d);

static uint32
random_bits(void)
{
	random_state = random_state * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return (uint32) (random_state >> 32);
}

static float
float_of_bits(uint32 bits)
{
	float		f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static uint32
bits_of_float(float f)
{
	uint32		bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* a copy without a spare byte, so that reading beyond the NUL is found */
static MemaiParseStatus
parse_one(const char *text, float *value, size_t *used)
{
	size_t		length = strlen(text);
	char	   *copy = malloc(length + 1);
	const char *position = copy;
	MemaiParseStatus status;

	memcpy(copy, text, length + 1);
	status = memai_parse_float(&position, copy + length, value);
	*used = (size_t) (position - copy);
	free(copy);
	return status;
}

/* whether memai_parse_float does what strtof does, but for leading space */
static bool
as_strtof(const char *text)
{
	char	   *stop;
	float		expected;
	float		value = 0;
	size_t		used;
	MemaiParseStatus status = parse_one(text, &value, &used);

	errno = 0;
	expected = strtof(text, &stop);
	if (stop == text)
		return status == MEMAI_PARSE_SYNTAX;
	if (used != (size_t) (stop - text))
		return false;
	if (isnan(expected))
		return status == MEMAI_PARSE_NAN;
	if (isinf(expected))
		return status == (errno == ERANGE ? MEMAI_PARSE_RANGE : MEMAI_PARSE_INFINITE);
	if (bits_of_float(value) != bits_of_float(expected))
		return false;
	return status == (errno == ERANGE && expected == 0 ? MEMAI_PARSE_UNDERFLOW : MEMAI_PARSE_OK);
}

/* all bit patterns alike, so most are large or small */
static void
test_random_floats(void)
{
	static const char *const formats[] = {"%.9g", "%.17g", "%.6f", "%.25e", "%.3g", "%a"};
	int			wrong = 0, lost = 0;
	char		text[400];

	for (int i = 0; i < MILLION; i++)
	{
		float		f = float_of_bits(random_bits());
		float		back = 0;
		size_t		used;

		if (!isfinite(f))
			continue;
		float_to_shortest_decimal_buf(f, text);
		lost += parse_one(text, &back, &used) != MEMAI_PARSE_OK ||
			bits_of_float(back) != bits_of_float(f) || used != strlen(text);
		snprintf(text, sizeof(text), formats[i % lengthof(formats)], (double) f);
		wrong += !as_strtof(text);
	}
	ok(lost == 0, "shortest text of a million floats reads back bit by bit");
	ok(wrong == 0, "a million floats in six formats read as strtof reads them");
}

/* doubles with all their digits, as Python and JavaScript print embeddings */
static void
test_random_doubles(void)
{
	int			wrong = 0;
	char		text[400];

	for (int i = 0; i < MILLION; i++)
	{
		double		d = ((double) random_bits() - 2147483648.0) / 4294967296.0;

		d *= pow(10, (int) (random_bits() % 12) - 9);
		snprintf(text, sizeof(text), "%.*g", 15 + (int) (random_bits() % 7), d);
		wrong += !as_strtof(text);
		snprintf(text, sizeof(text), "%.*f", 15 + (int) (random_bits() % 10), d);
		wrong += !as_strtof(text);
	}
	ok(wrong == 0, "two million texts of doubles read as strtof reads them");
}

/* the decimal text of the point between two floats, and of its neighbours */
static void
test_halfway(void)
{
	int			wrong = 0;
	char		text[400];

	for (int i = 0; i < 200000; i++)
	{
		float		f = float_of_bits(0x30000000 + random_bits() % 0x20000000);
		double		middle = ((double) f + (double) nextafterf(f, INFINITY)) / 2;

		snprintf(text, sizeof(text), "%.60f", middle);
		wrong += !as_strtof(text);
		snprintf(text, sizeof(text), "%.18e", middle);
		wrong += !as_strtof(text);
		snprintf(text, sizeof(text), "%.30f", nextafter(middle, i % 2 ? 0 : INFINITY));
		wrong += !as_strtof(text);
	}
	ok(wrong == 0, "points halfway between floats read as strtof reads them");
}

static void
test_odd_numbers(void)
{
	static const char *const texts[] = {
		"0", "-0", "+0", "0.0", "-0.0e5", "00012", "1.", ".5", "-.5", ".", "-", "+", "", "e5", "1e", "1e+", "1e5",
		"1E-5", "1e-400", "-1e-400", "1e400", "-1e400", "1e-45", "7e-46", "7.1e-46", "3.4028235e38",
		"3.4028236e38", "3.5e38", "16777217", "16777219", "0x10", "0x", "0x1.8p3", "0xg", "1x", "1.5.5",
		"nan", "NaN", "-nan", "nan(12)", "inf", "-Infinity", "infinit", "1,2", "1]", "1 ", "1e99999999999", "0e99999999999",
		"12345678", "123456789012345678", "1234567890123456789", "12345678901234567890",
		"99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001",
		"1.17549435e-38", "1.17549421e-38", "0.99999999999999999999", "1\xc2\xa0", "\xe2\x88\x92" "1", "١"
	};

	for (size_t i = 0; i < lengthof(texts); i++)
		ok(as_strtof(texts[i]), "\"%s\" reads as strtof reads it", texts[i]);
	{
		float		value;
		size_t		used;

		ok(parse_one(" 1", &value, &used) == MEMAI_PARSE_SYNTAX, "leading space is the caller's");
		ok(parse_one("-0", &value, &used) == MEMAI_PARSE_OK && signbit(value), "negative zero keeps its sign");
	}
}

static void
test_long_number(void)
{
	size_t		length = 1024 * 1024;
	char	   *text = malloc(length + 1);

	memset(text, '7', length);
	text[length] = '\0';
	ok(as_strtof(text), "a megabyte of digits is out of range");
	text[1] = '.';
	ok(as_strtof(text), "a megabyte of digits after the point");
	memset(text, '0', length - 1);
	text[1] = '.';
	ok(as_strtof(text), "a megabyte of zeros and one digit");
	free(text);
}

static MemaiParseStatus
parse_dense(const char *text, int max_dim, float limit, int *dim)
{
	static float elements[MAX_DIM + 1];
	size_t		length = strlen(text);
	char	   *copy = malloc(length + 1);
	MemaiParseError error;
	MemaiParseStatus status;

	memcpy(copy, text, length + 1);
	elements[max_dim] = 42;
	status = memai_vector_parse(copy, length, max_dim, limit, elements, dim, &error);
	if (elements[max_dim] != 42)
		ok(false, "wrote beyond the last element");
	free(copy);
	return status;
}

static void
test_dense_grammar(void)
{
	static const struct
	{
		const char *text;
		MemaiParseStatus status;
	}			cases[] = {
		{"[1,2,3]", MEMAI_PARSE_OK}, {" [ 1 ,\t2\n,\r3\v]\f", MEMAI_PARSE_OK}, {"[1e-46]", MEMAI_PARSE_OK},
		{"", MEMAI_PARSE_NO_START}, {"1,2", MEMAI_PARSE_NO_START}, {"{1}", MEMAI_PARSE_NO_START},
		{"[]", MEMAI_PARSE_EMPTY}, {"[ ]", MEMAI_PARSE_EMPTY},
		{"[", MEMAI_PARSE_SYNTAX}, {"[,1]", MEMAI_PARSE_SYNTAX}, {"[1,]", MEMAI_PARSE_SYNTAX},
		{"[1,,2]", MEMAI_PARSE_SYNTAX}, {"[1", MEMAI_PARSE_SYNTAX}, {"[1,", MEMAI_PARSE_SYNTAX}, {"[1a]", MEMAI_PARSE_SYNTAX},
		{"[1 2]", MEMAI_PARSE_SYNTAX}, {"[1\xc2\xa0]", MEMAI_PARSE_SYNTAX}, {"[0x]", MEMAI_PARSE_SYNTAX},
		{"[1]]", MEMAI_PARSE_JUNK}, {"[1] x", MEMAI_PARSE_JUNK},
		{"[4e38]", MEMAI_PARSE_RANGE}, {"[nan]", MEMAI_PARSE_NAN}, {"[-inf]", MEMAI_PARSE_INFINITE},
		{"[1,2,3,4]", MEMAI_PARSE_TOO_MANY}, {"[1,2,3,", MEMAI_PARSE_TOO_MANY},
	};
	int			dim;

	for (size_t i = 0; i < lengthof(cases); i++)
		ok(parse_dense(cases[i].text, 3, INFINITY, &dim) == cases[i].status, "vector text %zu", i);
	ok(parse_dense("[65519]", 3, 65520.0f, &dim) == MEMAI_PARSE_OK, "below the limit");
	ok(parse_dense("[-65520]", 3, 65520.0f, &dim) == MEMAI_PARSE_RANGE, "at the limit");
	ok(parse_dense("[inf]", 3, 65520.0f, &dim) == MEMAI_PARSE_INFINITE, "infinity is not a number out of range");
}

static MemaiParseStatus
parse_sparse(const char *text)
{
	size_t		length = strlen(text);
	char	   *copy = malloc(length + 1);
	MemaiSparseElement *elements = malloc(memai_sparsevec_parse_room(text, length) * sizeof(*elements));
	MemaiParseError error;
	MemaiParseStatus status;
	int			nnz;
	int32		dim;

	memcpy(copy, text, length + 1);
	status = memai_sparsevec_parse(copy, length, elements, &nnz, &dim, &error);
	free(elements);
	free(copy);
	return status;
}

static void
test_sparse_grammar(void)
{
	static const struct
	{
		const char *text;
		MemaiParseStatus status;
	}			cases[] = {
		{"{1:1.5,3:2}/5", MEMAI_PARSE_OK}, {" { 1 : 1.5 } / 5 ", MEMAI_PARSE_OK}, {"{}/1", MEMAI_PARSE_OK},
		{"{1:0,2:0}/5", MEMAI_PARSE_OK}, {"{-99999999999:1}/99999999999", MEMAI_PARSE_OK},
		{"", MEMAI_PARSE_NO_START}, {"[1]", MEMAI_PARSE_NO_START}, {"{}", MEMAI_PARSE_NO_DIM},
		{"{1:1}", MEMAI_PARSE_NO_DIM}, {"{}/", MEMAI_PARSE_SYNTAX}, {"{1}/1", MEMAI_PARSE_SYNTAX}, {"{1:}/1", MEMAI_PARSE_SYNTAX},
		{"{:1}/1", MEMAI_PARSE_SYNTAX}, {"{1:1,}/1", MEMAI_PARSE_SYNTAX}, {"{,1:1}/1", MEMAI_PARSE_SYNTAX},
		{"{1:1", MEMAI_PARSE_SYNTAX}, {"{1:1}/1x", MEMAI_PARSE_JUNK}, {"{1:1e-46}/1", MEMAI_PARSE_RANGE},
		{"{1:4e38}/1", MEMAI_PARSE_RANGE}, {"{1:nan}/1", MEMAI_PARSE_NAN}, {"{1:inf}/1", MEMAI_PARSE_INFINITE},
	};

	for (size_t i = 0; i < lengthof(cases); i++)
		ok(parse_sparse(cases[i].text) == cases[i].status, "sparsevec text %zu", i);
}

static MemaiParseStatus
decode_vector(const unsigned char *bytes, size_t length)
{
	static float elements[MAX_DIM];
	unsigned char *copy = malloc(length + 1);
	MemaiParseError error;
	MemaiParseStatus status;
	size_t		used = 0;
	int			dim;

	memcpy(copy + 1, bytes, length);
	status = memai_vector_decode(copy + 1, length, MAX_DIM, elements, &dim, &used, &error);
	free(copy);
	return status == MEMAI_PARSE_OK && used != 4 + (size_t) dim * 4 ? MEMAI_PARSE_SYNTAX : status;
}

static void
test_dense_binary(void)
{
	static const unsigned char good[] = {0, 2, 0, 0, 0x3f, 0x80, 0, 0, 0x80, 0, 0, 1};
	unsigned char bytes[sizeof(good) + 1] = {0};

	memcpy(bytes, good, sizeof(good));
	ok(decode_vector(bytes, sizeof(good)) == MEMAI_PARSE_OK, "two elements");
	ok(decode_vector(bytes, sizeof(bytes)) == MEMAI_PARSE_OK, "what follows is the caller's");
	for (size_t length = 0; length < sizeof(good); length++)
		ok(decode_vector(bytes, length) == MEMAI_PARSE_TRUNCATED, "cut to %zu bytes", length);
	bytes[3] = 1;
	ok(decode_vector(bytes, sizeof(good)) == MEMAI_PARSE_UNUSED, "the reserved field is 1");
	bytes[3] = 0;
	bytes[1] = 0;
	ok(decode_vector(bytes, sizeof(good)) == MEMAI_PARSE_EMPTY, "no dimension");
	bytes[0] = 0xff;
	bytes[1] = 0xff;
	ok(decode_vector(bytes, sizeof(good)) == MEMAI_PARSE_TOO_MANY, "-1 dimensions");
	bytes[0] = 0x7f;
	ok(decode_vector(bytes, sizeof(good)) == MEMAI_PARSE_TOO_MANY, "32767 dimensions");
	bytes[0] = 0x3e;
	bytes[1] = 0x81;
	ok(decode_vector(bytes, sizeof(good)) == MEMAI_PARSE_TOO_MANY, "16001 dimensions");
	bytes[1] = 0x80;
	ok(decode_vector(bytes, sizeof(good)) == MEMAI_PARSE_TRUNCATED, "16000 dimensions that are not there");
}

static MemaiParseStatus
decode_sparse(const int32 *words, size_t count)
{
	unsigned char *bytes = malloc(count * 4 + 1);
	int32	   *indices = malloc((count + 1) * 4);
	float	   *values = malloc((count + 1) * 4);
	MemaiParseError error;
	MemaiParseStatus status;
	size_t		used = 0;
	int32		dim, nnz;

	for (size_t i = 0; i < count; i++)
		for (int byte = 0; byte < 4; byte++)
			bytes[4 * i + byte] = (unsigned char) ((uint32) words[i] >> (24 - 8 * byte));
	status = memai_sparsevec_decode(bytes, count * 4, indices, values, &dim, &nnz, &used, &error);
	free(bytes);
	free(indices);
	free(values);
	return status;
}

#define ONE 0x3f800000
#define DECODE(...) decode_sparse((const int32[]) {__VA_ARGS__}, lengthof(((const int32[]) {__VA_ARGS__})))

static void
test_sparse_binary(void)
{
	ok(DECODE(5, 2, 0, 0, 4, ONE, ONE) == MEMAI_PARSE_OK, "two elements of five");
	ok(DECODE(5, 0, 0) == MEMAI_PARSE_OK, "no element");
	ok(DECODE(5, 2, 0, 0, 4, ONE) == MEMAI_PARSE_TRUNCATED, "a value is missing");
	ok(DECODE(5, 2) == MEMAI_PARSE_TRUNCATED, "the header is cut");
	ok(DECODE(5, 0, 1) == MEMAI_PARSE_UNUSED, "the reserved field is 1");
	ok(DECODE(0, 0, 0) == MEMAI_PARSE_EMPTY, "no dimension");
	ok(DECODE(-1, 0, 0) == MEMAI_PARSE_EMPTY, "-1 dimensions");
	ok(DECODE(1000000001, 0, 0) == MEMAI_PARSE_TOO_MANY, "a dimension too many");
	ok(DECODE(5, -1, 0) == MEMAI_PARSE_NEGATIVE_COUNT, "-1 elements");
	ok(DECODE(PG_INT32_MAX, PG_INT32_MAX, 0) == MEMAI_PARSE_TOO_MANY_ELEMENTS, "2147483647 elements");
	ok(DECODE(1, 2, 0, 0, 1, ONE, ONE) == MEMAI_PARSE_MORE_THAN_DIM, "more elements than dimensions");
	ok(DECODE(5, 1, 0, 5, ONE) == MEMAI_PARSE_INDEX, "an index too large");
	ok(DECODE(5, 1, 0, -1, ONE) == MEMAI_PARSE_INDEX, "index -1");
	ok(DECODE(5, 2, 0, 3, 1, ONE, ONE) == MEMAI_PARSE_ORDER, "descending indices");
	ok(DECODE(5, 2, 0, 3, 3, ONE, ONE) == MEMAI_PARSE_DUPLICATE, "an index twice");
	ok(DECODE(5, 1, 0, 3, 0) == MEMAI_PARSE_ZERO, "an element that is zero");
	ok(DECODE(5, 1, 0, 3, PG_INT32_MIN) == MEMAI_PARSE_ZERO, "an element that is negative zero");
	ok(DECODE(5, 1, 0, 3, 0x7fc00000) == MEMAI_PARSE_NAN, "NaN");
	ok(DECODE(5, 1, 0, 3, 0x7f800000) == MEMAI_PARSE_INFINITE, "infinity");
	ok(DECODE(5, 1, 0, 3, 1) == MEMAI_PARSE_OK, "the smallest subnormal");
}

int
main(void)
{
	test_random_floats();
	test_random_doubles();
	test_halfway();
	test_odd_numbers();
	test_long_number();
	test_dense_grammar();
	test_sparse_grammar();
	test_dense_binary();
	test_sparse_binary();
	return done_testing();
}
