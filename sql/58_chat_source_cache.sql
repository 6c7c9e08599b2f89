-- sources: rows that are kept for a while, changes that end it, tables in Markdown
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
\set VERBOSITY terse
CREATE SCHEMA regress_shop;
SET search_path = regress_shop, public;
CREATE TABLE item (name text, stock integer);
CREATE TABLE price (name text, amount numeric);
INSERT INTO item VALUES ('boot', 1), ('a|b', NULL);
SELECT memai.register_source('table', 'SELECT name, stock FROM item ORDER BY name', format => 'table');
SELECT memai.register_source('kept', 'SELECT name, stock FROM item WHERE name = parameter.name', parameters => '{"name": "boot"}', cache_ttl => '1 hour', template => '{name}: {stock}');
SELECT memai.register_source('fresh', 'SELECT name, stock FROM item WHERE name = ''boot''', cache_ttl => '1 hour', watch => '{item, regress_shop.price}', template => '{stock}');
SELECT name, uses, cache_ttl, watch FROM memai.source ORDER BY name;
SELECT tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgname ~ 'memai_source' ORDER BY 1;
RESET search_path;

SELECT memai.source_text('table');
SELECT memai.source_text('kept'), memai.source_text('fresh');
UPDATE regress_shop.item SET stock = 2 WHERE name = 'boot';
SELECT memai.source_text('kept') AS as_before, memai.source_text('fresh') AS changed;
-- each by its parameters, but only by those that the query uses
SELECT memai.source_text('kept', '{"name": "a|b"}') AS other, memai.source_text('kept', '{"message": "hi"}') AS same;
-- another user, role or tenant reads for himself
SET memai.user_id = 'bob';
SELECT memai.source_text('kept') AS another_user;
SET memai.user_id = 'ann';
CREATE ROLE regress_cache_clerk IN ROLE memai_user;
GRANT USAGE ON SCHEMA regress_shop TO regress_cache_clerk;
SET ROLE regress_cache_clerk;
SELECT memai.source_text('kept');
RESET ROLE;
-- every kind of change counts, and those of the other table
SELECT memai.source_text('fresh');
INSERT INTO regress_shop.item VALUES ('boot', 3);
SELECT memai.source_text('fresh');
DELETE FROM regress_shop.item WHERE stock = 2;
SELECT memai.source_text('fresh');
TRUNCATE regress_shop.item;
SELECT memai.source_text('fresh');
INSERT INTO regress_shop.item VALUES ('boot', 5);
INSERT INTO regress_shop.price VALUES ('boot', 5);
SELECT memai.source_text('fresh');
-- one row a transaction; of those that are over only the last is kept
SELECT count(*) < 6 AS bounded FROM memai._source_change WHERE source = 'fresh';
-- nothing is kept of a transaction that is rolled back
BEGIN;
UPDATE regress_shop.item SET stock = 100;
SELECT memai.source_text('fresh');
SAVEPOINT s;
UPDATE regress_shop.item SET stock = 200;
SELECT memai.source_text('fresh');
ROLLBACK TO s;
SELECT memai.source_text('fresh');
ROLLBACK;
SELECT memai.source_text('fresh');
BEGIN;
UPDATE regress_shop.item SET stock = 6;
SELECT memai.source_text('fresh');
COMMIT;
SELECT memai.source_text('fresh');
BEGIN READ ONLY;
SELECT memai.source_text('fresh'), memai.source_text('kept', '{"name": "a|b"}');
COMMIT;
-- another definition is another text
SELECT memai.register_source('kept', 'SELECT name, stock FROM regress_shop.item WHERE name = parameter.name', parameters => '{"name": "boot"}', cache_ttl => '1 hour');
SELECT memai.source_text('kept');
SELECT memai.register_source('kept', 'SELECT clock_timestamp() AS t', cache_ttl => '1 microsecond');
SELECT memai.source_text('kept') <> memai.source_text('kept') AS time_is_over;
-- kept texts are few
SELECT memai.register_source('many', 'SELECT parameter.n AS n, stock FROM regress_shop.item', parameters => '{"n": 0}', cache_ttl => '1 hour', template => '{n} {stock}');
SELECT count(memai.source_text('many', jsonb_build_object('n', n))) FROM generate_series(1, 300) n;
UPDATE regress_shop.item SET stock = 7;
SELECT memai.source_text('many', '{"n": 1}') AS read_again, memai.source_text('many', '{"n": 300}') AS as_before;
-- who may watch
CREATE VIEW regress_shop.view AS SELECT 1;
SELECT memai.register_source('bad', 'SELECT 1', cache_ttl => '1 hour', watch => '{regress_shop.view}');
SELECT memai.register_source('bad', 'SELECT 1', cache_ttl => '1 hour', watch => '{missing}');
SELECT memai.register_source('bad', 'SELECT 1', cache_ttl => '1 hour', watch => '{NULL}');
SELECT memai.register_source('bad', 'SELECT 1', watch => '{regress_shop.item}');
SELECT memai.register_source('bad', 'SELECT 1', cache_ttl => '-1 s');
SELECT memai.register_source('bad', 'SELECT 1', format => 'prose');
SET ROLE regress_cache_clerk;
SELECT memai.register_source('bad', 'SELECT 1', cache_ttl => '1 hour', watch => '{regress_shop.item}');
INSERT INTO memai._source_change VALUES ('regress', 'fresh', '3');
SELECT memai._source_changed();
RESET ROLE;
-- the triggers go with the source
SELECT memai.register_source('fresh', 'SELECT 1', cache_ttl => '1 hour', watch => '{regress_shop.item}');
SELECT tgrelid::regclass FROM pg_trigger WHERE tgname ~ 'memai_source' ORDER BY 1;
SELECT memai.drop_source('fresh'), memai.drop_source('kept'), memai.drop_source('table'), memai.drop_source('many');
SELECT count(*) FROM pg_trigger WHERE tgname ~ 'memai_source';
SET client_min_messages = error;
DELETE FROM memai._source_change;
DROP SCHEMA regress_shop CASCADE;
DROP ROLE regress_cache_clerk;
