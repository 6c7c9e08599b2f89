-- remember, remember_messages, supersede, forget, history, blocks
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';

-- a statement is stored once, whatever its case and outer spaces
SELECT memai.remember('I prefer aisle seats') AS seat \gset
SELECT memai.remember('  i prefer AISLE seats ') = :'seat' AS same_memory;
SELECT content, category, slot, metadata, invalid_at, tenant, user_id, namespace,
	scope = memai.scope_hash('regress', 'ann', 'default') AS scope_fits
FROM memai.memory;
SELECT model, vector_dims(embedding), memory_id = :'seat' AS of_memory, episode_id FROM memai.embedding;
SELECT event, old_content, new_content, reason, actor = current_user AS actor FROM memai.history(:'seat');

-- a new value of a slot closes the old one
SELECT memai.remember('Lives in Lund', slot => 'home.city', valid_at => '2020-01-01 00:00Z') AS lund \gset
SELECT memai.remember('Lives in Gothenburg', slot => 'home.city', valid_at => '2026-01-01 00:00Z', metadata => '{"via": "form"}') AS gbg \gset
SELECT memai.remember('Lives in Gothenburg', slot => 'home.city') = :'gbg' AS same_value;
-- older news of a slot arrives closed
SELECT memai.remember('Lives in Umea', slot => 'home.city', valid_at => '2015-01-01 00:00Z') AS umea \gset
-- news of a time between two values ends the earlier one
SELECT memai.remember('Lives in Malmo', slot => 'home.city', valid_at => '2023-01-01 00:00Z') AS malmo \gset
SET timezone = 'UTC';
SELECT content, valid_at, invalid_at, superseded_by = :'gbg' AS by_gothenburg, metadata
FROM memai.memory WHERE slot = 'home.city' ORDER BY valid_at;
SELECT event, old_content, new_content FROM memai.history(:'lund');
-- a statement without a slot takes it; the value of another slot does not
SELECT memai.remember('I prefer aisle seats', slot => 'travel.seat') = :'seat' AS same_memory;
SELECT slot FROM memai.memory WHERE id = :'seat';
SELECT memai.remember('I prefer aisle seats', slot => 'cinema.seat');

-- supersede keeps slot and category, and the old row
SELECT memai.remember('Runs on Sundays', category => 'habit') AS run \gset
SELECT memai.supersede(:'run', 'Swims on Sundays', reason => 'bad knee') AS swim \gset
SELECT content, category, invalid_at IS NULL AS live, superseded_by = :'swim' AS by_swim
FROM memai.memory WHERE category = 'habit' ORDER BY id;
SELECT event, old_content, new_content, reason FROM memai.history(:'run');
SELECT memai.supersede(:'run', 'Cycles on Sundays');
SELECT memai.supersede(:'swim', 'Swims on Mondays', valid_at => '1999-01-01');
SELECT memai.supersede(:'swim', 'Swims on Sundays') = :'swim' AS unchanged;
-- in favour of a statement that is live already
SELECT memai.supersede(:'swim', 'I prefer aisle seats') = :'seat' AS same_memory;
SELECT superseded_by = :'seat' AS by_seat FROM memai.memory WHERE id = :'swim';

-- soft: the row stays and is not recalled; hard: nothing of it stays
SELECT memai.forget(:'gbg', mode => 'soft', reason => 'asked to');
SELECT content, expired_at IS NOT NULL AS expired FROM memai.memory WHERE id = :'gbg';
SELECT count(*) FROM memai.recall('Gothenburg') WHERE content LIKE '%Gothenburg%';
SELECT memai.forget(:'gbg');
SELECT count(*) FROM memai.memory WHERE id = :'gbg';
SELECT count(*) FROM memai.embedding WHERE memory_id = :'gbg';
SELECT event, old_content, new_content, reason FROM memai.history(:'gbg');
SELECT event, old_content, new_content FROM memai.history(:'lund');
SELECT superseded_by = :'malmo' AS by_malmo FROM memai.memory WHERE id = :'lund';
SELECT memai.forget(:'gbg') AS found_again;
SELECT count(*) FROM memai.memory_history WHERE concat(old_content, new_content) LIKE '%Gothenburg%';

-- messages: in order, with their own times, roles and metadata
CREATE TEMP TABLE stored AS
SELECT row_number() OVER () AS position, id FROM memai.remember_messages($$[
	{"role": "user", "name": "Ann", "content": "My train leaves at nine", "occurred_at": "2026-02-01 08:00Z"},
	{"role": "assistant", "content": "From which platform?", "metadata": {"topic": "travel"}},
	{"content": "Platform four", "name": null, "metadata": null}
]$$, metadata => '{"app": "test"}') AS id;
SELECT s.position, e.role, e.name, e.content, e.metadata, e.occurred_at, e.source,
	count(*) OVER (PARTITION BY e.thread_id) AS in_thread
FROM stored s JOIN memai.episode e USING (id) ORDER BY s.position;
SELECT count(*) FROM stored JOIN memai.embedding USING (id);
SELECT memai.forget(id) FROM stored WHERE position = 2;
SELECT memai.forget(id, mode => 'soft') FROM stored WHERE position = 3;
SELECT count(*) FROM stored JOIN memai.episode USING (id);
SELECT count(*) FROM memai.remember_messages('[]');

-- blocks
SELECT memai.set_block('persona', 'Short answers.');
SELECT memai.set_block('persona', 'Very short answers.');
SELECT memai.get_block('persona'), memai.get_block('none');
SELECT memai.drop_block('persona'), memai.drop_block('persona') AS again;

-- one statement, one transaction: nothing is left after a rollback
BEGIN;
SELECT memai.remember('This never happened') IS NOT NULL AS stored;
ROLLBACK;
SELECT count(*) FROM memai.memory WHERE content = 'This never happened';

-- a thousand turns in one statement
SELECT count(*) FROM memai.remember_messages((SELECT jsonb_agg(jsonb_build_object('content', 'turn number ' || i))
	FROM generate_series(1, 1000) i), user_id => 'ann', namespace => 'bulk');
SELECT count(*), count(DISTINCT thread_id) FROM memai.episode WHERE namespace = 'bulk';
SELECT count(*) FROM memai.embedding WHERE namespace = 'bulk';

DELETE FROM memai.episode;
DELETE FROM memai.memory;
SELECT count(*) FROM memai.embedding;
