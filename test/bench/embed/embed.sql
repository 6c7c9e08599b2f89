-- Texts a second of the local embedder and of the terms, on one core: 20,000
-- short texts in one call, one by one, and a document of 1 MB.
\pset footer off
CREATE EXTENSION memai;
CREATE TEMP TABLE sample AS
SELECT i, format('On day %s the user said that she prefers aisle seats on long flights to %s', i,
	(ARRAY['Zürich', 'Oslo', 'Lisbon', 'New York', '東京'])[i % 5 + 1]) AS content
FROM generate_series(1, 20000) AS i;
CREATE TEMP TABLE document AS SELECT string_agg(content, E'\n') AS content
FROM (SELECT s.content FROM sample s LIMIT 12500) AS s;

CREATE TEMP TABLE result (what text, n int, seconds double precision);
-- the first call loads the dictionary
SELECT memai.embed('warm up') IS NULL, memai._terms('warm up') IS NULL;

SELECT clock_timestamp() AS start \gset
SELECT count(memai.embed(texts)) FROM (SELECT array_agg(content) AS texts FROM sample) AS s;
INSERT INTO result SELECT 'embed, one call', 20000, extract(epoch FROM clock_timestamp() - :'start');
SELECT clock_timestamp() AS start \gset
SELECT count(memai.embed(content)) FROM sample;
INSERT INTO result SELECT 'embed, a call each', 20000, extract(epoch FROM clock_timestamp() - :'start');
SELECT clock_timestamp() AS start \gset
SELECT count(memai._terms(content)) FROM sample;
INSERT INTO result SELECT 'terms', 20000, extract(epoch FROM clock_timestamp() - :'start');
SELECT clock_timestamp() AS start \gset
SELECT count(memai.embed(content)) FROM document;
INSERT INTO result SELECT 'embed, 1 MB', 1, extract(epoch FROM clock_timestamp() - :'start');
SELECT clock_timestamp() AS start \gset
SELECT count(memai._terms(content)) FROM document;
INSERT INTO result SELECT 'terms, 1 MB', 1, extract(epoch FROM clock_timestamp() - :'start');

\echo
SELECT what, n AS texts, round(seconds::numeric * 1000) AS ms, round(n / seconds) AS texts_a_second FROM result;
SELECT avg(octet_length(content))::int AS bytes_a_text FROM sample;
