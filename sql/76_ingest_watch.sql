-- Rows of business tables as episodes: in the same transaction, with provenance,
-- and what becomes of memories when their row changes or goes.
CREATE ROLE watch_ann LOGIN IN ROLE memai_user;
CREATE ROLE watch_bob LOGIN IN ROLE memai_user;
CREATE ROLE watch_app LOGIN;
CREATE SCHEMA shop AUTHORIZATION watch_ann;
GRANT USAGE ON SCHEMA shop TO watch_app, watch_bob;
SET ROLE watch_ann;
SET search_path = shop, public;
CREATE TABLE orders (id integer PRIMARY KEY, customer text, item text, status text, internal text);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON orders TO watch_app;
INSERT INTO orders VALUES (1, 'eve', 'a red bicycle', 'paid', NULL), (2, NULL, 'nobody''s order', 'paid', NULL);
SELECT memai.watch('orders', 'order {id}: {item}, {status}', user_column => 'customer');
SELECT user_id, namespace, source, role, name, content, metadata FROM memai.episode;
-- any writer, in his transaction
RESET ROLE; SET ROLE watch_app;
INSERT INTO shop.orders VALUES (3, 'eve', 'a helmet', 'open', 'x'), (4, 'joe', 'a "bell"', 'open', NULL), (5, 'joe', NULL, NULL, NULL);
BEGIN;
INSERT INTO shop.orders VALUES (6, 'eve', 'rolled back', 'open', NULL);
ROLLBACK;
UPDATE shop.orders SET internal = 'y';
RESET ROLE; SET ROLE watch_ann;
SELECT user_id, content, metadata->>'key' AS key FROM memai.episode ORDER BY content COLLATE "C";
SELECT DISTINCT kind, user_id, submitted_by, status FROM memai.job ORDER BY user_id;
CALL memai.run_jobs();
SELECT count(*) FROM memai.embedding;
SELECT content FROM memai.recall('bicycle', user_id => 'eve', k => 1);
DELETE FROM memai.job;
-- memories that rest on rows
SELECT memai.remember_triplet('Eve', 'owns', 'a bicycle', user_id => 'eve', sources => ARRAY(SELECT id FROM memai.episode WHERE content LIKE '%bicycle%')) IS NOT NULL AS stored;
SELECT memai.remember_triplet('Eve', 'owns', 'a helmet', user_id => 'eve', sources => ARRAY(SELECT id FROM memai.episode WHERE content LIKE '%helmet%')) IS NOT NULL AS stored;
SELECT memai.remember_triplet('Joe', 'owns', 'a bell', user_id => 'joe', sources => ARRAY(SELECT id FROM memai.episode WHERE content LIKE '%bell%')) IS NOT NULL AS stored;
UPDATE orders SET status = 'returned' WHERE id = 1;
SELECT content, needs_review, reason FROM memai.memory ORDER BY content COLLATE "C";
SELECT content FROM memai.review('eve');
SELECT s.content FROM memai.memory m, memai.sources(m.id, 'eve') s WHERE m.content LIKE '%bicycle';
DELETE FROM orders WHERE id = 3;
-- another user's row: nothing of it stays with the first
UPDATE orders SET customer = 'sue' WHERE id = 4;
SELECT user_id, content FROM memai.memory;
SELECT user_id, content FROM memai.episode ORDER BY content COLLATE "C";
-- keys that change, texts that vanish, MERGE, TRUNCATE
UPDATE orders SET id = id + 10, item = 'moved' WHERE id IN (1, 4);
SELECT user_id, content, metadata->>'key' AS key FROM memai.episode ORDER BY content COLLATE "C";
UPDATE orders SET customer = NULL WHERE id = 11;
INSERT INTO orders VALUES (4, 'eve', 'merged', 'open') ON CONFLICT (id) DO UPDATE SET item = excluded.item;
SELECT user_id, content, metadata->>'key' AS key FROM memai.episode ORDER BY content COLLATE "C";
TRUNCATE orders;
SELECT count(*) AS episodes FROM memai.episode;
RESET ROLE;
SELECT count(*) AS rows FROM memai._watched_row;
SET ROLE watch_ann;
-- a partition that is truncated takes its own episodes along, one that was detached none
CREATE TABLE visit (place text, id integer, PRIMARY KEY (place, id)) PARTITION BY LIST (place);
CREATE TABLE visit_a PARTITION OF visit FOR VALUES IN ('a');
CREATE TABLE visit_b PARTITION OF visit FOR VALUES IN ('b');
INSERT INTO visit VALUES ('a', 1), ('b', 1), ('b', 2);
SELECT memai.watch('visit', 'visit {id} of {place}', user_id => 'eve');
TRUNCATE visit_a;
SELECT content FROM memai.episode ORDER BY content COLLATE "C";
DELETE FROM visit_b WHERE id = 2;
ALTER TABLE visit DETACH PARTITION visit_b;
DELETE FROM visit_b;
TRUNCATE visit_b;
INSERT INTO visit_b VALUES ('b', 3);
SELECT content FROM memai.episode ORDER BY content COLLATE "C";
SELECT memai.unwatch('visit', forget => true);
DROP TABLE visit, visit_b;
-- renamed, one user for all, a hostile name
SELECT memai.unwatch('orders');
ALTER TABLE orders RENAME COLUMN item TO "It'""em; {x}";
ALTER TABLE orders RENAME TO "or'ders";
SELECT memai.watch('"or''ders"', 'all of {customer} {{', user_id => 'shop', namespace => 'stock', name => 'all');
ALTER TABLE "or'ders" RENAME COLUMN customer TO "cust; --";
INSERT INTO "or'ders" VALUES (1, 'zoe');
SELECT user_id, namespace, name, content, metadata FROM memai.episode;
ALTER TABLE "or'ders" DROP COLUMN "cust; --";
-- rights
RESET ROLE; SET ROLE watch_bob;
SELECT count(*) FROM memai.watched;
SELECT memai.unwatch('all');
SELECT memai.watch('shop."or''ders"', '{id}', user_id => 'u', name => 'mine');
INSERT INTO memai.watched (name, tenant, source, template, namespace_of_all) VALUES ('x', 'watch_bob', 'shop."or''ders"', '{1}', 'default');
SELECT count(*) FROM memai._watched_row;
RESET ROLE; SET ROLE watch_ann;
-- arguments
SELECT memai.watch('"or''ders"', '{id}', name => 'second');
SELECT memai.watch('"or''ders"', '{id}', user_id => 'u', user_column => 'status', name => 'second');
SELECT memai.watch('"or''ders"', '{id}', user_column => 'absent', name => 'second');
SELECT memai.watch('"or''ders"', 'no column', user_id => 'u', name => 'second');
SELECT memai.watch('"or''ders"', '{id}', user_id => 'u', name => 'all');
SELECT memai.watch('"or''ders"', NULL, user_id => 'u');
SELECT memai.watch('"or''ders"', '{id}', user_id => '', name => 'second');
SELECT memai.unwatch('absent');
SELECT memai.unwatch('all', forget => true);
SELECT count(*) AS episodes FROM memai.episode;
SELECT tgname FROM pg_trigger WHERE tgrelid = '"or''ders"'::regclass;
CREATE VIEW seen AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW kept AS SELECT 1 AS id;
SELECT memai.watch('seen', '{id}', user_id => 'u');
SELECT memai.watch('kept', '{id}', user_id => 'u');
SELECT memai.watch('memai.episode', '{id}', user_id => 'u');
DROP VIEW seen;
DROP MATERIALIZED VIEW kept;
-- a table that goes leaves its watch and its episodes
SELECT memai.watch('"or''ders"', '{id}', user_id => 'u', name => 'second');
DROP TABLE "or'ders";
SELECT count(*) FROM memai.watched;
SELECT memai.unwatch('second', forget => true);
SELECT count(*) AS episodes FROM memai.episode;
RESET ROLE;
DELETE FROM memai.job;
DELETE FROM memai.memory_history;
DELETE FROM memai.memory;
DELETE FROM memai.entity;
DELETE FROM memai.episode;
DROP SCHEMA shop;
DROP ROLE watch_ann, watch_bob, watch_app;
