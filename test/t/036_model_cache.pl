# Cached answers and embeddings, and refused inputs in a batch.  Rows JS11, JS12
# and AU11 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use Test::More;

my ($node, $stub) = start_gateway('cache');
my $hi = '[{"role":"user","content":"hi"}]';

sub requests_of
{
	my ($sql) = @_;
	$stub->reset;
	my $result = run_sql($sql);
	my @requests = $stub->requests;
	return ($result, scalar @requests, \@requests);
}

sub rows { return $node->safe_psql('postgres', 'SELECT count(*) FROM memai._model_cache') }

# ---- answers ----
my $chat = chat_model();
my ($result, $n) = requests_of(qq{SELECT memai.generate('hi', '$chat') FROM generate_series(1, 3)});
is($n, 3, 'nothing is cached unless asked for');
is(rows(), 0, 'and nothing is stored');
my $cached = qq{SELECT content, cached, model_used, finish_reason, prompt_tokens, completion_tokens FROM memai.complete('$hi', '$chat', '{"cache_ttl": 3600}')};
($result, $n) = requests_of($cached);
value_is($result, "echo: hi|f|$chat|stop|1|2", 'the first call is made');
is($n, 1, 'by a request');
($result, $n) = requests_of($cached);
value_is($result, "echo: hi|t|$chat|stop|1|2", 'the second is answered by the cache, and says so');
is($n, 0, 'without a request');
my @others = (
	[ 'another temperature', qq{memai.complete('$hi', '$chat', '{"cache_ttl": 60, "temperature": 0.5}')} ],
	[ 'another system prompt', qq{memai.complete('[{"role":"system","content":"x"},{"role":"user","content":"hi"}]', '$chat', '{"cache_ttl": 60}')} ],
	[ 'other tools', qq{memai.complete('$hi', '$chat', '{"cache_ttl": 60, "tools": [{"name": "f"}]}')} ],
	[ 'a call that wants none', qq{memai.complete('$hi', '$chat', '{"cache_ttl": 0}')} ],
	[ 'a call that says nothing', qq{memai.complete('$hi', '$chat')} ]);
for my $case (@others)
{
	($result, $n) = requests_of("SELECT content FROM $case->[1]");
	is($n, 1, "AU11 $case->[0] is another request");
}
my $other = chat_model();
($result, $n) = requests_of(qq{SELECT content FROM memai.complete('$hi', '$other', '{"cache_ttl": 60}')});
is($n, 1, 'AU11 another model is another request');
$node->safe_psql('postgres', qq{SELECT memai.alter_model('$chat', options => '{"extra": {"seed": 1}}')});
($result, $n) = requests_of($cached);
is($n, 1, 'AU11 another option of the model is another request');
$node->safe_psql('postgres', qq{SELECT memai.alter_model('$chat', options => '{}', url => '} . $stub->url('delay', 1, 'v1') . q{')});
($result, $n) = requests_of($cached);
is($n, 1, 'AU11 another address is another request');

# streams: the same entries, a kept answer in one piece
my $streamed = chat_model('drip', 3, 50);
sub pieces { return qq{SELECT count(*), string_agg(p, '') FROM memai.complete_stream('$hi', '$streamed', '$_[0]') p} }
($result, $n) = requests_of(pieces('{}') . ';' . pieces('{}'));
is($n, 2, 'streams are not kept unless asked for');
($result, $n) = requests_of(pieces('{"cache_ttl": 60}'));
value_is($result, '3|word0 word1 word2 ', 'a stream that is kept');
is($n, 1, 'is made once');
($result, $n) = requests_of(pieces('{"cache_ttl": 60}'));
value_is($result, '1|word0 word1 word2 ', 'and comes in one piece then');
is($n, 0, 'without a request');
my $whole = qq{SELECT content, cached, cost FROM memai.complete('$hi', '$streamed', '{"cache_ttl": 60%s}')};
($result, $n) = requests_of(sprintf($whole, ', "stream": true'));
value_is($result, 'word0 word1 word2 |t|0', 'a stream read at once says so');
($result, $n) = requests_of(sprintf($whole, ''));
value_is($result, 'word0 word1 word2 |t|0', 'and serves calls that do not stream');
is($n, 0, 'both without a request');
($result, $n) = requests_of(qq{BEGIN; DECLARE c CURSOR FOR SELECT memai.complete_stream('[{"role":"user","content":"one two three"}]', '$streamed', '{"cache_ttl": 60}'); FETCH 1 FROM c; CLOSE c; COMMIT;}
	. qq{SELECT count(*) FROM memai.complete_stream('[{"role":"user","content":"one two three"}]', '$streamed', '{"cache_ttl": 60}') p});
value_is($result, "word0 \n3", 'a stream that was left early is not kept');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM memai.usage WHERE model = '$streamed' AND cached AND operation = 'stream'}), 2, 'answers of the cache are in the ledger, as streams');

# by option of the model; time runs out
my $kept = chat_model();
$node->safe_psql('postgres', qq{SELECT memai.alter_model('$kept', options => '{"cache_ttl": 600}')});
($result, $n) = requests_of(qq{SELECT memai.generate('hi', '$kept')});
is($n, 1, 'a model can have the option');
($result, $n) = requests_of(qq{SELECT memai.generate('hi', '$kept')});
is($n, 0, 'for all of its calls');
($result, $n) = requests_of(qq{SELECT ok FROM memai.check_model('$kept'); SELECT ok FROM memai.check_model('$kept')});
is($n, 2, 'but check_model calls');
$node->safe_psql('postgres', "UPDATE memai._model_cache SET expires_at = now() - interval '1 second'");
($result, $n) = requests_of(qq{SELECT memai.generate('hi', '$kept')});
is($n, 1, 'what has expired is not used');
is($node->safe_psql('postgres', "SELECT count(*) FROM memai._model_cache WHERE expires_at < now()"), 0, 'and removed');
my $long = '{"choices":[{"message":{"content":"half of"},"finish_reason":"length"}]}';
my $short = chat_model('body', \$long);
requests_of(qq{SELECT content FROM memai.complete('$hi', '$short', '{"cache_ttl": 60}')});
($result, $n) = requests_of(qq{SELECT content FROM memai.complete('$hi', '$short', '{"cache_ttl": 60}')});
is($n, 1, 'an answer that was cut short is not kept');
my $tools = '{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},"finish_reason":"tool_calls"}]}';
my $tool_model = chat_model('body', \$tools);
my $tool_call = qq{SELECT content, tool_calls, finish_reason FROM memai.complete('$hi', '$tool_model', '{"cache_ttl": 60}')};
is(run_sql($tool_call)->{value}, run_sql($tool_call)->{value}, 'tool calls are kept whole');
value_is(run_sql($tool_call), '|[{"id": "c", "name": "f", "arguments": {"a": 1}}]|tool_calls', 'as they came');

# ---- AU11: nobody else's ----
$node->safe_psql('postgres', qq{CREATE ROLE ann LOGIN IN ROLE memai_user; CREATE ROLE bob LOGIN IN ROLE memai_admin;
	SELECT memai.grant_model('$kept', 'public')});
($result, $n) = requests_of(qq{SET ROLE ann; SELECT memai.generate('hi', '$kept')});
is($n, 1, 'AU11 another role makes its own call');
($result, $n) = requests_of(qq{SET ROLE ann; SELECT memai.generate('hi', '$kept')});
is($n, 0, 'AU11 and gets its own answer');
value_is(run_sql('SET ROLE ann; SELECT count(*) FROM memai._model_cache'), '1', 'AU11 a role sees its own entries');
value_is(run_sql('SET ROLE bob; SELECT count(*) FROM memai._model_cache'), '0', 'AU11 an administrator sees no others');
error_is(run_sql("SET ROLE ann; INSERT INTO memai._model_cache (role, key, value, expires_at) VALUES ('bob'::regrole, '\\x00', '\\x00', now() + interval '1 day')"),
	'42501', qr/row-level security/, 'AU11 nobody poisons the cache of another role');
($result, $n) = requests_of(qq{SET memai.tenant = 'other'; SELECT memai.generate('hi', '$kept')});
is($n, 1, 'AU11 nor of another tenant under the same role');
($result, $n) = requests_of(qq{BEGIN READ ONLY; SELECT memai.generate('hi', '$kept'); SELECT memai.generate('new', '$kept'); COMMIT});
is($n, 1, 'a read-only transaction uses the cache and does not write');
is($node->safe_psql('postgres', "SELECT encode(value, 'escape') ~ 'hi' OR encode(key, 'escape') ~ 'hi' FROM memai._model_cache WHERE role = 'ann'::regrole"), 't', 'the answer is stored, hence');
cmp_ok($node->safe_psql('postgres', 'SET ROLE ann; SELECT memai.clear_cache()'), '==', 1, 'clear_cache empties the tenant');
cmp_ok($node->safe_psql('postgres', 'SELECT memai.clear_cache()'), '>=', 2, 'and no other');
error_is(run_sql('CREATE ROLE eve; SET ROLE eve; SELECT memai.clear_cache()'), '42501', qr/./, 'for members of memai_user');

# bounded: the entries used longest ago go
run_sql(qq{SET memai.model_cache_entries = 5; SELECT memai.generate('q' || i, '$kept') FROM generate_series(1, 12) i});
$node->safe_psql('postgres', qq{SET memai.model_cache_entries = 5; SELECT memai.generate('last', '$kept')});
is(rows(), 5, 'a role has as many entries as memai.model_cache_entries');
$node->safe_psql('postgres', "SET memai.tenant = 'other'; SELECT memai.clear_cache()");

# ---- embeddings ----
my $embed = embed_model(4);
$node->safe_psql('postgres', qq{SELECT memai.alter_model('$embed', options => '{"cache_ttl": 600}')});
($result, $n) = requests_of(qq{SELECT memai.embed(ARRAY['a', 'bb', 'a'], '$embed')});
my $first = $result->{value};
is($n, 1, 'embeddings are made');
($result, $n, my $sent) = requests_of(qq{SELECT memai.embed(ARRAY['a', 'ccc', 'bb'], '$embed')});
is(JSON::PP->new->encode(decode_json($sent->[0]{body})->{input}), '["ccc"]', 'only what is not cached is asked for');
($result, $n) = requests_of(qq{SELECT memai.embed(ARRAY['a', 'bb', 'a'], '$embed')});
is($n, 0, 'embeddings are cached');
value_is($result, $first, 'and the same');
value_is(run_sql(qq{SELECT (v::real[])[1] FROM unnest(memai.embed(ARRAY['a', 'ccc', 'bb'], '$embed')) v}), "1\n3\n2", 'each where it belongs');
($result, $n) = requests_of(qq{SELECT memai.embed('a', '$embed', 'query')});
is($n, 1, 'a query is another input than a document');

# ---- JS12: one bad text in a batch ----
my $texts = "ARRAY(SELECT CASE WHEN i = 7 THEN 'poison' ELSE 'text ' || i END FROM generate_series(1, 100) i)";
for my $case ([ 400, 'refused' ], [ 422, 'refused' ], [ 500, 'a NaN' ])
{
	my ($code, $what) = @$case;
	my $model = embed_model(4, 'poison', $code, \'poison');
	($result, $n) = requests_of("SELECT memai.embed($texts, '$model')");
	error_is($result, 'MA006', qr/Input 7 of 100 is refused, HTTP status $code/, "JS12 the error names the input: $what");
	cmp_ok($n, '<=', 1 + 2 * 7, "JS12 after $n requests");
	($result, $n) = requests_of("SELECT array_length(v, 1), array_positions(ARRAY(SELECT x IS NULL FROM unnest(v) x), true), (v[100]::real[])[1] FROM memai.embed($texts, '$model', on_error => 'null') v");
	value_is($result, '100|{7}|8', "JS12 on_error => 'null' leaves it out and keeps the others: $what");
	cmp_ok($n, '<=', 1 + 2 * 7, "JS12 after $n requests");
}
my $many = embed_model(4, 'poison', 400, \'text 1');
($result, $n) = requests_of("SELECT count(*) FILTER (WHERE x IS NULL) FROM unnest(memai.embed($texts, '$many', on_error => 'null')) x");
value_is($result, '12', 'JS12 several bad ones');
cmp_ok($n, '<=', 101, "JS12 after $n requests");
my $deaf = embed_model(4, 'status', 400);
($result, $n) = requests_of("SELECT memai.embed($texts, '$deaf')");
error_is($result, 'MA006', qr/HTTP status 400 after 1 attempt/, 'JS12 what refuses everything has another reason');
cmp_ok($n, '<=', 7, "JS12 found after $n requests");
($result, $n) = requests_of("SELECT memai.embed($texts, '$deaf', on_error => 'null')");
cmp_ok($n, '<=', 101, "JS12 the requests are bounded: $n");
for my $status (401, 404, 503)
{
	my $model = embed_model(4, 'status', $status);
	($result, $n) = requests_of("SET memai.model_max_retries = 0; SELECT memai.embed($texts, '$model', on_error => 'null')");
	is($n, 1, "JS12 $status is not the input's fault");
}
# a job stores the others, and says how many were refused
my $partly = embed_model(4, 'poison', 400, \'poison');
$node->safe_psql('postgres', "SELECT memai.remember(CASE WHEN i = 3 THEN 'poison' ELSE 'text ' || i END, user_id => 'bob') FROM generate_series(1, 9) i;
	SELECT memai.submit_job('embed', user_id => 'bob', model => '$partly'); CALL memai.run_jobs()");
is($node->safe_psql('postgres', "SELECT status, result ->> 'embedded', result ->> 'refused' FROM memai.job"), 'done|8|1', 'JS12 a job stores the others');
is($node->safe_psql('postgres', "SELECT count(*) FROM memai.embedding WHERE model = '$partly'"), 8, 'JS12 with their vectors');
($result, $n) = requests_of("CREATE TABLE victim (); SELECT memai.generate('hi', '" . chat_model('body', \'{"choices":[{"message":{"content":"1; DROP TABLE victim"},"finish_reason":"stop"}]}') . "')");
value_is($result, '1; DROP TABLE victim', 'JS11 SQL in an answer is text');
is($node->safe_psql('postgres', 'SELECT count(*) FROM victim'), 0, 'JS11 and never run');
$node->safe_psql('postgres', "SELECT memai.embed('left', '$embed'); SELECT memai.forget_user('bob', confirm => true)");
is(rows(), 0, 'forget_user empties the cache');

error_is(run_sql("SELECT memai.embed('{a}'::text[], '$embed', on_error => 'ignore')"), '22023', qr/on_error/, 'on_error is checked');
error_is(run_sql("SELECT memai.embed('poison', '" . embed_model(4, 'poison', 400, \'poison') . "')"), 'MA006', qr/after 1 attempt/, 'a single text fails as ever');

$node->stop;
$stub->stop;
done_testing();
