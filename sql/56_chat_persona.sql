-- a persona from memories: built by a job, versions, edits, stale sources, erasure
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

SELECT count(*) FROM memai.persona();
SELECT memai.build_persona() IS NOT NULL AS submitted;
SELECT memai.build_persona() = id AS same, kind, payload, dedupe_key FROM memai.job;
CALL memai.run_jobs();
SELECT status, result FROM memai.job;
SELECT memai.remember('Ann prefers aisle seats', category => 'preference', importance => 0.9) AS seats,
	memai.remember('Ann lives in Oslo', slot => 'home') AS home, memai.remember('It rained on Monday', importance => 0.1) AS rain \gset
SELECT memai.remember('A note for the week', expires_at => now() + interval '1 day') IS NOT NULL AS short_term;
SELECT memai.build_persona() IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT result FROM memai.job ORDER BY id DESC LIMIT 1;
SELECT content, version, sources @> ARRAY[:'seats', :'home', :'rain']::uuid[] AS sources, cardinality(sources), model, is_edited, is_stale,
	built_at > now() - interval '1 hour' AS now FROM memai.persona();
SELECT persona_included FROM memai.chat('Hello there');
SELECT persona_included FROM memai.chat('Hello there', use_memory => false);

-- the next version; a source that has ended; a preference that changed
SELECT memai.supersede(:'home', 'Ann lives in Rome') AS rome \gset
SELECT is_stale, version FROM memai.persona();
SELECT memai.build_persona() IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT content, version, is_stale, :'rome'::uuid = ANY (sources) AS rome, :'home'::uuid = ANY (sources) AS home FROM memai.persona();
SELECT memai.forget(:'rain', mode => 'soft');
SELECT is_stale FROM memai.persona();

-- what somebody wrote stays, unless it is to be replaced
SELECT memai.set_block('persona', 'Ann is a sailor.', expected_version => 2);
SELECT content, version, is_edited FROM memai.persona();
SELECT memai.build_persona() IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT result FROM memai.job ORDER BY id DESC LIMIT 1;
SELECT memai.build_persona(overwrite => true) IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT content, version, is_edited, is_stale FROM memai.persona();
SELECT memai.set_block('persona', 'Fixed.', is_read_only => true);
SELECT memai.build_persona(overwrite => true) IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT result FROM memai.job ORDER BY id DESC LIMIT 1;

-- a source that is removed takes the text with it, edited or not; others do not
SELECT memai.remember('Ann has a dog') AS dog \gset
SELECT memai.forget(:'dog');
SELECT content FROM memai.persona();
SELECT memai.forget(:'seats');
SELECT count(*) FROM memai.persona();
SELECT (SELECT count(*) FROM memai.persona_build) AS builds, (SELECT count(*) FROM memai.persona_source) AS sources, (SELECT count(*) FROM memai.block) AS blocks;
SELECT memai.build_persona() IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT content, version, cardinality(sources) FROM memai.persona();
-- a block that no job wrote is nobody's source
SELECT memai.set_block('persona', 'Written by hand.', namespace => 'other');
SELECT content, version, sources, built_at, model, is_edited, is_stale FROM memai.persona(namespace => 'other');

-- dropping the block, and building it anew with fewer sources
SELECT memai.drop_block('persona');
SELECT memai.remember('Ann speaks Greek') AS greek \gset
SELECT memai.build_persona() IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT content, version, cardinality(sources) FROM memai.persona();

-- other users, and erasure
SET memai.user_id = 'bob';
SELECT count(*) FROM memai.persona();
SELECT memai.persona('ann');
SET memai.user_id = 'ann';
SELECT what, removed FROM memai.forget_user('ann', confirm => true) WHERE what IN ('block', 'persona_build', 'persona_source') ORDER BY what COLLATE "C";
SELECT count(*) FROM memai.persona();

RESET memai.user_id;
DELETE FROM memai.job WHERE tenant = 'regress';
DELETE FROM memai.erasure WHERE tenant = 'regress';
DELETE FROM memai.memory_history WHERE tenant = 'regress';
