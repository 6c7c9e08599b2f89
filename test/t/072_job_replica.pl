# Jobs, documents, vectorizers and watches on a standby, after its promotion, and on
# a logical subscriber.  Rows BW10, RE7, RE8 of the catalogue of faults.
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
# two tables with vectors, one of which is watched too, and documents: one is there, one waits
my $ingestion = q{SELECT (SELECT string_agg(title || ' ' || status, ', ' ORDER BY title) FROM memai.chunk_status),
	(SELECT string_agg(name || ' ' || pending, ', ' ORDER BY name) FROM memai.vectorizer_status)};
$primary->safe_psql('postgres', q{
	CREATE TABLE item (id integer PRIMARY KEY, x text);
	CREATE TABLE page (id integer PRIMARY KEY, x text);
	GRANT CREATE ON SCHEMA public TO app;
	ALTER TABLE item OWNER TO app; ALTER TABLE page OWNER TO app;
	SET ROLE app;
	SELECT memai.create_vectorizer('item', '{x}');
	SELECT memai.create_vectorizer('page', '{x}', chunking => '{"size": 16, "overlap": 0, "unit": "characters"}');
	INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 10) i;
	SELECT memai.watch('item', 'there is {x}', user_id => 'shop');
	SELECT memai.add_document('The canteen opens at noon.', title => 'canteen', user_id => 'reader', background => false);
	CALL memai.run_jobs();
	SELECT memai.pause_vectorizer('item');
	UPDATE item SET x = 'new ' || x WHERE id > 5;
	SELECT memai.resume_vectorizer('item');
	INSERT INTO page SELECT i, repeat('Page ' || i || ' says this. ', 5) FROM generate_series(1, 3) i;
	SELECT memai.add_document('The garage opens at dawn.', title => 'garage', user_id => 'reader', background => true)});

# ---- a standby does nothing, and says so ----
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "memai.workers = 1\n");
$standby->start;
submit_jobs($primary, 20);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', q{SELECT status, count(*) FROM memai.job WHERE kind = 'embed' AND user_id LIKE 'user %' GROUP BY status}), 'waiting|20',
	'jobs reach the standby');
is($standby->safe_psql('postgres', "SET ROLE app; $ingestion"), 'canteen ready, garage waiting|item 5, page 3', 'and what documents and vectorizers wait for');
is($standby->safe_psql('postgres', q{SET ROLE app; SELECT content FROM memai.recall('canteen', user_id => 'reader', k => 1);
	SELECT id FROM item ORDER BY embedding <=> memai.embed('item 3') LIMIT 1}), "The canteen opens at noon.\n3", 'what they made is found there (RE8)');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'memai%'}), 0, 'no worker runs there');
for my $call ('SELECT memai.start_worker()', q{SELECT memai.submit_job('embed', user_id => 'u')}, q{SELECT count(*) FROM memai.claim('{embed}')},
	'CALL memai.run_jobs()', q{SELECT memai.add_document('another', user_id => 'reader')}, q{SELECT memai.drop_document(document_id, user_id => 'reader') FROM memai.chunk_status},
	q{SELECT memai.create_vectorizer('item', '{x}', name => 'second', destination => 'second')}, q{SELECT memai.alter_vectorizer('item', template => '{id}')},
	q{SELECT memai.pause_vectorizer('item')}, q{SELECT memai.refresh_vectorizer('item')}, q{SELECT memai.retry_vectorizer('item')}, q{SELECT memai.drop_vectorizer('item')},
	q{SELECT memai.watch('page', '{x}', user_id => 'shop')}, q{SELECT memai.unwatch('item', true)},
	q{SELECT memai.schedule_insight('i', '@daily', 'SELECT 1', user_id => 'u')})
{
	my ($result, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$call");
	like($err, qr/ERROR:  25006/, "$call is refused on a standby (RE8)");
}

# ---- a subscriber gets the jobs and leaves them alone ----
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', $conf);
$subscriber->start;
$subscriber->safe_psql('postgres', q{CREATE EXTENSION memai; CREATE ROLE app LOGIN IN ROLE memai_user;
	CREATE TABLE item (id integer PRIMARY KEY, x text); ALTER TABLE item OWNER TO app; GRANT CREATE ON SCHEMA public TO app;
	SET ROLE app; SELECT memai.create_vectorizer('item', '{x}'); SELECT memai.watch('item', 'there is {x}', user_id => 'shop')});
ok(wait_until($subscriber, 'SELECT count(*) FROM memai.worker_status', 1, 20), 'a worker runs on the subscriber');
$primary->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE memai.episode, memai.memory, memai.job, memai.document, memai.document_chunk, item');
$subscriber->safe_psql('postgres', q{CREATE SUBSCRIPTION s CONNECTION '} . $primary->connstr . q{ dbname=postgres' PUBLICATION p});
$subscriber->wait_for_subscription_sync($primary, 's');
submit_jobs($primary, 10);
$primary->safe_psql('postgres', q{SET ROLE app; INSERT INTO item VALUES (11, 'item 11'); DELETE FROM item WHERE id = 1; UPDATE item SET x = 'later ' || x WHERE id = 2});
$primary->wait_for_catchup('s');
sleep 1;
my $embed_jobs = q{FROM memai.job WHERE kind = 'embed' AND user_id LIKE 'user %'};
is($subscriber->safe_psql('postgres', "SELECT status, count(*), min(run_after) $embed_jobs GROUP BY status"),
	'waiting|30|infinity', 'its worker leaves them alone (RE7)');
is($subscriber->safe_psql('postgres', q{SELECT kind, count(*) > 0, min(run_after) FROM memai.job WHERE finished_at IS NULL AND kind <> 'embed' GROUP BY kind ORDER BY kind}),
	"ingest|t|infinity\nvectorize|t|infinity", 'those of documents and vectorizers too (RE7)');
is($subscriber->safe_psql('postgres', q{SELECT (SELECT count(*) FROM item), (SELECT pending FROM memai.vectorizer_status),
	(SELECT count(*) FROM memai._watched_row)}), '10|0|0', 'and no trigger of its own vectorizer and watch has fired (RE7)');
is($subscriber->safe_psql('postgres', 'SELECT memai.submit_job(\'embed\', user_id => \'u\') IS NOT NULL'), 't', 'a job of its own is submitted');
ok(wait_until($subscriber, q{SELECT status FROM memai.job WHERE tenant <> 'app'}, 'done', 10), 'and done');

# ---- failover to the standby ----
my $unfinished = 'SELECT count(*) FROM memai.job WHERE finished_at IS NULL';
my $vectors = q{SELECT (SELECT count(*) FROM item WHERE embedding IS DISTINCT FROM memai.embed(x)),
	(SELECT count(*) FROM page CROSS JOIN LATERAL memai.chunk(x, 16, 0, 'characters') k FULL JOIN page_chunk c ON c.id = page.id AND c.chunk = k.seq
		WHERE c.content IS DISTINCT FROM k.chunk OR c.embedding IS DISTINCT FROM memai.embed(k.chunk))};
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
$standby->promote;
ok(wait_until($standby, "SELECT status, count(*) $embed_jobs GROUP BY status", 'done|30', 30), 'the promoted standby does the jobs');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM memai.embedding WHERE memory_id IS NOT NULL'), 40, 'and has the vectors');
ok(wait_until($standby, $unfinished, 0, 30), 'its worker goes on with documents and vectorizers');
is($standby->safe_psql('postgres', "SET ROLE app; $ingestion; $vectors"), "canteen ready, garage ready|item 0, page 0\n0|0", 'to the end (BW10)');
$standby->safe_psql('postgres', q{SET ROLE app; UPDATE item SET x = 'after ' || x WHERE id < 5; DELETE FROM page WHERE id = 1; INSERT INTO page VALUES (9, 'Page nine is new.');
	SELECT memai.add_document('The garage closes at dusk.', title => 'office', user_id => 'reader', background => true)});
ok(wait_until($standby, $unfinished, 0, 30), 'and with what changes then');
is($standby->safe_psql('postgres', "SET ROLE app; $ingestion; $vectors"), "canteen ready, garage ready, office ready|item 0, page 0\n0|0", 'too (BW10)');
is($standby->safe_psql('postgres', q{SET ROLE app; SELECT count(*) FILTER (WHERE content LIKE 'there is after %'), count(*) FROM memai.episode WHERE user_id = 'shop'}),
	'3|10', 'the watched rows are followed');

# ---- failover to the subscriber ----
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s');
is($subscriber->safe_psql('postgres', q{SET ROLE app; SELECT memai.retry_jobs('embed')}), 33, 'retry_jobs releases what was held back, of memories and of watched rows');
ok(wait_until($subscriber, "SELECT status, count(*) $embed_jobs GROUP BY status", 'done|30', 30), 'and the worker does it');
$subscriber->safe_psql('postgres', q{SET ROLE app; SELECT memai.retry_jobs(); SELECT memai.refresh_vectorizer('item'); SELECT memai.reembed()});
ok(wait_until($subscriber, $unfinished, 0, 30), 'the rest, too');
is($subscriber->safe_psql('postgres', q{SELECT (SELECT count(*) FROM item WHERE embedding IS DISTINCT FROM memai.embed(x)),
	(SELECT string_agg(title || ' ' || status, ', ' ORDER BY title) FROM memai.chunk_status)}), '0|canteen ready, garage ready',
	'with refresh_vectorizer and reembed every row and every document has its vectors');

done_testing();
