-- What memai.find_duplicates takes for the same.  statements.psv: a statement,
-- one that says the same, one with another value, one that denies it.  Six pairs
-- of each: two that are the same (in other words; in capitals with a full stop),
-- four that are not (other value, denial, the rewording and the other value, the next statement).
\pset footer off
CREATE EXTENSION memai;
CREATE TEMP TABLE statement (n integer GENERATED ALWAYS AS IDENTITY, base text, same text, other text, denial text);
\copy statement (base, same, other, denial) FROM 'statements.psv' WITH (DELIMITER '|')
CREATE TEMP TABLE pair AS
SELECT row_number() OVER () AS id, kind, kind LIKE 'same%' AS is_same, a, b
FROM (SELECT n, base, same, other, denial, lead(base, 1, 'Something else entirely') OVER (ORDER BY n) AS next FROM statement) s,
	LATERAL (VALUES ('same, other words', base, same), ('same, typed otherwise', base, upper(base) || '!'), ('other value', base, other),
		('denial', base, denial), ('other value, other words', same, other), ('other statement', base, next)) v (kind, a, b);
SELECT count(*) AS pairs, count(*) FILTER (WHERE is_same) AS same FROM pair;

SELECT count(memai.remember(a, 'pair ' || id)), count(memai.remember(b, 'pair ' || id)) FROM pair \gset ignored_
CREATE TEMP TABLE measured AS
SELECT p.*, d.similarity, d.overlap FROM pair p LEFT JOIN LATERAL memai.find_duplicates('pair ' || p.id, min_similarity => -1, min_overlap => 0) d ON true;

\echo 'Taken for the same, by kind of pair (defaults: similarity >= 0.95 or overlap >= 0.9):'
SELECT kind, count(*) AS pairs, count(*) FILTER (WHERE similarity >= 0.95 OR overlap >= 0.9) AS taken,
	round(avg(similarity)::numeric, 3) AS similarity, round(avg(overlap)::numeric, 3) AS overlap
FROM measured GROUP BY kind ORDER BY kind;

\echo 'Precision and recall by thresholds:'
SELECT s AS min_similarity, o AS min_overlap, count(*) FILTER (WHERE taken AND is_same) AS found,
	count(*) FILTER (WHERE taken AND NOT is_same) AS wrong,
	round(count(*) FILTER (WHERE taken AND is_same)::numeric / nullif(count(*) FILTER (WHERE taken), 0), 3) AS precision,
	round(count(*) FILTER (WHERE taken AND is_same)::numeric / count(*) FILTER (WHERE is_same), 3) AS recall
FROM (VALUES (0.95, 0.9), (0.9, 0.8), (0.8, 0.7), (0.7, 0.6), (2.0, 0.9), (0.95, 2.0)) t (s, o),
	LATERAL (SELECT is_same, coalesce(similarity >= s OR overlap >= o, false) AS taken FROM measured) m
GROUP BY s, o ORDER BY s DESC, o DESC;
