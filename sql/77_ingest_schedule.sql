-- Schedules: when they are due, what they do, as whom, and what becomes of a
-- missed or failed run.  Times are moved by hand; nothing waits for the clock.
CREATE ROLE sched_ann LOGIN IN ROLE memai_user;
CREATE ROLE sched_bob LOGIN IN ROLE memai_user;
SET timezone = 'UTC';
-- cron on the wall clock: a minute that is skipped in spring, and one that comes twice in autumn
SELECT memai.next_run('30 2 * * *', '2026-03-28 12:00+00', 'Europe/Berlin') AS skipped,
	memai.next_run('30 2 * * *', '2026-10-24 12:00+00', 'Europe/Berlin') AS first,
	memai.next_run('30 2 * * *', '2026-10-25 00:30+00', 'Europe/Berlin') AS not_again;
SELECT t AS after, memai.next_run('*/30 * * * *', t, 'Europe/Berlin') AS half_hours
FROM unnest('{2026-03-29 00:30+00,2026-10-25 00:10+00,2026-10-25 00:30+00,2026-10-25 01:00+00,2026-10-25 01:30+00}'::timestamptz[]) t;
SELECT memai.next_run('0 9 * * mon', '2026-11-21 00:00+00', 'Asia/Tokyo') AS tokyo, memai.next_run('0 0 29 2 *', '2026-11-21 00:00+00') AS leap,
	memai.next_run('@hourly', '2026-11-21 10:00:00.5+00') AS hourly, memai.next_run('0 2 * * *', '2026-04-04 12:00+00', 'Australia/Lord_Howe') AS half_hour_shift;
-- intervals, counted from a time: what was missed is not made up for
SELECT memai.next_run('10 min', '2026-11-21 10:00+00') AS now, memai.next_run('10 min', '2026-11-21 10:13+00', base => '2026-11-20 00:05+00') AS missed,
	memai.next_run('1 month', '2026-03-15 00:00+00', base => '2026-01-31 00:00+00') AS month, memai.next_run('10 min', '2026-01-01 00:00+00', base => '2026-01-01 00:00:01+00') AS before_base;
SELECT memai.next_run('61 * * * *');
SELECT memai.next_run('0 0 30 2 *');
SELECT memai.next_run('0 0 31 4,6 *');
SELECT memai.next_run('0 0 29 2 *', '2096-03-01 00:00+00') AS next_leap_year;
SELECT memai.next_run('0');
SELECT memai.next_run('1 us');
SELECT memai.next_run('@never');
SELECT memai.next_run('0 s');
SELECT memai.next_run('-1 day');
SELECT memai.next_run('now and then');
SELECT memai.next_run('0 0 * * *', 'infinity');
SELECT memai.next_run('0 0 * * *', now(), 'Middle/Earth');
SELECT memai.next_run(NULL) IS NULL AS null_is_null;

-- an insight by query: its memory is replaced by the next
CREATE SCHEMA sched AUTHORIZATION sched_ann;
SET ROLE sched_ann;
SET search_path = sched, public;
CREATE TABLE sale (item text, amount integer);
INSERT INTO sale VALUES ('tea', 10), ('milk', 20);
SELECT memai.schedule_insight('sales', '1 hour', 'SELECT item, amount FROM sale ORDER BY amount DESC', notify => 'news', user_id => 'ann') > now() AS later;
SELECT task, every, time_zone, created_by, next_run > now() AS later FROM memai.schedule;
SELECT kind, status, run_after > now() AS later, dedupe_key FROM memai.job;
CALL memai.run_jobs();
UPDATE memai.job SET run_after = now() WHERE status = 'waiting';
CALL memai.run_jobs();
SELECT content, slot, provenance, metadata FROM memai.memory;
SELECT status, result, run_after > now() AS later FROM memai.job ORDER BY status;
INSERT INTO sale VALUES ('gold', 1000);
UPDATE memai.job SET run_after = now() - interval '10 days' WHERE status = 'waiting';
CALL memai.run_jobs();
SELECT content, superseded_by IS NOT NULL AS superseded FROM memai.memory ORDER BY created_at;
SELECT count(*) AS waiting, min(run_after) > now() AS later FROM memai.job WHERE status = 'waiting';
SELECT last_run IS NOT NULL AS ran, last_result, next_run > now() AS later FROM memai.schedule;
-- its error fails a run, not the schedule
ALTER TABLE sale RENAME TO sold;
UPDATE memai.job SET run_after = now() WHERE status = 'waiting';
CALL memai.run_jobs();
SELECT error, sqlstate FROM memai.job WHERE status = 'failed';
ALTER TABLE sold RENAME TO sale;
DELETE FROM sale;
UPDATE memai.job SET run_after = now() WHERE status = 'waiting';
CALL memai.run_jobs();
SELECT last_result FROM memai.schedule;
SELECT memai.pause_schedule('sales', user_id => 'ann');
UPDATE memai.job SET run_after = now() WHERE status = 'waiting';
CALL memai.run_jobs();
SELECT result FROM memai.job WHERE status = 'done' ORDER BY finished_at DESC LIMIT 1;
SELECT memai.pause_schedule('absent', user_id => 'ann');
SELECT memai.drop_schedule('sales', user_id => 'ann'), memai.drop_schedule('sales', user_id => 'ann') AS again;
SELECT count(*) FROM memai.job WHERE status = 'waiting';
DELETE FROM memai.job;

-- an insight by prompt, about memories or about rows
SELECT memai.remember('The warehouse door code is 4711', user_id => 'bea') IS NOT NULL AS stored;
SELECT memai.schedule_insight('door', '@daily', prompt => 'What is the warehouse door code?', user_id => 'bea') IS NOT NULL AS made;
INSERT INTO sale VALUES ('The best sold item of the week is tea', 1);
SELECT memai.schedule_insight('best', '@daily', 'SELECT item FROM sale', 'What is the best sold item of the week?', user_id => 'bea') IS NOT NULL AS made;
UPDATE memai.job SET run_after = now() WHERE status = 'waiting';
CALL memai.run_jobs();
SELECT slot, content ~ CASE slot WHEN 'insight: best' THEN 'is tea' ELSE '4711' END AS answered FROM memai.memory WHERE user_id = 'bea' AND slot IS NOT NULL ORDER BY slot;

-- an alert speaks when its condition becomes true, not as long as it is
DELETE FROM sale;
SELECT memai.schedule_alert('stock', '1 min', 'SELECT coalesce(sum(amount), 0) > 5, sum(amount) AS total FROM sale', notify => 'news', user_id => 'cem') > now() AS later;
INSERT INTO sale VALUES ('tea', 6);
UPDATE memai.job SET run_after = now() WHERE user_id = 'cem';
CALL memai.run_jobs();
UPDATE memai.job SET run_after = now() WHERE user_id = 'cem' AND status = 'waiting';
CALL memai.run_jobs();
SELECT is_met, last_result FROM memai.schedule WHERE user_id = 'cem';
SELECT content, slot FROM memai.memory WHERE user_id = 'cem';
DELETE FROM sale;
UPDATE memai.job SET run_after = now() WHERE user_id = 'cem' AND status = 'waiting';
CALL memai.run_jobs();
SELECT is_met, last_result FROM memai.schedule WHERE user_id = 'cem';

-- upkeep, and a vectorizer that waits for its time
SELECT memai.remember('soon over', user_id => 'dan', expires_at => '2020-01-01') IS NOT NULL AS stored;
SELECT memai.schedule_task('clean', '@daily', 'expire', user_id => 'dan') IS NOT NULL AS made;
SELECT memai.schedule_task('merge', '@daily', 'consolidate', user_id => 'dan') IS NOT NULL AS made;
CREATE TABLE page (id integer PRIMARY KEY, body text);
SELECT memai.create_vectorizer('page', '{body}', schedule => '0 3 * * *');
INSERT INTO page VALUES (1, 'text');
SELECT kind, run_after > now() AS later FROM memai.job WHERE user_id = 'vectorizer';
UPDATE memai.job SET run_after = now() WHERE user_id IN ('dan', 'vectorizer') AND status = 'waiting';
CALL memai.run_jobs();
SELECT name, last_result FROM memai.schedule WHERE last_run IS NOT NULL AND user_id IN ('dan', 'vectorizer') ORDER BY name;
SELECT count(*) AS vectors FROM page WHERE embedding IS NOT NULL;
SELECT memai.drop_vectorizer('page');
SELECT count(*) FROM memai.schedule WHERE task = 'vectorizer';
DROP TABLE page;
SELECT memai.submit_job('consolidate', user_id => 'dan') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT status, result FROM memai.job WHERE kind = 'consolidate';

-- a persona is built by a job of its own; one that was edited by hand stays
SELECT memai.remember('Flo plays the oboe', user_id => 'flo') IS NOT NULL AS stored, memai.set_preference('answers', 'in rhymes', 'flo') IS NOT NULL AS preferred;
SELECT memai.schedule_task('persona', '@weekly', 'persona', user_id => 'flo') > now() AS later;
UPDATE memai.job SET run_after = now() WHERE user_id = 'flo' AND status = 'waiting';
CALL memai.run_jobs();
SELECT last_result FROM memai.schedule WHERE user_id = 'flo';
SELECT content, version, cardinality(sources) AS sources, is_edited FROM memai.persona('flo');
SELECT memai.remember('Flo plays the harp', user_id => 'flo') IS NOT NULL AS stored;
UPDATE memai.job SET run_after = now() WHERE user_id = 'flo' AND status = 'waiting';
CALL memai.run_jobs();
SELECT version, cardinality(sources) AS sources FROM memai.persona('flo');
SELECT memai.set_block('persona', 'Flo, by hand', 'flo') AS version;
UPDATE memai.job SET run_after = now() WHERE user_id = 'flo' AND status = 'waiting';
CALL memai.run_jobs();
SELECT content, is_edited FROM memai.persona('flo');
SELECT memai.drop_block('persona', 'flo') AS dropped, memai.drop_schedule('persona', 'flo') AS ended;
DELETE FROM memai.preference WHERE user_id = 'flo';

-- as its author, whoever runs it; nobody changes what it does
SELECT memai.schedule_insight('who', '@daily', 'SELECT current_user AS me', user_id => 'eve') IS NOT NULL AS made;
RESET ROLE;
UPDATE memai.job SET run_after = now() WHERE user_id = 'eve' AND status = 'waiting';
CALL memai.run_jobs();
SELECT content FROM memai.memory WHERE user_id = 'eve';
SET memai.tenant = 'sched_ann'; SET ROLE sched_bob;
SELECT name FROM memai.schedule WHERE user_id = 'eve';
UPDATE memai.schedule SET query = 'SELECT 1' WHERE user_id = 'eve';
UPDATE memai.schedule SET created_by = 'sched_bob' WHERE user_id = 'eve';
-- he can take its place, but the jobs of the first do not do his work
DELETE FROM memai.schedule WHERE user_id = 'eve';
INSERT INTO memai.schedule (tenant, user_id, namespace, scope, name, task, every, time_zone, query, next_run)
	SELECT 'sched_ann', 'eve', 'default', memai.scope_hash('sched_ann', 'eve', 'default'), 'who', 'insight', '@daily', 'UTC', 'SELECT current_user AS thief', now();
UPDATE memai.job SET run_after = now() WHERE user_id = 'eve' AND status = 'waiting';
RESET ROLE;
CALL memai.run_jobs();
SELECT content FROM memai.memory WHERE user_id = 'eve';
SELECT count(*) FROM memai.job WHERE user_id = 'eve' AND status = 'waiting';
RESET memai.tenant;

-- arguments
SET ROLE sched_ann;
SELECT memai.schedule_insight('x', '@daily', 'DELETE FROM sale', user_id => 'u');
SELECT memai.schedule_insight('x', '@daily', 'SELECT 1; SELECT 2', user_id => 'u');
SELECT memai.schedule_insight('x', '@daily', 'SELECT FROM nothing', user_id => 'u');
SELECT memai.schedule_insight('x', '@daily', 'WITH d AS (DELETE FROM sale RETURNING 1) SELECT * FROM d', user_id => 'u');
SELECT memai.schedule_insight('x', '@daily', user_id => 'u');
SELECT memai.schedule_insight('x', '@often', 'SELECT 1', user_id => 'u');
SELECT memai.schedule_insight('x', '@daily', 'SELECT 1', time_zone => 'Middle/Earth', user_id => 'u');
SELECT memai.schedule_insight('x', '@daily', 'SELECT 1');
SELECT memai.schedule_insight('door', '@daily', 'SELECT 1', user_id => 'bea');
SELECT memai.schedule_alert('x', '@daily', 'SELECT 1', user_id => 'u');
SELECT memai.schedule_alert('x', '@daily', 'SELECT true', notify => repeat('x', 64), user_id => 'u');
SELECT memai.schedule_task('x', '@daily', 'dance', user_id => 'u');
SELECT memai.schedule_task('x', '@daily', 'vectorizer', user_id => 'u');
SELECT count(*) FROM memai.schedule WHERE user_id = 'u';
RESET ROLE;
DELETE FROM memai.job;
DELETE FROM memai.schedule;
DELETE FROM memai.memory_history;
DELETE FROM memai.memory;
DROP SCHEMA sched CASCADE;
DROP ROLE sched_ann, sched_bob;

-- an insight once; a review with a model that decides nothing
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
CREATE TABLE fruit (name text, pieces integer);
INSERT INTO fruit VALUES ('apple', 3), ('pear', 5);
SELECT memai.submit_job('insight', '{"name": "fruit", "query": "SELECT name, pieces FROM fruit ORDER BY name"}') IS NOT NULL AS submitted;
SELECT memai.submit_job('insight', '{"query": "SELECT sum(pieces) AS pieces FROM public.fruit", "search_path": "pg_catalog"}') IS NOT NULL AS submitted;
SELECT memai.submit_job('insight', '{"query": "DELETE FROM fruit"}') IS NOT NULL AS submitted;
SELECT memai.submit_job('insight', '{"query": "SELECT 1 WHERE false"}') IS NOT NULL AS submitted;
SELECT memai.submit_job('insight') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT status, result, sqlstate, error FROM memai.job ORDER BY id;
SELECT slot, content, provenance, metadata FROM memai.memory ORDER BY slot COLLATE "C";
SELECT memai.remember('Ann lives in Oslo', slot => 'home') AS home \gset
SELECT memai.remember('Ann needs a Norwegian bank', depends_on => ARRAY[:'home'::uuid]) AS bank \gset
SELECT memai.supersede(:'home', 'Ann lives in Rome') IS NOT NULL AS moved;
DELETE FROM memai.job;
SELECT memai.submit_job('review') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT status, result FROM memai.job;
SELECT status FROM memai.get_memory(:'bank');
DROP TABLE fruit;
DELETE FROM memai.memory;
RESET memai.user_id;
DELETE FROM memai.job WHERE tenant = 'regress';
DELETE FROM memai.memory_history WHERE tenant = 'regress';
