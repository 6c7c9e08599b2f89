# Recall at the default settings where vectors are not like embeddings: uniform noise, clusters in the order of the table,
# duplicates, axes, and one direction with noise; after a build and after inserts alone. A row counts as found when its
# distance is not above the tenth of the exact answer, for many are equally near. What an insert touches, and what
# the planner makes of numbers of rows.  faults.md: IX1, IX15, IX19.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $ENV{MEMAI_SHAPES_ROWS} // 6000;
my $node = PostgreSQL::Test::Cluster->new('shapes');
$node->init(extra => ['--no-sync']);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nmax_parallel_workers_per_gather = 0\njit = off\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION memai;
CREATE FUNCTION noise(a integer, b integer) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(a::bigint * 1000003 + b, 1) & 65535) / 32768.0 - 1;
-- row n of a table; a query has the same n as one row and noise of its own
CREATE FUNCTION shape(name text, n integer, own integer) RETURNS vector LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT array_agg((CASE name
		WHEN 'uniform' THEN noise(own, j)
		WHEN 'sorted clusters' THEN noise(n / 200, j) + 0.2 * noise(own, j)
		WHEN 'duplicates' THEN noise(n % 300, j)
		WHEN 'axes' THEN (j = n % 32)::integer + 0.0
		ELSE 5 + 0.01 * noise(own, j) END)::real ORDER BY j)::vector
	FROM generate_series(0, 31) j;
END;
CREATE FUNCTION recall(name text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	q text;
	near double precision[];
	exact double precision[];
	hits integer := 0;
BEGIN
	FOR i IN 1..50 LOOP
		q := format('SELECT array(SELECT v <-> %1$L FROM item ORDER BY v <-> %1$L LIMIT 10)', shape(name, i * 97, -i)::text);
		PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
		EXECUTE q INTO near;
		PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
		EXECUTE q INTO exact;
		hits := hits + (SELECT count(*) FROM unnest(near) d WHERE d <= exact[10]);
	END LOOP;
	RETURN hits / 500.0;
END $$;
SQL
for my $shape ('uniform', 'sorted clusters', 'duplicates', 'axes', 'one direction')
{
	$node->safe_psql('postgres', <<"SQL");
DROP TABLE IF EXISTS item, source;
CREATE TABLE source AS SELECT n AS id, shape('$shape', n, n) AS v FROM generate_series(1, $rows) n;
CREATE TABLE item AS SELECT * FROM source;
CREATE INDEX i ON item USING memai (v vector_l2_ops) WITH (flat_size = 500, list_size = 60);
SQL
	my $built = $node->safe_psql('postgres', "SELECT recall('$shape')");
	cmp_ok($built, '>=', 0.95, "$shape: recall $built after a build");
	$node->safe_psql('postgres', 'TRUNCATE item; INSERT INTO item SELECT * FROM source');
	my $inserted = $node->safe_psql('postgres', "SELECT recall('$shape')");
	cmp_ok($inserted, '>=', 0.95, "$shape: recall $inserted after inserts alone");
	$node->safe_psql('postgres', 'VACUUM item');
	my $vacuumed = $node->safe_psql('postgres', "SELECT recall('$shape')");
	cmp_ok($vacuumed, '>=', 0.95, "$shape: recall $vacuumed after inserts and vacuum");
	is($node->safe_psql('postgres', q{SELECT memai.memai_index_check('i', true)}), '', "$shape: the index is in order");
}

# ---- pages that one insert touches do not grow with what vacuum freed ----
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 > 0');
$node->safe_psql('postgres', 'VACUUM item');
$node->safe_psql('postgres', 'VACUUM item');
my $pages = $node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION touched(i integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) INSERT INTO item SELECT %s, v FROM source WHERE id = 1', i) INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END $$;
CREATE UNIQUE INDEX ON source (id);
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY touched(n)) FROM generate_series(100001, 100101) n;
SQL
cmp_ok($pages, '<', 60, "half of the inserts touch no more than $pages pages");

# ---- the planner: numbers are finite and grow with the table, and the plan follows them ----
my @costs;
for my $tuples (0, 1, 1e3, 1e6, 1e9, 1e15)
{
	my $plan = $node->safe_psql('postgres', "UPDATE pg_class SET reltuples = $tuples, relpages = greatest(1, $tuples / 50)::bigint % 2000000000 WHERE relname IN ('item', 'i'); "
		. 'SET enable_seqscan = off; EXPLAIN SELECT id FROM item ORDER BY v <-> (SELECT v FROM source WHERE id = 1) LIMIT 10');
	my ($cost) = $plan =~ /Index Scan using i .*cost=[0-9.]+\.\.([0-9.]+)/;
	push @costs, $cost // 'none';
}
is(scalar(grep { /^[0-9.]+$/ && $_ > 0 } @costs), 6, "costs are finite: @costs");
is(join(' ', sort { $a <=> $b } @costs), join(' ', @costs), 'and grow with the table');
$node->safe_psql('postgres', 'VACUUM ANALYZE item');
like($node->safe_psql('postgres', 'EXPLAIN SELECT id FROM item ORDER BY v <-> (SELECT v FROM source WHERE id = 1) LIMIT 1'),
	qr/Index Scan using i /, 'one row of many: the index');
unlike($node->safe_psql('postgres', 'EXPLAIN SELECT id FROM item ORDER BY v <-> (SELECT v FROM source WHERE id = 1)'),
	qr/Index Scan using i /, 'all rows: not the index');
$node->stop;
done_testing();
