# Jobs that wait for remote models: an insight whose chat model and embedder are both
# remote holds no transaction in either call; a review applies what the model decides.
use strict;
use warnings FATAL => 'all';

use JSON::PP;
use MemAI::Gateway;
use MemAI::Session;
use Test::More;
use Time::HiRes qw(sleep);

my ($node, $stub) = start_gateway('kinds');
my $app = "SET ROLE app; SET memai.user_id = 'ann';";

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql('CREATE ROLE app LOGIN IN ROLE memai_user');
my $runner = MemAI::Session->new($node);
$runner->query('SET ROLE app');

# ---- insight: three calls (question, prompt, result), none in a transaction ----
my $chat = chat_model('delay', 2500);
my $embedder = embed_model(4, 'delay', 2500);
sql("SELECT memai.grant_model('$chat', 'app'), memai.grant_model('$embedder', 'app'), memai.set_default_model('embed', '$embedder')");
sql("$app SELECT memai.remember('Ann prefers aisle seats')");
sql(qq{$app SELECT memai.schedule_insight('mood', '1 hour', prompt => 'What does Ann like?', model => '$chat'); UPDATE memai.job SET run_after = now()});
$stub->reset;
$runner->send('CALL memai.run_jobs()');
for my $call (1 .. 3)
{
	for (1 .. 5000) { last if $stub->requests >= $call; sleep 0.01 }
	is(sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $runner->{backend} AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)"), 0,
		"call $call (" . (($stub->requests)[$call - 1]{path} =~ s/.*v1//r) . ') holds no transaction');
}
like($runner->answer(30), qr/1 jobs done/, 'the insight is done');
is(join(' ', map { $_->{path} =~ s/.*v1//r } $stub->requests), '/embeddings /chat/completions /embeddings', 'with three calls');
is(sql("$app SELECT slot, content LIKE 'echo%' FROM memai.memory WHERE slot IS NOT NULL"), 'insight: mood|t', 'its answer is a memory');
is(sql("$app SELECT count(*) FROM memai.embedding e JOIN memai.memory m USING (scope, id) WHERE m.slot = 'insight: mood' AND e.model = '$embedder'"), 1, 'with a vector');
sql("SELECT memai.set_default_model('embed', 'local/hash-384')");

# ---- review ----
sql(q{DELETE FROM memai.job; DELETE FROM memai.memory});
my $home = sql("$app SELECT memai.remember('Ann lives in Oslo', slot => 'home')");
my ($bank, $boat, $coat) = map { sql("$app SELECT memai.remember('$_', depends_on => ARRAY['$home'::uuid])") }
  'Needs a Norwegian bank', 'Has a boat', 'Needs a coat';
sql("$app SELECT memai.supersede('$home', 'Ann lives in Rome')");
is(sql("$app SELECT count(*) FROM memai.review()"), 3, 'three memories need review');
my %number = do { my $i = 0; map { $_ => ++$i } sort $bank, $boat, $coat };
$stub->script('review', map { { choices => [ { index => 0, finish_reason => 'stop', message => { role => 'assistant', content => $_ } } ] } }
	encode_json({ decisions => [ { ref => $number{$bank}, decision => 'ended' }, { ref => $number{$boat}, decision => 'holds' },
		{ ref => $number{$coat}, decision => 'unsure' }, { ref => 99, decision => 'ended' } ] }), 'nonsense');
my $model = chat_model('script', 'review');
sql("SELECT memai.grant_model('$model', 'app')");
$stub->reset;
my $job = sql("$app SELECT memai.submit_job('review', model => '$model')");
like($runner->query('CALL memai.run_jobs()'), qr/1 jobs done/, 'a review is done');
my ($request) = $stub->requests;
like(decode_json($request->{body})->{messages}[1]{content}, qr/"Has a boat", "Ann lives in Oslo", "Ann lives in Rome"/, 'the model sees what a memory rested on and what took its place');
is(sql("SELECT result FROM memai.job WHERE id = '$job'"), '{"ended": 1, "reviewed": 3, "confirmed": 1}', 'what it decided is applied');
is(join(' ', map { sql("$app SELECT status FROM memai.get_memory('$_')") } $bank, $boat, $coat), 'forgotten live needs_review', 'ended, confirmed, left alone');
is(sql("$app SELECT memai.undo(job => '$job')"), 2, 'undo takes back what the job did');
is(join(' ', map { sql("$app SELECT status FROM memai.get_memory('$_')") } $bank, $boat, $coat), 'needs_review needs_review needs_review', 'all of it');
$job = sql("$app SELECT memai.submit_job('review', model => '$model')");
like($runner->query('CALL memai.run_jobs()'), qr/1 attempts failed/, 'an answer that cannot be read fails the attempt');
is(sql("SELECT sqlstate FROM memai.job WHERE id = '$job'"), 'MA010', 'and changes nothing');

# ---- CALL run_jobs says every 10 s how far it is ----
my $long = embed_model(4, 'delay', 11000);
sql("SELECT memai.grant_model('$long', 'app'); DELETE FROM memai.job");
sql("$app SELECT memai.submit_job('embed', model => '$long')");
like($runner->query('CALL memai.run_jobs()'), qr/0 jobs done, and 5 of 5 of a job of kind embed\n.*1 jobs done, 0 attempts failed\n/s, 'CALL run_jobs says how far it is');

$runner->close;
$stub->stop;
$node->stop;
done_testing();
