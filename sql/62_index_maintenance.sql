-- what happens to an index in its life: growth by inserts, deletes, vacuum, rebuilding
SET client_min_messages = warning;
CREATE SCHEMA index_test;
SET search_path = index_test, public, memai;
SET enable_seqscan = off;
CREATE FUNCTION vec(seed integer) RETURNS vector LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT array_agg((sin(j * (seed % 37 + 1) * 0.7) + 0.3 * sin(seed * 12.9898 + j * 78.233))::real ORDER BY j)::vector
	FROM generate_series(1, 16) j;
END;

-- empty, one row, more
CREATE TABLE item (id integer PRIMARY KEY, v vector(16));
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) WITH (flat_size = 100, list_size = 40);
SELECT memai_index_check('item_v', true);
SELECT count(*) FROM (SELECT FROM item ORDER BY v <-> vec(1)) x;
INSERT INTO item VALUES (0, vec(0));
SELECT id FROM item ORDER BY v <-> vec(1) LIMIT 10;
SELECT memai_index_check('item_v', true);
INSERT INTO item SELECT n, vec(n) FROM generate_series(1, 2999) n;
SELECT memai_index_check('item_v', true);
SELECT live_entries, dead_entries, lists > 30 AS lists, routes FROM memai_index_info('item_v');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> vec(1)) x;

-- rolled back rows are never returned and vacuum removes them
BEGIN;
INSERT INTO item SELECT n, vec(n) FROM generate_series(5000, 5999) n;
SAVEPOINT s;
INSERT INTO item SELECT n, vec(n) FROM generate_series(6000, 6099) n;
ROLLBACK TO s;
SELECT count(*) FROM (SELECT FROM item ORDER BY v <-> vec(1)) x;
ROLLBACK;
SELECT count(*) FROM (SELECT FROM item ORDER BY v <-> vec(1)) x;

-- updates: of another column, of the vector
UPDATE item SET id = -id WHERE id % 10 = 3;
UPDATE item SET v = vec(id + 1) WHERE id % 10 = 4;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> vec(1)) x;
DELETE FROM item WHERE id % 2 = 0;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> vec(1)) x;
VACUUM item;
SELECT memai_index_check('item_v', true);
SELECT live_entries = (SELECT count(*) FROM item) AS live, dead_entries < live_entries / 2 AS compacted FROM memai_index_info('item_v');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> vec(1)) x;
DELETE FROM item;
VACUUM item;
SELECT memai_index_check('item_v', true);
SELECT live_entries FROM memai_index_info('item_v');
INSERT INTO item SELECT n, vec(n) FROM generate_series(1, 1000) n;
VACUUM item;
SELECT memai_index_check('item_v', true);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> vec(1)) x;

-- rebuilding
REINDEX INDEX item_v;
SELECT memai_index_check('item_v', true);
REINDEX INDEX CONCURRENTLY item_v;
SELECT memai_index_check('item_v', true);
CLUSTER item USING item_pkey;
SELECT memai_index_check('item_v', true);
CREATE INDEX CONCURRENTLY item_v2 ON item USING memai (v);
SELECT memai_index_check('item_v2', true);
SELECT metric FROM memai_index_info('item_v2');
DROP INDEX item_v2;
TRUNCATE item;
SELECT memai_index_check('item_v', true);
INSERT INTO item SELECT n, vec(n) FROM generate_series(1, 100) n;
SELECT count(*) FROM (SELECT FROM item ORDER BY v <-> vec(1)) x;

-- memory: little
SET maintenance_work_mem = '1MB';
INSERT INTO item SELECT n, vec(n) FROM generate_series(101, 5000) n;
REINDEX INDEX item_v;
SELECT memai_index_check('item_v', true);
RESET maintenance_work_mem;

-- unlogged, temporary, partial, expression, partitioned
CREATE UNLOGGED TABLE unlogged (id integer, v vector(16));
CREATE INDEX ON unlogged USING memai (v vector_l2_ops);
INSERT INTO unlogged SELECT n, vec(n) FROM generate_series(1, 100) n;
SELECT memai_index_check('unlogged_v_idx', true);
ALTER TABLE unlogged SET LOGGED;
SELECT memai_index_check('unlogged_v_idx', true);
CREATE TEMPORARY TABLE temporary (id integer, v vector(16));
CREATE INDEX ON temporary USING memai (v vector_l2_ops);
INSERT INTO temporary SELECT n, vec(n) FROM generate_series(1, 100) n;
SELECT memai_index_check('temporary_v_idx', true);
SELECT id FROM temporary ORDER BY v <-> vec(7) LIMIT 1;
CREATE INDEX partial ON item USING memai (v vector_cosine_ops) WHERE id <= 50;
SELECT memai_index_check('partial', true);
SELECT live_entries FROM memai_index_info('partial');
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE id <= 50 ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 1;
SELECT count(*) FROM (SELECT FROM item WHERE id <= 50 ORDER BY v <=> vec(3)) x;
CREATE INDEX expression ON item USING memai ((v + v) vector_ip_ops);
SELECT memai_index_check('expression', true);
SELECT id FROM item ORDER BY v + v <#> vec(3) LIMIT 1;
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT id FROM item ORDER BY v + v <#> vec(3) LIMIT 1;
RESET enable_indexscan;
SET enable_seqscan = off;
CREATE TABLE part (k integer, id integer, v vector(16)) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part2 PARTITION OF part FOR VALUES IN (2);
CREATE INDEX part_v ON part USING memai (v vector_l2_ops);
INSERT INTO part SELECT n % 2 + 1, n, vec(n) FROM generate_series(1, 200) n;
SELECT id FROM part ORDER BY v <-> vec(9) LIMIT 1;
DROP SCHEMA index_test CASCADE;
