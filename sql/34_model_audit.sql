-- The audit log: who changed what, without secrets; rows are only added.  AU7, AU17.
\set VERBOSITY terse
CREATE ROLE audit_chief IN ROLE memai_admin;
CREATE ROLE audit_reader IN ROLE memai_user;
BEGIN;
SET ROLE audit_chief;
SELECT memai.create_credential('audit-key', 'https://api.example.com/v1/', 'sk-canary-audit-1');
SELECT memai.rotate_credential('audit-key', 'sk-canary-audit-2');
SELECT memai.grant_credential('audit-key', 'audit_reader'), memai.revoke_credential('audit-key', 'audit_reader');
SELECT memai.create_model('audit-model', 'chat', 'openai', 'm', url => 'https://api.example.com/v1', credential => 'audit-key');
SELECT memai.alter_model('audit-model', options => '{"max_tokens": 5, "extra": {"user": "canary-option"}}', context_window => 1000);
SELECT memai.grant_model('audit-model', 'public'), memai.revoke_model('audit-model', 'public');
SELECT memai.set_default_model('chat', 'audit-model', 'small');
SELECT memai.set_limit('audit-model', '*', 'ann');
SELECT memai.drop_model('audit-model'), memai.drop_credential('audit-key');
RESET ROLE;
SELECT count(*) FROM memai.forget_user('audited user', confirm => true) WHERE removed > 0;
SELECT role = session_user AS by_superuser, session_role = session_user AS session, action, object, detail - 'tenant' AS detail
	FROM memai.audit_log WHERE at >= now() ORDER BY at;
-- no key, no option, no user who was forgotten
SELECT count(*) FROM memai._audit a WHERE a::text ~ 'canary|audited user';

-- nobody changes it, not even its owner
SAVEPOINT a;
UPDATE memai._audit SET role = 'somebody';
ROLLBACK TO a;
DELETE FROM memai._audit;
ROLLBACK TO a;
TRUNCATE memai._audit;
ROLLBACK TO a;
SET ROLE audit_chief;
SELECT count(*) > 10 AS readable FROM memai.audit_log;
INSERT INTO memai._audit SELECT now(), 'a', 'b', 'c', 'd', '{}';
ROLLBACK TO a;
SET ROLE audit_reader;
SELECT count(*) FROM memai.audit_log;
ROLLBACK TO a;
SET ROLE audit_reader;
SELECT count(*) FROM memai.error_log;
ROLLBACK;

-- what is refused or rolled back leaves no row
SET ROLE audit_reader;
SELECT memai.create_credential('audit-key', 'https://api.example.com/', 'x');
RESET ROLE;
SELECT memai.drop_model('no such model');
SELECT count(*) FROM memai.audit_log WHERE at >= now() - interval '1 minute' AND (role = 'audit_reader' OR object = 'no such model' OR object LIKE 'audit-%');

-- the last errors of calls and jobs, without a message
BEGIN;
INSERT INTO memai._usage SELECT '2026-01-01', CURRENT_USER::regrole, NULL, 't', 'error-model', 'chat', 'complete', NULL, 10, 5, false, 0.5, 12, s, e, 1, false
	FROM (VALUES ('ok', NULL), ('error', 'MA004'), ('unknown', NULL), ('error', '53200')) v (s, e);
SELECT source, role = CURRENT_USER AS mine, model, operation, sqlstate, condition, attempt, status FROM memai.error_log
	WHERE model = 'error-model' ORDER BY sqlstate COLLATE "C";
ROLLBACK;
SELECT memai.submit_job('embed', user_id => 'error-user', model => 'no such model') IS NOT NULL AS submitted;
SET client_min_messages = warning;
CALL memai.run_jobs();
RESET client_min_messages;
SELECT source, role = CURRENT_USER AS mine, model, operation, sqlstate, condition, attempt, job_id IS NOT NULL AS is_job, status FROM memai.error_log;
DELETE FROM memai.job WHERE user_id = 'error-user';
SELECT count(*) = (SELECT count(*) FROM memai.limits) AS same FROM memai.limits();
DROP ROLE audit_chief, audit_reader;
