-- Seven conversations of one person with her assistant, stored and asked about.
-- Run by `make demo`; everything happens in the built-in local models.
\pset footer off
CREATE TEMP TABLE conversation AS SELECT session FROM jsonb_array_elements(:'dialogue') AS session;
\set ECHO queries

CREATE EXTENSION memai;
SET memai.user_id = 'mira';

-- 1. Store seven conversations, each as a thread of its own.
\timing on
SELECT count(*) AS messages_stored
FROM conversation, memai.remember_messages(session -> 'messages', occurred_at => (session ->> 'started_at')::timestamptz);
\timing off

-- 2. Ask what was said.  Only the words matter; no one tagged anything.
\timing on
SELECT content, occurred_at::date, round(score::numeric, 3) AS score
FROM memai.recall('What is the dog''s name?', k => 3);
SELECT content, occurred_at::date, round(score::numeric, 3) AS score
FROM memai.recall('When is my sister''s wedding?', k => 3);
SELECT content, occurred_at::date, round(score::numeric, 3) AS score
FROM memai.recall('What am I allergic to?', k => 3);
SELECT content, occurred_at::date, round(score::numeric, 3) AS score
FROM memai.recall('Who is the vet in Gothenburg?', k => 3);
SELECT content, occurred_at::date, round(score::numeric, 3) AS score
FROM memai.recall('Who gets my start number for the marathon?', k => 3);
SELECT content, occurred_at::date, round(score::numeric, 3) AS score
FROM memai.recall('How much did I pay for the cabins?', k => 3);
\timing off

-- 3. Talk.  The built-in answerer quotes what it finds; a language model of
--    your choice takes its place with one call of memai.create_model.
\timing on
SELECT content FROM memai.chat('Which seat should you book for me on a flight?');
SELECT content FROM memai.chat('What was grandfather''s boat called?');
SELECT content FROM memai.chat('Where did Erik meet Ida?');
SELECT content FROM memai.chat('What is my blood type?');
\timing off

-- 4. A fact that changes.  A slot has one live value; the old one is kept.
SELECT memai.remember('Mira lives in Lund', slot => 'home.city', valid_at => '2019-08-01') AS lund \gset
SELECT memai.remember('Mira lives in Gothenburg', slot => 'home.city', valid_at => '2026-01-01') AS gothenburg \gset
SELECT content, kind FROM memai.recall('In which city does Mira live?', k => 1);
SELECT event, old_content, new_content FROM memai.history(:'lund');
SELECT content, valid_at::date, invalid_at::date FROM memai.memory WHERE slot = 'home.city' ORDER BY valid_at;

-- 5. What a language model would be told, as data, within 120 tokens.
SELECT memai.set_block('persona', 'You answer briefly and call her Mira.') AS version;
SELECT memai.context('What may Mira eat?', max_tokens => 120);
