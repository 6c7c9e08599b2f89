/*
 * vector_parse.c
 *	  Text to floats.  Pure: no server, no allocation, reads no byte beyond
 *	  the terminating NUL.
 *
 * Nearly all numbers take a fast path: up to 19 digits are gathered in an
 * integer, which is scaled in double by a power of ten and rounded to float.
 * The conversion, the one or two scalings and the digits that were dropped
 * leave the double within 4 units in its last place of the exact value.
 * Rounding it to float can only go wrong when a point halfway between two
 * floats lies that near, which the low 29 bits of the double tell; then, and
 * outside the normal range of float, strtof decides.  (The idea of proving
 * the fast path safe by the distance to the halfway point is that of Clinger,
 * "How to read floating point numbers accurately", 1990.)
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "vector/parse.h"

/* digits that always fit an uint64 */
#define MAX_DIGITS 19

/* 10^22 is the largest power of ten that a double holds exactly */
#define MAX_EXACT_POWER 22

#define DOUBLE_EXTRA_BITS 29	/* fraction bits of double beyond those of
								 * float */
#define HALFWAY (1 << (DOUBLE_EXTRA_BITS - 1))
#define HALFWAY_MARGIN 8		/* twice the error bound */

static const double powers_of_ten[MAX_EXACT_POWER + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

/* a decimal number as it was read: mantissa * 10^exponent */
typedef struct Decimal
{
	uint64_t	mantissa;
	int			digits;			/* of mantissa, without leading zeros */
	int			exponent;
	int			negative;
} Decimal;

/* the white space of SQL, whatever the locale */
static inline int
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline const char *
skip_space(const char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

static inline int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* eight bytes, the first one lowest */
static inline uint64_t
load_eight(const char *p)
{
	uint64_t	word;

	memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* the high half of every byte is 3 for 0x30 to 0x39, also after adding 6 */
static inline int
is_eight_digits(uint64_t word)
{
	return ((word & UINT64_C(0xf0f0f0f0f0f0f0f0)) |
			(((word + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4))
		== UINT64_C(0x3333333333333333);
}

/* eight digits; adds neighbours, then pairs, then quadruples, all in one word */
static inline uint32_t
value_of_eight_digits(uint64_t word)
{
	word -= UINT64_C(0x3030303030303030);
	word = word * 10 + (word >> 8);
	word = ((word & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
			((word >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >> 32;
	return (uint32_t) word;
}

/*
 * Reads digits as long as they fit, drops the rest, and returns how many there
 * were in all.  *dropped counts the dropped ones.
 */
static inline const char *
read_digits(const char *p, const char *end, Decimal *decimal, int *dropped)
{
	while (decimal->digits + 8 <= MAX_DIGITS && end - p >= 8)
	{
		uint64_t	word = load_eight(p);

		if (!is_eight_digits(word))
			break;
		decimal->mantissa = decimal->mantissa * 100000000 + value_of_eight_digits(word);
		decimal->digits += 8;
		p += 8;
	}
	for (; is_digit(*p) && decimal->digits < MAX_DIGITS; p++)
	{
		decimal->mantissa = decimal->mantissa * 10 + (uint64_t) (*p - '0');
		decimal->digits++;
	}
	*dropped = 0;
	while (is_digit(*p))
	{
		/* such a number is left to strtof */
		if (++*dropped > 10000)
			return NULL;
		p++;
	}
	return p;
}

/* Returns NULL when there is no plain decimal number at p. */
static inline const char *
read_decimal(const char *p, const char *end, Decimal *decimal)
{
	const char *start;
	const char *point;
	int			dropped;

	decimal->mantissa = 0;
	decimal->digits = 0;
	decimal->exponent = 0;
	decimal->negative = *p == '-';
	if (*p == '-' || *p == '+')
		p++;

	start = p;
	while (*p == '0')
		p++;
	p = read_digits(p, end, decimal, &dropped);
	if (p == NULL)
		return NULL;
	decimal->exponent = dropped;
	point = p;
	if (*p == '.')
	{
		p++;
		if (decimal->digits == 0)
			while (*p == '0')
				p++;
		p = read_digits(p, end, decimal, &dropped);
		if (p == NULL || p - point > 10000)
			return NULL;
		decimal->exponent -= (int) (p - point - 1) - dropped;
		if (p == start + 1)
			return NULL;		/* a lone point */
	}
	if (p == start)
		return NULL;

	if (*p == 'e' || *p == 'E')
	{
		const char *q = p + 1;
		int			negative = *q == '-';
		int			exponent = 0;

		if (*q == '-' || *q == '+')
			q++;
		if (!is_digit(*q))
			return NULL;
		for (; is_digit(*q) && exponent < 10000; q++)
			exponent = exponent * 10 + (*q - '0');
		if (exponent >= 10000)
			return NULL;
		decimal->exponent += negative ? -exponent : exponent;
		p = q;
	}
	/* 0x is a hexadecimal number for strtof */
	if (*p == 'x' || *p == 'X')
		return NULL;
	return p;
}

/* Returns 0 when the nearest float is not certain. */
static inline int
round_decimal(const Decimal *decimal, float *value)
{
	double		scaled = (double) decimal->mantissa;
	int			exponent = decimal->exponent;
	uint64_t	bits;
	int			tail;

	if (decimal->mantissa == 0)
	{
		*value = decimal->negative ? -0.0f : 0.0f;
		return 1;
	}
	if (exponent < -2 * MAX_EXACT_POWER || exponent > MAX_EXACT_POWER)
		return 0;
	if (exponent < -MAX_EXACT_POWER)
	{
		scaled /= powers_of_ten[MAX_EXACT_POWER];
		exponent += MAX_EXACT_POWER;
	}
	if (exponent < 0)
		scaled /= powers_of_ten[-exponent];
	else
		scaled *= powers_of_ten[exponent];

	if (scaled < 2 * (double) FLT_MIN || scaled > (double) FLT_MAX / 2)
		return 0;
	memcpy(&bits, &scaled, sizeof(bits));
	tail = (int) (bits & ((1 << DOUBLE_EXTRA_BITS) - 1));
	if (tail >= HALFWAY - HALFWAY_MARGIN && tail <= HALFWAY + HALFWAY_MARGIN)
		return 0;
	/* without a branch: signs are unpredictable */
	bits |= (uint64_t) decimal->negative << 63;
	memcpy(&scaled, &bits, sizeof(scaled));
	*value = (float) scaled;
	return 1;
}

#if defined(__SSE2__)

/* digits and separators among the 16 bytes at p: bit i stands for byte i */
static inline void
classify_bytes(const char *p, uint32_t *digits, uint32_t *separators)
{
	__m128i		bytes = _mm_loadu_si128((const __m128i *) p);
	__m128i		values = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
	__m128i		is_digit = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);
	__m128i		is_separator = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(',')),
											_mm_cmpeq_epi8(bytes, _mm_set1_epi8(']')));

	*digits = (uint32_t) _mm_movemask_epi8(is_digit);
	*separators = (uint32_t) _mm_movemask_epi8(is_separator);
}

/* the number that the first count of the eight digits at p make; count may be 0 */
static inline uint32_t
value_of_digits(const char *p, int count)
{
	uint64_t	word = load_eight(p);

	/* move them behind zeros; in two steps, as a shift by 64 is not defined */
	word = word << (32 - 4 * count) << (32 - 4 * count);
	return value_of_eight_digits(word | UINT64_C(0x3030303030303030) >> (4 * count) >> (4 * count));
}

/* the same for 64 bytes */
static inline void
classify_window(const char *p, uint64_t *digits, uint64_t *separators)
{
	uint32_t	d[4];
	uint32_t	s[4];

	classify_bytes(p, &d[0], &s[0]);
	classify_bytes(p + 16, &d[1], &s[1]);
	classify_bytes(p + 32, &d[2], &s[2]);
	classify_bytes(p + 48, &d[3], &s[3]);
	*digits = d[0] | (uint64_t) d[1] << 16 | (uint64_t) d[2] << 32 | (uint64_t) d[3] << 48;
	*separators = s[0] | (uint64_t) s[1] << 16 | (uint64_t) s[2] << 32 | (uint64_t) s[3] << 48;
}

/*
 * The number of length bytes at p when it has the form that embeddings have,
 * "-0.0123": one digit, the point and 1 to 22 digits.  Bit i of digits tells
 * whether byte i is a digit.  Returns 0 for everything else.  No branch
 * depends on the sign, nor on the number of digits among those up to 16.
 */
static inline int
parse_plain_fraction(const char *p, int length, uint64_t digits, float *value)
{
	static const uint64_t powers[9] = {
		1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000
	};
	const uint64_t most = UINT64_C(10000000000000000000) - powers[8];
	Decimal		decimal;
	uint64_t	wanted;
	int			count0;
	int			count1;
	int			count2;

	decimal.negative = *p == '-';
	decimal.digits = length - 2 - decimal.negative;
	if (decimal.digits < 1 || decimal.digits > MAX_EXACT_POWER || p[decimal.negative + 1] != '.')
		return 0;
	/* all bytes but the sign and the point */
	wanted = ((UINT64_C(1) << length) - 1) & ~(UINT64_C(2) << decimal.negative) &
		~(uint64_t) decimal.negative;
	if ((digits & wanted) != wanted)
		return 0;

	count0 = decimal.digits < 8 ? decimal.digits : 8;
	count1 = decimal.digits - count0 < 8 ? decimal.digits - count0 : 8;
	count2 = decimal.digits - count0 - count1;
	p += decimal.negative;
	decimal.mantissa = (uint64_t) (p[0] - '0');
	decimal.mantissa = decimal.mantissa * powers[count0] + value_of_digits(p + 2, count0);
	decimal.mantissa = decimal.mantissa * powers[count1] + value_of_digits(p + 10, count1);
	/* 17 digits at most so far; the others must leave it below 10^19 */
	if (count2 > 0)
	{
		if (decimal.mantissa > most / powers[count2])
			return 0;
		decimal.mantissa = decimal.mantissa * powers[count2] + value_of_digits(p + 18, count2);
	}
	decimal.exponent = -decimal.digits;
	return round_decimal(&decimal, value);
}

/*
 * Reads numbers of the plain form that are followed by a comma, as long as
 * there are such, elements has room and the text goes on for a while.  Returns
 * where the next number begins.
 *
 * All separators of a window are found at once, so the processor does not wait
 * for the end of one number to begin the next, and works on several of them.
 */
static const char *
parse_plain_run(const char *p, const char *end, float limit, int max_dim,
				float *elements, int *dim)
{
	const ptrdiff_t window = 64;

	/* the last number of a window may be read beyond its end */
	const ptrdiff_t beyond = 32;

	while (end - p >= window + beyond)
	{
		uint64_t	digits;
		uint64_t	separators;
		int			start = 0;

		classify_window(p, &digits, &separators);
		for (; separators != 0; separators &= separators - 1)
		{
			int			stop = __builtin_ctzll(separators);

			if (*dim == max_dim || p[stop] != ',' ||
				!parse_plain_fraction(p + start, stop - start, digits >> start, &elements[*dim]) ||
				fabsf(elements[*dim]) >= limit)
				return p + start;
			(*dim)++;
			start = stop + 1;
			/* programs like to write a space here */
			start += p[start] == ' ';
			if (start >= window)
				break;
		}
		if (start == 0)
			break;
		p += start;
	}
	return p;
}

#endif

static MemaiParseStatus
parse_with_strtof(const char **position, float *value)
{
	char	   *stop;

	errno = 0;
	*value = strtof(*position, &stop);
	if (stop == *position)
		return MEMAI_PARSE_SYNTAX;
	*position = stop;
	if (isnan(*value))
		return MEMAI_PARSE_NAN;
	if (isinf(*value))
		return errno == ERANGE ? MEMAI_PARSE_RANGE : MEMAI_PARSE_INFINITE;
	return errno == ERANGE && *value == 0 ? MEMAI_PARSE_UNDERFLOW : MEMAI_PARSE_OK;
}

static inline MemaiParseStatus
parse_float(const char **position, const char *end, float *value)
{
	Decimal		decimal;
	const char *p;

	p = read_decimal(*position, end, &decimal);
	if (p == NULL || !round_decimal(&decimal, value))
		return parse_with_strtof(position, value);
	*position = p;
	return MEMAI_PARSE_OK;
}

MemaiParseStatus
memai_parse_float(const char **position, const char *end, float *value)
{
	/* strtof would skip white space, which not every caller allows */
	if (is_space(**position))
		return MEMAI_PARSE_SYNTAX;
	return parse_float(position, end, value);
}

MemaiParseStatus
memai_vector_parse(const char *text, size_t length, int max_dim, float limit,
				   float *elements, int *dim, MemaiParseError *error)
{
	const char *end = text + length;
	const char *p = skip_space(text);
	int			n = 0;

	if (*p != '[')
		return MEMAI_PARSE_NO_START;
	p = skip_space(p + 1);
	if (*p == ']')
		return MEMAI_PARSE_EMPTY;

	for (;;)
	{
		MemaiParseStatus status;

		p = skip_space(p);
#if defined(__SSE2__)
		p = parse_plain_run(p, end, limit, max_dim, elements, &n);
#endif
		if (n == max_dim)
			return MEMAI_PARSE_TOO_MANY;
		p = skip_space(p);
		error->token = p;
		status = parse_float(&p, end, &elements[n]);
		error->length = (size_t) (p - error->token);
		if (status != MEMAI_PARSE_OK && status != MEMAI_PARSE_UNDERFLOW)
			return status;
		if (fabsf(elements[n]) >= limit)
			return MEMAI_PARSE_RANGE;
		n++;
		p = skip_space(p);
		if (*p == ']')
			break;
		if (*p != ',')
			return MEMAI_PARSE_SYNTAX;
		p++;
	}

	p = skip_space(p + 1);
	if (p != end)
		return MEMAI_PARSE_JUNK;
	*dim = n;
	return MEMAI_PARSE_OK;
}
