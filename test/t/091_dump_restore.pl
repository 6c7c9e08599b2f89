# pg_dump and back, in every form: equal rows, equal catalog, no secret, nothing
# twice (UP1, UP2, UP3).
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Catalog;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;

sub has_function
{
	my ($name) = @_;
	return $node->safe_psql('source',
		"SELECT EXISTS (SELECT FROM pg_proc WHERE proname = '$name' AND pronamespace = 'memai'::regnamespace)") eq 't';
}

$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', 'CREATE EXTENSION memai');

# a database in use: what its own tables do with memai's types and functions ...
$node->safe_psql('source', q{
	CREATE TABLE app (id uuid DEFAULT memai.new_id() PRIMARY KEY, tenant text DEFAULT memai.current_tenant(), note text);
	INSERT INTO app (note) SELECT 'note ' || n FROM generate_series(1, 100) AS n;
	CREATE INDEX ON app (memai.scope_hash(tenant, note, 'default'))});

# ... and what is in memai's own
if (has_function('remember'))
{
	$node->safe_psql('source', q{
		SELECT memai.remember('statement ' || n || ' with "quotes", \backslash and ünïcode', user_id => 'user ' || n % 7)
		FROM generate_series(1, 100) AS n});
}
if (has_function('create_thread'))
{
	$node->safe_psql('source', q{SELECT memai.create_thread(user_id => 'user 1')});
}

my $app = q{SELECT count(*), md5(string_agg(app::text, E'\n' ORDER BY id)) FROM app};
my $rows = $node->safe_psql('source', $app);
my $contents = table_contents($node, 'source');
my $catalog = catalog_snapshot($node, 'source');
like($rows, qr/^100\|/, 'there is something to dump');
if (has_function('remember'))
{
	like($contents, qr/^memai\.episode: 100\|/m, "and memai's tables have rows");
}

sub compare
{
	my ($database, $how) = @_;
	is($node->safe_psql($database, $app), $rows, "$how: the application's rows");
	is(table_contents($node, $database), $contents, "$how: memai's rows, each once");
	is(catalog_snapshot($node, $database), $catalog, "$how: the catalog");
	my $invalid = $node->safe_psql($database, 'SELECT count(*) FROM pg_index WHERE NOT indisvalid');
	is($invalid, '0', "$how: every index is valid");
	return;
}

my $dir = PostgreSQL::Test::Utils::tempdir;
my @restore = ('pg_restore', '--exit-on-error', '--port', $node->port, '--host', $node->host);
my @dump = ('pg_dump', '--port', $node->port, '--host', $node->host);

$node->command_ok([ @dump, '-f', "$dir/plain.sql", 'source' ], 'pg_dump, plain');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dir/plain.sql" ], 'psql');
compare('plain', 'plain');

for my $format ([ 'custom', '-Fc' ], [ 'directory', '-Fd', '-j2' ])
{
	my ($name, @options) = @$format;
	my @jobs = grep { /^-j/ } @options;
	$node->command_ok([ @dump, @options, '-f', "$dir/$name", 'source' ], "pg_dump, $name");
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->command_ok([ @restore, @jobs, '-d', $name, "$dir/$name" ], "pg_restore, $name");
	compare($name, $name);
}

# schema and data apart, as migrations do it
$node->safe_psql('postgres', 'CREATE DATABASE sections');
for my $section (qw(pre-data data post-data))
{
	$node->command_ok([ @restore, "--section=$section", '-d', 'sections', "$dir/custom" ], "pg_restore, $section");
}
compare('sections', 'sections');

# dumping twice gives the same text: a restored database dumps like its source
$node->command_ok([ @dump, '-f', "$dir/again.sql", 'plain' ], 'pg_dump of the restored database');
my ($first, $second) = map { my $text = slurp_file("$dir/$_.sql"); $text =~ s/^\\(un)?restrict .*$//mg; $text } qw(plain again);
is($second, $first, 'dump of the restored database is the same');

# a role that row-level security holds back gets an error, not a silent part (UP2)
if ($contents ne "\n" && $node->safe_psql('source',
		q{SELECT count(*) FROM pg_class WHERE relnamespace = 'memai'::regnamespace AND relrowsecurity}) ne '0')
{
	$node->safe_psql('source', q{CREATE ROLE reader LOGIN;
		GRANT USAGE ON SCHEMA memai TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA memai TO reader;
		GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;});
	$node->command_fails_like([ @dump, '-U', 'reader', '-f', "$dir/reader.sql", 'source' ],
		qr/query would be affected by row-level security policy/, 'pg_dump as an ordinary role');
}

$node->stop;
done_testing();
