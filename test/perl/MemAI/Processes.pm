# Processes of a server that a test kills: who they are, and when they are gone.
# Read from /proc: not every machine has ps.
package MemAI::Processes;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(postmaster_of children_of is_running until_gone kill_backend kill_postmaster kill_server);

sub postmaster_of
{
	my ($node) = @_;
	return (slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/)[0];
}

# state and parent of a process; nothing when there is none
sub state_of
{
	my ($pid) = @_;
	open(my $stat, '<', "/proc/$pid/stat") or return;
	return (<$stat> // '') =~ /\) (\S) (\d+) /;
}

sub children_of
{
	my ($parent) = @_;
	opendir(my $proc, '/proc') or die "/proc: $!";
	return grep { ((state_of($_))[1] // 0) == $parent } grep { /^\d+$/ } readdir $proc;
}

# not gone, and not only waiting for somebody to collect it
sub is_running
{
	my ($pid) = @_;
	return ((state_of($pid))[0] // 'Z') ne 'Z';
}

# the seconds that it took until none of them runs; dies after a minute
sub until_gone
{
	my (@pids) = @_;
	my $start = time;
	while (grep { is_running($_) } @pids)
	{
		die "processes @pids do not end" if time - $start > 60;
		sleep 0.01;
	}
	return time - $start;
}

# kill -9 for a process of a server that restarts after a crash; returns when the
# server knows of it, so that whoever connects afterwards waits for the restart
sub kill_backend
{
	my ($node, $pid) = @_;
	my $log_size = -s $node->logfile;
	kill 'KILL', int $pid;
	$node->wait_for_log(qr/all server processes terminated; reinitializing/, $log_size);
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
	return;
}

# the postmaster, which starts nothing more, and its processes
sub stopped_server
{
	my ($node) = @_;
	my $postmaster = postmaster_of($node);
	kill 'STOP', $postmaster;
	sleep 0.001 while ((state_of($postmaster))[0] // 'T') !~ /[TZ]/;
	return ($postmaster, children_of($postmaster));
}

# When the processes have ended and the postmaster is collected too: until then another
# one takes it for alive.
sub until_startable
{
	my ($node, @pids) = @_;
	until_gone(@pids);
	for (1 .. 6000)
	{
		last unless -e "/proc/$pids[0]";
		sleep 0.01;
	}
	# it knows already that there is no process left
	$node->{_pid} = undef;
	return;
}

# kill -9 for the postmaster; returns when the others have noticed
sub kill_postmaster
{
	my ($node) = @_;
	my @pids = stopped_server($node);
	kill 'KILL', $pids[0];
	until_startable($node, @pids);
	return;
}

# kill -9 for the server and all its processes, and waits until they are gone
sub kill_server
{
	my ($node) = @_;
	my @pids = stopped_server($node);
	kill 'KILL', @pids;
	until_startable($node, @pids);
	return;
}

1;
