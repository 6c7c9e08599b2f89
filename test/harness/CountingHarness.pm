package CountingHarness;

# prove's own harness that also writes "passed failed skipped" and the names of the
# programs that failed to the file $MEMAI_COUNTS.  A program that dies without a
# failed test counts as one failure.

use strict;
use warnings;
use parent 'TAP::Harness';

sub summary
{
	my ($self, $aggregate, @rest) = @_;
	$self->SUPER::summary($aggregate, @rest);

	my ($failed, @programs) = (0);
	for my $name ($aggregate->descriptions)
	{
		my ($parser) = $aggregate->parsers($name);
		next unless $parser->has_problems;
		$failed += $parser->failed || 1;
		push @programs, $name;
	}
	my $skipped = $aggregate->skipped + grep { defined $_->skip_all } $aggregate->parsers;
	my $passed = $aggregate->passed - $aggregate->skipped;

	open(my $counts, '>', $ENV{MEMAI_COUNTS}) or die "$ENV{MEMAI_COUNTS}: $!";
	print $counts "$passed $failed $skipped\n", map { "$_\n" } @programs;
	close($counts);
	return;
}

1;
