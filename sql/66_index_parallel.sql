-- indexes that parallel workers help to build, as many as the server has to spare: all rows, and the exact answers
SET client_min_messages = warning;
CREATE SCHEMA index_test;
SET search_path = index_test, public, memai;
SET enable_seqscan = off;
SET enable_sort = off;
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 2;
-- all lists are read, so that answers do not depend on who found which centroid, and codes never do
SET memai.probes = 1000000;
SET memai.epsilon = 10;
CREATE FUNCTION vec(seed integer) RETURNS vector LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT array_agg((sin(j * (seed % 37 + 1) * 0.7) + 0.3 * sin(seed * 12.9898 + j * 78.233))::real ORDER BY j)::vector
	FROM generate_series(1, 16) j;
END;
-- tenant 0 has 2,000 rows, 1 to 9 have 100, and 100 have one
CREATE TABLE item (id integer, u integer, v vector(16)) WITH (parallel_workers = 2);
INSERT INTO item SELECT n, CASE WHEN n <= 2000 THEN 0 WHEN n <= 2900 THEN n % 9 + 1 ELSE n END, vec(n) FROM generate_series(1, 3000) n;
INSERT INTO item VALUES (3001, 0, NULL), (3002, NULL, vec(3002));
CREATE TABLE query AS SELECT n AS id, vec(n * 311) AS v FROM generate_series(0, 9) n;
CREATE VIEW answer AS
	SELECT q.id, d, rank() OVER (PARTITION BY q.id ORDER BY d) AS rank
	FROM query q, LATERAL (SELECT i.v <-> q.v AS d FROM item i ORDER BY i.v <-> q.v LIMIT 10) x;
CREATE VIEW tenant_answer AS
	SELECT q.id, d, rank() OVER (PARTITION BY q.id ORDER BY d) AS rank
	FROM query q, LATERAL (SELECT i.v <-> q.v AS d FROM item i WHERE i.u = q.id ORDER BY i.v <-> q.v LIMIT 10) x;
CREATE TABLE exact AS SELECT * FROM answer;
CREATE TABLE tenant_exact AS SELECT * FROM tenant_answer;

-- many lists, one list, codes of other sizes, and little memory
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) WITH (flat_size = 500, list_size = 60);
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 10;
SELECT memai_index_check('item_v', true);
SELECT dimensions, routes, lists > 30 AS lists, live_entries, probes_measured FROM memai_index_info('item_v');
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT * FROM answer) x;
REINDEX INDEX item_v;
SELECT memai_index_check('item_v', true);
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT * FROM answer) x;
REINDEX INDEX CONCURRENTLY item_v;
SELECT memai_index_check('item_v', true);
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT * FROM answer) x;
SET maintenance_work_mem = '1MB';
REINDEX INDEX item_v;
RESET maintenance_work_mem;
SELECT memai_index_check('item_v', true);
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT * FROM answer) x;
DROP INDEX item_v;
CREATE INDEX item_v ON item USING memai (v vector_l2_ops);
SELECT memai_index_check('item_v', true);
SELECT routes, lists, live_entries FROM memai_index_info('item_v');
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT * FROM answer) x;
DROP INDEX item_v;
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) WITH (flat_size = 500, list_size = 60, refine_bits = 0);
SELECT memai_index_check('item_v', true);
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT * FROM answer) x;
DROP INDEX item_v;

-- tenants, large, small and of one row; inserts go on where the build ended
CREATE INDEX CONCURRENTLY item_u ON item USING memai (u, v vector_l2_ops) WITH (flat_size = 500, list_size = 60);
SELECT memai_index_check('item_u', true);
SELECT key_columns, routes, live_entries, probes_measured FROM memai_index_info('item_u');
SELECT count(*) FROM (SELECT * FROM tenant_exact EXCEPT SELECT * FROM tenant_answer) x;
INSERT INTO item SELECT n, n % 3, vec(n) FROM generate_series(4001, 4500) n;
SELECT memai_index_check('item_u', true);
DELETE FROM item WHERE id > 4000;
VACUUM item;
SELECT memai_index_check('item_u', true);
SELECT count(*) FROM (SELECT * FROM tenant_exact EXCEPT SELECT * FROM tenant_answer) x;
DROP INDEX item_u;

-- part of the rows, of an expression; of a function that workers may not call; and when no worker can be had
CREATE INDEX item_e ON item USING memai ((v + v) vector_l2_ops) WITH (flat_size = 500, list_size = 60) WHERE id % 3 > 0;
SELECT memai_index_check('item_e', true);
SELECT live_entries FROM memai_index_info('item_e');
DROP INDEX item_e;
CREATE FUNCTION restricted(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED AS 'BEGIN RETURN v; END';
CREATE INDEX item_e ON item USING memai (restricted(v) vector_l2_ops) WITH (flat_size = 500, list_size = 60);
SELECT memai_index_check('item_e', true);
DROP INDEX item_e;
SET max_parallel_workers = 0;
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) WITH (flat_size = 500, list_size = 60);
RESET max_parallel_workers;
SELECT memai_index_check('item_v', true);
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT * FROM answer) x;

-- no rows, one row, equal rows, one dimension for all; temporary tables have no workers
TRUNCATE item;
SELECT memai_index_check('item_v', true);
REINDEX INDEX item_v;
INSERT INTO item VALUES (1, 1, vec(1));
REINDEX INDEX item_v;
SELECT memai_index_check('item_v', true);
INSERT INTO item SELECT n, 1, vec(1) FROM generate_series(2, 3000) n;
REINDEX INDEX item_v;
SELECT memai_index_check('item_v', true);
SELECT live_entries FROM memai_index_info('item_v');
CREATE TABLE untyped (id integer, v halfvec) WITH (parallel_workers = 2);
CREATE INDEX untyped_v ON untyped USING memai (v halfvec_cosine_ops) WITH (flat_size = 500, list_size = 60);
INSERT INTO untyped SELECT n, CASE WHEN n > 1000 THEN vec(n)::halfvec END FROM generate_series(1, 2000) n;
REINDEX INDEX untyped_v;
SELECT memai_index_check('untyped_v', true);
SELECT dimensions, live_entries FROM memai_index_info('untyped_v');
INSERT INTO untyped VALUES (1, '[1,2]');
DROP INDEX untyped_v;
INSERT INTO untyped VALUES (1, '[1,2]');
CREATE INDEX untyped_v ON untyped USING memai (v halfvec_cosine_ops) WITH (flat_size = 500, list_size = 60);
CREATE TEMPORARY TABLE temporary (id integer, v vector(16)) WITH (parallel_workers = 2);
INSERT INTO temporary SELECT n, vec(n) FROM generate_series(1, 2000) n;
CREATE INDEX temporary_v ON temporary USING memai (v vector_l2_ops) WITH (flat_size = 500, list_size = 60);
SELECT memai_index_check('temporary_v', true);
SELECT live_entries FROM memai_index_info('temporary_v');
DROP SCHEMA index_test CASCADE;
