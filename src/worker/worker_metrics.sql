-- ---- metrics: what monitoring systems read ----

CREATE FUNCTION memai._metric_label(value text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN replace(replace(replace(value, E'\\', E'\\\\'), '"', E'\\"'), E'\n', E'\\n');
COMMENT ON FUNCTION memai._metric_label(text) IS 'private: a label''s value, escaped as the text format of Prometheus wants it';

CREATE VIEW memai._call_counters WITH (security_barrier) AS
	SELECT c.role, c.model, c.operation, c.ok, c.sqlstate, c.attempts, c.retries, c.cached, c.prompt_tokens, c.completion_tokens,
		c.cost, c.latency_ms
	FROM memai._usage_counters() c
	UNION ALL
	SELECT u.role, u.model, u.operation, u.status = 'ok', u.sqlstate, count(*), count(*) FILTER (WHERE u.attempt > 1),
		count(*) FILTER (WHERE u.cached), coalesce(sum(u.prompt_tokens), 0), coalesce(sum(u.completion_tokens), 0),
		coalesce(sum(u.cost), 0), sum(u.latency_ms)
	FROM memai._usage u WHERE NOT (SELECT h.preloaded FROM memai._stats_health() h)
	GROUP BY u.role, u.model, u.operation, u.status = 'ok', u.sqlstate;
COMMENT ON VIEW memai._call_counters IS 'private: counters of calls since the start of the server, or of the ledger when memai is not preloaded; has its owner''s rights';

CREATE VIEW memai._latency_buckets WITH (security_barrier) AS
	SELECT s.model, s.operation, s.bucket, sum(s.n)::bigint AS n
	FROM (SELECT c.model, c.operation, b.ord AS bucket, b.n
		FROM memai._usage_counters() c, unnest(c.buckets) WITH ORDINALITY AS b (n, ord)
		UNION ALL
		SELECT u.model, u.operation, width_bucket(u.latency_ms / 1000, memai._usage_bounds()) + 1, 1
		FROM memai._usage u WHERE NOT (SELECT h.preloaded FROM memai._stats_health() h)) s
	GROUP BY s.model, s.operation, s.bucket;
COMMENT ON VIEW memai._latency_buckets IS 'private: attempts by model, operation and latency; buckets count from 1; has its owner''s rights';

-- ord keeps the samples of a histogram in order
CREATE VIEW memai._metric_samples WITH (security_barrier) AS
	SELECT 'memai_calls_total' AS family, format('{model="%s",operation="%s",role="%s"}', memai._metric_label(c.model), c.operation,
		memai._metric_label(pg_catalog.pg_get_userbyid(c.role))) AS labels, '' AS suffix, sum(c.attempts)::text AS value, 0::bigint AS ord
	FROM memai._call_counters c WHERE c.ok GROUP BY c.model, c.operation, c.role
	UNION ALL
	SELECT 'memai_errors_total', format('{model="%s",operation="%s",role="%s",sqlstate="%s"}', memai._metric_label(c.model), c.operation,
		memai._metric_label(pg_catalog.pg_get_userbyid(c.role)), coalesce(c.sqlstate, '')), '', sum(c.attempts)::text, 0
	FROM memai._call_counters c WHERE NOT c.ok GROUP BY c.model, c.operation, c.role, c.sqlstate
	UNION ALL
	SELECT f.family, format('{model="%s"}', memai._metric_label(f.model)), '', f.value::text, 0
	FROM (SELECT c.model, sum(c.retries) AS retries, sum(c.cached) AS cached FROM memai._call_counters c GROUP BY c.model) s,
		LATERAL (VALUES ('memai_retries_total', s.model, s.retries), ('memai_cached_answers_total', s.model, s.cached)) AS f (family, model, value)
	UNION ALL
	SELECT 'memai_tokens_total', format('{model="%s",role="%s",direction="%s"}', memai._metric_label(d.model),
		memai._metric_label(pg_catalog.pg_get_userbyid(d.role)), d.direction), '', d.n::text, 0
	FROM (SELECT c.model, c.role, sum(c.prompt_tokens) AS prompt, sum(c.completion_tokens) AS completion
			FROM memai._call_counters c GROUP BY c.model, c.role) s,
		LATERAL (VALUES (s.model, s.role, 'prompt', s.prompt), (s.model, s.role, 'completion', s.completion)) AS d (model, role, direction, n)
	UNION ALL
	SELECT 'memai_cost_total', format('{model="%s",role="%s"}', memai._metric_label(c.model), memai._metric_label(pg_catalog.pg_get_userbyid(c.role))), '',
		sum(c.cost)::text, 0
	FROM memai._call_counters c GROUP BY c.model, c.role
	UNION ALL
	SELECT 'memai_call_duration_seconds', format('{model="%s",operation="%s",le="%s"}', memai._metric_label(b.model), b.operation,
		coalesce((memai._usage_bounds())[i.bucket]::text, '+Inf')), '_bucket',
		sum(CASE WHEN b.bucket <= i.bucket THEN b.n ELSE 0 END)::text, i.bucket
	FROM memai._latency_buckets b, generate_series(1, array_length(memai._usage_bounds(), 1) + 1) AS i (bucket)
	GROUP BY b.model, b.operation, i.bucket
	UNION ALL
	SELECT 'memai_call_duration_seconds', format('{model="%s",operation="%s"}', memai._metric_label(c.model), c.operation), f.suffix,
		f.value::text, f.ord
	FROM (SELECT c.model, c.operation, sum(c.latency_ms) / 1000 AS seconds, sum(c.attempts) AS n
			FROM memai._call_counters c GROUP BY c.model, c.operation) c,
		LATERAL (VALUES ('_sum', c.seconds, 1000), ('_count', c.n::double precision, 1001)) AS f (suffix, value, ord)
	UNION ALL
	SELECT 'memai_jobs', format('{status="%s"}', s.status), '', (SELECT count(*) FROM memai.job j WHERE j.status = s.status)::text, 0
	FROM unnest(ARRAY['waiting', 'running', 'done', 'failed', 'cancelled']) AS s (status)
	UNION ALL
	SELECT 'memai_job_oldest_waiting_seconds', '', '', coalesce((SELECT greatest(extract(epoch FROM clock_timestamp() - min(j.run_after)), 0)
		FROM memai.job j WHERE j.status = 'waiting'), 0)::text, 0
	UNION ALL
	SELECT 'memai_workers', '', '', (SELECT count(*) FROM memai.worker_status)::text, 0
	UNION ALL
	SELECT 'memai_table_rows', format('{table="%s"}', c.relname), '', greatest(c.reltuples, 0)::bigint::text, 0
	FROM pg_catalog.pg_class c WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'memai')
		AND c.relkind = 'r' AND c.relname IN ('memory', 'episode', 'job')
	UNION ALL
	SELECT 'memai_index_bytes', format('{index="%s"}', memai._metric_label(c.relname)), '', pg_catalog.pg_relation_size(c.oid)::text, 0
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam WHERE c.relkind = 'i' AND a.amname = 'memai'
	UNION ALL
	SELECT f.family, '', '', f.value::text, 0
	FROM memai._stats_health() h,
		LATERAL (VALUES ('memai_preloaded', h.preloaded::integer::double precision), ('memai_usage_dropped_total', h.dropped::double precision),
			('memai_uncounted_calls_total', h.uncounted::double precision), ('memai_usage_buffer_used_ratio', h.buffer_used)) AS f (family, value)
	WHERE f.value IS NOT NULL;
COMMENT ON VIEW memai._metric_samples IS 'private: the samples that metrics() writes; has its owner''s rights';

CREATE FUNCTION memai.metrics() RETURNS text
	LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT string_agg(format(E'# HELP %s %s\n# TYPE %s %s\n', f.name, f.help, f.name, f.type) || s.samples, '' ORDER BY f.name)
	FROM (VALUES
			('memai_calls_total', 'counter', 'Calls of models that succeeded.'),
			('memai_errors_total', 'counter', 'Attempts of calls that failed, by SQLSTATE; empty when the call was cut off.'),
			('memai_retries_total', 'counter', 'Attempts after the first.'),
			('memai_cached_answers_total', 'counter', 'Answers that came from a cache.'),
			('memai_tokens_total', 'counter', 'Tokens of prompts and of completions.'),
			('memai_cost_total', 'counter', 'Cost by the prices of the models.'),
			('memai_call_duration_seconds', 'histogram', 'Time of one attempt.'),
			('memai_jobs', 'gauge', 'Jobs by status.'),
			('memai_job_oldest_waiting_seconds', 'gauge', 'How long the job that is due longest waits.'),
			('memai_workers', 'gauge', 'Background workers of this database.'),
			('memai_table_rows', 'gauge', 'Rows by the estimate of the last ANALYZE or VACUUM.'),
			('memai_index_bytes', 'gauge', 'Size of vector indexes.'),
			('memai_preloaded', 'gauge', 'Whether memai has shared memory.'),
			('memai_usage_dropped_total', 'counter', 'Records of calls that found no room in shared memory.'),
			('memai_uncounted_calls_total', 'counter', 'Calls that found no room among the counters.'),
			('memai_usage_buffer_used_ratio', 'gauge', 'How full the shared memory for records is.')) AS f (name, type, help)
		JOIN (SELECT m.family, string_agg(m.family || m.suffix || m.labels || ' ' || m.value || E'\n', '' ORDER BY
				CASE WHEN m.suffix = '' THEN m.labels ELSE split_part(m.labels, ',le=', 1) END, m.ord, m.labels) AS samples
			FROM memai._metric_samples m GROUP BY m.family) s ON s.family = f.name;
END;
COMMENT ON FUNCTION memai.metrics() IS 'counters and gauges of this database in the text format of Prometheus';
REVOKE ALL ON FUNCTION memai.metrics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.metrics() TO pg_monitor, memai_admin;
GRANT USAGE ON SCHEMA memai TO pg_monitor;
