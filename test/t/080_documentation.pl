# Runs every SQL example of README.md and docs/*.md, one database a file, and
# compares what it prints (docs/examples has a test of its own).  An example that
# names a server on the network is pointed at the stub.  Runs the demo too: blocks
# marked "demo" are pieces of it.

use strict;
use warnings FATAL => 'all';

use Encode qw(decode);
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Documentation;
use MemAI::StubLLM;

my $root = "$FindBin::RealBin/../..";
my $stub = MemAI::StubLLM->new;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# preloaded, because docs/usage.md needs it; workers run where an example starts them
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nshared_preload_libraries = 'memai'\nmemai.worker_databases = ''\n");
$node->start;
$ENV{MEMAI_OPENAI_KEY} = 'not-a-real-key';

# the directory of models that the examples speak of
my $models = PostgreSQL::Test::Utils::tempdir();
mkdir "$models/minishlab";
system('python3', "$root/test/stub/static_reference.py", 'make', $models) == 0
  && rename("$models/wordpiece", "$models/minishlab/potion-base-8M")
  or die 'no static model';
chmod 0755, $models, "$models/minishlab";

# the demo, in a database of its own
$node->safe_psql('postgres', 'CREATE DATABASE demo');
my ($demo, $demo_errors) = ('', '');
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'demo');
	ok(IPC::Run::run([ 'bash', "$root/test/demo/run.sh" ], '>', \$demo, '2>', \$demo_errors), 'the demo runs')
	  or diag($demo_errors);
}
$demo = comparable(decode('UTF-8', $demo));

my $port = $stub->{port};
foreach my $file ("$root/README.md", sort glob("$root/docs/*.md"))
{
	my ($name) = $file =~ m{([^/]+)$};
	foreach my $block (grep { $_->[0] eq 'demo' } page_blocks($file))
	{
		ok(index($demo, comparable($block->[1])) >= 0, "$name line $block->[2] is what the demo prints");
	}
	run_page($node, $file, sub {
		return $_[0] =~ s{https?://(?:api\.openai\.com|localhost:11434|127\.0\.0\.1:11434)/v1}{http://127.0.0.1:$port/v1}gr
		  =~ s{/srv/memai/models}{$models}gr;
	});
}

$stub->stop;
$node->stop;
done_testing();
