-- row-level security: own tenant only, closed by default, for functions and tables
\set VERBOSITY terse
CREATE ROLE regress_memai_app_a IN ROLE memai_user;
CREATE ROLE regress_memai_app_b IN ROLE memai_user;
CREATE ROLE regress_memai_stranger;

SET ROLE regress_memai_app_a;
SELECT memai.current_tenant();
SELECT memai.remember('The vault code is 4711', 'ann') AS secret \gset
SELECT count(*) FROM memai.remember_messages('[{"content": "The vault is in the cellar"}]', 'ann');
SELECT memai.create_thread('ann', title => 'vault') AS thread \gset
SELECT memai.set_block('persona', 'Knows the vault', 'ann');
SELECT error FROM memai.chat('What is the vault code?', 'ann', thread_id => :'thread');

-- the other application: same user id, other tenant
SET ROLE regress_memai_app_b;
SELECT count(*) FROM memai.recall('vault code', 'ann');
SELECT memai.context('vault code', 'ann') = '' AS empty;
SELECT content FROM memai.chat('What is the vault code?', 'ann');
SELECT count(*) FROM memai.messages(:'thread', 'ann');
SELECT memai.get_block('persona', 'ann') IS NULL AS none;
SELECT memai.forget(:'secret', 'ann');
SELECT memai.supersede(:'secret', 'mine now', 'ann');
SELECT count(*) FROM memai.history(:'secret', 'ann');
SELECT error FROM memai.chat('x', 'ann', thread_id => :'thread');
-- tables: only own rows are there (the question asked above)
SELECT (SELECT count(*) FROM memai.memory) AS memory, (SELECT count(*) FROM memai.episode WHERE tenant <> 'regress_memai_app_b') AS episode,
	(SELECT count(*) FROM memai.embedding WHERE tenant <> 'regress_memai_app_b') AS embedding, (SELECT count(*) FROM memai.block) AS block,
	(SELECT count(*) FROM memai.memory_history) AS memory_history, (SELECT count(*) FROM memai.thread WHERE id = :'thread') AS thread,
	(SELECT count(*) FROM memai.message WHERE thread_id = :'thread') AS message;
SELECT count(*) FROM memai.embedding_local_hash_384;
-- writing as somebody else, or with a scope that is not the hash of its keys
INSERT INTO memai.block (tenant, user_id, namespace, scope, label, value) VALUES ('regress_memai_app_a', 'ann', 'default',
	memai.scope_hash('regress_memai_app_a', 'ann', 'default'), 'persona', 'forged');
INSERT INTO memai.block (tenant, user_id, namespace, scope, label, value) VALUES ('regress_memai_app_b', 'ann', 'default',
	memai.scope_hash('regress_memai_app_a', 'ann', 'default'), 'persona', 'forged');
UPDATE memai.block SET value = 'forged';
DELETE FROM memai.memory;
UPDATE memai.memory SET content = 'forged';
DELETE FROM memai.memory_history;
TRUNCATE memai.memory;
-- the tenant is not the session's to choose
SET memai.tenant = 'regress_memai_app_a';
SELECT set_config('memai.tenant', 'regress_memai_app_a', false);
ALTER ROLE regress_memai_app_b SET memai.tenant = 'regress_memai_app_a';
SELECT memai._ensure_role('regress_memai_evil');

-- a role without membership can do nothing
SET ROLE regress_memai_stranger;
SELECT memai.remember('x', 'ann');
SELECT memai.recall('x', 'ann');
SELECT * FROM memai.memory;

-- a narrowed session of the right tenant sees one user
SET ROLE regress_memai_app_a;
SELECT memai.remember('Bob likes boats', 'bob') IS NOT NULL AS stored;
SET memai.user_id = 'bob';
SELECT user_id, content FROM memai.memory;
SELECT memai.remember('x', 'ann');
RESET memai.user_id;
SELECT count(DISTINCT user_id) FROM memai.memory;

-- the owner is not above it; an administrator chooses the tenant of a role
RESET ROLE;
SELECT user_id, memories FROM memai.memory_status();
SELECT memories FROM memai.stats('ann');
SELECT memai.retry_jobs(), memai.clear_memory('ann', confirm => true);
DELETE FROM memai.embedding WHERE id = :'secret';
SELECT memai.fill_embeddings();
SELECT items, vectors FROM memai.reembed_status();
SELECT count(*) FROM memai.recall('vault code', 'ann');
SET memai.tenant = 'regress_memai_app_a';
SELECT count(*) > 0 AS found FROM memai.recall('vault code', 'ann');
-- prepared plans follow the role (AU4)
RESET memai.tenant;
PREPARE mine AS SELECT count(*) FROM memai.memory;
SET ROLE regress_memai_app_a;
EXECUTE mine;
SET ROLE regress_memai_app_b;
EXECUTE mine;
SET ROLE regress_memai_app_a;
EXECUTE mine;
RESET ROLE;

SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
WHERE relnamespace = 'memai'::regnamespace AND relkind IN ('r', 'p')
	AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant') ORDER BY 1;

SET memai.tenant = 'regress_memai_app_a';
DELETE FROM memai.episode WHERE tenant LIKE 'regress%';
DELETE FROM memai.memory WHERE tenant LIKE 'regress%';
DELETE FROM memai.block WHERE tenant LIKE 'regress%';
DELETE FROM memai.thread WHERE tenant LIKE 'regress%';
DELETE FROM memai.memory_history WHERE tenant LIKE 'regress%';
DROP ROLE regress_memai_app_a, regress_memai_app_b, regress_memai_stranger;
