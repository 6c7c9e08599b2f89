-- comparison, btree and hash operator classes of all three types
SELECT a, b, vector_cmp(a, b), a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt
FROM (VALUES ('[1,2]'::vector, '[1,2]'::vector), ('[1,2]', '[1,3]'), ('[1,2]', '[1]'), ('[1]', '[2,0]'), ('[0]', '[-0]'), ('[-1]', '[1]')) x(a, b);
-- halfvec and sparsevec have the order of the vectors that they stand for
WITH v(v) AS (VALUES ('[1,2]'::vector), ('[1,3]'), ('[1]'), ('[2,0]'), ('[0]'), ('[0,0]'), ('[0,-1]'), ('[0,1]'), ('[-1]'), ('[0,0,1]'), ('[0,0,-1]'), ('[1,0,0]'))
SELECT count(*) AS pairs, bool_and(vector_cmp(a.v, b.v) = halfvec_cmp(a.v::halfvec, b.v::halfvec)) AS halfvec, bool_and(vector_cmp(a.v, b.v) = sparsevec_cmp(a.v::sparsevec, b.v::sparsevec)) AS sparsevec,
	bool_and(vector_cmp(a.v, b.v) = -vector_cmp(b.v, a.v)) AS antisymmetric, bool_and(a.v <> b.v OR vector_hash(a.v) = vector_hash(b.v)) AS hash
FROM v a, v b;
-- equal values hash alike, different ones do not
SELECT vector_hash('[0,1]') = vector_hash('[-0,1]') AS vector, halfvec_hash('[0,1]') = halfvec_hash('[-0,1]') AS halfvec, sparsevec_hash('{1:1}/2') = sparsevec_hash('{1:1,2:0}/2') AS sparsevec,
	(vector_hash_extended('[1]', 0) & 4294967295) = (vector_hash('[1]')::bigint & 4294967295) AS extended, vector_hash_extended('[1]', 1) <> vector_hash_extended('[1]', 2) AS seed;
SELECT count(DISTINCT vector_hash(ARRAY[i, i % 7]::vector)) > 9990 AS vector, count(DISTINCT halfvec_hash(ARRAY[i % 1000, i / 1000]::halfvec)) > 9990 AS halfvec, count(DISTINCT sparsevec_hash(ARRAY[i, 0, i % 7]::sparsevec)) > 9990 AS sparsevec FROM generate_series(1, 10000) i;
SELECT vector_hash_extended('[1,2,3]', 0) = vector_hash_extended('[1,2,3]', 0) AS stable;

CREATE TABLE vector_order_test (id integer, v vector, h halfvec, s sparsevec);
INSERT INTO vector_order_test SELECT i, x, x, x FROM (SELECT i, ARRAY[i % 5, i % 3]::vector AS x FROM generate_series(1, 300) i) y;
INSERT INTO vector_order_test VALUES (0, NULL, NULL, NULL);
ANALYZE vector_order_test;
-- grouping and joins by hash and by sorting
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT v, count(*) FROM vector_order_test GROUP BY v;
SELECT count(*) AS groups, sum(n) AS rows FROM (SELECT v, count(*) AS n FROM vector_order_test GROUP BY v) g;
SELECT count(*) AS groups FROM (SELECT DISTINCT h, s FROM vector_order_test) g;
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM vector_order_test a JOIN vector_order_test b ON a.v = b.v;
SELECT count(*) FROM vector_order_test a JOIN vector_order_test b ON a.v = b.v AND a.h = b.h AND a.s = b.s;
RESET enable_sort;
RESET enable_mergejoin;
SET enable_hashjoin = off;
SELECT count(*) FROM vector_order_test a JOIN vector_order_test b ON a.v = b.v;
RESET enable_hashjoin;
RESET enable_nestloop;
SELECT v FROM (SELECT DISTINCT v FROM vector_order_test) d ORDER BY v DESC NULLS LAST LIMIT 4;
-- indexes
CREATE INDEX ON vector_order_test (v);
CREATE INDEX ON vector_order_test USING hash (h);
CREATE UNIQUE INDEX ON vector_order_test (s, id);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM vector_order_test WHERE h = '[1,1]';
SELECT (SELECT count(*) FROM vector_order_test WHERE v = '[1,1]') AS btree, (SELECT count(*) FROM vector_order_test WHERE h = '[1,1]') AS hash, (SELECT count(*) FROM vector_order_test WHERE s = '{1:1,2:1}/2') AS sparse, (SELECT count(*) FROM vector_order_test WHERE v < '[1,1]') AS less;
SELECT v FROM vector_order_test WHERE v > '[3,1]' ORDER BY v LIMIT 2;
RESET enable_seqscan;
DROP TABLE vector_order_test;
-- hash partitions
CREATE TABLE vector_order_test (v vector) PARTITION BY HASH (v);
CREATE TABLE vector_order_test_0 PARTITION OF vector_order_test FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE vector_order_test_1 PARTITION OF vector_order_test FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO vector_order_test SELECT ARRAY[i]::vector FROM generate_series(1, 100) i;
SELECT count(*) FROM vector_order_test WHERE v = '[42]';
DROP TABLE vector_order_test;
SELECT opfname, amname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_opfamily f ON f.oid = opcfamily JOIN pg_am a ON a.oid = opcmethod WHERE opcintype IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype) AND amname IN ('btree', 'hash') ORDER BY 1, 2;
