-- the rolling summary of a thread: when it is made, what it covers, what becomes of it
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

-- the window is 50 messages: the summary is made before the first of them leaves it
SELECT memai.create_thread(title => 'long', namespace => 'talk') AS long \gset
SELECT count(*) FROM generate_series(1, 25) i, memai.chat('The number of room ' || i || ' is ' || i * 7, thread_id => :'long');
SELECT count(*) AS jobs FROM memai.job WHERE kind = 'summarise';
SELECT count(*) FROM memai.chat('Room 26 is closed', thread_id => :'long');
SELECT kind, model, namespace, payload = jsonb_build_object('thread_id', :'long'::uuid, 'keep', 40) AS payload, priority FROM memai.job WHERE kind = 'summarise';
SELECT count(*) FROM memai.chat('Room 27 is closed', thread_id => :'long');
SELECT count(*) AS jobs FROM memai.job WHERE kind = 'summarise';
SELECT tokens ->> 'summary' AS summary FROM memai.chat_preview('And now?', thread_id => :'long', use_memory => false);
CALL memai.run_jobs();
SELECT status, result FROM memai.job WHERE kind = 'summarise';
SELECT summary LIKE '%user: The number of room 1 is 7%' AS first, array_length(regexp_split_to_array(summary, '\s+'), 1) <= 200 AS short, summary_replaces,
	(SELECT count(*) FROM memai.messages(:'long') WHERE id <= t.summary_until) AS covered FROM memai.thread(:'long') t;
-- the last 50 messages are shown whatever the summary covers, and it stands before them
SELECT m.n, m.message ->> 'role' AS role, left(regexp_replace(m.message ->> 'content', ' [0-9a-f]{16}>', ' #>', 'g'), 20) AS content, p.messages_shown
FROM (SELECT messages, jsonb_array_length(messages) - 2 AS messages_shown, tokens FROM memai.chat_preview('And now?', thread_id => :'long', use_memory => false)) p,
	jsonb_array_elements(p.messages) WITH ORDINALITY AS m(message, n)
WHERE m.n BETWEEN 2 AND 3 ORDER BY m.n;
SELECT (tokens ->> 'summary')::int > 20 AS counted, total_tokens = (SELECT sum(v::int) FROM jsonb_each_text(tokens) x(k, v)) AS in_budget
FROM memai.chat_preview('And now?', thread_id => :'long', use_memory => false);
SELECT context_used, context_length > 20 AS length FROM memai.chat('And now?', thread_id => :'long', use_memory => false);
SELECT count(*) AS jobs FROM memai.job WHERE kind = 'summarise' AND finished_at IS NULL;

-- it rolls on: what was in it is read again with what follows
SELECT summary AS before, summary_until AS until_before FROM memai.thread(:'long') \gset
SELECT count(*) FROM generate_series(1, 5) i, memai.chat('Shelf ' || i || ' holds paint', thread_id => :'long', use_memory => false);
CALL memai.run_jobs();
SELECT summary_until > :'until_before' AS further, (SELECT count(*) FROM memai.messages(:'long') WHERE id > t.summary_until) AS after_it FROM memai.thread(:'long') t;

-- a branch has the summary of what it shares; before the end of the summary it has none
SELECT summary_until FROM memai.thread(:'long') \gset
SELECT memai.branch_thread(:'long', (SELECT id FROM memai.messages(:'long') ORDER BY id DESC LIMIT 1)) AS late,
	memai.branch_thread(:'long', (SELECT id FROM memai.messages(:'long') ORDER BY id LIMIT 1)) AS early \gset
SELECT (SELECT summary_until = :'summary_until' FROM memai.thread(:'late')) AS late, (SELECT summary IS NULL FROM memai.thread(:'early')) AS early;
SELECT memai.archive_thread(:'late'), (SELECT summary_until = :'summary_until' FROM memai.thread(:'late')) AS kept;

-- what is forgotten is in no summary: of the thread and of its branches
SELECT memai.forget((SELECT id FROM memai.messages(:'long') ORDER BY id DESC LIMIT 1), namespace => 'talk') AS newest;
SELECT summary IS NOT NULL AS kept FROM memai.thread(:'long');
SELECT memai.forget((SELECT id FROM memai.messages(:'long') ORDER BY id LIMIT 1), namespace => 'talk') AS oldest;
SELECT (SELECT summary IS NULL AND summary_until IS NULL FROM memai.thread(:'long')) AS gone, (SELECT summary IS NULL FROM memai.thread(:'late')) AS of_branch;
SELECT count(*) FROM memai.chat('Anything else?', thread_id => :'long', use_memory => false);
CALL memai.run_jobs();
SELECT summary LIKE '%user: The number of room 1 is 7%' AS first, summary LIKE '%user: The number of room 2 is 14%' AS second FROM memai.thread(:'long');

-- a window that the model's context limits; none at all; not asked for
SELECT memai.create_model('tight', 'chat', 'local', 'extract', context_window => 600);
SELECT memai.create_thread(title => 'tight', model => 'tight') AS tight \gset
SELECT count(*) FROM generate_series(1, 6) i, memai.chat('Item ' || i || ': ' || repeat('a word ', 60), thread_id => :'tight', use_memory => false);
SELECT (payload ->> 'keep')::int < 12 AS fewer, model FROM memai.job WHERE kind = 'summarise' AND finished_at IS NULL;
CALL memai.run_jobs();
SELECT summary IS NOT NULL AS summed_up FROM memai.thread(:'tight');
-- every message is shown or in the summary
SELECT bool_and(m.id <= t.summary_until OR strpos(p.messages::text, left(m.content, 8)) > 0) AS all_there
FROM memai.thread(:'tight') t, memai.messages(:'tight') m, memai.chat_preview('x', thread_id => :'tight', use_memory => false) p;
SELECT memai.create_thread(title => 'quiet') AS quiet \gset
SET memai.chat_summary_messages = 0;
SELECT count(*) FROM generate_series(1, 3) i, memai.chat('Quiet ' || i, thread_id => :'quiet', max_messages => 2);
RESET memai.chat_summary_messages;
SELECT count(*) FROM memai.chat('Quiet', thread_id => :'quiet', max_messages => 0);
SELECT count(*) AS jobs FROM memai.job WHERE kind = 'summarise' AND finished_at IS NULL;
SELECT count(*) FROM memai.chat('Quiet', thread_id => :'quiet', max_messages => 2);
SELECT payload -> 'keep' AS keep FROM memai.job WHERE kind = 'summarise' AND finished_at IS NULL;

-- a thread that is gone, a job without a thread, a message that no model can take in
SELECT memai.delete_thread(:'quiet');
CALL memai.run_jobs();
SELECT status, result FROM memai.job WHERE payload ->> 'thread_id' = :'quiet';
SELECT memai.submit_job('summarise') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT status, sqlstate, error FROM memai.job WHERE kind = 'summarise' AND payload = '{}';
SELECT memai.create_thread(title => 'huge', initial_message => repeat('one sentence of many. ', 5000)) AS huge \gset
SELECT memai.submit_job('summarise', jsonb_build_object('thread_id', :'huge'::uuid, 'keep', 0), model => 'tight') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT length(summary) FROM memai.thread(:'huge');
SELECT memai.summarize_thread(:'huge', max_words => 0);

-- other users neither see nor submit it
SELECT payload - 'thread_id' AS payload, user_id FROM memai.job WHERE kind = 'summarise' ORDER BY id LIMIT 1;
SET memai.user_id = 'bob';
SELECT memai.submit_job('summarise', jsonb_build_object('thread_id', :'long'::uuid, 'keep', 0)) IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT result FROM memai.job WHERE user_id = 'bob';
SELECT memai.summarize_thread(:'long', 0) IS NULL AS none;
SET memai.user_id = 'ann';

SELECT memai.drop_model('tight');
DELETE FROM memai.thread;
DELETE FROM memai.episode;
RESET memai.user_id;
DELETE FROM memai.job WHERE tenant = 'regress';
