# A thousand answers whose embeddings are shuffled, incomplete or numbered
# wrongly (JS5): every vector that comes back belongs to its text, or the call
# is an error.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use Test::More;

my ($node, $stub) = start_gateway('order');

# element 0 of the stub's vectors is the length of the text; each call has texts
# of other lengths, some of them equal
$node->safe_psql('postgres', q{CREATE FUNCTION order_of(model text, calls integer) RETURNS TABLE (outcome text, n bigint) LANGUAGE plpgsql AS $$
DECLARE texts text[]; right_ones integer; seen text;
BEGIN
	PERFORM setseed(0.5);
	CREATE TEMP TABLE outcomes (outcome text);
	FOR i IN 1 .. calls LOOP
		texts := ARRAY(SELECT repeat('x', 1 + (random() * 40)::int) FROM generate_series(1, 2 + i % 30));
		BEGIN
			SELECT count(*) INTO right_ones FROM unnest(memai.embed(texts, model)) WITH ORDINALITY AS v (v, o)
				WHERE (v.v::real[])[1] = length(texts[o]);
			seen := CASE WHEN right_ones = cardinality(texts) THEN 'right' ELSE 'WRONG' END;
		EXCEPTION WHEN OTHERS THEN seen := sqlstate;
		END;
		INSERT INTO outcomes VALUES (seen);
	END LOOP;
	RETURN QUERY SELECT o.outcome, count(*) FROM outcomes o GROUP BY 1;
	DROP TABLE outcomes;
END $$});

my %kinds = (shuffle => 'right', drop => 'MA010', duplicate => 'MA010', extra => 'MA010', negative => 'MA010');
for my $kind (sort keys %kinds)
{
	for my $also ([], ['shuffle'], ['base64'], [ 'shuffle', 'base64' ])
	{
		my @modes = ($kind, @$also);
		my $model = embed_model(3, @modes);
		is($node->safe_psql('postgres', "SET memai.model_max_retries = 0; SELECT * FROM order_of('$model', 50)"), "$kinds{$kind}|50", "JS5 50 calls: @modes");
	}
}
# without an index the order is all there is; one too few is still seen
my $model = embed_model(3, 'no_index');
is($node->safe_psql('postgres', "SELECT * FROM order_of('$model', 50)"), 'right|50', 'JS5 50 calls without any index');
$model = embed_model(3, 'drop', 'no_index');
is($node->safe_psql('postgres', "SET memai.model_max_retries = 0; SELECT * FROM order_of('$model', 50)"), 'MA010|50', 'JS5 50 calls without any index and one vector short');

$node->stop;
$stub->stop;
done_testing();
