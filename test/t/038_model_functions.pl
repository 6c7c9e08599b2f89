# extract, classify, is_true and summarize against a model that answers well, badly
# and worse; complete_stream row by row, to a cursor and to a client that reads
# rows as they come.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use MemAI::Wire;
use Test::More;
use Time::HiRes qw(time);

my ($node, $stub) = start_gateway('functions');
my $json = JSON::PP->new->canonical;

# a model that gives these answers one after another
sub answering
{
	my (@answers) = @_;
	$stub->reset;
	return chat_model('answers', \$json->encode([@answers]));
}

sub bodies { return map { decode_json($_->{body}) } $stub->requests }

my $schema = q{'{"type": "object", "properties": {"city": {"type": "string"}, "year": {"type": ["integer", "null"]}}, "required": ["city", "year"], "additionalProperties": false}'};
sub extract { my ($model, $text) = @_; $text //= q{'I moved to Oslo in 2019'}; return run_sql("SELECT memai.extract($text, $schema, '$model')") }

# ---- answers that keep to the schema ----
my $good = '{"city": "Oslo", "year": 2019}';
value_is(extract(answering($good)), $good, 'extract: an answer that follows the schema');
my ($request) = bodies();
is($request->{response_format}{json_schema}{schema}{required}[0], 'city', 'the model is given the schema');
is($request->{response_format}{json_schema}{strict}, JSON::PP::true, 'to be kept strictly, which this one can');
is($request->{temperature}, 0, 'temperature 0');
like($request->{messages}[1]{content}, qr/^<text-([0-9a-f]{16})>\nI moved to Oslo in 2019\n<\/text-\1>$/, 'the text is marked as data');
value_is(extract(answering("```json\n$good\n```")), $good, 'extract: a fence around the answer');
value_is(extract(answering("Here it is:\n```\n$good\n```\nAnything else?")), $good, 'extract: words around the fence');
value_is(extract(answering($good), 'NULL'), '', 'extract: NULL for NULL');
is(scalar($stub->requests), 0, 'without a call');

# ---- one more try, with the problem told ----
value_is(extract(answering('{"city": "Oslo"}', $good)), $good, 'extract: the second answer follows the schema');
my @requests = bodies();
is(scalar(@requests), 2, 'after two calls');
is($requests[1]{messages}[2]{content}, '{"city": "Oslo"}', 'the second shows the first answer');
like($requests[1]{messages}[3]{content}, qr/the answer lacks the member "year"/, 'and tells what is wrong with it');
for my $case ([ 'no JSON', 'the answer is no JSON' ], [ '{"city": 7, "year": null}', 'city is not of type string' ],
	[ '{"city": "Oslo", "year": 2019.5}', 'year is of none of the types' ], [ '{"city": "Oslo", "year": null, "x": 1}', 'a member "x" that the schema does not name' ],
	[ '[]', 'is not of type object' ], [ '', 'the answer has no text|no usable answer|is no JSON' ])
{
	my $result = extract(answering($case->[0]));
	error_is($result, 'MA010', qr/$case->[1]/, "extract: always $case->[0]");
}
my $long = extract(answering('{"city": "Oslo", "year": 1, "' . 'x' x 700 . '": 1}'));
error_is($long, 'MA010', qr/no usable answer in 2 attempts/, 'extract: a problem that is long');
cmp_ok(length $long->{detail}, '<', 400, 'is not told whole');
is(scalar($stub->requests), 2, 'two calls and no more');
error_is(extract(answering({ content => '{"city": "Os', finish_reason => 'length' })), 'MA008', qr/cut off/, 'extract: an answer that was cut off');
error_is(run_sql(q{SELECT memai.extract('x', '{"type": "string"}', '} . answering($good) . q{')}), '22023', qr/of type object/, 'extract: a schema of another type');
error_is(extract(chat_model('status', 401)), 'MA001', qr/401/, 'extract: the call fails as calls do');
value_is(run_sql(q{SELECT memai.extract('x', '{"type": "object"}', '} . answering('{"a": [1, {"b": "\u00e9"}]}') . q{')}), '{"a": [1, {"b": "é"}]}', 'extract: any object');
is((bodies())[0]{response_format}{json_schema}{strict}, JSON::PP::false, 'a schema that cannot be kept strictly is sent as one');

# ---- classify, is_true ----
value_is(run_sql(q{SELECT memai.classify('It broke again', ARRAY['praise', 'complaint'], '} . answering('{"label": "complaint"}') . q{')}), 'complaint', 'classify');
is(join(',', @{ (bodies())[0]{response_format}{json_schema}{schema}{properties}{label}{enum} }), 'praise,complaint', 'the labels are the choices');
value_is(run_sql(q{SELECT memai.classify('It broke', ARRAY['praise', 'complaint'], '} . answering('{"label": "anger"}', '{"label": "complaint"}') . q{')}), 'complaint', 'classify: a label of its own is asked again');
error_is(run_sql(q{SELECT memai.classify('It broke', ARRAY['praise', 'complaint'], '} . answering('{"label": "anger"}') . q{')}), 'MA010', qr/label is none of/, 'and never returned');
value_is(run_sql(q{SELECT memai.classify('x', ARRAY['it''s "so"', 'ä'], '} . answering('{"label": "it\'s \"so\""}') . q{')}), q{it's "so"}, 'classify: quotes in a label');
value_is(run_sql(q{SELECT memai.is_true('Water is wet', '} . answering('{"answer": true}') . q{')}), 't', 'is_true');
value_is(run_sql(q{SELECT memai.is_true('Water is dry', '} . answering('{"answer": "no"}', '{"answer": false}') . q{')}), 'f', 'is_true: a word instead of a boolean is asked again');

# ---- summarize ----
value_is(run_sql(q{SELECT memai.summarize('A long text', 5, '} . answering('A text.') . q{')}), 'A text.', 'summarize');
value_is(run_sql(q{SELECT memai.summarize('A long text', 5, '} . answering('One two three. Four five six seven eight.') . q{')}), 'One two three.', 'summarize: what is too long ends with a sentence');
value_is(run_sql(q{SELECT memai.summarize('A long text', 3, '} . answering('one two three four') . q{')}), 'one two three', 'or with a word');

# ---- rows as the tokens arrive ----
my $messages = q{'[{"role": "user", "content": "hi"}]'};
my $drip = chat_model('drip', 12, 400);
sub sent { my ($request) = $stub->requests; return $request->{sent} }

# a client that reads each row when it comes, as libpq's single-row mode does
{
	my $wire = MemAI::Wire->connect($node, 'postgres');
	$stub->reset;
	my $sql = "SELECT memai.complete_stream($messages, '$drip')";
	$wire->send_bytes(MemAI::Wire::message('Q', "$sql\0"));
	my ($first, $rows, $text) = (undef, 0, '');
	while (1)
	{
		my ($type, $length) = unpack 'aN', $wire->receive_bytes(5);
		my $body = $wire->receive_bytes($length - 4);
		last if $type eq 'Z';
		next unless $type eq 'D';
		$first //= time;
		$rows++;
		$text .= substr $body, 6;
	}
	is($text, join('', map { "word$_ " } 0 .. 11), 'the streamed rows are the answer');
	is($rows, 12, 'a row a word');
	my $early = sent() - $first;
	cmp_ok($early, '>', 0.3, sprintf('the first row is there %.2f s before the last word is sent', $early));
}

# a cursor, which is what psql uses with FETCH_COUNT
{
	$stub->reset;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	open(my $psql, '-|', 'psql', '-XAtq', '-d', 'postgres', '-v', 'FETCH_COUNT=1', '-c', "SELECT memai.complete_stream($messages, '$drip')") or die;
	my $first = <$psql>;
	my $arrived = time;
	my @rest = <$psql>;
	close $psql;
	is($first . join('', @rest), join('', map { "word$_ \n" } 0 .. 11), 'psql with FETCH_COUNT = 1 prints the answer');
	my $early = sent() - $arrived;
	cmp_ok($early, '>', 0.3, sprintf('its first row is there %.2f s before the last word is sent', $early));
}
$stub->reset;
value_is(run_sql("BEGIN; DECLARE c CURSOR FOR SELECT memai.complete_stream($messages, '$drip'); FETCH 2 FROM c; CLOSE c; COMMIT"),
	"word0 \nword1 ", 'a cursor that is closed early ends the call');

# ---- who may ----
$node->safe_psql('postgres', 'CREATE ROLE nobody');
for my $call (q{extract('x', '{"type": "object"}')}, q{classify('x', ARRAY['a'])}, q{is_true('x')}, q{summarize('x')}, q{count_tokens('x')})
{
	error_is(run_sql("SET ROLE nobody; SELECT memai.$call"), '42501', qr/permission denied/, "$call is not for everybody");
}

$node->stop;
$stub->stop;
done_testing();
