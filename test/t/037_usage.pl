# The ledger of calls: rows RL8, JS9 and HT24 of the catalogue of faults.  Preloaded
# without workers at first, so that nothing moves records but the test.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Processes;
use MemAI::Session;
use Test::More;
use Time::HiRes qw(sleep);

my ($node, $stub) = start_gateway('usage',
	conf => "shared_preload_libraries = 'memai'\nmemai.worker_databases = ''\nmemai.stats_buffer_size = 64\nrestart_after_crash = on\n"
	  . "memai.http_private_hosts = '127.0.0.1'\n");
my $prices = q('{"input_price": 2, "output_price": 10}');
my $few = q('{"max_tokens": 10}');

sub sql { return $node->safe_psql('postgres', $_[0]) }

# the rows of a model: tokens, status and so on
sub ledger
{
	my ($model, $columns) = @_;
	return sql("SELECT $columns FROM memai.usage WHERE model = '$model'");
}

sub priced_model
{
	my $model = chat_model(@_);
	sql("SELECT memai.alter_model('$model', options => $prices)");
	return $model;
}

# ---- what a row says ----

my $plain = priced_model();
is(sql("SELECT prompt_tokens, completion_tokens, cost FROM memai.complete('[{\"role\": \"user\", \"content\": \"one two three\"}]', '$plain')"),
	'3|4|4.6e-05', 'complete returns its cost');
is(ledger($plain, 'role, user_id, tenant, kind, operation, prompt_tokens, completion_tokens, estimated, cost, status, sqlstate, attempt, cached'),
	sql('SELECT current_user') . '||' . sql('SELECT current_user') . '|chat|complete|3|4|f|4.6e-05|ok||1|f',
	'a row of the ledger');
my $embed = embed_model(4);
sql("SET memai.user_id = 'ann'; SELECT memai.embed(ARRAY['a b', 'c d e'], '$embed')");
is(ledger($embed, 'user_id, operation, prompt_tokens, completion_tokens, cost'), 'ann|embed|5|0|', 'embeddings are counted, of a user, without a price');
is(sql('SELECT count(*) FROM memai._usage'), '0', 'nothing is in the table yet');

# ---- the transaction does not matter, nor does an error ----

sql("BEGIN; SELECT memai.generate('a b', '$plain'); ROLLBACK");
is(ledger($plain, 'count(*), sum(prompt_tokens)'), '2|5', 'a rolled back call is in the ledger');
my $refused = chat_model('status', 400);
run_sql("SELECT memai.generate('hi', '$refused')");
is(ledger($refused, 'prompt_tokens, cost, status, sqlstate'), '0||error|MA006', 'so is a failed one');
my $retried = chat_model('fail', 503, 1, 'once');
sql("SELECT memai.generate('hi', '$retried')");
is(ledger($retried, 'attempt, status, sqlstate, prompt_tokens'), "1|error|MA004|0\n2|ok||1", 'and every attempt of one');

# the use of a key is in it too, the key is not
my $key = 'sk-canary-0123456789';
my $url = $stub->url('v1');
sql("SELECT memai.create_credential('stub-key', '$url', '$key'); SELECT memai.create_model('with-key', 'chat', 'openai', 'stub', url => '$url', credential => 'stub-key')");
sql("SELECT memai.generate('hi', 'with-key')");
is(ledger('with-key', 'credential, status'), 'stub-key|ok', 'the name of the key that was used is in the ledger');
is(sql("SELECT count(*) FROM memai.usage u WHERE u::text LIKE '%canary%'"), '0', 'AU7 the key is not');

# what a chat costs is the sum of its calls
my $talker = priced_model();
is(sql("SELECT cost > 0, abs(cost - (SELECT sum(u.cost) FROM memai.usage u WHERE u.model = '$talker')::numeric) < 1e-12 FROM memai.chat('hello you', user_id => 'ann', model => '$talker')"),
	't|t', "a chat's cost is the ledger's");
is(sql("SELECT count(*), sum(m.cost) = (SELECT sum(u.cost) FROM memai.usage u WHERE u.model = '$talker')::numeric FROM memai.message m WHERE m.cost IS NOT NULL"),
	'1|t', 'and stands beside its message');

# JS9: what the provider reports makes no sense
my $n = 0;
for my $usage ('', ',"usage":{"prompt_tokens":-5,"completion_tokens":-1}', ',"usage":{"prompt_tokens":1.5,"completion_tokens":"7"}',
	',"usage":{"prompt_tokens":3000000000,"completion_tokens":99999999999999999999}')
{
	my $body = '{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"four words of text"}}]' . $usage . '}';
	my $model = chat_model('body', \$body);
	sql("SELECT memai.generate('hello there', '$model')");
	like(ledger($model, 'estimated, completion_tokens, prompt_tokens'), qr/^t\|4\|\d+$/, "JS9 $n: an estimate, marked as one");
	$n++;
}
my $filtered = '{"choices":[{"finish_reason":"content_filter","message":{"role":"assistant","content":null}}],"usage":{"prompt_tokens":11,"completion_tokens":0}}';
my $filter = chat_model('body', \$filtered);
run_sql("SELECT memai.generate('hi', '$filter')");
is(ledger($filter, 'prompt_tokens, status, sqlstate'), '11|error|MA007', 'a filtered answer costs its prompt');

# a stream
my $events = join('', map { "data: $_\n\n" } '{"choices":[{"index":0,"delta":{"content":"Hello "}}]}',
	'{"choices":[{"index":0,"delta":{"content":"you"},"finish_reason":"stop"}]}',
	'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}', '[DONE]');
my $stream = chat_model('body', \$events);
is(sql("SELECT string_agg(piece, '') FROM memai.complete_stream('[{\"role\": \"user\", \"content\": \"hi\"}]', '$stream') AS piece"),
	'Hello you', 'a stream arrives');
is(ledger($stream, 'operation, prompt_tokens, completion_tokens, estimated, status'), 'stream|7|2|f|ok', 'and is counted');
sql("BEGIN; DECLARE c CURSOR FOR SELECT memai.complete_stream('[{\"role\": \"user\", \"content\": \"hi\"}]', '"
	  . chat_model('hang_body') . "'); COMMIT");

# an answer from the cache, and one from a fallback
my $cached = chat_model();
sql("SELECT memai.alter_model('$cached', options => '{\"cache_ttl\": 60, \"input_price\": 1000000, \"output_price\": 0}')");
is(sql("SELECT cost, cached FROM memai.complete('[{\"role\": \"user\", \"content\": \"a b\"}]', '$cached')"), '2|f', 'a call that is kept costs');
is(sql("SELECT cost, cached FROM memai.complete('[{\"role\": \"user\", \"content\": \"a b\"}]', '$cached')"), '0|t', 'its answer from the cache nothing');
is(ledger($cached, 'attempt, prompt_tokens, cost, cached, status'), "1|2|2|f|ok\n0|0|0|t|ok", 'and is a row of its own');
my $primary = chat_model('status', 503);
sql("SELECT memai.alter_model('$primary', options => '{\"fallback\": [\"$plain\"]}')");
is(sql("SET memai.model_max_retries = 0; SELECT model_used, cost FROM memai.complete('[{\"role\": \"user\", \"content\": \"a b\"}]', '$primary')"),
	"$plain|3.4e-05", 'a fallback costs what its own prices say');
is(ledger($primary, 'status, sqlstate, cost'), 'error|MA004|', 'the model that failed has its row');

# ---- RL8: equal to the provider's sums under faults ----

$stub->reset;
my @faulty = (chat_model('chaos', 20), embed_model(4, 'chaos', 20));
# Without the breaker, which would refuse calls after five faults in a row.
# One request at a time: when one of several fails for good, those under way are given up as
# unknown, and the provider may answer them (037_usage_parallel has those that are answered).
MemAI::Session->race($node, 4, join(';', 'SET memai.http_max_parallel = 1', 'SET memai.model_breaker_failures = 0', map { ("SELECT memai.generate('word $_ of many', '$faulty[0]')", "SELECT memai.embed(ARRAY['a $_', 'b'], '$faulty[1]')") } 1 .. 25));
my $sums = $stub->tokens;
my $requests = () = $stub->requests;
is(sql("SELECT sum(prompt_tokens), sum(completion_tokens), count(*) FILTER (WHERE status = 'ok')
	FROM memai.usage WHERE model IN ('$faulty[0]', '$faulty[1]') AND NOT estimated"),
	"$sums->{prompt}|$sums->{completion}|$sums->{answers}", "RL8 the ledger equals the provider's sums after $requests requests");
cmp_ok($requests, '>', 200, 'RL8 there were retries');
is(sql("SELECT count(*) FROM memai.usage WHERE model IN ('$faulty[0]', '$faulty[1]')"), $requests, 'HT24 no request was sent that is not in the ledger');

# HT24: a connection that was kept and ends without a byte: the server may have done the
# work, so libcurl does not send the request again by itself
my $kept = chat_model('reset_kept');
my $keeper = MemAI::Session->new($node);
sub kept { return $keeper->query("SET memai.model_max_retries = $_[0]; SELECT memai.generate('hi', '$kept')") }
$stub->reset;
is(kept(0), 'echo: hi', 'HT24 a call, whose connection is kept');
like(kept(0), qr/MA008.*after 1 attempt: a kept connection ended while waiting for the answer/s, 'HT24 without retries the next one fails');
is(scalar($stub->requests), 2, 'HT24 and was sent once');
is(kept(0), 'echo: hi', 'HT24 the one after it has a new connection');
is(kept(1), 'echo: hi', 'HT24 with retries there is another attempt');
my @sent = $stub->requests;
is(scalar @sent, 5, 'HT24 five requests for four calls');
is($sent[3]{headers}{'idempotency-key'}, $sent[4]{headers}{'idempotency-key'}, 'HT24 both attempts have one key');
is(sql("SELECT string_agg(status || attempt, ' ' ORDER BY at) FROM memai.usage WHERE model = '$kept'"), 'ok1 unknown1 ok1 unknown1 ok2', 'HT24 and all are in the ledger');
is(sql("SELECT count(*) FROM memai.model_health WHERE model = '$kept' AND failures > 0"), '0', 'HT24 it tells nothing of the health of the model');
# each wait before a retry is 0.375 s at least: one of six is shorter on any machine
my $again = chat_model('reset_kept');
$stub->reset;
$keeper->query("SELECT memai.generate('hi', '$again')") for 1 .. 7;
my (%first, @pauses);
for my $request ($stub->requests)
{
	my $key = $request->{headers}{'idempotency-key'};
	push @pauses, $request->{time} - $first{$key} if $first{$key};
	$first{$key} //= $request->{time};
}
cmp_ok(scalar @pauses, '>=', 6, 'HT24 all but the first were sent twice');
cmp_ok((sort { $a <=> $b } @pauses)[0], '<', 0.3, 'HT24 without a wait');
$keeper->close;

# ---- moving to the table, and restarts ----

my $count = sql('SELECT count(*) FROM memai.usage');
sql('BEGIN; SELECT memai.flush_usage(); ROLLBACK');
is(sql('SELECT count(*) FROM memai.usage'), $count, 'a flush that is rolled back loses nothing');
sql("DO \$\$ BEGIN PERFORM memai.flush_usage(); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$");
is(sql('SELECT count(*) FROM memai.usage'), $count, 'nor one in a subtransaction');
$node->restart;
is(sql('SELECT count(*) FROM memai.usage'), $count, 'records outlive a restart');
sql("SELECT memai.generate('hi', '$plain')");
is(sql('SELECT count(*) FROM memai.usage'), ++$count, 'and the next call takes the place of none of them');

# RL8: the server crashes while a call waits for its answer
my $lost = priced_model('hang');
my @crashes = (
	[ 'a killed backend', sub { kill_backend($node, $_[0]{backend}) } ],
	[ 'an immediate stop', sub { $node->stop('immediate'); $node->start } ],
	[ 'a killed postmaster', sub { kill_postmaster($node); $node->start } ]);
for my $i (0 .. $#crashes)
{
	my ($what, $crash) = @{ $crashes[$i] };
	my $caller = MemAI::Session->new($node);
	$stub->reset;
	$caller->send("SELECT memai.generate('hi', '$lost')");
	sleep 0.05 until $stub->requests;
	is(ledger($lost, 'count(*)'), $i, "RL8 a call that is under way is no row yet ($what)");
	$crash->($caller);
	$caller->close;
	is(ledger($lost, 'count(*), count(prompt_tokens), count(cost), string_agg(DISTINCT status, $$ $$)'), ($i + 1) . '|0|0|unknown', "RL8 $what leaves it as one of unknown cost");
	is(sql('SELECT count(*) FROM memai.usage'), ++$count, "RL8 $what: no other row is lost, none counted twice");
}
is(sql('SELECT memai.flush_usage() > 0; SELECT memai.flush_usage(), count(*) FROM memai._usage'), "t\n0|$count", 'flush_usage moves them');
$node->stop('immediate');
$node->start;
is(sql('SELECT count(*) FROM memai.usage'), $count, 'RL8 what the table has is not in memory after a crash');
sql("SELECT memai.generate('hi', '$plain') FROM generate_series(1, 499)");
is(ledger($plain, 'count(*)'), '503', 'a backend moves records when their memory fills up');
cmp_ok(sql('SELECT count(*) FROM memai._usage'), '>', $count, 'into the table');
sql("BEGIN READ ONLY; SELECT memai.generate('hi', '$plain') FROM generate_series(1, 1000); COMMIT");
my ($dropped) = sql('SELECT dropped FROM memai._stats_health()');
cmp_ok($dropped, '>', 0, 'what finds no room is counted as dropped');
is(ledger($plain, 'count(*)') + $dropped, 1503, 'nothing is lost silently');
is(sql("SELECT memai.flush_usage() > 0; SELECT memai.prune_usage('-1 day') > 700; SELECT count(*) FROM memai._usage"), "t\nt\n0", 'prune_usage removes rows');
is(sql("SELECT sum(attempts) FROM memai.usage_daily WHERE model = '$plain'") + $dropped, 1503, 'and keeps their sums');

# ---- ceilings of a statement ----

error_is(run_sql("SET memai.max_calls_per_statement = 2; SELECT memai.generate('hi', '$plain') FROM generate_series(1, 3)"),
	'MA013', qr/may make 2 calls/, 'calls of a statement');
value_is(run_sql("SET memai.max_calls_per_statement = 2; BEGIN; SELECT memai.generate('hi', '$plain') FROM generate_series(1, 2);
	SELECT memai.generate('hi', '$plain') FROM generate_series(1, 2); COMMIT"), join("\n", ('echo: hi') x 4), 'the next one starts anew');
error_is(run_sql("SET memai.max_tokens_per_statement = 60; SELECT memai.generate('a b', '$plain', options => $few) FROM generate_series(1, 20)"),
	'MA013', qr/may use 60 tokens/, 'tokens of a statement');

# ---- who sees what ----

sql(q{CREATE ROLE alice LOGIN IN ROLE memai_user; CREATE ROLE bert LOGIN IN ROLE memai_user; CREATE ROLE chief LOGIN IN ROLE memai_admin;});
sql("SELECT memai.grant_model('$plain', 'memai_user')");
sql("SET ROLE alice; SELECT memai.generate('hi', '$plain')");
sql("SET ROLE bert; SELECT memai.generate('hi', '$plain'); SELECT memai.generate('ho', '$plain')");
for my $moved (0, 1)
{
	sql('SELECT memai.flush_usage()') if $moved;
	is(sql('SET ROLE alice; SELECT count(*), min(role::text) FROM memai.usage'), '1|alice', 'a role sees its own rows');
	is(sql('SET ROLE bert; SELECT count(*) FROM memai.usage; SELECT calls FROM memai.model_stats'), "2\n2", 'and sums of them');
	is(sql(qq{SET ROLE alice; SET memai.user_id = 'ann'; SELECT count(*) FROM memai.usage}), '0', 'a narrowed session those of its user');
	cmp_ok(sql('SET ROLE chief; SELECT count(DISTINCT role) FROM memai.usage'), '==', 3, 'an administrator sees all');
}
for my $statement ('SELECT * FROM memai._usage', 'SELECT * FROM memai._limit', 'SELECT memai.flush_usage()', 'SELECT memai.set_limit()',
	'SELECT * FROM memai.limit_status', 'SELECT memai.prune_usage()', 'SELECT * FROM memai._usage_counters()',
	'SET memai.max_calls_per_statement = 0')
{
	error_is(run_sql("SET ROLE alice; $statement"), '42501', qr/permission denied/, "not for everyone: $statement");
}

# ---- a worker moves records by itself ----

$node->append_conf('postgresql.conf', "memai.worker_databases = 'postgres'\n");
$node->restart;
my $moved = chat_model();
sql("SELECT memai.generate('hi', '$moved')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM memai._usage WHERE model = '$moved'"), 'a worker moves records to the table');

# ---- not preloaded ----

sql("SELECT memai.set_limit('$embed', requests_per_minute => 100)");
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
error_is(run_sql("SELECT memai.embed('hi', '$embed')"), '55000', qr/shared memory/, 'limits that cannot be kept are an error');
error_is(run_sql("SELECT memai.set_limit('$plain', daily_tokens => 5)"), '55000', qr/limits need shared memory/, 'and cannot be set');
my $before = ledger($plain, 'count(*)');
sql("SELECT memai.generate('hi', '$plain')");
is(ledger($plain, 'count(*)'), $before + 1, 'a call is counted');
sql("BEGIN; SELECT memai.generate('hi', '$plain'); ROLLBACK");
is(ledger($plain, 'count(*)'), $before + 1, 'with its transaction');
value_is(run_sql("BEGIN READ ONLY; SELECT memai.generate('hi', '$plain'); COMMIT"), 'echo: hi', 'a read-only transaction may call');

$stub->stop;
$node->stop;
done_testing();
