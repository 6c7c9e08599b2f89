-- CPU time of the backend for recall in the five scopes, after a first round, and for remember.  Needs Linux and a superuser.
\pset footer off
CREATE FUNCTION pg_temp.cpu() RETURNS float8 LANGUAGE sql VOLATILE AS
	$$SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::float8 / 1e6$$;
CREATE TEMP TABLE used (what text, calls integer, milliseconds float8);
DO $$
DECLARE
	kinds text[] := ARRAY['scope of 50', 'scope of 700', 'scope of 2000', 'scope of 10000', 'scope of 50000'];
	kind_asked text;
	start float8;
BEGIN
	FOREACH kind_asked IN ARRAY kinds || kinds LOOP
		start := pg_temp.cpu();
		PERFORM count(*) FROM question q, memai.recall(q.question, q.user_id) WHERE q.kind = kind_asked;
		INSERT INTO used SELECT 'recall, ' || kind_asked, count(*), pg_temp.cpu() - start FROM question q WHERE q.kind = kind_asked;
	END LOOP;
	PERFORM memai.remember('the first of all', 'user of the CPU');
	start := pg_temp.cpu();
	FOR i IN 1..1000 LOOP
		PERFORM memai.remember('statement ' || i || ' of boats, harbours, cranes and the people who work there', 'user of the CPU ' || i % 100);
	END LOOP;
	INSERT INTO used VALUES ('remember', 1000, pg_temp.cpu() - start);
END $$;
\echo 'CPU time of the backend a call:'
SELECT what, (array_agg(round((milliseconds / calls)::numeric, 2) ORDER BY ctid DESC))[1] AS milliseconds FROM used GROUP BY what
ORDER BY what = 'remember', length(what), what;
