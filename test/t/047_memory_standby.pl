# Reading memory works on a standby: recall, explain_recall, context, history and
# the rest write nothing.  Whatever was superseded or forgotten is never a result.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
# 100 slots, each written ten times in a random order of time; a third of the last values forgotten softly
$primary->safe_psql('postgres', q{CREATE EXTENSION memai;
	SELECT setseed(0.5);
	SELECT count(memai.remember('slot ' || s || ' has value ' || s || 'v' || t, 'ann', slot => 'slot ' || s,
		valid_at => timestamptz '2020-01-01Z' + t * interval '1 day'))
	FROM (SELECT s, t FROM generate_series(1, 100) s, generate_series(1, 10) t ORDER BY random()) x;
	SELECT count(memai.forget(id, 'ann', mode => 'soft')) FROM memai.memory WHERE invalid_at IS NULL AND hashtext(slot) % 3 = 0;
	SELECT memai.remember_messages('[{"content": "We talked about slots"}]', 'ann')});
my $wrong = q{SELECT count(*) FROM memai.recall('slot has value', 'ann', k => 1000) r
	JOIN memai.memory m ON m.id = r.id WHERE m.invalid_at IS NOT NULL OR m.expired_at IS NOT NULL};
is($primary->safe_psql('postgres', $wrong), 0, 'no result has ended');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM (SELECT slot FROM memai.memory
	WHERE invalid_at IS NULL AND expired_at IS NULL GROUP BY slot HAVING count(*) > 1) x}), 0, 'a slot has one live value');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM memai.memory WHERE expired_at IS NULL AND invalid_at IS NULL AND content NOT LIKE '%v10'}), 0,
	'it is the one that is true last, whatever the order of arrival');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 10) t,
	memai.recall('slot has value', 'ann', k => 1000, as_of => timestamptz '2020-01-01Z' + t * interval '1 day', layer => 'memory') r
	WHERE r.content NOT LIKE '%v' || t}), 0, 'at each time the value of that time');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 9) t,
	memai.recall('slot has value', 'ann', k => 1000, as_of => timestamptz '2020-01-01Z' + t * interval '1 day', layer => 'memory')}), 900, 'of every slot');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 40) k
	WHERE k <> (SELECT count(*) FROM memai.recall('slot 7', 'ann', k => k))}), 0, 'always k rows when there are as many');

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my $read = q{SELECT md5(string_agg(r::text, '|')) FROM memai.recall('value of slot 7', 'ann', k => 20) r};
is($standby->safe_psql('postgres', $read), $primary->safe_psql('postgres', $read), 'recall is the same on a standby');
for my $query (q{memai.explain_recall('slot 7', 'ann')}, q{memai.context('slot 7', 'ann')}, q{memai.profile('ann')}, q{memai.stats('ann')},
	q{memai.recall_vector(memai.embed('slot 7'), 'ann')}, q{memai.review('ann')}, q{memai.timeline('ann')}, q{memai.export_user('ann')}, q{memai.memory_status()})
{
	my ($code) = $standby->psql('postgres', "SELECT count(*) FROM $query");
	is($code, 0, "$query on a standby");
}
my ($code, $stdout, $stderr) = $standby->psql('postgres', q{SELECT memai.remember('x', 'ann')});
like($stderr, qr/read-only transaction/, 'writing is refused there');

$standby->stop;
$primary->stop;
done_testing();
