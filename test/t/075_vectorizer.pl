# Vectorizers with a worker and a model server: rows that change while the model
# thinks, texts that it refuses, throughput, many writers, and a dump.  Rows BW2,
# BW13, UP1 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Jobs;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my ($node, $stub) = start_gateway('vectorizer', conf => "shared_preload_libraries = 'memai'\nmemai.workers = 2\n"
	  . "memai.http_private_hosts = '127.0.0.1'\nmemai.model_max_retries = 0\nmemai.worker_naptime = '1h'\n");
my $unfinished = q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL};
my $pending = q{SELECT sum(pending) FROM memai.vectorizer_status};
sub db { return $node->safe_psql('postgres', $_[0]) }

# ---- a row that changes while the model thinks ----
# the first request, and the first after a reset, is held
my $slow = embed_model(4, 'pause', 8000, 1, 'changes');
db(qq{CREATE TABLE a (id integer PRIMARY KEY, x text); INSERT INTO a VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four');
	SELECT memai.create_vectorizer('a', '{x}', model => '$slow')});

# whether the model has been asked: the worker waits for it then
sub is_asked
{
	for (1 .. 6000)
	{
		return 1 if $stub->requests;
		sleep 0.02;
	}
	return 0;
}
ok(is_asked(), 'the model is asked as soon as the vectorizer is there');
ok(wait_until($node, 'SELECT pending, in_flight FROM memai.vectorizer_status', '4|4', 10), 'four rows are with it');
is(db(q{SELECT count(*) FROM pg_locks l JOIN memai.worker_status USING (pid)}), 0, 'no lock is held meanwhile (BW13)');
db(q{UPDATE a SET x = 'uno!' WHERE id = 1; DELETE FROM a WHERE id = 2; DELETE FROM a WHERE id = 3; INSERT INTO a VALUES (3, 'new three')});
ok(wait_until($node, $pending, 0, 30), 'all is done in the end');
is(db(q{SELECT id, (embedding::real[])[1] FROM a ORDER BY id}), "1|4\n3|9\n4|4", 'each row has the vector of the text that it has now');
is(db(q{SELECT count(*) FROM a WHERE embedding_hash <> md5(E'} . $slow . q{\\n' || x)::uuid}), 0, 'and its hash');
# a change that is not committed when the vector comes
$stub->reset;
my $writer = $node->background_psql('postgres');
db(q{UPDATE a SET x = 'started' WHERE id = 1});
ok(is_asked(), 'the model thinks');
$writer->query_safe(q{BEGIN; UPDATE a SET x = 'changed since' WHERE id = 1});
ok(wait_until($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'memai worker' AND wait_event_type = 'Lock'}, 1, 20), 'storing waits for the writer');
$writer->query_safe('COMMIT');
$writer->quit;
ok(wait_until($node, $pending, 0, 30), 'then the row is done again');
is(db(q{SELECT (embedding::real[])[1] FROM a WHERE id = 1}), length 'changed since', 'with its new text');
db(q{SELECT memai.drop_vectorizer('a'); DROP TABLE a});

# ---- a text that the model refuses holds up nobody, BW2 ----
my $picky = embed_model(4, 'refuse', 'bad');
db(qq{DELETE FROM memai.job; CREATE TABLE b (id integer PRIMARY KEY, x text); INSERT INTO b SELECT i, CASE WHEN i IN (17, 60) THEN 'bad ' ELSE 'good ' END || i FROM generate_series(1, 100) i;
	SELECT memai.create_vectorizer('b', '{x}', model => '$picky')});
ok(wait_until($node, $unfinished, 0, 30), 'the job ends');
is(db('SELECT status, result FROM memai.job'), 'done|{"rows": 100}', 'well');
is(db('SELECT pending, failed FROM memai.vectorizer_status'), '0|2', 'two rows failed');
is(db('SELECT key, sqlstate FROM memai.vectorizer_errors ORDER BY key'), "17|MA006\n60|MA006", 'these two');
is(db('SELECT count(*) FROM b WHERE embedding IS NOT NULL'), 98, 'the others have vectors (BW2)');
db(q{UPDATE b SET x = 'better' WHERE id = 17});
ok(wait_until($node, q{SELECT count(*) FROM b WHERE embedding IS NOT NULL}, 99, 20), 'a row that is changed is tried again');
is(db(q{SELECT memai.retry_vectorizer('b')}), 1, 'and the other when somebody asks');
ok(wait_until($node, $unfinished, 0, 30), 'once');
is(db('SELECT pending, failed FROM memai.vectorizer_status'), '0|1', 'it fails again');
db(q{SELECT memai.drop_vectorizer('b'); DROP TABLE b; DELETE FROM memai.job});

# ---- 50 ms, batches of 100, four at a time: 8,000 rows a second at best ----
my $rows = $ENV{MEMAI_VECTOR_ROWS} // 4000;
my $quick = 'batches-of-100';
my $url = $stub->url('delay', 50, 'v1');
db(qq{SELECT memai.create_model('$quick', 'embed', 'openai', 'stub-4', url => '$url', dimensions => 4, options => '{"batch_size": 100}');
	CREATE TABLE c (id integer PRIMARY KEY, x text); INSERT INTO c SELECT i, 'text ' || i FROM generate_series(1, $rows) i});
$stub->reset;
db(qq{SELECT memai.create_vectorizer('c', '{x}', model => '$quick')});
ok(wait_until($node, $unfinished, 0, 60), 'all are done');
is(db('SELECT count(*) FROM c WHERE embedding IS NOT NULL'), $rows, 'all have vectors');
is(scalar($stub->requests), $rows / 100, 'in batches of 100');
my $rate = db('SELECT rate FROM memai.vectorizer_status');
my $ideal = 4 * 100 / 0.05;
diag(sprintf('%d rows a second, %.0f %% of %d', $rate, 100 * $rate / $ideal, $ideal));
my ($most) = sort { $b <=> $a } map { $_->{under_way} } $stub->requests;
cmp_ok($most, '>=', 4, 'four requests at a time');

# ---- many writers at once: no change is lost ----
db(q{SELECT memai.drop_vectorizer('c'); DROP TABLE c; DELETE FROM memai.job; CREATE TABLE d (id integer PRIMARY KEY, x text);
	INSERT INTO d SELECT i, 'x' FROM generate_series(1, 50) i; SELECT memai.create_vectorizer('d', '{x}')});
my $script = $node->basedir . '/writers.sql';
append_to_file($script, "\\set id random(1, 50)\n\\set x random(1, 1000000)\nUPDATE d SET x = 'text ' || :x WHERE id = :id;\n"
	  . "DELETE FROM d WHERE id = :id + 50;\nINSERT INTO d VALUES (:id + 50, 'text ' || :x) ON CONFLICT (id) DO UPDATE SET x = excluded.x;\n");
$node->command_ok([ 'pgbench', '-n', '-c4', '-t25', '-f', $script, 'postgres' ], 'four writers change the same rows');
ok(wait_until($node, $unfinished, 0, 60), 'the jobs end');
is(db($pending), 0, 'nothing waits');
is(db('SELECT count(*) FROM d WHERE embedding IS DISTINCT FROM memai.embed(x)'), 0, 'every row has the vector of its text');

# ---- dump and restore, UP1 ----
my $chunks = q{chunking => '{"size": 16, "overlap": 0, "unit": "characters"}'};
db(qq{CREATE TABLE e (id integer PRIMARY KEY, x text); INSERT INTO e VALUES (1, 'Some words. And some more of them.');
	SELECT memai.create_vectorizer('e', '{x}', $chunks)});
ok(wait_until($node, $unfinished, 0, 30), 'a table with chunks');
db(q{ALTER TABLE d RENAME COLUMN x TO "the text"; ALTER TABLE d ADD COLUMN gone integer; ALTER TABLE d DROP COLUMN gone;
	SELECT memai.pause_vectorizer('d'); UPDATE d SET "the text" = 'before the dump' WHERE id = 1; DELETE FROM memai.job});
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'restored' ], 'is restored');
is($node->safe_psql('restored', 'SELECT name, source, paused, pending FROM memai.vectorizer_status ORDER BY name'), "d|d|t|1\ne|e|f|0", 'with the vectorizer and what waits');
$node->safe_psql('restored', q{SELECT memai.resume_vectorizer('d')});
$node->safe_psql('restored', q{UPDATE d SET "the text" = 'after' WHERE id = 2; UPDATE e SET x = x || ' And these, later.'});
$node->safe_psql('restored', 'CALL memai.run_jobs()');
is($node->safe_psql('restored', q{SELECT count(*) FROM d WHERE embedding IS DISTINCT FROM memai.embed("the text")}), 0, 'which goes on (UP1)');
is($node->safe_psql('restored', q{SELECT count(*) > 2, bool_and(c.content IS NOT DISTINCT FROM k.chunk AND c.embedding = memai.embed(k.chunk))
	FROM e CROSS JOIN LATERAL memai.chunk(e.x, 16, 0, 'characters') k FULL JOIN e_chunk c ON c.id = e.id AND c.chunk = k.seq}), 't|t', 'with chunks, too');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
done_testing();
