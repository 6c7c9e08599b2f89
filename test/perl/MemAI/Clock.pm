# For tests of what is counted by the day: a day does not end in them.
package MemAI::Clock;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(within_one_day);

# waits for midnight UTC when it is no farther away than so many seconds
sub within_one_day
{
	my ($seconds) = @_;
	my $left = 86400 - time % 86400;
	sleep $left + 1 if $left <= $seconds;
	return;
}

1;
