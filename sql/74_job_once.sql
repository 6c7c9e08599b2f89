-- work of which one piece waits is not written again for each message, and waits for the transaction that adds to it
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

SELECT memai.create_model('elsewhere', 'chat', 'ollama', 'm', url => 'http://127.0.0.1:9') AS model;
CREATE FUNCTION pg_temp.say(content text) RETURNS bigint LANGUAGE sql AS
	$$SELECT count(*) FROM memai.remember_messages(jsonb_build_array(jsonb_build_object('content', content)), infer => true, model => 'elsewhere')$$;
SELECT pg_temp.say('I moved to Lund');
SELECT id AS job, xmin AS written FROM memai.job WHERE kind = 'extract' \gset
SELECT pg_temp.say('I have two cats');
SELECT count(*) AS jobs, bool_and(id = :'job' AND xmin = :'written'::xid) AS untouched FROM memai.job WHERE kind = 'extract';
-- it waits for this transaction: nobody claims a locked row
BEGIN;
SELECT pg_temp.say('I have three cats');
SELECT xmax = pg_current_xact_id()::xid AS locked FROM memai.job WHERE kind = 'extract';
COMMIT;
-- of a fixed snapshot, too
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.say('I work at the harbour');
COMMIT;
SELECT count(*) AS jobs FROM memai.job WHERE kind = 'extract';
-- one that is to be done later is moved up
UPDATE memai.job SET run_after = now() + interval '1 hour', priority = 2 WHERE kind = 'extract';
SELECT pg_temp.say('I like the sea');
SELECT count(*) AS jobs, bool_and(run_after <= now()) AS is_due, min(priority) AS priority FROM memai.job WHERE kind = 'extract';
-- while one runs, another waits
SELECT count(*) AS claimed FROM memai.claim('{extract}');
SELECT pg_temp.say('I left the harbour');
SELECT count(*) AS jobs, count(*) FILTER (WHERE status = 'running') AS running FROM memai.job WHERE kind = 'extract';

RESET memai.user_id;
DELETE FROM memai.job;
DELETE FROM memai.episode;
SELECT memai.drop_model('elsewhere');
