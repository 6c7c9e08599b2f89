-- leading key columns: every type, tenants that share lists, and when the planner may use the index
SET client_min_messages = warning;
CREATE SCHEMA index_test;
SET search_path = index_test, public, memai;
SET enable_seqscan = off;
CREATE FUNCTION vec(seed integer, dim integer) RETURNS vector LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT array_agg((sin(j * (seed % 23 + 1) * 0.7) + 0.3 * sin(seed * 12.9898 + j * 78.233))::real ORDER BY j)::vector
	FROM generate_series(1, dim) j;
END;

-- one tenant of many rows, many of few, rows without a key
CREATE TABLE item (id integer, b boolean, s smallint, i integer, l bigint, u uuid, t text, c varchar, d date, z timestamptz, o oid, v vector(16));
INSERT INTO item SELECT n, k % 2 = 0, k, k, k, md5(k::text)::uuid, 'user ' || k, 'user ' || k,
	date '2024-01-01' + k, timestamptz '2024-01-01 00:00+00' + k * interval '1 hour', k, vec(n, 16)
FROM (SELECT n, CASE WHEN n % 3 = 0 THEN 1 ELSE n % 400 END AS k FROM generate_series(1, 3000) n) x;
INSERT INTO item (id, v) SELECT n, vec(n, 16) FROM generate_series(3001, 3010) n;

-- plans as PostgreSQL 15 writes them: 17 names what an InitPlan returns, 18 says which kinds of scans are switched off
CREATE FUNCTION as_in_15(line text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN regexp_replace(replace(replace(line, '(InitPlan 1).col1', '$0'), '(InitPlan 2).col1', '$1'), '( InitPlan 1)$', '\1 (returns $0)');
CREATE FUNCTION plan_of(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || q LOOP
		IF line !~ '^ *Disabled: true$' THEN
			RETURN NEXT as_in_15(line);
		END IF;
	END LOOP;
END $$;
CREATE FUNCTION try_key(key text, value text) RETURNS TABLE (used boolean, n bigint, distinct_rows bigint, expected bigint)
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	q text := format('SELECT id FROM item WHERE %I = %s ORDER BY v <=> (SELECT vec(4711, 16))', key, value);
BEGIN
	EXECUTE format('CREATE INDEX i ON item USING memai (%I, v vector_cosine_ops) WITH (flat_size = 200, list_size = 50)', key);
	PERFORM memai_index_check('i', true);
	used := false;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || q LOOP
		used := used OR line LIKE '%Index Scan using i on item%';
	END LOOP;
	EXECUTE format('SELECT count(*), count(DISTINCT id) FROM (%s) x', q) INTO n, distinct_rows;
	DROP INDEX i;
	EXECUTE format('SELECT count(*) FROM item WHERE %I = %s', key, value) INTO expected;
	RETURN NEXT;
END $$;
SELECT * FROM try_key('b', '(SELECT true)');
SELECT * FROM try_key('s', '1');
SELECT * FROM try_key('s', '17::bigint');
SELECT * FROM try_key('i', '1');
SELECT * FROM try_key('i', '17::smallint');
SELECT * FROM try_key('l', '17');
SELECT * FROM try_key('u', '''c4ca4238-a0b9-2382-0dcc-509a6f75849b''');
SELECT * FROM try_key('t', '''user 1''');
SELECT * FROM try_key('c', '''user 17''');
SELECT * FROM try_key('d', '''2024-01-18''');
SELECT * FROM try_key('z', '''2024-01-01 17:00+00''');
SELECT * FROM try_key('o', '17');
SELECT * FROM try_key('i', 'NULL');
SELECT * FROM try_key('i', '100000');

-- two keys; each needs a value, and there must be an order
CREATE INDEX i ON item USING memai (i, t, v vector_l2_ops);
SELECT * FROM plan_of($$SELECT id FROM item WHERE i = 5 AND t = 'user 5' ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3$$) AS "QUERY PLAN";
SELECT * FROM plan_of($$SELECT id FROM item WHERE i = 5 ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3$$) AS "QUERY PLAN";
SELECT * FROM plan_of($$SELECT id FROM item ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3$$) AS "QUERY PLAN";
SELECT * FROM plan_of($$SELECT id FROM item WHERE i = 5 AND t = 'user 5'$$) AS "QUERY PLAN";
SELECT * FROM plan_of($$SELECT id FROM item WHERE i = 5 AND t = 'user 5' ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3$$) AS "QUERY PLAN";
SELECT count(*) FROM (SELECT FROM item WHERE i = 5 AND t = 'user 5' ORDER BY v <-> vec(1, 16)) x;
SELECT count(*) FROM (SELECT FROM item WHERE i = 5 AND t = 'user 6' ORDER BY v <-> vec(1, 16)) x;
DROP INDEX i;

-- a boolean key: the planner writes b = true as b, and b = false as NOT b
CREATE INDEX i ON item USING memai (b, v vector_cosine_ops) WITH (flat_size = 200, list_size = 50);
CREATE FUNCTION try_condition(condition text) RETURNS TABLE (plan text, n bigint, expected bigint)
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	q text := format('SELECT id FROM item WHERE %s ORDER BY v <=> (SELECT vec(4711, 16))', condition);
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || q LOOP
		plan := coalesce(substring(as_in_15(line) FROM '(?:Index Cond|Filter): (.*)'), plan);
	END LOOP;
	EXECUTE format('SELECT count(*) FROM (%s) x', q) INTO n;
	EXECUTE format('SELECT count(*) FROM item WHERE %s', condition) INTO expected;
	RETURN NEXT;
END $$;
SELECT condition, t.* FROM unnest(ARRAY['b', 'NOT b', 'b = true', 'b = false', 'true = b', 'b <> true', 'b IS TRUE', 'b IS FALSE',
	'b = (SELECT false)', 'b AND id > 1000', 'b AND NOT b', 'b = NULL']) condition, try_condition(condition) t;
SELECT * FROM plan_of($$SELECT id FROM item WHERE b ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3$$) AS "QUERY PLAN";
-- other conditions are none on the key
SELECT * FROM plan_of($$SELECT id FROM item WHERE b IS NOT TRUE ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3$$) AS "QUERY PLAN";
SET plan_cache_mode = force_generic_plan;
PREPARE active(boolean) AS SELECT count(*), bool_and(b = $1) FROM (SELECT b FROM item WHERE b = $1 ORDER BY v <=> (SELECT vec(4711, 16))) x;
SELECT * FROM plan_of($$EXECUTE active(true)$$) AS "QUERY PLAN";
EXECUTE active(true);
EXECUTE active(false);
RESET plan_cache_mode;
DROP INDEX i;
-- among other keys, and beside one of another type
CREATE INDEX i ON item USING memai (b, i, v vector_cosine_ops);
SELECT * FROM plan_of($$SELECT id FROM item WHERE b AND i = 2 ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3$$) AS "QUERY PLAN";
SELECT count(*), (SELECT count(*) FROM item WHERE b AND i = 2) AS expected
FROM (SELECT FROM item WHERE b AND i = 2 ORDER BY v <=> (SELECT vec(4711, 16))) x;
DROP INDEX i;

-- tenants of one row share pages: at 768 dimensions at most 1.5 kB a row when built; when inserted, too,
-- unless a transaction elsewhere in the cluster keeps the pages of split lists from being used again
CREATE TABLE tiny (u integer, v vector(768));
CREATE INDEX tiny_v ON tiny USING memai (u, v vector_cosine_ops);
-- pages of split lists are used again when no transaction can see them
SELECT format('INSERT INTO tiny SELECT n, vec(n, 768) FROM generate_series(%s, %s) n', n, n + 39)
FROM generate_series(1, 2400, 40) n \gexec
SELECT memai_index_check('tiny_v', true);
SELECT bytes_per_entry < 3000 AS inserted, roots > 20 AS shared FROM memai_index_info('tiny_v');
REINDEX INDEX tiny_v;
SELECT bytes_per_entry < 1100 AS built FROM memai_index_info('tiny_v');
SELECT sum((SELECT count(*) FROM (SELECT FROM tiny WHERE u = n ORDER BY v <=> vec(1, 768)) x)) FROM generate_series(1, 2400, 7) n;
DROP SCHEMA index_test CASCADE;
