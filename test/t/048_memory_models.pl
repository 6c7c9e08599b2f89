# Another embedding model without a pause: filled in the background while the old
# one serves, made the default when all is there, resumed after its worker was
# killed, and taken back; and a rerank model that orders what recall found.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use MemAI::Jobs;
use MemAI::Session;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my ($node, $stub) = start_gateway('models', conf => "memai.http_private_hosts = '127.0.0.1'\nmemai.model_max_retries = 0\n");
$node->safe_psql('postgres', q{
	CREATE ROLE boss LOGIN IN ROLE memai_user, memai_admin;
	CREATE ROLE app LOGIN IN ROLE memai_user});

# runs statements as a role
sub as
{
	my ($role, $sql) = @_;
	return $node->safe_psql('postgres', "SET ROLE $role; $sql");
}

sub status
{
	my ($model) = @_;
	return as('boss', "SELECT is_default, items, vectors, jobs_unfinished, jobs_failed FROM memai.reembed_status('$model')");
}

my $local = 'local/hash-384';
my $recall = q{SELECT content, similarity > 0.2 FROM memai.recall('statement 3', 'user 2', k => 1)};
as('boss', q{SELECT count(memai.remember('statement ' || n || ' of user ' || u, 'user ' || u)) FROM generate_series(1, 12) u, generate_series(1, 5) n});
# it answers four requests, each of the five vectors of a user, and then for a minute none
my $model = embed_model(16, 'tire', 60000, 4, 'half');
$node->safe_psql('postgres', "SELECT memai.grant_model('$model', 'boss'), memai.grant_model('$model', 'app')");

# ---- only administrators switch ----
error_is(run_sql("SET ROLE app; SELECT memai.reembed('$model', switch => true)"), '42501', qr/permission denied/, 'users cannot switch');
is(status($model), 'f|60|0|0|0', 'nothing is made yet');

# ---- killed in the middle ----
is(as('boss', "SELECT memai.reembed('$model', switch => true)"), 12, 'a job a user');
is(as('boss', "SELECT memai.reembed('$model', switch => true)"), 12, 'asked again,');
is(status($model), 'f|60|0|12|0', 'they are the same jobs');
my $worker = MemAI::Session->new($node);
$worker->query("SET ROLE boss; SET application_name = 'filling'");
$worker->send('CALL memai.run_jobs()');
ok(wait_until($node, "SELECT count(*) >= 10 FROM memai.embedding WHERE model = '$model'", 't'), 'vectors are made');
my $half = as('boss', "SELECT count(*) FROM memai.embedding WHERE model = '$model'");
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'filling'});
$worker->close;
ok($half >= 10 && $half < 60, "killed with $half of 60 vectors made");
ok(wait_until($node, q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'filling'}, 0, 20), 'the worker is gone');
like(status($model), qr/^f\|60\|\d+\|\d+\|0$/, 'progress is visible, the old model is the default');
is(as('boss', $recall), 'statement 3 of user 2|t', 'and serves');

# ---- resumed, with something written meanwhile ----
$node->safe_psql('postgres', "SELECT memai.alter_model('$model', url => '" . $stub->url('v1') . "')");
as('boss', q{SELECT memai.remember('statement 6 of user 1', 'user 1'), memai.remember('first of user 99', 'user 99')});
$node->safe_psql('postgres', q{UPDATE memai.job SET run_after = now() WHERE finished_at IS NULL});
as('boss', 'CALL memai.run_jobs()');
is(status($model), 't|62|62|0|0', 'resumed to the end: all vectors are there, the model is the default');
is(as('boss', "SELECT count(*), count(DISTINCT id) FROM memai.embedding WHERE model = '$model'"), '62|62', 'each once');
is(as('boss', q{SELECT count(*) FROM memai.job WHERE result ->> 'switched' = 'done'}), 1, 'one job switched');
like(as('boss', $recall), qr/of user 2\|[tf]$/, 'recall uses it');
as('boss', q{SELECT memai.remember('written with the new model', 'user 3')});
is(as('boss', "SELECT model FROM memai.embedding v JOIN memai.memory m USING (scope, id) WHERE m.content LIKE 'written with%'"), $model, 'and so does remember');

# ---- taken back ----
is(status($local), 'f|63|62|0|0', 'the old model lacks what was written since');
as('boss', "SELECT memai.reembed('$local', switch => true); CALL memai.run_jobs()");
is(status($local), 't|63|63|0|0', 'it is filled and the default again');
is(as('boss', $recall), 'statement 3 of user 2|t', 'and serves');

# ---- not while another tenant lacks vectors ----
as('app', q{SELECT memai.remember('of another tenant', 'eve')});
as('boss', "SELECT memai.reembed('$model', switch => true); CALL memai.run_jobs()");
is(status($local), 't|63|63|0|0', 'no switch while another tenant lacks vectors');
is(as('boss', q{SELECT count(*) FROM memai.job WHERE result ->> 'switched' = 'other tenants lack vectors'}), 1, 'the last job says so');
as('app', "SELECT memai.reembed('$model'); CALL memai.run_jobs()");
as('boss', "SELECT memai.reembed('$model', switch => true); CALL memai.run_jobs()");
is(status($model), 't|63|63|0|0', 'then it is made');
as('boss', "SELECT memai.set_default_model('embed', '$local')");

# ---- a failing model fails its jobs and switches nothing ----
my $broken = embed_model(16, 'status', 400);
$node->safe_psql('postgres', "SELECT memai.grant_model('$broken', 'boss')");
as('boss', "SELECT memai.reembed('$broken', 'user 1', switch => true); CALL memai.run_jobs()");
is(status($broken), 'f|63|0|0|1', 'a failing model: failed jobs, no switch');
is(status($local), 't|63|63|0|0', 'the default stays');

# ---- a text that is refused for good: the others get vectors, nothing is asked for ever ----
my $picky = embed_model(16, 'poison', 400, \'venom');
$node->safe_psql('postgres', "SELECT memai.grant_model('$picky', 'boss')");
my $venom = as('boss', "SELECT memai.remember('a glass of venom', 'user 1')");
as('boss', "SELECT memai.reembed('$picky', 'user 1', switch => true); CALL memai.run_jobs()");
is(as('boss', "SELECT status, result ->> 'refused', result ->> 'switched' FROM memai.job WHERE model = '$picky'"), 'done|1|refused texts lack vectors', 'a refused text: no switch');
is(status($picky), 'f|64|6|0|0', 'the others of the user have vectors');
as('boss', "SELECT memai.forget('$venom', 'user 1')");

# ---- reranking: the stub prefers long documents ----
my $url = $stub->url('v1');
$node->safe_psql('postgres', qq{SELECT memai.create_model('judge', 'rerank', 'jina', 'j', url => '$url'); SELECT memai.grant_model('judge', 'boss')});
as('boss', q{SELECT count(memai.remember('apple ' || repeat('very ', n) || 'ripe ' || n, 'judged')) FROM generate_series(1, 80) n});
$stub->reset;
my @reranked = split /\n/, as('boss', q{SELECT length(content), rerank_score = length(content) / 1000.0 FROM memai.recall('ripe apple', 'judged', k => 5, rerank => 'judge')});
is(scalar @reranked, 5, 'k results');
my @lengths = map { (split /\|/)[0] } @reranked;
is("@lengths", join(' ', sort { $b <=> $a } @lengths), 'in the order of the rerank model');
is(scalar(grep { /\|t$/ } @reranked), 5, 'with its scores');
my ($request) = map { ref $_->{body} ? $_->{body} : decode_json($_->{body}) } $stub->requests;
is(scalar @{ $request->{documents} }, 50, 'of the 50 best');
is($request->{query}, 'ripe apple', 'for the question');
is(as('boss', q{SELECT jsonb_typeof(e -> 'results' -> 0 -> 'rerank') FROM memai.explain_recall('ripe apple', 'judged', rerank => 'judge') e}), 'number', 'explain_recall tells');
is(as('boss', q{SELECT count(*), count(rerank_score) FROM memai.recall('ripe apple', 'judged', k => 60)}), '60|0', 'none without a model');
is(as('boss', q{SELECT count(*), count(rerank_score) FROM memai.recall('ripe apple', 'judged', k => 60, rerank => 'judge')}), '60|60', 'more than 50 when k is more');
is(as('boss', q{SELECT count(*) FROM memai.recall('x', 'nobody', rerank => 'judge')}), 0, 'of nothing nothing');
error_is(run_sql("SET ROLE boss; SELECT * FROM memai.recall('ripe apple', 'judged', rerank => 'no such')"), '42704', qr/does not exist/, 'an unknown model');
error_is(run_sql("SET ROLE boss; SELECT * FROM memai.recall('ripe apple', 'judged', rerank => '$local')"), '42809', qr/./, 'a model of another kind');
error_is(run_sql("SET ROLE app; SELECT * FROM memai.recall('ripe apple', 'judged', rerank => 'judge')"), '42501', qr/./, 'a model that was not granted');

# while the model is asked: no lock but those of reading
my $slow = $stub->url('delay', 6000, 'v1');
$node->safe_psql('postgres', qq{SELECT memai.create_model('slow', 'rerank', 'jina', 'j', url => '$slow'); SELECT memai.grant_model('slow', 'boss')});
my $reader = MemAI::Session->new($node);
$reader->query("SET ROLE boss; SET application_name = 'reranking'");
$stub->reset;
$reader->send(q{SELECT count(*) FROM memai.recall('ripe apple', 'judged', rerank => 'slow')});
for (1 .. 200)
{
	last if (my @asked = $stub->requests);
	sleep 0.05;
}
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT l.mode, ' ' ORDER BY l.mode) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'reranking' AND l.locktype <> 'virtualxid'}),
	'AccessShareLock', 'no lock is held but those of reading');
is($reader->answer, 10, 'and it ends');
$reader->close;
$node->stop;
done_testing();
