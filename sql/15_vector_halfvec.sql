-- halfvec: text, binary, type modifier, functions
SELECT '[1,-2,0.1,65504,6e-8,-0]'::halfvec, '[65519.99]'::halfvec, '[1e-8]'::halfvec, '[2049,2051]'::halfvec;
SELECT halfvec_send('[1,-2,65504,6e-8,-0]');
SELECT l2_distance('[0,0]'::halfvec, '[3,4]'), '[0,0]'::halfvec <-> '[3,4]' AS l2, '[1,2]'::halfvec <#> '[3,4]' AS ip, '[1,2]'::halfvec <=> '[-2,-4]' AS cosine, '[0,0]'::halfvec <+> '[3,-4]' AS l1;
SELECT halfvec_l2_squared_distance('[0,0]', '[3,4]'), halfvec_negative_inner_product('[1,2]', '[3,4]'), halfvec_spherical_distance('[1,0]', '[0,1]'), inner_product('[65504]'::halfvec, '[65504]'), cosine_distance('[0]'::halfvec, '[1]'), l1_distance('[1]'::halfvec, '[3]');
SELECT vector_dims('[1,2]'::halfvec), l2_norm('[3,4]'::halfvec), l2_normalize('[3,4]'::halfvec), l2_normalize('[0]'::halfvec), binary_quantize('[1,0,-1,6e-8,-0]'::halfvec), subvector('[1,2,3]'::halfvec, 2, 9);
SELECT '[1,2]'::halfvec + '[3,4]' AS sum, '[1,2]'::halfvec - '[3,4]' AS difference, '[1,2]'::halfvec * '[3,4]' AS product, '[1,2]'::halfvec || '[3]' AS both;
SELECT bool_and(h::text::halfvec = h AND h::vector::halfvec = h AND h::real[]::halfvec = h AND h::jsonb::halfvec = h) AS round_trips, count(*)
FROM (SELECT ARRAY[(i / 7.0)::real, 2 ^ (i % 40 - 24), -i * 6e-8]::halfvec AS h FROM generate_series(-5000, 5000) i) s;
\set VERBOSITY terse
SELECT '[65520]'::halfvec;
SELECT '[-1e5]'::halfvec;
SELECT '[nan]'::halfvec;
SELECT '[inf]'::halfvec;
SELECT '[]'::halfvec;
SELECT '[1'::halfvec;
SELECT '[1,2]'::halfvec(3);
SELECT NULL::halfvec(0);
SELECT NULL::halfvec(16001);
SELECT '[1]'::halfvec <-> '[1,2]';
SELECT '[1]'::halfvec + '[1,2]';
SELECT array_fill(1, ARRAY[16000])::halfvec || '[1]';
SELECT subvector('[1]'::halfvec, 2, 1);
