# While a call waits for an embedding model it holds no lock that anybody waits
# for: another session writes the same slot, supersedes the same memory, stores
# messages in the same scope meanwhile.
use strict;
use warnings FATAL => 'all';
use IO::Socket::INET;
use JSON::PP;
use MemAI::Session qw(can_accept);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('locks');
$node->init;
$node->start;
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "cannot listen: $!";
my $port = $listener->sockport;

# the next call of the model: [connection, number of texts]; undef when none comes
sub take_call
{
	can_accept($listener, 60) or return;
	my $client = $listener->accept;
	my ($length, $body) = (0, '');
	while (my $line = <$client>)
	{
		$length = $1 if $line =~ /^content-length:\s*(\d+)/i;
		last if $line =~ /^\r?\n$/;
	}
	read($client, $body, $length);
	return [ $client, scalar @{ decode_json($body)->{input} } ];
}

sub answer_call
{
	my ($client, $n) = @{ $_[0] };
	my $reply = encode_json({ object => 'list', model => 'stall-4', usage => { prompt_tokens => 1, total_tokens => 1 },
		data => [ map { { object => 'embedding', index => $_, embedding => [ 1, 0.5, 0.25, 0.125 ] } } 0 .. $n - 1 ] });
	print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " . length($reply) . "\r\n\r\n$reply";
	close($client);
	return;
}

$node->safe_psql('postgres', q{CREATE EXTENSION memai;
	SELECT memai.remember('Lives in Lund', 'ann', slot => 'home', valid_at => '2020-01-01Z');
	SELECT memai.remember('Plays chess', 'ann')});
my $chess = $node->safe_psql('postgres', q{SELECT id FROM memai.memory WHERE content = 'Plays chess'});
$node->safe_psql('postgres', qq{
	SELECT memai.create_model('stall', 'embed', 'openai', 'stall-4', url => 'http://127.0.0.1:$port/v1', dimensions => 4);
	SELECT memai.set_default_model('embed', 'stall')});

my $waiting = MemAI::Session->new($node);
my $writing = MemAI::Session->new($node);
my $n = 0;
for my $case (
	[ 'remember', q{SELECT memai.remember('Lives in Oslo %d', 'ann', slot => 'home')} ],
	[ 'remember_triplet', q{SELECT memai.remember_triplet('Ann', 'lives_in', 'Rome %d', user_id => 'ann', slot => 'home')} ],
	[ 'remember_messages', q{SELECT memai.remember_messages('[{"content": "Hello %d"}, {"content": "Hello again %d"}]', 'ann')} ],
	[ 'supersede', qq{SELECT memai.supersede(id, 'Plays go %d', 'ann') FROM memai.memory WHERE id = '$chess'} ],
	[ 'revise', q{SELECT memai.revise(id, 'Plays bridge %d', 'ann') FROM memai.memory WHERE content LIKE 'Plays go _' AND invalid_at IS NULL AND expired_at IS NULL} ])
{
	my ($name, $statement) = @$case;
	$n++;
	$waiting->send($statement =~ s/%d/$n/gr);
	my $first = take_call();
	ok($first, "$name calls the model");
	is($writing->query(qq{SELECT coalesce(string_agg(DISTINCT locktype || ' ' || mode, ', '), 'none') FROM pg_locks
		WHERE pid = $waiting->{backend} AND granted AND mode <> 'AccessShareLock' AND locktype <> 'virtualxid'}), 'none',
		"$name waits without a lock but those of a reader");
	is($writing->query(qq{SELECT backend_xid IS NULL FROM pg_stat_activity WHERE pid = $waiting->{backend}}), 't', "$name has no transaction id yet");
	# the other session writes what the first is about to write
	$writing->send(qq{SET statement_timeout = '60s'; SELECT memai.remember('Lives in Bergen $n', 'ann', slot => 'home') IS NOT NULL});
	my $second = take_call();
	ok($second, 'another session calls the model meanwhile') or last;
	answer_call($second);
	is($writing->answer(60), 't', "and stores a value of the same slot while $name waits");
	answer_call($first);
	like($waiting->answer(60), qr/^[0-9a-f-]{36}/, "$name ends well");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM memai.memory WHERE slot = 'home' AND invalid_at IS NULL AND expired_at IS NULL}), 1, 'the slot has one value');

$waiting->close;
$writing->close;
$node->stop;
done_testing();
