-- what the planner knows of the vector functions
CREATE TABLE vector_planner_test (id integer, small vector(3), large vector(1536), half halfvec(768), any_dim vector);
INSERT INTO vector_planner_test (id, small) SELECT i, ARRAY[i, i % 10, 1] FROM generate_series(1, 1000) i;
ANALYZE vector_planner_test;
CREATE FUNCTION pg_temp.cost(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (plan -> 0 -> 'Plan' ->> 'Total Cost')::numeric;
END $$;
-- a distance of more dimensions costs more, and more than comparing integers
SELECT pg_temp.cost('SELECT small <-> ''[1,2,3]'' FROM vector_planner_test') < pg_temp.cost('SELECT large <-> large FROM vector_planner_test') AS grows,
	pg_temp.cost('SELECT id + 1 FROM vector_planner_test') < pg_temp.cost('SELECT small <-> ''[1,2,3]'' FROM vector_planner_test') AS above_integers,
	pg_temp.cost('SELECT cosine_distance(large, large) FROM vector_planner_test') = pg_temp.cost('SELECT large <=> large FROM vector_planner_test') AS operator_and_function,
	round((pg_temp.cost('SELECT large <-> large FROM vector_planner_test') - pg_temp.cost('SELECT id FROM vector_planner_test')) / 1000 / current_setting('cpu_operator_cost')::numeric) AS operators_per_distance;
-- so the cheap condition is tested first
EXPLAIN (COSTS OFF) SELECT id FROM vector_planner_test WHERE large <-> large < 1 AND id = 7;
-- estimates: equality is rare, as the statistics say
SELECT stadistinct <> 0 AS distinct_is_known FROM pg_statistic WHERE starelid = 'vector_planner_test'::regclass AND staattnum = 2;
DROP TABLE vector_planner_test;

-- support and estimator functions cannot be put on another type.  TY12
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'memai' AND p.prorettype = 'float8'::regtype AND 'internal'::regtype = ANY (p.proargtypes::oid[]);
CREATE ROLE vector_planner_user;
GRANT CREATE ON SCHEMA public TO vector_planner_user;
SET ROLE vector_planner_user;
CREATE FUNCTION public.vector_planner_f(text, text) RETURNS float8 LANGUAGE SQL IMMUTABLE RETURN 1;
ALTER FUNCTION public.vector_planner_f(text, text) SUPPORT _distance_support;
SELECT _distance_support(NULL);
CREATE OPERATOR public.=# (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq, RESTRICT = vector_cmp);
CREATE OPERATOR public.=# (LEFTARG = text, RIGHTARG = text, FUNCTION = vector_eq);
DROP FUNCTION public.vector_planner_f(text, text);
RESET ROLE;
-- even where a superuser does it
CREATE FUNCTION public.vector_planner_f(a text, b integer) RETURNS float8 LANGUAGE plpgsql IMMUTABLE SUPPORT _distance_support AS 'BEGIN RETURN 1; END';
CREATE TABLE vector_planner_test (t varchar(20), i integer, n numeric(10, 2));
EXPLAIN (COSTS OFF) SELECT public.vector_planner_f(t, i), public.vector_planner_f('constant', 1), public.vector_planner_f(NULL, NULL) FROM vector_planner_test ORDER BY public.vector_planner_f(t || 'x', i);
DROP TABLE vector_planner_test;
DROP FUNCTION public.vector_planner_f(text, integer);
REVOKE CREATE ON SCHEMA public FROM vector_planner_user;
DROP ROLE vector_planner_user;

-- what cannot leak a value may run before a security barrier; distances can fail, so they may not
SELECT proname, bool_and(proleakproof) AS leakproof FROM pg_proc WHERE proname IN ('vector_eq', 'vector_lt', 'vector_cmp', 'vector_hash', 'vector_dims', 'halfvec_eq', 'sparsevec_eq', 'l2_distance', 'vector_add', 'vector_in')
	AND pronamespace = (SELECT typnamespace FROM pg_type WHERE oid = 'vector'::regtype) GROUP BY 1 ORDER BY 1;

-- functions of another name, count or type than C expects.  TY13
CREATE FUNCTION pg_temp.wrong(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE command INTO result;
	RETURN coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT bool_and(proisstrict) AS all_strict FROM pg_proc p JOIN pg_type t ON t.oid = 'vector'::regtype AND p.pronamespace = t.typnamespace WHERE prosrc LIKE 'memai\_%' AND prosrc <> 'memai_ann';
-- a value that is none.  TY6
CREATE FUNCTION pg_temp.forge(bytea, integer) RETURNS vector LANGUAGE internal IMMUTABLE STRICT AS 'byteatrim';
CREATE CAST (bytea AS vector) WITHOUT FUNCTION;
CREATE CAST (bytea AS halfvec) WITHOUT FUNCTION;
CREATE CAST (bytea AS sparsevec) WITHOUT FUNCTION;
SELECT type, expression, left(pg_temp.wrong(format(expression, type, hex)), 60) AS result
FROM (VALUES ('vector'), ('halfvec'), ('sparsevec')) AS t(type), (VALUES ('\x'), ('\x00'), ('\x01000000'), ('\x02000000000000000000000000'), ('\xffff0000'), ('\x0500000005000000000000000100000001000000')) AS h(hex),
	(VALUES ('SELECT %2$L::bytea::%1$s'), ('SELECT %2$L::bytea::%1$s <-> %2$L::bytea::%1$s'), ('SELECT %2$L::bytea::%1$s = %2$L::bytea::%1$s'), ('SELECT %1$s_send(%2$L::bytea::%1$s)'), ('SELECT %1$s_hash(%2$L::bytea::%1$s)'), ('SELECT l2_normalize(%2$L::bytea::%1$s)'), ('SELECT vector_dims(%2$L::bytea::%1$s)'), ('SELECT %2$L::bytea::%1$s::vector::halfvec')) AS e(expression)
WHERE left(pg_temp.wrong(format(expression, type, hex)), 5) <> 'XX001';
DROP CAST (bytea AS vector);
DROP CAST (bytea AS halfvec);
DROP CAST (bytea AS sparsevec);

-- casts to pgvector's types when there is no pgvector
SELECT memai.create_pgvector_casts();
