-- AU1 AU2 AU3 AU4 AU5 AU6 SP3: more than 500 statements of one application against
-- another's memory; what they return, raise and see is searched for a canary.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_memai_victim IN ROLE memai_user;
CREATE ROLE regress_memai_attacker IN ROLE memai_user;
CREATE SCHEMA regress_attack;
GRANT USAGE, CREATE ON SCHEMA regress_attack TO regress_memai_attacker;

-- ---- the victim's data, in every table ----
SET ROLE regress_memai_victim;
SELECT id AS episode FROM memai.remember_messages('[{"name": "Canary4711", "content": "Canary4711 is the code", "metadata": {"k": "Canary4711"}}]', 'ann') id \gset
SELECT memai.remember_triplet('Canary4711', 'opens', 'Canary4711 vault', user_id => 'ann', slot => 'code', sources => ARRAY[:'episode']::uuid[], metadata => '{"k": "Canary4711"}') AS memory \gset
SELECT memai.remember('Canary4711 rests on it', 'ann', depends_on => ARRAY[:'memory']::uuid[]) AS child \gset
SELECT memai.supersede(:'child', 'Canary4711 again', 'ann', reason => 'Canary4711') IS NOT NULL AS superseded;
SELECT memai.set_block('persona', 'Canary4711', 'ann'), memai.create_thread('ann', title => 'Canary4711', system_prompt => 'Canary4711') IS NOT NULL AS has_thread;
SELECT id AS thread FROM memai.thread WHERE title = 'Canary4711' \gset
SELECT memai.create_task('Canary4711', 'Canary4711', user_id => 'ann') AS task, memai.submit_job('embed', '{"note": "Canary4711"}', 'ann', run_after => now() + interval '1 day') AS job \gset
SELECT count(memai.set_preference('code', 'Canary4711', 'ann')) AS preferences, count(memai.remember_triplet('Canary4711 twin', 'is', 'Canary4711 other', user_id => 'ann')) AS twins;
SELECT memai.feedback(:'memory', true, 'ann');
SELECT memai.add_document('# Canary4711', 'Canary4711', 'canary4711', '{"k": "Canary4711"}', 'ann') IS NOT NULL AS document;
SELECT count(*) > 0 AS erased FROM memai.forget_user('canary', confirm => true, reason => 'Canary4711');
RESET ROLE;
CREATE FUNCTION regress_attack.state() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	t regclass; one text; state text := '';
BEGIN
	FOR t IN SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant'
			WHERE c.relnamespace = 'memai'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname LOOP
		EXECUTE format('SELECT md5(string_agg(t::text, '','' ORDER BY t::text)) FROM %s t WHERE tenant = ''regress_memai_victim''', t) INTO one;
		state := state || coalesce(one, 'none');
	END LOOP;
	RETURN md5(state);
END $$;
SELECT regress_attack.state() AS before \gset

-- ---- the attacker: some rows of his own, a leaky function, a trap in every name ----
SET SESSION AUTHORIZATION regress_memai_attacker;
SELECT count(memai.remember('own ' || i, 'ann')) FROM generate_series(1, 5) i;
CREATE TABLE regress_attack.loot (line text);
CREATE FUNCTION regress_attack.leak(line text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
	$$BEGIN INSERT INTO regress_attack.loot VALUES (line); RETURN true; END$$;
CREATE FUNCTION regress_attack.leak_eq(a text, b text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
	$$BEGIN INSERT INTO regress_attack.loot VALUES (a || b); RETURN true; END$$;
CREATE OPERATOR regress_attack.<<<< (FUNCTION = regress_attack.leak_eq, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION regress_attack.leak_state(s text, line text) RETURNS text LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO regress_attack.loot VALUES (line); RETURN line; END$$;
CREATE AGGREGATE regress_attack.leak_all(text) (SFUNC = regress_attack.leak_state, STYPE = text);
CREATE TABLE regress_attack.copied (line text);

-- everything that a statement shows: rows, or the error with all of its parts
CREATE FUNCTION regress_attack.attack(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record; shown text := ''; message text; detail text; hint text; context text; x text;
BEGIN
	BEGIN
		FOR r IN EXECUTE statement LOOP
			shown := shown || r::text || E'\n';
		END LOOP;
		SET CONSTRAINTS ALL IMMEDIATE;
	EXCEPTION
		WHEN invalid_cursor_definition OR syntax_error THEN
			BEGIN
				EXECUTE statement;
				SET CONSTRAINTS ALL IMMEDIATE;
				shown := 'done';
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
				shown := concat_ws(E'\n', 'ERROR', message, detail, hint, context);
			END;
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
			shown := concat_ws(E'\n', 'ERROR', message, detail, hint, context);
	END;
	SET row_security = on;
	RETURN shown;
END $$;

-- ---- the statements ----
CREATE TABLE regress_attack.attacks (number integer GENERATED ALWAYS AS IDENTITY, statement text, shown text);

-- every table in every way (%1$s: the table, %2$s: its text column, %3$s: victim's scope, %4$s: memory, %5$s: episode)
INSERT INTO regress_attack.attacks (statement)
SELECT format(template, 'memai.' || t, c, memai.scope_hash('regress_memai_victim', 'ann', 'default'), :'memory', :'episode')
FROM (VALUES ('episode', 'content'), ('memory', 'content'), ('embedding', 'embedding'), ('embedding_local_hash_384', 'model'), ('embedding_other', 'model'), ('entity', 'name'),
	('memory_source', 'memory_id'), ('memory_link', 'kind'), ('memory_stat', 'useful'), ('block', 'value'), ('memory_history', 'new_content'), ('erasure', 'reason'),
	('thread', 'title'), ('message', 'model'), ('document', 'content'), ('document_chunk', 'heading')) AS tables (t, c),
	unnest(ARRAY[
		'SELECT * FROM %1$s WHERE tenant <> current_user',
		'SELECT * FROM ONLY %1$s WHERE scope = %3$s',
		'SELECT count(*), max(%2$s::text) FROM %1$s WHERE scope = %3$s HAVING count(*) > 0',
		'SELECT %2$s FROM %1$s WHERE regress_attack.leak(%2$s::text) AND scope = %3$s',
		'SELECT %2$s FROM %1$s WHERE %2$s::text OPERATOR(regress_attack.<<<<) ''x''',
		'SELECT regress_attack.leak_all(%2$s::text) FROM %1$s WHERE scope = %3$s',
		'SELECT * FROM %1$s WHERE CASE WHEN tenant LIKE ''%%victim'' THEN 1 / 0 ELSE 1 END = 0',
		'SELECT * FROM %1$s WHERE scope = %3$s AND %2$s::text::integer > 0',
		'SELECT * FROM %1$s TABLESAMPLE BERNOULLI (100) WHERE scope = %3$s',
		'SELECT * FROM %1$s WHERE scope = %3$s FOR UPDATE',
		'DELETE FROM %1$s WHERE scope = %3$s RETURNING *',
		'UPDATE %1$s SET tenant = current_user WHERE scope = %3$s RETURNING *',
		'UPDATE %1$s SET scope = scope WHERE tenant <> current_user RETURNING *',
		'TRUNCATE %1$s',
		'COPY %1$s TO STDOUT',
		'ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY',
		'ALTER TABLE %1$s NO FORCE ROW LEVEL SECURITY',
		'CREATE POLICY open ON %1$s USING (true)',
		'CREATE TRIGGER spy BEFORE INSERT ON %1$s FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
		'CREATE INDEX ON %1$s (regress_attack.leak(%2$s::text))',
		'CREATE STATISTICS regress_attack.s ON scope, tenant FROM %1$s',
		'EXPLAIN (ANALYZE, VERBOSE, TIMING OFF, SUMMARY OFF) SELECT %2$s FROM %1$s WHERE scope = %3$s']) AS template;

-- by inserting next to the victim's keys: errors must not tell what is there
INSERT INTO regress_attack.attacks (statement)
SELECT format(template, current_user, memai.scope_hash('regress_memai_victim', 'ann', 'default'), memai.scope_hash(current_user::text, 'ann', 'default'), :'memory', :'episode')
FROM unnest(ARRAY[
	'INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, terms) VALUES (''regress_memai_victim'', ''ann'', ''default'', %2$s, ''x'', '''') RETURNING *',
	'INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, terms) VALUES (''%1$s'', ''ann'', ''default'', %2$s, ''x'', '''') RETURNING *',
	'INSERT INTO memai.memory (tenant, user_id, namespace, scope, id, content, terms) VALUES (''%1$s'', ''ann'', ''default'', %2$s, ''%4$s'', ''x'', '''') ON CONFLICT (scope, id) DO UPDATE SET metadata = excluded.metadata RETURNING *',
	'INSERT INTO memai.memory (tenant, user_id, namespace, scope, content, slot, terms) VALUES (''regress_memai_victim'', ''ann'', ''default'', %2$s, ''x'', ''code'', '''') ON CONFLICT (scope, slot) WHERE slot IS NOT NULL AND invalid_at IS NULL AND expired_at IS NULL DO UPDATE SET metadata = ''{}'' RETURNING *',
	'INSERT INTO memai.block (tenant, user_id, namespace, scope, label, value) VALUES (''regress_memai_victim'', ''ann'', ''default'', %2$s, ''persona'', ''x'') ON CONFLICT (scope, label) DO UPDATE SET value = block.value RETURNING *',
	'INSERT INTO memai.memory_link (tenant, user_id, namespace, scope, from_id, to_id, kind) SELECT tenant, user_id, namespace, scope, id, ''%4$s'', ''depends_on'' FROM memai.memory LIMIT 1',
	'INSERT INTO memai.memory_source (tenant, user_id, namespace, scope, memory_id, episode_id) SELECT tenant, user_id, namespace, scope, id, ''%5$s'' FROM memai.memory LIMIT 1',
	'INSERT INTO memai.embedding (tenant, user_id, namespace, scope, model, memory_id, embedding) VALUES (''%1$s'', ''ann'', ''default'', %3$s, ''local/hash-384'', ''%4$s'', ''[1]'')',
	'INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, event, new_content) VALUES (''regress_memai_victim'', ''ann'', ''default'', %2$s, ''%4$s'', ''ADD'', ''forged'')',
	'INSERT INTO memai.erasure (tenant, user_id, namespace, scope, removed) VALUES (''regress_memai_victim'', ''ann'', ''default'', %2$s, ''{}'')',
	'MERGE INTO memai.block b USING (SELECT %2$s AS scope) s ON b.scope = s.scope WHEN MATCHED THEN UPDATE SET value = ''x'' WHEN NOT MATCHED THEN DO NOTHING',
	'MERGE INTO memai.memory m USING (SELECT %2$s AS scope) s ON m.scope = s.scope WHEN MATCHED THEN DELETE',
	'UPDATE memai.memory SET superseded_by = ''%4$s'' RETURNING *',
	'UPDATE memai.memory SET provenance = ''user'' WHERE scope = %3$s',
	'UPDATE memai.memory SET created_at = ''2000-01-01'' WHERE scope = %3$s',
	'UPDATE memai.memory SET content = ''x'' WHERE scope = %3$s',
	'UPDATE memai.memory_history SET actor = ''somebody'' WHERE scope = %3$s',
	'DELETE FROM memai.memory_history WHERE scope = %3$s',
	'WITH x AS (DELETE FROM memai.episode RETURNING *) SELECT * FROM x WHERE tenant <> current_user']) AS template;

-- through the functions, with the victim's ids and users
INSERT INTO regress_attack.attacks (statement)
SELECT format(template, :'memory', :'episode')
FROM unnest(ARRAY[
	'SELECT * FROM memai.recall(''code vault canary'', ''ann'', k => 100) WHERE content NOT LIKE ''own%%''',
	'SELECT * FROM memai.recall(''code'', ''ann'', k => 1000, as_of => ''-infinity'')',
	'SELECT * FROM memai.recall(''code'', ''ann'', k => 1000, as_of => ''infinity'', known_at => ''infinity'') WHERE content NOT LIKE ''own%%''',
	'SELECT * FROM memai.recall(''code'', ''ann'', filter => ''{"k": {"exists": true}}'')',
	'SELECT * FROM memai.recall(''code'', ''canary'')',
	'SELECT * FROM memai.recall_vector((SELECT embedding FROM memai.embedding LIMIT 1), ''ann'', k => 100) WHERE content NOT LIKE ''own%%''',
	'SELECT memai.explain_recall(''code'', ''ann'')', 'SELECT memai.context(''code vault'', ''ann'')',
	'SELECT * FROM memai.get_memory(''%1$s'', ''ann'')', 'SELECT * FROM memai.history(''%1$s'', ''ann'')', 'SELECT * FROM memai.sources(''%1$s'', ''ann'')',
	'SELECT * FROM memai.dependents(''%1$s'', ''ann'')', 'SELECT * FROM memai.review(''ann'')', 'SELECT * FROM memai.profile(''ann'')',
	'SELECT * FROM memai.timeline(''ann'') WHERE content NOT LIKE ''own%%''', 'SELECT * FROM memai.entities(''ann'')', 'SELECT * FROM memai.graph(''Canary'', ''ann'', depth => 9)',
	'SELECT * FROM memai.stats(''ann'')', 'SELECT * FROM memai.memory_status()', 'SELECT * FROM memai.export_user(''ann'')',
	'SELECT * FROM memai.blocks(''ann'')', 'SELECT memai.get_block(''persona'', ''ann'')', 'SELECT memai.drop_block(''persona'', ''ann'')',
	'SELECT memai.forget(''%1$s'', ''ann'')', 'SELECT memai.forget(''%2$s'', ''ann'')', 'SELECT memai.forget(''%1$s'', ''ann'', mode => ''soft'')',
	'SELECT memai.supersede(''%1$s'', ''mine'', ''ann'')', 'SELECT memai.revise(''%1$s'', ''mine'', ''ann'')', 'SELECT memai.pin(''%1$s'', user_id => ''ann'')',
	'SELECT memai.expire(''%1$s'', now(), ''ann'')', 'SELECT memai.confirm(''%1$s'', ''ann'')', 'SELECT memai.feedback(''%1$s'', false, ''ann'')',
	'SELECT memai.mark_used(ARRAY[''%1$s'']::uuid[], ''ann'')', 'SELECT memai.link(''%1$s'', ''%1$s'', user_id => ''ann'')',
	'SELECT memai.remember(''own link'', ''ann'', depends_on => ARRAY[''%1$s'']::uuid[])', 'SELECT memai.remember(''own source'', ''ann'', sources => ARRAY[''%2$s'']::uuid[])',
	'SELECT memai.undo(since => ''-infinity'', user_id => ''nobody'')', 'SELECT * FROM memai.find_duplicates(''ann'', min_similarity => -2) WHERE first_content NOT LIKE ''own%%''',
	'SELECT * FROM memai.consolidate(''nobody'', dry_run => false, min_similarity => -2)', 'SELECT * FROM memai.forget_matching(''canary'', ''nobody'', dry_run => false)',
	'SELECT * FROM memai.forget_user(''canary'', confirm => true)', 'SELECT memai.clear_memory(''canary'', confirm => true)', 'SELECT memai.compact()', 'SELECT memai.fill_embeddings()',
	'SELECT * FROM memai.import_user(''[{"table": "block", "tenant": "regress_memai_victim", "label": "persona", "value": "x", "char_limit": 9, "is_read_only": false, "version": 9, "updated_at": "2026-01-01"}]'', ''zed'')',
	'SELECT memai._memory_changed()', 'SELECT memai.remember(''own x'', ''ann'', metadata => ''{"tenant": "regress_memai_victim", "id": "%1$s", "created_at": "2000-01-01", "provenance": "user"}'', provenance => ''tool'')',
	'SELECT * FROM memai.remember_messages(''[{"content": "own x", "tenant": "regress_memai_victim"}]'', ''ann'')', 'SELECT * FROM memai.remember_messages(''[{"content": "own x", "created_at": "2000-01-01"}]'', ''ann'')',
	'SET memai.tenant = ''regress_memai_victim''', 'SELECT set_config(''memai.tenant'', ''regress_memai_victim'', true)', 'ALTER ROLE regress_memai_attacker SET memai.tenant = ''regress_memai_victim''',
	'SET ROLE regress_memai_victim', 'SET row_security = off', 'SET LOCAL session_replication_role = replica', 'GRANT regress_memai_victim TO regress_memai_attacker',
	'CREATE VIEW regress_attack.v1 AS SELECT * FROM memai.memory', 'SELECT * FROM regress_attack.v1 WHERE tenant <> current_user',
	'CREATE VIEW regress_attack.v2 WITH (security_barrier) AS SELECT * FROM memai.episode', 'SELECT * FROM regress_attack.v2 WHERE tenant <> current_user',
	'CREATE MATERIALIZED VIEW regress_attack.m1 AS SELECT * FROM memai.memory WHERE tenant <> current_user', 'SELECT * FROM regress_attack.m1',
	'CREATE TABLE regress_attack.t1 AS SELECT * FROM memai.memory_history WHERE tenant <> current_user', 'SELECT * FROM regress_attack.t1',
	'CREATE TABLE regress_attack.heir () INHERITS (memai.memory)', 'CREATE RULE r AS ON SELECT TO memai.memory DO INSTEAD SELECT 1', 'ALTER EXTENSION memai DROP TABLE memai.memory',
	'DROP TABLE memai.memory', 'DROP EXTENSION memai CASCADE', 'REINDEX TABLE memai.memory', 'VACUUM FULL memai.memory', 'CLUSTER memai.memory USING memory_pkey', 'LOCK memai.memory IN ACCESS EXCLUSIVE MODE',
	'SELECT * FROM pg_stats WHERE schemaname = ''memai'' AND most_common_vals::text <> ''''', 'SELECT * FROM pg_statistic WHERE stavalues1::text LIKE ''%%anary%%''',
	'SELECT * FROM pg_stats_ext WHERE schemaname = ''memai''', 'SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename IN (''memory'', ''episode'', ''block'', ''entity'')',
	'SELECT query FROM pg_stat_activity WHERE usename = ''regress_memai_victim''', 'SELECT * FROM pg_get_publication_tables(''memai'')', 'SELECT pg_read_file(''base'')', 'COPY (SELECT * FROM memai.memory WHERE tenant <> current_user) TO STDOUT',
	'COPY memai.memory TO ''/tmp/x''', 'COPY memai.memory TO PROGRAM ''cat''', 'SELECT * FROM pg_relation_filepath(''memai.memory''), pg_read_binary_file(pg_relation_filepath(''memai.memory''))',
	'DECLARE c CURSOR FOR SELECT * FROM memai.memory WHERE tenant <> current_user', 'SELECT xmin, ctid, content FROM memai.memory WHERE ctid = ''(0,1)'' AND tenant <> current_user', 'SELECT currval(''memai.x'')',
	'SELECT query_to_xml(''SELECT * FROM memai.memory WHERE tenant <> current_user'', true, true, '''')', 'SELECT schema_to_xml(''memai'', true, true, '''')::text LIKE ''%%victim%%'' AS leaked',
	'SELECT lo_import(''/etc/passwd'')', 'SELECT * FROM memai.memory m JOIN memai.episode e ON regress_attack.leak(m.content || e.content)',
	'SELECT * FROM memai.memory m LEFT JOIN LATERAL (SELECT regress_attack.leak(m.content)) l ON true WHERE m.tenant <> current_user', 'SELECT * FROM memai.memory WHERE scope IN (SELECT scope FROM memai.episode WHERE regress_attack.leak(content)) AND tenant <> current_user',
	'SELECT row_to_json(m) FROM memai.memory m WHERE m.tenant <> current_user', 'SELECT m::text FROM memai.memory m WHERE regress_attack.leak(m::text) AND m.tenant <> current_user',
	'SELECT content FROM memai.memory ORDER BY regress_attack.leak(content), content DESC OFFSET 100', 'SELECT DISTINCT ON (regress_attack.leak(content)) tenant FROM memai.memory WHERE tenant <> current_user',
	'SELECT sum(count(*)) OVER () FROM memai.memory WHERE tenant <> current_user GROUP BY regress_attack.leak(content)', 'EXPLAIN (COSTS OFF) SELECT * FROM memai.memory WHERE content > ''C'' AND regress_attack.leak(content)']) AS template;

-- through what works with threads, tasks, jobs, entities, documents and moves of data (%1$s: memory, %2$s: episode, %3$s: thread, %4$s: task, %5$s: job)
INSERT INTO regress_attack.attacks (statement)
SELECT format(template, :'memory', :'episode', :'thread', :'task', :'job')
FROM unnest(ARRAY[
	'SELECT * FROM memai.thread(''%3$s'', ''ann'')', 'SELECT * FROM memai.threads(''ann'')', 'SELECT * FROM memai.messages(''%3$s'', ''ann'')', 'SELECT memai.rename_thread(''%3$s'', ''mine'', ''ann'')',
	'SELECT memai.archive_thread(''%3$s'', user_id => ''ann'')', 'SELECT memai.delete_thread(''%3$s'', ''ann'')', 'SELECT memai.branch_thread(''%3$s'', ''%2$s'', user_id => ''ann'')',
	'SELECT memai.summarize_thread(''%3$s'', user_id => ''ann'')', 'SELECT content, error FROM memai.chat(''code vault'', ''ann'', thread_id => ''%3$s'')', 'SELECT * FROM memai.chat_preview(''code vault'', ''ann'', thread_id => ''%3$s'')',
	'SELECT * FROM memai.chat_stream(''code vault'', ''ann'', thread_id => ''%3$s'')',
	'SELECT * FROM memai.tasks(''all'', user_id => ''ann'')', 'SELECT memai.update_task(''%4$s'', title => ''mine'', user_id => ''ann'')', 'SELECT memai.complete_task(''%4$s'', ''ann'')', 'SELECT memai.delete_task(''%4$s'', ''ann'')',
	'SELECT memai.get_preferences(''ann'')', 'SELECT memai.set_preference(''code'', ''mine'', ''ann'')', 'SELECT * FROM memai.preference WHERE tenant <> current_user', 'UPDATE memai.preference SET tenant = ''regress_memai_victim'' RETURNING *',
	'SELECT * FROM memai.task WHERE tenant <> current_user', 'UPDATE memai.task SET title = ''mine'' WHERE id = ''%4$s'' RETURNING *', 'DELETE FROM memai.task WHERE id = ''%4$s'' RETURNING *', 'UPDATE memai.thread SET title = ''mine'' WHERE id = ''%3$s'' RETURNING *',
	'SELECT * FROM memai.job WHERE tenant <> current_user', 'SELECT * FROM memai.job_progress WHERE id = ''%5$s''', 'SELECT memai.cancel(''%5$s'')', 'SELECT memai.cancel_job(''%5$s'', ''ann'')',
	'SELECT * FROM memai.await(''%5$s'', ''1 ms'')', 'SELECT memai.complete_job(memai.scope_hash(''regress_memai_victim'', ''ann'', ''default''), ''%5$s'', ''%5$s'')',
	'SELECT memai.fail_job(memai.scope_hash(''regress_memai_victim'', ''ann'', ''default''), ''%5$s'', ''%5$s'', ''x'')', 'SELECT memai.renew_lease(memai.scope_hash(''regress_memai_victim'', ''ann'', ''default''), ''%5$s'', ''%5$s'')',
	'SELECT * FROM memai.claim(''{embed}'', 10)', 'SELECT memai.retry_jobs()', 'UPDATE memai.job SET run_after = now() WHERE id = ''%5$s'' RETURNING *', 'DELETE FROM memai.job WHERE id = ''%5$s'' RETURNING *', 'CALL memai.run_jobs(1)',
	'SELECT * FROM memai.merge_entities(''Canary4711'', ''Canary4711 twin'', ''ann'')', 'SELECT * FROM memai.merge_entities(''Canary4711 twin'', ''own'', ''ann'')', 'SELECT * FROM memai.unmerge_entity(''Canary4711 twin'', ''ann'')',
	'UPDATE memai.entity SET merged_into = (SELECT subject_id FROM memai.memory WHERE id = ''%1$s'') RETURNING *', 'SELECT memai.unlink(''%1$s'', ''%1$s'', user_id => ''ann'')',
	'SELECT * FROM memai.promote(''nobody'', dry_run => false)', 'SELECT memai.set_importance(''%1$s'', 1, user_id => ''ann'')', 'SELECT memai.remove_expired(''ann'')', 'SELECT * FROM memai.undo(job => ''%5$s'', user_id => ''ann'')',
	'SELECT * FROM memai.undo((SELECT id FROM memai.memory_history WHERE memory_id = ''%1$s''), user_id => ''ann'')', 'SELECT op, refused FROM memai.apply_operations(''[{"op": "SUPERSEDE", "ref": "%1$s", "content": "own x", "quote": "code"}]'', ARRAY[''%2$s'']::uuid[], user_id => ''ann'')',
	'SELECT op, refused FROM memai.apply_operations(''[{"op": "ADD", "content": "own x", "quote": "is the code"}]'', ARRAY[''%2$s'']::uuid[], user_id => ''ann'')', 'SELECT * FROM memai.context_sections(''code vault'', ''ann'', sections => ''{blocks,profile,memories,recent}'')',
	'SELECT * FROM memai.import_user(''[{"table": "memory", "id": "%1$s", "scope": 1, "tenant": "regress_memai_victim", "content": "own import"}]'', ''yan'')',
	'SELECT * FROM memai.import_mem0(''[{"id": "%1$s", "memory": "own mem0", "user_id": "ann", "tenant": "regress_memai_victim"}]'')', 'SELECT * FROM memai.import_memori(''[{"content": "own memori", "tenant": "regress_memai_victim"}]'', ''yan'')',
	'SELECT * FROM memai.reembed_status()', 'SELECT memai.reembed(''local/hash-384'', ''nobody'')', 'SELECT memai.persona(''ann'')', 'SELECT memai.drop_document((SELECT id FROM memai.document WHERE source_uri = ''canary4711''), ''ann'')',
	'SELECT * FROM memai.chunk_neighbours(''%2$s'', user_id => ''ann'')', 'SELECT * FROM memai.chunk_status WHERE tenant <> current_user', 'SELECT * FROM memai.usage WHERE tenant <> current_user', 'SELECT * FROM memai.suggestions(''code'', ''ann'')',
	'SELECT memai._apply_pii_policy()', 'SELECT * FROM memai.pii_policy WHERE tenant <> current_user', 'INSERT INTO memai.pii_policy VALUES (''regress_memai_victim'', ''email'', ''refuse'')', 'SELECT memai.set_pii_policy(''refuse'', tenant => ''regress_memai_victim'')',
	'ALTER TABLE memai.memory DISABLE TRIGGER memory_pii_policy', 'CREATE TRIGGER spy BEFORE INSERT ON memai.memory FOR EACH ROW EXECUTE FUNCTION memai._apply_pii_policy(''content'')',
	'SELECT * FROM memai.account_setting WHERE tenant <> current_user', 'SELECT * FROM memai.setting WHERE tenant <> current_user', 'SELECT * FROM memai._model_cache', 'SELECT memai.classify_intent(''code'', ''ann'')',
	'SELECT memai._statement_overlap(m.terms, m.terms, m.content, m.content), memai._same_claim(m.content, m.content) FROM memai.memory m WHERE tenant <> current_user',
	'SELECT memai._similar_memory(memai.scope_hash(''regress_memai_victim'', ''ann'', ''default''), ''Canary4711 again'', memai._terms(''Canary4711 again''), NULL, ''local/hash-384'', embedding) FROM memai.embedding LIMIT 1']) AS template;

-- ---- run them all ----
DO $$
DECLARE
	a record;
BEGIN
	FOR a IN SELECT * FROM regress_attack.attacks ORDER BY number LOOP
		UPDATE regress_attack.attacks SET shown = regress_attack.attack(a.statement) WHERE number = a.number;
	END LOOP;
END $$;
SELECT count(*) >= 500 AS enough, count(*) FILTER (WHERE shown LIKE 'ERROR%') > 150 AS most_are_refused FROM regress_attack.attacks;
-- all of them are calls of functions that there are
SELECT statement, left(shown, 120) AS shown FROM regress_attack.attacks WHERE shown ~ 'function memai\..* does not exist|syntax error';
-- what shows the canary: nothing
SELECT statement, left(shown, 200) AS shown FROM regress_attack.attacks WHERE shown ILIKE '%canary4711%';
-- EXPLAIN ANALYZE tells how many rows the policy removed, as PostgreSQL does for every policy; only that, and only it
SELECT DISTINCT left(statement, 16) AS statement FROM regress_attack.attacks WHERE shown LIKE '%Rows Removed by Filter%';
SELECT count(*) AS looted FROM regress_attack.loot WHERE line ILIKE '%canary%';
-- what was done: harmless for the victim, whose rows are compared below; DELETE on a table includes the right to lock it
SELECT statement FROM regress_attack.attacks WHERE shown = 'done' AND statement !~ '^(CREATE (VIEW|TABLE regress_attack.t1|MATERIALIZED|STATISTICS)|MERGE|DECLARE|SET LOCAL)' ORDER BY number;
-- the leaky function saw own rows only
SELECT count(*) FILTER (WHERE line LIKE 'own%') > 0 AS saw_own FROM regress_attack.loot;
-- AU3: always min(k, own rows)
SELECT count(memai.remember('own again ' || i, 'ann')) FROM generate_series(1, 5) i;
SELECT count(*) = (SELECT least(3, count(*)) FROM memai.memory) AS own_rows FROM memai.recall('own', 'ann', k => 3);

-- ---- AU4: prepared plans and definer functions follow the role ----
RESET SESSION AUTHORIZATION;
PREPARE everything AS SELECT count(*) FROM memai.memory WHERE content LIKE 'Canary%';
SET ROLE regress_memai_victim;
EXECUTE everything;
SET ROLE regress_memai_attacker;
EXECUTE everything;
SET plan_cache_mode = force_generic_plan;
EXECUTE everything;
RESET plan_cache_mode;
DEALLOCATE everything;

-- ---- SP3: every function under a hostile search_path ----
CREATE FUNCTION regress_attack.trap(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION regress_attack.trap(a uuid, b uuid) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION regress_attack.trap(a bigint, b bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION regress_attack.trap_join(a text, b text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE OPERATOR regress_attack.= (FUNCTION = regress_attack.trap, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR regress_attack.<> (FUNCTION = regress_attack.trap, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR regress_attack.= (FUNCTION = regress_attack.trap, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR regress_attack.= (FUNCTION = regress_attack.trap, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR regress_attack.|| (FUNCTION = regress_attack.trap_join, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION regress_attack.now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION regress_attack.lower(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION regress_attack.md5(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION regress_attack.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION regress_attack.jsonb_build_object(VARIADIC text[]) RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE TABLE regress_attack.memory (id uuid);
CREATE TEMP TABLE episode (id uuid);
CREATE FUNCTION regress_attack.calls() RETURNS text LANGUAGE plpgsql SET search_path = regress_attack, pg_temp, public, pg_catalog AS $$
DECLARE
	id pg_catalog.uuid; n pg_catalog.int8;
BEGIN
	id := memai.remember('Lives in Lund', 'trap', slot => 'home', valid_at => '2020-01-01Z');
	id := memai.remember('Lives in Oslo', 'trap', slot => 'home', valid_at => '2021-01-01Z');
	id := memai.supersede(id, 'Lives in Bergen', 'trap');
	id := memai.revise(id, 'Lives in Trondheim', 'trap');
	PERFORM memai.remember_triplet('Ann', 'likes', 'Tea', user_id => 'trap', depends_on => ARRAY[id]);
	PERFORM memai.remember_messages('[{"content": "We met last week"}]', 'trap');
	PERFORM memai.recall('Where?', 'trap', filter => '{"not": {"a": {"gt": 1}}}', recency => 'linear', diversity => 0.5);
	PERFORM memai.explain_recall('Where?', 'trap');
	PERFORM memai.context('Where?', 'trap');
	PERFORM memai.history(id, 'trap'), memai.get_memory(id, 'trap'), memai.sources(id, 'trap'), memai.dependents(id, 'trap'), memai.review('trap');
	PERFORM memai.profile('trap'), memai.timeline('trap', entity => 'ann'), memai.entities('trap'), memai.graph('ann', 'trap'), memai.stats('trap'), memai.memory_status();
	PERFORM memai.pin(id, user_id => 'trap'), memai.expire(id, NULL, 'trap'), memai.confirm(id, 'trap'), memai.set_importance(id, 0.7, 'trap');
	PERFORM memai.feedback(id, true, 'trap'), memai.mark_used(ARRAY[id], 'trap');
	PERFORM memai.find_duplicates('trap'), memai.consolidate('trap', dry_run => false), memai.fill_embeddings(user_id => 'trap');
	PERFORM memai.set_block('persona', 'x', 'trap', expected_version => 0), memai.get_block('persona', 'trap'), memai.blocks('trap'), memai.drop_block('persona', 'trap');
	PERFORM memai.import_user((SELECT jsonb_agg(line) FROM memai.export_user('trap') line), 'trap2');
	PERFORM memai.undo(since => '-infinity', user_id => 'trap');
	PERFORM memai.forget_matching('met', 'trap', dry_run => false), memai.forget(id, 'trap'), memai.remove_expired('trap'), memai.clear_memory('trap', confirm => true);
	PERFORM memai.forget_user('trap', confirm => true), memai.forget_user('trap2', confirm => true);
	RETURN 'not trapped';
END $$;
SELECT regress_attack.calls();
RESET ROLE;
SELECT regress_attack.state() = :'before' AS victim_untouched;

-- AU6: the roles that are above it are few and known; the owner is not
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'memai'::regnamespace AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
	AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'scope');

SET memai.tenant = 'regress_memai_victim';
DELETE FROM memai.erasure; DELETE FROM memai.thread; DELETE FROM memai.task; DELETE FROM memai.job; DELETE FROM memai.preference; DELETE FROM memai.document; DELETE FROM memai.block; DELETE FROM memai.memory; DELETE FROM memai.episode; DELETE FROM memai.entity; DELETE FROM memai.memory_history;
DELETE FROM memai.memory WHERE tenant LIKE 'regress_memai%';
SET memai.tenant = 'regress_memai_attacker';
DELETE FROM memai.thread WHERE tenant LIKE 'regress_memai%'; DELETE FROM memai.job WHERE tenant LIKE 'regress_memai%'; DELETE FROM memai.preference WHERE tenant LIKE 'regress_memai%';
DELETE FROM memai.erasure WHERE tenant LIKE 'regress_memai%'; DELETE FROM memai.block WHERE tenant LIKE 'regress_memai%'; DELETE FROM memai.memory WHERE tenant LIKE 'regress_memai%';
DELETE FROM memai.episode WHERE tenant LIKE 'regress_memai%'; DELETE FROM memai.entity WHERE tenant LIKE 'regress_memai%'; DELETE FROM memai.memory_history WHERE tenant LIKE 'regress_memai%';
DROP SCHEMA regress_attack CASCADE;
DROP ROLE regress_memai_victim;
DROP OWNED BY regress_memai_attacker;
DROP ROLE regress_memai_attacker;
