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
is(accounted(), '-|1', 'what two users share in one request, to none');

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
