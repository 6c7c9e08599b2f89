# The vector types through a live server: a million random values there and back
# in binary and text, bit by bit; 100,000 damaged binary values; the casts from
# and to pgvector where that is installed (TY1, TY2, TY3, TY5, TY10).
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Wire;

my $node = PostgreSQL::Test::Cluster->new('wire');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION memai');
my %oid = map { $_ => $node->safe_psql('postgres', "SELECT '$_'::regtype::oid") } qw(vector halfvec sparsevec);

srand(20240607);

# any finite number of that many bits, all bit patterns alike
sub random_number
{
	my ($bits, $exponent) = @_;
	my $number;
	do { $number = int(rand 2**$bits) } while (($number & $exponent) == $exponent);
	return $number;
}

sub random_value
{
	my ($type, $dim) = @_;
	return pack 'nnN*', $dim, 0, map { random_number(32, 0x7f800000) } 1 .. $dim if $type eq 'vector';
	return pack 'nnn*', $dim, 0, map { random_number(16, 0x7c00) } 1 .. $dim if $type eq 'halfvec';
	my @values = grep { $_ & 0x7fffffff } map { random_number(32, 0x7f800000) } 1 .. $dim;
	my $index = -1;
	my @indices = map { $index += 1 + int rand 5 } @values;
	return pack 'NNNN*', 5 * $dim, scalar @values, 0, @indices, @values;
}

# ---- round trips ----
my $wire = MemAI::Wire->connect($node, 'postgres');
for my $case (['vector', 1_000_000], ['halfvec', 200_000], ['sparsevec', 200_000])
{
	my ($type, $count) = @$case;
	my %wrong = (binary => 0, text => 0);
	my %statement = (binary => 'SELECT $1', text => "SELECT \$1::text::$type");
	for (1 .. $count / 10_000)
	{
		my @values = map { random_value($type, 100) } 1 .. 100;
		for my $form (sort keys %statement)
		{
			$wire->prepare($statement{$form}, $oid{$type});
			my @answers = $wire->execute_all(@values);
			$wrong{$form} += grep { $answers[$_][0] || $answers[$_][1] ne $values[$_] } 0 .. $#values;
		}
	}
	is($wrong{binary}, 0, "$count numbers of type $type there and back in binary");
	is($wrong{text}, 0, "$count numbers of type $type there and back in text");
}

# ---- special bit patterns ----
my %special = (
	'zero' => [0x00000000, ''], 'negative zero' => [0x80000000, ''], 'smallest subnormal' => [0x00000001, ''],
	'largest subnormal' => [0x007fffff, ''], 'largest' => [0x7f7fffff, ''], 'infinity' => [0x7f800000, '22000'],
	'negative infinity' => [0xff800000, '22000'], 'quiet NaN' => [0x7fc00000, '22000'], 'signalling NaN' => [0x7f800001, '22000'],
	'NaN of all ones' => [0xffffffff, '22000']);
$wire->prepare('SELECT $1', $oid{vector});
for my $name (sort keys %special)
{
	my ($bits, $state) = @{ $special{$name} };
	my $value = pack 'nnN', 1, 0, $bits;
	my ($answer) = $wire->execute_all($value);
	is($answer->[0], $state, "vector of $name: SQLSTATE");
	is($answer->[1], $value, "vector of $name: the same bits") if $state eq '';
}
for my $case (['no byte', ''], ['two bytes', "\0\1"], ['no dimension', pack('nn', 0, 0)], ['-1 dimensions', pack('nn', 65535, 0)],
	['16001 dimensions', pack('nn', 16001, 0) . "\0" x 64004], ['an element missing', pack('nnN', 2, 0, 0)],
	['a byte too many', pack('nnNC', 1, 0, 0, 0)], ['reserved field set', pack('nnN', 1, 1, 0)])
{
	my ($answer) = $wire->execute_all($case->[1]);
	like($answer->[0], qr/^(?:08P01|22P03|22000|54000)$/, "vector with $case->[0]: SQLSTATE");
}

# ---- damage ----
sub damage
{
	my ($value) = @_;
	for (1 .. 1 + int rand 3)
	{
		my $at = int rand(length($value) + 1);
		my $kind = int rand 6;
		if ($kind == 0) { $value = substr $value, 0, $at }
		elsif ($kind == 1) { substr($value, $at, 0) = pack 'C', int rand 256 }
		elsif ($kind == 2) { $value .= substr $value, 0, $at }
		elsif ($kind == 3 && $at < length $value) { substr($value, $at, 1) = "\xff" }
		elsif ($kind == 4 && length $value >= 4) { substr($value, 4 * int rand(length($value) / 4), 4) = pack 'N', (0, 1, 0x7f800000, 0x7fffffff, 0x80000000, 0xffffffff)[int rand 6] }
		elsif ($at < length $value) { substr($value, $at, 1) ^= pack 'C', 1 << int rand 8 }
	}
	return $value;
}

my $pid = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'});
for my $type (sort keys %oid)
{
	my (%states, $bad);
	$wire->prepare("SELECT \$1::text::$type", $oid{$type});
	for (1 .. 340)
	{
		my @values = map { damage(random_value($type, 1 + int rand 12)) } 1 .. 100;
		$states{ $_->[0] || 'accepted' }++ for $wire->execute_all(@values);
	}
	$bad = join ' ', grep { $_ ne 'accepted' && !/^(?:08|22|54)/ } sort keys %states;
	is($bad, '', "34,000 damaged values of type $type: SQLSTATE classes 08, 22 and 54 only");
	ok(($states{accepted} // 0) > 100 && keys %states > 3, "damage to $type is of many kinds: "
		. join ', ', map { "$_ $states{$_}" } sort keys %states);
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'}), $pid, 'the session survived all of it');

# ---- pgvector ----
SKIP:
{
	skip 'pgvector is not installed', 6
		unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'});
	$node->safe_psql('postgres', 'CREATE DATABASE beside');
	$node->safe_psql('beside', 'CREATE EXTENSION vector; CREATE SCHEMA ai; CREATE EXTENSION memai SCHEMA ai');
	is($node->safe_psql('beside', 'SELECT memai.create_pgvector_casts()'), '6', 'six casts');
	is($node->safe_psql('beside', 'SELECT memai.create_pgvector_casts()'), '0', 'which are there the second time');
	is($node->safe_psql('beside', q{SELECT '[1,2]'::vector::ai.vector, '[1,2]'::ai.halfvec::halfvec, '{1:1}/2'::sparsevec::ai.sparsevec, '[3]'::ai.vector::vector <-> '[1]'}),
		'[1,2]|[1,2]|{1:1}/2|2', 'values pass both ways');
	$node->safe_psql('beside', 'CREATE TABLE theirs (v vector(2)); CREATE TABLE ours (v ai.vector(2)); INSERT INTO theirs VALUES (\'[1,2]\'); INSERT INTO ours SELECT v FROM theirs');
	is($node->safe_psql('beside', 'SELECT ai.vector_send(v) FROM ours'), $node->safe_psql('beside', 'SELECT vector_send(v) FROM theirs'), 'the binary form is the same');
	my ($code, undef, $stderr) = $node->psql('beside', q{CREATE TABLE narrow (v ai.vector(3)); INSERT INTO narrow SELECT v FROM theirs});
	like($stderr, qr/expected 3 dimensions, not 2/, 'the type modifier is checked');
	is($node->safe_psql('beside', 'CREATE ROLE plain; SELECT has_function_privilege(\'plain\', \'memai.create_pgvector_casts()\', \'execute\')'), 'f', 'not for everybody');
}

$node->stop;
done_testing();
