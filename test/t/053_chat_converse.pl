# CALL memai.converse: while the model thinks no snapshot is held and nothing is
# locked, nor while a remote embedder or router works; what was said is committed; tools, failing models, cancel.
use strict;
use warnings FATAL => 'all';

use JSON::PP;
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

# ---- what comes before the answer: an embedder and a router that are remote ----
my $held = sub {
	my ($key, $what) = @_;
	ok($stub->wait_for_request(qr{/hold/$key/}), "$what is asked");
	is($node->safe_psql('postgres', "SELECT a.backend_xid IS NULL, a.backend_xmin IS NULL, (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND l.locktype <> 'virtualxid')
		FROM pg_stat_activity a WHERE a.pid = $session->{backend}"), 't|t|0', "no transaction id, no snapshot, no lock while $what thinks");
	$stub->switch($key, 'off');
};
my $embedder = embed_model(8, 'hold', 'embed');
$stub->script('route', { choices => [ { index => 0, finish_reason => 'stop', message => { role => 'assistant', content => '{"memory": true, "tools": ["add_one"]}' } } ] });
my $router = chat_model('hold', 'route', 'script', 'route');
my $answering = chat_model('hold', 'answer');
$node->safe_psql('postgres', "SELECT memai.grant_model(m, 'app') FROM unnest('{$embedder,$router,$answering}'::text[]) m; SELECT memai.set_default_model('chat', '$router', size => 'small')");
$session = MemAI::Session->new($node);
$session->query("SET ROLE app; SET memai.user_id = 'carl'; SET memai.model_default_embed = '$embedder'");
$stub->reset;
$stub->switch($_, 'on') for qw(embed route answer);
$session->send("CALL memai.converse('Add one to my number, please', model => '$answering', router => 'model')");
$held->('route', 'the router');
$held->('embed', 'the embedder');
$held->('answer', 'the model');
my $answer = $session->answer(60);
like($answer, qr/"by": "model"/, 'the router decided');
like($answer, qr/"content": "echo/, 'the answer comes');
is(join(' ', map { decode_json($_->{body})->{input}[0] =~ /^(\w+)/ } grep { $_->{path} =~ m{/embeddings} } $stub->requests), 'Add Add echo', 'the message is embedded as a question and to be stored, and so is the answer');
is($node->safe_psql('postgres', "SELECT string_agg(e.role, ' ' ORDER BY m.id), count(DISTINCT m.thread_id) FROM memai.message m JOIN memai.episode e ON e.scope = m.scope AND e.id = m.id WHERE m.user_id = 'carl'"),
	'user assistant|1', 'both messages are stored, in one thread');

# so are what was said and the answer, before each is stored
$stub->reset;
$stub->switch($_, 'on') for qw(embed answer);
$session->send("CALL memai.converse('Keep this', model => '$answering', use_memory => false)");
$held->('embed', 'the embedder of the message');
ok($stub->wait_for_request(qr{/hold/answer/}), 'then the model is asked');
$stub->reset;
$stub->switch('embed', 'on');
$stub->switch('answer', 'off');
$held->('embed', 'the embedder of the answer');
like($session->answer(60), qr/"content": "echo/, 'the answer comes');
is($node->safe_psql('postgres', "SELECT count(*) FROM memai.episode e JOIN memai.embedding v ON v.scope = e.scope AND v.id = e.id WHERE e.content LIKE '%Keep this' AND v.model = '$embedder'"), 2, 'both with a vector');

# an intent by meaning, with the embedding that recall uses too
$node->safe_psql('postgres', "SELECT memai.grant_model('$embedder', 'app'); SELECT memai.set_default_model('embed', '$embedder');
	SET ROLE app; SELECT memai.set_intent('garden', description => 'Which flowers are in bloom?')");
$stub->reset;
$stub->switch('embed', 'on');
$session->send("CALL memai.converse('garden Which flowers are in bloom?', model => '$answering')");
$held->('embed', 'the embedder of an intent');
like($session->answer(60), qr/"intent": "garden"/, 'which is found');
is(scalar(grep { $_->{path} =~ m{/embeddings} } $stub->requests), 3, 'with one embedding for it and for recall, and one of each message');
$node->safe_psql('postgres', "SELECT memai.set_default_model('embed', 'local/hash-384'); SET ROLE app; SELECT memai.drop_intent('garden')");

# a router that fails leaves it to the rules, an embedder that fails ends the call; the session goes on
my $no_router = chat_model('status', 400);
my $no_embedder = embed_model(8, 'status', 400);
$node->safe_psql('postgres', "SELECT memai.grant_model(m, 'app') FROM unnest('{$no_router,$no_embedder}'::text[]) m; SELECT memai.set_default_model('chat', '$no_router', size => 'small')");
$answer = $session->query("CALL memai.converse('And two?', model => '$answering', router => 'model')");
like($answer, qr/"by": "rules".*"error": "MA/, 'where the router fails the rules decide');
like($answer, qr/"content": "echo/, 'and the answer comes');
like($session->query("SET memai.model_default_embed = '$no_embedder'; CALL memai.converse('And three?', model => '$answering')"), qr/ERROR:  MA/, 'an embedder that fails is an error');
is($session->query("SELECT count(*) FROM memai.episode WHERE content = 'And three?'"), 0, 'before anything was stored');
is($session->query("SELECT count(*) FROM memai.thread"), 4, 'no empty thread is left');
like($session->query("RESET memai.model_default_embed; CALL memai.converse('And four?', model => '$answering')"), qr/"content": "echo/, 'the session goes on');
$session->close;
$node->safe_psql('postgres', "SELECT memai.set_default_model('chat', 'local/extract', size => 'small')");

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
