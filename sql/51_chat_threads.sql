-- threads: listing, paging, renaming, archiving, branching, deleting; the window of a chat
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

SELECT memai.create_thread(title => 'trip', namespace => 'travel', system_prompt => 'Be brief.', initial_message => 'Where to?') AS trip \gset
SELECT memai.create_thread(title => 'shoes', metadata => '{"shop": 1}') AS shoes \gset
SELECT count(*) FROM memai.chat('To Oslo, by train', thread_id => :'trip');
SELECT count(*) FROM memai.chat('In May, I think', thread_id => :'trip');
SELECT title, namespace, message_count, last_message, model, archived_at, last_message_at >= created_at AS in_order FROM memai.threads();
SELECT title FROM memai.threads(namespace => 'travel');
SELECT title FROM memai.threads(max_threads => 1);
SELECT title FROM memai.threads(before => (SELECT min(last_message_at) FROM memai.threads()));
SELECT title, system_prompt, namespace FROM memai.thread(:'trip');
SELECT count(*) FROM memai.thread(memai.new_id());

-- paging back through messages
SELECT role, content FROM memai.messages(:'trip', max_messages => 2);
SELECT role, content FROM memai.messages(:'trip', max_messages => 2, before => (SELECT min(id::text)::uuid FROM memai.messages(:'trip', max_messages => 2)));

-- what is said in a thread is remembered in the thread's namespace; another one can be named for one message
SELECT count(*) FROM memai.recall('Oslo train', namespace => 'travel') WHERE content LIKE '%Oslo%';
SELECT count(*) FROM memai.recall('Oslo train') WHERE content LIKE '%Oslo%';
SELECT memai.remember('Oslo has a yellow line', namespace => 'metro') AS metro \gset
SELECT memory_ids = ARRAY[:'metro'::uuid] AS from_metro FROM memai.chat_preview('Oslo line', thread_id => :'trip', namespace => 'metro', max_messages => 0);
SELECT messages -> 0 ->> 'content' LIKE 'Be brief.%' AS of_the_thread FROM memai.chat_preview('Oslo', thread_id => :'trip');
SELECT messages -> 0 ->> 'content' LIKE 'Be long.%' AS of_the_call FROM memai.chat_preview('Oslo', thread_id => :'trip', system_prompt => 'Be long.');

-- branches share what was said before and go on by themselves
SELECT memai.branch_thread(:'trip', (SELECT id FROM memai.messages(:'trip') WHERE content LIKE 'To Oslo%'), 'by plane') AS plane \gset
SELECT role, content FROM memai.messages(:'plane');
SELECT count(*) FROM memai.chat('No, by plane', thread_id => :'plane');
SELECT title, message_count, parent_id = :'trip' AS of_trip FROM memai.threads(namespace => 'travel') ORDER BY title COLLATE "C";
SELECT memai.branch_thread(:'shoes', (SELECT id FROM memai.messages(:'trip') LIMIT 1)) IS NULL AS no_such_message;

-- archive and rename
SELECT memai.archive_thread(:'shoes'), memai.rename_thread(:'trip', 'Oslo');
SELECT title FROM memai.threads() ORDER BY title COLLATE "C";
SELECT title, archived_at IS NOT NULL AS archived FROM memai.threads(include_archived => true) ORDER BY title COLLATE "C";
SELECT memai.archive_thread(:'shoes', false), memai.rename_thread(:'shoes', '');
SELECT title IS NULL AS untitled, archived_at FROM memai.thread(:'shoes');

-- the window: at most max_messages, the rest only through memory; chats without a thread see the last such exchanges
SELECT jsonb_array_length(messages) - 2 AS history FROM unnest(ARRAY[0, 1, 2, 50]) n, memai.chat_preview('And then?', thread_id => :'trip', use_memory => false, max_messages => n);
SELECT count(*) FROM generate_series(1, 7) i, memai.chat('single message number ' || i);
SELECT jsonb_array_length(messages) - 2 AS history, messages -> 1 ->> 'content' AS first FROM memai.chat_preview('And then?', use_memory => false);
SET memai.chat_recent_exchanges = 1;
SELECT messages -> 1 ->> 'content' AS first, jsonb_array_length(messages) FROM memai.chat_preview('And then?', use_memory => false);
RESET memai.chat_recent_exchanges;
SELECT count(*) FROM memai.threads() WHERE last_message LIKE 'single%';
-- such a chat can be gone on with, and is then a thread like others
SELECT thread_id AS single FROM memai.chat('the beginning of more') \gset
SELECT count(*) FROM memai.chat('this is more', thread_id => :'single');
SELECT message_count FROM memai.threads(namespace => 'default') WHERE id = :'single';

-- a summary stands for the older messages
SELECT memai.create_thread(title => 'long') AS long \gset
SELECT count(*) FROM generate_series(1, 6) i, memai.chat('Fact number ' || i || ': the sky over town ' || i || ' is blue.', thread_id => :'long', use_memory => false);
SELECT memai.summarize_thread(:'long', keep => 4, max_words => 30) LIKE '%sky over town%' AS summed_up;
SELECT summary LIKE '%sky over town%' AS stored, array_length(regexp_split_to_array(summary, '\s+'), 1) <= 30 AS short,
	(SELECT count(*) FROM memai.messages(:'long') WHERE id > t.summary_until) AS after_it FROM memai.thread(:'long') t;
SELECT (tokens ->> 'summary')::int > 0 AS shows_summary, jsonb_array_length(messages) AS messages, messages -> 1 ->> 'content' LIKE '<summary %' AS first
FROM memai.chat_preview('And now?', thread_id => :'long', use_memory => false);
SELECT memai.summarize_thread(:'long', keep => 4) = summary AS unchanged FROM memai.thread(:'long');
SELECT memai.summarize_thread(memai.new_id()) IS NULL AS no_such_thread;

-- other users: nothing to see, nothing to change
SET memai.user_id = 'bob';
SELECT (SELECT count(*) FROM memai.threads()), (SELECT count(*) FROM memai.messages(:'trip')), (SELECT count(*) FROM memai.thread(:'trip'));
SELECT memai.rename_thread(:'trip', 'mine'), memai.archive_thread(:'trip'), memai.delete_thread(:'trip'), memai.branch_thread(:'trip', memai.new_id());
SELECT memai.chat('hello', thread_id => :'trip');
SELECT memai.threads('ann');
RESET memai.user_id;
SELECT memai.threads();
SELECT memai.rename_thread(:'trip', 'mine', user_id => 'bob'), memai.delete_thread(:'trip', 'bob');
SET memai.user_id = 'ann';

-- deleting keeps what was said, or forgets it
SELECT memai.delete_thread(:'trip'), memai.delete_thread(:'trip');
SELECT count(*) FROM memai.messages(:'trip');
SELECT parent_id IS NULL AS orphaned FROM memai.thread(:'plane');
SELECT count(*) FROM memai.messages(:'plane');
SELECT count(*) > 0 AS kept FROM memai.recall('Oslo train', namespace => 'travel') WHERE content LIKE 'To Oslo%';
SELECT memai.delete_thread(:'plane', forget => true);
SELECT count(*) FROM memai.episode WHERE content LIKE 'No, by plane';

-- arguments
SELECT memai.chat('x', temperature => 2.1);
SELECT memai.chat('x', top_p => 0);
SELECT memai.chat('x', presence_penalty => 'NaN');
SELECT memai.chat('x', stop => ARRAY['a', NULL]);
SELECT memai.chat('x', stop => array_fill('x'::text, ARRAY[17]));
SELECT memai.chat('x', tools => '{}');
SELECT memai.chat('x', response_schema => '[]');
SELECT memai.chat('x', max_messages => -1);
SELECT memai.chat(repeat('x', 100001));
SELECT memai.chat('x', max_tokens => 999999);
SELECT memai.create_thread(initial_message => '');

DELETE FROM memai.episode;
DELETE FROM memai.memory;
DELETE FROM memai.thread;
