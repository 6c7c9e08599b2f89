# Jobs on a standby, after its promotion, and on a logical subscriber.  Rows
# BW10, RE7, RE8 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Jobs;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = "shared_preload_libraries = 'memai'\nmemai.worker_naptime = '100ms'\n";
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->append_conf('postgresql.conf', "$conf\nmemai.workers = 0\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION memai');
prepare_memories($primary, 20, 2);

# ---- a standby does nothing, and says so ----
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "memai.workers = 1\n");
$standby->start;
submit_jobs($primary, 20);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', q{SELECT status, count(*) FROM memai.job GROUP BY status}), 'waiting|20', 'jobs reach the standby');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'memai%'}), 0, 'no worker runs there');
for my $call ('SELECT memai.start_worker()', q{SELECT memai.submit_job('embed', user_id => 'u')}, q{SELECT count(*) FROM memai.claim('{embed}')})
{
	my ($result, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$call");
	like($err, qr/ERROR:  25006/, "$call is refused on a standby (RE8)");
}

# ---- a subscriber gets the jobs and leaves them alone ----
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', $conf);
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE EXTENSION memai; CREATE ROLE app LOGIN IN ROLE memai_user');
ok(wait_until($subscriber, 'SELECT count(*) FROM memai.worker_status', 1, 20), 'a worker runs on the subscriber');
$primary->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE memai.episode, memai.memory, memai.job');
$subscriber->safe_psql('postgres', q{CREATE SUBSCRIPTION s CONNECTION '} . $primary->connstr . q{ dbname=postgres' PUBLICATION p});
$subscriber->wait_for_subscription_sync($primary, 's');
submit_jobs($primary, 10);
$primary->wait_for_catchup('s');
sleep 1;
is($subscriber->safe_psql('postgres', q{SELECT status, count(*), min(run_after) FROM memai.job GROUP BY status}),
	'waiting|30|infinity', 'its worker leaves them alone (RE7)');
is($subscriber->safe_psql('postgres', 'SELECT memai.submit_job(\'embed\', user_id => \'u\') IS NOT NULL'), 't', 'a job of its own is submitted');
ok(wait_until($subscriber, q{SELECT status FROM memai.job WHERE tenant <> 'app'}, 'done', 10), 'and done');

# ---- failover to the standby ----
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
$standby->promote;
ok(wait_until($standby, q{SELECT status, count(*) FROM memai.job GROUP BY status}, 'done|30', 30), 'the promoted standby does the jobs');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM memai.embedding'), 40, 'and has the vectors');

# ---- failover to the subscriber ----
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s');
is($subscriber->safe_psql('postgres', 'SET ROLE app; SELECT memai.retry_jobs()'), 30, 'retry_jobs releases what was held back');
ok(wait_until($subscriber, q{SELECT status, count(*) FROM memai.job WHERE tenant = 'app' GROUP BY status}, 'done|30', 30), 'and the worker does it');

done_testing();
