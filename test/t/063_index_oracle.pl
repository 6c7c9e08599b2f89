# The same queries with and without the index: with all lists read and wide bounds the distances are the same; at
# the default settings every row exists, once, belongs to the tenant and passes the filter, and none is missing
# that LIMIT has room for.  After a build, among dead and updated rows, and after vacuum.  faults.md: IX2, IX3, IX14.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Index;

# 10000 is the long form
my $queries = $ENV{MEMAI_ORACLE_QUERIES} // 600;

my $node = PostgreSQL::Test::Cluster->new('oracle');
$node->init(extra => ['--no-sync']);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nmax_parallel_workers_per_gather = 0\njit = off\n");
$node->start;
$node->safe_psql('postgres', vectors(24) . <<'SQL');
CREATE FUNCTION oracle(n integer, start integer, col text, op text, keyed boolean) RETURNS TABLE (differ bigint, wrong bigint, unused bigint)
LANGUAGE plpgsql AS $$
DECLARE
	filters text[] := ARRAY['', 'kind = 3', 'id > 2400', 'id % 3 = 1 AND kind < 5', 'id = 77'];
	conditions text;
	q text;
	plan text;
	indexed double precision[];
	again double precision[];
	ids integer[];
	allowed integer[];
	most integer;
BEGIN
	differ := 0; wrong := 0; unused := 0;
	FOR i IN start..start + n - 1 LOOP
		most := 1 + i % 23;
		conditions := concat_ws(' AND ', nullif(filters[1 + i % 5], ''), CASE WHEN keyed THEN format('u = %s', i * 7 % 31) END);
		q := format('FROM item %s ORDER BY %I %s %L', CASE conditions WHEN '' THEN '' ELSE 'WHERE ' || conditions END,
			col, op, vec(-i)::text);
		-- without the index: all rows that may come, and the distances of the nearest
		PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true),
			set_config('enable_sort', 'on', true);
		EXECUTE format('SELECT array_agg(id) FROM item %s', CASE conditions WHEN '' THEN '' ELSE 'WHERE ' || conditions END) INTO allowed;
		EXECUTE format('SELECT array_agg(d) FROM (SELECT %I %s %L AS d %s LIMIT %s) x', col, op, vec(-i)::text, q, most) INTO again;
		PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true),
			set_config('enable_sort', 'off', true);
		EXECUTE format('SELECT array_agg(id) FROM (SELECT id %s LIMIT %s) x', q, most) INTO ids;
		wrong := wrong + (cardinality(ids) IS DISTINCT FROM nullif(least(most, coalesce(cardinality(allowed), 0)), 0)
			OR EXISTS (SELECT FROM unnest(ids) a GROUP BY a HAVING count(*) > 1) OR NOT coalesce(ids <@ allowed, ids IS NULL))::integer;
		PERFORM set_config('memai.probes', '1000000', true), set_config('memai.epsilon', '6', true);
		EXECUTE format('SELECT array_agg(d) FROM (SELECT %I %s %L AS d %s LIMIT %s) x', col, op, vec(-i)::text, q, most) INTO indexed;
		differ := differ + (indexed IS DISTINCT FROM again)::integer;
		PERFORM set_config('memai.probes', '0', true), set_config('memai.epsilon', '1.9', true);
		IF i = start THEN
			EXECUTE format('EXPLAIN (COSTS OFF, FORMAT JSON) SELECT id %s LIMIT %s', q, most) INTO plan;
			unused := (plan NOT LIKE '%"Index Name": "i"%')::integer;
		END IF;
	END LOOP;
	RETURN NEXT;
END $$;
CREATE TABLE source AS SELECT n AS id, n * 7 % 31 AS u, n % 10 AS kind, vec(n) AS v, vec(n)::halfvec AS h FROM generate_series(1, 3000) n;
SQL

my @classes = ([ 'v', 'vector_cosine_ops', '<=>' ], [ 'v', 'vector_l2_ops', '<->' ], [ 'v', 'vector_ip_ops', '<#>' ],
	[ 'h', 'halfvec_cosine_ops', '<=>' ], [ 'h', 'halfvec_l2_ops', '<->' ], [ 'h', 'halfvec_ip_ops', '<#>' ]);
my $states = 3;
my $each = int($queries / (2 * @classes * $states)) + 1;
my $asked = 0;
for my $keyed (0, 1)
{
	for my $n (0 .. $#classes)
	{
		my ($column, $class, $operator) = @{ $classes[$n] };
		my $bits = (8, 4, 0)[ ($n + $keyed) % 3 ];
		my $key = $keyed ? 'u, ' : '';
		my $found = '';
		my $ask = sub {
			$found .= $node->safe_psql('postgres',
				"SELECT * FROM oracle($each, $asked, '$column', '$operator', '$keyed')") . ' ';
			$asked += $each;
		};
		$node->safe_psql('postgres', <<"SQL");
CREATE TABLE item AS SELECT * FROM source;
CREATE INDEX i ON item USING memai ($key$column $class) WITH (flat_size = 300, list_size = 40, refine_bits = $bits);
SQL
		$ask->();
		$node->safe_psql('postgres', <<'SQL');
DELETE FROM item WHERE id % 7 = 0;
UPDATE item SET u = (u + 1) % 31 WHERE id % 11 = 0;
UPDATE item SET v = vec(id + 5000), h = vec(id + 5000)::halfvec WHERE id % 13 = 0;
BEGIN;
INSERT INTO item SELECT id + 3000, u, kind, v, h FROM source WHERE id <= 1000;
ROLLBACK;
INSERT INTO item SELECT id + 6000, u, kind, v, h FROM source WHERE id <= 700;
SQL
		$ask->();
		$node->safe_psql('postgres', 'VACUUM item');
		$node->safe_psql('postgres', <<'SQL');
INSERT INTO item SELECT id + 9000, 5, kind, v, h FROM source WHERE id <= 900;
DELETE FROM item WHERE id % 5 = 0;
SQL
		$ask->();
		is($found . in_order($node, 'i'), '0|0|0 ' x $states,
			($keyed ? 'one tenant, ' : '') . "$class, refine_bits $bits: built, with dead rows, after vacuum");
		$node->safe_psql('postgres', 'DROP TABLE item');
	}
}
cmp_ok($asked, '>=', $queries, "$asked queries");
$node->stop;
done_testing();
