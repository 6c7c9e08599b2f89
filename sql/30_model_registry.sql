-- The registry of models: rows, rights, defaults.  No network.
\set VERBOSITY terse
SELECT name, kind, provider, model, dimensions, context_window, options, is_default, built_in FROM memai.models ORDER BY name;

-- calls of the local models
SELECT vector_dims(memai.embed('hello'));
SELECT memai.embed('hello') = memai.embed('hello', 'local/hash-384', 'query') AS same;
SELECT array_length(memai.embed(ARRAY['a b', NULL, 'c d']), 1), (memai.embed(ARRAY['a b', NULL, 'c d']))[2] IS NULL AS null_stays,
	(memai.embed(ARRAY['a b', NULL, 'c d']))[3] = memai.embed('c d') AS in_order;
SELECT array_dims(memai.embed(ARRAY[['a', 'b'], ['c', 'd']])) AS keeps_shape;
SELECT memai.embed('{}'::text[]), memai.embed(NULL::text) IS NULL AS null_text, memai.embed(NULL::text[]) IS NULL AS null_array;
SELECT finish_reason, model_used, tool_calls FROM memai.complete('[{"role": "user", "content": "who?"}]');
SELECT memai.generate(NULL) IS NULL AS null_prompt;

-- bad calls
SELECT memai.embed('x', 'nothing');
SELECT memai.embed('x', 'local/extract');
SELECT memai.generate('x', 'local/hash-384');
SELECT memai.embed('x', input_type => 'other');
SELECT memai.complete('{}');
SELECT memai.complete('[]');
SELECT memai.complete('[1]');
SELECT memai.complete('[{"role": "user"}]');
SELECT memai.complete('[{"role": "user", "content": "a"}, {"role": "root", "content": "b"}]');
SELECT memai.complete('[{"role": "tool", "content": "a"}]');
SELECT memai.complete('[{"role": "user", "content": "a"}]', options => '{"temperature": 3}');
SELECT memai.complete('[{"role": "user", "content": "a"}]', options => '{"temperature": "hot"}');
SELECT memai.complete('[{"role": "user", "content": "a"}]', options => '{"max_tokens": 0}');
SELECT memai.complete('[{"role": "user", "content": "a"}]', options => '{"max_tokens": 1.5}');
SELECT memai.complete('[{"role": "user", "content": "a"}]', options => '{"temprature": 1}');
SELECT memai.complete('[{"role": "user", "content": "a"}]', options => '[]');
SELECT memai.complete('[{"role": "user", "content": "a"}]', options => '{"tools": [{}]}');

-- registering
SELECT memai.create_model('own', 'embed', 'local', 'hash-384', options => '{"recall_weight": 0.5}');
SELECT memai.create_model('own', 'embed', 'local', 'hash-384');
SELECT memai.create_model('remote', 'embed', 'openai', 'text-embedding-3-small', url => 'https://api.example.com/v1');
SELECT memai.create_model('talk', 'chat', 'openai', 'gpt', url => 'https://api.example.com/v1', context_window => 1000);
SELECT name, dimensions, context_window, built_in FROM memai.models WHERE NOT built_in ORDER BY name;
SELECT vector_dims(memai.embed('x', 'own'));
-- every provider knows its own address
SELECT memai.create_model('p-' || p, CASE WHEN p IN ('voyage', 'jina') THEN 'rerank' ELSE 'chat' END, p, 'm')
	FROM unnest(ARRAY['openai', 'anthropic', 'gemini', 'ollama', 'cohere', 'voyage', 'jina']) p;
SELECT provider, kind, url FROM memai.models WHERE name LIKE 'p-%' ORDER BY name;
SELECT memai.drop_model(name) FROM memai.models WHERE name LIKE 'p-%';

-- bad registrations
SELECT memai.create_model(NULL, 'chat', 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model('', 'chat', 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model('a b', 'chat', 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model(repeat('a', 101), 'chat', 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model('x', 'talk', 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model('x', NULL, 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model('x', 'chat', 'nobody', 'm', url => 'https://a.example');
SELECT memai.create_model('x', 'chat', 'openai', NULL, url => 'https://a.example');
SELECT memai.create_model('x', 'rerank', 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model('x', 'embed', 'openai', 'm', url => 'https://a.example');
SELECT memai.create_model('x', 'embed', 'openai', 'm', url => 'https://a.example', dimensions => 16001);
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example', dimensions => 3);
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example', context_window => -1);
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example', credential => 'nothing');
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example', options => '{"sped": 1}');
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example', options => '[]');
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example', options => '{"max_tokens_field": "x"}');
SELECT memai.create_model('x', 'embed', 'openai', 'm', url => 'https://a.example', dimensions => 3, options => '{"recall_weight": -1}');
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'ftp://a.example');
SELECT memai.create_model('x', 'chat', 'local', 'extract', url => 'https://a.example');

-- changing
SELECT memai.alter_model('talk', options => '{"max_tokens": 5}', context_window => 2000);
SELECT options, url, context_window FROM memai.models WHERE name = 'talk';
SELECT memai.alter_model('talk', url => 'https://b.example/v1');
SELECT options, url FROM memai.models WHERE name = 'talk';
SELECT memai.alter_model('talk', options => '{"x": 5}');
SELECT memai.alter_model('local/extract', options => '{}');
SELECT memai.alter_model('nothing', options => '{}');
SELECT memai.drop_model('local/hash-384');
SELECT memai.drop_model('nothing');

-- defaults
SELECT memai.set_default_model('embed', 'own');
SELECT name FROM memai.models WHERE is_default ORDER BY name;
SELECT memai.set_default_model('embed', 'talk');
SELECT memai.set_default_model('embed', 'nothing');
SELECT memai.set_default_model('other', 'own');
SET memai.model_default_embed = 'nothing';
SELECT memai.embed('x');
SET memai.model_default_embed = 'local/hash-384';
SELECT vector_dims(memai.embed('x'));
RESET memai.model_default_embed;
SELECT memai.set_default_model('embed', 'local/hash-384');

-- credentials
SELECT memai.create_credential('key', 'https://api.example.com/v1', secret => 'not-a-real-key');
SELECT memai.create_credential('key', 'https://api.example.com/v1', secret => 'not-a-real-key');
SELECT memai.create_credential('key2', 'https://api.example.com/v1');
SELECT memai.create_credential('key2', NULL, secret => 'x');
SELECT memai.create_credential('key2', 'not a url', secret => 'x');
SELECT name, url_prefix, source, location, header, scheme, rotated_at FROM memai.credentials;
SELECT memai.alter_model('remote', credential => 'key');
SELECT memai.alter_model('talk', credential => 'key');
SELECT name, credential FROM memai.models WHERE credential IS NOT NULL;

-- rights
CREATE ROLE regress_memai_ann IN ROLE memai_user;
CREATE ROLE regress_memai_eve;
SET ROLE regress_memai_ann;
SELECT name FROM memai.models ORDER BY name;
SELECT memai.generate('x', 'talk');
SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example');
SELECT name FROM memai.credentials;
SELECT * FROM memai.credential;
RESET ROLE;
SELECT memai.grant_model('own', 'regress_memai_ann');
SELECT memai.grant_model('own', 'regress_memai_ann');
SELECT memai.grant_model('nothing', 'regress_memai_ann');
SELECT memai.grant_model('own', 'regress_memai_nobody');
SET ROLE regress_memai_ann;
SELECT name FROM memai.models ORDER BY name;
SELECT vector_dims(memai.embed('x', 'own'));
RESET ROLE;
SELECT memai.revoke_model('own', 'regress_memai_ann');
SELECT memai.grant_model('own', 'public');
SET ROLE regress_memai_ann;
SELECT vector_dims(memai.embed('x', 'own'));
RESET ROLE;
SET ROLE regress_memai_eve;
SELECT memai.embed('x', 'own');
RESET ROLE;
-- the right is checked at each call, prepared or not
SET ROLE regress_memai_ann;
PREPARE call AS SELECT vector_dims(memai.embed('x', 'own'));
EXECUTE call;
RESET ROLE;
SELECT memai.revoke_model('own', 'public');
SET ROLE regress_memai_ann;
EXECUTE call;
RESET ROLE;
DEALLOCATE call;
DROP ROLE regress_memai_ann, regress_memai_eve;

SELECT memai.drop_model(name) FROM memai.models WHERE NOT built_in ORDER BY name;
SELECT memai.drop_credential('key');
SELECT memai.drop_credential('key');
SELECT count(*) FROM memai.models;
DELETE FROM memai.model_default WHERE NOT built_in;
