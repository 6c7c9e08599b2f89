-- recall's present is the clock's, not the start of the transaction
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';

BEGIN;
SELECT memai.remember('Tea in the morning', valid_at => clock_timestamp()) IS NOT NULL AS stored;
SELECT count(*) FROM memai.recall('tea');
SELECT memai.remember('Prefers green', slot => 'tea', valid_at => clock_timestamp()) IS NOT NULL AS stored;
SELECT memai.remember('Prefers black', slot => 'tea', valid_at => clock_timestamp()) IS NOT NULL AS stored;
SELECT content FROM memai.recall('prefers', k => 1);
-- what has run out meanwhile is gone, and a given time stays what it is
SELECT memai.remember('Tea is ready', expires_at => clock_timestamp() + interval '1 millisecond') IS NOT NULL AS stored;
SELECT pg_sleep(0.002) IS NOT NULL AS later;
SELECT content FROM memai.recall('tea is ready', k => 10) WHERE content LIKE '%ready';
SELECT count(*) FROM memai.recall('prefers', k => 10, as_of => now());
ROLLBACK;
