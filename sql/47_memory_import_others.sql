-- memories of other layers, from their tables and as rows
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET timezone = 'UTC';

-- ---- mem0: a table of its vector store, and what get_all returns ----
CREATE TEMP TABLE mem0 (id uuid, vector text, payload jsonb);
INSERT INTO mem0 VALUES
	('11111111-1111-4111-8111-111111111111', '[1]', '{"data": "Likes tea", "hash": "x", "user_id": "ann", "agent_id": "shop", "created_at": "2025-03-01T10:00:00-07:00", "topic": "drinks"}'),
	('22222222-2222-4222-8222-222222222222', '[1]', '{"data": "Has a dog", "user_id": "bea", "created_at": "2025-03-02T10:00:00Z", "updated_at": null}'),
	('33333333-3333-4333-8333-333333333333', '[1]', '{"data": "", "user_id": "bea"}');
SELECT * FROM memai.import_mem0((SELECT jsonb_agg(to_jsonb(m) - 'vector') FROM mem0 m));
SELECT * FROM memai.import_mem0((SELECT jsonb_agg(to_jsonb(m) - 'vector') FROM mem0 m));
SELECT * FROM memai.import_mem0('[{"id": "m-7", "memory": "Plays chess", "user_id": "ann", "metadata": {"topic": "games"}, "categories": ["hobbies"], "created_at": "2025-04-01T00:00:00Z", "expiration_date": "2100-01-01", "score": 0.3}]', namespace => 'old');
SELECT user_id, namespace, id, content, category, metadata, provenance, valid_at, expires_at FROM memai.memory ORDER BY user_id, namespace, id;
SELECT kind, user_id, namespace FROM memai.job WHERE kind = 'expire';
SELECT event, new_content, reason FROM memai.history('11111111-1111-4111-8111-111111111111', 'ann');
SELECT memai.fill_embeddings();
SELECT content, similarity > 0.3 AS near FROM memai.recall('chess', 'ann', 'old');
SELECT * FROM memai.import_mem0('[{"memory": "Nobody''s"}]');
SELECT * FROM memai.import_mem0('[]');
SELECT * FROM memai.import_mem0('{"memory": "x"}');

-- ---- Memori, version 3 and 2 ----
CREATE TEMP TABLE memori_entity (id integer, external_id text);
CREATE TEMP TABLE memori_entity_fact (id integer, uuid text, entity_id integer, content text, content_embedding bytea, num_times integer, date_last_time timestamp, uniq text, date_created timestamp);
CREATE TEMP TABLE memori_conversation_message (id integer, uuid text, conversation_id integer, role text, type text, content text, date_created timestamp);
INSERT INTO memori_entity VALUES (1, 'cat');
INSERT INTO memori_entity_fact VALUES (1, '44444444-4444-4444-8444-444444444444', 1, 'favourite colour is blue', '\x00', 3, '2025-05-02', 'u', '2025-05-01');
INSERT INTO memori_conversation_message VALUES (1, '55555555-5555-4555-8555-555555555555', 7, 'user', NULL, 'My favourite colour is blue', '2025-05-01 10:00'), (2, '66666666-6666-4666-8666-666666666666', 7, 'assistant', NULL, 'Noted', '2025-05-01 10:01');
SELECT * FROM memai.import_memori((SELECT jsonb_agg(to_jsonb(f) - 'content_embedding' || jsonb_build_object('external_id', e.external_id)) FROM memori_entity_fact f JOIN memori_entity e ON e.id = f.entity_id));
SELECT * FROM memai.import_memori((SELECT jsonb_agg(to_jsonb(m)) FROM memori_conversation_message m), 'cat');
SELECT * FROM memai.import_memori('[{"memory_id": "a1", "searchable_content": "Wants a boat", "category_primary": "preference", "importance_score": 0.9, "created_at": "2024-01-01", "user_id": "cat"},
	{"memory_id": "a2", "summary": "Looks for a flat", "importance_score": 7, "created_at": "2024-01-01", "expires_at": "2100-01-01", "user_id": "cat"},
	{"chat_id": "c1", "user_input": "I want a boat", "ai_output": "A boat it is", "timestamp": "2024-01-01 09:00", "session_id": "s1", "user_id": "cat"}]');
SELECT content, category, importance, metadata, valid_at, expires_at FROM memai.memory WHERE user_id = 'cat' ORDER BY content;
SELECT role, content, occurred_at, dense_rank() OVER (ORDER BY thread_id) AS thread FROM memai.episode WHERE user_id = 'cat' ORDER BY occurred_at, id;

DELETE FROM memai.memory;
DELETE FROM memai.episode;
DELETE FROM memai.job WHERE kind = 'expire';
