-- CALL memai.run_jobs(): memai's own kinds, done in this session.
CREATE ROLE job_ann LOGIN IN ROLE memai_user;
CREATE ROLE job_bob LOGIN IN ROLE memai_user;
SET ROLE job_ann;
CALL memai.run_jobs();

-- vectors that are missing are made, and the others left alone
SELECT count(*) FROM (SELECT memai.remember('statement ' || i, user_id => 'u' || i % 2) FROM generate_series(1, 600) i) s;
SELECT count(*) FROM memai.remember_messages('[{"content": "hello"}, {"content": "good bye", "name": "Eve"}]', user_id => 'u0');
CREATE TEMPORARY TABLE before AS SELECT * FROM memai.embedding;
DELETE FROM memai.embedding WHERE id NOT IN (SELECT id FROM before ORDER BY id LIMIT 10);
SELECT memai.reembed() AS submitted, memai.reembed('local/hash-384') AS same_ones;
CALL memai.run_jobs(max_jobs => 1);
SELECT status, count(*) FROM memai.job GROUP BY status ORDER BY status;
CALL memai.run_jobs(max_time => '1 hour');
SELECT user_id, kind, model, status, result, done, total, attempts FROM memai.job ORDER BY user_id;
SELECT count(*), count(DISTINCT id) FROM memai.embedding;
SELECT count(*) AS different FROM memai.embedding e JOIN before b USING (scope, id, model) WHERE e.embedding <> b.embedding;
DELETE FROM memai.job;

-- the default model's name is filled in by a job without one
SELECT memai.submit_job('embed', user_id => 'u0') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT status, result FROM memai.job;
DELETE FROM memai.job;

-- an error fails the job alone, and says why; BW2
SELECT memai.submit_job('embed', user_id => 'u0', model => 'no such model') IS NOT NULL AS submitted;
SELECT memai.submit_job('embed', user_id => 'u0', model => 'local/extract') IS NOT NULL AS submitted;
SELECT memai.submit_job('embed', user_id => 'u0', model => 'local/hash-384') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT model, status, error, sqlstate FROM memai.job ORDER BY model COLLATE "C";
DELETE FROM memai.job;

-- others do not run my jobs; an administrator does, with my rights; BW14
SELECT memai.submit_job('embed', user_id => 'u0') IS NOT NULL AS submitted;
RESET ROLE; SET ROLE job_bob;
CALL memai.run_jobs();
RESET ROLE;
REVOKE memai_user FROM job_ann;
CALL memai.run_jobs();
SELECT status, error, sqlstate FROM memai.job;
SELECT current_user = session_user AS still_myself, current_setting('memai.tenant') AS tenant;
GRANT memai_user TO job_ann;
SET ROLE job_ann;
SELECT memai.retry_jobs();
RESET ROLE;
CALL memai.run_jobs();
SELECT status, tenant, submitted_by FROM memai.job;
DELETE FROM memai.job;
SET ROLE job_ann;
SELECT memai.submit_job('embed', user_id => 'u0') IS NOT NULL AS submitted;
RESET ROLE;
ALTER ROLE job_ann RENAME TO job_eve;
CALL memai.run_jobs();
SELECT status, error, sqlstate FROM memai.job;
ALTER ROLE job_eve RENAME TO job_ann;
DELETE FROM memai.job;

-- it commits, so it runs by itself
BEGIN;
CALL memai.run_jobs();
ROLLBACK;

DELETE FROM memai.embedding;
DELETE FROM memai.memory_history;
DELETE FROM memai.memory;
DELETE FROM memai.episode;
DROP TABLE before;
DROP ROLE job_ann, job_bob;
