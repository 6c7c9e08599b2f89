# Starts and stops the stub language-model server, and asks it what it received.
package MemAI::StubLLM;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Time::HiRes qw(sleep);

my @running;

# new(data => directory of test data, certificate => PEM file for TLS)
sub new
{
	my ($class, %option) = @_;
	my $script = File::Spec->rel2abs(dirname(__FILE__) . '/../../stub/stub_llm.py');
	my $pid = open(my $out, '-|', 'python3', $script, $option{data} // '/nonexistent',
		$option{certificate} // ())
	  or die "could not start $script: $!";
	my $line = <$out> // die "$script said nothing";
	my ($port, $silent, $full, $tls) = $line =~ /^(\d+) (\d+) (\d+) (\d+)$/ or die "$script said: $line";
	my $self = bless {
		pid => $pid, out => $out, port => $port, silent_port => $silent, full_port => $full, tls_port => $tls
	}, $class;
	push @running, $self;
	return $self;
}

# base URL for a chain of modes; a reference to a string is base64-encoded
sub url
{
	my ($self, @modes) = @_;
	return join('/', "http://127.0.0.1:$self->{port}",
		map { ref $_ ? encode_base64url($$_) : $_ } @modes);
}

# what /script/<key>/... answers, in turn
sub script
{
	my ($self, $key, @bodies) = @_;
	$self->request('POST', "/_script/$key", encode_json(\@bodies));
	return;
}

sub request
{
	my ($self, $method, $path, $body) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port})
	  or die "stub server is gone: $!";
	$body //= '';
	print $socket "$method $path HTTP/1.0\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
	local $/;
	my $answer = <$socket>;
	$answer =~ s/^.*?\r\n\r\n//s;
	return $answer;
}

# what the server received since the last reset, oldest first
sub requests
{
	my ($self) = @_;
	return @{ decode_json($self->request('GET', '/_requests')) };
}

# sums of the tokens in its complete answers since the last reset: answers, prompt, completion
sub tokens
{
	my ($self) = @_;
	return decode_json($self->request('GET', '/_tokens'));
}

sub reset
{
	my ($self) = @_;
	$self->request('POST', '/_reset');
	return;
}

# turns the outage of a /switch/<key>/, or the wait of a /hold/<key>/, on or off
sub switch
{
	my ($self, $key, $position) = @_;
	$self->request('POST', "/_switch/$key/$position");
	return;
}

# waits until a request whose path matches has come; false after a minute
sub wait_for_request
{
	my ($self, $pattern) = @_;
	for (1 .. 3000)
	{
		return 1 if grep { $_->{path} =~ $pattern } $self->requests;
		select undef, undef, undef, 0.02;
	}
	return 0;
}

# waits until n requests wait at a /gate/<key>/
sub wait_for_gate
{
	my ($self, $key, $n) = @_;
	for (1 .. 3000)
	{
		return if $self->request('GET', "/_waiting/$key") >= $n;
		sleep 0.02;
	}
	die "fewer than $n requests wait at gate $key";
}

# answers what waits there; when it returns, the answers are with the client's system
sub open_gate
{
	my ($self, $key) = @_;
	$self->request('POST', "/_open/$key");
	return;
}

sub stop
{
	my ($self) = @_;
	return unless $self->{pid};
	local $?;
	kill 'TERM', $self->{pid};
	close $self->{out};
	delete $self->{pid};
	return;
}

sub DESTROY { $_[0]->stop }

END
{
	$_ and $_->stop for @running;
}

1;
