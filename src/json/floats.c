/*
 * floats.c
 *	  Number arrays straight to float, from JSON digits or from base64.  Pure.
 *
 * Embeddings are the bulk of what providers send; a document tree would box
 * every number at a cost of a hundred bytes.  The common number has at most 19
 * significant digits and a small exponent: digits and power of ten are then
 * combined in double, whose error is a few units of its last place, and
 * rounded once more to float.  That second rounding can only go wrong next to
 * the midpoint of two floats, which is detected and left to strtof (which the
 * server always runs in the C locale).
 */
#include "postgres.h"

#include <math.h>

#include "json/json.h"

/* longest number that is read; a longer one carries no information */
#define MAX_NUMBER_LENGTH 256
#define MAX_EXACT_POWER 22
#define MAX_DIGITS 19

static const double powers_of_ten[MAX_EXACT_POWER + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

/* the parts of a number as written: value = digits * 10^exponent */
typedef struct NumberParts
{
	uint64		digits;
	int			ndigits;		/* significant ones, MAX_DIGITS at most are in
								 * digits */
	int			exponent;
	bool		negative;
} NumberParts;

static inline void
add_digit(NumberParts *parts, char c, bool fraction)
{
	if (parts->ndigits < MAX_DIGITS)
	{
		parts->digits = parts->digits * 10 + (uint64) (c - '0');
		parts->ndigits += parts->digits != 0;
		parts->exponent -= fraction;
	}
	else
	{
		parts->ndigits++;
		parts->exponent += !fraction;
	}
}

/* the exponent after e or E; saturates, so that no count of digits overflows */
static const char *
read_exponent(const char *p, const char *end, int *exponent)
{
	bool		negative = false;
	int			value = 0;

	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	if (p == end || *p < '0' || *p > '9')
		return NULL;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (value < 100000)
			value = value * 10 + (*p - '0');
	*exponent += negative ? -value : value;
	return p;
}

/* the end of the number at p, or NULL when it is malformed */
static const char *
read_number(const char *p, const char *end, NumberParts *parts)
{
	const char *start;

	memset(parts, 0, sizeof(NumberParts));
	if (p < end && *p == '-')
	{
		parts->negative = true;
		p++;
	}
	start = p;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		add_digit(parts, *p, false);
	if (p == start || (*start == '0' && p - start > 1))
		return NULL;
	if (p < end && *p == '.')
	{
		start = ++p;
		for (; p < end && *p >= '0' && *p <= '9'; p++)
			add_digit(parts, *p, true);
		if (p == start)
			return NULL;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
		return read_exponent(p + 1, end, &parts->exponent);
	return p;
}

/* true when rounding value, known to a few last places, to float is certain */
static inline bool
rounds_clearly(double value)
{
	uint64		bits;
	uint32		tail;

	memcpy(&bits, &value, sizeof(bits));
	/* the 29 bits that float has not; the midpoint is the top one alone */
	tail = (uint32) (bits & 0x1fffffff);
	return tail < 0x10000000 - 8 || tail > 0x10000000 + 8;
}

static float
slow_float(const char *start, const char *end)
{
	char		buffer[MAX_NUMBER_LENGTH + 1];

	memcpy(buffer, start, end - start);
	buffer[end - start] = '\0';
	return strtof(buffer, NULL);
}

static float
number_value(const NumberParts *parts, const char *start, const char *end)
{
	double		value = (double) parts->digits;

	if (parts->digits == 0)
		return parts->negative ? -0.0f : 0.0f;
	if (parts->ndigits > MAX_DIGITS ||
		parts->exponent < -MAX_EXACT_POWER || parts->exponent > MAX_EXACT_POWER)
		return slow_float(start, end);
	if (parts->exponent < 0)
		value /= powers_of_ten[-parts->exponent];
	else
		value *= powers_of_ten[parts->exponent];
	/* subnormal floats have fewer bits, so the midpoint test does not hold */
	if (!rounds_clearly(value) || value < 1.2e-38)
		return slow_float(start, end);
	return (float) (parts->negative ? -value : value);
}

int
memai_json_scan_floats(MemaiJsonScan *scan, float *out, int max, int *bad)
{
	bool		first = true;
	int			count = 0;

	*bad = 0;
	if (!memai_json_scan_enter(scan, '['))
		return -1;
	while (memai_json_scan_item(scan, &first))
	{
		NumberParts parts;
		const char *end;

		*bad = count;
		if (count >= max)
		{
			scan->problem = "there are more numbers than expected";
			return -1;
		}
		end = read_number(scan->at, scan->end, &parts);
		if (end == NULL || end - scan->at > MAX_NUMBER_LENGTH)
		{
			scan->problem = end ? "a number is too long" : "an element is not a number";
			return -1;
		}
		out[count] = number_value(&parts, scan->at, end);
		if (!isfinite(out[count]))
		{
			scan->problem = "a number is out of range";
			return -1;
		}
		scan->at = end;
		count++;
	}
	*bad = count;
	return scan->problem ? -1 : count;
}

static inline int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

const char *
memai_base64_floats(const char *data, size_t len, float *out, int max, int *count, int *bad)
{
	uint32		word = 0;
	int			nbytes = 0;
	uint32		bits = 0;
	int			nbits = 0;

	*count = *bad = 0;
	if (len % 4 != 0)
		return "base64 is cut off";
	while (len > 0 && data[len - 1] == '=' && len % 4 != 2)
		len--;
	for (size_t i = 0; i < len; i++)
	{
		int			value = base64_value(data[i]);

		*bad = *count;
		if (value < 0)
			return "base64 holds a character outside its alphabet";
		bits = (bits << 6) | (uint32) value;
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		word |= ((bits >> nbits) & 0xff) << (8 * nbytes);
		if (++nbytes < 4)
			continue;
		if (*count >= max)
			return "there are more numbers than expected";
		memcpy(&out[*count], &word, sizeof(float));
		if (!isfinite(out[*count]))
			return "a number is not finite";
		(*count)++;
		word = 0;
		nbytes = 0;
	}
	if (nbytes != 0)
		return "base64 does not hold whole numbers of 4 bytes";
	return NULL;
}

int64
memai_base64_bytes(const char *data, size_t len, char *out)
{
	uint32		bits = 0;
	int			nbits = 0;
	size_t		n = 0;

	if (len % 4 != 0)
		return -1;
	while (len > 0 && data[len - 1] == '=' && len % 4 != 2)
		len--;
	for (size_t i = 0; i < len; i++)
	{
		int			value = base64_value(data[i]);

		if (value < 0)
			return -1;
		bits = (bits << 6) | (uint32) value;
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		out[n++] = (char) (bits >> nbits);
	}
	/* what is left over must be nothing */
	return (bits & ((1U << nbits) - 1)) == 0 ? (int64) n : -1;
}
