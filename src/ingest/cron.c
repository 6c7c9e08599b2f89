/*
 * cron.c
 *	  Cron expressions: reading them, and the next minute that matches.
 *
 * Pure: no server, no allocation, no clock, no time zones.  The day of the
 * month and the day of the week are joined as cron does it: when both are
 * limited, a day that matches one of them matches.
 */
#include "postgres.h"

#include "ingest/cron.h"

#define YEARS_AHEAD 40

typedef struct Field
{
	const char *name;
	int			min;
	int			max;
	const char *words;			/* three letters each, from min on; NULL: none */
} Field;

static const Field fields[5] = {
	{"the minute is not in 0-59", 0, 59, NULL},
	{"the hour is not in 0-23", 0, 23, NULL},
	{"the day is not in 1-31", 1, 31, NULL},
	{"the month is not in 1-12 or jan-dec", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"the weekday is not in 0-7 or sun-sat", 0, 7, "sunmontuewedthufrisat"},
};

/* what is left to read */
typedef struct Reader
{
	const char *p;
	const char *end;
} Reader;

static bool
accept(Reader *reader, char c)
{
	if (reader->p == reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static bool
read_number(Reader *reader, int *value)
{
	const char *start = reader->p;

	*value = 0;
	while (reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9' && reader->p - start < 4)
		*value = *value * 10 + (*reader->p++ - '0');
	return reader->p > start;
}

/* a number or a name of the field */
static bool
read_value(Reader *reader, const Field *field, int *value)
{
	if (read_number(reader, value))
		return *value >= field->min && *value <= field->max;
	if (field->words == NULL || reader->end - reader->p < 3)
		return false;
	for (int i = 0; field->words[3 * i] != '\0'; i++)
		if (lower(reader->p[0]) == field->words[3 * i] && lower(reader->p[1]) == field->words[3 * i + 1] &&
			lower(reader->p[2]) == field->words[3 * i + 2])
		{
			reader->p += 3;
			*value = field->min + i;
			return true;
		}
	return false;
}

/* one part of a list: *, a value, a range, each with a step or without */
static bool
read_part(Reader *reader, const Field *field, uint64 *set, bool *any)
{
	int			first = field->min;
	int			last = field->max;
	int			step = 1;
	bool		star = accept(reader, '*');
	bool		range = star;

	if (!star)
	{
		if (!read_value(reader, field, &first))
			return false;
		last = first;
		if (accept(reader, '-'))
		{
			range = true;
			if (!read_value(reader, field, &last) || last < first)
				return false;
		}
	}
	if (accept(reader, '/'))
	{
		if (!read_number(reader, &step) || step < 1 || step > field->max)
			return false;
		if (!range)
			last = field->max;
	}
	else if (star)
		*any = true;
	for (int i = first; i <= last; i += step)
		*set |= UINT64CONST(1) << i;
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void
skip_blanks(Reader *reader)
{
	while (reader->p < reader->end && is_blank(*reader->p))
		reader->p++;
}

static bool
read_field(Reader *reader, const Field *field, uint64 *set, bool *any)
{
	*set = 0;
	*any = false;
	skip_blanks(reader);
	do
	{
		if (!read_part(reader, field, set, any))
			return false;
	} while (accept(reader, ','));
	return reader->p == reader->end || is_blank(*reader->p);
}

/* the five fields that a word such as @daily stands for, NULL for none */
static const char *
expand_word(const char *text, size_t len)
{
	static const char *const words[][2] = {
		{"@hourly", "0 * * * *"}, {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
		{"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
	};

	for (size_t i = 0; i < lengthof(words); i++)
		if (strlen(words[i][0]) == len && memcmp(words[i][0], text, len) == 0)
			return words[i][1];
	return NULL;
}

bool
memai_cron_parse(const char *text, size_t len, MemaiCron *cron, const char **problem)
{
	uint64	   *sets[5] = {&cron->minutes, &cron->hours, &cron->days, &cron->months, &cron->weekdays};
	bool		any[5];
	Reader		reader = {text, text + len};

	memset(cron, 0, sizeof(MemaiCron));
	skip_blanks(&reader);
	while (reader.end > reader.p && is_blank(reader.end[-1]))
		reader.end--;
	if (reader.p < reader.end && *reader.p == '@')
	{
		const char *expanded = expand_word(reader.p, (size_t) (reader.end - reader.p));

		if (expanded == NULL)
		{
			*problem = "the word is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually";
			return false;
		}
		reader.p = expanded;
		reader.end = expanded + strlen(expanded);
	}
	for (int i = 0; i < 5; i++)
		if (!read_field(&reader, &fields[i], sets[i], &any[i]))
		{
			*problem = fields[i].name;
			return false;
		}
	if (reader.p != reader.end)
	{
		*problem = "there are more than five fields";
		return false;
	}
	cron->weekdays = (cron->weekdays | (cron->weekdays >> 7)) & 0x7f;
	cron->any_hour = any[1];
	cron->either_day = !any[2] && !any[4];
	return true;
}

/* ---- the calendar ---- */

static int
month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* 0 is Sunday; by Sakamoto's congruence */
static int
weekday(int year, int month, int day)
{
	static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
	int			y = month < 3 ? year - 1 : year;

	return (y + y / 4 - y / 100 + y / 400 + shift[month - 1] + day) % 7;
}

static bool
has(uint64 set, int bit)
{
	return (set >> bit) & 1;
}

static bool
day_matches(const MemaiCron *cron, int year, int month, int day)
{
	bool		by_day = has(cron->days, day);
	bool		by_weekday = has(cron->weekdays, weekday(year, month, day));

	return has(cron->months, month) && (cron->either_day ? by_day || by_weekday : by_day && by_weekday);
}

bool
memai_cron_matches(const MemaiCron *cron, const MemaiCronTime *time)
{
	return has(cron->minutes, time->minute) && has(cron->hours, time->hour) &&
		day_matches(cron, time->year, time->month, time->day);
}

/* the first minute of the set from the given one on, within the day */
static bool
next_in_day(const MemaiCron *cron, MemaiCronTime *time)
{
	for (; time->hour < 24; time->hour++, time->minute = 0)
	{
		if (!has(cron->hours, time->hour))
			continue;
		for (; time->minute < 60; time->minute++)
			if (has(cron->minutes, time->minute))
				return true;
	}
	return false;
}

static void
next_day(MemaiCronTime *time)
{
	time->hour = time->minute = 0;
	if (++time->day <= month_days(time->year, time->month))
		return;
	time->day = 1;
	if (++time->month <= 12)
		return;
	time->month = 1;
	time->year++;
}

bool
memai_cron_next(const MemaiCron *cron, const MemaiCronTime *after, MemaiCronTime *next)
{
	*next = *after;
	next->minute++;
	while (next->year <= after->year + YEARS_AHEAD)
	{
		if (day_matches(cron, next->year, next->month, next->day) && next_in_day(cron, next))
			return true;
		next_day(next);
	}
	return false;
}
