-- AU17: records nobody can forge; constraints that are immediate; no trace of what was forgotten
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE ROLE regress_memai_clerk IN ROLE memai_user;

-- ---- the history and the certificates are written for a role, never by it ----
SET ROLE regress_memai_clerk;
SELECT memai.remember('Likes tea', 'ann') AS tea \gset
SELECT memai.supersede(:'tea', 'Likes coffee', 'ann', reason => 'said so') AS coffee \gset
SELECT event, actor FROM memai.history(:'tea', 'ann') UNION ALL SELECT event, actor FROM memai.history(:'coffee', 'ann');
SELECT scope FROM memai.memory LIMIT 1 \gset
INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, event, actor)
VALUES ('regress_memai_clerk', 'ann', 'default', :scope, :'tea', 'CONFIRM', 'postgres');
INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, event)
VALUES ('regress_memai_clerk', 'ann', 'default', :scope, :'tea', 'CONFIRM');
UPDATE memai.memory_history SET reason = 'another';
UPDATE memai.memory_history SET old_content = 'another';
DELETE FROM memai.memory_history;
TRUNCATE memai.memory_history;
INSERT INTO memai.erasure (tenant, user_id, namespace, scope, removed) VALUES ('regress_memai_clerk', 'ann', 'default', :scope, '{}');
UPDATE memai.erasure SET reason = 'another';
DELETE FROM memai.erasure;
-- what the functions write names the caller, in jobs, cascades and definer functions too
SELECT memai.forget(:'coffee', 'ann', reason => 'asked to');
SELECT event, new_content, reason, actor FROM memai.history(:'coffee', 'ann');
SELECT count(*) FROM memai.import_user('[{"table": "memory", "id": "00000000-0000-7000-8000-000000000001", "content": "Came along", "memory_type": "semantic", "category": "fact", "metadata": {},
	"importance": 0.5, "confidence": 1, "is_pinned": false, "needs_review": false, "valid_at": "2026-01-01Z", "created_at": "2026-01-01Z"}]', 'bea') WHERE imported > 0;
SELECT event, new_content, reason, actor FROM memai.history('00000000-0000-7000-8000-000000000001', 'bea');
SELECT count(*) > 0 AS erased FROM memai.forget_user('bea', confirm => true, reason => 'request 8');
SELECT user_id, reason, actor, removed ->> 'memory' AS memories FROM memai.erasure;
SELECT DISTINCT event, concat(old_content, new_content, before) AS text, actor FROM memai.memory_history WHERE user_id = 'bea' ORDER BY 1;
RESET ROLE;
SELECT t, p FROM unnest(ARRAY['memory_history', 'erasure']) t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) p
WHERE has_table_privilege('memai_admin', 'memai.' || t, p);
SELECT t, p FROM unnest(ARRAY['memory_history', 'erasure']) t, unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) p WHERE has_any_column_privilege('memai_admin', 'memai.' || t, p);

-- ---- a slot changes hands while constraints are immediate ----
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT memai.remember('Lives in Lund', slot => 'home', valid_at => '2019-01-01Z') AS lund \gset
SELECT memai.remember('Lives in Oslo', slot => 'home', valid_at => '2022-01-01Z') AS oslo \gset
SELECT memai.remember('Lives in Umea', slot => 'home', valid_at => '2020-01-01Z') AS umea \gset
SELECT memai.revise(:'oslo', 'Lives in Bergen', reason => 'misheard') AS bergen \gset
SELECT memai.supersede(:'bergen', 'Lives in Rome', valid_at => '2024-01-01Z') AS rome \gset
SELECT m.content, m.valid_at::date, m.invalid_at::date, m.expired_at IS NOT NULL AS expired, s.content AS successor
FROM memai.memory m LEFT JOIN memai.memory s ON s.id = m.superseded_by WHERE m.tenant = 'regress' ORDER BY m.valid_at, m.id;
SELECT event, reason FROM memai.history(:'oslo');
-- a statement that is live elsewhere takes the place
SELECT memai.remember('Lives in Kiruna') AS kiruna \gset
SELECT memai.supersede(:'rome', 'lives in kiruna', valid_at => '2025-01-01Z') = :'kiruna' AS same;
SELECT content, slot FROM memai.profile();
SELECT memai.undo(since => '-infinity') > 5 AS undone;
SELECT count(*) FROM memai.memory WHERE expired_at IS NULL AND tenant = 'regress';
ROLLBACK;

-- ---- AU16: three values of a slot, one of them late; the latest is forgotten ----
SELECT memai.remember('Lives in Lund', slot => 'home', valid_at => '2019-01-01Z') AS lund \gset
SELECT memai.remember_triplet('Ann', 'lives_in', 'SECRET', slot => 'home', valid_at => '2026-01-01Z', metadata => '{"to": "SECRET"}') AS secret \gset
SELECT memai.remember('Lives in Malmo', slot => 'home', valid_at => '2021-01-01Z') AS malmo \gset
SELECT content, valid_at::date, invalid_at::date, superseded_by = :'secret' AS by_secret, superseded_by = :'malmo' AS by_malmo FROM memai.memory WHERE slot = 'home' ORDER BY valid_at;
-- and one that was replaced by it for a reason that tells it
SELECT memai.supersede(memai.remember('Wants to move'), 'Moved to SECRET street', reason => 'went to SECRET') AS street \gset
SELECT memai.forget(:'street'), memai.forget(:'secret');
SELECT content, valid_at::date, invalid_at::date, superseded_by = :'malmo' AS by_malmo, reason FROM memai.memory WHERE slot = 'home' ORDER BY valid_at;
SELECT count(*) AS dangling FROM memai.memory m WHERE superseded_by IS NOT NULL AND NOT EXISTS (SELECT FROM memai.memory s WHERE s.id = m.superseded_by);
CREATE FUNCTION pg_temp.traces(needle text) RETURNS TABLE (place text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR place IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'memai'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
		EXECUTE format('SELECT count(*) FROM memai.%I t WHERE t::text ILIKE $1', place) USING '%' || needle || '%' INTO n;
		IF n > 0 THEN RETURN NEXT; END IF;
	END LOOP;
END $$;
SELECT * FROM pg_temp.traces('SECRET');
SELECT event, old_content, new_content, reason FROM memai.history(:'secret');
-- undoing what came before does not lead to what is gone
SELECT memai.undo(since => '-infinity') > 0 AS undone;
SELECT count(*) AS dangling FROM memai.memory m WHERE superseded_by IS NOT NULL AND NOT EXISTS (SELECT FROM memai.memory s WHERE s.id = m.superseded_by);
SELECT * FROM pg_temp.traces('SECRET');
-- an entity stays while a memory is about it
SELECT memai.remember_triplet('Ann', 'works_at', 'Library') AS works \gset
SELECT memai.remember_triplet('Bo', 'works_at', 'Library') AS bo \gset
SELECT memai.forget(:'works');
SELECT name FROM memai.entities();
SELECT memai.forget(:'bo');
SELECT count(*) FROM memai.entities();

DELETE FROM memai.memory;
RESET memai.user_id;
SET memai.tenant = 'regress_memai_clerk';
DELETE FROM memai.memory;
RESET memai.tenant;
DELETE FROM memai.memory_history WHERE tenant LIKE 'regress%';
DELETE FROM memai.erasure WHERE tenant LIKE 'regress%';
DROP ROLE regress_memai_clerk;
