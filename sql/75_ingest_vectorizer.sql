-- Vectors of the rows of user tables: what waits, what is made, and for whom.
CREATE ROLE vec_ann LOGIN IN ROLE memai_user;
CREATE ROLE vec_bob LOGIN IN ROLE memai_user;
CREATE ROLE vec_app LOGIN;
CREATE SCHEMA vec AUTHORIZATION vec_ann;
GRANT USAGE ON SCHEMA vec TO vec_bob, vec_app;
SET ROLE vec_ann;
SET search_path = vec, public;

-- into a column of the table
CREATE TABLE article (id bigint PRIMARY KEY, title text, body text, views integer DEFAULT 0);
INSERT INTO article SELECT i, 'title ' || i, 'body ' || i FROM generate_series(1, 5) i;
SELECT memai.create_vectorizer('article', '{title,body}', '{title}: {body} {{as is}}');
SELECT name, source, model, pending, failed, done FROM memai.vectorizer_status;
SELECT status, user_id, namespace, model, payload, submitted_by FROM memai.job;
CALL memai.run_jobs();
SELECT id, embedding = memai.embed(title || ': ' || body || ' {as is}') AS right, embedding_hash IS NOT NULL AS hash FROM article ORDER BY id;
SELECT pending, failed, done, rate > 0 AS rate FROM memai.vectorizer_status;
SELECT status, result, done, total FROM memai.job;
DELETE FROM memai.job;

-- only what changes a chosen column waits
RESET ROLE;
CREATE VIEW vec.waiting AS SELECT v.name, array_agg(q.key ORDER BY q.key) AS keys
	FROM memai._vectorizer_queue q JOIN memai.vectorizer v ON v.id = q.vectorizer GROUP BY v.name;
GRANT SELECT ON vec.waiting TO vec_ann;
SET ROLE vec_ann;
UPDATE article SET views = views + 1;
UPDATE article SET title = title;
SELECT * FROM waiting;
UPDATE article SET title = 'new' WHERE id <= 2;
UPDATE article SET body = NULL WHERE id = 2;
INSERT INTO article VALUES (6, NULL, ''), (7, 'seven', NULL);
UPDATE article SET id = 30 WHERE id = 3;
DELETE FROM article WHERE id = 4;
MERGE INTO article a USING (VALUES (5, 'merged'), (8, 'merged')) AS s (id, title) ON a.id = s.id
	WHEN MATCHED THEN UPDATE SET title = s.title WHEN NOT MATCHED THEN INSERT (id, title) VALUES (s.id, s.title);
SELECT * FROM waiting;
SELECT pending, oldest <= now() AS oldest, time_left > interval '0' AS time_left FROM memai.vectorizer_status;
SELECT count(*) AS jobs, count(DISTINCT payload) FROM memai.job;
CALL memai.run_jobs();
SELECT count(*) AS jobs, sum((result->>'rows')::integer) AS rows FROM memai.job;
SELECT id, embedding = memai.embed(concat(title, ': ', body, ' {as is}')) AS right FROM article ORDER BY id;
SELECT * FROM waiting;
-- a transaction has one job, a rollback none
DELETE FROM memai.job;
BEGIN;
UPDATE article SET title = 'a' WHERE id = 1;
UPDATE article SET title = 'b' WHERE id = 1;
SAVEPOINT s;
UPDATE article SET title = 'c' WHERE id = 2;
ROLLBACK TO s;
UPDATE article SET title = 'd' WHERE id = 5;
COMMIT;
SELECT * FROM waiting;
SELECT count(*) BETWEEN 1 AND 2 AS jobs FROM memai.job;
TRUNCATE article;
SELECT * FROM waiting;
CALL memai.run_jobs();
DELETE FROM memai.job;

-- nothing in a row, no vector
SELECT memai.alter_vectorizer('article', '{title,body}');
INSERT INTO article VALUES (1, 'some', 'text'), (2, NULL, NULL), (3, '', '');
CALL memai.run_jobs();
SELECT id, embedding = memai.embed(E'some\ntext') AS right FROM article ORDER BY id;
UPDATE article SET title = NULL, body = NULL WHERE id = 1;
CALL memai.run_jobs();
SELECT id, embedding IS NULL AS none FROM article ORDER BY id;

-- renamed columns and tables are followed
ALTER TABLE article RENAME COLUMN title TO "Überschrift; --";
ALTER TABLE article RENAME COLUMN embedding TO "the ""vector""";
ALTER TABLE article RENAME TO "Artikel '{""}";
INSERT INTO "Artikel '{""}" VALUES (9, 'neun', 'text');
CALL memai.run_jobs();
SELECT id, "the ""vector""" = memai.embed(E'neun\ntext') AS right FROM "Artikel '{""}" WHERE id = 9;
ALTER TABLE "Artikel '{""}" DROP COLUMN body;

-- pause, alter, drop
SELECT memai.pause_vectorizer('article');
DELETE FROM memai.job;
INSERT INTO "Artikel '{""}" VALUES (10, 'zehn', 'text');
CALL memai.run_jobs();
SELECT paused, pending FROM memai.vectorizer_status;
SELECT memai.resume_vectorizer('article');
CALL memai.run_jobs();
SELECT paused, pending FROM memai.vectorizer_status;
SELECT memai.alter_vectorizer('article', template => 'only {Überschrift; --}');
CALL memai.run_jobs();
SELECT id, "the ""vector""" = memai.embed('only ' || "Überschrift; --") AS right FROM "Artikel '{""}" WHERE id > 3 ORDER BY id;
SELECT done FROM memai.vectorizer_status;
SELECT memai.refresh_vectorizer('article');
CALL memai.run_jobs();
SELECT pending, done FROM memai.vectorizer_status;
SELECT memai.drop_vectorizer('article', drop_vectors => true);
SELECT attname FROM pg_attribute WHERE attrelid = '"Artikel ''{""}"'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT tgname FROM pg_trigger WHERE tgrelid = '"Artikel ''{""}"'::regclass;
DROP TABLE "Artikel '{""}";
DELETE FROM memai.job;

-- a key of several columns of any type, and a table for the vectors
CREATE TABLE note ("the day" timestamptz, code char(3), part uuid, txt text, PRIMARY KEY ("the day", code, part));
INSERT INTO note VALUES ('2026-01-01 00:00+00', 'a,"', '00000000-0000-0000-0000-000000000001', 'one'),
	('2026-01-01 00:00+00', '{}', '00000000-0000-0000-0000-000000000001', 'two');
SET datestyle = 'SQL, DMY';
SELECT memai.create_vectorizer('note', '{txt}', destination_table => 'note_vector', name => 'notes');
INSERT INTO note VALUES ('01/02/2026 00:00+00', 'x', '00000000-0000-0000-0000-000000000002', 'three');
RESET datestyle;
CALL memai.run_jobs();
SELECT n.txt, v.content, v.embedding = memai.embed(n.txt) AS right FROM note n JOIN note_vector v USING ("the day", code, part) ORDER BY txt;
UPDATE note SET txt = 'uno' WHERE txt = 'one';
UPDATE note SET code = 'y' WHERE txt = 'two';
DELETE FROM note WHERE txt = 'three';
CALL memai.run_jobs();
SELECT n.txt, v.code, v.content, v.embedding = memai.embed(n.txt) AS right FROM note n FULL JOIN note_vector v USING ("the day", code, part) ORDER BY txt;
TRUNCATE note;
SELECT count(*) FROM note_vector;
-- the table goes while rows wait: the next job forgets the vectorizer
INSERT INTO note VALUES ('2026-02-01 00:00+00', 'x', '00000000-0000-0000-0000-000000000002', 'three');
DROP TABLE note;
DELETE FROM memai.job WHERE status <> 'waiting';
CALL memai.run_jobs();
SELECT status, result FROM memai.job;
SELECT count(*) FROM memai.vectorizer_status;
DROP TABLE note_vector;
DELETE FROM memai.job;

-- partitions, also when a statement names one
CREATE TABLE measured (region text, id integer, remark text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE measured_north PARTITION OF measured FOR VALUES IN ('north');
CREATE TABLE measured_south PARTITION OF measured FOR VALUES IN ('south');
INSERT INTO measured VALUES ('north', 1, 'cold'), ('south', 1, 'warm');
SELECT memai.create_vectorizer('measured', template => '{remark} in {region}');
INSERT INTO measured_north VALUES ('north', 2, 'windy');
UPDATE measured SET region = 'south', id = 3 WHERE remark = 'windy';
CALL memai.run_jobs();
SELECT region, id, embedding = memai.embed(remark || ' in ' || region) AS right FROM measured ORDER BY 1, 2;
SELECT memai.drop_vectorizer('measured');
SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'vec.measured%' OR tgrelid::regclass::text LIKE 'measured%';
DROP TABLE measured;
DELETE FROM memai.job;

-- a partition that is truncated takes its own vectors along; one that was detached none, though rows of its keys are back;
-- one that is attached is followed through the parent, and after refresh_vectorizer by its name too
CREATE TABLE measured (region text, id integer, remark text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE measured_north PARTITION OF measured FOR VALUES IN ('north');
CREATE TABLE measured_south PARTITION OF measured FOR VALUES IN ('south');
INSERT INTO measured VALUES ('north', 1, 'cold'), ('south', 1, 'warm');
SELECT memai.create_vectorizer('measured', '{remark}', destination_table => 'measured_vector');
CALL memai.run_jobs();
INSERT INTO measured VALUES ('south', 2, 'waits');
TRUNCATE measured_north;
SELECT region, id FROM measured_vector;
CALL memai.run_jobs();
SELECT region, id FROM measured_vector ORDER BY region, id;
INSERT INTO measured VALUES ('north', 2, 'windy');
ALTER TABLE measured DETACH PARTITION measured_north;
CREATE TABLE measured_new PARTITION OF measured FOR VALUES IN ('north');
INSERT INTO measured SELECT * FROM measured_north;
CALL memai.run_jobs();
DELETE FROM measured_north;
TRUNCATE measured_north;
INSERT INTO measured_north VALUES ('north', 9, 'nobody''s');
INSERT INTO measured_new VALUES ('north', 3, 'by the name of the partition');
CALL memai.run_jobs();
SELECT region, id FROM measured_vector ORDER BY region, id;
SELECT memai.refresh_vectorizer('measured');
INSERT INTO measured_new VALUES ('north', 4, 'by the name of the partition');
CALL memai.run_jobs();
SELECT region, id FROM measured_vector ORDER BY region, id;
-- and what is gone without a trigger, by refresh_vectorizer
ALTER TABLE measured DETACH PARTITION measured_new;
SELECT memai.refresh_vectorizer('measured');
SELECT region, id FROM measured_vector ORDER BY region, id;
TRUNCATE measured;
SELECT count(*) FROM measured_vector;
SELECT memai.drop_vectorizer('measured', true);
DROP TABLE measured, measured_north, measured_new;
DELETE FROM memai.job;

-- children that inherit are no rows of TRUNCATE ONLY
CREATE TABLE parent (id integer PRIMARY KEY, x text);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 'one');
INSERT INTO child VALUES (2, 'two');
SELECT memai.create_vectorizer('parent', '{x}', destination_table => 'parent_vector');
CALL memai.run_jobs();
TRUNCATE ONLY parent;
SELECT id, content FROM parent_vector;
SELECT memai.drop_vectorizer('parent', true);
DROP TABLE child, parent;
DELETE FROM memai.job;

-- another primary key: writers are warned and not held up, the job says what to do
CREATE TABLE keyed (id integer PRIMARY KEY, code uuid NOT NULL UNIQUE, x text);
INSERT INTO keyed SELECT i, md5(i::text)::uuid, 'text ' || i FROM generate_series(1, 3) i;
SELECT memai.create_vectorizer('keyed', '{x}'), memai.create_vectorizer('keyed', '{x}', name => 'beside', destination_table => 'keyed_vector');
CALL memai.run_jobs();
UPDATE keyed SET x = 'uno' WHERE id = 1;
ALTER TABLE keyed DROP CONSTRAINT keyed_pkey;
CALL memai.run_jobs();
SELECT payload->>'vectorizer' AS vectorizer, status, error, sqlstate FROM memai.job WHERE status <> 'done' ORDER BY 1;
ALTER TABLE keyed ADD PRIMARY KEY (code);
UPDATE keyed SET x = 'dos' WHERE id = 2;
DELETE FROM keyed WHERE id = 3;
DELETE FROM memai.job;
SELECT memai.refresh_vectorizer('keyed');
SELECT memai.refresh_vectorizer('beside');
CALL memai.run_jobs();
SELECT id, embedding = memai.embed(x) AS right FROM keyed ORDER BY id;
SELECT memai.drop_vectorizer('beside', true);
SELECT to_regclass('keyed_vector');
SELECT memai.create_vectorizer('keyed', '{x}', name => 'beside', destination_table => 'keyed_vector');
CALL memai.run_jobs();
SELECT content FROM keyed_vector ORDER BY content;
-- a type of the key that changes is another key, too
ALTER TABLE keyed ALTER COLUMN code TYPE text;
UPDATE keyed SET x = 'tres' WHERE id = 2;
-- the name of a table that was dropped is free again
DROP TABLE keyed_vector, keyed;
SELECT name, pending FROM memai.vectorizer_status ORDER BY name;
CREATE TABLE keyed (id integer PRIMARY KEY, x text);
SELECT memai.create_vectorizer('keyed', '{x}'), memai.create_vectorizer('keyed', '{x}', name => 'beside', destination => 'other');
SELECT memai.drop_vectorizer('keyed'), memai.drop_vectorizer('beside');
DROP TABLE keyed;
DELETE FROM memai.job;

-- a row that the table refuses fails alone (BW2); when it refuses every row, the job fails
CREATE TABLE picky (id integer PRIMARY KEY, x text, embedding vector(384), CONSTRAINT no_threes CHECK (id % 10 <> 3 OR embedding IS NULL));
INSERT INTO picky SELECT i, 'text ' || i FROM generate_series(1, 40) i;
SELECT memai.create_vectorizer('picky', '{x}');
CALL memai.run_jobs();
SELECT status, result FROM memai.job;
SELECT key, error, sqlstate FROM memai.vectorizer_errors ORDER BY key;
SELECT count(*) FROM picky WHERE embedding = memai.embed(x);
-- errors go with their rows
DELETE FROM picky WHERE id = 3;
UPDATE picky SET id = 100 WHERE id = 13;
SELECT pending, failed FROM memai.vectorizer_status;
ALTER TABLE picky DROP CONSTRAINT no_threes;
SELECT memai.retry_vectorizer('picky');
CALL memai.run_jobs();
SELECT pending, failed FROM memai.vectorizer_status;
SELECT count(*) FROM picky WHERE embedding IS DISTINCT FROM memai.embed(x);
UPDATE picky SET x = 'new ' || x, embedding = NULL;
ALTER TABLE picky ADD CONSTRAINT none CHECK (embedding IS NULL);
DELETE FROM memai.job WHERE status = 'done';
CALL memai.run_jobs();
SELECT status, sqlstate FROM memai.job;
SELECT pending, failed FROM memai.vectorizer_status;
SELECT memai.drop_vectorizer('picky');
DROP TABLE picky;
DELETE FROM memai.job;

-- columns that are there already and cannot hold the vectors; a type cannot change under the trigger, and need not be paid twice
CREATE TABLE taken (id integer PRIMARY KEY, x varchar(20), short vector(3), made vector GENERATED ALWAYS AS (NULL::vector) STORED, other vector, other_hash text);
SELECT memai.create_vectorizer('taken', '{x}', destination => 'short');
SELECT memai.create_vectorizer('taken', '{x}', destination => 'made');
SELECT memai.create_vectorizer('taken', '{x}', destination => 'other');
INSERT INTO taken VALUES (1, 'one');
SELECT memai.create_vectorizer('taken', '{x}');
CALL memai.run_jobs();
ALTER TABLE taken ALTER COLUMN x TYPE text;
SELECT memai.drop_vectorizer('taken');
ALTER TABLE taken ALTER COLUMN x TYPE text;
SELECT memai.create_vectorizer('taken', '{x}');
CALL memai.run_jobs();
SELECT pending, failed, done FROM memai.vectorizer_status;
SELECT embedding = memai.embed('one') AS right FROM taken;
SELECT memai.drop_vectorizer('taken');
DROP TABLE taken;
DELETE FROM memai.job;

-- it works with the owner's rights, whoever writes and whoever runs it
CREATE TABLE ticket (id integer PRIMARY KEY, subject text);
GRANT SELECT, INSERT, UPDATE ON ticket TO vec_app;
SELECT memai.create_vectorizer('ticket', '{subject}', index => true);
SELECT indexdef FROM pg_indexes WHERE tablename = 'ticket' AND indexname <> 'ticket_pkey';
RESET ROLE; SET ROLE vec_app;
INSERT INTO vec.ticket VALUES (1, 'printer on fire');
SELECT * FROM memai.vectorizer_status;
RESET ROLE;
SELECT tenant, submitted_by FROM memai.job ORDER BY id;
CALL memai.run_jobs();
SELECT subject, embedding IS NOT NULL AS vector FROM vec.ticket;
SELECT id FROM vec.ticket ORDER BY embedding OPERATOR(public.<=>) memai.embed('fire') LIMIT 1;
-- a superuser registers a table of hers: all of it is hers
SELECT memai.create_vectorizer('vec.ticket', '{subject}', destination_table => 'ticket_vector', name => 'second');
SELECT tableowner FROM pg_tables WHERE tablename = 'ticket_vector';
SELECT tenant, submitted_by FROM memai.job WHERE status = 'waiting';
CALL memai.run_jobs();
SELECT id, content FROM vec.ticket_vector;
SELECT memai.drop_vectorizer('second', true);
-- others see and change nothing of it
SET ROLE vec_bob;
SELECT count(*) FROM memai.vectorizer_status;
SELECT count(*) FROM memai.vectorizer;
SELECT memai.alter_vectorizer('ticket', template => '{id}');
SELECT memai.pause_vectorizer('ticket');
SELECT memai.refresh_vectorizer('ticket');
SELECT memai.retry_vectorizer('ticket');
SELECT memai.drop_vectorizer('ticket');
SELECT memai.create_vectorizer('vec.ticket', '{subject}', name => 'mine');
INSERT INTO memai.vectorizer (id, tenant, name, source, model) VALUES (99, 'vec_bob', 'evil', 'vec.ticket', 'm');
SELECT count(*) FROM memai._vectorizer_queue;
-- a job that somebody else submits does what the vectorizer says, as the owner would, or nothing
SELECT memai.submit_job('vectorize', '{"vectorizer": "ticket"}', user_id => 'u') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT memai.submit_job('vectorize', '{"vectorizer": "none"}', user_id => 'u') IS NOT NULL AS submitted;
SELECT memai.submit_job('vectorize', '{}', user_id => 'u') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT payload, status, result, error FROM memai.job ORDER BY payload;
RESET ROLE;
SELECT memai.submit_job('vectorize', '{"vectorizer": "ticket"}', user_id => 'root') IS NOT NULL AS submitted;
CALL memai.run_jobs();
SELECT status, error FROM memai.job WHERE user_id = 'root';
DELETE FROM memai.job;
SET ROLE vec_ann;

-- arguments
CREATE VIEW v AS SELECT 1 AS id;
CREATE TEMPORARY TABLE t (id integer PRIMARY KEY, x text);
CREATE TABLE nokey (x text);
SELECT memai.create_vectorizer('v', '{id}');
SELECT memai.create_vectorizer('t', '{x}');
SELECT memai.create_vectorizer('nokey', '{x}');
SELECT memai.create_vectorizer('pg_class', '{relname}');
SELECT memai.create_vectorizer('ticket', '{subject}');
SELECT memai.create_vectorizer('ticket', '{absent}', name => 'second');
SELECT memai.create_vectorizer('ticket', '{}', name => 'second');
SELECT memai.create_vectorizer('ticket', name => 'second');
SELECT memai.create_vectorizer('ticket', template => 'a {subject', name => 'second');
SELECT memai.create_vectorizer('ticket', template => 'a } b', name => 'second');
SELECT memai.create_vectorizer('ticket', template => '{subject} {ctid}', name => 'second');
SELECT memai.create_vectorizer('ticket', '{subject}', destination => 'subject', name => 'second');
SELECT memai.create_vectorizer('ticket', '{subject}', destination_table => 'nokey', name => 'second');
SELECT memai.create_vectorizer('ticket', '{subject}', model => 'no such model', name => 'second');
SELECT memai.create_vectorizer('ticket', '{subject}', name => repeat('x', 33));
SELECT memai.create_vectorizer(NULL);
SELECT memai.alter_vectorizer('absent', '{subject}');
SELECT memai.drop_vectorizer('absent');
-- the list of columns protects them
ALTER TABLE ticket DROP COLUMN subject;
DROP TRIGGER memai_vectorizer_columns_ticket ON ticket;
SELECT memai.alter_vectorizer('ticket', template => '{subject}');
INSERT INTO ticket VALUES (2, 'no trigger');
SELECT memai.drop_vectorizer('ticket');

DROP VIEW v;
DROP TABLE t, nokey, ticket;
RESET ROLE;
DELETE FROM memai.job;
DROP SCHEMA vec CASCADE;
SELECT count(*) FROM memai._vectorizer_queue;
DROP ROLE vec_ann, vec_bob, vec_app;
