-- ---- stats: what calls of models cost ----
--
-- The ledger is kept by role, not by scope: it is about who spends, and no
-- content is in it.  A role reads its own rows, memai_admin all.

CREATE TABLE memai._usage (
	at timestamptz NOT NULL,
	role regrole NOT NULL,
	user_id text,
	tenant_name text,
	model text NOT NULL,
	kind text NOT NULL,
	operation text NOT NULL,
	credential text,
	prompt_tokens bigint,
	completion_tokens bigint,
	estimated boolean NOT NULL,
	cost double precision,
	latency_ms double precision NOT NULL,
	status text NOT NULL,
	sqlstate text,
	attempt smallint NOT NULL,
	cached boolean NOT NULL
);
COMMENT ON TABLE memai._usage IS 'private: one row for each attempt of a call over the network; read through the view memai.usage';
CREATE INDEX _usage_at_idx ON memai._usage (at);
COMMENT ON INDEX memai._usage_at_idx IS 'serves all roles: what was used today';

CREATE TABLE memai._usage_day (
	day date,
	role regrole,
	user_id text,
	tenant_name text,
	model text,
	operation text,
	calls bigint NOT NULL,
	attempts bigint NOT NULL,
	errors bigint NOT NULL,
	cached bigint NOT NULL,
	prompt_tokens bigint NOT NULL,
	completion_tokens bigint NOT NULL,
	cost double precision,
	latency_ms double precision NOT NULL,
	UNIQUE NULLS NOT DISTINCT (day, role, user_id, tenant_name, model, operation)
);
COMMENT ON TABLE memai._usage_day IS 'private: sums of the rows that prune_usage removed; read through the view memai.usage_daily';

SELECT pg_catalog.pg_extension_config_dump('memai._usage', '');
SELECT pg_catalog.pg_extension_config_dump('memai._usage_day', '');

CREATE FUNCTION memai._usage_pending(OUT at timestamptz, OUT role regrole, OUT user_id text, OUT tenant_name text,
	OUT model text, OUT kind text, OUT operation text, OUT credential text, OUT prompt_tokens bigint,
	OUT completion_tokens bigint, OUT estimated boolean, OUT cost double precision, OUT latency_ms double precision,
	OUT status text, OUT sqlstate text, OUT attempt smallint, OUT cached boolean) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'memai_usage_pending' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai._usage_pending() IS 'private: records in shared memory that are not in the table yet; the caller''s own, an administrator''s all';
REVOKE ALL ON FUNCTION memai._usage_pending() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._usage_pending() TO memai_user, memai_admin;

CREATE VIEW memai.usage WITH (security_barrier) AS
	SELECT u.at, u.role, u.user_id, u.tenant_name AS tenant, u.model, u.kind, u.operation, u.credential,
		u.prompt_tokens, u.completion_tokens, u.estimated, u.cost, u.latency_ms, u.status, u.sqlstate, u.attempt, u.cached
	FROM (SELECT * FROM memai._usage UNION ALL SELECT * FROM memai._usage_pending()) u
	WHERE pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE')
		OR (pg_catalog.pg_has_role(CURRENT_USER, u.role, 'USAGE')
			AND coalesce(u.user_id = memai.current_user_id(), memai.current_user_id() IS NULL));
COMMENT ON VIEW memai.usage IS 'attempts of calls of models, of the current role (and user, in a narrowed session), for administrators of all; has its owner''s rights';
COMMENT ON COLUMN memai.usage.user_id IS 'the user_id that memai''s function was called with, else the setting memai.user_id; an attempt that is for several users is a row for each';
COMMENT ON COLUMN memai.usage.operation IS 'embed, complete, stream or rerank';
COMMENT ON COLUMN memai.usage.credential IS 'the name of the key that was used';
COMMENT ON COLUMN memai.usage.prompt_tokens IS 'NULL when nobody knows: the attempt was cut off';
COMMENT ON COLUMN memai.usage.estimated IS 'the provider reported no tokens: they are memai''s estimate';
COMMENT ON COLUMN memai.usage.cost IS 'by the model''s prices at the time; NULL without prices, or when tokens are not known';
COMMENT ON COLUMN memai.usage.status IS 'ok, error, or unknown: cut off by a cancel, a timeout or a lost connection, so that the provider may have done the work';
COMMENT ON COLUMN memai.usage.attempt IS 'number within its request, from 1; 0 for an answer from a cache';
GRANT SELECT ON memai.usage TO memai_user, memai_admin;

CREATE VIEW memai.usage_daily WITH (security_barrier) AS
	SELECT d.day, d.role, d.user_id, d.tenant_name AS tenant, d.model, d.operation, sum(d.calls)::bigint AS calls,
		sum(d.attempts)::bigint AS attempts, sum(d.errors)::bigint AS errors, sum(d.cached)::bigint AS cached,
		sum(d.prompt_tokens)::bigint AS prompt_tokens, sum(d.completion_tokens)::bigint AS completion_tokens,
		sum(d.cost) AS cost, sum(d.latency_ms) AS latency_ms
	FROM (SELECT * FROM memai._usage_day
		UNION ALL
		SELECT (u.at AT TIME ZONE 'UTC')::date, u.role, u.user_id, u.tenant, u.model, u.operation,
			count(*) FILTER (WHERE u.status = 'ok'), count(*), count(*) FILTER (WHERE u.status <> 'ok'), count(*) FILTER (WHERE u.cached),
			coalesce(sum(u.prompt_tokens), 0)::bigint, coalesce(sum(u.completion_tokens), 0)::bigint, sum(u.cost), sum(u.latency_ms)
		FROM memai.usage u GROUP BY 1, 2, 3, 4, 5, 6) d
	WHERE pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE')
		OR (pg_catalog.pg_has_role(CURRENT_USER, d.role, 'USAGE')
			AND coalesce(d.user_id = memai.current_user_id(), memai.current_user_id() IS NULL))
	GROUP BY 1, 2, 3, 4, 5, 6;
COMMENT ON VIEW memai.usage_daily IS 'sums of memai.usage by day (UTC), also of rows that were pruned; calls are attempts that succeeded; has its owner''s rights';
GRANT SELECT ON memai.usage_daily TO memai_user, memai_admin;

CREATE VIEW memai.model_stats WITH (security_barrier) AS
	SELECT u.model, u.kind, count(*) FILTER (WHERE u.status = 'ok') AS calls, count(*) FILTER (WHERE u.status <> 'ok') AS errors,
		count(*) FILTER (WHERE u.attempt > 1) AS retries, count(*) FILTER (WHERE u.cached) AS cached,
		coalesce(sum(u.prompt_tokens), 0)::bigint AS prompt_tokens, coalesce(sum(u.completion_tokens), 0)::bigint AS completion_tokens,
		sum(u.cost) AS cost,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY u.latency_ms) FILTER (WHERE u.status = 'ok') AS p50_ms,
		percentile_cont(0.95) WITHIN GROUP (ORDER BY u.latency_ms) FILTER (WHERE u.status = 'ok') AS p95_ms,
		max(u.at) AS last_at
	FROM memai.usage u GROUP BY u.model, u.kind;
COMMENT ON VIEW memai.model_stats IS 'calls, failed attempts, retries, tokens, cost and latency by model, of the rows of memai.usage; has its owner''s rights';
GRANT SELECT ON memai.model_stats TO memai_user, memai_admin;

CREATE FUNCTION memai.flush_usage() RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_flush_usage' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.flush_usage() IS 'move the records of this database from shared memory into the table, as workers do by themselves; their number';
REVOKE ALL ON FUNCTION memai.flush_usage() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.flush_usage() TO memai_admin;

CREATE FUNCTION memai.prune_usage(older_than interval DEFAULT '90 days') RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai._usage
		WHERE at < date_trunc('day', (now() - older_than) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' RETURNING *
	), summed AS (
		INSERT INTO memai._usage_day AS d
		SELECT (at AT TIME ZONE 'UTC')::date, role, user_id, tenant_name, model, operation,
			count(*) FILTER (WHERE status = 'ok'), count(*), count(*) FILTER (WHERE status <> 'ok'), count(*) FILTER (WHERE cached),
			coalesce(sum(prompt_tokens), 0)::bigint, coalesce(sum(completion_tokens), 0)::bigint, sum(cost), sum(latency_ms)
		FROM gone GROUP BY 1, 2, 3, 4, 5, 6
		ON CONFLICT (day, role, user_id, tenant_name, model, operation) DO UPDATE SET
			calls = d.calls + excluded.calls, attempts = d.attempts + excluded.attempts, errors = d.errors + excluded.errors,
			cached = d.cached + excluded.cached, prompt_tokens = d.prompt_tokens + excluded.prompt_tokens,
			completion_tokens = d.completion_tokens + excluded.completion_tokens,
			cost = CASE WHEN d.cost IS NULL THEN excluded.cost ELSE d.cost + coalesce(excluded.cost, 0) END,
			latency_ms = d.latency_ms + excluded.latency_ms
	)
	SELECT count(*) FROM gone;
END;
COMMENT ON FUNCTION memai.prune_usage(interval) IS 'replace rows of whole days that are older by their sums, which memai.usage_daily keeps; how many rows went';
REVOKE ALL ON FUNCTION memai.prune_usage(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.prune_usage(interval) TO memai_admin;

-- ---- counters ----

CREATE FUNCTION memai._usage_counters(OUT role regrole, OUT model text, OUT operation text, OUT ok boolean, OUT sqlstate text,
	OUT attempts bigint, OUT retries bigint, OUT cached bigint, OUT prompt_tokens bigint, OUT completion_tokens bigint,
	OUT cost double precision, OUT latency_ms double precision, OUT buckets bigint[]) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'memai_usage_counters' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai._usage_counters() IS 'private: counters of this database since the start of the server; none when memai is not preloaded';
REVOKE ALL ON FUNCTION memai._usage_counters() FROM PUBLIC;

CREATE FUNCTION memai._usage_bounds() RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'memai_usage_bounds' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._usage_bounds() IS 'private: upper ends of the latency buckets in seconds; one more bucket has no end';
REVOKE ALL ON FUNCTION memai._usage_bounds() FROM PUBLIC;

CREATE FUNCTION memai._stats_health(OUT preloaded boolean, OUT dropped bigint, OUT uncounted bigint, OUT buffer_used double precision)
	AS 'MODULE_PATHNAME', 'memai_stats_health' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai._stats_health() IS 'private: records and calls that found no room in shared memory, and how full it is';
REVOKE ALL ON FUNCTION memai._stats_health() FROM PUBLIC;

CREATE FUNCTION memai._limit_buckets(OUT model text, OUT role regrole, OUT user_id text, OUT calls_under_way bigint,
	OUT requests_last_minute bigint, OUT tokens_last_minute bigint, OUT tokens_today bigint, OUT cost_today double precision,
	OUT reserved_tokens bigint, OUT reserved_cost double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'memai_limit_buckets' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai._limit_buckets() IS 'private: what counts against the limits of this database now';
REVOKE ALL ON FUNCTION memai._limit_buckets() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._limit_buckets() TO memai_admin;
