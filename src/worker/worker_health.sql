-- ---- worker: how memai is ----

CREATE FUNCTION memai.version() RETURNS text
	AS 'MODULE_PATHNAME', 'memai_version' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai.version() IS 'the version of the library that is loaded; that of the extension is in pg_extension';

CREATE FUNCTION memai._health_server()
	RETURNS TABLE (preloaded boolean, dropped bigint, uncounted bigint, buffer_used double precision, workers bigint, last_finished_at timestamptz)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT h.preloaded, h.dropped, h.uncounted, h.buffer_used, w.workers, w.last_finished_at
	FROM memai._stats_health() h
		CROSS JOIN (SELECT count(*) AS workers, max(s.last_finished_at) AS last_finished_at FROM memai.worker_status s) w;
END;
COMMENT ON FUNCTION memai._health_server() IS 'private: what health() tells of shared memory and workers, which nobody may see otherwise';
REVOKE ALL ON FUNCTION memai._health_server() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._health_server() TO memai_user, memai_admin;

-- Called for a CASE only, so that a role without the right to check pays nothing and fails only when it asks for it.
CREATE FUNCTION memai._check_models() RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE SET memai.http_call_timeout = '5s'
BEGIN ATOMIC
	SELECT jsonb_object_agg(m.name, jsonb_build_object('ok', c.ok, 'latency_ms', round(c.latency_ms::numeric, 1), 'sqlstate', c.sqlstate, 'message', c.message))
	FROM memai.models m CROSS JOIN LATERAL memai.check_model(m.name) c;
END;
COMMENT ON FUNCTION memai._check_models() IS 'private: one small call to each model that the role may use, 5 seconds each at most';

CREATE FUNCTION memai._index_info(index oid) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT to_jsonb(i) FROM memai.memai_index_info(_index_info.index::regclass) i;
END;
COMMENT ON FUNCTION memai._index_info(oid) IS 'private: what an index holds';

CREATE FUNCTION memai.health(check_models boolean DEFAULT false, check_indexes boolean DEFAULT false)
	RETURNS TABLE (component text, name text, ok boolean, detail text, data jsonb)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH extension AS (
		SELECT e.extversion AS version, memai.version() AS library FROM pg_catalog.pg_extension e WHERE e.extname = 'memai'
	), queue AS (
		SELECT count(*) FILTER (WHERE j.status = 'waiting') AS waiting, count(*) FILTER (WHERE j.status = 'running') AS running,
			count(*) FILTER (WHERE j.status = 'failed') AS failed,
			coalesce(extract(epoch FROM clock_timestamp() - min(j.run_after) FILTER (WHERE j.status = 'waiting')), 0) AS oldest
		FROM memai.job j
	), models AS MATERIALIZED (
		SELECT CASE WHEN health.check_models THEN memai._check_models() END AS checked
	)
	SELECT r.component, r.name, r.ok, r.detail, r.data
	FROM (
		SELECT 1 AS part, 'extension' AS component, 'memai' AS name, x.version = x.library AS ok,
			CASE WHEN x.version = x.library THEN format('version %s', x.version)
				ELSE format('extension %s, library %s: run ALTER EXTENSION memai UPDATE, or restart', x.version, x.library) END AS detail,
			jsonb_build_object('version', x.version, 'library', x.library) AS data
		FROM extension x
		UNION ALL
		SELECT 2, 'shared memory', 'memai', coalesce(s.dropped, 0) = 0 AND coalesce(s.uncounted, 0) = 0,
			CASE WHEN NOT s.preloaded THEN 'memai is not in shared_preload_libraries: usage is counted by transactions, limits and breakers by session'
				WHEN s.dropped > 0 OR s.uncounted > 0 THEN 'records of calls were lost: raise memai.stats_buffer_size'
				ELSE 'preloaded' END,
			jsonb_build_object('preloaded', s.preloaded, 'dropped', s.dropped, 'uncounted', s.uncounted, 'buffer_used', s.buffer_used)
		FROM memai._health_server() s
		UNION ALL
		SELECT 3, 'worker', 'memai', s.workers > 0 OR q.oldest < 60,
			CASE WHEN s.workers > 0 THEN format('%s running', s.workers)
				WHEN q.oldest >= 60 THEN 'jobs wait and no worker runs: SELECT memai.start_worker(), or CALL memai.run_jobs()'
				ELSE 'none runs, none is needed' END,
			jsonb_build_object('workers', s.workers, 'last_finished_at', s.last_finished_at)
		FROM memai._health_server() s, queue q
		UNION ALL
		SELECT 4, 'queue', 'memai.job', q.failed = 0 AND q.oldest < 600,
			format('%s waiting, %s running, %s failed', q.waiting, q.running, q.failed)
				|| CASE WHEN q.oldest > 0 THEN format(', the oldest is due since %s s', round(q.oldest)) ELSE '' END
				|| CASE WHEN q.failed > 0 THEN ': see memai.job, then memai.retry_jobs()' ELSE '' END,
			jsonb_build_object('waiting', q.waiting, 'running', q.running, 'failed', q.failed, 'oldest_seconds', greatest(round(q.oldest, 1), 0))
		FROM queue q
		UNION ALL
		SELECT 5, 'index', c.oid::regclass::text, i.indisvalid AND i.indisready,
			CASE WHEN i.indisvalid AND i.indisready THEN 'usable' ELSE 'not usable: REINDEX it, or drop what a failed CREATE INDEX CONCURRENTLY left' END,
			jsonb_build_object('table', i.indrelid::regclass, 'size_bytes', pg_catalog.pg_relation_size(c.oid))
				|| coalesce(CASE WHEN health.check_indexes AND i.indisvalid THEN memai._index_info(c.oid) END, '{}')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
		WHERE c.relkind = 'i' AND a.amname = 'memai'
		UNION ALL
		SELECT 6, 'model', h.model, coalesce((m.checked #>> ARRAY[h.model, 'ok'])::boolean, h.state <> 'open'),
			CASE WHEN m.checked #>> ARRAY[h.model, 'ok'] = 'true' THEN format('answers in %s ms', m.checked #>> ARRAY[h.model, 'latency_ms'])
				WHEN m.checked IS NOT NULL THEN concat_ws(': ', m.checked #>> ARRAY[h.model, 'sqlstate'], m.checked #>> ARRAY[h.model, 'message'])
				WHEN h.state = 'open' THEN format('rests until %s after %s', h.rests_until, h.last_sqlstate)
				ELSE 'not checked' END,
			jsonb_build_object('breaker', h.state, 'requests', h.requests, 'failures', h.failures, 'retries', h.retries,
				'last_sqlstate', h.last_sqlstate, 'last_failure_at', h.last_failure_at) || coalesce(m.checked -> h.model, '{}')
		FROM memai.model_health h, models m
	) r
	ORDER BY r.part, r.name;
END;
COMMENT ON FUNCTION memai.health(boolean, boolean) IS
	'how memai is, a row for each part: versions, shared memory, workers, jobs that the role may see, vector indexes, models and their breakers; with check_models one small call to each model (administrators), with check_indexes what indexes hold';

REVOKE ALL ON FUNCTION memai.version() FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._check_models() FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._index_info(oid) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.health(boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.version(), memai._check_models(), memai._index_info(oid), memai.health(boolean, boolean) TO memai_user, memai_admin;
