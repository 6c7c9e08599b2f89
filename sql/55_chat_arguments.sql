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

DELETE FROM memai.task WHERE tenant = 'regress';
DELETE FROM memai.preference WHERE tenant = 'regress';
