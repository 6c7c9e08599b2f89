# Cancel, statement_timeout and termination end a call in every phase: rows
# HT2, HT19, HT20 of the catalogue of faults.  Prints the times.
# MEMAI_CANCEL_ROUNDS=100 makes 1,000 cancels of it.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Session;
use MemAI::SlowDNS;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{MEMAI_CANCEL_ROUNDS} // 10;

$ENV{LD_PRELOAD} = MemAI::SlowDNS->preload;
my ($node, $stub) = start_gateway('cancel',
	conf => "memai.http_private_hosts = 'localhost, 127.0.0.1, stall.test'");
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

# not gone, and not only waiting for somebody to collect it
sub is_running
{
	my ($pid) = @_;
	open(my $stat, '<', "/proc/$pid/stat") or return 0;
	return <$stat> !~ /\) Z /;
}

# milliseconds from the cancel to the error at the client
sub cancel_latency
{
	my ($phase) = @_;
	$session->send(statement($phase));
	sleep 0.06 + rand 0.06;
	my $start = time;
	$canceller->send("SELECT pg_cancel_backend($session->{backend})");
	my $answer = $session->answer(20) // 'no answer';
	my $latency = 1000 * (time - $start);
	$canceller->answer;
	return ($latency, $answer);
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

my @all;
for my $phase (sort keys %model)
{
	my (@latencies, @wrong);
	for (1 .. $rounds)
	{
		my ($latency, $answer) = cancel_latency($phase);
		push @latencies, $latency;
		push @wrong, $answer unless $answer =~ /ERROR:  57014: canceling statement due to user request/;
	}
	push @all, @latencies;
	is(join("\n", @wrong), '', "HT19 cancel during $phase is 57014");
	cmp_ok(percentile(1, @latencies), '<', 250, "HT19 cancel during $phase within 250 ms");
	note(sprintf('%s: median %.1f ms, worst %.1f ms', $phase, percentile(0.5, @latencies), percentile(1, @latencies)));
}
diag(sprintf('cancel: %d in %d phases, p50 %.1f ms, p99 %.1f ms, worst %.1f ms', scalar @all,
		scalar keys %model, percentile(0.5, @all), percentile(0.99, @all), percentile(1, @all)));
cmp_ok(percentile(0.5, @all), '<', 50, 'HT19 half of the cancels within 50 ms');

for my $phase (sort keys %model)
{
	my $start = time;
	my $answer = $session->query('SET statement_timeout = 300; ' . statement($phase));
	my $late = 1000 * (time - $start) - 300;
	like($answer, qr/57014: canceling statement due to statement timeout/, "HT19 statement_timeout during $phase");
	cmp_ok($late, '<', 250, "HT2 HT19 statement_timeout during $phase is kept");
	$session->query('RESET statement_timeout');
}

# HT20: an exception handler does not swallow it
like($session->query(qq{SET statement_timeout = 300; DO \$\$ BEGIN PERFORM memai.generate('hi', '$model{'first byte'}');
	EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'swallowed'; END \$\$}),
	qr/57014/, 'HT20 WHEN OTHERS does not catch a cancel');
$session->query('RESET statement_timeout');

# the session still works, and left nothing open
is($session->query("SELECT memai.generate('hi', '" . chat_model() . "')"), 'echo: hi', 'the session works after all that');
# what a stalled lookup holds is freed when its thread comes back
sleep 6.5;
is($session->query("SELECT memai.generate('hi', '" . chat_model() . "')"), 'echo: hi', 'and later too');
opendir(my $dir, "/proc/$session->{backend}/fd");
my @sockets = grep { (readlink("/proc/$session->{backend}/fd/$_") // '') =~ /socket/ } readdir $dir;
cmp_ok(scalar @sockets, '<=', 12, 'HT19 no descriptor leaks');
note(scalar(@sockets) . ' sockets');

# termination and a dead postmaster
my $start = time;
$session->send("SELECT memai.generate('hi', '$model{'first byte'}')");
sleep 0.1;
$canceller->query("SELECT pg_terminate_backend($session->{backend})");
like($session->answer(5) // '', qr/57P01/, 'HT19 terminate ends a call');
cmp_ok(time - $start, '<', 1, 'BW1 within a second');

my $orphan = MemAI::Session->new($node);
$orphan->send("SELECT memai.generate('hi', '$model{'first byte'}')");
sleep 0.2;
kill 'KILL', (split /\n/, PostgreSQL::Test::Utils::slurp_file($node->data_dir . '/postmaster.pid'))[0];
my $gone = time;
sleep 0.02 while is_running($orphan->{backend}) && time - $gone < 5;
cmp_ok(time - $gone, '<', 1, 'BW11 a backend in a call is gone a second after the postmaster');
$node->{_pid} = undef;

$stub->stop;
done_testing();
