-- Vectorizers that part long texts: chunks in a table beside the source.
CREATE ROLE regress_memai_chunk_ann LOGIN IN ROLE memai_user;
CREATE SCHEMA chunked AUTHORIZATION regress_memai_chunk_ann;
SET ROLE regress_memai_chunk_ann;
SET search_path = chunked, public;
CREATE TABLE manual (lang text, nr integer, title text, body text, PRIMARY KEY (lang, nr));
INSERT INTO manual VALUES ('en', 1, 'Grinder', 'Open the lid. Take out the grinder. Clean it with a brush. Put it back and close the lid.'),
	('en', 2, 'Lamp', 'Red means empty.'), ('en', 3, 'Nothing', '');
SELECT memai.create_vectorizer('manual', '{body}', destination_table => 'manual_part', index => true,
	chunking => '{"size": 40, "overlap": 0, "unit": "characters", "strategy": "sentence"}');
SELECT name, model, pending, done FROM memai.vectorizer_status;
CALL memai.run_jobs();
SELECT name, pending, failed, done FROM memai.vectorizer_status;
SELECT lang, nr, chunk, content, embedding = memai.embed(content) AS right FROM manual_part ORDER BY 1, 2, 3;
-- the chunks of chunk(), and what is nearest
SELECT count(*) FROM manual m CROSS JOIN LATERAL memai.chunk(m.body, 40, 0, 'characters', 'sentence') c
	JOIN manual_part p USING (lang, nr) WHERE p.chunk = c.seq AND p.content = c.chunk;
SELECT nr, chunk FROM manual_part ORDER BY embedding <=> memai.embed('brush clean') LIMIT 1;
-- a change replaces all chunks of its row, and only those
CREATE TEMP TABLE before AS SELECT lang, nr, chunk, ctid AS place FROM manual_part;
UPDATE manual SET body = 'Take out the grinder. Throw it away.' WHERE nr = 1;
UPDATE manual SET title = 'unused' WHERE nr = 2;
SELECT pending FROM memai.vectorizer_status;
SELECT count(*) AS still_there FROM manual_part WHERE nr = 1;
CALL memai.run_jobs();
SELECT lang, nr, chunk, content, EXISTS (SELECT FROM before b WHERE (b.lang, b.nr, b.chunk, b.place) = (p.lang, p.nr, p.chunk, p.ctid)) AS same
	FROM manual_part p ORDER BY 1, 2, 3;
-- an unchanged text costs nothing, another key moves, no text has no chunks
SELECT memai.refresh_vectorizer('manual');
CALL memai.run_jobs();
SELECT done FROM memai.vectorizer_status;
UPDATE manual SET nr = 20 WHERE nr = 2;
UPDATE manual SET body = NULL WHERE nr = 1;
CALL memai.run_jobs();
SELECT lang, nr, chunk FROM manual_part ORDER BY 1, 2, 3;
DELETE FROM manual WHERE nr = 20;
SELECT count(*) FROM manual_part;
INSERT INTO manual VALUES ('de', 1, 'Lampe', 'Rot heisst leer. Gelb heisst fast leer. Blau heisst voll.');
CALL memai.run_jobs();
SELECT lang, nr, chunk, content FROM manual_part ORDER BY 1, 2, 3;
-- other chunks
SELECT memai.alter_vectorizer('manual', chunking => '{"size": 60, "overlap": 0, "unit": "characters"}');
CALL memai.run_jobs();
SELECT lang, nr, chunk, content FROM manual_part ORDER BY 1, 2, 3;
SELECT memai.pause_vectorizer('manual');
INSERT INTO manual VALUES ('en', 5, 'Late', 'Late text.');
CALL memai.run_jobs();
SELECT paused, pending FROM memai.vectorizer_status;
SELECT memai.resume_vectorizer('manual');
-- names change
ALTER TABLE manual RENAME TO handbook;
ALTER TABLE manual_part RENAME TO handbook_part;
ALTER TABLE handbook RENAME COLUMN body TO words;
CALL memai.run_jobs();
SELECT lang, nr, chunk, content FROM handbook_part WHERE nr = 5;
TRUNCATE handbook;
SELECT count(*) FROM handbook_part;
SELECT memai.drop_vectorizer('manual', drop_vectors => true);
SELECT to_regclass('handbook_part');
-- the table's name by default; what is refused
CREATE TABLE note (id integer PRIMARY KEY, x text);
INSERT INTO note SELECT 1, string_agg('Sentence ' || n || ' of many.', ' ' ORDER BY n) FROM generate_series(1, 100) n;
SELECT memai.create_vectorizer('note', '{x}', chunking => '{"size": 0}');
SELECT memai.create_vectorizer('note', '{x}', chunking => '{"length": 10}');
SELECT memai.create_vectorizer('note', '{x}', chunking => '[]');
SELECT memai.create_vectorizer('note', '{x}', chunking => '{}');
CALL memai.run_jobs();
SELECT count(*) > 1 AS parted, min(chunk), max(chunk) = count(*) AS numbered FROM note_chunk;
SELECT memai.create_vectorizer('note', '{x}', name => 'whole');
SELECT memai.alter_vectorizer('whole', chunking => '{}');
SELECT memai.drop_vectorizer('whole');
SELECT memai.drop_vectorizer('note');
RESET ROLE;
DELETE FROM memai.job;
DROP TABLE before;
DROP SCHEMA chunked CASCADE;
SELECT count(*) FROM memai._vectorizer_queue;
DROP ROLE regress_memai_chunk_ann;
