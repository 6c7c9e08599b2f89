/*
 * static_json.c
 *	  Reading the JSON of model files, which may be hostile and hold a million
 *	  entries: by the scanner, without a document.  Pure: no allocation, no
 *	  errors, no server state.
 */
#include "postgres.h"

#include <math.h>

#include "model/static.h"

#define MAX_NUMBER_LENGTH 63

bool
memai_static_members(MemaiJsonScan *scan, int n, const char *const *keys, MemaiJsonScan *found)
{
	bool		first = true;
	const char *key;
	size_t		len;

	for (int i = 0; i < n; i++)
		found[i].at = NULL;
	if (!memai_json_scan_enter(scan, '{'))
		return false;
	while (memai_json_scan_member(scan, &first, &key, &len))
	{
		bool		is_null = memai_json_scan_peek(scan) == 'n';

		for (int i = 0; i < n; i++)
		{
			if (strlen(keys[i]) != len || memcmp(keys[i], key, len) != 0)
				continue;
			found[i] = *scan;
			if (is_null)
				found[i].at = NULL;
		}
		(void) memai_json_scan_skip(scan);
	}
	return scan->problem == NULL;
}

bool
memai_static_bool(const MemaiJsonScan *member, bool *value)
{
	MemaiJsonScan scan = *member;
	char		start;

	if (member->at == NULL)
		return false;
	start = memai_json_scan_peek(&scan);
	if (start != 't' && start != 'f')
		return false;
	*value = start == 't';
	return true;
}

bool
memai_static_int(const MemaiJsonScan *member, int64 *value)
{
	MemaiJsonScan scan = *member;

	return member->at != NULL && memai_json_scan_int(&scan, value);
}

bool
memai_static_number(MemaiJsonScan *scan, double *value)
{
	char		text[MAX_NUMBER_LENGTH + 1];
	const char *start;
	char		first = memai_json_scan_peek(scan);
	size_t		len;

	start = scan->at;
	if ((first != '-' && (first < '0' || first > '9')) || !memai_json_scan_skip(scan))
		return false;
	len = scan->at - start;
	if (len > MAX_NUMBER_LENGTH)
		return false;
	memcpy(text, start, len);
	text[len] = '\0';
	/* the server's LC_NUMERIC is C */
	*value = strtod(text, NULL);
	return isfinite(*value);
}

static int
hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return (digit | 0x20) - 'a' + 10;
}

/* the code unit after \u; the scanner has checked its digits */
static uint32
read_unit(const char *data)
{
	return (uint32) (hex_value(data[0]) << 12 | hex_value(data[1]) << 8 |
					 hex_value(data[2]) << 4 | hex_value(data[3]));
}

static size_t
put_utf8(char *out, uint32 code)
{
	if (code < 0x80)
	{
		out[0] = (char) code;
		return 1;
	}
	if (code < 0x800)
	{
		out[0] = (char) (0xC0 | code >> 6);
		out[1] = (char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		out[0] = (char) (0xE0 | code >> 12);
		out[1] = (char) (0x80 | (code >> 6 & 0x3F));
		out[2] = (char) (0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char) (0xF0 | code >> 18);
	out[1] = (char) (0x80 | (code >> 12 & 0x3F));
	out[2] = (char) (0x80 | (code >> 6 & 0x3F));
	out[3] = (char) (0x80 | (code & 0x3F));
	return 4;
}

/* one escape sequence, which starts behind its backslash; its length in *used */
static uint32
read_escape(const char *data, size_t left, size_t *used)
{
	static const char letters[] = "bfnrt";
	static const char controls[] = "\b\f\n\r\t";
	const char *letter = strchr(letters, data[0]);
	uint32		code;

	*used = 1;
	if (data[0] != 'u')
		return letter ? (uint32) controls[letter - letters] : (unsigned char) data[0];
	code = read_unit(data + 1);
	*used = 5;
	if (code >= 0xD800 && code < 0xDC00 && left >= 11 && data[5] == '\\' && data[6] == 'u')
	{
		uint32		low = read_unit(data + 7);

		if (low >= 0xDC00 && low < 0xE000)
		{
			*used = 11;
			return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return code >= 0xD800 && code < 0xE000 ? 0xFFFD : code;
}

int64
memai_static_string(MemaiJsonScan *scan, char *out)
{
	const char *data;
	size_t		len;
	size_t		written = 0;

	if (!memai_json_scan_string(scan, &data, &len))
		return -1;
	for (size_t i = 0; i < len;)
	{
		size_t		used;

		if (data[i] != '\\')
		{
			out[written++] = data[i++];
			continue;
		}
		i++;
		written += put_utf8(out + written, read_escape(data + i, len - i, &used));
		i += used;
	}
	return (int64) written;
}

bool
memai_static_string_is(const MemaiJsonScan *member, const char *text)
{
	MemaiJsonScan scan = *member;
	const char *data;
	size_t		len;

	return member->at != NULL && memai_json_scan_peek(&scan) == '"' &&
		memai_json_scan_string(&scan, &data, &len) && len == strlen(text) &&
		memcmp(data, text, len) == 0;
}
