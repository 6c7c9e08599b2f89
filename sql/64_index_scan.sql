-- scans: filters, cursors, rescans, the settings
SET client_min_messages = warning;
CREATE SCHEMA index_test;
SET search_path = index_test, public, memai;
SET enable_seqscan = off;
CREATE FUNCTION vec(seed integer) RETURNS vector LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT array_agg((sin(j * (seed % 37 + 1) * 0.7) + 0.3 * sin(seed * 12.9898 + j * 78.233))::real ORDER BY j)::vector
	FROM generate_series(1, 16) j;
END;
CREATE TABLE item (id integer, kind integer, v vector(16));
INSERT INTO item SELECT n, n % 100, vec(n) FROM generate_series(1, 5000) n;
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) WITH (flat_size = 100, list_size = 40);
ANALYZE item;

-- a filter gets its rows, however rare
SELECT count(*) FROM (SELECT FROM item WHERE kind = 7 ORDER BY v <-> vec(1) LIMIT 10) x;
SELECT count(*) FROM (SELECT FROM item WHERE id = 4999 ORDER BY v <-> vec(1) LIMIT 10) x;
SELECT count(*) FROM (SELECT FROM item WHERE id > 5000 ORDER BY v <-> vec(1) LIMIT 10) x;
-- unless told to stop
SET memai.probes = 1;
SET memai.iterative_scan = off;
SELECT count(*) < 5000 AS stopped FROM (SELECT FROM item ORDER BY v <-> vec(1)) x;
RESET memai.iterative_scan;
SET memai.max_scan_tuples = 100;
SELECT count(*) < 500 AS stopped FROM (SELECT FROM item ORDER BY v <-> vec(1)) x;
RESET memai.max_scan_tuples;
SELECT count(*) FROM (SELECT FROM item ORDER BY v <-> vec(1)) x;
-- strict order leaves out what comes too late, relaxed does not
SET memai.iterative_scan = strict;
SELECT count(*) <= 5000 AS all_or_less, bool_and(d >= before) AS in_order
FROM (SELECT d, lag(d, 1, 0) OVER () AS before FROM (SELECT v <-> vec(1) AS d FROM item ORDER BY v <-> vec(1)) x) y;
RESET memai.iterative_scan;
SET memai.probes = 1000;
SET memai.epsilon = 6;
SELECT count(*) AS all_rows, bool_and(d >= before) AS in_order
FROM (SELECT d, lag(d, 1, 0) OVER () AS before FROM (SELECT v <-> vec(1) AS d FROM item ORDER BY v <-> vec(1)) x) y;
RESET memai.probes;
RESET memai.epsilon;

-- limits, cursors, rescans
SELECT count(*) FROM (SELECT FROM item ORDER BY v <-> vec(1) LIMIT 0) x;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM item ORDER BY v <-> vec(42);
FETCH 2 FROM c;
MOVE 1000 IN c;
FETCH BACKWARD 1 FROM c;
FETCH FIRST FROM c;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM item ORDER BY v <-> vec(43) LIMIT 3;
COMMIT;
FETCH 1 FROM h;
CLOSE h;
EXPLAIN (COSTS OFF) SELECT n, x.id FROM generate_series(1, 3) n, LATERAL (SELECT id FROM item ORDER BY v <-> vec(n) LIMIT 1) x;
SELECT count(*), sum((x.id = n)::integer) AS itself FROM generate_series(1, 500) n, LATERAL (SELECT id FROM item ORDER BY v <-> vec(n) LIMIT 1) x;
-- many searches in one statement use the memory of one
SELECT count(*) FROM generate_series(1, 3000) n, LATERAL (SELECT id FROM item ORDER BY v <-> vec(n % 100) LIMIT 5) x;

-- a prepared statement with a parameter, and rows of this very transaction
PREPARE nearest(vector) AS SELECT id FROM item ORDER BY v <-> $1 LIMIT 1;
EXECUTE nearest(vec(77));
BEGIN;
INSERT INTO item VALUES (-1, 0, vec(123456));
EXECUTE nearest(vec(123456));
DELETE FROM item WHERE id = -1;
SELECT id <> -1 AS gone FROM item ORDER BY v <-> vec(123456) LIMIT 1;
ROLLBACK;

-- every instruction set finds the same
SET memai.simd = scalar;
SELECT array_agg(id) AS ids FROM (SELECT id FROM item ORDER BY v <-> vec(5) LIMIT 20) x \gset
RESET memai.simd;
SELECT array_agg(id) = :'ids'::integer[] AS same FROM (SELECT id FROM item ORDER BY v <-> vec(5) LIMIT 20) x;

-- small tables are read whole
RESET enable_seqscan;
CREATE TABLE small (id integer, v vector(16));
INSERT INTO small SELECT n, vec(n) FROM generate_series(1, 20) n;
CREATE INDEX ON small USING memai (v vector_l2_ops);
ANALYZE small;
EXPLAIN (COSTS OFF) SELECT id FROM small ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3;
DROP SCHEMA index_test CASCADE;
