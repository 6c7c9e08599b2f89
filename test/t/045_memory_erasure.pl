# forget_user and compact leave no byte of a user in the files of relations, and
# nobody else's rows change (AU16).
use strict;
use warnings FATAL => 'all';
use File::Find;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('erasure');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION memai');

# 200 canaries in every place that holds text; compressed and out of line too
$node->safe_psql('postgres', q{
	SELECT count(memai.remember('Canary' || i || 'x is a fact about boats', 'gone', slot => CASE WHEN i % 2 = 0 THEN 'Canary slot ' || i % 20 END,
		metadata => jsonb_build_object('k', 'Canary' || i || 'x'))) FROM generate_series(1, 100) i;
	SELECT count(*) FROM memai.remember_messages((SELECT jsonb_agg(jsonb_build_object('name', 'Canary' || i || 'x',
		'content', repeat('Canary' || i || 'x ', 1 + i % 3 * 400))) FROM generate_series(101, 180) i), 'gone');
	SELECT count(memai.remember_triplet('Canary' || i || 'x', 'knows', 'Bo', user_id => 'gone')) FROM generate_series(181, 190) i;
	SELECT count(memai.set_block('b' || i, 'Canary' || i || 'x', 'gone', description => 'Canary' || i || 'x')) FROM generate_series(191, 200) i;
	SELECT memai.create_thread('gone', title => 'Canary1x', system_prompt => 'Canary2x');
	SELECT count(memai.supersede(id, content || ' no more', 'gone', reason => 'Canary3x')) FROM memai.memory WHERE slot IS NULL AND user_id = 'gone' AND content LIKE 'Canary1_x%';
	SELECT count(memai.remember('fact ' || i, 'stays')) FROM generate_series(1, 50) i;
	SELECT count(*) FROM memai.remember_messages('[{"content": "stays"}]', 'stays');
	VACUUM ANALYZE;
});

sub files_with_canaries
{
	$node->safe_psql('postgres', 'CHECKPOINT');
	my @found;
	find(sub {
		return unless -f $_;
		push @found, $File::Find::name if slurp_file($_) =~ /Canary\d+x/;
	}, $node->data_dir . '/base', $node->data_dir . '/global');
	return @found;
}

my $others = q{SELECT md5(string_agg(t, '|' ORDER BY t)) FROM (SELECT m::text FROM memai.memory m WHERE user_id = 'stays'
	UNION ALL SELECT e::text FROM memai.episode e WHERE user_id = 'stays' UNION ALL SELECT v::text FROM memai.embedding v WHERE user_id = 'stays') x (t)};
my $before = $node->safe_psql('postgres', $others);
cmp_ok(scalar(files_with_canaries()), '>', 3, 'the canaries are in several files');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_statistic s WHERE s.stavalues1::text LIKE '%Canary%' OR s.stavalues2::text LIKE '%Canary%'
	OR s.stavalues3::text LIKE '%Canary%'}), 0, 'none in the statistics of the planner');

$node->safe_psql('postgres', q{SELECT * FROM memai.forget_user('gone', confirm => true, reason => 'request 7')});
is($node->safe_psql('postgres', q{SELECT count(*) FROM memai.memory WHERE user_id = 'gone'}), 0, 'no row at commit');
is($node->safe_psql('postgres', q{SELECT count(*) FROM memai.recall('Canary1x', 'gone')}), 0, 'nothing is recalled');
cmp_ok($node->safe_psql('postgres', 'SELECT memai.compact()'), '>', 8, 'the tables are rewritten');
is(join(' ', files_with_canaries()), '', 'no byte of 200 canaries in any file of a relation');
is($node->safe_psql('postgres', $others), $before, 'the rows of others are as they were');
is($node->safe_psql('postgres', q{SELECT user_id, removed ->> 'memory', reason FROM memai.erasure}), 'gone|115|request 7', 'the certificate');
is($node->safe_psql('postgres', q{SELECT count(*) FROM memai.recall('fact 7', 'stays', k => 100)}), 51, 'recall works on the rewritten tables');

$node->stop;
done_testing();
