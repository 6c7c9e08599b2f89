-- What memai.find_pii finds.  texts.txt: one text a line, what should be found in
-- it as {kind:text}.  A piece is right when kind and text are the same; IMEIs and
-- such that pass for a card, and forms that no rule knows, are among the texts.
\pset footer off
CREATE EXTENSION memai;
CREATE TEMP TABLE line (n integer GENERATED ALWAYS AS IDENTITY, line text);
-- no character of the texts is a delimiter or a quote
\copy line (line) FROM 'texts.txt' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
CREATE TEMP TABLE labelled AS
SELECT n, l.line, regexp_replace(l.line, '\{[a-z_]+:([^}]*)\}', '\1', 'g') AS content FROM line l;
CREATE TEMP TABLE expected AS
SELECT n, m[1] AS kind, m[2] AS found, count(*) AS times FROM labelled, regexp_matches(line, '\{([a-z_]+):([^}]*)\}', 'g') m GROUP BY 1, 2, 3;
CREATE TEMP TABLE found AS
SELECT n, p.kind, p.found, count(*) AS times FROM labelled, memai.find_pii(content) p GROUP BY 1, 2, 3;
SELECT count(*) AS texts, count(*) FILTER (WHERE n IN (SELECT n FROM expected)) AS with_personal_data, (SELECT sum(times) FROM expected) AS pieces FROM labelled;

\echo 'By kind: pieces that should be found, that were, and others that were:'
SELECT coalesce(kind, 'all') AS kind, sum(e) AS labelled, sum(least(e, f)) AS found, sum(greatest(f - e, 0)) AS wrong,
	round(sum(least(e, f)) / nullif(sum(f), 0), 3) AS precision, round(sum(least(e, f)) / nullif(sum(e), 0), 3) AS recall
FROM (SELECT kind, coalesce(e.times, 0) AS e, coalesce(f.times, 0) AS f FROM expected e FULL JOIN found f USING (n, kind, found)) x
GROUP BY ROLLUP (kind) ORDER BY x.kind NULLS LAST;

\echo 'Missed and wrong:'
SELECT CASE WHEN f.n IS NULL THEN 'missed' ELSE 'wrong' END AS fault, kind, found AS piece, left(l.content, 60) AS text
FROM expected e FULL JOIN found f USING (n, kind, found) JOIN labelled l USING (n) WHERE e.times IS DISTINCT FROM f.times ORDER BY n, 1;
