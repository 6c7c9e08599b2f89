# pg_dump and back, in every form: equal rows, equal catalog, no secret, nothing
# twice (UP1, UP2, UP3).
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Catalog;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;

$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', 'CREATE EXTENSION memai');

# a database in use: what its own tables do with memai's types and functions ...
$node->safe_psql('source', q{
	CREATE TABLE app (id uuid DEFAULT memai.new_id() PRIMARY KEY, tenant text DEFAULT memai.current_tenant(),
		note text, embedding vector(3));
	INSERT INTO app (note, embedding) SELECT 'note ' || n, ARRAY[n, 1.0 / n, 0] FROM generate_series(1, 100) AS n;
	CREATE INDEX ON app (memai.scope_hash(tenant, note, 'default'));
	CREATE INDEX ON app (embedding)});

# ... and memai's own: several users, tenants and namespaces, text that is awkward to quote, rows that refer
# to rows before and behind them
$node->safe_psql('source', q{
	SELECT memai.remember('statement ' || n || E' "quotes" \\ \t ünïcode', user_id => 'user ' || n % 7,
		namespace => 'space ' || n % 3, metadata => jsonb_build_object('n', n)) FROM generate_series(1, 60) AS n;
	SELECT memai.remember_messages('[{"role": "user", "content": "I live in Oslo"},
		{"role": "assistant", "content": "Noted."}]', user_id => 'user 1');
	SELECT memai.supersede(memai.remember('I live in Oslo', user_id => 'user 1', slot => 'city'), 'I live in Bergen', user_id => 'user 1');
	SELECT memai.forget(memai.remember('to be forgotten', user_id => 'user 1'), user_id => 'user 1');
	SELECT memai.remember_triplet('Ann', 'likes', 'boats', user_id => 'user 1', sources => ARRAY[(SELECT id FROM memai.episode LIMIT 1)],
		depends_on => ARRAY[(SELECT id FROM memai.memory WHERE content = 'I live in Oslo')]);
	SELECT memai.feedback(id, true, 'user 1') FROM memai.memory WHERE content = 'Ann likes boats';
	SELECT memai.forget_user('user 9', confirm => true);
	SELECT memai.set_block('persona', 'You are brief.', user_id => 'user 1');
	SELECT memai.remember_triplet('Ann', 'works_at', 'Volvo', user_id => 'user 1',
		sources => ARRAY(SELECT id FROM memai.episode LIMIT 1), depends_on => ARRAY(SELECT id FROM memai.memory WHERE content = 'I live in Bergen'));
	SELECT memai.feedback(id, true, user_id => 'user 1') FROM memai.memory WHERE content = 'I live in Bergen';
	SELECT memai.remember('soon gone', user_id => 'user 2 of forget_user');
	SELECT memai.forget_user('user 2 of forget_user', confirm => true);
	SELECT memai.merge_entities('Ann', 'boats', user_id => 'user 1');
	SELECT memai.remember('expires', user_id => 'user 1', expires_at => '2100-01-01');
	SELECT memai.build_persona(user_id => 'user 1', overwrite => true);
	CALL memai.run_jobs();
	SELECT memai.set_pii_policy('redact', '{card}');
	SELECT memai.add_document(E'# Guide\n\n"quotes" \\ ünïcode\n\n## Second\n\n' || repeat('text ', 3000), source_uri => 'guide.md', user_id => 'user 1');
	SELECT memai.add_document('of no source', user_id => 'user 1', background => true);
	SELECT memai.set_intent('home', ARRAY['live', 'a "quoted" word'], 'Be brief.', sources => '{cities}', description => 'where they live');
	SELECT memai.set_setting('digest', 'weekly', user_id => 'user 1'), memai.set_account_setting('language', 'sv');
	SELECT memai.register_source('cities', 'SELECT parameter.city AS city', parameters => '{"city": "Bergen"}', template => 'in {city}');
	CREATE FUNCTION public.tell(city text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''it rains in '' || city';
	SELECT memai.register_tool('tell', 'the weather', 'public.tell');
	SELECT memai.set_preference('tone', 'short', user_id => 'user 1');
	SELECT memai.create_task('pack', due_at => '2100-01-01', user_id => 'user 1');
	SELECT memai.chat('Where do I live?', user_id => 'user 1');
	SELECT memai.create_credential('key', 'https://llm.example', secret => 'sk-canary-4711');
	SELECT memai.create_model('remote', 'chat', 'openai', 'some-model', url => 'https://llm.example/v1', credential => 'key');
	SELECT memai.create_model('remote/8', 'embed', 'openai', 'some-model', url => 'https://llm.example/v1', dimensions => 8, credential => 'key');
	SELECT memai.grant_model('remote', 'memai_user');
	SELECT memai.set_default_model('chat', 'remote');
	SELECT memai.submit_job('custom', '{"n": 1}', user_id => 'user 1');
	SELECT memai.complete_job(scope, id, lease, '{"answer": "\\t ü"}') FROM memai.claim('{custom}');
	SELECT memai.submit_job('custom', '{"n": 2}', user_id => 'user 1', dedupe_key => 'once', model => 'remote');
	SELECT memai.submit_job('tool', '{"n": 3}', user_id => 'user 1');
	SELECT memai.fail_job(scope, id, lease, 'no', '42704') FROM memai.claim('{tool}');
	INSERT INTO memai._usage SELECT now() - n * interval '40 days', CURRENT_USER::regrole, 'user 1', 'a "tenant"', 'remote', 'chat',
		'complete', 'key', 10, 5, false, 0.5, 12.5, 'ok', NULL, 1, false FROM generate_series(0, 9) n;
	SELECT memai.prune_usage('90 days');
	INSERT INTO memai._limit (model, role, user_id, daily_cost) VALUES ('remote', 'memai_user', '*', 2.5), (NULL, 0::oid::regrole, NULL, 1);
	CREATE TABLE vectorized (id integer PRIMARY KEY, x text);
	INSERT INTO vectorized VALUES (1, 'one');
	SELECT memai.create_vectorizer('vectorized', '{x}');
	SELECT memai.create_vectorizer('vectorized', template => 'a {x}', model => 'remote/8', name => 'apart', destination_table => 'vectors', schedule => '@daily');
	SELECT memai.watch('vectorized', 'row {x}', user_id => 'user 1');
	SELECT memai.schedule_insight('daily', '@daily', 'SELECT 1', user_id => 'user 1');
	SET memai.tenant = 'another tenant';
	SELECT memai.remember('a statement of somebody else', user_id => 'user 1')});

my $app = q{SELECT count(*), md5(string_agg(app::text, E'\n' ORDER BY id)) FROM app};
my $rows = $node->safe_psql('source', $app);
my $contents = table_contents($node, 'source');
my $catalog = catalog_snapshot($node, 'source');
like($rows, qr/^100\|/, 'the application has rows');
my @empty = grep { !/^memai\.embedding_other$/ } $contents =~ /^(.*): 0\|/mg;
is("@empty", '', "every table of memai's has rows to dump (if not: have some made above)");

sub compare
{
	my ($database, $how) = @_;
	is($node->safe_psql($database, $app), $rows, "$how: the application's rows");
	is(differences(table_contents($node, $database), $contents), '', "$how: memai's rows, each once");
	is(differences(catalog_snapshot($node, $database), $catalog), '', "$how: the catalog");
	my $invalid = $node->safe_psql($database, 'SELECT count(*) FROM pg_index WHERE NOT indisvalid');
	is($invalid, '0', "$how: every index is valid");
	return;
}

# indexes of the extension's tables are not in a dump: they come back with the models that they belong to
my $indexes = q{SELECT regexp_replace(string_agg(indexname, ' ' ORDER BY indexname), '_[0-9a-f]{8}_idx', '_idx')
	FROM pg_indexes WHERE schemaname = 'memai' AND indexdef LIKE '%USING memai %'};
my $built_in = 'embedding_local_hash_384_vector';
my $dir = PostgreSQL::Test::Utils::tempdir;
my @restore = ('pg_restore', '--exit-on-error', '--port', $node->port, '--host', $node->host);
my @dump = ('pg_dump', '--port', $node->port, '--host', $node->host);

$node->command_ok([ @dump, '-f', "$dir/plain.sql", 'source' ], 'pg_dump, plain');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dir/plain.sql" ], 'psql');
compare('plain', 'plain');
is($node->safe_psql('plain', $indexes), "$built_in embedding_remote_8_idx", 'plain: the vector indexes');
unlike(slurp_file("$dir/plain.sql"), qr/canary/, 'no key in the dump (UP3)');
is($node->safe_psql('plain', 'SELECT count(*) FROM memai.credential'), '0', 'so none is restored');
is($node->safe_psql('plain', q{SELECT v.name, v.source, v.destination_table, v.model, m.credential IS NULL FROM memai.vectorizer v JOIN memai.model m ON m.name = v.model ORDER BY 1}),
	"apart|vectorized|vectors|remote/8|f\nvectorized|vectorized||local/hash-384|t", 'a vectorizer is there with its model, and the name of its key (UP3)');
is($node->safe_psql('plain', 'SELECT count(*) FROM memai.model WHERE built_in'), '2', 'built-in models are there, once');

$node->command_ok([ @dump, '-Fc', '-f', "$dir/custom", 'source' ], 'pg_dump, custom');
$node->safe_psql('postgres', 'CREATE DATABASE custom');
$node->command_ok([ @restore, '-d', 'custom', "$dir/custom" ], 'pg_restore, custom');
compare('custom', 'custom');

# schema and data apart, in order
$node->safe_psql('postgres', 'CREATE DATABASE sections');
for my $section (qw(pre-data data post-data))
{
	$node->command_ok([ @restore, "--section=$section", '-d', 'sections', "$dir/custom" ], "pg_restore, $section");
}
compare('sections', 'sections');

# In parallel.  An extension's foreign keys are there before its rows, and pg_restore
# does not know which table refers to which: the data go in with triggers disabled.
$node->command_ok([ @dump, '-Fd', '-j2', '-f', "$dir/directory", 'source' ], 'pg_dump -j, directory');
$node->safe_psql('postgres', 'CREATE DATABASE parallel');
for my $step ([ '--section=pre-data' ], [ '--data-only', '--disable-triggers', '-j2' ], [ '--section=post-data', '-j2' ])
{
	$node->command_ok([ @restore, @$step, '-d', 'parallel', "$dir/directory" ], "pg_restore @$step");
}
is($node->safe_psql('parallel', "$indexes; SELECT memai.create_vector_index('remote/8') IS NOT NULL; $indexes"),
	"$built_in\nt\n$built_in embedding_remote_8_idx", 'parallel: triggers were disabled, so the index is made afterwards');
compare('parallel', 'parallel');

# dumping twice gives the same text: a restored database dumps like its source
$node->command_ok([ @dump, '-f', "$dir/again.sql", 'plain' ], 'pg_dump of the restored database');
my ($first, $second) = map { my $text = slurp_file("$dir/$_.sql"); $text =~ s/^\\(un)?restrict .*$//mg; $text } qw(plain again);
is(differences($second, $first), '', 'dump of the restored database is the same');

# a role that row-level security holds back gets an error, not a silent part (UP2)
$node->safe_psql('source', q{CREATE ROLE reader LOGIN;
	GRANT USAGE ON SCHEMA memai TO reader;
	GRANT SELECT ON ALL TABLES IN SCHEMA memai, public TO reader});
$node->command_fails_like([ @dump, '-U', 'reader', '-f', "$dir/reader.sql", 'source' ],
	qr/query would be affected by row-level security policy/, 'pg_dump as an ordinary role');
# by name, too: documents, what vectorizers and watches are about, schedules; and who may not read them at all
for my $table (qw(document document_chunk vectorizer watched _watched_row schedule))
{
	$node->command_fails_like([ @dump, '-U', 'reader', '-a', '-t', "memai.$table", '-f', "$dir/reader.sql", 'source' ],
		qr/query would be affected by row-level security policy for table "$table"/, "pg_dump of memai.$table as an ordinary role (UP2)");
}
$node->safe_psql('source', 'REVOKE ALL ON memai._vectorizer_queue FROM reader');
$node->command_fails_like([ @dump, '-U', 'reader', '-a', '-t', 'memai._vectorizer_queue', '-f', "$dir/reader.sql", 'source' ],
	qr/permission denied for table _vectorizer_queue/, 'pg_dump of what waits for vectors as an ordinary role (UP2)');

$node->stop;
done_testing();
