-- vector: distances, norms, arithmetic, parts, similarity.  TY9.
SELECT l2_distance('[0,0]'::vector, '[3,4]'), inner_product('[1,2]'::vector, '[3,4]'), cosine_distance('[1,0]'::vector, '[0,2]'), l1_distance('[0,0]'::vector, '[3,-4]');
SELECT '[0,0]'::vector <-> '[3,4]' AS l2, '[1,2]'::vector <#> '[3,4]' AS ip, '[1,2]'::vector <=> '[-2,-4]' AS cosine, '[0,0]'::vector <+> '[3,-4]' AS l1;
SELECT vector_l2_squared_distance('[0,0]', '[3,4]'), vector_negative_inner_product('[1,2]', '[3,4]'), vector_spherical_distance('[1,0]', '[0,1]'), vector_spherical_distance('[1,0]', '[-1,0]');
SELECT vector_dims('[1,2,3]'::vector), vector_norm('[3,4]'), l2_norm('[3,4]'::vector), vector_norm('[3e37,4e37]')::real, l2_normalize('[3,4]'::vector), l2_normalize('[0,0]'::vector);
SELECT '[1,2]'::vector + '[3,4]' AS sum, '[1,2]'::vector - '[3,4]' AS difference, '[1,2]'::vector * '[3,4]' AS product, '[1,2]'::vector || '[3]' AS both;
SELECT subvector('[1,2,3,4,5]'::vector, 2, 2), subvector('[1,2,3,4,5]'::vector, -1, 4), subvector('[1,2,3,4,5]'::vector, 4, 100), subvector('[1,2,3,4,5]'::vector, -2147483644, 2147483647);
SELECT binary_quantize('[1,0,-1,1e-45,-0]'::vector), binary_quantize('[1,-1,1,-1,1,-1,1,-1,1]'::vector), length(binary_quantize(array_fill(1, ARRAY[16000])::vector));

-- similarity, from 0 to 1, that sorts well even with zero vectors
SELECT vector_similarity(a::vector, b::vector) AS vector, vector_similarity(a::vector::halfvec, b::vector::halfvec) AS halfvec, vector_similarity(a::vector::sparsevec, b::vector::sparsevec) AS sparsevec
FROM (VALUES ('[1,2]', '[2,4]'), ('[1,0]', '[0,1]'), ('[1,2]', '[-1,-2]'), ('[0,0]', '[1,2]'), ('[0,0]', '[0,0]')) AS x(a, b);

-- zero vectors have no cosine; the distance stays in [0, 2] whatever is rounded; overflow is infinite
SELECT '[0,0]'::vector <=> '[1,2]' AS zero, '[0,0]'::vector <=> '[0,0]' AS zeros, '[1e-30]'::vector <=> '[1e-30]' AS vanishing, '[3e38]'::vector <=> '[3e38]' AS overflowing;
SELECT '[3e38]'::vector <-> '[-3e38]' AS l2, inner_product('[3e38]'::vector, '[3e38]') AS ip, l1_distance('[3e38]'::vector, '[-3e38]') AS l1;
SELECT bool_and(d BETWEEN 0 AND 2) AS in_range, count(*) FROM (
	SELECT (ARRAY[sin(i), cos(i * 3), sin(i * 7)]::vector <=> ARRAY[sin(i) * 3, cos(i * 3) * 3, sin(i * 7) * 3]::vector) AS d FROM generate_series(1, 5000) i
	UNION ALL SELECT (ARRAY[sin(i), cos(i * 3), sin(i * 7)]::vector <=> ARRAY[-sin(i), -cos(i * 3), -sin(i * 7)]::vector) FROM generate_series(1, 5000) i) s;
-- large terms that cancel: float sums, so within 1e-6 of the absolute terms
SELECT abs(inner_product('[1e4,1,-1e4]'::vector, '[1e4,1,1e4]') - 1) <= 1e-6 * 2e8 AS cancels;

-- errors
\set VERBOSITY sqlstate
SELECT '[1,2]'::vector <-> '[1]';
SELECT '[1,2]'::vector <#> '[1]';
SELECT '[1,2]'::vector <=> '[1]';
SELECT '[1,2]'::vector <+> '[1]';
SELECT '[1,2]'::vector + '[1]';
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[-3e38]'::vector - '[3e38]';
SELECT '[1e20]'::vector * '[1e20]';
SELECT '[1e-30]'::vector * '[1e-30]';
SELECT array_fill(1, ARRAY[16000])::vector || '[1]';
SELECT subvector('[1,2,3]'::vector, 1, 0);
SELECT subvector('[1,2,3]'::vector, 4, 1);
SELECT subvector('[1,2,3]'::vector, -5, 2);
SELECT subvector('[1,2,3]'::vector, 2147483647, 2147483647);
\set VERBOSITY default
-- NULL in, NULL out
SELECT NULL::vector <-> '[1]' IS NULL AS l2, NULL::vector + '[1]' IS NULL AS sum, subvector('[1]'::vector, NULL, 1) IS NULL AS part, vector_dims(NULL::vector) IS NULL AS dims;

-- every set of kernels: same bits for integers and bit strings, floats within 1e-6.  TY11
CREATE TEMPORARY TABLE lengths AS
SELECT n, (SELECT array_agg(sin(i * 1.7 + n)) FROM generate_series(1, n) i)::vector AS a, (SELECT array_agg(cos(i * 2.3 - n)) FROM generate_series(1, n) i)::vector AS b
FROM (SELECT generate_series(1, 130) UNION ALL SELECT unnest(ARRAY[384, 768, 1536, 16000])) AS x(n);
CREATE FUNCTION pg_temp.distances(OUT n int, OUT d double precision[], OUT bits double precision[]) RETURNS SETOF record LANGUAGE SQL AS $$
	SELECT n, ARRAY[a <-> b, a <#> b, a <=> b, a <+> b, a::halfvec <-> b::halfvec, a::halfvec <#> b::halfvec, a::halfvec <=> b::halfvec, a::halfvec <+> b::halfvec, l2_norm(a)],
		ARRAY[binary_quantize(a) <~> binary_quantize(b), binary_quantize(a) <%> binary_quantize(b)] FROM lengths $$;
SET memai.simd = scalar;
CREATE TEMPORARY TABLE exact AS SELECT * FROM pg_temp.distances();
SET memai.simd = auto;
SELECT count(*) AS lengths, bool_and(abs(x - y) <= 1e-6 * n) AS near, bool_and(e.bits = d.bits) AS same_bits
FROM pg_temp.distances() d JOIN exact e USING (n), unnest(d.d, e.d) AS u(x, y);
DROP TABLE exact, lengths;
SET memai.simd = mmx;
