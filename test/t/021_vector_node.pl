# The npm packages pg and pgvector work unchanged with memai's types.  Runs where
# node is present and MEMAI_NODE_MODULES names a folder in which
# "npm install pg pgvector" was run.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $modules = $ENV{MEMAI_NODE_MODULES} // '';
plan skip_all => 'node is not installed' if system('node --version >/dev/null 2>&1') != 0;
plan skip_all => 'MEMAI_NODE_MODULES names no folder with the npm packages pg and pgvector'
	unless -d "$modules/node_modules/pg" && -d "$modules/node_modules/pgvector";

my $node = PostgreSQL::Test::Cluster->new('node');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION memai');

local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
my ($stdout, $stderr);
my $passed = IPC::Run::run(['node', 'test/client/vector_types.mjs'], '>', \$stdout, '2>', \$stderr);
diag($stdout . $stderr) unless $passed;
ok($passed, 'every type and operator through pg and pgvector');
like($stdout, qr/^1\.\.\d+$/m, 'all checks ran');

$node->stop;
done_testing();
