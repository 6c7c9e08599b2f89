# Whom calls of models are accounted to: the user_id of the call, in the ledger and
# for limits, also for a fallback, a stream and a job; the setting where there is none.
use strict;
use warnings FATAL => 'all';

use MemAI::Gateway;
use Test::More;

my ($node, $stub) = start_gateway('usage_user',
	conf => "shared_preload_libraries = 'memai'\nmemai.worker_databases = ''\nmemai.chat_extract = off\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# who was accounted for how many calls since the last look
sub accounted
{
	my $rows = sql(q{SELECT coalesce(user_id, '-'), sum(attempts) FROM memai.usage_daily GROUP BY 1 ORDER BY 1});
	sql("SELECT memai.flush_usage(); DELETE FROM memai._usage");
	return $rows;
}

my $events = join('', map { "data: $_\n\n" } '{"choices":[{"index":0,"delta":{"content":"Hello you"},"finish_reason":"stop"}]}', '[DONE]');
my $chat = chat_model();
my $stream = chat_model('body', \$events);
my $embed = embed_model(4);

# ---- the ledger ----

sql("SELECT memai.chat('hello', user_id => 'ann', model => '$chat')");
is(accounted(), 'ann|1', 'a chat is accounted to its user');
sql("SELECT memai.chat_stream('hello', user_id => 'ann', model => '$stream')");
is(accounted(), 'ann|1', 'and a stream');
sql("CALL memai.converse('hello', user_id => 'ann', model => '$chat')");
is(accounted(), 'ann|1', 'and a conversation in short transactions');
sql("SELECT memai.chat_notify('hello', user_id => 'ann', model => '$stream')");
sql('CALL memai.run_jobs()');
is(accounted(), 'ann|1', 'and a job');
my $id = sql("SELECT memai.submit('generate', '{\"prompt\": \"hi\"}', '$chat', 'bob')");
sql('CALL memai.run_jobs()');
is(accounted(), 'bob|1', 'and a submitted call');
my $broken = chat_model('status', 503);
sql("SELECT memai.alter_model('$broken', options => '{\"fallback\": [\"$chat\"]}')");
sql("SET memai.model_max_retries = 0; SELECT memai.chat('hello', user_id => 'ann', model => '$broken')");
is(accounted(), 'ann|2', 'and the fallback of a model');
sql("SET memai.user_id = 'ann'; SELECT memai.chat('hello', model => '$chat'); SELECT memai.generate('hi', '$chat')");
is(accounted(), 'ann|2', 'without the argument to the user of the setting');
sql("SELECT memai.chat('hello', user_id => 'ann', model => '$chat'), memai.generate('hi', '$chat')");
is(accounted(), "-|1\nann|1", 'one call does not change whom the next is accounted to');
run_sql("SELECT memai.chat('hello', user_id => 'ann', model => '$broken', on_error => 'null'); SELECT memai.generate('hi', '$chat')");
like(accounted(), qr/^-\|1\nann\|\d+$/, 'nor does one that failed');

sql("SELECT memai.set_default_model('embed', '$embed')");
sql("SELECT memai.remember('Ann likes tea', user_id => 'ann')");
is(accounted(), 'ann|1', 'remembering is accounted to the user');
sql("SELECT * FROM memai.recall('tea', user_id => 'ann')");
is(accounted(), 'ann|1', 'and recall');
sql(q{SELECT memai.remember_messages('[{"role": "user", "content": "I like tea"}]', user_id => 'ann')});
is(accounted(), 'ann|1', 'and messages');
sql(q{SELECT memai.add_document('About tea.', title => 'tea', user_id => 'ann', background => true)});
sql('CALL memai.run_jobs()');
is(accounted(), 'ann|1', 'and a document');
sql("SELECT memai.add_document('About coffee.', title => 'coffee', user_id => u, background => true) FROM unnest(ARRAY['ann', 'bob']) u");
sql('CALL memai.run_jobs()');
is(accounted(), "ann|1\nbob|1", 'what two users share in one request, to both');

# ---- a request that several users share ----

# adds a document for each user, runs their jobs; how many requests that took
sub share
{
	my ($settings, %texts) = @_;
	$stub->reset;
	sql("SELECT memai.add_document('$texts{$_}', title => 'shared', user_id => '$_', background => true)") for sort keys %texts;
	sql("$settings; CALL memai.run_jobs()");
	return scalar(my @requests = $stub->requests);
}

# three users, two of them with the same text
sql("SELECT memai.alter_model('$embed', options => '{\"input_price\": 3, \"output_price\": 0}')");
is(share('', ann => 'tea tea tea tea', bob => join(' ', ('tea') x 12), eve => join(' ', ('tea') x 12)), 1, 'texts of three users are one request');
my $sum = $stub->tokens->{prompt};
is(sql('SELECT count(*), sum(prompt_tokens), round((sum(cost) * 1e6)::numeric) FROM memai.usage'), "3|$sum|" . 3 * $sum, 'a row for each, which add up to what the provider counts');
is(sql(q{SELECT count(DISTINCT at), count(DISTINCT latency_ms), bool_and(status = 'ok' AND NOT estimated) FROM memai.usage}), '1|1|t', 'of one attempt');
my %part = map { split /\|/ } split /\n/, sql('SELECT user_id, prompt_tokens FROM memai.usage');
cmp_ok(abs($part{bob} - $part{eve}), '<=', 1, 'who has the same text has the same part of it');
cmp_ok($part{ann}, '>', 0, 'who has another has one by its length');
cmp_ok($part{ann}, '<', $part{bob} + $part{eve}, 'which is shorter');
accounted();
my $calls = "SELECT sum(attempts), sum(prompt_tokens) FROM memai._usage_counters() WHERE model = '$embed'";
my ($attempts, $tokens) = split /\|/, sql($calls);
share('', ann => 'first text', bob => 'second text');
is(sql($calls), ($attempts + 1) . '|' . ($tokens + $stub->tokens->{prompt}), 'the metrics count one attempt');
is(accounted(), "ann|1\nbob|1", 'the ledger one of each');

# one that fails first, and one that is never answered
my $flaky = embed_model(4, 'fail', 503, 1, 'flaky');
sql("SELECT memai.set_default_model('embed', '$flaky')");
share('', ann => 'third text', bob => 'fourth text');
is(sql('SELECT user_id, status, attempt, prompt_tokens > 0 FROM memai.usage ORDER BY attempt, user_id'),
	"ann|error|1|f\nbob|error|1|f\nann|ok|2|t\nbob|ok|2|t", 'each attempt is a row for each');
is(sql('SELECT sum(prompt_tokens) FROM memai.usage'), $stub->tokens->{prompt}, 'which add up');
accounted();
my $silent = embed_model(4, 'hang');
sql("SELECT memai.set_default_model('embed', '$silent')");
share('SET memai.http_attempt_timeout = 300; SET memai.model_max_retries = 0', ann => 'fifth text', bob => 'sixth text');
is(sql('SELECT user_id, status, prompt_tokens, attempt FROM memai.usage ORDER BY 1'), "ann|unknown||1\nbob|unknown||1", 'what was cut off is unknown for each');
accounted();
sql('DELETE FROM memai.job');

# where users are limited one by one, their texts are in requests of their own
sql("SELECT memai.set_default_model('embed', '$embed'), memai.set_limit('$embed', user_id => '*', daily_tokens => 1000)");
is(share('', ann => 'seventh text', bob => 'eighth text'), 2, 'limited users share no request');
is(accounted(), "ann|1\nbob|1", 'and are accounted for their own');
sql("SELECT memai.set_limit('$embed', user_id => '*')");

# ---- limits ----

my $limited = chat_model();
sql("SELECT memai.set_limit('$limited', user_id => '*', requests_per_minute => 2); SET memai.model_limit_wait = off");
my $say = sub { return run_sql("SET memai.model_limit_wait = off; SELECT content FROM memai.chat('hello', user_id => '$_[0]', model => '$limited', use_memory => false)") };
value_is($say->('ann'), 'echo: hello', "a user's first call") for 1 .. 2;
error_is($say->('ann'), 'MA013', qr/user "ann"/, 'more than the limit of this user');
value_is($say->('bob'), 'echo: hello', 'another user has his own');

$stub->stop;
$node->stop;
done_testing();
