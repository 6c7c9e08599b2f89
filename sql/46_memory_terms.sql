-- what nearly says the same, what is due, what is worth keeping, names of one entity, a business row's facts
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

-- ---- or_similar: one that says nearly the same will do ----
SELECT memai.remember('She likes green tea very much', namespace => 'near') AS tea \gset
SELECT id AS episode FROM memai.remember_messages('[{"content": "I very much like green tea"}]', namespace => 'near') id \gset
SELECT memai.remember('She very much likes green tea', namespace => 'near', or_similar => true, sources => ARRAY[:'episode']::uuid[]) = :'tea' AS same;
SELECT content FROM memai.sources(:'tea', namespace => 'near');
SELECT memai.remember('She does not like green tea very much', namespace => 'near', or_similar => true) = :'tea' AS denial;
SELECT memai.remember('She likes 2 green tea very much', namespace => 'near', or_similar => true) = :'tea' AS number;
SELECT memai.remember('She likes green tea very much', namespace => 'near', slot => 'drink', or_similar => true) = :'tea' AS same_words;
SELECT memai.remember('She very much likes green tea', namespace => 'near', slot => 'other', or_similar => true) = :'tea' AS other_slot;
SELECT memai.remember('She very much likes green tea', namespace => 'far', or_similar => true) = :'tea' AS other_namespace;
-- what was forgotten is not near
SELECT memai.forget(:'tea', namespace => 'near', mode => 'soft');
SELECT memai.remember('Very much she likes green tea', namespace => 'near', or_similar => true) = :'tea' AS forgotten;
SELECT content FROM memai.memory WHERE namespace = 'near' AND expired_at IS NULL ORDER BY id;

-- ---- what is due goes by a job ----
SELECT memai.remember('The code is 1234', namespace => 'due', expires_at => now() - interval '1 day') AS code \gset
SELECT memai.remember('The code is 5678', namespace => 'due', expires_at => now() - interval '1 hour') AS pinned \gset
SELECT memai.pin(:'pinned', namespace => 'due');
SELECT memai.remember('Parked on deck two', namespace => 'due') AS parked \gset
SELECT memai.expire(:'parked', '2100-01-01Z', namespace => 'due'), memai.expire(memai.new_id(), '2100-01-01Z', namespace => 'due') AS unknown;
SELECT kind, namespace, status, run_after < now() AS due FROM memai.job WHERE kind = 'expire';
CALL memai.run_jobs();
SELECT content FROM memai.memory WHERE namespace = 'due' ORDER BY id;
SELECT event, old_content, job_id IS NOT NULL AS by_job FROM memai.history(:'code', namespace => 'due');
-- the next one waits for the next that is due
SELECT status, result, run_after > '2099-01-01Z' AS later FROM memai.job WHERE kind = 'expire' ORDER BY submitted_at, id;
SELECT memai.expire(:'parked', now() - interval '1 minute', namespace => 'due');
CALL memai.run_jobs();
SELECT content FROM memai.memory WHERE namespace = 'due';
SELECT memai.expire(:'pinned', NULL, namespace => 'due');
SELECT status, result FROM memai.job WHERE kind = 'expire' AND finished_at IS NULL;

-- ---- short-term to long-term ----
SELECT memai.remember('Prefers the quiet car', namespace => 'short', expires_at => '2100-01-01Z') AS quiet \gset
SELECT memai.remember('Saw a fox', namespace => 'short', expires_at => '2100-01-01Z') AS fox \gset
SELECT memai.remember('Is allergic to nuts', namespace => 'short', expires_at => '2100-01-01Z', importance => 0.9) AS nuts \gset
SELECT memai.remember('Wants a boat', namespace => 'short', expires_at => '2100-01-01Z') AS boat \gset
SELECT memai.mark_used(ARRAY[:'quiet', :'boat']::uuid[], namespace => 'short') FROM generate_series(1, 3);
SELECT memai.feedback(:'boat', false, namespace => 'short');
SELECT content, uses, importance FROM memai.promote(namespace => 'short', dry_run => true) ORDER BY content;
SELECT count(*) FROM memai.memory WHERE namespace = 'short' AND expires_at IS NULL;
SELECT content FROM memai.promote(namespace => 'short') ORDER BY content;
SELECT content FROM memai.memory WHERE namespace = 'short' AND expires_at IS NULL ORDER BY content;
SELECT count(*) FROM memai.promote(namespace => 'short');
SELECT event, reason FROM memai.history(:'quiet', namespace => 'short');

-- ---- two names of one entity ----
SELECT memai.remember_triplet('Annie', 'works_at', 'Library', namespace => 'names') AS works \gset
SELECT memai.remember_triplet('Ann Lee', 'lives_in', 'Lund', namespace => 'names') AS lives \gset
SELECT memai.remember_triplet('A. Lee', 'likes', 'Boats', namespace => 'names') AS likes \gset
SELECT memai.merge_entities('ann lee', 'ANNIE', namespace => 'names'), memai.merge_entities('Ann Lee', 'Annie', namespace => 'names') AS again, memai.merge_entities('Ann Lee', 'nobody', namespace => 'names') AS unknown;
SELECT name, memories, aliases FROM memai.entities(namespace => 'names');
SELECT subject, predicate, object FROM memai.graph('annie', namespace => 'names');
SELECT content FROM memai.timeline(namespace => 'names', entity => 'annie') ORDER BY content;
-- what has aliases brings them along; a new triplet of an alias is found under both names
SELECT memai.merge_entities('A. Lee', 'Ann Lee', namespace => 'names');
SELECT name, memories, aliases FROM memai.entities(namespace => 'names') LIMIT 1;
SELECT memai.remember_triplet('Annie', 'drives', 'Volvo', namespace => 'names') IS NOT NULL AS stored;
SELECT subject, predicate, object FROM memai.graph('Ann Lee', namespace => 'names') ORDER BY predicate;
SELECT memai.unmerge_entity('Annie', namespace => 'names'), memai.unmerge_entity('Annie', namespace => 'names') AS again;
SELECT name, memories, aliases FROM memai.entities(namespace => 'names') LIMIT 2;
SELECT subject, predicate, object FROM memai.graph('Annie', namespace => 'names') ORDER BY predicate;
-- export and import keep the aliases; an entity goes with the last of what was known under all its names
SELECT count(*) FROM memai.import_user((SELECT jsonb_agg(line) FROM memai.export_user(namespace => 'names') line), namespace => 'copy') WHERE imported > 0;
SELECT (SELECT array_agg(e ORDER BY e.name) FROM (SELECT name, memories, aliases FROM memai.entities(namespace => 'names')) e) = (SELECT array_agg(e ORDER BY e.name) FROM (SELECT name, memories, aliases FROM memai.entities(namespace => 'copy')) e) AS same;
SELECT memai.forget(:'likes', namespace => 'names');
SELECT name, aliases FROM memai.entities(namespace => 'names') WHERE name LIKE '%Lee';
SELECT memai.forget(:'lives', namespace => 'names');
SELECT name FROM memai.entities(namespace => 'names') ORDER BY name;

DELETE FROM memai.memory;
DELETE FROM memai.episode;
DELETE FROM memai.job WHERE kind = 'expire';
SELECT count(*) FROM memai.entity;
