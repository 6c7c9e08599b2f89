-- threads, messages, chat with the built-in answerer
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

SELECT memai.remember('Ann prefers aisle seats', valid_at => '2026-01-04') AS seat \gset
SELECT memai.remember('Ann''s sister is called Ida', valid_at => '2026-01-05') IS NOT NULL AS stored;

-- the built-in answerer quotes, and says when it finds nothing
SELECT content, model, intent, cost, context_used, context_length > 0 AS has_length, memory_ids[1] = :'seat' AS shown_first,
	persona_included, tools_invoked, finish_reason, cached, processing_ms > 0 AS took_time, error,
	total_tokens = prompt_tokens + completion_tokens AS tokens_add_up
FROM memai.chat('Which seat do I prefer, aisle or window?');
SELECT content FROM memai.chat('What is the capital of France?');

-- a thread: what was said in it, in order
SELECT memai.create_thread(title => 'trip', system_prompt => 'Answer in one word.', metadata => '{"trip": 1}') AS thread \gset
SELECT thread_id = :'thread' AS same_thread, content FROM memai.chat('My hotel in Oslo is called Munch', thread_id => :'thread');
SELECT regexp_replace(content, '\(.*\)', '(today)') AS content FROM memai.chat('What is my hotel in Oslo called?', thread_id => :'thread');
SELECT role, regexp_replace(content, '\(.*\)', '(today)') AS content, model FROM memai.messages(:'thread');
SELECT role, regexp_replace(content, '\(.*\)', '(today)') AS content FROM memai.messages(:'thread', max_messages => 1);
SELECT title, system_prompt, model, metadata FROM memai.thread WHERE id = :'thread';
-- without thread_id every call opens a thread
SELECT count(*) FROM memai.thread;
-- what was said is an episode; the model's own answers are not found by default
SELECT content, kind FROM memai.recall('hotel Munch', k => 100) WHERE content LIKE '%Munch%' ORDER BY content;
SELECT count(*) FROM memai.recall('hotel Munch', k => 100, include_answers => true) WHERE content LIKE '%Munch%';

-- a persona is included, a zero budget leaves memory out
SELECT memai.set_block('persona', 'Speak like a sailor.');
SELECT persona_included, context_used FROM memai.chat('Which seat do I prefer?');
SELECT persona_included, context_used, context_length, memory_ids FROM memai.chat('Which seat do I prefer?', max_context_tokens => 0);

-- forgetting an episode takes its message along; deleting a thread keeps what was said
SELECT memai.forget(id) FROM memai.messages(:'thread') WHERE content LIKE 'My hotel%';
SELECT count(*) FROM memai.messages(:'thread');
DELETE FROM memai.thread WHERE id = :'thread';
SELECT count(*) FROM memai.message WHERE thread_id = :'thread';
SELECT count(*) FROM memai.episode WHERE thread_id = :'thread';

DELETE FROM memai.episode;
DELETE FROM memai.memory;
DELETE FROM memai.thread;
DELETE FROM memai.block;
