# Memory that is short: settings that bound it are kept, and an allocation that
# fails, whichever it is, is an error of the statement and nothing else.  Rows
# RL1 and RL2 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Session;
use MemAI::SlowDNS;
use Test::More;

my $control_file = PostgreSQL::Test::Utils::tempdir() . '/failing_malloc';
open(my $control, '+>', $control_file) or die;
binmode $control;

# after so many allocations of that process, one fails
sub fail_after
{
	my ($pid, $n) = @_;
	seek $control, 0, 0;
	print $control pack('q<2', $pid, $n);
	$control->flush;
	return;
}

# has the failure happened?
sub has_failed
{
	seek $control, 8, 0;
	read $control, my $left, 8;
	return unpack('q<', $left) < 0;
}

fail_after(0, -1);
$ENV{FAILING_MALLOC} = $control_file;
$ENV{LD_PRELOAD} = MemAI::SlowDNS->build('failing_malloc');
my ($node, $stub) = start_gateway('memory_limits', conf => "memai.http_private_hosts = '127.0.0.1'\nautovacuum = off\nshared_buffers = 16MB\n");
delete $ENV{LD_PRELOAD};

sub descriptors
{
	my ($pid) = @_;
	opendir(my $dir, "/proc/$pid/fd") or return 0;
	return scalar grep { /^\d+$/ } readdir $dir;
}

# ---- RL2: every allocation of a call fails once ----

my ($chat, $embed) = (chat_model(), embed_model(4, 'base64'));
my $events = join('', map { "data: $_\n\n" } '{"choices":[{"index":0,"delta":{"content":"Hello "}}]}',
	'{"choices":[{"index":0,"delta":{"content":"you"},"finish_reason":"stop"}]}', '[DONE]');
my $stream = chat_model('body', \$events);
my @calls = (
	[ 'a chat', "SELECT memai.generate('hi', '$chat')", 'echo: hi' ],
	[ 'embeddings', "SELECT count(v) FROM unnest(memai.embed(ARRAY['a', 'b'], '$embed')) v", '2' ],
	[ 'a stream', qq(SELECT string_agg(p, '') FROM memai.complete_stream('[{"role":"user","content":"hi"}]', '$stream') p), 'Hello you' ],
	[ 'local embeddings', "SELECT count(v) FROM unnest(memai.embed(ARRAY['a', 'b'])) v", '2' ]);

sub new_session
{
	my $session = MemAI::Session->new($node);
	$session->query('SET memai.model_max_retries = 0; SET memai.model_breaker_failures = 0');
	return $session;
}

my $session = new_session();
for my $call (@calls)
{
	my ($what, $sql, $expected) = @$call;
	my (%seen, $open);
	is($session->query($sql), $expected, "$what works");
	$open = descriptors($session->{backend});
	my $n = 0;
	for (; $n < 5000; $n++)
	{
		fail_after($session->{backend}, $n);
		$session->send($sql);
		my ($answer, $behind);
		for (1 .. 600)
		{
			last if defined($answer = $session->answer(0.1));
			# the statement had all it needed, and the one behind it that marks its end did not
			last if $behind = $session->{buffer} =~ /^$expected\nERROR:  53200/;
		}
		$answer //= 'no answer';
		my $failed = has_failed();
		fail_after(0, -1);
		last if !$failed || $behind;
		my ($level, $state) = $answer =~ /^(ERROR|FATAL):  (\w{5})/m;
		my $outcome = $state ? "$level $state" : $answer eq $expected ? 'right' : "allocation $n: $answer";
		if (($level // '') eq 'FATAL')
		{
			# the server's own settings end a session rather than go on without memory
			$outcome .= ' elsewhere' if $answer !~ /LOCATION:  guc_(?:malloc|strdup), guc.c/;
			$session->close;
			$session = new_session();
			$session->query($sql);
		}
		$seen{$outcome}++;
	}
	$session->{buffer} = '';
	my @states = grep { $_ ne 'FATAL 53200' && $_ ne 'right' } sort keys %seen;
	is("@states", 'ERROR 53200', "RL2 $what: each of $n allocations fails with out of memory, or is done without");
	note(join ', ', map { "$seen{$_} x $_" } sort keys %seen);
	is($session->query($sql), $expected, "RL2 $what: the session goes on");
	cmp_ok(descriptors($session->{backend}), '<=', $open + 1, "RL2 $what: no descriptor leaks");
}
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'RL2 no process crashed');

# ---- RL1: what settings bound ----

sub value { return $session->query($_[0], 60) }

like(value("SELECT memai.recall('x', user_id => 'ann', k => 1000000)"), qr/22023: k is out of range/, 'RL1 recall of a million is refused');
like(value('SET memai.probes = 1000000000'), qr/22023: .*outside the valid range/, 'RL1 a billion probes are refused');
value(q{CREATE TABLE v (id integer, e vector(64)); SELECT setseed(0.5);
	INSERT INTO v SELECT n, ARRAY(SELECT random() FROM generate_series(1, 64) WHERE n > 0)::vector FROM generate_series(1, 30000) n});

# kB of its own memory that the backend had at most during a statement
sub own_peak
{
	my ($sql) = @_;
	my $busy = MemAI::Session->new($node);
	$busy->query("SELECT memai.new_id(); SET max_parallel_maintenance_workers = 0; SET enable_seqscan = off; SELECT count(*) FROM v");
	open(my $clear, '>', "/proc/$busy->{backend}/clear_refs") or return;
	print $clear 5;
	close $clear;
	my %before = memory($busy->{backend});
	my $answer = $busy->query($sql, 120);
	my %after = memory($busy->{backend});
	$busy->close;
	return ($after{VmHWM} - $before{RssAnon} - $after{RssShmem} - $after{RssFile}, $answer);
}

sub memory
{
	my ($pid) = @_;
	my $status = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status");
	return map { /^(\w+):\s+(\d+) kB/ ? ($1 => $2) : () } split /\n/, $status;
}

SKIP:
{
	my ($small) = own_peak("SET maintenance_work_mem = '1MB'; CREATE INDEX small ON v USING memai (e vector_l2_ops); DROP INDEX small");
	skip 'the peak of memory cannot be reset here', 4 unless defined $small;
	my ($large) = own_peak("SET maintenance_work_mem = '64MB'; CREATE INDEX large ON v USING memai (e vector_l2_ops)");
	cmp_ok($small, '<', 4096, "RL1 an index of 8 MB of vectors is built in 1 MB and a little: $small kB");
	cmp_ok($large, '<', 65536, "RL1 and in less than 64 MB: $large kB");
	my $order = q{SELECT id FROM v ORDER BY e <-> (SELECT e FROM v WHERE id = 7)};
	my ($peak, $found) = own_peak("SET work_mem = '64kB'; SELECT count(*) FROM ($order LIMIT 1000000) s");
	like($found, qr/^\d+$/, "RL1 a million neighbours are asked for, $found found");
	cmp_ok($peak, '<', 16384, "RL1 in $peak kB");
}

$session->close;
$node->stop;
$stub->stop;
done_testing();
