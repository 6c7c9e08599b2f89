/*
 * when.c
 *	  Time expressions: which days a text speaks of, seen from the day it was
 *	  said.  Pure: no allocation, no errors, no clock, no locale.
 *
 * English, German and Swedish.  The first expression of a text counts: a date
 * ("8 May 2023", "May 8th", "2023-05-08"), a month or a year, a day seen from
 * the speaker's ("yesterday"), a period ("last week", "nästa månad"), a distance
 * ("two weeks ago", "vor drei Tagen").  Days are Julian day numbers, as date's
 * internal form counts them, so no time zone enters.
 */
#include "postgres.h"

#include "text/text.h"

#define WORDS 6					/* read ahead of the word that is looked at */
#define FIRST_YEAR 1900
#define LAST_YEAR 2199

typedef enum WordClass
{
	W_OTHER,
	W_NUMBER,					/* 1..9999 in digits, value the number;
								 * ordinals too */
	W_COUNT,					/* one..ten in letters */
	W_MONTH,					/* value 1..12 */
	W_MAYBE_MONTH,				/* a word that is also the name of a month */
	W_WEEKDAY,					/* value 0 (Monday) .. 6 */
	W_DAY,						/* value: days from the speaker's */
	W_UNIT,						/* value: a Unit */
	W_LAST,
	W_THIS,
	W_NEXT,
	W_AGO,						/* after the distance */
	W_VOR,						/* before the distance */
	W_IN						/* makes a month of a word that may be one */
} WordClass;

typedef enum Unit
{
	UNIT_DAY,
	UNIT_WEEK,
	UNIT_WEEKEND,
	UNIT_MONTH,
	UNIT_YEAR
} Unit;

typedef struct TimeWord
{
	const char *word;			/* as the tokeniser gives it, without accents */
	WordClass	class;
	int			value;
} TimeWord;

typedef struct Word
{
	WordClass	class;
	int			value;
} Word;

static const TimeWord time_words[] = {
	{"january", W_MONTH, 1}, {"januar", W_MONTH, 1}, {"januari", W_MONTH, 1}, {"jan", W_MONTH, 1},
	{"february", W_MONTH, 2}, {"februar", W_MONTH, 2}, {"februari", W_MONTH, 2}, {"feb", W_MONTH, 2},
	{"march", W_MAYBE_MONTH, 3}, {"marz", W_MONTH, 3}, {"mars", W_MAYBE_MONTH, 3},
	{"april", W_MONTH, 4}, {"apr", W_MONTH, 4},
	{"may", W_MAYBE_MONTH, 5}, {"mai", W_MONTH, 5}, {"maj", W_MONTH, 5},
	{"june", W_MONTH, 6}, {"juni", W_MONTH, 6}, {"july", W_MONTH, 7}, {"juli", W_MONTH, 7},
	{"august", W_MONTH, 8}, {"augusti", W_MONTH, 8}, {"aug", W_MONTH, 8},
	{"september", W_MONTH, 9}, {"sept", W_MONTH, 9}, {"october", W_MONTH, 10}, {"oktober", W_MONTH, 10},
	{"oct", W_MONTH, 10}, {"november", W_MONTH, 11}, {"nov", W_MONTH, 11},
	{"december", W_MONTH, 12}, {"dezember", W_MONTH, 12}, {"dec", W_MONTH, 12},
	{"monday", W_WEEKDAY, 0}, {"montag", W_WEEKDAY, 0}, {"mandag", W_WEEKDAY, 0}, {"mandags", W_WEEKDAY, 0},
	{"tuesday", W_WEEKDAY, 1}, {"dienstag", W_WEEKDAY, 1}, {"tisdag", W_WEEKDAY, 1}, {"tisdags", W_WEEKDAY, 1},
	{"wednesday", W_WEEKDAY, 2}, {"mittwoch", W_WEEKDAY, 2}, {"onsdag", W_WEEKDAY, 2}, {"onsdags", W_WEEKDAY, 2},
	{"thursday", W_WEEKDAY, 3}, {"donnerstag", W_WEEKDAY, 3}, {"torsdag", W_WEEKDAY, 3}, {"torsdags", W_WEEKDAY, 3},
	{"friday", W_WEEKDAY, 4}, {"freitag", W_WEEKDAY, 4}, {"fredag", W_WEEKDAY, 4}, {"fredags", W_WEEKDAY, 4},
	{"saturday", W_WEEKDAY, 5}, {"samstag", W_WEEKDAY, 5}, {"lordag", W_WEEKDAY, 5}, {"lordags", W_WEEKDAY, 5},
	{"sunday", W_WEEKDAY, 6}, {"sonntag", W_WEEKDAY, 6}, {"sondag", W_WEEKDAY, 6}, {"sondags", W_WEEKDAY, 6},
	{"yesterday", W_DAY, -1}, {"gestern", W_DAY, -1}, {"igar", W_DAY, -1}, {"vorgestern", W_DAY, -2}, {"forrgar", W_DAY, -2},
	{"today", W_DAY, 0}, {"tonight", W_DAY, 0}, {"heute", W_DAY, 0}, {"idag", W_DAY, 0}, {"ikvall", W_DAY, 0},
	{"tomorrow", W_DAY, 1}, {"imorgon", W_DAY, 1}, {"ubermorgen", W_DAY, 2},
	{"day", W_UNIT, UNIT_DAY}, {"days", W_UNIT, UNIT_DAY}, {"night", W_UNIT, UNIT_DAY},
	{"tag", W_UNIT, UNIT_DAY}, {"tage", W_UNIT, UNIT_DAY}, {"tagen", W_UNIT, UNIT_DAY},
	{"dag", W_UNIT, UNIT_DAY}, {"dagar", W_UNIT, UNIT_DAY}, {"dagen", W_UNIT, UNIT_DAY},
	{"week", W_UNIT, UNIT_WEEK}, {"weeks", W_UNIT, UNIT_WEEK}, {"woche", W_UNIT, UNIT_WEEK}, {"wochen", W_UNIT, UNIT_WEEK},
	{"vecka", W_UNIT, UNIT_WEEK}, {"veckan", W_UNIT, UNIT_WEEK}, {"veckor", W_UNIT, UNIT_WEEK},
	{"weekend", W_UNIT, UNIT_WEEKEND}, {"wochenende", W_UNIT, UNIT_WEEKEND}, {"helg", W_UNIT, UNIT_WEEKEND}, {"helgen", W_UNIT, UNIT_WEEKEND},
	{"month", W_UNIT, UNIT_MONTH}, {"months", W_UNIT, UNIT_MONTH}, {"monat", W_UNIT, UNIT_MONTH},
	{"monate", W_UNIT, UNIT_MONTH}, {"monaten", W_UNIT, UNIT_MONTH}, {"manad", W_UNIT, UNIT_MONTH}, {"manaden", W_UNIT, UNIT_MONTH},
	{"manader", W_UNIT, UNIT_MONTH},
	{"year", W_UNIT, UNIT_YEAR}, {"years", W_UNIT, UNIT_YEAR}, {"jahr", W_UNIT, UNIT_YEAR}, {"jahre", W_UNIT, UNIT_YEAR},
	{"jahren", W_UNIT, UNIT_YEAR}, {"ar", W_UNIT, UNIT_YEAR}, {"aret", W_UNIT, UNIT_YEAR},
	{"last", W_LAST, 0}, {"past", W_LAST, 0}, {"previous", W_LAST, 0}, {"letzte", W_LAST, 0}, {"letzten", W_LAST, 0},
	{"letzter", W_LAST, 0}, {"letztes", W_LAST, 0}, {"vorige", W_LAST, 0}, {"vorigen", W_LAST, 0}, {"voriges", W_LAST, 0},
	{"forra", W_LAST, 0},
	{"this", W_THIS, 0}, {"diese", W_THIS, 0}, {"diesen", W_THIS, 0}, {"dieser", W_THIS, 0}, {"dieses", W_THIS, 0},
	{"denna", W_THIS, 0}, {"detta", W_THIS, 0},
	{"next", W_NEXT, 0}, {"nachste", W_NEXT, 0}, {"nachsten", W_NEXT, 0}, {"nachster", W_NEXT, 0}, {"nachstes", W_NEXT, 0},
	{"nasta", W_NEXT, 0},
	{"ago", W_AGO, 0}, {"sedan", W_AGO, 0}, {"vor", W_VOR, 0},
	{"in", W_IN, 0}, {"on", W_IN, 0}, {"of", W_IN, 0}, {"since", W_IN, 0}, {"during", W_IN, 0}, {"until", W_IN, 0},
	{"im", W_IN, 0}, {"am", W_IN, 0}, {"i", W_IN, 0}, {"den", W_IN, 0},
	{"a", W_COUNT, 1}, {"one", W_COUNT, 1}, {"ein", W_COUNT, 1}, {"eine", W_COUNT, 1}, {"einem", W_COUNT, 1}, {"einer", W_COUNT, 1},
	{"en", W_COUNT, 1}, {"ett", W_COUNT, 1}, {"two", W_COUNT, 2}, {"zwei", W_COUNT, 2}, {"tva", W_COUNT, 2},
	{"couple", W_COUNT, 2}, {"three", W_COUNT, 3}, {"few", W_COUNT, 3}, {"drei", W_COUNT, 3}, {"tre", W_COUNT, 3},
	{"four", W_COUNT, 4}, {"vier", W_COUNT, 4}, {"fyra", W_COUNT, 4}, {"five", W_COUNT, 5}, {"funf", W_COUNT, 5}, {"fem", W_COUNT, 5},
	{"six", W_COUNT, 6}, {"sechs", W_COUNT, 6}, {"sex", W_COUNT, 6}, {"seven", W_COUNT, 7}, {"sieben", W_COUNT, 7}, {"sju", W_COUNT, 7},
	{"eight", W_COUNT, 8}, {"acht", W_COUNT, 8}, {"atta", W_COUNT, 8}, {"nine", W_COUNT, 9}, {"neun", W_COUNT, 9}, {"nio", W_COUNT, 9},
	{"ten", W_COUNT, 10}, {"zehn", W_COUNT, 10}, {"tio", W_COUNT, 10},
};

/* the first or second word of a question for a time */
static const char *const when_words[] = {"when", "wann", "nar"};

/* ---- days ---- */

/* Julian day number of a date of the Gregorian calendar (Fliegel and van Flandern 1968) */
static int32
julian_day(int year, int month, int day)
{
	int			a = (month - 14) / 12;

	return (1461 * (year + 4800 + a)) / 4 + (367 * (month - 2 - 12 * a)) / 12 -
		(3 * ((year + 4900 + a) / 100)) / 4 + day - 32075;
}

static void
calendar_month(int32 day, int *year, int *month)
{
	int			l = day + 68569;
	int			n = 4 * l / 146097;
	int			i,
				j;

	l -= (146097 * n + 3) / 4;
	i = 4000 * (l + 1) / 1461001;
	l -= 1461 * i / 4 - 31;
	j = 80 * l / 2447;
	l = j / 11;
	*month = j + 2 - 12 * l;
	*year = 100 * (n - 49) + i + l;
}

/* a month, counted from year 0 */
static void
month_span(int months, MemaiDaySpan *span)
{
	span->first = julian_day(months / 12, months % 12 + 1, 1);
	span->end = julian_day((months + 1) / 12, (months + 1) % 12 + 1, 1);
}

static void
year_span(int year, MemaiDaySpan *span)
{
	span->first = julian_day(year, 1, 1);
	span->end = julian_day(year + 1, 1, 1);
}

static void
day_span(int32 first, int days, MemaiDaySpan *span)
{
	span->first = first;
	span->end = first + days;
}

/* the n-th day, week, month or year from the one of a day */
static void
unit_span(Unit unit, int n, int32 day, MemaiDaySpan *span)
{
	int32		monday = day - day % 7;
	int			year,
				month;

	calendar_month(day, &year, &month);
	switch (unit)
	{
		case UNIT_DAY:
			day_span(day + n, 1, span);
			break;
		case UNIT_WEEK:
			day_span(monday + 7 * n, 7, span);
			break;
		case UNIT_WEEKEND:
			day_span(monday + 5 + 7 * n, 2, span);
			break;
		case UNIT_MONTH:
			month_span(year * 12 + month - 1 + n, span);
			break;
		case UNIT_YEAR:
			year_span(year + n, span);
			break;
	}
}

/* ---- words ---- */

static Word
classify_number(const MemaiToken *token)
{
	Word		word = {W_OTHER, 0};
	int			digits = 0;

	while (digits < token->len && digits < 5 && token->data[digits] >= '0' && token->data[digits] <= '9')
		word.value = word.value * 10 + token->data[digits++] - '0';
	/* 8th, 1st, 2nd, 3rd */
	if (digits >= 1 && digits <= 4 && (token->len == digits || (digits <= 2 && token->len == digits + 2)))
		word.class = W_NUMBER;
	return word;
}

static Word
classify(MemaiToken *token)
{
	memai_token_strip_accents(token);
	if (token->len > 0 && token->data[0] >= '0' && token->data[0] <= '9')
		return classify_number(token);
	for (size_t i = 0; i < lengthof(time_words); i++)
	{
		if (strlen(time_words[i].word) == (size_t) token->len &&
			memcmp(time_words[i].word, token->data, token->len) == 0)
			return (Word) {time_words[i].class, time_words[i].value};
	}
	return (Word) {W_OTHER, 0};
}

static bool
is_year(Word word)
{
	return word.class == W_NUMBER && word.value >= FIRST_YEAR && word.value <= LAST_YEAR;
}

static bool
is_day(Word word)
{
	return word.class == W_NUMBER && word.value >= 1 && word.value <= 31;
}

static bool
is_month(Word word, Word before, Word after)
{
	return word.class == W_MONTH ||
		(word.class == W_MAYBE_MONTH &&
		 (before.class == W_NUMBER || after.class == W_NUMBER || before.class == W_IN ||
		  before.class == W_LAST || before.class == W_THIS || before.class == W_NEXT));
}

/* ---- expressions; w[0] is the word before, w[1] the first of the expression ---- */

/* The year of a month that is named without one: the last that has begun, or the next. */
static int
year_of(int month, Word before, int32 reference)
{
	int			year,
				current;

	calendar_month(reference, &year, &current);
	if (before.class == W_NEXT)
		return month > current ? year : year + 1;
	if (before.class == W_LAST)
		return month < current ? year : year - 1;
	return month <= current ? year : year - 1;
}

static bool
match_date(const Word *w, int32 reference, MemaiDaySpan *span)
{
	int			year;

	if (is_year(w[1]) && w[2].class == W_NUMBER && w[2].value >= 1 && w[2].value <= 12 && is_day(w[3]))
		day_span(julian_day(w[1].value, w[2].value, w[3].value), 1, span);
	else if (is_day(w[1]) && is_month(w[2], w[1], w[3]))
	{
		year = is_year(w[3]) ? w[3].value : year_of(w[2].value, w[0], reference);
		day_span(julian_day(year, w[2].value, w[1].value), 1, span);
	}
	else if (is_day(w[1]) && w[2].class == W_IN && is_month(w[3], w[2], w[4]))
	{
		year = is_year(w[4]) ? w[4].value : year_of(w[3].value, w[0], reference);
		day_span(julian_day(year, w[3].value, w[1].value), 1, span);
	}
	else if (is_month(w[1], w[0], w[2]) && is_day(w[2]))
	{
		year = is_year(w[3]) ? w[3].value : year_of(w[1].value, w[0], reference);
		day_span(julian_day(year, w[1].value, w[2].value), 1, span);
	}
	else if (is_month(w[1], w[0], w[2]))
	{
		year = is_year(w[2]) ? w[2].value : year_of(w[1].value, w[0], reference);
		month_span(year * 12 + w[1].value - 1, span);
	}
	else if (is_year(w[1]))
		year_span(w[1].value, span);
	else
		return false;
	return true;
}

static bool
match_distance(const Word *w, int32 reference, MemaiDaySpan *span)
{
	const Word *count = w[1].class == W_VOR ? &w[2] : &w[1];
	const Word *unit = count + 1;

	if (unit->class == W_IN || unit->class == W_COUNT)	/* a couple of, a few */
	{
		count = unit->class == W_COUNT ? unit : count;
		unit++;
	}
	if ((count->class != W_COUNT && count->class != W_NUMBER) || count->value > 1000 || unit->class != W_UNIT)
		return false;
	if (w[1].class != W_VOR && unit[1].class != W_AGO)
		return false;
	unit_span(unit->value, -count->value, reference, span);
	return true;
}

static bool
match_relative(const Word *w, int32 reference, MemaiDaySpan *span)
{
	int			n = w[1].class == W_LAST ? -1 : (w[1].class == W_NEXT ? 1 : 0);
	int			weekday = reference % 7;

	if (w[1].class == W_DAY)
		day_span(reference + w[1].value, 1, span);
	else if (w[1].class != W_LAST && w[1].class != W_THIS && w[1].class != W_NEXT)
		return false;
	else if (w[2].class == W_UNIT)
		unit_span(w[2].value, n, reference, span);
	else if (w[2].class == W_WEEKDAY && n < 0)
		day_span(reference - (weekday - w[2].value + 6) % 7 - 1, 1, span);
	else if (w[2].class == W_WEEKDAY)
		day_span(reference + (w[2].value - weekday + 6) % 7 + 1, 1, span);
	else
		return false;
	return true;
}

bool
memai_text_days(const char *utf8, size_t len, int32 reference, MemaiDaySpan *span)
{
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	Word		words[WORDS] = {{W_OTHER, 0}};
	int			pending = 0;	/* words after words[0] that are not looked at
								 * yet */

	memai_tokeniser_start(&tokeniser, utf8, len);
	for (;;)
	{
		while (pending < WORDS - 1 && memai_tokeniser_next(&tokeniser, &token))
			words[++pending] = classify(&token);
		if (pending == 0)
			return false;
		for (int i = pending + 1; i < WORDS; i++)
			words[i] = (Word) {W_OTHER, 0};
		if (match_date(words, reference, span) || match_distance(words, reference, span) ||
			match_relative(words, reference, span))
			return true;
		memmove(words, words + 1, sizeof(Word) * (WORDS - 1));
		pending--;
	}
}

bool
memai_text_asks_when(const char *utf8, size_t len)
{
	MemaiTokeniser tokeniser;
	MemaiToken	token;

	memai_tokeniser_start(&tokeniser, utf8, len);
	for (int n = 0; n < 2 && memai_tokeniser_next(&tokeniser, &token); n++)
	{
		memai_token_strip_accents(&token);
		for (size_t i = 0; i < lengthof(when_words); i++)
		{
			if (strlen(when_words[i]) == (size_t) token.len && memcmp(when_words[i], token.data, token.len) == 0)
				return true;
		}
	}
	return false;
}
