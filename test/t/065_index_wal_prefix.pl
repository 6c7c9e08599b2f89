# Every prefix of the write-ahead log is a legal index: the server is restored to points between the
# records of one split, compaction or reuse of pages, and must find the index in order, take rows,
# and vacuum it.  A point within CREATE INDEX leaves no index.  faults.md: WA3, WA10.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Index;

# MEMAI_WAL_TARGETS=1000000 visits every such point
my $targets = $ENV{MEMAI_WAL_TARGETS} // 6;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => [ '--wal-segsize=1', '--no-sync' ]);
$primary->append_conf('postgresql.conf', <<'CONF');
autovacuum = off
fsync = off
jit = off
wal_keep_size = '2GB'
max_wal_size = '2GB'
checkpoint_timeout = '1h'
CONF
$primary->start;
my $options = 'WITH (flat_size = 100, list_size = 32)';
$primary->safe_psql('postgres', vectors(32) . <<"SQL");
CREATE EXTENSION pg_walinspect;
CREATE TABLE item (id integer PRIMARY KEY, u integer, v vector(32));
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) $options;
CREATE INDEX item_u ON item USING memai (u, v vector_cosine_ops) $options;
SQL
$primary->backup('base');

# lists are split by hash and by vector, become routes, are compacted, freed and used again
my $from = $primary->lsn('insert');
for my $sql ('INSERT INTO item SELECT n, n % 40, vec(n) FROM generate_series(1, 500) n',
	'INSERT INTO item SELECT n, 7, vec(n) FROM generate_series(501, 800) n',
	'DELETE FROM item WHERE id % 2 = 0', 'VACUUM item', 'INSERT INTO item SELECT n, n % 3, vec(n) FROM generate_series(801, 1100) n',
	'DELETE FROM item WHERE id < 900', 'VACUUM item', 'UPDATE item SET u = u + 1', 'VACUUM item')
{
	$primary->safe_psql('postgres', $sql);
}
my $to = $primary->lsn('insert');
# of more pages than one record takes
$primary->safe_psql('postgres', 'CREATE TABLE late AS SELECT n AS u, vec(n) AS v FROM generate_series(1, 6000) n');
my $before = $primary->lsn('insert');
$primary->safe_psql('postgres', "CREATE INDEX item_late ON late USING memai (u, v vector_ip_ops) $options");
my $end = $primary->lsn('insert');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');

# records with others of the index on both sides: inserting a row makes one for each index
my @inner = split /\n/, $primary->safe_psql('postgres', <<"SQL");
SELECT start_lsn FROM (SELECT start_lsn, resource_manager,
		lag(resource_manager) OVER w AS before, lead(resource_manager) OVER w AS after
	FROM pg_get_wal_records_info('$from', '$to') WINDOW w AS (ORDER BY start_lsn)) r
WHERE resource_manager = 'Generic' AND before = 'Generic' AND after = 'Generic' ORDER BY 1
SQL
cmp_ok(scalar @inner, '>', 300, 'there are ' . scalar(@inner) . ' points within an operation');
my $step = @inner > $targets ? @inner / $targets : 1;
my @points = map { $inner[ $_ * $step ] } 0 .. ($step > 1 ? $targets : scalar @inner) - 1;
# in the middle of the pages that CREATE INDEX logs
my ($building) = split /\n/, $primary->safe_psql('postgres', <<"SQL");
SELECT start_lsn FROM pg_get_wal_records_info('$before', '$end') WHERE record_type = 'FPI' ORDER BY 1 LIMIT 1
SQL
ok($building, 'a point within CREATE INDEX');

my $wal = $primary->data_dir . '/pg_wal';
my $node = PostgreSQL::Test::Cluster->new('restored');
my $template;

# a server in the state that it had when the record at lsn had been replayed and nothing after it
sub restore
{
	my ($lsn) = @_;
	if (!$template)
	{
		$node->init_from_backup($primary, 'base');
		$node->append_conf('postgresql.conf', <<"CONF");
restore_command = 'cp "$wal/%f" "%p"'
recovery_target_action = 'promote'
fsync = off
jit = off
wal_keep_size = 0
CONF
		unlink $node->data_dir . '/backup_manifest';
		append_to_file($node->data_dir . '/recovery.signal', '');
		$template = $node->basedir . '/template';
		rename $node->data_dir, $template or die $!;
	}
	system('rm', '-rf', $node->data_dir) == 0 && system('cp', '-a', $template, $node->data_dir) == 0 or die "cp: $!";
	$node->append_conf('postgresql.conf', "recovery_target_lsn = '$lsn'");
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery does not end';
	return;
}

my ($damaged, $unusable) = (0, 0);
for my $lsn (@points)
{
	restore($lsn);
	my $error = in_order($node, 'item_v', 'item_u');
	if ($error ne '')
	{
		$damaged++;
		diag("$lsn: $error");
	}
	my ($status, undef, $stderr) = $node->psql('postgres', join(';',
		'INSERT INTO item SELECT n, n % 40, vec(n) FROM generate_series(10001, 10200) n', 'DELETE FROM item WHERE id % 3 = 0',
		check_of('item_v', 'item_u')));
	# in a connection of its own: VACUUM sends no more in a list of statements
	($status, undef, $stderr) = $node->psql('postgres', 'VACUUM item') if $status == 0;
	($status, undef, $stderr) = $node->psql('postgres', check_of('item_v', 'item_u')) if $status == 0;
	if ($status != 0)
	{
		$unusable++;
		diag("$lsn: $stderr");
	}
	$node->stop('immediate');
}
is($damaged, 0, "the indexes are in order at each of " . scalar(@points) . ' points');
is($unusable, 0, 'and take rows and are vacuumed');

restore($building);
is($node->safe_psql('postgres', q{SELECT to_regclass('item_late') IS NULL}), 't', 'restored to within CREATE INDEX: no index');
$node->safe_psql('postgres', "CREATE INDEX item_late ON late USING memai (u, v vector_ip_ops) $options");
is(in_order($node, 'item_v', 'item_u', 'item_late'), '', 'and it can be made');
$node->stop('immediate');
$primary->stop('immediate');
done_testing();
