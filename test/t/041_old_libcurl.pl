# A libcurl older than 7.87 waits for a stalled name lookup when a request is
# taken out of it; memai parks the request instead.  Rows HT2 and HT19 of the
# catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Session;
use MemAI::SlowDNS;
use Test::More;
use Time::HiRes qw(sleep time);

$ENV{LD_PRELOAD} = join(':', MemAI::SlowDNS->preload, MemAI::SlowDNS->build('old_curl', '-lcurl'));
my ($node, $stub) = start_gateway('old_libcurl',
	conf => "memai.http_private_hosts = 'localhost, 127.0.0.1, stall.test'");
delete $ENV{LD_PRELOAD};

sub descriptors
{
	my ($pid) = @_;
	opendir(my $dir, "/proc/$pid/fd") or return ();
	return grep { /^\d+$/ } readdir $dir;
}

my $chat = chat_model();
$node->safe_psql('postgres', "SELECT memai.create_model('stall', 'chat', 'openai', 'x', url => 'http://stall.test/v1')");
my $session = MemAI::Session->new($node);
my $canceller = MemAI::Session->new($node);
is($session->query("SELECT memai.generate('hi', '$chat')"), 'echo: hi', 'an old libcurl works');
my $before = () = descriptors($session->{backend});
$session->query("SET memai.http_connect_timeout = '30s'");
my @latencies;
for (1 .. 5)
{
	$session->send("SELECT memai.generate('hi', 'stall')");
	$session->until_waiting($canceller);
	my $cancelled = time;
	$canceller->query("SELECT pg_cancel_backend($session->{backend})");
	like($session->answer // '', qr/57014/, 'HT19 a stalled lookup is cancelled');
	push @latencies, 1000 * (time - $cancelled);
	is($session->query("SELECT memai.generate('hi', '$chat')"), 'echo: hi', 'HT19 and the session goes on');
}
@latencies = sort { $a <=> $b } @latencies;
cmp_ok($latencies[-1], '<', 4000, sprintf('HT19 at once, not after six seconds: worst %.0f ms', $latencies[-1]));
my $late = time;
like($session->query("SET memai.http_connect_timeout = '300ms'; SET memai.model_max_retries = 0; SELECT memai.generate('hi', 'stall')"),
	qr/MA005.*looking up the host/s, 'HT2 the time to connect is kept');
cmp_ok(time - $late, '<', 4, 'HT2 without waiting for the lookup');
sleep 6.5;
is($session->query("SELECT memai.generate('hi', '$chat') FROM generate_series(1, 2)"), "echo: hi\necho: hi", 'the session works when the lookups have ended');
my $after;
for (1 .. 60)
{
	$after = () = descriptors($session->{backend});
	last if $after <= $before + 1;
	sleep 0.5;
	$session->query("SELECT memai.generate('hi', '$chat')");
}
cmp_ok($after, '<=', $before + 1, 'and has freed what was parked');
is(scalar(grep { $_->{path} =~ /stall/ } $stub->requests), 0, 'without a request to the address that was found');

$node->stop;
$stub->stop;
done_testing();
