# memai.chat_stream: rows as the model speaks, through cursors and to clients that
# read row by row; tools in between; what a reader who leaves early has stored.
use strict;
use warnings FATAL => 'all';

use JSON::PP;
use MemAI::Gateway;
use MemAI::Wire;
use Test::More;
use Time::HiRes qw(time);

my ($node, $stub) = start_gateway('stream');
my $drip = chat_model('drip', 12, 400);
my $said = 'SELECT e.role, e.content, m.finish_reason FROM memai.message m JOIN memai.episode e ON e.scope = m.scope AND e.id = m.id ORDER BY m.id DESC LIMIT 1';
my $user = "SET memai.user_id = 'ann';";
my $stream = "memai.chat_stream('hi', model => '$drip', user_id => 'ann')";

# ---- a client that reads each row when it comes ----
{
	my $wire = MemAI::Wire->connect($node, 'postgres');
	$stub->reset;
	$wire->send_bytes(MemAI::Wire::message('Q', "SELECT (s).delta, (s).done, (s).result ->> 'content' FROM (SELECT $stream AS s OFFSET 0) x\0"));
	my ($first, @rows);
	while (1)
	{
		my ($type, $length) = unpack 'aN', $wire->receive_bytes(5);
		my $body = $wire->receive_bytes($length - 4);
		last if $type eq 'Z';
		fail($body) if $type eq 'E';
		next if $type ne 'D';
		$first //= time;
		push @rows, $body;
	}
	my ($request) = $stub->requests;
	cmp_ok($request->{sent} - $first, '>', 0.3, 'the first row is there long before the last word was sent');
	is(scalar @rows, 13, 'a row a word, and one at the end');
	like($rows[0], qr/word0 /, 'the first word');
	like($rows[-1], qr/word0 word1 .*word11 /, 'the last row has the whole answer');
}
value_is(run_sql("$user $said"), 'assistant|' . join('', map { "word$_ " } 0 .. 11) . '|stop', 'which is stored');

# ---- readers who leave ----
value_is(run_sql("$user BEGIN; DECLARE c CURSOR FOR SELECT (s).delta FROM (SELECT $stream AS s OFFSET 0) x; FETCH 2 FROM c; CLOSE c; COMMIT; $said"),
	"word0 \nword1 \nassistant|word0 word1 |cancelled", 'a closed cursor: what was said until then is stored');
value_is(run_sql("$user BEGIN; DECLARE c CURSOR FOR SELECT (s).delta FROM (SELECT $stream AS s OFFSET 0) x; FETCH 1 FROM c; COMMIT; $said"),
	"word0 \nassistant|word0 |cancelled", 'the end of the transaction');
value_is(run_sql("$user SELECT (s).delta FROM (SELECT $stream AS s OFFSET 0) x LIMIT 3; $said"), "word0 \nword1 \nword2 \nassistant|word0 word1 word2 |cancelled", 'LIMIT');
my $before = run_sql("$user SELECT count(*) FROM memai.message")->{value};
error_is(run_sql("$user SET statement_timeout = '400ms'; SELECT $stream"), '57014', qr/timeout/, 'a cancelled statement');
value_is(run_sql("$user BEGIN; DECLARE c CURSOR FOR SELECT $stream; FETCH 1 FROM c; ROLLBACK; SELECT count(*) FROM memai.message"),
	run_sql("SELECT '(\"word0 \",f,)'")->{value} . "\n$before", 'and a transaction that is rolled back store nothing');

# ---- tools, errors, other calls ----
my $chunk = sub { return "data: " . encode_json($_[0]) . "\n\n" };
my $calls = join('', $chunk->({ choices => [ { index => 0, delta => { role => 'assistant', content => 'Let me see. ' } } ] }),
	$chunk->({ choices => [ { index => 0, delta => { tool_calls => [ { index => 0, id => 'c1', type => 'function', function => { name => 'add_one', arguments => '{"n":' } } ] } } ] }),
	$chunk->({ choices => [ { index => 0, delta => { tool_calls => [ { index => 0, function => { arguments => ' 41}' } } ] } } ] }),
	$chunk->({ choices => [ { index => 0, delta => {}, finish_reason => 'tool_calls' } ], usage => { prompt_tokens => 5, completion_tokens => 3 } }), "data: [DONE]\n\n");
my $answer = join('', $chunk->({ choices => [ { index => 0, delta => { content => 'It is 42.' } } ] }),
	$chunk->({ choices => [ { index => 0, delta => {}, finish_reason => 'stop' } ], usage => { prompt_tokens => 7, completion_tokens => 4 } }), "data: [DONE]\n\n");
$stub->script('streams', { stream => $calls }, { stream => $answer });
my $tools = chat_model('script', 'streams');
$node->safe_psql('postgres', 'CREATE FUNCTION add_one(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$SELECT n + 1$$');
value_is(run_sql("$user SELECT memai.register_tool('add_one', 'adds one', 'add_one'); SELECT (s).delta, (s).result ->> 'content', (s).result #>> '{tools_invoked,0,content}', (s).result ->> 'total_tokens'
	FROM (SELECT memai.chat_stream('41 + 1?', model => '$tools', tools => '[\"add_one\"]') AS s OFFSET 0) x"),
	"\nLet me see. |||\nIt is 42.|||\n|It is 42.|42|19", 'a tool is run between two streams');
error_is(run_sql("$user SELECT memai.chat_stream('x', on_error => 'null')"), '0A000', qr/raises its errors/, 'on_error is refused');
error_is(run_sql("$user SELECT memai.chat_stream('x', model => '" . chat_model('status', 401) . "')"), 'MA001', qr/401/, 'a failing call raises');
value_is(run_sql("$user SELECT count(*), count(DISTINCT (s).result ->> 'thread_id') FROM (SELECT memai.chat_stream(q) AS s FROM unnest(ARRAY['a', 'b']) q OFFSET 0) x WHERE (s).done"), '2|2', 'two streams in one statement');

$stub->stop;
$node->stop;
done_testing();
