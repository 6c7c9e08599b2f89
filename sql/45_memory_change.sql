-- provenance, links, review when something ends, triplets, graph, timeline
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

-- ---- sources ----
SELECT id AS episode FROM memai.remember_messages('[{"content": "I moved to Lund and took a job at the library", "occurred_at": "2026-01-05Z"}]') AS id \gset
SELECT id AS other FROM memai.remember_messages('[{"content": "The library is nice", "occurred_at": "2026-02-05Z"}]') AS id \gset
SELECT memai.remember('Lives in Lund', slot => 'home.city', sources => ARRAY[:'episode']::uuid[], provenance => 'inference', valid_at => '2026-01-05Z') AS home \gset
SELECT memai.remember('Works at the library', sources => ARRAY[:'episode', :'other']::uuid[], memory_type => 'semantic') AS job \gset
SELECT role, content, occurred_at FROM memai.sources(:'job');
SELECT memory_type, provenance, status FROM memai.get_memory(:'home');
-- a memory goes with the last of its sources, not before
SELECT memai.forget(:'other');
SELECT count(*) FROM memai.get_memory(:'job');
BEGIN;
SELECT memai.forget(:'episode');
SELECT count(*) FROM memai.get_memory(:'job');
SELECT event, old_content, new_content FROM memai.history(:'job');
ROLLBACK;

-- a business row goes, with the episode and what was taken from it, whoever deletes it
BEGIN;
CREATE TABLE regress_customer (id integer PRIMARY KEY);
INSERT INTO regress_customer VALUES (1);
ALTER TABLE memai.episode ADD customer_id integer REFERENCES regress_customer ON DELETE CASCADE;
UPDATE memai.episode SET customer_id = 1 WHERE id = :'episode';
CREATE ROLE regress_memai_clerk;
GRANT SELECT, DELETE ON regress_customer TO regress_memai_clerk;
RESET memai.tenant;
SET LOCAL ROLE regress_memai_clerk;
DELETE FROM regress_customer;
RESET ROLE;
SET memai.tenant = 'regress';
SELECT (SELECT count(*) FROM memai.episode) AS episodes, (SELECT count(*) FROM memai.memory) AS memories, (SELECT count(*) FROM memai.embedding) AS embeddings,
	(SELECT count(*) FROM memai.memory_history WHERE concat(old_content, new_content) <> '') AS texts;
SELECT event, actor FROM memai.history(:'job');
ROLLBACK;

-- ---- what rests on a memory ----
SELECT memai.remember('Takes the bus to work in Lund', depends_on => ARRAY[:'home', :'job']::uuid[]) AS bus \gset
SELECT memai.remember('Has a bus pass', depends_on => ARRAY[:'bus']::uuid[]) AS pass \gset
SELECT memai.remember('Likes boats') AS boats \gset
SELECT memai.link(:'pass', :'boats', 'extends') AS linked, memai.link(:'pass', :'boats', 'extends') AS again;
SELECT memai.link(:'pass', :'pass');
SELECT memai.link(:'pass', :'boats', 'knows');
SELECT memai.link(:'pass', '00000000-0000-0000-0000-000000000000') IS NULL AS linked;
SELECT content, depth, kind, status FROM memai.dependents(:'home');
SELECT content, depth FROM memai.dependents(:'home', max_depth => 1);
-- the change reaches all of them in the same statement
SELECT memai.remember('Lives in Oslo', slot => 'home.city', valid_at => '2026-06-01Z') AS oslo \gset
SELECT content, status FROM memai.dependents(:'home');
SELECT content, base_content, successor_content FROM memai.review();
SELECT event, reason FROM memai.history(:'pass');
-- recall says so, and brings what it rests on: the successor of what ended
SELECT content, status, via IS NOT NULL AS via FROM memai.recall('bus to work', layer => 'memory', k => 3);
SELECT needs_review FROM memai.stats();
SELECT memai.confirm(:'pass', reason => 'asked her'), memai.confirm(:'pass') AS again;
SELECT memai.supersede(:'bus', 'Walks to work in Oslo', reason => 'moved') IS NOT NULL AS superseded;
SELECT content FROM memai.review();
SELECT event, reason FROM memai.history(:'pass');
SELECT memai.unlink(:'pass', :'bus'), memai.unlink(:'pass', :'bus') AS again;
-- directly in the table, in bulk, and when the base is removed for good
SELECT memai.confirm(:'pass');
SELECT memai.link(:'pass', :'boats');
UPDATE memai.memory SET invalid_at = now() WHERE id IN (:'boats', :'job');
SELECT content FROM memai.review();
SELECT memai.confirm(:'pass');
SELECT memai.forget(:'boats');
SELECT content, base_content FROM memai.review();

-- ---- a chain of 25, and a circle ----
SELECT memai.remember('link 1', namespace => 'chain') AS previous \gset
DO $$ BEGIN
	FOR i IN 2..25 LOOP
		PERFORM memai.remember('link ' || i, namespace => 'chain', depends_on => ARRAY[(SELECT id FROM memai.memory WHERE content = 'link ' || i - 1)]);
	END LOOP;
END $$;
SELECT count(*), max(depth) FROM memai.dependents((SELECT id FROM memai.memory WHERE content = 'link 1'), namespace => 'chain', max_depth => 1000);
SELECT memai.link((SELECT id FROM memai.memory WHERE content = 'link 1'), (SELECT id FROM memai.memory WHERE content = 'link 10'), namespace => 'chain');
SELECT count(*) FROM memai.dependents((SELECT id FROM memai.memory WHERE content = 'link 5'), namespace => 'chain');
SELECT memai.forget(id, namespace => 'chain', mode => 'soft') FROM memai.memory WHERE content = 'link 5';
SELECT count(*) FILTER (WHERE needs_review) AS marked, string_agg(content, ', ' ORDER BY id) FILTER (WHERE NOT needs_review) AS others
FROM memai.memory WHERE namespace = 'chain';
-- what was concluded from it goes with it
SELECT memai.remember('derived', namespace => 'chain') AS derived \gset
SELECT memai.link(:'derived', id, 'derives', namespace => 'chain') FROM memai.memory WHERE content = 'link 25';
SELECT memai.forget(id, namespace => 'chain') FROM memai.memory WHERE content = 'link 25';
SELECT count(*) FROM memai.memory WHERE id = :'derived';

-- ---- triplets ----
SELECT memai.remember_triplet('Ann', 'works_at', 'Library', namespace => 'graph', valid_at => '2020-01-01Z') AS works \gset
SELECT memai.remember_triplet('Bo', 'works_at', 'library', 'Bo is employed by the library', namespace => 'graph', valid_at => '2021-01-01Z') IS NOT NULL AS stored;
SELECT memai.remember_triplet('Library', 'is_in', 'Lund', namespace => 'graph', valid_at => '2019-01-01Z') IS NOT NULL AS stored;
SELECT memai.remember_triplet('ANN', 'works_at', 'library', namespace => 'graph') = :'works' AS same;
SELECT name, memories FROM memai.entities(namespace => 'graph');
SELECT content, subject, predicate, object FROM memai.get_memory(:'works', namespace => 'graph');
SELECT hops, subject, predicate, object, content FROM memai.graph('ann', namespace => 'graph');
SELECT hops, subject, predicate, object FROM memai.graph('ann', namespace => 'graph', depth => 2);
SELECT hops, subject, predicate, object FROM memai.graph('lund', namespace => 'graph', depth => 5, as_of => '2020-06-01Z');
SELECT count(*) FROM memai.graph('nobody', namespace => 'graph', depth => 2);
SELECT at, kind, content FROM memai.timeline(namespace => 'graph', entity => 'LIBRARY', since => '2019-06-01Z');
SELECT at, kind, content, status FROM memai.timeline() WHERE at < '2026-07-01Z';
SELECT memai.remember_triplet(NULL, 'x', 'y');
SELECT memai.remember_triplet('x', '', 'y');
SELECT memai.remember('x', memory_type => 'dream');
SELECT memai.remember('x', provenance => 'oracle');
SELECT memai.remember('x', importance => 2);
SELECT memai.remember('x', confidence => 'NaN');
SELECT memai.remember('x', sources => ARRAY[NULL]::uuid[]);
SELECT memai.remember('x', sources => ARRAY[memai.new_id()]) IS NULL;

DELETE FROM memai.episode;
DELETE FROM memai.memory;
DELETE FROM memai.entity;
