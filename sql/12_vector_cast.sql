-- casts between the types, arrays and jsonb
SELECT ARRAY[1, 2]::vector, ARRAY[1.5, 2]::vector, '{1,2}'::real[]::vector, '{1,2}'::float8[]::vector, '[2:3]={1,2}'::real[]::vector;
SELECT '[1,2]'::vector::real[], '[1,2]'::halfvec::real[], '[1,65504]'::vector::halfvec, '[0,1,0]'::vector::sparsevec, '[0,1,0]'::halfvec::sparsevec, '{2:1}/3'::sparsevec::vector, '{2:1}/3'::sparsevec::halfvec;
SELECT '[1, 2.5, -3e2]'::jsonb::vector, '[1, 2.5]'::jsonb::halfvec, '[0.1,3.4028235e38,1e-45]'::vector::jsonb, '[0.1]'::halfvec::jsonb, '[1,2]'::jsonb::vector(2);
SELECT ARRAY[1, 2] = ARRAY[1, 2] AS arrays_still_compare, '[1]'::jsonb = '[1]' AS jsonb_still_compares;

-- how each cast may be used: e explicit, a in assignment, i anywhere
SELECT castsource::regtype::text AS source, casttarget::regtype::text AS target, castcontext AS context FROM pg_cast
WHERE 'vector'::regtype IN (castsource, casttarget) OR 'halfvec'::regtype IN (castsource, casttarget) OR 'sparsevec'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";

-- every producer against every bad value: nothing gets through.  TY8
CREATE FUNCTION pg_temp.state(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE command INTO result;
	RETURN CASE WHEN result IS NULL THEN 'NULL' ELSE 'accepted: ' || left(result, 30) END;
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
SELECT type, producer, pg_temp.state(format(producer, 'NaN', type)) AS nan, pg_temp.state(format(producer, 'Infinity', type)) AS infinity, pg_temp.state(format(producer, '-Infinity', type)) AS minus_infinity, pg_temp.state(format(producer, '1e39', type)) AS too_large
FROM unnest(ARRAY['vector', 'halfvec', 'sparsevec']) WITH ORDINALITY AS t(type, i), unnest(ARRAY[
	'SELECT ''[1,%1$s]''::vector::%2$s', 'SELECT ''[1,%1$s]''::halfvec::%2$s', 'SELECT ''{1:%1$s}/2''::sparsevec::%2$s',
	'SELECT ''{1,%1$s}''::float8[]::%2$s', 'SELECT ''{1,%1$s}''::numeric[]::%2$s', 'SELECT ''{1,%1$s}''::float8[]::float4[]::%2$s']) WITH ORDINALITY AS p(producer, j) ORDER BY i, j;
SELECT producer, pg_temp.state(producer) FROM unnest(ARRAY[
	'SELECT vector_avg(ARRAY[1,''NaN'']::float8[])', 'SELECT vector_avg(ARRAY[1,''Infinity'']::float8[])', 'SELECT vector_avg(ARRAY[1e-300,1e300]::float8[])', 'SELECT _vector_sum(ARRAY[1,''NaN'']::float8[])', 'SELECT _vector_sum(ARRAY[1,1e39]::float8[])',
	'SELECT halfvec_avg(ARRAY[1,''NaN'']::float8[])', 'SELECT halfvec_avg(ARRAY[1,65520]::float8[])', 'SELECT _halfvec_sum(ARRAY[1,65520]::float8[])', 'SELECT vector_avg(ARRAY[''NaN'',1]::float8[])',
	'SELECT vector_avg(array_fill(1::float8, ARRAY[16002]))', 'SELECT vector_avg(ARRAY[1]::float8[])', 'SELECT vector_accum(ARRAY[1,NULL]::float8[], ''[1]'')', 'SELECT vector_combine(''{{1}}'', ''{1}'')', 'SELECT vector_combine(''{}'', ''{1}'')',
	'SELECT vector_combine(''{1,1e308}'', ''{1,1e308}'')', 'SELECT vector_accum(NULL, ''[1]'')', 'SELECT halfvec_combine(array_fill(1::float8, ARRAY[16002]), ''{0}'')',
	'SELECT ''[3e38]''::vector + ''[3e38]''', 'SELECT ''[65504]''::halfvec + ''[65504]''', 'SELECT ''[65504]''::halfvec * ''[2]''', 'SELECT ''[1e-7]''::halfvec * ''[1e-7]''', 'SELECT ''[65520]''::vector::halfvec', 'SELECT ''{1:65520}/1''::sparsevec::halfvec',
	'SELECT ''[]''::jsonb::vector', 'SELECT ''{}''::jsonb::vector', 'SELECT ''1''::jsonb::vector', 'SELECT ''null''::jsonb::vector', 'SELECT ''[null]''::jsonb::vector', 'SELECT ''["1"]''::jsonb::vector', 'SELECT ''[[1]]''::jsonb::vector', 'SELECT ''[true]''::jsonb::vector',
	'SELECT ''[1e400]''::jsonb::vector', 'SELECT ''[1e39]''::jsonb::vector', 'SELECT ''[65520]''::jsonb::halfvec', 'SELECT ''[1,2]''::jsonb::vector(3)', 'SELECT jsonb_agg(1)::vector FROM generate_series(1,16001)', 'SELECT ''[1,2]''::jsonb::halfvec(3)',
	'SELECT ''{}''::int[]::vector', 'SELECT ''{{1,2},{3,4}}''::int[]::vector', 'SELECT ''{NULL}''::int[]::vector', 'SELECT ''{{1}}''::int[]::halfvec', 'SELECT ''{}''::int[]::sparsevec', 'SELECT array_fill(1,ARRAY[16001])::vector', 'SELECT array_fill(1,ARRAY[16001])::halfvec', 'SELECT array_fill(1,ARRAY[16001])::sparsevec',
	'SELECT vector_dims(array_fill(0,ARRAY[16001])::sparsevec)', 'SELECT ''{}/16001''::sparsevec::vector', 'SELECT ''{}/16001''::sparsevec::halfvec', 'SELECT ''[1,2]''::vector::sparsevec(3)', 'SELECT ''[1,2]''::vector::halfvec(3)', 'SELECT ''{1:1}/2''::sparsevec::vector(3)', 'SELECT ''[1]''::halfvec::vector(2)']) WITH ORDINALITY AS p(producer, i) ORDER BY i;
