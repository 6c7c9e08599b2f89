-- ---- model: cached answers and embeddings ----

-- unlogged: what models said of users is in no WAL, no standby and no backup
CREATE UNLOGGED TABLE memai._model_cache (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant text NOT NULL DEFAULT memai.current_tenant(),
	role oid NOT NULL,
	key bytea NOT NULL,
	value bytea NOT NULL,
	used_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz NOT NULL
);
COMMENT ON TABLE memai._model_cache IS 'private: answers of models that a call may get again, each for one role; unlogged and not dumped';
COMMENT ON COLUMN memai._model_cache.key IS 'SHA-256 of the model, its options and the whole request';
COMMENT ON COLUMN memai._model_cache.used_at IS 'last use, to the hour';
CREATE INDEX _model_cache_key_idx ON memai._model_cache (role, key);
CREATE INDEX _model_cache_used_idx ON memai._model_cache (role, used_at, id);
CREATE INDEX _model_cache_expires_idx ON memai._model_cache (role, expires_at);
ALTER TABLE memai._model_cache ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai._model_cache FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai._model_cache USING (tenant = (SELECT memai.current_tenant())
	AND role = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user));
COMMENT ON POLICY isolation ON memai._model_cache IS 'own entries only, nobody else''s: not an administrator''s either';
-- the planner's statistics keep no sample of what models said
ALTER TABLE memai._model_cache ALTER COLUMN value SET STATISTICS 0;
GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON memai._model_cache TO memai_user;

CREATE FUNCTION memai.clear_cache() RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_clear_cache' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.clear_cache() IS 'forget the cached answers and embeddings of the tenant, whichever role asked, and return how many there were';
REVOKE ALL ON FUNCTION memai.clear_cache() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.clear_cache() TO memai_user, memai_admin;
