/*
 * retry.c
 *	  How long to wait before trying again.  Pure.
 *
 * The rules are those of the best client libraries: half a second doubled
 * with each attempt up to eight, shortened by up to a quarter at random so
 * that clients that failed together do not return together; and whatever the
 * server asks for, as long as it is a sane number.
 */
#include "postgres.h"

#include <math.h>

#include "model/wire.h"

#define FIRST_BACKOFF_MS 500
#define MAX_BACKOFF_MS 8000

int64
memai_retry_backoff(int attempt, double jitter)
{
	int64		backoff = FIRST_BACKOFF_MS;

	for (int i = 1; i < attempt && backoff < MAX_BACKOFF_MS; i++)
		backoff *= 2;
	backoff = Min(backoff, MAX_BACKOFF_MS);
	return (int64) (backoff * (1.0 - 0.25 * jitter));
}

/* a decimal number and nothing else; -1 when it is none */
static double
read_seconds(const char *text)
{
	double		value = 0;
	double		scale = 1;
	const char *p = text;
	int			digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++)
		value = value * 10 + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, digits++)
			value += (*p - '0') * (scale /= 10);
	if (digits == 0 || digits > 18 || *p != '\0')
		return -1;
	return value;
}

static int
month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (strncmp(name, names + 3 * i, 3) == 0)
			return i + 1;
	return 0;
}

/* days from 1970-01-01 in the Gregorian calendar, month from 1 */
static int64
days_of(int year, int month, int day)
{
	int64		y = month <= 2 ? year - 1 : year;
	int64		era = y / 400;
	int64		year_of_era = y - era * 400;
	int64		day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
		day_of_year - 719468;
}

/*
 * The three forms of an HTTP date (RFC 9110, section 5.6.7) as seconds since
 * 1970, or -1.
 */
static int64
read_date(const char *text)
{
	char		month[4] = "";
	int			day;
	int			year;
	int			hour;
	int			minute;
	int			second;
	int			n = 0;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n",
			   &day, month, &year, &hour, &minute, &second, &n) == 6 && n > 0)
		;
	else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n",
					&day, month, &year, &hour, &minute, &second, &n) == 6 && n > 0)
		year += year < 70 ? 2000 : 1900;
	else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n",
					month, &day, &hour, &minute, &second, &year, &n) != 6 || n == 0)
		return -1;
	if (text[n] != '\0' || month_of(month) == 0 || year < 1970 || day < 1 || day > 31 ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return -1;
	return days_of(year, month_of(month), day) * 86400 + hour * 3600 + minute * 60 + second;
}

int64
memai_retry_after(const char *retry_after_ms, const char *retry_after, int64 now)
{
	double		value;
	int64		date;

	if (retry_after_ms != NULL)
	{
		value = read_seconds(retry_after_ms);
		if (value >= 0)
			return (int64) ceil(value);
	}
	if (retry_after == NULL)
		return -1;
	value = read_seconds(retry_after);
	if (value >= 0)
		return (int64) ceil(Min(value, 1e12) * 1000);
	date = read_date(retry_after);
	if (date < 0)
		return -1;
	return date > now ? (date - now) * 1000 : 0;
}
