# What the tests of the index share: vectors that depend on a number alone, and the check as an SQL statement.
package MemAI::Index;

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(vectors check_of in_order);

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

1;
