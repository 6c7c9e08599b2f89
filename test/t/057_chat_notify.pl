# memai.chat_notify: a job sends the answer by NOTIFY as the model speaks, each piece
# from its own transaction; errors, cancel, long pieces, tools.
use strict;
use warnings FATAL => 'all';

use JSON::PP;
use MemAI::Gateway;
use MemAI::Jobs qw(wait_until);
use MemAI::Session;
use Test::More;
use Time::HiRes qw(sleep time);

my ($node, $stub) = start_gateway('notify');
my $app = "SET ROLE app; SET memai.user_id = 'ann';";
my @events;

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub granted
{
	my $model = chat_model(@_);
	sql("SELECT memai.grant_model('$model', 'app')");
	return $model;
}

my $client = do { sql('CREATE ROLE app LOGIN IN ROLE memai_user'); MemAI::Session->new($node) };
$client->query($app);
$client->query("SET memai.chat_extract = off");

# reads notifications until one is the last, or there are so many
sub listen_for
{
	my ($many) = @_;
	my $deadline = time + 120;
	@events = () unless $many;
	while (time < $deadline)
	{
		my $out = $client->query('SELECT 1');
		while ($out =~ /notification "([^"]+)" with payload "(\{.*\})" received/g)
		{
			push @events, { %{ decode_json($2) }, channel => $1, bytes => length $2, at => time };
		}
		last if @events && ($events[-1]{done} || ($many && @events >= $many));
		sleep 0.02;
	}
	return @events;
}

sub start
{
	my ($message, $more) = @_;
	my $out = $client->query("SELECT job_id, thread_id, channel FROM memai.chat_notify('$message'" . ($more ? ", $more" : '') . ')');
	my ($row) = $out =~ /^([0-9a-f-]{36}\|.*)$/m;
	return $row ? split(/\|/, $row) : diag($out);
}

# worker(0) ends all workers, worker(1) then starts one, which has the settings of now
sub worker
{
	my ($start) = @_;
	sql('SELECT memai.stop_worker()');
	wait_until($node, q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'memai worker'}, 0) or die 'a worker does not end';
	sql('SELECT memai.start_worker()') if $start;
	return;
}

sub text { return join('', map { $_->{delta} // '' } @events) }

# ---- a worker speaks ----
sql('SELECT memai.start_worker()');
my $drip = granted('drip', 12, 500);
$stub->reset;
my ($job, $thread, $channel) = start('Tell me a story', "model => '$drip'");
like($channel, qr/^memai_[0-9a-f]{32}$/, 'a channel that nobody can guess');
is(sql("SELECT e.role, e.content, m.thread_id = '$thread' FROM memai.message m JOIN memai.episode e ON e.id = m.id"), 'user|Tell me a story|t', 'the message is stored at once');
unlike(sql("SELECT payload FROM memai.job WHERE id = '$job'"), qr/story/, 'and does not stand in the job');
listen_for(3);
# it has one for a moment for each piece that it sends, and the model speaks for six seconds
my $open = q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'memai worker' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)};
ok(wait_until($node, $open, 0), 'no transaction while the model speaks') for 1 .. 3;
is(sql("SELECT status FROM memai.job WHERE id = '$job'"), 'running', 'and it speaks still');
listen_for(100);
my ($request) = $stub->requests;
cmp_ok($request->{sent} - $events[0]{at}, '>', 0.3, 'the first piece is there long before the last word was sent');
is(text(), join('', map { "word$_ " } 0 .. 11), 'all pieces make the answer');
is(join(' ', map { $_->{seq} } @events), join(' ', 1 .. @events), 'they are numbered');
is(scalar(grep { $_->{job_id} eq $job && $_->{channel} eq $channel } @events), scalar @events, 'each names its job');
is($events[-1]{state} . $events[-1]{result}{finish_reason} . $events[-1]{result}{thread_id}, "donestop$thread", 'the last has the result');
is(sql("SELECT e.content, m.finish_reason FROM memai.message m JOIN memai.episode e ON e.id = m.id WHERE e.role = 'assistant'"), text() . '|stop', 'the answer is stored');
is(sql("SELECT status, result ->> 'finish_reason', result ? 'content' FROM memai.job WHERE id = '$job'"), 'done|stop|f', 'the job is done and keeps no text');
is(() = $request->{body} =~ /Tell me a story/g, 1, 'the model read the message once');

# ---- the next one sees the exchange before; recall does not find the message itself ----
($job) = start('And then', "model => '" . granted() . "'");
listen_for();
($request) = ($stub->requests)[-1];
like($request->{body}, qr/"user".{0,20}Tell me a story.*"assistant".{0,20}word0/s, 'a chat without a thread shows the last such exchanges');
is(() = $request->{body} =~ /And then/g, 1, 'and the message once');

# ---- cancelled in mid-stream ----
my $slow = granted('drip', 200, 50);
($job) = start('Stop me', "model => '$slow'");
@events = ();
listen_for(3);
is(sql("$app SELECT memai.cancel_job('$job')"), 'running', 'a job that speaks is cancelled');
listen_for(1000);
is("$events[-1]{state} $events[-1]{result}{finish_reason}", 'cancelled cancelled', 'it says so and ends');
cmp_ok(scalar @events, '<', 150, 'early');
is(sql(q{SELECT e.content, m.finish_reason FROM memai.message m JOIN memai.episode e ON e.id = m.id ORDER BY m.id DESC LIMIT 1}), text() . '|cancelled', 'what was said is stored, marked');

# ---- errors ----
my $refused = granted('status', 401);
($job) = start('no key', "model => '$refused'");
listen_for();
is("$events[0]{seq} $events[0]{state} $events[0]{error}{sqlstate}", '1 failed MA001', 'a failing model is told');
ok($events[0]{done}, 'as the last event');
ok(wait_until($node, "SELECT status, attempts FROM memai.job WHERE id = '$job'", 'failed|1'), 'there is one attempt');
is(sql(q{SELECT count(*) FROM memai.episode WHERE content = 'no key'}), 1, 'and the message stays');
my $broken = granted('hang_stream');
sql("ALTER DATABASE postgres SET memai.http_call_timeout = '1500ms'");
worker(1);
start('hang', "model => '$broken'");
listen_for();
is($events[-1]{seq}, scalar @events, 'an error in mid-stream goes on counting');
is($events[-1]{error}{sqlstate}, 'MA005', 'a model that falls silent');
sql('ALTER DATABASE postgres RESET memai.http_call_timeout');

# ---- a worker that is lost in mid-answer: the next one says so ----
worker(1);
$stub->reset;
@events = ();
($job) = start('Do not stop', "model => '" . granted('drip', 100000, 50) . "'");
listen_for(2);
like(text(), qr/^word0 word1 /, 'an answer has begun');
my $lost = sql(q{SELECT pid FROM memai._worker WHERE job_id IS NOT NULL});
sql("SELECT pg_terminate_backend($lost)");
ok(wait_until($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $lost", 0), 'its worker ends');
worker(1);
listen_for(1000000);
is(join(' ', $events[-1]{job_id} eq $job, $events[-1]{done}, $events[-1]{state}, $events[-1]{error}{sqlstate}, exists $events[-1]{seq} ? 'numbered' : 'no number'),
	'1 1 failed 57P02 no number', 'the next worker tells who listens');
is(sql("SELECT status, sqlstate, attempts FROM memai.job WHERE id = '$job'"), 'failed|57P02|1', 'the job is not tried again');
is(sql(q{SELECT count(*) FROM memai.episode WHERE content = 'Do not stop'}), 1, 'the message stays');

# ---- no transaction either while a remote embedder or router works ----
my $embedder = embed_model(8, 'hold', 'embed');
my $router = chat_model('hold', 'route', 'script', 'route');
my $no_embedder = embed_model(8, 'status', 400);
$stub->script('route', { choices => [ { index => 0, finish_reason => 'stop', message => { role => 'assistant', content => '{"memory": true, "tools": []}' } } ] });
sql("SELECT memai.grant_model(m, 'app') FROM unnest('{$embedder,$router,$no_embedder,$refused}'::text[]) m; SELECT memai.set_default_model('chat', '$router', size => 'small')");
sql("CREATE FUNCTION nothing() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'; SET ROLE app; SELECT memai.register_tool('nothing', 'does nothing', 'public.nothing')");
sql("ALTER DATABASE postgres SET memai.model_default_embed = '$embedder'");
worker(1);
$client->query("SET memai.model_default_embed = '$embedder'");
my $held = sub {
	my ($key, $what) = @_;
	ok($stub->wait_for_request(qr{/hold/$key/}), "$what is asked");
	is(sql(q{SELECT count(backend_xmin), count(backend_xid) FROM pg_stat_activity WHERE application_name = 'memai worker'}), '0|0', "no transaction while $what works");
	$stub->reset;
	$stub->switch($_, $_ eq $key ? 'off' : 'on') for qw(route embed answer);
};
my $answering = granted('hold', 'answer', 'drip', 2, 1);
$stub->reset;
$stub->switch($_, 'on') for qw(route embed answer);
start('Which boat is mine', "model => '$answering', router => 'model'");
$held->('route', 'the router');
$held->('embed', 'the embedder of the question');
$held->('answer', 'the model');
$held->('embed', 'the embedder of the answer');
listen_for();
is(text(), 'word0 word1 ', 'the answer comes');
is($events[-1]{result}{router}{by}, 'model', 'as the router decided');
is(sql("SELECT count(*) FROM memai.episode e JOIN memai.embedding v ON v.scope = e.scope AND v.id = e.id WHERE e.content IN ('Which boat is mine', 'word0 word1 ') AND v.model = '$embedder'"), 2,
	'message and answer have vectors');
$stub->switch($_, 'off') for qw(route embed answer);
sql("SELECT memai.set_default_model('chat', '$refused', size => 'small')");
start('And whose is the other', "model => '$answering', router => 'model'");
listen_for();
is("$events[-1]{result}{router}{by} $events[-1]{result}{finish_reason}", 'rules stop', 'where the router fails the rules decide');
sql("ALTER DATABASE postgres SET memai.model_default_embed = '$no_embedder'");
worker(1);
start('Who knows', "model => '$answering'");
listen_for();
like($events[-1]{error}{sqlstate}, qr/^MA/, 'an embedder that fails is told');
worker(0);
sql("ALTER DATABASE postgres RESET memai.model_default_embed; SELECT memai.set_default_model('chat', 'local/extract', size => 'small')");
$client->query('RESET memai.model_default_embed');

# ---- long pieces, in the foreground ----
my $chunk = sub { return "data: " . JSON::PP->new->ascii->encode($_[0]) . "\n\n" };
my $long = join('', map { "\x{1F600}\"\\\n\x01 line $_\x{e9} " } 1 .. 2000);
$stub->script('long', { stream => join('', $chunk->({ choices => [ { index => 0, delta => { content => $long } } ] }),
	$chunk->({ choices => [ { index => 0, delta => {}, finish_reason => 'stop' } ], usage => { prompt_tokens => 7, completion_tokens => 4 } }), "data: [DONE]\n\n") });
($job) = start('long', "model => '" . granted('script', 'long') . "'");
my $runner = MemAI::Session->new($node);
$runner->query('SET ROLE app');
like($runner->query('CALL memai.run_jobs()'), qr/1 jobs done/, 'run_jobs does it too');
listen_for();
ok(text() eq $long, 'a long piece arrives in parts');
cmp_ok((sort { $b <=> $a } map { $_->{bytes} } @events)[0], '<', 8000, 'that fit into notifications');

# ---- tools ----
my $calls = join('', $chunk->({ choices => [ { index => 0, delta => { role => 'assistant', content => 'Let me see. ' } } ] }),
	$chunk->({ choices => [ { index => 0, delta => { tool_calls => [ { index => 0, id => 'c1', type => 'function', function => { name => 'add_one', arguments => '{"n": 41}' } } ] } } ] }),
	$chunk->({ choices => [ { index => 0, delta => {}, finish_reason => 'tool_calls' } ] }), "data: [DONE]\n\n");
my $answer = join('', $chunk->({ choices => [ { index => 0, delta => { content => 'It is 42.' } } ] }),
	$chunk->({ choices => [ { index => 0, delta => {}, finish_reason => 'stop' } ] }), "data: [DONE]\n\n");
$stub->script('tools', { stream => $calls }, { stream => $answer });
sql(q{CREATE FUNCTION add_one(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$SELECT n + 1$$;
	SET ROLE app; SELECT memai.register_tool('add_one', 'adds one', 'public.add_one')});
start('41 + 1?', "model => '" . granted('script', 'tools') . "', tools => '[\"add_one\"]'");
$runner->query('CALL memai.run_jobs()');
listen_for();
is(text(), 'Let me see. It is 42.', 'a tool is run between two streams');
is($events[-1]{result}{tools_invoked}[0]{content}, '42', 'and the last event has its result');

# ---- what is refused; own channels; a message that is gone ----
like($client->query("SELECT memai.chat_notify('x', on_error => 'null')"), qr/ERROR:  0A000/, 'on_error is refused');
like($client->query("SELECT memai.chat_notify('x', channel => '')"), qr/ERROR:  22023/, 'an empty channel');
like($client->query("SELECT memai.chat_notify('x', channel => repeat('x', 64))"), qr/ERROR:  22023/, 'a long one');
like($client->query("SELECT memai.chat_notify('x', temperature => 3)"), qr/ERROR:  22023/, 'wrong arguments are refused at once');
is($client->query("BEGIN; SELECT count(*) FROM memai.chat_notify('never'); ROLLBACK; SELECT count(*) FROM memai.job WHERE finished_at IS NULL"), "1\n0", 'what is rolled back is not answered');
$client->query('LISTEN mine');
my ($own, undef, $name) = start('own', "channel => 'mine'");
is($name, 'mine', 'a channel of the caller');
sql("$app SELECT memai.forget(id) FROM memai.episode WHERE content = 'own'");
$runner->query('CALL memai.run_jobs()');
listen_for();
is("$events[-1]{channel} $events[-1]{error}{sqlstate}", 'mine 22023', 'a message that was forgotten is not answered');

$_->close for $client, $runner;
$stub->stop;
$node->stop;
done_testing();
