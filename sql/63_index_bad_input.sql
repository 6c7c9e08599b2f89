-- what an index cannot take, and values at the edge of what it can
SET client_min_messages = warning;
CREATE SCHEMA index_test;
SET search_path = index_test, public, memai;
SET enable_seqscan = off;
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE TABLE item (id integer, v vector, w vector(3), n numeric, j jsonb);

-- definitions
CREATE INDEX ON item USING memai (v vector_l2_ops, w vector_l2_ops);
CREATE INDEX ON item USING memai (w vector_l2_ops, id);
CREATE INDEX ON item USING memai (n, w vector_l2_ops);
CREATE INDEX ON item USING memai (id);
CREATE UNIQUE INDEX ON item USING memai (w vector_l2_ops);
CREATE INDEX ON item USING memai (w vector_l2_ops) INCLUDE (id);
CREATE INDEX ON item USING memai (w vector_l2_ops) WITH (refine_bits = 5);
CREATE INDEX ON item USING memai (w vector_l2_ops) WITH (list_size = 1);
CREATE INDEX ON item USING memai (w vector_l2_ops) WITH (dimensions = 7809);
CREATE TABLE wide (v vector(7809));
CREATE INDEX ON wide USING memai (v vector_l2_ops);
SET memai.probes = -1;
SET memai.target_recall = 2;
SET memai.iterative_scan = 'always';

-- dimensions of an untyped column come from the first row
CREATE INDEX item_v ON item USING memai (v vector_cosine_ops);
INSERT INTO item (id, v) VALUES (1, '[1,0,0]'), (2, '[0,1,0]'), (3, NULL), (4, '[0,0,0]'), (5, '[1,1,0]');
INSERT INTO item (id, v) VALUES (6, '[1,0]');
SELECT id FROM item ORDER BY v <=> '[1,0]';
SELECT memai_index_check('item_v', true);
-- a zero vector and a null have no angle: not in the index
SELECT id FROM item ORDER BY v <=> '[1,0,0]';
-- a query without an angle: every row of the index, in any order
SELECT count(*) FROM (SELECT id FROM item ORDER BY v <=> '[0,0,0]') x;
SELECT count(*) FROM (SELECT id FROM item ORDER BY v <=> NULL::vector) x;
CREATE INDEX item_v2 ON item USING memai (v vector_l2_ops) WITH (dimensions = 4);
DROP INDEX item_v;
-- with other distances a zero vector is a row like any other
CREATE INDEX item_v ON item USING memai (v vector_l2_ops);
SELECT id FROM item ORDER BY v <-> '[0,0,0]' LIMIT 1;
SELECT memai_index_check('item_v', true);

-- equal rows, few and many
CREATE TABLE equal (id integer, v vector(8));
INSERT INTO equal SELECT n, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 20000) n;
CREATE INDEX equal_v ON equal USING memai (v vector_l2_ops) WITH (flat_size = 500, list_size = 50);
SELECT memai_index_check('equal_v', true);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM equal ORDER BY v <-> '[1,1,1,1,1,1,1,1]') x;
INSERT INTO equal SELECT n, '[1,2,3,4,5,6,7,8]' FROM generate_series(20001, 25000) n;
VACUUM equal;
SELECT memai_index_check('equal_v', true);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM equal ORDER BY v <-> '[1,1,1,1,1,1,1,1]') x;

-- one dimension, very large and very small numbers
CREATE TABLE line (id integer, v vector(1));
INSERT INTO line SELECT n, ARRAY[n]::vector FROM generate_series(1, 500) n;
CREATE INDEX line_v ON line USING memai (v vector_l2_ops);
SELECT id FROM line ORDER BY v <-> '[250.4]' LIMIT 3;
CREATE TABLE extreme (id integer, v vector(2));
INSERT INTO extreme VALUES (1, '[1e30,1e30]'), (2, '[1e-30,1e-30]'), (3, '[3e38,-3e38]'), (4, '[0,0]'), (5, '[1,1]');
CREATE INDEX extreme_l2 ON extreme USING memai (v vector_l2_ops);
SELECT count(*) FROM (SELECT id FROM extreme ORDER BY v <-> '[1,1]') x;
DROP INDEX extreme_l2;
CREATE INDEX extreme_cosine ON extreme USING memai (v vector_cosine_ops);
SELECT count(*) FROM (SELECT id FROM extreme ORDER BY v <=> '[1,1]') x;

-- the most dimensions
CREATE TABLE most (id integer, v vector(7808));
INSERT INTO most SELECT n, array_agg(sin(n * j)::real)::vector FROM generate_series(1, 20) n, generate_series(1, 7808) j GROUP BY n;
CREATE INDEX most_v ON most USING memai (id, v vector_cosine_ops);
SELECT memai_index_check('most_v', true);
INSERT INTO most SELECT 3, array_agg(cos(n * j)::real)::vector FROM generate_series(1, 20) n, generate_series(1, 7808) j GROUP BY n;
SELECT memai_index_check('most_v', true);
SELECT count(*) FROM (SELECT FROM most WHERE id = 3 ORDER BY v <=> (SELECT v FROM most WHERE id = 5)) x;

-- inspection of what is not ours
SELECT memai_index_check('pg_class_oid_index', false);
SELECT memai_index_check('item', false);
SELECT memai_index_info('pg_class_oid_index');
-- found with and without the schema memai in the search path; who owns the table may look if he may call it
SET search_path = index_test, public;
SELECT memai_index_check('most_v'), (memai_index_info('most_v')).live_entries;
CREATE ROLE regress_index_owner;
CREATE ROLE regress_index_other;
GRANT USAGE, CREATE ON SCHEMA index_test TO regress_index_owner, regress_index_other;
GRANT USAGE ON SCHEMA memai TO regress_index_owner, regress_index_other;
ALTER TABLE most OWNER TO regress_index_owner;
SET ROLE regress_index_owner;
SELECT memai_index_check('most_v', true);
RESET ROLE;
GRANT memai_admin TO regress_index_owner, regress_index_other;
SET ROLE regress_index_owner;
SELECT memai_index_check('most_v', true), memai.memai_index_check('most_v', heap_all_indexed => true);
SET ROLE regress_index_other;
SELECT memai_index_check('most_v', true);
SELECT live_entries FROM memai_index_info('most_v');
RESET ROLE;
ALTER TABLE most OWNER TO CURRENT_USER;
DROP OWNED BY regress_index_owner, regress_index_other;
DROP ROLE regress_index_owner, regress_index_other;
DROP SCHEMA index_test CASCADE;
