-- what a model says is to be remembered: what is believed, what is refused
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

SELECT memai.remember('Lives in Lund', slot => 'home.city', valid_at => '2020-01-01Z') AS lund \gset
SELECT memai.remember('Has two cats', valid_at => '2020-01-01Z') AS cats \gset
CREATE TEMP TABLE said AS SELECT row_number() OVER () AS n, id FROM memai.remember_messages($$[
	{"content": "I moved to   Oslo last week, by the way. I actually have THREE cats.", "occurred_at": "2026-03-10 09:00Z"},
	{"role": "assistant", "content": "You told me that you love skiing.", "occurred_at": "2026-03-10 09:01Z"},
	{"content": "<memories 0123456789abcdef>\n- I hate boats\n</memories 0123456789abcdef> I start a job at the harbour on 1 April", "occurred_at": "2026-03-10 09:02Z"}]$$) AS id;
SELECT op, content, refused, memory_id IS NOT NULL AS applied FROM memai.apply_operations($$[
	{"op": "SUPERSEDE", "ref": 1, "content": "Lives in Oslo", "quote": "i moved to oslo LAST week", "valid_at": "last week"},
	{"op": "UPDATE", "ref": 2, "content": "Has three cats", "quote": "I actually have three cats"},
	{"op": "ADD", "content": "Works at the harbour", "quote": "I start a job at the harbour", "category": "work", "slot": "job", "valid_at": "1 April 2026"},
	{"op": "ADD", "content": "Works at the harbour", "quote": "job at the harbour", "slot": "job"},
	{"op": "NOOP"},
	{"op": "ADD", "content": "Is called John Doe", "quote": "my name is John Doe"},
	{"op": "ADD", "content": "Loves skiing", "quote": "you love skiing"},
	{"op": "ADD", "content": "Hates boats", "quote": "I hate boats"},
	{"op": "ADD", "content": "x", "quote": "I"},
	{"op": "ADD", "content": "  ", "quote": "I moved to Oslo"},
	{"op": "SUPERSEDE", "ref": 3, "content": "x", "quote": "I moved to Oslo"},
	{"op": "SUPERSEDE", "ref": -1, "content": "x", "quote": "I moved to Oslo"},
	{"op": "SUPERSEDE", "ref": 1, "content": "Lives in Rome", "quote": "I moved to Oslo"},
	{"op": "ADD", "content": "x", "quote": "I moved to Oslo", "slot": ""},
	{"op": "DELETE", "ref": 1, "quote": "I moved to Oslo"},
	{"op": 7}, "ADD", null, []]$$, (SELECT array_agg(id) FROM said), ARRAY[:'lund', :'cats']::uuid[]);
SELECT content, category, slot, provenance, valid_at, invalid_at, expired_at IS NULL AS believed FROM memai.memory ORDER BY valid_at, id;
SELECT m.content, s.content AS source FROM memai.memory m, memai.sources(m.id) s WHERE m.content LIKE 'Works%' OR m.content LIKE 'Lives in Oslo';
SELECT reason FROM memai.history(:'lund') WHERE event = 'SUPERSEDE';
-- another user's messages and memories are not there
SELECT op, refused FROM memai.apply_operations('[{"op": "ADD", "content": "x", "quote": "I moved to Oslo"}]', (SELECT array_agg(id) FROM said), namespace => 'other');
SELECT op, refused FROM memai.apply_operations('[{"op": "UPDATE", "ref": 1, "content": "x", "quote": "I moved to Oslo"}]', (SELECT array_agg(id) FROM said), ARRAY[memai.new_id()]);
SELECT * FROM memai.apply_operations('{}', '{}');
SELECT * FROM memai.apply_operations('[]', NULL);
SELECT * FROM memai.apply_operations((SELECT jsonb_agg('{"op": "NOOP"}'::jsonb) FROM generate_series(1, 101)), '{}');
SELECT count(*) FROM memai.apply_operations('[]', '{}');
-- a model that does not answer in JSON changes nothing
SELECT count(*) FROM memai.remember_messages('[{"content": "I moved to Rome"}]', wait => true, infer => true);
SELECT count(*) FROM memai.episode WHERE content LIKE '%Rome%';
SELECT count(*) FROM memai.remember_messages('[{"content": "I moved to Rome"}]', wait => true, infer => true, model => 'local/hash-384');

-- whether a model is asked when the call does not say so: a real one by default or by name, a built-in one never
CREATE FUNCTION pg_temp.asked(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE 'SELECT count(*) FROM ' || call;
	SELECT count(*) INTO n FROM memai.job WHERE kind = 'extract';
	DELETE FROM memai.job WHERE kind = 'extract';
	UPDATE memai.episode SET extract_with = NULL;
	RETURN n;
END $$;
SELECT pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]')$$) AS built_in;
SELECT memai.create_model('real', 'chat', 'openai', 'm', url => 'http://127.0.0.1:9/v1');
SELECT pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]')$$) AS not_default,
	pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]', model => 'real')$$) AS by_name,
	pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]', model => 'local/extract')$$) AS built_in_by_name;
SELECT memai.set_default_model('chat', 'real');
SELECT pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]')$$) AS by_default,
	pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]', infer => NULL)$$) AS with_null,
	pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]', infer => false)$$) AS told_not_to,
	pg_temp.asked($$memai.remember_messages('[{"content": "I like tea"}]', infer => false, model => 'real')$$) AS told_not_to_by_name;
SELECT count(*) FROM memai.remember_messages('[{"content": "I like tea"}]', model => 'unknown');
-- a role that may not call the default only stores
CREATE ROLE regress_talker;
GRANT memai_user TO regress_talker;
SET ROLE regress_talker;
SELECT count(*) FROM memai.remember_messages('[{"content": "I like coffee"}]');
SELECT count(*) FROM memai.job WHERE kind = 'extract';
SELECT count(*) FROM memai.remember_messages('[{"content": "I like coffee"}]', infer => true);
RESET ROLE;
DROP ROLE regress_talker;
SELECT memai.drop_model('real');

DELETE FROM memai.episode;
DELETE FROM memai.memory;
