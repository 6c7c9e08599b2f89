-- entities of the question as a signal: memories one and two steps away
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';

SELECT memai.remember_triplet('Mira', 'works_at', 'Acme', 'Mira got a job as an engineer last spring') IS NOT NULL AS one_step;
SELECT memai.remember_triplet('Acme', 'located_in', 'Lund', 'Its headquarters are by the river') IS NOT NULL AS two_steps;
SELECT memai.remember_triplet('Bo', 'works_at', 'Initech', 'Bo stamps papers') IS NOT NULL AS elsewhere;
SELECT memai.remember_triplet('Acme Labs', 'part_of', 'Umbrella', 'A research group of twenty people') IS NOT NULL AS longer_name;
SELECT count(memai.remember('A statement of no interest, number ' || n)) FROM generate_series(1, 20) n;
SELECT memai.remember('The commute takes an hour', depends_on => ARRAY(SELECT id FROM memai.memory WHERE content LIKE 'Mira got%')) IS NOT NULL AS linked;

CREATE FUNCTION pg_temp.linked(question text) RETURNS TABLE (content text, entity_match numeric) LANGUAGE sql AS
	$$SELECT content, round(entity_match::numeric, 2) FROM memai.recall(question, k => 1000) WHERE entity_match > 0 ORDER BY entity_match DESC, content$$;
SELECT * FROM pg_temp.linked('What about Mira?');
SELECT * FROM pg_temp.linked('What about MIRA''s plans?');
SELECT * FROM pg_temp.linked('Var är Miras kontor?');
-- all words of a name, not one
SELECT * FROM pg_temp.linked('Acme');
SELECT * FROM pg_temp.linked('the labs of Acme');
SELECT * FROM pg_temp.linked('nobody');
SELECT * FROM pg_temp.linked('?');
-- two steps: found though it has no word of the question
SELECT content FROM memai.recall('In which town is the employer of Mira?', k => 3) WHERE content LIKE 'Its head%';
SELECT (r -> 'keyword_parts' ->> 'entity')::float8 > 0 AS explained FROM memai.explain_recall('Mira', k => 1) e, jsonb_array_elements(e -> 'results') r;
-- an alias stands for its entity, whichever of the two the question or the memory names
SELECT memai.remember_triplet('Mirabelle', 'likes', 'Tea', 'She drinks it without sugar') IS NOT NULL AS alias;
SELECT * FROM pg_temp.linked('Mirabelle');
SELECT memai.merge_entities('Mira', 'Mirabelle');
SELECT content FROM pg_temp.linked('Mirabelle');
SELECT content FROM pg_temp.linked('Mira');
SELECT memai.unmerge_entity('Mirabelle');
SELECT content FROM pg_temp.linked('Mirabelle');
-- the way does not lead over what is no longer true
SELECT memai.forget(id, mode => 'soft') FROM memai.memory WHERE content LIKE 'Mira got%';
SELECT * FROM pg_temp.linked('What about Mira?');
-- nor to another scope
SELECT count(*) FROM memai.recall('Mira', namespace => 'work');

DELETE FROM memai.memory;
DELETE FROM memai.entity;
