-- SP4 SP5 SP6 SP7 SP8 SP12 AU18 RL12: what goes into statements, who runs them, how deep they go
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_memai_plain;
CREATE ROLE regress_memai_app IN ROLE memai_user;

-- SP4 SP5: what runs with its owner's rights has a fixed path and is not for everybody: none is left over
SELECT p.oid::regprocedure AS definer
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE p.prosecdef AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'memai')
	AND (has_function_privilege('public', p.oid, 'EXECUTE') OR p.proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']);
-- SP4: a C function of schema memai that is VOLATILE has a fixed path; SQL bodies are parsed when they are created
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'memai') AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql') AND p.prosqlbody IS NULL;
-- SP7: no function but those that look at an index or belong to a table takes the name of a relation
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'memai') AND p.pronamespace = 'memai'::regnamespace
	AND EXISTS (SELECT FROM unnest(p.proargtypes) t WHERE t::regtype::text LIKE 'reg%')
ORDER BY p.oid::regprocedure::text COLLATE "C";
-- SP12: who may not, cannot
SET ROLE regress_memai_plain;
SELECT memai.start_worker();
SELECT memai.stop_worker();
CALL memai.run_jobs();
SELECT memai.compact();
SELECT memai.set_pii_policy('keep');
SELECT memai.remember('x', 'ann');
SELECT * FROM memai.find_pii('x');
SET ROLE regress_memai_app;
SELECT memai.start_worker();
SELECT memai.compact();
RESET ROLE;

-- SP6: more than 300 texts in every argument come back as they are, and nothing else happens
SET ROLE regress_memai_app;
CREATE TEMP TABLE evil AS
SELECT row_number() OVER () AS n, replace(wrapper, '@', piece) AS text
FROM unnest(ARRAY['''', '''''', '"', '\', '\''', '$$', '$1', '$5', '%s', '%I', '--', '/*', '*/', ';', 'NULL', '{}', '[]', E'\n', E'\t', E'\x01', 'U&"\0041"', 'E''\\x41''',
		'''; DROP TABLE memai.memory; --', ''' OR ''1''=''1', '$$; DELETE FROM memai.memory; $$', '1); DELETE FROM memai.episode; --', '"; SET ROLE postgres; --', E'\u2019', E'\u202e', E'\ufeff',
		'pg_catalog.pg_sleep(9)', '(SELECT 1)', '::regclass', 'ann', '\x00', '{"$ref": "#"}']) piece,
	unnest(ARRAY['@', 'a@', '@z', 'a@z', 'a @ z', '@@', '''@''', '"@"', '$x$@$x$']) wrapper;
SELECT count(*) >= 300 AS enough FROM evil;
CREATE FUNCTION pg_temp.try(n bigint, t text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m uuid; e uuid; wrong text := '';
BEGIN
	m := memai.remember(t, t, t, jsonb_build_object(t, t), t, t, memory_type => 'semantic');
	IF NOT EXISTS (SELECT FROM memai.get_memory(m, t, t) g WHERE g.content = t AND g.category = t AND g.slot = t AND g.metadata = jsonb_build_object(t, t)) THEN wrong := wrong || ' remember'; END IF;
	SELECT id INTO e FROM memai.remember_messages(jsonb_build_array(jsonb_build_object('content', t, 'name', t, 'metadata', jsonb_build_object(t, t))), t, t) id;
	IF NOT EXISTS (SELECT FROM memai.episode x WHERE x.id = e AND x.content = t AND x.name = t AND x.user_id = t AND x.namespace = t) THEN wrong := wrong || ' messages'; END IF;
	m := memai.remember_triplet(t, t, t, 'T' || t, t, t);
	IF NOT EXISTS (SELECT FROM memai.graph(t, t, t) g WHERE g.subject = t AND g.predicate = t AND g.object = t) THEN wrong := wrong || ' triplet'; END IF;
	m := memai.supersede(m, 'S' || t, t, t, t);
	m := memai.revise(m, 'R' || t, t, t, t);
	PERFORM memai.set_block(t, t, t, t, description => t);
	IF memai.get_block(t, t, t) <> t THEN wrong := wrong || ' block'; END IF;
	PERFORM memai.pin(m, user_id => t, namespace => t, reason => t), memai.merge_entities(t, t, t, t), memai.timeline(t, t, t), memai.confirm(m, t, t, t);
	PERFORM memai.find_pii(t), memai.import_mem0(jsonb_build_array(jsonb_build_object('id', t, 'memory', 'I' || t, 'user_id', t)), namespace => t);
	PERFORM memai.forget(m, t, t, 'hard', t);
	IF n % 12 = 0 THEN	-- slow ones
		PERFORM memai.context(t, t, t), memai.forget_matching(t, t, t, dry_run => false, k => 1, reason => t);
		PERFORM memai.forget_user(t, confirm => true, namespace => t, reason => t);
		IF EXISTS (SELECT FROM memai.memory x WHERE x.user_id = t) OR EXISTS (SELECT FROM memai.episode x WHERE x.user_id = t) THEN wrong := wrong || ' forget_user'; END IF;
	END IF;
	RETURN nullif(wrong, '');
END $$;
SELECT memai.remember('The canary sings', 'keeper') IS NOT NULL AS stored;
SELECT n, text, wrong FROM (SELECT n, text, pg_temp.try(n, text) AS wrong FROM evil) x WHERE wrong IS NOT NULL;
SELECT count(*) AS canary FROM memai.memory WHERE user_id = 'keeper';
SELECT count(DISTINCT user_id) > 300 AS users FROM memai.memory;
DROP FUNCTION pg_temp.try(bigint, text);

-- SP8: temporary tables and functions of the same names are not taken for memai's
CREATE TEMP TABLE memory (LIKE evil);
CREATE TEMP TABLE memory_history (LIKE evil);
CREATE TEMP TABLE pii_policy (LIKE evil);
CREATE TEMP TABLE embedding (LIKE evil);
SELECT memai.forget(memai.remember('Shadows', 'keeper'), 'keeper');
SELECT count(*) FROM memory_history;
DROP TABLE memory, memory_history, pii_policy, embedding;

-- AU18: an id, a user that exist elsewhere and ones that exist nowhere look the same
RESET ROLE;
SET memai.tenant = 'regress_other';
SELECT memai.remember('Not yours', 'bo') AS theirs \gset
RESET memai.tenant;
SET ROLE regress_memai_app;
SELECT memai.forget(:'theirs', 'bo') AS theirs, memai.forget(memai.new_id(), 'bo') AS nobodys;
SELECT memai.supersede(:'theirs', 'Mine', 'bo');
SELECT memai.supersede(memai.new_id(), 'Mine', 'bo');
SELECT memai.revise(:'theirs', 'Mine', 'nobody');
SELECT (SELECT count(*) FROM memai.recall('yours', 'bo')) AS theirs, (SELECT count(*) FROM memai.recall('yours', 'nobody')) AS nobodys;
SELECT memai.link(:'theirs', memai.new_id(), user_id => 'bo') AS theirs, memai.link(memai.new_id(), memai.new_id(), user_id => 'bo') AS nobodys;
SELECT memai.undo(:'theirs', user_id => 'bo') AS theirs, memai.undo(memai.new_id(), user_id => 'bo') AS nobodys;
RESET ROLE;

-- RL12: deep documents and long chains end with an answer or an error, not with the server
SET memai.tenant = 'regress';
SET memai.user_id = 'deep';
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE statement INTO result;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN RETURN sqlstate;
END $$;
SELECT pg_temp.attempt(format('SELECT memai.remember(''x'', metadata => %L)', '{"a":' || repeat('[', d) || repeat(']', d) || '}')) FROM unnest(ARRAY[100, 1000, 6000, 200000]) d;
SELECT pg_temp.attempt(format('SELECT count(*) FROM memai.remember_messages(%L)', '[{"content": "x", "metadata": {"a":' || repeat('[', d) || repeat(']', d) || '}}]')) FROM unnest(ARRAY[100, 200000]) d;
SELECT pg_temp.attempt(format('SELECT count(*) FROM memai.apply_operations(%L, ''{}'')', repeat('[', d) || repeat(']', d))) FROM unnest(ARRAY[10, 1000, 200000]) d;
SELECT pg_temp.attempt(format('SELECT count(*) FROM memai.import_user(%L)', repeat('[', d) || repeat(']', d))) FROM unnest(ARRAY[10, 1000, 200000]) d;
SELECT memai.set_pii_policy('redact');
SELECT pg_temp.attempt(format('SELECT memai.remember(''y'', metadata => %L)', '{"a":' || repeat('[', d) || '"ann@example.com"' || repeat(']', d) || '}')) FROM unnest(ARRAY[100, 200000]) d;
SELECT memai.set_pii_policy('keep');
-- a chain of 500 memories, each resting on the one before, closed to a circle
INSERT INTO memai.memory (tenant, user_id, namespace, scope, id, content, terms)
SELECT 'regress', 'deep', 'chain', memai.scope_hash('regress', 'deep', 'chain'), ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, 'link ' || i, '' FROM generate_series(1, 500) i;
INSERT INTO memai.memory_link (tenant, user_id, namespace, scope, from_id, to_id, kind)
SELECT 'regress', 'deep', 'chain', memai.scope_hash('regress', 'deep', 'chain'), ('00000000-0000-7000-8000-' || lpad((i % 500 + 1)::text, 12, '0'))::uuid, ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, 'derives'
FROM generate_series(1, 500) i;
SELECT count(*), max(depth) FROM memai.dependents('00000000-0000-7000-8000-000000000001', namespace => 'chain', max_depth => 1000000);
SELECT memai.forget('00000000-0000-7000-8000-000000000250', namespace => 'chain', mode => 'soft');
SELECT count(*) FROM memai.review(namespace => 'chain') WHERE content <> '';
SELECT memai.forget('00000000-0000-7000-8000-000000000001', namespace => 'chain');
SELECT count(*) FROM memai.memory WHERE namespace = 'chain';

DELETE FROM memai.memory; DELETE FROM memai.episode;
RESET memai.user_id; RESET memai.tenant;
DELETE FROM memai.memory WHERE tenant LIKE 'regress%'; DELETE FROM memai.erasure WHERE tenant LIKE 'regress%'; DELETE FROM memai.memory_history WHERE tenant LIKE 'regress%';
DELETE FROM memai.episode WHERE tenant LIKE 'regress%'; DELETE FROM memai.block WHERE tenant LIKE 'regress%';
DROP TABLE evil;
DROP ROLE regress_memai_app, regress_memai_plain;
