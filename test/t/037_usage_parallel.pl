# The ledger of a call whose requests run at a time, when one of them fails for good
# (row RL8): what the others cost is known as far as their answers have come.  The
# backend stands still while the stub answers, so that it finds all answers at once.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Session;
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'needs /proc' unless -d '/proc/self';
my ($node, $stub) = start_gateway('usage_parallel',
	conf => "shared_preload_libraries = 'memai'\nmemai.worker_databases = ''\nmemai.http_private_hosts = '127.0.0.1'\n");
my $session = MemAI::Session->new($node);
my $bad = 'bad';
my $open = 0;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# when it returns, the process stands still
sub stop_backend
{
	my ($pid) = @_;
	kill 'STOP', $pid;
	for (1 .. 3000)
	{
		return if PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat") =~ /^\d+ \(.*\) T /s;
		sleep 0.02;
	}
	die "process $pid does not stop";
}

# embeds the texts, each in a request of its own; what the session says and the model
sub embed_at_once
{
	my ($modes, @texts) = @_;
	my $key = 'g' . ++$open;
	my $model = embed_model(4, 'gate', $key, @$modes);
	sql("SELECT memai.alter_model('$model', options => '{\"batch_size\": 1}')");
	$stub->reset;
	$session->send("SELECT memai.embed(ARRAY[" . join(', ', map { "'$_'" } @texts) . "], '$model')");
	$stub->wait_for_gate($key, scalar @texts);
	stop_backend($session->{backend});
	$stub->open_gate($key);
	kill 'CONT', $session->{backend};
	return ($session->answer(120) // 'no answer', $model);
}

$session->query('SET memai.http_max_parallel = 4; SET memai.model_max_retries = 0');
for my $case ([ 'first', 'bad', 'two words', 'and three words' ], [ 'second', 'two words', 'bad', 'and three words' ],
	[ 'last', 'two words', 'and three words', 'bad' ])
{
	my ($which, @texts) = @$case;
	my ($said, $model) = embed_at_once([ 'poison', 401, \$bad ], @texts);
	like($said, qr/ERROR:  MA001: call to model "$model" failed/, "the $which of three requests fails for good");
	is(sql("SELECT status, sqlstate, prompt_tokens, estimated FROM memai.usage WHERE model = '$model' ORDER BY prompt_tokens"),
		"error|MA001|0|f\nok||2|f\nok||3|f", 'the others are in the ledger with what they cost');
	is(sql("SELECT sum(prompt_tokens) FROM memai.usage WHERE model = '$model'"), $stub->tokens->{prompt}, "RL8 as the provider counts it");
}

# an answer that cannot be used fails the call as well, and a failure that came beside it is one
my ($said, $model) = embed_at_once([ 'drop' ], 'one', 'two words');
like($said, qr/ERROR:  MA010/, 'answers without vectors');
is(sql("SELECT status, sqlstate, prompt_tokens FROM memai.usage WHERE model = '$model' ORDER BY prompt_tokens"),
	"error|MA010|1\nok||2", 'the first that is read fails the call, the other is known to be paid for');
($said, $model) = embed_at_once([ 'status', 403 ], 'one', 'two words');
like($said, qr/ERROR:  MA001/, 'two failures');
is(sql("SELECT status, sqlstate, count(*) FROM memai.usage WHERE model = '$model' GROUP BY 1, 2"), 'error|MA001|2', 'are two errors');

# nothing is left behind for the next call
my ($failing, $sound) = (embed_model(4, 'status', 403), chat_model());
like($session->query("BEGIN; SAVEPOINT s; SELECT memai.embed('one', '$failing'); ROLLBACK TO s; SELECT memai.generate('hi', '$sound'); COMMIT", 120),
	qr/MA001.*echo: hi/s, 'the session goes on');

$session->close;
$node->stop;
$stub->stop;
done_testing();
