-- each a clear error, and nothing stored
SET memai.tenant = 'regress';
-- SQLSTATE, message, detail and hint of the error that a statement raises
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset format unaligned
\pset tuples_only on

SELECT pg_temp.attempt($$SELECT memai.remember(NULL, 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember(repeat('x', 2000000), 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', '')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', repeat('u', 10000))$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', repeat('n', 10000))$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', '')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', metadata => '[1]')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', metadata => '"x"')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', metadata => 'null')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', category => '')$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', slot => repeat('s', 2000))$$);
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'ann', valid_at => 'infinity')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages(NULL, 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('{}', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('"x"', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "fine"}, "x"]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "fine"}, {"content": ""}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"role": "user"}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": 1}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x", "role": "root"}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x", "user_id": "bob"}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x", "metadata": []}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x", "occurred_at": "never"}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x", "occurred_at": "infinity"}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x"}, {"content": "y"}]', 'ann', occurred_at => '-infinity')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x"}, {"content": "y"}]', 'ann', occurred_at => '294276-12-31 23:59:59.999999Z')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x", "aéééééééééééééééééééééééééééé": 1}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x", "name": ""}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages('[{"content": "x\u0000"}]', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember_messages(jsonb_build_array(jsonb_build_object('content', repeat('x', 2000000))), 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.remember(convert_from('\xc328', 'UTF8'), 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.recall(NULL, 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.recall('', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.recall('x', 'ann', k => 0)$$);
SELECT pg_temp.attempt($$SELECT memai.recall('x', 'ann', k => -1)$$);
SELECT pg_temp.attempt($$SELECT memai.recall('x', 'ann', k => 1000000000)$$);
SELECT pg_temp.attempt($$SELECT memai.recall('x', 'ann', filter => '[]')$$);
SELECT pg_temp.attempt($$SELECT memai.recall('x', 'ann', model => 'nobody/knows')$$);
SELECT pg_temp.attempt($$SELECT memai.recall('x', 'ann', model => 'local/extract')$$);
SELECT pg_temp.attempt($$SELECT memai.context('x', 'ann', max_tokens => 0)$$);
SELECT pg_temp.attempt($$SELECT memai.forget(NULL, 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.forget(memai.new_id(), 'ann', mode => 'slowly')$$);
SELECT pg_temp.attempt($$SELECT memai.supersede(memai.new_id(), 'x', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.set_block('persona', '', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.set_block(repeat('x', 101), 'x', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.set_block('persona', repeat('x', 10001), 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.create_thread('ann', metadata => '[]')$$);
SELECT pg_temp.attempt($$SELECT memai.create_thread('ann', system_prompt => '')$$);
SELECT pg_temp.attempt($$SELECT memai.create_thread('ann', model => 'nobody/knows')$$);
SELECT pg_temp.attempt($$SELECT memai.chat(NULL, 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.chat('', 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.chat(repeat('x ', 60000), 'ann')$$);
SELECT pg_temp.attempt($$SELECT memai.chat('x', 'ann', thread_id => memai.new_id())$$);
SELECT pg_temp.attempt($$SELECT memai.chat('x', 'ann', model => 'nobody/knows')$$);
SELECT pg_temp.attempt($$SELECT memai.chat('x', 'ann', model => 'local/hash-384')$$);
SELECT pg_temp.attempt($$SELECT memai.chat('x', 'ann', temperature => 2.1)$$);
SELECT pg_temp.attempt($$SELECT memai.chat('x', 'ann', temperature => 'NaN')$$);
SELECT pg_temp.attempt($$SELECT memai.chat('x', 'ann', max_tokens => 0)$$);
SELECT pg_temp.attempt($$SELECT memai.chat('x', 'ann', on_error => 'ignore')$$);
-- a session that is limited to one user
SET memai.user_id = 'ann';
SELECT pg_temp.attempt($$SELECT memai.remember('x', 'bob')$$);
SELECT pg_temp.attempt($$SELECT memai.recall('x', 'bob')$$);
RESET memai.user_id;

SELECT (SELECT count(*) FROM memai.memory), (SELECT count(*) FROM memai.episode), (SELECT count(*) FROM memai.block),
	(SELECT count(*) FROM memai.embedding), (SELECT count(*) FROM memai.memory_history WHERE event <> 'ADD' AND created_at > now()),
	(SELECT count(*) FROM memai.thread), (SELECT count(*) FROM memai.message);
