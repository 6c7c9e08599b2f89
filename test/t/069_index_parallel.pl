# Parallel workers of CREATE INDEX: that they are there, and what comes of it when one fails or is terminated, when
# the build is cancelled, or the server is killed.  faults.md: IX11, IX20, WA9.
#
# Nothing depends on who is faster.  The indexed expression calls a function that stops a worker at its first row, and the leader
# at its own until a worker has come to one.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Index;
use MemAI::Processes;
use MemAI::Session;

my $node = PostgreSQL::Test::Cluster->new('parallel');
$node->init(extra => ['--no-sync']);
# workers that nobody else takes
$node->append_conf('postgresql.conf', <<'CONF');
autovacuum = off
fsync = off
jit = off
max_parallel_workers_per_gather = 0
max_worker_processes = 16
max_parallel_workers = 8
max_parallel_maintenance_workers = 2
CONF
$node->start;
$node->safe_psql('postgres', vectors(16) . <<'SQL');
CREATE TABLE item (id integer, u integer, v vector(16)) WITH (parallel_workers = 2);
INSERT INTO item SELECT n, n % 2, vec(n) FROM generate_series(1, 1500) n;
CREATE FUNCTION faulty(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
	fault text := current_setting('test.fault', true);
	me integer := pg_backend_pid();
BEGIN
	IF fault <> '' THEN
		PERFORM pg_stat_clear_snapshot();
		IF EXISTS (SELECT FROM pg_stat_activity WHERE pid = me AND leader_pid IS NOT NULL) THEN
			IF fault = 'error' THEN
				RAISE EXCEPTION 'a fault in a worker';
			END IF;
			PERFORM pg_advisory_xact_lock_shared(1);
		END IF;
		WHILE (SELECT phase FROM pg_stat_progress_create_index WHERE pid = me) = 'building index: reading and encoding rows'
			AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE leader_pid = me AND wait_event = 'advisory') LOOP
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
	END IF;
	RETURN v;
END $$;
SQL
my $options = 'WITH (flat_size = 500, list_size = 60)';
my %columns = (item_v => '(faulty(v) vector_l2_ops)', item_u => '(u, faulty(v) vector_l2_ops)');
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'};

# of sorts and stores
sub temporary_files { return scalar(my @files = glob $node->data_dir . '/base/pgsql_tmp/*') }

for my $index (sort keys %columns)
{
	my (undef, undef, $stderr) = $node->psql('postgres',
		"SET client_min_messages = debug1; CREATE INDEX $index ON item USING memai $columns{$index} $options");
	like($stderr, qr/building index "$index" with 2 parallel workers/, "$index is built with workers");
	is(in_order($node, $index), '', 'it is in order');
	(undef, undef, $stderr) = $node->psql('postgres', "SET max_parallel_workers = 0; SET client_min_messages = debug1; REINDEX INDEX $index");
	unlike($stderr, qr/parallel workers/, 'without any when none can be had');
	is(in_order($node, $index), '', 'it is in order as well');
	$node->safe_psql('postgres', "DROP INDEX $index");
}

# one session keeps a lock that the workers of the other wait for, so that these stay where they are
my $holder = MemAI::Session->new($node);
my $session;

# begins a statement, and comes back when the leader has done its share and waits for the workers
sub begin_build
{
	my ($statement) = @_;
	$holder->query('SELECT pg_advisory_lock(1)');
	$session = MemAI::Session->new($node);
	$session->query(q{SET test.fault = 'wait'});
	$session->send($statement);
	$node->poll_query_until('postgres', "SELECT wait_event = 'ParallelCreateIndexScan' FROM pg_stat_activity WHERE pid = $session->{backend}")
		or die 'the leader does not come to wait';
	return;
}

sub end_build
{
	my $answer = $session->answer(180) // 'no answer';
	$holder->query('SELECT pg_advisory_unlock(1)');
	$session->close;
	return $answer;
}

for my $index (sort keys %columns)
{
	my $create = "CREATE INDEX $index ON item USING memai $columns{$index} $options";
	my (undef, undef, $stderr) = $node->psql('postgres', "SET test.fault = 'error'; SET statement_timeout = '180s'; $create");
	like($stderr, qr/a fault in a worker.*parallel worker/s, "$index: an error of a worker is the leader's");

	begin_build($create);
	is($node->safe_psql('postgres', "SELECT phase, tuples_done > 0 FROM pg_stat_progress_create_index WHERE pid = $session->{backend}"),
		'building index: ' . ($index eq 'item_u' ? 'sorting by key' : 'reading and encoding rows') . '|t', "$index: progress shows how far the leader is");
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{backend})");
	like(end_build(), qr/canceling statement due to user request/, "$index: a build is cancelled while workers are at it");
	is($node->safe_psql('postgres', $workers), 0, 'and they are gone');

	begin_build($create);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE leader_pid = $session->{backend} LIMIT 1");
	like(end_build(), qr/terminating .* due to administrator command.*parallel worker/s, "$index: a terminated worker ends the build");
	is($node->safe_psql('postgres', $workers), 0, 'and the others');

	begin_build($create);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($session->{backend})");
	end_build();
	ok($node->poll_query_until('postgres', "$workers OR pid = $session->{backend}", 0), "$index: workers do not outlive the leader");
	is(temporary_files(), 0, 'no temporary file is left');
	is($node->safe_psql('postgres', "SELECT to_regclass('$index') IS NULL"), 't', 'and no index');

	# rows come and go while the workers of CREATE INDEX CONCURRENTLY read
	begin_build("CREATE INDEX CONCURRENTLY $index ON item USING memai $columns{$index} $options");
	$node->safe_psql('postgres', <<"SQL");
DELETE FROM item WHERE id % 7 = 0;
UPDATE item SET v = vec(id + 1), u = u + 1 WHERE id % 5 = 0;
INSERT INTO item SELECT n, n % 3, vec(n) FROM generate_series(1501, 1800) n;
SQL
	$holder->query('SELECT pg_advisory_unlock(1)');
	is(end_build(), '', "$index is made while rows come and go");
	is(in_order($node, $index), '', 'and has those that are there');
	begin_build("REINDEX INDEX CONCURRENTLY $index");
	$node->safe_psql('postgres', 'INSERT INTO item SELECT n, n % 3, vec(n) FROM generate_series(1801, 1900) n');
	$holder->query('SELECT pg_advisory_unlock(1)');
	is(end_build(), '', "$index is made again");
	is(in_order($node, $index), '', 'and has the new rows');
	$node->safe_psql('postgres', "DROP INDEX $index; DELETE FROM item WHERE id > 1500");
}

# a server killed while workers are at it
$node->safe_psql('postgres', "CREATE INDEX item_v ON item USING memai $columns{item_v} $options");
begin_build("REINDEX INDEX item_v");
kill_server($node);
$session->close;
$holder->close;
$node->start;
is(in_order($node, 'item_v'), '', 'a server killed during a parallel REINDEX has the old index');
is(temporary_files(), 0, 'and no temporary file');
$node->safe_psql('postgres', 'REINDEX INDEX item_v');
is(in_order($node, 'item_v'), '', 'it can be built again');
$node->stop('fast');
done_testing();
