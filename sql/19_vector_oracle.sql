-- Distances and aggregates against exact decimal arithmetic (TY9).  All elements
-- are multiples of 1/1024, so that float, half float and numeric hold the same numbers;
-- in half of the pairs the second vector nearly repeats or mirrors the first, so that
-- differences and products cancel.
CREATE TEMPORARY TABLE element AS
SELECT pair, i, a, CASE pair % 4 WHEN 0 THEN a + b % 3 WHEN 1 THEN -a + b % 2 ELSE b END AS b
FROM generate_series(1, 520) pair,
	LATERAL generate_series(1, 1 + pair % 130) i,
	LATERAL (SELECT hashint4(pair * 131 + i) % 2048 AS a, hashint4(-pair * 131 - i) % 2048 AS b) x;
CREATE TEMPORARY TABLE pair AS
SELECT pair, array_agg(a / 1024.0 ORDER BY i)::vector AS a, array_agg(b / 1024.0 ORDER BY i)::vector AS b,
	sqrt(sum((a - b)::numeric ^ 2)) / 1024 AS l2, sum(abs(a - b))::numeric / 1024 AS l1,
	sum(a::numeric * b) / 1048576 AS ip, sum(abs(a::numeric * b)) / 1048576 AS terms,
	1 - sum(a::numeric * b) / nullif(sqrt(sum(a::numeric ^ 2)) * sqrt(sum(b::numeric ^ 2)), 0) AS cosine,
	sqrt(sum(a::numeric ^ 2)) / 1024 AS norm
FROM element GROUP BY pair;
SELECT count(*), count(*) FILTER (WHERE abs(ip) < terms / 10) AS cancelling, count(*) FILTER (WHERE cosine < 0.001) AS nearly_equal FROM pair;

-- the tolerance is 1e-6 of the sum of the absolute terms, or of the distance where all terms are positive
SELECT name, count(*) FILTER (WHERE abs(got - expected::float8) > 1e-6 * scale::float8) AS wrong, count(*) AS compared
FROM pair, LATERAL (VALUES
	('vector <->', a <-> b, l2, l2), ('vector <#>', a <#> b, -ip, terms), ('vector <+>', a <+> b, l1, l1),
	('vector <=>', a <=> b, cosine, 1), ('vector norm', l2_norm(a), norm, norm),
	('halfvec <->', a::halfvec <-> b::halfvec, l2, l2), ('halfvec <#>', a::halfvec <#> b::halfvec, -ip, terms),
	('halfvec <+>', a::halfvec <+> b::halfvec, l1, l1), ('halfvec <=>', a::halfvec <=> b::halfvec, cosine, 1),
	('halfvec norm', l2_norm(a::halfvec), norm, norm),
	('sparsevec <->', a::sparsevec <-> b::sparsevec, l2, l2), ('sparsevec <#>', a::sparsevec <#> b::sparsevec, -ip, terms),
	('sparsevec <+>', a::sparsevec <+> b::sparsevec, l1, l1), ('sparsevec <=>', a::sparsevec <=> b::sparsevec, cosine, 1),
	('sparsevec norm', l2_norm(a::sparsevec), norm, norm)) x(name, got, expected, scale)
WHERE expected IS NOT NULL GROUP BY name ORDER BY name;

-- sums are those of numeric, rounded once; averages too; with a term that comes and goes again
WITH total AS (
	SELECT pair % 130 AS dim, sum(a) AS s, avg(a) AS m, sum(a::halfvec) AS hs FROM pair GROUP BY 1
), exact AS (
	SELECT pair % 130 AS dim, array_agg(s / 1024 ORDER BY i)::vector AS s, array_agg(s / 1024 / n ORDER BY i)::vector AS m
	FROM (SELECT pair % 130 AS pair, i, sum(a)::numeric AS s, count(*) AS n FROM element GROUP BY 1, i) e GROUP BY 1
)
SELECT count(*) AS sums, count(*) FILTER (WHERE total.s <> exact.s) AS wrong_sums, count(*) FILTER (WHERE total.m <> exact.m) AS wrong_averages,
	count(*) FILTER (WHERE total.hs <> exact.s::halfvec) AS wrong_half_sums
FROM total JOIN exact USING (dim);
SELECT sum(v) AS cancelling, avg(v) AS cancelling_average
FROM (VALUES ('[1e8,1e4]'::vector), ('[0.015625,1e-3]'), ('[-1e8,-1e4]'), ('[0.015625,1e-3]')) x(v);
