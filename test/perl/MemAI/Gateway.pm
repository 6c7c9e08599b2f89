# What the gateway's tests share: a server with memai, a stub to call, and a
# way to run one statement and see its result or its error.
package MemAI::Gateway;

use strict;
use warnings;

use Exporter 'import';
use MemAI::StubLLM;
use PostgreSQL::Test::Cluster;
use Test::More;

our @EXPORT = qw(start_gateway run_sql chat_model embed_model chat_at embed_at error_is value_is);

our ($node, $stub);
my $models = 0;

# starts both; extra lines of postgresql.conf may follow
sub start_gateway
{
	my ($name, %option) = @_;
	$stub = MemAI::StubLLM->new(data => $option{data}, certificate => $option{certificate});
	$node = PostgreSQL::Test::Cluster->new($name);
	# whatever the locale of whoever runs the tests
	$node->init(extra => ['--encoding=UTF8']);
	$node->append_conf('postgresql.conf', $option{conf}) if $option{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION memai');
	return ($node, $stub);
}

# { value => text } or { sqlstate, message, detail, hint }, and seconds
sub run_sql
{
	my ($sql, %option) = @_;
	my ($out, $err) = ('', '');
	my $result = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", stdout => \$out, stderr => \$err,
		on_error_stop => 1, %option);
	return { value => $out, stderr => $err } if $result == 0;
	my ($state, $message) = $err =~ /(?:ERROR|FATAL):  (\w{5}): ([^\n]*)/;
	my ($detail) = $err =~ /^DETAIL:  ([^\n]*)/m;
	my ($hint) = $err =~ /^HINT:  ([^\n]*)/m;
	return { sqlstate => $state // '', message => $message // $err, detail => $detail // '',
		hint => $hint // '', stderr => $err };
}

# registers a model behind a chain of the stub's modes and returns its name
sub chat_model
{
	my @modes = @_;
	my $name = 'chat-' . ++$models;
	my $url = $stub->url(@modes, 'v1');
	$node->safe_psql('postgres',
		"SELECT memai.create_model('$name', 'chat', 'openai', 'stub', url => '$url')");
	return $name;
}

sub embed_model
{
	my ($dimensions, @modes) = @_;
	my $name = 'embed-' . ++$models;
	my $url = $stub->url(@modes, 'v1');
	$node->safe_psql('postgres',
		"SELECT memai.create_model('$name', 'embed', 'openai', 'stub-$dimensions', url => '$url', dimensions => $dimensions)");
	return $name;
}

# one call through a new model, without retries unless settings say otherwise
sub chat_at
{
	my ($modes, $settings) = @_;
	my $name = chat_model(@$modes);
	return run_sql('SET memai.model_max_retries = 0; ' . ($settings // '')
		  . "; SELECT memai.generate('hi', '$name')");
}

sub embed_at
{
	my ($modes, $settings) = @_;
	my $name = embed_model(4, @$modes);
	return run_sql('SET memai.model_max_retries = 0; ' . ($settings // '')
		  . "; SELECT memai.embed(ARRAY['a', 'bb', 'ccc'], '$name')");
}

sub error_is
{
	my ($result, $sqlstate, $pattern, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $text = join("\n", map { $result->{$_} // '' } qw(sqlstate message detail value));
	return ok(($result->{sqlstate} // '') eq $sqlstate && $text =~ $pattern, $test)
	  || diag("expected $sqlstate and $pattern in:\n$text");
}

sub value_is
{
	my ($result, $value, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($result->{value} // $result->{stderr}, $value, $test);
}

1;
