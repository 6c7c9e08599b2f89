/*
 * scan.c
 *	  A strict cursor over JSON text (RFC 8259).  Pure: no allocation, no
 *	  errors, no recursion, so that a hostile body costs its length and no more.
 *
 * It serves the one kind of body that a document tree is too heavy for: a
 * response full of embeddings.  Invariant: at <= end; after a problem every
 * call fails and leaves the cursor where it is.
 */
#include "postgres.h"

#include "json/json.h"

void
memai_json_scan_start(MemaiJsonScan *scan, const char *data, size_t len)
{
	scan->at = data;
	scan->end = data + len;
	scan->problem = NULL;
}

static bool
fail(MemaiJsonScan *scan, const char *problem)
{
	if (scan->problem == NULL)
		scan->problem = problem;
	return false;
}

static inline void
skip_space(MemaiJsonScan *scan)
{
	while (scan->at < scan->end &&
		   (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
		scan->at++;
}

char
memai_json_scan_peek(MemaiJsonScan *scan)
{
	if (scan->problem)
		return 0;
	skip_space(scan);
	return scan->at < scan->end ? *scan->at : 0;
}

static bool
take(MemaiJsonScan *scan, char expected)
{
	if (memai_json_scan_peek(scan) != expected)
		return false;
	scan->at++;
	return true;
}

bool
memai_json_scan_enter(MemaiJsonScan *scan, char bracket)
{
	if (!take(scan, bracket))
		return fail(scan, bracket == '[' ? "an array is expected" : "an object is expected");
	return true;
}

/* the comma or closing bracket between elements; true when one more follows */
static bool
next_element(MemaiJsonScan *scan, bool *first, char closing)
{
	if (scan->problem)
		return false;
	if (take(scan, closing))
		return false;
	if (!*first && !take(scan, ','))
		return fail(scan, "a comma or closing bracket is missing");
	*first = false;
	if (memai_json_scan_peek(scan) == 0)
		return fail(scan, "the text ends too early");
	if (*scan->at == closing)
		return fail(scan, "a value is missing after a comma");
	return true;
}

bool
memai_json_scan_item(MemaiJsonScan *scan, bool *first)
{
	return next_element(scan, first, ']');
}

bool
memai_json_scan_member(MemaiJsonScan *scan, bool *first, const char **key, size_t *key_len)
{
	if (!next_element(scan, first, '}'))
		return false;
	if (!memai_json_scan_string(scan, key, key_len))
		return false;
	if (!take(scan, ':'))
		return fail(scan, "a colon is missing");
	return true;
}

/* one escape sequence; the cursor is on the backslash */
static bool
skip_escape(MemaiJsonScan *scan)
{
	static const char simple[] = "\"\\/bfnrt";

	if (scan->end - scan->at < 2)
		return fail(scan, "the text ends inside a string");
	if (scan->at[1] != '\0' && strchr(simple, scan->at[1]) != NULL)
	{
		scan->at += 2;
		return true;
	}
	if (scan->at[1] != 'u')
		return fail(scan, "an escape sequence is not known");
	if (scan->end - scan->at < 6)
		return fail(scan, "the text ends inside a string");
	for (int i = 2; i < 6; i++)
	{
		char		c = scan->at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return fail(scan, "an escape sequence is not hexadecimal");
	}
	scan->at += 6;
	return true;
}

bool
memai_json_scan_string(MemaiJsonScan *scan, const char **data, size_t *len)
{
	if (!take(scan, '"'))
		return fail(scan, "a string is expected");
	*data = scan->at;
	while (scan->at < scan->end)
	{
		unsigned char c = (unsigned char) *scan->at;

		if (c == '"')
		{
			*len = scan->at - *data;
			scan->at++;
			return true;
		}
		if (c < 0x20)
			return fail(scan, "a control character stands inside a string");
		if (c == '\\')
		{
			if (!skip_escape(scan))
				return false;
		}
		else if (c < 0x80)
			scan->at++;
		else
		{
			int			length = memai_utf8_char_length((const unsigned char *) scan->at,
														scan->end - scan->at);

			if (length == 0)
				return fail(scan, "a string is not UTF-8");
			scan->at += length;
		}
	}
	return fail(scan, "the text ends inside a string");
}

static inline bool
at_digit(MemaiJsonScan *scan)
{
	return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static bool
skip_digits(MemaiJsonScan *scan)
{
	if (!at_digit(scan))
		return fail(scan, "a number is malformed");
	while (at_digit(scan))
		scan->at++;
	return true;
}

static bool
skip_number(MemaiJsonScan *scan)
{
	if (scan->at < scan->end && *scan->at == '-')
		scan->at++;
	if (scan->at < scan->end && *scan->at == '0')
		scan->at++;
	else if (!skip_digits(scan))
		return false;
	if (at_digit(scan))
		return fail(scan, "a number starts with 0");
	if (scan->at < scan->end && *scan->at == '.')
	{
		scan->at++;
		if (!skip_digits(scan))
			return false;
	}
	if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E'))
	{
		scan->at++;
		if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
			scan->at++;
		return skip_digits(scan);
	}
	return true;
}

static bool
skip_word(MemaiJsonScan *scan, const char *word)
{
	size_t		len = strlen(word);

	if ((size_t) (scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
		return fail(scan, "a value is malformed");
	scan->at += len;
	return true;
}

bool
memai_json_scan_int(MemaiJsonScan *scan, int64 *value)
{
	const char *start;
	uint64		sum = 0;
	bool		negative;

	(void) memai_json_scan_peek(scan);
	start = scan->at;
	if (scan->problem || !skip_number(scan))
		return fail(scan, "an integer is expected");
	negative = *start == '-';
	for (const char *p = start + negative; p < scan->at; p++)
	{
		if (*p < '0' || *p > '9')
			return fail(scan, "an integer is expected");
		if (sum > (PG_INT64_MAX - (uint64) (*p - '0')) / 10)
			return fail(scan, "an integer is out of range");
		sum = sum * 10 + (*p - '0');
	}
	*value = negative ? -(int64) sum : (int64) sum;
	return true;
}

static bool
skip_scalar(MemaiJsonScan *scan)
{
	const char *data;
	size_t		len;

	switch (memai_json_scan_peek(scan))
	{
		case '"':
			return memai_json_scan_string(scan, &data, &len);
		case 't':
			return skip_word(scan, "true");
		case 'f':
			return skip_word(scan, "false");
		case 'n':
			return skip_word(scan, "null");
		case 0:
			return fail(scan, "the text ends too early");
		default:
			return skip_number(scan);
	}
}

/*
 * Nesting is kept as one bit a level (set: object), which is why the depth
 * limit must stay below 64.
 */
bool
memai_json_scan_skip(MemaiJsonScan *scan)
{
	uint64		objects = 0;
	int			depth = 0;
	bool		first = true;
	const char *key;
	size_t		key_len;

	for (;;)
	{
		char		next = memai_json_scan_peek(scan);
		bool		more;

		if (next == '[' || next == '{')
		{
			if (++depth > MEMAI_JSON_MAX_DEPTH)
				return fail(scan, "the nesting is too deep");
			objects = (objects << 1) | (next == '{');
			scan->at++;
			first = true;
		}
		else if (!skip_scalar(scan))
			return false;
		do
		{
			if (depth == 0)
				return true;
			more = (objects & 1) ? memai_json_scan_member(scan, &first, &key, &key_len)
				: memai_json_scan_item(scan, &first);
			if (scan->problem)
				return false;
			if (!more)
			{
				depth--;
				objects >>= 1;
				first = false;
			}
		} while (!more);
	}
}

bool
memai_json_scan_done(MemaiJsonScan *scan)
{
	if (scan->problem)
		return false;
	skip_space(scan);
	if (scan->at < scan->end)
		return fail(scan, "something follows the value");
	return true;
}
