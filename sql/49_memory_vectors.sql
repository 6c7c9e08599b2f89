-- small scopes compare all vectors, large ones the nearest: by index where there is one and it is cheaper
\set VERBOSITY terse
LOAD 'memai';
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET client_min_messages = warning;
SELECT memai.create_model('wide/16', 'embed', 'openai', 'm', url => 'http://127.0.0.1:9/v1', dimensions => 16);
-- a model comes with its index, and the built-in one's is there
SELECT regexp_replace(indexname, '_[0-9a-f]{8}_idx', '_hash_idx') AS name, regexp_replace(indexdef, '16_[0-9a-f]{8}', '16_hash') AS definition
FROM pg_indexes WHERE schemaname = 'memai' AND indexdef LIKE '%USING memai %' ORDER BY name;
SELECT memai.drop_vector_index('wide/16') AS dropped;

-- vectors round 200 points: 20,000 of one user, 50 of another
CREATE FUNCTION pg_temp.point(n integer) RETURNS vector LANGUAGE sql AS $$
	SELECT array_agg((hashint8extended(n % 200 * 64 + d, 1) % 1000) / 1000.0 + (hashint8extended(n * 64 + d, 2) % 1000) / 8000.0)::real[]::vector
	FROM generate_series(1, 16) d $$;
CREATE TEMP TABLE one AS SELECT memai._terms('item') AS item;
INSERT INTO memai.memory (tenant, user_id, namespace, scope, id, content, metadata, terms)
SELECT 'regress', 'ann', ns, memai.scope_hash('regress', 'ann', ns), ('00000000-0000-7000-8000-' || to_char(n, 'FM000000000000'))::uuid,
	'item ' || n, jsonb_build_object('tenth', n % 10, 'rare', n % 2500 = 0), item
FROM one, (SELECT 'large' AS ns, n FROM generate_series(1, 20000) n UNION ALL SELECT 'small', n FROM generate_series(1, 50) n) s;
INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, memory_id, embedding)
SELECT tenant, user_id, namespace, scope, 'wide/16', id, pg_temp.point(right(id::text, 12)::integer) FROM memai.memory;

-- what recall reads in a large scope, and how the planner finds it
CREATE FUNCTION pg_temp.plan(ns text, count bigint DEFAULT 300) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; plan text := '';
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT * FROM memai._nearest(memai.scope_hash(%L, %L, %L), %L, %L, %s)', 'regress', 'ann', ns, 'wide/16', pg_temp.point(7), count)
	LOOP plan := plan || line || E'\n'; END LOOP;
	RETURN CASE WHEN plan LIKE '%embedding_wide_16_%' THEN 'vector index' ELSE 'all compared' END;
END $$;
-- of the ten nearest in truth, how many recall finds, over 10 questions; how many rows; whether they come with a similarity
CREATE FUNCTION pg_temp.quality(ns text, filter jsonb DEFAULT NULL) RETURNS TABLE (found numeric, fewest bigint, untold bigint) LANGUAGE sql AS $$
	SELECT round(avg(hits) / 10, 2), min(n), sum(untold)::bigint FROM (
		SELECT (SELECT count(*) FROM (SELECT m.id FROM memai.embedding v JOIN memai.memory m ON m.scope = v.scope AND m.id = v.id
				WHERE v.scope = memai.scope_hash('regress', 'ann', ns) AND v.model = 'wide/16' AND (filter IS NULL OR m.metadata @> filter)
				ORDER BY (v.embedding <=> p) + 0, m.id LIMIT 10) truth
			WHERE truth.id = ANY (r.ids)) AS hits, r.n, r.untold
		FROM (SELECT pg_temp.point(q) AS p FROM generate_series(20001, 20010) q) q, LATERAL (SELECT array_agg(id) AS ids, count(*) AS n, count(*) FILTER (WHERE similarity IS NULL) AS untold
			FROM memai.recall_vector(p, namespace => ns, model => 'wide/16', filter => filter)) r) s $$;

ANALYZE memai.embedding;
SELECT pg_temp.plan('large') AS large, pg_temp.plan('small') AS small;
SELECT * FROM pg_temp.quality('large');
SELECT * FROM pg_temp.quality('small');

-- the index, of this model's vectors only; again it is the same
SELECT memai.create_vector_index('wide/16') AS name \gset
SELECT :'name' LIKE 'embedding\_wide\_16\_%\_idx' AS named, memai.create_vector_index('wide/16') = :'name' AS same;
SELECT regexp_replace(pg_get_indexdef(('memai.' || :'name')::regclass), '16_[0-9a-f]{8}', '16_hash') AS definition;
ANALYZE memai.embedding;
SELECT pg_temp.plan('large') AS large, pg_temp.plan('small') AS small, pg_temp.plan('empty') AS empty;
SELECT found >= 0.95 AS found, fewest, untold FROM pg_temp.quality('large');
SELECT * FROM pg_temp.quality('small');
-- filters: of a tenth, of eight rows, of none
SELECT found >= 0.95 AS found, fewest, untold FROM pg_temp.quality('large', '{"tenth": 3}');
SELECT count(*), count(similarity) FROM memai.recall_vector(pg_temp.point(3), namespace => 'large', model => 'wide/16', filter => '{"rare": true}', k => 100);
SELECT count(*) FROM memai.recall_vector(pg_temp.point(3), namespace => 'large', model => 'wide/16', filter => '{"rare": 1}');
-- always as many as there are
SELECT k FROM unnest(ARRAY[1, 999, 1000]) k WHERE k <> (SELECT count(*) FROM memai.recall_vector(pg_temp.point(3), namespace => 'large', model => 'wide/16', k => k));
-- vectors that are gone or new are known at once
DELETE FROM memai.embedding WHERE model = 'wide/16' AND right(id::text, 12)::integer % 2 = 0;
SELECT count(*), bool_and(right(id::text, 1)::integer % 2 = 1) AS odd FROM memai.recall_vector(pg_temp.point(7), namespace => 'large', model => 'wide/16', k => 50);
INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, memory_id, embedding)
SELECT tenant, user_id, namespace, scope, 'wide/16', id, pg_temp.point(7) FROM memai.memory WHERE namespace = 'large' AND content = 'item 2';
SELECT content, round(similarity::numeric, 6) AS similarity FROM memai.recall_vector(pg_temp.point(7), namespace => 'large', model => 'wide/16', k => 2) ORDER BY content;
-- vectors of another model and dimension beside them
SELECT memai.create_model('narrow/3', 'embed', 'openai', 'm', url => 'http://127.0.0.1:9/v1', dimensions => 3);
INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, memory_id, embedding)
SELECT tenant, user_id, namespace, scope, 'narrow/3', id, '[1,2,3]' FROM memai.memory WHERE content = 'item 2';
SELECT memai.create_vector_index('narrow/3') LIKE 'embedding\_narrow\_3\_%' AS another, memai.create_vector_index('local/hash-384') LIKE 'embedding\_local\_hash\_384\_%' AS built_in;
SELECT count(*), count(similarity) FROM memai.recall_vector('[1,2,4]', namespace => 'small', model => 'narrow/3', k => 100);
SELECT count(*) FROM pg_indexes WHERE schemaname = 'memai' AND indexdef LIKE '%USING memai %';
SELECT memai.drop_vector_index('narrow/3');
SELECT has_function_privilege('memai_user', 'memai.create_vector_index(text)', 'EXECUTE') AS users, has_function_privilege('memai_admin', 'memai.create_vector_index(text)', 'EXECUTE') AS administrators;

SELECT memai.drop_vector_index('wide/16') AS dropped, memai.drop_vector_index('wide/16') AS again;
SELECT memai.create_vector_index('nowhere');
DELETE FROM memai.memory;
-- more dimensions than an index takes; models gone: indexes gone
SELECT memai.create_model('broad/9000', 'embed', 'openai', 'm', url => 'http://127.0.0.1:9/v1', dimensions => 9000);
SELECT memai.create_vector_index('wide/16') IS NOT NULL AS made;
SELECT memai.drop_model(name) FROM unnest(ARRAY['narrow/3', 'broad/9000', 'wide/16']) name;
SELECT indexname FROM pg_indexes WHERE schemaname = 'memai' AND indexdef LIKE '%USING memai %';
