# Terms and embeddings are the same whatever the database's encoding: text is
# converted before it is compared.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('encodings');
$node->init;
$node->start;

sub query
{
	my ($database, $sql, $client) = @_;
	local $ENV{PGCLIENTENCODING} = $client // 'UTF8';
	return $node->safe_psql($database, $sql);
}

my %texts = (
	LATIN1 => "Caf\xC3\xA9 M\xC3\xBCller isn\xE2\x80\x99t far",
	WIN1251 => "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82, \xD0\xBC\xD0\xB8\xD1\x80",
	EUC_JP => "\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x82\xBF\xE3\x83\xAF\xE3\x83\xBC",
	SQL_ASCII => 'The dogs were running');
# LATIN1 has no typographic apostrophe
$texts{LATIN1} =~ s/\xE2\x80\x99/'/;

for my $encoding ('UTF8', sort keys %texts)
{
	$node->safe_psql('postgres',
		"CREATE DATABASE \"in_$encoding\" TEMPLATE template0 LOCALE 'C' ENCODING '$encoding'");
	query("in_$encoding", 'CREATE EXTENSION memai', $encoding eq 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8');
}

for my $encoding (sort keys %texts)
{
	(my $literal = $texts{$encoding}) =~ s/'/''/g;
	my $client = $encoding eq 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8';
	my $sql = "SELECT memai._terms('$literal'), md5(memai.embed('$literal')::text)";

	is(query("in_$encoding", $sql, $client), query('in_UTF8', $sql), "$encoding: as in UTF8");
}

# SQL_ASCII promises nothing of its bytes: they separate words
is(query('in_SQL_ASCII', q{SELECT memai._terms(E'caf\351 \377 dogs') = memai._terms('caf dog'),
	round(l2_norm(memai.embed(E'caf\351 \377'))::numeric, 6)}, 'SQL_ASCII'),
	't|1.000000', 'SQL_ASCII: bytes that are not UTF-8');

# a wrong setting in the configuration file is reported when the library loads and not used
$node->append_conf('postgresql.conf', "memai.text_search_config = 'nowhere'");
$node->reload;
my ($status, $stdout, $stderr) = $node->psql('in_UTF8',
	"SELECT memai._terms('words') = memai._terms('word'); SHOW memai.text_search_config");
is($stdout =~ s{\s+\z}{}r, "t", 'an unknown configuration in the file is not used');
like($stderr, qr/WARNING: .*"memai.text_search_config": "nowhere"/, 'and reported');
is($node->safe_psql('in_UTF8', q{SET memai.text_search_config = 'english'; SELECT memai._terms('word') IS NOT NULL}),
	't', 'a session can set another');

done_testing();
