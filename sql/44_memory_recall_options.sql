-- recall: two time axes, filters, weights, limits, a ready vector, explanation
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';
SET extra_float_digits = 0;

-- ---- world time: half-open ----
SELECT memai.remember('Lives in Lund', slot => 'home.city', valid_at => '2020-01-01Z') AS lund \gset
SELECT memai.remember('Lives in Oslo', slot => 'home.city', valid_at => '2022-01-01Z') AS oslo \gset
SELECT content FROM memai.recall('Where does she live?', as_of => '2019-12-31 23:59:59.999999Z');
SELECT content, status, superseded_by = :'oslo' AS by_oslo FROM memai.recall('Lives where?', as_of => '2020-01-01Z');
SELECT content, status FROM memai.recall('Lives where?', as_of => '2021-12-31 23:59:59.999999Z');
SELECT content, status FROM memai.recall('Lives where?', as_of => '2022-01-01Z');
SELECT content, status, via FROM memai.recall('Lives where?');
-- a superseded memory that matches leads to the one that took its place
SELECT content, status, via = :'lund' AS via_lund FROM memai.recall('still in Lund?');

-- ---- system time ----
UPDATE memai.memory SET valid_at = '2020-01-01Z', closed_at = '2024-01-01Z' WHERE id = :'lund';
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, valid_at, created_at, expired_at, terms)
SELECT 'regress', 'ann', 'clock', memai.scope_hash('regress', 'ann', 'clock'), content, '2000-01-01Z', created_at, expired_at, terms
FROM (VALUES ('Believed once', '2010-01-01Z'::timestamptz, '2012-01-01Z'::timestamptz),
	('Believed since', '2012-01-01Z', NULL)) v (content, created_at, expired_at), (SELECT terms FROM memai.memory LIMIT 1) t;
SELECT content FROM memai.recall('believed', namespace => 'clock', known_at => '2009-12-31Z');
SELECT content FROM memai.recall('believed', namespace => 'clock', known_at => '2010-01-01Z');
SELECT content FROM memai.recall('believed', namespace => 'clock', known_at => '2011-12-31 23:59:59.999999Z');
SELECT content FROM memai.recall('believed', namespace => 'clock', known_at => '2012-01-01Z');
SELECT content FROM memai.recall('believed', namespace => 'clock');

-- ---- filters on metadata ----
SELECT count(memai.remember('Offer ' || n, namespace => 'shop', metadata => m)) FROM (VALUES
	(1, '{"price": 5, "topic": "food", "tags": ["a", "b"]}'::jsonb), (2, '{"price": 10, "topic": "food"}'),
	(3, '{"price": 20.5, "topic": "toys", "since": "2026-03-01"}'), (4, '{"topic": null, "at": {"city": "Lund"}}')) v (n, m);
CREATE FUNCTION pg_temp.offers(filter jsonb) RETURNS text LANGUAGE sql AS
	$$SELECT string_agg(right(content, 1), ' ' ORDER BY content) FROM memai.recall('Offer', namespace => 'shop', filter => filter)$$;
SELECT f AS filter, pg_temp.offers(f::jsonb) AS offers FROM unnest(ARRAY[
	'{}', '{"topic": "food"}', '{"tags": ["b"]}', '{"at": {"city": "Lund"}}',
	'{"price": {"eq": 10}}', '{"price": {"eq": 10.0}}', '{"price": {"ne": 10}}', '{"price": {"in": [5, 20.5]}}',
	'{"price": {"gt": 10}}', '{"price": {"gte": 10}}', '{"price": {"lt": 10}}', '{"price": {"lte": 10}}', '{"price": {"gt": 5, "lt": 20.5}}',
	'{"price": {"exists": true}}', '{"price": {"exists": false}}', '{"topic": {"exists": true}}', '{"price": {"gt": "5"}}',
	'{"since": {"gte": "2026-01-01"}}', '{"at": {"eq": {"city": "Lund"}}}', '{"topic": {"in": ["toys", null]}}',
	'{"or": [{"topic": "toys"}, {"price": {"lt": 6}}]}', '{"and": [{"topic": "food"}, {"price": {"gt": 6}}]}', '{"or": []}', '{"and": []}',
	'{"not": {"topic": "food"}}', '{"topic": "food", "not": {"or": [{"price": 5}, {"price": 6}]}}']) f;
SELECT pg_temp.offers('{"price": {"gte": 10, "near": 3}}');
SELECT pg_temp.offers('{"price": {"in": 3}}');
SELECT pg_temp.offers('{"price": {"exists": 1}}');
SELECT pg_temp.offers('{"price": {"lt": null}}');
SELECT pg_temp.offers('{"or": {"price": 1}}');
SELECT pg_temp.offers('{"and": [1]}');
SELECT pg_temp.offers('{"not": []}');
SELECT pg_temp.offers((repeat('{"not": ', 40) || '{}' || repeat('}', 40))::jsonb);
SELECT pg_temp.offers(jsonb_build_object('or', (SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 1001))));

-- ---- layers and categories ----
SELECT count(*) FROM memai.remember_messages('[{"content": "The offer is good"}]', namespace => 'shop');
SELECT count(memai.remember('Prefers to be offered tea', namespace => 'shop', category => 'preference'));
SELECT kind, category, content FROM memai.recall('offer', namespace => 'shop', layer => 'episode');
SELECT count(*) FROM memai.recall('offer', namespace => 'shop', layer => 'memory');
SELECT kind, category, content FROM memai.recall('offer', namespace => 'shop', categories => '{preference, habit}');

-- ---- recency, importance, confidence, feedback ----
SELECT memai.remember('Tea at nine', namespace => 'weigh', valid_at => '2026-01-01Z') AS old \gset
SELECT memai.remember('Tea at ten', namespace => 'weigh', valid_at => '2026-01-31Z') AS new \gset
CREATE FUNCTION pg_temp.weighed(recency text, half_life interval DEFAULT '30 days') RETURNS TABLE (content text, recency_factor numeric) LANGUAGE sql AS
	$$SELECT content, round(recency_factor::numeric, 4) FROM memai.recall('tea nine', namespace => 'weigh', recency => recency, half_life => half_life, as_of => '2026-03-02Z')$$;
SELECT * FROM pg_temp.weighed('none');
SELECT * FROM pg_temp.weighed('linear');
SELECT * FROM pg_temp.weighed('exponential');
SELECT * FROM pg_temp.weighed('linear', '1 day');
UPDATE memai.memory SET importance = 1, confidence = 0.5 WHERE id = :'new';
SELECT content, importance_factor, confidence_factor, feedback_factor FROM memai.recall('tea nine', namespace => 'weigh');
SELECT memai.feedback(:'old', true, namespace => 'weigh') AS useful, memai.feedback(:'new', false, namespace => 'weigh') AS harmful;
SELECT content, round(feedback_factor::numeric, 4) AS feedback_factor, round((score / importance_factor / confidence_factor / feedback_factor)::numeric, 4) AS fused
FROM memai.recall('tea nine', namespace => 'weigh');
SELECT count(*) FROM memai.recall('tea', recency => 'sometimes');
SELECT count(*) FROM memai.recall('tea', half_life => '-1 day');

-- ---- days: what happened in them, what speaks of them ----
SELECT count(*) FROM memai.remember_messages('[{"content": "We went sailing yesterday", "occurred_at": "2023-05-08 10:00Z"},
	{"content": "We went sailing", "occurred_at": "2023-08-01 10:00Z"}, {"content": "We go sailing in May", "occurred_at": "2023-06-01 10:00Z"}]',
	namespace => 'days');
SELECT content, about_from, about_until FROM memai.episode WHERE namespace = 'days' ORDER BY id;
SELECT content, time_match > 0 AS time_match FROM memai.recall('sailing on 7 May 2023', namespace => 'days');
SELECT content, time_match > 0 AS time_match FROM memai.recall('sailing in August 2023', namespace => 'days', k => 1);
SELECT content, time_match > 0 AS time_match FROM memai.recall('sailing last month', namespace => 'days', as_of => '2023-09-12Z', k => 1);
SELECT content, time_match > 0 AS time_match FROM memai.recall('When was the sailing?', namespace => 'days');

-- ---- diversity and limits ----
SELECT count(*) FROM memai.remember_messages('[{"content": "Red apples are sweet"}, {"content": "Red apples are so sweet"}, {"content": "Red apples are very sweet"}]', namespace => 'many');
SELECT count(*) FROM memai.remember_messages('[{"content": "Apples grow on trees in autumn"}]', namespace => 'many');
SELECT count(*) FILTER (WHERE content LIKE '%trees%') AS another FROM memai.recall('sweet red apples', namespace => 'many', k => 2);
SELECT count(*) FILTER (WHERE content LIKE '%trees%') AS another FROM memai.recall('sweet red apples', namespace => 'many', k => 2, diversity => 0.8);
SELECT count(*) FILTER (WHERE content LIKE '%trees%') AS another FROM memai.recall('sweet red apples', namespace => 'many', k => 2, max_per_thread => 1);
-- a limit never leaves room empty
SELECT count(*) FROM memai.recall('red apples', namespace => 'many', k => 4, max_per_thread => 1);
SELECT count(*) FROM memai.recall('red apples', namespace => 'many', max_tokens => 10);
SELECT count(*) FROM memai.recall('red apples', namespace => 'many', max_tokens => 1);
SELECT count(*) FROM memai.recall('red apples', namespace => 'many', max_tokens => 0);
SELECT count(*) FROM memai.recall('red apples', namespace => 'many', diversity => 'NaN');
SELECT count(*) FROM memai.recall('red apples', layer => 'cake');

-- ---- a ready vector ----
SELECT memai.embed('red apples', model => 'local/hash-384') AS vector \gset
SELECT content FROM memai.recall_vector(:'vector', namespace => 'many', k => 2);
SELECT v.id = r.id AS same, v.score = r.score AS same_score
FROM memai.recall_vector(:'vector', namespace => 'many', query => 'red apples', k => 1) v, memai.recall('red apples', namespace => 'many', k => 1) r;
SELECT provolatile, proparallel FROM pg_proc WHERE oid = 'memai.recall_vector'::regproc;
SELECT count(*) FROM memai.recall_vector('[1,2,3]', namespace => 'many');
SELECT count(*) FROM memai.recall_vector(NULL, namespace => 'many');

-- ---- explanation ----
SELECT e -> 'read' AS read, e -> 'question_terms' AS terms, jsonb_array_length(e -> 'results') AS results
FROM memai.explain_recall('still in Lund?', k => 3) e;
SELECT r ->> 'kind' AS kind, r ->> 'status' AS status, (r ->> 'via')::uuid = :'lund' AS via_lund, r -> 'factors' AS factors,
	(SELECT array_agg(key ORDER BY key) FROM jsonb_each(r -> 'keyword_parts')) AS parts
FROM memai.explain_recall('still in Lund?') e, jsonb_array_elements(e -> 'results') r;
SELECT abs(sum(part.value::float8) - max((r ->> 'keyword')::float8)) < 1e-9 AS parts_add_up
FROM memai.explain_recall('red apples', namespace => 'many', k => 1) e, jsonb_array_elements(e -> 'results') r, jsonb_each(r -> 'keyword_parts') part;

DELETE FROM memai.episode;
DELETE FROM memai.memory;
