# The gateway on odd machines and over a long life: jumping clocks, many open
# files, resolver threads, connections that bring too much, thousands of calls.  Rows HT23, HT25, HT28, HT29, RL3, RL4 of the catalogue of faults.
# MEMAI_LEAK_CALLS=10000 makes the long run of the last part.
use strict;
use warnings;

use lib 'test/perl';
use File::Temp qw(tempdir);
use MemAI::Gateway;
use MemAI::Session;
use MemAI::SlowDNS;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $calls = $ENV{MEMAI_LEAK_CALLS} // 1000;
my $jump = tempdir(CLEANUP => 1) . '/jump';
append_to_file($jump, "0\n");

sub set_jump
{
	my ($seconds) = @_;
	open(my $file, '>', $jump) or die;
	print $file "$seconds\n";
	close $file;
	return;
}

$ENV{LD_PRELOAD} = join(':', MemAI::SlowDNS->preload, MemAI::SlowDNS->build('odd_machine'));
$ENV{CLOCK_JUMP_FILE} = $jump;
my $many_files = `bash -c 'ulimit -n'` >= 4096;
$ENV{HELD_FILES} = $many_files ? 1100 : 0;
my ($node, $stub) = start_gateway('host',
	conf => "memai.http_private_hosts = 'localhost, 127.0.0.1, stall.test'\nmax_files_per_process = 2000\n");
delete @ENV{qw(LD_PRELOAD CLOCK_JUMP_FILE HELD_FILES)};

sub descriptors
{
	my ($pid) = @_;
	opendir(my $dir, "/proc/$pid/fd") or return ();
	return grep { /^\d+$/ } readdir $dir;
}

# ---- HT29: descriptors beyond what select() can take ----
my $session = MemAI::Session->new($node);
my $chat = chat_model();
is($session->query("SELECT memai.generate('hi', '$chat')"), 'echo: hi', 'HT29 a call works');
SKIP:
{
	skip 'the limit of open files is low', 1 unless $many_files;
	my ($highest) = sort { $b <=> $a } descriptors($session->{backend});
	cmp_ok($highest, '>', 1024, "HT29 on descriptor $highest");
}
my $embed = embed_model(4);
$node->safe_psql('postgres', "SELECT memai.alter_model('$embed', options => '{\"batch_size\": 1}')");
is($session->query("SET memai.http_max_parallel = 64; SELECT array_length(memai.embed(ARRAY(SELECT 'x' || i FROM generate_series(1, 200) i), '$embed'), 1)"),
	'200', 'HT29 and so do 64 at a time');

# ---- HT25: the wall clock jumps while a call waits ----
my $one = '1';
for my $seconds (3600, -3600)
{
	my $model = chat_model('header', 'Retry-After', \$one, 'fail', 503, 1, "jump$seconds");
	my $start = time;
	$session->send("SELECT memai.generate('hi', '$model')");
	sleep 0.4;
	set_jump($seconds);
	is($session->answer(20), 'echo: hi', "HT25 a clock that jumps by $seconds s does no harm");
	my $took = time - $start;
	cmp_ok($took, '>', 0.9, 'HT25 the wait is kept');
	cmp_ok($took, '<', 10, 'HT25 and not prolonged');
	set_jump(0);
}

# ---- HT28: the threads that look names up run no signal handler of the server ----
$node->safe_psql('postgres', "SELECT memai.create_model('stall', 'chat', 'openai', 'x', url => 'http://stall.test/v1')");
$session->query("SET memai.http_connect_timeout = '30s'");
$session->send("SELECT memai.generate('hi', 'stall')");
my @threads;
for (1 .. 500)
{
	@threads = grep { $_ ne $session->{backend} } map { m{/(\d+)$} } glob("/proc/$session->{backend}/task/*");
	last if @threads;
	sleep 0.01;
}
# it blocks them before it looks anything up, which takes six seconds
sleep 0.5;
cmp_ok(scalar @threads, '>', 0, 'HT28 a thread looks the name up');
my $signals = 0;
$signals |= 1 << ($_ - 1) for (1, 2, 3, 10, 12, 14, 15, 23);		# HUP INT QUIT USR1 USR2 ALRM TERM URG
for my $thread (@threads)
{
	my ($blocked) = slurp_file("/proc/$session->{backend}/task/$thread/status") =~ /^SigBlk:\s+([0-9a-f]+)/m;
	is(hex($blocked) & $signals, $signals, 'HT28 with the signals of the server blocked');
}
$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{backend})");
like($session->answer // '', qr/57014/, 'HT28 and the main thread still gets them');

# ---- HT23: a connection brings an answer that nobody asked for ----
my $stale = '{"choices":[{"index":0,"message":{"content":"stale"},"finish_reason":"stop"}]}';
my $twice = chat_model('twice', \$stale);
is($session->query("SELECT memai.generate('$_', '$twice')"), "echo: $_", 'HT23 the answer of this request, and of no other') for 1 .. 5;
is($session->query("SELECT memai.generate('after', '$chat')"), 'echo: after', 'HT23 nor later');
my $lengths = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 500\r\n\r\n{\"choices\": []}";
like($session->query("SET memai.model_max_retries = 0; SELECT memai.generate('x', '" . chat_model('raw', \$lengths) . "')"),
	qr/MA0(08|10)/, 'HT23 two lengths are no answer');
my $both = "HTTP/1.1 200 OK\r\nContent-Length: 300\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}x\r\n0\r\n\r\n$stale";
like($session->query("SELECT memai.generate('x', '" . chat_model('raw', \$both) . "')"), qr/MA0(08|10)/, 'HT23 a length beside chunks neither');
# with retries: a connection that the server is about to close may still look open
is($session->query("RESET memai.model_max_retries; SELECT memai.generate('after', '$chat')"), 'echo: after', 'HT23 the next call is clean');

# ---- RL3, RL4: a long life of good, bad and cancelled calls ----
my $bad = chat_model('status', 400);
my $hang = chat_model('hang');
my $worker = MemAI::Session->new($node);
$worker->query('SET memai.model_breaker_failures = 0');

sub memory_of
{
	my ($kb) = slurp_file("/proc/$worker->{backend}/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb;
}

# a hundred calls
sub live
{
	$worker->query("SELECT count(memai.generate('hi', '$chat')) FROM generate_series(1, 60)");
	$worker->query("DO \$\$ BEGIN FOR i IN 1..30 LOOP BEGIN PERFORM memai.generate('hi', '$bad'); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$");
	for (1 .. 10)
	{
		my $answer = $worker->query_within(20, "SELECT memai.generate('hi', '$hang')");
		return $answer if $answer !~ /57014/;
	}
	return '';
}
live() for 1 .. 3;
my $memory = memory_of();
# the server opens and closes files of its own; what leaks is a socket or a pipe
sub sockets { return grep { (readlink("/proc/$_[0]/fd/$_") // '/') !~ m{^/} } descriptors($_[0]) }
my $files = () = sockets($worker->{backend});
my $start = time;
my @wrong = grep { $_ ne '' } map { live() } 1 .. $calls / 100;
my $growth = memory_of() - $memory;
is(join("\n", @wrong), '', 'RL3 every cancel was one');
note(sprintf('%d calls in %.1f s: memory grew by %d kB', $calls, time - $start, $growth));
cmp_ok($growth, '<=', 1024, "RL3 memory grows by at most 1 MB over $calls calls");
my $files_after = () = sockets($worker->{backend});
is($files_after, $files, "RL4 no descriptor is left over by $calls calls");
$node->stop;
$stub->stop;
done_testing();
