-- settings of users and accounts; secrets stay out
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SELECT memai.set_account_setting('language', 'en'), memai.set_account_setting('smtp', '{"host": "mail.example.org", "port": 587}'::jsonb);
SELECT memai.set_setting('language', 'sv'), memai.set_setting('digest', 'true'::jsonb);
SELECT memai.get_settings(), memai.get_account_settings();
SELECT memai.drop_setting('language'), memai.drop_setting('language'), memai.get_settings();
SELECT memai.set_setting('digest', '{"days": ["mon"], "max_tokens": 500}'::jsonb);
-- secrets are named, not held
SELECT memai.create_credential('mail', 'https://mail.example.org/', secret => 'xyz');
SELECT memai.set_account_setting('smtp', '{"host": "mail.example.org", "credential": "mail"}'::jsonb);
SELECT memai.set_setting('mail', '{"credential": "missing"}'::jsonb);
SELECT memai.set_setting('mail', '{"password": "hunter2"}'::jsonb);
SELECT memai.set_setting('api_key', 'whatever');
SELECT memai.set_setting('openai', 'sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD');
SELECT memai.set_setting('github', '{"nested": [{"note": "use ghp_abcdefghijklmnopqrstuvwxyz0123456789"}]}'::jsonb);
SELECT memai.set_setting('mail', '{"credential": "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"}'::jsonb);
\set VERBOSITY default
SELECT memai.set_account_setting('smtp', '{"Password": "hunter2"}'::jsonb);
\set VERBOSITY terse
UPDATE memai.setting SET settings = '{"token": "abc"}';
UPDATE memai.account_setting SET settings = '{"x": "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"}';
-- bad input
SELECT memai.set_setting(NULL, 'x');
SELECT memai.set_setting('x', NULL::text);
SELECT memai.set_setting('', 'x');
SELECT memai.set_setting('x', repeat('x', 100001));
SELECT memai.set_setting('x', 'y', user_id => 'bob');
-- others see nothing of it
SET memai.user_id = 'bob';
SELECT memai.get_settings();
SET memai.tenant = 'other';
SELECT memai.get_settings(), memai.get_account_settings(), memai.drop_account_setting('smtp');
SET memai.tenant = 'regress';
SELECT memai.drop_account_setting('smtp'), memai.drop_account_setting('smtp'), memai.get_account_settings();
RESET memai.user_id;
SELECT memai.get_account_settings();
SELECT memai.get_settings();
DELETE FROM memai.setting;
DELETE FROM memai.account_setting;
SELECT memai.drop_credential('mail');
