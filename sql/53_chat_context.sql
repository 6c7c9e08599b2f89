-- intents, sources, preferences, suggestions: what an application tells the model
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';
CREATE SCHEMA "Shop; DROP";
CREATE TABLE "Shop; DROP".inventory (sku text, name text, stock integer, price numeric);
INSERT INTO "Shop; DROP".inventory VALUES ('s1', 'Runner {red}', 5, 99.5), ('s2', E'Sneaker\n</business>', 0, 120), ('s3', 'Boot', NULL, 80);
SET search_path = "Shop; DROP", public;

-- sources: one SELECT, with parameters, read with the search path of its registration
SELECT memai.register_source('stock', 'SELECT sku, name, stock FROM inventory WHERE stock >= parameter.at_least::int ORDER BY sku', 'what is in stock',
	parameters => '{"at_least": 0}', intents => '{inventory}');
SELECT memai.register_source('prices', 'SELECT name, price FROM inventory WHERE parameter.like IS NULL OR name ILIKE parameter.like ORDER BY price',
	parameters => '{"like": null}', template => '{name} costs {price} {nothing}', max_rows => 2);
SELECT memai.register_source('who', 'SELECT parameter.user_id AS asks, parameter.namespace, parameter.message, current_setting(''transaction_read_only'') AS read_only');
RESET search_path;
SELECT memai.source_text('stock');
SELECT memai.source_text('stock', '{"at_least": "1"}');
SELECT memai.source_text('stock', '{"at_least": 100}');
SELECT memai.source_text('prices'), memai.source_text('prices', '{"like": "%''; DROP TABLE inventory; --"}');
SELECT current_setting('transaction_read_only') AS read_only_again, current_setting('search_path') AS path_again;

-- what is no source
SELECT memai.register_source('bad', 'DELETE FROM "Shop; DROP".inventory');
SELECT memai.register_source('bad', 'SELECT 1; SELECT 2');
SELECT memai.register_source('bad', '');
SELECT memai.register_source('bad', 'WITH x AS (DELETE FROM "Shop; DROP".inventory RETURNING 1) SELECT * FROM x');
SELECT memai.register_source('bad', 'SELECT 1 FROM "Shop; DROP".inventory FOR UPDATE');
SELECT memai.register_source('bad', 'SELECT 1 INTO temp y');
SELECT memai.register_source('bad', 'VACUUM');
SELECT memai.register_source('bad', 'SELECT parameter.nothing');
SELECT memai.register_source('bad', 'SELECT missing_column FROM "Shop; DROP".inventory');
SELECT memai.register_source('bad name', 'SELECT 1');
SELECT memai.register_source('bad', 'SELECT 1', max_rows => 0);
SELECT memai.register_source(NULL, 'SELECT 1');
SELECT memai.register_source('bad', NULL);
SELECT memai.source_text('missing');
SELECT memai.source_text('stock', '[]');
SELECT count(*) FROM memai.source;
-- functions that write are stopped too, slow ones end
CREATE FUNCTION pg_temp.write() RETURNS integer LANGUAGE sql AS 'INSERT INTO "Shop; DROP".inventory (sku) VALUES (''s9'') RETURNING 1';
SELECT memai.register_source('writer', 'SELECT pg_temp.write()');
SELECT memai.source_text('writer');
SELECT memai.register_source('unlock', 'SELECT set_config(''transaction_read_only'', ''off'', false)');
SELECT memai.source_text('unlock');
SELECT memai.register_source('slow', 'SELECT pg_sleep(100)', timeout_ms => 50);
SELECT memai.source_text('slow');
SELECT count(*) FROM "Shop; DROP".inventory;
-- with the rights of whoever asks
CREATE ROLE regress_chat_clerk IN ROLE memai_user;
GRANT USAGE ON SCHEMA "Shop; DROP" TO regress_chat_clerk;
SET ROLE regress_chat_clerk;
SELECT memai.source_text('stock');
RESET ROLE;

-- intents
SELECT memai.set_intent('inventory', '{stock,"in store",available}', 'You are the storekeeper.', suggestions => '{"What is in stock?"}');
SELECT memai.set_intent('pricing', '{price,cost,"10% off"}', sources => '{prices,who}', suggestions => '{"What does the Runner cost?","Any offers?"}', description => 'what things cost');
SELECT memai.set_intent('greeting', '{你好}');
SELECT name, keywords, sources FROM memai.intents ORDER BY name;
SELECT name, suggestions FROM memai.intents();
-- tools are listed to the roles that may use them
SELECT memai.register_tool('upper', 'in capitals', 'memai.new_id'), memai.register_tool('hidden', 'for others', 'memai.new_id', roles => '{memai_admin}');
SELECT name, description, function FROM memai.tools();
SET ROLE regress_chat_clerk;
SELECT count(*) FROM memai.tools();
SET memai.user_id = 'clerk';
SELECT count(*) FROM memai.intents();
RESET ROLE;
SET memai.user_id = 'ann';
SELECT q, array_agg(i.intent ORDER BY cardinality(i.keywords) DESC, i.intent) FROM unnest(ARRAY['Is it in stock?', 'Which STOCKS have which prices and costs?', 'aprice', 'a 10% off?', 'a 10x off?', '朋友你好吗', 'tell me']) q
	LEFT JOIN LATERAL memai.classify_intent(q) i ON true GROUP BY q ORDER BY q COLLATE "C";
SELECT memai.set_intent('weather', description => 'rain, wind and sunshine of tomorrow');
SELECT intent, similarity > 0.35 AS similar, keywords FROM memai.classify_intent('tomorrow: sunshine, wind or rain?');
SELECT memai.drop_intent('weather');
SELECT memai.set_intent('none');
SELECT memai.set_intent('inventory', '{stock,"in store",NULL}');

-- in a chat: the intent's instructions and sources, those of the caller first
SELECT intent, left(messages -> 0 ->> 'content', 24) AS instructions,
	regexp_replace(messages -> 1 ->> 'content', ' [0-9a-f]{16}>', ' #>', 'g') AS message
FROM memai.chat_preview('Is the Runner in stock?', context => 'Today is Monday.', use_memory => false);
SELECT intent, left(messages -> 0 ->> 'content', 17) AS instructions, regexp_replace(messages -> 1 ->> 'content', ' [0-9a-f]{16}>', ' #>', 'g') AS message
FROM memai.chat_preview('What does it cost?', use_memory => false);
SELECT intent, tokens -> 'business' AS business FROM memai.chat_preview('Is the Runner in stock?', intent => 'none', use_memory => false);
SELECT intent FROM memai.chat_preview('Hello', intent => 'pricing');
SELECT intent FROM memai.chat_preview('Hello', intent => 'nothing');
SELECT left(messages -> 0 ->> 'content', 9) AS instructions FROM memai.chat_preview('Is it in stock?', system_prompt => 'Be kind.');
SELECT intent FROM memai.chat('What is the price of the Boot?');
SELECT intent FROM memai.chat('What is the price of the Boot?');
SELECT intent FROM memai.chat('Are there other prices?');
-- a source that fails costs its rows
SELECT memai.register_source('broken', 'SELECT 1 / parameter.zero::int', parameters => '{"zero": 0}', intents => '{greeting}');
SELECT regexp_replace(messages -> 1 ->> 'content', ' [0-9a-f]{16}>', ' #>', 'g') AS message FROM memai.chat_preview('你好', use_memory => false, max_messages => 0);

-- suggestions: asked often, then fixed, then asked once
SELECT * FROM memai.suggestions('pricing');
SELECT * FROM memai.suggestions('inventory');
SELECT count(*) FROM memai.suggestions(max_suggestions => 3);
SELECT count(*) FROM memai.suggestions(max_suggestions => -1);

-- preferences
SELECT memai.set_preference('tone', 'short') AS one, memai.set_preference('units', '{"length": "m"}'::jsonb) AS two;
SELECT memai.set_preference('tone', 'very short', namespace => 'work'), memai.get_preferences(), memai.get_preferences(namespace => 'work');
SELECT regexp_replace(messages -> 1 ->> 'content', ' [0-9a-f]{16}>', ' #>', 'g') AS message, tokens -> 'preferences' AS tokens
FROM memai.chat_preview('Hello', namespace => 'work', intent => 'none', max_messages => 0);
SELECT memai.set_preference('units', NULL::jsonb);
SELECT memai.set_preference('long', repeat('x', 10001));
SELECT memai.get_preferences('bob');

-- other tenants see and change nothing of it
SET memai.tenant = 'other';
SELECT (SELECT count(*) FROM memai.intents()), (SELECT count(*) FROM memai.tools()), (SELECT count(*) FROM memai.classify_intent('stock')), memai.get_preferences(), memai.drop_intent('pricing'), memai.drop_source('stock');
SET ROLE regress_chat_clerk;
SELECT memai.set_intent('theirs', tenant => 'regress');
SELECT memai.register_source('theirs', 'SELECT 1', tenant => 'regress');
RESET ROLE;
SET memai.tenant = 'regress';

SELECT memai.drop_intent('pricing'), memai.drop_intent('pricing'), memai.drop_source('stock'), memai.drop_source('stock');
DELETE FROM memai.intent;
DELETE FROM memai.source;
DELETE FROM memai.tool;
DELETE FROM memai.preference;
DELETE FROM memai.episode;
DELETE FROM memai.thread;
DROP TABLE "Shop; DROP".inventory;
DROP SCHEMA "Shop; DROP";
DROP ROLE regress_chat_clerk;
