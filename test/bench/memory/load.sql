-- :memories statements of :users users, evenly or (:skew zipf) the more the lower a user's number is;
-- and of five more users as many as their names say: sentences of 8 to 16 words, of
-- a vocabulary where a few words are common, as in a language.
\pset footer off
CREATE EXTENSION memai;
SET memai.tenant = 'bench';
SET synchronous_commit = off;
CREATE FUNCTION pg_temp.sentence(seed bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(substr('bakodumifegalotirunesapovihucywejoqazexu', 1 + 2 * (w % 20)::int, 2)
		|| substr('lanorimetugosidavepybufaceho', 1 + 2 * (w / 20 % 14)::int, 2) || CASE WHEN w > 280 THEN substr('stramplonkirfeld', 1 + 4 * (w / 280 % 4)::int, 4) ELSE '' END, ' ')
	FROM (SELECT floor(2000 * power((memai_hash % 1000003) / 1000003.0, 3))::bigint AS w
		FROM (SELECT abs(hashint8extended(seed * 31 + i, 7)) AS memai_hash FROM generate_series(1, 8 + (seed % 9)::int) i) h) v $$;
\echo 'Storing the memories:'
\timing on
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, valid_at, terms)
SELECT 'bench', u, 'default', memai.scope_hash('bench', u, 'default'), c, now() - i * interval '1 second', memai._terms(c)
FROM (SELECT i, u, pg_temp.sentence(i) || ' ' || i AS c
	FROM (SELECT i, 'user ' || CASE :'skew' WHEN 'zipf' THEN floor(power(:users, abs(hashint8extended(i, 5) % 1000003) / 1000003.0))::bigint - 1 ELSE i % :users END AS u
		FROM generate_series(1, :memories) i
		UNION ALL SELECT n, 'scope of ' || size FROM unnest(ARRAY[50, 700, 2000, 10000, 50000]) size, generate_series(1, size) n) v
	ORDER BY hashint8(i)) s;
INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, memory_id, embedding)
SELECT tenant, user_id, namespace, scope, 'local/hash-384', id, memai.embed(content, 'local/hash-384') FROM memai.memory;
INSERT INTO memai.block (tenant, user_id, namespace, scope, label, value)
SELECT 'bench', 'user ' || i, 'default', memai.scope_hash('bench', 'user ' || i, 'default'), 'persona', 'brief' FROM generate_series(0, :users - 1) i;
\timing off
VACUUM ANALYZE memai.memory;
VACUUM ANALYZE memai.embedding;
VACUUM ANALYZE memai.block;
SELECT count(*) AS memories, count(DISTINCT user_id) AS users, pg_size_pretty(sum(pg_column_size(content) + pg_column_size(terms))) AS text_and_terms FROM memai.memory;
-- of the users with any number of memories, by memory; then 50 of each of the five
CREATE TABLE question AS SELECT row_number() OVER (PARTITION BY kind) AS id, * FROM (
	(SELECT 'all' AS kind, user_id, substring(content FROM '^(?:\S+ ){5}') AS question
	FROM memai.memory TABLESAMPLE SYSTEM (2) WHERE user_id LIKE 'user %' ORDER BY hashtext(content) LIMIT 5000)
	UNION ALL SELECT user_id, user_id, substring(content FROM '^(?:\S+ ){5}')
	FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY hashtext(content)) FROM memai.memory WHERE user_id LIKE 'scope of %') m WHERE row_number <= 50) s;
ALTER TABLE question ADD PRIMARY KEY (kind, id);
