-- Documents: added, replaced, found, read around, dropped.
SET client_min_messages = warning;
CREATE ROLE regress_memai_ingest IN ROLE memai_user;
SET ROLE regress_memai_ingest;
SET memai.user_id = 'docs';
\pset null NULL

-- ---- added and found ----
SELECT memai.add_document('# Handbook

Everybody is welcome.

## Travel

Book trains two weeks ahead. Flights need the consent of your manager.

## Expenses

Send receipts within thirty days to accounting.', source_uri => 'handbook.md', metadata => '{"team": "hr"}',
	chunking => '{"size": 100, "unit": "characters"}') AS handbook \gset
SELECT title, format, source_uri, metadata, chunking, left(content, 20) AS content, chunked_fingerprint = fingerprint AS is_chunked, job_id FROM memai.document;
SELECT seq, heading, start_pos, end_pos, e.role, e.name, e.metadata, e.source, e.thread_id = c.document_id AS is_thread, e.content
FROM memai.document_chunk c JOIN memai.episode e ON e.scope = c.scope AND e.id = c.episode_id ORDER BY seq;
-- positions are those of the document's text
SELECT bool_and(substr(d.content, c.start_pos, c.end_pos - c.start_pos + 1) = e.content) AS positions_are_right
FROM memai.document d JOIN memai.document_chunk c ON c.document_id = d.id JOIN memai.episode e ON e.id = c.episode_id;
SELECT title, source_uri, status, chunks, embedded, model, job_status FROM memai.chunk_status;
SELECT content, name, role, metadata ->> 'source_uri' AS source, metadata ->> 'heading' AS heading, thread_id = :'handbook' AS is_of_document
FROM memai.recall('who has to agree to a flight', k => 1);
SELECT content FROM memai.recall('receipts', k => 5, filter => '{"heading": "Handbook > Travel"}');
SELECT count(*) FROM memai.recall('receipts', k => 5, filter => '{"source_uri": "other"}');
SELECT seq, heading, left(content, 12) AS content FROM memai.chunk_neighbours((SELECT id FROM memai.recall('flights', k => 1)), 1);
SELECT seq FROM memai.chunk_neighbours((SELECT id FROM memai.recall('flights', k => 1)), 0);
SELECT count(*) FROM memai.chunk_neighbours((SELECT id FROM memai.recall('flights', k => 1)), 2147483647);
SELECT count(*) FROM memai.chunk_neighbours(:'handbook', 1);
SELECT episodes, chunks, documents, embeddings FROM memai.stats();
-- the recent messages of a context are no chunks
SELECT memai.context('flights', sections => '{recent}') = '' AS no_recent;

-- ---- unchanged: nothing happens, not even a new row version ----
SELECT xmin AS before FROM memai.document \gset
SELECT memai.add_document((SELECT content FROM memai.document), source_uri => 'handbook.md', metadata => '{"team": "hr"}',
	chunking => '{"size": 100, "unit": "characters"}') = :'handbook' AS same_id;
SELECT xmin = :'before' AS untouched FROM memai.document;

-- ---- changed: the same id; chunks that stay keep their episodes and vectors ----
CREATE TEMPORARY TABLE old AS SELECT c.seq, c.heading, c.episode_id, v.xmin AS vector FROM memai.document_chunk c JOIN memai.embedding v USING (scope, episode_id);
SELECT memai.add_document('# Handbook

Everybody is welcome.

## Remote work

Work from home on two days a week, whichever you like.

## Travel

Book trains two weeks ahead. Flights need the consent of your manager.

## Expenses

Send receipts within sixty days to accounting.', source_uri => 'handbook.md', metadata => '{"team": "hr"}',
	chunking => '{"size": 100, "unit": "characters"}') = :'handbook' AS same_id;
SELECT c.seq, c.heading, o.seq AS old_seq, o.vector = v.xmin AS vector_kept
FROM memai.document_chunk c JOIN memai.embedding v USING (scope, episode_id) LEFT JOIN old o USING (episode_id) ORDER BY c.seq;
SELECT count(*) FROM memai.episode;
SELECT bool_and(e.occurred_at = d.created_at + (c.seq - 1) * interval '1 microsecond') AS in_order
FROM memai.document d JOIN memai.document_chunk c ON c.document_id = d.id JOIN memai.episode e ON e.id = c.episode_id;
SELECT content FROM memai.recall('until when to send receipts', k => 1);
-- metadata alone
SELECT memai.add_document((SELECT content FROM memai.document), source_uri => 'handbook.md', metadata => '{"team": "legal"}',
	chunking => '{"size": 100, "unit": "characters"}') = :'handbook' AS same_id;
SELECT count(*) AS chunks, count(o.episode_id) AS kept, count(*) FILTER (WHERE e.metadata ->> 'team' = 'legal') AS legal
FROM memai.episode e LEFT JOIN old o ON o.episode_id = e.id;
DROP TABLE old;
-- another size: other chunks, none left over
SELECT memai.add_document((SELECT content FROM memai.document), source_uri => 'handbook.md') = :'handbook' AS same_id;
SELECT chunks, embedded, status FROM memai.chunk_status;
-- many equal chunks, fewer, more
SELECT memai.add_document(repeat('same line. ', 40), source_uri => 'lines', title => 'Lines', chunking => '{"size": 16, "unit": "characters", "overlap": 0}') AS lines \gset
SELECT count(*), count(DISTINCT episode_id) FROM memai.document_chunk WHERE document_id = :'lines';
SELECT memai.add_document(repeat('same line. ', 30) || 'another one', source_uri => 'lines', title => 'Lines', chunking => '{"size": 16, "unit": "characters", "overlap": 0}') = :'lines' AS same_id;
SELECT count(*), count(DISTINCT episode_id), (SELECT count(*) FROM memai.episode WHERE document_id = :'lines') AS episodes FROM memai.document_chunk WHERE document_id = :'lines';

-- ---- without a source: a text is there once; other namespaces have documents of their own ----
SELECT memai.add_document('A text of no source.') = memai.add_document('A text of no source.') AS same;
SELECT memai.add_document('A text of no source.') <> memai.add_document('A text of no source!') AS other;
SELECT memai.add_document('elsewhere', source_uri => 'handbook.md', namespace => 'b') <> :'handbook' AS other;

-- ---- bytes ----
SELECT memai.add_document('\x3c68313e47c3b672616e3c2f68313e3c703ec3a4'::bytea, source_uri => 'page') AS page \gset
SELECT format, title, content FROM memai.document WHERE id = :'page';
SELECT memai.add_document('\xefbbbf61'::bytea, source_uri => 'page') = :'page' AS same_id;
SELECT format, title, content, octet_length(content) FROM memai.document WHERE id = :'page';

-- ---- in the background: the old version is found until the job has run ----
SELECT memai.add_document('Version one speaks of apples.', source_uri => 'fruit') AS fruit \gset
SELECT memai.add_document('Version two speaks of oranges.', source_uri => 'fruit', background => true) = :'fruit' AS same_id;
SELECT status, chunks, embedded, job_status FROM memai.chunk_status WHERE document_id = :'fruit';
SELECT content FROM memai.recall('Version', k => 1, filter => '{"source_uri": "fruit"}');
SELECT memai.add_document('Version two speaks of oranges.', source_uri => 'fruit', background => true) = :'fruit' AS same_id;
SELECT count(*) AS one_job FROM memai.job WHERE kind = 'ingest' AND status = 'waiting';
CALL memai.run_jobs();
SELECT status, chunks, embedded, job_status, done, total FROM memai.chunk_status WHERE document_id = :'fruit';
SELECT content FROM memai.recall('Version', k => 1, filter => '{"source_uri": "fruit"}');
SELECT result FROM memai.job WHERE kind = 'ingest';
-- a job whose document is gone has nothing to do; one that is cancelled leaves the document waiting
SELECT memai.add_document('soon gone', source_uri => 'gone', background => true) IS NOT NULL AS added;
SELECT memai.drop_document(source_uri => 'gone');
CALL memai.run_jobs();
SELECT status, result FROM memai.job WHERE kind = 'ingest' ORDER BY submitted_at DESC, id DESC LIMIT 1;
SELECT memai.add_document('waits', source_uri => 'waits', background => true) IS NOT NULL AS added;
SELECT memai.cancel_job((SELECT job_id FROM memai.document WHERE source_uri = 'waits'));
SELECT status, chunks, job_status FROM memai.chunk_status WHERE source_uri = 'waits';
SELECT memai.add_document('waits', source_uri => 'waits') IS NOT NULL AS added_again;
SELECT status, chunks FROM memai.chunk_status WHERE source_uri = 'waits';
-- more than a megabyte goes to the background by itself
SELECT memai.add_document(repeat('A sentence of some words. ', 50000), source_uri => 'large') IS NOT NULL AS added;
SELECT status, chunks FROM memai.chunk_status WHERE source_uri = 'large';
CALL memai.run_jobs();
SELECT status, chunks > 500 AS many, chunks = embedded AS all_embedded, done = total AS all_done, bytes FROM memai.chunk_status WHERE source_uri = 'large';
SELECT memai.submit_job('ingest', '{"document": 1}') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT error, sqlstate FROM memai.job WHERE status = 'failed';

-- ---- what was learned from a chunk goes with it ----
SELECT memai.remember('The handbook welcomes everybody', sources => ARRAY[(SELECT id FROM memai.episode WHERE document_id = :'handbook' ORDER BY occurred_at LIMIT 1)]) IS NOT NULL AS remembered;
SELECT memai.drop_document(:'handbook'), memai.drop_document(:'handbook'), memai.drop_document(source_uri => 'nowhere'), memai.drop_document();
SELECT (SELECT count(*) FROM memai.episode WHERE document_id = :'handbook') AS episodes, (SELECT count(*) FROM memai.document_chunk WHERE document_id = :'handbook') AS chunks,
	(SELECT count(*) FROM memai.embedding v WHERE NOT EXISTS (SELECT FROM memai.episode e WHERE e.id = v.id)) AS vectors, (SELECT count(*) FROM memai.memory) AS memories;

-- ---- export, import, erasure ----
SELECT jsonb_agg(x) AS lines FROM memai.export_user() x \gset
SELECT * FROM memai.import_user(:'lines', namespace => 'copy') WHERE imported > 0;
SELECT * FROM memai.import_user(:'lines', namespace => 'copy') WHERE imported > 0;
SELECT count(*), bool_and(c.content = d.content AND c.fingerprint = d.fingerprint AND c.job_id IS NULL) AS same
FROM memai.document d JOIN memai.document c USING (id) WHERE d.namespace = 'default' AND c.namespace = 'copy';
SELECT what, removed > 0 AS some FROM memai.forget_user('docs', confirm => true) WHERE what LIKE 'document%' OR what = 'episode' ORDER BY what;
SELECT count(*) FROM memai.document;

RESET ROLE;
SET memai.tenant = 'regress_memai_ingest';

DELETE FROM memai.erasure WHERE tenant = 'regress_memai_ingest';
DELETE FROM memai.memory_history WHERE tenant = 'regress_memai_ingest';
DELETE FROM memai.job WHERE tenant = 'regress_memai_ingest';
RESET memai.tenant;
RESET memai.user_id;

-- AU15: what a tenant does not want stored is gone from the document and its chunks
SELECT memai.set_pii_policy('redact', '{email}');
SELECT memai.add_document('Write to ann@example.com about the boat.', title => 'letter to ann@example.com', user_id => 'pii') AS letter \gset
SELECT title, content FROM memai.document WHERE id = :'letter';
SELECT name, content, metadata FROM memai.episode WHERE document_id = :'letter';
SELECT memai.set_pii_policy('refuse', '{email}');
SELECT memai.add_document('Write to bob@example.com.', user_id => 'pii');
DELETE FROM memai.pii_policy;
DELETE FROM memai.document WHERE user_id = 'pii';
DELETE FROM memai.episode WHERE user_id = 'pii';
DROP ROLE regress_memai_ingest;
