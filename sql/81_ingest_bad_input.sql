-- What memai.add_document refuses, and whose documents nobody else gets at.
SET client_min_messages = warning;
CREATE ROLE regress_memai_ingest IN ROLE memai_user;
CREATE ROLE regress_memai_other IN ROLE memai_user;
SET ROLE regress_memai_ingest;

-- ---- nothing, too much, no text ----
SELECT memai.add_document(NULL::text, user_id => 'u');
SELECT memai.add_document(NULL::bytea, user_id => 'u');
SELECT memai.add_document('', user_id => 'u');
SELECT memai.add_document(''::bytea, user_id => 'u');
SELECT memai.add_document(E' \n\t\u200b ', user_id => 'u');
SELECT memai.add_document('<script>nothing else</script>', format => 'html', user_id => 'u');
SELECT memai.add_document('x');
SELECT memai.add_document(repeat('x', 50 * 1024 * 1024), user_id => 'u');
SELECT memai.add_document(convert_to(repeat('x', 50 * 1024 * 1024), 'UTF8'), user_id => 'u');
SELECT memai.add_document(repeat('word ', 400000), user_id => 'u', background => false, chunking => '{"size": 16, "unit": "characters"}');
SELECT memai.add_document('%PDF-1.7 ...', user_id => 'u');
SELECT memai.add_document('\x504b0304'::bytea, user_id => 'u');
SELECT memai.add_document('\x89504e470d0a'::bytea, user_id => 'u');
SELECT memai.add_document('\xfffe41004200'::bytea, user_id => 'u');
SELECT memai.add_document('\x410042'::bytea, user_id => 'u');
SELECT memai.add_document('\x4772fcdf65'::bytea, user_id => 'u');
SELECT memai.add_document(convert_from('\x4772fcdf65', 'LATIN1'), user_id => 'latin') IS NOT NULL AS added;

-- ---- pages and texts made to cost much ----
SELECT memai.clean_text(repeat('<div><ul><li><table><tr><td>', 30000) || 'deep', 'html');
SELECT memai.clean_text('<p title="' || repeat('a', 2000000) || '">wide</p>', 'html');
SELECT length(memai.clean_text(repeat('<', 300000), 'html')), length(memai.clean_text(repeat('[', 300000), 'markdown')),
	memai.clean_text(repeat('<!--', 300000) || 'never', 'html') = '' AS nothing;
SELECT count(*) > 100 AS chunks, max(length(chunk)) <= 2000 AS short FROM memai.chunk((SELECT string_agg('# heading ' || i, E'\n') FROM generate_series(1, 30000) i), 2000, 0, 'characters');
SELECT count(*) FROM memai.chunk('abc', 1, 0, 'characters');
SELECT memai.chunk('abc', 16, 16, 'characters');
SELECT memai.add_document('\xc3'::bytea, user_id => 'u');
SELECT memai.add_document('\xeda080'::bytea, user_id => 'u');
SELECT memai.add_document('\xf4908080'::bytea, user_id => 'u');

-- ---- other arguments ----
\set VERBOSITY terse
SELECT memai.add_document('x', user_id => 'u', title => repeat('t', 1001));
SELECT memai.add_document('x', user_id => 'u', source_uri => '');
SELECT memai.add_document('x', user_id => 'u', source_uri => repeat('s', 2049));
SELECT memai.add_document('x', user_id => 'u', metadata => '[]');
SELECT memai.add_document('x', user_id => 'u', format => 'pdf');
SELECT memai.add_document('x', user_id => 'u', chunking => '[]');
SELECT memai.add_document('x', user_id => 'u', chunking => '1');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"size": 15}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"size": 8001}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"size": 1e30}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"size": "400"}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"overlap": 300}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"unit": "words"}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"unit": 1}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"strategy": "best"}');
SELECT memai.add_document('x', user_id => 'u', chunking => '{"sise": 400}');
SELECT memai.add_document('x', user_id => 'u', chunking => NULL, metadata => NULL, title => NULL, format => NULL) IS NOT NULL AS added;
SELECT memai.add_document('of a title', user_id => 'u', title => E' two\n lines ') IS NOT NULL AS added;
SELECT title FROM memai.document WHERE title IS NOT NULL;
\set VERBOSITY default

-- ---- rows that do not fit together are refused by the tables themselves ----
\set VERBOSITY terse
SELECT tenant, scope, id AS document FROM memai.document WHERE title IS NOT NULL \gset
INSERT INTO memai.document (tenant, user_id, namespace, scope, format, content, fingerprint) VALUES (:'tenant', 'u', 'default', 1, 'text', 'x', '');
INSERT INTO memai.document (tenant, user_id, namespace, scope, format, content, fingerprint) VALUES ('regress_memai_other', 'u', 'default', memai.scope_hash('regress_memai_other', 'u', 'default'), 'text', 'x', '');
-- an episode names a document of its own scope
INSERT INTO memai.episode (tenant, user_id, namespace, scope, source, role, content, terms, document_id)
	SELECT :'tenant', 'v', 'default', memai.scope_hash(:'tenant', 'v', 'default'), 'document', 'document', 'x', '\x010000', :'document';
INSERT INTO memai.episode (tenant, user_id, namespace, scope, source, content, terms) VALUES (:'tenant', 'u', 'default', :scope, 'document', 'x', '\x010000');
INSERT INTO memai.document_chunk (tenant, user_id, namespace, scope, document_id, seq, episode_id, start_pos, end_pos, content_hash)
	SELECT :'tenant', 'u', 'default', :scope, :'document', 99, memai.new_id(), 1, 1, memai.new_id();
UPDATE memai.document SET source_uri = 'x';
UPDATE memai.episode SET document_id = NULL;
-- a job names a document of its own scope: another's is not there
SELECT memai.submit_job('ingest', jsonb_build_object('document_id', :'document'), user_id => 'v') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT status, result FROM memai.job WHERE user_id = 'v';

-- ---- others ----
SELECT id AS chunk FROM memai.episode WHERE document_id = :'document' \gset
SET ROLE regress_memai_other;
SELECT count(*) FROM memai.document;
SELECT count(*) FROM memai.document_chunk;
SELECT count(*) FROM memai.chunk_status;
SELECT count(*) FROM memai.chunk_neighbours(:'chunk', 5, user_id => 'u');
SELECT memai.drop_document(:'document', user_id => 'u');
DELETE FROM memai.document;
-- the same source of another tenant is another document
SELECT memai.add_document('x', user_id => 'u', source_uri => 'shared') IS NOT NULL AS added;
SELECT count(*) FROM memai.recall('title', user_id => 'u', filter => '{"title": "two lines"}');
SET ROLE regress_memai_ingest;
SELECT count(*) FROM memai.document WHERE id = :'document';
-- a narrowed session sees and writes one user's
SET memai.user_id = 'v';
SELECT count(*) FROM memai.document;
SELECT memai.add_document('x', user_id => 'u');
RESET memai.user_id;
RESET ROLE;
-- not for everybody
CREATE ROLE regress_memai_nobody;
GRANT USAGE ON SCHEMA memai TO regress_memai_nobody;
SET ROLE regress_memai_nobody;
SELECT memai.add_document('x', user_id => 'u');
SELECT memai.drop_document(memai.new_id(), user_id => 'u');
SELECT * FROM memai.chunk_status;
RESET ROLE;
REVOKE USAGE ON SCHEMA memai FROM regress_memai_nobody;

DELETE FROM memai.document WHERE tenant LIKE 'regress_memai%';
DELETE FROM memai.job WHERE tenant LIKE 'regress_memai%';
DROP ROLE regress_memai_nobody, regress_memai_other, regress_memai_ingest;
