# Jobs that share requests: memories of many users and small documents in one
# request for all, each stored under its own lease, with its own errors.  Rows
# BW1, BW2, BW12 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use MemAI::Jobs;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $users = 40;
my ($node, $stub) = start_gateway('sharing', conf => "memai.http_private_hosts = '127.0.0.1'\nmemai.model_max_retries = 0\n"
	  . "memai.worker_naptime = '1h'\nmemai.worker_restart_delay = '20ms'\n");
sub db { return $node->safe_psql('postgres', $_[0]) }

# the texts of each request that the stub got
sub sent
{
	return map { my $body = ref $_->{body} ? $_->{body} : decode_json($_->{body}); $body->{input} } $stub->requests;
}

sub model_of
{
	my $model = embed_model(4, @_);
	db("SELECT memai.grant_model('$model', 'memai_user')");
	return $model;
}

prepare_memories($node, $users, 1);
my $unfinished = q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL};

# ---- memories of many users ----
my $model = model_of();
submit_jobs($node, $users, model => $model);
db('CALL memai.run_jobs()');
is(scalar(sent()), 1, 'jobs of many scopes are one request');
is(db(q{SELECT status, attempts, result, done, total, count(*) FROM memai.job GROUP BY 1, 2, 3, 4, 5}),
	qq{done|1|{"model": "$model", "embedded": 1}|1|1|$users}, 'each is done, with its own result');
is(db(qq{SELECT count(*), count(DISTINCT e.scope), bool_and((e.embedding::real[])[1] = length(m.content))
	FROM memai.embedding e JOIN memai.memory m USING (scope, id) WHERE e.model = '$model'}), "$users|$users|t", 'each memory has its own vector');
is(db(qq{SELECT role, count(DISTINCT at), count(DISTINCT user_id), count(*) FROM memai.usage WHERE model = '$model' GROUP BY 1}), "app|1|$users|$users", 'the request is counted for the role that submitted them, for each user');
is(db(qq{SELECT sum(prompt_tokens) FROM memai.usage WHERE model = '$model'}), $stub->tokens->{prompt}, 'with what the provider counts');

# ---- another role's jobs are another request; max_jobs holds ----
db(q{DELETE FROM memai.job; DELETE FROM memai.embedding; CREATE ROLE other LOGIN IN ROLE memai_user; SET ROLE other;
	SELECT memai.remember('statement of another', user_id => 'user 1')});
db('DELETE FROM memai.embedding');
$stub->reset;
submit_jobs($node, 10, model => $model);
db(qq{SET ROLE other; SELECT memai.submit_job('embed', user_id => 'user 1', model => '$model')});
db('CALL memai.run_jobs(4)');
is(db(q{SELECT count(*) FROM memai.job WHERE status = 'done'}), 4, 'no more jobs join than are wanted');
db('CALL memai.run_jobs()');
my @alone = grep { grep { /of another/ } @$_ } sent();
is(scalar @alone, 1, 'the text of another role was sent');
is(scalar @{ $alone[0] }, 1, 'in a request of its own');
is(db(q{SELECT status, count(*) FROM memai.job GROUP BY 1}), 'done|11', 'all are done');

# ---- a text that the model refuses fails its own job, BW2 ----
db('DELETE FROM memai.job; DELETE FROM memai.embedding');
my $picky = model_of('poison', 400, \'of user 7');
submit_jobs($node, $users, model => $picky);
db('CALL memai.run_jobs()');
is(db(q{SELECT status, sqlstate, count(*) FROM memai.job GROUP BY 1, 2 ORDER BY 1}), 'done||' . ($users - 1) . "\nfailed|MA006|1", 'one job fails (BW2)');
is(db(q{SELECT user_id FROM memai.job WHERE status = 'failed'}), 'user 7', 'the one whose text it is');
is(db('SELECT count(*) FROM memai.embedding'), $users - 1, 'the others have vectors');

# ---- a vector that nobody can store is not the others' fault either ----
db('DELETE FROM memai.job; DELETE FROM memai.embedding');
my $odd = model_of('drop');
submit_jobs($node, 3, model => $odd, max_attempts => 1);
$stub->reset;
db('CALL memai.run_jobs()');
is(scalar(sent()), 4, 'after an answer that is wrong each job is tried by itself');
is(db(q{SELECT status, sqlstate, attempts, count(*) FROM memai.job GROUP BY 1, 2, 3}), 'failed|MA010|1|3', 'in the same attempt');

# ---- a server that is down fails all of them, and they share again ----
db('DELETE FROM memai.job');
my $down = model_of('fail', 503, 1, 'sharing');
submit_jobs($node, 10, model => $down);
$stub->reset;
db('CALL memai.run_jobs()');
is(db(q{SELECT status, attempts, sqlstate, count(*) FROM memai.job GROUP BY 1, 2, 3}), 'waiting|1|MA004|10', 'all wait for another attempt');
db(q{DELETE FROM memai._job_cooldown; UPDATE memai.job SET run_after = now()});
db(qq{SELECT memai.reset_model('$down')});
db('CALL memai.run_jobs()');
is(db(q{SELECT status, attempts, count(*) FROM memai.job GROUP BY 1, 2}), 'done|2|10', 'which succeeds');
is(scalar(sent()), 2, 'two requests in all');

# ---- small documents ----
db("DELETE FROM memai.job; DELETE FROM memai.embedding; SELECT memai.set_default_model('embed', '$model')");
$stub->reset;
db(q{SET ROLE app; SELECT count(memai.add_document('Document ' || i || ' is about travel.', source_uri => 'doc ' || i,
	user_id => 'user ' || i % 7, background => true)) FROM generate_series(1, 30) i});
is(scalar(sent()), 0, 'no model is asked in the statement');
db('CALL memai.run_jobs()');
is(scalar(sent()), 1, 'thirty small documents are one request');
is(db(q{SELECT kind, status, count(*) FROM memai.job GROUP BY 1, 2}), 'ingest|done|30', 'each by its own job');
is(db(q{SELECT count(*), bool_and(status = 'ready'), sum(chunks) FROM memai.chunk_status}), '30|t|30', 'all are ready');
# one that is too long to share
$stub->reset;
db(q{SET ROLE app; SELECT memai.add_document((SELECT string_agg('Sentence ' || n || ' of the long one.', E'\n\n') FROM generate_series(1, 4000) n),
	source_uri => 'long', user_id => 'user 1', background => true);
	SELECT count(memai.add_document('Late document ' || i, source_uri => 'late ' || i, user_id => 'user 2', background => true)) FROM generate_series(1, 5) i});
db('CALL memai.run_jobs()');
is(db(q{SELECT count(*) FROM memai.job WHERE status = 'done' AND attempts = 1}), 36, 'a long document and others are done at the first attempt');
is(db(q{SELECT bool_and(status = 'ready') FROM memai.chunk_status}), 't', 'all of them');

# ---- a worker that dies with many jobs loses none, BW1 ----
# which has the first request for a minute
my $slow = model_of('pause', 60000, 1, 'dies');
db('DELETE FROM memai.job; DELETE FROM memai.embedding');
$stub->reset;
submit_jobs($node, 10, model => $slow);
db('SELECT memai.start_worker()');
ok(wait_until($node, q{SELECT count(*) FROM memai.job WHERE status = 'running'}, 10, 20), 'a worker has all of them');
for (1 .. 6000) { last if $stub->requests; sleep 0.02 }
is(scalar(sent()), 1, 'and waits for the model');
is(db(q{SELECT count(*) FROM pg_locks l JOIN memai.worker_status USING (pid)}), 0, 'without a lock');
my $pid = db('SELECT pid FROM memai.worker_status');
db("SELECT pg_terminate_backend($pid, 5000)");
ok(wait_until($node, "SELECT count(*) FROM memai.worker_status WHERE pid <> $pid", 1, 20), 'another worker');
ok(wait_until($node, $unfinished, 0, 60), 'does them');
is(db(q{SELECT status, attempts, count(*) FROM memai.job GROUP BY 1, 2}), 'done|2|10', 'with one attempt lost (BW1)');
is(db(qq{SELECT count(*) FROM memai.embedding WHERE model = '$slow' AND memory_id IS NOT NULL}), 10, 'each memory once');
my %sends;
$sends{$_}++ for map { @$_ } sent();
is_deeply([ sort keys %{ { map { $_ => 1 } values %sends } } ], [2], 'each text was sent twice');
is(scalar(sent()), 11, 'the second time by itself: it might be what killed the worker');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
done_testing();
