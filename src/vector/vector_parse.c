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
	uint64_t	word = 0;

	for (int i = 0; i < 8; i++)
		word |= (uint64_t) (unsigned char) p[i] << (8 * i);
	return word;
}

static inline int
is_eight_digits(uint64_t word)
{
	return ((word & UINT64_C(0xf0f0f0f0f0f0f0f0)) |
			(((word + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4))
		== UINT64_C(0x3333333333333333);
}

/* adds neighbouring digits, then pairs, then quadruples, all in one word */
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
	*value = (float) (decimal->negative ? -scaled : scaled);
	return 1;
}

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
	const char *p = read_decimal(*position, end, &decimal);

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
