# The index in the write-ahead log: a standby answers like its primary while rows come, go
# and lists are replaced; a killed server loses no acknowledged row.  faults.md: WA1, WA2, RE1, RE2, IX12.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Index;
use MemAI::Processes;

# MEMAI_CRASH_CYCLES=1000 is the long form of the second half
my $cycles = $ENV{MEMAI_CRASH_CYCLES} // 25;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'CONF');
wal_consistency_checking = 'generic'
autovacuum = off
fsync = off
jit = off
CONF
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# vec(seed): clustered vectors that depend on the seed alone
$primary->safe_psql('postgres', vectors(32) . <<'SQL');
CREATE TABLE item (id integer PRIMARY KEY, u integer, v vector(32));
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) WITH (flat_size = 100, list_size = 40);
CREATE INDEX item_u ON item USING memai (u, v vector_cosine_ops) WITH (flat_size = 100, list_size = 40);
INSERT INTO item SELECT n, n % 50, vec(n) FROM generate_series(1, 3000) n;
SQL

my $answers = q{SET enable_seqscan = off; SET enable_sort = off;
	SELECT n, array(SELECT id FROM item ORDER BY v <-> vec(n * 7919) LIMIT 10),
		array(SELECT id FROM item WHERE u = n % 50 ORDER BY v <=> vec(n * 7919) LIMIT 10)
	FROM generate_series(1, 20) n};
my $next = 3001;
my $differ = 0;
for my $round (1 .. 8)
{
	my $last = $next + 399;
	$primary->safe_psql('postgres', "INSERT INTO item SELECT n, n % 60, vec(n) FROM generate_series($next, $last) n");
	$primary->safe_psql('postgres', "DELETE FROM item WHERE id % 8 = $round % 8");
	$primary->safe_psql('postgres', 'VACUUM item') if $round % 2;
	$next = $last + 1;
	$primary->wait_for_catchup($standby, 'replay');
	$differ++ if $primary->safe_psql('postgres', $answers) ne $standby->safe_psql('postgres', $answers);
}
is($differ, 0, 'standby and primary give the same answers after each round');
is($standby->safe_psql('postgres', q{SELECT memai.memai_index_check('item_v', true), memai.memai_index_check('item_u', true)}),
	'|', 'the index is in order on the standby');
unlike(slurp_file($standby->logfile), qr/inconsistent page/, 'replay made the pages that the primary had');
$standby->stop;

# kill -9 while rows are inserted, deleted, vacuumed and the index is rebuilt
my ($lost, $damaged) = (0, 0);
for my $cycle (1 .. $cycles)
{
	my @work = (
		"INSERT INTO item SELECT n, n %% 60, vec(n) FROM generate_series(%d, %d) n ON CONFLICT DO NOTHING",
		"DELETE FROM item WHERE id < %d AND id % 5 = 0", 'VACUUM item', 'REINDEX INDEX item_u');
	my $acknowledged = $primary->safe_psql('postgres',
		sprintf('INSERT INTO item SELECT n, n %% 60, vec(n) FROM generate_series(%d, %d) n; SELECT count(*) FROM item',
			$next, $next + 9));
	$next += 10;
	my @sessions;
	for my $kind (0 .. 1)
	{
		my $sql = $kind == 0
			? join(';', map { sprintf($work[0], $next + 20 * $_, $next + 20 * $_ + 19) } 0 .. 200)
			: ($cycle % 3 == 0 ? $work[3] : 'VACUUM item') . ';' x 1;
		# from a file: a psql that dies early would break a pipe
		my $file = $PostgreSQL::Test::Utils::tmp_check . "/crash_$kind.sql";
		my ($out, $err) = ('', '');
		unlink $file;
		append_to_file($file, $sql);
		push @sessions, IPC::Run::start(
			[ 'psql', '-XqAt', '-d', $primary->connstr('postgres'), '-f', $file ], '>', \$out, '2>', \$err);
	}
	select(undef, undef, undef, 0.02 + 0.013 * ($cycle % 20));
	kill_server($primary);
	$_->finish for @sessions;
	$primary->start;
	my $rows = $primary->safe_psql('postgres', 'SELECT count(*), max(id) FROM item');
	my ($count, $max) = split /\|/, $rows;
	$lost++ if $count < $acknowledged;
	$next = $max + 1;
	my ($ret, undef, $err) = $primary->psql('postgres',
		q{SELECT memai.memai_index_check('item_v', true), memai.memai_index_check('item_u', true)});
	if ($ret != 0)
	{
		$damaged++;
		diag("cycle $cycle: $err");
	}
}
is($lost, 0, "no acknowledged row lost in $cycles crashes");
is($damaged, 0, "the indexes are in order after each of $cycles crashes");
$primary->safe_psql('postgres', 'VACUUM item');
is($primary->safe_psql('postgres', q{SELECT memai.memai_index_check('item_v', true), memai.memai_index_check('item_u', true)}),
	'|', 'and after a vacuum');
unlike(slurp_file($primary->logfile), qr/inconsistent page/, 'no page came out of replay different');
$primary->stop;
done_testing();
