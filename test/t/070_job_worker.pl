# The same jobs under a dynamic worker, a preloaded worker and run_jobs, with
# the same results; waking; what ends or survives a worker.  Rows BW1, BW2, BW4,
# BW6, BW8, BW9, BW11, BW12, BW15, RL10 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Jobs;
use MemAI::Processes;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $users = 60;

sub new_node
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\nmemai.worker_restart_delay = '50ms'\n$conf");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION memai');
	return $node;
}

my $workers = q{SELECT count(*) FROM memai.worker_status};

# documents, a table with vectors, one with chunks, and a schedule that is due at once
sub submit_ingestion
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{
		SET ROLE app;
		SELECT count(memai.add_document('# Guide ' || i || E'\n\n' || repeat('A sentence of guide ' || i || '. ', 200), source_uri => 'guide ' || i,
			user_id => 'reader', background => true)) FROM generate_series(1, 5) i});
	$node->safe_psql('postgres', q{
		CREATE TABLE item (id integer PRIMARY KEY, x text); INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 200) i;
		SELECT memai.create_vectorizer('item', '{x}');
		CREATE TABLE page (id integer PRIMARY KEY, x text); INSERT INTO page SELECT i, repeat('Page ' || i || ' says this. ', 20) FROM generate_series(1, 20) i;
		SELECT memai.create_vectorizer('page', '{x}', chunking => '{"size": 50}');
		SELECT memai.schedule_insight('items', '1 hour', query => 'SELECT count(*) AS items FROM public.item', user_id => 'reader');
		UPDATE memai.job SET run_after = now(), cancel_requested = false WHERE kind = 'schedule'});
	return;
}

# what came of it, without what differs from run to run
sub ingestion_results
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{
		SELECT kind, status, attempts, result, done, total, count(*) FROM memai.job WHERE kind = 'ingest' GROUP BY 1, 2, 3, 4, 5, 6;
		SELECT kind, status, count(*) > 0 FROM memai.job WHERE kind IN ('vectorize', 'schedule') GROUP BY 1, 2 ORDER BY 1, 2;
		SELECT content FROM memai.memory WHERE user_id = 'reader' ORDER BY 1;
		SELECT d.source_uri, c.chunks, c.embedded, c.status FROM memai.chunk_status c JOIN memai.document d ON d.id = c.document_id ORDER BY 1;
		SELECT count(*), md5(string_agg(e.content || v.embedding::text, ',' ORDER BY e.content)) FROM memai.episode e
			JOIN memai.embedding v USING (scope, id) WHERE e.document_id IS NOT NULL;
		SELECT count(embedding), md5(string_agg(embedding::text, ',' ORDER BY id)) FROM item;
		SELECT count(*), count(embedding), md5(string_agg(id || '/' || chunk || content || embedding::text, ',' ORDER BY id, chunk)) FROM page_chunk;
		SELECT name, pending, failed, done FROM memai.vectorizer_status ORDER BY name});
}

# ---- three ways to do the same jobs ----
my (%node, %result);
$node{procedure} = new_node('procedure', '');
$node{dynamic} = new_node('dynamic', '');
$node{preloaded} = new_node('preloaded', "shared_preload_libraries = 'memai'\nmemai.workers = 2\n");
for my $way (qw(procedure dynamic preloaded))
{
	prepare_memories($node{$way}, $users, 3);
	submit_jobs($node{$way}, $users, poison => 1);
	if ($way eq 'procedure')
	{
		my ($result, $out, $err) = $node{$way}->psql('postgres', 'CALL memai.run_jobs()');
		like($err, qr/NOTICE:  60 jobs done, 6 attempts failed/, 'run_jobs says what it did');
	}
	$node{$way}->safe_psql('postgres', 'SELECT memai.start_worker(2)') if $way eq 'dynamic';
	ok(wait_until($node{$way}, 'SELECT count(*) FROM memai.job WHERE finished_at IS NULL', 0), "$way: all jobs finish");
	$result{$way} = job_results($node{$way});
}
like($result{procedure}, qr/user 1\|embed\|local\/hash-384\|done\|1\|\{"model": "local\/hash-384", "embedded": 3\}/, 'jobs have results');
like($result{procedure}, qr/poison 1\|embed\|no such model\|failed\|1\|\|model "no such model" does not exist\|42704/,
	'a job that fails says why, and the others are done (BW2)');
is($result{dynamic}, $result{procedure}, 'dynamic workers and run_jobs store the same');
is($result{preloaded}, $result{procedure}, 'preloaded workers and run_jobs store the same');
# a worker counts a job after it has committed what came of it
ok(wait_until($node{dynamic}, 'SELECT sum(done), sum(failed) FROM memai.worker_status', '60|6'),
	'each job was done once, by one of two workers (BW8)');
is($node{preloaded}->safe_psql('postgres', $workers), 2, 'two preloaded workers');

# ---- and what they ingest ----
for my $way (qw(procedure dynamic preloaded))
{
	submit_ingestion($node{$way});
	$node{$way}->safe_psql('postgres', 'CALL memai.run_jobs()') if $way eq 'procedure';
	ok(wait_until($node{$way}, q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL AND (status = 'running' OR run_after <= now() + interval '5 s')}, 0),
		"$way: documents, vectorizers and a schedule are done");
	$result{$way} = ingestion_results($node{$way});
	$node{$way}->safe_psql('postgres', q{SELECT memai.drop_vectorizer('item'); SELECT memai.drop_vectorizer('page', drop_vectors => true);
		SELECT memai.drop_schedule('items', user_id => 'reader'); DROP TABLE item, page});
}
like($result{procedure}, qr/^ingest\|done\|1\|.*\|5$/m, 'five documents were prepared');
like($result{procedure}, qr/^item\|0\|0\|200\npage\|0\|0\|20$/m, 'all rows have their vectors');
like($result{procedure}, qr/^schedule\|done\|t\nschedule\|waiting\|t$/m, 'the schedule ran and waits for its next time');
is($result{dynamic}, $result{procedure}, 'dynamic workers and run_jobs ingest the same');
is($result{preloaded}, $result{procedure}, 'preloaded workers and run_jobs ingest the same');

# ---- waking, BW9 ----
# slow naps: only a wake-up explains that a job is done soon
for my $way (qw(dynamic preloaded))
{
	$node{$way}->append_conf('postgresql.conf', "memai.worker_naptime = '1h'\n");
	$node{$way}->reload;
	sleep 0.3;
}
my %submit = (
	'a plain commit' => q{SELECT memai.submit_job('embed', user_id => 'w')},
	'a released savepoint' => q{BEGIN; SAVEPOINT a; SELECT memai.submit_job('embed', user_id => 'w'); RELEASE a; COMMIT},
	'a commit after a rolled-back savepoint' => q{BEGIN; SELECT memai.submit_job('embed', user_id => 'w'); SAVEPOINT a;
		SELECT memai.submit_job('embed', user_id => 'never'); ROLLBACK TO a; COMMIT},
	'COMMIT PREPARED' => q{BEGIN; SELECT memai.submit_job('embed', user_id => 'w'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'});
for my $how (sort keys %submit)
{
	for my $way (qw(dynamic preloaded))
	{
		$node{$way}->safe_psql('postgres', 'DELETE FROM memai.job');
		$node{$way}->safe_psql('postgres', $submit{$how});
		ok(wait_until($node{$way}, q{SELECT string_agg(user_id || ' ' || status, ',') FROM memai.job}, 'w done', 10), "$way: $how wakes a worker");
	}
}
my $preloaded = $node{preloaded};
$preloaded->safe_psql('postgres', q{BEGIN; SELECT memai.submit_job('embed', user_id => 'w2'); PREPARE TRANSACTION 'q'});
$preloaded->safe_psql('postgres', q{COMMIT PREPARED 'q'});
ok(wait_until($preloaded, q{SELECT status FROM memai.job WHERE user_id = 'w2'}, 'done', 10), 'COMMIT PREPARED in another session wakes a preloaded worker');
$preloaded->safe_psql('postgres', q{BEGIN; SELECT memai.submit_job('embed', user_id => 'w3'); ROLLBACK});
is($preloaded->safe_psql('postgres', q{SELECT count(*) FROM memai.job WHERE user_id = 'w3'}), 0, 'what is rolled back is not done');

# ---- signals, BW1 ----
my $dynamic = $node{dynamic};
my $pid = $dynamic->safe_psql('postgres', 'SELECT min(pid) FROM memai.worker_status');
# its nap would last for an hour
is($dynamic->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 20000)"), 't', 'an idle worker ends at once');
ok(wait_until($dynamic, $workers, 2, 10), 'the launcher starts another');
$dynamic->safe_psql('postgres', 'DELETE FROM memai.job');
$dynamic->safe_psql('postgres', $submit{'a plain commit'});
ok(wait_until($dynamic, 'SELECT status FROM memai.job', 'done', 10), 'and it works');

# ---- statistics, BW12 ----
ok(wait_until($dynamic, q{SELECT n_tup_upd > 100 FROM pg_stat_user_tables WHERE relname = 'job'}, 't', 10), 'workers report what they changed');

# ---- the extension goes and comes, BW6 ----
$dynamic->append_conf('postgresql.conf', "memai.worker_naptime = '100ms'\n");
$dynamic->reload;
my @pids = split /\n/, $dynamic->safe_psql('postgres', 'SELECT pid FROM memai.worker_status ORDER BY pid');
$dynamic->safe_psql('postgres', q{SELECT pg_reload_conf(); DROP EXTENSION memai; DROP SCHEMA IF EXISTS memai CASCADE; DROP OWNED BY app; DROP ROLE app});
sleep 0.5;
is($dynamic->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'memai worker'}), 2,
	'workers stay while there is no extension');
$dynamic->safe_psql('postgres', 'CREATE EXTENSION memai');
$dynamic->safe_psql('postgres', $submit{'a plain commit'});
ok(wait_until($dynamic, 'SELECT status FROM memai.job', 'done', 20), 'they work for the new extension');
unlike(slurp_file($dynamic->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');

# ---- start and stop ----
my ($result, $out, $err) = $dynamic->psql('postgres', 'SELECT memai.start_worker()');
like($err, qr/NOTICE:  a worker is running already/, 'a second launcher is not started');
is($dynamic->safe_psql('postgres', 'SELECT memai.stop_worker(), memai.stop_worker()'), 't|f', 'stop_worker stops them');
is($dynamic->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'memai%'}), 0, 'all are gone');
($result, $out, $err) = $preloaded->psql('postgres', 'SELECT memai.stop_worker()');
like($err, qr/started by shared_preload_libraries/, 'preloaded workers are not stopped so');
$preloaded->append_conf('postgresql.conf', "memai.workers = 0\n");
$preloaded->reload;
ok(wait_until($preloaded, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'memai worker'}, 0, 20), 'but by their number');

# ---- a database that goes, BW4 ----
my $rounds = $ENV{MEMAI_DROP_ROUNDS} // 5;
for my $round (1 .. $rounds)
{
	$dynamic->safe_psql('postgres', 'CREATE DATABASE short');
	$dynamic->safe_psql('short', 'CREATE EXTENSION memai; SELECT memai.start_worker()');
	sleep 0.02 * $round;
	$dynamic->safe_psql('postgres', 'DROP DATABASE short WITH (FORCE)');
}
ok(wait_until($dynamic, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'memai%'}, 0, 30),
	"workers and launchers of $rounds dropped databases are gone");
unlike(slurp_file($dynamic->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');

# ---- no slots, RL10 ----
my $small = new_node('small', "max_worker_processes = 1\nmax_logical_replication_workers = 0\n");
$small->safe_psql('postgres', 'SELECT memai.start_worker()');
ok(wait_until($small, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'memai launcher%'}, 1, 10), 'the launcher took the only slot');
ok(eval { $small->wait_for_log(qr/WARNING:  (\w+: )?no slot for a memai worker is free/); 1 }, 'it warns that there is none for a worker');
$small->safe_psql('postgres', $submit{'a plain commit'});
$small->safe_psql('postgres', 'CALL memai.run_jobs()');
is($small->safe_psql('postgres', 'SELECT status FROM memai.job'), 'done', 'run_jobs works without a worker');

# ---- postmaster death, BW11 ----
$preloaded->append_conf('postgresql.conf', "memai.workers = 1\n");
$preloaded->reload;
ok(wait_until($preloaded, $workers, 1, 20), 'a worker again');
my $worker = $preloaded->safe_psql('postgres', 'SELECT pid FROM memai.worker_status');
kill 'KILL', postmaster_of($preloaded);
cmp_ok(until_gone($worker), '<', 20, 'a worker is gone soon after the postmaster, whose naps last for an hour');
$preloaded->{_pid} = undef;

done_testing();
