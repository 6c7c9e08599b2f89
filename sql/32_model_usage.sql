-- Prices, limits and metrics as far as no network and no preload show them; the rest is in test/t/037_usage.pl.
\set VERBOSITY terse

-- prices are options of every provider
SELECT memai.create_model('usage-' || p, 'chat', p, 'm', options => '{"input_price": 2.5, "output_price": 10}')
	FROM unnest(ARRAY['openai', 'anthropic', 'gemini', 'ollama', 'cohere']) p;
SELECT memai.alter_model('usage-openai', options => '{"input_price": -1}');
SELECT memai.alter_model('usage-openai', options => '{"output_price": "much"}');
SELECT memai.alter_model('usage-openai', options => '{"price": 1}');

-- limits need shared memory, and sense
SELECT memai.set_limit('usage-openai', daily_tokens => 1000);
SELECT memai.set_limit(requests_per_minute => 0);
SELECT memai.set_limit(tokens_per_minute => -1);
SELECT memai.set_limit(daily_cost => 'NaN');
SELECT memai.set_limit(daily_cost => 'Infinity');
SELECT memai.set_limit(model => '');
SELECT memai.set_limit(user_id => '');
SELECT memai.set_limit(role => 'nobody_of_this_name');
-- without a limit it only removes, whatever there is
SELECT memai.set_limit('nothing', '*', 'ann');
SELECT count(*) FROM memai.limits;
SELECT count(*) FROM memai.limit_status;

-- a rule that came with a dump refuses calls it cannot be kept for, before anything is sent
INSERT INTO memai._limit (model, concurrent_calls) VALUES ('usage-openai', 1);
SELECT memai.generate('hi', 'usage-openai');
SELECT model, role, user_id, concurrent_calls FROM memai.limits;
SELECT memai.set_limit('usage-openai');
SELECT count(*) FROM memai.limits;

-- models in the server cost nothing and are not in the ledger
SELECT vector_dims(memai.embed('x'));
SELECT count(*) FROM memai.usage;
SELECT count(*) FROM memai.usage_daily;
SELECT count(*) FROM memai.model_stats;
SELECT memai.flush_usage(), memai.prune_usage();
SELECT cost FROM memai.complete('[{"role": "user", "content": "who?"}]');

-- metrics: one family after the other, each with its type, and labels that need escaping
BEGIN;
INSERT INTO memai._usage SELECT '2026-01-01', CURRENT_USER::regrole, NULL, 't', E'a"b\\c\nd', 'chat', 'complete', NULL, 10, 5, false, 0.5,
	12, s, CASE s WHEN 'ok' THEN NULL ELSE 'MA004' END, n, false FROM (VALUES ('ok', 2), ('error', 1), ('ok', 1)) v (s, n);
SELECT line FROM regexp_split_to_table(replace(memai.metrics(), CURRENT_USER, 'me'), E'\n') WITH ORDINALITY AS l (line, n)
	WHERE line LIKE '%a"b%' OR line LIKE '%a\\"b%' OR line LIKE '# TYPE%' OR line LIKE 'memai_preloaded%' ORDER BY n;
SELECT model, calls, errors, retries, prompt_tokens, completion_tokens, cost, p50_ms, p95_ms FROM memai.model_stats;
SELECT memai.prune_usage('1 day');
SELECT day, calls, attempts, errors, prompt_tokens, completion_tokens, cost, latency_ms FROM memai.usage_daily;
ROLLBACK;

SELECT memai.drop_model(name) FROM memai.models WHERE name LIKE 'usage-%';
