# The check finds what is wrong: each kind of damage to a page that keeps its look is reported with XX002 and a
# hint, and REINDEX heals it.  faults.md: IX5, IX6, IX17, IX18.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Index;

my $node = PostgreSQL::Test::Cluster->new('check');
$node->init(extra => ['--no-sync']);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\njit = off\nfull_page_writes = off\n");
$node->start;
$node->safe_psql('postgres', vectors(64) . <<'SQL');
CREATE TABLE item (id integer, u integer, v vector(64));
INSERT INTO item SELECT n, CASE WHEN n % 3 = 0 THEN n % 60 ELSE 7 END, vec(n) FROM generate_series(1, 1200) n;
CREATE INDEX item_v ON item USING memai (u, v vector_l2_ops) WITH (flat_size = 100, list_size = 40);
CHECKPOINT;
SQL
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('item_v')});
my $good = slurp_file($file);
my $bad;

# page.h: blocks begin at byte 128; of 64 dimensions a code has 8 bytes, so a block of 16 entries with hashes
# has codes, then add, factor and error, the hashes, the TIDs
my %at = (add => 128 + 128, factor => 128 + 192, hash => 128 + 320, tid => 128 + 448);
my %special = (list_id => 8168, next => 8176, used => 8180, kind => 8184, level => 8185, page_id => 8190);
my ($META, $DIRECTORY, $SCAN, $REFINE) = (1, 2, 3, 4);

sub field { return 8192 * $_[0] + $_[1] }
sub kind { return ord(substr($good, field($_[0], $special{kind}), 1)) }
sub level { return ord(substr($good, field($_[0], $special{level}), 1)) }
sub used { return unpack('v', substr($good, field($_[0], $special{used}), 2)) }
my @pages = (0 .. length($good) / 8192 - 1);
my ($directory) = grep { kind($_) == $DIRECTORY } @pages;
my ($rows) = grep { kind($_) == $SCAN && level($_) == 0 && used($_) > 4 } @pages;
my ($route) = grep { kind($_) == $SCAN && level($_) == 1 } @pages;
my ($refine) = grep { kind($_) == $REFINE } @pages;

sub put { my ($page, $offset, $bytes) = @_; substr($bad, field($page, $offset), length $bytes) = $bytes; return }
sub get { my ($page, $offset, $length) = @_; return substr($good, field($page, $offset), $length) }

my %damage = (
	'an empty page' => sub { put($rows, 0, "\0" x 8192) },
	'a page of no index' => sub { put($rows, $special{page_id}, "\1\2") },
	'a page of another kind' => sub { put($rows, $special{kind}, chr $REFINE) },
	'a format from the future' => sub { put(0, 28, pack('V', 99)) },
	'no magic number' => sub { put(0, 24, pack('V', 1)) },
	'one entry too many' => sub { put($rows, $special{used}, pack('v', used($rows) + 1)) },
	'one entry too few' => sub { put($rows, $special{used}, pack('v', used($rows) - 1)) },
	'more entries than fit' => sub { put($rows, $special{used}, pack('v', 5000)) },
	'an entry twice' => sub { put($rows, $at{tid} + 6, get($rows, $at{tid}, 6)) },
	'an entry without its row' => sub { put($rows, $at{tid}, pack('vvv', 0, 3, 200)) },
	'a row of other keys' => sub { put($rows, $at{hash}, "\xff" x 8) },
	'a distance that is no number' => sub { put($rows, $at{add}, pack('V', 0x7FC00000)) },
	'a negative factor' => sub { put($rows, $at{factor}, pack('f<', -1)) },
	'a chain that goes round' => sub { put($rows, $special{next}, pack('V', $rows)) },
	'a refine page of another list' => sub { put($refine, $special{list_id}, pack('VV', 77777, 0)) },
	'a refine page that lacks records' => sub { put($refine, $special{used}, pack('v', 0)) },
	'a gap in the directory' => sub { put($directory, 24 + 16, pack('VV', 0, 1)) },
	'a directory that leads nowhere' => sub { put($directory, 24 + 16 + 8, pack('V', 4000000)) },
	'a list that is linked twice' => sub { put($route, 128 + 128 + 192 + 6, get($route, 128 + 128 + 192, 6)) },
	'a list of the wrong level' => sub { put($route, $special{level}, chr 0) });

cmp_ok($rows && $route && $refine && $directory, '>', 0, 'the index has a page of each kind');
my $old = check_of('item_v');
for my $name (sort keys %damage)
{
	$node->stop('fast');
	$bad = $good;
	$damage{$name}->();
	open my $out, '>:raw', $file or die $!;
	print $out $bad;
	close $out;
	$node->start;
	my (undef, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '20s'; $old");
	like($stderr, qr/XX002:.*HINT:  Run REINDEX/s, "the check finds $name");
}
$node->safe_psql('postgres', 'REINDEX INDEX item_v');
is(in_order($node, 'item_v'), '', 'REINDEX heals it');
$node->stop;
done_testing();
