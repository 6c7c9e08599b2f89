/*
 * language.c
 *	  Which language a text is in.  Pure: no allocation, no errors, no server
 *	  state; a table is filled at the first call.
 *
 * The commonest words of a language make up about half of any text in it, so
 * a sentence mostly has some.  Each word of a profile counts one, over the
 * square root of the number of languages that share it ("in", "de"); letters and endings that few
 * languages have count less.  A text speaks another language than the one that
 * is assumed only if it says so clearly: one telling word or two shared ones
 * more than the assumed language has.  Scripts of one language tell at once.
 */
#include "postgres.h"

#include <math.h>

#include "text/language.h"
#include "text/text.h"
#include "text/unicode.h"

#define MAX_WORDS 300
#define TABLE_SLOTS 4096		/* a power of two, more than twice the words */

#define LETTER_WEIGHT 0.5
#define ENDING_WEIGHT 0.35
/* what a language must have, and by how much more than the assumed one */
#define LEAST_WORDS 2			/* a name or a loanword says nothing of a text */
#define LEAST_SCORE 0.55
#define LEAST_LEAD 0.4

#define BIT(language) (1U << (language))

/* the commonest words, case folded; what English shares must stand there too */
static const char *const profiles[LANGUAGE_COUNT] = {
	[LANGUAGE_ENGLISH] = "the of and to a in is it you that he was for on are with as i his they be at one have this from or had by "
	"but what some we can out other were all there when up use your how said an each she which do their time if will way about many "
	"then them would like so these her him has more could go did my no me been who its now find any am our us not over just into "
	"men man den mine under also war hat fast come era son don't it's i'm where why does really here yes much very too after before "
	"than because most well back only even new want first day good great get got got know think take see make made going really let "
	"live lives love favourite favorite plan please with off never always every someone something anything thanks thank hey hi bin "
	"far store gang bog barn hem god lever vet glad fire sex mars mat tar lie",
	[LANGUAGE_SWEDISH] = "och att det är jag som en på han av för med ett den var inte de i till om så men hon kan man sig har du sin nu "
	"från skulle vad då hade över efter vi mig ut vilken dem hur alla blev någon något några oss varit mycket min mitt mina din ditt dina "
	"bara finns fick när här där vill måste eller också sedan utan under mellan ska kommer gör går bor heter tycker igår idag imorgon "
	"aldrig alltid ingen inget inga varför vem vart hej tack ja nej kunde gillar sitt sina deras vår vårt våra ha vara är ni er era "
	"in upp mer än innan hos åt två tre eftersom redan kanske själv varje honom henne icke jobbar "
	"igen dag år kom bror mor far tror skriver barn vet får ses stor ny nya gammal gamla pengar vecka månad böcker bok mat tar ger "
	"säger arbetar dricker äter köper läser kör reser behöver tänker känner gick sade kallar använder fortfarande sista nästa gång "
	"hjälp hjälpa spelar komma ser hittar håller står sitter ligger bättre bäst liten därför hem hemma ofta tillsammans första "
	"flera syster sover ikväll morgon kväll ganska nästan tillbaka veckan åka åker bodde måndag tisdag onsdag torsdag fredag "
	"lördag söndag maj mars fyra fem sex sju åtta nio tio",
	[LANGUAGE_GERMAN] = "der die das und ist in den von zu mit sich auf für nicht es im dem eine ein als auch an er hat aus bei sie nach wird "
	"einen um am sind wie einer war haben nur oder aber vor zur bis mehr durch man sein werden so ich wir ihr mich dir mir du uns "
	"wenn noch kann keine kein keinen was wo wer warum wann hier dort sehr schon immer dann doch mein meine meinen meiner dein deine "
	"seine ihre ihren unser unsere über unter zum vom ins jetzt heute gestern morgen habe hast bin bist seid hatte hatten wurde waren "
	"muss soll will möchte gern gerne weil dass daß ja nein nichts etwas viel alle diese dieser dieses eines einem jeden mag also wohnt "
	"reise mai komme gang",
	[LANGUAGE_DANISH] = "og i jeg det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun nu over "
	"da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne ind når være kom noget ville jo deres efter ned "
	"skulle denne end dette mit også under have dig anden hende mine alt meget sit sine vor mod disse hvis din nogle hos blive mange ad "
	"bliver hendes været thi jer sådan altid aldrig ingen intet hvem hvorfor hvordan tak nej ja lige godt synes gør går kan bor igen lidt "
	"efter mellem uden hedder dag "
	"gerne flere første gammel gamle hjem hjemme år siden fordi får begge hvilken nogen aften ved to tre drikker spiser køber "
	"læser skriver kører rejser mens dage måned uge penge bøger bog sammen ofte tror tænker elsker lever fik gik sagde kalder "
	"arbejder siger tager giver bruger kender børn måske mere stadig jeres vej altså sidste næste hver hvert gang søster bror mor "
	"far venner hjælp hjælpe spiller brug lide komme taler ser finder holder står sidder ligger skrev gav så både bedre bedst "
	"lille stor store ny nye god gode tæt glad derfor desuden arbejde rejse inden allerede vores hele dit dine ses maj marts fire "
	"fem seks syv otte mandag tirsdag onsdag torsdag fredag lørdag søndag",
	[LANGUAGE_NORWEGIAN] = "og i jeg det at en et den til er som på de med han av ikke der så var meg seg men ett har om vi min mitt ha hadde hun nå "
	"over da ved fra du ut sin dem oss opp man kan hans hvor eller hva skal selv her alle vil bli ble blitt kunne inn når være kom noen noe "
	"ville dere deres kun ja etter ned skulle denne for deg si sine sitt mot å meget hvorfor dette disse uten hvordan ingen din ditt blir samme "
	"hvilken hvilke sånn inni mellom vår hver hvem vors hvis både bare fordi før mange også slik vært være begge siden dagen aldri alltid takk "
	"nei gjør går bor liker veldig mye heter igjen jobber litt "
	"gjerne flere første gammel gamle hjem hjemme år to tre drikker spiser kjøper leser skriver kjører reiser mens dag dager måned "
	"uke penger bøker bok sammen ofte tror tenker elsker lever fikk gikk sa kaller arbeider sier tar gir bruker kjenner barn "
	"kanskje mer fortsatt hei vei altså siste neste kveld søster søsteren bror broren mor far venner hjelp hjelpe spiller trenger "
	"komme snakker ser finner holder står sitter ligger skrev ga bedre best liten lille stor store ny nye god gode glad derfor "
	"dessuten arbeid reise gang hele allerede vet må jobben innen tilbake ganske nesten stund morgen ettermiddag mine dine mi di "
	"ses mai mars fire fem seks syv sju åtte bodd fjor mandag tirsdag onsdag torsdag fredag lørdag søndag",
	[LANGUAGE_DUTCH] = "de en van ik te dat die in een hij het niet zijn is was op aan met als voor had er maar om hem dan zou of wat mijn men dit zo "
	"door over ze zich bij ook tot je mij uit der daar haar naar heb hoe heeft hebben deze u want nog zal me zij nu ge geen omdat iets "
	"worden toch al waren veel meer doen toen moet ben zonder kan hun dus alles onder ja eens hier wie werd altijd doch wordt wezen kunnen "
	"ons zelf tegen na reeds wil kon niets uw iemand geweest andere wij jij jullie onze waar waarom wanneer heel graag vandaag gisteren "
	"we samen morgen woont gaat gaan goed nooit nee bent "
	"dag brug mens lever",
	[LANGUAGE_FRENCH] = "le la les de des du un une et est en que qui dans pour pas sur au aux avec ce se il elle je tu nous vous ils elles on ne plus "
	"par son sa ses mon ma mes ton ta tes notre votre leur leurs cette ces mais ou où si sont été être avoir fait comme tout tous toute "
	"même aussi très bien sans sous entre après avant depuis quand quoi quel quelle comment pourquoi parce jamais toujours rien encore "
	"était avait ont ai as suis es sommes êtes c'est j'ai n'est qu'il qu'elle d'un d'une l'on s'est y lui moi toi deux peut faire va aime "
	"chez hier demain aujourd'hui à habite non oui merci "
	"mer mai mars lever",
	[LANGUAGE_SPANISH] = "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin sobre este ya entre "
	"cuando todo esta ser son dos también fue había era muy hasta desde está mi porque qué sólo han yo hay vez puede todos así nos ni "
	"parte tiene él uno donde bien tiempo mismo ese ahora cada vida otro después te otros aunque esa eso hace otra gobierno tan durante "
	"siempre día tanto ella tres sí dijo sido gran según menos mundo nunca nada estoy estaba tengo mis tu tus quiero dónde quién cómo "
	"cuándo gusta será vive hoy ayer mañana años gracias nuestro nuestra ellos usted",
	[LANGUAGE_PORTUGUESE] = "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser quando "
	"muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus quem nas me esse eles estão você "
	"tinha foram essa num nem suas meu às minha têm numa pelos elas havia seja qual será nós tenho lhe deles essas esses pelas este "
	"fosse dele tu te vocês vos lhes meus minhas teu tua onde porque gosta gosto hoje ontem amanhã sempre nunca nada tudo fazer vou vai "
	"sim obrigado obrigada mora estou aqui ainda agora bem são para sobre vez sou sob pode podes dia ano anos todos toda era eram",
	[LANGUAGE_ITALIAN] = "di e il la che è un a per in una mi sono ho non ma lo ha le si ti i con cosa se io come da ci no questo hai sei del bene tu sì "
	"me tutto della mia più gli quando qui perché dei lui era fare suo alla mio questa te ne anche solo molto sua dove stato grazie "
	"sempre mai niente delle al nel nella c'è loro essere fatto o su tuo anni chi quello noi tra fra dopo prima ogni oggi ieri domani "
	"senza sui puoi può sulla sotto poi ci sarà volta volte giorno l'ho un'altra dell'anno degli agli nei alle piace vive abita siamo siete hanno aveva ancora adesso già così nostro nostra lei voi quale "
	"tre",
	[LANGUAGE_FINNISH] = "ja on ei että se hän oli ovat mutta kun en minä sinä me te he niin kuin myös jos tai joka mikä mitä tämä tuo nyt vain olla "
	"ole olen olet olemme olette minun sinun hänen meidän teidän heidän siitä siinä sitä sen sille ne nämä nuo jo vielä sitten hyvin "
	"aina koska missä mihin milloin miksi kuka kaikki paljon enemmän vai eikä mukaan jälkeen ennen kanssa ilman yli alla minulla sinulla "
	"hänellä tänään eilen huomenna kiitos kyllä pitää asuu haluan voi olisi oliko onko joo täällä siellä minua minulle häntä meillä",
	[LANGUAGE_HUNGARIAN] = "a az és hogy nem is egy ez van volt meg de csak már el még ha én te ő mi ti ők azt ezt mint vagy fel le ki be aki ami mert "
	"kell lesz sem minden nagyon itt ott most akkor majd olyan ilyen mindig soha semmi valami valaki hol mikor miért hogyan milyen "
	"lehet tud fog után előtt alatt között szerint nélkül igen köszönöm jó nekem neked neki vagyok vagy vannak voltam volna lenne "
	"ma tegnap holnap két sok több szeretem szereti lakik utca magyar év az aztán pedig amely",
	[LANGUAGE_ROMANIAN] = "și în de la a cu pe nu este o un că ce din mai se să pentru care sunt am fost au fi ca el ea eu noi voi ei ele dar sau "
	"iar cum când unde cine după înainte prin până fără despre foarte mult multe toate tot acest această aceasta acum aici acolo "
	"meu mea mei mele tău ta său sa lor nostru noastră lui îi îmi îți le ne vă te mă cel cea cei cele era erau avea are ai avem aveți "
	"azi ieri mâine da mulțumesc bine locuiește nici doar deja încă vreau place ani si sint",
	[LANGUAGE_TURKISH] = "bir ve bu da de için ile çok o ne daha var mi mı ama gibi ben sen biz siz onlar kadar olarak olan sonra önce her şey "
	"değil ki en hiç yok oldu olduğu vardı ise ya şu nasıl neden niçin kim nerede zaman bugün dün yarın benim senin onun bizim sizin "
	"bana sana ona bize size onu beni seni şimdi iyi güzel evet hayır teşekkürler teşekkür istiyorum ediyor etti etmek yaşıyor gidiyor "
	"seviyor seviyorum olur oluyor musun mısın tüm bütün bazı veya hem diye göre yeni iki üç sadece",
};

/* letters that tell Latin languages apart */
static const struct
{
	const char *letter;
	uint32		languages;
}			letters[] =
{
	{"ß", BIT(LANGUAGE_GERMAN)},
	{"ü", BIT(LANGUAGE_GERMAN) | BIT(LANGUAGE_TURKISH) | BIT(LANGUAGE_HUNGARIAN)},
	{"å", BIT(LANGUAGE_SWEDISH) | BIT(LANGUAGE_DANISH) | BIT(LANGUAGE_NORWEGIAN)},
	{"ä", BIT(LANGUAGE_SWEDISH) | BIT(LANGUAGE_GERMAN) | BIT(LANGUAGE_FINNISH)},
	{"ö", BIT(LANGUAGE_SWEDISH) | BIT(LANGUAGE_GERMAN) | BIT(LANGUAGE_FINNISH) | BIT(LANGUAGE_HUNGARIAN) | BIT(LANGUAGE_TURKISH)},
	{"æ", BIT(LANGUAGE_DANISH) | BIT(LANGUAGE_NORWEGIAN)},
	{"ø", BIT(LANGUAGE_DANISH) | BIT(LANGUAGE_NORWEGIAN)},
	{"ñ", BIT(LANGUAGE_SPANISH)},
	{"ã", BIT(LANGUAGE_PORTUGUESE)},
	{"õ", BIT(LANGUAGE_PORTUGUESE)},
	{"ç", BIT(LANGUAGE_FRENCH) | BIT(LANGUAGE_PORTUGUESE) | BIT(LANGUAGE_TURKISH)},
	{"ő", BIT(LANGUAGE_HUNGARIAN)},
	{"ű", BIT(LANGUAGE_HUNGARIAN)},
	{"ğ", BIT(LANGUAGE_TURKISH)},
	{"ı", BIT(LANGUAGE_TURKISH)},
	{"ş", BIT(LANGUAGE_TURKISH) | BIT(LANGUAGE_ROMANIAN)},
	{"ș", BIT(LANGUAGE_ROMANIAN)},
	{"ț", BIT(LANGUAGE_ROMANIAN)},
	{"ă", BIT(LANGUAGE_ROMANIAN)},
	{"î", BIT(LANGUAGE_ROMANIAN) | BIT(LANGUAGE_FRENCH)},
	{"ê", BIT(LANGUAGE_FRENCH) | BIT(LANGUAGE_PORTUGUESE)},
	{"è", BIT(LANGUAGE_FRENCH) | BIT(LANGUAGE_ITALIAN)},
	{"ù", BIT(LANGUAGE_FRENCH) | BIT(LANGUAGE_ITALIAN)},
	{"ò", BIT(LANGUAGE_ITALIAN)},
	{"œ", BIT(LANGUAGE_FRENCH)},
};

/* endings of four letters or more, of words that are longer */
static const struct
{
	const char *ending;
	uint32		languages;
}			endings[] =
{
	{"ingen", BIT(LANGUAGE_SWEDISH) | BIT(LANGUAGE_NORWEGIAN) | BIT(LANGUAGE_DANISH) | BIT(LANGUAGE_DUTCH)},
	{"arna", BIT(LANGUAGE_SWEDISH)}, {"orna", BIT(LANGUAGE_SWEDISH)}, {"erna", BIT(LANGUAGE_SWEDISH)},
	{"lig", BIT(LANGUAGE_SWEDISH) | BIT(LANGUAGE_NORWEGIAN) | BIT(LANGUAGE_DANISH)},
	{"ningen", BIT(LANGUAGE_SWEDISH) | BIT(LANGUAGE_NORWEGIAN) | BIT(LANGUAGE_DANISH)},
	{"skt", BIT(LANGUAGE_SWEDISH)}, {"kk", BIT(LANGUAGE_NORWEGIAN)}, {"sjon", BIT(LANGUAGE_NORWEGIAN)}, {"sjonen", BIT(LANGUAGE_NORWEGIAN)},
	{"ede", BIT(LANGUAGE_DANISH) | BIT(LANGUAGE_DUTCH)}, {"ejse", BIT(LANGUAGE_DANISH)}, {"ejde", BIT(LANGUAGE_DANISH)}, {"ungen", BIT(LANGUAGE_GERMAN)}, {"lich", BIT(LANGUAGE_GERMAN)},
	{"liche", BIT(LANGUAGE_GERMAN)}, {"keit", BIT(LANGUAGE_GERMAN)}, {"heit", BIT(LANGUAGE_GERMAN)},
	{"isch", BIT(LANGUAGE_GERMAN)}, {"schaft", BIT(LANGUAGE_GERMAN)}, {"erne", BIT(LANGUAGE_DANISH)},
	{"ene", BIT(LANGUAGE_NORWEGIAN) | BIT(LANGUAGE_DANISH)}, {"lijk", BIT(LANGUAGE_DUTCH)}, {"heid", BIT(LANGUAGE_DUTCH)}, {"tje", BIT(LANGUAGE_DUTCH)},
	{"ement", BIT(LANGUAGE_FRENCH)}, {"eux", BIT(LANGUAGE_FRENCH)}, {"euse", BIT(LANGUAGE_FRENCH)},
	{"aient", BIT(LANGUAGE_FRENCH)}, {"ción", BIT(LANGUAGE_SPANISH)}, {"dad", BIT(LANGUAGE_SPANISH)},
	{"mente", BIT(LANGUAGE_SPANISH) | BIT(LANGUAGE_PORTUGUESE) | BIT(LANGUAGE_ITALIAN)},
	{"ção", BIT(LANGUAGE_PORTUGUESE)}, {"dade", BIT(LANGUAGE_PORTUGUESE)}, {"zione", BIT(LANGUAGE_ITALIAN)},
	{"tà", BIT(LANGUAGE_ITALIAN)}, {"ssa", BIT(LANGUAGE_FINNISH)}, {"ssä", BIT(LANGUAGE_FINNISH)}, {"lla", BIT(LANGUAGE_FINNISH)},
	{"llä", BIT(LANGUAGE_FINNISH)}, {"lle", BIT(LANGUAGE_FINNISH)}, {"sta", BIT(LANGUAGE_FINNISH)}, {"stä", BIT(LANGUAGE_FINNISH)}, {"mme", BIT(LANGUAGE_FINNISH)}, {"nen", BIT(LANGUAGE_FINNISH)}, {"ban", BIT(LANGUAGE_HUNGARIAN)}, {"ben", BIT(LANGUAGE_HUNGARIAN)},
	{"nak", BIT(LANGUAGE_HUNGARIAN)}, {"nek", BIT(LANGUAGE_HUNGARIAN)}, {"ului", BIT(LANGUAGE_ROMANIAN)}, {"ește", BIT(LANGUAGE_ROMANIAN)},
	{"lar", BIT(LANGUAGE_TURKISH)}, {"ler", BIT(LANGUAGE_TURKISH)}, {"yor", BIT(LANGUAGE_TURKISH)}, {"ın", BIT(LANGUAGE_TURKISH)},
	{"ing", BIT(LANGUAGE_ENGLISH)}, {"tion", BIT(LANGUAGE_ENGLISH) | BIT(LANGUAGE_FRENCH)}, {"ed", BIT(LANGUAGE_ENGLISH)}, {"ly", BIT(LANGUAGE_ENGLISH)},
};

/* blocks of letters that one language here uses, or none that has a stemmer */
static const struct
{
	uint32		first;
	uint32		last;
	MemaiLanguage language;
}			scripts[] =
{
	{0x0370, 0x03FF, LANGUAGE_GREEK}, {0x1F00, 0x1FFF, LANGUAGE_GREEK},
	{0x0400, 0x052F, LANGUAGE_RUSSIAN},
	{0x0530, 0x058F, LANGUAGE_ARMENIAN},
	{0x0600, 0x06FF, LANGUAGE_ARABIC}, {0x0750, 0x077F, LANGUAGE_ARABIC},
	{0x0900, 0x097F, LANGUAGE_HINDI},
	{0x0B80, 0x0BFF, LANGUAGE_TAMIL},
	{0x0590, 0x05FF, LANGUAGE_SIMPLE},	/* Hebrew */
	{0x0980, 0x0B7F, LANGUAGE_SIMPLE},	/* Bengali to Oriya */
	{0x0C00, 0x0DFF, LANGUAGE_SIMPLE},	/* Telugu to Sinhala */
	{0x0E00, 0x11FF, LANGUAGE_SIMPLE},	/* Thai to Hangul Jamo */
	{0x2E80, 0xD7FF, LANGUAGE_SIMPLE},	/* Chinese, Japanese, Korean */
	{0xF900, 0xFAFF, LANGUAGE_SIMPLE}, {0x20000, 0x3FFFF, LANGUAGE_SIMPLE},
};

static const struct
{
	const char *name;
	const char *code;
}			names[LANGUAGE_COUNT] =
{
	[LANGUAGE_SIMPLE] = {"simple", ""}, [LANGUAGE_ENGLISH] = {"english", "en"}, [LANGUAGE_SWEDISH] = {"swedish", "sv"},
	[LANGUAGE_GERMAN] = {"german", "de"}, [LANGUAGE_DANISH] = {"danish", "da"}, [LANGUAGE_NORWEGIAN] = {"norwegian", "no"},
	[LANGUAGE_DUTCH] = {"dutch", "nl"}, [LANGUAGE_FRENCH] = {"french", "fr"}, [LANGUAGE_SPANISH] = {"spanish", "es"},
	[LANGUAGE_PORTUGUESE] = {"portuguese", "pt"}, [LANGUAGE_ITALIAN] = {"italian", "it"}, [LANGUAGE_FINNISH] = {"finnish", "fi"},
	[LANGUAGE_HUNGARIAN] = {"hungarian", "hu"}, [LANGUAGE_ROMANIAN] = {"romanian", "ro"}, [LANGUAGE_TURKISH] = {"turkish", "tr"},
	[LANGUAGE_RUSSIAN] = {"russian", "ru"}, [LANGUAGE_ARABIC] = {"arabic", "ar"}, [LANGUAGE_GREEK] = {"greek", "el"},
	[LANGUAGE_HINDI] = {"hindi", "hi"}, [LANGUAGE_TAMIL] = {"tamil", "ta"}, [LANGUAGE_ARMENIAN] = {"armenian", "hy"},
	[LANGUAGE_BASQUE] = {"basque", "eu"}, [LANGUAGE_CATALAN] = {"catalan", "ca"}, [LANGUAGE_INDONESIAN] = {"indonesian", "id"},
	[LANGUAGE_IRISH] = {"irish", "ga"}, [LANGUAGE_LITHUANIAN] = {"lithuanian", "lt"}, [LANGUAGE_NEPALI] = {"nepali", "ne"},
	[LANGUAGE_SERBIAN] = {"serbian", "sr"}, [LANGUAGE_YIDDISH] = {"yiddish", "yi"},
};

/* a word of one or more profiles */
typedef struct ProfileWord
{
	const char *data;			/* NULL: free */
	int			len;
	uint32		languages;
} ProfileWord;

static ProfileWord table[TABLE_SLOTS];
static bool table_filled = false;

const char *
memai_language_name(int language)
{
	return language > 0 && language < LANGUAGE_COUNT ? names[language].name : NULL;
}

int
memai_language_by_name(const char *name, size_t len)
{
	for (int i = 1; i < LANGUAGE_COUNT; i++)
	{
		if ((strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0) ||
			(len > 0 && strlen(names[i].code) == len && memcmp(names[i].code, name, len) == 0))
			return i;
	}
	return -1;
}

/* ---- the table of words ---- */

static ProfileWord *
find_word(const char *data, int len)
{
	uint32		hash = 2166136261U;
	uint32		slot;

	for (int i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) data[i]) * 16777619U;
	for (slot = hash & (TABLE_SLOTS - 1); table[slot].data != NULL; slot = (slot + 1) & (TABLE_SLOTS - 1))
	{
		if (table[slot].len == len && memcmp(table[slot].data, data, len) == 0)
			break;
	}
	return &table[slot];
}

static void
fill_table(void)
{
	for (int language = 0; language < LANGUAGE_COUNT; language++)
	{
		const char *word = profiles[language];

		while (word != NULL && *word != '\0')
		{
			int			len = (int) strcspn(word, " ");
			ProfileWord *slot = find_word(word, len);

			slot->data = word;
			slot->len = len;
			slot->languages |= BIT(language);
			word += len + strspn(word + len, " ");
		}
	}
	table_filled = true;
}

/* ---- evidence ---- */

/* Evidence for a set of languages; the more of them, the less for each. */
static void
add_evidence(double *scores, uint32 languages, double weight)
{
	int			n = 0;

	for (int i = 0; i < LANGUAGE_COUNT; i++)
		n += (languages >> i) & 1;
	for (int i = 0; i < LANGUAGE_COUNT; i++)
	{
		if ((languages >> i) & 1)
			scores[i] += weight / sqrt(n);
	}
}

/* Counts the letters of a script that tells; true when the word is Latin. */
static bool
add_script(double *scores, const MemaiToken *token)
{
	const unsigned char *next = (const unsigned char *) token->data;
	uint32		code = memai_utf8_decode(&next, next + token->len);

	for (size_t i = 0; i < lengthof(scripts); i++)
	{
		if (code >= scripts[i].first && code <= scripts[i].last)
		{
			scores[scripts[i].language] += 1.0;
			return false;
		}
	}
	return true;
}

static bool
ends_with(const MemaiToken *token, const char *ending)
{
	int			len = (int) strlen(ending);

	return token->len > len + 2 && memcmp(token->data + token->len - len, ending, len) == 0;
}

static bool
has_letter(const MemaiToken *token, const char *letter)
{
	/* all of them take two bytes */
	for (int i = 0; i + 1 < token->len; i++)
	{
		if (token->data[i] == letter[0] && token->data[i + 1] == letter[1])
			return true;
	}
	return false;
}

static bool
is_ascii(const MemaiToken *token)
{
	for (int i = 0; i < token->len; i++)
	{
		if ((unsigned char) token->data[i] >= 0x80)
			return false;
	}
	return true;
}

/* True when the word is Latin. */
static bool
add_word(double *scores, const MemaiToken *token)
{
	const ProfileWord *known;

	if (!add_script(scores, token))
		return false;
	known = find_word(token->data, token->len);
	if (known->data != NULL)
		add_evidence(scores, known->languages, 1.0);
	for (size_t i = 0; i < lengthof(endings) && known->data == NULL; i++)
	{
		if (ends_with(token, endings[i].ending))
			add_evidence(scores, endings[i].languages, ENDING_WEIGHT);
	}
	for (size_t i = 0; i < lengthof(letters) && !is_ascii(token); i++)
	{
		if (has_letter(token, letters[i].letter))
			add_evidence(scores, letters[i].languages, LETTER_WEIGHT);
	}
	return true;
}

/* Adds a word, and one to the words that speak for a language where it does. */
static void
count_word(double *scores, int *words, const MemaiToken *token)
{
	double		before[LANGUAGE_COUNT];
	bool		is_latin;

	memcpy(before, scores, sizeof(before));
	is_latin = add_word(scores, token);
	for (int i = 0; i < LANGUAGE_COUNT; i++)
	{
		if (scores[i] > before[i])
			words[i] += is_latin ? 1 : LEAST_WORDS;
	}
}

/* The best scored; neighbours that can hardly be told apart stem each other better than a stranger does. */
static MemaiLanguage
judge(const double *scores, const int *words, MemaiLanguage in_doubt)
{
	int			best = 0;

	for (int i = 1; i < LANGUAGE_COUNT; i++)
	{
		if (scores[i] > scores[best])
			best = i;
	}
	if (words[best] < LEAST_WORDS || scores[best] < LEAST_SCORE || scores[best] < scores[in_doubt] + LEAST_LEAD)
		return in_doubt;
	return (MemaiLanguage) best;
}

MemaiLanguage
memai_language_detect(const char *utf8, size_t len, MemaiLanguage in_doubt)
{
	double		scores[LANGUAGE_COUNT] = {0};
	int			words[LANGUAGE_COUNT] = {0};
	MemaiTokeniser tokeniser;
	MemaiToken	token;
	int			n = 0;

	if (!table_filled)
		fill_table();
	memai_tokeniser_start(&tokeniser, utf8, len);
	while (n++ < MAX_WORDS && memai_tokeniser_next(&tokeniser, &token))
		count_word(scores, words, &token);
	return judge(scores, words, in_doubt);
}
