-- what a session keeps: plans and types survive a new extension
\set VERBOSITY terse
SET client_min_messages = warning;
SET memai.tenant = 'regress';
SELECT memai.remember('before', 'ann') IS NOT NULL AS stored;
SELECT count(*) FROM memai.remember_messages('[{"content": "before"}]', 'ann');
SELECT count(*) FROM memai.recall('before', 'ann');
DELETE FROM memai.embedding;
SELECT memai.reembed(user_id => 'ann') AS submitted;
CALL memai.run_jobs();
SELECT count(*) FROM memai.embedding;
DROP EXTENSION memai CASCADE;
CREATE EXTENSION memai;
SELECT memai.remember('after', 'ann') IS NOT NULL AS stored;
SELECT count(*) FROM memai.remember_messages('[{"content": "after"}]', 'ann');
SELECT content FROM memai.recall('after', 'ann') ORDER BY kind;
DELETE FROM memai.embedding;
SELECT memai.reembed(user_id => 'ann') AS submitted;
CALL memai.run_jobs();
SELECT count(*) FROM memai.embedding;
SELECT error, content FROM memai.chat('Is it after?', 'ann');
DELETE FROM memai.episode;
DELETE FROM memai.memory;
DELETE FROM memai.thread;
DELETE FROM memai.job;
