-- the terms that lexical search compares
\set VERBOSITY terse
LOAD 'memai';
SET search_path = memai, pg_catalog;
SHOW memai.text_search_config;

-- stored bytes: stems, hashes and format must never change
SELECT _terms('I prefer aisle seats on the aisle');
SELECT _terms('');
SELECT _terms(NULL) IS NULL AS is_null;

-- forms of a word, case, accents and equivalent spellings give one term
SELECT _terms('runs') = _terms('Running') AS stem,
	_terms('CAFÉ') = _terms('cafe') AS accent,
	_terms(U&'cafe\0301') = _terms(U&'caf\00e9') AS canonical,
	_terms('ＦＵＬＬ') = _terms('full') AS compatible,
	_terms('Straße') = _terms('STRASSE') AS folding;

-- stop words are no terms, with apostrophes neither
SELECT count(*) FILTER (WHERE _terms(w) = _terms('')) AS stop, count(*) AS words
FROM unnest(ARRAY['the', 'Is', 'don''t', 'I''m', 'it’s', 'can''t', 'isn''t', 'we''ve', 'doesn’t', '''s']) AS w;
SELECT _terms('Melanie''s dogs'' o''clock') = _terms('melanie dog o''clock') AS possessive;

-- scripts without spaces are found by pairs of characters
SELECT _terms('北京大学') = _terms('北京 京大 大学') AS pairs;
-- numbers and mixed words stay whole
SELECT _terms('covid19 2024') = _terms('COVID19, 2024!') AS digits;

-- nothing to find
SELECT _terms(w) = _terms('') AS empty FROM unnest(ARRAY['   ', '?!', '🍕', 'to be or not to be']) AS w;

-- another language
SET memai.text_search_config = 'french';
SHOW memai.text_search_config;
SELECT _terms('l''homme') = _terms('hommes') AS elision,
	_terms('l’école') = _terms('ecole') AS accent,
	_terms('aujourd''hui') <> _terms('hui') AS whole;
SET memai.text_search_config = 'pg_catalog.simple';
SELECT _terms('runs') = _terms('running') AS stem, _terms('the') = _terms('') AS stop;

-- a configuration of one's own is kept with its schema and can disappear
CREATE SCHEMA lexicon;
CREATE TEXT SEARCH CONFIGURATION lexicon.mine (COPY = pg_catalog.german);
SET search_path = lexicon, memai, pg_catalog;
SET memai.text_search_config = 'mine';
SET search_path = memai, pg_catalog;
SHOW memai.text_search_config;
SELECT _terms('Häuser') = _terms('Haus') AS stem;
-- a word that no dictionary knows stays as it is
ALTER TEXT SEARCH CONFIGURATION lexicon.mine DROP MAPPING FOR asciiword;
SELECT _terms('Katzen') = _terms('Katze') AS stem, _terms('Katzen') = _terms('KATZEN') AS folded;
DROP SCHEMA lexicon CASCADE;
SELECT _terms('Haus');

-- refused settings
RESET memai.text_search_config;
SET memai.text_search_config = 'nowhere';
SET memai.text_search_config = '';
SET memai.text_search_config = 'a.b.c.d';
SHOW memai.text_search_config;

-- a text beyond the limit
SELECT _terms(repeat('word ', 3355444));
\set VERBOSITY default
SELECT _terms(repeat('word ', 3355444));
SELECT length(_terms(repeat('word ', 200000)));
