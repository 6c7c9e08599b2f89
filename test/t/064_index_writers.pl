# 1, 2 and 8 sessions insert, delete, update and search while others vacuum and check: no error, every row in the
# index once, nothing lost, recall kept; and ten generations of replaced rows.  faults.md: IX4, IX5, IX7, IX8, IX14.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Index;

# transactions of all writers together; 100000 is the long form
my $transactions = $ENV{MEMAI_WRITERS_TRANSACTIONS} // 2400;

my $node = PostgreSQL::Test::Cluster->new('writers');
$node->init(extra => ['--no-sync']);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nmax_parallel_workers_per_gather = 0\njit = off\n");
$node->start;
$node->safe_psql('postgres', vectors(32) . <<'SQL');
CREATE FUNCTION recall() RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	q text;
	near integer[];
	exact integer[];
	hits integer := 0;
BEGIN
	FOR i IN 1..60 LOOP
		q := format('SELECT array(SELECT id FROM item ORDER BY v <-> %L LIMIT 10)', vec(-i * 31)::text);
		PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
		EXECUTE q INTO near;
		PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
		EXECUTE q INTO exact;
		hits := hits + (SELECT count(*) FROM unnest(near) n WHERE n = ANY (exact));
	END LOOP;
	RETURN hits / 600.0;
END $$;
CREATE SEQUENCE ids START 100001;
SQL
my $options = 'WITH (flat_size = 200, list_size = 40)';
# by count: rows of the index, distinct ones, rows of the table
my $count = q{SET enable_seqscan = off; SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> vec(1)) x;
	SET enable_indexscan = off; SET enable_seqscan = on; SELECT count(*), count(DISTINCT id) FROM item};

# the proportions are those of a table that lives from inserts and deletes
my %work = (insert => [ 100, q{INSERT INTO item SELECT n, n % 40, vec(n::integer) FROM (SELECT nextval('ids') AS n) s;} ],
	delete => [ 60, "\\set id random(1, 2000)\nDELETE FROM item WHERE id = :id;" ],
	update => [ 30, "\\set id random(1, 2000)\nUPDATE item SET v = vec(id + 1) WHERE id = :id;" ],
	search => [ 10, "\\set id random(1, 100000)\nSELECT id FROM item WHERE u = :id % 40 ORDER BY v <=> vec(:id) LIMIT 10;" ],
	abort => [ 5, q{BEGIN; INSERT INTO item SELECT n, n % 40, vec(n::integer) FROM (SELECT nextval('ids') AS n) s; ROLLBACK;} ]);
my @scripts;
for my $name (sort keys %work)
{
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql";
	append_to_file($file, $work{$name}[1]);
	push @scripts, '-f', "$file\@$work{$name}[0]";
}

for my $writers (1, 2, 8)
{
	$node->safe_psql('postgres', <<"SQL");
DROP TABLE IF EXISTS item;
CREATE TABLE item (id integer PRIMARY KEY, u integer, v vector(32));
CREATE INDEX item_v ON item USING memai (v vector_l2_ops) $options;
CREATE INDEX item_u ON item USING memai (u, v vector_cosine_ops) $options;
INSERT INTO item SELECT n, n % 40, vec(n) FROM generate_series(1, 2000) n;
SQL
	my ($out, $err, $vacuum_out, $vacuum_err) = ('', '', '', '');
	my $each = int($transactions / 3 / $writers);
	my $pgbench = IPC::Run::start([ 'pgbench', '-n', '-c', $writers, '-t', $each, '--random-seed=7', @scripts, $node->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	my ($vacuums, $failed) = (0, 0);
	# one round more after the writers' end
	for (my $more = 1; $more;)
	{
		$pgbench->pump_nb if $pgbench->pumpable;
		$more = $pgbench->pumpable;
		my ($status, undef, $stderr) = $node->psql('postgres', 'VACUUM item');
		$stderr .= in_order($node, 'item_v', 'item_u');
		$vacuums++;
		if ($stderr ne '') { $failed++; diag($stderr) }
	}
	$pgbench->finish;
	unlike($err, qr/ERROR|aborted/, "$writers writers: no error");
	is($failed, 0, "$writers writers: $vacuums vacuums, the indexes in order after each");
	my ($indexed, $all) = split /\n/, $node->safe_psql('postgres', $count);
	is($indexed, $all, "$writers writers: every row is found, once");
	my $recall = $node->safe_psql('postgres', 'SELECT recall()');
	cmp_ok($recall, '>=', 0.95, "$writers writers: recall $recall");
}

# ten generations, each a quarter of the rows
$node->safe_psql('postgres', "TRUNCATE item; INSERT INTO item SELECT n, n % 40, vec(n) FROM generate_series(1, 4000) n");
for my $generation (1 .. 10)
{
	$node->safe_psql('postgres', "DELETE FROM item WHERE id % 4 = $generation % 4");
	$node->safe_psql('postgres', "INSERT INTO item SELECT n, n % 40, vec(n) FROM generate_series($generation * 100000, $generation * 100000 + 3999) n WHERE n % 4 = $generation % 4");
	$node->safe_psql('postgres', 'VACUUM item');
}
my $aged = $node->safe_psql('postgres', 'SELECT recall()');
is(in_order($node, 'item_v', 'item_u'), '', 'ten generations: the indexes are in order');
my ($live, $size) = split /\|/, $node->safe_psql('postgres', q{SELECT live_entries, pg_relation_size('item_v') FROM memai.memai_index_info('item_v')});
$node->safe_psql('postgres', 'REINDEX INDEX item_v');
my ($fresh, $new_size) = split /\|/, $node->safe_psql('postgres', q{SELECT recall(), pg_relation_size('item_v')});
is($live, 4000, 'ten generations: all rows and no others are live');
cmp_ok($aged, '>=', $fresh - 0.01, "ten generations: recall $aged, of a new index $fresh");
cmp_ok($size, '<', 3 * $new_size, "ten generations: $size bytes, of a new index $new_size");
$node->stop;
done_testing();
