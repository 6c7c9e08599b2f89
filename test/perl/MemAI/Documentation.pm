# Runs the SQL examples of a page of documentation in psql, in order, in a
# database of its own, and compares what each prints with the text block that
# follows it.  SET holds for the examples after it.  Ids, times and the like are
# compared by their kind only.
package MemAI::Documentation;

use strict;
use warnings;

use Encode qw(decode);
use Exporter 'import';
use Test::More;

our @EXPORT = qw(page_blocks comparable run_page);

# [language, text, line number] of each fenced block
sub page_blocks
{
	my ($file) = @_;
	my @blocks;
	my ($language, $text, $start);
	open(my $fh, '<:encoding(UTF-8)', $file) or die "$file: $!";
	while (my $line = <$fh>)
	{
		if (defined $language && $line =~ /^```\s*$/)
		{
			push @blocks, [ $language, $text, $start ];
			undef $language;
		}
		elsif (defined $language) { $text .= $line; }
		elsif ($line =~ /^```(\w*)/) { ($language, $text, $start) = ($1, '', $. + 1); }
	}
	close $fh;
	return @blocks;
}

# what may differ from run to run
sub comparable
{
	my ($text) = @_;
	$text =~ s/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g;
	$text =~ s/\b[0-9a-f]{16}\b/MARKER/g;
	$text =~ s/\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?\+00)?/DATE/g;
	$text =~ s/\d+\.\d+ ms/TIME/g;
	$text =~ s/-{3,}/---/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/ ?\n ?/\n/g;
	$text =~ s/^\s+|\s+$//g;
	return $text;
}

# runs one page; rewrite changes its SQL, for instance the addresses of models
sub run_page
{
	my ($node, $file, $rewrite) = @_;
	my ($name) = $file =~ m{([^/]+)$};
	my $database = lc($name =~ s/\W/_/gr);
	my @blocks = page_blocks($file);
	my $settings = '';

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	foreach my $i (0 .. $#blocks)
	{
		my ($language, $sql, $line) = @{ $blocks[$i] };
		next unless $language eq 'sql';
		$sql = $rewrite->($sql);
		my ($status, $out, $err) = $node->psql($database, $settings . $sql, extra_params => [ '--pset=footer=off', '-P', 'tuples_only=off', '-P', 'format=aligned' ]);
		is($status, 0, "$name line $line runs") or diag($err);
		$settings .= join('', map { "$_\n" } $sql =~ /^(SET [^;]*;)/mg);
		if ($i < $#blocks && $blocks[ $i + 1 ][0] eq 'text')
		{
			is(comparable(decode('UTF-8', $out)), comparable($blocks[ $i + 1 ][1]), "$name line $line prints what it shows")
			  or diag("it printed:\n", decode('UTF-8', $out), "end of what it printed");
		}
	}
	return $database;
}

1;
