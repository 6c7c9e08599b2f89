# Builds test/stub/slow_dns.c and makes servers started from now on load it.
package MemAI::SlowDNS;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use File::Temp qw(tempdir);

my $directory;

sub import
{
	my $source = File::Spec->rel2abs(dirname(__FILE__) . '/../../stub/slow_dns.c');
	$directory = tempdir(CLEANUP => 1);
	system('cc', '-shared', '-fPIC', '-o', "$directory/slow_dns.so", $source, '-ldl') == 0
	  or die "could not build $source";
	return;
}

sub preload { return "$directory/slow_dns.so" }

1;
