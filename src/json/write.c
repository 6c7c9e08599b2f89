/*
 * write.c
 *	  Text of the server into JSON and back.
 *
 * JSON on the wire is UTF-8 whatever the database's encoding, and what comes
 * from outside is never trusted to be valid.
 */
#include "postgres.h"

#include <math.h>

#include "json/json.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#define REPLACEMENT "\xef\xbf\xbd"

static inline bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void
append_escaped(StringInfo out, unsigned char c)
{
	switch (c)
	{
		case '"':
			appendBinaryStringInfo(out, "\\\"", 2);
			break;
		case '\\':
			appendBinaryStringInfo(out, "\\\\", 2);
			break;
		case '\n':
			appendBinaryStringInfo(out, "\\n", 2);
			break;
		case '\t':
			appendBinaryStringInfo(out, "\\t", 2);
			break;
		default:
			appendStringInfo(out, "\\u%04x", c);
	}
}

/* UTF-8, possibly broken, as the inside of a JSON string */
static void
append_utf8(StringInfo out, const unsigned char *data, size_t len)
{
	size_t		i = 0;

	while (i < len)
	{
		size_t		run = i;
		int			length;

		while (run < len && is_plain(data[run]))
			run++;
		if (run > i)
			appendBinaryStringInfo(out, (const char *) data + i, (int) (run - i));
		i = run;
		if (i == len)
			break;
		length = memai_utf8_char_length(data + i, len - i);
		if (length == 0)
			appendBinaryStringInfo(out, REPLACEMENT, 3);
		else if (length == 1)
			append_escaped(out, data[i]);
		else
			appendBinaryStringInfo(out, (const char *) data + i, length);
		i += Max(length, 1);
	}
}

void
memai_json_write_utf8_string(StringInfo out, const char *data, size_t len)
{
	appendStringInfoChar(out, '"');
	append_utf8(out, (const unsigned char *) data, len);
	appendStringInfoChar(out, '"');
}

void
memai_json_write_string(StringInfo out, const char *data, size_t len)
{
	int			encoding = GetDatabaseEncoding();
	char	   *utf8 = NULL;

	if (encoding != PG_UTF8 && encoding != PG_SQL_ASCII && len > 0)
	{
		utf8 = pg_server_to_any(data, (int) len, PG_UTF8);
		if (utf8 != data)
		{
			data = utf8;
			len = strlen(utf8);
		}
	}
	memai_json_write_utf8_string(out, data, len);
}

void
memai_json_write_number(StringInfo out, double value)
{
	char		buffer[DOUBLE_SHORTEST_DECIMAL_LEN];

	Assert(isfinite(value));
	double_to_shortest_decimal_buf(value, buffer);
	appendStringInfoString(out, buffer);
}

char *
memai_json_server_text(const char *data, size_t len)
{
	const unsigned char *bytes = (const unsigned char *) data;
	StringInfoData clean;
	size_t		i = 0;

	initStringInfo(&clean);
	while (i < len)
	{
		int			length = bytes[i] == 0 ? 0 : memai_utf8_char_length(bytes + i, len - i);

		if (length == 0)
			appendBinaryStringInfo(&clean, REPLACEMENT, 3);
		else
			appendBinaryStringInfo(&clean, data + i, length);
		i += Max(length, 1);
	}
	return pg_any_to_server(clean.data, clean.len, PG_UTF8);
}
