-- AU15: a tenant's policy on personal data, on every way into memory
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE ROLE regress_memai_clinic IN ROLE memai_user;
CREATE ROLE regress_memai_ops IN ROLE memai_admin;
SELECT * FROM memai.find_pii('Ann <ann@example.com>, 811218-9876, pays with 4111 1111 1111 1111 from SE45 5000 0000 0583 9825 7466, calls +46 70 123 45 67 from 192.168.0.1, key sk-abcdefghijklmnopqrstuvwx');
SELECT memai.redact('Mail ann@example.com or call 070-123 45 67'), memai.redact('Mail ann@example.com or call 070-123 45 67', '{phone}');
SELECT memai.redact('Lund 12.3 km, room 4711, 10:30 on 2026-11-21'), memai.redact(NULL) IS NULL AS none, memai.redact('');
SELECT memai.redact('x', '{name}');
SELECT count(*) FROM memai.find_pii(NULL);

-- ---- who sets it, who sees it ----
SET ROLE regress_memai_clinic;
SELECT memai.set_pii_policy('keep');
INSERT INTO memai.pii_policy VALUES ('regress_memai_clinic', 'email', 'redact');
SELECT memai.remember('Mail ann@example.com', 'ann') IS NOT NULL AS stored;
SET ROLE regress_memai_ops;
SELECT memai.set_pii_policy('redact', tenant => 'regress_memai_clinic');
SELECT memai.set_pii_policy('refuse', '{card,national_id}', 'regress_memai_clinic');
SELECT memai.set_pii_policy('refuse', tenant => 'regress_memai_other');
SELECT memai.set_pii_policy('burn', '{card}', 'regress_memai_clinic');
SELECT memai.set_pii_policy('redact', '{names}', 'regress_memai_clinic');
SET ROLE regress_memai_clinic;
SELECT kind, action FROM memai.pii_policy ORDER BY 1;

-- ---- every way in ----
SELECT memai.remember('Call Bo at 070-123 45 67', 'ann', metadata => '{"from": "bo@example.com", "nested": [{"ip": "10.0.0.1"}], "n": 5}', slot => 'bo@example.com') AS bo \gset
SELECT content, metadata, slot FROM memai.memory WHERE id = :'bo';
SELECT memai.supersede(:'bo', 'Call Bo at 070-765 43 21', 'ann', reason => 'wrote from bo@example.com') AS bo2 \gset
SELECT memai.revise(:'bo2', 'Call Bo at 08-123 456 78', 'ann') AS bo3 \gset
SELECT content, slot, reason FROM memai.memory WHERE user_id = 'ann' ORDER BY id;
SELECT memai.remember_triplet('Bo', 'has_mail', 'bo@example.com', user_id => 'ann') AS mail \gset
SELECT content, object FROM memai.get_memory(:'mail', 'ann');
SELECT count(*) FROM memai.remember_messages('[{"name": "bo@example.com", "content": "My address is bo@example.com", "metadata": {"ip": "10.0.0.1"}}]', 'ann', metadata => '{"x": "bo@example.com"}');
SELECT name, content, metadata FROM memai.episode WHERE user_id = 'ann';
SELECT memai.set_block('contact', 'bo@example.com', 'ann', description => 'of bo@example.com');
SELECT value, description FROM memai.blocks('ann');
SELECT op, content, refused FROM memai.apply_operations('[{"op": "ADD", "content": "Mails from bo@example.com", "quote": "my address"}, {"op": "ADD", "content": "Is 811218-9876", "quote": "my address"}]',
	(SELECT array_agg(id) FROM memai.episode WHERE user_id = 'ann'), user_id => 'ann');
SELECT what, imported FROM memai.import_user('[{"table": "episode", "id": "00000000-0000-7000-8000-000000000001", "source": "message", "role": "user", "content": "I am bo@example.com", "metadata": {"a": ["bo@example.com"]}, "occurred_at": "2026-01-01Z", "created_at": "2026-01-01Z", "asking": 0},
	{"table": "block", "label": "b", "value": "bo@example.com", "char_limit": 100, "is_read_only": false, "version": 1, "updated_at": "2026-01-01Z"}, 7]', 'bea') WHERE imported > 0;
SELECT id, content, metadata, occurred_at FROM memai.episode WHERE user_id = 'bea';
SELECT value FROM memai.blocks('bea');
-- a chat: the message, and the answer that quotes it
SELECT (SELECT thread_id FROM memai.chat('Where does bo@example.com live, and who has 10.0.0.1?', 'cleo')) AS thread \gset
SELECT role, content LIKE '%@%' AS holds FROM memai.messages(:'thread', 'cleo');
SELECT content FROM memai.messages(:'thread', 'cleo') LIMIT 1;
SELECT memai.create_thread('cleo', title => 'mail bo@example.com') AS titled \gset
SELECT title FROM memai.thread(:'titled', 'cleo');
SELECT memai.remember('Gone soon', 'cleo') AS gone \gset
SELECT memai.forget(:'gone', 'cleo', reason => 'asked by bo@example.com');
SELECT reason FROM memai.history(:'gone', 'cleo') WHERE event = 'FORGET';
-- ---- the same by plain SQL, and in what other functions store ----
\set dan 'memai.scope_hash(''regress_memai_clinic'', ''dan'', ''default'')'
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, slot, metadata, terms)
VALUES ('regress_memai_clinic', 'dan', 'default', :dan, 'Mail bo@example.com', 'of bo@example.com', '{"a": ["bo@example.com", 5]}', memai._terms('Mail bo@example.com'))
RETURNING content, slot, metadata, terms = memai._terms('Mail [email]') AS terms_follow;
INSERT INTO memai.episode (tenant, user_id, namespace, scope, content, name, terms)
VALUES ('regress_memai_clinic', 'dan', 'default', :dan, 'I am here', 'bo@example.com', memai._terms('bo@example.com: I am here')) RETURNING content, name, terms = memai._terms('[email]: I am here') AS terms_follow;
UPDATE memai.memory SET metadata = '{"ip": "10.0.0.1"}', reason = 'by bo@example.com' WHERE scope = :dan RETURNING metadata, reason;
INSERT INTO memai.block (tenant, user_id, namespace, scope, label, value) VALUES ('regress_memai_clinic', 'dan', 'default', :dan, 'contact', 'bo@example.com')
ON CONFLICT (scope, label) DO UPDATE SET value = excluded.value RETURNING value;
UPDATE memai.block SET value = 'or bo@example.com' WHERE scope = :dan RETURNING value;
INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, terms) VALUES ('regress_memai_clinic', 'dan', 'default', :dan, 'Is 811218-9876', '');
UPDATE memai.memory SET reason = 'is 811218-9876' WHERE scope = :dan;
SELECT memai.rename_thread(:'titled', 'ask bo@example.com', 'cleo');
SELECT title FROM memai.thread(:'titled', 'cleo');
SELECT memai.set_preference('mail', '"bo@example.com"', 'dan');
SELECT memai.create_task('mail bo@example.com', 'or 070-123 45 67', metadata => '{"ip": "10.0.0.1"}', user_id => 'dan') AS task \gset
SELECT memai.update_task(:'task', title => 'to 811218-9876', user_id => 'dan');
SELECT title, description, metadata FROM memai.task WHERE id = :'task';
SELECT memai.submit('generate', '{"prompt": "who is bo@example.com"}', user_id => 'dan') AS job \gset
SELECT payload ->> 'prompt' AS prompt FROM memai.job WHERE id = :'job';
-- ids are never taken for personal data, so that jobs find what they are about
SELECT count(*) FROM generate_series(1, 20000) i, LATERAL memai.find_pii(md5(i::text)::uuid::text);
-- SP3: the policy is read by the catalog's operators, whatever the path of whoever stores
RESET ROLE;
CREATE SCHEMA regress_pii;
GRANT USAGE ON SCHEMA regress_pii TO regress_memai_clinic;
CREATE FUNCTION regress_pii.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR regress_pii.= (FUNCTION = regress_pii.never, LEFTARG = text, RIGHTARG = text);
SET ROLE regress_memai_clinic;
SET search_path = regress_pii, pg_catalog;
UPDATE memai.block SET value = 'again bo@example.com' WHERE scope = :dan RETURNING value;
RESET search_path;
-- the policy is that of the row's tenant, whoever stores it; a dump that is restored (without row-level security) holds what was stored before, and that stays
RESET ROLE;
UPDATE memai.block SET value = 'still bo@example.com' WHERE scope = :dan RETURNING value;
SET row_security = off;
UPDATE memai.block SET value = 'since long fay@example.com', description = 'x' WHERE scope = :dan RETURNING value;
RESET row_security;
UPDATE memai.block SET value = value, description = 'y' WHERE scope = :dan RETURNING value, description;
UPDATE memai.block SET value = 'replaced' WHERE scope = :dan RETURNING value;
DROP SCHEMA regress_pii CASCADE;
SET ROLE regress_memai_clinic;

SELECT error FROM memai.chat('I am 811218-9876', 'cleo');
SELECT count(*) FROM memai.chat_preview('I am 811218-9876', 'cleo');
SELECT count(*) > 0 AS erased FROM memai.forget_user('cleo', confirm => true, reason => 'asked by bo@example.com');
SELECT reason FROM memai.erasure WHERE user_id = 'cleo';
-- what is refused is not stored, and not repeated in the error
\set VERBOSITY default
SELECT memai.remember('Pays with 4111 1111 1111 1111', 'ann');
SELECT memai.remember('Pays', 'ann', metadata => '{"card": "4111111111111111"}');
SELECT count(*) FROM memai.remember_messages('[{"content": "hello"}, {"content": "I am 811218-9876"}]', 'ann');
SELECT memai.set_block('id', '811218-9876', 'ann');
SELECT count(*) FROM memai.import_user('[{"table": "block", "label": "c", "value": "811218-9876"}]', 'bea');
\set VERBOSITY terse
-- nothing of it anywhere but what was stored before the policy
RESET ROLE;
CREATE FUNCTION pg_temp.traces(needle text) RETURNS TABLE (place text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR place IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'memai'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
		EXECUTE format('SELECT count(*) FROM memai.%I t WHERE t::text ~ $1', place) USING needle INTO n;
		IF n > 0 THEN RETURN NEXT; END IF;
	END LOOP;
END $$;
SELECT * FROM pg_temp.traces('bo@|ann@|811218-|4111 1|41111111|070-123 |10\.0\.0\.1');

-- ---- other tenants are not concerned; keep ends it ----
SET memai.tenant = 'regress';
SELECT memai.remember('Mail ann@example.com', 'ann') IS NOT NULL AS stored;
SELECT content FROM memai.memory WHERE tenant = 'regress';
RESET memai.tenant;
SET ROLE regress_memai_ops;
SELECT memai.set_pii_policy('keep', tenant => 'regress_memai_clinic'), memai.set_pii_policy('keep', tenant => 'regress_memai_other');
SET ROLE regress_memai_clinic;
SELECT memai.remember('Now mail bo@example.com', 'ann') AS now \gset
SELECT content FROM memai.get_memory(:'now', 'ann');
RESET ROLE;
DELETE FROM memai.memory WHERE tenant LIKE 'regress%'; DELETE FROM memai.episode WHERE tenant LIKE 'regress%'; DELETE FROM memai.block WHERE tenant LIKE 'regress%';
DELETE FROM memai.preference WHERE tenant LIKE 'regress%'; DELETE FROM memai.task WHERE tenant LIKE 'regress%'; DELETE FROM memai.job WHERE tenant LIKE 'regress%';
DELETE FROM memai.memory_history WHERE tenant LIKE 'regress%'; DELETE FROM memai.erasure WHERE tenant LIKE 'regress%';
DROP ROLE regress_memai_clinic;
DROP ROLE regress_memai_ops;
