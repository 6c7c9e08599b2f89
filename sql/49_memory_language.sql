-- words are stemmed in the language of each text, detected or set; questions meet them in theirs
\set VERBOSITY terse
LOAD 'memai';
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';

-- ---- which language ----
SHOW memai.language;
SELECT memai.detect_language(t) AS language, t AS text FROM unnest(ARRAY['The dogs were running in the park', 'Hundarna sprang i parken och vi var glada',
	'Die Hunde sind gern im Wald', 'Les chiens sont dans le jardin', '東京へ行きたい', 'Oslo', '', '42']) t;
SET memai.language = 'swedish';
SELECT memai.detect_language('The dogs were running') AS language;
SET memai.language = 'klingon';
RESET memai.language;
SET memai.text_search_config = 'simple';
SELECT memai.detect_language('The dogs were running') IS NULL AS by_configuration;
RESET memai.text_search_config;
SELECT memai.detect_language(NULL) IS NULL AS is_null;

-- ---- a text gives the same terms whenever it is read, and says their language ----
SELECT memai._terms('Hon köpte böckerna i Lund') = memai._terms('Hon köpte böckerna i Lund') AS same,
	memai._terms_language(memai._terms('Hon köpte böckerna i Lund')) AS language,
	memai._terms_language('\x0104030000000001') IS NULL AS none_in_the_old_format;
SET memai.language = 'swedish';
SELECT memai._terms('hundarna') = memai._terms('hundar') AS stemmed, memai._terms('och att det') = memai._terms('') AS stop_words;
SET memai.language = 'german';
SELECT memai._terms('Hunde') = memai._terms('Hund') AS stemmed, memai._terms('und der die das') = memai._terms('') AS stop_words;
SET memai.language = 'simple';
SELECT memai._terms('the dogs') = memai._terms('the dog') AS stemmed, memai._terms('the') = memai._terms('') AS stop_words;
RESET memai.language;

-- ---- one user, four languages ----
SELECT count(memai.remember(c)) FROM unnest(ARRAY['Hundarna är mycket rädda för åska', 'Die Katzen schlafen gern in der Küche',
	'The horses are grazing behind the house', '彼女は東京大学で働いている', 'Les voitures sont toujours dans le garage', 'Oslo']) c;
SELECT content, memai._terms_language(terms) AS language FROM memai.memory ORDER BY id;
CREATE FUNCTION pg_temp.asked(question text, language text DEFAULT NULL) RETURNS TABLE (content text, matches boolean, language text) LANGUAGE sql AS
	$$SELECT content, keyword > 0, language FROM memai.recall(question, k => 1, language => language)$$;
-- other forms of the words, stop words that are words elsewhere ("die", "var")
SELECT * FROM pg_temp.asked('Vad är hunden rädd för?');
SELECT * FROM pg_temp.asked('Wo ist die Katze?');
SELECT * FROM pg_temp.asked('Where does the horse graze?');
SELECT * FROM pg_temp.asked('Où est la voiture ?');
SELECT * FROM pg_temp.asked('東京大学');
-- a question whose language nobody can tell meets each text in the text's
SELECT * FROM pg_temp.asked('hund');
SELECT * FROM pg_temp.asked('Katze');
SELECT * FROM pg_temp.asked('voiture');
-- the language of the question can be given, by name or code
SELECT memai.explain_recall('var', language => 'sv') -> 'question_terms' AS stop_word, memai.explain_recall('var', language => 'english') -> 'question_terms' AS word;
SELECT memai.explain_recall('Vad är hunden rädd för?') ->> 'language' AS detected, memai.explain_recall('Oslo', language => 'de') ->> 'language' AS given,
	memai.explain_recall('Oslo', language => 'auto') ->> 'language' AS in_doubt;
SELECT count(*) FROM memai.recall('x', language => 'klingon');

-- a text's language may be told, too: of two words, which are in doubt
DELETE FROM memai.memory;
SELECT memai.remember('Hundarna Oslo') IS NOT NULL AS in_doubt, memai.remember('Hästarna Oslo', language => 'sv') IS NOT NULL AS told,
	memai.remember_triplet('Katterna', 'i', 'Oslo', language => 'swedish') IS NOT NULL AS triplet, memai.remember('Kossorna Oslo', language => 'auto') IS NOT NULL AS automatic;
SELECT content, language FROM memai.recall('Oslo') ORDER BY content;
SELECT content FROM memai.recall('häst', language => 'sv', k => 1);
SELECT count(*) FROM memai.remember_messages('[{"content": "Fåglarna Oslo"}, {"content": "Ugglorna Oslo"}]', language => 'sv');
SELECT content, language FROM memai.recall('Oslo', layer => 'episode') ORDER BY content;
SELECT memai.remember('x', language => 'klingon');
SELECT count(*) FROM memai.remember_messages('[{"content": "x"}]', language => 'klingon');
DELETE FROM memai.episode;
DELETE FROM memai.entity;

-- what was stored before languages were told was English
DELETE FROM memai.memory;
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, terms)
VALUES ('regress', 'ann', 'default', memai.scope_hash('regress', 'ann', 'default'), 'aisle seats preferred', '\x010403a5424001f1d6dd7341652379020101');
SELECT content, keyword > 0 AS matches, language IS NULL AS untold FROM memai.recall('I prefer an aisle seat');
SELECT content, keyword > 0 AS matches FROM memai.recall('Är det en aisle hon har bokat?');

DELETE FROM memai.memory;
