-- LoCoMo (Maharana et al. 2024): dialogues over many sessions, questions with
-- the turns that answer them.  One user a dialogue, one thread a session, one
-- episode a turn.  A question's recall@k is the share of its gold turns among
-- the first k results; category 5 has no answer and is reported apart.
\pset footer off
CREATE EXTENSION memai;
\if :{?model}
	SET memai.model_directory = :'model_directory';
	SELECT memai.create_model('static', 'embed', 'static', :'model', options => jsonb_build_object('recall_weight', :weight)) AS "in place of the local embedder:";
	SELECT memai.set_default_model('embed', 'static') AS "a static model";
\endif
CREATE TEMP TABLE file (line text);
\set copy '\\copy file FROM ' :'locomo' ' WITH (FORMAT csv, DELIMITER E''\\x01'', QUOTE E''\\x02'')'
:copy

CREATE TEMP TABLE dialogue AS
SELECT 'dialogue ' || number AS user_id, sample
FROM (SELECT string_agg(line, E'\n')::jsonb AS samples FROM file) f,
	jsonb_array_elements(samples) WITH ORDINALITY AS s (sample, number);

CREATE TEMP TABLE session AS
SELECT d.user_id, key AS session, turns,
	to_timestamp(d.sample #>> ARRAY['conversation', key || '_date_time'], 'HH12:MI am "on" DD Month, YYYY') AS started_at
FROM dialogue d, jsonb_each(d.sample -> 'conversation') AS c (key, turns)
WHERE key ~ '^session_\d+$';

\echo 'Storing every turn:'
\timing on
SELECT count(*) AS episodes
FROM (SELECT user_id, started_at, (SELECT jsonb_agg(jsonb_build_object('role', 'user', 'name', turn ->> 'speaker',
		'content', turn ->> 'text', 'metadata', jsonb_build_object('turn', turn ->> 'dia_id')))
		FROM jsonb_array_elements(turns) AS turn) AS messages
	FROM session) s, memai.remember_messages(messages, user_id, occurred_at => started_at);
\timing off
VACUUM ANALYZE memai.episode;
VACUUM ANALYZE memai.embedding;

CREATE TEMP TABLE question AS
SELECT row_number() OVER () AS id, d.user_id, q ->> 'question' AS question, (q ->> 'category')::int AS category,
	(SELECT array_agg(DISTINCT gold[1]) FROM jsonb_array_elements_text(q -> 'evidence') AS e,
		regexp_matches(e, 'D\d+:\d+', 'g') AS gold) AS gold
FROM dialogue d, jsonb_array_elements(d.sample -> 'qa') AS q
WHERE jsonb_array_length(q -> 'evidence') > 0;
DELETE FROM question WHERE gold IS NULL;

CREATE TEMP TABLE found (question bigint, found text[], milliseconds double precision);
DO $$
DECLARE
	q record;
	start timestamptz;
	turns text[];
BEGIN
	FOR q IN SELECT * FROM question ORDER BY id LOOP
		start := clock_timestamp();
		SELECT array_agg(metadata ->> 'turn' ORDER BY score DESC) INTO turns
			FROM memai.recall(q.question, q.user_id, k => 20);
		INSERT INTO found VALUES (q.id, turns, 1000 * extract(epoch FROM clock_timestamp() - start));
	END LOOP;
END $$;

CREATE TEMP VIEW hit AS
SELECT q.category, k, cardinality(ARRAY(SELECT unnest(f.found[:k]) INTERSECT SELECT unnest(q.gold)))::numeric
	/ cardinality(q.gold) AS recall
FROM question q JOIN found f ON f.question = q.id, unnest(ARRAY[5, 10, 20]) AS k;

\echo 'Gold turns found (mean over questions):'
SELECT coalesce(category::text, 'all (1-4)') AS category, count(*) FILTER (WHERE k = 5) AS questions,
	round(avg(recall) FILTER (WHERE k = 5), 3) AS "recall@5",
	round(avg(recall) FILTER (WHERE k = 10), 3) AS "recall@10",
	round(avg(recall) FILTER (WHERE k = 20), 3) AS "recall@20"
FROM hit WHERE category <= 4 GROUP BY GROUPING SETS ((category), ())
UNION ALL
SELECT '5 (unanswerable)', count(*) FILTER (WHERE k = 5), round(avg(recall) FILTER (WHERE k = 5), 3),
	round(avg(recall) FILTER (WHERE k = 10), 3), round(avg(recall) FILTER (WHERE k = 20), 3)
FROM hit WHERE category = 5
ORDER BY 1;

-- an item of a context keeps to one line
CREATE TEMP TABLE shown AS
SELECT q.id, q.category, memai.context(q.question, q.user_id, max_tokens => 800, k => 50) AS context FROM question q;
\echo 'Gold turns whose words are in memai.context(max_tokens => 800), and questions with at least one:'
SELECT coalesce(s.category::text, 'all (1-4)') AS category, round(avg(share), 3) AS turns, round(avg((share > 0)::integer), 3) AS questions
FROM shown s JOIN question q USING (id), LATERAL (
	SELECT avg((strpos(s.context, regexp_replace(e.content, '[[:cntrl:]]', ' ', 'g')) > 0)::integer) AS share
	FROM memai.episode e WHERE e.user_id = q.user_id AND e.metadata ->> 'turn' = ANY (q.gold)) c
WHERE s.category <= 4 GROUP BY GROUPING SETS ((s.category), ()) ORDER BY 1;

\echo 'Latency of memai.recall in milliseconds:'
SELECT count(*) AS calls, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds)::numeric, 2) AS p50,
	round(percentile_cont(0.95) WITHIN GROUP (ORDER BY milliseconds)::numeric, 2) AS p95,
	round(max(milliseconds)::numeric, 2) AS max
FROM found;
