# remember_messages(infer => true): a job asks the chat model later, once for all
# that waits.  The test is the model server, and sees what happens meanwhile.
use strict;
use warnings FATAL => 'all';
use IO::Socket::INET;
use JSON::PP;
use MemAI::Session qw(can_accept);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('extract');
$node->init;
$node->start;
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "cannot listen: $!";
my $port = $listener->sockport;
my $call;

# the question of the next call; undef when none comes
sub question
{
	my ($timeout) = @_;
	can_accept($listener, $timeout // 60) or return;
	$call = $listener->accept;
	my ($length, $body) = (0, '');
	while (my $line = <$call>)
	{
		$length = $1 if $line =~ /^content-length:\s*(\d+)/i;
		last if $line =~ /^\r?\n$/;
	}
	read($call, $body, $length);
	return decode_json($body);
}

sub answer
{
	my $content = ref $_[0] ? encode_json({ operations => [ map { { op => 'ADD', ref => undef, category => undef, slot => undef, valid_at => undef, %$_ } } @{ $_[0] } ] }) : $_[0];
	my $reply = encode_json({ id => 'x', object => 'chat.completion', created => 1, model => 'scripted',
		choices => [ { index => 0, message => { role => 'assistant', content => $content }, finish_reason => 'stop' } ],
		usage => { prompt_tokens => 1, completion_tokens => 1, total_tokens => 2 } });
	print $call "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " . length($reply) . "\r\n\r\n$reply";
	close($call);
	return;
}

sub said { return $_[0]->{messages}[1]{content} }

sub sql { return $node->safe_psql('postgres', $_[0]) }

my $job = q{SELECT id FROM memai.job WHERE kind = 'extract' ORDER BY submitted_at DESC LIMIT 1};
my $remember = sub { return sql(qq{SELECT count(*) FROM memai.remember_messages('[{"content": "$_[0]", "occurred_at": "2026-03-10 09:00Z"}]', 'ann', infer => true)}) };

sql(qq{CREATE EXTENSION memai;
	SELECT memai.create_model('scripted', 'chat', 'openai', 'scripted', url => 'http://127.0.0.1:$port/v1');
	SELECT memai.set_default_model('chat', 'scripted')});
my $runner = MemAI::Session->new($node);

# ---- many submissions, one call ----
$remember->($_) for 'We got a dog', 'His name is Rex', 'I love opera';
is(sql('SELECT count(*) FROM memai.job'), 1, 'three calls submit one job');
is(question(0.2), undef, 'and none of them asked the model');
is(sql('SELECT count(*) FROM memai.recall(\'dog\', \'ann\', k => 1)'), 1, 'the messages are found at once');
$runner->send('CALL memai.run_jobs()');
my $asked = question();
like(said($asked), qr/We got a dog.*His name is Rex.*I love opera/s, 'one question for all that waits, in order');
is(sql("SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $runner->{backend}"), 't', 'no snapshot is held while the model thinks');
is(sql("SELECT count(*) FROM pg_locks WHERE pid = $runner->{backend} AND granted AND locktype NOT IN ('virtualxid')"), 0, 'and no lock');
# one of the messages goes meanwhile
sql(q{SELECT memai.forget(id, 'ann') FROM memai.episode WHERE content = 'I love opera'});
answer([ { content => 'Has a dog called Rex', quote => 'His name is Rex' }, { content => 'Loves opera', quote => 'I love opera' },
	{ content => 'Is rich', quote => 'I am rich' } ]);
like($runner->answer(60), qr/1 jobs done/, 'the job is done');
is(sql('SELECT content, provenance FROM memai.memory'), 'Has a dog called Rex|inference', 'what holds is applied; what stands in no message, or in one that is gone, is not');
is(sql("SELECT result FROM memai.job"), '{"calls": 1, "applied": 1, "refused": 2, "messages": 2, "passed_over": 0}', 'the job says what it did');
is(sql('SELECT count(*) FROM memai.episode WHERE extract_with IS NOT NULL'), 0, 'no message waits');
is(sql('SELECT event FROM memai.memory_history WHERE job_id = (SELECT id FROM memai.job)'), 'ADD', 'the history names the job');

# ---- undo(job) ----
is(sql("SELECT memai.undo(job => ($job), user_id => 'ann')"), 1, 'all that a job did is taken back');
is(sql("SELECT count(*) FROM memai.recall('dog', 'ann', layer => 'memory')"), 0, 'it is not recalled');
is(sql("SELECT memai.undo(job => memai.new_id(), user_id => 'ann')"), 0, 'an unknown job did nothing');

# ---- what memai put into a message is no news ----
sql(q{SELECT memai.remember('Drives a Volvo', 'ann')});
my $context = sql(q{SELECT memai.context('What does she drive? Volvo', 'ann')});
like($context, qr/Drives a Volvo/, 'a context with the memory');
sql(qq{SELECT memai.remember_messages(jsonb_build_array(jsonb_build_object('content', \$c\$$context\$c\$ || ' I painted it red')), 'ann', infer => true)});
$runner->send('CALL memai.run_jobs()');
$asked = said(question());
my ($messages) = $asked =~ /^MESSAGES\n(.*)/ms;
unlike($messages, qr/Volvo/, 'what was recalled is cut out of the message');
like($messages, qr/I painted it red/, 'what was said is not');
answer([ { content => 'Drives a Volvo again', quote => 'Drives a Volvo' } ]);
$runner->answer(60);
is(sql(q{SELECT count(*) FROM memai.memory WHERE content LIKE '%again'}), 0, 'and cannot be quoted');

# ---- the question stays short ----
sql(q{SELECT count(memai.remember(repeat('painted ', 200) || i, 'ann', slot => 'slot ' || repeat(md5(i::text), 20) || i)) FROM generate_series(1, 60) i});
$remember->('I painted the house');
$runner->send('CALL memai.run_jobs()');
my $long = question();
my ($preface) = said($long) =~ /^(.*)^MESSAGES/ms;
my $schema = encode_json($long->{response_format});
my $tokens = length($long->{messages}[0]{content} . $preface . $schema) / 4;
cmp_ok($tokens, '<', 2000, "$tokens tokens stand before the messages");
cmp_ok(() = $preface =~ /^\d+: /mg, '==', 10, 'ten memories are among them');
answer([]);
like($runner->answer(60), qr/1 jobs done/, 'no operation is an answer');

# ---- answers that cannot be read ----
$remember->($_) for 'I like tea', 'poison';
$runner->send('CALL memai.run_jobs()');
for my $expected ([ 'tea', 'poison' ], [ 'tea' ], [ 'poison' ])
{
	$asked = said(question()) =~ s/^.*^MESSAGES\n//msr;
	is(join(' ', $asked =~ /(tea|poison)/g), "@$expected", "asked about @$expected");
	answer($asked =~ /poison/ ? 'certainly! {"operations": [' : [ { content => 'Likes tea', quote => 'I like tea' } ]);
}
like($runner->answer(60), qr/1 jobs done/, 'one message that the model cannot deal with is passed over');
is(sql("SELECT result ->> 'passed_over' FROM memai.job WHERE id = ($job)"), 1, 'and counted');
is(sql('SELECT count(*) FROM memai.episode WHERE extract_with IS NOT NULL'), 0, 'it does not wait for ever');
$remember->('I like coffee');
$runner->send('CALL memai.run_jobs()');
question();
answer('{"operations": 7}');
like($runner->answer(60), qr/1 attempts failed/, 'a model that can deal with none fails the job');
is(sql("SELECT status, sqlstate FROM memai.job WHERE id = ($job)"), 'waiting|MA010', 'which will be tried again');
is(sql('SELECT count(*) FROM memai.episode WHERE extract_with IS NOT NULL'), 1, 'and its message waits');

# ---- the worker does it too ----
sql(q{UPDATE memai.job SET run_after = now() WHERE finished_at IS NULL});
sql('SELECT memai.start_worker()');
ok(question(), 'the worker asks');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE '%worker%' AND application_name LIKE '%memai%' AND xact_start IS NOT NULL}), 0, 'without a transaction');
answer([ { content => 'Likes coffee', quote => 'I like coffee' } ]);
is(sql("SELECT memai.wait_for(($job), 'ann')"), 'done', 'and finishes the job');
is(sql(q{SELECT count(*) FROM memai.recall('coffee', 'ann', layer => 'memory', k => 1) WHERE content = 'Likes coffee'}), 1, 'the memory is recalled');

# ---- inline ----
$runner->send(q{SELECT count(*) FROM memai.remember_messages('[{"content": "I play chess"}]', 'ann', infer => true, wait => true)});
question();
answer([ { content => 'Plays chess', quote => 'I play chess' } ]);
is($runner->answer(60), 1, 'wait => true asks in the statement');
is(sql(q{SELECT count(*) FROM memai.memory WHERE content = 'Plays chess'}), 1, 'and applies the answer');
is(sql(q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL}), 0, 'without a job');

$runner->close;
$node->stop;
done_testing();
