-- ---- memory: background work ----

CREATE FUNCTION memai.reembed(model text DEFAULT NULL, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	-- named here, so that the jobs of a model rest with it
	WITH chosen AS (
		SELECT coalesce(reembed.model, (SELECT m.name FROM memai.models m WHERE m.kind = 'embed' AND m.is_default)) AS model),
	scope AS (
		SELECT e.tenant, e.user_id, e.namespace FROM memai.episode e
		UNION SELECT m.tenant, m.user_id, m.namespace FROM memai.memory m),
	submitted AS (
		SELECT memai.submit_job('reembed', '{}', s.user_id, s.namespace, c.model, 2, NULL, 5, c.model) AS id
		FROM scope s, chosen c
		WHERE s.tenant = memai.current_tenant()
			AND (reembed.user_id IS NULL OR s.user_id = reembed.user_id)
			AND (reembed.namespace IS NULL OR s.namespace = reembed.namespace))
	SELECT count(*) FROM submitted;
END;
COMMENT ON FUNCTION memai.reembed(text, text, text) IS
	'submit jobs that make the missing vectors of a model, one a user and namespace, and return how many';
REVOKE ALL ON FUNCTION memai.reembed(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.reembed(text, text, text) TO memai_user;

-- ---- memory: the vector index ----

CREATE FUNCTION memai.create_vector_index(model text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_create_vector_index' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.create_vector_index(text) IS
	'index the vectors of a model, for users with thousands of items, in a partition of its own, and return the index''s name; blocks writes while it works';

CREATE FUNCTION memai.drop_vector_index(model text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_drop_vector_index' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.drop_vector_index(text) IS 'drop the index of a model''s vectors; false when there is none';

REVOKE ALL ON FUNCTION memai.create_vector_index(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_vector_index(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.create_vector_index(text), memai.drop_vector_index(text) TO memai_admin;
