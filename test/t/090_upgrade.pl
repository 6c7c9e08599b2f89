# An installation that was upgraded, one that was dropped and made again, and a
# fresh one are the same to the last comment (UP5, UP7, UP8).
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Catalog;

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init;
$node->start;

sub database
{
	my ($name, $sql) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, $sql);
	return catalog_snapshot($node, $name);
}

my $fresh = database('fresh', 'CREATE EXTENSION memai');
my ($version) = slurp_file('memai.control') =~ /default_version = '(.*)'/;

# the snapshot is worth comparing: it has the objects that core alone installs
ok($fresh =~ /^extension memai \| \Q$version\E /m, "version $version of memai.control is installed");
ok($fresh =~ /^object schema memai \| memai: AI memory inside PostgreSQL$/m, 'snapshot has comments');
ok($fresh =~ /^function memai\._ensure_role\(text\) .*?\| \S+=EXECUTE$/ms, 'snapshot has privileges');
my $changed = database('changed', q{CREATE EXTENSION memai;
	COMMENT ON FUNCTION memai.new_id() IS 'changed'; GRANT EXECUTE ON FUNCTION memai._ensure_role(text) TO PUBLIC});
like(differences($changed, $fresh), qr/^only got: .*new_id\(\) \| changed$/m, 'snapshot tells a changed comment');
like(differences($changed, $fresh), qr/^only got: .*PUBLIC=EXECUTE/m, 'snapshot tells a changed right');

my $again = database('again', 'CREATE EXTENSION memai; DROP EXTENSION memai CASCADE; CREATE EXTENSION memai');
is(differences($again, $fresh), '', 'dropped and created again: the same catalog');
my $left = $node->safe_psql('again', q{DROP EXTENSION memai CASCADE;
	SELECT nspname FROM pg_namespace WHERE nspname = 'memai'
	UNION ALL SELECT proname FROM pg_proc WHERE probin LIKE '%memai%'
	UNION ALL SELECT amname FROM pg_am WHERE amname = 'memai'});
is($left, '', 'DROP EXTENSION leaves nothing behind');

# into another schema: the types move, the rest is the same
my $elsewhere = database('elsewhere', 'CREATE SCHEMA ai; CREATE EXTENSION memai SCHEMA ai');
ok($elsewhere =~ /^extension memai \| \Q$version\E \| f \| ai$/m, 'installs into a chosen schema');
$node->psql('elsewhere', 'ALTER EXTENSION memai SET SCHEMA public', stderr => \my $stderr);
like($stderr, qr/extension "memai" does not support SET SCHEMA/, 'and stays there');

# every released version leads to the same installation; its functions work on the way
for my $script (sort glob('src/sql/released/memai--*.sql'))
{
	my ($released) = $script =~ /memai--(.*)\.sql$/;
	next if $released eq $version;
	(my $name = "from_$released") =~ s/\W/_/g;
	my $old = database($name, "CREATE EXTENSION memai VERSION '$released'");
	ok($old =~ /^extension memai \| \Q$released\E /m, "$released installs with today's library");
	$node->safe_psql($name, 'ALTER EXTENSION memai UPDATE');
	is(differences(catalog_snapshot($node, $name), $fresh), '', "$released updated is a fresh $version");
}

# every upgrade script starts at a released version or where another one ends
for my $script (glob('src/sql/upgrade/memai--*.sql'))
{
	my ($from) = $script =~ /memai--(.*)--.*\.sql$/;
	ok(-e "src/sql/released/memai--$from.sql", "$script starts at a released version");
}

$node->stop;
done_testing();
