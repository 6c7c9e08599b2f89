-- errors that a first try runs into name the argument and the way out
\set VERBOSITY default
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';

SELECT memai.create_task('');
SELECT memai.create_task(NULL);
SELECT memai.create_task('Buy bread', priority => 'very high');
SELECT memai.create_task('Buy bread') AS task \gset
SELECT memai.update_task(:'task', status => 'finished');
SELECT memai.update_task(:'task', title => '');
SELECT * FROM memai.tasks(status => 'finished');
SELECT * FROM memai.tasks(priority => 'very high');
SELECT title, status, priority FROM memai.tasks(status => 'all');
SELECT memai.set_preference(NULL, 'x');
SELECT memai.submit('chat', '{"prompt": "x"}');

-- what a statement registered is there for the rest of it
BEGIN;
SELECT memai.create_credential('regress_key', 'http://127.0.0.1:1/v1', secret => 'x'),
	memai.create_model('regress_backup', 'chat', 'openai', 'm', url => 'http://127.0.0.1:1/v1', credential => 'regress_key'),
	memai.create_model('regress_chat', 'chat', 'openai', 'm', url => 'http://127.0.0.1:1/v1', credential => 'regress_key', options => '{"fallback": ["regress_backup"]}'),
	memai.grant_model('regress_chat', 'memai_user'), memai.set_default_model('chat', 'regress_chat', size => 'large'),
	memai.alter_model('regress_chat', context_window => 4000), memai.grant_credential('regress_key', 'memai_user');
SELECT name, context_window FROM memai.models WHERE name LIKE 'regress%' ORDER BY name;
ROLLBACK;
-- options that nobody reads are refused by models that run in the server, too
SELECT memai.create_model('regress_local', 'chat', 'local', 'extract', options => '{"context_window": 100}');

-- size names the model that an administrator chose for it, in every form of chat
BEGIN;
SELECT memai.create_model('regress_small', 'chat', 'local', 'extract'), memai.create_model('regress_large', 'chat', 'local', 'extract'),
	memai.set_default_model('chat', 'regress_small', size => 'small'), memai.set_default_model('chat', 'regress_large', size => 'large');
SELECT memai.remember('Ann likes rye bread') IS NOT NULL AS stored;
SELECT model, content LIKE '%rye bread%' AS knows FROM memai.chat('Which bread?', size => 'large');
SELECT model FROM memai.chat_preview('Which bread?', size => 'small');
SELECT (s).result ->> 'model' AS model FROM (SELECT memai.chat_stream('Which bread?', size => 'small') AS s OFFSET 0) x WHERE (s).done;
SELECT job_id AS job FROM memai.chat_notify('Which bread?', size => 'large') \gset
SELECT model, payload ->> 'size' AS size FROM memai.job WHERE id = :'job';
SELECT memai.create_thread(model => 'regress_small') AS thread \gset
SELECT model FROM memai.chat_preview('Which bread?', thread_id => :'thread');
SELECT model FROM memai.chat_preview('Which bread?', thread_id => :'thread', size => 'large');
SELECT model FROM memai.chat_preview('Which bread?', size => 'medium');
SAVEPOINT before;
SELECT memai.chat('Which bread?', size => 'huge');
ROLLBACK TO before;
SELECT memai.chat('Which bread?', size => '');
ROLLBACK TO before;
SELECT memai.chat('Which bread?', model => 'regress_small', size => 'small');
ROLLBACK;
CALL memai.converse('Which bread?', size => 'huge');

DELETE FROM memai.task WHERE tenant = 'regress';
DELETE FROM memai.preference WHERE tenant = 'regress';
