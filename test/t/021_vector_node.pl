# The npm packages pg and pgvector work unchanged with memai's types.  Runs where
# node and npm are present; installs the packages of test/client, as locked
# there, into a temporary folder, unless MEMAI_NODE_MODULES names one that has them.
use strict;
use warnings FATAL => 'all';
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub install_packages
{
	my $folder = PostgreSQL::Test::Utils::tempdir;

	copy("test/client/$_", "$folder/$_") or die "cannot copy $_: $!" for qw(package.json package-lock.json);
	my $log = '';
	my $installed = IPC::Run::run(
		[ 'npm', 'ci', '--prefix', $folder, '--cache', "$folder/cache",
			'--no-audit', '--no-fund', '--no-update-notifier', '--ignore-scripts' ],
		'<', \undef, '>', \$log, '2>&1', IPC::Run::timeout(120));
	return ($installed ? $folder : undef, $log);
}

my ($modules, $log) = ($ENV{MEMAI_NODE_MODULES}, '');
plan skip_all => 'node and npm are not installed' if system('node --version >/dev/null 2>&1 && npm --version >/dev/null 2>&1') != 0;
($modules, $log) = eval { install_packages() } unless defined $modules;
plan skip_all => "npm cannot install pg and pgvector here: " . ((split /\n/, $log || $@)[-1] // '') unless defined $modules;

my $node = PostgreSQL::Test::Cluster->new('node');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION memai');

local $ENV{MEMAI_NODE_MODULES} = $modules;
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
my ($stdout, $stderr);
my $passed = IPC::Run::run(['node', 'test/client/vector_types.mjs'], '>', \$stdout, '2>', \$stderr);
diag($stdout . $stderr) unless $passed;
ok($passed, 'every type and operator through pg and pgvector');
like($stdout, qr/^1\.\.9$/m, 'all checks ran');

$node->stop;
done_testing();
