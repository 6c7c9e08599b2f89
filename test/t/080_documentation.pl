# Runs every SQL example of README.md and docs/*.md, in order, one database a
# file, and compares what psql prints with the text block that follows the
# example.  SET holds for the examples after it.  Ids, times and the like are
# compared by their kind only.  An example that names a server on the network is
# pointed at the stub.  Runs the demo too: blocks marked "demo" are pieces of it.

use strict;
use warnings FATAL => 'all';

use Encode qw(decode);
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
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

# [language, text, line number] of each fenced block
sub blocks
{
	my ($file) = @_;
	my @blocks;
	my ($language, $text, $start);
	open(my $fh, '<:encoding(UTF-8)', $file) or die "$file: $!";
	while (my $line = <$fh>)
	{
		if (defined $language && $line =~ /^```\s*$/)
		{
			push @blocks, [ $language, $text, $start ];
			undef $language;
		}
		elsif (defined $language) { $text .= $line; }
		elsif ($line =~ /^```(\w*)/) { ($language, $text, $start) = ($1, '', $. + 1); }
	}
	close $fh;
	return @blocks;
}

# what may differ from run to run
sub comparable
{
	my ($text) = @_;
	$text =~ s/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g;
	$text =~ s/\b[0-9a-f]{16}\b/MARKER/g;
	$text =~ s/\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?\+00)?/DATE/g;
	$text =~ s/\d+\.\d+ ms/TIME/g;
	$text =~ s/-{3,}/---/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/ ?\n ?/\n/g;
	$text =~ s/^\s+|\s+$//g;
	return $text;
}

# the demo, in a database of its own
$node->safe_psql('postgres', 'CREATE DATABASE demo');
my ($demo, $demo_errors) = ('', '');
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'demo');
	ok(IPC::Run::run([ 'bash', "$root/test/demo/run.sh" ], '>', \$demo, '2>', \$demo_errors), 'the demo runs')
	  or diag($demo_errors);
}
$demo = comparable(decode('UTF-8', $demo));

foreach my $file ("$root/README.md", sort glob("$root/docs/*.md"))
{
	my ($name) = $file =~ m{([^/]+)$};
	my $database = lc($name =~ s/\W/_/gr);
	my $port = $stub->{port};
	my @blocks = blocks($file);
	my $settings = '';

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	foreach my $i (0 .. $#blocks)
	{
		my ($language, $sql, $line) = @{ $blocks[$i] };
		ok(index($demo, comparable($sql)) >= 0, "$name line $line is what the demo prints") if $language eq 'demo';
		next unless $language eq 'sql';
		$sql =~ s{https?://(?:api\.openai\.com|localhost:11434|127\.0\.0\.1:11434)/v1}{http://127.0.0.1:$port/v1}g;
		$sql =~ s{/srv/memai/models}{$models}g;
		my ($status, $out, $err) = $node->psql($database, $settings . $sql, extra_params => [ '--pset=footer=off', '-P', 'tuples_only=off', '-P', 'format=aligned' ]);
		is($status, 0, "$name line $line runs") or diag($err);
		$settings .= join('', map { "$_\n" } $sql =~ /^(SET [^;]*;)/mg);
		if ($i < $#blocks && $blocks[ $i + 1 ][0] eq 'text')
		{
			is(comparable(decode('UTF-8', $out)), comparable($blocks[ $i + 1 ][1]), "$name line $line prints what it shows");
		}
	}
}

$stub->stop;
$node->stop;
done_testing();
