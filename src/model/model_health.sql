-- ---- model: health ----

CREATE TABLE memai._model_rest (
	model text PRIMARY KEY REFERENCES memai.model ON UPDATE CASCADE ON DELETE CASCADE,
	until timestamptz NOT NULL,
	sqlstate text NOT NULL
);
COMMENT ON TABLE memai._model_rest IS 'private: models that are left alone for a while, for servers that do not preload memai; not dumped';
ALTER TABLE memai._model_rest ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION memai._model_health(model text, OUT state text, OUT rests_until timestamptz, OUT failures_in_a_row integer,
	OUT requests bigint, OUT failures bigint, OUT retries bigint, OUT refused bigint, OUT last_sqlstate text, OUT last_failure_at timestamptz)
	AS 'MODULE_PATHNAME', 'memai_model_health' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._model_health(text) IS 'private: what this session knows of a model''s health';
REVOKE ALL ON FUNCTION memai._model_health(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._model_health(text) TO memai_user, memai_admin;

CREATE VIEW memai.model_health WITH (security_invoker = true) AS
	SELECT m.name AS model, h.state, h.rests_until, h.failures_in_a_row, h.requests, h.failures, h.retries, h.refused,
		h.last_sqlstate, h.last_failure_at
	FROM memai.models m CROSS JOIN LATERAL memai._model_health(m.name) h;
COMMENT ON VIEW memai.model_health IS 'how calls of the models that the current role may call went since the server started, or this session when memai is not preloaded';
GRANT SELECT ON memai.model_health TO memai_user, memai_admin;

CREATE FUNCTION memai.reset_model(name text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_reset_model' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.reset_model(text) IS 'let a resting model be called again at once; false when it was not resting';
REVOKE ALL ON FUNCTION memai.reset_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.reset_model(text) TO memai_admin;
