-- ---- limits ----

CREATE TABLE memai._limit (
	model text,
	role regrole,
	user_id text,
	requests_per_minute integer CHECK (requests_per_minute > 0),
	tokens_per_minute bigint CHECK (tokens_per_minute > 0),
	concurrent_calls integer CHECK (concurrent_calls > 0),
	daily_tokens bigint CHECK (daily_tokens > 0),
	daily_cost double precision CHECK (daily_cost > 0),
	UNIQUE NULLS NOT DISTINCT (model, role, user_id)
);
COMMENT ON TABLE memai._limit IS 'private: limits of calls; NULL stands for all together, ''*'' and role 0 for each by itself';
SELECT pg_catalog.pg_extension_config_dump('memai._limit', '');

CREATE FUNCTION memai.set_limit(model text DEFAULT NULL, role text DEFAULT NULL, user_id text DEFAULT NULL,
	requests_per_minute integer DEFAULT NULL, tokens_per_minute bigint DEFAULT NULL, concurrent_calls integer DEFAULT NULL,
	daily_tokens bigint DEFAULT NULL, daily_cost double precision DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_set_limit' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.set_limit(text, text, text, integer, bigint, integer, bigint, double precision) IS
	'limit the calls of a model, role and user: left out, all share the limit; ''*'', each has it; without any limit the rule is removed';
REVOKE ALL ON FUNCTION memai.set_limit(text, text, text, integer, bigint, integer, bigint, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.set_limit(text, text, text, integer, bigint, integer, bigint, double precision) TO memai_admin;

CREATE VIEW memai.limits WITH (security_barrier) AS
	SELECT l.model, CASE l.role::oid WHEN 0 THEN '*' ELSE l.role::text END AS role, l.user_id,
		l.requests_per_minute, l.tokens_per_minute, l.concurrent_calls, l.daily_tokens, l.daily_cost
	FROM memai._limit l
	WHERE pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE') OR l.role IS NULL OR l.role::oid = 0
		OR pg_catalog.pg_has_role(CURRENT_USER, l.role, 'USAGE');
COMMENT ON VIEW memai.limits IS 'limits that calls of the current role may fall under, for administrators all; has its owner''s rights';
GRANT SELECT ON memai.limits TO memai_user, memai_admin;

CREATE FUNCTION memai.limits() RETURNS SETOF memai.limits
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT * FROM memai.limits;
END;
COMMENT ON FUNCTION memai.limits() IS 'the view memai.limits';
REVOKE ALL ON FUNCTION memai.limits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.limits() TO memai_user, memai_admin;

CREATE VIEW memai.limit_status WITH (security_barrier) AS
	SELECT b.* FROM memai._limit_buckets() b
	WHERE EXISTS (SELECT FROM memai._limit l
		WHERE (l.model IS NULL) = (b.model IS NULL) AND coalesce(l.model IN ('*', b.model), true)
		AND (l.role IS NULL) = (b.role IS NULL) AND coalesce(l.role::oid IN (0, b.role::oid), true)
		AND (l.user_id IS NULL) = (b.user_id IS NULL) AND coalesce(l.user_id IN ('*', b.user_id), true));
COMMENT ON VIEW memai.limit_status IS 'what counts against each limit now: one row for each model, role and user that a rule counts by itself; has its owner''s rights';
GRANT SELECT ON memai.limit_status TO memai_admin;
