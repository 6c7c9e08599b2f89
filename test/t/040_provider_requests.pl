# The requests that memai writes have the shape of those that real clients were
# recorded with, for the same messages, tools, schemas and numbers.
use strict;
use warnings;

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use MemAI::Session;
use Test::More;

my $data = $ENV{MEMAI_DATA} // '../shared/data';
plan skip_all => "no recorded traffic in $data/wire (set MEMAI_DATA)" unless -d "$data/wire";

my ($node, $stub) = start_gateway('requests', data => $data);
my $session = MemAI::Session->new($node);
my $json = JSON::PP->new->canonical->allow_nonref;
my $url = $stub->url('status', 418);
$session->query("SET memai.model_max_retries = 0; SELECT memai.create_model('$_', 'chat', '$_', 'm', url => '$url')") for qw(openai anthropic gemini cohere ollama);

# numbers may be written 1 or 1.0
sub normal
{
	my ($value) = @_;
	return $json->encode($value) =~ s/(\d)\.0+(?=[,}\]])/$1/gr;
}

# what a body says, in the words of wire_requests.py
my %parts = (
	openai => sub {
		my ($body) = @_;
		for my $call (map { @{ $_->{tool_calls} // [] } } @{ $body->{messages} })
		{
			$call->{function}{arguments} = $json->decode($call->{function}{arguments});
		}
		$body->{schema} = $body->{response_format}{json_schema}{schema};
		return $body;
	},
	anthropic => sub { return $_[0] },
	gemini => sub {
		my ($body) = @_;
		$body->{system} = $body->{systemInstruction}{parts};
		delete @{ $body->{generationConfig} }{qw(candidateCount responseMimeType responseJsonSchema)};
		return $body;
	});

$parts{cohere} = $parts{openai};
$parts{ollama} = $parts{anthropic};

my (%equal, %seen);
open(my $cases, '-|', 'python3', 'test/stub/wire_requests.py', $data) or die;
while (my $line = <$cases>)
{
	my $case = $json->decode($line);
	my ($messages, $options) = map { my $text = JSON::PP->new->ascii->encode($_); "\$json\$$text\$json\$" } @$case{qw(messages options)};
	$stub->reset;
	my $answer = $session->query("SELECT memai.complete($messages, '$case->{provider}', $options)");
	my ($request) = $stub->requests;
	$seen{ $case->{file} }++;
	if (!$request)
	{
		fail("$case->{file} $case->{line}: no request") || diag($answer);
		next;
	}
	my $got = $parts{ $case->{provider} }->($json->decode($request->{body}));
	my %written = map { $_ => $got->{$_} } keys %{ $case->{expected} };
	if (normal(\%written) eq normal($case->{expected})) { $equal{ $case->{file} }++ }
	else { is(normal(\%written), normal($case->{expected}), "$case->{file} $case->{line}") }
}
close $cases or die 'the reader failed';
for my $file (sort keys %seen)
{
	is($equal{$file}, $seen{$file}, "$file: all of $seen{$file} requests have the recorded shape");
}

$session->close;
$node->stop;
$stub->stop;
done_testing();
