-- every operator class of the access method memai: valid, and the index finds
-- what a scan of the table finds
SET client_min_messages = warning;
CREATE SCHEMA index_test;
SET search_path = index_test, public, memai;
SELECT opcname, amvalidate(o.oid) FROM pg_opclass o JOIN pg_am a ON a.oid = opcmethod
WHERE amname = 'memai' ORDER BY 1;

-- clustered vectors that depend on the seed alone
CREATE FUNCTION vec(seed integer, dim integer) RETURNS real[] LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT array_agg((sin(j * (seed % 23 + 1) * 0.7) + 0.3 * sin(seed * 12.9898 + j * 78.233))::real ORDER BY j)
	FROM generate_series(1, dim) j;
END;
CREATE TABLE item (id integer, v vector(24), h halfvec(24));
INSERT INTO item SELECT i, x, x::vector::halfvec FROM (SELECT i, vec(i, 24)::vector AS x FROM generate_series(1, 2000) i) s;

-- the distances of the nearest rows with and without the index; all lists are read
CREATE FUNCTION same_answers(col text, op text, lim integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q text;
	with_index double precision[];
	without double precision[];
	wrong integer := 0;
BEGIN
	PERFORM set_config('memai.probes', '1000000', true), set_config('memai.epsilon', '6', true);
	FOR i IN 1..25 LOOP
		q := format('SELECT array_agg(d) FROM (SELECT %1$I %2$s %3$L AS d FROM item ORDER BY %1$I %2$s %3$L LIMIT %4$s) s',
			col, op, vec(i * 7919, 24)::vector::text, lim);
		PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
		EXECUTE q INTO with_index;
		PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
		EXECUTE q INTO without;
		wrong := wrong + (with_index IS DISTINCT FROM without)::integer;
	END LOOP;
	RETURN CASE wrong WHEN 0 THEN 'same' ELSE wrong || ' of 25 differ' END;
END $$;
CREATE FUNCTION try_class(col text, class text, op text, options text) RETURNS TABLE (built text, inserted text, lists bigint)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE INDEX i ON item USING memai (%I %s) %s', col, class, options);
	built := same_answers(col, op, 10);
	PERFORM memai_index_check('i', true);
	DROP INDEX i;
	CREATE TEMPORARY TABLE copy AS SELECT * FROM item;
	TRUNCATE item;
	EXECUTE format('CREATE INDEX i ON item USING memai (%I %s) %s', col, class, options);
	INSERT INTO item SELECT * FROM copy;
	DROP TABLE copy;
	inserted := same_answers(col, op, 10);
	PERFORM memai_index_check('i', true);
	lists := (memai_index_info('i')).lists;
	DROP INDEX i;
	RETURN NEXT;
END $$;
SELECT * FROM try_class('v', 'vector_cosine_ops', '<=>', '');
SELECT * FROM try_class('v', 'vector_l2_ops', '<->', '');
SELECT * FROM try_class('v', 'vector_ip_ops', '<#>', '');
SELECT * FROM try_class('h', 'halfvec_cosine_ops', '<=>', '');
SELECT * FROM try_class('h', 'halfvec_l2_ops', '<->', '');
SELECT * FROM try_class('h', 'halfvec_ip_ops', '<#>', '');

-- with lists: small limits make the same rows into a route
SELECT built, inserted, lists > 4 AS lists FROM try_class('v', 'vector_cosine_ops', '<=>', 'WITH (flat_size = 200, list_size = 50)');
SELECT built, inserted, lists > 4 AS lists FROM try_class('v', 'vector_l2_ops', '<->', 'WITH (flat_size = 200, list_size = 50, refine_bits = 4)');
SELECT built, inserted, lists > 4 AS lists FROM try_class('v', 'vector_ip_ops', '<#>', 'WITH (flat_size = 200, list_size = 50, refine_bits = 0)');
SELECT built, inserted, lists > 4 AS lists FROM try_class('h', 'halfvec_cosine_ops', '<=>', 'WITH (flat_size = 200, list_size = 50)');

DROP SCHEMA index_test CASCADE;
