-- Calls of models in the background: submit, await, cancel.
\set VERBOSITY terse
CREATE ROLE regress_memai_ann IN ROLE memai_user;
CREATE ROLE regress_memai_bob IN ROLE memai_user;
SET ROLE regress_memai_ann;
SELECT memai.submit('generate', '{"prompt": "Which seat?"}') AS generate \gset
SELECT memai.submit('complete', '{"messages": [{"role": "user", "content": "Which seat?"}], "options": {"temperature": 0}}', 'small') AS complete \gset
SELECT memai.submit('embed', '{"inputs": ["a seat", "a \"table\""]}', 'local/hash-384') AS embed \gset
SELECT memai.submit('generate', '{}') AS empty \gset
SELECT memai.submit('embed', '{"inputs": ["a", 5]}') AS number \gset
SELECT memai.submit('rerank', '{"query": "a", "documents": ["b"]}') AS rerank \gset
SELECT memai.submit('generate', '{"prompt": "x"}', 'nothing') AS nothing \gset
SELECT memai.submit('generate', '{"prompt": "x"}') AS unwanted \gset
SELECT memai.submit('generate', '{"prompt": "x"}', user_id => 'carl') AS carl \gset
SELECT memai.submit('sing', '{"prompt": "x"}');
SELECT memai.submit(NULL, '{}');
SELECT memai.cancel(:'unwanted'), memai.cancel(:'unwanted') AS again, memai.cancel(memai.new_id()) AS unknown;
SELECT memai.await(:'generate', '0 s') IS NULL AS not_yet;
CALL memai.run_jobs();
SELECT jsonb_pretty(memai.await(:'generate'));
SELECT memai.await(:'complete') ->> 'model' AS model;
SELECT jsonb_array_length(r -> 'embeddings') AS n, (r -> 'embeddings' -> 1)::text::vector = memai.embed('a "table"') AS same
	FROM memai.await(:'embed') r;
SELECT memai.await(:'empty');
SELECT memai.await(:'number');
SELECT memai.await(:'rerank');
SELECT memai.await(:'nothing');
SELECT memai.await(:'unwanted');
SELECT memai.await(memai.new_id());
SELECT memai.await(:'carl') IS NOT NULL;
SELECT memai.await(:'carl', user_id => 'carl') IS NOT NULL AS named;
SELECT memai.cancel(:'generate') AS finished_before;
BEGIN;
SELECT memai.await(memai.submit('generate', '{"prompt": "x"}'));
ROLLBACK;

-- others do not get the result
RESET ROLE; SET ROLE regress_memai_bob;
SELECT memai.await(:'generate');
SELECT memai.await(:'generate', user_id => 'regress_memai_ann');
SELECT memai.cancel(:'generate', user_id => 'regress_memai_ann') AS cancelled;
RESET ROLE; SET ROLE regress_memai_ann;

-- results are kept for a time
SELECT status, count(*) FROM memai.job GROUP BY status ORDER BY status;
UPDATE memai.job SET finished_at = now() - interval '8 days' WHERE user_id <> 'carl' AND finished_at IS NOT NULL;
SELECT memai.submit('generate', '{"prompt": "x"}', keep => '1 hour') IS NOT NULL AS submitted;
SELECT status, count(*) FROM memai.job GROUP BY status ORDER BY status;
DELETE FROM memai.job;
RESET ROLE;
DROP ROLE regress_memai_ann, regress_memai_bob;
