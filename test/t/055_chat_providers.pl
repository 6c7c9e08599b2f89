# memai.chat and chat_stream in every provider's wire format: what is sent (roles,
# tools, calls and their results) and what is read (content, tokens, calls,
# reason to finish), whole and streamed.
use strict;
use warnings FATAL => 'all';

use JSON::PP;
use MemAI::Dialogue;
use MemAI::Gateway;
use Test::More;

my ($node, $stub) = start_gateway('formats', conf => "timezone = 'UTC'\n");
$node->safe_psql('postgres', q{
	CREATE FUNCTION stock(name text, size integer DEFAULT 42) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT length($1) * $2';
	SET memai.user_id = 'ann';
	SELECT memai.register_tool('stock', 'pairs of a shoe in stock', 'public.stock'), memai.remember('Ann wears size 42', valid_at => '2026-01-04');
});

my $text = "Nine \"r\x{e9}d\" runners \x{1f45f},\n\tand no boots.";
my $schema = { type => 'object', required => ['name'], properties => { name => { type => 'string' }, size => { type => 'integer' } }, additionalProperties => JSON::PP::false };
my $models = 0;

# a model that gives these answers in turn, whole or streamed
sub scripted
{
	my ($provider, $stream, @answers) = @_;
	my $name = "$provider-" . ++$models;
	my $options = $provider eq 'azure' ? q{, options => '{"api_version": "2024-10-21"}'} : '';
	$stub->script($name, map { $stream ? { stream => as_stream($provider, $_) } : as_provider($provider, $_) } @answers);
	$node->safe_psql('postgres', "SELECT memai.create_model('$name', 'chat', '$provider', 'm', url => '" . $stub->url('script', $name) . "'$options)");
	$stub->reset;
	return $name;
}

# the row of memai.chat, or the result of memai.chat_stream with its pieces
sub chat
{
	my ($stream, $arguments) = @_;
	my $sql = $stream
	  ? "SELECT (max((s).result::text) FILTER (WHERE (s).done))::jsonb || jsonb_build_object('pieces', string_agg((s).delta, '')) FROM (SELECT memai.chat_stream($arguments) AS s OFFSET 0) x"
	  : "SELECT to_jsonb(c) FROM memai.chat($arguments) c";
	my $answer = run_sql("SET memai.user_id = 'ann'; SET memai.chat_recent_exchanges = 0; $sql");
	return $answer->{value} ? decode_json($answer->{value}) : $answer;
}

foreach my $provider (chat_providers())
{
	foreach my $stream (0, 1)
	{
		my $test = $provider . ($stream ? ' streamed' : '');
		my $both = calls([ 'stock', { name => 'runner', size => 40 } ], [ 'stock', { name => "b\"\x{f6}\x{f6}\"t" } ]);
		$both->{choices}[0]{message}{content} = 'I look. ';
		# two calls with one id would be one call
		$both->{choices}[0]{message}{tool_calls}[1]{id} = 'call_other';
		my $model = scripted($provider, $stream, $both, says($text, 30, 7));
		my $row = chat($stream, "'How many in my size?', model => '$model', system_prompt => 'You sell shoes.', tools => '[\"stock\"]', intent => 'none'");
		is($row->{content}, $text, "$test: the answer's text") or diag(explain($row));
		is($row->{pieces}, "I look. $text", "$test: every piece, in order") if $stream;
		is($row->{finish_reason}, 'stop', "$test: why it ended");
		is(join('+', map { $_ // '' } @$row{qw(prompt_tokens completion_tokens total_tokens)}), '50+12+62', "$test: tokens of both calls");
		is(join(' ', map { $_->{name} . ($_->{ok} ? ' ' : ' not ') . $_->{content} } @{ $row->{tools_invoked} }), 'stock 240 stock 252', "$test: two tools were run at once");
		is_deeply($row->{tools_invoked}[1]{arguments}, { name => "b\"\x{f6}\x{f6}\"t" }, "$test: with what the model wrote");

		my @requests = $stub->requests;
		is(scalar @requests, 2, "$test: one request a round");
		my ($about, @messages) = asked_of($provider, $requests[0]);
		is(join(' ', map { $_->{role} } @messages), 'system user', "$test: roles of the first request");
		like($messages[0]{content}, qr/\AYou sell shoes\.\n\nSections/, "$test: instructions are the system's");
		like($messages[1]{content}, qr/\A<memories \w+>\n- 2026-01-04 Ann wears size 42\n<\/memories \w+>\n\nHow many in my size\?\z/, "$test: memory and message are the user's");
		is_deeply($about->{tools}, { stock => $schema }, "$test: the tool with its schema");
		is($about->{stream}, $stream, "$test: streaming is asked for or not");
		($about, @messages) = asked_of($provider, $requests[1]);
		is(join(' ', map { $_->{role} } @messages), 'system user assistant tool tool', "$test: roles of the second request");
		is_deeply($messages[2]{calls}, [ [ 'stock', { name => 'runner', size => 40 } ], [ 'stock', { name => "b\"\x{f6}\x{f6}\"t" } ] ], "$test: the calls go back");
		is($messages[2]{content}, 'I look. ', "$test: with what was said before them");
		is(join(' ', map { $_->{content} =~ /(\d+)/ } @messages[ 3, 4 ]), '240 252', "$test: and the results in order");
		is_deeply($about->{results}, [2], "$test: both in one turn") if $provider eq 'gemini';

		my ($user, $assistant) = map { decode_json($_) } split(/\n/, $node->safe_psql('postgres', "SET memai.user_id = 'ann'; SELECT to_jsonb(m) FROM memai.messages('$row->{thread_id}') m"));
		is("$user->{role}: $user->{content}", 'user: How many in my size?', "$test: the message is stored");
		is("$assistant->{role}: $assistant->{content} $assistant->{finish_reason} $assistant->{prompt_tokens}+$assistant->{completion_tokens} $assistant->{model}", "assistant: $text stop 50+12 $model", "$test: and the answer with what it took");
		$node->safe_psql('postgres', "SET memai.user_id = 'ann'; SELECT memai.delete_thread('$row->{thread_id}', forget => true)");

		# an answer that was cut short says so
		$model = scripted($provider, $stream, says('Nine red', 11, 3, 'length'));
		$row = chat($stream, "'How many?', model => '$model', max_tokens => 3, use_memory => false, intent => 'none'");
		is("$row->{content} $row->{finish_reason} $row->{total_tokens}", 'Nine red length 14', "$test: cut short");
		($about, @messages) = asked_of($provider, ($stub->requests)[0]);
		is("$messages[-1]{role}: $messages[-1]{content}", 'user: How many?', "$test: without memory the message is sent as it is");
		is_deeply($about->{tools}, {}, "$test: and no tool");
		$node->safe_psql('postgres', "SET memai.user_id = 'ann'; SELECT memai.delete_thread('$row->{thread_id}', forget => true)");
	}
}

$stub->stop;
$node->stop;
done_testing();
