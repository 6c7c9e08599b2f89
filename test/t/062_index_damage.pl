# Damaged pages: whatever stands on them, a search, an insert, a vacuum and the check end, with an answer
# or an error, and the server lives.  faults.md: IX17, IX18.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Index;

my $cycles = $ENV{MEMAI_DAMAGE_CYCLES} // 40;
my $node = PostgreSQL::Test::Cluster->new('damage');
$node->init(extra => ['--no-sync']);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\njit = off\nrestart_after_crash = off\nfull_page_writes = off\n");
$node->start;
$node->safe_psql('postgres', vectors(32) . <<'SQL');
CREATE TABLE item (id integer, u integer, v vector(32));
INSERT INTO item SELECT n, n % 40, vec(n) FROM generate_series(1, 2000) n;
INSERT INTO item SELECT n, 7, vec(n) FROM generate_series(2001, 3000) n;
CREATE INDEX item_v ON item USING memai (u, v vector_l2_ops) WITH (flat_size = 100, list_size = 40);
CHECKPOINT;
SQL
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('item_v')});
my $good = slurp_file($file);
my $pages = length($good) / 8192;
srand(20240607);
my $use = q{SET statement_timeout = '20s'; SET enable_seqscan = off;
	SELECT count(*) FROM (SELECT id FROM item WHERE u = 7 ORDER BY v <-> vec(3)) x;
	SELECT count(*) FROM (SELECT id FROM item WHERE u = 8 ORDER BY v <-> vec(3)) x;};
my ($dead, $endless, $odd) = (0, 0, 0);
my %kinds = (
	byte => sub { substr($_[0], int(rand 8192), 1) = chr(int(rand 256)) },
	header => sub { substr($_[0], 24 + int(rand 104), 4) = pack('V', int(rand 2) ? int(rand $pages) : int(rand 2**32)) },
	special => sub { substr($_[0], 8168 + int(rand 24), 1) = chr(int(rand 256)) },
	zero => sub { $_[0] = "\0" x 8192 },
	random => sub { $_[0] = join '', map { chr(int(rand 256)) } 1 .. 8192 },
	other => sub { $_[0] = substr($good, 8192 * int(rand $pages), 8192) });

for my $cycle (1 .. $cycles)
{
	my $kind = (sort keys %kinds)[ $cycle % keys %kinds ];
	$node->stop('fast');
	my $bad = $good;
	for my $n (1 .. 1 + $cycle % 5)
	{
		my $at = 8192 * int(rand $pages);
		my $page = substr($bad, $at, 8192);
		$kinds{$kind}->($page);
		substr($bad, $at, 8192) = substr($page, 0, 8192);
	}
	open my $out, '>:raw', $file or die $!;
	print $out $bad;
	close $out;
	$node->start;
	for my $sql ($use, q{SET statement_timeout = '20s'; INSERT INTO item SELECT n, n % 40, vec(n) FROM generate_series(1, 5) n},
		q{SET statement_timeout = '20s'; DELETE FROM item WHERE id = 4},
		q{SET statement_timeout = '20s'; VACUUM (INDEX_CLEANUP on) item},
		q{SET statement_timeout = '20s'; SELECT memai.memai_index_check('item_v', true)})
	{
		my ($ret, $stdout, $stderr) = $node->psql('postgres', $sql);
		if ($ret == 2) { $dead++; diag("$kind, cycle $cycle: $sql: $stderr"); last }
		$endless++, diag("$kind, cycle $cycle: $sql: $stderr") if $stderr =~ /statement timeout/;
		$odd++, diag("$kind, cycle $cycle: $stderr") if $stderr =~ /XX000|invalid memory alloc|stack depth/;
	}
	last if $dead;
}
is($dead, 0, "no crash on $cycles damaged indexes");
is($endless, 0, 'nothing runs for ever');
is($odd, 0, 'no error that says nothing');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/, 'no trace of a crash in the log');
$node->stop('immediate');
done_testing();
