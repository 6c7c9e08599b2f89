# AU3: neither the number of rows, nor what EXPLAIN tells, nor the time that a
# recall takes says how many rows of other tenants lie near the question.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('timing');
$node->init;
$node->start;

# two points of the same length: many foreign vectors round the first, none round the second
$node->safe_psql('postgres', q{
	CREATE EXTENSION memai;
	SELECT memai.create_model('wide/16', 'embed', 'openai', 'm', url => 'http://127.0.0.1:9/v1', dimensions => 16);
	CREATE ROLE own LOGIN IN ROLE memai_user;
	GRANT CREATE ON SCHEMA public TO own;
	SELECT memai.grant_model('wide/16', 'own');
	CREATE FUNCTION point(dense boolean, noise integer) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(CASE WHEN (d <= 8) = dense THEN 1 ELSE 0 END + (hashint8extended(noise * 64 + d, 2) % 1000) / 4000.0)::real[]::vector FROM generate_series(1, 16) d $$;
	CREATE TEMP TABLE terms AS SELECT memai._terms('item') AS item;
	INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, terms)
	SELECT t, u, 'default', memai.scope_hash(t, u, 'default'), 'item ' || n, item
	FROM terms, (SELECT 'own' AS t, 'small' AS u, n FROM generate_series(1, 40) n UNION ALL SELECT 'own', 'large', n FROM generate_series(1, 3000) n
		UNION ALL SELECT 'other', 'user ' || n % 100, n FROM generate_series(1, 10000) n) s;
	INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, memory_id, embedding)
	SELECT tenant, user_id, namespace, scope, 'wide/16', id, CASE WHEN tenant = 'own' THEN point(n % 2 = 0, n::integer) ELSE point(true, n::integer) END
	FROM (SELECT *, row_number() OVER () AS n FROM memai.memory) m;
	SELECT memai.create_vector_index('wide/16');
	VACUUM ANALYZE memai.memory;
	VACUUM ANALYZE memai.embedding});

# the largest distance between the distributions of the times near many foreign rows and near none, asked in turns
sub distance
{
	my ($user, $each) = @_;
	return $node->safe_psql('postgres', qq{
		SET ROLE own;
		CREATE TEMP TABLE timing (dense boolean, milliseconds double precision, rows bigint);
		DO \$\$ DECLARE start timestamptz; rows bigint; dense boolean;
		BEGIN
			FOR i IN 1 .. 2 * $each + 20 LOOP
				dense := (i % 4) IN (1, 2);
				start := clock_timestamp();
				SELECT count(*) INTO rows FROM memai.recall_vector(point(dense, 7), '$user', model => 'wide/16');
				IF i > 20 THEN
					INSERT INTO timing VALUES (dense, 1000 * extract(epoch FROM clock_timestamp() - start), rows);
				END IF;
			END LOOP;
		END \$\$;
		SELECT round(max(abs(a - b))::numeric, 3) || '|' || min(n) FROM (SELECT
			sum(dense::integer) OVER (ORDER BY milliseconds) / $each.0 AS a, sum((NOT dense)::integer) OVER (ORDER BY milliseconds) / $each.0 AS b, rows AS n FROM timing) t});
}

# Kolmogorov and Smirnov: two samples of one distribution are farther apart than this once in 100,000 times
for my $case ([ 'small', 1000 ], [ 'large', 100 ])
{
	my ($user, $each) = @$case;
	my ($distance, $rows) = split /\|/, distance($user, $each);
	my $limit = 2.47 * sqrt(2 / $each);
	is($rows, 10, "$user scope: always k rows");
	cmp_ok($distance, '<', $limit, sprintf("%s scope: the times of %d questions tell nothing (%.3f, limit %.3f)", $user, 2 * $each, $distance, $limit));
}

# of the rows of others, EXPLAIN ANALYZE tells no number
for my $dense ('true', 'false')
{
	for my $user ('small', 'large')
	{
		my $plan = $node->safe_psql('postgres', qq{SET ROLE own; EXPLAIN (ANALYZE, TIMING off, SUMMARY off)
			SELECT * FROM memai._nearest(memai.scope_hash('own', '$user', 'default'), 'wide/16', point($dense, 7), 300)});
		unlike($plan, qr/Rows Removed/, "no row of others is read (near many: $dense, $user scope)");
	}
}
is($node->safe_psql('postgres', q{SET ROLE own; SELECT count(*) FROM memai._nearest(memai.scope_hash('other', 'user 1', 'default'), 'wide/16', point(true, 7), 300)}), 0,
	'another tenant\'s scope is empty');
$node->stop;
done_testing();
