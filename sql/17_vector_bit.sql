-- distances of PostgreSQL's bit strings
SELECT hamming_distance(B'1010', B'0110'), jaccard_distance(B'1010', B'0110'), B'1010' <~> B'0110' AS hamming, B'1100' <%> B'1000' AS jaccard;
SELECT hamming_distance(B'', B''), jaccard_distance(B'', B''), jaccard_distance(B'0000', B'0000'), jaccard_distance(B'1111', B'1111');
SELECT hamming_distance(B'101'::varbit::bit(3), '111');
-- all lengths, so every tail of the kernels, against counting by text
SELECT bool_and(hamming_distance(a, b) = length(replace((a # b)::text, '0', ''))) AS hamming,
	bool_and(abs(jaccard_distance(a, b) - CASE WHEN common = 0 THEN 1 ELSE 1 - common::float8 / either END) < 1e-15) AS jaccard, count(*)
FROM (SELECT a, b, length(replace((a & b)::text, '0', '')) AS common, length(replace((a | b)::text, '0', '')) AS either
	FROM (SELECT binary_quantize((SELECT array_agg(sin(i * n)) FROM generate_series(1, n) i)::vector) AS a, binary_quantize((SELECT array_agg(cos(i + n)) FROM generate_series(1, n) i)::vector) AS b FROM generate_series(1, 1100, 3) n) x) y;
SELECT B'10' <~> B'1';
SELECT B'10' <%> B'1';
