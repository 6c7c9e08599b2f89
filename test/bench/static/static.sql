-- Texts a second of a static model of 256 dimensions, on one core: 20,000 short
-- texts in one call and one by one; and how long a backend waits for the model.
\pset footer off
CREATE EXTENSION memai;
SET memai.model_directory = :'directory';
CREATE TEMP TABLE sample AS
SELECT i, format('On day %s the user said that she prefers aisle seats on long flights to %s', i,
	(ARRAY['Zürich', 'Oslo', 'Lisbon', 'New York', '東京'])[i % 5 + 1]) AS content
FROM generate_series(1, 20000) AS i;
CREATE TEMP TABLE result (what text, n int, seconds double precision);

SELECT clock_timestamp() AS start \gset
SELECT memai.create_model('static', 'embed', 'static', 'made') AS registered;
INSERT INTO result SELECT 'the model''s image is made', 1, extract(epoch FROM clock_timestamp() - :'start');
SELECT clock_timestamp() AS start \gset
SELECT count(memai.embed(texts, 'static')) FROM (SELECT array_agg(content) AS texts FROM sample) AS s;
INSERT INTO result SELECT 'embed, one call', 20000, extract(epoch FROM clock_timestamp() - :'start');
SELECT clock_timestamp() AS start \gset
SELECT count(memai.embed(content, 'static')) FROM sample;
INSERT INTO result SELECT 'embed, a call each', 20000, extract(epoch FROM clock_timestamp() - :'start');

SELECT what, n, round(seconds::numeric * 1000) AS ms, round(n / seconds) AS a_second FROM result;
SELECT avg(octet_length(content))::int AS bytes_a_text FROM sample;
\connect
SET memai.model_directory = :'directory';
\timing on
-- another backend maps the image that is there
SELECT vector_dims(memai.embed('first call', 'static')) AS dimensions;
