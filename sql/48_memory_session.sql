-- what a session keeps: plans and types survive a new extension
\set VERBOSITY terse
SET client_min_messages = warning;
SET memai.tenant = 'regress';
SELECT memai.remember('before', 'ann') IS NOT NULL AS stored;
SELECT count(*) FROM memai.remember_messages('[{"content": "before"}]', 'ann');
SELECT count(*) FROM memai.recall('before', 'ann');
DROP EXTENSION memai CASCADE;
CREATE EXTENSION memai;
SELECT memai.remember('after', 'ann') IS NOT NULL AS stored;
SELECT count(*) FROM memai.remember_messages('[{"content": "after"}]', 'ann');
SELECT content FROM memai.recall('after', 'ann') ORDER BY kind;
SELECT error, content FROM memai.chat('Is it after?', 'ann');
DELETE FROM memai.episode;
DELETE FROM memai.memory;
DELETE FROM memai.thread;
