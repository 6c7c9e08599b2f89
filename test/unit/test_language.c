/* sources: src/text/language.c src/text/tokenise.c src/text/unicode.c */
/*
 * test_language.c
 *	  Telling languages apart: twenty sentences each, as people tell them to an
 *	  assistant, and what has no language.  Prints the share that was told.
 */
#include "postgres.h"

#include "tap.h"
#include "text/language.h"

#define SENTENCES 20

static const struct
{
	MemaiLanguage language;
	int			least;			/* of SENTENCES that must be told */
	const char *sentences[SENTENCES];
}			corpus[] =
{
	{LANGUAGE_ENGLISH, 20, {
			"I moved to Boston last spring.", "My sister works as a nurse in a children's hospital.",
			"She never drinks coffee after lunch.", "We are planning a trip to Norway in July.",
			"Please remind me to call the dentist tomorrow.", "His favourite film is an old western.",
			"They adopted two cats from the shelter.", "I am allergic to peanuts and shellfish.",
			"The meeting was moved to Thursday afternoon.", "Does he still live near the station?",
			"My car broke down on the way home.", "I prefer aisle seats on long flights.",
			"Her birthday is on the third of May.", "Can you recommend a book about gardens?",
			"We painted the kitchen yellow.", "I have been learning the violin for six years.",
			"Grandpa told us stories about the war.", "The train to Oslo was late again.",
			"Wow, Oscar!", "So glad that you made it, Carlo!"}},
	{LANGUAGE_SWEDISH, 19, {
			"Jag flyttade till Malmö i våras.", "Min syster arbetar som sjuksköterska.",
			"Hon dricker aldrig kaffe efter lunch.", "Vi planerar en resa till Norge i juli.",
			"Påminn mig om att ringa tandläkaren imorgon.", "Hans favoritfilm är en gammal western.",
			"De har två katter och en hund.", "Jag är allergisk mot nötter.",
			"Mötet flyttades till torsdag eftermiddag.", "Bor han fortfarande nära stationen?",
			"Bilen gick sönder på vägen hem.", "Jag föredrar att sitta vid gången.",
			"Hennes födelsedag är den tredje maj.", "Kan du rekommendera en bok om trädgårdar?",
			"Vi målade köket gult.", "Jag har spelat fiol i sex år.",
			"Morfar berättade om kriget.", "Tåget till Oslo var försenat igen.",
			"Vad heter hundarna?", "Det blir svårt utan hjälp."}},
	{LANGUAGE_GERMAN, 19, {
			"Ich bin im Frühling nach München gezogen.", "Meine Schwester arbeitet als Krankenschwester.",
			"Sie trinkt nach dem Mittagessen keinen Kaffee.", "Wir planen eine Reise nach Norwegen im Juli.",
			"Erinnere mich daran, morgen den Zahnarzt anzurufen.", "Sein Lieblingsfilm ist ein alter Western.",
			"Sie haben zwei Katzen und einen Hund.", "Ich bin gegen Nüsse allergisch.",
			"Die Besprechung wurde auf Donnerstag verschoben.", "Wohnt er noch in der Nähe vom Bahnhof?",
			"Das Auto ist auf dem Heimweg kaputtgegangen.", "Ich sitze im Flugzeug lieber am Gang.",
			"Ihr Geburtstag ist am dritten Mai.", "Kannst du ein Buch über Gärten empfehlen?",
			"Wir haben die Küche gelb gestrichen.", "Ich lerne seit sechs Jahren Geige.",
			"Opa hat vom Krieg erzählt.", "Der Zug nach Oslo hatte wieder Verspätung.",
			"Wie heißen die Hunde?", "Ohne Hilfe wird es schwierig."}},
	{LANGUAGE_DANISH, 18, {
			"Jeg flyttede til Aarhus i foråret.", "Min søster arbejder som sygeplejerske.",
			"Hun drikker aldrig kaffe efter frokost.", "Vi planlægger en rejse til Norge i juli.",
			"Mind mig om at ringe til tandlægen i morgen.", "Hans yndlingsfilm er en gammel western.",
			"De har to katte og en hund.", "Jeg er allergisk over for nødder.",
			"Mødet blev flyttet til torsdag eftermiddag.", "Bor han stadig tæt på stationen?",
			"Bilen gik i stykker på vej hjem.", "Jeg foretrækker at sidde ved gangen.",
			"Hendes fødselsdag er den tredje maj.", "Kan du anbefale en bog om haver?",
			"Vi malede køkkenet gult.", "Jeg har spillet violin i seks år.",
			"Morfar fortalte om krigen.", "Toget til Oslo var forsinket igen.",
			"Hvad hedder hundene?", "Det bliver svært uden hjælp."}},
	{LANGUAGE_NORWEGIAN, 13, {
			"Jeg flyttet til Bergen i vår.", "Søsteren min jobber som sykepleier.",
			"Hun drikker aldri kaffe etter lunsj.", "Vi planlegger en reise til Sverige i juli.",
			"Minn meg på å ringe tannlegen i morgen.", "Favorittfilmen hans er en gammel western.",
			"De har to katter og en hund.", "Jeg er allergisk mot nøtter.",
			"Møtet ble flyttet til torsdag ettermiddag.", "Bor han fortsatt i nærheten av stasjonen?",
			"Bilen gikk i stykker på vei hjem.", "Jeg foretrekker å sitte ved midtgangen.",
			"Bursdagen hennes er den tredje mai.", "Kan du anbefale en bok om hager?",
			"Vi malte kjøkkenet gult.", "Jeg har spilt fiolin i seks år.",
			"Morfar fortalte om krigen.", "Toget til Oslo var forsinket igjen.",
			"Hva heter hundene?", "Det blir vanskelig uten hjelp."}},
	{LANGUAGE_DUTCH, 18, {
			"Ik ben in het voorjaar naar Utrecht verhuisd.", "Mijn zus werkt als verpleegster.",
			"Ze drinkt nooit koffie na de lunch.", "We plannen een reis naar Noorwegen in juli.",
			"Herinner me eraan morgen de tandarts te bellen.", "Zijn lievelingsfilm is een oude western.",
			"Ze hebben twee katten en een hond.", "Ik ben allergisch voor noten.",
			"De vergadering is verplaatst naar donderdag.", "Woont hij nog dicht bij het station?",
			"De auto ging kapot op weg naar huis.", "Ik zit liever aan het gangpad.",
			"Haar verjaardag is op drie mei.", "Kun je een boek over tuinen aanraden?",
			"We hebben de keuken geel geverfd.", "Ik speel al zes jaar viool.",
			"Opa vertelde over de oorlog.", "De trein naar Oslo was weer te laat.",
			"Hoe heten de honden?", "Het wordt moeilijk zonder hulp."}},
	{LANGUAGE_FRENCH, 19, {
			"J'ai déménagé à Lyon au printemps.", "Ma sœur travaille comme infirmière.",
			"Elle ne boit jamais de café après le déjeuner.", "Nous préparons un voyage en Norvège en juillet.",
			"Rappelle-moi d'appeler le dentiste demain.", "Son film préféré est un vieux western.",
			"Ils ont deux chats et un chien.", "Je suis allergique aux noix.",
			"La réunion est reportée à jeudi.", "Habite-t-il encore près de la gare ?",
			"La voiture est tombée en panne sur le chemin.", "Je préfère être assis côté couloir.",
			"Son anniversaire est le trois mai.", "Peux-tu me conseiller un livre sur les jardins ?",
			"Nous avons peint la cuisine en jaune.", "J'apprends le violon depuis six ans.",
			"Grand-père nous a parlé de la guerre.", "Le train pour Oslo était encore en retard.",
			"Comment s'appellent les chiens ?", "Ce sera difficile sans aide."}},
	{LANGUAGE_SPANISH, 16, {
			"Me mudé a Sevilla en primavera.", "Mi hermana trabaja como enfermera.",
			"Ella nunca toma café después de comer.", "Estamos preparando un viaje a Noruega en julio.",
			"Recuérdame llamar al dentista mañana.", "Su película favorita es un viejo western.",
			"Tienen dos gatos y un perro.", "Soy alérgico a las nueces.",
			"La reunión se ha cambiado al jueves.", "¿Vive todavía cerca de la estación?",
			"El coche se averió de camino a casa.", "Prefiero los asientos de pasillo.",
			"Su cumpleaños es el tres de mayo.", "¿Puedes recomendarme un libro sobre jardines?",
			"Pintamos la cocina de amarillo.", "Llevo seis años aprendiendo el violín.",
			"El abuelo nos habló de la guerra.", "El tren a Oslo llegó tarde otra vez.",
			"¿Cómo se llaman los perros?", "Será difícil sin ayuda."}},
	{LANGUAGE_PORTUGUESE, 16, {
			"Mudei para o Porto na primavera.", "A minha irmã trabalha como enfermeira.",
			"Ela nunca bebe café depois do almoço.", "Estamos a planear uma viagem à Noruega em julho.",
			"Lembra-me de ligar ao dentista amanhã.", "O filme favorito dele é um velho western.",
			"Eles têm dois gatos e um cão.", "Sou alérgico a nozes.",
			"A reunião foi adiada para quinta-feira.", "Ele ainda mora perto da estação?",
			"O carro avariou no caminho para casa.", "Prefiro os lugares do corredor.",
			"O aniversário dela é no dia três de maio.", "Podes recomendar um livro sobre jardins?",
			"Pintámos a cozinha de amarelo.", "Estudo violino há seis anos.",
			"O avô falou-nos da guerra.", "O comboio para Oslo estava outra vez atrasado.",
			"Como se chamam os cães?", "Vai ser difícil sem ajuda."}},
	{LANGUAGE_ITALIAN, 16, {
			"Mi sono trasferito a Torino in primavera.", "Mia sorella lavora come infermiera.",
			"Lei non beve mai caffè dopo pranzo.", "Stiamo preparando un viaggio in Norvegia a luglio.",
			"Ricordami di chiamare il dentista domani.", "Il suo film preferito è un vecchio western.",
			"Hanno due gatti e un cane.", "Sono allergico alle noci.",
			"La riunione è stata spostata a giovedì.", "Abita ancora vicino alla stazione?",
			"La macchina si è rotta sulla strada di casa.", "Preferisco i posti sul corridoio.",
			"Il suo compleanno è il tre maggio.", "Puoi consigliarmi un libro sui giardini?",
			"Abbiamo dipinto la cucina di giallo.", "Studio il violino da sei anni.",
			"Il nonno ci ha raccontato della guerra.", "Il treno per Oslo era di nuovo in ritardo.",
			"Come si chiamano i cani?", "Sarà difficile senza aiuto."}},
	{LANGUAGE_FINNISH, 14, {
			"Muutin keväällä Tampereelle.", "Siskoni on sairaanhoitaja.",
			"Hän ei koskaan juo kahvia lounaan jälkeen.", "Me suunnittelemme matkaa Norjaan heinäkuussa.",
			"Muistuta minua soittamaan hammaslääkärille huomenna.", "Hänen lempielokuvansa on vanha lännenfilmi.",
			"Heillä on kaksi kissaa ja koira.", "Olen allerginen pähkinöille.",
			"Kokous siirrettiin torstaille.", "Asuuko hän vielä aseman lähellä?",
			"Auto hajosi matkalla kotiin.", "Istun mieluummin käytäväpaikalla.",
			"Hänen syntymäpäivänsä on toukokuussa.", "Voitko suositella kirjaa puutarhoista?",
			"Me maalasimme keittiön keltaiseksi.", "Olen soittanut viulua kuusi vuotta.",
			"Vaari kertoi meille sodasta.", "Juna Osloon oli taas myöhässä.",
			"Mitkä koirien nimet ovat?", "Siitä tulee vaikeaa ilman apua."}},
	{LANGUAGE_RUSSIAN, 20, {
			"Весной я переехал в Казань.", "Моя сестра работает медсестрой.",
			"Она никогда не пьёт кофе после обеда.", "Мы планируем поездку в Норвегию в июле.",
			"Напомни мне завтра позвонить врачу.", "Его любимый фильм очень старый.",
			"У них две кошки и собака.", "У меня аллергия на орехи.",
			"Встречу перенесли на четверг.", "Он ещё живёт рядом с вокзалом?",
			"Машина сломалась по дороге домой.", "Я предпочитаю место у прохода.",
			"Её день рождения третьего мая.", "Можешь посоветовать книгу о садах?",
			"Мы покрасили кухню в жёлтый цвет.", "Я учусь играть на скрипке шесть лет.",
			"Дедушка рассказывал нам о войне.", "Поезд в Осло опять опоздал.",
			"Как зовут собак?", "Без помощи будет трудно."}},
};

static void
test_corpus(void)
{
	for (size_t i = 0; i < lengthof(corpus); i++)
	{
		int			told = 0;

		for (int s = 0; s < SENTENCES; s++)
		{
			const char *sentence = corpus[i].sentences[s];
			MemaiLanguage language = memai_language_detect(sentence, strlen(sentence), LANGUAGE_ENGLISH);

			told += language == corpus[i].language;
			if (language != corpus[i].language)
				printf("# %s taken for %s: %s\n", memai_language_name(corpus[i].language), memai_language_name(language), sentence);
		}
		ok(told >= corpus[i].least, "%s: %d of %d sentences", memai_language_name(corpus[i].language), told, SENTENCES);
	}
}

/* the same in the three languages of Scandinavia, which share most of their commonest words */
static const struct
{
	const char *swedish;
	const char *danish;
	const char *norwegian;
}			neighbours[SENTENCES] =
{
	{"Jag glömde nycklarna på kontoret.", "Jeg glemte nøglerne på kontoret.", "Jeg glemte nøklene på kontoret."},
	{"Vi köper bröd varje lördag.", "Vi køber brød hver lørdag.", "Vi kjøper brød hver lørdag."},
	{"Min bror studerar medicin i Uppsala.", "Min bror læser medicin i Odense.", "Broren min studerer medisin i Trondheim."},
	{"Han tycker inte om fisk.", "Han kan ikke lide fisk.", "Han liker ikke fisk."},
	{"Barnen går i skolan nu.", "Børnene går i skole nu.", "Barna går på skole nå."},
	{"Hur mycket kostar det?", "Hvor meget koster det?", "Hvor mye koster det?"},
	{"Vi ses igen på måndag.", "Vi ses igen på mandag.", "Vi ses igjen på mandag."},
	{"Hon har bott här sedan förra året.", "Hun har boet her siden sidste år.", "Hun har bodd her siden i fjor."},
	{"De reser till fjällen på vintern.", "De rejser til fjeldene om vinteren.", "De reiser til fjellet om vinteren."},
	{"Jag behöver nya glasögon.", "Jeg har brug for nye briller.", "Jeg trenger nye briller."},
	{"Vet du var mina skor är?", "Ved du hvor mine sko er?", "Vet du hvor skoene mine er?"},
	{"Hunden vill gå ut.", "Hunden vil gerne ud.", "Hunden vil gjerne ut."},
	{"Boken handlar om en läkare.", "Bogen handler om en læge.", "Boken handler om en lege."},
	{"Hon kan inte komma ikväll.", "Hun kan ikke komme i aften.", "Hun kan ikke komme i kveld."},
	{"Priset har stigit igen.", "Prisen er steget igen.", "Prisen har steget igjen."},
	{"Jag kör till jobbet varje dag.", "Jeg kører på arbejde hver dag.", "Jeg kjører til jobben hver dag."},
	{"Vad tänker du på?", "Hvad tænker du på?", "Hva tenker du på?"},
	{"Vi måste betala räkningen först.", "Vi skal betale regningen først.", "Vi må betale regningen først."},
	{"Min mormor bakar goda kakor.", "Min mormor bager gode kager.", "Mormoren min baker gode kaker."},
	{"Öppna fönstret, tack.", "Vil du åbne vinduet, tak?", "Kan du åpne vinduet, takk?"},
};

/* Of so many sentences a language is told, and the other of a pair taken for it no oftener than that. */
static void
test_neighbours(void)
{
	static const struct
	{
		MemaiLanguage one;
		MemaiLanguage other;
		int			least;
		int			most_confused;
	}			pairs[] = {
		{LANGUAGE_SWEDISH, LANGUAGE_DANISH, 19, 0}, {LANGUAGE_SWEDISH, LANGUAGE_NORWEGIAN, 19, 0},
		{LANGUAGE_DANISH, LANGUAGE_SWEDISH, 17, 1}, {LANGUAGE_DANISH, LANGUAGE_NORWEGIAN, 17, 2},
		{LANGUAGE_NORWEGIAN, LANGUAGE_SWEDISH, 17, 1}, {LANGUAGE_NORWEGIAN, LANGUAGE_DANISH, 17, 2},
	};

	for (size_t i = 0; i < lengthof(pairs); i++)
	{
		int			told = 0;
		int			confused = 0;

		for (int s = 0; s < SENTENCES; s++)
		{
			const char *sentence = pairs[i].one == LANGUAGE_SWEDISH ? neighbours[s].swedish :
				pairs[i].one == LANGUAGE_DANISH ? neighbours[s].danish : neighbours[s].norwegian;
			MemaiLanguage language = memai_language_detect(sentence, strlen(sentence), LANGUAGE_ENGLISH);

			told += language == pairs[i].one;
			confused += language == pairs[i].other;
			if (language == pairs[i].other)
				printf("# %s taken for %s: %s\n", memai_language_name(pairs[i].one), memai_language_name(language), sentence);
		}
		ok(told >= pairs[i].least && confused <= pairs[i].most_confused, "%s beside %s: %d of %d told, %d confused",
		   memai_language_name(pairs[i].one), memai_language_name(pairs[i].other), told, SENTENCES, confused);
	}
}

static void
detects(const char *text, MemaiLanguage in_doubt, MemaiLanguage expected)
{
	MemaiLanguage language = memai_language_detect(text, strlen(text), in_doubt);

	ok(language == expected, "\"%s\" is %s", text, memai_language_name(language));
}

static void
test_names(void)
{
	for (int i = 1; i < LANGUAGE_COUNT; i++)
	{
		const char *name = memai_language_name(i);

		ok(name != NULL && memai_language_by_name(name, strlen(name)) == i, "language %d has a name", i);
	}
	ok(memai_language_by_name("sv", 2) == LANGUAGE_SWEDISH, "a code names a language");
	ok(memai_language_by_name("", 0) == -1 && memai_language_by_name("klingon", 7) == -1, "others have no number");
	ok(memai_language_name(0) == NULL && memai_language_name(-1) == NULL && memai_language_name(LANGUAGE_COUNT) == NULL,
	   "others have no name");
	/* numbers are stored: they never change */
	ok(LANGUAGE_SIMPLE == 1 && LANGUAGE_ENGLISH == 2 && LANGUAGE_SWEDISH == 3 && LANGUAGE_GERMAN == 4 &&
	   LANGUAGE_RUSSIAN == 16 && LANGUAGE_ARMENIAN == 21 && LANGUAGE_YIDDISH == 29, "numbers are as they were");
}

int
main(void)
{
	test_corpus();
	test_neighbours();
	/* what has no language is in the one that is assumed */
	detects("", LANGUAGE_ENGLISH, LANGUAGE_ENGLISH);
	detects("42 %", LANGUAGE_SWEDISH, LANGUAGE_SWEDISH);
	detects("Oslo", LANGUAGE_GERMAN, LANGUAGE_GERMAN);
	detects("\xff\xfe", LANGUAGE_ENGLISH, LANGUAGE_ENGLISH);
	/* scripts of one language, and scripts that no stemmer knows */
	detects("東京へ行きたい", LANGUAGE_ENGLISH, LANGUAGE_SIMPLE);
	detects("北京大学", LANGUAGE_ENGLISH, LANGUAGE_SIMPLE);
	detects("서울에 살아요", LANGUAGE_ENGLISH, LANGUAGE_SIMPLE);
	detects("Μένω στην Αθήνα", LANGUAGE_ENGLISH, LANGUAGE_GREEK);
	detects("أسكن في القاهرة", LANGUAGE_ENGLISH, LANGUAGE_ARABIC);
	detects("मैं दिल्ली में रहता हूँ", LANGUAGE_ENGLISH, LANGUAGE_HINDI);
	/* the language that is assumed wins what it shares */
	detects("Men in den", LANGUAGE_ENGLISH, LANGUAGE_ENGLISH);
	test_names();
	return done_testing();
}
