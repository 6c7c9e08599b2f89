# The queue beside the rest of a server: databases that are copied, moved and
# dropped under workers, four workers on one queue, one slow model among others,
# a provider that asks to wait, old jobs, and servers that run no workers.
# Rows BW5, BW8, BW11, BW13, BW15, RL9, RL11 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Jobs;
use MemAI::Processes;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $jobs = $ENV{MEMAI_CLAIM_JOBS} // 200;
my ($node, $stub) = start_gateway('queue', conf => "shared_preload_libraries = 'memai'\nmemai.workers = 4\nmax_worker_processes = 16\n"
	  . "memai.worker_restart_delay = '100ms'\nmemai.http_private_hosts = '127.0.0.1'\nmemai.model_max_retries = 0\n");
my $unfinished = q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL};
my $workers = q{SELECT count(*) FROM memai.worker_status};
ok(wait_until($node, $workers, 4, 20), 'four workers');
prepare_memories($node, 12, 1);

# ---- BW8: four workers, one queue ----
$node->safe_psql('postgres', qq{SET ROLE app; SELECT count(memai.submit_job('embed', user_id => 'user ' || i % 12))
	FROM generate_series(1, $jobs) i});
ok(wait_until($node, $unfinished, 0, 60 + $jobs / 20), 'all jobs finish');
is($node->safe_psql('postgres', q{SELECT status, attempts, count(*) FROM memai.job GROUP BY 1, 2}), "done|1|$jobs", 'each was claimed once (BW8)');
# a worker counts a job after it has committed what came of it
ok(wait_until($node, 'SELECT sum(done), sum(failed), min(done) > 0 FROM memai.worker_status', "$jobs|0|t"), 'by one of four workers that share them');

# ---- old jobs go, failed ones stay ----
$node->safe_psql('postgres', q{DELETE FROM memai.job;
	SELECT memai.submit_job('embed', user_id => 'u', model => m) FROM unnest('{local/hash-384,no such model}'::text[]) m});
ok(wait_until($node, $unfinished, 0, 20), 'one is done and one fails');
$node->append_conf('postgresql.conf', "memai.job_retention = 0\n");
$node->restart;
ok(wait_until($node, q{SELECT string_agg(status, ',') FROM memai.job}, 'failed', 20), 'a worker removes what is done and keeps what failed (RL9)');
$node->append_conf('postgresql.conf', "memai.job_retention = '7d'\n");
$node->reload;
ok(wait_until($node, $workers, 4, 20), 'four workers');

# ---- RL11: one slow model among ten; jobs of kind reembed do not share requests ----
my @model = (embed_model(4, 'delay', 6000), map { embed_model(4) } 1 .. 9);
$node->safe_psql('postgres', "DELETE FROM memai.job; DELETE FROM memai.embedding;"
	  . join(';', map { "SELECT memai.grant_model('$_', 'memai_user')" } @model));
for my $i (0 .. 9)
{
	my $n = $i ? 2 : 12;
	$node->safe_psql('postgres', qq{SET ROLE app; SELECT count(memai.submit_job('reembed', user_id => 'user ' || u, model => '$model[$i]'))
		FROM generate_series(1, $n) u});
	sleep 0.3 unless $i;
}
ok(wait_until($node, qq{SELECT count(*) FROM memai.job WHERE status = 'done' AND model <> '$model[0]'}, 18, 20), 'jobs of nine models are done');
cmp_ok($node->safe_psql('postgres', qq{SELECT count(*) FROM memai.job WHERE finished_at IS NULL AND model = '$model[0]'}), '>=', 6,
	'while most of those of a slow one wait: it never has all workers (RL11)');
is($node->safe_psql('postgres', qq{SELECT max(n) FROM (SELECT (SELECT count(*) FROM memai.job b WHERE b.model = '$model[0]'
	AND b.started_at < a.started_at AND coalesce(b.finished_at, 'infinity') > a.started_at) AS n FROM memai.job a
	WHERE a.model <> '$model[0]') x}) <= 3, 1, 'at most three of four workers wait for it');
$node->safe_psql('postgres', "DELETE FROM memai.job");

# ---- Retry-After rests the model as long as its provider asks ----
my $asks = embed_model(4, 'header', 'Retry-After', 'NzAw', 'status', 429);
$node->safe_psql('postgres', "SELECT memai.grant_model('$asks', 'memai_user')");
$node->safe_psql('postgres', "SET ROLE app; SELECT memai.submit_job('embed', user_id => 'user 1', model => '$asks')");
ok(wait_until($node, qq{SELECT cooldown_until - now() BETWEEN '10 min' AND '700 s' FROM memai.job_status WHERE model = '$asks'}, 't', 20),
	'a model rests for the 700 s that its provider asks');
is($node->safe_psql('postgres', q{SELECT status, run_after - now() BETWEEN '10 min' AND '700 s' FROM memai.job}), 'waiting|t', 'and so does the job');
$node->safe_psql('postgres', 'DELETE FROM memai.job; DELETE FROM memai._job_cooldown');

# ---- BW13: VACUUM of another table while calls wait ----
my $slow = embed_model(4, 'delay', 12000);
$node->safe_psql('postgres', "SELECT memai.grant_model('$slow', 'memai_user'); DELETE FROM memai.embedding; CREATE TABLE other AS SELECT generate_series(1, 1000) AS i");
$node->safe_psql('postgres', qq{SET ROLE app; SELECT count(memai.submit_job('reembed', user_id => 'user ' || u, model => '$slow')) FROM generate_series(1, 3) u});
my $waiting = q{SELECT count(*) FROM memai.worker_status s JOIN pg_stat_activity a USING (pid) WHERE s.state = 'running' AND a.xact_start IS NULL};
ok(wait_until($node, $waiting, 3, 20), 'three workers wait for a model');
is($node->safe_psql('postgres', q{SELECT kind, done, total FROM memai.job_progress LIMIT 1}), 'reembed||', 'they are in job_progress');
$node->safe_psql('postgres', 'DELETE FROM other');
# more than once if need be: somebody who looks for a moment, autovacuum for one, holds it up too
ok(wait_until($node, q{VACUUM other; SELECT pg_relation_size('other')}, 0), 'VACUUM of another table removes what was deleted meanwhile (BW13)');
is($node->safe_psql('postgres', $waiting), 3, 'and they still wait');
ok(wait_until($node, $unfinished, 0, 30), 'then they finish');

# ---- BW5: a database is wanted by somebody else ----
$node->append_conf('postgresql.conf', "memai.worker_naptime = '1h'\n");
$node->reload;
for my $statement ('CREATE DATABASE copy TEMPLATE home', 'ALTER DATABASE home RENAME TO house', 'ALTER DATABASE house RENAME TO home', 'DROP DATABASE home')
{
	if ($statement =~ /^CREATE/)
	{
		$node->safe_psql('postgres', 'CREATE DATABASE home');
		$node->safe_psql('home', 'CREATE EXTENSION memai; SELECT memai.start_worker(2)');
	}
	my $name = $statement =~ /house RENAME/ ? 'house' : 'home';
	ok(wait_until($node, qq{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'memai worker' AND datname = '$name'}, 2, 20), "two workers in $name");
	my ($result, $out, $err) = $node->psql('postgres', $statement);
	is($result, 0, "$statement: idle workers make room (BW5)") or diag($err);
}

# ---- BW15: servers that run no workers ----
$node->stop;
my $single = run_single($node, 'SELECT memai.start_worker();');
like($single, qr/this server runs no background workers/, 'a single-user server refuses to start a worker (BW15)');
command_ok([ 'pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-w', '-o', '-b', 'start' ], 'the server starts as for pg_upgrade');
$node->_update_pid(1);
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'memai%'}), 0, 'without workers (BW15)');
my ($result, $out, $err) = $node->psql('postgres', 'SELECT memai.start_worker()');
like($err, qr/this server runs no background workers/, 'and starts none');
$node->stop;
$node->start;
ok(wait_until($node, $workers, 4, 20), 'four workers again');

# ---- BW11: the postmaster dies while a call waits ----
my $hangs = embed_model(4, 'hang');
submit_jobs($node, 1, model => $hangs);
ok(wait_until($node, $unfinished, 0, 20), 'a model that is not granted fails the job');
$node->safe_psql('postgres', "SELECT memai.grant_model('$hangs', 'memai_user')");
$node->safe_psql('postgres', 'SET ROLE app; SELECT memai.retry_jobs()');
ok(wait_until($node, $waiting, 1, 20), 'a worker waits for a model');
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM memai.worker_status WHERE state = 'running'});
kill 'KILL', postmaster_of($node);
# the call would last for a minute
cmp_ok(until_gone($pid), '<', 20, 'it is gone soon after the postmaster (BW11)');
$node->{_pid} = undef;

# what a single-user server says to a statement
sub run_single
{
	my ($server, $sql) = @_;
	my $output = '';
	IPC::Run::run([ 'postgres', '--single', '-D', $server->data_dir, 'postgres' ], '<', \$sql, '>&', \$output);
	return $output;
}

done_testing();
