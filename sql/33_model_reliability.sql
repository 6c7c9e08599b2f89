-- Fallbacks, sizes, health and cache of models, as far as no network is needed.
\set VERBOSITY terse
SELECT memai.create_model(name, 'chat', 'openai', 'm', url => 'https://' || name || '.example') FROM unnest(ARRAY['a', 'b', 'c', 'd']) name;
SELECT memai.create_model('e' || n, 'embed', 'openai', 'm', url => 'https://e.example', dimensions => n) FROM generate_series(3, 4) n;

-- fallbacks: models that exist, of the same kind and size, and no circle
SELECT memai.alter_model('a', options => '{"fallback": ["b", "local/extract"], "fallback_on": ["outage", "quota"], "cache_ttl": 60}');
SELECT options FROM memai.models WHERE name = 'a';
SELECT memai.alter_model('b', options => '{"fallback": ["c"]}');
SELECT memai.alter_model('a', options => '{"fallback": ["a"]}');
SELECT memai.alter_model('b', options => '{"fallback": ["a"]}');
\set VERBOSITY default
SELECT memai.alter_model('c', options => '{"fallback": ["d", "a"]}');
\set VERBOSITY terse
SELECT memai.alter_model('c', options => '{"fallback": ["nothing"]}');
SELECT memai.alter_model('c', options => '{"fallback": ["e3"]}');
SELECT memai.alter_model('e3', options => '{"fallback": ["e4"]}');
SELECT memai.alter_model('c', options => '{"fallback": "d"}');
SELECT memai.alter_model('c', options => '{"fallback": [5]}');
SELECT memai.alter_model('c', options => '{"fallback": ["a", "b", "d", "local/extract", "x", "y"]}');
SELECT memai.alter_model('c', options => '{"fallback_on": ["auth"]}');
SELECT memai.alter_model('c', options => '{"cache_ttl": -1}');
SELECT memai.create_model('f', 'chat', 'openai', 'm', url => 'https://f.example', options => '{"fallback": ["f"]}');
-- a fallback that is dropped is passed over
SELECT memai.drop_model('c');
SELECT name FROM memai.models WHERE NOT built_in ORDER BY name;

-- sizes stand for chat models
SELECT model_used FROM memai.complete('[{"role": "user", "content": "x"}]', 'large');
SELECT memai.set_default_model('chat', 'a', 'large');
SELECT memai.set_default_model('chat', 'local/extract', 'small');
SELECT name, sizes, is_default FROM memai.models WHERE kind = 'chat' ORDER BY name;
SELECT model_used FROM memai.complete('[{"role": "user", "content": "x"}]', 'small');
SELECT model FROM memai.chat('hello', user_id => 'regress', model => 'small');
SELECT memai.set_default_model('chat', 'b', 'huge');
SELECT memai.set_default_model('embed', 'e3', 'small');
SELECT memai.embed('x', 'small');
SELECT memai.set_default_model('chat', 'small', 'medium');
SELECT name, sizes FROM memai.models WHERE sizes <> '{}' ORDER BY name;
-- a model of that name comes first
SELECT memai.create_model('small', 'chat', 'local', 'extract');
SELECT model_used FROM memai.complete('[{"role": "user", "content": "x"}]', 'small');

-- health
SELECT model, state, rests_until, failures_in_a_row, requests, last_sqlstate FROM memai.model_health ORDER BY model;
SELECT memai.reset_model('a'), memai.reset_model(NULL);
SELECT memai.reset_model('nothing');

-- the cache
SELECT memai.clear_cache();
SELECT memai.complete('[{"role": "user", "content": "x"}]', options => '{"cache_ttl": -1}');
SELECT cached FROM memai.complete('[{"role": "user", "content": "x"}]', options => '{"cache_ttl": 60}');

-- refused inputs
SELECT array_length(memai.embed(ARRAY['a', NULL], on_error => 'null'), 1);
SELECT memai.embed(ARRAY['a'], on_error => 'skip');

-- rights
CREATE ROLE regress_memai_ann IN ROLE memai_user;
SET ROLE regress_memai_ann;
SELECT model FROM memai.model_health ORDER BY model;
SELECT memai.reset_model('a');
SELECT memai.clear_cache();
SELECT * FROM memai._model_rest;
SELECT memai.set_default_model('chat', 'local/extract', 'small');
RESET ROLE;
DROP ROLE regress_memai_ann;
SELECT memai.drop_model(name) FROM memai.models WHERE NOT built_in ORDER BY name;
DELETE FROM memai.model_default WHERE NOT built_in;
SELECT count(*) > 0 AS erased FROM memai.forget_user('regress', confirm => true);
DELETE FROM memai.erasure WHERE user_id = 'regress';
