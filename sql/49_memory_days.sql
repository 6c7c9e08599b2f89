-- a large scope: what happened in the days that a question names is found by the indexes on time, not by reading all
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

-- one an hour, from the first of January on; no numbers, which would be words of the questions
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, valid_at, terms)
SELECT 'regress', 'ann', 'default', memai.scope_hash('regress', 'ann', 'default'), c, '2025-01-01'::timestamptz + n * interval '1 hour', memai._terms(c)
FROM (SELECT n, 'parcel ' || translate(n::text, '0123456789', 'bcdfghjklm') || ' holds candles' AS c FROM generate_series(0, 2499) n) s;
SELECT memai.remember('The dentist expects her on 8 February 2025', valid_at => '2025-01-02') IS NOT NULL AS speaks_of_it;
SELECT memai.fill_embeddings() > 0 AS embedded;

CREATE FUNCTION pg_temp.read(question text, min_score float8 DEFAULT 0) RETURNS TABLE (vectors_read text, below_all boolean) LANGUAGE sql AS
	$$SELECT e ->> 'vectors_read', (e -> 'read' ->> 'memories')::integer < 1000 FROM memai.explain_recall(question, min_score => read.min_score) e$$;
SELECT * FROM pg_temp.read('What was sent on 8 February 2025?');
-- all of the day, and what speaks of it, before anything else
SELECT count(*) FILTER (WHERE occurred_at::date = '2025-02-08') AS in_it, count(*) FILTER (WHERE content LIKE 'The dentist%') AS speaks_of_it, count(*)
FROM memai.recall('What was sent on 8 February 2025?', k => 25);
SELECT content FROM memai.recall('When does the dentist expect her on 8 February 2025?', k => 1);
-- a day in which nothing happened
SELECT * FROM pg_temp.read('Which candles on 8 June 2025?');
SELECT count(*) FROM memai.recall('Which candles on 8 June 2025?', k => 20);
-- too much happened in a month: all is read
SELECT below_all FROM pg_temp.read('Which candles in February 2025?');
-- nothing is good enough: not a reason to read all
SELECT * FROM pg_temp.read('Which parcel holds candles and lamps?', 2);
SELECT count(*) FROM memai.recall('Which parcel holds candles and lamps?', min_score => 2);

RESET memai.user_id;
DELETE FROM memai.memory;
