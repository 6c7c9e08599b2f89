# What the tests of the index share: vectors that depend on a number alone, and the check as an SQL statement.
package MemAI::Index;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);
our @EXPORT = qw(vectors check_of in_order kill_server);

# the extension, and vec(seed): a vector of so many dimensions, around one of 37 centres
sub vectors
{
	my ($dimensions) = @_;
	return <<"SQL";
CREATE EXTENSION memai;
CREATE FUNCTION vec(seed integer) RETURNS vector LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT array_agg((sin(j * (seed % 37 + 1) * 0.7) + 0.3 * sin(seed * 12.9898 + j * 78.233))::real ORDER BY j)::vector
	FROM generate_series(1, $dimensions) j;
END;
SQL
}

# a statement that checks indexes against their table
sub check_of
{
	return 'SELECT ' . join(', ', map { "memai.memai_index_check('$_', true)" } @_);
}

# '' when the indexes are in order, else what the check says
sub in_order
{
	my ($node, @indexes) = @_;
	my ($status, undef, $error) = $node->psql('postgres', check_of(@indexes));
	return $status == 0 ? '' : $error;
}

# kill -9 for the server and all its processes, and waits until they are gone
sub kill_server
{
	my ($node) = @_;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	# it must have stopped before its processes are listed: one that it starts
	# afterwards would be left, waiting for locks of the dead
	kill 'STOP', $postmaster;
	usleep(1000) until `ps -o stat= -p $postmaster` =~ /^\s*T/;
	my @pids = ($postmaster, split(' ', `ps -o pid= --ppid $postmaster`));
	kill 'KILL', @pids;
	for my $pid (@pids)
	{
		usleep(1000) while kill 0, $pid;
	}
	# it knows already that there is no process left
	$node->{_pid} = undef;
	return;
}

1;
