-- avg and sum of vector and halfvec
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]'::vector, NULL, '[3,5,7]']) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]'::halfvec, NULL, '[3,5,7]']) v;
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum, count(v) FROM unnest(ARRAY[]::vector[]) v;
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum FROM unnest(ARRAY[NULL, NULL]::halfvec[]) v;
SELECT k, avg(v), sum(v) FROM (VALUES (1, '[1,1]'::vector), (2, '[2,2]'), (1, '[3,5]')) x(k, v) GROUP BY k ORDER BY k;
SELECT k, sum(v) OVER (ORDER BY k), avg(v) OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1, '[1]'::vector), (2, '[2]'), (3, '[4]')) x(k, v);

-- in double: many small values beside a large one
SELECT sum(v), avg(v) FROM (SELECT '[16777216]'::vector AS v UNION ALL SELECT '[1]' FROM generate_series(1, 1000)) s;
SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]'), ('[-3e38]')) x(v);
SELECT sum(v) FROM (VALUES ('[60000]'::halfvec), ('[60000]'), ('[-60000]')) x(v);
\set VERBOSITY sqlstate
SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]')) x(v);
SELECT sum(v) FROM (VALUES ('[60000]'::halfvec), ('[60000]')) x(v);
SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[1]')) x(v);
SELECT sum(v) FROM (VALUES ('[1,2]'::halfvec), ('[1]')) x(v);
\set VERBOSITY default

-- parallel workers add up to the same
CREATE TABLE vector_aggregate_test (k integer, v vector(3), h halfvec(3));
INSERT INTO vector_aggregate_test SELECT i, ARRAY[i, i % 10, 0.25], ARRAY[i % 100, i % 10, 0.25] FROM generate_series(1, 20000) i;
ANALYZE vector_aggregate_test;
SET max_parallel_workers_per_gather = 0;
SELECT sum(v), avg(v), avg(h) FROM vector_aggregate_test;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT sum(v), avg(v), avg(h) FROM vector_aggregate_test;
SELECT sum(v), avg(v), avg(h) FROM vector_aggregate_test;
SELECT sum(v), avg(v), avg(h) FROM vector_aggregate_test WHERE k < 0;
DROP TABLE vector_aggregate_test;
