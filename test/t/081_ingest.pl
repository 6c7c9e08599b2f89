# Documents under concurrency and failure: sessions that bring versions of one
# source come one after the other, a session that dies leaves the version
# before, a job that is killed or cancelled goes on where it was, a model that
# fails leaves the document found by words.  Rows BW7, RL9 of the catalogue of faults.
use strict;
use warnings FATAL => 'all';

use lib 'test/perl';
use JSON::PP;
use MemAI::Gateway;
use MemAI::Jobs;
use MemAI::Processes;
use MemAI::Session;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my ($node, $stub) = start_gateway('ingest', conf => "memai.http_private_hosts = '127.0.0.1'\nmemai.model_max_retries = 0\nrestart_after_crash = on\n");
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN IN ROLE memai_user');

sub text_of
{
	my ($version) = @_;
	return join("\n\n", "# Guide", map { "## Part $_\n\nThis is part $_ of version " . ($_ % 3 ? 'any' : $version) . '.' } 1 .. 30);
}
sub add
{
	my ($version, $more) = @_;
	my $text = text_of($version);
	return "SELECT memai.add_document(\$x\$$text\$x\$, source_uri => 'guide.md', user_id => 'u', chunking => '{\"size\": 16}'" . ($more // '') . ')';
}

# what is stored is one version, whole
my $versions = q{SELECT string_agg(DISTINCT substring(content FROM 'version (\d+)'), ',') FILTER (WHERE content ~ 'version \d'), count(*),
	count(DISTINCT e.document_id), (SELECT count(*) FROM memai.document), (SELECT count(*) FROM memai.document_chunk),
	(SELECT count(*) FROM memai.embedding) FROM memai.episode e};
sub is_version
{
	my ($version, $what) = @_;
	is($node->safe_psql('postgres', $versions), "$version|30|1|1|30|30", $what);
	return;
}

# ---- two sessions, one source ----
my $one = MemAI::Session->new($node);
my $two = MemAI::Session->new($node);
$_->query('SET ROLE app') for $one, $two;
$one->query('BEGIN');
my $id = $one->query(add(1));
like($id, qr/^[0-9a-f-]{36}$/, 'a session adds a document');
$two->send(add(2));
ok(wait_until($node, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}, 1, 20), 'another that brings the same source waits');
$one->query('COMMIT');
is($two->answer, $id, 'and replaces it');
is_version(2, 'the later version is stored, whole');

# ---- the first one dies ----
$one->query('BEGIN');
$one->query(add(3));
$two->send(add(4));
ok(wait_until($node, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}, 1, 20), 'the other waits again');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($one->{backend}, 5000)");
is($two->answer, $id, 'and goes on when the first is ended in between');
is_version(4, 'its version is stored, whole');
$one = MemAI::Session->new($node);
$one->query('SET ROLE app');
$one->query('BEGIN');
$one->query(add(5));
kill_backend($node, $one->{backend});
ok(wait_until($node, "SELECT count(*) FROM memai.document", 1, 30), 'the server is back after kill -9 in between');
is_version(4, 'the version before is stored, whole');
$_->close for $one, $two;

# ---- many sessions at once: every one succeeds, one version is left ----
my @sessions = map { MemAI::Session->new($node) } 1 .. 4;
$_->query('SET ROLE app') for @sessions;
for my $round (1 .. 5)
{
	$sessions[$_]->send(add(10 * $round + $_)) for 0 .. 3;
	is(join(',', map { $_->answer } @sessions), join(',', ($id) x 4), "round $round: four sessions get the document");
	my $stored = $node->safe_psql('postgres', $versions);
	like($stored, qr/^$round[0-3]\|30\|1\|1\|30\|30$/, "round $round: one version, whole");
}
# a new source, from four sessions
$_->send(q{SELECT memai.add_document('the same text', source_uri => 'new', user_id => 'u')}) for @sessions;
my %ids = map { $_->answer => 1 } @sessions;
is(scalar keys %ids, 1, 'four sessions that add one new source get one document');
$_->send(q{SELECT memai.add_document('a text of no source', user_id => 'u')}) for @sessions;
%ids = map { $_->answer => 1 } @sessions;
is(scalar keys %ids, 1, 'and one of a text without a source');
$_->close for @sessions;
# with one snapshot a transaction that comes second is told to try again
$two = MemAI::Session->new($node);
$two->query('SET ROLE app');
$two->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->safe_psql('postgres', 'SET ROLE app; ' . add(90));
like($two->query(add(91) . '; ROLLBACK'), qr/ERROR:  40001/, 'REPEATABLE READ: 40001');
$two->close;
is($node->safe_psql('postgres', q{SET ROLE app; SELECT memai.drop_document(source_uri => s, user_id => 'u') FROM unnest('{new,guide.md}'::text[]) s}), "t\nt", 'dropped');

# ---- a model over the network: words at once, vectors from the job ----
my $model = embed_model(4, 'delay', 20);
$node->safe_psql('postgres', "SELECT memai.grant_model('$model', 'memai_user'); SELECT memai.set_default_model('embed', '$model')");
$node->safe_psql('postgres', 'SET ROLE app; ' . add(1));
my $status = q{SELECT status, chunks, embedded, job_status FROM memai.chunk_status WHERE source_uri = 'guide.md'};
is($node->safe_psql('postgres', $status), 'embedding|30|0|waiting', 'the document is chunked, a job makes the vectors');
is(scalar($stub->requests), 0, 'the statement itself called nobody');
$node->safe_psql('postgres', 'SET ROLE app; CALL memai.run_jobs()');
is($node->safe_psql('postgres', $status), 'ready|30|30|done', 'run_jobs makes them');
is($node->safe_psql('postgres', q{SELECT done, total FROM memai.job WHERE kind = 'ingest'}), '30|30', 'with progress');
$stub->reset;
$node->safe_psql('postgres', 'SET ROLE app; ' . add(2));
$node->safe_psql('postgres', 'SET ROLE app; CALL memai.run_jobs()');
my @sent = map { ref $_->{body} ? @{ $_->{body}{input} } : () } $stub->requests;
my @texts = @sent ? @sent : map { @{ decode_json($_->{body})->{input} } } $stub->requests;
is(scalar @texts, 10, 'of a changed document only the ten chunks that changed are sent');

# the job dies with its session: what is stored stays, the next attempt does the rest
my $slow = embed_model(4, 'delay', 20000);
$node->safe_psql('postgres', "SELECT memai.grant_model('$slow', 'memai_user'); SELECT memai.set_default_model('embed', '$slow')");
$node->safe_psql('postgres', 'SET ROLE app; ' . add(3, ', background => true'));
is($node->safe_psql('postgres', q{SELECT status FROM memai.chunk_status WHERE source_uri = 'guide.md'}), 'waiting', 'in the background');
my $runner = MemAI::Session->new($node);
$runner->query('SET ROLE app');
$runner->send('CALL memai.run_jobs()');
ok(wait_until($node, $status, 'embedding|30|0|running', 20), 'the chunks are committed before the model is asked');
is($node->safe_psql('postgres', q{SELECT count(*) FROM memai.episode WHERE content LIKE '%version 3%'}), 10, 'they are the new ones');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($runner->{backend}, 5000)");
$runner->close;
is($node->safe_psql('postgres', $status), 'embedding|30|0|running', 'after the end of its session the job is still held');
$node->safe_psql('postgres', "UPDATE memai.job SET run_after = now(); SELECT memai.set_default_model('embed', '$model')");
$node->safe_psql('postgres', 'SET ROLE app; CALL memai.run_jobs()');
is($node->safe_psql('postgres', q{SELECT status FROM memai.job WHERE kind = 'ingest' ORDER BY submitted_at DESC LIMIT 1}), 'done', 'and done by the next attempt');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT id) FROM memai.embedding WHERE model = '$slow'"), '30|30', 'each vector once');

# a model that fails: the document is found by words
my $bad = embed_model(4, 'status', 400);
$node->safe_psql('postgres', "SELECT memai.grant_model('$bad', 'memai_user'); SELECT memai.set_default_model('embed', '$bad')");
$node->safe_psql('postgres', 'SET ROLE app; ' . add(7));
$node->safe_psql('postgres', 'SET ROLE app; CALL memai.run_jobs()');
like($node->safe_psql('postgres', q{SELECT status, chunks, embedded, job_status, error FROM memai.chunk_status WHERE source_uri = 'guide.md'}),
	qr/^failed\|30\|0\|failed\|./, 'chunk_status tells the error');
$node->safe_psql('postgres', q{SELECT memai.set_default_model('embed', 'local/hash-384')});
like($node->safe_psql('postgres', q{SET ROLE app; SELECT content FROM memai.recall('part 12', user_id => 'u', k => 1)}), qr/version 7/, 'and it is found by words');

# ---- a database of another encoding ----
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
my $latin = sub {
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	$node->psql('latin', "SET client_encoding = 'UTF8'; $sql", stdout => \$out, stderr => \$err);
	return $out . $err;
};
$latin->('CREATE EXTENSION memai');
is($latin->(q{SELECT chunk, start_pos, end_pos FROM memai.chunk('Grün. Schöne Füße!', 10, 0, 'characters', 'sentence')}), "Grün.|1|5\nSchöne|7|12\nFüße!|14|18",
	'chunk counts characters');
like($latin->(q{SELECT memai.add_document('\x23204772c3b6c39f650a0ac39c626572'::bytea, user_id => 'u')}), qr/^[0-9a-f-]{36}$/, 'bytes are UTF-8');
is($latin->(q{SELECT title, convert_to(content, 'UTF8') FROM memai.document}), 'Größe|\x23204772c3b6c39f650a0ac39c626572', 'and stored in the encoding of the database');
like($latin->(q{SELECT memai.add_document('\xe282ac'::bytea, user_id => 'u')}), qr/has no equivalent in encoding "LATIN1"/, 'what it cannot hold is refused');

$stub->stop;
$node->stop;
done_testing();
