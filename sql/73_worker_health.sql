-- how memai is
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SELECT memai.version() = extversion AS same FROM pg_extension WHERE extname = 'memai';
SELECT component, name, ok, detail FROM memai.health() WHERE component NOT IN ('shared memory', 'index');
SELECT ok, data - 'buffer_used' AS data FROM memai.health() WHERE component = 'shared memory';
-- local models answer without a network
SELECT name, ok, detail ~ '^answers in [0-9.]+ ms$' AS answers, data ->> 'breaker' AS breaker FROM memai.health(check_models => true) WHERE component = 'model';
-- a job that failed, and one that nobody does
SELECT count(memai.submit_job('custom', '{"n": 1}', run_after => now() - interval '1 hour')), count(memai.submit_job('custom', '{"n": 2}', run_after => now() - interval '1 hour'));
UPDATE memai.job SET status = 'failed', finished_at = now(), error = 'x' WHERE payload ->> 'n' = '2';
SELECT component, ok, regexp_replace(detail, 'since [0-9]+', 'since n') AS detail FROM memai.health() WHERE component IN ('worker', 'queue');
DELETE FROM memai.job;
-- indexes
CREATE TABLE regress_health (v vector(3));
INSERT INTO regress_health SELECT ARRAY[n, 1, 2]::vector(3) FROM generate_series(1, 10) n;
CREATE INDEX regress_health_v ON regress_health USING memai (v vector_l2_ops);
SELECT name, ok, detail, data -> 'table' AS of, data ? 'live_entries' AS looked_into FROM memai.health() WHERE component = 'index' AND name ~ 'regress';
SELECT name, ok, data -> 'live_entries' AS entries FROM memai.health(check_indexes => true) WHERE component = 'index' AND name ~ 'regress';
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'regress_health_v'::regclass;
SELECT name, ok, detail FROM memai.health(check_indexes => true) WHERE component = 'index' AND name ~ 'regress';
DROP TABLE regress_health;
-- a member sees its own, and does not call models
CREATE ROLE regress_health_clerk IN ROLE memai_user;
SET ROLE regress_health_clerk;
SELECT component, name, ok FROM memai.health() WHERE component <> 'index';
SELECT count(*) FROM memai.health(check_models => true);
RESET ROLE;
DROP ROLE regress_health_clerk;
