# What a chat model says in a test, in OpenAI's format and as other providers
# write it, whole or streamed; and what a request asks of the model, in one form
# whatever the provider.
package MemAI::Dialogue;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;

our @EXPORT = qw(says calls chat_providers as_provider as_stream asked_of);

my $json = JSON::PP->new->canonical;		# characters: the stub is sent bytes later

# an answer: text, the tokens that it reports, and why it ends (stop or length)
sub says
{
	my ($text, $prompt, $completion, $reason) = @_;
	return { choices => [ { index => 0, finish_reason => $reason // 'stop', message => { role => 'assistant', content => $text } } ],
		usage => { prompt_tokens => $prompt // 10, completion_tokens => $completion // 2 } };
}

# calls of tools, each [name, arguments] or [name, text of malformed arguments]
sub calls
{
	my @calls = map { { id => 'call_' . $_->[0], type => 'function', function => { name => $_->[0], arguments => ref $_->[1] ? $json->encode($_->[1]) : $_->[1] } } } @_;
	return { choices => [ { index => 0, finish_reason => 'tool_calls', message => { role => 'assistant', content => undef, tool_calls => \@calls } } ],
		usage => { prompt_tokens => 20, completion_tokens => 5 } };
}

# a reason to finish as a provider writes it
my %reasons = (
	anthropic => { stop => 'end_turn', length => 'max_tokens', tool_calls => 'tool_use' },
	gemini => { stop => 'STOP', length => 'MAX_TOKENS', tool_calls => 'STOP' },
	ollama => { stop => 'stop', length => 'length', tool_calls => 'stop' },
	cohere => { stop => 'COMPLETE', length => 'MAX_TOKENS', tool_calls => 'TOOL_CALL' });

sub reason { my ($provider, $answer) = @_; return $reasons{$provider}{ $answer->{choices}[0]{finish_reason} } }

sub parts
{
	my ($answer) = @_;
	my ($choice, $usage) = ($answer->{choices}[0], $answer->{usage});
	my @calls = map { { id => $_->{id}, name => $_->{function}{name}, arguments => $json->decode($_->{function}{arguments}) } } @{ $choice->{message}{tool_calls} // [] };
	return ($choice->{message}{content}, $usage->{prompt_tokens}, $usage->{completion_tokens}, @calls);
}

my %whole = (
	openai => sub { $_[0] },
	azure => sub { $_[0] },
	anthropic => sub {
		my ($text, $prompt, $completion, @calls) = parts($_[0]);
		return { type => 'message', role => 'assistant', stop_reason => reason('anthropic', $_[0]),
			usage => { input_tokens => $prompt, output_tokens => $completion },
			content => [ defined $text ? { type => 'text', text => $text } : (),
				map { { type => 'tool_use', id => $_->{id}, name => $_->{name}, input => $_->{arguments} } } @calls ] };
	},
	gemini => sub {
		my ($text, $prompt, $completion, @calls) = parts($_[0]);
		return { candidates => [ { finishReason => reason('gemini', $_[0]), content => { role => 'model',
					parts => [ defined $text ? { text => $text } : (),
						map { { functionCall => { name => $_->{name}, args => $_->{arguments} } } } @calls ] } } ],
			usageMetadata => { promptTokenCount => $prompt, candidatesTokenCount => $completion } };
	},
	ollama => sub {
		my ($text, $prompt, $completion, @calls) = parts($_[0]);
		return { done => JSON::PP::true, done_reason => reason('ollama', $_[0]), prompt_eval_count => $prompt, eval_count => $completion,
			message => { role => 'assistant', content => $text // '',
				@calls ? (tool_calls => [ map { { function => { name => $_->{name}, arguments => $_->{arguments} } } } @calls ]) : () } };
	},
	cohere => sub {
		my ($text, $prompt, $completion, @calls) = parts($_[0]);
		return { finish_reason => reason('cohere', $_[0]), usage => { tokens => { input_tokens => $prompt, output_tokens => $completion } },
			message => { role => 'assistant', defined $text ? (content => [ { type => 'text', text => $text } ]) : (),
				@calls ? (tool_calls => $_[0]{choices}[0]{message}{tool_calls}) : () } };
	});

sub chat_providers { return sort keys %whole }

# the same answer as a provider writes it
sub as_provider
{
	my ($provider, $answer) = @_;
	return $whole{$provider}->($answer);
}

# "one two" in pieces that keep their blanks
sub words { return defined $_[0] ? $_[0] =~ /\S+\s*|\s+/g : () }

sub events { return join('', map { 'data: ' . $json->encode($_) . "\n\n" } @_) }

my %streamed = (
	openai => sub {
		my ($text, $prompt, $completion) = parts($_[0]);
		my $choice = $_[0]{choices}[0];
		my $calls = $choice->{message}{tool_calls} // [];
		my @deltas = map { { content => $_ } } words($text);
		for my $i (0 .. $#$calls)
		{
			my $function = $calls->[$i]{function};
			my $half = int(length($function->{arguments}) / 2);
			push @deltas, { tool_calls => [ { index => $i, id => $calls->[$i]{id}, type => 'function',
						function => { name => $function->{name}, arguments => substr($function->{arguments}, 0, $half) } } ] },
			  { tool_calls => [ { index => $i, function => { arguments => substr($function->{arguments}, $half) } } ] };
		}
		return events((map { { choices => [ { index => 0, delta => $_ } ] } } @deltas),
			{ choices => [ { index => 0, delta => {}, finish_reason => $choice->{finish_reason} } ],
				usage => { prompt_tokens => $prompt, completion_tokens => $completion } }) . "data: [DONE]\n\n";
	},
	anthropic => sub {
		my ($text, $prompt, $completion, @calls) = parts($_[0]);
		my $index = 0;
		my @events = ({ type => 'message_start', message => { role => 'assistant', content => [], usage => { input_tokens => $prompt, output_tokens => 1 } } });
		if (defined $text)
		{
			push @events, { type => 'content_block_start', index => $index, content_block => { type => 'text', text => '' } },
			  (map { { type => 'content_block_delta', index => $index, delta => { type => 'text_delta', text => $_ } } } words($text)),
			  { type => 'content_block_stop', index => $index++ };
		}
		foreach my $call (@calls)
		{
			my $arguments = $json->encode($call->{arguments});
			my $half = int(length($arguments) / 2);
			push @events, { type => 'content_block_start', index => $index, content_block => { type => 'tool_use', id => $call->{id}, name => $call->{name}, input => {} } },
			  (map { { type => 'content_block_delta', index => $index, delta => { type => 'input_json_delta', partial_json => $_ } } } substr($arguments, 0, $half), substr($arguments, $half)),
			  { type => 'content_block_stop', index => $index++ };
		}
		push @events, { type => 'message_delta', delta => { stop_reason => reason('anthropic', $_[0]) }, usage => { output_tokens => $completion } }, { type => 'message_stop' };
		return events(@events);
	},
	gemini => sub {
		my ($text, $prompt, $completion, @calls) = parts($_[0]);
		my @parts = ((map { { text => $_ } } words($text)), map { { functionCall => { name => $_->{name}, args => $_->{arguments} } } } @calls);
		my @events = map { { candidates => [ { content => { role => 'model', parts => [$_] } } ] } } @parts;
		$events[-1]{candidates}[0]{finishReason} = reason('gemini', $_[0]);
		$events[-1]{usageMetadata} = { promptTokenCount => $prompt, candidatesTokenCount => $completion };
		return events(@events);
	},
	ollama => sub {
		my ($text, undef, undef, @calls) = parts($_[0]);
		my $last = $whole{ollama}->($_[0]);
		my @lines = map { { done => JSON::PP::false, message => { role => 'assistant', content => $_ } } } words($text);
		push @lines, { done => JSON::PP::false, message => { role => 'assistant', content => '', tool_calls => $last->{message}{tool_calls} } } if @calls;
		$last->{message} = { role => 'assistant', content => '' };
		return join('', map { $json->encode($_) . "\n" } @lines, $last);
	},
	cohere => sub {
		my ($text, $prompt, $completion, @calls) = parts($_[0]);
		my @events = map { { type => 'content-delta', index => 0, delta => { message => { content => { text => $_ } } } } } words($text);
		foreach my $call (@{ $_[0]{choices}[0]{message}{tool_calls} // [] })
		{
			push @events, { type => 'tool-call-start', delta => { message => { tool_calls => { id => $call->{id}, type => 'function', function => { name => $call->{function}{name}, arguments => '' } } } } },
			  { type => 'tool-call-delta', delta => { message => { tool_calls => { function => { arguments => $call->{function}{arguments} } } } } },
			  { type => 'tool-call-end' };
		}
		return events(@events, { type => 'message-end', delta => { finish_reason => reason('cohere', $_[0]),
					usage => { tokens => { input_tokens => $prompt, output_tokens => $completion } } } });
	});
$streamed{azure} = $streamed{openai};

# the same answer as a provider streams it
sub as_stream
{
	my ($provider, $answer) = @_;
	return $streamed{$provider}->($answer);
}

# A request's messages as { role, content, calls, result_of }: role is system, user,
# assistant or tool; calls are [name, arguments]; content of a tool is its result.
# The hash that comes first has tools by name, whether it streams, and of Gemini how many
# results of tools each turn has.
sub asked_of
{
	my ($provider, $request) = @_;
	my $body = $json->decode($request->{body});		# characters already
	return $provider eq 'anthropic' ? asked_of_anthropic($body)
	  : $provider eq 'gemini' ? asked_of_gemini($body, $request->{path})
	  : asked_of_openai($body);
}

sub asked_of_openai
{
	my ($body) = @_;
	my @messages = map {
		my @calls = map { my $arguments = $_->{function}{arguments}; [ $_->{function}{name}, ref $arguments ? $arguments : $json->decode($arguments) ] } @{ $_->{tool_calls} // [] };
		{ role => $_->{role}, content => $_->{content} // '', calls => \@calls }
	} @{ $body->{messages} };
	return ({ tools => { map { $_->{function}{name} => $_->{function}{parameters} } @{ $body->{tools} // [] } }, stream => $body->{stream} ? 1 : 0 }, @messages);
}

sub asked_of_anthropic
{
	my ($body) = @_;
	my @messages = map {
		my $message = $_;
		my @blocks = ref $_->{content} ? @{ $_->{content} } : { type => 'text', text => $_->{content} };
		my @results = map { { role => 'tool', content => $_->{content}, calls => [] } } grep { $_->{type} eq 'tool_result' } @blocks;
		@results ? @results : { role => $message->{role}, content => join('', map { $_->{text} // '' } @blocks),
			calls => [ map { [ $_->{name}, $_->{input} ] } grep { $_->{type} eq 'tool_use' } @blocks ] }
	} @{ $body->{messages} };
	return ({ tools => { map { $_->{name} => $_->{input_schema} } @{ $body->{tools} // [] } }, stream => $body->{stream} ? 1 : 0 },
		{ role => 'system', content => $body->{system} // '', calls => [] }, @messages);
}

sub asked_of_gemini
{
	my ($body, $path) = @_;
	my @messages = map {
		my $turn = $_;
		my @results = map { { role => 'tool', content => $json->encode($_->{functionResponse}{response}), calls => [] } } grep { $_->{functionResponse} } @{ $_->{parts} };
		@results ? @results : { role => $turn->{role} eq 'model' ? 'assistant' : $turn->{role}, content => join('', map { $_->{text} // '' } @{ $turn->{parts} }),
			calls => [ map { [ $_->{functionCall}{name}, $_->{functionCall}{args} ] } grep { $_->{functionCall} } @{ $turn->{parts} } ] }
	} @{ $body->{contents} };
	my $system = join('', map { $_->{text} } @{ $body->{systemInstruction}{parts} // [] });
	return ({ tools => { map { $_->{name} => $_->{parameters} } map { @{ $_->{functionDeclarations} } } @{ $body->{tools} // [] } }, stream => $path =~ /streamGenerate/ ? 1 : 0,
			results => [ grep { $_ } map { scalar(grep { $_->{functionResponse} } @{ $_->{parts} }) } @{ $body->{contents} } ] },
		{ role => 'system', content => $system, calls => [] }, @messages);
}

1;
