# The OpenAI wire format: what is sent, what is read, what each failure is
# called.  Rows JS1 to JS10 and JS13, HT8 to HT12, HT14, HT24.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use Test::More;
use Time::HiRes qw(time);

my ($node, $stub) = start_gateway('openai');
my $json = JSON::PP->new->canonical->utf8;

sub last_request { return ($stub->requests)[-1] }
sub body_of { return JSON::PP->new->decode($_[0]{body}) }

# ---- chat: the request ----
my $chat = chat_model();
$node->safe_psql('postgres', qq{SELECT memai.complete('[{"role":"system","content":"Be brief."},
	{"role":"user","content":"Weather?"},
	{"role":"assistant","tool_calls":[{"id":"c1","name":"weather","arguments":{"city":"Köln"}}]},
	{"role":"tool","tool_call_id":"c1","content":"rain"}]', '$chat',
	'{"temperature": 0.5, "max_tokens": 7, "stop": ["x"], "tools": [{"name": "weather", "description": "d", "parameters": {"type": "object"}}],
	  "tool_choice": "weather", "json_schema": {"type": "object"}}')});
is($json->encode(body_of(last_request())), $json->encode({
		model => 'stub', temperature => 0.5, max_tokens => 7, stop => ['x'],
		messages => [
			{ role => 'system', content => 'Be brief.' },
			{ role => 'user', content => 'Weather?' },
			{ role => 'assistant', content => undef, tool_calls => [
				{ id => 'c1', type => 'function', function => { name => 'weather', arguments => qq({"city":"K\x{f6}ln"}) } } ] },
			{ role => 'tool', content => 'rain', tool_call_id => 'c1' } ],
		tools => [ { type => 'function', function => { name => 'weather', description => 'd', parameters => { type => 'object' } } } ],
		tool_choice => { type => 'function', function => { name => 'weather' } },
		response_format => { type => 'json_schema', json_schema => { name => 'answer', schema => { type => 'object' }, strict => JSON::PP::false } } }),
	'the request has every part');

# JS13: any text survives the way out and back
my $nasty = join '', map { chr } 1 .. 127;
$node->safe_psql('postgres', "CREATE TABLE nasty AS SELECT string_agg(chr(n), '' ORDER BY n) || E'\\u00e4\\U0001F600\\u2028{{\"}}' AS t FROM generate_series(1, 127) n");
value_is(run_sql("SELECT memai.generate(t, '$chat') = 'echo: ' || t FROM nasty"), 't', 'JS13 every character survives');
is(body_of(last_request())->{messages}[0]{content}, $nasty . "\x{e4}\x{1F600}\x{2028}{{\"}}", 'JS13 and stands in the request');

# ---- chat: the answer, JS8 ----
sub complete_body
{
	my ($body) = @_;
	my $name = chat_model('body', \$body);
	return run_sql("SELECT content, finish_reason, prompt_tokens, completion_tokens, tool_calls FROM memai.complete('[{\"role\":\"user\",\"content\":\"hi\"}]', '$name')");
}

sub choice
{
	my ($message, $reason, $usage) = @_;
	return '{"choices":[{"index":0,"message":' . $message . ',"finish_reason":' . ($reason // '"stop"') . '}]'
	  . ($usage ? ",\"usage\":$usage" : '') . '}';
}

my @answers = (
	[ choice('{"content":"hi"}'), 'hi|stop|||', 'plain' ],
	[ choice('{"content":""}'), '|stop|||', 'empty text' ],
	[ choice('{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}'), 'ab|stop|||', 'text in parts' ],
	[ choice('{"content":"hi"}', '"length"'), 'hi|length|||', 'cut at the token limit' ],
	[ choice('{"content":"hi"}', '"content_filter"'), 'hi|content_filter|||', 'filtered after some text' ],
	[ choice('{"content":"hi"}', 'null'), 'hi|stop|||', 'no finish reason' ],
	[ choice('{"content":"hi"}', '"eos_token"'), 'hi|stop|||', 'unknown finish reason' ],
	[ choice('{"content":null,"refusal":"I cannot"}'), 'I cannot|content_filter|||', 'refusal' ],
	[ choice('{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]}', '"tool_calls"'),
		'|tool_calls|||[{"id": "c", "name": "f", "arguments": {"a": 1}}]', 'tool call' ],
	[ choice('{"content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{bro"}}]}', '"tool_calls"'),
		'|tool_calls|||[{"id": "c", "name": "f", "arguments": "{bro"}]', 'tool call with broken arguments' ],
	[ choice('{"content":"x","tool_calls":[]}'), 'x|stop|||', 'empty list of tool calls' ],
	[ choice('{"content":"x"}', undef, '{"prompt_tokens":3,"completion_tokens":4}'), 'x|stop|3|4|', 'JS9 usage' ],
	[ choice('{"content":"x"}', undef, '{"prompt_tokens":-3,"completion_tokens":4e20}'), 'x|stop|||', 'JS9 usage out of range' ],
	[ choice('{"content":"x"}', undef, '{"prompt_tokens":"3","completion_tokens":4.5}'), 'x|stop|||', 'JS9 usage of wrong types' ],
	[ choice('{"content":"x"}', undef, '{"prompt_tokens":7.0}'), 'x|stop|7||', 'JS9 whole number with a fraction' ],
	[ choice('{"content":"x"}', undef, '[]'), 'x|stop|||', 'JS9 usage of wrong shape' ],
	[ choice('{"content":"\ud800 \udc00\ud800"}'), "\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd|stop|||", 'JS2 lone surrogates' ]);
for my $case (@answers)
{
	value_is(complete_body($case->[0]), $case->[1], "JS8 $case->[2]");
}

my @refused = (
	[ choice('{"content":null}'), 'MA010', qr/no text/, 'content null' ],
	[ choice('{}'), 'MA010', qr/no text/, 'no content' ],
	[ choice('{"content":5}'), 'MA010', qr/no text/, 'content a number' ],
	[ choice('null'), 'MA010', qr/no message/, 'message null' ],
	[ choice('{"content":null}', '"length"'), 'MA008', qr/ended before/, 'nothing before the token limit' ],
	[ choice('{"content":""}', '"content_filter"'), 'MA007', qr/filter/, 'nothing but a filter' ],
	[ '{"choices":[]}', 'MA010', qr/no choice/, 'no choices' ],
	[ '{"choices":"x"}', 'MA010', qr/no choice/, 'choices of wrong type' ],
	[ '{}', 'MA010', qr/no choice/, 'empty object' ],
	[ '[]', 'MA010', qr/no choice/, 'an array' ],
	[ '"hi"', 'MA010', qr/JSON is broken/, 'a string' ],
	[ '', 'MA010', qr/JSON is broken/, 'JS10 empty body' ],
	[ '<html>login</html>', 'MA010', qr/JSON is broken/, 'JS10 a login page' ],
	[ '{"error":{"message":"no luck"}}', 'MA010', qr/no luck/, 'JS10 an error with status 200' ],
	[ choice('{"content":"x"}') . '{}', 'MA010', qr/JSON is broken/, 'JS10 two documents' ],
	[ choice('{"content":"x"}') . ' x', 'MA010', qr/JSON is broken/, 'JS10 something behind' ],
	[ 'callback(' . choice('{"content":"x"}') . ')', 'MA010', qr/JSON is broken/, 'JS10 JSONP' ],
	[ '[' x 500, 'MA010', qr/too deep/, 'JS3 deep nesting' ]);
for my $case (@refused)
{
	error_is(complete_body($case->[0]), $case->[1], $case->[2], "JS8 $case->[3]");
}

# ---- errors: the body decides where the status means two things ----
my @errors = (
	[ 429, '{"error":{"code":"insufficient_quota","message":"x"}}', 'MA002' ],
	[ 429, '{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}}', 'MA002' ],
	[ 429, '{"error":{"type":"organization_spend_limit_exceeded"}}', 'MA002' ],
	[ 429, '{"error":{"code":"rate_limit_exceeded","message":"slow down"}}', 'MA003' ],
	[ 400, '{"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}', 'MA002' ],
	[ 400, '{"error":{"code":"context_length_exceeded","message":"maximum context length is 8192"}}', 'MA009' ],
	[ 400, '{"object":"error","message":"prompt is too long: 9 tokens > 8 maximum","type":"BadRequestError"}', 'MA009' ],
	[ 400, '{"error":{"code":"content_filter","message":"The response was filtered"}}', 'MA007' ],
	[ 400, '[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]', 'MA006' ],
	[ 400, '{"error":"model is required"}', 'MA006' ],
	[ 404, '{"detail":"no such model"}', 'MA006' ],
	[ 503, '{"error":{"code":"server_is_overloaded"}}', 'MA004' ]);
for my $case (@errors)
{
	my ($status, $body, $sqlstate) = @$case;
	error_is(chat_at([ 'error', $status, \$body ]), $sqlstate, qr/status $status/, "HT9 HT11 $status $body is $sqlstate");
}

# ---- retries ----
sub retried
{
	my ($settings, @modes) = @_;
	my $name = chat_model(@modes);
	$stub->reset;
	my $start = time;
	my $result = run_sql("SET memai.model_max_retries = 2; SET memai.model_breaker_failures = 0; $settings; SELECT memai.generate('hi', '$name')");
	return ($result, [ $stub->requests ], time - $start);
}

my ($result, $requests, $seconds) = retried('', 'fail', 503, 2, 'a');
value_is($result, 'echo: hi', 'HT10 the third attempt succeeds');
is(scalar @$requests, 3, 'HT10 after two failures');
cmp_ok($seconds, '>', 1.1, 'HT10 with a wait of half a second and of one');
my %keys = map { $_->{headers}{'idempotency-key'} => 1 } @$requests;
is(scalar keys %keys, 1, 'HT24 all attempts carry one idempotency key');
like((keys %keys)[0], qr/^[0-9a-f-]{36}$/, 'HT24 which is a UUID');

($result, $requests) = retried('', 'fail', 500, 9, 'b');
error_is($result, 'MA004', qr/after 3 attempts/, 'HT10 two retries and no more');
is(scalar @$requests, 3, 'HT10 three requests');

for my $status (400, 401, 403, 404, 413, 422)
{
	($result, $requests) = retried('', 'status', $status);
	is(scalar @$requests, 1, "HT11 $status is not retried");
}
for my $status (408, 409)
{
	($result, $requests) = retried('', 'fail', $status, 1, "s$status");
	value_is($result, 'echo: hi', "HT12 $status is retried");
}
my $quota = '{"error":{"code":"insufficient_quota"}}';
($result, $requests) = retried('', 'error', 429, \$quota);
is(scalar @$requests, 1, 'HT9 a spent quota is not retried');

# HT8: what the server asks for, in each of its forms
my ($one, $fast, $long, $nan, $past, $negative) = ('1', '20', '121', 'nan', 'Wed, 21 Oct 2015 07:28:00 GMT', '-1');
($result, $requests, $seconds) = retried('', 'header', 'Retry-After', \$one, 'fail', 429, 1, 'c');
value_is($result, 'echo: hi', 'HT8 Retry-After: 1');
cmp_ok($seconds, '>=', 1, 'HT8 is waited for');
($result, $requests, $seconds) = retried('SET memai.model_max_retries = 5', 'header', 'retry-after-ms', \$fast, 'fail', 429, 5, 'd');
value_is($result, 'echo: hi', 'HT8 retry-after-ms: 20');
# as the server saw them; our own five waits would be 11 s at least
cmp_ok($requests->[5]{time} - $requests->[0]{time}, '<', 5, 'HT8 is a short wait');
($result, $requests, $seconds) = retried('', 'header', 'Retry-After', \$long, 'fail', 429, 1, 'e');
error_is($result, 'MA003', qr/after 1 attempt/, 'HT8 Retry-After: 121 is too long to wait for');
for my $text ($nan, $past, $negative)
{
	($result, $requests, $seconds) = retried('', 'header', 'Retry-After', \$text, 'fail', 429, 1, "f$text" =~ s/\W//gr);
	value_is($result, 'echo: hi', "HT8 Retry-After: $text falls back to our own wait");
	# half a second at most, ten times that for a slow machine
	cmp_ok($requests->[1]{time} - $requests->[0]{time}, '<', 5, 'HT8 which is short');
}
my ($yes, $no) = ('true', 'false');
($result, $requests) = retried('', 'header', 'x-should-retry', \$no, 'fail', 503, 1, 'g');
error_is($result, 'MA004', qr/after 1 attempt/, 'HT14 x-should-retry: false');
($result, $requests) = retried('', 'header', 'x-should-retry', \$yes, 'fail', 400, 1, 'h');
value_is($result, 'echo: hi', 'HT14 x-should-retry: true');
# the fourth attempt begins after 3.5 s at the latest, the next one would after 5.6 or more, and all ten take 35 s at least
($result, $requests, $seconds) = retried("SET memai.model_max_retries = 9; SET memai.http_call_timeout = '5500ms'", 'fail', 503, 9, 'i');
error_is($result, 'MA004', qr/after [1234] attempts?/, 'retries end with the time of the call');
cmp_ok($seconds, '<', 25, 'which is kept');

# ---- embeddings: whatever the order, each vector is its text's (JS5) ----
my $texts = "ARRAY(SELECT repeat('x', n) FROM generate_series(1, 50) n)";
sub lengths
{
	my ($modes, $options) = @_;
	my $name = embed_model(4, @$modes);
	return run_sql("SELECT string_agg((v::real[])[1]::text, ',' ORDER BY o) = (SELECT string_agg(n::text, ',' ORDER BY n) FROM generate_series(1, 50) n)
		FROM unnest(memai.embed($texts, '$name')) WITH ORDINALITY u(v, o)");
}
for my $modes ([], ['shuffle'], ['no_index'], ['base64'], [ 'shuffle', 'base64' ], ['gzip'])
{
	value_is(lengths($modes), 't', "JS5 embeddings: @$modes");
}
for my $round (1 .. 10)
{
	value_is(lengths(['shuffle']), 't', "JS5 shuffled, round $round");
}
error_is(embed_at(['drop']), 'MA010', qr/2 vectors for 3 inputs/, 'JS5 one is missing');
error_is(embed_at([ 'drop', 'no_index' ]), 'MA010', qr/2 vectors for 3 inputs/, 'JS5 one is missing, without index');
error_is(embed_at(['duplicate']), 'MA010', qr/index 0 occurs twice/, 'JS5 an index twice');
error_is(embed_at(['extra']), 'MA010', qr/index 3 is none of the 3/, 'JS5 one too many');
error_is(embed_at(['negative']), 'MA010', qr/index -1/, 'JS5 a negative index');
error_is(embed_at([ 'extra', 'no_index' ]), 'MA010', qr/index 3 is none/, 'JS5 one too many, without index');

sub embed_body
{
	my ($body) = @_;
	my $name = embed_model(2, 'body', \$body);
	return run_sql("SELECT memai.embed('x', '$name')");
}
sub data { return '{"data":[{"index":0,"embedding":' . $_[0] . '}]}' }
my $base64 = sub { require MIME::Base64; return '"' . MIME::Base64::encode_base64($_[0], '') . '"' };

value_is(embed_body(data('[1, -2.5e0]')), '[1,-2.5]', 'JS4 numbers');
value_is(embed_body(data('[1e-50, 1]')), '[0,1]', 'JS4 underflow is 0');
value_is(embed_body(data('[-0, 0.1]')), '[-0,0.1]', 'JS4 minus zero');
value_is(embed_body('{"data":[{"embedding":[1,2]}],"data2":[[{}]]}'), '[1,2]', 'JS5 no index at all');
my @bad_vectors = (
	[ data('[1]'), qr/1 dimensions and not 2/, 'JS6 too short' ],
	[ data('[1,2,3]'), qr/more numbers than expected/, 'JS6 too long' ],
	[ data('[]'), qr/0 dimensions/, 'JS6 empty' ],
	[ data('[0,0]'), qr/all zeros/, 'JS6 all zeros' ],
	[ data('[1,null]'), qr/element 1.*not a number/, 'JS4 null' ],
	[ data('[NaN,1]'), qr/element 0.*not a number/, 'JS4 NaN' ],
	[ data('[1,Infinity]'), qr/element 1.*not a number/, 'JS4 Infinity' ],
	[ data('[1e400,1]'), qr/element 0.*out of range/, 'JS4 overflow' ],
	[ data('[1e39,1]'), qr/element 0.*out of range/, 'JS4 overflow of float' ],
	[ data('["1",1]'), qr/element 0.*not a number/, 'JS4 string' ],
	[ data('[true,1]'), qr/element 0.*not a number/, 'JS4 boolean' ],
	[ data('[01,1]'), qr/element 0.*not a number/, 'JS4 leading zero' ],
	[ data('[1.,1]'), qr/element 0.*not a number/, 'JS4 no fraction' ],
	[ data('[' . '1' x 300 . ',1]'), qr/element 0.*too long/, 'JS3 a long number' ],
	[ data('null'), qr/array is expected/, 'JS5 no vector' ],
	[ data('{}'), qr/array is expected/, 'JS5 an object' ],
	[ data($base64->(pack 'f<2', 'nan', 1)), qr/not finite/, 'JS7 NaN in base64' ],
	[ data($base64->(pack 'f<1 a3', 1, 'abc')), qr/whole numbers/, 'JS7 not whole numbers' ],
	[ data('"AAA"'), qr/cut off/, 'JS7 cut off' ],
	[ data('"AA*AAAAAAAA="'), qr/outside its alphabet/, 'JS7 wrong alphabet' ],
	[ '{"data":[]}', qr/0 vectors for 1/, 'JS5 empty list' ],
	[ '{"data":{}}', qr/0 vectors for 1/, 'JS5 no list' ],
	[ '{}', qr/0 vectors for 1/, 'JS5 nothing' ],
	[ '{"data":[{"index":"0","embedding":[1,2]}]}', qr/number is malformed/, 'JS5 index a string' ],
	[ '{"data":[{"index":0}]}', qr/no vector/, 'JS5 element without vector' ],
	[ '{"data":[5]}', qr/object is expected/, 'JS5 element a number' ],
	[ '{"data":[{"index":0,"embedding":[1,2]}],"data":[{"index":0,"embedding":[1,2]}]}', qr/two lists/, 'JS5 two lists' ],
	[ '{"data":[{"index":0,"embedding":[1,2]}]} x', qr/follows/, 'JS10 something behind' ],
	[ '{"data":[{"index":0,"embedding":[1,2]}]', qr/too early|missing/, 'JS10 cut off' ],
	[ '', qr/expected/, 'JS10 empty' ]);
for my $case (@bad_vectors)
{
	error_is(embed_body($case->[0]), 'MA010', $case->[1], $case->[2]);
}

# ---- embeddings: batches, duplicates, options ----
my $name = embed_model(4);
$stub->reset;
$node->safe_psql('postgres', "SELECT memai.embed(ARRAY['a', NULL, 'b', 'a', 'a'], '$name')");
is($json->encode(body_of(last_request())), $json->encode({ model => 'stub-4', input => [ 'a', 'b' ] }),
	'duplicates are sent once, nulls not at all');
is($node->safe_psql('postgres', "SELECT memai.embed(ARRAY['a', NULL, 'a'], '$name')::text = ARRAY[memai.embed('a', '$name'), NULL, memai.embed('a', '$name')]::text"),
	't', 'and come back to every place');
is($node->safe_psql('postgres', "SELECT memai.embed(NULL::text, '$name') IS NULL, memai.embed(NULL::text[], '$name') IS NULL, memai.embed('{}'::text[], '$name')::text"),
	't|t|{}', 'null and empty input make no call');

my $url = $stub->url('shuffle', 'v1');
$node->safe_psql('postgres', qq{SELECT memai.create_model('small', 'embed', 'openai', 'x-4', url => '$url', dimensions => 4,
	options => '{"batch_size": 7, "query_prefix": "query: ", "encoding_format": "base64", "send_dimensions": true, "extra": {"user": "u"}}')});
$stub->reset;
is($node->safe_psql('postgres', "SELECT count(*), min((v::real[])[1] - o), max((v::real[])[1] - o) FROM unnest(memai.embed($texts, 'small')) WITH ORDINALITY u(v, o)"),
	'50|0|0', 'fifty texts in batches of seven keep their order');
is(scalar($stub->requests), 8, 'in eight requests');
$node->safe_psql('postgres', "SELECT memai.embed('q', 'small', 'query')");
is($json->encode(body_of(last_request())), $json->encode({ model => 'x-4', input => ['query: q'], encoding_format => 'base64', dimensions => 4, user => 'u' }),
	'prefix, encoding, dimensions and extra members are sent');
$stub->reset;
error_is(run_sql("SET memai.model_max_retries = 0; SELECT memai.embed($texts, '" . embed_model(4, 'fail', 500, 1, 'z') . "')"),
	'MA004', qr/status 500/, 'one failed batch fails the call');

# EXPLAIN sends nothing (SP10)
$stub->reset;
$node->safe_psql('postgres', "EXPLAIN SELECT memai.generate('hi', '$chat'), memai.embed('x', '$name')");
is(scalar($stub->requests), 0, 'SP10 EXPLAIN makes no call');
error_is(run_sql("CREATE TABLE t (x text); CREATE INDEX ON t (memai.generate(x))"), '42P17', qr/IMMUTABLE/, 'SP10 no index on a call');

# check_model
like($node->safe_psql('postgres', "SELECT ok, dimensions, sqlstate, message FROM memai.check_model('$name')"), qr/^t\|4\|\|$/, 'check_model of a good model');
like($node->safe_psql('postgres', "SET memai.model_max_retries = 0; SELECT ok, sqlstate, message FROM memai.check_model('" . chat_model('status', 401) . "')"),
	qr/^f\|MA001\|call to model .* refused the credentials/, 'check_model of a bad one');

$node->stop;
$stub->stop;
done_testing();
