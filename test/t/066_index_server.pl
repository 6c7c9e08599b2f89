# What the server does around the index: memory of builds and scans, cancelling, running out of disk, torn pages,
# killed backends, wal_level minimal, checksums, the same bytes on a standby.
# faults.md: IX10, IX11, IX12, IX16, IX20, WA4, WA5, WA6, WA7, WA8, WA9, WA12, WA13.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use MemAI::Index;
use MemAI::Processes;
use MemAI::Session;

my $kills = $ENV{MEMAI_KILLED_BACKENDS} // 5;

# backends that were killed leave the server to restart by itself
my $node = PostgreSQL::Test::Cluster->new('server');
$node->init(allows_streaming => 1, extra => [ '--data-checksums', '--no-sync' ]);
$node->append_conf('postgresql.conf', <<'CONF');
autovacuum = off
fsync = off
restart_after_crash = on
max_parallel_workers_per_gather = 0
jit = off
CONF
$node->start;
my $options = 'WITH (flat_size = 1000, list_size = 100)';
$node->safe_psql('postgres', vectors(64) . <<"SQL");
CREATE TABLE item (id integer PRIMARY KEY, u integer, v vector(64));
INSERT INTO item SELECT n, n % 50, vec(n) FROM generate_series(1, 6000) n;
SQL

# ---- memory ----
sub memory
{
	my ($pid, $field) = @_;
	my ($kB) = slurp_file("/proc/$pid/status") =~ /^$field:\s+(\d+)/m;
	return $kB;
}
SKIP:
{
	skip 'no /proc', 2 unless -r "/proc/$$/status";
	my $session = MemAI::Session->new($node);
	$session->query('SELECT count(vec(1)) FROM item; SET maintenance_work_mem = 4096');
	my $before = memory($session->{backend}, 'VmHWM');
	# the vectors are 5.6 MB, their codes 2 MB
	$session->query('INSERT INTO item SELECT n, n % 50, vec(n) FROM generate_series(20001, 36000) n', 120);
	$session->query("CREATE INDEX item_v ON item USING memai (v vector_l2_ops) $options", 120);
	my $grown = memory($session->{backend}, 'VmHWM') - $before;
	cmp_ok($grown, '<', 4096 + 4000, "a build of 22,000 rows takes $grown kB more than the session had, maintenance_work_mem being 4 MB");
	$session->close;

	$session = MemAI::Session->new($node);
	my $searches = q{SET enable_seqscan = off; SELECT count(*) FROM generate_series(1, %d) n, LATERAL
		(SELECT id FROM item ORDER BY v <-> (SELECT v FROM item WHERE id = n %% 100 + 1) LIMIT 5) x};
	$session->query(sprintf($searches, 500));
	my $once = memory($session->{backend}, 'RssAnon');
	$session->query(sprintf($searches, 20000), 120);
	my $often = memory($session->{backend}, 'RssAnon');
	cmp_ok($often - $once, '<', 2000, "20,000 searches in a statement: $once kB before, $often kB after");
	$session->close;
}

# ---- cancelling: the time it takes is bounded by what the server is doing, not by the size of the table ----
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 10 = 0');
for my $sql ("CREATE INDEX item_c ON item USING memai (u, v vector_cosine_ops) $options", 'REINDEX INDEX item_v',
	'SELECT count(*) FROM generate_series(1, 1000), LATERAL (SELECT id FROM item ORDER BY v <-> (SELECT vec(3)) OFFSET 0) x')
{
	my $started = time;
	my (undef, undef, $stderr) = $node->psql('postgres', "SET enable_seqscan = off; SET statement_timeout = 10; $sql");
	like($stderr, qr/statement timeout/, substr($sql, 0, 12) . ' is cancelled');
	cmp_ok(time - $started, '<', 3, 'at once');
}
is(in_order($node, 'item_v'), '', 'the index is in order after cancelled builds');
my (undef, undef, $stderr) = $node->psql('postgres',
	"SET statement_timeout = 10; CREATE INDEX CONCURRENTLY item_c ON item USING memai (u, v vector_cosine_ops) $options");
like($stderr, qr/statement timeout/, 'CREATE INDEX CONCURRENTLY is cancelled');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('item_c') AND indisvalid}), 0,
	'and leaves no valid index');
$node->safe_psql('postgres', 'DROP INDEX IF EXISTS item_c');
$node->safe_psql('postgres', "CREATE INDEX CONCURRENTLY item_c ON item USING memai (u, v vector_cosine_ops) $options");
is(in_order($node, 'item_v', 'item_c'), '', 'that can be dropped and made again');

# ---- no space: a limit on the size of files stands in for a full disk ----
SKIP:
{
	skip 'no prlimit', 3 unless -x '/usr/bin/prlimit';
	my $session = MemAI::Session->new($node);
	my $limit = $node->safe_psql('postgres', q{SELECT pg_relation_size('item_v') + 8192 * 3});
	$node->safe_psql('postgres', 'CREATE TABLE log (id integer)');
	system('prlimit', '--pid', $session->{backend}, "--fsize=$limit") == 0 or die 'prlimit';
	my $answer = $session->query('INSERT INTO item SELECT n, 1, vec(n % 500) FROM generate_series(100001, 101500) n');
	like($answer, qr/could not (extend|write)/, 'a full disk is an error');
	is(in_order($node, 'item_v', 'item_c'), '', 'the indexes are in order');
	$session->close;
	$node->safe_psql('postgres', 'INSERT INTO item SELECT n, 1, vec(n % 500) FROM generate_series(100001, 100500) n');
	is(in_order($node, 'item_v', 'item_c'), '', 'and grow when there is space again');
}

# ---- backends are killed while they insert: acknowledged rows stay ----
my ($lost, $damaged) = (0, 0);
my $next = 200001;
for my $n (1 .. $kills)
{
	my $session = MemAI::Session->new($node);
	$session->query("INSERT INTO item SELECT n, n % 50, vec(n) FROM generate_series($next, $next + 49) n");
	$next += 50;
	$session->send("INSERT INTO item SELECT n, n % 50, vec(n) FROM generate_series($next, $next + 4999) n");
	usleep(20000 + 7000 * ($n % 13));
	kill_backend($node, $session->{backend});
	$session->close;
	my $rows = $node->safe_psql('postgres', "SELECT count(*) FROM item WHERE id >= $next - 50");
	$lost++ if $rows < 50;
	$damaged++ if in_order($node, 'item_v', 'item_c') ne '';
	$next += 5000;
}
is($lost, 0, "no row lost with $kills killed backends");
is($damaged, 0, 'and the indexes are in order after each');

# ---- unlogged: empty after a crash, and usable ----
$node->safe_psql('postgres', <<"SQL");
CREATE UNLOGGED TABLE unlogged (id integer, v vector(64));
CREATE INDEX unlogged_v ON unlogged USING memai (v vector_l2_ops) $options;
INSERT INTO unlogged SELECT n, vec(n) FROM generate_series(1, 1500) n;
SQL

# ---- a torn page: its second half is from before the checkpoint; the log has it whole ----
$node->safe_psql('postgres', 'CHECKPOINT');
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('item_v')});
my $old = slurp_file($file);
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 1; INSERT INTO item SELECT n, 7, vec(n) FROM generate_series(900001, 900400) n');
$node->safe_psql('postgres', 'VACUUM item');
# evicts, so that changed pages are in the file
$node->safe_psql('postgres', 'SELECT count(*) FROM item; SELECT pg_switch_wal()');
kill_server($node);
my $new = slurp_file($file);
my $torn = 0;
for (my $at = 0; $at < length($old); $at += 8192)
{
	next if substr($old, $at, 8192) eq substr($new, $at, 8192);
	substr($new, $at + 4096, 4096) = substr($old, $at + 4096, 4096);
	$torn++;
}
open my $out, '+<:raw', $file or die $!;
print $out $new;
close $out;
$node->start;
cmp_ok($torn, '>', 0, "$torn torn pages");
is(in_order($node, 'item_v', 'item_c', 'unlogged_v'), '', 'torn pages are made whole by the log');
is($node->safe_psql('postgres', 'SELECT count(*) FROM unlogged'), 0, 'an unlogged table is empty after a crash');
$node->safe_psql('postgres', 'INSERT INTO unlogged SELECT n, vec(n) FROM generate_series(1, 500) n');
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM unlogged ORDER BY v <-> vec(1)) x'),
	500, 'and its index takes rows');

# ---- a server killed during a build, or just before its commit: no index ----
{
	my $session = MemAI::Session->new($node);
	$session->send("BEGIN; CREATE INDEX item_d ON item USING memai (v vector_ip_ops) $options");
	usleep(50000);
	kill_server($node);
	$session->close;
	$node->start;
	is($node->safe_psql('postgres', q{SELECT to_regclass('item_d') IS NULL}), 't', 'a server killed during a build has no index');
	is(in_order($node, 'item_v', 'item_c'), '', 'and the others are in order');
}

# ---- a standby has the same bytes ----
$node->backup('base', backup_options => ['--no-sync']);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 4 = 1');
$node->safe_psql('postgres', 'VACUUM item');
$node->safe_psql('postgres', 'INSERT INTO item SELECT n, n % 3, vec(n) FROM generate_series(950001, 953000) n');
$node->safe_psql('postgres', 'UPDATE item SET v = vec(id + 1) WHERE id % 9 = 2');
$node->safe_psql('postgres', 'VACUUM item');
# with workers, of which none writes to the index
$node->safe_psql('postgres', "ALTER TABLE item SET (parallel_workers = 2); CREATE INDEX item_w ON item USING memai (v vector_cosine_ops) $options");
$node->safe_psql('postgres', 'UPDATE item SET v = vec(id + 2) WHERE id % 90 = 3');
my @files = map { $node->safe_psql('postgres', "SELECT pg_relation_filepath('$_')") } qw(item_v item_c item_w);
$node->wait_for_catchup($standby, 'replay');
$node->stop('fast');
$standby->stop('fast');
my ($pages, $differ) = (0, 0);
for my $path (@files)
{
	my @images = map { slurp_file($_->data_dir . "/$path") } $node, $standby;
	$differ++ if length($images[0]) != length($images[1]);
	for (my $at = 0; $at < length($images[0]); $at += 8192)
	{
		# but for LSN and checksum, and nothing is in the hole that generic WAL leaves out
		my ($lower, $upper) = unpack('x12vv', substr($images[0], $at, 16));
		my @bodies = map { substr($_, $at + 10, 8182) } @images;
		$differ++ if $bodies[0] ne $bodies[1];
		$differ++ if substr($images[0], $at, 8192) ne "\0" x 8192 && $lower < $upper;
		$pages++;
	}
}
is($differ, 0, "$pages pages are the same on the standby");
command_ok([ 'pg_checksums', '--check', '-D', $_->data_dir ], 'checksums are right') for $node, $standby;

# ---- wal_level minimal: a table and its index that are made and filled in one transaction are not logged ----
$node->append_conf('postgresql.conf', "wal_level = minimal\nmax_wal_senders = 0\nwal_skip_threshold = 0\nfsync = on\n");
$node->start;
$node->safe_psql('postgres', <<"SQL");
BEGIN;
CREATE TABLE made (id integer, v vector(64));
CREATE INDEX made_v ON made USING memai (v vector_l2_ops) $options;
INSERT INTO made SELECT id, v FROM item LIMIT 3000;
SAVEPOINT s;
INSERT INTO made SELECT id, v FROM item LIMIT 300;
ROLLBACK TO s;
INSERT INTO made SELECT id, v FROM item LIMIT 300;
COMMIT;
BEGIN;
TRUNCATE made;
INSERT INTO made SELECT id, v FROM item LIMIT 2000;
COMMIT;
SQL
kill_server($node);
$node->start;
is(in_order($node, 'made_v', 'item_v'), '', 'wal_level minimal: the index is in order after a crash');
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM made ORDER BY v <-> vec(1)) x'),
	2000, 'wal_level minimal: and has all rows');
$node->stop('fast');
done_testing();
