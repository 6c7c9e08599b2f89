/*
 * entity.c
 *	  Character references of HTML: &amp; &eacute; &#233; &#xE9;.  Pure: no
 *	  allocation, no errors, no server state.
 */
#include "postgres.h"

#include "text/entity_tables.h"
#include "text/html.h"

#define NAME_MAX_BYTES 8
#define DIGITS_MAX 7
#define REPLACEMENT 0xFFFD

/* what numbers 0x80 to 0x9F mean to browsers: Windows-1252 */
static const uint16 windows_1252[] = {
	0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F,
	0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178
};

static int
digit_value(unsigned char byte, int base)
{
	int			value = -1;

	if (byte >= '0' && byte <= '9')
		value = byte - '0';
	else if (base == 16 && byte >= 'a' && byte <= 'f')
		value = byte - 'a' + 10;
	else if (base == 16 && byte >= 'A' && byte <= 'F')
		value = byte - 'A' + 10;
	return value;
}

static uint32
read_number(const unsigned char **next, const unsigned char *end)
{
	const unsigned char *pos = *next + 2;
	int			base = 10;
	uint32		code = 0;
	int			ndigits = 0;

	if (pos < end && (*pos == 'x' || *pos == 'X'))
	{
		base = 16;
		pos++;
	}
	for (; pos < end && ndigits < DIGITS_MAX && digit_value(*pos, base) >= 0; pos++, ndigits++)
		code = code * base + digit_value(*pos, base);
	if (ndigits == 0 || pos == end || *pos != ';')
		return 0;
	*next = pos + 1;
	if (code >= 0x80 && code < 0x80 + lengthof(windows_1252))
		return windows_1252[code - 0x80];
	if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
		return REPLACEMENT;
	return code;
}

static uint32
find_name(const unsigned char *name, int len)
{
	int			low = 0;
	int			high = lengthof(entities);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = strncmp((const char *) name, entities[middle].name, len);

		if (order == 0 && entities[middle].name[len] == '\0')
			return entities[middle].code;
		if (order <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return 0;
}

uint32
memai_entity_read(const unsigned char **next, const unsigned char *end)
{
	const unsigned char *name = *next + 1;
	int			len = 0;
	uint32		code;

	if (name < end && *name == '#')
		return read_number(next, end);
	while (name + len < end && len <= NAME_MAX_BYTES && name[len] < 0x80 && memai_char_class(name[len]) == CHAR_WORD)
		len++;
	if (len < 2 || len > NAME_MAX_BYTES)
		return 0;
	code = find_name(name, len);
	if (code == 0)
		return 0;
	if (name + len < end && name[len] == ';')
		len++;
	/* pages forget the semicolon of these, and links have "&copy=1" */
	else if ((name + len < end && name[len] == '=') ||
			 (code != '&' && code != '<' && code != '>' && code != '"' && code != 0xA0))
		return 0;
	*next = name + len;
	return code;
}
