-- what a plain member of memai_user sees of the whole, and of a user that nobody knows
\set VERBOSITY terse
CREATE ROLE regress_memai_clerk IN ROLE memai_user;
SET ROLE regress_memai_clerk;
SELECT memai.version() = (SELECT extversion FROM pg_extension WHERE extname = 'memai') AS same_version;
SELECT component, bool_and(ok) AS ok FROM memai.health() WHERE component IN ('extension', 'model') GROUP BY component ORDER BY component;
SELECT count(*) FROM memai.health(check_models => true);
SELECT episodes, memories, blocks, embeddings, first_at FROM memai.stats('nobody');
SELECT count(*) FROM memai.memory_status('nobody');
SELECT memai.clear_memory('nobody') AS would_go, memai.clear_memory('nobody', confirm => true) AS gone, memai.clear_memory('nobody', episodes => true, confirm => true) AS all_gone;
SELECT count(*) FROM memai.threads('nobody');
SELECT count(*) FROM memai.tasks(user_id => 'nobody');
SELECT memai.get_preferences('nobody') AS preferences, memai.get_settings('nobody') AS settings;
SELECT count(*) FROM memai.persona('nobody');
SELECT count(*) FROM memai.suggestions(user_id => 'nobody');
SELECT memai.delete_thread('00000000-0000-7000-8000-000000000001', 'nobody') AS deleted, memai.rename_thread('00000000-0000-7000-8000-000000000001', 'x', 'nobody') AS renamed;
SELECT count(*) FROM memai.messages('00000000-0000-7000-8000-000000000001', 'nobody');
-- without a user there is nothing to do
SELECT * FROM memai.stats();
SELECT memai.clear_memory(confirm => true);
SELECT memai.chat('Hello');
-- limits are an administrator's to set and everybody's to see
SELECT memai.set_limit(user_id => '*', daily_tokens => 1000);
SELECT count(*) >= 0 AS seen FROM memai.limits();
RESET ROLE;
DROP ROLE regress_memai_clerk;
