/*
 * grapheme.c
 *	  Extended grapheme clusters: what a reader takes for one character.  Pure: no
 *	  allocation, no errors, no server state.
 *
 * The rules are those of Unicode Standard Annex 29 (GB3 to GB13) but GB9c, which
 * newer versions have: it joins two letters of a script of India, so what it joins is
 * longer than any cluster that a character map (rewrite.c) looks up whole; it would
 * matter for a second letter that the map changes and a mark of two bytes behind it.
 * boundary.c walks by the cheaper classes of search, which are good enough to
 * part a text for people; a model's tokenizer must see what the library saw that
 * the model was trained with.
 */
#include "postgres.h"

#include "text/grapheme_tables.h"
#include "text/unicode.h"

#define HANGUL_FIRST		0xAC00
#define HANGUL_LAST			0xD7A3
#define HANGUL_NTRAILING	28

static GraphemeClass
class_of(uint32 code)
{
	int			low = 0;
	int			high = lengthof(grapheme_ranges);

	if (code == '\r')
		return GRAPHEME_CR;
	if (code == '\n')
		return GRAPHEME_LF;
	if (code < 0x80)
		return code < ' ' || code == 0x7F ? GRAPHEME_CONTROL : GRAPHEME_OTHER;
	if (code >= HANGUL_FIRST && code <= HANGUL_LAST)
		return (code - HANGUL_FIRST) % HANGUL_NTRAILING == 0 ? GRAPHEME_HANGUL_LV : GRAPHEME_HANGUL_LVT;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (code < grapheme_ranges[middle].first)
			high = middle;
		else if (code > grapheme_ranges[middle].last)
			low = middle + 1;
		else
			return (GraphemeClass) grapheme_ranges[middle].class;
	}
	return GRAPHEME_OTHER;
}

/* Are two parts of a syllable of Hangul one after the other? */
static bool
joins_hangul(GraphemeClass before, GraphemeClass class)
{
	switch (before)
	{
		case GRAPHEME_HANGUL_L:
			return class == GRAPHEME_HANGUL_L || class == GRAPHEME_HANGUL_V ||
				class == GRAPHEME_HANGUL_LV || class == GRAPHEME_HANGUL_LVT;
		case GRAPHEME_HANGUL_LV:
		case GRAPHEME_HANGUL_V:
			return class == GRAPHEME_HANGUL_V || class == GRAPHEME_HANGUL_T;
		case GRAPHEME_HANGUL_LVT:
		case GRAPHEME_HANGUL_T:
			return class == GRAPHEME_HANGUL_T;
		default:
			return false;
	}
}

static bool
is_control(GraphemeClass class)
{
	return class == GRAPHEME_CONTROL || class == GRAPHEME_CR || class == GRAPHEME_LF;
}

/* where in a cluster a walk is */
typedef struct Walk
{
	GraphemeClass before;
	bool		picture;		/* a picture, and nothing but extensions since */
	bool		odd_regional;	/* the first half of a flag */
} Walk;

/* Does the next character belong to the cluster of those before? */
static bool
continues(const Walk *walk, GraphemeClass class)
{
	if (walk->before == GRAPHEME_CR)
		return class == GRAPHEME_LF;
	if (is_control(walk->before) || is_control(class))
		return false;
	if (class == GRAPHEME_EXTEND || class == GRAPHEME_JOINER || class == GRAPHEME_SPACING ||
		walk->before == GRAPHEME_PREPEND)
		return true;
	if (walk->before == GRAPHEME_JOINER && walk->picture && class == GRAPHEME_PICTURE)
		return true;
	if (walk->before == GRAPHEME_REGIONAL && class == GRAPHEME_REGIONAL)
		return walk->odd_regional;
	return joins_hangul(walk->before, class);
}

static void
step(Walk *walk, GraphemeClass class)
{
	if (class != GRAPHEME_EXTEND && class != GRAPHEME_JOINER)
		walk->picture = class == GRAPHEME_PICTURE;
	walk->odd_regional = class == GRAPHEME_REGIONAL && !walk->odd_regional;
	walk->before = class;
}

size_t
memai_grapheme_length(const unsigned char *data, const unsigned char *end)
{
	const unsigned char *next = data;
	const unsigned char *reached;
	Walk		walk = {GRAPHEME_OTHER, false, false};

	/* most are a letter before a letter */
	if (end - data >= 2 && data[0] >= ' ' && data[0] < 0x7F && data[1] >= ' ' && data[1] < 0x7F)
		return 1;
	step(&walk, class_of(memai_utf8_decode(&next, end)));
	for (reached = next; reached < end; next = reached)
	{
		GraphemeClass class = class_of(memai_utf8_decode(&reached, end));

		if (!continues(&walk, class))
			break;
		step(&walk, class);
	}
	return next - data;
}
