# What is under way outlasts upgrades: a script of ALTER EXTENSION UPDATE runs while a
# vectorizer's rows are with the model, and pg_upgrade carries vectorizers, documents
# and watches with all that waits into another cluster.  Rows UP5, BW15 of the
# catalogue of faults.
use strict;
use warnings FATAL => 'all';

use lib 'test/perl';
use MemAI::Gateway;
use MemAI::Jobs;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = "shared_preload_libraries = 'memai'\nmemai.workers = 1\nmemai.http_private_hosts = '127.0.0.1'\nmemai.model_max_retries = 0\n"
  . "memai.http_attempt_timeout = '10min'\nmemai.http_call_timeout = '10min'\n";
my ($old, $stub) = start_gateway('old', conf => $conf);
my ($version) = slurp_file('memai.control') =~ /default_version = '(.*)'/;
my $unfinished = q{SELECT count(*) FROM memai.job WHERE finished_at IS NULL};
# rows whose vector is not that of their text: the stub's first number is its length
my $wrong = q{SELECT count(*) FROM item WHERE (embedding::real[])[1] IS DISTINCT FROM length(x)};

my $slow = embed_model(4, 'gate', 'upgrade');
my $quick = embed_model(4);
$old->safe_psql('postgres', qq{CREATE TABLE item (id integer PRIMARY KEY, x text);
	INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 5) i;
	SELECT memai.create_vectorizer('item', '{x}', model => '$slow', index => true)});
$stub->wait_for_gate('upgrade', 1);
is($old->safe_psql('postgres', 'SELECT in_flight FROM memai.vectorizer_status'), 5, 'rows are with the model');

# ---- the next version of the extension, whose script changes the tables that the worker has plans for ----
my ($share) = run_command([ 'pg_config', '--sharedir' ]);
my $script = "$share/extension/memai--$version--$version.next.sql";
SKIP:
{
	$stub->open_gate('upgrade') unless -w "$share/extension";
	skip "cannot write to $share/extension", 4 unless -w "$share/extension";
	append_to_file($script, "ALTER TABLE memai.vectorizer ADD COLUMN next integer DEFAULT 1;\n"
		  . "ALTER TABLE memai._vectorizer_queue ADD COLUMN next integer DEFAULT 1;\nALTER TABLE memai.job ADD COLUMN next integer DEFAULT 1;\n");
	$old->safe_psql('postgres', qq{ALTER EXTENSION memai UPDATE TO '$version.next'});
	is($old->safe_psql('postgres', q{SELECT extversion, in_flight FROM pg_extension, memai.vectorizer_status WHERE extname = 'memai'}), "$version.next|5",
		'the extension is upgraded meanwhile');
	$stub->open_gate('upgrade');
	ok(wait_until($old, $unfinished, 0, 60), 'the vectorizer ends its job (UP5)');
	is($old->safe_psql('postgres', $wrong), 0, 'every row has its vector');
	$old->safe_psql('postgres', qq{SELECT memai.alter_vectorizer('item', model => '$quick'); UPDATE item SET x = 'another ' || x WHERE id < 4});
	ok(wait_until($old, "$unfinished; $wrong", "0\n0", 60), 'and goes on with rows that change, and another model');
	unlink $script;
}
$old->safe_psql('postgres', "SELECT memai.alter_vectorizer('item', model => '$quick')");
ok(wait_until($old, "$unfinished; $wrong", "0\n0", 60), 'nothing is under way');

# ---- another cluster: what waits is carried along ----
$old->append_conf('postgresql.conf', "memai.workers = 0\n");
$old->reload;
ok(wait_until($old, q{SELECT count(*) FROM memai.worker_status}, 0, 30), 'no worker');
$old->safe_psql('postgres', q{
	CREATE TABLE page (id integer PRIMARY KEY, x text);
	INSERT INTO page SELECT i, repeat('Page ' || i || ' says this. ', 5) FROM generate_series(1, 3) i;
	SELECT memai.create_vectorizer('page', '{x}', chunking => '{"size": 16, "overlap": 0, "unit": "characters"}');
	SELECT memai.watch('page', 'page {id}: {x}', user_id => 'shop');
	UPDATE item SET x = 'once more ' || x WHERE id > 3;
	SELECT memai.add_document('The canteen opens at noon.', title => 'canteen', user_id => 'reader', background => true)});
my $state = q{SELECT name, source, destination_table, model, pending, done FROM memai.vectorizer_status JOIN memai.vectorizer USING (name, source, model, done) ORDER BY name;
	SELECT title, status FROM memai.chunk_status; SELECT name, source FROM memai.watched; SELECT count(*) FROM memai.job WHERE finished_at IS NULL};
my $before = $old->safe_psql('postgres', $state);
like($before, qr/^item\|item\|\|\Q$quick\E\|2\|\d+\npage\|page\|page_chunk\|.*\|3\|0\ncanteen\|waiting\npage\|page\n[1-9]/, 'rows, a document and jobs wait');
$old->stop;
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', $conf);
my ($bindir) = run_command([ 'pg_config', '--bindir' ]);
chdir $new->basedir or die $!;
command_ok([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $bindir, '-s', $new->host,
		'-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->append_conf('postgresql.conf', "memai.workers = 0\n");
$new->start;
is($new->safe_psql('postgres', $state), $before, 'everything is there, and waits');
$new->append_conf('postgresql.conf', "memai.workers = 1\n");
$new->reload;
ok(wait_until($new, $unfinished, 0, 60), 'a worker of the new cluster does it');
is($new->safe_psql('postgres', $wrong), 0, 'every row has its vector');
$new->safe_psql('postgres', q{INSERT INTO page VALUES (4, 'Page four is new.'); DELETE FROM page WHERE id = 1; UPDATE item SET x = 'new ' || x WHERE id = 1});
ok(wait_until($new, "$unfinished; $wrong", "0\n0", 60), 'and what changes then');
is($new->safe_psql('postgres', q{SELECT count(*) > 0, bool_and(c.content IS NOT DISTINCT FROM k.chunk AND c.embedding = memai.embed(k.chunk))
	FROM page CROSS JOIN LATERAL memai.chunk(page.x, 16, 0, 'characters') k FULL JOIN page_chunk c ON c.id = page.id AND c.chunk = k.seq}), 't|t', 'with chunks');
is($new->safe_psql('postgres', q{SELECT (SELECT status FROM memai.chunk_status), (SELECT count(*) FROM memai.episode WHERE user_id = 'shop')}), 'ready|3',
	'the document is chunked, the watched rows are followed');

done_testing();
