-- a user with :memories memories and threads of 60, 200 and 1,000 messages, among :users
-- other users with a memory each
\pset footer off
CREATE EXTENSION memai;
SET memai.tenant = 'bench';
SET synchronous_commit = off;
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, valid_at, terms)
SELECT 'bench', u, 'default', memai.scope_hash('bench', u, 'default'), c, now() - i * interval '1 minute', memai._terms(c)
FROM (SELECT i, CASE WHEN i <= :memories THEN 'ann' ELSE 'user ' || i END AS u,
		'Statement ' || i || ' about ' || (ARRAY['boats', 'trains', 'tea', 'music', 'gardens', 'books', 'snow'])[1 + i % 7] || ' and the colour '
		|| (ARRAY['red', 'green', 'blue', 'grey', 'white'])[1 + i % 5] || ' of house ' || i % 97 AS c
	FROM generate_series(1, :memories + :users) i) s;
INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, memory_id, embedding)
SELECT tenant, user_id, namespace, scope, 'local/hash-384', id, memai.embed(content, 'local/hash-384') FROM memai.memory;
CREATE TABLE bench_thread (messages integer, id uuid);
INSERT INTO bench_thread SELECT n, memai.create_thread('ann', title => n || ' messages') FROM unnest(ARRAY[60, 200, 1000]) n;
SELECT t.messages, count(*) AS stored FROM bench_thread t,
	LATERAL memai.remember_messages((SELECT jsonb_agg(jsonb_build_object('role', CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END,
		'content', 'Message ' || i || ' of a thread, with a dozen words on the weather and on tea')) FROM generate_series(1, t.messages) i), 'ann', thread_id => t.id)
GROUP BY t.messages ORDER BY t.messages;
INSERT INTO memai.message (tenant, user_id, namespace, scope, id, thread_id)
SELECT e.tenant, e.user_id, e.namespace, e.scope, e.id, e.thread_id FROM memai.episode e JOIN bench_thread t ON t.id = e.thread_id;
VACUUM ANALYZE;
SELECT count(*) AS memories, count(DISTINCT user_id) AS users FROM memai.memory;
