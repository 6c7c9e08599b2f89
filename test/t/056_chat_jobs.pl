# What chat leaves to jobs: memories from what users say, summaries of long threads, personas.
use strict;
use warnings FATAL => 'all';

use JSON::PP;
use MemAI::Gateway;
use MemAI::Session;
use Test::More;

my ($node, $stub) = start_gateway('chatjobs');
my $app = 'SET ROLE app; SET memai.user_id = \'ann\';';
my $nth = 0;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# a model that gives these answers in turn
sub answering
{
	my $key = 'answers' . ++$nth;
	$stub->script($key, map { { choices => [ { index => 0, finish_reason => 'stop', message => { role => 'assistant', content => $_ } } ],
		usage => { prompt_tokens => 3, completion_tokens => 2 } } } @_);
	my $model = chat_model('script', $key);
	sql("SELECT memai.grant_model('$model', 'app')");
	return $model;
}

sub operations { return encode_json({ operations => [ map { { ref => undef, category => undef, slot => undef, valid_at => undef, %$_ } } @_ ] }) }

sql(q{CREATE ROLE app LOGIN IN ROLE memai_user});

# ---- what a user says is remembered, for other threads too ----
my $model = answering('How nice!', operations({ op => 'ADD', content => 'Lives in Lisbon', quote => 'I moved to Lisbon' },
	{ op => 'ADD', content => 'Finds it nice', quote => 'How nice' }), 'In Lisbon.', operations());
sql(qq{$app SELECT memai.remember('Ann has a boat called Iris')});
my $first = sql(qq{$app SELECT memai.create_thread(title => 'first')});
my $second = sql(qq{$app SELECT memai.create_thread(title => 'second')});
is(sql(qq{$app SELECT content FROM memai.chat('I moved to Lisbon in May with my boat', thread_id => '$first', model => '$model')}), 'How nice!', 'a chat');
is(sql(q{SELECT kind, model, user_id, submitted_by, status FROM memai.job}), "extract|$model|ann|app|waiting", 'queues one job with the same model');
is(sql(q{SELECT count(*) FROM memai.memory}), 1, 'which was not done in the statement');
$stub->reset;
is(sql("$app CALL memai.run_jobs(); SELECT content, provenance FROM memai.memory ORDER BY created_at DESC LIMIT 1"), 'Lives in Lisbon|inference', 'run_jobs takes the memory');
my ($request) = $stub->requests;
like($request->{body}, qr/user: I moved to Lisbon in May/, 'the model is shown what the user said');
unlike($request->{body} =~ s/.*MESSAGES//sr, qr/How nice|Iris/, 'and neither what it answered nor what was recalled for it');
is(sql(q{SELECT result FROM memai.job}), '{"calls": 1, "applied": 1, "refused": 1, "messages": 1, "passed_over": 0}', 'what stands only in the answer is refused');
is(sql(qq{$app SELECT count(*) FROM memai.chat_preview('Where do I live, in Lisbon?', thread_id => '$second') p
	JOIN memai.memory m ON m.content = 'Lives in Lisbon' AND m.id = ANY (p.memory_ids)}), 1, 'another thread recalls it');
is(sql(qq{$app SELECT content FROM memai.chat('Where do I live, in Lisbon?', thread_id => '$second', model => '$model')}), 'In Lisbon.', 'and answers from it');
sql("$app CALL memai.run_jobs()");
is(sql(q{SELECT count(*) FROM memai.memory WHERE content LIKE '%Lisbon%'}), 1, 'what was recalled is not extracted again');

# ---- not asked for ----
sql("$app SET memai.chat_extract = off; SELECT count(*) FROM memai.chat('quiet', model => '$model')");
sql("$app SELECT count(*) FROM memai.chat('quiet', model => '$model', use_memory => false)");
sql("$app SELECT count(*) FROM memai.chat('quiet')");
is(sql(q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL}), 0, 'chat_extract = off, use_memory => false and local/extract queue nothing');
sql("DELETE FROM memai.job");

# ---- streams and converse do so too ----
my $plain = chat_model();
sql("SELECT memai.grant_model('$plain', 'app')");
sql("$app SELECT memai.chat_stream('a stream', model => '$plain')");
sql("$app CALL memai.converse('a procedure', model => '$plain')");
is(sql(q{SELECT string_agg(content, ',' ORDER BY id) FROM memai.episode WHERE extract_with IS NOT NULL}), 'a stream,a procedure', 'messages of all forms of chat wait');
is(sql(q{SELECT count(*) FROM memai.job}), 1, 'for one job');
sql('DELETE FROM memai.job; UPDATE memai.episode SET extract_with = NULL');

# ---- a summary by a real model: in the worker, without a transaction ----
my $slow = chat_model('delay', 4000);
sql("SELECT memai.grant_model('$slow', 'app')");
my $quick = answering(('yes') x 6);
my $thread = sql(qq{$app SELECT memai.create_thread(title => 'long', model => '$slow')});
sql(qq{$app SET memai.chat_extract = off; SELECT count(memai.chat('turn ' || i, thread_id => '$thread', model => '$quick', max_messages => 4)) FROM generate_series(1, 3) i});
is(sql(q{SELECT kind, model, payload ->> 'keep', submitted_by FROM memai.job}), "summarise|$quick|2|app", 'one job sums up all but the newest');
sql(q{DELETE FROM memai.job});
my $job = sql(qq{$app SELECT memai.submit_job('summarise', '{"thread_id": "$thread", "keep": 2}', model => '$slow')});
sql('SELECT memai.start_worker()');
$stub->reset;
for (1 .. 3000) { last if $stub->requests; select(undef, undef, undef, 0.02) }
($request) = $stub->requests;
like($request->{body}, qr/user: turn 1.*assistant: yes.*user: turn 2/s, 'it asks about the older messages');
unlike($request->{body}, qr/turn 3/, 'and not about those that are kept');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'memai worker' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)}), 0, 'without a transaction');
is(sql("$app SELECT memai.wait_for('$job')"), 'done', 'the worker does the job');
like(sql("SELECT summary FROM memai.thread WHERE id = '$thread'"), qr/^echo/, 'and stores what the model said');
like(sql("$app SELECT messages FROM memai.chat_preview('and?', thread_id => '$thread', max_messages => 4)"), qr/<summary [0-9a-f]+>\\necho/, 'chat shows it in its place');

# ---- a message that is forgotten while the model thinks is in no summary ----
sql("SELECT memai.stop_worker()");
sql(qq{$app SET memai.chat_extract = off; SELECT count(memai.chat('more ' || i, thread_id => '$thread', model => '$quick')) FROM generate_series(1, 3) i});
my $session = MemAI::Session->new($node);
$stub->reset;
$session->query('SET ROLE app');
sql(qq{$app SELECT memai.submit_job('summarise', '{"thread_id": "$thread", "keep": 0}', model => '$slow')});
$session->send('CALL memai.run_jobs(1)');
for (1 .. 3000) { last if $stub->requests; select(undef, undef, undef, 0.02) }
is(sql(qq{$app SELECT memai.forget(id) FROM memai.episode WHERE content = 'more 2'}), 't', 'a message is forgotten while the model reads it');
like($session->answer(30), qr/1 jobs done/, 'the job ends');
is(sql(q{SELECT result FROM memai.job WHERE kind = 'summarise' ORDER BY id DESC LIMIT 1}), '{"calls": 1, "messages": 0, "changed_meanwhile": true}', 'and stores nothing');
is(sql("SELECT summary LIKE '%more 2%' FROM memai.thread WHERE id = '$thread'"), 'f', 'what was there before is there still');
sql(qq{$app SELECT memai.forget(id) FROM memai.messages('$thread') WHERE content = 'turn 1'});
is(sql("SELECT summary IS NULL FROM memai.thread WHERE id = '$thread'"), 't', 'until a message of it is forgotten');

# ---- a persona by a real model; a memory that is forgotten while the model writes it is in none ----
my $writer = answering('Ann sails.', 'Ann has a boat.');
my $build = sub { return sql("$app SELECT memai.build_persona(model => '$_[0]')") };
sql(q{DELETE FROM memai.job});
$stub->reset;
$build->($writer);
sql("$app CALL memai.run_jobs()");
($request) = $stub->requests;
like($request->{body}, qr/<memories [0-9a-f]{16}>\\nAnn has a boat called Iris\\nLives in Lisbon/, 'the model is shown the memories, marked as data');
is(sql("$app SELECT content, version, cardinality(sources), model FROM memai.persona()"), "Ann sails.|1|2|$writer", 'its text is the persona');
$build->($slow);
$stub->reset;
$session->send('CALL memai.run_jobs(1)');
for (1 .. 3000) { last if $stub->requests; select(undef, undef, undef, 0.02) }
is(sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $session->{backend} AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"), 0, 'no transaction while it writes');
is(sql(qq{$app SELECT memai.forget(id) FROM memai.memory WHERE content = 'Lives in Lisbon'}), 't', 'a memory is forgotten meanwhile');
is(sql("$app SELECT count(*) FROM memai.persona()"), 0, 'with the persona that it was in');
$session->answer(30);
is(sql(q{SELECT status, result FROM memai.job ORDER BY id DESC LIMIT 1}), 'done|{"built": true, "sources": 1}', 'the job asks again');
unlike(sql("$app SELECT content FROM memai.persona()"), qr/Lisbon/, 'and nothing of it is in the next one');
is(sql(qq{$app SELECT persona_included FROM memai.chat('hello', model => '$plain')}), 't', 'which chat shows');
$session->close;

$stub->stop;
$node->stop;
done_testing();
