-- What memai.find_duplicates takes for the same.  A line of statements.psv: a statement,
-- one that says the same, one with another value, one that denies it.  Six pairs
-- of each: two that are the same (in other words; in capitals with a full stop),
-- four that are not (other value, denial, the rewording and the other value, the next statement).
-- The comparison was made with statements.psv in view; held_back.psv is the same of statements
-- that were written before it and never looked at while it was made.
\pset footer off
CREATE EXTENSION memai;
CREATE TEMP TABLE statement (n integer GENERATED ALWAYS AS IDENTITY, set text DEFAULT 'in view', base text, same text, other text, denial text);
\copy statement (base, same, other, denial) FROM 'statements.psv' WITH (DELIMITER '|')
ALTER TABLE statement ALTER COLUMN set SET DEFAULT 'held back';
\copy statement (base, same, other, denial) FROM 'held_back.psv' WITH (DELIMITER '|')
CREATE TEMP TABLE pair AS
SELECT row_number() OVER () AS id, set, kind, kind LIKE 'same%' AS is_same, a, b
FROM (SELECT n, set, base, same, other, denial, lead(base, 1, 'Something else entirely') OVER (PARTITION BY set ORDER BY n) AS next FROM statement) s,
	LATERAL (VALUES ('same, other words', base, same), ('same, typed otherwise', base, upper(base) || '!'), ('other value', base, other),
		('denial', base, denial), ('other value, other words', same, other), ('other statement', base, next)) v (kind, a, b);
SELECT set, count(*) AS pairs, count(*) FILTER (WHERE is_same) AS same FROM pair GROUP BY set ORDER BY set DESC;

SELECT count(memai.remember(a, 'pair ' || id)), count(memai.remember(b, 'pair ' || id)) FROM pair \gset ignored_
CREATE TEMP TABLE measured AS
SELECT p.*, d.similarity, d.overlap FROM pair p LEFT JOIN LATERAL memai.find_duplicates('pair ' || p.id, min_similarity => -1, min_overlap => 0) d ON true;

\echo 'Taken for the same, by kind of pair (defaults: similarity >= 0.95 or overlap >= 0.9):'
SELECT set, kind, count(*) AS pairs, count(*) FILTER (WHERE similarity >= 0.95 OR overlap >= 0.9) AS taken,
	round(avg(similarity)::numeric, 3) AS similarity, round(avg(overlap)::numeric, 3) AS overlap
FROM measured GROUP BY set, kind ORDER BY set DESC, kind;

\echo 'Precision and recall by thresholds:'
SELECT set, s AS min_similarity, o AS min_overlap, count(*) FILTER (WHERE taken AND is_same) AS found,
	count(*) FILTER (WHERE taken AND NOT is_same) AS wrong,
	round(count(*) FILTER (WHERE taken AND is_same)::numeric / nullif(count(*) FILTER (WHERE taken), 0), 3) AS precision,
	round(count(*) FILTER (WHERE taken AND is_same)::numeric / count(*) FILTER (WHERE is_same), 3) AS recall
FROM (VALUES (0.95, 0.9), (0.9, 0.8), (0.8, 0.7), (0.7, 0.6), (2.0, 0.9), (0.95, 2.0)) t (s, o),
	LATERAL (SELECT set, is_same, coalesce(similarity >= s OR overlap >= o, false) AS taken FROM measured) m
GROUP BY set, s, o ORDER BY set DESC, s DESC, o DESC;
