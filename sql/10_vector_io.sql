-- vector: text, binary, type modifier, storage.  TY1 to TY7.
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE command INTO result;
	RETURN coalesce(left(result, 60), 'NULL');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || left(SQLERRM, 120) || CASE WHEN length(SQLERRM) > 120 THEN ' (' || length(SQLERRM) || ')' ELSE '' END;
END $$;

-- text in and out
SELECT '[1,2,3]'::vector, '[-0,+1,.5,1.,1e3,1E-3,0x10]'::vector, E' \t\n[ 1 ,\r 2\f]\x0b '::vector;
SELECT '[3.4028235e38,-3.4028235e38,1.4e-45,1.1754944e-38,0.1,16777217,1e-46]'::vector;
SELECT '[0.1,1e21,1e-7,123456.79,-0]'::vector::text;
SELECT bad, pg_temp.try(format('SELECT %L::vector', bad)) FROM unnest(ARRAY[
	'', ' ', '1', '[', '[]', '[ ]', ']', '[1', '[1,', '[1,]', '[,1]', '[1,,2]', '[1 2]', '[a]', '[1a]', '[0x]', '[1]]', '[1] 2', '{1}',
	'[nan]', '[-NaN]', '[inf]', '[-infinity]', '[1e400]', '[-1e39]', U&'[1\00A02]', U&'[\22121]', U&'[\FF11]', '[1;2]', '[--1]', '[1e]', '[e1]',
	'[1', '[[1]]']) AS bad;

-- what was wrong is not repeated in full
SELECT pg_temp.try(format('SELECT %L::vector', '[' || repeat('7', 1048576) || ']'));
SELECT pg_temp.try(format('SELECT %L::vector', '[x' || repeat('é', 100000)));
SELECT pg_temp.try(format('SELECT %L::vector', '[' || repeat('1,', 16000) || '1]'));
SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::vector);

-- round trips of many values: text, binary, text through jsonb and arrays
CREATE TEMPORARY TABLE patterns AS
SELECT i, float4recv AS f FROM (
	SELECT i, ('x' || lpad(to_hex((i * 2654435761) % 4294967296), 8, '0'))::bit(32)::int AS bits FROM generate_series(1, 20000) i) b,
	LATERAL (SELECT CASE WHEN (bits >> 23) & 255 BETWEEN 1 AND 254
		THEN ((1 + (bits & 8388607) / 8388608.0::float8) * 2::float8 ^ (((bits >> 23) & 255) - 127) * sign(bits))::float4 END) AS p(float4recv);
SELECT count(*) > 19000 AS many, bool_and(v::text::vector = v AND v::text::vector::text = v::text) AS text_is_exact,
	bool_and((v::real[])[1] = f) AS array_is_exact, bool_and(v::jsonb::vector = v) AS jsonb_is_exact
FROM (SELECT f, ARRAY[f, -f]::vector AS v FROM patterns WHERE f IS NOT NULL) s;
SET extra_float_digits = -15;
SELECT '[0.1,3.4028235e38]'::vector;
RESET extra_float_digits;

-- binary form: int16 dimensions, int16 zero, float4, big-endian
SELECT vector_send('[1,-2,0.5]'), vector_send('[-0,1.4e-45]');

-- type modifier
CREATE TEMPORARY TABLE t (v vector(3), plain vector);
SELECT format_type('vector'::regtype, 3), pg_typeof('[1]'::vector(1));
INSERT INTO t VALUES ('[1,2,3]', '[1]'), (ARRAY[1, 2, 3], ARRAY[1.5]);
SELECT m, pg_temp.try(format('SELECT NULL::vector(%s)', m)) FROM unnest(ARRAY['1', '16000', '0', '-1', '16001', '2147483648', '1,2', '''a''']) AS m;
SELECT pg_temp.try(q) FROM unnest(ARRAY[
	'INSERT INTO t (v) VALUES (''[1,2]'') RETURNING v', 'INSERT INTO t (v) VALUES (ARRAY[1,2]) RETURNING v', 'INSERT INTO t (v) SELECT plain FROM t RETURNING v',
	'SELECT ''[1,2,3]''::vector::vector(2)', 'SELECT (''[1,2,3]''::vector(3))::vector(3)', 'SELECT ''{"[1,2]"}''::vector(3)[]',
	'SELECT vector(''[1,2]'', 2, true)', 'SELECT vector(''[1,2]'', 3, true)', 'SELECT vector(''[1,2]'', -1, true)']) AS q;
ALTER TABLE t ALTER plain TYPE vector(2);
ALTER TABLE t ALTER v TYPE vector(3), ALTER v SET STORAGE plain;
SELECT attname, attstorage, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0;
SELECT typname, typstorage, typalign, typlen FROM pg_type WHERE typname IN ('vector', 'halfvec', 'sparsevec') ORDER BY 1;
DROP TABLE t;

-- every way a value can be stored reads the same
CREATE TEMPORARY TABLE stored (how text, a vector, h halfvec, s sparsevec);
ALTER TABLE stored ALTER a SET STORAGE external, ALTER h SET STORAGE extended, ALTER s SET STORAGE main;
CREATE TEMPORARY TABLE value AS SELECT array_agg((i % 7)::real ORDER BY i)::vector(4000) AS v FROM generate_series(1, 4000) i;
INSERT INTO stored SELECT 'toasted', v, v, v FROM value;
INSERT INTO stored VALUES ('short', '[1,2,3]', '[1,2,3]', '[1,2,3]'::vector);
SELECT how, pg_column_size(a) AS a, pg_column_size(h) < vector_dims(h) * 2 AS h_is_compressed, pg_column_size(s) < 1000 OR how = 'toasted' AS s,
	a = h::vector AND h = s::halfvec AND s = a::sparsevec AS equal, a <-> h::vector AS l2, a::sparsevec <=> s AS cosine,
	l2_norm(a) = l2_norm(s) AS norm, vector_dims(h), left(subvector(a, 2, 3)::text, 10) AS part, vector_hash(a) = vector_hash(a::real[]::vector) AS hash
FROM stored ORDER BY how;
SELECT how, length(a::text) = length(h::text) AS text, avg(a) OVER () IS NOT NULL AS average FROM stored WHERE how = 'toasted';

-- equal values have equal bytes: no padding shows
SELECT count(DISTINCT md5(vector_send(v))) = 1 AS vector, count(DISTINCT md5(halfvec_send(v::halfvec))) = 1 AS halfvec, count(DISTINCT md5(sparsevec_send(v::sparsevec))) = 1 AS sparsevec
FROM (SELECT v FROM (VALUES ('[1,0,2]'::vector), (ARRAY[1, 0, 2]::vector), ('[1,0]'::vector || '[2]'), (subvector('[9,1,0,2]'::vector, 2, 3)), ('{1:1,3:2}/3'::sparsevec::vector),
	('[1,0,2]'::halfvec::vector), ('[1,0,2]'::jsonb::vector), ('[1,-1,1]'::vector + '[0,1,1]')) AS x(v)) y;
DROP TABLE stored, value, patterns;
