package MemAI::Wire;

# A client that speaks just enough of the protocol to send binary parameters of
# any content: the types' binary input is tested through a live server with it.

use strict;
use warnings;
use IO::Socket::UNIX;

# A session with the server of a PostgreSQL::Test::Cluster.
sub connect
{
	my ($class, $node, $database) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or die "cannot connect to $path: $!";
	my $self = bless { socket => $socket }, $class;
	my $user = (getpwuid($>))[0];
	my $startup = pack('N', 196608) . "user\0$user\0database\0$database\0\0";
	$self->send_bytes(pack('N', length($startup) + 4) . $startup);
	my ($state) = $self->answer;
	die "no session: $state" if $state;
	return $self;
}

sub send_bytes
{
	my ($self, $bytes) = @_;
	my $sent = 0;
	while ($sent < length $bytes)
	{
		my $n = syswrite $self->{socket}, $bytes, length($bytes) - $sent, $sent;
		die "cannot send: $!" unless $n;
		$sent += $n;
	}
	return;
}

sub receive_bytes
{
	my ($self, $length) = @_;
	my $bytes = '';
	while (length $bytes < $length)
	{
		my $n = sysread $self->{socket}, $bytes, $length - length $bytes, length $bytes;
		die 'the server is gone' unless $n;
	}
	return $bytes;
}

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', length($body) + 4) . $body;
}

# Reads up to ReadyForQuery: the SQLSTATE of an error or '', then the first
# column of the last row.
sub answer
{
	my ($self) = @_;
	my ($state, $value) = ('', undef);
	while (1)
	{
		my ($type, $length) = unpack 'aN', $self->receive_bytes(5);
		my $body = $self->receive_bytes($length - 4);
		return ($state, $value) if $type eq 'Z';
		($state) = $body =~ /(?:^|\0)C([0-9A-Z]{5})\0/ if $type eq 'E';
		$value = substr($body, 6, unpack('N', substr $body, 2, 4)) if $type eq 'D';
	}
}

# Prepares a statement with one parameter of that type.
sub prepare
{
	my ($self, $sql, $type_oid) = @_;
	$self->send_bytes(message('P', "\0$sql\0" . pack('nN', 1, $type_oid)) . message('S', ''));
	my ($state) = $self->answer;
	die "cannot prepare: $state" if $state;
	return;
}

# Runs the prepared statement once per value, given and returned in binary, all
# in flight at once; returns a list of [SQLSTATE or '', result].
sub execute_all
{
	my ($self, @values) = @_;
	$self->send_bytes(join '', map {
		message('B', "\0\0" . pack('nnnN', 1, 1, 1, length $_) . $_ . pack('nn', 1, 1)) .
			message('E', "\0" . pack('N', 0)) . message('S', '')
	} @values);
	return map { [ $self->answer ] } @values;
}

1;
