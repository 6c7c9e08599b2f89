/*
 * paraphrase.c
 *	  How much of what one statement says in words another says as well.  Pure:
 *	  no allocation, no errors.
 *
 * Jaccard overlap of stems misses rewordings, since the words that people change
 * are those that say least: "owns" for "has", "is called" for "the name is", "is
 * allergic" for "has an allergy".  So words of the same meaning, or of the same
 * root with another ending, are one word here, and words that carry little count
 * little.  Both are known of common words of English, German and Swedish; of
 * other words the stem decides.
 */
#include "postgres.h"

#include "text/text.h"

/* words that only one statement has, to pair with those of the other */
#define MAX_UNPAIRED 32
/* what two words must share to be of one root */
#define ROOT_MIN_BYTES 4

/* what a word counts that says nearly nothing, or little */
#define EMPTY_WEIGHT 0.1
#define LIGHT_WEIGHT 0.25

/* words of one meaning, without accents */
static const struct
{
	double		weight;
	const char *words;
}			meanings[] =
{
	{EMPTY_WEIGHT, " have has had having own owns owned possess possesses hat habe haben hatte besitzt har hade ager "},
	{EMPTY_WEIGHT, " user users customer benutzer nutzer anvandaren kunden "},
	{LIGHT_WEIGHT, " call calls called name named names heter kallas namn heisst name genannt "},
	{LIGHT_WEIGHT, " go goes going went travel travels travelled take takes taking took taken faehrt fahrt nimmt geht aker tar reser "},
	{LIGHT_WEIGHT, " get gets getting got receive receives received bekommt erhalt fick "},
	{LIGHT_WEIGHT, " do does doing did make makes making made practise practises practice practices macht tut gor "},
	{LIGHT_WEIGHT, " place places happen happens "},
	{LIGHT_WEIGHT, " amount amounts total totals "},
	{LIGHT_WEIGHT, " very really quite just currently now also together sehr gerade jetzt auch mycket just nu ocksa "},
	{1.0, " like likes liked liking enjoy enjoys enjoyed prefer prefers preferred preferring favour favours mag bevorzugt gillar foredrar "},
	{1.0, " want wants wanted would wish wishes wished ask asks asked request requests requested mochte will wunscht vill onskar "},
	{1.0, " dislike dislikes disliked hate hates hated detest detests hasst hatar ogillar "},
	{1.0, " manage manages managed lead leads led head heads leitet fuhrt leder "},
	{1.0, " end ends ended expire expires expired finish finishes finished endet slutar "},
	{1.0, " begin begins began start starts started beginnt startet borjar startar "},
	{1.0, " buy buys bought purchase purchases purchased kauft kaufte koper kopte "},
	{1.0, " live lives lived living reside resides resided wohnt lebt bor "},
	{1.0, " speak speaks spoke talk talks talked spricht talar pratar "},
	{1.0, " need needs needed require requires required must braucht behover "},
	{1.0, " fear fears afraid scared angst radd "},
	{1.0, " child children kid kids kind kinder barn "},
	{1.0, " mother mum mom mutter mor mamma "},
	{1.0, " father dad vater far pappa "},
	{1.0, " doctor physician arzt lakare "},
	{1.0, " flat apartment wohnung lagenhet "},
	{1.0, " bike bicycle fahrrad cykel "},
	{1.0, " movie movies film films filme filmer "},
	{1.0, " phone telephone telefon "},
	{1.0, " holiday holidays vacation vacations urlaub semester "},
	{1.0, " work works worked working job arbeitet arbeit arbetar jobbar jobb "},
};

/* endings that make another word of a root without making it mean something else; "" is one, too */
static const char endings[] = " s es e y ic ics al ally ly er ers or ors ing ings ed able ible ability ibility ation ion ist ists ful ness ment ies ied "
"en n t isch lich ung ungen ar are ande ning ningar lig ligt ";

typedef struct Unpaired
{
	double		weight;			/* of all of them */
	int			n;
	const MemaiToken *words[MAX_UNPAIRED];
} Unpaired;

/* Whether a list of words between blanks has this one. */
static bool
lists(const char *list, const char *word, int len)
{
	for (const char *at = list; *at != '\0'; at++)
	{
		if (*at == ' ' && strncmp(at + 1, word, len) == 0 && at[len + 1] == ' ')
			return true;
	}
	return false;
}

/* The number of a word's meaning, or -1. */
static int
meaning_of(const MemaiToken *word)
{
	MemaiToken	bare = *word;

	memai_token_strip_accents(&bare);
	for (size_t i = 0; i < lengthof(meanings); i++)
	{
		if (lists(meanings[i].words, bare.data, bare.len))
			return (int) i;
	}
	return -1;
}

static double
weight_of(const MemaiToken *word)
{
	int			meaning = meaning_of(word);

	return meaning < 0 ? 1.0 : meanings[meaning].weight;
}

static bool
is_ending(const MemaiToken *word, int from)
{
	return from == word->len || lists(endings, word->data + from, word->len - from);
}

static bool
same_root(const MemaiToken *a, const MemaiToken *b)
{
	int			common = 0;

	while (common < Min(a->len, b->len) && a->data[common] == b->data[common])
		common++;
	/* the root may be shorter than what they share: allerg-ic, allerg-y; fluent, fluent-ly */
	for (int root = common; root >= ROOT_MIN_BYTES && root >= common - 1; root--)
	{
		if (is_ending(a, root) && is_ending(b, root))
			return true;
	}
	return false;
}

static bool
means_same(const MemaiToken *a, const MemaiToken *b)
{
	int			meaning = meaning_of(a);

	return meaning >= 0 ? meaning == meaning_of(b) : same_root(a, b);
}

static void
leave(Unpaired *unpaired, const MemaiToken *word)
{
	unpaired->weight += weight_of(word);
	if (unpaired->n < MAX_UNPAIRED)
		unpaired->words[unpaired->n++] = word;
}

/* Pairs what means the same; returns the weight of the pairs. */
static double
pair(Unpaired *left, Unpaired *right)
{
	double		paired = 0;

	for (int i = 0; i < left->n; i++)
	{
		for (int j = 0; j < right->n; j++)
		{
			double		weight;

			if (right->words[j] == NULL || !means_same(left->words[i], right->words[j]))
				continue;
			weight = weight_of(left->words[i]);
			paired += weight;
			left->weight -= weight;
			right->weight -= weight_of(right->words[j]);
			right->words[j] = NULL;
			break;
		}
	}
	return paired;
}

double
memai_text_overlap(int na, const MemaiQueryWord *a, int nb, const MemaiQueryWord *b)
{
	Unpaired	left = {0};
	Unpaired	right = {0};
	double		common = 0;
	int			i = 0;
	int			j = 0;

	while (i < na || j < nb)
	{
		if (j == nb || (i < na && a[i].term < b[j].term))
			leave(&left, &a[i++].word);
		else if (i == na || b[j].term < a[i].term)
			leave(&right, &b[j++].word);
		else
		{
			common += weight_of(&a[i++].word);
			j++;
		}
	}
	common += pair(&left, &right);
	return common > 0 ? common / (common + Max(left.weight, 0) + Max(right.weight, 0)) : 0;
}
