# Every recorded answer of a real provider, whole or streamed, read by memai and
# by an independent reader (test/stub/read_wire.py): equal text, tool calls,
# reason to finish, tokens, vectors and scores.  And what the requests look like.
# Rows JS8, HT21.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use MemAI::Session;
use Test::More;

my $data = $ENV{MEMAI_DATA} // '../shared/data';
plan skip_all => "no recorded traffic in $data/wire (set MEMAI_DATA)" unless -d "$data/wire";

my ($node, $stub) = start_gateway('providers', data => $data);
my $session = MemAI::Session->new($node);
my $json = JSON::PP->new->canonical->allow_nonref;
my $messages = '[{"role":"user","content":"hi"}]';

open(my $reader, '-|', 'python3', 'test/stub/read_wire.py', $data) or die;
my @cases = map { decode_json($_) } <$reader>;
close $reader or die 'the reader failed';

my $models = 0;
sub replay_model
{
	my ($case, $dimensions) = @_;
	my $name = 'w' . ++$models;
	my $url = $stub->url('replay', $case->{file}, $case->{line});
	my $extra = $dimensions ? ", dimensions => $dimensions" : '';
	my $answer = $session->query(
		"SELECT memai.create_model('$name', '$case->{kind}', '$case->{provider}', 'm', url => '$url'$extra)");
	die $answer if $answer ne '';
	return $name;
}

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

sub read_chat
{
	my ($case) = @_;
	my $name = replay_model($case);
	my $options = $case->{stream} ? '{"stream": true}' : '{}';
	return $session->query("SELECT to_json(r) FROM memai.complete('$messages', '$name', '$options') r");
}

# numbers in tool calls may be written 1 or 1.0
sub normal
{
	my ($value) = @_;
	my $text = $json->encode($value);
	$text =~ s/(\d)\.0+(?=[,}\]])/$1/g;
	return $text;
}

my %count;
$session->query('SET memai.model_max_retries = 0');
for my $case (@cases)
{
	my $test = "$case->{file} $case->{line} $case->{kind}" . ($case->{stream} ? ' streamed' : '');
	$count{"$case->{provider} $case->{kind}"}++;
	if ($case->{error} && $case->{kind} eq 'chat')
	{
		like(read_chat($case), qr/ERROR:  MA0\d\d: /, "$test is an error");
	}
	elsif ($case->{kind} eq 'chat')
	{
		my $answer = read_chat($case);
		my $read = $answer =~ /^\{/ ? decode_json($answer) : { error => $answer };
		my %expected = map { $_ => $case->{$_} } qw(content tool_calls finish_reason prompt_tokens completion_tokens);
		my %got = map { $_ => $read->{$_} } keys %expected;
		# checked below
		delete $_->{signature} for @{ $got{tool_calls} // [] };
		is(normal(\%got), normal(\%expected), $test) || diag($read->{error} // '');
	}
	elsif ($case->{kind} eq 'embed')
	{
		my $vectors = $case->{vectors} // [ [1] ];
		my $n = @$vectors;
		my $name = replay_model($case, scalar @{ $vectors->[0] });
		my $answer = $session->query("SELECT json_agg(v::real[] ORDER BY o) FROM unnest(memai.embed(ARRAY(SELECT 'text ' || n FROM generate_series(1, $n) n), '$name')) WITH ORDINALITY u(v, o)");
		if ($case->{error}) { like($answer, qr/ERROR:  MA0/, "$test is an error"); next }
		my $read = $answer =~ /^\[/ ? decode_json($answer) : die "$test: $answer";
		my $wrong = 0;
		for my $i (0 .. $#$vectors)
		{
			$wrong += abs($read->[$i][$_] - $vectors->[$i][$_]) > 1e-6 * (abs($vectors->[$i][$_]) + 1e-3) for 0 .. $#{ $vectors->[$i] };
		}
		is($wrong, 0, "$test: $n vectors");
	}
	else
	{
		my $name = replay_model($case);
		my $answer = $session->query("SELECT json_object_agg(ord - 1, score) FROM memai.rerank('q', ARRAY(SELECT 'text ' || n FROM generate_series(1, $case->{documents}) n), '$name')");
		is($json->encode(decode_json($answer)), $json->encode($case->{scores}), $test);
	}
}
note(join ', ', map { "$_ $count{$_}" } sort keys %count);

# HT21: a stream that is cut anywhere is an error, never a short success
my %cut;
for my $case (grep { $_->{stream} && !$_->{error} } @cases)
{
	next if $cut{ $case->{provider} }++ >= 2;
	my $name = 'cut' . ++$models;
	my $url = $stub->url('cut', 40, 'replay', $case->{file}, $case->{line});
	$session->query("SELECT memai.create_model('$name', 'chat', '$case->{provider}', 'm', url => '$url')");
	my %seen;
	for (1 .. 40)
	{
		my $answer = $session->query("SELECT content FROM memai.complete('$messages', '$name', '{\"stream\": true}')");
		my ($state) = $answer =~ /ERROR:  (\w{5})/;
		$seen{ $state // "read: $answer" }++;
	}
	is(join(' ', sort keys %seen), 'MA008', "HT21 $case->{file} $case->{line} cut at forty places");
}

# The last 200 prefixes of ten recorded streams of each format, or all there are, one
# request each; the unit test test_stream_prefixes reads every prefix of all of them.
$session->query(q{CREATE FUNCTION pg_temp.prefixes(model text, n integer, OUT state text, OUT calls bigint) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE seen jsonb := '{}'; one text;
BEGIN
	FOR i IN 1 .. n LOOP
		BEGIN
			PERFORM memai.complete('[{"role":"user","content":"hi"}]', model, '{"stream": true}');
			one := 'an answer';
		EXCEPTION WHEN OTHERS THEN one := sqlstate;
		END;
		seen := seen || jsonb_build_object(one, coalesce((seen ->> one)::int, 0) + 1);
	END LOOP;
	RETURN QUERY SELECT key, value::bigint FROM jsonb_each_text(seen);
END $$});
my (%recorded, %prefixed);
my $prefixes = 0;
sub recorded_length
{
	my ($file, $line) = @_;
	if (!$recorded{$file})
	{
		open(my $in, '<', "$data/wire/$file.jsonl") or die;
		$recorded{$file} = [<$in>];
	}
	my $text = decode_json($recorded{$file}[$line])->{response} =~ s/\s+\z//r;
	utf8::encode($text);
	return length $text;
}
$_->{length} = recorded_length($_->{file}, $_->{line}) for grep { $_->{stream} && !$_->{error} } @cases;
for my $case (sort { $a->{length} <=> $b->{length} } grep { $_->{length} } @cases)
{
	next if ($prefixed{ $case->{provider} } // 0) >= 10;
	$prefixed{ $case->{provider} }++;
	my $name = 'prefix' . ++$models;
	# the answer ends with the event before it, whole
	my $end = $case->{length} - ($case->{provider} eq 'cohere' ? length 'data: [DONE]' : 0);
	my $from = $end < 200 ? 0 : $end - 200;
	my $n = $end - $from;
	my $url = $stub->url('prefix', $from, 'replay', $case->{file}, $case->{line});
	$session->query("SELECT memai.create_model('$name', 'chat', '$case->{provider}', 'm', url => '$url')");
	is($session->query("SELECT * FROM pg_temp.prefixes('$name', $n)", 1200), "MA008|$n", "HT21 $case->{file} $case->{line}: each of $n prefixes is an error");
	$prefixes += $n;
}
note("$prefixes prefixes of " . join(', ', map { "$prefixed{$_} streams of $_" } sort keys %prefixed));

# ---- tool turns of models that think: the signature goes back with the call ----
for my $case (grep { $_->{provider} eq 'gemini' && $_->{tool_calls} } @cases)
{
	my $response = decode_json($recorded{gemini} ? $recorded{gemini}[ $case->{line} ] : do { recorded_length('gemini', 0); $recorded{gemini}[ $case->{line} ] })->{response};
	my @signatures = $response =~ /"thoughtSignature":\s*"([^"]+)"/g;
	my $calls = decode_json(read_chat($case))->{tool_calls};
	my @carried = map { $_->{signature} // () } @$calls;
	next unless @carried;
	my $answered = quoted($json->encode([ { role => 'user', content => 'q' }, { role => 'assistant', content => '', tool_calls => $calls },
		map { { role => 'tool', tool_call_id => $_->{id}, name => $_->{name}, content => '{}' } } @$calls ]));
	my ($body) = request_of('gemini', "SELECT memai.complete($answered, %s)", 'chat');
	my @sent = map { $_->{thoughtSignature} // () } @{ $json->decode($body)->{contents}[1]{parts} };
	is("@sent", "@carried", "gemini $case->{line}: " . scalar(@sent) . ' signature of a tool call is sent back');
	is(scalar(grep { my $one = $_; grep { $_ eq $one } @signatures } @carried), scalar(@carried), 'as it came');
}

# ---- requests ----
my $conversation = q{[{"role":"system","content":"S1"},{"role":"system","content":"S2"},{"role":"user","content":"Q"},
	{"role":"assistant","content":"T","tool_calls":[{"id":"c1","name":"f","arguments":{"a":1}},{"id":"c2","name":"g","arguments":{}}]},
	{"role":"tool","tool_call_id":"c1","name":"f","content":"r1"},{"role":"tool","tool_call_id":"c2","name":"g","content":"{\"x\":2}"},
	{"role":"user","content":"Z"}]};
my $options = q{{"temperature":0.5,"max_tokens":9,"stop":["E"],"tools":[{"name":"f","description":"D","parameters":{"type":"object"}}],
	"tool_choice":"f","json_schema":{"type":"object"}}};

sub request_of
{
	my ($provider, $sql, $kind, $extra, $below) = @_;
	my $name = 'r' . ++$models;
	my $url = $stub->url('status', 418, $below // ());
	$session->query("SELECT memai.create_model('$name', '$kind', '$provider', 'm', url => '$url'" . ($extra // '') . ')');
	$stub->reset;
	$session->query(sprintf($sql, "'$name'"));
	my ($request) = $stub->requests;
	my $path = $request->{path} =~ s{^/status/418}{}r;
	return ($json->encode($json->decode($request->{body})), $path, $request->{headers});
}

my $complete = "SELECT memai.complete(" . quoted($conversation) . ", %s, " . quoted($options) . ")";
my %chat = (
	anthropic => [ '/messages', '{"max_tokens":9,"messages":[{"content":"Q","role":"user"},{"content":[{"text":"T","type":"text"},'
		  . '{"id":"c1","input":{"a":1},"name":"f","type":"tool_use"},{"id":"c2","input":{},"name":"g","type":"tool_use"}],"role":"assistant"},'
		  . '{"content":[{"content":"r1","tool_use_id":"c1","type":"tool_result"},{"content":"{\"x\":2}","tool_use_id":"c2","type":"tool_result"}],"role":"user"},'
		  . '{"content":"Z","role":"user"}],"model":"m","output_config":{"format":{"schema":{"type":"object"},"type":"json_schema"}},'
		  . '"stop_sequences":["E"],"system":"S1\n\nS2","temperature":0.5,"tool_choice":{"name":"f","type":"tool"},'
		  . '"tools":[{"description":"D","input_schema":{"type":"object"},"name":"f"}]}' ],
	gemini => [ '/models/m:generateContent', '{"contents":[{"parts":[{"text":"Q"}],"role":"user"},{"parts":[{"text":"T"},'
		  . '{"functionCall":{"args":{"a":1},"name":"f"}},{"functionCall":{"args":{},"name":"g"}}],"role":"model"},'
		  . '{"parts":[{"functionResponse":{"name":"f","response":{"result":"r1"}}},'
		  . '{"functionResponse":{"name":"g","response":{"x":2}}}],"role":"user"},{"parts":[{"text":"Z"}],"role":"user"}],'
		  . '"generationConfig":{"candidateCount":1,"maxOutputTokens":9,"responseJsonSchema":{"type":"object"},"responseMimeType":"application/json",'
		  . '"stopSequences":["E"],"temperature":0.5},"systemInstruction":{"parts":[{"text":"S1"},{"text":"S2"}]},'
		  . '"toolConfig":{"functionCallingConfig":{"allowedFunctionNames":["f"],"mode":"ANY"}},'
		  . '"tools":[{"functionDeclarations":[{"description":"D","name":"f","parameters":{"type":"object"}}]}]}' ],
	ollama => [ '/api/chat', '{"format":{"type":"object"},"messages":[{"content":"S1","role":"system"},{"content":"S2","role":"system"},{"content":"Q","role":"user"},'
		  . '{"content":"T","role":"assistant","tool_calls":[{"function":{"arguments":{"a":1},"name":"f"},"id":"c1","type":"function"},{"function":{"arguments":{},"name":"g"},"id":"c2","type":"function"}]},'
		  . '{"content":"r1","role":"tool","tool_call_id":"c1"},{"content":"{\"x\":2}","role":"tool","tool_call_id":"c2"},{"content":"Z","role":"user"}],'
		  . '"model":"m","options":{"num_predict":9,"stop":["E"],"temperature":0.5},"stream":false,'
		  . '"tools":[{"function":{"description":"D","name":"f","parameters":{"type":"object"}},"type":"function"}]}' ],
	cohere => [ '/chat', '{"max_tokens":9,"messages":[{"content":"S1","role":"system"},{"content":"S2","role":"system"},{"content":"Q","role":"user"},'
		  . '{"content":"T","role":"assistant","tool_calls":[{"function":{"arguments":"{\"a\":1}","name":"f"},"id":"c1","type":"function"},{"function":{"arguments":"{}","name":"g"},"id":"c2","type":"function"}]},'
		  . '{"content":"r1","role":"tool","tool_call_id":"c1"},{"content":"{\"x\":2}","role":"tool","tool_call_id":"c2"},{"content":"Z","role":"user"}],'
		  . '"model":"m","response_format":{"json_schema":{"type":"object"},"type":"json_object"},"stop_sequences":["E"],"stream":false,"temperature":0.5,'
		  . '"tool_choice":"REQUIRED","tools":[{"function":{"description":"D","name":"f","parameters":{"type":"object"}},"type":"function"}]}' ]);
for my $provider (sort keys %chat)
{
	my ($body, $path, $headers) = request_of($provider, $complete, 'chat');
	is($path, $chat{$provider}[0], "$provider: path of a chat");
	is($body, $chat{$provider}[1], "$provider: body of a chat");
	is($headers->{'anthropic-version'}, $provider eq 'anthropic' ? '2023-06-01' : undef, "$provider: version header");
}

my $embed = "SELECT memai.embed(ARRAY['a', 'b'], %s, 'query')";
my %embed = (
	gemini => [ '/models/m:batchEmbedContents', '{"requests":[' . join(',', map {
		"{\"content\":{\"parts\":[{\"text\":\"$_\"}]},\"model\":\"models/m\",\"outputDimensionality\":2,\"taskType\":\"RETRIEVAL_QUERY\"}" } 'a', 'b') . ']}' ],
	ollama => [ '/api/embed', '{"input":["a","b"],"model":"m"}' ],
	cohere => [ '/embed', '{"embedding_types":["float"],"input_type":"search_query","model":"m","texts":["a","b"]}' ],
	voyage => [ '/embeddings', '{"encoding_format":"base64","input":["a","b"],"input_type":"query","model":"m"}' ],
	jina => [ '/embeddings', '{"embedding_type":"float","input":["a","b"],"model":"m","task":"retrieval.query"}' ]);
for my $provider (sort keys %embed)
{
	my ($body, $path) = request_of($provider, $embed, 'embed', ', dimensions => 2');
	is("$path $body", "$embed{$provider}[0] $embed{$provider}[1]", "$provider: request of embeddings");
}
for my $provider (qw(cohere voyage jina))
{
	my ($body, $path) = request_of($provider, "SELECT memai.rerank('q', ARRAY['a', 'b'], %s)", 'rerank');
	my $extra = $provider eq 'jina' ? ',"return_documents":false' : '';
	is("$path $body", "/rerank {\"documents\":[\"a\",\"b\"],\"model\":\"m\",\"query\":\"q\"$extra}", "$provider: request of a ranking");
}

# Azure: a deployment in the path, a version in the query, the key in a header of its own
$session->query("SELECT memai.create_credential('azure-key', '" . $stub->url . "', 'azure-secret')");
my $azure = request_of('azure', "SELECT memai.generate('hi', %s)", 'chat',
	", credential => 'azure-key', options => '{\"api_version\": \"2024-02-01\"}'", 'openai/deployments/d');
my ($azure_request) = $stub->requests;
is($azure_request->{path}, '/status/418/openai/deployments/d/chat/completions?api-version=2024-02-01', 'azure: path of a chat');
is($azure_request->{headers}{'api-key'}, 'azure-secret', 'azure: the key is in api-key');
is($azure_request->{headers}{authorization}, undef, 'azure: and nowhere else');
is($azure_request->{body}, '{"model":"m","messages":[{"role":"user","content":"hi"}]}', 'azure: body of a chat, as recorded ones are');
request_of('azure', "SELECT memai.embed('hi', %s)", 'embed', ", credential => 'azure-key', dimensions => 2, options => '{\"api_version\": \"2023-07-01-preview\"}'", 'openai/deployments/d');
($azure_request) = $stub->requests;
is($azure_request->{path}, '/status/418/openai/deployments/d/embeddings?api-version=2023-07-01-preview', 'azure: path of embeddings');
like($session->query("SELECT memai.create_model('az', 'chat', 'azure', 'm')"), qr/22023: .*needs a URL/, 'azure: no URL');
like($session->query("SELECT memai.create_model('az', 'chat', 'azure', 'm', url => 'https://r.openai.azure.com/openai/deployments/d')"), qr/22023: .*version/, 'azure: a deployment without a version');
is($session->query("SELECT memai.create_model('az', 'chat', 'azure', 'm', url => 'https://r.openai.azure.com/openai/v1')"), '', 'azure: the newer interface needs none');

$session->close;
$node->stop;
$stub->stop;
done_testing();
