-- a scope of hundreds of items is searched by the index of words, not read; what is found must be the same
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';

-- each of 25 words in a 25th of 2,500 items, and one of them in all
CREATE FUNCTION pg_temp.statement(n integer) RETURNS text LANGUAGE sql AS $$
	SELECT 'parcel ' || n || ' holds ' || (string_to_array('apples boats candles drums engines feathers guitars hammers islands jars kettles lamps mirrors needles oars pianos quilts ropes saddles tents umbrellas violins wheels yarn zithers', ' '))[n % 25 + 1] $$;
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, metadata, valid_at, terms)
SELECT 'regress', u, 'default', memai.scope_hash('regress', u, 'default'), c, jsonb_build_object('n', n), '2025-01-01'::timestamptz + n * interval '1 minute', memai._terms(c)
FROM (SELECT 'ann' AS u, n, pg_temp.statement(n) AS c FROM generate_series(1, 2500) n) s;
SELECT memai.fill_embeddings() > 0 AS embedded;

CREATE FUNCTION pg_temp.read(question text) RETURNS TABLE (vectors_read text, below_all boolean) LANGUAGE sql AS
	$$SELECT e ->> 'vectors_read', (e -> 'read' ->> 'memories')::integer < 1000 FROM memai.explain_recall(question) e$$;
SELECT * FROM pg_temp.read('Which parcel holds the zithers?');
-- of 60 that have the word the ten best have it; a number tells one
SELECT count(*) FILTER (WHERE content LIKE '% zithers') AS have_it, count(*) FROM memai.recall('Which parcel holds the zithers?');
SELECT content FROM memai.recall('What does parcel 777 hold?', k => 1);
-- the same rows with the same scores, however often
SELECT n, count(DISTINCT answer) FROM (SELECT n, (SELECT array_agg((r.id, r.score) ORDER BY r.score DESC, r.id)::text FROM memai.recall('Which parcel holds ' || n || ' zithers?', k => 30 + 0 * i) r) AS answer
	FROM generate_series(1, 3) n, generate_series(1, 4) i) a GROUP BY n ORDER BY n;
-- as many rows as are asked for or there are, found by words or not
SELECT k FROM unnest(ARRAY[1, 61, 999]) k WHERE k <> (SELECT count(*) FROM memai.recall('zithers', k => k));
SELECT count(*) FROM memai.recall('nothing like it', k => 50);
SELECT count(*) FROM memai.recall('zithers', k => 20, filter => '{"n": {"lte": 7}}');
SELECT count(*) FROM memai.recall('zithers', k => 20, layer => 'episode');
SELECT count(*) FROM memai.recall('zithers', k => 20, categories => '{rule}');
SELECT count(*) FROM memai.recall('zithers', user_id => 'ann', namespace => 'work');
-- days are looked for in all items
SELECT content FROM memai.recall('parcel on 1 January 2025', k => 1) WHERE content IN (SELECT pg_temp.statement(n) FROM generate_series(1, 1439) n);
SELECT * FROM pg_temp.read('parcel on 1 January 2025');

-- a plan that was made where most scopes are small reads no more of this one: rows read by twelve recalls
BEGIN;
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, terms)
SELECT 'regress', u, 'default', memai.scope_hash('regress', u, 'default'), 'a parcel', memai._terms('a parcel') FROM (SELECT 'user ' || n AS u FROM generate_series(1, 1000) n) s;
ANALYZE memai.memory, memai.embedding;
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT sum(seq_tup_read + idx_tup_fetch) AS before FROM pg_stat_xact_user_tables WHERE schemaname = 'memai' \gset
SELECT sum((SELECT count(*) FROM memai.recall('zithers ' || n))) FROM generate_series(1, 12) n;
SELECT sum(seq_tup_read + idx_tup_fetch) - :before < 12 * 1000 AS few FROM pg_stat_xact_user_tables WHERE schemaname = 'memai';
ROLLBACK;

-- what this transaction stored, and what was rolled back
BEGIN;
SELECT memai.remember('The zithers of parcel nine are out of tune') IS NOT NULL AS stored;
SELECT content FROM memai.recall('zithers out of tune', k => 1);
ROLLBACK;
SELECT count(*) FROM memai.recall('zithers out of tune', k => 100) WHERE content LIKE '%tune';
-- versions that the index does not tell apart: many times over, and after VACUUM
UPDATE memai.memory SET importance = 0.6 WHERE content LIKE 'parcel 777 %';
UPDATE memai.memory SET importance = 0.7 WHERE content LIKE 'parcel 777 %';
SELECT content, round(importance_factor::numeric, 2) AS importance FROM memai.recall('What does parcel 777 hold?', k => 1);
VACUUM memai.memory;
SELECT content, round(importance_factor::numeric, 2) AS importance FROM memai.recall('What does parcel 777 hold?', k => 1);
-- a superseded one leads to what took its place, a derived one brings what it rests on
SELECT memai.supersede(id, 'The box by the door was emptied') IS NOT NULL AS superseded FROM memai.memory WHERE content LIKE 'parcel 778 %';
SELECT content, status FROM memai.recall('What does parcel 778 hold?', k => 1);
SELECT memai.remember('Marmalade needs four kilograms of oranges', depends_on => ARRAY(SELECT id FROM memai.memory WHERE content LIKE 'The box by%')) IS NOT NULL AS derived;
SELECT content FROM memai.recall('How many oranges for marmalade?', k => 2);
SELECT memai.feedback(id, true) FROM memai.memory WHERE content LIKE 'Marmalade%';
SELECT feedback_factor > 1 AS useful FROM memai.recall('How many oranges for marmalade?', k => 1);
-- and what took the place of that, though it has no word of the question, with what users say of it
BEGIN;
SELECT memai.supersede(id, 'Everything fell into the sea') AS sea FROM memai.memory WHERE content LIKE 'The box by%' \gset
SELECT memai.feedback(:'sea', false);
SELECT content, via IS NOT NULL AS via, feedback_factor < 1 AS doubtful FROM memai.recall('How many oranges for marmalade?', k => 2);
ROLLBACK;
SELECT content FROM memai.recall('What does parcel 778 hold?', k => 1, as_of => '2025-02-01');
SELECT memai.forget(id, mode => 'hard') FROM memai.memory WHERE content LIKE 'Marmalade%';
SELECT count(*) FROM memai.recall('How many oranges for marmalade?', k => 1000) WHERE content LIKE 'Marmalade%';

-- items in another language by their own stems
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, terms)
SELECT 'regress', 'ann', 'default', memai.scope_hash('regress', 'ann', 'default'), c, memai._terms(c)
FROM (SELECT 'In dem Haus der Nachbarn stehen noch ' || n || ' alte Schränke und es wird nicht geheizt' AS c FROM generate_series(1, 200) n) s;
SELECT count(*) FILTER (WHERE content LIKE '%Schränke%') FROM memai.recall('Wie viele Schränke stehen bei den Nachbarn?', k => 10);

-- the graph: two steps that have no word of the question, and by an alias
SELECT memai.remember_triplet('Mira', 'works_at', 'Acme', 'Mira got a job as an engineer last spring') IS NOT NULL AS one_step;
SELECT memai.remember_triplet('Acme', 'located_in', 'Lund', 'Its headquarters are by the river') IS NOT NULL AS two_steps;
SELECT content FROM memai.recall('In which town is the employer of Mira?', k => 3) WHERE entity_match > 0 ORDER BY content;
SELECT memai.remember_triplet('Mirabelle', 'likes', 'Tea', 'She drinks it without sugar') IS NOT NULL AS alias;
SELECT count(*) FROM memai.recall('Mira', k => 10) WHERE content LIKE '%without sugar';
SELECT memai.merge_entities('Mira', 'Mirabelle');
SELECT count(*) FROM memai.recall('Mira', k => 10) WHERE content LIKE '%without sugar' AND entity_match > 0;
SELECT count(*) FROM memai.recall('Mirabelle', k => 10) WHERE content LIKE 'Mira got%' AND entity_match > 0;

-- of an entity that more is known of than is read, the newest, wherever in the table; what ended leaves its place to others
BEGIN;
SELECT memai.remember_triplet('Ottilie', 'owns', 'a kiosk', 'The kiosk has opened') IS NOT NULL AS opened;
SELECT id AS ottilie FROM memai.entity WHERE name = 'Ottilie' \gset
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, subject_id, valid_at, invalid_at, terms)
SELECT 'regress', 'ann', 'default', memai.scope_hash('regress', 'ann', 'default'), c, :'ottilie', '2026-01-01'::timestamptz - n * interval '1 day', CASE WHEN n BETWEEN 11 AND 400 THEN '2026-01-02'::timestamptz END, memai._terms(c)
FROM (SELECT n, 'sale ' || n AS c FROM generate_series(1, 800) n ORDER BY n % 7, n) s;
-- among 100: the random sample may bring up to 48 others
SELECT string_agg(content, ', ' ORDER BY occurred_at DESC) FROM memai.recall('Ottilie', k => 100) WHERE entity_match > 0 AND content = ANY (ARRAY(SELECT 'sale ' || n FROM generate_series(1, 405) n));
SELECT string_agg(content, ', ' ORDER BY occurred_at DESC) FROM memai.recall('Ottilie', k => 100, as_of => '2025-12-20') WHERE entity_match > 0 AND content = ANY (ARRAY(SELECT 'sale ' || n FROM generate_series(1, 20) n));
ROLLBACK;

-- the rows of others
SET memai.user_id = 'bob';
SELECT count(*) FROM memai.recall('zithers');
SELECT memai.remember('Bob has zithers') IS NOT NULL AS stored;
SELECT content FROM memai.recall('zithers');
RESET memai.user_id;
SET memai.tenant = 'other';
SELECT count(*) FROM memai.recall('zithers', user_id => 'ann');
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
-- without the index the scope is read
BEGIN;
DROP INDEX memai.memory_words_idx;
SELECT vectors_read FROM pg_temp.read('Which parcel holds the zithers?');
-- and where it is the index of a partitioned table, which has no pages
CREATE TABLE memai.parts (scope bigint, id uuid, terms bytea) PARTITION BY HASH (scope);
CREATE INDEX memory_words_idx ON memai.parts USING gin (memai._item_keys(scope, id, terms));
SELECT vectors_read FROM pg_temp.read('Which parcel holds the zithers?');
ROLLBACK;
RESET memai.user_id;
DELETE FROM memai.memory;
DELETE FROM memai.entity;
