# Storage that fails: reads, writes, the disk's end and fsync, at several points of inserts, vacuum, builds and
# searches. Each is an error that says so, the server goes on, no acknowledged row is lost, and the index is in order
# as soon as storage works again. A failing fsync ends the server, as PostgreSQL means it to; the log has everything.
# faults.md: WA7.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Errno qw(EIO ENOSPC);
use Test::More;
use MemAI::Index;
use MemAI::Session;
use MemAI::SlowDNS;

my ($READS, $WRITES, $SYNCS) = (1, 2, 4);

# ---- what test/stub/failing_io.c is told ----
my $control_file = $PostgreSQL::Test::Utils::tmp_check . '/failing_io';
append_to_file($control_file, "\0" x 4096);
open my $control, '+<:raw', $control_file or die $!;

# the calls fail on files whose names contain this, after so many that succeed; times: -1 for ever
sub fail_io
{
	my ($calls, $error, $before, $times, $name) = @_;
	# off before it is something else
	for my $what (pack('q<5a64', 0, 0, 0, 0, 0, ''), pack('q<5a64', $calls, $error, $before, $times, 0, $name))
	{
		seek $control, 0, 0;
		print $control $what;
		$control->flush;
	}
	return;
}

# how many calls have failed; from now on they succeed
sub end_of_failures
{
	seek $control, 32, 0;
	read $control, my $failed, 8;
	fail_io(0, 0, 0, 0, '');
	return unpack('q<', $failed);
}

$ENV{FAILING_IO} = $control_file;
$ENV{LD_PRELOAD} = MemAI::SlowDNS->build('failing_io');
my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init(extra => [ '--data-checksums', '--no-sync' ]);
# buffers for a small part of the index, so pages are read and written all the time, and by the sessions themselves
$node->append_conf('postgresql.conf', <<'CONF');
autovacuum = off
fsync = on
shared_buffers = 512kB
bgwriter_lru_maxpages = 0
checkpoint_timeout = 1h
max_wal_size = 4GB
maintenance_work_mem = 1MB
max_parallel_workers_per_gather = 0
restart_after_crash = on
jit = off
CONF
$node->start;
delete $ENV{LD_PRELOAD};
my $options = 'WITH (flat_size = 500, list_size = 50)';
$node->safe_psql('postgres', vectors(64) . <<"SQL");
CREATE TABLE source AS SELECT n AS id, n % 40 AS u, vec(n) AS v FROM generate_series(1, 5000) n;
CREATE TABLE item AS SELECT * FROM source WHERE id <= 3500;
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) $options;
CREATE INDEX item_u ON item USING memai (u, v vector_cosine_ops) $options;
-- more than a build of it may keep in memory
CREATE TABLE wide AS SELECT id, u, v || v || v || v AS v FROM source;
CREATE INDEX wide_v ON wide USING memai (u, v vector_l2_ops) $options;
CHECKPOINT;
SQL
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

my $session = MemAI::Session->new($node);
$session->query('SET enable_seqscan = off');
my $next = 10001;		# ids of rows that are being inserted
my $rows = $session->query('SELECT count(*) FROM item');

# a statement while storage fails: its error, or nothing if it got through
sub attempt
{
	my ($sql, @failure) = @_;
	fail_io(@failure);
	my $answer = $session->query($sql, 120);
	my $failed = end_of_failures();
	my ($error) = $answer =~ /(?:ERROR|PANIC|FATAL): +(.*)/;
	return ($error, $failed);
}

# what is wrong after it: nothing
sub wrong
{
	my $count = $session->query('SELECT count(*) FROM item', 120);
	my $found = $session->query('SELECT count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> vec(1)) x', 120);
	my $check = $session->query(check_of('item_v', 'item_u'), 120);
	return join(' ', ($count == $rows ? () : "$count rows instead of $rows"),
		($found == $rows ? () : "$found rows found"), $check =~ /ERROR/ ? $check : ());
}

my $parallel = 'SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 2; '
	. 'ALTER TABLE item SET (parallel_workers = 2); ALTER TABLE wide SET (parallel_workers = 2)';
my %statements = (
	insert => sub { my $sql = "INSERT INTO item SELECT $next + id, u, v FROM source WHERE id <= 250"; $next += 10000; return ($sql, 250) },
	# that many are gone whether or not vacuum gets through
	vacuum => sub {
		my $gone = $session->query("WITH d AS (DELETE FROM item WHERE id % 9 = @{[ $next++ % 9 ]} RETURNING 1) SELECT count(*) FROM d");
		$rows -= $gone;
		return ('VACUUM item', 0);
	},
	build => sub { return ('REINDEX INDEX item_u', 0) },
	'build on disk' => sub { return ('REINDEX INDEX wide_v', 0) },
	# from here on
	'parallel build' => sub { return ("$parallel; REINDEX INDEX item_v", 0) },
	'parallel build on disk' => sub { return ("$parallel; REINDEX INDEX wide_v", 0) },
	search => sub { return ('SELECT count(*) FROM (SELECT id FROM item ORDER BY v <-> vec(7)) x', 0) });

sub paths
{
	return map { $session->query("SELECT pg_relation_filenode('$_')") } qw(item_v item_u);
}

my @failures = ([ 'a read', $READS, EIO ], [ 'a write', $WRITES, EIO ], [ 'a write for want of space', $WRITES, ENOSPC ]);
for my $name ('search', 'insert', 'vacuum', 'build', 'build on disk', 'parallel build', 'parallel build on disk')
{
	# a build writes to a new file, whose name is not known
	my @files = $name =~ /on disk/ ? 'pgsql_tmp' : $name =~ /build/ ? '/base/' : paths();
	# a search writes at most what others have changed
	for my $failure (@failures[ 0 .. ($name eq 'search' ? 0 : 2) ])
	{
		my ($what, $calls, $error) = @$failure;
		my ($happened, @odd) = (0);
		for my $before (0, 4, 25)
		{
			my ($sql, $more) = $statements{$name}->();
			my ($message, $failed) = attempt($sql, $calls, $error, $before, -1, $files[ $before % @files ]);
			$rows += $more unless defined $message;
			$happened++ if $failed;
			push @odd, $message // 'no error' if $failed && ($message // '') !~ /could not (?:read|write|extend|fsync).*: (?:Input\/output error|No space left on device)/;
			push @odd, "without a failure: $message" if !$failed && defined $message;
			my $wrong = wrong();
			push @odd, $wrong if $wrong ne '';
		}
		cmp_ok($happened, '>', 0, "$name: there is $what that fails");
		is("@odd", '', "$name: $what that fails is an error, and no more");
	}
}
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server has been up');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'and no process has died');

# ---- what the index makes of pages that never came to the disk ----
$session->query('CHECKPOINT');
my ($file) = paths();
my ($sql, $more) = $statements{insert}->();
my ($message) = attempt($sql, $READS, EIO, 1000000, -1, $file);
is($message, undef, 'rows are acknowledged');
$rows += $more;
fail_io($SYNCS, EIO, 0, 1, $file);
my $log_size = -s $node->logfile;
$session->query('CHECKPOINT', 60);
$node->wait_for_log(qr/PANIC: .*could not fsync file.*\n(?s:.*)database system is ready to accept connections/, $log_size);
is(end_of_failures(), 1, 'fsync fails, which ends the server');
$session->close;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
$session = MemAI::Session->new($node);
$session->query('SET enable_seqscan = off');
is(wrong(), '', 'all acknowledged rows are there again, and the indexes are in order');
$session->close;
$node->stop;
done_testing();
