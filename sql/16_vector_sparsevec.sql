-- sparsevec: text, binary, type modifier, functions
SELECT '{1:1.5,3:-2}/5'::sparsevec, '{3:1,1:2}/3'::sparsevec, '{1:0}/1'::sparsevec, ' { 1 : 1 } / 2 '::sparsevec, '{}/1000000000'::sparsevec, '{1000000000:1}/1000000000'::sparsevec;
SELECT sparsevec_send('{1:1.5,3:-2}/5'), sparsevec_send('{}/2');
SELECT '{1:3}/2'::sparsevec <-> '{2:4}/2' AS l2, '{1:1,2:2}/2'::sparsevec <#> '{2:4}/2' AS ip, '{1:1}/2'::sparsevec <=> '{2:1}/2' AS cosine, '{1:3}/2'::sparsevec <+> '{2:-4}/2' AS l1, '{}/2'::sparsevec <=> '{1:1}/2' AS zero;
SELECT sparsevec_l2_squared_distance('{1:3}/2', '{2:4}/2'), sparsevec_negative_inner_product('{1:1}/2', '{1:2}/2'), inner_product('{}/2'::sparsevec, '{}/2'), l2_norm('{1:3,9:4}/9'::sparsevec), l2_normalize('{1:3,9:4}/9'::sparsevec), l2_normalize('{1:1e-40,2:1e38}/2'::sparsevec), l2_normalize('{}/2'::sparsevec), vector_dims('{}/7'::sparsevec);
-- the same as dense
SELECT bool_and(a::sparsevec <-> b::sparsevec = a <-> b AND a::sparsevec <#> b::sparsevec = a <#> b AND a::sparsevec <+> b::sparsevec = a <+> b
	AND (a::sparsevec <=> b::sparsevec) IS NOT DISTINCT FROM (a <=> b)) AS as_dense, bool_and(a::sparsevec::text::sparsevec::vector = a) AS round_trip
FROM (SELECT ARRAY[i % 3 - 1, i % 5 - 2, 0, i % 2, i % 7 - 3]::vector AS a, ARRAY[i % 4 - 1, 0, i % 3, i % 5 - 2, 1]::vector AS b FROM generate_series(1, 500) i) s;
SELECT avg(s::vector)::sparsevec FROM (VALUES ('{1:1}/2'::sparsevec), ('{1:3}/2')) x(s);
\set VERBOSITY terse
SELECT '{1:1'::sparsevec;
SELECT '{1:1}'::sparsevec;
SELECT '{1:1}/'::sparsevec;
SELECT '{1:1}/2 x'::sparsevec;
SELECT '[1]'::sparsevec;
SELECT '{0:1}/2'::sparsevec;
SELECT '{3:1}/2'::sparsevec;
SELECT '{-2147483648:1}/2'::sparsevec;
SELECT '{99999999999999999999:1}/2'::sparsevec;
SELECT '{1:1,1:2}/2'::sparsevec;
SELECT '{1:nan}/2'::sparsevec;
SELECT '{1:-inf}/2'::sparsevec;
SELECT '{1:1e39}/2'::sparsevec;
SELECT '{1:1e-50}/2'::sparsevec;
SELECT '{}/0'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
SELECT '{}/2'::sparsevec(3);
SELECT NULL::sparsevec(1000000001);
SELECT '{}/2'::sparsevec <-> '{}/3';
SELECT left(('{' || string_agg(i || ':1', ',') || '}/99999'), 0)::text, ('{' || string_agg(i || ':1', ',') || '}/99999')::sparsevec FROM generate_series(1, 16001) i;
SELECT vector_dims(('{' || string_agg(i || ':1', ',') || '}/99999')::sparsevec) FROM generate_series(1, 16000) i;
