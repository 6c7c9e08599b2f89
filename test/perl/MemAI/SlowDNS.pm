# Builds test/stub/slow_dns.c, and on request other libraries there, for servers
# started with them in LD_PRELOAD.
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

# builds another one, linked with libraries, and returns its file
sub build
{
	my ($class, $name, @libraries) = @_;
	my $source = File::Spec->rel2abs(dirname(__FILE__) . "/../../stub/$name.c");
	system('cc', '-shared', '-fPIC', '-o', "$directory/$name.so", $source, @libraries, '-ldl') == 0
	  or die "could not build $source";
	return "$directory/$name.so";
}

sub preload { return "$directory/slow_dns.so" }

1;
