-- revise, pin, expire, feedback, use, undo, duplicates, forgetting by query and by user
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

-- ---- revise: it was never so ----
SELECT memai.remember('Has two cats', valid_at => '2025-01-01Z', metadata => '{"by": "form"}', category => 'pets') AS cats \gset
SELECT memai.revise(:'cats', 'Has three cats', reason => 'miscounted') AS three \gset
SELECT content, category, metadata, valid_at, invalid_at, expired_at IS NULL AS believed, superseded_by = :'three' AS by_three
FROM memai.memory ORDER BY id;
SELECT content FROM memai.recall('cats', as_of => '2025-06-01Z');
SELECT status FROM memai.get_memory(:'cats');
SELECT event, old_content, new_content, reason, actor = current_user AS actor FROM memai.history(:'cats');
SELECT memai.revise(:'cats', 'Has four cats');
SELECT memai.revise(:'three', 'Has three cats') = :'three' AS unchanged;

-- ---- undo one change, and undo the undoing ----
SELECT memai.undo(history_id) FROM memai.history(:'cats') WHERE event = 'UPDATE';
SELECT id = :'cats' AS old_one, content, status FROM memai.recall('cats');
SELECT memai.undo(history_id) FROM memai.history(:'cats') WHERE event = 'RESTORE';
SELECT status FROM memai.get_memory(:'cats');
SELECT event FROM memai.history(:'cats');
SELECT memai.undo();
SELECT memai.undo('00000000-0000-0000-0000-000000000000');
-- undo everything since a moment
SELECT memai.remember('Lives in Lund', slot => 'home.city', valid_at => '2020-01-01Z', namespace => 'undo') AS lund \gset
SELECT memai.remember('Runs', namespace => 'undo') AS runs \gset
SELECT clock_timestamp() AS moment \gset
SELECT memai.remember('Lives in Oslo', slot => 'home.city', valid_at => '2022-01-01Z', namespace => 'undo') IS NOT NULL AS stored;
SELECT memai.forget(:'runs', namespace => 'undo', mode => 'soft'), memai.pin(:'lund', namespace => 'undo');
SELECT content, memai._memory_status(expired_at, superseded_by, invalid_at, needs_review) AS status, is_pinned FROM memai.memory WHERE namespace = 'undo' ORDER BY id;
SELECT memai.undo(since => :'moment', namespace => 'undo');
SELECT content, memai._memory_status(expired_at, superseded_by, invalid_at, needs_review) AS status, is_pinned FROM memai.memory WHERE namespace = 'undo' ORDER BY id;

-- ---- pin, expire, importance ----
SELECT memai.remember('The code is 1234', namespace => 'ttl', expires_at => '2020-01-01Z') AS code \gset
SELECT memai.remember('Parked on deck two', namespace => 'ttl') AS parked \gset
SELECT count(*) FROM memai.recall('code', namespace => 'ttl') WHERE content LIKE '%code%';
SELECT memai.pin(:'code', namespace => 'ttl'), memai.pin(:'code', namespace => 'ttl') AS again;
SELECT content, importance_factor FROM memai.recall('code', namespace => 'ttl', k => 1);
SELECT memai.remove_expired(namespace => 'ttl');
SELECT memai.pin(:'code', false, namespace => 'ttl'), memai.expire(:'parked', '2100-01-01Z', namespace => 'ttl');
SELECT memai.remove_expired(namespace => 'ttl');
SELECT content FROM memai.memory WHERE namespace = 'ttl';
SELECT event, old_content FROM memai.history(:'code', namespace => 'ttl');
SELECT memai.set_importance(:'parked', 0.9, namespace => 'ttl'), memai.set_importance(:'parked', 1.1, namespace => 'ttl');

-- ---- feedback and use ----
SELECT memai.remember('Tea with milk', namespace => 'use') AS milk \gset
SELECT memai.remember('Tea with lemon', namespace => 'use') AS lemon \gset
SELECT memai.feedback(:'lemon', true, namespace => 'use'), memai.feedback(:'milk', false, namespace => 'use'), memai.feedback(memai.new_id(), true, namespace => 'use') AS unknown;
SELECT content, round(feedback_factor::numeric, 3) AS feedback_factor FROM memai.recall('tea', namespace => 'use');
SELECT memai.mark_used(ARRAY[:'milk', :'lemon', :'milk', memai.new_id()]::uuid[], namespace => 'use');
SELECT memai.mark_used(ARRAY[:'milk']::uuid[], namespace => 'use');
SELECT m.content, s.uses, s.useful, s.harmful FROM memai.memory_stat s JOIN memai.memory m ON m.id = s.memory_id ORDER BY m.content;

-- ---- profile ----
SELECT count(memai.remember(c, namespace => 'profile', category => k, slot => s, valid_at => '2026-01-01Z')) FROM (VALUES ('Called Annie', 'fact', 'name'), ('Prefers tea', 'preference', NULL), ('Saw a fox', 'fact', NULL)) v (c, k, s);
SELECT slot, content, category, since FROM memai.profile(namespace => 'profile');
SELECT episodes, memories, content_bytes FROM memai.stats(namespace => 'profile');
SELECT namespace, episodes, memories, without_embedding FROM memai.memory_status();
SELECT (SELECT count(*) FROM memai.memory_status('nobody')) AS of_nobody, (SELECT count(*) = (SELECT count(*) FROM memai.memory_status() WHERE user_id = memai.current_user_id()) FROM memai.memory_status(memai.current_user_id())) AS of_one;

-- ---- duplicates ----
SELECT count(memai.remember(c, namespace => 'twice')) FROM unnest(ARRAY['She likes green tea very much', 'She very much likes green tea', 'She likes black coffee', 'Green tea!']) c;
SELECT first_content, second_content, round(similarity::numeric, 2) > 0.9 AS similar, overlap FROM memai.find_duplicates(namespace => 'twice', min_similarity => 2);
SELECT op, kept_content, dropped_content FROM memai.consolidate(namespace => 'twice', min_similarity => 2);
SELECT count(*) FROM memai.memory WHERE namespace = 'twice' AND expired_at IS NULL;
SELECT op, kept_content, dropped_content FROM memai.consolidate(namespace => 'twice', dry_run => false, min_similarity => 2);
SELECT count(*) FROM memai.memory WHERE namespace = 'twice' AND expired_at IS NULL;
SELECT count(*) FROM memai.consolidate(namespace => 'twice', min_similarity => 2);
SELECT content FROM memai.recall('very much tea', namespace => 'twice', k => 1);
-- what the same words deny, or say of another number, is not the same
SELECT count(memai.remember(c, namespace => 'claims')) FROM unnest(ARRAY['She likes tea', 'She does not like tea', 'She doesn''t like tea', 'Paid invoice 4711', 'Paid invoice 4712', 'Mag keinen Tee', 'Mag Tee', 'Dricker inte te', 'Dricker te']) c;
SELECT first_content, second_content FROM memai.find_duplicates(namespace => 'claims', min_similarity => 0.8, min_overlap => 0.5) ORDER BY 1, 2;
-- undo brings the other back, and leaves the one that was kept
SELECT memai.undo(history_id, namespace => 'twice') FROM memai.memory m, memai.history(m.id, namespace => 'twice') h WHERE m.namespace = 'twice' AND h.event = 'UPDATE';
SELECT count(*) FROM memai.memory WHERE namespace = 'twice' AND expired_at IS NULL;

-- ---- vectors of another moment ----
DELETE FROM memai.embedding WHERE namespace = 'twice';
SELECT count(*) FROM memai.recall('tea', namespace => 'twice') WHERE similarity IS NOT NULL;
SELECT memai.fill_embeddings(user_id => 'ann', namespace => 'twice', max_rows => 3), memai.fill_embeddings() AS rest, memai.fill_embeddings() AS none;
SELECT count(*) FROM memai.recall('tea', namespace => 'twice') WHERE similarity IS NOT NULL;
SELECT memai.fill_embeddings(max_rows => 0);

-- ---- forgetting what matches ----
SELECT content, forgotten FROM memai.forget_matching('coffee', namespace => 'twice', k => 1);
SELECT content, forgotten FROM memai.forget_matching('coffee', namespace => 'twice', k => 1, dry_run => false);
SELECT count(*) FROM memai.memory WHERE content LIKE '%coffee%';
SELECT memai.pin(id, namespace => 'twice') FROM memai.memory WHERE content = 'Green tea!';
-- clearing a namespace takes the texts in its history along, and with episodes what was said, but nothing that is pinned
SELECT memai.remember('cleared one', namespace => 'cleared', slot => 'x') IS NOT NULL AS one, memai.remember('cleared two', namespace => 'cleared', slot => 'x') IS NOT NULL AS two;
SELECT count(*) AS said FROM memai.remember_messages('[{"content": "cleared three"}, {"content": "kept four"}]', namespace => 'cleared');
SELECT memai.remember('kept five', namespace => 'cleared', sources => ARRAY[e.id]) AS pinned FROM memai.episode e WHERE e.content = 'kept four' \gset
SELECT memai.remember('cleared six', namespace => 'cleared', sources => ARRAY[e.id]) IS NOT NULL AS six FROM memai.episode e WHERE e.content = 'cleared three';
SELECT memai.pin(:'pinned', namespace => 'cleared'), memai.set_block('note', 'kept seven', namespace => 'cleared') AS block;
SELECT memai.clear_memory(namespace => 'cleared') AS memories, memai.clear_memory(namespace => 'cleared', keep_pinned => false) AS all_memories,
	memai.clear_memory(namespace => 'cleared', episodes => true) AS said_too, memai.clear_memory(namespace => 'cleared', keep_pinned => false, episodes => true) AS all;
SELECT memai.clear_memory(namespace => 'cleared', episodes => true, confirm => true);
SELECT count(*) FILTER (WHERE to_jsonb(h)::text LIKE '%cleared %') AS texts, count(*) FILTER (WHERE event = 'FORGET') AS forgotten FROM memai.memory_history h WHERE namespace = 'cleared';
SELECT content FROM memai.memory WHERE namespace = 'cleared' UNION ALL SELECT content FROM memai.episode WHERE namespace = 'cleared' ORDER BY 1;
SELECT memai.clear_memory(namespace => 'cleared', keep_pinned => false, episodes => true, confirm => true), memai.drop_block('note', namespace => 'cleared');
SELECT count(*) FROM memai.memory_history h WHERE namespace = 'cleared' AND to_jsonb(h)::text LIKE '%kept%';
SELECT memai.clear_memory(namespace => 'twice') AS would_go, memai.clear_memory(namespace => 'twice', confirm => true), memai.clear_memory(namespace => 'twice', keep_pinned => false, confirm => true);

-- ---- forgetting a user: nobody else, nothing left ----
RESET memai.user_id;
SELECT count(*) FROM memai.remember_messages('[{"content": "canary one"}, {"content": "canary two"}]', 'gone');
SELECT memai.remember_triplet('canary', 'sings', 'song', user_id => 'gone', namespace => 'other', slot => 'canary') IS NOT NULL AS stored;
SELECT memai.remember('canary three', 'gone', slot => 'x'), memai.remember('canary four', 'gone', slot => 'x') \gset
SELECT memai.set_block('persona', 'canary', 'gone'), memai.create_thread('gone', title => 'canary') IS NOT NULL AS thread;
SELECT count(*) AS others FROM memai.memory WHERE user_id <> 'gone' \gset
SELECT * FROM memai.forget_user('gone') WHERE removed > 0;
SELECT what, removed FROM memai.forget_user('gone', confirm => true, reason => 'article 17') WHERE removed > 0;
SELECT sum(removed) FILTER (WHERE what <> 'history_texts') AS nothing_left FROM memai.forget_user('gone', confirm => true);
SELECT count(*) = :others AS others_untouched FROM memai.memory;
SELECT count(*) AS texts FROM memai.memory_history WHERE user_id = 'gone' AND concat(old_content, new_content, before, reason) <> '';
SELECT user_id, namespace, removed ->> 'memory' AS memories, removed ->> 'all_namespaces' AS all_namespaces, reason, actor = current_user AS actor
FROM memai.erasure WHERE removed ->> 'memory' <> '0';
DELETE FROM memai.erasure;
SELECT count(*) FROM memai.forget_user(NULL);
SET memai.user_id = 'ann';
SELECT * FROM memai.forget_user('gone');
SELECT memai.compact() > 8 AS compacted;
SELECT content FROM memai.recall('tea', namespace => 'use', k => 1);

DELETE FROM memai.memory;
DELETE FROM memai.block;
DELETE FROM memai.job WHERE kind = 'expire';
