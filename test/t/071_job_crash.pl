# Workers and clusters are killed while jobs are done: none is lost, each result
# is stored once, no provider is asked more than max_attempts times; and while
# a model call waits, the worker has no transaction, snapshot or lock.  Rows
# BW1, BW3, BW7, BW13 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use MemAI::Jobs;
use MemAI::Processes;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $worker_kills = $ENV{MEMAI_WORKER_KILLS} // 10;
my $cluster_kills = $ENV{MEMAI_CLUSTER_KILLS} // 3;
my $users = $ENV{MEMAI_CRASH_JOBS} // 300;
my $samples = $ENV{MEMAI_XMIN_SAMPLES} // 100;
my $max_attempts = 8;

my ($node, $stub) = start_gateway('crash', conf => "shared_preload_libraries = 'memai'\nmemai.workers = 2\nrestart_after_crash = on\n"
	  . "memai.worker_restart_delay = '20ms'\nmemai.http_private_hosts = '127.0.0.1'\nmemai.model_max_retries = 0\n"
	  . "memai.http_attempt_timeout = '10min'\nmemai.http_call_timeout = '10min'\n");
prepare_memories($node, $users, 1);
# Jobs of one model share requests: with several there is more to interrupt.  Calls are long enough for the kills to
# find one, and the more jobs there are, the shorter: those that are lost with a worker are done one by one afterwards.
my $delay = 15 * $worker_kills * 300 / $users;
my @models = map { embed_model(4, 'delay', $delay < 40 ? 40 : int $delay) } 1 .. 10;
my $models = join(', ', map { "'$_'" } @models);
$node->safe_psql('postgres', "SELECT memai.grant_model(m, 'memai_user') FROM unnest(ARRAY[$models]) AS m;
	SELECT memai.set_default_model('embed', '$models[0]');
	CREATE TABLE item (id integer PRIMARY KEY, x text); INSERT INTO item SELECT i, '' FROM generate_series(1, 300) i;
	SELECT memai.create_vectorizer('item', '{x}', model => '$models[1]')");

# memories of every user, documents, and rows of a table
my $documents = 20;
sub submit_all
{
	my ($what) = @_;
	submit_jobs($node, $users, models => \@models, max_attempts => $max_attempts);
	$node->safe_psql('postgres', "UPDATE item SET x = 'row ' || id || ' before $what'; SET ROLE app;
		SELECT count(memai.add_document('Document ' || i || ' before $what.', source_uri => 'doc ' || i, user_id => 'reader ' || i % 3, background => true))
			FROM generate_series(1, $documents) i");
	return;
}

ok(wait_until($node, 'SELECT count(*) FROM memai.worker_status', 2, 20), 'two workers');

my $due_now = q{UPDATE memai.job SET run_after = now() WHERE status = 'waiting' AND run_after > now()};
my $unfinished = q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL};

# what must be true after all of it
sub all_is_stored_once
{
	my ($what) = @_;
	# a job that was interrupted waits a while; there is no need to
	my $done = 0;
	my $deadline = time + 20 + $users * 0.1;
	while (time < $deadline)
	{
		$node->safe_psql('postgres', $due_now);
		last if ($done = $node->safe_psql('postgres', $unfinished) eq '0');
		sleep 0.1;
	}
	ok($done, "$what: all jobs finish");
	is($node->safe_psql('postgres', q{SELECT kind, status, count(*) FROM memai.job WHERE kind <> 'vectorize' OR status <> 'done' GROUP BY 1, 2 ORDER BY 1}),
		"embed|done|$users\ningest|done|$documents", "$what: none is lost");
	is($node->safe_psql('postgres', q{SELECT count(*), bool_and(status = 'ready'), sum(chunks) FROM memai.chunk_status}), "$documents|t|$documents",
		"$what: every document has its chunk, with its vector");
	is($node->safe_psql('postgres', q{SELECT (SELECT sum(pending + failed) FROM memai.vectorizer_status),
		(SELECT count(*) FROM item WHERE (embedding::real[])[1] IS DISTINCT FROM length(x))}), '0|0', "$what: every row has the vector of its text");
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT (scope, id)) FROM memai.embedding e WHERE memory_id IS NOT NULL"),
		"$users|$users", "$what: every result is stored once");
	my %sends;
	for my $request ($stub->requests)
	{
		my $body = ref $request->{body} ? $request->{body} : decode_json($request->{body});
		$sends{$_}++ for @{ $body->{input} };
	}
	is(scalar(grep { /^statement/ } keys %sends), $users, "$what: every text was sent");
	my ($most) = sort { $b <=> $a } values %sends;
	cmp_ok($most, '<=', $max_attempts, "$what: none more often than max_attempts ($most)");
	$stub->reset;
	$node->safe_psql('postgres', "DELETE FROM memai.job; DELETE FROM memai.embedding");
	return;
}

# ---- workers are ended in the middle of jobs, BW1 ----
submit_all('workers are ended');
# the launcher lets more and more time pass before it starts a worker that is lost again and again, until it is not wanted
sub restart_at_once
{
	$node->safe_psql('postgres', 'ALTER SYSTEM SET memai.workers = 0');
	$node->reload;
	wait_until($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'memai worker'}, 0, 60) or die 'workers stay';
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET memai.workers');
	$node->reload;
	return;
}

my $killed = 0;
my $reset_at = 10;
for (1 .. 4 * $worker_kills)
{
	last if $killed == $worker_kills;
	if ($killed >= $reset_at)
	{
		restart_at_once();
		$reset_at += 10;
	}
	sleep 0.05 + rand 0.1;
	$node->safe_psql('postgres', $due_now);
	$killed += $node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM memai.worker_status
		WHERE state = 'running' ORDER BY random() LIMIT 1) AS k});
}
cmp_ok($killed, '>=', $worker_kills / 2, "$killed workers were ended while they had a job");
all_is_stored_once("$killed workers ended");

# ---- the cluster is killed, BW3, BW7 ----
submit_all('the cluster is killed');
for (1 .. $cluster_kills)
{
	sleep 0.3 + rand 0.3;
	$node->stop('immediate');
	$node->start;
}
all_is_stored_once("$cluster_kills immediate shutdowns");

# ---- a worker is killed by the operating system, and the server restarts its processes ----
submit_all('a worker is killed');
ok(wait_until($node, q{SELECT count(*) > 0 FROM memai.worker_status WHERE state = 'running'}, 't', 20), 'a worker has a job');
kill_backend($node, $node->safe_psql('postgres', q{SELECT max(pid) FROM memai.worker_status}));
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server is back after kill -9 of a worker');
all_is_stored_once('kill -9 of a worker');

# ---- while calls wait, BW13 ----
# jobs of one model would share a request, and a worker; the stub holds requests of each, or the first one
my ($slow, $slow_too, $changing) = map { embed_model(4, 'gate', $_) } qw(samples1 samples2 changed);
my $held = embed_model(4, 'pause', 60000, 1, 'terminated');
sub submit_slow_jobs
{
	my (@slow) = @_;
	$node->safe_psql('postgres', 'DELETE FROM memai.job; DELETE FROM memai.embedding; ' . join('; ', map { "SELECT memai.grant_model('$_', 'memai_user')" } @slow));
	$stub->reset;
	submit_jobs($node, 1, model => $_) for @slow;
	for (1 .. 6000)
	{
		return 1 if $stub->requests == @slow;
		sleep 0.02;
	}
	return 0;
}
ok(submit_slow_jobs($slow, $slow_too), 'both workers have a job and wait');
my $seen = $node->safe_psql('postgres', join(";\n", map {
	q{SELECT count(*) FILTER (WHERE a.xact_start IS NOT NULL OR a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL),
		(SELECT count(*) FROM pg_locks l JOIN pg_stat_activity w USING (pid) WHERE w.backend_type = 'memai worker'),
		(SELECT count(*) FROM memai.worker_status WHERE state = 'running')
		FROM pg_stat_activity a WHERE a.backend_type = 'memai worker'; SELECT pg_sleep(0.01)} } 1 .. $samples));
my @samples = grep { /\|/ } split /\n/, $seen;
my $waiting = grep { /\|2$/ } @samples;
my $bad = grep { /\|2$/ && !/^0\|0\|/ } @samples;
is($waiting, $samples, "$waiting samples while both workers wait");
is($bad, 0, 'in none of them a worker has a transaction, a snapshot or a lock');
$node->safe_psql('postgres', 'VACUUM memai.memory');
$stub->open_gate($_) for qw(samples1 samples2);
ok(wait_until($node, $unfinished, 0), 'and then the jobs are done');
is($node->safe_psql('postgres', "SELECT count(*) FROM memai.embedding WHERE model IN ('$slow', '$slow_too')"), 2, 'with their results');

# ---- a worker that is told to end while a call waits ----
ok(submit_slow_jobs($held), 'a worker has a job again and waits');
# the call would last for a minute
is($node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid, 20000) FROM memai.worker_status WHERE state = 'running'}), 't', 'it ends at once');
ok(wait_until($node, q{SELECT count(*) FROM memai.job WHERE status = 'done'}, 1), 'its job is done by another');

# ---- content that changes while the model thinks is not stored with the old vector ----
ok(submit_slow_jobs($changing), 'a call waits');
$node->safe_psql('postgres', q{UPDATE memai.memory SET content = 'something else' WHERE user_id = 'user 1'});
$stub->open_gate('changed');
ok(wait_until($node, $unfinished, 0), 'the job ends');
is($node->safe_psql('postgres', "SELECT count(*) FROM memai.embedding"), 0, 'no vector of a content that is gone');

# ---- a rate limit rests the model, and only that ----
my $limited = embed_model(4, 'status', 429);
$node->safe_psql('postgres', "SELECT memai.grant_model('$limited', 'memai_user'); DELETE FROM memai.job");
submit_jobs($node, 2, model => $limited, max_attempts => 2);
ok(wait_until($node, 'SELECT count(*) > 0 FROM memai.job_status WHERE cooldown_until > now()', 't', 10), 'a model that answers 429 rests');
submit_jobs($node, 1);
ok(wait_until($node, q{SELECT status FROM memai.job WHERE model = 'local/hash-384'}, 'done', 10), 'jobs of other models go on');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'no assertion failed');

done_testing();
