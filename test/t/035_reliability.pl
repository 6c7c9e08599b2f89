# Models that fail: circuit breakers, retry budgets, rests and fallbacks, with
# and without preloading.  Rows HT9, HT16, HT17, HT18, RL5, RL11 of the catalogue of
# faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Session;
use Test::More;
use Time::HiRes qw(sleep time);

my ($node, $stub) = start_gateway('reliability', conf => "shared_preload_libraries = 'memai'\n"
	. "memai.model_breaker_cooldown = '1s'\n");

sub health
{
	my ($model, $columns) = @_;
	return $node->safe_psql('postgres', "SELECT " . ($columns // 'state') . " FROM memai.model_health WHERE model = '$model'");
}

# n calls in one session that count how they ended: "ok MA004 MA011"
sub call_times
{
	my ($n, $model, $settings) = @_;
	return $node->safe_psql('postgres', ($settings // '') . qq{;
		CREATE TEMP TABLE ended (how text);
		DO \$\$ BEGIN FOR i IN 1..$n LOOP
			BEGIN PERFORM memai.generate('hi', '$model'); INSERT INTO ended VALUES ('ok');
			EXCEPTION WHEN OTHERS THEN INSERT INTO ended VALUES (SQLSTATE); END;
		END LOOP; END \$\$;
		SELECT string_agg(how || '=' || n, ' ' ORDER BY how) FROM (SELECT how, count(*) AS n FROM ended GROUP BY how) e});
}

# ---- the breaker: HT16 ----
my $down = chat_model('switch', 'a');
$stub->switch('a', 'on');
$stub->reset;
is(call_times(250, $down, "SET memai.model_max_retries = 0; SET memai.model_breaker_cooldown = '1h'"),
	'MA004=5 MA011=245', 'HT16 the breaker opens after five failures, and has an error of its own');
for (1 .. 3)
{
	is(call_times(250, $down), 'MA011=250', 'HT16 for every session');
}
is(scalar($stub->requests), 5, 'HT16 1,000 callers in an outage make 5 requests');
is(health($down, 'state, failures_in_a_row, requests, failures, refused, last_sqlstate, rests_until > now()'),
	'open|5|5|5|995|MA004|t', 'the view model_health tells');
error_is(run_sql("SELECT memai.generate('hi', '$down')"), 'MA011',
	qr/model "$down" failed: the model is resting.*not called for another \d+\.\d seconds; the last failure was MA004\. No attempt/s,
	'the error says since when and why');
$stub->switch('a', 'off');
is($node->safe_psql('postgres', "SELECT memai.reset_model('$down')"), 't', 'an administrator closes it');
is($node->safe_psql('postgres', "SELECT memai.reset_model('$down')"), 'f', 'once');
value_is(run_sql("SELECT memai.generate('hi', '$down')"), 'echo: hi', 'and calls pass');

# the budget of retries, with the breaker off: 1,000 callers
my $flaky = chat_model('header', 'retry-after-ms', \'1', 'switch', 'b');
$stub->switch('b', 'on');
$stub->reset;
my $start = time;
call_times(1000, $flaky, 'SET memai.model_breaker_failures = 0; SET memai.model_max_retries = 5');
my $seconds = time - $start;
my $requests = () = $stub->requests;
cmp_ok($requests, '<=', 1100 + 11 + $seconds, 'HT16 retries stay a tenth of the requests, the reserve of ten and one a second apart');
cmp_ok($requests, '>=', 1090, 'HT16 and a tenth is used');
note(sprintf('1000 callers: %d requests, %.1f s', $requests, $seconds));

# ---- half-open: HT17 ----
my @sessions = map { MemAI::Session->new($node) } 1 .. 6;
$_->query('SET memai.model_max_retries = 0') for @sessions;
# all at once: a slow answer would show a second probe
my $slow = chat_model('delay', 400, 'switch', 'd');
$stub->switch('d', 'on');
call_times(5, $slow, 'SET memai.model_max_retries = 0');
sleep 1.1;
$stub->reset;
$_->send("SELECT memai.generate('hi', '$slow')") for @sessions;
my @answers = map { $_->answer } @sessions;
is(scalar($stub->requests), 1, 'HT17 one probe for the whole server');
is(scalar(grep { /ERROR:  MA004/ } @answers), 1, 'HT17 its sender gets the error');
is(scalar(grep { /ERROR:  MA011/ } @answers), 5, 'HT17 the others are refused');
is(health($slow, "state, rests_until - last_failure_at > '1.5 second'"), 'open|t', 'HT17 a failed probe doubles the time');

# recovery: callers that go on asking do not put off the moment when the breaker lets
# one through, which is a cooldown after the failure; from then on they succeed
my $back = chat_model('switch', 'e');
$stub->switch('e', 'on');
call_times(5, $back, "SET memai.model_max_retries = 0; SET memai.model_breaker_cooldown = '3s'");
my $until = health($back, 'rests_until');
is(health($back, "rests_until - last_failure_at BETWEEN '2.9 s' AND '3.5 s'"), 't', 'HT17 the cooldown begins with the failure');
$stub->switch('e', 'off');
my ($late, $result) = (0);
for (1 .. 1000)
{
	my $is_over = health($back, "coalesce(clock_timestamp() > '$until'::timestamptz + interval '0.1 s', true)") eq 't';
	$result = run_sql("SELECT memai.generate('hi', '$back')");
	last if defined $result->{value};
	$late++ if $is_over;
	sleep 0.05;
}
value_is($result, 'echo: hi', 'HT17 callers that go on asking succeed');
is($late, 0, 'HT17 all of them when the cooldown is over');
is(health($back, 'state, failures_in_a_row'), 'closed|0', 'HT17 the breaker is closed');

# a probe that is cancelled is given back
my $hanging = chat_model('switch', 'f', 'hang');
$stub->switch('f', 'on');
call_times(5, $hanging, 'SET memai.model_max_retries = 0');
sleep 1.1;
$stub->switch('f', 'off');
error_is(run_sql("SET statement_timeout = 200; SELECT memai.generate('hi', '$hanging')"), '57014', qr/timeout/, 'a probe hangs');
$stub->switch('f', 'on');
error_is(run_sql("SET memai.model_max_retries = 0; SELECT memai.generate('hi', '$hanging')"), 'MA004', qr/./, 'HT17 and the next caller probes at once');

# what opens it and what does not
my $quota = '{"error":{"code":"insufficient_quota"}}';
my $poor = chat_model('error', 429, \$quota);
is(call_times(3, $poor), 'MA002=1 MA011=2', 'HT9 a spent quota opens the breaker at once');
my $refusing = chat_model('status', 400);
is(call_times(20, $refusing), 'MA006=20', 'HT11 refused requests do not: the provider is alive');

# ---- the provider asks for a rest ----
my $limited = chat_model('header', 'Retry-After', \'1', 'fail', 429, 1, 'rest');
$stub->reset;
error_is(run_sql("SET memai.model_max_retries = 0; SELECT memai.generate('hi', '$limited')"), 'MA003', qr/./, 'a rate limit');
value_is(run_sql("SELECT memai.generate('hi', '$limited')"), 'echo: hi', 'the next caller, in another session, waits');
my @times = map { $_->{time} } $stub->requests;
cmp_ok($times[1] - $times[0], '>=', 0.9, 'HT8 as long as the provider asked for');
my $far = chat_model('header', 'Retry-After', \'60', 'status', 429);
error_is(run_sql("SET memai.model_max_retries = 0; SELECT memai.generate('hi', '$far')"), 'MA003', qr/./, 'a rate limit for a minute');
error_is(run_sql("SELECT memai.generate('hi', '$far')"), 'MA011', qr/MA003/, 'is not waited for');

# ---- RL11: a slow endpoint beside nine others ----
my $stuck = chat_model('hang');
my $stuck_session = MemAI::Session->new($node);
$stuck_session->send("SELECT memai.generate('hi', '$stuck')");
my @waits;
for my $model (map { chat_model() } 1 .. 9)
{
	my $began = time;
	value_is(run_sql("SELECT memai.generate('hi', '$model')"), 'echo: hi', 'RL11 another model answers');
	push @waits, time - $began;
}
cmp_ok((sort { $a <=> $b } @waits)[-1], '<', 20, 'RL11 without waiting for the slow one');
$sessions[0]->query("SELECT pg_cancel_backend($stuck_session->{backend})");

# ---- fallbacks: HT18 ----
my $good = chat_model();
sub falls_back
{
	my ($modes, $options, $settings) = @_;
	my $name = chat_model(@$modes);
	my $fallback = $options // qq{{"fallback": ["$good"]}};
	$node->safe_psql('postgres', "SELECT memai.alter_model('$name', options => '$fallback')");
	my $answer = run_sql("SET memai.model_max_retries = 0; " . ($settings // '')
		. "; SELECT model_used FROM memai.complete('[{\"role\":\"user\",\"content\":\"hi\"}]', '$name')");
	return ($answer, $name);
}
my $too_long = '{"error":{"code":"context_length_exceeded","message":"maximum context length is 8192"}}';
my $filter = '{"error":{"code":"content_filter","message":"filtered"}}';
for my $case ([ 'outage', 'status', 503 ], [ 'a broken answer', 'truncate' ], [ 'a rate limit', 'status', 429 ],
	[ 'a context that is too long', 'error', 400, \$too_long ], [ 'a content filter', 'error', 400, \$filter ])
{
	my ($what, @modes) = @$case;
	value_is((falls_back(\@modes))[0], $good, "HT18 $what falls back, and the row names who answered");
}
value_is((falls_back([ 'hang' ], undef, 'SET memai.http_attempt_timeout = 3000'))[0], $good, 'HT18 a timeout falls back');
for my $case ([ 'MA001', 'status', 401 ], [ 'MA006', 'status', 400 ], [ 'MA006', 'status', 404 ], [ 'MA002', 'error', 429, \$quota ])
{
	my ($sqlstate, @modes) = @$case;
	error_is((falls_back(\@modes))[0], $sqlstate, qr/./, "HT18 $sqlstate of @modes[0, 1] does not");
}
value_is((falls_back([ 'error', 429, \$quota ], qq{{"fallback": ["$good"], "fallback_on": ["quota"]}}))[0], $good, 'HT18 unless it is asked for');
error_is((falls_back([ 'status', 503 ], qq{{"fallback": ["$good"], "fallback_on": ["rate_limit"]}}))[0], 'MA004', qr/./, 'HT18 only configured kinds fall back');
my (undef, $second) = falls_back([ 'status', 503 ]);
value_is((falls_back([ 'status', 429 ], qq{{"fallback": ["$second"]}}))[0], $good, 'HT18 the fallback of a fallback');
my $bad = chat_model('status', 503);
error_is((falls_back([ 'status', 429 ], qq{{"fallback": ["$bad"]}}))[0], 'MA003', qr/fallback models failed too: "$bad" \(MA004\)/,
	'HT18 when all fail the first error is raised and names the others');

# the same for a stream, embeddings, chat() and an open breaker
my (undef, $first) = falls_back([ 'status', 503 ]);
value_is(run_sql("SELECT memai.generate('hi', '$first') FROM generate_series(1, 8)"), join("\n", ('echo: hi') x 8), 'HT18 an open breaker falls back');
like(health($first), qr/open/, 'it is open');
my $embed = embed_model(4);
my $embed_down = embed_model(4, 'status', 503);
$node->safe_psql('postgres', "SELECT memai.alter_model('$embed_down', options => '{\"fallback\": [\"$embed\"]}')");
value_is(run_sql("SET memai.model_max_retries = 0; SELECT memai.embed(ARRAY['a', 'b'], '$embed_down') = memai.embed(ARRAY['a', 'b'], '$embed')"), 't', 'HT18 embeddings fall back');
$node->safe_psql('postgres', "SELECT memai.set_default_model('chat', '$first')");
value_is(run_sql("SELECT content, model FROM memai.chat('hi', user_id => 'ann')"), "echo: hi|$good", 'HT18 chat() names the model that answered');
is($node->safe_psql('postgres', "SELECT DISTINCT model FROM memai.message WHERE model IS NOT NULL"), $good, 'HT18 and stores its name');
like(run_sql("SELECT ok, sqlstate FROM memai.check_model('$first')")->{value}, qr/^f\|MA0(04|11)$/, 'check_model is about the model itself');
my $events = qq(data: {"choices":[{"index":0,"delta":{"content":"streamed"}}]}\n\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n);
my $streaming = chat_model('body', \$events);
my $stream_down = chat_model('status', 503);
$node->safe_psql('postgres', "SELECT memai.alter_model('$stream_down', options => '{\"fallback\": [\"$streaming\"]}')");
value_is(run_sql("SET memai.model_max_retries = 0; SELECT memai.complete_stream('[{\"role\":\"user\",\"content\":\"hi\"}]', '$stream_down')"),
	'streamed', 'HT18 a stream falls back before its first piece');

# what it costs is the answering model's price
$node->safe_psql('postgres', "SELECT memai.alter_model('$good', options => '{\"input_price\": 1000000, \"output_price\": 1000000}')");
value_is(run_sql("SELECT cost FROM memai.complete('[{\"role\":\"user\",\"content\":\"hi\"}]', '$first')"), '3', 'HT18 the cost is that of the model that answered');

# what the caller may not call is passed over
$node->safe_psql('postgres', "CREATE ROLE ann LOGIN IN ROLE memai_user; SELECT memai.grant_model('$first', 'ann')");
like(run_sql("SET ROLE ann; SELECT memai.generate('hi', '$first')")->{sqlstate} // '', qr/^MA0(04|11)$/, 'HT18 a fallback needs its own grant');
$node->safe_psql('postgres', "SELECT memai.grant_model('$good', 'ann')");
value_is(run_sql("SET ROLE ann; SELECT memai.generate('hi', '$first')"), 'echo: hi', 'HT18 and then answers');

# in the worker no transaction is open while a model is called
$node->safe_psql('postgres', "SELECT memai.set_default_model('embed', '$embed_down')");
$node->safe_psql('postgres', "SET memai.model_default_embed = 'local/hash-384'; SELECT memai.remember('x', user_id => 'bob');
	SELECT memai.submit_job('embed', user_id => 'bob', model => '$embed_down')");
is($node->safe_psql('postgres', "SELECT memai.flush('20s')"), 't', 'the worker ends the job');
is($node->safe_psql('postgres', "SELECT status, error FROM memai.job WHERE kind = 'embed'"), 'done|', 'HT18 a job falls back');

# RL5: nor a snapshot; a call that is cancelled meanwhile has no result
my $patient = chat_model('delay', 6000);
$stub->reset;
my $id = $node->safe_psql('postgres', "SELECT memai.submit('generate', '{\"prompt\": \"hi\"}', '$patient')");
sleep 0.02 until $stub->requests;
is($node->safe_psql('postgres', "SELECT count(*), count(xact_start), count(backend_xmin) FROM pg_stat_activity WHERE backend_type = 'memai worker' AND pid IN (SELECT pid FROM memai.worker_status WHERE state = 'running')"),
	'1|0|0', 'RL5 a worker that waits for a model has no transaction and no snapshot');
is($node->safe_psql('postgres', "SELECT memai.cancel('$id')"), 't', 'a call under way is cancelled');
error_is(run_sql("SELECT memai.await('$id')"), '57014', qr/cancelled/, 'and has no result');
value_is(run_sql("SELECT memai.submit('generate', '{\"prompt\": \"hi\"}', '$good') AS id \\gset\nSELECT memai.await(:'id') ->> 'content'"), 'echo: hi', 'a worker makes submitted calls');
my $hopeless = $node->safe_psql('postgres', "SELECT memai.submit('generate', '{\"prompt\": \"hi\"}', '$refusing')");
error_is(run_sql("SELECT memai.await('$hopeless')"), 'MA006', qr/the job failed: call to model "$refusing" failed/, 'await raises the error of a call that failed');

# ---- without preloading: each session finds out, and survivors tell ----
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->restart;
my $alone = chat_model('status', 503);
is(call_times(10, $alone, 'SET memai.model_max_retries = 0'), 'MA004=5 MA011=5', 'without preloading a session has a breaker of its own');
# the failed calls were caught, so what they learnt is told by the next that succeeds
my $teller = MemAI::Session->new($node);
$teller->query("SET memai.model_max_retries = 0; SET memai.model_breaker_cooldown = '1min'");
$teller->query("SELECT memai.generate('hi', '$alone')") for 1 .. 5;
$teller->query("SELECT memai.generate('hi', '$good')");
$stub->reset;
error_is(run_sql("SELECT memai.generate('hi', '$alone')"), 'MA011', qr/MA004/, 'another session learns of it from the table');
is(scalar($stub->requests), 0, 'without a request');
is($node->safe_psql('postgres', "SELECT memai.reset_model('$alone')"), 't', 'reset_model clears the table');
is($node->safe_psql('postgres', 'SELECT count(*) FROM memai._model_rest'), '0', 'of the row');

# ---- sizes ----
value_is(run_sql("SELECT model_used FROM memai.complete('[{\"role\":\"user\",\"content\":\"hi\"}]', 'large')"), $good, 'a size without a model of its own is the default model');
$node->safe_psql('postgres', "SELECT memai.set_default_model('chat', 'local/extract', 'small')");
value_is(run_sql("SELECT model_used FROM memai.complete('[{\"role\":\"user\",\"content\":\"hi\"}]', 'small')"), 'local/extract', 'a size is the model that it stands for');

$node->stop;
$stub->stop;
done_testing();
