-- The queue: submitting, claiming, finishing, and whose job it is.
CREATE ROLE job_ann LOGIN IN ROLE memai_user;
CREATE ROLE job_bob LOGIN IN ROLE memai_user;
CREATE ROLE job_admin LOGIN IN ROLE memai_admin;
SET ROLE job_ann;

-- by priority, then by time; never what is not due, of another kind, or claimed already
SELECT memai.submit_job('custom', '{"n": 1}', user_id => 'u') IS NOT NULL AS submitted;
SELECT memai.submit_job('custom', '{"n": 2}', user_id => 'u', priority => 2) IS NOT NULL AS submitted;
SELECT memai.submit_job('custom', '{"n": 3}', user_id => 'u', priority => 0) IS NOT NULL AS submitted;
SELECT memai.submit_job('custom', '{"n": 4}', user_id => 'u', priority => 0, run_after => now() + '1 day') IS NOT NULL AS submitted;
SELECT memai.submit_job('tool', '{"n": 5}', user_id => 'u', priority => 0) IS NOT NULL AS submitted;
SELECT kind, payload, attempts, tenant, user_id, namespace, submitted_by FROM memai.claim('{custom}', 2);
SELECT payload FROM memai.claim('{custom,tool}', 10) ORDER BY 1;
SELECT count(*) FROM memai.claim('{custom,tool}', 10);
SELECT kind, status, payload, run_after > now() AS later FROM memai.job ORDER BY payload;
SELECT kind, waiting, running, done, failed, cancelled FROM memai.job_status ORDER BY kind;

-- only the lease finishes a job, and once
SELECT memai.complete_job(scope, id, memai.new_id(), '{"stolen": true}') FROM memai.job WHERE payload = '{"n": 1}';
SELECT memai.renew_lease(scope, id, lease, '1 hour', 5, 10) FROM memai.job WHERE payload = '{"n": 1}';
SELECT memai.renew_lease(scope, id, memai.new_id()) FROM memai.job WHERE payload = '{"n": 1}';
SELECT done, total, run_after > now() + '50 min' AS renewed FROM memai.job WHERE payload = '{"n": 1}';
SELECT scope, id, lease FROM memai.job WHERE payload = '{"n": 1}' \gset
SELECT memai.complete_job(:scope, :'id', :'lease', '{"answer": 42}');
SELECT memai.complete_job(:scope, :'id', :'lease', '{"answer": 43}');
SELECT status, result FROM memai.job WHERE payload = '{"n": 1}';

-- failing: it waits longer each time, and fails for good at last; RL9
BEGIN;	-- for one now()
SELECT memai.fail_job(scope, id, lease, 'try again', 'MA004') FROM memai.job WHERE payload = '{"n": 2}';
SELECT status, attempts, error, sqlstate, run_after - now() BETWEEN '0.5 s' AND '1 s' AS waits FROM memai.job WHERE payload = '{"n": 2}';
COMMIT;
UPDATE memai.job SET run_after = now(), attempts = 4 WHERE payload = '{"n": 2}';
SELECT payload, attempts FROM memai.claim('{custom}');
SELECT memai.fail_job(scope, id, lease, 'again', 'MA004') FROM memai.job WHERE payload = '{"n": 2}';
SELECT status, attempts, finished_at IS NOT NULL AS finished FROM memai.job WHERE payload = '{"n": 2}';
-- the error is one that every attempt meets
SELECT memai.fail_job(scope, id, lease, 'no such thing', '42704') FROM memai.job WHERE payload = '{"n": 3}';
-- the worker says when
SELECT memai.fail_job(scope, id, lease, 'later', 'MA003', '10 min') FROM memai.job WHERE payload = '{"n": 5}';
SELECT run_after - now() BETWEEN '9 min' AND '10 min' AS as_told FROM memai.job WHERE payload = '{"n": 5}';
SELECT memai.retry_jobs('tool'), memai.retry_jobs(user_id => 'nobody'), memai.retry_jobs();
SELECT payload, status, attempts, error FROM memai.job WHERE finished_at IS NULL ORDER BY payload;

-- a lease that ended: the job is claimed again, and fails when that was its last attempt
SELECT payload, attempts FROM memai.claim('{custom}', 1, '0 s') ORDER BY payload;
SELECT payload, attempts FROM memai.claim('{custom}', 1, '0 s') WHERE payload <> '{"n": 0}';
UPDATE memai.job SET attempts = max_attempts WHERE status = 'running';
SELECT count(*) FROM memai.claim('{custom}', 10, '0 s') WHERE attempts = 5;
SELECT status, count(*), min(error) AS error, min(sqlstate) AS sqlstate FROM memai.job WHERE kind = 'custom' AND error IS NOT NULL GROUP BY status;
DELETE FROM memai.job;

-- a client whose lease ends while it works has nothing to say any more, whoever has the job then; nor has anybody else
SELECT memai.submit_job('custom', '{"n": 9}', user_id => 'u') AS id \gset
SELECT scope, lease AS first FROM memai.claim('{custom}', 1, '1 hour') \gset
UPDATE memai.job SET run_after = now();
-- ended, but nobody else has claimed the job: it is still the first one's to renew or to finish
SELECT memai.renew_lease(:scope, :'id', :'first', '1 hour', 1, 2) AS renewed;
SELECT count(*) AS claimed FROM memai.claim('{custom}');
UPDATE memai.job SET run_after = now();
SELECT lease AS second, attempts, lease <> :'first' AS another FROM memai.claim('{custom}', 1, '1 hour') \gset
SELECT :attempts AS attempts, :'another' AS another;
SELECT memai.renew_lease(:scope, :'id', :'first', '1 day', 2, 2) AS renewed;
SELECT memai.complete_job(:scope, :'id', :'first', '{"by": "first"}') AS completed;
SELECT memai.fail_job(:scope, :'id', :'first', 'by the first') IS NULL AS not_failed;
RESET ROLE; SET ROLE job_bob;
SELECT memai.renew_lease(:scope, :'id', :'second'), memai.complete_job(:scope, :'id', :'second', '{"by": "another tenant"}') AS completed,
	memai.fail_job(:scope, :'id', :'second', 'by another tenant') IS NULL AS not_failed;
RESET ROLE; SET ROLE job_ann;
-- in a session of one user, another user's job is not there
SET memai.user_id = 'v';
SELECT memai.complete_job(:scope, :'id', :'second') AS completed, memai.fail_job(:scope, :'id', :'second', 'x') IS NULL AS not_failed;
SELECT count(*) AS claimed FROM memai.claim('{custom}', 10);
RESET memai.user_id;
SELECT status, attempts, done, total, result, error, run_after > now() + '50 min' AS held FROM memai.job;
SELECT memai.complete_job(:scope, :'id', :'second', '{"by": "second"}') AS completed;
SELECT memai.complete_job(:scope, :'id', :'second') AS again, memai.fail_job(:scope, :'id', :'second', 'x') IS NULL AS not_failed,
	memai.renew_lease(:scope, :'id', :'second') AS renewed;
SELECT memai.complete_job(:scope, :'id', NULL) AS no_lease, memai.complete_job(:scope, memai.new_id(), :'second') AS no_job,
	memai.complete_job(NULL, NULL, NULL) AS nothing, memai.fail_job(NULL, NULL, NULL, NULL) IS NULL AS nothing_failed;
SELECT status, attempts, result, error, lease FROM memai.job;
-- what a client finished in a transaction that is rolled back is not finished
SELECT memai.retry_jobs() AS none;
SELECT memai.submit_job('custom', user_id => 'u') AS id \gset
SELECT scope, lease FROM memai.claim('{custom}') \gset
BEGIN;
SELECT memai.complete_job(:scope, :'id', :'lease') AS completed;
ROLLBACK;
SELECT memai.complete_job(:scope, :'id', :'lease', '{"second": "time"}') AS completed;
-- nobody without the role of users
RESET ROLE;
CREATE ROLE regress_memai_stranger;
GRANT USAGE ON SCHEMA memai TO regress_memai_stranger;
SET ROLE regress_memai_stranger;
SELECT memai.claim('{custom}');
SELECT memai.renew_lease(:scope, :'id', :'lease');
SELECT memai.complete_job(:scope, :'id', :'lease');
SELECT memai.fail_job(:scope, :'id', :'lease', 'x');
CALL memai.run_jobs();
RESET ROLE;
REVOKE USAGE ON SCHEMA memai FROM regress_memai_stranger;
DROP ROLE regress_memai_stranger;
SET ROLE job_ann;
DELETE FROM memai.job;

-- cancelling
SELECT memai.submit_job('custom', user_id => 'u') AS id \gset
SELECT memai.cancel_job(:'id', 'u'), memai.cancel_job(:'id', 'u');
SELECT memai.submit_job('custom', user_id => 'u') AS id \gset
SELECT scope, lease FROM memai.claim('{custom}') \gset
SELECT memai.cancel_job(:'id', 'u');
SELECT memai.renew_lease(:scope, :'id', :'lease');
SELECT memai.fail_job(:scope, :'id', :'lease', 'stopped');
SELECT status, count(*) FROM memai.job GROUP BY status;
DELETE FROM memai.job;

-- what waits already is not submitted again; what was claimed may be stale, so it is
SELECT memai.submit_job('custom', user_id => 'u', dedupe_key => 'k', run_after => now() + '1 day')
	= memai.submit_job('custom', user_id => 'u', dedupe_key => 'k') AS same;
SELECT count(*), bool_and(run_after <= now()) AS due FROM memai.job;
SELECT count(*) FROM memai.claim('{custom}');
SELECT memai.submit_job('custom', user_id => 'u', dedupe_key => 'k') IS NOT NULL AS submitted;
SELECT count(*) FROM memai.job;

-- other tenants see and claim nothing; administrators everything
RESET ROLE; SET ROLE job_bob;
SELECT count(*) FROM memai.job;
SELECT count(*) FROM memai.claim('{custom}', 10);
SELECT memai.cancel_job(:'id', 'u') IS NULL AS nothing, memai.retry_jobs() AS retried;
RESET ROLE; SET ROLE job_admin;
SELECT count(*) FROM memai.job;
SELECT tenant, submitted_by FROM memai.claim('{custom}', 10);
-- but nobody submits for another tenant, or in another role's name
INSERT INTO memai.job (tenant, user_id, namespace, scope, kind)
	VALUES ('job_ann', 'u', 'default', memai.scope_hash('job_ann', 'u', 'default'), 'custom');
INSERT INTO memai.job (tenant, user_id, namespace, scope, kind, submitted_by)
	VALUES ('job_admin', 'u', 'default', memai.scope_hash('job_admin', 'u', 'default'), 'custom', 'postgres');
UPDATE memai.job SET submitted_by = 'postgres';
UPDATE memai.job SET payload = '{}';
RESET ROLE;
DELETE FROM memai.job;

-- arguments
SET ROLE job_ann;
SELECT memai.submit_job('nonsense', user_id => 'u');
SELECT memai.submit_job('custom');
SELECT memai.submit_job('custom', '[]', user_id => 'u');
SELECT memai.submit_job('custom', user_id => 'u', priority => 3);
SELECT memai.submit_job('custom', user_id => 'u', max_attempts => 0);
SELECT memai.claim('{custom}', 0);
SELECT memai.claim('{custom}', 1001);
SELECT count(*) FROM memai.claim('{}', 1);
SELECT memai.wait_for(memai.new_id(), 'u') IS NULL AS unknown;
BEGIN;
SELECT memai.submit_job('custom', user_id => 'u') AS id \gset
SELECT memai.wait_for(:'id', 'u', timeout => '10 s');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT memai.flush();
ROLLBACK;
SELECT memai.flush('0 s');

-- a model that rests holds back its own jobs only
SELECT memai.submit_job('custom', '{"n": 1}', user_id => 'u', model => 'tired') IS NOT NULL AS submitted;
SELECT memai.submit_job('custom', '{"n": 2}', user_id => 'u', model => 'fresh') IS NOT NULL AS submitted;
RESET ROLE;
INSERT INTO memai._job_cooldown VALUES ('tired', now() + '1 hour');
SET ROLE job_ann;
SELECT model FROM memai.claim('{custom}', 10);
SELECT model, cooldown_until > now() AS rests FROM memai.job_status ORDER BY model;
RESET ROLE;
DELETE FROM memai._job_cooldown;
DELETE FROM memai.job;
DROP ROLE job_ann, job_bob, job_admin;
