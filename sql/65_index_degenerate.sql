-- rows that cannot be told apart, in numbers: the index stays as large and as fast as with others
SET client_min_messages = warning;
CREATE SCHEMA index_test;
SET search_path = index_test, public, memai;
SET enable_seqscan = off;

-- 100,000 identical rows: built, inserted into, searched, half of them deleted
CREATE TABLE same (id integer, v vector(8));
INSERT INTO same SELECT n, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 100000) n;
CREATE INDEX same_v ON same USING memai (v vector_l2_ops);
SELECT memai_index_check('same_v', true);
-- several lists, but not of a few rows each
SELECT live_entries, routes, lists BETWEEN 2 AND 100000 / 40 AS lists, bytes_per_entry < 200 AS small FROM memai_index_info('same_v');
SELECT count(*), count(DISTINCT id), max(d) FROM (SELECT id, v <-> '[1,2,3,4,5,6,7,9]' AS d FROM same ORDER BY v <-> '[1,2,3,4,5,6,7,9]' LIMIT 100) x;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM same ORDER BY v <-> '[1,1,1,1,1,1,1,1]') x;
INSERT INTO same SELECT n, '[1,2,3,4,5,6,7,8]' FROM generate_series(100001, 105000) n;
SELECT memai_index_check('same_v', true);
DELETE FROM same WHERE id % 2 = 0;
VACUUM same;
SELECT memai_index_check('same_v', true);
SELECT live_entries, lists BETWEEN 2 AND 105000 / 40 AS lists FROM memai_index_info('same_v');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM same ORDER BY v <-> '[1,1,1,1,1,1,1,1]') x;
-- and inserted from the beginning
TRUNCATE same;
INSERT INTO same SELECT n, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 20000) n;
SELECT memai_index_check('same_v', true);
SELECT live_entries, lists BETWEEN 2 AND 20000 / 40 AS lists FROM memai_index_info('same_v');
DROP TABLE same;

-- one tenant among identical rows, in every class that has a direction
CREATE TABLE same (id integer, u integer, v vector(3), h halfvec(3));
INSERT INTO same SELECT n, n % 3, '[1,1,1]', '[1,1,1]' FROM generate_series(1, 30000) n;
CREATE INDEX same_cosine ON same USING memai (u, v vector_cosine_ops);
CREATE INDEX same_ip ON same USING memai (u, h halfvec_ip_ops) WITH (refine_bits = 4);
SELECT memai_index_check('same_cosine', true), memai_index_check('same_ip', true);
SELECT count(*), min(u), max(u) FROM (SELECT u FROM same WHERE u = 2 ORDER BY v <=> '[1,0,0]') x;
SELECT count(*), min(u), max(u) FROM (SELECT u FROM same WHERE u = 1 ORDER BY h <#> '[1,0,0]') x;
DROP TABLE same;

-- rows of one value among few, and axes: distances of many rows are equal
CREATE TABLE axes (id integer, v vector(64));
INSERT INTO axes SELECT n, (SELECT array_agg((j = n % 64)::integer ORDER BY j)::vector FROM generate_series(0, 63) j) FROM generate_series(1, 12800) n;
CREATE INDEX axes_v ON axes USING memai (v vector_cosine_ops) WITH (flat_size = 1000, list_size = 100);
SELECT memai_index_check('axes_v', true);
SELECT count(*), max(d) FROM (SELECT v <=> (SELECT v FROM axes WHERE id = 7) AS d FROM axes ORDER BY v <=> (SELECT v FROM axes WHERE id = 7) LIMIT 200) x;
DROP TABLE axes;

-- one row: searched, deleted, vacuumed, inserted again
CREATE TABLE one (id integer, v vector(5));
INSERT INTO one VALUES (1, '[1,2,3,4,5]');
CREATE INDEX one_v ON one USING memai (v vector_cosine_ops);
SELECT id FROM one ORDER BY v <=> '[5,4,3,2,1]' LIMIT 10;
DELETE FROM one;
VACUUM one;
SELECT id FROM one ORDER BY v <=> '[5,4,3,2,1]' LIMIT 10;
INSERT INTO one VALUES (2, '[1,2,3,4,5]');
SELECT id FROM one ORDER BY v <=> '[5,4,3,2,1]' LIMIT 10;
SELECT memai_index_check('one_v', true);
SELECT live_entries, dead_entries <= 1 AS dead FROM memai_index_info('one_v');
REINDEX INDEX one_v;
SELECT id FROM one ORDER BY v <=> '[5,4,3,2,1]' LIMIT 10;
DROP SCHEMA index_test CASCADE;
