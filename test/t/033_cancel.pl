# Cancel, statement_timeout and termination end a call in every phase: rows
# HT2, HT19, HT20 of the catalogue of faults.  Prints the times: at the client; in the
# server from the call of pg_cancel_backend to the log's line of the error; and
# how long of that the backend waited for a processor, which is the machine's.
# MEMAI_CANCEL_ROUNDS=100 makes 1,000 cancels of it.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Processes;
use MemAI::Session;
use MemAI::SlowDNS;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{MEMAI_CANCEL_ROUNDS} // 10;

$ENV{LD_PRELOAD} = MemAI::SlowDNS->preload;
my ($node, $stub) = start_gateway('cancel',
	conf => "memai.http_private_hosts = 'localhost, 127.0.0.1, stall.test'\nlog_line_prefix = '%n %p '");
delete $ENV{LD_PRELOAD};

sub at_url
{
	my ($name, $url) = @_;
	$node->safe_psql('postgres',
		"SELECT memai.create_model('$name', 'chat', 'openai', 'stub', url => '$url')");
	return $name;
}

my ($retry_after, $rest) = ('30', '9');
my %model = (
	'name lookup' => at_url('dns', 'http://stall.test/v1'),
	'connect' => at_url('connect', "http://127.0.0.1:$stub->{full_port}/v1"),
	'TLS handshake' => at_url('tls', "https://127.0.0.1:$stub->{silent_port}/v1"),
	'first byte' => chat_model('hang'),
	'body' => chat_model('hang_body'),
	'slow body' => chat_model('trickle'),
	'stream' => chat_model('hang_stream'),
	'wait before a retry' => chat_model('header', 'Retry-After', \$retry_after, 'status', 503),
	'rest of the model' => chat_model('header', 'Retry-After', \$rest, 'status', 429),
	'cleanup' => chat_model('delay', 90));
# what is called, and under which settings; a cancel in the instant of the end may come a little late
my $resting = 'SET memai.model_breaker_failures = 5;';
my %settings = ('rest of the model' => $resting);
my %statement = (
	'stream' => q{SELECT content FROM memai.complete('[{"role":"user","content":"hi"}]', '%s', '{"stream": true}')},
	'cleanup' => q{SELECT memai.generate('hi', '%s'), pg_sleep(30)});

sub statement
{
	my ($phase) = @_;
	return ($settings{$phase} // 'SET memai.model_breaker_failures = 0; SET memai.model_retry_budget = 100;')
	  . sprintf($statement{$phase} // q{SELECT memai.generate('hi', '%s')}, $model{$phase});
}

my $session = MemAI::Session->new($node);
my $canceller = MemAI::Session->new($node);
$session->query('SELECT memai.new_id()');
$session->query("SET memai.http_connect_timeout = '30s'");

# milliseconds that a process could have run and did not
sub waited_for_processor
{
	my ($pid) = @_;
	open(my $stat, '<', "/proc/$pid/schedstat") or return 0;
	my (undef, $delay) = split ' ', <$stat>;
	return $delay / 1e6;
}

# milliseconds from the cancel to the error at the client, the moment of the
# cancel in the server, how long the two backends waited for a processor
sub cancel_latency
{
	my ($phase) = @_;
	$session->send(statement($phase));
	$session->until_waiting($canceller);
	sleep rand 0.06;
	my $waited = waited_for_processor($session->{backend}) + waited_for_processor($canceller->{backend});
	my $start = time;
	$canceller->send("SELECT 1000 * extract(epoch FROM clock_timestamp()), pg_cancel_backend($session->{backend})");
	my $answer = $session->answer(20) // 'no answer';
	my $latency = 1000 * (time - $start);
	my ($moment) = $canceller->answer =~ /^([\d.]+)/;
	$waited = waited_for_processor($session->{backend}) + waited_for_processor($canceller->{backend}) - $waited;
	return ($latency, $moment, $waited, $answer);
}

# milliseconds of the log's lines of cancelled statements, in their order
my $log_read = 0;
sub logged_cancels
{
	my $log = substr(PostgreSQL::Test::Utils::slurp_file($node->logfile), $log_read);
	$log_read += length $log;
	return map { 1000 * $_ } $log =~ /^([\d.]+) $session->{backend} ERROR:  canceling statement/mg;
}

sub percentile
{
	my ($p, @values) = @_;
	@values = sort { $a <=> $b } @values;
	return $values[ int($p * $#values + 0.5) ];
}

# the provider asks for the rest that the phase of that name waits for
$session->query("$resting SET memai.model_max_retries = 0; SELECT memai.generate('hi', '$model{'rest of the model'}')");
$session->query('RESET memai.model_max_retries');

my (@all, @in_server, @own);
logged_cancels();
for my $phase (sort keys %model)
{
	my (@latencies, @moments, @waits, @wrong);
	for (1 .. $rounds)
	{
		my ($latency, $moment, $wait, $answer) = cancel_latency($phase);
		push @latencies, $latency;
		push @moments, $moment;
		push @waits, $wait;
		push @wrong, $answer unless $answer =~ /ERROR:  57014: canceling statement due to user request/;
	}
	push @all, @latencies;
	my @logged = logged_cancels();
	is(scalar @logged, $rounds, "HT19 each cancel during $phase is in the log");
	# the log counts whole milliseconds
	my @served = map { $logged[$_] + 1 - $moments[$_] } 0 .. $#logged;
	my @unhindered = map { $served[$_] - $waits[$_] } 0 .. $#logged;
	push @in_server, @served;
	push @own, @unhindered;
	note(sprintf('%-20s p50 and p99 in ms: client %5.1f %5.1f, server %5.1f %5.1f, of that waiting for a processor %5.1f %5.1f, the rest %5.1f %5.1f', $phase,
			map { (percentile(0.5, @$_), percentile(0.99, @$_)) } \@latencies, \@served, \@waits, \@unhindered));
	is(join("\n", @wrong), '', "HT19 cancel during $phase is 57014");
	# a phase that does not listen lasts for 6 s or more; the machine may be slow and busy
	cmp_ok(percentile(1, @latencies), '<', 4000, "HT19 cancel during $phase is no matter of seconds");
}
diag(sprintf('cancel: %d in %d phases, p50 %.1f ms, p99 %.1f ms, worst %.1f ms', scalar @all,
		scalar keys %model, percentile(0.5, @all), percentile(0.99, @all), percentile(1, @all)));
diag(sprintf('cancel: in the server p50 %.1f ms, p99 %.1f ms; without waiting for a processor p50 %.1f ms, p99 %.1f ms',
		map { (percentile(0.5, @$_), percentile(0.99, @$_)) } \@in_server, \@own));
# what is usual is 1.3 ms; with the waiting of clients for a processor
cmp_ok(percentile(0.5, @all), '<', 500, 'HT19 half of the cancels within 500 ms at the client');
cmp_ok(percentile(0.5, @own), '<=', 10, 'HT19 in the server half of them within 10 ms of processor time');
cmp_ok(percentile(0.99, @own), '<=', 100, 'HT19 and 99 of 100 within 100 ms');

for my $phase (sort keys %model)
{
	my $start = time;
	my $answer = $session->query_within(300, statement($phase));
	my $late = 1000 * (time - $start) - 300;
	like($answer, qr/57014: canceling statement due to statement timeout/, "HT19 statement_timeout during $phase");
	cmp_ok($late, '<', 4000, "HT2 HT19 statement_timeout during $phase is kept");
}

# what libcurl reads of the system's certificates it reads once: a cancel waits for that
sub processor_time
{
	my @fields = split ' ', PostgreSQL::Test::Utils::slurp_file("/proc/$session->{backend}/stat");
	return 10 * ($fields[13] + $fields[14]);
}
my $spent = processor_time();
$session->query_within(50, statement('TLS handshake')) for 1 .. 20;
$spent = processor_time() - $spent;
cmp_ok($spent, '<', 250, "HT19 twenty TLS connections take $spent ms of processor time");

# HT20: an exception handler does not swallow it
like($session->query_within(300, qq{DO \$\$ BEGIN PERFORM memai.generate('hi', '$model{'first byte'}');
	EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'swallowed'; END \$\$}),
	qr/57014/, 'HT20 WHEN OTHERS does not catch a cancel');

# the session still works, and left nothing open
is($session->query("SELECT memai.generate('hi', '" . chat_model() . "')"), 'echo: hi', 'the session works after all that');
# what a stalled lookup holds is freed when its thread comes back, which takes six seconds
sub sockets
{
	opendir(my $dir, "/proc/$session->{backend}/fd");
	return grep { (readlink("/proc/$session->{backend}/fd/$_") // '') =~ /socket/ } readdir $dir;
}
sleep 6.5;
is($session->query("SELECT memai.generate('hi', '" . chat_model() . "')"), 'echo: hi', 'and later too');
for (1 .. 60)
{
	last if sockets() <= 12;
	sleep 0.5;
	$session->query("SELECT memai.generate('hi', '" . chat_model() . "')");
}
cmp_ok(scalar(my @open = sockets()), '<=', 12, 'HT19 no descriptor leaks');
note(scalar(@open) . ' sockets');

# termination and a dead postmaster
my $start = time;
$session->send("SELECT memai.generate('hi', '$model{'first byte'}')");
$session->until_waiting($canceller);
$canceller->query("SELECT pg_terminate_backend($session->{backend})");
like($session->answer // '', qr/57P01/, 'HT19 terminate ends a call');
# the call would last for a minute
cmp_ok(time - $start, '<', 20, 'BW1 at once');

my $orphan = MemAI::Session->new($node);
$orphan->send("SELECT memai.generate('hi', '$model{'first byte'}')");
$orphan->until_waiting($canceller);
kill 'KILL', postmaster_of($node);
cmp_ok(until_gone($orphan->{backend}), '<', 20, 'BW11 a backend in a call is gone soon after the postmaster');
$node->{_pid} = undef;

$stub->stop;
done_testing();
