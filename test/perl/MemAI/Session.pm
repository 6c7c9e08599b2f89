# A psql session that stays open, with answers read as they arrive: for tests
# that measure how long something takes.
package MemAI::Session;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IPC::Open2;
use Errno;
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(can_accept);

# whether somebody connects in time, whatever signals come meanwhile
sub can_accept
{
	my ($listener, $seconds) = @_;
	my $deadline = time + $seconds;
	while ((my $left = $deadline - time) > 0)
	{
		return 1 if IO::Select->new($listener)->can_read($left);
	}
	return 0;
}

sub new
{
	my ($class, $node) = @_;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $pid = open2(my $out, my $in, 'psql -XAtq -v VERBOSITY=verbose -d postgres 2>&1');
	$in->autoflush(1);
	my $self = bless { pid => $pid, in => $in, out => $out, buffer => '', n => 0 }, $class;
	$self->{backend} = $self->query('SELECT pg_backend_pid()');
	return $self;
}

sub send
{
	my ($self, $sql) = @_;
	$self->{n}++;
	# a query, because psql flushes after one; \echo would wait in its buffer
	print { $self->{in} } "$sql;\nSELECT 'end-of-$self->{n}';\n";
	return;
}

# the output of what was sent last; undef when it does not end in time
sub answer
{
	my ($self, $timeout) = @_;
	my $deadline = time + ($timeout // 120);
	my $select = IO::Select->new($self->{out});
	my $mark = "end-of-$self->{n}\n";
	while (index($self->{buffer}, $mark) < 0)
	{
		my $left = $deadline - time;
		return if $left <= 0;
		# a signal, of a child that ended, is no answer
		next unless $select->can_read($left);
		my $read = sysread($self->{out}, $self->{buffer}, 65536, length $self->{buffer});
		next if !defined $read && $!{EINTR};
		return $self->{buffer} if !$read;		# psql is gone
	}
	my $answer = substr($self->{buffer}, 0, index($self->{buffer}, $mark));
	$self->{buffer} = substr($self->{buffer}, length($answer) + length $mark);
	chomp $answer;
	return $answer;
}

sub query
{
	my ($self, $sql, $timeout) = @_;
	$self->send($sql);
	return $self->answer($timeout);
}

# a statement that may take so many milliseconds; what follows it may take its time
sub query_within
{
	my ($self, $milliseconds, $sql) = @_;
	return $self->query("BEGIN; SET LOCAL statement_timeout = $milliseconds; $sql; ROLLBACK");
}

# waits until the statement that was sent last waits for something, as another session sees it
sub until_waiting
{
	my ($self, $other) = @_;
	for (1 .. 3000)
	{
		return if $other->query("SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $self->{backend}") eq 't';
		sleep 0.02;
	}
	die 'the statement does not wait';
}

# runs the same statements in n sessions at once and waits for all
sub race
{
	my ($class, $node, $n, $statements) = @_;
	my @sessions = map { $class->new($node) } 1 .. $n;
	$_->send($statements) for @sessions;
	my @answers = map { $_->answer // 'no answer' } @sessions;
	$_->close for @sessions;
	return join("\n", @answers);
}

sub close
{
	my ($self) = @_;
	return unless $self->{pid};
	local $?;
	close $self->{in};
	close $self->{out};
	waitpid $self->{pid}, 0;
	delete $self->{pid};
	return;
}

sub DESTROY { $_[0]->close }

1;
