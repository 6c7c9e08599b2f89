# CALL memai.converse: while the model thinks no snapshot is held and nothing is
# locked, what was said is committed; tools, failing models, cancel.
use strict;
use warnings FATAL => 'all';

use MemAI::Gateway;
use MemAI::Jobs qw(wait_until);
use MemAI::Session;
use Test::More;

my ($node, $stub) = start_gateway('converse');
my $user = "SET memai.user_id = 'ann';";
my $slow = chat_model('delay', 8000);
$node->safe_psql('postgres', "CREATE ROLE app IN ROLE memai_user; SELECT memai.grant_model('$slow', 'app'); CREATE TABLE other AS SELECT generate_series(1, 1000) AS i");

# ---- while it thinks ----
my $session = MemAI::Session->new($node);
$session->query("SET ROLE app; SET memai.user_id = 'ann'");
$session->send("CALL memai.converse('My boat is called Iris', model => '$slow')");
ok(wait_until($node, "SELECT count(*) FROM memai.message WHERE user_id = 'ann'", 1, 20), 'the message is committed before the answer is there');
is($node->safe_psql('postgres', "SELECT a.backend_xid IS NULL, a.backend_xmin IS NULL, (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND l.locktype <> 'virtualxid')
	FROM pg_stat_activity a WHERE a.pid = $session->{backend}"), 't|t|0', 'no transaction id, no snapshot, no lock');
$node->safe_psql('postgres', 'DELETE FROM other WHERE i > 500');
# more than once if need be: somebody who looks for a moment, autovacuum for one, holds it up too
ok(wait_until($node, "VACUUM other; SELECT pg_relation_size('other') < 40000", 't'), 'VACUUM gives back what was deleted meanwhile');
is($node->safe_psql('postgres', "SELECT count(*) FROM memai.message WHERE user_id = 'ann'"), 1, 'all that before the answer');
like($session->answer(30), qr/"content": "echo|"finish_reason": "stop"/, 'then the answer comes');
is($node->safe_psql('postgres', "$user SELECT string_agg(e.role, ' ' ORDER BY m.id), count(DISTINCT m.thread_id) FROM memai.message m JOIN memai.episode e ON e.scope = m.scope AND e.id = m.id"), 'user assistant|1', 'and is stored');

# ---- in a thread, with a tool ----
$node->safe_psql('postgres', q{CREATE TABLE calls (n integer); GRANT INSERT, SELECT ON calls TO app;
	CREATE FUNCTION add_one(n integer) RETURNS integer LANGUAGE sql AS 'INSERT INTO public.calls VALUES ($1) RETURNING n + 1';
	SET ROLE app; SELECT memai.register_tool('add_one', 'adds one', 'public.add_one')});
$stub->script('tool', { choices => [ { index => 0, finish_reason => 'tool_calls', message => { role => 'assistant', content => undef,
	tool_calls => [ { id => 'c', type => 'function', function => { name => 'add_one', arguments => '{"n": 41}' } } ] } } ] },
	{ choices => [ { index => 0, finish_reason => 'stop', message => { role => 'assistant', content => 'It is 42.' } } ] });
my $tool = chat_model('script', 'tool');
$node->safe_psql('postgres', "SELECT memai.grant_model('$tool', 'app')");
my $thread = $node->safe_psql('postgres', 'SELECT thread_id FROM memai.message LIMIT 1');
my $result = $session->query("CALL memai.converse('41 + 1?', thread_id => '$thread', model => '$tool', tools => '[\"add_one\"]')");
like($result, qr/"content": "It is 42\."/, 'a tool is run between two calls');
is($node->safe_psql('postgres', 'SELECT string_agg(n::text, \' \') FROM calls'), '41', 'once');

# ---- failures: what was said stays ----
my $failing = chat_model('status', 401);
$node->safe_psql('postgres', "SELECT memai.grant_model('$failing', 'app')");
like($session->query("CALL memai.converse('lost?', model => '$failing')"), qr/ERROR:  MA001/, 'a failing model raises');
$session->send("CALL memai.converse('and this?', model => '$slow')");
ok(wait_until($node, "SELECT count(*) FROM memai.episode WHERE content = 'and this?'", 1), 'a call that has stored what was said');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{backend})");
like($session->answer, qr/ERROR:  57014/, 'is cancelled');
is($session->query('SELECT count(*) FROM memai.episode WHERE content IN (\'lost?\', \'and this?\')'), 2, 'what was said is kept, the session goes on');
like($session->query("SELECT content FROM memai.chat('Which boat?', model => 'local/extract')"), qr/Iris/, 'and chats as before, in one transaction');
error_is(run_sql("$user BEGIN; CALL memai.converse('x')"), '2D000', qr/transaction block/, 'not inside a transaction block');
like($session->query("CALL memai.converse('x', on_error => 'null')"), qr/ERROR:  0A000/, 'errors are raised');
$session->close;

# a fallback is asked outside of a transaction too
my $backup = chat_model('delay', 5000);
my $down = chat_model('status', 503);
$node->safe_psql('postgres', "SELECT memai.grant_model('$backup', 'app'), memai.grant_model('$down', 'app'); SELECT memai.alter_model('$down', options => '{\"fallback\": [\"$backup\"]}')");
$session = MemAI::Session->new($node);
$session->query("SET ROLE app; SET memai.user_id = 'bob'; SET memai.model_max_retries = 0");
$session->send("CALL memai.converse('hello', model => '$down')");
ok(wait_until($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $session->{backend} AND wait_event_type = 'Extension' AND backend_xmin IS NULL AND query LIKE 'CALL%'", 1, 20), 'no snapshot while the fallback thinks');
like($session->answer(30), qr/"model": "\Q$backup\E"/, 'which answers');
$session->close;

# AU15: a policy on personal data, in every form of chat
my $quick = chat_model();
$node->safe_psql('postgres', "SELECT memai.grant_model('$quick', 'app'); SELECT memai.set_pii_policy('refuse', '{card}', 'app'); SELECT memai.set_pii_policy('redact', '{email}', 'app')");
my %form = (chat => 'SELECT memai.chat(%s)', chat_stream => 'SELECT memai.chat_stream(%s)', converse => 'CALL memai.converse(%s)', chat_notify => 'SELECT memai.chat_notify(%s); CALL memai.run_jobs()');
foreach my $name (sort keys %form)
{
	my $say = sub { return run_sql("SET ROLE app; SET memai.user_id = '$name'; SET memai.chat_extract = off; " . sprintf($form{$name}, "'$_[0]', model => '$quick'")) };
	$stub->reset;
	error_is($say->('Pays with 4111 1111 1111 1111'), '23514', qr/message holds personal data/, "$name: AU15 what is refused");
	is(scalar($stub->requests), 0, "$name: AU15 is sent to nobody");
	ok(!$say->('I am bo@example.com')->{sqlstate}, "$name: AU15 what is redacted is answered");
	unlike(join(' ', map { $_->{body} } $stub->requests), qr/bo\@example/, "$name: AU15 the model is sent what is stored");
	is($node->safe_psql('postgres', "SELECT string_agg(rtrim(content), '; ' ORDER BY id) FROM memai.episode WHERE user_id = '$name'"), 'I am [email]; echo: I am [email]', "$name: AU15 and stored without it");
}

$stub->stop;
$node->stop;
done_testing();
